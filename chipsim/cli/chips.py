"""`chipsim chips`: which chips there are, what they hold, and where every constant comes from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .common import Json, say, table


def chips(
    name: Annotated[str, typer.Argument(help="A shipped chip or a path to a YAML description.")] = "",
    sources: Annotated[bool, typer.Option("--sources", help="Every constant with its source and status.")] = False,
    as_json: Json = False,
) -> None:
    """List the shipped chips, or show one."""
    from chipsim.chips.read import load_chip, shipped

    if not name:
        found = [load_chip(c) for c in shipped()]
        rows = [
            (c.name, c.title, c.family, _cores(c), _or_dash(c.limits.neurons), ", ".join(c.costs) or "-") for c in found
        ]
        columns = ("name", "chip", "family", ">cores", ">neurons/core", "cost sets")
        data = [dict(zip(("name", "title", "family", "cores", "neurons_per_core"), row)) for row in rows]
        for item, chip in zip(data, found):
            item |= {"cores": chip.topology.cores, "neurons_per_core": chip.limits.neurons, "costs": list(chip.costs)}
        say(data, as_json, table("", columns, rows), "chipsim chips NAME shows one of them.")
        return
    chip = load_chip(name)
    data = chip.model_dump(mode="json")
    if sources:
        data = {
            "chip": chip.name,
            "costs": {k: _constants(v) for k, v in chip.costs.items()},
            "limits": chip.limits.sources,
        }
        say(data, as_json, *_sources(chip))
    else:
        say(data, as_json, *_description(chip))


def _cores(chip: Any) -> int:
    return chip.limits.cores or chip.topology.cores


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _constants(costs: Any) -> dict[str, Any]:
    """Every constant of a cost set as plain data; None where nobody published it."""
    return {k: None if c is None else c.model_dump(mode="json") for k, c in costs.constants().items()}


def _description(chip: Any) -> list[Any]:
    top = chip.topology
    head = [
        f"{chip.title} ({chip.name}, family {chip.family})",
        chip.note,
        f"{top.width} x {top.height} tiles of {top.cores_per_tile} cores; arithmetic {chip.arithmetic.preset}; "
        f"resets: {', '.join(chip.arithmetic.reset_modes)}; "
        f"learning: {', '.join(chip.learning.rules) or 'none'}",
    ]
    known = [(k, v) for k, v in chip.limits if v is not None and k not in ("sources", "synapse_packing")]
    rows = [(k, _value(v), chip.limits.sources.get(k, "")) for k, v in known if v not in ((), False)]
    unknown = sorted(k for k, v in chip.limits if v is None)
    out: list[Any] = [line for line in head if line]
    out.append(table("Limits per core", ("limit", ">value", "source"), rows))
    if unknown:
        out.append(f"no limit stated: {', '.join(unknown)}")
    for name, costs in chip.costs.items():
        published = sum(c is not None for c in costs.constants().values())
        default = ", the default" if name == chip.cost_set else ""
        out.append(f"cost set {name}{default}: {costs.title}; {published} constants")
    return [*out, f"chipsim chips {chip.name} --sources lists every constant."] if chip.costs else out


def _value(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        return f"{value[0]}..{value[1]}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _sources(chip: Any) -> list[Any]:
    if not chip.costs:
        return [f"{chip.title}: nobody published what its events cost; no energy or time can be estimated."]
    out: list[Any] = []
    for name, costs in chip.costs.items():
        constants = costs.constants()
        rows = [(k, f"{c.value:g} {c.unit}", c.status, c.source) for k, c in constants.items() if c is not None]
        title = f"{chip.title}, cost set {name}{' (default)' if name == chip.cost_set else ''}: {costs.title}"
        out.append(table(title, ("constant", ">value", "status", "source"), rows))
        unknown = [k for k, c in constants.items() if c is None]
        out.append(f"not published: {', '.join(unknown) or 'nothing'}\n")
    return out
