"""What the lowerings of all event-driven chips have in common."""

from __future__ import annotations

from typing import Any

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError


def refuse_options(chip: Chip, arithmetic: Any, placement: Any) -> None:
    """Raise CompileError for compile options that only time-step chips with many cores have."""
    if arithmetic is not None or placement is not None:
        what = "arithmetic" if arithmetic is not None else "placement"
        raise CompileError(f"{chip.name} has one core and its own arithmetic: leave out {what}=")
