"""The run loop of a time-step machine: many steps in one call, one short function per act of the hardware.

Order of a step: spikes of the step before arrive, accumulators are read and cleared, neurons are updated,
spikes are collected. Tiles (disjoint sets of targets) may run on threads; each target's sum is formed by one
tile in the order of the sources, so that results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.intrinsics import barrier, first_byte
from chipsim.kernels.jit import ENTRY, INLINE, INNER

from .delivery import (
    CONV,
    DENSE,
    DENSE8,
    SPARSE8,
    deliver_conv,
    deliver_dense,
    deliver_dense_graded,
    deliver_dense_in_order,
    deliver_sparse,
    deliver_sparse8,
)
from .neurons.lif import O_MORE_COMPARTMENTS
from .update import read_port, shift_left, update_segment


@njit(**INLINE)
def deliver(net, st, j, ids, values, t, in_order):
    """Add the spikes `ids` (with `values`) of projection j to its port's ring for step `t` and later."""
    fans, ports = net.fans, net.ports
    q = fans.port[j]
    targets, depth = ports.hi[q] - ports.lo[q], ports.depth[q]
    size = depth * targets
    start = (t % depth) * targets if depth > 1 else 0
    ring = st.acc[ports.offset[q] : ports.offset[q] + size]
    kind, source, pointer, graded = fans.kind[j], fans.source[j], fans.pointer[j], fans.graded[j] != 0
    if kind == SPARSE8:
        deliver_sparse8(ring, net.indptr, net.packed, ids, source, pointer, start, size)
    elif kind == CONV:
        deliver_conv(
            ring[start : start + targets],
            net.wide,
            net.indptr,
            ids,
            values,
            graded,
            source,
            pointer,
            net.fans.geometry[j],
        )
    elif kind in (DENSE8, DENSE):
        # a dense projection has one delay: its rows go to one slot
        slot = ((t + fans.geometry[j, 0]) % depth) * targets if depth > 1 else 0
        row = ring[slot : slot + targets]
        if kind == DENSE8:
            if graded:
                deliver_dense_graded(row, net.narrow, ids, values, source, pointer, targets)
            else:
                deliver_dense(row, net.narrow, ids, source, pointer, targets)
        elif graded:
            deliver_dense_graded(row, net.wide, ids, values, source, pointer, targets)
        elif in_order:
            deliver_dense_in_order(row, net.wide, ids, source, pointer, targets)
        else:
            deliver_dense(row, net.wide, ids, source, pointer, targets)
    else:
        deliver_sparse(ring, net.indptr, net.index, net.weight, ids, values, graded, source, pointer, start, size)


@njit(**INLINE)
def arrive(net, st, inputs, log, i, t, k, in_order):
    """Deliver to tile k what the step before sent, and at once what `early` inputs send now.

    Projections that learn (early = 2) were delivered when their spikes were sent, by `machine_plastic.depart`.
    """
    fans = net.fans
    for j in range(net.fan_ptr[k], net.fan_ptr[k + 1]):
        p = fans.pop[j]
        if fans.early[j] == 2:
            continue
        if fans.early[j] != 0:
            lo, hi = _input_range(net, inputs, i, p)
            values = inputs.value[lo:hi] if inputs.graded else inputs.value
            deliver(net, st, j, inputs.ids[lo:hi], values, t, in_order)
        else:
            lo = log.ptr[i] + st.last_ptr[p]
            hi = log.ptr[i] + st.last_ptr[p + 1]
            if hi > lo:
                values = log.value[lo:hi] if log.graded else log.value
                deliver(net, st, j, log.ids[lo:hi], values, t, in_order)


@njit(**INLINE)
def _input_range(net, inputs, i, p):
    """Positions of population p's spikes among the inputs of step i of this call."""
    lo, end = inputs.ptr[i], inputs.ptr[i + 1]
    while lo < end and inputs.ids[lo] < net.pop_ptr[p]:
        lo += 1
    hi = lo
    while hi < end and inputs.ids[hi] < net.pop_ptr[p + 1]:
        hi += 1
    return lo, hi


@njit(**INLINE)
def read_ports(net, st, t, k):
    """Move the sums that are due into `drive` and clear their slots."""
    ports = net.ports
    for q in range(net.port_ptr[k], net.port_ptr[k + 1]):
        lo, hi = ports.lo[q], ports.hi[q]
        at = ports.offset[q] + (t % ports.depth[q]) * (hi - lo)
        slot, drive = st.acc[at : at + hi - lo], st.drive[lo:hi]
        shift, wrap = np.int32(ports.shift[q]), np.int32(ports.wrap[q])
        first = q == net.port_ptr[k] or ports.lo[q - 1] != lo
        if first and wrap == 0 and shift >= 0:
            # by far the most frequent case, kept free of branches so that it vectorises
            for i in range(slot.size):
                drive[i] = shift_left(slot[i], shift)
                slot[i] = 0
        else:
            for i in range(slot.size):
                due = read_port(slot[i], shift, wrap)
                drive[i] = due if first else drive[i] + due
                slot[i] = 0


