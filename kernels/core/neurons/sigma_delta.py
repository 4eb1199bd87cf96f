"""Sigma, delta and sigma-delta units with graded spikes (Lava proc/sdn/models.py): one step of a segment.

Integer parameter rows: 2 threshold and 3 bias (both scaled by 2**(spike_exp + state_exp)), 4 state_exp,
5 cumulative error, 6 rectify, 7 shift of the input. State rows: 0 sigma, 1 act, 2 residue, 3 error.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import shift_by
from chipsim.kernels.jit import INNER


@njit(**INNER)
def sigma_delta(rows, params, drive, fired, active, value, lo, hi, accumulate):
    """One step; `accumulate`: keep a running sum of the input (sigma-delta) or use it as it is (delta)."""
    n_active = np.int32(0)
    zero = np.int32(0)
    for i in range(lo, hi):
        x = shift_by(drive[i], params[7, i])
        if accumulate:
            rows[0, i] = np.int32(rows[0, i] + x)
            x = np.int32(rows[0, i] + params[3, i])
            if params[6, i]:
                x = np.int32(max(x, zero))
        delta = np.int32(x - rows[1, i] + rows[2, i])
        tested = delta
        if params[5, i]:
            rows[3, i] = np.int32(rows[3, i] + delta)
            tested = rows[3, i]
        sent = delta if abs(tested) >= params[2, i] else zero
        if params[5, i] and sent != 0:
            rows[3, i] = zero
        busy = (drive[i] | delta) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        rows[2, i] = np.int32(delta - sent)
        rows[1, i] = x
        value[i] = np.int32(sent >> np.int32(params[4, i]))
        fired[i] = np.uint8(value[i] != 0)
    return n_active, zero, zero


@njit(**INNER)
def sigma(rows, drive, fired, active, value, lo, hi):
    """Running sum of the input, sent each step; returns (active, 0, 0)."""
    n_active = np.int32(0)
    for i in range(lo, hi):
        rows[0, i] = np.int32(rows[0, i] + drive[i])
        value[i] = rows[0, i]
        fired[i] = np.uint8(rows[0, i] != 0)
        active[i] = np.uint8(drive[i] != 0)
        n_active += np.int32(drive[i] != 0)
    return n_active, np.int32(0), np.int32(0)
