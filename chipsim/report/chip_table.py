"""The page docs/chips.md: an overview of all chips, and every number of each with its source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chipsim.chips.read import load_chip, shipped
from chipsim.text import human

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip

HEAD = (
    "chip",
    "family",
    "cores",
    "neurons/core",
    "weight bits",
    "learning",
    "cost sets",
    "static",
    "J known",
    "s known",
)


def row(chip: Chip) -> tuple[str, ...]:
    """One line of the overview: what it holds, and how many constants of its default set are known."""
    limits = chip.limits
    bits = limits.weight_bits
    sets = ", ".join(f"{n} (default)" if n == chip.cost_set and len(chip.costs) > 1 else n for n in chip.costs)
    known = {"energy": [0, 0], "time": [0, 0]}
    static = "unknown"
    if chip.cost_set is not None:
        costs = chip.costs_named()
        static = "unknown" if costs.static_power is None else human(costs.static_power.si, "W")
        for path, constant in costs.constants().items():
            kind = path.rsplit(".", 1)[-1]
            if kind in known:
                known[kind][0] += constant is not None
                known[kind][1] += 1
    return (
        chip.name,
        chip.family,
        str(limits.cores or chip.topology.cores),
        _count(limits.neurons),
        "-" if bits is None else str(bits[1]) if bits[0] == bits[1] else f"{bits[0]}-{bits[1]}",
        ", ".join(chip.learning.rules) or "none",
        sets or "none",
        static,
        *(f"{have} of {all_}" if all_ else "-" for have, all_ in known.values()),
    )


def _count(limit: int | None) -> str:
    return "no limit" if limit is None else str(limit)


def limits(chip: Chip) -> list[tuple[str, str, str, str]]:
    """(name, value, meaning, source) of every limit that the chip has."""
    out = []
    for name, field in type(chip.limits).model_fields.items():
        value = getattr(chip.limits, name)
        if name == "sources" or value is None or value == () or value is False:
            continue
        source = chip.limits.sources.get(name, "")
        if value == field.get_default(call_default_factory=True) and not source:
            continue
        out.append((name, _plain(value), field.description or "", source))
    return out


def _plain(value: Any) -> str:
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        return f"{value[0]} to {value[1]}"
    if isinstance(value, tuple):
        return ", ".join(_plain(v) for v in value)
    return str(value)


def constants(chip: Chip, cost_set: str) -> list[tuple[str, str, str, str]]:
    """(name, value, status, source) of every constant of a cost set; unknown ones say so."""
    out = []
    for path, constant in chip.costs[cost_set].constants().items():
        if constant is None:
            out.append((path, "unknown", "", "not published"))
        else:
            out.append((path, f"{constant.value:g} {constant.unit}", constant.status, constant.source))
    return out


PAGES = ("odin", "reckon", "tinyodin", "truenorth")  #: chips with a page of their own in docs/chips

OWN = """Write your own chip as a YAML file that starts with `base: loihi` and changes what differs;
`cs.chip("mine.yaml")`, or `--chip mine.yaml`, takes it from there. A misspelt key or a wrong unit is refused
with the nearest right one.

```yaml
base: loihi
name: loihi-small
title: Half a Loihi with cheaper synapses
topology: {width: 8, height: 4}          # keys that are left out are inherited
limits: {neurons: 512}
costs:
  davies2018:
    synapse:                             # a constant is replaced as a whole, its source with it
      energy: {value: 12, unit: pJ, source: "my estimate, 2026", status: assumed}
```"""


def markdown() -> str:
    """The page docs/chips.md: overview, and limits and constants of every shipped chip with their sources."""
    lines = [
        "# Chips",
        "",
        "Made from the files in `chipsim/chips` by `python docs/make_chips.py`; do not edit. What nobody published",
        "is `unknown`, and estimates say so.",
        "",
        *OWN.splitlines(),
        "",
        *_grid(HEAD, [row(load_chip(name)) for name in shipped()]),
    ]
    for name in shipped():
        chip = load_chip(name)
        lines += ["", f"## {chip.title} (`{name}`)", "", chip.note]
        if name in PAGES:
            lines += ["", f"Registers, events, deviations, what is not modelled: [its page](chips/{name}.md)."]
        found = [(f"`{n}`", v, m, s) for n, v, m, s in limits(chip)]
        if found:
            lines += ["", *_grid(("limit", "value", "meaning", "source"), found)]
        for cost_set, costs in chip.costs.items():
            known = [(f"`{p}`", v, s, w) for p, v, s, w in constants(chip, cost_set) if v != "unknown"]
            missing = [f"`{p}`" for p, v, _, _ in constants(chip, cost_set) if v == "unknown"]
            default = ", the default" if cost_set == chip.cost_set else ""
            lines += ["", f"Costs `{cost_set}`{default}: {costs.title}. {costs.note}".rstrip(), ""]
            lines += _grid(("constant", "value", "status", "source"), known)
            lines += ["", f"Unknown: {', '.join(missing)}."] if missing else []
    return "\n".join(lines) + "\n"


def _grid(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows]