@njit(**INLINE)
def advance(net, st, inputs, log, i, t, k, in_order, touched):
    """One step of tile k."""
    arrive(net, st, inputs, log, i, t, k, in_order)
    read_ports(net, st, t, k)
    seg = net.segments
    noise = inputs.noise[i % inputs.noise.shape[0]]
    for g in range(net.segment_ptr[k], net.segment_ptr[k + 1]):
        busy, clipped, folded = update_segment(
            seg.model[g], net.params, net.reals, st, seg.lo[g], seg.hi[g], seg.options[g], noise, touched, t
        )
        log.updates[k, i, seg.core[g]] += busy * (1 + seg.options[g, O_MORE_COMPARTMENTS])
        log.saturated[k, seg.pop[g], 0] += clipped
        log.saturated[k, seg.pop[g], 1] += folded


@njit(**INLINE)
def collect(net, st, inputs, log, i):
    """Write the step's spikes to the log, population by population, ascending."""
    n_pop = net.is_input.size
    graded = log.graded
    at = log.ptr[i + 1]
    begin = at
    words = st.fired.view(np.uint64)
    entry = inputs.ptr[i]
    for p in range(n_pop):
        st.last_ptr[p] = at - begin
        lo, hi = net.pop_ptr[p], net.pop_ptr[p + 1]
        if net.is_input[p]:
            while entry < inputs.ptr[i + 1] and inputs.ids[entry] < hi:
                log.ids[at] = inputs.ids[entry]
                if graded:
                    log.value[at] = inputs.value[entry] if inputs.graded else 1
                at += 1
                entry += 1
        else:
            at = _compact(st, words, log, at, lo, hi, graded, net.is_graded[p] != 0)
    st.last_ptr[n_pop] = at - begin
    log.ptr[i + 2] = at


@njit(**INLINE)
def _compact(st, words, log, at, lo, hi, graded, carries):
    """Append the set flags of neurons [lo, hi): whole words first, skipping silent ones."""
    i = lo
    while i < hi and i % 8 != 0:
        at = _append(st, log, at, i, graded, carries)
        i += 1
    while i + 8 <= hi:
        word = words[i >> 3]
        while word != 0:
            b = first_byte(word)
            log.ids[at] = np.uint32(i + b)
            if graded:
                log.value[at] = st.value[i + b] if carries else 1
            at += 1
            word &= word - np.uint64(1)
        i += 8
    while i < hi:
        at = _append(st, log, at, i, graded, carries)
        i += 1
    return at


@njit(**INLINE)
def _append(st, log, at, i, graded, carries):
    if st.fired[i]:
        log.ids[at] = np.uint32(i)
        if graded:
            log.value[at] = st.value[i] if carries else 1
        return at + 1
    return at


@njit(**INLINE)
def observe(st, log, i):
    """Copy probed state, and the activity mask when it is wanted."""
    for m in range(log.probes.shape[0]):
        row, lo, hi, column = log.probes[m, 0], log.probes[m, 1], log.probes[m, 2], log.probes[m, 3]
        if row >= 0:
            for j in range(hi - lo):
                log.trace[i, column + j] = st.rows[row, lo + j]
        else:
            for j in range(hi - lo):
                log.trace[i, column + j] = st.drive[lo + j]
    if log.active.shape[1] > 1:
        for b in range(log.active.shape[1]):
            bits = np.uint8(0)
            for j in range(8):
                bits |= np.uint8(st.active[8 * b + j] << np.uint8(j))
            log.active[i, b] = bits


@njit(**INNER)
def touch(net, touched, log, i, st):
    """Mark the targets of the spikes of the step before: 'an event arrived', even if the sum is zero.

    Events that delays hold back are not there yet: their neurons find them by what they add.
    """
    touched[:] = 0
    fans = net.fans
    for j in range(fans.kind.size):
        p, q = fans.pop[j], fans.port[j]
        width = net.ports.hi[q] - net.ports.lo[q]
        mine = touched[net.ports.lo[q] : net.ports.hi[q]]
        for k in range(log.ptr[i] + st.last_ptr[p], log.ptr[i] + st.last_ptr[p + 1]):
            row = fans.pointer[j] + np.intp(log.ids[k]) - fans.source[j]
            places = net.index[net.indptr[row] : net.indptr[row + 1]]
            if net.ports.depth[q] == 1:
                for e in range(places.size):
                    mine[places[e]] = 1
            else:
                for e in range(places.size):
                    if places[e] < width:
                        mine[places[e]] = 1


@njit(**ENTRY)
def run(net, st, inputs, log, t0, steps, in_order, touched, worker, workers, arrivals):
    """Run `steps` steps after step t0; log row 0 holds the spikes of step t0. Returns the steps done.

    Stops early when the log could overflow; the caller makes room and calls again. Each of `workers` threads
    calls this with its number and the same arrays and runs its own tiles; they meet three times in a step, at
    `arrivals` (1,) int64. A meeting costs 0.1-0.2 us where a parallel loop of Numba costs 5-10 us.
    """
    room = net.pop_ptr[-1]
    tiles = net.segment_ptr.size - 1
    for i in range(steps):
        if log.ptr[i + 1] + room > log.ids.size:
            return i
        if worker == 0 and touched.size > 0:
            touch(net, touched, log, i, st)
        if workers > 1:
            barrier(arrivals, workers * (3 * i + 1))
        for k in range(worker, tiles, workers):
            advance(net, st, inputs, log, i, t0 + i + 1, k, in_order, touched)
        if workers > 1:
            barrier(arrivals, workers * (3 * i + 2))
        if worker == 0:
            collect(net, st, inputs, log, i)
            observe(st, log, i)
        if workers > 1:
            barrier(arrivals, workers * (3 * i + 3))
    return steps
