"""Neurons of recurrent networks that learn by e-prop: adaptive threshold, late reset, pseudo-derivative beside v.

Per step, with z the spike of the step before and x the sum of what arrives (equations and their source:
`chipsim.kernels.learning.eprop.adjoint`)::

    v <- kept v + gain x - threshold z;   a <- adaptation_kept a + z;   A = threshold + beta a
    unless refractory: spike if v >= A;   psi = height max(0, 1 - |v - A| / threshold), else 0

`fired` still holds the spikes of the step before on entry.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12
from chipsim.kernels.jit import INNER

BOUND = np.int32((1 << 23) - 1)
INPUT_SHIFT = np.int32(6)
REAL_P_KEPT, REAL_P_GAIN, REAL_P_THRESHOLD, REAL_P_BETA = 0, 1, 2, 3
REAL_P_ADAPTATION_KEPT, REAL_P_REFRACTORY, REAL_P_HEIGHT, REAL_P_LEVELS = 4, 5, 6, 7
P_KEPT, P_ADAPTATION_KEPT, P_THRESHOLD, P_BETA, P_REFRACTORY, P_LEVELS = 0, 1, 2, 3, 4, 5
S_V, S_A, S_REFRACTORY, S_PSI = 0, 1, 2, 3
ADAPTATION_BITS = 16  #: one spike adds 2**16 to a: finer than a decay of 2 in 4096 per step can lose


@njit(**INNER)
def real(rows, params, drive, fired, active, lo, hi):
    """In float64, in the order of operations of `chipsim.kernels.learning.eprop.adjoint.neuron_step`; returns active
    neurons. Levels of psi below 2: it is continuous.
    """
    n_active = np.int32(0)
    for i in range(lo, hi):
        spiked = float(fired[i])
        threshold, levels = params[REAL_P_THRESHOLD, i], params[REAL_P_LEVELS, i]
        v = params[REAL_P_KEPT, i] * rows[S_V, i] + params[REAL_P_GAIN, i] * drive[i] - threshold * spiked
        a = params[REAL_P_ADAPTATION_KEPT, i] * rows[S_A, i] + spiked
        distance = v - (threshold + params[REAL_P_BETA, i] * a)
        if rows[S_REFRACTORY, i] > 0.0:
            rows[S_REFRACTORY, i] -= 1.0
        free = rows[S_REFRACTORY, i] == 0.0
        bump = max(0.0, 1.0 - abs(distance) / threshold) if free else 0.0
        if levels > 1.0:
            bump = np.floor(bump * (levels - 1.0) + 0.5) / (levels - 1.0)
        spike = free and distance >= 0.0
        if spike:
            rows[S_REFRACTORY, i] = params[REAL_P_REFRACTORY, i]
        busy = v != 0.0 or a != 0.0
        rows[S_V, i], rows[S_A, i], rows[S_PSI, i] = v, a, params[REAL_P_HEIGHT, i] * bump
        fired[i], active[i] = np.uint8(spike), np.uint8(busy)
        n_active += np.int32(busy)
    return n_active


@njit(**INNER)
def integer(rows, params, drive, fired, active, lo, hi):
    """In 24-bit fixed point, decays in 4096ths; returns (active, clipped, folded).

    What is kept is of 4096, beta is of v per spike in a, psi is left as a whole number 0..levels - 1; x is taken at
    2**6.
    """
    n_active, clipped = np.int32(0), np.int32(0)
    for i in range(lo, hi):
        spiked, threshold = np.int32(fired[i]), params[P_THRESHOLD, i]
        x = np.int64(drive[i]) << np.int64(INPUT_SHIFT)  # in 64 bits: a sum that wraps would not be clipped
        raw = np.int64(decay12(rows[S_V, i], params[P_KEPT, i])) + x - np.int64(threshold) * spiked
        v = np.int32(min(max(raw, np.int64(-BOUND)), np.int64(BOUND)))
        clipped += np.int32(v != raw)
        a = np.int32(
            decay12(rows[S_A, i], params[P_ADAPTATION_KEPT, i]) + np.int32(spiked << np.int32(ADAPTATION_BITS))
        )
        raised = np.int64(threshold) + ((np.int64(params[P_BETA, i]) * np.int64(a >> np.int32(8))) >> np.int64(8))
        distance = np.int64(v) - raised
        if rows[S_REFRACTORY, i] > 0:
            rows[S_REFRACTORY, i] -= np.int32(1)
        free = rows[S_REFRACTORY, i] == 0
        top = np.int64(params[P_LEVELS, i] - 1)
        near = (np.int64(threshold) - abs(distance)) * 2 * top + np.int64(threshold)
        psi = np.int32(near // (2 * np.int64(threshold))) if free and near > 0 else np.int32(0)
        spike = free and distance >= 0
        if spike:
            rows[S_REFRACTORY, i] = params[P_REFRACTORY, i]
        busy = (v | a) != 0
        rows[S_V, i], rows[S_A, i], rows[S_PSI, i] = v, a, psi
        fired[i], active[i] = np.uint8(spike), np.uint8(busy)
        n_active += np.int32(busy)
    return n_active, clipped, np.int32(0)
