"""The packet network of the grid, clock by clock where packets are, skipping the cycles where none is.

Every router has five merges (forward east, west, north, south, and local in); each takes a packet from one of its
input buffers (fixed priority) on one falling edge and hands it on at the next, so it serves one packet per two
cycles. Buffers hold four packets and move on rising edges. A merge whose output side has any full buffer stands
still *with its strobes up*: the packet in hand may then be written again, or a read repeated, as in the RTL.

A packet is one int64: dx + 512, dy + 512, axon, delivery tick, from the top.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

EAST, WEST, NORTH, SOUTH, LOCAL = range(5)  #: merges of a router
MERGES, BUFFERS, DEPTH = 5, 12, 4
DX, DY, AXON = 36, 24, 4  #: lowest bits of a packet's fields
BIAS = 512  #: added to dx and dy
INJECT_FROM = 8  #: cycle of the first packet that enters from outside in a tick
N_ACTIVE, IN_READ, IN_WRITTEN, IN_EXPECTED, N_WAITING, LOST, MISSED, STUCK = range(8)  #: places in the counters
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Network(NamedTuple):
    """Wiring and state of all routers; buffer b of core k is k * 12 + b, the input buffer the last one."""

    sources: np.ndarray  # int64 (m, 3), input buffers of a merge by priority, -1 none
    consumer: np.ndarray  # int64 (b,), merge that reads a buffer, -1 none (the edge of the grid)
    data: np.ndarray  # int64 (b, 4)
    first: np.ndarray  # int64 (b,), read position
    count: np.ndarray  # int64 (b,)
    out: np.ndarray  # int64 (b,), last packet read
    reading: np.ndarray  # int64 (m,), 1 + port being read, 0 none
    writing: np.ndarray  # uint8 (m,)
    hand: np.ndarray  # int64 (m,), packet in hand
    active: np.ndarray  # int64 (m,), list of merges with something to do
    listed: np.ndarray  # uint8 (m,)
    popping: np.ndarray  # uint8 (m,), scratch
    waiting: np.ndarray  # int64 (2 c, 2), (core, packet) that its neuron block writes on the next rising edge
    counters: np.ndarray  # int64 (8,)


@njit(forceinline=True, **_JIT)
def activate(net, merge):
    """Put a merge on the list."""
    if merge >= 0 and net.listed[merge] == 0:
        net.listed[merge] = 1
        net.active[net.counters[N_ACTIVE]] = merge
        net.counters[N_ACTIVE] += 1


@njit(forceinline=True, **_JIT)
def store(net, buffer, packet):
    """Write into a buffer that was not full before the edge; a full one ignores it."""
    if net.count[buffer] < DEPTH:
        net.data[buffer, (net.first[buffer] + net.count[buffer]) & (DEPTH - 1)] = packet
        net.count[buffer] += 1
        net.counters[STUCK] += net.consumer[buffer] < 0
        activate(net, net.consumer[buffer])


@njit(forceinline=True, **_JIT)
def forward(net, merge):
    """Rising edge of a merge with a packet in hand: into the buffer of its way, one hop less to go."""
    base = merge // MERGES * BUFFERS
    kind = merge % MERGES
    packet = net.hand[merge]
    dx = (packet >> DX) - BIAS
    dy = (packet >> DY & 1023) - BIAS
    if kind in (EAST, WEST):
        first = base + (2 if kind == EAST else 5)
        if dx != 0:
            store(net, first, packet - (1 << DX) if kind == EAST else packet + (1 << DX))
        else:
            store(net, first + (1 if dy >= 0 else 2), packet)
    else:
        first = base + (8 if kind == NORTH else 10)
        if dy != 0:
            store(net, first, packet - (1 << DY) if kind == NORTH else packet + (1 << DY))
        else:
            store(net, first + 1, packet)


@njit(forceinline=True, **_JIT)
def blocked(net, merge):
    """Whether a buffer on a merge's output side is full."""
    base = merge // MERGES * BUFFERS
    kind = merge % MERGES
    if kind == LOCAL:
        return False
    lo, hi = 2, 5
    if kind == WEST:
        lo, hi = 5, 8
    elif kind == NORTH:
        lo, hi = 8, 10
    elif kind == SOUTH:
        lo, hi = 10, 12
    full = False
    for buffer in range(base + lo, base + hi):
        full |= net.count[buffer] == DEPTH
    return full


@njit(forceinline=True, **_JIT)
def occupied(net, merge):
    """First input port with a packet, or -1."""
    for port in range(3):
        buffer = net.sources[merge, port]
        if buffer >= 0 and net.count[buffer] > 0:
            return port
    return -1


@njit(forceinline=True, **_JIT)
def falling(net):
    """Falling edge: every merge takes, hands on, or stands still; idle ones leave the list."""
    kept = 0
    for i in range(net.counters[N_ACTIVE]):
        merge = net.active[i]
        if not blocked(net, merge):
            if net.reading[merge]:
                net.writing[merge] = 1
                net.hand[merge] = net.out[net.sources[merge, net.reading[merge] - 1]]
                net.reading[merge] = 0
            else:
                net.writing[merge] = 0
                net.reading[merge] = occupied(net, merge) + 1
        if net.reading[merge] or net.writing[merge] or occupied(net, merge) >= 0:
            net.active[kept] = merge
            kept += 1
        else:
            net.listed[merge] = 0
    net.counters[N_ACTIVE] = kept


@njit(forceinline=True, **_JIT)
def rising(net, injected, arrivals, written):
    """Rising edge of all buffers; packets leaving for a scheduler go to `arrivals` (core, packet); returns how many.

    The first `written` packets in `waiting` were put there on an earlier edge and enter a local buffer now.
    Full and empty are judged before the edge: reads are decided first, then writes, then reads are done.
    """
    n = net.counters[N_ACTIVE]
    inlet = net.count.size - 1
    for i in range(n):
        merge = net.active[i]
        net.popping[merge] = 0
        if net.reading[merge]:
            net.popping[merge] = net.count[net.sources[merge, net.reading[merge] - 1]] > 0
    arrived = 0
    for i in range(n):
        merge = net.active[i]
        if net.writing[merge]:
            if merge % MERGES == LOCAL:
                arrivals[arrived, 0] = merge // MERGES
                arrivals[arrived, 1] = net.hand[merge]
                arrived += 1
            else:
                forward(net, merge)
    for i in range(written):
        core, packet = net.waiting[i, 0], net.waiting[i, 1]
        store(net, core * BUFFERS + (1 if (packet >> DX) < BIAS else 0), packet)
    for i in range(written, net.counters[N_WAITING]):
        net.waiting[i - written] = net.waiting[i]
    net.counters[N_WAITING] -= written
    for i in range(n):
        merge = net.active[i]
        if net.popping[merge]:
            buffer = net.sources[merge, net.reading[merge] - 1]
            if buffer == inlet:
                net.out[buffer] = injected[net.counters[IN_READ]]
                net.counters[IN_READ] += 1
            else:
                net.out[buffer] = net.data[buffer, net.first[buffer]]
                net.first[buffer] = (net.first[buffer] + 1) & (DEPTH - 1)
            net.count[buffer] -= 1
    return arrived
