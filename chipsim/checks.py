"""Checks of what users give that every door shares: arrays, numbers, names, memory; refused in one line.

The rule for arrays and numbers, wherever they enter: what is given is **used exactly, refused, or clipped and counted**
(where a `saturate` asks for it), never changed silently. `numbers`, `floats`, `integers` and `sparse.sparse_matrix`
are the only ways in:

- masked entries, complex numbers, texts, dates, records, objects, quantities with a unit and rows of different lengths
  are refused; so are `__array__` methods that raise;
- integers stay integers until they are range-checked; where they become float64 (or `longdouble` does) and the value
  would not be the same, they are refused;
- orders in memory (Fortran, strides, foreign byte order, read-only) make no difference;
- memory is asked for (`ask`) before it is taken: a view that claims 10^10 entries costs nothing to make.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .errors import ChipsimError, NetworkError

#: What would need more memory than this is refused before any is taken (less where less is free).
MEMORY_LIMIT = 16 << 30
MAX_SEED = (1 << 32) - 1  #: what numpy's older generators take, whose streams the chips' tools use
MAX_NAME = 200  #: letters of a name: files keep things under them
EXACT = 1 << 53  #: float64 holds every integer up to here
NO_NUMBERS = (bool, np.bool_, np.timedelta64)  #: though Python and numpy count them among the integers
_DEEPEST = 64  #: nested lists, as many as numpy has dimensions
_NEVER_ASKED = 1 << 28  #: less than this is there, or nothing works


def numbers(value: Any, what: str, error: type[ChipsimError] = NetworkError, *, exact: bool = False) -> np.ndarray:
    """`value` as an array of bools, integers or floats; `what` names it in the error for anything else.

    Integers too large for 64 bits become floats, so that a range check can name them; `exact` refuses them.
    """
    array = _array_of(value, what, error)
    if exact and array.dtype.kind == "O":
        _check_exact(array, what, error)
    return array.astype(np.float64) if array.dtype.kind == "O" else array


def floats(
    value: Any, what: str, error: type[ChipsimError] = NetworkError, *, nan: bool = False, infinite: bool = False
) -> np.ndarray:
    """`value` as float64, the very same numbers; NaN and infinity only where `nan`, `infinite` say so."""
    array = _array_of(value, what, error)
    if array.dtype.kind in "iuO":
        _check_exact(array, what, error)
    array = array.astype(np.float64, copy=False)
    bad = np.isnan(array) if infinite else ~np.isfinite(array) if not nan else np.isinf(array)
    if not (nan and infinite) and np.any(bad):
        raise error(f"{what} holds NaN or infinity; give finite numbers")
    return array


def integers(value: Any, what: str, lo: int, hi: int, error: type[ChipsimError] = NetworkError) -> np.ndarray:
    """`value` as int64 in lo..hi; whole floats are taken, fractions refused."""
    array = numbers(value, what, error)
    if array.dtype.kind == "f" and np.any(array != np.floor(array)):
        raise error(f"{what} {np.extract(array != np.floor(array), array)[0]} is no whole number; give {lo}..{hi}")
    if array.dtype.kind != "b":
        bad = ~((array >= lo) & (array <= hi))
        if np.any(bad):
            raise error(f"{what} {np.extract(bad, array)[0]} is outside {lo}..{hi}")
    return array.astype(np.int64, copy=False)


def dims_of(value: Any) -> tuple[int, ...]:
    """The shape that `value` will have as an array, as far as that can be told without making one; () if not."""
    shape = getattr(value, "shape", None)
    return tuple(shape) if isinstance(shape, tuple) else ()


def whole(
    value: Any, what: str, lo: int | None = None, hi: int | None = None, error: type[ChipsimError] = NetworkError
) -> int:
    """`value` as an int in lo..hi (None: no bound). A float, a bool or a text is refused, were it whole or not."""
    if isinstance(value, NO_NUMBERS) or not isinstance(value, (int, np.integer)):
        raise error(f"{what}={shown(value)} is not a whole number{_span(lo, hi)}")
    if (lo is not None and value < lo) or (hi is not None and value > hi):
        raise error(f"{what}={shown(value)} is outside {'' if lo is None else lo}..{'' if hi is None else hi}")
    return int(value)


def seed_of(value: Any, what: str = "seed", error: type[ChipsimError] = NetworkError) -> int:
    """`value` as a seed of all random streams, 0 to 2**32 - 1."""
    return whole(value, what, 0, MAX_SEED, error)


def finite(
    value: Any,
    what: str,
    error: type[ChipsimError] = NetworkError,
    lo: float | None = None,
    hi: float | None = None,
) -> float:
    """`value` as a finite float in [lo, hi]; a bool, a text, an array, NaN and infinity are refused."""
    if isinstance(value, NO_NUMBERS) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise error(f"{what} must be a finite number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise error(f"{what} must be a finite number, got {number if number == math.inf else shown(value)}")
    if number != value:
        raise error(f"{what}={shown(value)} is a number that float64 does not hold exactly; give float({what})")
    if (lo is not None and number < lo) or (hi is not None and number > hi):
        raise error(f"{what}={shown(value)} is outside {'' if lo is None else lo}..{'' if hi is None else hi}")
    return number


def name_of(value: Any, what: str, error: type[ChipsimError] = NetworkError) -> str:
    """`value` as a name: printable text that is not empty and, because files keep things under it, has no slash."""
    if not isinstance(value, str) or not value or "/" in value:
        raise error(f"{what} name {shown(value)} must be a non-empty string without '/'")
    return text_of(value, f"{what} name", error)


def text_of(value: Any, what: str, error: type[ChipsimError] = NetworkError) -> str:
    """`value` as a text of one line that a terminal and a file can take; empty is allowed."""
    if not isinstance(value, str):
        raise error(f"{what} {shown(value)} must be a string")
    if not value.isprintable():
        wrong = next(c for c in value if not c.isprintable())
        raise error(f"{what} {shown(value)} holds the unprintable character {wrong!a}; names are printable text")
    if len(value) > MAX_NAME:
        raise error(f"{what} {shown(value)} has {len(value)} letters; at most {MAX_NAME} are kept")
    return value


def flag(value: Any, what: str, error: type[ChipsimError] = NetworkError) -> bool:
    """`value` as a bool; only True and False are taken, Python's or numpy's."""
    if not isinstance(value, (bool, np.bool_)):
        raise error(f"{what}={shown(value)}: give True or False")
    return bool(value)


def choice(
    value: Any, what: str, allowed: Iterable[str], error: type[ChipsimError] = NetworkError, says: str = "is not one of"
) -> str:
    """`value` if it is one of the words `allowed`."""
    words = list(allowed)
    if not isinstance(value, str) or value not in words:
        raise error(f"{what}={shown(value)} {says} {', '.join(words)}")
    return value


def mapping(value: Any, what: str, keys: str, error: type[ChipsimError]) -> Mapping[Any, Any]:
    """`value` if it is a dict (None: an empty one); `keys` says in the error what it maps to what."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise error(f"{what} must be a dict {keys}, not {type(value).__name__}")
    return value


