"""chipsim's own HDF5 files: networks before, programs after mapping."""

from __future__ import annotations

from pathlib import Path

from chipsim.mappings.network.files import save_network
from chipsim.mappings.network.network import Network
from chipsim.program.program import Program


def write_own(value: Network | Program, path: str | Path) -> str:
    """Write a network or a program to `path` (docs/formats.md); returns which it was."""
    if isinstance(value, Program):
        value.save(path)
        return "program"
    save_network(value, path)
    return "network"
