"""Packets that start together in an idle network: contention on a grid of two-cycle slots, exact and fast.

Every merge of the network serves one packet in two cycles, so packets that enter on the same cycle stay on the same
slots for ever: in a slot each merge passes on one of the packets that wait for it, the one at the port of highest
priority, and at that port the one that came first. That is all that happens as long as no buffer fills up; when one
does, `burst` gives up and the network is clocked (grid_router).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.chips.grid.router import BIAS, DEPTH, DX, DY, EAST, LOCAL, MERGES, NORTH, SOUTH, WEST

SLOT = 2  #: cycles
FREE = 1 << 40  #: claim of a merge for which nobody waits
ORDER = 1 << 12  #: slots that one burst can last; a claim is port * ORDER + slot of arrival
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Burst(NamedTuple):
    """Packets of a burst, by number of the packet (p,) unless said, int64."""

    merge: np.ndarray  # merge for which a packet waits
    kind: np.ndarray  # its direction
    claim: np.ndarray  # priority there, smallest first
    dx: np.ndarray  # hops to go
    dy: np.ndarray
    best: np.ndarray  # (m,) smallest claim on a merge; FREE between slots
    count: np.ndarray  # (m, 3) packets at a merge's port; 0 between bursts
    flying: np.ndarray  # list of packets under way
    delivered: np.ndarray  # (p, 3) core, packet, cycles after the spike


@njit(forceinline=True, **_JIT)
def start(waiting, b, n, columns):
    """Put the packets at the merges of their own routers; False if one would leave the grid."""
    merge, kind, claim, dx, dy, flying = b.merge, b.kind, b.claim, b.dx, b.dy, b.flying
    rows = b.best.size // MERGES // columns
    for p in range(n):
        core, packet = waiting[p, 0], waiting[p, 1]
        dx[p] = (packet >> DX) - BIAS
        dy[p] = (packet >> DY & 1023) - BIAS
        x, y = core % columns + dx[p], core // columns + dy[p]
        if x < 0 or x >= columns or y < 0 or y >= rows:
            return False
        kind[p] = WEST if dx[p] < 0 else EAST
        merge[p] = core * MERGES + kind[p]
        claim[p] = ORDER
        b.count[merge[p], 1] = 1
        flying[p] = p
    return True


@njit(forceinline=True, **_JIT)
def advance(kind, dx, dy, columns):
    """Where a merge of direction `kind` sends a packet: step in merges, port there, direction there, hops done."""
    if kind in (EAST, WEST):
        sign = 1 if kind == EAST else -1
        if dx != 0:
            return sign * MERGES, 0, kind, sign, 0
        target = NORTH if dy >= 0 else SOUTH
        return target - kind, 1 + kind, target, 0, 0
    sign = 1 if kind == NORTH else -1
    if dy != 0:
        return sign * MERGES * columns, 0, kind, 0, sign
    return LOCAL - kind, kind - NORTH, LOCAL, 0, 0


@njit(forceinline=True, **_JIT)
def burst(waiting, b, n, columns):
    """Follow `n` packets (core, packet) to their ends, in ``b.delivered``; the cycles until all is quiet, or -1.

    The arrays are unpacked once, because every access through a tuple costs two atomic counts.
    """
    if not start(waiting, b, n, columns):
        b.count[:] = 0
        return -1
    merge, kind, claim, dx, dy = b.merge, b.kind, b.claim, b.dx, b.dy
    best, count, flying, delivered = b.best, b.count, b.flying, b.delivered
    arrived, slot = 0, 0
    while n > 0:
        for i in range(n):
            p = flying[i]
            best[merge[p]] = min(best[merge[p]], claim[p])
        kept = 0
        full = False
        for i in range(n):
            p = flying[i]
            m = merge[p]
            if best[m] != claim[p]:
                flying[kept] = p
                kept += 1
                continue
            best[m] = FREE
            count[m, claim[p] // ORDER] -= 1
            if kind[p] == LOCAL:
                delivered[arrived, 0], delivered[arrived, 1] = m // MERGES, waiting[p, 1]
                delivered[arrived, 2] = SLOT * slot + 3
                arrived += 1
                continue
            step, port, kind[p], right, up = advance(kind[p], dx[p], dy[p], columns)
            dx[p] -= right
            dy[p] -= up
            merge[p] = m + step
            claim[p] = port * ORDER + slot + 1
            flying[kept] = p
            kept += 1
        for i in range(kept):
            p = flying[i]
            if claim[p] % ORDER == slot + 1:
                count[merge[p], claim[p] // ORDER] += 1
                full |= count[merge[p], claim[p] // ORDER] == DEPTH
        n = kept
        slot += 1
        if full or slot == ORDER - 1:
            count[:] = 0
            return -1
    return SLOT * slot + 1
