"""A rich table that `print` shows as well: without it, `print(estimate.table())` would name an object in memory."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.table import Table

WIDTH = 100  #: columns of the text


class PrintedTable(Table):
    """A rich `Table` whose `str` is the table as plain text."""

    def __str__(self) -> str:
        """The table, at most `WIDTH` columns wide."""
        file = StringIO()
        Console(file=file, width=WIDTH, color_system=None).print(self)
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())
