"""Delivery: what the spikes of a step add to the accumulators of their targets.

A spike acts `delay` slots ahead in the ring of its target port. Sparse rows hold ring positions
(delay * targets + target), so that a delay costs one addition and one wrap, and no second pass.
Unsigned indices and row slices spare Numba its wrap-around handling (measured 1.5x).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.intrinsics import prefetch
from chipsim.kernels.jit import INNER

SPARSE8 = 0  #: packed rows: int8 weight << 24 | ring position
SPARSE = 1  #: rows of uint32 ring positions and wide weights
DENSE8 = 2  #: int8 rows, one per source, all targets
DENSE = 3  #: wide rows
CONV = 4  #: a convolution's kernel, one patch per spike

POSITION_BITS = 24
NOWHERE = np.uint32(0xFFFFFFFF)  #: a patch column or row that falls outside the output
AHEAD = 4  #: how many spikes ahead a row is prefetched (3-6 are best on W3, 12 is a third slower)


@njit(**INNER)
def deliver_sparse8(acc, indptr, packed, ids, source, pointer, start, size):
    """Add the packed rows of the spikes `ids` (plain spikes) to the ring acc[0:size] from `start` on."""
    mask = np.uint32((1 << POSITION_BITS) - 1)
    count = ids.size
    for k in range(count):
        if k + AHEAD < count:
            ahead = np.intp(indptr[pointer + np.intp(ids[k + AHEAD]) - source])
            prefetch(packed, ahead)
            prefetch(packed, ahead + 16)
            prefetch(packed, ahead + 32)
            prefetch(packed, ahead + 48)
            prefetch(packed, ahead + 64)
            prefetch(packed, ahead + 80)
            prefetch(packed, ahead + 96)
            prefetch(packed, ahead + 112)
        at = pointer + np.intp(ids[k]) - source
        row = packed[indptr[at] : indptr[at + 1]]
        # Rows are sorted by ring position: those from `turn` on have passed the end of the ring.
        turn = row.size if start == 0 else _first_at_least(row, np.uint32(size - start))
        ahead_of_end = acc[start:size]
        for j in range(turn):
            entry = row[j]
            ahead_of_end[entry & mask] += np.int32(entry) >> np.int32(POSITION_BITS)
        back = np.uint32(size - start)
        for j in range(turn, row.size):
            entry = row[j]
            acc[np.uint32((entry & mask) - back)] += np.int32(entry) >> np.int32(POSITION_BITS)


@njit(**INNER)
def _first_at_least(row, position):
    """Index of the first entry of a sorted packed row whose ring position is at least `position`."""
    mask = np.uint32((1 << POSITION_BITS) - 1)
    lo, hi = 0, row.size
    while lo < hi:
        middle = (lo + hi) >> 1
        if (row[middle] & mask) < position:
            lo = middle + 1
        else:
            hi = middle
    return lo


@njit(**INNER)
def deliver_sparse(acc, indptr, index, wide, ids, values, graded, source, pointer, start, size):
    """Add wide sparse rows, each multiplied by its spike's value when `graded`."""
    end = np.uint32(size)
    base = np.uint32(start)
    for k in range(ids.size):
        at = pointer + np.intp(ids[k]) - source
        lo, hi = indptr[at], indptr[at + 1]
        row, weight = index[lo:hi], wide[lo:hi]
        if graded:
            scale = values[k]
            for j in range(row.size):
                place = np.uint32(row[j] + base)
                place = min(place, np.uint32(place - end))
                acc[place] += weight[j] * scale
        elif start == 0:
            for j in range(row.size):
                acc[row[j]] += weight[j]
        else:
            for j in range(row.size):
                place = np.uint32(row[j] + base)
                place = min(place, np.uint32(place - end))
                acc[place] += weight[j]


@njit(**INNER)
def deliver_dense(acc, rows, ids, source, pointer, width):
    """Add dense rows to acc[0:width], four at a time: one pass over the accumulators for four spikes."""
    count = ids.size
    k = 0
    while k + 4 <= count:
        a = pointer + (np.intp(ids[k]) - source) * width
        b = pointer + (np.intp(ids[k + 1]) - source) * width
        c = pointer + (np.intp(ids[k + 2]) - source) * width
        d = pointer + (np.intp(ids[k + 3]) - source) * width
        ra, rb, rc, rd = rows[a : a + width], rows[b : b + width], rows[c : c + width], rows[d : d + width]
        for j in range(width):
            acc[j] += (ra[j] + rb[j]) + (rc[j] + rd[j])
        k += 4
    while k < count:
        a = pointer + (np.intp(ids[k]) - source) * width
        row = rows[a : a + width]
        for j in range(width):
            acc[j] += row[j]
        k += 1


@njit(**INNER)
def deliver_dense_in_order(acc, rows, ids, source, pointer, width):
    """Add dense rows one after another: the order of float sums is the order of the sources."""
    for k in range(ids.size):
        a = pointer + (np.intp(ids[k]) - source) * width
        row = rows[a : a + width]
        for j in range(width):
            acc[j] += row[j]


@njit(**INNER)
def deliver_dense_graded(acc, rows, ids, values, source, pointer, width):
    """Add dense rows, each multiplied by its spike's value."""
    for k in range(ids.size):
        a = pointer + (np.intp(ids[k]) - source) * width
        row, scale = rows[a : a + width], values[k]
        for j in range(width):
            acc[j] += row[j] * scale


@njit(**INNER)
def deliver_conv(acc, kernel, places, ids, values, graded, source, pointer, geometry):
    """Add one kernel patch per spike; kernel layout (in channel, k0, k1, out channel of the group).

    `places` holds, from geometry[8] on, the output row of every (input row, k0), then from geometry[9] on the
    output column of every (input column, k1); NOWHERE where there is none. Looking them up instead of
    dividing by the stride is worth 4x on W5.
    """
    n0, n1, n_in, m0, m1, n_out = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4], geometry[5]
    k0, k1, table0, table1, groups, first = (
        geometry[6], geometry[7], geometry[8], geometry[9], geometry[10], geometry[11],
    )  # fmt: skip
    per_out, per_in = n_out // groups, n_in // groups
    stride = m0 * m1 if first else 1
    pixels = np.uint32(n0 * n1) if first else np.uint32(n_in)
    for k in range(ids.size):
        flat = np.uint32(np.intp(ids[k]) - source)
        high, low = np.intp(flat // pixels), np.intp(flat % pixels)
        channel, pixel = (high, low) if first else (low, high)
        i0 = np.intp(np.uint32(pixel) // np.uint32(n1))
        i1 = pixel - i0 * n1
        group = channel // per_in if groups > 1 else 0
        out0 = group * per_out
        base = pointer + channel * k0 * k1 * per_out
        for a in range(k0):
            o0 = places[table0 + i0 * k0 + a]
            if o0 == NOWHERE:
                continue
            for b in range(k1):
                o1 = places[table1 + i1 * k1 + b]
                if o1 == NOWHERE:
                    continue
                pixel_out = np.intp(o0) * m1 + np.intp(o1)
                at = base + (a * k1 + b) * per_out
                patch = kernel[at : at + per_out]
                if first or graded:
                    scale = values[k] if graded else 1
                    begin = out0 * stride + pixel_out if first else pixel_out * n_out + out0
                    for c in range(per_out):
                        acc[begin + c * stride] += patch[c] * scale
                else:
                    begin = pixel_out * n_out + out0
                    target = acc[begin : begin + per_out]
                    for c in range(per_out):
                        target[c] += patch[c]
