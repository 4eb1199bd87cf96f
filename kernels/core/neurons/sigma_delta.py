"""Sigma, delta and sigma-delta units with graded spikes (Lava proc/sdn/models.py): one step of a segment.

Threshold and bias are scaled by 2**(spike_exp + state_exp).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import shift_by
from chipsim.kernels.jit import INNER

P_VTH, P_BIAS, P_STATE_EXP, P_CUM_ERROR, P_RECTIFY, P_INPUT_SHIFT = 0, 1, 2, 3, 4, 5
S_SIGMA, S_ACT, S_RESIDUE, S_ERROR = 0, 1, 2, 3


@njit(**INNER)
def sigma_delta(rows, params, drive, fired, active, value, lo, hi, accumulate):
    """One step; `accumulate`: keep a running sum of the input (sigma-delta) or use it as it is (delta)."""
    n_active = np.int32(0)
    zero = np.int32(0)
    for i in range(lo, hi):
        x = shift_by(drive[i], params[P_INPUT_SHIFT, i])
        if accumulate:
            rows[S_SIGMA, i] = np.int32(rows[S_SIGMA, i] + x)
            x = np.int32(rows[S_SIGMA, i] + params[P_BIAS, i])
            if params[P_RECTIFY, i]:
                x = np.int32(max(x, zero))
        delta = np.int32(x - rows[S_ACT, i] + rows[S_RESIDUE, i])
        tested = delta
        if params[P_CUM_ERROR, i]:
            rows[S_ERROR, i] = np.int32(rows[S_ERROR, i] + delta)
            tested = rows[S_ERROR, i]
        sent = delta if abs(tested) >= params[P_VTH, i] else zero
        if params[P_CUM_ERROR, i] and sent != 0:
            rows[S_ERROR, i] = zero
        busy = (drive[i] | delta) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        rows[S_RESIDUE, i] = np.int32(delta - sent)
        rows[S_ACT, i] = x
        value[i] = np.int32(sent >> np.int32(params[P_STATE_EXP, i]))
        fired[i] = np.uint8(value[i] != 0)
    return n_active, zero, zero


@njit(**INNER)
def sigma(rows, drive, fired, active, value, lo, hi):
    """Running sum of the input, sent each step; returns (active, 0, 0)."""
    n_active = np.int32(0)
    for i in range(lo, hi):
        rows[S_SIGMA, i] = np.int32(rows[S_SIGMA, i] + drive[i])
        value[i] = rows[S_SIGMA, i]
        fired[i] = np.uint8(rows[S_SIGMA, i] != 0)
        active[i] = np.uint8(drive[i] != 0)
        n_active += np.int32(drive[i] != 0)
    return n_active, np.int32(0), np.int32(0)
