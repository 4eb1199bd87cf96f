"""Engine of the TrueNorth-class grid: a program's arrays packed into bits, ticks run, every event with its cycle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chipsim.errors import RunError
from chipsim.kept import FOREVER, Kept, checked, flags, like, number, same, under
from chipsim.kernels.chips.grid import burst as grid_burst
from chipsim.kernels.chips.grid import cores as grid
from chipsim.kernels.chips.grid import router as router
from chipsim.kernels.chips.grid import run as grid_run
from chipsim.native.grid.truenorth import AXON_TYPES, LAST_DELAY, GridProgram


@dataclass(frozen=True, eq=False)
class GridRun:
    """What one run did; rows in order of tick, cycle, core. Cycle 0 is the one in which a tick is applied.

    Attributes
    ----------
    spikes : (s, 4) int32
        Tick (1, 2, ...), core, neuron, cycle.
    arrivals : (a, 5) int32; to_core : (a,) bool
        Tick during which a packet arrives, core (or output bus), cycle, axon, delivery tick; in the order of the
        simulation. `deliveries` and `outputs` are its two parts in order.
    idle : (b, 3) int32
        Tick, core, cycle at which the core is idle again.
    ticks, cycles : int
    lost : int
        Packets that reached a core in the one cycle in which it clears its scheduler.
    activity : dict
        Counts: spikes, deliveries, outputs, synaptic_events.
    """

    spikes: np.ndarray
    arrivals: np.ndarray
    to_core: np.ndarray
    idle: np.ndarray
    ticks: int
    cycles: int
    lost: int
    activity: dict[str, int]

    @cached_property
    def deliveries(self) -> np.ndarray:
        """Packets that reached a core, (d, 5): tick, core, cycle, axon, delivery tick."""
        return _in_order(self.arrivals[self.to_core])

    @cached_property
    def outputs(self) -> np.ndarray:
        """Packets that reached the output bus, (o, 3): tick, output axon, cycle."""
        return _in_order(self.arrivals[~self.to_core])[:, [0, 3, 2]]


def _in_order(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort((rows[:, 1], rows[:, 2], rows[:, 0]))]


MAX_TICK = (1 << 31) - (1 << 24)  #: ticks are numbered in 32 bits in what a run records


class GridEngine:
    """A grid of cores, bit for bit and cycle for cycle. Running 2 x 100 ticks equals running 200.

    Parameters
    ----------
    program : GridProgram
    clocked : bool
        Clock the packet network through every contention instead of following its slots (same results, slower).
    """

    def __init__(self, program: GridProgram, *, clocked: bool = False) -> None:
        self.program, self.clocked = program, clocked
        self._cores = _pack(program)
        self.fan_out = program.crossbar.sum(axis=1, dtype=np.int64)
        self.reset()

    def reset(self) -> None:
        """Back to the freshly loaded program before tick 1."""
        p = self.program
        words = self._cores.crossbar.shape[2]
        self._state = grid.State(p.v.copy(), np.zeros((p.cores, grid.SLOTS, words), np.uint64))
        self._net = _wire(p.columns, p.rows)
        self._net.counters[router.STUCK] = int(self.clocked)
        self._tick = 0  # 0: nothing has entered yet

    @property
    def tick(self) -> int:
        """Ticks done since the last reset."""
        return max(self._tick - 1, 0)

    @property
    def potentials(self) -> np.ndarray:
        """Membrane potentials now, (c, n) int16."""
        return self._state.v.copy()

    def state(self) -> dict[str, np.ndarray]:
        """Copies of everything that changes, for `restore`."""
        return {"tick": np.array(self._tick), **{k: v.copy() for k, v in self._arrays().items()}}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state()` of an engine with the same program; RunError otherwise."""
        mine, state = self._arrays(), checked(state, self.kept())
        self._check_wires(state)
        for name, array in mine.items():
            array[...] = state[name]
        self._tick = int(state["tick"])

    def kept(self) -> dict[str, Kept]:
        """What `state` holds."""
        net, cores = self._net, self.program.cores
        merges = len(net.sources)
        full = np.full(net.count.shape, router.DEPTH)
        full[-1] = FOREVER  # the inlet is no buffer
        packet = (1 << router.DX + 10) - 1
        most = np.full(net.counters.shape, FOREVER)
        most[[router.N_ACTIVE, router.N_WAITING]] = merges, cores
        wires = {
            "sources": same(net.sources), "consumer": same(net.consumer), "data": like(net.data, 0, packet),
            "first": like(net.first, 0, router.DEPTH - 1), "count": like(net.count, 0, full),
            "out": like(net.out, 0, packet), "reading": like(net.reading, 0, net.sources.shape[1]),
            "writing": flags(net.writing), "hand": like(net.hand, 0, packet), "active": like(net.active, 0, merges - 1),
            "listed": flags(net.listed), "popping": flags(net.popping),
            "waiting": like(net.waiting, 0, np.array([cores - 1, packet])), "counters": like(net.counters, 0, most),
        }  # fmt: skip
        own = {"v": like(self._state.v, -256, 255), "scheduler": like(self._state.scheduler)}
        return {"tick": number(0, MAX_TICK), **own, **under("net_", wires)}

    def _check_wires(self, state: dict[str, np.ndarray]) -> None:
        """What lies in the network must belong together; RunError otherwise."""
        reading, active = state["net_reading"], state["net_active"][: state["net_counters"][router.N_ACTIVE]]
        port = np.take_along_axis(self._net.sources, np.maximum(reading - 1, 0)[:, None], axis=1)[:, 0]
        if np.any((reading > 0) & (port < 0)):
            raise RunError("the state's 'net_reading' names ports that are not there")
        if not np.array_equal(np.sort(active), np.flatnonzero(state["net_listed"])):
            raise RunError("the state's 'net_active' and 'net_listed' do not name the same merges")
        if not state["tick"] and (active.size or state["net_count"].any() or state["net_counters"][router.N_WAITING]):
            raise RunError("the state has packets on their way before its first tick")

    def _arrays(self) -> dict[str, np.ndarray]:
        return {**self._state._asdict(), **{f"net_{k}": v for k, v in self._net._asdict().items()}}

    def run(self, packets: Any = (), ticks: int = 1) -> GridRun:
        """Run `ticks` ticks with input packets.

        Parameters
        ----------
        packets : (p, 5) ints
            Slot, x, y, axon, delivery tick (`cs.truenorth.packets`). Slots are absolute: 0 enters before tick 1,
            t during tick t; in a later call, slots up to the last tick done enter with the next tick's.
        ticks : int

        Raises
        ------
        RunError
            Packets outside the grid, more packets in a tick than can enter, a tick shorter than a core needs.
        """
        if ticks < 0:
            raise RunError(f"ticks={ticks}: not negative")
        entering, offsets, first, count = self._inputs(packets, ticks)
        p = self.program
        per_core = [np.zeros(p.cores, np.int64) for _ in range(4)]
        firing = grid_run.Firing(
            np.zeros((p.cores, p.neurons), np.int64), per_core[0], per_core[1], per_core[2], per_core[3], p.axons + 2,
            p.columns,
        )  # fmt: skip
        records = _records(p, entering.size, count)
        arrivals = np.zeros((p.cores, 2), np.int64)
        queues = _queues(p.cores)
        done = 0
        lost = int(self._net.counters[router.LOST])
        while done < count:
            ran = grid_run.run(
                self._cores, self._state, self._net, queues, records, firing, arrivals, entering, offsets[done:],
                first + done, count - done, p.period,
            )  # fmt: skip
            if ran < 0:
                self._tick = first + done
                raise RunError(_refusal(ran, p))
            done += ran
            if done < count:
                records = _grown(records)
        self._tick = first + count
        return self._result(records, ticks, int(self._net.counters[router.LOST]) - lost)

    def _result(self, records: grid_run.Records, ticks: int, lost: int) -> GridRun:
        p = self.program
        spikes, arrived, idle = (a[:n].copy() for a, n in zip(records[:3], records.used))
        at_core = p.is_core[arrived[:, 1]]
        reached = int(at_core.sum())
        activity = {"spikes": len(spikes), "deliveries": reached, "outputs": len(arrived) - reached}
        activity["synaptic_events"] = int(self.fan_out[arrived[at_core, 1], arrived[at_core, 3]].sum())
        return GridRun(spikes, arrived, at_core, idle, ticks, ticks * int(p.period or 0), lost, activity)

    def _inputs(self, packets: Any, ticks: int) -> tuple[np.ndarray, np.ndarray, int, int]:
        """Packed packets, their offsets per slot run, the first slot and the number of slots of this call."""
        p = self.program
        first = self._tick
        count = ticks + (1 if first == 0 else 0)
        rows = np.asarray(packets, np.int64).reshape(-1, 5)
        slot, x, y, axon, delay = rows.T
        last = first + count - 1
        for name, values, lo, hi in (
            ("x", x, 0, p.columns - 1), ("y", y, 0, p.rows - 1), ("axon", axon, 0, p.axons - 1),
            ("delivery tick", delay, 0, LAST_DELAY), ("slot", slot, 0, last),
        ):  # fmt: skip
            if np.any((values < lo) | (values > hi)):
                raise RunError(f"input packet with {name}={np.extract((values < lo) | (values > hi), values)[0]}; "
                               f"it must be in [{lo}, {hi}]")  # fmt: skip
        slot = np.maximum(slot, first)
        order = np.argsort(slot, kind="stable")
        packed = _packet(x, y, axon, delay)[order]
        return packed, np.searchsorted(slot[order], np.arange(first, first + count + 1)), first, count


