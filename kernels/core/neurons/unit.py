"""A discrete-time neuron given by its coefficients: one step of a segment, for networks of other tools.

Tools differ in how they discretise the same differential equation, in what a spike is and in how it resets.
Each choice is a coefficient or a code here, so that all of them are one kernel.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

VALUE, ABOVE, REACHED, MANY = 0, 1, 2, 3  #: what is sent: v itself, [v > th], [v >= th], floor(v / th)
#: What a spike does: nothing, v = reset_to, v -= z th; or (snnTorch) acting at the next step by [v > th] of that
#: moment: subtract the threshold, forget v, or zero the whole new v.
NONE, TO_VALUE, SUBTRACT, LATE_SUBTRACT, LATE_FORGET, LATE_ZERO = 0, 1, 2, 3, 4, 5


@njit(**INNER)
def unit(rows, params, drive, fired, active, value, lo, hi, options, t):
    """One step; returns the number of active neurons.

    Parameter rows: 0, 1 current: kept and gained; 2 v kept, 3 gain of the current, 4 constant, 5 gain of the
    input; 6 current kept after use, 7 threshold, 8 reset value, 9 floor of v, 10 bias of the input.
    State rows: 0 v, 1 current. Options: 1 first step in which it runs, 2 what is sent, 3 reset, 4 reset at once.
    """
    n_active = np.int32(0)
    sends, reset, at_once = options[2], options[3], options[4] != 0
    waiting = t <= options[1]
    for i in range(lo, hi):
        if waiting:
            fired[i] = np.uint8(0)
            active[i] = np.uint8(0)
            continue
        v, threshold = rows[0, i], params[7, i]
        x = drive[i] + params[10, i]
        busy = v != 0.0 or rows[1, i] != 0.0 or x != 0.0 or params[4, i] != 0.0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        late = 1.0 if reset >= LATE_SUBTRACT and v > threshold else 0.0
        current = params[0, i] * rows[1, i] + params[1, i] * x
        if reset == LATE_FORGET:
            v *= 1.0 - late
        v = params[2, i] * v + params[3, i] * current + params[5, i] * x + params[4, i]
        if reset == LATE_SUBTRACT:
            v -= late * threshold
        elif reset == LATE_ZERO:
            v *= 1.0 - late
        sent = _sent(v, threshold, sends)
        if reset == SUBTRACT:
            v -= sent * threshold
        elif reset == TO_VALUE:
            if sent != 0.0:
                v = params[8, i]
        elif at_once and reset != NONE:
            v -= (sent - late) * (threshold if reset == LATE_SUBTRACT else v)
        rows[0, i] = max(v, params[9, i])
        rows[1, i] = params[6, i] * current
        value[i] = sent
        fired[i] = np.uint8(sent != 0.0)
    return n_active


@njit(**INNER)
def _sent(v, threshold, sends):
    if sends == VALUE:
        return v
    if sends == ABOVE:
        return 1.0 if v > threshold else 0.0
    if sends == REACHED:
        return 1.0 if v >= threshold else 0.0
    return max(np.floor(v / threshold), 0.0)
