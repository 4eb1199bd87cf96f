"""SANA-FE architectures as chips: the plain-number form of its YAML becomes a `Chip` of family "float"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chipsim.errors import DescriptionError

if TYPE_CHECKING:
    from chipsim.schema import Chip


def chip_from_numbers(arch: Mapping[str, Any]) -> Chip:
    """A chip from a mapping with SANA-FE's numbers in SI units.

    Keys: name, width, height, cores_per_tile, link_buffer, sync {kind "fixed": value | "table": values by
    number of tiles}, hop {e_*, l_* for n, e, s, w}, max_neurons, n_inputs, axon_in, synapse, dendrite,
    axon_out {e, l} and soma {e_access, l_access, e_update, l_update, e_spike, l_spike}; energies in J,
    latencies in s.
    """
    from chipsim.description import chip_from_dict

    name = str(arch.get("name", "architecture"))
    try:
        return chip_from_dict(_plain(arch, name), name)
    except (KeyError, TypeError) as error:
        raise DescriptionError(
            f"{name}: not an architecture of plain numbers: missing or malformed {error}"
        ) from None


def _plain(arch: Mapping[str, Any], name: str) -> dict[str, Any]:
    def constant(value: float, unit: str) -> dict[str, Any]:
        return {"value": value, "unit": unit, "source": f"architecture {name}", "status": "assumed"}

    def stage(part: Mapping[str, float], e: str = "e", l: str = "l") -> dict[str, Any]:
        return {"energy": constant(part[e], "J"), "time": constant(part[l], "s")}

    if arch.get("buffer_position", "soma") != "soma":
        raise DescriptionError(
            f"{name}: buffer_position {arch['buffer_position']!r}: only 'soma' is modelled"
        )
    sync, soma, hop = arch["sync"], arch["soma"], arch["hop"]
    table = {1: sync["value"]} if sync["kind"] == "fixed" else {int(k): v for k, v in sync["values"].items()}
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
                "source": "SANA-FE 2.2.9, its Booksim 2 configuration",
            },
        },
        "limits": {"neurons": arch.get("max_neurons"), "input_units": arch.get("n_inputs")},
        "arithmetic": {"preset": "float", "reset_modes": ["zero", "subtract"]},
        "cost_set": "sanafe",
        "costs": {"sanafe": costs},
    }
