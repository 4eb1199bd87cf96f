"""Out to a Catalyst N1 on an FPGA: a program's operations and its host byte stream, and the way back.

The operations rely on no power-up value: an FPGA, whose memories start at zero, runs the program as the RTL's
simulation does. `whole_chip` also silences the neurons of unused cores, which would otherwise fire in every
timestep there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.engines.catalyst.image import UNUSED_THRESHOLD
from chipsim.engines.catalyst.program import N1ProgramEngine
from chipsim.errors import RunError
from chipsim.native.catalyst import operations as ops
from chipsim.native.catalyst.build import Build
from chipsim.native.catalyst.stream import Command, read_commands, to_commands, to_operations, write_commands
from chipsim.program.program import Program


def operations(program: Program, *, whole_chip: bool = False) -> np.ndarray:
    """Programming operations (n, 7) of a program of family catalyst, in order.

    Raises
    ------
    RunError
        A program of another family.
    """
    image = _engine(program).image
    if not whole_chip:
        return image.operations.copy()
    used = set(np.unique(program.core[program.core >= 0]).tolist())
    quiet = [
        ops.parameter(core, neuron, "thr", UNUSED_THRESHOLD)
        for core in range(image.build.cores) if core not in used
        for neuron in range(image.build.neurons)
    ]  # fmt: skip
    return np.concatenate([image.operations, np.array(quiet, np.int64).reshape(-1, 7)])


def stream(
    program: Program, inputs: Mapping[str, Any] | None = None, steps: int | None = None, *, whole_chip: bool = False
) -> bytes:
    """The bytes that a host sends: programming, flags, and with `inputs` or `steps` the stimuli and runs.

    Send one command at a time and wait for its answer (`chipsim.native.catalyst.stream` has their lengths).

    Raises
    ------
    RunError, NetworkError
        A program of another family, inputs that do not fit, numbers that the commands' bytes cannot hold.
    """
    engine = _engine(program)
    commands = to_commands(operations(program, whole_chip=whole_chip))
    commands.append(Command("flags", (engine.image.flags,)))
    if inputs is not None or steps is not None:
        commands += _runs(engine, program, dict(inputs or {}), steps)
    return write_commands(commands)


def _runs(engine: N1ProgramEngine, program: Program, inputs: dict[str, Any], steps: int | None) -> list[Command]:
    from .inputs import as_input, gather

    if steps is None:
        lengths = [
            len(a) for a in (as_input(program.population(k), v) for k, v in inputs.items()) if a.dtype.names is None
        ]
        steps = max(lengths, default=0)
    if steps < 1:
        raise RunError("give steps=: the number of timesteps does not follow from the inputs")
    train, _ = gather(program, inputs, steps)
    rows = engine.stimuli(train, steps)
    out, at, waiting = [], 0, 0
    for step in range(steps):
        mine = []
        while at < len(rows) and rows[at, 0] == step:
            mine.append(Command("stimulus", tuple(int(v) for v in rows[at, 1:])))
            at += 1
        if mine and waiting:
            out.append(Command("run", (waiting,)))
            waiting = 0
        out += mine
        waiting += 1
        if waiting == 0xFFFF:
            out.append(Command("run", (waiting,)))
            waiting = 0
    if waiting:
        out.append(Command("run", (waiting,)))
    return out


def read_stream(data: bytes, build: Build) -> tuple[np.ndarray, list[Command]]:
    """A host byte stream as checked operations and the commands that are none (flags, stimuli, runs, probes)."""
    commands = read_commands(data)
    rest = [c for c in commands if c.name in ("stimulus", "run", "status", "flags", "reward", "probe", "stall", "")]
    return ops.as_operations(to_operations(commands), build), rest


def _engine(program: Program) -> N1ProgramEngine:
    if program.chip.family != "catalyst":
        raise RunError(f"program '{program.name}' is for {program.chip.name}, not for a Catalyst N1")
    return N1ProgramEngine(program)


__all__ = ["operations", "read_stream", "stream"]
