"""The way in and out: networks, readers of other tools' files, the compiler's passes, writers.

Imported as `chipsim.mappings`. May import all of chipsim but its command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_DOORS = {
    "DFA": "chipsim.mappings.builders.automata.dfa",
    "Trainer": "chipsim.mappings.studies.training",
    "eprop_network": "chipsim.mappings.builders.lsnn",
    "from_automaton": "chipsim.mappings.builders.automata.automata",
    "from_netx": "chipsim.mappings.formats.netx.reader",
    "from_nir": "chipsim.mappings.formats.nir.reader",
    "from_sklearn": "chipsim.mappings.formats.sklearn",
    "from_torch": "chipsim.mappings.formats.torch.reader",
    "from_xylo_spec": "chipsim.mappings.formats.xylo",
    "to_lava": "chipsim.mappings.formats.lava.writer",
    "to_nir": "chipsim.mappings.formats.nir.writer",
    "write_lava_script": "chipsim.mappings.formats.lava.writer",
    "write_netx": "chipsim.mappings.formats.netx.writer",
}
__all__ = [*_DOORS]


def __getattr__(name: str) -> Any:
    """Load a reader or writer on first use."""
    if name not in _DOORS:
        raise AttributeError(f"module 'chipsim.mappings' has no attribute {name!r}")
    value = getattr(import_module(_DOORS[name]), name)
    globals()[name] = value
    return value


if __name__ != "chipsim.mappings":
    from chipsim.namesake import give_way

    give_way(__name__, __file__)
