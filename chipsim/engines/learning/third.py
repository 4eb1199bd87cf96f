"""Third factors that a user gives to a run, checked and brought into one array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.checks import ask, dims_of, floats, quoted
from chipsim.errors import RunError


def third_array(
    projection: str, rule: str, names: tuple[str, ...], given: Any, steps: int, n: int, *, optional: bool = False
) -> np.ndarray:
    """(steps, factors, 1 or n) float64 from what was given for `projection`.

    Parameters
    ----------
    given
        For one factor, or all alike: a number, (steps,) or (steps, n); a mapping from names to such values otherwise.
    optional
        Factors left out are 0 instead of refused.

    Raises
    ------
    RunError
        Missing or unknown factors, lengths that fit neither the run nor the neurons, values that are not numbers.
    """
    if not names:
        if given is not None:
            raise RunError(f"projection '{projection}': rule {rule} has no third factor; leave it out of third=")
        return np.zeros((steps, 0, 1))
    one = not isinstance(given, Mapping) or hasattr(given, "toarray")  # a sparse matrix of keys is a dict as well
    table = dict.fromkeys(names, given) if one else given
    unknown = [k for k in table if k not in names]
    if unknown:
        raise RunError(f"projection '{projection}': no third factor {quoted(unknown[0])}; it has {', '.join(names)}")
    parts = []
    for name in names:
        value = table.get(name)
        if value is None and optional:
            value = 0.0
        if value is None:
            raise RunError(
                f"projection '{projection}': rule {rule} needs its third factor '{name}' in every step: "
                f"third={{'{projection}': array of ({steps},) or ({steps}, {n})}}, or learn=False"
            )
        parts.append(_one(projection, name, value, steps, n))
    if all(p.shape[1] == 1 for p in parts):
        ask(2 * 8 * steps * len(names), f"projection '{projection}': its third factors", "run fewer steps", RunError)
        return np.ascontiguousarray(np.stack(parts, axis=1))
    ask(2 * 8 * steps * n * len(names), f"projection '{projection}': its third factors", "run fewer steps", RunError)
    return np.ascontiguousarray(np.stack([np.broadcast_to(p, (steps, n)) for p in parts], axis=1))


def _one(projection: str, name: str, value: Any, steps: int, n: int) -> np.ndarray:
    what = f"projection '{projection}': third factor '{name}'"
    given = dims_of(value)
    if given and not _fits(given, steps, n):  # before memory is taken for it
        raise RunError(f"{what} has shape {given}; the run needs ({steps},) or ({steps}, {n})")
    array = floats(value, what, RunError)
    if array.ndim == 0:
        return np.full((steps, 1), float(array))
    if not _fits(array.shape, steps, n):
        raise RunError(f"{what} has shape {array.shape}; the run needs ({steps},) or ({steps}, {n})")
    return array.reshape(steps, -1)


def _fits(shape: tuple[int, ...], steps: int, n: int) -> bool:
    return shape == (steps,) or (len(shape) == 2 and shape[0] == steps and shape[1] in (1, n))
