"""LIF with adaptive threshold and soft refractoriness in fixed point (Lava's ATRLIF): one step of a segment.

Factors are of 4096; that of the current, 4096 - (4096 delta_i + 1), is a real parameter. theta_0 is in integer units
(64 theta_0).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12, fold_once
from chipsim.kernels.jit import INNER

from .lif import BOUND, INPUT_SHIFT

P_KEPT_V, P_BIAS, P_KEPT_THETA, P_KEPT_R, P_THETA_STEP, P_THETA_0 = 0, 1, 2, 3, 4, 5
X_KEPT_I = 0  #: row of the real parameters
S_I, S_V, S_THETA, S_R = 0, 1, 2, 3


@njit(**INNER)
def atrlif(rows, params, reals, drive, fired, active, lo, hi):
    """One step; returns (active, clipped, folded)."""
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    for i in range(lo, hi):
        i0, v0, x = rows[S_I, i], rows[S_V, i], np.int32(drive[i] << INPUT_SHIFT)
        active[i] = np.uint8(1)
        n_active += np.int32(1)
        # The factor keeps a fraction of 1/4096 (delta is a float in Lava): the product is cut, then shifted.
        scaled = np.int64(i0 * reals[X_KEPT_I, i])
        kept = (np.abs(scaled) >> 12) * (1 if scaled >= 0 else -1)
        raw = np.int32(kept + x)
        current = fold_once(raw, BOUND)
        folded += np.int32(current != raw)
        v = np.int32(decay12(v0, params[P_KEPT_V, i]) + current + params[P_BIAS, i])
        voltage = np.int32(min(max(v, np.int32(1 - BOUND)), np.int32(BOUND - 1)))
        clipped += np.int32(voltage != v)
        rest = np.int32(params[P_THETA_0, i])
        theta = np.int32(decay12(np.int32(rows[S_THETA, i] - rest), params[P_KEPT_THETA, i]) + rest)
        soft = decay12(rows[S_R, i], params[P_KEPT_R, i])
        spike = np.int32(voltage - soft) >= theta
        fired[i] = np.uint8(spike)
        if spike:
            soft = np.int32(soft + np.int32(2 * theta))
            theta = np.int32(theta + params[P_THETA_STEP, i])
        rows[S_I, i], rows[S_V, i], rows[S_THETA, i], rows[S_R, i] = current, voltage, theta, soft
    return n_active, clipped, folded
