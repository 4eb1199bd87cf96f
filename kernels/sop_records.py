"""Records of the sum-of-products engine: a rule as tables, constants of traces, random numbers, state, scratch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

X0, Y0, U = 0, 1, 2
#: Codes of a factor's variable: 0 x0, 1 y0, 2 x1, 3 x2, 4 y1, 5 y2, 6 y3, 7 w, 8 t, 9 d.
VARIABLES = ("x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "t", "d")
W_CODE = 7
#: Accumulator: 15 bits and sign; a synaptic variable stands 7 bits above its least bit.
ACC_BITS, VAR_SHIFT = 15, 7
ACC_MIN, ACC_MAX = -(2**ACC_BITS) - 1, 2**ACC_BITS - 1
VAR_MIN = -(2 ** (ACC_BITS - VAR_SHIFT))
#: Synapses updated together: their scratch (48 kB) stays in the cache.
BATCH = 1024
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


class Batch(NamedTuple):
    """Scratch for up to BATCH synapses that are updated together, (BATCH,) each; int32, acc int64.

    Work goes product by product over a batch, so that what a product is need not be decided at every synapse.
    """

    synapse: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    q: np.ndarray  # step of the epoch at which a product reads its traces, 0: dependency not met
    value: np.ndarray
    product: np.ndarray
    acc: np.ndarray
    new_w: np.ndarray
    new_t: np.ndarray
    new_d: np.ndarray
