"""Fixed-point LIF that sends a count of spikes, or waits while a reset leaves it above threshold: a step of a segment.

Factors are of 4096.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12
from chipsim.kernels.jit import INNER

from .lif import BOUND, INPUT_SHIFT

LOWEST = np.int32(1 - (1 << 31))
P_KEPT_U, P_KEPT_V, P_VTH, P_BIAS, P_MOST, P_VMIN, P_VMAX, P_TAKEN = 0, 1, 2, 3, 4, 5, 6, 7
S_U, S_V = 0, 1
O_SPIKES = 1  #: kind of spike: MANY or WAITS

MANY, WAITS = 0, 1  #: floor(v / threshold) spikes; or one, above two thresholds if v began the step above one


@njit(**INNER)
def count_lif(rows, params, drive, fired, active, value, lo, hi, kind):
    """One step of neurons [lo, hi); returns (active, clipped, folded).

    A count beyond P_MOST is cut to it and counted as clipped; v keeps the rest. The current stops at its bounds, where
    a wrap would turn the strongest excitation into inhibition.
    """
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    for i in range(lo, hi):
        u0, v0, x = rows[S_U, i], rows[S_V, i], np.int64(drive[i]) << np.int64(INPUT_SHIFT)
        busy = (u0 | v0 | params[P_BIAS, i]) != 0 or x != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        raw = np.int64(decay12(u0, params[P_KEPT_U, i])) + x  # in 64 bits: a sum that wraps would not be clipped
        u = np.int32(min(max(raw, np.int64(1 - BOUND)), np.int64(BOUND - 1)))
        folded += np.int32(u != raw)
        v = np.int32(decay12(v0, params[P_KEPT_V, i]) + u + params[P_BIAS, i])
        kept = np.int32(min(max(v, params[P_VMIN, i]), params[P_VMAX, i]))
        top = params[P_VTH, i]
        if kind == WAITS:
            bar = np.int64(top) * (2 if v0 > top else 1)
            sent = np.int32(kept > bar)
        else:
            wanted = np.int32(kept // top) if kept >= top else np.int32(0)
            sent = np.int32(min(wanted, params[P_MOST, i]))
            clipped += np.int32(sent != wanted)
        clipped += np.int32(kept != v)
        rows[S_U, i] = u
        left = np.int64(kept) - np.int64(sent) * np.int64(params[P_TAKEN, i])
        rows[S_V, i] = np.int32(max(left, np.int64(LOWEST)))
        value[i] = sent
        fired[i] = np.uint8(sent != 0)
    return n_active, clipped, folded
