"""Neurons in float64: one step of a segment, in the exact order of operations of the tool they stand for."""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

CUT_P_THRESHOLD, CUT_P_RESET, CUT_P_LEAK_DECAY, CUT_P_INPUT_DECAY, CUT_P_BIAS = 0, 1, 2, 3, 4
CUT_P_SOFT_RESET, CUT_P_REFRACTORY, CUT_P_FORCE_UPDATE, CUT_P_GRID = 5, 6, 7, 8
CUT_S_V, CUT_S_U, CUT_S_REFRACTORY = 0, 1, 2
LAVA_P_VTH, LAVA_P_DU, LAVA_P_DV, LAVA_P_BIAS, LAVA_P_REFRACTORY = 0, 1, 2, 3, 4
LAVA_S_U, LAVA_S_V, LAVA_S_REFRACTORY = 0, 1, 2


@njit(**INNER)
def cut_lif(rows, params, drive, touched, fired, active, lo, hi, first):
    """Leaky integrate-and-fire with the potential cut to a grid (SANA-FE's soma).

    `touched`: an event arrived.
    """
    n_active = np.int32(0)
    for i in range(lo, hi):
        v, u = rows[CUT_S_V, i], rows[CUT_S_U, i]
        came = touched[i] != 0 or drive[i] != 0.0
        busy = v != 0.0 or came or params[CUT_P_BIAS, i] != 0.0 or params[CUT_P_FORCE_UPDATE, i] != 0.0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        if not first:
            u *= params[CUT_P_INPUT_DECAY, i]
            v *= params[CUT_P_LEAK_DECAY, i]
        if params[CUT_P_GRID, i] > 0.0:
            v = np.trunc(v * params[CUT_P_GRID, i]) / params[CUT_P_GRID, i]
        spike = False
        if rows[CUT_S_REFRACTORY, i] <= 0.0:
            v += params[CUT_P_BIAS, i]
            u += drive[i]
            v += u
            if v > params[CUT_P_THRESHOLD, i]:
                spike = True
                v = v - params[CUT_P_THRESHOLD, i] if params[CUT_P_SOFT_RESET, i] != 0.0 else params[CUT_P_RESET, i]
                rows[CUT_S_REFRACTORY, i] = params[CUT_P_REFRACTORY, i]
        rows[CUT_S_REFRACTORY, i] = max(0.0, rows[CUT_S_REFRACTORY, i] - 1.0)
        rows[CUT_S_V, i], rows[CUT_S_U, i] = v, u
        fired[i] = np.uint8(spike)
    return n_active


@njit(**INNER)
def lava_lif(rows, params, drive, fired, active, lo, hi):
    """Lava's floating-point LIF and LIFRefractory."""
    n_active = np.int32(0)
    for i in range(lo, hi):
        busy = rows[LAVA_S_U, i] != 0.0 or rows[LAVA_S_V, i] != 0.0 or drive[i] != 0.0 or params[LAVA_P_BIAS, i] != 0.0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        u = rows[LAVA_S_U, i] * (1.0 - params[LAVA_P_DU, i]) + drive[i]
        rows[LAVA_S_U, i] = u
        if rows[LAVA_S_REFRACTORY, i] > 0.0:
            rows[LAVA_S_REFRACTORY, i] -= 1.0
            fired[i] = np.uint8(0)
            continue
        v = rows[LAVA_S_V, i] * (1.0 - params[LAVA_P_DV, i]) + u + params[LAVA_P_BIAS, i]
        spike = v > params[LAVA_P_VTH, i]
        fired[i] = np.uint8(spike)
        if spike:
            v = 0.0
            rows[LAVA_S_REFRACTORY, i] = params[LAVA_P_REFRACTORY, i]
        rows[LAVA_S_V, i] = v
    return n_active