def ask(need: int, what: str, way: str = "", error: type[ChipsimError] = NetworkError) -> None:
    """Refuse what needs more than `MEMORY_LIMIT` bytes or than is free now; `way` says what to do instead."""
    if need <= _NEVER_ASKED:
        return
    free = min(MEMORY_LIMIT, _free_memory())
    if need > free:
        out = f"; {way}" if way else ""
        raise error(f"{what} needs about {need / 2**30:.3g} GiB of memory, more than {free / 2**30:.3g}{out}")


def product(dims: tuple[int, ...]) -> int:
    """Product of sizes in Python's integers, which do not overflow."""
    return math.prod(int(d) for d in dims)


class _Short(reprlib.Repr):
    """A `repr` that is cut in depth and length before it is made, and never raises."""

    def repr_int(self, x: int, level: int) -> str:
        """Integers of thousands of digits have no decimal form in Python."""
        if x.bit_length() > 128:
            return f"{'-' if x < 0 else ''}about 10**{int(x.bit_length() * math.log10(2))}"
        return int.__repr__(x)

    def repr1(self, x: Any, level: int) -> str:
        """Arrays by kind and shape; everything else as reprlib does."""
        if isinstance(x, bool):
            return str(x)
        if isinstance(x, np.ndarray) and x.size > 6:
            return f"array of {x.dtype} {x.shape}"
        try:
            return super().repr1(x, level)
        except Exception:
            return f"<{type(x).__name__}>"


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60


