"""Fixed-point LIF that sends a count of spikes, or waits while a reset leaves it above threshold: a step of a segment.

Parameter rows (int32): 0 current factor, 1 voltage factor (both of 4096), 2 threshold, 3 bias, 4 most spikes in a step,
5 vmin, 6 vmax, 7 what one spike takes. State rows: 0 u, 1 v. Options: 1 kind of spike.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12
from chipsim.kernels.jit import INNER

from .lif import BOUND, INPUT_SHIFT

MANY, WAITS = 0, 1  #: floor(v / threshold) spikes; or one, above two thresholds if v began the step above one


@njit(**INNER)
def count_lif(rows, params, drive, fired, active, value, lo, hi, kind):
    """One step of neurons [lo, hi); returns (active, clipped, folded).

    A count beyond row 4 is cut to it and counted as clipped; v keeps the rest. The current stops at its bounds, where
    a wrap would turn the strongest excitation into inhibition.
    """
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    for i in range(lo, hi):
        u0, v0, x = rows[0, i], rows[1, i], np.int32(drive[i] << INPUT_SHIFT)
        busy = (u0 | v0 | x | params[3, i]) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        raw = np.int32(decay12(u0, params[0, i]) + x)
        u = np.int32(min(max(raw, np.int32(1 - BOUND)), np.int32(BOUND - 1)))
        folded += np.int32(u != raw)
        v = np.int32(decay12(v0, params[1, i]) + u + params[3, i])
        kept = np.int32(min(max(v, params[5, i]), params[6, i]))
        top = params[2, i]
        if kind == WAITS:
            bar = np.int64(top) * (2 if v0 > top else 1)
            sent = np.int32(kept > bar)
        else:
            wanted = np.int32(kept // top) if kept >= top else np.int32(0)
            sent = np.int32(min(wanted, params[4, i]))
            clipped += np.int32(sent != wanted)
        clipped += np.int32(kept != v)
        rows[0, i] = u
        rows[1, i] = np.int32(kept - sent * params[7, i])
        value[i] = sent
        fired[i] = np.uint8(sent != 0)
    return n_active, clipped, folded