def _packet(dx: np.ndarray, dy: np.ndarray, axon: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """Packets as int64 (kernels/chips/grid/router.py)."""
    dx, dy, axon, delay = (np.asarray(a, np.int64) for a in (dx, dy, axon, delay))
    return (dx + router.BIAS) << router.DX | (dy + router.BIAS) << router.DY | axon << router.AXON | delay


def _words(bits: np.ndarray) -> np.ndarray:
    """Bits along the last axis as little-endian uint64 words, padded with zeros."""
    pad = -bits.shape[-1] % 64
    padded = np.concatenate([bits, np.zeros((*bits.shape[:-1], pad), bits.dtype)], axis=-1)
    return np.ascontiguousarray(np.packbits(padded.astype(np.uint8), axis=-1, bitorder="little")).view("<u8")


def _pack(p: GridProgram) -> grid.Cores:
    of_type = p.axon_type[:, None, :] == np.arange(AXON_TYPES)[None, :, None]
    packet = _packet(p.dx, p.dy, p.axon, p.delay)
    return grid.Cores(
        _words(p.crossbar), _words(of_type), p.weight, p.reset, p.leak, p.thr, p.negthr, p.mode, packet,
        p.is_core.astype(np.uint8),
    )  # fmt: skip


def _wire(columns: int, rows: int) -> router.Network:
    """An empty network: which buffer feeds which port of which merge."""
    cores = columns * rows
    sources = np.full((cores * router.MERGES, 3), -1, np.int64)
    for k in range(cores):
        x, y, b = k % columns, k // columns, k * router.BUFFERS
        west = cores * router.BUFFERS if k == 0 else b - router.BUFFERS + 2 if x else -1
        east = b + router.BUFFERS + 5 if x < columns - 1 else -1
        south = (k - columns) * router.BUFFERS + 8 if y else -1
        north = (k + columns) * router.BUFFERS + 10 if y < rows - 1 else -1
        ports = [[west, b, -1], [east, b + 1, -1], [south, b + 3, b + 6], [north, b + 4, b + 7], [b + 9, b + 11, -1]]
        sources[k * router.MERGES : (k + 1) * router.MERGES] = ports
    consumer = np.full(cores * router.BUFFERS + 1, -1, np.int64)
    used = sources >= 0
    consumer[sources[used]] = np.nonzero(used)[0]
    m, b = len(sources), len(consumer)

    def zeros(*shape: int, kind: type = np.int64) -> np.ndarray:
        return np.zeros(shape, kind)

    return router.Network(
        sources, consumer, zeros(b, router.DEPTH), zeros(b), zeros(b), zeros(b), zeros(m), zeros(m, kind=np.uint8),
        zeros(m), zeros(m), zeros(m, kind=np.uint8), zeros(m, kind=np.uint8), zeros(2 * cores, 2), zeros(8),
    )  # fmt: skip


def _queues(cores: int) -> grid_burst.Burst:
    merges = cores * router.MERGES
    p = [np.zeros(cores, np.int64) for _ in range(6)]
    free, count = np.full(merges, grid_burst.FREE, np.int64), np.zeros((merges, 3), np.int64)
    return grid_burst.Burst(p[0], p[1], p[2], p[3], p[4], free, count, p[5], np.zeros((cores, 3), np.int64))


def _records(p: GridProgram, entering: int, count: int) -> grid_run.Records:
    neurons = p.cores * p.neurons
    room = 2 * (neurons + entering) + 8192 + min(count * neurons // 8, 1 << 22)
    idle = np.empty((count * p.cores, 3), np.int32)
    return grid_run.Records(np.empty((room, 4), np.int32), np.empty((room, 5), np.int32), idle, np.zeros(3, np.int64))


def _grown(records: grid_run.Records) -> grid_run.Records:
    larger = []
    for rows in (records.spikes, records.deliveries):
        new = np.empty((2 * len(rows), rows.shape[1]), np.int32)
        new[: len(rows)] = rows
        larger.append(new)
    return records._replace(spikes=larger[0], deliveries=larger[1])


def _refusal(code: int, p: GridProgram) -> str:
    if code == grid_run.OVERRUN:
        return f"a core was still busy when the next tick came; period={p.period} is too short for its spikes"
    return (
        f"input packets were still waiting when the next tick came; send fewer per tick or lengthen period={p.period}"
    )
