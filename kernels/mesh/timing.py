"""Semi-analytic timing of a step: messages in order of sending, delayed by the mean density of messages on
their route.

The model of SANA-FE 2.2 ("detailed"): every core has a queue of messages, a heap holds the next one of
each core, and the network is a field of message densities per link. Ties in sending time are resolved as
the C++ standard library's binary heap does, so that equal inputs give equal times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.mesh.traffic import (
    FanOut,
    Mesh,
    Messages,
    Placement,
    SpikeLog,
    Times,
    count_hops,
    fill_messages,
    most_messages,
    neighbour,
    new_messages,
    next_direction,
    receive_times,
)


class Schedule(NamedTuple):
    """When each message of a step was sent, received and processed (m,), in seconds from the start of the
    step.
    """

    sent: np.ndarray
    received: np.ndarray
    processed: np.ndarray
    network: np.ndarray
    blocked: np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def _sift_up(heap, hole, item, key):
    parent = (hole - 1) // 2
    while hole > 0 and key[heap[parent]] > key[item]:
        heap[hole] = heap[parent]
        hole = parent
        parent = (hole - 1) // 2
    heap[hole] = item


@njit(cache=True, nogil=True, error_model="numpy")
def _pop(heap, size, key):
    """Index with the smallest key; the order of equal keys is that of `std::pop_heap`."""
    top = heap[0]
    item = heap[size - 1]
    length = size - 1
    hole = 0
    child = 0
    while child < (length - 1) // 2:
        child = 2 * (child + 1)
        if key[heap[child]] > key[heap[child - 1]]:
            child -= 1
        heap[hole] = heap[child]
        hole = child
    if length > 0 and length % 2 == 0 and child == (length - 2) // 2:
        child = 2 * (child + 1)
        heap[hole] = heap[child - 1]
        hole = child - 1
    if length > 0:
        _sift_up(heap, hole, item, key)
    return top


@njit(cache=True, nogil=True, error_model="numpy")
def _route(source, target, mesh: Mesh, links):
    """Fill `links` with the link index at each tile of the route; return the number of tiles (hops + 1).

    At the first tile it is the sending core's own link; at a later tile the direction in which it was
    entered.
    """
    tile, goal = source // mesh.cores_per_tile, target // mesh.cores_per_tile
    per_tile = 4 + mesh.cores_per_tile
    links[0] = tile * per_tile + 4 + source % mesh.cores_per_tile
    count = 1
    while tile != goal:
        d = next_direction(tile, goal, mesh.height)
        tile = neighbour(tile, d, mesh.height)
        links[count] = tile * per_tile + d
        count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def schedule_step(msg: Messages, core_of, mesh: Mesh, hop_time, out: Schedule):
    """Time of a step in seconds, without barrier; fills `out`. `core_of` (n,) gives the core of a message's
    source.
    """
    cores = msg.start.size - 1
    total = msg.start[cores]
    next_of = msg.start[:-1].copy()
    finished = msg.outside.copy()
    density = np.zeros(mesh.width * mesh.height * (4 + mesh.cores_per_tile))
    links = np.zeros(mesh.width + mesh.height + 1, np.int64)
    hops = np.zeros(4, np.int64)
    waiting, size = np.zeros(cores, np.int64), 0
    flying, in_flight = np.zeros(total, np.int64), 0
    mean, last = 0.0, finished.max()
    for c in range(cores):
        if next_of[c] < msg.start[c + 1]:
            i = next_of[c]
            next_of[c] += 1
            out.sent[i] = msg.generation[i]
            _sift_up(waiting, size, i, out.sent)
            size += 1
    while size > 0:
        i = _pop(waiting, size, out.sent)
        size -= 1
        c = core_of[msg.source[i]]
        last = max(last, out.sent[i])
        while in_flight > 0 and out.received[flying[0]] <= out.sent[i]:
            gone = _pop(flying, in_flight, out.received)
            count = _route(core_of[msg.source[gone]], msg.target[gone], mesh, links)
            for k in range(count):
                density[links[k]] -= 1.0 / (count + 1.0)
            mean = mean + (mean - msg.processing[gone]) / (in_flight - 1.0) if in_flight > 1 else 0.0
            in_flight -= 1
        if msg.target[i] >= 0:
            count = _route(c, msg.target[i], mesh, links)
            along = 0.0
            for k in range(count):
                along += density[links[k]]
            out.blocked[i] = max(0.0, (along - count * mesh.buffer) * mean)
            out.sent[i] += out.blocked[i]
            hops[:] = 0
            count_hops(c, msg.target[i], mesh, hops)
            shortest = 0.0
            for d in range(4):
                shortest += hops[d] * hop_time[d]
            out.network[i] = max(shortest, along * mean / count)
            arrived = out.sent[i] + out.network[i]
            out.received[i] = max(finished[msg.target[i]], arrived)
            out.processed[i] = out.received[i] + msg.processing[i]
            finished[msg.target[i]] = out.processed[i]
            last = max(last, out.processed[i])
            for k in range(count):
                density[links[k]] += 1.0 / (count + 1.0)
            mean += (msg.processing[i] - mean) / (in_flight + 1.0)
            _sift_up(flying, in_flight, i, out.received)
            in_flight += 1
        if next_of[c] < msg.start[c + 1]:
            j = next_of[c]
            next_of[c] += 1
            out.sent[j] = out.sent[i] + msg.generation[j]
            last = max(last, out.sent[j])
            _sift_up(waiting, size, j, out.sent)
            size += 1
    return last


@njit(cache=True, nogil=True, error_model="numpy")
def new_schedule(size):
    """Empty `Schedule` with room for `size` messages."""
    return Schedule(np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size))


@njit(cache=True, nogil=True, error_model="numpy")
def detailed_times(log: SpikeLog, fan: FanOut, place: Placement, times: Times, mesh: Mesh):
    """Time of each step (t,) in seconds, without barrier."""
    steps = log.start.size - 1
    cores = place.start.size - 1
    size = most_messages(log, fan, cores)
    msg, plan = new_messages(size, cores), new_schedule(size)
    receive = receive_times(fan, times)
    fired = np.zeros(place.core.size, np.uint8)
    result = np.zeros(steps)
    for t in range(steps):
        fill_messages(log, t, fan, receive, place, times, fired, msg)
        result[t] = schedule_step(msg, place.core, mesh, times.hop, plan)
    return result
