"""The XY mesh: one five-port router a core, moved clock cycle by clock cycle; packets race for the accumulators."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

from .rows import ADDED, SLOTS, X
from .schedule import captured, current_of, overwrite

LOCAL, NORTH, SOUTH, EAST, WEST = range(5)
PORTS, ROUTER_DEPTH = 5, 16
QUIET = 4  #: consecutive empty cycles that end the drain


class Routers(NamedTuple):
    """State of the mesh; packets are core, neuron, current."""

    fifo: np.ndarray  # int32 (c, 5, 16, 3)
    head: np.ndarray  # int32 (c, 5)
    count: np.ndarray  # int32 (c, 5)
    out: np.ndarray  # int32 (c, 5, 3)
    valid: np.ndarray  # uint8 (c, 5)
    before: np.ndarray  # int32 (c, 5): fill of the FIFOs before the edge
    granted: np.ndarray  # int32 (c, 5): output direction that an input's head is given, -1
    entry: np.ndarray  # int32 (c, 4): valid, core, neuron, current: the core's local-in register


def make_routers(cores: int) -> Routers:
    """An empty mesh."""
    return Routers(
        np.zeros((cores, PORTS, ROUTER_DEPTH, 3), np.int32), np.zeros((cores, PORTS), np.int32),
        np.zeros((cores, PORTS), np.int32), np.zeros((cores, PORTS, 3), np.int32),
        np.zeros((cores, PORTS), np.uint8), np.zeros((cores, PORTS), np.int32), np.zeros((cores, PORTS), np.int32),
        np.zeros((cores, 4), np.int32),
    )  # fmt: skip


@njit(**INNER)
def _direction(core, to, columns):
    x, y, tx, ty = core % columns, core // columns, to % columns, to // columns
    if tx != x:
        return EAST if tx > x else WEST
    if ty != y:
        return NORTH if ty > y else SOUTH
    return LOCAL


@njit(**INNER)
def _neighbour(core, port, columns, lines):
    """Router beyond a port, -1 at the edge of the mesh."""
    x, y = core % columns, core // columns
    if port == NORTH:
        return core + columns if y + 1 < lines else -1
    if port == SOUTH:
        return core - columns if y > 0 else -1
    if port == EAST:
        return core + 1 if x + 1 < columns else -1
    return core - 1 if x > 0 else -1


@njit(**INNER)
def clock(m, net, edge, draining):
    """One clock edge of all routers; `draining`: cores take packets. Returns whether anything moved."""
    cores, columns, lines = m.size[X.CORES], m.size[X.COLUMNS], m.size[X.LINES]
    arb = edge % PORTS
    moved = False
    before, granted = net.before, net.granted
    for c in range(cores):
        claimed = 0
        for port in range(PORTS):
            before[c, port] = net.count[c, port]
            granted[c, port] = -1
        for i in range(PORTS):
            port = (arb + i) % PORTS
            if before[c, port] == 0:
                continue
            packet = net.fifo[c, port, net.head[c, port]]
            way = _direction(c, packet[0], columns)
            if net.valid[c, way] == 0 and not claimed >> way & 1:
                claimed |= 1 << way
                granted[c, port] = way
    for c in range(cores):  # output registers into the neighbours' FIFOs, or the core
        for way in range(PORTS):
            if not net.valid[c, way]:
                continue
            packet = net.out[c, way]
            if way == LOCAL:
                if not draining:
                    continue
                m.tally[c, ADDED.OVERWRITTEN] += overwrite(m, c, packet[1], packet[2])
            else:
                other = _neighbour(c, way, columns, lines)
                if other >= 0:
                    port = SOUTH if way == NORTH else NORTH if way == SOUTH else WEST if way == EAST else EAST
                    if before[other, port] == ROUTER_DEPTH:
                        continue
                    _enter(net, other, port, packet[0], packet[1], packet[2])
                else:
                    m.tally[c, ADDED.PACKETS_LOST] += 1
            net.valid[c, way] = 0
            moved = True
    for c in range(cores):
        if net.entry[c, 0]:
            if before[c, LOCAL] < ROUTER_DEPTH:
                _enter(net, c, LOCAL, net.entry[c, 1], net.entry[c, 2], net.entry[c, 3])
            else:
                m.tally[c, ADDED.PACKETS_LOST] += 1
            net.entry[c, 0] = 0
            moved = True
    for c in range(cores):
        for port in range(PORTS):
            way = granted[c, port]
            if way >= 0:
                for j in range(3):
                    net.out[c, way, j] = net.fifo[c, port, net.head[c, port], j]
                net.valid[c, way] = 1
                net.head[c, port] = (net.head[c, port] + 1) % ROUTER_DEPTH
                net.count[c, port] -= 1
                moved = True
    return moved


@njit(**INNER)
def _enter(net, core, port, to, neuron, current):
    row = net.fifo[core, port, (net.head[core, port] + net.count[core, port]) % ROUTER_DEPTH]
    row[0], row[1], row[2] = to, neuron, current
    net.count[core, port] += 1


@njit(**INNER)
def run_until(m, net, edge, last):
    """Routers alone from `edge` to `last` (excluded); a mesh that stands still is skipped."""
    still = 0
    while edge < last and still < PORTS:
        still = 0 if clock(m, net, edge, False) else still + 1
        edge += 1


@njit(**INNER)
def _empty(net):
    for c in range(net.count.shape[0]):
        for port in range(PORTS):
            if net.count[c, port] or net.valid[c, port]:
                return False
    return True


@njit(**INNER)
def drain_mesh(m, net, edge):
    """Packets of the last timestep reach their cores; returns the cycles."""
    quiet, cycles = 0, 0
    while quiet < QUIET:
        quiet = quiet + 1 if _empty(net) else 0
        clock(m, net, edge, True)
        edge += 1
        cycles += 1
    return cycles


@njit(**INNER)
def walk_mesh(m, net, flags, edge):
    """The route walk: one slot in three cycles into the source core's router; returns the cycles."""
    first = edge
    for c in range(m.size[X.CORES]):
        for k in range(captured(m, c)):
            n, payload = m.pulse[c, k, 0], m.pulse[c, k, 2]
            clock(m, net, edge, False)
            edge += 1
            for slot in range(SLOTS):
                clock(m, net, edge, False)
                clock(m, net, edge + 1, False)
                row = m.route[c, n, slot]
                room = net.count[c, LOCAL] < ROUTER_DEPTH
                clock(m, net, edge + 2, False)
                edge += 3
                if row[0] == 0:
                    continue
                if room:
                    entry = net.entry[c]
                    entry[0], entry[1], entry[2] = 1, row[1], row[2]
                    entry[3] = current_of(row[3], payload, flags)
                else:
                    m.tally[c, ADDED.PACKETS_LOST] += 1
        clock(m, net, edge, False)
        edge += 1
    return edge - first
