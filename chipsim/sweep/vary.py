"""Names and values of what a sweep varies: `cores_per_tile=1,2,4` becomes chips that differ in that field.

A name is a field of the chip description by its path ("topology.cores_per_tile") or by an end of it that no other
path has ("cores_per_tile"), a constant ("synapse.energy" of the default cost set, "costs.davies2018.synapse.energy"
of another), or one of `OPTIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from chipsim.errors import RunError

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip

#: What may vary besides the fields of a chip, and its type.
OPTIONS: dict[str, type] = {
    "chip": str,
    "max_neurons": int,
    "partition": str,
    "packing": str,
    "arithmetic": str,
    "seed": int,
    "dt": float,
    "steps": int,
    "rate": float,
    "timing": str,
    "cost_set": str,
    "quantise.bits": int,
    "quantise.low_bits": int,
    "quantise.compartments": int,
    "quantise.percentile": float,
    "quantise.headroom": float,
    "quantise.undershoot": float,
    "quantise.method": str,
    "quantise.granularity": str,
}
_PARTS = ("topology", "limits", "learning", "arithmetic")
_AMOUNT = re.compile(r"^(x?)([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\s*([a-zA-Zµ]*)$")


def parse_axes(texts: Iterable[str]) -> dict[str, list[Any]]:
    """`["cores_per_tile=1,2"]` as `{"cores_per_tile": [1, 2]}`; RunError for what is not NAME=V1,V2,…"""
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        found = [v.strip() for v in values.split(",")]
        if not sign or not name.strip() or not all(found):
            raise RunError(f"--vary {text}: write NAME=VALUE,VALUE,…, e.g. --vary cores_per_tile=1,2,4")
        if name.strip() in axes:
            raise RunError(f"--vary {name.strip()} is given twice: put all values into one")
        if len(set(found)) < len(found):
            raise RunError(f"--vary {text}: a value is given twice")
        axes[name.strip()] = [_number(v) for v in found]
    return axes


def _number(text: str) -> Any:
    """A whole number, a number, or the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def option(name: str, text: Any) -> Any:
    """The value of an option of `OPTIONS` from text; RunError if it is not of the option's type."""
    try:
        return OPTIONS[name](text)
    except ValueError:
        raise RunError(f"{name}={text}: expected {'a whole number' if OPTIONS[name] is int else 'a number'}") from None


def fields(chip: Chip) -> dict[str, Any]:
    """Every field of `chip` that can be varied: dotted path -> its value as plain data."""
    found: dict[str, Any] = {}

    def walk(data: Mapping[str, Any], path: str) -> None:
        for key, value in data.items():
            if key in ("source", "sources"):
                continue
            here = f"{path}.{key}"
            if isinstance(value, dict) and not _is_constant(value):
                walk(value, here)
            else:
                found[here] = value

    data = chip.model_dump()
    for part in _PARTS:
        walk(data[part], part)
    found |= {name: data[name] for name in ("clock", "tick")}
    for name, costs in chip.costs.items():
        for path, value in costs.constants().items():
            if "[" not in path:
                found[f"costs.{name}.{path}"] = None if value is None else value.model_dump()
    return found


def _is_constant(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value and "unit" in value


def resolve(chip: Chip, name: str) -> str:
    """The full path of a field of `chip` by its name, or by an end of its path that is its alone.

    Raises
    ------
    RunError
        No such field (with the nearest name), or several.
    """
    paths = fields(chip)
    if name in paths:
        return name
    found = [path for path in paths if path.endswith(f".{name}")]
    default = [path for path in found if path.startswith(f"costs.{chip.cost_set}.")]
    if len(found) == 1 or len(default) == 1:
        return (default or found)[0]
    if found:
        raise RunError(f"'{name}' may be {' or '.join(found)} of chip {chip.name}: write more of the path")
    ends = {".".join(path.split(".")[k:]) for path in paths for k in range(path.count(".") + 1)}
    near = get_close_matches(name, sorted(ends | set(OPTIONS)), n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise RunError(f"nothing called '{name}' to vary: {hint}fields of chip {chip.name} and {', '.join(OPTIONS)} can be")


def changed(chip: Chip, values: Mapping[str, Any]) -> Chip:
    """`chip` with fields (by path or name) set to values or texts, checked as a description is.

    A constant takes a number in its own unit, a number with a unit ("20pJ"), or a factor ("x0.5"); its status
    becomes "assumed". `limits.cores` is lowered where a smaller mesh has fewer cores.

    Raises
    ------
    RunError
        An unknown name, or a text that is no value of that field.
    DescriptionError
        A value that no chip can have.
    """
    from chipsim.chips.check import chip_from_dict

    if not values:
        return chip
    data, known = chip.model_dump(), fields(chip)
    for name, value in values.items():
        path = resolve(chip, name)
        *way, last = path.split(".")
        part = data
        for key in way:
            part = part[key]
        part[last] = _value(path, known[path], value)
    top, limits = data["topology"], data["limits"]
    here = {resolve(chip, name) for name in values}
    sizes = (top["width"], top["height"], top["cores_per_tile"])
    if limits["cores"] is not None and "limits.cores" not in here and all(isinstance(s, int) for s in sizes):
        limits["cores"] = min(limits["cores"], sizes[0] * sizes[1] * sizes[2])
    said = ", ".join(f"{name}={value}" for name, value in values.items())
    return chip_from_dict(data, f"{chip.name} with {said}")


def _value(path: str, old: Any, text: Any) -> Any:
    """What a text means for the field at `path`, whose value was `old`."""
    if _is_constant(text) or text is None:
        return text
    text = str(text)
    if text.lower() in ("none", "null"):
        return None
    if _is_constant(old) or (old is None and (path.startswith("costs.") or path in ("clock", "tick"))):
        return _constant(path, old, text)
    if isinstance(old, list | tuple | dict):
        raise RunError(f"{path} is a list or a table: only single values can be varied")
    return text.lower() == "true" if text.lower() in ("true", "false") else _number(text)


def _constant(path: str, old: Any, text: str) -> dict[str, Any]:
    match = _AMOUNT.match(text)
    if match is None:
        raise RunError(f"{path}={text}: a constant is a number, a number with a unit (20pJ) or a factor (x0.5)")
    factor, number, unit = match.groups()
    if old is None and (factor or not unit):
        raise RunError(f"{path}={text}: nobody published it, so give a number with its unit, e.g. 20pJ")
    if factor and unit:
        raise RunError(f"{path}={text}: a factor has no unit")
    before = old or {"value": 1.0, "unit": unit}
    try:
        value = float(number) * (before["value"] if factor else 1.0)
    except ValueError:
        raise RunError(f"{path}={text}: {number} is not a number") from None
    return {"value": value, "unit": unit or before["unit"], "source": "varied in a sweep", "status": "assumed"}


__all__ = ["OPTIONS", "changed", "fields", "option", "parse_axes", "resolve"]
