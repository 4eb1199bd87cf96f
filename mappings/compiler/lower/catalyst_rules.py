"""A projection's learning rule as Catalyst N1 microcode, or a refusal that says why."""

from __future__ import annotations

from typing import Any

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.native.catalyst.microcode import Program
from chipsim.rules.declaration import Rule
from chipsim.rules.microcode import microcode


def to_microcode(rule: Any, chip: Chip, projection: str, weight_step: float | None = None) -> Program:
    """The program of a declared rule; `weight_step`: what one unit of the chip's weight means in it.

    Raises
    ------
    CompileError
        Rules of other kinds, and declared ones that the engine cannot run, with the reasons.
    """
    if not isinstance(rule, Rule):
        raise CompileError(
            f"projection '{projection}': the learning engine of {chip.name} takes declared rules (cs.rules) and "
            f"microcode (cs.catalyst.Program), not {type(rule).__name__}",
            resource="learning",
        )
    found = microcode(rule, weight_step)
    if found.runs == "cannot":
        raise CompileError(
            f"projection '{projection}': the learning engine of {chip.name} cannot run rule {rule.name}: "
            f"{'; '.join(found.reasons)}; write it as cs.catalyst.Program, or use 'research', 'unlimited' or 'float'",
            resource="learning",
        )
    e: dict[str, Any] = dict(found.export)
    return Program(
        e["text"], three_factor=e["three_factor"], name=rule.name, taus=e["taus"], reward_tau=e["reward_tau"],
        epoch=e["epoch"], weight_step=e["weight_step"], notes=found.reasons,
    )  # fmt: skip
