"""The run loop of a machine whose weights learn.

Spikes of step t act at t + 1 with the weights as they stand before step t learns. So a projection that learns puts
its spikes into the ring of step t + 1 at the end of step t (`depart`), and then learns in place: one weight array,
no copies. Order of a step: arrive, neurons, collect, depart, learn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.core.machine import advance, collect, deliver, observe, touch
from chipsim.kernels.intrinsics import array_at, call_address
from chipsim.kernels.jit import ENTRY, INLINE

DEPARTS = 2  #: value of Fans.early of a projection that learns


class Teacher(NamedTuple):
    """What a declared rule's kernel works on, for one projection (see `chipsim.rules`), and its scratch.

    i pre, j post, s synapses, t steps of the run.
    """

    row_ptr: np.ndarray  # uint32
    col: np.ndarray  # uint32
    col_ptr: np.ndarray  # uint32
    col_syn: np.ndarray  # uint32
    col_pre: np.ndarray  # uint32
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
    where: np.ndarray  # (12,) int64: pre and post population, row of v or -1, seed, steps learned, kernel's address,
    #: then of the numbers that it reads (-1: none): rows of r_pre, r_post, slope and u in the variables, state rows of
    #: slope and u
    unit: np.ndarray  # (6,) float64: what one unit of v, r_pre, r_post, slope and u means to the rule, and v = 0
    inlet: np.ndarray  # (factors,) int64: where in the drive a third factor arrives, -1 if it is given
    factor_unit: np.ndarray  # (factors,) float64: what one unit of it means to the rule
    done: np.ndarray  # (t, 2) int64, written: synapses evaluated and weights changed
    queue: np.ndarray  # (d, 1 + i) int64: number and ids of the spikes on their way to the synapse, by step mod d


#: Place of every field of `Teacher` in a table of them.
(
    ROW_PTR, COL, COL_PTR, COL_SYN, COL_PRE, W, SYN, PRE_VARS, POST_VARS, LEVEL, CONST, COUNTERS, THIRD, FACTORS, V,
    PRE_IDS, POST_IDS, WHERE, UNIT, INLET, FACTOR_UNIT, DONE, QUEUE,
) = range(len(Teacher._fields))  # fmt: skip
EXTENTS = 3  #: most dimensions of a field


def table_of(teachers: list[Teacher]) -> np.ndarray:
    """Where the arrays of `teachers` lie: (teachers, fields, 1 + EXTENTS) int64 of address and extents.

    With a table the loop is compiled once for any number of rules; whoever holds the table holds the teachers.
    """
    table = np.zeros((len(teachers), len(Teacher._fields), 1 + EXTENTS), np.int64)
    for k, teacher in enumerate(teachers):
        for f, array in enumerate(teacher):
            if not array.flags.c_contiguous:
                raise ValueError(f"teacher {k}: {Teacher._fields[f]} is not contiguous")
            table[k, f, : 1 + array.ndim] = array.ctypes.data, *array.shape
    return table


@njit(**INLINE)
def depart(net, st, log, i, t, in_order):
    """Deliver the spikes of step t, row i + 1 of the log, through the projections that learn."""
    fans = net.fans
    for j in range(fans.kind.size):
        if fans.early[j] == 2:
            p = fans.pop[j]
            lo, hi = log.ptr[i + 1] + st.last_ptr[p], log.ptr[i + 1] + st.last_ptr[p + 1]
            if hi > lo:
                values = log.value[lo:hi] if log.graded else log.value
                deliver(net, st, j, log.ids[lo:hi], values, t + 1, in_order)


@njit(**INLINE)
def forward(net, st, inputs, log, i, t, in_order, touched):
    """Step t without learning: all tiles, the log, the spikes of learning projections sent off."""
    if touched.size > 0:
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


@njit(**INLINE)
def sent(net, st, log, i, p, out):
    """Neurons of population p that fired in log row i + 1, counted from its first, into `out`; returns how many."""
    lo, hi = log.ptr[i + 1] + st.last_ptr[p], log.ptr[i + 1] + st.last_ptr[p + 1]
    first = net.pop_ptr[p]
    for k in range(hi - lo):
        out[k] = np.int32(np.int64(log.ids[lo + k]) - first)
    return hi - lo


@njit(**INLINE)
def on_their_way(ids, count, queue, step):
    """Put the `count` spikes `ids` into the queue, and those of d steps before in their place; returns how many."""
    if queue.shape[0] == 0:
        return count
    line = queue[step % queue.shape[0]]
    before = line[0]
    for k in range(max(count, before)):
        ids[k], line[1 + k] = np.int32(line[1 + k]), np.int64(ids[k])
    line[0] = count
    return before


@njit(**INLINE)
def third_factors(third, factors, row):
    """The factors of this step, spread to all neurons where one value serves them."""
    width = third.shape[2]
    for f in range(factors.shape[0]):
        for j in range(factors.shape[1]):
            factors[f, j] = third[row, f, j if width > 1 else 0]


@njit(**INLINE)
def arrived(st, factors, inlet, unit):
    """The factors that reached the neurons in this step, as sums of what was sent to them."""
    for f in range(inlet.size):
        if inlet[f] >= 0:
            for j in range(factors.shape[1]):
                factors[f, j] = st.drive[inlet[f] + j] * unit[f]


@njit(**INLINE)
def numbers_sent(net, st, log, i, p, row, unit):
    """What the neurons of population p sent in log row i + 1, in the rule's unit; 0 where nothing."""
    row[:] = 0.0
    first = np.int64(net.pop_ptr[p])
    for k in range(log.ptr[i + 1] + st.last_ptr[p], log.ptr[i + 1] + st.last_ptr[p + 1]):
        row[np.int64(log.ids[k]) - first] = log.value[k] * unit


