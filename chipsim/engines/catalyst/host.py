"""The host interface of a Catalyst N1: bytes in, bytes out, as the top level of the RTL answers them."""

from __future__ import annotations

import numpy as np

from chipsim.kernels.chips.n1.rows import ASYNC, N, P, R, S

from ...native.catalyst.build import XY, Build
from ...native.catalyst.stream import Command, read_commands, to_operation
from .engine import N1Engine

ACKNOWLEDGE, FINISHED = 0xAA, 0xDD
_NEURON_PROBES = {0: N.V, 2: N.T1, 3: N.T2, 4: N.REF, 5: N.ACC, 6: N.D1, 7: N.D2, 8: N.D3, 13: N.U}
_POOL_PROBES = {11: S.WEIGHT, 12: S.ELIGIBILITY}


class Host:
    """A chip behind its host interface.

    Parameters
    ----------
    build : Build
    hardware : bool
        Power up as an FPGA does (memories at zero) instead of with the RTL's simulation values.

    Attributes
    ----------
    engine : N1Engine
    cycles : list of int
        Controller cycles of every timestep run so far.

    Examples
    --------
    >>> from chipsim.engines.catalyst.host import Host
    >>> import chipsim as cs
    >>> host = Host(cs.catalyst.KRIA)
    >>> host.send(bytes([0x04, 0, 3])).hex()  # run three timesteps: no spikes
    'dd00000000'
    """

    def __init__(self, build: Build, *, hardware: bool = False) -> None:
        self.engine = N1Engine(build, hardware=hardware)
        self.build = build
        self.flags, self.reward, self.stall, self.addressed = 0, 0, 0, 0
        self.cycles: list[int] = []
        self._popped = 0
        self._rows: list[tuple[int, ...]] = []  # programming that the next other command finds done
        self._inputs: list[tuple[int, int, int, int]] = []

    def send(self, data: bytes) -> bytes:
        """Whole commands; their answers one after the other."""
        answers = b"".join(self._execute(command) for command in read_commands(data))
        self._load()
        return answers

    def execute(self, command: Command) -> bytes:
        """One command; its answer, empty for an unknown code."""
        answer = self._execute(command)
        self._load()
        return answer

    def _load(self) -> None:
        """Hand the collected programming to the chip."""
        if self._rows:
            self.engine.program(self._rows)
            self._rows = []

    def _execute(self, command: Command) -> bytes:
        name, v = command.name, command.fields
        if not name:
            return b""
        if name in ("run", "probe", "stimulus"):
            self._load()
        if name == "run":
            return self._run(max(v[0], 1))
        if name == "status":
            return bytes([0]) + self.engine.step.to_bytes(4, "big")
        if name == "probe":
            return self._probe(v[0] % self.build.cores, v[1], v[2]).to_bytes(2, "big")
        if name == "stimulus":
            self._stimulate(v[0] % self.build.cores, v[1] % self.build.places, v[2] - ((v[2] & 0x8000) << 1))
        elif name == "flags":
            self.flags = v[0]
        elif name == "reward":
            self.reward = v[0] - ((v[0] & 0x8000) << 1)
        elif name == "stall":
            self.stall = v[0]
        else:
            self._program(to_operation(command))
        return bytes([ACKNOWLEDGE])

    def _program(self, row: tuple[int, ...] | None) -> None:
        """A programming command; numbers wrap as the ports' widths make them."""
        if row is None:
            return
        op, core, *rest = row
        core %= self.build.cores
        if op == 7:
            self.addressed = rest[0] % self.build.places
            if rest[1] > 31:
                return
            rest[0] %= self.build.places
        elif op == 1:
            rest[0] %= self.build.pool
            rest[1], rest[2] = rest[1] % self.build.places, rest[2] % self.build.places
        elif op == 2:
            rest[0], rest[1] = rest[0] % self.build.places, rest[1] % self.build.pool
            rest[2] &= (1 << self.build.count_bits) - 1
        elif op in (3, 4):
            rest[0], rest[1] = rest[0] % self.build.places, rest[1] & (7 if op == 3 else 3)
            rest[2], rest[3] = rest[2] % self.build.cores, rest[3] % self.build.places
        elif op == 5:
            rest[0], rest[1] = rest[0] % self.build.pool, rest[1] & 63
        self._rows.append((op, core, *rest))

    def _stimulate(self, core: int, neuron: int, current: int) -> None:
        if self.flags & ASYNC and self.build.interconnect != XY:
            self._inputs.append((0, core, neuron, current))
        else:
            self.engine.stimulate(core, neuron, current)

    def _run(self, steps: int) -> bytes:
        given = self._inputs if self.flags & ASYNC else []
        run = self.engine.run(steps, given, flags=self.flags, reward=self.reward, stall=self.stall)
        if self.flags & ASYNC:
            self._inputs = []
        self.cycles += run.cycles.tolist()
        return bytes([FINISHED]) + len(run.spikes).to_bytes(4, "big")

    def _probe(self, core: int, number: int, what: int) -> int:
        m, n = self.engine.machine, number % self.build.places
        reg, last = m.reg[core], self.addressed
        if what in _NEURON_PROBES:
            value = int(m.neuron[core, _NEURON_PROBES[what], n])
        elif what in _POOL_PROBES:
            address = number % self.build.pool
            value = int(m.pool[core, _POOL_PROBES[what], address]) if address < m.pool.shape[2] else 0
        elif what == 1:
            value = int(m.neuron[core, N.THR, last])
        elif what in (9, 10):
            value = int(m.param[core, P.LEAK if what == 9 else P.REST, last])
        elif 14 <= what <= 21:
            counters = [int(reg[R.SPIKES]), int(reg[R.CYCLES]), int(reg[R.SYNOPS])]
            counters.append((8 * counters[0] + 2 * counters[2] + counters[1]) & 0xFFFFFFFF)
            value = counters[(what - 14) // 2] >> (16 * ((what - 14) % 2))
        elif what == 22:
            value = self._pop(core)
        elif what == 23:
            value = self._popped
        elif what == 24:
            value = int(reg[R.DEBUG_COUNT])
        else:
            value = 0
        return value & 0xFFFF

    def _pop(self, core: int) -> int:
        """The oldest entry of a core's spike trace FIFO: its neuron; the timestep is kept for probe 23."""
        m = self.engine.machine
        reg = m.reg[core]
        if not reg[R.DEBUG_COUNT]:
            return 0xFFFF
        step, neuron = (int(v) for v in m.debug[core, reg[R.DEBUG_HEAD]])
        reg[R.DEBUG_HEAD] = (reg[R.DEBUG_HEAD] + 1) % m.debug.shape[1]
        reg[R.DEBUG_COUNT] -= 1
        self._popped = step
        return neuron


def replay(data: bytes, build: Build) -> tuple[bytes, np.ndarray]:
    """A whole recorded stream through a fresh chip: answers, and the cycles of every timestep."""
    host = Host(build)
    return host.send(data), np.array(host.cycles, np.int64)
