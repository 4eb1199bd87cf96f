"""Checks of what users give that every door shares: numbers, whole numbers, names; refused in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import ChipsimError, NetworkError

MAX_NAME = 1000  #: letters of a population's or projection's name


def numbers(value: Any, what: str, error: type[ChipsimError] = NetworkError) -> np.ndarray:
    """`value` as an array of bools, integers or floats; `what` names it in the error for anything else.

    Integers too large for 64 bits become floats, so that a range check can name them.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        raise error(f"{what} must be numbers in rows of equal length") from None
    if array.dtype.kind == "O" and array.size and all(isinstance(v, int) for v in array.flat):
        array = array.astype(np.float64)
    if array.dtype.kind not in "iufb":
        raise error(f"{what} must be numbers, not {array.dtype}")
    return array


def whole(
    value: Any, what: str, lo: int | None = None, hi: int | None = None, error: type[ChipsimError] = NetworkError
) -> int:
    """`value` as an int in lo..hi (None: no bound). A float, a bool or a text is refused, were it whole or not."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise error(f"{what}={value!r} is not a whole number{_span(lo, hi)}")
    if (lo is not None and value < lo) or (hi is not None and value > hi):
        raise error(f"{what}={value} is outside {'' if lo is None else lo}..{'' if hi is None else hi}")
    return int(value)


def finite(value: Any, what: str, error: type[ChipsimError] = NetworkError) -> float:
    """`value` as a finite float; a bool, a text, an array, NaN and infinity are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise error(f"{what} must be a finite number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise error(f"{what} must be a finite number, got {number if number == math.inf else value!r}")
    return number


def name_of(value: Any, what: str) -> str:
    """`value` as a name: a text that is not empty and, because files keep things under it, has no slash."""
    if not isinstance(value, str) or not value or "/" in value:
        raise NetworkError(f"{what} name {cut(value)} must be a non-empty string without '/'")
    if not value.isprintable():
        raise NetworkError(f"{what} name {cut(value)} holds characters that cannot be printed")
    if len(value) > MAX_NAME:
        raise NetworkError(f"{what} name {cut(value)} has {len(value)} letters, more than {MAX_NAME}")
    return value


def cut(value: Any) -> str:
    """What a user gave, as it stands in an error: written as Python writes it, at most a line."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:72]}… ({len(shown)} letters)"


def mapping(value: Any, what: str, keys: str, error: type[ChipsimError]) -> Mapping[Any, Any]:
    """`value` if it is a dict (None: an empty one); `keys` says in the error what it maps to what."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise error(f"{what} must be a dict {keys}, not {type(value).__name__}")
    return value


def product(dims: tuple[int, ...]) -> int:
    """Product of sizes in Python's integers, which do not overflow."""
    return math.prod(int(d) for d in dims)


def _span(lo: int | None, hi: int | None) -> str:
    if lo is None and hi is None:
        return ""
    return f" of at least {lo}" if hi is None else f" in {lo}..{hi}"
