"""Sums of products in float64: Lava's floating-point model, and brian2-loihi's arithmetic.

Both read the same `Tables` as the integer engine; a product is mantissa * 2**exponent * dependency * factors,
factors neither clipped nor shifted. `float_step` keeps Lava's epochs and trace histories, without rounding or
saturation.

`linear_step` is brian2-loihi 0.5.2: no epochs; traces belong to synapses and decay by 1 - 1/tau, rounded by
chance, each with its own number; the weight change is rounded away from zero, then to the weight's precision
by chance, then clipped. Its code draws the chances when the step begins, before the step's spikes (Brian2's
"constant over dt"): a trace rounds up with the fraction that it would have lost without the new impulse, and
a change due to x0 or y0 never rounds up to the next precision. Both are kept. So is that the update multiplies
traces by 1 - 1/tau as Brian2 prints it into its code, in 15 digits (int(0.941176470588235 * 119) is 111,
119 * 16 / 17 is 112), while the draw uses the whole number. Not kept: the draw of the weight takes 2^-k as the
integer 0, so that there a rule whose terms all have a negative power of two never rounds up; here it rounds up
with the fraction it has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.rounding import stream_key, unit
from chipsim.kernels.arithmetic.trace import TRACE_MAX, history_float
from chipsim.kernels.jit import ENTRY, INNER

from .integers import clear_epoch, step_in_epoch
from .records import W_CODE, X0, Y0, State, Tables


class FloatTraces(NamedTuple):
    """Decay factor and impulse of x (2,) and y (3,), float64."""

    x_decay: np.ndarray
    x_impulse: np.ndarray
    y_decay: np.ndarray
    y_impulse: np.ndarray


class LinearState(NamedTuple):
    """State and constants of brian2-loihi's arithmetic; s synapses in rows of their pre neuron.

    w (s,) int32, traces (5, s) int32 in the order x1 x2 y1 y2 y3, up (6, s) int8
    what rounding adds to each and to w, x0 (i,) and y0 (j,) uint8 spikes of the step,
    row_ptr (i+1,), post (s,) int32; impulse (5,) int32; decay (5,) float64 of the rounding draw and written (5,)
    of the update, the same numbers in 15 digits; precision: least step of a weight; low, high: its range; seed
    of the random numbers, which are a function of (seed, step, variable, synapse).
    """

    w: np.ndarray
    traces: np.ndarray
    up: np.ndarray
    x0: np.ndarray
    y0: np.ndarray
    row_ptr: np.ndarray
    post: np.ndarray
    impulse: np.ndarray
    decay: np.ndarray
    written: np.ndarray
    precision: int
    low: int
    high: int
    seed: int


@njit(**INNER)
def scaled(p: Any, tab: Tables) -> Any:
    """mantissa * 2**exponent of product p."""
    return tab.product[p].mantissa * 2.0 ** tab.product[p].exponent


@njit(**INNER)
def with_constant(v: Any, f: Any, tab: Tables) -> Any:
    """A factor from its variable's value: plus its constant, or the sign of that."""
    v += tab.factor[f].constant + tab.factor[f].fraction
    return np.sign(v) if tab.factor[f].sign else v


@njit(**INNER)
def float_factor(f: Any, i: Any, j: Any, s: Any, q: Any, tab: Tables, st: State) -> Any:
    """Factor f at synapse s (pre i, post j), traces taken at step q of the epoch."""
    code = tab.factor[f].variable
    if code < 2:
        v = 1.0 if (st.tx[i] > 0 if code == 0 else st.ty[j] > 0) else 0.0
    elif code < 4:
        v = st.hx[q, code - 2, i]
    elif code < W_CODE:
        v = st.hy[q, code - 4, j]
    elif code == W_CODE:
        v = st.w[s]
    else:
        v = st.t[s] if code == W_CODE + 1 else st.d[s]
    return with_constant(v, f, tab)


@njit(**INNER)
def float_change(k: Any, i: Any, j: Any, s: Any, u: Any, tab: Tables, st: State) -> Any:
    """Change of w (k = 0), t (1) or d (2) at synapse s: products added in the order they were written."""
    total = 0.0
    for p in range(tab.target_ptr[k], tab.target_ptr[k + 1]):
        dep = tab.product[p].dep
        q = st.tx[i] if dep == X0 else (st.ty[j] if dep == Y0 else (tab.t_epoch if u else 0))
        if q == 0:
            continue
        value = scaled(p, tab)
        for f in range(tab.product[p].first, tab.product[p].last):
            value *= float_factor(f, i, j, s, q, tab, st)
        total += value
    return total


@njit(**INNER)
def float_pre(t: Any, payload, tab: Tables, par: FloatTraces, st: State) -> None:
    """Presynaptic spikes of step t: as `sop_pre`, payload/2 entering x1 whole when graded."""
    now = step_in_epoch(t, tab.t_epoch)
    for i in range(payload.size):
        if payload[i] == 0:
            continue
        again = st.tx[i] > 0
        if tab.graded == 1:
            st.x[0, i] = payload[i] / 2.0
        elif tab.graded > 1:
            st.x[0, i] += payload[i] / 2.0
        elif again:
            st.x[0, i] += par.x_impulse[0]
        if again:
            st.x[1, i] += par.x_impulse[1]
        st.tx[i] = now


