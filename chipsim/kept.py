"""What an engine keeps between runs, array by array: shape, dtype and range, checked before a kernel sees any of it.

An engine describes its state as `{name: Kept}`; `checked` compares what a file or a user gives with that description.
Kernels index and count without looking, so a number beyond its range would be a crash, or a wrong result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .errors import RunError

FOREVER = 1 << 60  #: steps, edges and counts stay below it: sums of two still fit 64 bits


class Kept(NamedTuple):
    """One array of a state.

    shape: None for a dimension that is free. low, high: inclusive, numbers or arrays that broadcast; None: no bound.
    equal: the very same values (wiring, which a program decides). finite: no NaN or infinity.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype
    low: Any = None
    high: Any = None
    equal: np.ndarray | None = None
    finite: bool = False


def like(array: Any, low: Any = None, high: Any = None, *, finite: bool = False) -> Kept:
    """An array of the shape and dtype of this one, in low..high."""
    made = np.asarray(array)
    return Kept(made.shape, made.dtype, low, high, None, finite)


def same(array: np.ndarray) -> Kept:
    """An array that never changes."""
    return Kept(array.shape, array.dtype, equal=array)


def number(low: int = 0, high: int = FOREVER) -> Kept:
    """A whole number."""
    return Kept((), np.dtype(np.int64), low, high)


def flags(array: np.ndarray) -> Kept:
    """An array of 0 and 1 of this shape and dtype."""
    return like(array, 0, 1)


def under(prefix: str, kept: Mapping[str, Kept]) -> dict[str, Kept]:
    """The same under longer names."""
    return {f"{prefix}{name}": each for name, each in kept.items()}


def checked(state: Mapping[str, Any], wanted: Mapping[str, Kept]) -> dict[str, np.ndarray]:
    """The arrays of `state`, each as `wanted` describes it.

    Raises
    ------
    RunError
        One is missing or too many, has another shape or dtype, or holds a value out of its range.
    """
    for name in wanted:
        if name not in state:
            raise RunError(f"the state lacks '{name}': it is not one of this program")
    for name in state:
        if name not in wanted:
            raise RunError(f"the state has '{str(name)[:80]}', which is nothing that this program keeps")
    return {name: _checked(name, state[name], kept) for name, kept in wanted.items()}


def _checked(name: str, value: Any, kept: Kept) -> np.ndarray:
    array = _array(name, value, kept)
    if kept.equal is not None and not np.array_equal(array, kept.equal):
        raise RunError(f"the state's '{name}' differs from what this program is wired like")
    if array.size and kept.dtype.kind == "f" and kept.finite and not np.isfinite(array).all():
        raise RunError(f"the state's '{name}' holds NaN or infinity")
    low, high = kept.low, kept.high
    if array.size and (low is not None or high is not None):
        outside = np.zeros(array.shape, bool)
        if low is not None:
            outside |= array < low
        if high is not None:
            outside |= array > high
        if outside.any():
            raise RunError(f"the state's '{name}' holds {array[outside].ravel()[0]}{_span(low, high)}")
    return array


def _array(name: str, value: Any, kept: Kept) -> np.ndarray:
    try:
        array = np.array(value)
    except (ValueError, TypeError):
        raise RunError(f"the state's '{name}' is no array of numbers") from None
    if not kept.shape and array.shape == () and array.dtype.kind in "iu" and kept.dtype.kind == "i":
        try:
            array = np.array(int(array), kept.dtype)  # a count may come as any whole number
        except OverflowError:
            raise RunError(f"the state's '{name}' holds {array}, beyond {kept.dtype}") from None
    if array.dtype == np.int32 and kept.dtype == np.int64:
        array = array.astype(np.int64)  # states of some arithmetics were narrower once
    fits = array.ndim == len(kept.shape) and all(w is None or w == d for w, d in zip(kept.shape, array.shape))
    if not fits or array.dtype != kept.dtype:
        shape = (
            "(" + ", ".join("any" if d is None else str(d) for d in kept.shape) + ("," * (len(kept.shape) == 1)) + ")"
        )
        raise RunError(
            f"the state's '{name}' differs: it is {array.dtype} {array.shape}, this program keeps {kept.dtype} {shape}"
        )
    return array


def _span(low: Any, high: Any) -> str:
    if np.ndim(low) or np.ndim(high):
        return ", which is out of its range"
    return f"; it must be in {'' if low is None else low}..{'' if high is None else high}"
