"""The run loop of a machine with learning engines that add sums of products, beside rules of other kinds.

As `chipsim.kernels.learning.machine_declared`, which this completes: after each step every engine takes its
projection's spikes and does
its part of `chipsim.kernels.learning.sum_of_products.integers`. Measured on 26 neurons and 600 synapses with a
three-factor rule: 5 us per step,
where a loop in Python took 39 us.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.jit import ENTRY, INLINE
from chipsim.kernels.learning.sum_of_products.integers import neuron_traces, sop_step
from chipsim.kernels.learning.sum_of_products.records import CHANGED, PRODUCTS, Draws, State, Tables, TraceParams

from .machine_declared import forward, learn


class Engine(NamedTuple):
    """One projection's engine, and what it takes in a step. i pre, j post, t steps of the run."""

    tables: Tables
    params: TraceParams
    draws: Draws
    state: State
    third: np.ndarray  # (t, 3 or 0, 1 or j) float64: y1..y3 that the user gives
    given: np.ndarray  # (3,) uint8: 1 where y1..y3 are the user's, 0 where the neurons send their own
    own: np.ndarray  # (2,) float64: decay and impulse of the neurons' own y1, impulse 0: none
    sent: np.ndarray  # (3, j) int64: y1..y3 of the step
    last: np.ndarray  # (j,) int64: spikes of the step before
    payload: np.ndarray  # (i,) int64
    spikes: np.ndarray  # (j,) int64
    where: np.ndarray  # (3,) int64: pre and post population, steps learned so far
    done: np.ndarray  # (t, 2) int64, written: products evaluated and variables changed


@njit(**INLINE)
def take(net, st, log, i, p, values, carries):
    """Spikes of population p in log row i + 1 into `values`: 0 for none, else 1, or the number that it carries."""
    values[:] = 0
    first = net.pop_ptr[p]
    for k in range(log.ptr[i + 1] + st.last_ptr[p], log.ptr[i + 1] + st.last_ptr[p + 1]):
        values[np.int64(log.ids[k]) - first] = np.int64(log.value[k]) if carries else 1


@njit(**INLINE)
def traces_of(e: Engine, row):
    """y1..y3 that reach the synapses of a three-factor rule in this step."""
    if e.tables.three:
        if e.own[1] != 0.0:
            neuron_traces(e.sent, e.last, e.sent[1], e.own[0], e.own[1])
        for k in range(3):
            if e.given[k]:
                for j in range(e.last.size):
                    e.sent[k, j] = np.int64(e.third[row, k, j if e.third.shape[2] > 1 else 0])
        for j in range(e.last.size):
            e.last[j] = e.spikes[j]


@njit(**INLINE)
def teach(net, st, log, i, e: Engine, row):
    """One step of an engine after the step in row i + 1 of the log, step `row` of the run."""
    take(net, st, log, i, e.where[0], e.payload, log.graded)
    take(net, st, log, i, e.where[1], e.spikes, False)
    traces_of(e, row)
    counts = e.state.counts
    products, changed = counts[PRODUCTS], counts[CHANGED]
    e.where[2] += 1
    sop_step(e.where[2], row, e.payload, e.spikes, e.sent, e.draws, e.tables, e.params, e.state)
    e.done[row, 0] = counts[PRODUCTS] - products
    e.done[row, 1] = counts[CHANGED] - changed


@njit(**ENTRY)
def run_engines(net, st, inputs, log, t0, steps, in_order, touched, teachers, likes, engines, offset):
    """As `machine_plastic.run_declared`, and after each step every engine of the tuple `engines` learns as well."""
    room = net.pop_ptr[-1]
    for i in range(steps):
        if log.ptr[i + 1] + room > log.ids.size:
            return i
        forward(net, st, inputs, log, i, t0 + i + 1, in_order, touched)
        for k in range(teachers.shape[0]):
            learn(net, st, log, i, teachers[k], likes, offset + i)
        for k in range(len(engines)):
            teach(net, st, log, i, engines[k], offset + i)
    return steps