def shown(value: Any) -> str:
    """`value` as it is echoed in an error: one printable line of at most 80 characters."""
    text = " ".join(_SHORT.repr(value).split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return text if len(text) <= 80 else f"{text[:50]}...{text[-24:]}"


def quoted(name: Any) -> str:
    """A name as it is echoed: in quotes once, cut where it is long."""
    return shown(name) if isinstance(name, str) else f"'{shown(name)}'"


def _array_of(value: Any, what: str, error: type[ChipsimError]) -> np.ndarray:
    """`value` as an array of bools, integers or floats in native byte order, or of Python's long integers."""
    unit = None if isinstance(value, type) else getattr(value, "unit", getattr(value, "units", None))
    if unit is not None and hasattr(value, "__array__") and not hasattr(unit, "__array__"):
        raise error(f"{what} carries the unit {shown(str(unit))}; give plain numbers in the unit that is documented")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise error(f"{what} is a sparse matrix, which is not taken here; give x.toarray()")
    ask(product(dims_of(value)) * 8, what, "give a smaller one", error)
    try:
        array = np.asanyarray(value)
    except MemoryError:
        raise error(f"{what} is too large for memory") from None
    except Exception as problem:
        raise error(_unreadable(value, what, problem)) from None
    if isinstance(array, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(array)):
        raise error(f"{what} holds masked values; fill them first, e.g. x.filled(0)")
    array = np.asarray(array)
    if isinstance(value, (list, tuple)):
        _check_list(value, array.dtype.kind, what, error)
    return _numeric(array, what, error)


def _numeric(array: np.ndarray, what: str, error: type[ChipsimError]) -> np.ndarray:
    """`array` if it holds numbers: native, floats of at most 64 bits, or object for long integers."""
    if array.dtype.kind == "O" and array.size and all(type(v) is int for v in array.flat):
        lo, hi = min(array.flat), max(array.flat)
        if lo < -(2**63) or hi >= 2**64 or (lo < 0 and hi >= 2**63):
            return _long_integers(array, what, error)
        return array.astype(np.int64 if hi < 2**63 else np.uint64)
    if array.dtype.kind not in "iufb":
        raise error(f"{what} must be numbers, not {_kind(array)}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float64)
        if not np.array_equal(narrow, array, equal_nan=True):
            raise error(f"{what} holds {array.dtype} numbers that float64 does not hold exactly; give x.astype(float)")
        return narrow
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _long_integers(array: np.ndarray, what: str, error: type[ChipsimError]) -> np.ndarray:
    try:
        array.astype(np.float64)
    except OverflowError:
        raise error(f"{what} holds {shown(max(array.flat, key=abs))}, an integer beyond every register") from None
    return array


def _check_exact(array: np.ndarray, what: str, error: type[ChipsimError]) -> None:
    """Refuse integers that float64 does not hold."""
    large = array[(array > EXACT) | (array < -EXACT)]
    for v in large.flat:
        if int(float(v)) != int(v):
            raise error(f"{what} holds {int(v)}, which float64 does not hold exactly; round it first")


def _check_list(values: Any, kind: str, what: str, error: type[ChipsimError], depth: int = 0) -> None:
    """Refuse what numpy drops from nested lists: masks, and digits of long integers beside floats."""
    for one in set(map(type, values)) if depth < _DEEPEST else ():
        if issubclass(one, np.ma.MaskedArray):
            if any(np.any(np.ma.getmaskarray(v)) for v in values if type(v) is one):
                raise error(f"{what} holds masked values; fill them first, e.g. x.filled(0)")
        elif issubclass(one, (list, tuple)):
            for v in values:
                if type(v) is one:
                    _check_list(v, kind, what, error, depth + 1)
        elif kind == "f" and issubclass(one, (int, np.integer)):
            _check_exact(np.array([v for v in values if type(v) is one and abs(int(v)) > EXACT], object), what, error)
        elif kind == "f" and issubclass(one, np.ndarray):
            for v in values:
                if type(v) is one and v.dtype.kind in "iu":
                    _check_exact(v, what, error)


def _unreadable(value: Any, what: str, problem: Exception) -> str:
    if isinstance(value, (list, tuple)) and isinstance(problem, ValueError):
        return f"{what} must be numbers in rows of equal length"
    said = (str(problem).strip().splitlines() or [""])[0]
    return f"{what}: {type(value).__name__} cannot be read as an array{f': {said[:120]}' if said else ''}"


def _kind(array: np.ndarray) -> str:
    """What stands in an array that holds no numbers."""
    if array.dtype.kind != "O" or not array.size:
        return {"U": "text", "S": "bytes", "V": "records"}.get(array.dtype.kind, str(array.dtype))
    found = next((v for v in array.flat if not isinstance(v, (int, float))), None)
    return "object" if isinstance(found, float) or found is None else f"object ({type(found).__name__})"


def _free_memory() -> int:
    """Bytes that can be had without swapping, as far as the system says."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return MEMORY_LIMIT


def _span(lo: int | None, hi: int | None) -> str:
    if lo is None and hi is None:
        return ""
    return f" of at least {lo}" if hi is None else f" in {lo}..{hi}"
