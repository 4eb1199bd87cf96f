"""Which engine runs programs of which family."""

from __future__ import annotations

from importlib import import_module

from chipsim.errors import RunError
from chipsim.program.program import Program

from .contract import Engine

#: Family of a chip -> "module:Class", called with a program and a number of threads.
ENGINES: dict[str, str] = {
    "loihi": "chipsim.engines.timestep:TimeStepEngine",
    "float": "chipsim.engines.timestep:TimeStepEngine",
    "reckon": "chipsim.engines.reckon.program:ReckonProgramEngine",
    "xylo": "chipsim.engines.xylo:XyloEngine",
    "odin": "chipsim.engines.crossbar.program:CrossbarProgramEngine",
    "tinyodin": "chipsim.engines.crossbar.program:CrossbarProgramEngine",
    "catalyst": "chipsim.engines.catalyst.program:N1ProgramEngine",
    "truenorth": "chipsim.engines.grid.program:GridProgramEngine",
}


def engine_of(program: Program, threads: int = 1) -> Engine:
    """A new engine with `program` loaded; RunError if none runs programs of its family."""
    family = program.chip.family
    if family not in ENGINES:
        raise RunError(f"no engine runs programs of family '{family}'")
    module, _, name = ENGINES[family].partition(":")
    return getattr(import_module(module), name)(program, threads)
