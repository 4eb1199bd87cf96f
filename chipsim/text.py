"""SI units by name: `scale("pJ", "energy")` is 1e-12; a unit of another dimension is refused with the ones
allowed.
"""

from __future__ import annotations

from difflib import get_close_matches

from chipsim.checks import MAX_NAME

from .checks import shown

_PREFIX = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "k": 1e3, "M": 1e6}
_SYMBOL = {"energy": "J", "time": "s", "power": "W", "frequency": "Hz"}

UNITS: dict[str, dict[str, float]] = {
    dimension: {prefix + symbol: factor for prefix, factor in _PREFIX.items()} for dimension, symbol in _SYMBOL.items()
}


def scale(unit: str, dimension: str) -> float:
    """Factor from `unit` to the SI unit of `dimension` ("energy", "time", "power", "frequency").

    Raises `ValueError` naming the dimension that the unit has and the units that are allowed.
    """
    table = UNITS[dimension]
    if unit in table:
        return table[unit]
    owner = next((name for name, units in UNITS.items() if unit in units), None)
    what = f"unit {unit!r} is a unit of {owner}" if owner else f"unit {shown(unit)} is unknown"
    allowed = ", ".join(sorted((u for u in table if "µ" not in u), key=lambda u: table[u]))
    raise ValueError(f"{what}; {dimension} is given in {allowed}")


def human(value: float, symbol: str) -> str:
    """`human(2.36e-11, "J")` is "23.6 pJ": three significant digits and a prefix."""
    if value == 0 or value != value:
        return f"{value:g} {symbol}"
    for prefix, factor in (("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9), ("p", 1e-12)):
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.3g} {prefix}{symbol}"
    return f"{value / 1e-15:.3g} f{symbol}"


def nearest(word: str, known: list[str]) -> str:
    """Words such as ", did you mean …?" with the word of `known` that is most like `word`, or nothing."""
    near = get_close_matches(word[:MAX_NAME], known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""
