"""The run loop of a machine whose weights learn.

Spikes of step t act at t + 1 with the weights as they stand before step t learns. So a projection that learns puts
its spikes into the ring of step t + 1 at the end of step t (`depart`), and then learns in place: one weight array,
no copies. Order of a step: arrive, neurons, collect, depart, learn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .jit import ENTRY, INNER
from .machine import advance, collect, deliver, observe, touch

DEPARTS = 2  #: value of Fans.early of a projection that learns


class Teacher(NamedTuple):
    """What a declared rule's kernel works on, for one projection (see `chipsim.rules`), and its scratch.

    i pre, j post, s synapses, t steps of the run.
    """

    index: tuple  # row_ptr, col, col_ptr, col_syn, col_pre: uint32
    w: np.ndarray  # (s,) int32 or float64: the machine's own weights
    syn: np.ndarray  # (states, s) float64
    pre_vars: np.ndarray  # (1 + traces, i) float64
    post_vars: np.ndarray  # (1 + traces [+ psi], j) float64
    level: np.ndarray  # (j,) float64: thresholds
    const: np.ndarray
    counters: np.ndarray  # (6,) int64
    third: np.ndarray  # (t, factors, 1 or j) float64
    factors: np.ndarray  # (factors, j) float64, those of the step
    v: np.ndarray  # (j,) float64, membranes of the step, if the rule reads them
    pre_ids: np.ndarray  # (i,) int32
    post_ids: np.ndarray  # (j,) int32
    where: np.ndarray  # (5,) int64: pre population, post population, row of v or -1, seed, steps learned so far
    unit: np.ndarray  # (1,) float64: what one unit of v means to the rule
    done: np.ndarray  # (t, 2) int64, written: synapses evaluated and weights changed


@njit(**INNER)
def depart(net, st, log, i, t, in_order):
    """Deliver the spikes of step t, row i + 1 of the log, through the projections that learn."""
    fans = net.fans
    graded = log.value.size > 1
    for j in range(fans.kind.size):
        if fans.early[j] == 2:
            p = fans.pop[j]
            lo, hi = log.ptr[i + 1] + st.last_ptr[p], log.ptr[i + 1] + st.last_ptr[p + 1]
            if hi > lo:
                values = log.value[lo:hi] if graded else log.value
                deliver(net, st, j, log.ids[lo:hi], values, t + 1, in_order)


@njit(**INNER)
def forward(net, st, inputs, log, i, t, in_order, touched):
    """Step t without learning: all tiles, the log, the spikes of learning projections sent off."""
    if touched.size > 1:
        touch(net, touched, log, i, st)
    for k in range(net.segment_ptr.size - 1):
        advance(net, st, inputs, log, i, t, k, in_order, touched)
    collect(net, st, inputs, log, i)
    observe(st, log, i)
    depart(net, st, log, i, t, in_order)


@njit(**ENTRY)
def run_frozen(net, st, inputs, log, first, t0, steps, in_order, touched):
    """Rows `first` and on of the log, `steps` steps after step t0, no learning. Returns the steps done (see `run`)."""
    room = net.pop_ptr[-1]
    for i in range(first, first + steps):
        if log.ptr[i + 1] + room > log.ids.size:
            return i - first
        forward(net, st, inputs, log, i, t0 + i - first + 1, in_order, touched)
    return steps


@njit(**INNER)
def sent(net, st, log, i, p, out):
    """Neurons of population p that fired in log row i + 1, counted from its first, into `out`; returns how many."""
    lo, hi = log.ptr[i + 1] + st.last_ptr[p], log.ptr[i + 1] + st.last_ptr[p + 1]
    first = net.pop_ptr[p]
    for k in range(hi - lo):
        out[k] = np.int32(np.int64(log.ids[lo + k]) - first)
    return hi - lo


@njit(**INNER)
def third_factors(p: Teacher, row):
    """The factors of this step, spread to all neurons where one value serves them."""
    width = p.third.shape[2]
    for f in range(p.factors.shape[0]):
        for j in range(p.factors.shape[1]):
            p.factors[f, j] = p.third[row, f, j if width > 1 else 0]


@njit(**INNER)
def membranes(net, st, p: Teacher):
    """Membranes of the postsynaptic neurons after this step, in the rule's unit."""
    first, row = net.pop_ptr[p.where[1]], p.where[2]
    for j in range(p.v.size):
        p.v[j] = st.rows[row, first + j] * p.unit[0]


def run_declared(kernel: Any, net, st, inputs, log, t0, steps, in_order, touched, p: Teacher, offset):
    """As `run_frozen` from row 0, and after each step one call of the rule's `kernel`; compiled by `chipsim.engines`.

    `offset`: steps of this run before t0, the first row of `third` and `done`.
    """
    room = net.pop_ptr[-1]
    row_ptr, col, col_ptr, col_syn, col_pre = p.index
    for i in range(steps):
        if log.ptr[i + 1] + room > log.ids.size:
            return i
        forward(net, st, inputs, log, i, t0 + i + 1, in_order, touched)
        pre = p.pre_ids[: sent(net, st, log, i, p.where[0], p.pre_ids)]
        post = p.post_ids[: sent(net, st, log, i, p.where[1], p.post_ids)]
        third_factors(p, offset + i)
        if p.where[2] >= 0:
            membranes(net, st, p)
        evaluated, changed = p.counters[0], p.counters[1]
        kernel(
            p.where[4], p.where[3], pre, post, row_ptr, col, col_ptr, col_syn, col_pre, p.w, p.syn, p.pre_vars,
            p.post_vars, p.v, p.level, p.factors, p.const, p.counters,
        )  # fmt: skip
        p.where[4] += 1
        p.done[offset + i, 0] = p.counters[0] - evaluated
        p.done[offset + i, 1] = p.counters[1] - changed
    return steps
