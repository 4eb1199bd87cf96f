"""A learning engine that adds sums of products to synaptic variables, in integers.

A rule is data, not code: each product has a dependency (pre spike x0, post spike y0, or every 2^K-th epoch
u), a scale m*2^e and factors (traces x1 x2 y1 y2 y3, synaptic variables w t d, each with an added constant,
or its sign). The state of a plastic projection is plain arrays; synapses are stored in rows of their
presynaptic neuron, row i = row_ptr[i]..row_ptr[i+1], with `post` naming the target. One call of `sop_step`
per time step does the bookkeeping of spikes and, at the end of an epoch, the update. Random numbers are
handed in (`Draws`), one set for all neurons. The
arithmetic of a product is in `chipsim.kernels.learning.sum_of_products.update`. Source: lava-nc 0.10.0,
`magma/core/model/py/connection.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.trace import TRACE_MAX, add_impulse, history
from chipsim.kernels.jit import ENTRY, INNER

from .records import EPOCHS, Draws, State, Tables, TraceParams
from .update import update_synapses


@njit(**INNER)
def step_in_epoch(t: Any, t_epoch: Any) -> Any:
    """1..t_epoch for the 1-based step t."""
    return (t - 1) % t_epoch + 1


@njit(**INNER)
def graded_x1(x1: Any, payload: Any, mode: Any) -> Any:
    """x1 after a payload (8 bits, halved, half to even), and whether the spike counts for x0 and x2."""
    half = np.int64(np.round(payload / 2.0)) & 255
    if mode == 1:
        return (half if payload != 0 else x1), payload != 0
    total = (x1 + half) & 255
    if mode == 2:
        return min(total, TRACE_MAX), payload != 0
    if total > TRACE_MAX:
        return total - TRACE_MAX, payload != 0
    return total, False


@njit(**INNER)
def sop_pre(t: Any, payload, tab: Tables, par: TraceParams, st: State) -> None:
    """Presynaptic spikes of step t: payload (i,), 0 no spike. A repeated spike rounds its impulse up."""
    now = step_in_epoch(t, tab.t_epoch)
    for i in range(payload.size):
        spike = payload[i] != 0
        if tab.graded != 0:
            st.x[0, i], spike = graded_x1(np.int64(st.x[0, i]), np.int64(payload[i]), tab.graded)
        if not spike:
            continue
        if st.tx[i] > 0:
            if tab.graded == 0:
                st.x[0, i] = add_impulse(np.int64(st.x[0, i]), np.int64(par.x[1, 0]), np.int64(par.x[2, 0]), 0)
            st.x[1, i] = add_impulse(np.int64(st.x[1, i]), np.int64(par.x[1, 1]), np.int64(par.x[2, 1]), 0)
        st.tx[i] = now


@njit(**INNER)
def sop_post(t: Any, spikes, traces, again: Any, tab: Tables, par: TraceParams, st: State) -> None:
    """Postsynaptic spikes of step t: spikes (j,), traces (3, j) integers that replace y1..y3 if tab.three."""
    now = step_in_epoch(t, tab.t_epoch)
    for j in range(spikes.size):
        if spikes[j] == 0:
            continue
        if st.ty[j] > 0:
            for k in range(3):
                st.y[k, j] = add_impulse(np.int64(st.y[k, j]), np.int64(par.y[1, k]), np.int64(par.y[2, k]), again)
        st.ty[j] = now
    if tab.three:
        for k in range(3):
            for j in range(spikes.size):
                st.y[k, j] = traces[k, j]


@njit(**INNER)
def clear_epoch(tab: Tables, st: State) -> None:
    """Traces move to the end of their histories (y not where it comes from outside), spike times clear."""
    for i in range(st.tx.size):
        st.x[0, i], st.x[1, i] = st.hx[tab.t_epoch, 0, i], st.hx[tab.t_epoch, 1, i]
        st.tx[i] = 0
    for j in range(st.ty.size):
        if not tab.three:
            for k in range(3):
                st.y[k, j] = st.hy[tab.t_epoch, k, j]
        st.ty[j] = 0


@njit(**INNER)
def sop_epoch(t: Any, row: Any, draws: Draws, tab: Tables, par: TraceParams, st: State) -> None:
    """End of an epoch: histories of the traces, synapses, then traces advance and spike times clear."""
    history(st.x, st.tx, par.x, draws.x_decay[row], draws.x_impulse[row], st.hx)
    history(st.y, st.ty, par.y, draws.y_decay[row], draws.y_impulse[row], st.hy)
    u = tab.k_mask >= 0 and ((t // tab.t_epoch) & tab.k_mask) == 0
    update_synapses(u, draws.w_round[row], tab, st)
    clear_epoch(tab, st)
    st.counts[EPOCHS] += 1


@njit(**ENTRY)
def neuron_traces(y: Any, before: Any, reward: Any, decay: Any, impulse: Any) -> None:
    """Traces that the neurons of a three-factor rule send in a step: y1 from their own spikes, y2 the reward, y3 0.

    y (3, j) integers, changed; before (j,): spikes of the step before; reward (j,) integers that arrived. y1 =
    floor(y1 * decay + impulse * before), not clipped. Source: RSTDPLIF of Lava's three-factor tutorial.
    """
    for j in range(before.size):
        y[0, j] = np.int64(np.floor(y[0, j] * decay + impulse * np.int64(before[j])))
        y[1, j] = reward[j]
        y[2, j] = 0


@njit(**ENTRY)
def sop_step(t, row, payload, spikes, traces, draws: Draws, tab: Tables, par: TraceParams, st: State) -> None:
    """One time step of the learning engine, after the spikes of the step are known.

    Parameters
    ----------
    t
        Step since reset, 1-based. It decides where an epoch ends and which epochs uK counts.
    row
        Row of `draws` for this step (t - 1 if the draws begin at reset).
    payload
        (i,) integers: presynaptic spikes, 0 none; any other value is a spike and its graded payload.
    spikes
        (j,) integers or bool: postsynaptic spikes that reach the synapses in this step.
    traces
        (3, j) integers: y1, y2, y3 from the postsynaptic neurons (three-factor rules), otherwise ignored.
    """
    sop_pre(t, payload, tab, par, st)
    sop_post(t, spikes, traces, draws.y_again[row], tab, par, st)
    if t % tab.t_epoch == 0:
        sop_epoch(t, row, draws, tab, par, st)
