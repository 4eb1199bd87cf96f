"""Sums of products in integers: new values of w, t and d at the synapses whose dependencies are met.

int32 product of the dependency and the clipped factors, wrapping; times the mantissa; arithmetic shift right to
15 bits; shift left by e + 7; clip. The sum starts at var << 7, is clipped after each product, then rounded back to
var by the drawn number. Source: lava-nc 0.10.0, `magma/core/learning/learning_rule_applier.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kernels.sop_records import (
    ACC_MAX,
    ACC_MIN,
    BATCH,
    CHANGED,
    CLIPPED,
    PRODUCTS,
    STALLED,
    VAR_MIN,
    VAR_SHIFT,
    W_CODE,
    X0,
    Y0,
    Batch,
    State,
    Tables,
)


@njit(cache=True, nogil=True, error_model="numpy")
def gather(code: Any, n: Any, b: Batch, st: State) -> None:
    """Values of one variable at the n synapses of a batch, traces at step b.q of the epoch, into b.value."""
    value, s, i, j, q = b.value, b.synapse, b.pre, b.post, b.q
    if code == 0:
        for m in range(n):
            value[m] = np.int32(st.tx[i[m]] > 0)
    elif code == 1:
        for m in range(n):
            value[m] = np.int32(st.ty[j[m]] > 0)
    elif code < 4:
        for m in range(n):
            value[m] = st.hx[q[m], code - 2, i[m]]
    elif code < W_CODE:
        for m in range(n):
            value[m] = st.hy[q[m], code - 4, j[m]]
    else:
        source = st.w if code == W_CODE else (st.t if code == W_CODE + 1 else st.d)
        for m in range(n):
            value[m] = source[s[m]]


@njit(cache=True, nogil=True, error_model="numpy")
def multiply_factor(f: Any, n: Any, b: Batch, tab: Tables, st: State) -> None:
    """b.product times factor f, wrapping at 32 bits."""
    gather(tab.variable[f], n, b, st)
    constant, fraction = tab.constant[f], np.int32(tab.fraction[f] > 0)
    low, high = tab.low[f], tab.high[f]
    value, product = b.value, b.product
    if tab.sign[f]:
        for m in range(n):
            v = value[m] + constant
            sign = np.int32(v > 0) - np.int32(v < 0) + np.int32(v == 0) * fraction
            product[m] = np.int32(product[m] * sign)
        return
    for m in range(n):
        v = value[m] + constant
        v += np.int32(v < 0) * fraction  # a fraction left above the floor is cut off toward zero
        product[m] = np.int32(product[m] * min(max(v, low), high))


@njit(cache=True, nogil=True, error_model="numpy")
def add_product(p: Any, u: Any, n: Any, b: Batch, tab: Tables, st: State) -> Any:
    """Product p into b.acc (units of 2**-7), clipped; returns at how many synapses its dependency is met."""
    dep, q, product, acc = tab.dep[p], b.q, b.product, b.acc
    met = 0
    for m in range(n):
        q[m] = (
            st.tx[b.pre[m]] if dep == X0 else (st.ty[b.post[m]] if dep == Y0 else (tab.t_epoch if u else 0))
        )
        product[m] = np.int32(q[m] > 0)
        met += product[m]
    if met > 0:
        for f in range(tab.factor_ptr[p], tab.factor_ptr[p + 1]):
            multiply_factor(f, n, b, tab, st)
    mantissa, right, left = tab.mantissa[p], tab.right[p], tab.exponent[p] + VAR_SHIFT
    for m in range(n):
        change = (np.int64(np.int32(product[m] * mantissa)) >> right) << left
        change = min(max(change, ACC_MIN), ACC_MAX)
        acc[m] = min(max(acc[m] + change, ACC_MIN), ACC_MAX)
    return met


@njit(cache=True, nogil=True, error_model="numpy")
def update_target(k: Any, old, new, u: Any, r: Any, n: Any, b: Batch, tab: Tables, st: State) -> None:
    """New values of w (k = 0), t (1) or d (2) at the synapses of a batch, from the old ones in the state."""
    for m in range(n):
        b.acc[m] = np.int64(old[b.synapse[m]]) << VAR_SHIFT
    for p in range(tab.target_ptr[k], tab.target_ptr[k + 1]):
        st.counts[PRODUCTS] += add_product(p, u, n, b, tab, st)
    floor_at_0 = k == 2 or (k == 0 and tab.sign_mode == 1)
    ceil_at_0 = k == 0 and tab.sign_mode == 2
    low, high = np.int64(tab.bounds[k, 0]), np.int64(tab.bounds[k, 1])
    for m in range(n):
        was = np.int64(old[b.synapse[m]])
        acc = b.acc[m]
        moved = acc != was << VAR_SHIFT
        if floor_at_0:
            acc = max(acc, 0)
        elif ceil_at_0:
            acc = min(acc, 0)
        up = r < (acc & (2**VAR_SHIFT - 1)) / 2.0**VAR_SHIFT
        value = min(max((acc >> VAR_SHIFT) + np.int64(up), low), high)
        new[m] = value
        st.counts[CHANGED] += np.int64(value != was)
        st.counts[STALLED] += np.int64(moved and value == was)
        st.counts[CLIPPED] += np.int64(moved and (value == low or value == high))


@njit(cache=True, nogil=True, error_model="numpy")
def update_batch(u: Any, r: Any, n: Any, b: Batch, tab: Tables, st: State) -> None:
    """All targets of the first n synapses of a batch; written back only when all are known."""
    if n == 0:
        return
    if tab.target_ptr[1] > 0:
        update_target(0, st.w, b.new_w, u, r, n, b, tab, st)
    if tab.target_ptr[2] > tab.target_ptr[1]:
        update_target(1, st.t, b.new_t, u, r, n, b, tab, st)
    if tab.target_ptr[3] > tab.target_ptr[2]:
        update_target(2, st.d, b.new_d, u, r, n, b, tab, st)
    for m in range(n):
        s = b.synapse[m]
        if tab.target_ptr[1] > 0:
            st.w[s] = b.new_w[m]
        if tab.target_ptr[2] > tab.target_ptr[1]:
            st.t[s] = b.new_t[m]
        if tab.target_ptr[3] > tab.target_ptr[2]:
            st.d[s] = b.new_d[m]


@njit(cache=True, nogil=True, error_model="numpy")
def new_batch() -> Batch:
    """Scratch for one batch."""
    size = BATCH
    i32, acc = np.empty((9, size), np.int32), np.empty(size, np.int64)
    return Batch(i32[0], i32[1], i32[2], i32[3], i32[4], i32[5], acc, i32[6], i32[7], i32[8])


@njit(cache=True, nogil=True, error_model="numpy")
def update_synapses(u: Any, r: Any, tab: Tables, st: State) -> None:
    """All synapses whose dependencies are met, a batch at a time; new values come from the old w, t and d."""
    any_post = tab.uses[Y0] != 0 and np.any(st.ty > 0)
    has_t = tab.target_ptr[2] > tab.target_ptr[1]
    b = new_batch()
    post, tag, ty, row_ptr = st.post, st.t, st.ty, st.row_ptr
    n = 0
    for i in range(st.tx.size):
        row = u or (tab.uses[X0] != 0 and st.tx[i] > 0)
        if not (row or any_post or has_t):
            continue
        for s in range(row_ptr[i], row_ptr[i + 1]):
            # A tag one below its accumulator's range is pulled back even where no product is due.
            if row or (any_post and ty[post[s]] > 0) or (has_t and tag[s] < VAR_MIN):
                b.synapse[n], b.pre[n], b.post[n] = s, i, post[s]
                n += 1
                if n == BATCH:
                    update_batch(u, r, n, b, tab, st)
                    n = 0
    update_batch(u, r, n, b, tab, st)
