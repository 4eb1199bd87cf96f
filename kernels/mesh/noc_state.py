"""State of a network on chip: ports, cores, the trip of each message, and the heap of what happens next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.mesh.traffic import EAST, NORTH, SOUTH, WEST, Mesh

# What happens within a cycle, in this order; switch and ejection of the first subnet come before those of
# the others.
CREDIT, SEND, ARRIVE, GRANT, SWITCH, EJECT = 0, 1, 2, 3, 4, 5
BUSY = np.int64(1 << 40)
OPPOSITE = (WEST, EAST, SOUTH, NORTH)


class Router(NamedTuple):
    """Clock period in s, subnets, cycles of wire, switch and crossbar, packets per input buffer, slots at a core,
    and 1 if a step ends serially (`end_serially`).
    """

    clock: float
    subnets: int
    wire: int
    switch: int
    crossbar: int
    buffer: int
    slots: int
    serial_end: int = 0


class Ports(NamedTuple):
    """State of all ports. Port p of the router of tile r in subnet s has index (s * tiles + r) * (k + 4) +
    p, k cores a tile.

    Inputs: `queue` (ports, buffer) messages, `head`, `count` of places used, `present` packets there.
    Outputs: `open_from` cycle (BUSY while granted), `turn` the input that is asked first, `asking` bits of
    the inputs that want it, `taken` places in the buffer at its other end, `stalled` the input that waits
    for room, or -1. Behind the outputs follow the channels from the cores, (subnet, core).
    """

    queue: np.ndarray
    head: np.ndarray
    count: np.ndarray
    present: np.ndarray
    open_from: np.ndarray
    turn: np.ndarray
    asking: np.ndarray
    taken: np.ndarray
    stalled: np.ndarray


class Cores(NamedTuple):
    """Receiving side of each core: when the last packets began (c, slots), how many came, and when all are
    done.
    """

    began: np.ndarray
    received: np.ndarray
    done: np.ndarray


class Trip(NamedTuple):
    """Per message of a step: cycle in which it was sent, entered its core, and was processed."""

    sent: np.ndarray
    arrived: np.ndarray
    done: np.ndarray


class Heap(NamedTuple):
    """What happens next: keys sorted by cycle, kind and item, `size[0]` of them."""

    key: np.ndarray
    size: np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def push(heap: Heap, cycle, kind, item):
    """Add what happens in a cycle to an item."""
    key = (cycle * 8 + kind) << 24 | item
    hole = heap.size[0]
    heap.size[0] += 1
    while hole > 0 and heap.key[(hole - 1) // 2] > key:
        heap.key[hole] = heap.key[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap.key[hole] = key


@njit(cache=True, nogil=True, error_model="numpy")
def pop(heap: Heap):
    """Cycle, kind and item of what happens next; it leaves the heap."""
    top = heap.key[0]
    heap.size[0] -= 1
    size = heap.size[0]
    last, hole = heap.key[size], 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and heap.key[child + 1] < heap.key[child]:
            child += 1
        if heap.key[child] >= last:
            break
        heap.key[hole] = heap.key[child]
        hole = child
    heap.key[hole] = last
    return top >> 27, (top >> 24) & 7, top & 0xFFFFFF


@njit(cache=True, nogil=True, error_model="numpy")
def cycles(seconds, clock):
    """Seconds as whole clock cycles, to the nearest."""
    return np.int64(seconds / clock + 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def at_rest(mesh: Mesh, router: Router):
    """Ports, cores and heap of a network at rest."""
    tiles, k = mesh.width * mesh.height, mesh.cores_per_tile
    outputs, channels = router.subnets * tiles * (k + 4), router.subnets * tiles * k
    net = Ports(
        np.zeros((outputs, router.buffer), np.int64),
        np.zeros(outputs, np.int64),
        np.zeros(outputs, np.int64),
        np.zeros(outputs, np.int64),
        np.zeros(outputs, np.int64),
        np.zeros(outputs, np.int64),
        np.zeros(outputs, np.int64),
        np.zeros(outputs + channels, np.int64),
        np.full(outputs + channels, -1, np.int64),
    )
    cores = Cores(
        np.zeros((tiles * k, router.slots), np.int64),
        np.zeros(tiles * k, np.int64),
        np.zeros(tiles * k, np.int64),
    )
    heap = Heap(np.zeros(4 * outputs * (router.buffer + k + 4) + tiles * k, np.int64), np.zeros(1, np.int64))
    return net, cores, heap
