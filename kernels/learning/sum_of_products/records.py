"""Records of the sum-of-products engine: a rule as tables, trace constants, random numbers, state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

X0, Y0, U = 0, 1, 2
#: Codes of a factor's variable: 0 x0, 1 y0, 2 x1, 3 x2, 4 y1, 5 y2, 6 y3, 7 w, 8 t, 9 d.
VARIABLES = ("x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "t", "d")
W_CODE = 7
#: Accumulator: 15 bits and sign; a synaptic variable stands 7 bits above its least bit.
ACC_BITS, VAR_SHIFT = 15, 7
ACC_MIN, ACC_MAX = -(2**ACC_BITS) - 1, 2**ACC_BITS - 1
VAR_MIN = -(2 ** (ACC_BITS - VAR_SHIFT))
#: Synapses updated together: their scratch (45 kB) stays in the cache.
BATCH = 1024
#: Rows of State.batch. STEP: step of the epoch at which a product reads its traces, 0: dependency not met.
SYNAPSE, PRE, POST, STEP, VALUE, PRODUCT_OF, NEW = range(7)
#: Index of each counter in State.counts.
EPOCHS, PRODUCTS, CHANGED, STALLED, CLIPPED, LOW_TAGS = range(6)


#: One product of a rule: its dependency (X0, Y0, U), scale mantissa * 2**exponent, bits shifted out, and its
#: factors first..last (exclusive).
PRODUCT = np.dtype([(n, np.int32) for n in ("dep", "mantissa", "exponent", "right", "first", "last")])
#: One factor: clip(variable + constant + fraction, low, high) cut toward zero, or its sign.
FACTOR = np.dtype([(n, np.int32) for n in ("variable", "constant", "sign", "low", "high")] + [("fraction", np.float64)])


class Tables(NamedTuple):
    """A rule as numbers.

    product (p,) PRODUCT records sorted by target (w, t, d), those of target k are
    target_ptr[k]..target_ptr[k+1]; factor (f,) FACTOR records; bounds (3, 2) int32 range of w, t, d. k_mask:
    2**K - 1 of uK, -1 if no product uses u. uses_x0, uses_y0: whether any product depends on them. sign_mode:
    0 mixed, 1 excitatory, 2 inhibitory. t_epoch: steps per epoch. three: 1 if y1..y3 come from outside.
    graded: how payloads enter x1 (0 ignored, 1 overwrite, 2 add and saturate, 3 add, keep what exceeds 127).
    """

    product: Any  # fields by name, which checkers do not see in an array of records
    factor: Any
    target_ptr: np.ndarray
    bounds: np.ndarray
    k_mask: int
    uses_x0: int
    uses_y0: int
    sign_mode: int
    t_epoch: int
    three: int
    graded: int


class TraceParams(NamedTuple):
    """Constants of the traces, float64: x (3, 2), y (3, 3); rows decay, whole impulse, fraction in 1/256."""

    x: np.ndarray
    y: np.ndarray


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
    the epoch, 0 none. hx (q, 2, i), hy (q, 3, j) int32 scratch. row_ptr (i+1,), post (s,) int32: rows. col_ptr
    (j+1,), col_synapse (s,), col_pre (s,) int32: the same by post neuron, where a rule depends on y0. due (2,
    s) int32: scratch, synapses with a product due. counts (6,) int64: epochs, products evaluated, variables
    changed, variables whose update rounded to nothing, variables clipped, tags below -256. batch (9, BATCH)
    int32 and acc (BATCH,) int64: scratch of the synapses that are updated together. Work goes product by
    product over a batch, so that what a product is need not be decided at every synapse.
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
    col_ptr: np.ndarray
    col_synapse: np.ndarray
    col_pre: np.ndarray
    due: np.ndarray
    counts: np.ndarray
    batch: np.ndarray
    acc: np.ndarray
