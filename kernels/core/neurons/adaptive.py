"""LIF with adaptive threshold and soft refractoriness in fixed point (Lava's ATRLIF): one step of a segment.

Real parameter rows: 0 current factor (4096 - (4096 delta_i + 1)), 1 theta_0 in integer units (64 theta_0).
Integer rows: 1 voltage factor, 3 bias, 4 theta factor, 5 refractory factor (all of 4096), 6 threshold step.
State rows: 0 current, 1 voltage, 2 threshold, 3 refractory.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12, fold_once
from chipsim.kernels.jit import INNER

from .lif import BOUND, INPUT_SHIFT


@njit(**INNER)
def atrlif(rows, params, reals, drive, fired, active, lo, hi):
    """One step; returns (active, clipped, folded)."""
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    for i in range(lo, hi):
        i0, v0, x = rows[0, i], rows[1, i], np.int32(drive[i] << INPUT_SHIFT)
        active[i] = np.uint8(1)
        n_active += np.int32(1)
        # The factor keeps a fraction of 1/4096 (delta is a float in Lava): the product is cut, then shifted.
        scaled = np.int64(i0 * reals[0, i])
        kept = (np.abs(scaled) >> 12) * (1 if scaled >= 0 else -1)
        raw = np.int32(kept + x)
        current = fold_once(raw, BOUND)
        folded += np.int32(current != raw)
        v = np.int32(decay12(v0, params[1, i]) + current + params[3, i])
        voltage = np.int32(min(max(v, np.int32(1 - BOUND)), np.int32(BOUND - 1)))
        clipped += np.int32(voltage != v)
        rest = np.int32(params[7, i])
        theta = np.int32(decay12(np.int32(rows[2, i] - rest), params[4, i]) + rest)
        soft = decay12(rows[3, i], params[5, i])
        spike = np.int32(voltage - soft) >= theta
        fired[i] = np.uint8(spike)
        if spike:
            soft = np.int32(soft + np.int32(2 * theta))
            theta = np.int32(theta + params[6, i])
        rows[0, i], rows[1, i], rows[2, i], rows[3, i] = current, voltage, theta, soft
    return n_active, clipped, folded
