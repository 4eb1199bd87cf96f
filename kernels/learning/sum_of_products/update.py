"""Sums of products in integers: new values of w, t and d at the synapses whose dependencies are met.

int32 product of the dependency and the clipped factors, wrapping; times the mantissa; arithmetic shift right
to 15 bits; shift left by e + 7; clip. The sum starts at var << 7, is clipped after each product, then rounded
back to var by the drawn number. Source: lava-nc 0.10.0, `magma/core/learning/learning_rule_applier.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

from .records import (
    ACC_MAX,
    ACC_MIN,
    BATCH,
    CHANGED,
    CLIPPED,
    LOW_TAGS,
    NEW,
    POST,
    PRE,
    PRODUCT_OF,
    PRODUCTS,
    STALLED,
    STEP,
    SYNAPSE,
    VALUE,
    VAR_MIN,
    VAR_SHIFT,
    W_CODE,
    X0,
    Y0,
    State,
    Tables,
)


@njit(**INNER)
def gather(code: Any, n: Any, st: State) -> None:
    """Values of one variable at the n synapses of the batch, traces at their step of the epoch."""
    value, s, q = st.batch[VALUE], st.batch[SYNAPSE], st.batch[STEP]
    i, j = st.batch[PRE], st.batch[POST]
    if code < 2:
        for m in range(n):
            value[m] = np.int32((st.tx[i[m]] if code == 0 else st.ty[j[m]]) > 0)
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


@njit(**INNER)
def multiply_factor(factor: Any, n: Any, value: Any, product: Any) -> None:
    """The products of a batch times the values of one factor's variable, wrapping at 32 bits."""
    constant, low, high = factor.constant, factor.low, factor.high
    fraction = np.int32(factor.fraction > 0)
    if factor.sign:
        for m in range(n):
            v = value[m] + constant
            sign = np.int32(v > 0) - np.int32(v < 0) + np.int32(v == 0) * fraction
            product[m] = np.int32(product[m] * sign)
        return
    for m in range(n):
        v = value[m] + constant
        v += np.int32(v < 0) * fraction  # a fraction left above the floor is cut off toward zero
        product[m] = np.int32(product[m] * min(max(v, low), high))


@njit(**INNER)
def add_product(p: Any, u: Any, n: Any, tab: Tables, st: State) -> Any:
    """Product p into st.acc (units of 2**-7), clipped; returns at how many synapses its dependency is met."""
    record = tab.product[p]
    dep, acc, i, j = record.dep, st.acc, st.batch[PRE], st.batch[POST]
    q, product = st.batch[STEP], st.batch[PRODUCT_OF]
    met = 0
    for m in range(n):
        q[m] = st.tx[i[m]] if dep == X0 else (st.ty[j[m]] if dep == Y0 else (tab.t_epoch if u else 0))
        product[m] = np.int32(q[m] > 0)
        met += product[m]
    if met > 0:
        for f in range(record.first, record.last):
            gather(tab.factor[f].variable, n, st)
            multiply_factor(tab.factor[f], n, st.batch[VALUE], product)
    mantissa, right, left = record.mantissa, record.right, record.exponent + VAR_SHIFT
    for m in range(n):
        change = (np.int64(np.int32(product[m] * mantissa)) >> right) << left
        change = min(max(change, ACC_MIN), ACC_MAX)
        acc[m] = min(max(acc[m] + change, ACC_MIN), ACC_MAX)
    return met


@njit(**INNER)
def update_target(k: Any, old: Any, u: Any, r: Any, n: Any, tab: Tables, st: State) -> None:
    """New values of w (k = 0), t (1) or d (2) at the synapses of the batch, from the old ones."""
    s, new, accumulator = st.batch[SYNAPSE], st.batch[NEW + k], st.acc
    for m in range(n):
        accumulator[m] = np.int64(old[s[m]]) << VAR_SHIFT
    for p in range(tab.target_ptr[k], tab.target_ptr[k + 1]):
        st.counts[PRODUCTS] += add_product(p, u, n, tab, st)
    bottom = 0 if k == 2 or (k == 0 and tab.sign_mode == 1) else ACC_MIN
    top = 0 if k == 0 and tab.sign_mode == 2 else ACC_MAX
    low, high = np.int64(tab.bounds[k, 0]), np.int64(tab.bounds[k, 1])
    changed, stalled, clipped, low_tags = 0, 0, 0, 0
    for m in range(n):
        was = np.int64(old[s[m]])
        moved = accumulator[m] != was << VAR_SHIFT
        acc = min(max(accumulator[m], bottom), top)
        up = r < (acc & (2**VAR_SHIFT - 1)) / 2.0**VAR_SHIFT
        value = min(max((acc >> VAR_SHIFT) + np.int64(up), low), high)
        new[m] = value
        low_tags += np.int64(value < VAR_MIN)
        changed += np.int64(value != was)
        stalled += np.int64(moved and value == was)
        clipped += np.int64(moved and (value == low or value == high))  # noqa: SIM109
    st.counts[CHANGED] += changed
    st.counts[STALLED] += stalled
    st.counts[CLIPPED] += clipped
    st.counts[LOW_TAGS] += low_tags


@njit(**INNER)
def update_batch(u: Any, r: Any, n: Any, tab: Tables, st: State) -> None:
    """All targets of the first n synapses of the batch; written back only when all are known."""
    for k in range(3):
        if tab.target_ptr[k + 1] > tab.target_ptr[k]:
            update_target(k, st.w if k == 0 else (st.t if k == 1 else st.d), u, r, n, tab, st)
    s = st.batch[SYNAPSE]
    for k in range(3):
        if tab.target_ptr[k + 1] > tab.target_ptr[k]:
            target, new = st.w if k == 0 else (st.t if k == 1 else st.d), st.batch[NEW + k]
            for m in range(n):
                target[s[m]] = new[m]


@njit(**INNER)
def due_synapses(every: Any, tab: Tables, st: State) -> Any:
    """Lists the synapses with a product due in st.due (synapse, pre): rows of pre neurons that spiked, or all rows,
    then columns of post neurons that spiked. Returns how many."""
    synapse, pre, tx, ty = st.due[0], st.due[1], st.tx, st.ty
    n = 0
    for i in range(tx.size):
        if every or (tab.uses_x0 and tx[i] > 0):
            for s in range(st.row_ptr[i], st.row_ptr[i + 1]):
                synapse[n], pre[n] = s, i
                n += 1
    if tab.uses_y0 and not every:
        for j in range(ty.size):
            if ty[j] == 0:
                continue
            for c in range(st.col_ptr[j], st.col_ptr[j + 1]):
                i = st.col_pre[c]
                if not (tab.uses_x0 and tx[i] > 0):
                    synapse[n], pre[n] = st.col_synapse[c], i
                    n += 1
    return n


@njit(**INNER)
def update_synapses(u: Any, r: Any, tab: Tables, st: State) -> None:
    """All synapses whose dependencies are met, a batch at a time; new values come from the old w, t and d.

    A tag one below its accumulator's range is pulled back even where no product is due: then all are visited.
    """
    low_tags = st.counts[LOW_TAGS] > 0 and tab.target_ptr[2] > tab.target_ptr[1]
    st.counts[LOW_TAGS] = 0
    n = due_synapses(u or low_tags, tab, st)
    for start in range(0, n, BATCH):
        size = min(BATCH, n - start)
        for m in range(size):
            s = st.due[0, start + m]
            st.batch[SYNAPSE, m], st.batch[PRE, m], st.batch[POST, m] = s, st.due[1, start + m], st.post[s]
        update_batch(u, r, size, tab, st)
