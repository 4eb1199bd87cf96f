"""Neurons of recurrent networks that learn by e-prop: adaptive threshold, late reset, pseudo-derivative beside v.

Per step, with z the spike of the step before and x the sum of what arrives (equations and their source:
`chipsim.kernels.learning.eprop.adjoint`)::

    v <- kept v + gain x - threshold z;   a <- adaptation_kept a + z;   A = threshold + beta a
    unless refractory: spike if v >= A;   psi = height max(0, 1 - |v - A| / threshold), else 0

State rows: 0 v, 1 a, 2 refractory counter, 3 psi. `fired` still holds the spikes of the step before on entry.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12
from chipsim.kernels.jit import INNER

BOUND = np.int32((1 << 23) - 1)
INPUT_SHIFT = np.int32(6)
ADAPTATION_BITS = 16  #: one spike adds 2**16 to a: finer than a decay of 2 in 4096 per step can lose


@njit(**INNER)
def real(rows, params, drive, fired, active, lo, hi):
    """In float64, in the order of operations of `chipsim.kernels.learning.eprop.adjoint.neuron_step`; returns active
    neurons.

    Parameter rows: 0 kept, 1 gain, 2 threshold, 3 beta, 4 adaptation kept, 5 refractory steps, 6 height of psi,
    7 levels of psi (below 2: continuous).
    """
    n_active = np.int32(0)
    for i in range(lo, hi):
        spiked = float(fired[i])
        threshold, levels = params[2, i], params[7, i]
        v = params[0, i] * rows[0, i] + params[1, i] * drive[i] - threshold * spiked
        a = params[4, i] * rows[1, i] + spiked
        distance = v - (threshold + params[3, i] * a)
        if rows[2, i] > 0.0:
            rows[2, i] -= 1.0
        free = rows[2, i] == 0.0
        bump = max(0.0, 1.0 - abs(distance) / threshold) if free else 0.0
        if levels > 1.0:
            bump = np.floor(bump * (levels - 1.0) + 0.5) / (levels - 1.0)
        spike = free and distance >= 0.0
        if spike:
            rows[2, i] = params[5, i]
        busy = v != 0.0 or a != 0.0
        rows[0, i], rows[1, i], rows[3, i] = v, a, params[6, i] * bump
        fired[i], active[i] = np.uint8(spike), np.uint8(busy)
        n_active += np.int32(busy)
    return n_active


@njit(**INNER)
def integer(rows, params, drive, fired, active, lo, hi):
    """In 24-bit fixed point, decays in 4096ths; returns (active, clipped, folded).

    Parameter rows: 0 kept and 1 adaptation kept (of 4096), 2 threshold, 3 beta (of v per spike in a), 4 refractory
    steps, 5 levels of psi. psi is left as a whole number 0..levels - 1; x is taken at 2**6.
    """
    n_active, clipped = np.int32(0), np.int32(0)
    for i in range(lo, hi):
        spiked, threshold = np.int32(fired[i]), params[2, i]
        raw = np.int32(
            decay12(rows[0, i], params[0, i]) + np.int32(drive[i] << INPUT_SHIFT) - np.int32(threshold * spiked)
        )
        v = np.int32(min(max(raw, -BOUND), BOUND))
        clipped += np.int32(v != raw)
        a = np.int32(decay12(rows[1, i], params[1, i]) + np.int32(spiked << np.int32(ADAPTATION_BITS)))
        raised = np.int64(threshold) + ((np.int64(params[3, i]) * np.int64(a >> np.int32(8))) >> np.int64(8))
        distance = np.int64(v) - raised
        if rows[2, i] > 0:
            rows[2, i] -= np.int32(1)
        free = rows[2, i] == 0
        top = np.int64(params[5, i] - 1)
        near = (np.int64(threshold) - abs(distance)) * 2 * top + np.int64(threshold)
        psi = np.int32(near // (2 * np.int64(threshold))) if free and near > 0 else np.int32(0)
        spike = free and distance >= 0
        if spike:
            rows[2, i] = params[4, i]
        busy = (v | a) != 0
        rows[0, i], rows[1, i], rows[3, i] = v, a, psi
        fired[i], active[i] = np.uint8(spike), np.uint8(busy)
        n_active += np.int32(busy)
    return n_active, clipped, np.int32(0)
