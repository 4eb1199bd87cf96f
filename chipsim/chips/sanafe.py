"""SANA-FE architectures as chips of family "float": its YAML, or the same as plain numbers (JSON)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chipsim.checks import shown, text_of
from chipsim.errors import DescriptionError

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip


#: What reading a part of another kind than expected raises.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, StopIteration, OverflowError)


def chip_from_numbers(arch: Mapping[str, Any]) -> Chip:
    """A chip from a mapping with SANA-FE's numbers in SI units.

    Keys: name, width, height, cores_per_tile, link_buffer, sync {kind "fixed": value | "table": values by
    number of tiles}, hop {e_*, l_* for n, e, s, w}, max_neurons, n_inputs, axon_in, synapse, dendrite,
    axon_out {e, l} and soma {e_access, l_access, e_update, l_update, e_spike, l_spike}; energies in J,
    latencies in s.
    """
    from chipsim.chips.check import chip_from_dict

    name = _name(arch)
    try:
        return chip_from_dict(_plain(arch, name), name)
    except MALFORMED as error:
        if isinstance(error, DescriptionError):
            raise
        raise DescriptionError(f"{name}: not an architecture of plain numbers: {_what(error)}") from None


def _name(arch: Any) -> str:
    if not isinstance(arch, Mapping):
        raise DescriptionError(f"an architecture is a mapping of keys, not {shown(arch)}")
    return text_of(arch.get("name", "architecture"), "architecture name", DescriptionError)


def _tiles(key: Any) -> int:
    """The number of tiles that an entry of a table of synchronisation times is for."""
    text = str(key) if isinstance(key, (int, str)) and not isinstance(key, bool) else ""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise DescriptionError(
            f"the table of synchronisation times has the key {shown(key)}; keys are numbers of tiles"
        )
    return int(text)


def _plain(arch: Mapping[str, Any], name: str) -> dict[str, Any]:
    def constant(value: float, unit: str) -> dict[str, Any]:
        return {"value": value, "unit": unit, "source": f"architecture {name}", "status": "assumed"}

    def stage(part: Mapping[str, float], e: str = "e", l: str = "l") -> dict[str, Any]:
        return {"energy": constant(part[e], "J"), "time": constant(part[l], "s")}

    if arch.get("buffer_position", "soma") != "soma":
        raise DescriptionError(f"{name}: buffer_position {shown(arch['buffer_position'])}: only 'soma' is modelled")
    sync, soma, hop = arch["sync"], arch["soma"], arch["hop"]
    table = {1: sync["value"]} if sync["kind"] == "fixed" else {_tiles(k): v for k, v in sync["values"].items()}
    costs: dict[str, Any] = {
        "title": f"constants of {name}",
        "barrier": {"by_tiles": {tiles: constant(time, "s") for tiles, time in table.items()}},
        **{part: stage(arch[part]) for part in ("axon_in", "synapse", "dendrite", "axon_out")},
        **{f"soma_{act}": stage(soma, f"e_{act}", f"l_{act}") for act in ("access", "update", "spike")},
        **{f"hop_{d}": stage(hop, f"e_{d[0]}", f"l_{d[0]}") for d in ("north", "east", "south", "west")},
    }
    return {
        "name": name,
        "title": f"SANA-FE architecture {name}",
        "family": "float",
        "topology": {
            **{key: arch[key] for key in ("width", "height", "cores_per_tile", "link_buffer")},
            "noc": {
                "clock": {**constant(1e-9, "s"), "source": "SANA-FE 2.2.9, its Booksim 2 configuration"},
                "end": "serial",
                "source": "SANA-FE 2.2.9, its Booksim 2 configuration",
            },
        },
        "limits": {"neurons": arch.get("max_neurons"), "input_units": arch.get("n_inputs")},
        "arithmetic": {"preset": "float", "reset_modes": ["zero", "subtract"]},
        "cost_set": "sanafe",
        "costs": {"sanafe": costs},
    }


def is_sanafe(data: Mapping[str, Any]) -> bool:
    """Whether plain data is a SANA-FE architecture: its YAML, or the same as plain numbers."""
    return "architecture" in data or {"hop", "soma", "sync", "axon_in"} <= set(data)


def chip_from_any(data: Mapping[str, Any]) -> Chip:
    """A chip from either form; see `is_sanafe`."""
    return chip_from_numbers(numbers_from_yaml(data) if "architecture" in data else data)


def numbers_from_yaml(data: Mapping[str, Any]) -> dict[str, Any]:
    """The plain numbers of a SANA-FE YAML whose tiles are alike and whose cores are alike.

    Of several units of one stage the first one counts (the first that is no input, for the soma).
    """
    arch = data["architecture"]
    name = _name(arch)
    try:
        top, tile = arch["attributes"], _single(arch["tile"], name, "tile")
        core = _single(tile["core"], name, "core")
        somas = [unit["attributes"] for unit in core["soma"]]
        body = next(unit for unit in somas if unit.get("model") != "input")
        table = isinstance(top.get("latency_sync", 0.0), Mapping)
        return {
            "name": name,
            "width": top["width"],
            "height": top["height"],
            "cores_per_tile": _many(core["name"]),
            "link_buffer": top["link_buffer_size"],
            "sync": {"kind": "table", "values": top["latency_sync"]}
            if table
            else {"kind": "fixed", "value": top.get("latency_sync", 0.0)},
            "hop": {
                f"{kind[0]}_{d[0]}": tile["attributes"][f"{kind}_{d}_hop"]
                for kind in ("energy", "latency")
                for d in ("north", "east", "south", "west")
            },
            "buffer_position": core["attributes"].get("buffer_position", "soma"),
            "max_neurons": core["attributes"].get("max_neurons_supported"),
            "n_inputs": sum(_many(u["name"]) for u in core["soma"] if u["attributes"].get("model") == "input"),
            "axon_in": _cost(core["axon_in"], "message_in"),
            "synapse": _cost(core["synapse"], "process_spike"),
            "dendrite": _cost(core["dendrite"], "update"),
            "axon_out": _cost(core["axon_out"], "message_out"),
            "soma": {
                f"{kind[0]}_{short}": body[f"{kind}_{act}"]
                for kind in ("energy", "latency")
                for short, act in (("access", "access_neuron"), ("update", "update_neuron"), ("spike", "spike_out"))
            },
        }
    except MALFORMED as error:
        if isinstance(error, DescriptionError):
            raise
        raise DescriptionError(f"{name}: not a SANA-FE architecture: {_what(error)}") from None


def _what(error: Exception) -> str:
    """What a part of another kind than expected ran into."""
    if isinstance(error, KeyError):
        return f"missing or malformed {shown(error.args[0] if error.args else '')}"
    return f"malformed: {(str(error).splitlines() or [type(error).__name__])[0][:120]}"


def _single(units: Any, name: str, what: str) -> Mapping[str, Any]:
    if len(units) != 1:
        raise DescriptionError(f"{name}: {len(units)} kinds of {what}: only architectures of one kind are read")
    return units[0]


def _many(name: str) -> int:
    """How many units a name such as "core[0..3]" stands for."""
    span = re.search(r"\[([0-9]{1,9})(?:\.\.([0-9]{1,9}))?\]", name)
    if span is None and "[" in name:
        raise DescriptionError(f"{shown(name)} is no name of units such as core[0..3]")
    return int(span[2] or span[1]) - int(span[1]) + 1 if span else 1


def _cost(units: Any, act: str) -> dict[str, Any]:
    first = units[0]["attributes"]
    return {"e": first[f"energy_{act}"], "l": first[f"latency_{act}"]}
