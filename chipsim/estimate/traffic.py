"""Who sends packets where: spikes with their fan-out, and what follows from them by counting.

`Spikes` is a spike log with the destination cores of each neuron; `Counts` what each core did in each
step. `count` makes the one from the other; an emulator may as well deliver both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip


@dataclass(frozen=True, eq=False)
class Counts:
    """What the cores did. Arrays int64 (t steps, c cores) unless said otherwise.

    Attributes
    ----------
    cores : (c,)
        Physical core of each column, ascending.
    accesses, updates, fires
        Neurons handled, those that were active or fired, and those that fired; without neurons that cost
        nothing.
    packets_out, packets_in, events
        Packets sent and received, synaptic events.
    hops : (t, 4)
        Links passed by packets: east, west, north, south.
    crossings : (t,)
        Chip borders passed by packets.
    learning : dict of str to (t, c), float64 where acts of a step are shared out over cores
        "trace_update", "weight_read", "weight_write", "synapse_update", "third_factor"; absent means none.
    """

    cores: np.ndarray
    accesses: np.ndarray
    updates: np.ndarray
    fires: np.ndarray
    packets_out: np.ndarray
    packets_in: np.ndarray
    events: np.ndarray
    hops: np.ndarray
    crossings: np.ndarray
    learning: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.hops.shape[0]


@dataclass(frozen=True, eq=False)
class Spikes:
    """Who fired when, and where the packets go: what timing beyond "simple" needs.

    Attributes
    ----------
    start, neuron : (t+1,), (spikes,)
        Spike log: neurons of step t are neuron[start[t]:start[t+1]], ascending.
    active : (t, ceil(n/8)) uint8
        Bits (little-endian) of the neurons that were active, see `pack`; (0, 1) if nobody kept them.
    core : (n,)
        Physical core of each neuron, -1 for what comes from outside.
    free : (n,) bool
        Neurons whose handling costs nothing (input lines).
    fan_start, fan_core, fan_synapses : (n+1,), (f,), (f,)
        Destination cores of each neuron, ascending, with the number of its synapses there.
    """

    start: np.ndarray
    neuron: np.ndarray
    active: np.ndarray
    core: np.ndarray
    free: np.ndarray
    fan_start: np.ndarray
    fan_core: np.ndarray
    fan_synapses: np.ndarray


def pack(active: np.ndarray) -> np.ndarray:
    """Bits of a boolean array (t, n) as `Spikes.active` wants them."""
    return np.packbits(np.asarray(active, bool), axis=1, bitorder="little")


def fan_table(spikes: Spikes) -> Any:
    """The fan-out table as the kernels take it."""
    from chipsim.kernels.mesh.traffic import FanOut

    start, core, synapses = (
        np.ascontiguousarray(a, np.int64) for a in (spikes.fan_start, spikes.fan_core, spikes.fan_synapses)
    )
    return FanOut(start, core, synapses)


def mesh_of(chip: Chip, last_core: int) -> Any:
    """The mesh of as many chips side by side as `last_core` needs."""
    from chipsim.kernels.mesh.traffic import Mesh

    top = chip.topology
    return Mesh(top.width * (last_core // top.cores + 1), top.height, top.cores_per_tile, top.link_buffer)


def fan_hops(chip: Chip, spikes: Spikes) -> np.ndarray:
    """Links by direction (f, 4) that a packet of each fan-out entry passes: east, west, north, south; none
    from outside.
    """
    top = chip.topology
    here = np.repeat(np.asarray(spikes.core), np.diff(spikes.fan_start))
    a, b = here // top.cores_per_tile, np.asarray(spikes.fan_core) // top.cores_per_tile
    dx, dy = b // top.height - a // top.height, b % top.height - a % top.height
    hops = np.stack([np.maximum(dx, 0), np.maximum(-dx, 0), np.maximum(dy, 0), np.maximum(-dy, 0)], axis=1)
    return hops * (here >= 0)[:, None]


def link_loads(chip: Chip, spikes: Spikes) -> np.ndarray:
    """Packets over each link in the whole run, (tiles, 4) int64: the link that leaves a tile east, west,
    north, south.
    """
    from chipsim.kernels.mesh.traffic import add_loads

    core = np.ascontiguousarray(spikes.core, np.int64)
    fan = fan_table(spikes)
    mesh = mesh_of(chip, int(max(core.max(initial=0), fan.core.max(initial=0))))
    loads = np.zeros((mesh.width * mesh.height, 4), np.int64)
    add_loads(np.bincount(spikes.neuron, minlength=len(core)), fan, core, mesh, loads)
    return loads


def count(chip: Chip, spikes: Spikes) -> Counts:
    """Counts of a run straight from its spikes and active neurons."""
    from chipsim.kernels.core.count import count_traffic
    from chipsim.kernels.mesh.traffic import SpikeLog, count_neurons

    core = np.ascontiguousarray(spikes.core, np.int64)
    steps = len(spikes.start) - 1
    fan = fan_table(spikes)
    log = SpikeLog(np.asarray(spikes.start, np.int64), np.asarray(spikes.neuron, np.int64), np.asarray(spikes.active))
    mesh = mesh_of(chip, int(max(core.max(initial=0), fan.core.max(initial=0))))
    total = mesh.width * mesh.height * mesh.cores_per_tile
    out, into, events, fires, updates, sent = (np.zeros((steps, total), np.int64) for _ in range(6))
    hops, each = np.zeros((steps, 4), np.int64), np.zeros((len(core), 4), np.int64)
    np.add.at(each, np.repeat(np.arange(len(core)), np.diff(fan.start)), fan_hops(chip, spikes))
    # The types of the emulator's own counters, so that the kernel is compiled once.
    log32 = log.start, log.neuron.astype(np.uint32), core.astype(np.int32), fan.start, fan.core.astype(np.int32)
    count_traffic(*log32, fan.synapses, each, sent, out, into, events, hops)
    count_neurons(log, core, np.asarray(spikes.free).astype(np.uint8), fires, updates)
    costly = (core >= 0) & ~np.asarray(spikes.free, bool)
    accesses = np.tile(np.bincount(core[costly], minlength=total), (steps, 1))
    used = np.unique(np.concatenate([core[core >= 0], fan.core]))
    return Counts(
        cores=used,
        accesses=accesses[:, used],
        updates=updates[:, used],
        fires=fires[:, used],
        packets_out=out[:, used],
        packets_in=into[:, used],
        events=events[:, used],
        hops=hops,
        crossings=crossings(chip, spikes),
    )


def crossings(chip: Chip, spikes: Spikes) -> np.ndarray:
    """Chip borders that packets pass in each step, (t,) int64."""
    core, steps = np.asarray(spikes.core), len(spikes.start) - 1
    here = np.repeat(core, np.diff(spikes.fan_start))
    far = np.abs(np.asarray(spikes.fan_core) // chip.topology.cores - here // chip.topology.cores) * (here >= 0)
    if not far.any():
        return np.zeros(steps, np.int64)
    each = np.concatenate([[0], np.cumsum(far)])
    each = each[spikes.fan_start[1:]] - each[spikes.fan_start[:-1]]
    passed = np.concatenate([[0], np.cumsum(each[spikes.neuron])])
    return passed[spikes.start[1:]] - passed[spikes.start[:-1]]


def fan_out(pre: np.ndarray, post: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fan-out table of a list of synapses (s,): `fan_start` (n+1,), `fan_core` (f,) ascending per neuron,
    `fan_synapses` (f,).
    """
    core = np.asarray(core, np.int64)
    total = int(core.max(initial=0)) + 1
    key, synapses = np.unique(np.asarray(pre, np.int64) * total + core[np.asarray(post)], return_counts=True)
    return np.searchsorted(key, np.arange(len(core) + 1) * total), key % total, synapses
