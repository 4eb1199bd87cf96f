"""A learning engine that adds sums of products to synaptic variables, in integers.

A rule is data, not code: each product has a dependency (pre spike x0, post spike y0, or every 2^K-th epoch
u), a scale m*2^e and factors (traces x1 x2 y1 y2 y3, synaptic variables w t d, each with an added constant,
or its sign). The state of a plastic projection is plain arrays; synapses are stored in rows of their
presynaptic neuron, row i = row_ptr[i]..row_ptr[i+1], with `post` naming the target. One call of `sop_step`
per time step does the bookkeeping of spikes and, at the end of an epoch, the update. Random numbers are
handed in (`Draws`), one set for all neurons.

Arithmetic of a product: int32 product of the dependency and the clipped factors, wrapping; times the
mantissa; arithmetic shift right to 15 bits; shift left by e + 7; clip. The sum starts at var << 7 and is
clipped after each product, then rounded back to var by the drawn number. Source: lava-nc 0.10.0,
`magma/core/model/py/connection.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from kernels.trace import TRACE_MAX, add_impulse, history

X0, Y0, U = 0, 1, 2
#: Codes of a factor's variable: 0 x0, 1 y0, 2 x1, 3 x2, 4 y1, 5 y2, 6 y3, 7 w, 8 t, 9 d.
VARIABLES = ("x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "t", "d")
W_CODE = 7
#: Accumulator: 15 bits and sign; a synaptic variable stands 7 bits above its least bit.
ACC_BITS, VAR_SHIFT = 15, 7
ACC_MIN, ACC_MAX = -(2**ACC_BITS) - 1, 2**ACC_BITS - 1
VAR_MIN = -(2 ** (ACC_BITS - VAR_SHIFT))
#: Index of each counter in State.counts.
EPOCHS, PRODUCTS, CHANGED, STALLED, CLIPPED = range(5)


class Tables(NamedTuple):
    """A rule as numbers: p products sorted by target (w, t, d), f factors; all int32 unless said.

    target_ptr (4,): products of w, t, d are target_ptr[k]..target_ptr[k+1]. dep (p,): X0, Y0 or U. mantissa,
    exponent (p,): scale mantissa * 2**exponent. right (p,): bits shifted out. factor_ptr (p+1,). variable,
    constant, fraction (float64), sign, low, high (f,): the factor is clip(variable + constant + fraction,
    low, high) cut toward zero, or its sign. k_mask: 2**K - 1 of uK, -1 if no product uses u. uses (3,)
    whether any product depends on x0, y0, u. bounds (3, 2): range of w, t, d. sign_mode: 0 mixed, 1
    excitatory, 2 inhibitory. t_epoch: steps per epoch. three: 1 if y1..y3 come from outside. graded: how
    payloads enter x1 (0 ignored, 1 overwrite, 2 add and saturate, 3 add, keep what exceeds 127).
    """

    target_ptr: np.ndarray
    dep: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray
    right: np.ndarray
    factor_ptr: np.ndarray
    variable: np.ndarray
    constant: np.ndarray
    fraction: np.ndarray
    sign: np.ndarray
    low: np.ndarray
    high: np.ndarray
    uses: np.ndarray
    bounds: np.ndarray
    k_mask: int
    sign_mode: int
    t_epoch: int
    three: int
    graded: int


class TraceParams(NamedTuple):
    """Constants of the traces x (2,) and y (3,): decay factor, whole impulse, impulse fraction in 1/256."""

    x_decay: np.ndarray
    x_whole: np.ndarray
    x_fraction: np.ndarray
    y_decay: np.ndarray
    y_whole: np.ndarray
    y_fraction: np.ndarray


class Draws(NamedTuple):
    """Random numbers of a run, row r for its r-th step; (steps,) each.

    x_decay, y_decay, w_round: uniform in [0, 1), used at the end of an epoch. x_impulse, y_impulse: integers
    0..127, used there too. y_again: integers 0..127 for a second post spike within an epoch.
    """

    x_decay: np.ndarray
    x_impulse: np.ndarray
    y_decay: np.ndarray
    y_impulse: np.ndarray
    y_again: np.ndarray
    w_round: np.ndarray


class State(NamedTuple):
    """Everything that changes, and the wiring. i pre, j post, s synapses, q = t_epoch + 1.

    w, t, d (s,) int32. x (2, i), y (3, j) int32 traces. tx (i,), ty (j,) int32: step of the last spike within
    the epoch, 0 none. hx (q, 2, i), hy (q, 3, j) int32 scratch. row_ptr (i+1,), post (s,) int32. counts (5,)
    int64: epochs, products evaluated, variables changed, variables whose update rounded to nothing, variables
    clipped.
    """

    w: np.ndarray
    t: np.ndarray
    d: np.ndarray
    x: np.ndarray
    y: np.ndarray
    tx: np.ndarray
    ty: np.ndarray
    hx: np.ndarray
    hy: np.ndarray
    row_ptr: np.ndarray
    post: np.ndarray
    counts: np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def step_in_epoch(t: Any, t_epoch: Any) -> Any:
    """1..t_epoch for the 1-based step t."""
    return (t - 1) % t_epoch + 1


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
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
                st.x[0, i] = add_impulse(np.int64(st.x[0, i]), par.x_whole[0], par.x_fraction[0], 0)
            st.x[1, i] = add_impulse(np.int64(st.x[1, i]), par.x_whole[1], par.x_fraction[1], 0)
        st.tx[i] = now


@njit(cache=True, nogil=True, error_model="numpy")
def sop_post(t: Any, spikes, traces, again: Any, tab: Tables, par: TraceParams, st: State) -> None:
    """Postsynaptic spikes of step t: spikes (j,), traces (3, j) integers that replace y1..y3 if tab.three."""
    now = step_in_epoch(t, tab.t_epoch)
    for j in range(spikes.size):
        if spikes[j] == 0:
            continue
        if st.ty[j] > 0:
            for k in range(3):
                st.y[k, j] = add_impulse(np.int64(st.y[k, j]), par.y_whole[k], par.y_fraction[k], again)
        st.ty[j] = now
    if tab.three:
        st.y[:, :] = traces


@njit(cache=True, nogil=True, error_model="numpy")
def factor_value(f: Any, i: Any, j: Any, s: Any, q: Any, tab: Tables, st: State) -> Any:
    """Factor f of a product at synapse s (pre i, post j), traces taken at step q of the epoch."""
    code = tab.variable[f]
    if code == 0:
        v = np.int64(st.tx[i] > 0)
    elif code == 1:
        v = np.int64(st.ty[j] > 0)
    elif code < 4:
        v = np.int64(st.hx[q, code - 2, i])
    elif code < W_CODE:
        v = np.int64(st.hy[q, code - 4, j])
    elif code == W_CODE:
        v = np.int64(st.w[s])
    elif code == 8:
        v = np.int64(st.t[s])
    else:
        v = np.int64(st.d[s])
    v += tab.constant[f]
    if tab.sign[f]:
        v = 1 if (v > 0 or (v == 0 and tab.fraction[f] > 0)) else (-1 if v < 0 else 0)
    elif tab.fraction[f] > 0 and v < 0:
        v += 1  # a fraction that was left above the floor is cut off toward zero
    return min(max(v, np.int64(tab.low[f])), np.int64(tab.high[f]))


@njit(cache=True, nogil=True, error_model="numpy")
def product_value(p: Any, i: Any, j: Any, s: Any, q: Any, tab: Tables, st: State) -> Any:
    """One product in accumulator units (2**-7 of a synaptic variable)."""
    m = np.int32(1)
    for f in range(tab.factor_ptr[p], tab.factor_ptr[p + 1]):
        m = np.int32(m * factor_value(f, i, j, s, q, tab, st))
    m = np.int32(np.int64(m) * tab.mantissa[p])
    m = np.int64(m) >> tab.right[p]
    return min(max(m << (tab.exponent[p] + VAR_SHIFT), ACC_MIN), ACC_MAX)


@njit(cache=True, nogil=True, error_model="numpy")
def target_value(k: Any, var: Any, i: Any, j: Any, s: Any, u: bool, r: Any, tab: Tables, st: State) -> Any:
    """New value of w (k = 0), t (1) or d (2) at synapse s, given its old value `var`."""
    acc = np.int64(var) << VAR_SHIFT
    start = acc
    for p in range(tab.target_ptr[k], tab.target_ptr[k + 1]):
        dep = tab.dep[p]
        q = 0
        if dep == X0:
            q = st.tx[i]
        elif dep == Y0:
            q = st.ty[j]
        elif u:
            q = tab.t_epoch
        if q > 0:
            acc += product_value(p, i, j, s, q, tab, st)
            st.counts[PRODUCTS] += 1
        acc = min(max(acc, ACC_MIN), ACC_MAX)
    moved = acc != start
    if (k == 0 and tab.sign_mode == 1) or k == 2:
        acc = max(acc, 0)
    elif k == 0 and tab.sign_mode == 2:
        acc = min(acc, 0)
    rounded = (acc >> VAR_SHIFT) + np.int64(r < (acc & (2**VAR_SHIFT - 1)) / 2.0**VAR_SHIFT)
    new = min(max(rounded, np.int64(tab.bounds[k, 0])), np.int64(tab.bounds[k, 1]))
    if new != var:
        st.counts[CHANGED] += 1
    elif moved:
        st.counts[STALLED] += 1
    if moved and (new == tab.bounds[k, 0] or new == tab.bounds[k, 1]):
        st.counts[CLIPPED] += 1
    return new


@njit(cache=True, nogil=True, error_model="numpy")
def update_synapses(u: bool, r: Any, tab: Tables, st: State) -> None:
    """All synapses whose dependencies are met; every new value is computed from the old w, t and d."""
    any_post = tab.uses[Y0] != 0 and np.any(st.ty > 0)
    has_t = tab.target_ptr[2] > tab.target_ptr[1]
    for i in range(st.tx.size):
        row = u or (tab.uses[X0] != 0 and st.tx[i] > 0)
        if not (row or any_post or has_t):
            continue
        for s in range(st.row_ptr[i], st.row_ptr[i + 1]):
            j = st.post[s]
            # A tag one below its accumulator's range is pulled back even where no product is due.
            if not (row or (any_post and st.ty[j] > 0) or (has_t and st.t[s] < VAR_MIN)):
                continue
            w, t, d = st.w[s], st.t[s], st.d[s]
            if tab.target_ptr[1] > 0:
                w = target_value(0, w, i, j, s, u, r, tab, st)
            if has_t:
                t = target_value(1, t, i, j, s, u, r, tab, st)
            if tab.target_ptr[3] > tab.target_ptr[2]:
                d = target_value(2, d, i, j, s, u, r, tab, st)
            st.w[s], st.t[s], st.d[s] = w, t, d


@njit(cache=True, nogil=True, error_model="numpy")
def sop_epoch(t: Any, row: Any, draws: Draws, tab: Tables, par: TraceParams, st: State) -> None:
    """End of an epoch: histories of the traces, synapses, then traces advance and spike times clear."""
    history(
        st.x, st.tx, par.x_decay, par.x_whole, par.x_fraction, draws.x_decay[row], draws.x_impulse[row], st.hx
    )
    history(
        st.y, st.ty, par.y_decay, par.y_whole, par.y_fraction, draws.y_decay[row], draws.y_impulse[row], st.hy
    )
    u = tab.k_mask >= 0 and ((t // tab.t_epoch) & tab.k_mask) == 0
    update_synapses(u, draws.w_round[row], tab, st)
    st.x[:, :] = st.hx[tab.t_epoch]
    if not tab.three:
        st.y[:, :] = st.hy[tab.t_epoch]
    st.tx[:] = 0
    st.ty[:] = 0
    st.counts[EPOCHS] += 1


@njit(cache=True, nogil=True, error_model="numpy")
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
