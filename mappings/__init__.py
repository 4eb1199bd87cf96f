"""The way in and out: networks, readers of other tools' files, the compiler's passes, writers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_DOORS = {
    "DFA": "mappings.dfa",
    "Trainer": "mappings.episodes",
    "eprop_network": "mappings.lsnn",
    "from_automaton": "mappings.automata",
    "from_netx": "mappings.readers.netx",
    "from_nir": "mappings.readers.nir",
    "from_sklearn": "mappings.readers.sklearn",
    "from_torch": "mappings.readers.torch",
    "from_xylo_spec": "mappings.readers.xylo",
    "to_lava": "mappings.writers.lava",
    "to_nir": "mappings.writers.nir",
    "write_lava_script": "mappings.writers.lava",
    "write_netx": "mappings.writers.netx",
}
__all__ = [*_DOORS]


def __getattr__(name: str) -> Any:
    """Load a reader or writer on first use."""
    if name not in _DOORS:
        raise AttributeError(f"module 'mappings' has no attribute {name!r}")
    value = getattr(import_module(_DOORS[name]), name)
    globals()[name] = value
    return value
