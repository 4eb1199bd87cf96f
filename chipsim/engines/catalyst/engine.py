"""Engine of the Catalyst N1: programming operations in, timesteps with every cycle, spike and packet out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.kernels.chips.n1 import mesh, rows, schedule, state
from chipsim.kernels.chips.n1 import run as kernel
from chipsim.kernels.chips.n1.rows import ADDED, ASYNC, N, R, S, X

from ...errors import RunError
from ...kept import checked
from ...native.catalyst.build import XY, Build
from ...native.catalyst.operations import as_operations
from .kept import MESH_SCRATCH, SCRATCH, kept

NS_PER_NEURON, THREADS_FROM = 30, 60_000  #: estimated ns of a timestep from which the meetings of threads pay
LONGEST_EVENT_STEP = 20_000_000  #: clock cycles after which an event-driven timestep is taken to be endless
#: What a chip shows of itself -> row of the neuron arrays, dtype.
_NEURON = {
    "v": (N.V, np.int32), "u": (N.U, np.int32), "refrac": (N.REF, np.uint8), "acc": (N.ACC, np.int32),
    "spike_cnt": (N.COUNT, np.uint8), "spike_ts": (N.STAMP, np.uint8), "thr": (N.THR, np.int32),
}  # fmt: skip
_SYNAPSE = {"w": S.WEIGHT, "elig": S.ELIGIBILITY, "delay": S.DELAY, "tag": S.TAG, "target": S.TARGET}
CORE_REGISTERS = (R.LFSR, R.REWARD, R.EPOCH, R.TSIE, R.SPIKES, R.CYCLES, R.SYNOPS)
LOSSES = {
    "spikes": ADDED.SPIKES_LOST, "delays": ADDED.DELAYS_LOST, "packets": ADDED.PACKETS_LOST,
    "inputs": ADDED.INPUTS_LOST, "overwritten": ADDED.OVERWRITTEN, "reverse_slots": ADDED.REVERSE_LOST,
    "link": ADDED.LINK_LOST,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class N1Run:
    """What one run did. t timesteps, c cores.

    Attributes
    ----------
    spikes : (s, 5) int32
        Timestep, controller cycle (0: the first that is not idle), core, neuron, payload; in that order. Root spikes.
    cycles : (t,) int64
        Controller cycles that are not idle.
    total_spikes, energy : (t,) int64
        Root spikes since reset and the RTL's energy counter, after each timestep.
    synops, active : (t, c) int64
        Connections delivered and core cycles.
    lost : (t,) int64
        Spikes beyond 64, packets and inputs that found a full queue, delays given up.
    work : (t, 3) int64
        Synapses visited by the learning engine, its instructions, weights written.
    updates : (t, c) int64
        Neuron updates that had something to do.
    waiting : (t,) int64
        Entries of delay queues at the end of each timestep that are not due in the next.
    sent : (l, 5) int32
        Packets on the chip link: timestep, cycle of the push pulse, core, neuron, payload.
    trace : (t, w) int32
        What was watched.
    """

    spikes: np.ndarray
    cycles: np.ndarray
    total_spikes: np.ndarray
    energy: np.ndarray
    synops: np.ndarray
    active: np.ndarray
    lost: np.ndarray
    work: np.ndarray
    updates: np.ndarray
    waiting: np.ndarray
    sent: np.ndarray
    trace: np.ndarray


class N1Engine:
    """One chip, bit for bit and cycle for cycle. Running 2 x 100 timesteps equals running 200.

    Parameters
    ----------
    build : Build
    operations : (n, 7) ints
        Programming operations in order (`chipsim.native.catalyst.operations`).
    hardware : bool
        Power up with memories at zero, as an FPGA does, instead of the RTL's simulation values.
    threads : int
        Cores run on that many threads where it pays; the bits are the same.
    held : int or None
        Emulate cores 0 .. held - 1 only, with the cycles of the whole build: where the others are never used.
    """

    def __init__(
        self, build: Build, operations: Any = (), *, hardware: bool = False, threads: int = 1, held: int | None = None
    ) -> None:
        self.build, self.hardware, self.threads = build, hardware, threads
        self.cores = build.cores if held is None or build.interconnect == XY else held
        self._first = as_operations(operations, build)
        self.reset()

    def reset(self) -> None:
        """Power-up and the operations of the beginning."""
        b = self.build
        sizes = np.zeros(X.COUNT, np.int64)
        xy = b.interconnect == XY
        sizes[:] = (
            self.cores, b.neurons, b.places, b.pool - 1, b.count_bits, b.fan_in, b.fan_in - 1,
            b.mesh_columns if xy else 0, b.mesh_rows if xy else 0, int(b.chip_link), b.cores,
        )  # fmt: skip
        self._machine = state.make_machine(sizes, min(b.pool, 64), hardware=self.hardware)
        self._mesh = mesh.make_routers(b.cores if xy else 1)
        self._apply(self._first)

    def program(self, operations: Any) -> None:
        """Programming operations between two timesteps, in order."""
        self._apply(as_operations(operations, self.build))

    def _apply(self, operations: np.ndarray) -> None:
        done = 0
        while done < len(operations):
            done += state.write_operations(self._machine, operations[done:])
            if done < len(operations):
                self._grow(self._reach(operations[done:]))
        room = self.build.neurons * int(self._machine.reg[:, R.PASSES].max())
        if self._machine.pulse.shape[1] < room:
            self._machine = self._machine._replace(pulse=np.zeros((self.cores, room, 3), np.int32))

    def _reach(self, operations: np.ndarray) -> int:
        """Pool addresses that a list of operations needs."""
        mask, count = self.build.pool - 1, (1 << self.build.count_bits) - 1
        op = operations[:, 0]
        single = np.where(op == rows.OP_POOL, operations[:, 2] & mask, -1) + 1
        single = np.maximum(single, np.where(op == rows.OP_DELAY, operations[:, 2] & mask, -1) + 1)
        axon = np.where(op == rows.OP_INDEX, (operations[:, 3] & mask) + (operations[:, 4] & count), 0)
        return int(max(single.max(initial=1), min(axon.max(initial=1), self.build.pool)))

    def _grow(self, need: int) -> None:
        old = self._machine.pool
        if need <= old.shape[2]:
            return
        pool = np.zeros((old.shape[0], S.ROWS, need), np.int16)
        pool[:, :, : old.shape[2]] = old
        self._machine = self._machine._replace(pool=pool)

    @property
    def step(self) -> int:
        """Timesteps since power-up."""
        return int(self._machine.chip[rows.C.STEPS])

    @property
    def machine(self) -> state.Machine:
        """The chip's arrays themselves, not copies."""
        return self._machine

    def stimulate(self, core: int, neuron: int, current: int) -> None:
        """A host stimulus between timesteps: overwrites the neuron's accumulator at once."""
        place = (core, N.ACC, neuron % self.build.places)
        self._machine.tally[core, ADDED.OVERWRITTEN] += int(self._machine.neuron[place] != 0)
        self._machine.neuron[place] = current

    @property
    def losses(self) -> dict[str, int]:
        """What was lost since power-up, by cause; `overwritten` counts inputs that replaced another value."""
        return {name: int(self._machine.tally[:, k].sum()) for name, k in LOSSES.items()}

    def run(
        self, steps: int, stimuli: Any = (), *, flags: Any = 0, reward: Any = 0, stall: Any = 0,
        start_cycle: Any = -1, link: Any = (), watch: Any = (), limit: int = LONGEST_EVENT_STEP,
    ) -> N1Run:  # fmt: skip
        """Advance `steps` timesteps.

        Parameters
        ----------
        stimuli : (m, 4) ints
            Timestep of this run, core, neuron, current; in order within a timestep.
        flags, reward, stall, start_cycle : int or (steps,) ints
            Flag byte, reward register, DVFS stall cycles, clock edge of the start pulse (XY mesh; -1: as the RUN
            command of the host sets it) of each timestep.
        link : (l, 4) ints
            Packets received over the chip link: timestep, core, neuron, current.
        watch : (w, 3) ints
            Core, row of the neuron array, neuron: kept after each timestep.
        limit : int
            Clock cycles of an event-driven timestep beyond which it is refused as endless.

        Raises
        ------
        RunError
            A learning program that never halts, an event-driven timestep without end, a full injection FIFO.
        """
        plan = self._schedule(steps, stimuli, flags, reward, stall, start_cycle, link)
        log = self._log(steps, watch)
        events = bool(np.any(plan.flags & ASYNC)) and self.build.interconnect != XY
        first = 0
        while True:
            saved = self.state() if events else None
            used = log.used.copy()
            begun = first
            first, status = self._call(plan, log, first, steps, limit)
            if status == kernel.DONE:
                break
            if status == kernel.ENDLESS and saved is not None:
                full = int(log.cycles[first]) == -3
                self.restore(saved)
                if not full:
                    raise RunError(
                        f"timestep {self.step + first - begun}: the event-driven mode did not come to rest within "
                        f"{limit} cycles; the network excites itself for ever: lower its weights, or give limit="
                    )
                log.used[:] = used
                first = begun
            elif status != kernel.FULL:
                raise self._trouble(status, self.step)
            log = _grown(log, int(self._machine.pulse.shape[1]) * self.cores)
        return self._record(log)

    def _call(self, plan: schedule.Schedule, log: schedule.Log, first: int, steps: int, limit: int) -> tuple[int, int]:
        """Run the compiled loop, on threads where the cores have enough to do."""
        workers = min(self.threads, self.cores)
        if self.cores * self.build.neurons * NS_PER_NEURON < THREADS_FROM or not hasattr(os, "sched_yield"):
            workers = 1
        shared, arrivals = np.zeros(kernel.LONGEST + workers, np.int64), np.zeros(1, np.int64)
        rest = (self._machine, self._mesh, plan, log, first, steps, limit)
        if workers == 1:
            return kernel.run(*rest, 0, 1, shared, arrivals)
        with ThreadPoolExecutor(workers) as pool:
            made = [pool.submit(kernel.run, *rest, k, workers, shared, arrivals) for k in range(workers)]
            return made[0].result()

    def _trouble(self, status: int, step: int) -> RunError:
        if status == kernel.HANGS:
            core = int(self._machine.chip[rows.C.ERROR])
            return RunError(
                f"timestep {step}: a learning program of core {core} meets no HALT; the core would hang: "
                "end every path of the program with HALT"
            )
        return RunError(
            f"timestep {step}: more than {rows.INJECT_DEPTH} packets wait for the injection FIFO; "
            "the controller would hang: send fewer packets over the chip link"
        )

    def _schedule(self, steps: int, stimuli: Any, *series: Any) -> schedule.Schedule:
        flags, reward, stall, start, link = series
        stim, ptr = self._rows(stimuli, steps, "stimuli")
        received, link_ptr = self._rows(link, steps, "link")
        if len(received) and not self.build.chip_link:
            raise RunError("packets on the chip link, but this build has none: Build(chip_link=True)")
        return schedule.Schedule(
            flags=_series(flags, steps, "flags", 0, 255).astype(np.uint8),
            reward=_series(reward, steps, "reward", -32768, 32767),
            stall=_series(stall, steps, "stall", 0, 255),
            start=_series(start, steps, "start_cycle", -1, 1 << 62),
            stim_ptr=ptr, stim=stim, link_ptr=link_ptr, link=received,
        )  # fmt: skip

    def _rows(self, given: Any, steps: int, what: str) -> tuple[np.ndarray, np.ndarray]:
        table = np.asarray(given, np.int64).reshape(-1, 4) if np.size(given) else np.zeros((0, 4), np.int64)
        for column, name, top in ((0, "timestep", steps), (1, "core", self.cores), (2, "neuron", None)):
            top = self.build.places if top is None else top
            bad = (table[:, column] < 0) | (table[:, column] >= top)
            if bad.any():
                raise RunError(f"{what}: {name} {table[bad, column][0]} is outside 0..{top - 1}")
        bad = (table[:, 3] < -32768) | (table[:, 3] > 32767)
        if bad.any():
            raise RunError(f"{what}: current {table[bad, 3][0]} is outside -32768..32767 (16 bits)")
        order = np.argsort(table[:, 0], kind="stable")
        table = table[order]
        return np.ascontiguousarray(table[:, 1:]), np.searchsorted(table[:, 0], np.arange(steps + 1)).astype(np.int64)

    def _log(self, steps: int, watch: Any) -> schedule.Log:
        c, seen = self.cores, np.asarray(watch, np.int64).reshape(-1, 3)
        room = int(self._machine.pulse.shape[1]) * c
        return schedule.Log(
            cycles=np.zeros(steps, np.int64), total=np.zeros(steps, np.int64), energy=np.zeros(steps, np.int64),
            synops=np.zeros((steps, c), np.int64), active=np.zeros((steps, c), np.int64),
            lost=np.zeros(steps, np.int64), work=np.zeros((steps, 3), np.int64), updates=np.zeros((steps, c), np.int64),
            waiting=np.zeros(steps, np.int64),
            spikes=np.zeros((2 * room, 5), np.int32), sent=np.zeros((1024, 5), np.int32), used=np.zeros(2, np.int64),
            held=np.zeros((c, 3), np.int64), sums=np.zeros((2, 4), np.int64), watch=seen,
            trace=np.zeros((steps, len(seen)), np.int32),
        )  # fmt: skip

    def _record(self, log: schedule.Log) -> N1Run:
        spikes = log.spikes[: log.used[0]]
        order = np.lexsort((spikes[:, 3], spikes[:, 2], spikes[:, 1], spikes[:, 0]))
        return N1Run(
            spikes=spikes[order], cycles=log.cycles, total_spikes=log.total, energy=log.energy, synops=log.synops,
            active=log.active, lost=log.lost, work=log.work, updates=log.updates, waiting=log.waiting,
            sent=log.sent[: log.used[1]].copy(), trace=log.trace,
        )  # fmt: skip

    def memory(self, name: str) -> np.ndarray:
        """Copy of one memory as it is now.

        v, u, refrac, acc, thr, spike_cnt, spike_ts (c, n); dend (c, n, 3); traces (c, n, 5) in the order x1, y1, x2,
        y2, y3; core_regs (c, 7): lfsr, reward trace, epoch, timestep within epoch, spikes, active cycles, synaptic
        operations; w, elig, delay, tag, target (c, p) up to the highest programmed address of all cores.
        """
        m, n = self._machine, self.build.neurons
        if name in _NEURON:
            row, kind = _NEURON[name]
            return m.neuron[:, row, :n].astype(kind)
        if name == "dend":
            return m.neuron[:, N.D1 : N.D1 + 3, :n].transpose(0, 2, 1).astype(np.int16)
        if name == "traces":
            return m.neuron[:, N.T1 : N.T1 + 5, :n].transpose(0, 2, 1).astype(np.uint8)
        if name == "core_regs":
            return m.reg[:, list(CORE_REGISTERS)].astype(np.int64)
        if name in _SYNAPSE:
            used = self.pool_used
            out = m.pool[:, _SYNAPSE[name], : used.max(initial=0)].astype(np.int16)
            out[np.arange(out.shape[1])[None, :] >= used[:, None]] = 0
            return out
        known = [*_NEURON, "dend", "traces", "core_regs", *_SYNAPSE]
        raise RunError(f"catalyst: no memory {name!r}; there is {', '.join(known)}")

    @property
    def pool_used(self) -> np.ndarray:
        """Highest programmed pool address + 1 of each core."""
        return self._machine.reg[:, R.POOL_USED].copy()

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint: copies of all memories and registers."""
        saved = {k: v.copy() for k, v in self._machine._asdict().items() if k not in SCRATCH}
        return saved | {f"mesh.{k}": v.copy() for k, v in self._mesh._asdict().items() if k not in MESH_SCRATCH}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint of `state` (same build); nothing changes if it is refused.

        Raises
        ------
        RunError
            A checkpoint of another build, or with a value beyond its register.
        """
        shape = np.shape(saved.get("pool", ()))
        pool = int(shape[-1]) if shape else 0
        if pool > self.build.pool:
            raise RunError(f"the state's 'pool' has {pool} addresses; this build has {self.build.pool}")
        found = checked(saved, kept(self._machine, self._mesh, pool))
        reach = found["index"][:, 0] + found["index"][:, 1]
        if np.minimum(reach, self.build.pool).max(initial=0) > pool:
            raise RunError("the state's 'index' leads beyond its 'pool'")
        machine = {k: v for k, v in found.items() if not k.startswith("mesh.")}
        room = self.build.neurons * int(found["reg"][:, R.PASSES].max())
        pulse = np.zeros((self.cores, max(room, self._machine.pulse.shape[1]), 3), np.int32)
        self._machine = self._machine._replace(**machine, pulse=pulse)
        self._mesh = self._mesh._replace(**{k[5:]: v for k, v in found.items() if k.startswith("mesh.")})


def _series(given: Any, steps: int, what: str, lo: int, hi: int) -> np.ndarray:
    values = np.asarray(given)
    if values.dtype.kind not in "iub" or (values.ndim and values.shape != (steps,)):
        raise RunError(f"{what}: give a whole number or {steps} of them, one a timestep")
    if values.size and (values.min() < lo or values.max() > hi):
        bad = values.min() if values.min() < lo else values.max()
        raise RunError(f"{what}={int(bad)} is outside {lo}..{hi}")
    return np.array(np.broadcast_to(values, (steps,)), np.int64)  # never read-only: one compiled form


def _grown(log: schedule.Log, room: int) -> schedule.Log:
    spikes = np.zeros((2 * log.spikes.shape[0] + room, 5), np.int32)
    spikes[: log.used[0]] = log.spikes[: log.used[0]]
    sent = np.zeros((2 * log.sent.shape[0], 5), np.int32)
    sent[: log.used[1]] = log.sent[: log.used[1]]
    return log._replace(spikes=spikes, sent=sent)
