"""Runs a case in two tools, tells the first difference, and reports the smallest network that still shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from chipsim.errors import ChipsimError

from .as_code import as_code
from .case import Case, Values, run_chipsim
from .shrink import shrink

Tool = Callable[[Case], Values]


@dataclass(frozen=True)
class Difference:
    """Where two runs part: `kind` is "value" or "refused"."""

    kind: str
    text: str
    step: int


def first_difference(mine: Values, theirs: Values, tolerance: float = 0.0) -> Difference | None:
    """The earliest step in which a common variable differs, the sum of all of them before spikes."""
    found: list[tuple[int, str]] = []
    for key in sorted(theirs.keys() & mine.keys()):
        a, b = np.asarray(mine[key]), np.asarray(theirs[key])
        b = b.reshape(a.shape)
        same = a == b if not tolerance else np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        if not np.all(same):
            where = np.argwhere(~same)[0]
            at = tuple(int(k) for k in where)
            found.append((at[0], f"{key[0]}.{key[1]}{list(at)}: chipsim {a[at]}, the tool {b[at]}"))
    if not found:
        return None
    step = min(k for k, _ in found)
    return Difference("value", "; ".join(t for k, t in found if k == step), step)


def difference(case: Case, tool: Tool, tolerance: float = 0.0) -> Difference | None:
    """None where the two agree; a refusal of what the tool runs is a difference."""
    theirs = tool(case)
    try:
        mine = run_chipsim(case)
    except ChipsimError as error:
        return Difference("refused", f"chipsim refuses: {error}", case.steps - 1)
    assert theirs.keys() & mine.keys(), "nothing to compare"
    return first_difference(mine, theirs, tolerance)


def agree(case: Case, tool: Tool, name: str, tolerance: float = 0.0) -> None:
    """Fails with the smallest network found that still differs, as code to paste."""
    found = difference(case, tool, tolerance)
    if found is None:
        return

    def still(smaller: Case) -> Difference | None:
        try:
            other = difference(smaller, tool, tolerance)
        except Exception:  # the tool cannot run this one: not a smaller witness
            return None
        return other if other is not None and other.kind == found.kind else None

    case, found = shrink(case, found, still)
    pytest.fail(f"chipsim and {name} differ\n{as_code(case)}\n# {found.text}", pytrace=False)
