"""Neurons in float64: one step of a segment, in the exact order of operations of the tool they stand for."""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER


@njit(**INNER)
def cut_lif(rows, params, drive, touched, fired, active, lo, hi, first):
    """Leaky integrate-and-fire with the potential cut to a grid (SANA-FE's soma).

    Parameter rows: 0 threshold, 1 reset, 2 leak decay, 3 input decay, 4 bias, 5 soft reset, 6 refractory,
    7 force update, 8 grid. State rows: 0 v, 1 u, 2 refractory counter. `touched`: an event arrived.
    """
    n_active = np.int32(0)
    for i in range(lo, hi):
        v, u = rows[0, i], rows[1, i]
        busy = v != 0.0 or touched[i] != 0 or params[4, i] != 0.0 or params[7, i] != 0.0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        if not first:
            u *= params[3, i]
            v *= params[2, i]
        if params[8, i] > 0.0:
            v = np.trunc(v * params[8, i]) / params[8, i]
        spike = False
        if rows[2, i] <= 0.0:
            v += params[4, i]
            u += drive[i]
            v += u
            if v > params[0, i]:
                spike = True
                v = v - params[0, i] if params[5, i] != 0.0 else params[1, i]
                rows[2, i] = params[6, i]
        rows[2, i] = max(0.0, rows[2, i] - 1.0)
        rows[0, i], rows[1, i] = v, u
        fired[i] = np.uint8(spike)
    return n_active


@njit(**INNER)
def lava_lif(rows, params, drive, fired, active, lo, hi):
    """Lava's floating-point LIF and LIFRefractory.

    Parameter rows: 0 vth, 1 du, 2 dv, 3 bias, 4 refractory steps. State rows: 0 u, 1 v, 2 steps left at rest.
    """
    n_active = np.int32(0)
    for i in range(lo, hi):
        busy = rows[0, i] != 0.0 or rows[1, i] != 0.0 or drive[i] != 0.0 or params[3, i] != 0.0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        u = rows[0, i] * (1.0 - params[1, i]) + drive[i]
        rows[0, i] = u
        if rows[2, i] > 0.0:
            rows[2, i] -= 1.0
            fired[i] = np.uint8(0)
            continue
        v = rows[1, i] * (1.0 - params[2, i]) + u + params[3, i]
        spike = v > params[0, i]
        fired[i] = np.uint8(spike)
        if spike:
            v = 0.0
            rows[2, i] = params[4, i]
        rows[1, i] = v
    return n_active