@njit(**ENTRY)
def float_step(t: Any, payload, spikes, traces, tab: Tables, par: FloatTraces, st: State) -> None:
    """One time step; arguments as `chipsim.kernels.learning.sum_of_products.integers.sop_step`, state in float64, no
    random numbers."""
    float_pre(t, payload, tab, par, st)
    now = step_in_epoch(t, tab.t_epoch)
    for j in range(spikes.size):
        if spikes[j] != 0:
            if st.ty[j] > 0:
                for k in range(3):
                    st.y[k, j] += par.y_impulse[k]
            st.ty[j] = now
        if tab.three:
            for k in range(3):
                st.y[k, j] = traces[k, j]
    if t % tab.t_epoch != 0:
        return
    history_float(st.x, st.tx, par.x_decay, par.x_impulse, st.hx)
    history_float(st.y, st.ty, par.y_decay, par.y_impulse, st.hy)
    u = tab.k_mask >= 0 and ((t // tab.t_epoch) & tab.k_mask) == 0
    for i in range(st.tx.size):
        for s in range(st.row_ptr[i], st.row_ptr[i + 1]):
            j = st.post[s]
            w = st.w[s] + float_change(0, i, j, s, u, tab, st)
            tag = st.t[s] + float_change(1, i, j, s, u, tab, st)
            st.d[s] = max(st.d[s] + float_change(2, i, j, s, u, tab, st), 0.0)
            st.w[s] = max(w, 0.0) if tab.sign_mode == 1 else (min(w, 0.0) if tab.sign_mode == 2 else w)
            st.t[s] = tag
    clear_epoch(tab, st)


@njit(**INNER)
def linear_change(i: Any, j: Any, s: Any, step: Any, tab: Tables, st: LinearState) -> Any:
    """dw of synapse s before rounding; `step` is 0-based and decides which steps uK counts."""
    total = 0.0
    for p in range(tab.target_ptr[0], tab.target_ptr[1]):
        dep = tab.product[p].dep
        on = st.x0[i] if dep == X0 else (st.y0[j] if dep == Y0 else np.uint8((step & tab.k_mask) == 0))
        if on == 0:
            continue
        value = scaled(p, tab)
        for f in range(tab.product[p].first, tab.product[p].last):
            code = tab.factor[f].variable
            if code < 2:
                v = np.float64(st.x0[i]) if code == 0 else np.float64(st.y0[j])
            else:
                v = np.float64(st.traces[code - 2, s]) if code < W_CODE else np.float64(st.w[s])
            value *= with_constant(v, f, tab)
        total += value
    return total


@njit(**ENTRY)
def linear_begin(step: Any, tab: Tables, st: LinearState) -> None:
    """Draw who rounds up in this step (0-based), from traces and change as they stand before its spikes."""
    for i in range(st.x0.size):
        st.x0[i] = 0
    for j in range(st.y0.size):
        st.y0[j] = 0
    for i in range(st.x0.size):
        for s in range(st.row_ptr[i], st.row_ptr[i + 1]):
            for k in range(5):
                value = st.traces[k, s] * st.decay[k]
                st.up[k, s] = value - np.floor(value) > unit(stream_key(st.seed, step, k), s)
            dw = linear_change(i, st.post[s], s, step, tab, st)
            rest = np.int64(np.ceil(abs(dw))) % st.precision
            chance = rest / st.precision > unit(stream_key(st.seed, step, 5), s)
            st.up[5, s] = (1 if dw > 0 else -1) if chance else 0


@njit(**ENTRY)
def linear_spikes(pre, post, st: LinearState) -> None:
    """Impulses of the spikes of this step: pre (i,) and post (j,), nonzero = spike; traces clip at 127."""
    for i in range(st.x0.size):
        st.x0[i] = pre[i] != 0
        for s in range(st.row_ptr[i], st.row_ptr[i + 1]):
            spike = post[st.post[s]] != 0
            for k in range(5):
                if (k < 2 and pre[i] != 0) or (k >= 2 and spike):
                    st.traces[k, s] = min(st.traces[k, s] + st.impulse[k], TRACE_MAX)
    for j in range(st.y0.size):
        st.y0[j] = post[j] != 0


@njit(**ENTRY)
def linear_update(step: Any, tab: Tables, st: LinearState) -> None:
    """Weights from the traces as they stand, then decay; `step` is 0-based."""
    for i in range(st.x0.size):
        for s in range(st.row_ptr[i], st.row_ptr[i + 1]):
            dw = linear_change(i, st.post[s], s, step, tab, st)
            size = np.int64(np.ceil(abs(dw))) // st.precision
            change = ((size if dw > 0 else -size) + st.up[5, s]) * st.precision
            st.w[s] = min(max(st.w[s] + change, st.low), st.high)
            for k in range(5):
                st.traces[k, s] = np.int64(st.traces[k, s] * st.written[k]) + st.up[k, s]


@njit(**ENTRY)
def linear_step(step: Any, pre, post, tab: Tables, st: LinearState) -> None:
    """One step (0-based): pre spikes of this step, post spikes of the one before, weights, then decay."""
    linear_begin(step, tab, st)
    linear_spikes(pre, post, st)
    linear_update(step, tab, st)
