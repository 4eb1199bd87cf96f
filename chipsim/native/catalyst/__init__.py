"""Catalyst N1 in its own registers (`cs.catalyst`): neurons, synapses, microcode, builds, operations, host bytes."""

from __future__ import annotations

from .build import ARTY, DEFAULT, F2, KRIA, Build
from .microcode import Program, assemble, disassemble
from .neurons import CUBA, LIF
from .operations import PARAMETERS, as_operations, parameter
from .stream import Command, read_commands, to_commands, to_operations, write_commands
from .synapses import Synapses

__all__ = [
    "ARTY", "CUBA", "DEFAULT", "F2", "KRIA", "LIF", "PARAMETERS", "Build", "Command", "Program", "Synapses",
    "as_operations", "assemble", "disassemble", "parameter", "read_commands", "to_commands", "to_operations",
    "write_commands",
]  # fmt: skip
