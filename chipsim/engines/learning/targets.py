"""Targets that a user gives to a run, checked and brought into one array."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.checks import floats, numbers
from chipsim.errors import RunError
from chipsim.program.program import PopulationImage


def target_rows(readout: PopulationImage, given: Any, steps: int, loss: str) -> np.ndarray:
    """(steps, m) float64 targets of one run, NaN where there is none.

    given: (steps, m); (steps,) for one output; for cross-entropy also (steps,) class numbers, -1 for none; None.

    Raises
    ------
    RunError
        Another length, numbers of classes or types, infinities.
    """
    m = readout.n
    if given is None:
        return np.full((steps, m), np.nan)
    what = f"targets of '{readout.name}'"
    array = numbers(given, what, RunError, exact=True)
    classes = loss == "cross_entropy" and array.ndim == 1 and array.dtype.kind in "iu"
    fits = array.shape == (steps, m) or (array.shape == (steps,) and (classes or m == 1))
    if not fits:
        also = f", or ({steps},) class numbers with -1 for none" if loss == "cross_entropy" else ""
        raise RunError(f"{what} have shape {array.shape}; the run needs ({steps}, {m}), NaN where there is none{also}")
    if classes:
        if array.size and (array.min() < -1 or array.max() >= m):
            worst = array[(array < -1) | (array >= m)][0]
            raise RunError(f"{what} name class {worst}; the readout has classes 0..{m - 1}, -1 for none")
        return np.where(array[:, None] < 0, np.nan, np.eye(m)[np.maximum(array, 0)])
    rows = floats(array, what, RunError, nan=True).reshape(steps, m)
    if np.any(np.isnan(rows).any(axis=1) != np.isnan(rows).all(axis=1)):
        raise RunError(f"{what}: a row is NaN in part; give all outputs of a step a target, or none")
    return rows
