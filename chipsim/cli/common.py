"""What all commands share: JSON or tables on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def say(data: Any, as_json: bool, *shown: Any) -> None:
    """Print `data` as JSON if that was asked for, else the texts and rich tables of `shown`."""
    if as_json:
        typer.echo(json.dumps(data, indent=1, default=_plain))
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    for item in shown:
        console.print(item, markup=False) if isinstance(item, str) else console.print(item)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str | None = None) -> Any:
    """A rich table; columns whose name starts with ">" are set to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, caption=caption, show_header=any(columns))
    for name in columns:
        made.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    return Group(f"[bold]{escape(title)}[/bold]", made) if title else made


@contextmanager
def progress(label: str) -> Iterator[Callable[..., None]]:
    """A progress bar on a terminal's stderr; yields a function of (done, of all, text beside it) that moves it."""
    if not sys.stderr.isatty():
        yield lambda done, total, text="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    parts = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def move(done: int, total: int, text: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{label}  {text}" if text else label)

        yield move


@contextmanager
def working(label: str) -> Iterator[None]:
    """A moving sign on a terminal's stderr while something runs that cannot say how far it is."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(label):
        yield