@njit(**INLINE)
def numbers(net, st, log, i, where, unit, pre_vars, post_vars):
    """The numbers of this step that a rule reads."""
    if where[6] >= 0:
        numbers_sent(net, st, log, i, where[0], pre_vars[where[6]], unit[1])
    if where[7] >= 0:
        numbers_sent(net, st, log, i, where[1], post_vars[where[7]], unit[2])
    first = net.pop_ptr[where[1]]
    for k in range(2):
        if where[8 + k] >= 0:
            for j in range(post_vars.shape[1]):
                post_vars[where[8 + k], j] = st.rows[where[10 + k], first + j] * unit[3 + k]


@njit(**INLINE)
def membranes(net, st, v, where, unit):
    """Membranes of the postsynaptic neurons after this step, in the rule's unit."""
    first, row = net.pop_ptr[where[1]], where[2]
    for j in range(v.size):
        v[j] = st.rows[row, first + j] * unit[0] + unit[5]


@njit(**INLINE)
def learn(net, st, log, i, p, likes, row):
    """One call of a rule's kernel after the step in row i + 1 of the log, step `row` of the run.

    p (fields, 1 + EXTENTS): a teacher's row of the table.
    """
    flat, table, cube, index, ids, count, pairs = likes
    where, counters = array_at(count, p[WHERE]), array_at(count, p[COUNTERS])
    pre, post = array_at(ids, p[PRE_IDS]), array_at(ids, p[POST_IDS])
    v, factors = array_at(flat, p[V]), array_at(table, p[FACTORS])
    pre = pre[: on_their_way(pre, sent(net, st, log, i, where[0], pre), array_at(pairs, p[QUEUE]), where[4])]
    post = post[: sent(net, st, log, i, where[1], post)]
    third_factors(array_at(cube, p[THIRD]), factors, row)
    arrived(st, factors, array_at(count, p[INLET]), array_at(flat, p[FACTOR_UNIT]))
    unit = array_at(flat, p[UNIT])
    if where[2] >= 0:
        membranes(net, st, v, where, unit)
    numbers(net, st, log, i, where, unit, array_at(table, p[PRE_VARS]), array_at(table, p[POST_VARS]))
    evaluated, changed = counters[0], counters[1]
    arguments = (
        where[4], where[3], pre, post, array_at(index, p[ROW_PTR]), array_at(index, p[COL]),
        array_at(index, p[COL_PTR]), array_at(index, p[COL_SYN]), array_at(index, p[COL_PRE]),
        array_at(net.weight, p[W]), array_at(table, p[SYN]), array_at(table, p[PRE_VARS]),
        array_at(table, p[POST_VARS]), v, array_at(flat, p[LEVEL]), factors, array_at(flat, p[CONST]), counters,
    )  # fmt: skip
    call_address(where[5], arguments)
    where[4] += 1
    done = array_at(pairs, p[DONE])
    done[row, 0] = counters[0] - evaluated
    done[row, 1] = counters[1] - changed


@njit(**ENTRY)
def run_declared(net, st, inputs, log, t0, steps, in_order, touched, teachers, likes, offset):
    """As `run_frozen` from row 0; after each step every rule learns, in the order of the table `teachers`.

    Rules' kernels enter as addresses: the loop is compiled once, whatever the rules and their number. `likes`: an array
    of every type in the table. `offset`: steps of this run before t0, the first row of `third` and `done`.
    """
    room = net.pop_ptr[-1]
    for i in range(steps):
        if log.ptr[i + 1] + room > log.ids.size:
            return i
        forward(net, st, inputs, log, i, t0 + i + 1, in_order, touched)
        for k in range(teachers.shape[0]):
            learn(net, st, log, i, teachers[k], likes, offset + i)
    return steps


#: An array of each type that a teacher has, in the order in which `learn` takes them apart.
LIKES = (
    np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1, 1)), np.zeros(1, np.uint32), np.zeros(1, np.int32),
    np.zeros(1, np.int64), np.zeros((1, 1), np.int64),
)  # fmt: skip
