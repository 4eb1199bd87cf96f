"""Packets on a mesh: who sends what to whom in a step, through which links, and what the cores spend on it.

One packet goes from a neuron that fired to each core that holds synapses of it, whatever their number.
Packets leave a core in the order of its neurons, and those of one neuron in ascending order of destination
core. Routes go along x first, then y. Tile t sits at x = t // height, y = t % height; core c on tile c //
cores_per_tile. Links by direction: 0 east, 1 west, 2 north (+y), 3 south.

Letters: n neurons, c cores, t steps, f fan-out entries (neuron, destination core), m messages of a step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

EAST, WEST, NORTH, SOUTH = 0, 1, 2, 3


class Mesh(NamedTuple):
    """A mesh of `width` x `height` tiles (all chips side by side along x), and messages that one link
    buffers.
    """

    width: int
    height: int
    cores_per_tile: int
    buffer: int


class FanOut(NamedTuple):
    """Destination cores of each neuron: entries start[i]:start[i+1] of `core` (ascending) and `synapses`
    (count there).
    """

    start: np.ndarray
    core: np.ndarray
    synapses: np.ndarray


class Placement(NamedTuple):
    """Core of each neuron (n,), the neurons sorted by core (n,), their bounds (c+1,), and which neurons
    cost no time.
    """

    core: np.ndarray
    order: np.ndarray
    start: np.ndarray
    free: np.ndarray


class SpikeLog(NamedTuple):
    """Neurons that fired, step by step: `neuron[start[t]:start[t+1]]` ascending. `active` (t, ceil(n/8))
    bits, little-endian.
    """

    start: np.ndarray
    neuron: np.ndarray
    active: np.ndarray


class Times(NamedTuple):
    """Seconds per act: neuron access, update, spike; packet out, in; synaptic event; hops by direction
    (4,).
    """

    access: float
    update: float
    spike: float
    axon_out: float
    axon_in: float
    synapse: float
    hop: np.ndarray


class Messages(NamedTuple):
    """Messages of one step, core by core (`start` (c+1,)); destination -1 is work after the last message of
    a core.
    """

    start: np.ndarray
    source: np.ndarray
    target: np.ndarray
    synapses: np.ndarray
    generation: np.ndarray
    processing: np.ndarray
    outside: np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def add_loads(spikes: np.ndarray, fan: FanOut, core: np.ndarray, mesh: Mesh, loads):
    """Add to loads (tiles, 4) the packets that each link carries when the neurons fire spikes (n,) times."""
    for i in range(core.size):
        if spikes[i] > 0 and core[i] >= 0:
            for k in range(fan.start[i], fan.start[i + 1]):
                add_load(core[i], fan.core[k], mesh, spikes[i], loads)


@njit(cache=True, nogil=True, error_model="numpy")
def count_neurons(log: SpikeLog, core: np.ndarray, free: np.ndarray, fires, updates):
    """Add to (t, c) the neurons that fired, and those that fired or were active; not those that are `free`
    or outside.
    """
    fired = np.zeros(core.size, np.uint8)
    for t in range(log.start.size - 1):
        for s in range(log.start[t], log.start[t + 1]):
            fired[log.neuron[s]] = 1
        for i in range(core.size):
            if core[i] >= 0 and free[i] == 0:
                if fired[i]:
                    fires[t, core[i]] += 1
                if fired[i] or (log.active[t, i >> 3] >> (i & 7)) & 1:
                    updates[t, core[i]] += 1
        for s in range(log.start[t], log.start[t + 1]):
            fired[log.neuron[s]] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def count_hops(source, target, mesh: Mesh, hops):
    """Add to hops (4,) the links by direction between two cores."""
    a, b = source // mesh.cores_per_tile, target // mesh.cores_per_tile
    dx = b // mesh.height - a // mesh.height
    dy = b % mesh.height - a % mesh.height
    hops[EAST if dx > 0 else WEST] += abs(dx)
    hops[NORTH if dy > 0 else SOUTH] += abs(dy)


@njit(cache=True, nogil=True, error_model="numpy")
def add_load(source, target, mesh: Mesh, packets, loads):
    """Add `packets` to each link (tile that it leaves, direction) between two cores, x first."""
    tile, goal = source // mesh.cores_per_tile, target // mesh.cores_per_tile
    while tile != goal:
        d = next_direction(tile, goal, mesh.height)
        loads[tile, d] += packets
        tile = neighbour(tile, d, mesh.height)


@njit(cache=True, nogil=True, error_model="numpy")
def next_direction(tile, goal, height):
    """Direction of the next hop from a tile to another one: along x until the column fits, then along y."""
    dx = goal // height - tile // height
    if dx != 0:
        return EAST if dx > 0 else WEST
    return NORTH if goal > tile else SOUTH


@njit(cache=True, nogil=True, error_model="numpy")
def neighbour(tile, direction, height):
    """Tile next to `tile` in a direction."""
    if direction == EAST:
        return tile + height
    if direction == WEST:
        return tile - height
    return tile + 1 if direction == NORTH else tile - 1


@njit(cache=True, nogil=True, error_model="numpy")
def most_messages(log: SpikeLog, fan: FanOut, cores):
    """Largest number of messages (with one trailing entry per core) of any step: the size that `Messages`
    needs.
    """
    largest = 0
    for t in range(log.start.size - 1):
        m = 0
        for s in range(log.start[t], log.start[t + 1]):
            m += fan.start[log.neuron[s] + 1] - fan.start[log.neuron[s]]
        largest = max(largest, m)
    return largest + cores


@njit(cache=True, nogil=True, error_model="numpy")
def new_messages(size, cores):
    """Empty `Messages` with room for `size` of them."""
    return Messages(
        np.zeros(cores + 1, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.float64),
        np.zeros(size, np.float64),
        np.zeros(cores, np.float64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def receive_times(fan: FanOut, times: Times):
    """Seconds (f,) that a core spends on a packet of each fan-out entry, added up as the core does, synapse
    by synapse.
    """
    result = np.empty(fan.core.size)
    for k in range(fan.core.size):
        spent = times.axon_in
        for _ in range(fan.synapses[k]):
            spent += times.synapse
        result[k] = spent
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def fill_messages(log: SpikeLog, t, fan: FanOut, receive, place: Placement, times: Times, fired, out: Messages):
    """Messages of step t with the time that the sender spends before each and the receiver (`receive` (f,))
    on each.

    `fired` (n,) uint8 is scratch, all zero before and after. A neuron is handled in `access`, plus `update`
    if it was active or fired, plus `spike` if it fired; what remains after the last message of a core
    becomes a message to core -1. Sums are formed neuron by neuron: equal times of two messages then stay
    equal to the last bit.
    """
    out.outside[:] = 0.0
    for s in range(log.start[t], log.start[t + 1]):
        i = log.neuron[s]
        fired[i] = 1
        if place.core[i] < 0:
            for k in range(fan.start[i], fan.start[i + 1]):
                out.outside[fan.core[k]] += receive[k]
    m = 0
    for c in range(place.start.size - 1):
        out.start[c] = m
        spent = 0.0
        last = -1
        for j in range(place.start[c], place.start[c + 1]):
            i = place.order[j]
            last = i
            if place.free[i] == 0:
                own = times.access
                if fired[i] or (log.active[t, i >> 3] >> (i & 7)) & 1:
                    own += times.update
                if fired[i]:
                    own += times.spike
                spent += own
            if fired[i]:
                for k in range(fan.start[i], fan.start[i + 1]):
                    out.source[m] = i
                    out.target[m] = fan.core[k]
                    out.synapses[m] = fan.synapses[k]
                    out.generation[m] = spent + times.axon_out
                    out.processing[m] = receive[k]
                    spent = 0.0
                    m += 1
        if spent > 0.0:
            out.source[m], out.target[m], out.synapses[m] = last, -1, 0
            out.generation[m], out.processing[m] = spent, 0.0
            m += 1
    out.start[place.start.size - 1] = m
    for s in range(log.start[t], log.start[t + 1]):
        fired[log.neuron[s]] = 0
