"""A discrete-time neuron given by its coefficients: one step of a segment, for networks of other tools.

Tools differ in how they discretise the same differential equation, in what a spike is and in how it resets.
Each choice is a coefficient or a code here, so that all of them are one kernel.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

P_CURRENT_KEPT, P_CURRENT_GAIN, P_KEPT, P_GAIN, P_CONSTANT, P_INPUT_GAIN = 0, 1, 2, 3, 4, 5
P_CURRENT_AFTER = 6  #: of the current, what is kept after its use
P_THRESHOLD, P_RESET_TO, P_LOWEST = 7, 8, 9
P_BIAS = 10  #: of the input
S_V, S_I = 0, 1
O_START = 1  #: first step in which it runs
O_SENDS, O_AFTER_SPIKE = 2, 3
O_AT_ONCE = 4  #: 1: a late reset acts in the step of the spike

VALUE, ABOVE, REACHED, MANY = 0, 1, 2, 3  #: what is sent: v itself, [v > th], [v >= th], floor(v / th)
#: What a spike does: nothing, v = reset_to, v -= z th; or (snnTorch) acting at the next step by [v > th] of that
#: moment: subtract the threshold, forget v, or zero the whole new v.
NONE, TO_VALUE, SUBTRACT, LATE_SUBTRACT, LATE_FORGET, LATE_ZERO = 0, 1, 2, 3, 4, 5


@njit(**INNER)
def unit(rows, params, drive, fired, active, value, lo, hi, options, t):
    """One step; returns the number of active neurons."""
    n_active = np.int32(0)
    sends, reset, at_once = options[O_SENDS], options[O_AFTER_SPIKE], options[O_AT_ONCE] != 0
    waiting = t <= options[O_START]
    for i in range(lo, hi):
        if waiting:
            fired[i] = np.uint8(0)
            active[i] = np.uint8(0)
            continue
        v, threshold = rows[S_V, i], params[P_THRESHOLD, i]
        x = drive[i] + params[P_BIAS, i]
        busy = v != 0.0 or rows[S_I, i] != 0.0 or x != 0.0 or params[P_CONSTANT, i] != 0.0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        late = 1.0 if reset >= LATE_SUBTRACT and v > threshold else 0.0
        current = params[P_CURRENT_KEPT, i] * rows[S_I, i] + params[P_CURRENT_GAIN, i] * x
        if reset == LATE_FORGET:
            v *= 1.0 - late
        v = params[P_KEPT, i] * v + params[P_GAIN, i] * current + params[P_INPUT_GAIN, i] * x + params[P_CONSTANT, i]
        if reset == LATE_SUBTRACT:
            v -= late * threshold
        elif reset == LATE_ZERO:
            v *= 1.0 - late
        sent = _sent(v, threshold, sends)
        if reset == SUBTRACT:
            v -= sent * threshold
        elif reset == TO_VALUE:
            if sent != 0.0:
                v = params[P_RESET_TO, i]
        elif at_once and reset != NONE:
            v -= (sent - late) * (threshold if reset == LATE_SUBTRACT else v)
        rows[S_V, i] = max(v, params[P_LOWEST, i])
        rows[S_I, i] = params[P_CURRENT_AFTER, i] * current
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
