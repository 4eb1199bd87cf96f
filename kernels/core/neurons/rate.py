"""Rate units: a leaky unit with a non-linearity that sends its value as a number, in float64 and in 16-bit integers.

Per step, a = the sum of what arrives + bias (+ what a nudge or the gated inlet adds)::

    form "output":  u <- u + k (g(a) + rest - u);  r = u;      slope = g'(a)     (the state is the rate)
    form "input":   u <- u + k (a + rest - u);     r = g(u);   slope = g'(u)     (the state is the potential)

A nudge adds beta (target - r), r of the step before. The gated inlet, sums that arrive with the role "gate", is
multiplied by the slope of the step before: an error that reaches a unit through its own derivative. A unit with the
slope of another (role "slope") sends r times that slope, of the same step: an error unit beside the unit whose error it
is. A unit that is held sends its target and stands still. Until step `start` a unit only sends the value it starts
with.

In integers (Lava's place is taken by none: no public chip has this unit) 1.0 is 2**14 in rates and in the state of the
form "output", 2**12 in the state of the form "input", 2**20 in a; k counts in 4096ths; g is a table of 2048 entries
over [-4, 4); what is sent is the rate in 128ths, rounded half to even, in 8 bits with sign.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

TANH, LOGISTIC, HARD_SIGMOID, RELU, LEAKY_RELU, LINEAR, ATANH = range(7)
#: Non-linearities by name; hard_sigmoid is x cut to 0..1, leaky_relu has slope 0.1 below 0, atanh undoes tanh.
FUNCTIONS = {
    "tanh": TANH, "logistic": LOGISTIC, "hard_sigmoid": HARD_SIGMOID, "relu": RELU, "leaky_relu": LEAKY_RELU,
    "linear": LINEAR, "atanh": ATANH,
}  # fmt: skip
EDGE = 0.999999  #: atanh takes its argument cut to -EDGE..EDGE
P_K, P_BIAS, P_REST, P_NUDGE, P_TARGET, P_HELD = 0, 1, 2, 3, 4, 5
S_U, S_R, S_SLOPE, S_A = 0, 1, 2, 3
#: Options; GATE and SLOPE: how far away are the gated inlet in `drive` and the unit whose slope is taken.
O_FORM, O_G, O_START, O_INPUT_EXP, O_GATE, O_SLOPE = 1, 2, 3, 4, 5, 7
OUTPUT, INPUT = 0, 1
FORMS = {"output": OUTPUT, "input": INPUT}
LEAK = 0.1  #: slope of leaky_relu below 0
ONE = 1 << 14  #: a rate of 1 in the integer form
ENTRIES, MIDDLE = 2048, 1024  #: of a table, and the entry of 0
RATE_LSB = 7  #: a sent value is the rate >> 7
SENT_LOW, SENT_HIGH = -128, 127
STATE_LIMIT = (1 << 15) - 1


@njit(**INNER)
def rate_of(g, x):
    """g(x)."""
    if g == TANH:
        return math.tanh(x)
    if g == LOGISTIC:
        return 1.0 / (1.0 + math.exp(-x))
    if g == HARD_SIGMOID:
        return min(1.0, max(0.0, x))
    if g == RELU:
        return max(0.0, x)
    if g == LEAKY_RELU:
        return x if x > 0.0 else LEAK * x
    if g == ATANH:
        return math.atanh(min(EDGE, max(-EDGE, x)))
    return x


@njit(**INNER)
def slope_of(g, x, y):
    """g'(x), with y = g(x)."""
    if g == TANH:
        return 1.0 - y * y
    if g == LOGISTIC:
        return y * (1.0 - y)
    if g == HARD_SIGMOID:
        return 1.0 if 0.0 < x < 1.0 else 0.0
    if g == RELU:
        return 1.0 if x > 0.0 else 0.0
    if g == LEAKY_RELU:
        return 1.0 if x > 0.0 else LEAK
    if g == ATANH:
        return 1.0 / (1.0 - x * x) if abs(x) < EDGE else 0.0
    return 1.0


def curve(g: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g and its slope at `x`, as NumPy computes them: for tables and initial states."""
    if g in (TANH, LOGISTIC):
        y = np.tanh(x) if g == TANH else 1.0 / (1.0 + np.exp(-x))
        return y, 1.0 - y * y if g == TANH else y * (1.0 - y)
    if g == ATANH:
        inside = np.abs(x) < EDGE
        return np.arctanh(np.clip(x, -EDGE, EDGE)), np.where(inside, 1.0 / (1.0 - np.where(inside, x, 0.0) ** 2), 0.0)
    above = x > 0.0
    if g == HARD_SIGMOID:
        return np.clip(x, 0.0, 1.0), (above & (x < 1.0)).astype(np.float64)
    low = {RELU: 0.0, LEAKY_RELU: LEAK, LINEAR: 1.0}[g]
    return np.where(above, x, low * x), np.where(above, 1.0, low)


def tables() -> tuple[np.ndarray, np.ndarray]:
    """(functions, 2048) int32 each: g and its slope at (i - 1024) / 256, in 2**14ths."""
    at = (np.arange(ENTRIES) - MIDDLE) / (ENTRIES // 8)
    both = np.array([curve(g, at) for g in FUNCTIONS.values()])
    rounded = np.clip(np.rint(ONE * both), -STATE_LIMIT, STATE_LIMIT).astype(np.int32)
    return np.ascontiguousarray(rounded[:, 0]), np.ascontiguousarray(rounded[:, 1])


VALUES, SLOPES = tables()


@njit(**INNER)
def real(rows, params, drive, fired, active, value, lo, hi, options, t):
    """In float64; returns the number of active units."""
    n_active = np.int32(0)
    form, g, gate, other = options[O_FORM], options[O_G], options[O_GATE], options[O_SLOPE]
    waiting = t <= options[O_START]
    for i in range(lo, hi):
        nudge, held = params[P_NUDGE, i], params[P_HELD, i] != 0.0
        if held:
            rows[S_R, i] = params[P_TARGET, i]
        elif not waiting:
            a = drive[i] + params[P_BIAS, i]
            if nudge != 0.0:
                a += nudge * (params[P_TARGET, i] - rows[S_R, i])
            if gate > 0:
                a += rows[S_SLOPE, i] * drive[i + gate]
            u, k = rows[S_U, i], params[P_K, i]
            if form == OUTPUT:
                y = rate_of(g, a)
                rows[S_SLOPE, i] = slope_of(g, a, y)
                u += k * (y + params[P_REST, i] - u)
                rows[S_R, i] = u
            else:
                u += k * (a + params[P_REST, i] - u)
                y = rate_of(g, u)
                rows[S_R, i], rows[S_SLOPE, i] = y, slope_of(g, u, y)
            if other != 0:
                rows[S_R, i] *= rows[S_SLOPE, i + other]
            rows[S_U, i], rows[S_A, i] = u, a
        moved = not held and not waiting
        value[i] = rows[S_R, i]
        fired[i], active[i] = np.uint8(rows[S_R, i] != 0.0), np.uint8(moved)
        n_active += np.int32(moved)
    return n_active


@njit(**INNER)
def sent_value(r):
    """A rate in 2**14ths as it is sent: in 128ths, half to even, cut to 8 bits with sign."""
    low = r >> np.int32(RATE_LSB)
    rest = r - (low << np.int32(RATE_LSB))
    half = np.int32(1 << (RATE_LSB - 1))
    up = rest > half or (rest == half and (low & np.int32(1)) == np.int32(1))
    return min(max(low + np.int32(up), np.int32(SENT_LOW)), np.int32(SENT_HIGH))


@njit(**INNER)
def integer(rows, params, drive, fired, active, value, lo, hi, options, t):
    """In integers; returns (active, clipped, folded). r in 2**14ths, a in 2**-20."""
    n_active, clipped = np.int32(0), np.int32(0)
    form, g, gate, other = options[O_FORM], options[O_G], options[O_GATE], options[O_SLOPE]
    shift = options[O_INPUT_EXP]
    waiting = t <= options[O_START]
    for i in range(lo, hi):
        nudge, held = params[P_NUDGE, i], params[P_HELD, i] != 0
        if held:
            rows[S_R, i] = params[P_TARGET, i]
        elif not waiting:
            a = (np.int64(drive[i]) << np.int64(shift)) + np.int64(params[P_BIAS, i])
            if nudge != 0:
                a += (np.int64(nudge) * np.int64(params[P_TARGET, i] - rows[S_R, i])) >> np.int64(6)
            if gate > 0:
                a += (np.int64(rows[S_SLOPE, i]) * (np.int64(drive[i + gate]) << np.int64(shift))) >> np.int64(14)
            bound = np.int64(2**31 - 1)
            clipped += np.int32(a > bound or a < -bound)
            a = min(max(a, -bound), bound)
            u, k, rest = np.int64(rows[S_U, i]), np.int64(params[P_K, i]), np.int64(params[P_REST, i])
            if form == OUTPUT:
                at = min(max((a >> np.int64(12)) + MIDDLE, np.int64(0)), np.int64(ENTRIES - 1))
                rows[S_SLOPE, i] = SLOPES[g, at]
                u += (k * (np.int64(VALUES[g, at]) + rest - u) + np.int64(2048)) >> np.int64(12)
            else:
                u += (k * ((a >> np.int64(8)) + (rest >> np.int64(2)) - u) + np.int64(2048)) >> np.int64(12)
            clipped += np.int32(u > STATE_LIMIT or u < -STATE_LIMIT)
            u = min(max(u, np.int64(-STATE_LIMIT)), np.int64(STATE_LIMIT))
            if form == OUTPUT:
                rows[S_R, i] = np.int32(u)
            else:
                at = min(max((u >> np.int64(4)) + MIDDLE, np.int64(0)), np.int64(ENTRIES - 1))
                rows[S_R, i], rows[S_SLOPE, i] = VALUES[g, at], SLOPES[g, at]
            if other != 0:
                rows[S_R, i] = np.int32((np.int64(rows[S_R, i]) * np.int64(rows[S_SLOPE, i + other])) >> np.int64(14))
            rows[S_U, i], rows[S_A, i] = np.int32(u), np.int32(a)
        moved = not held and not waiting
        value[i] = sent_value(rows[S_R, i])
        fired[i], active[i] = np.uint8(value[i] != 0), np.uint8(moved)
        n_active += np.int32(moved)
    return n_active, clipped, np.int32(0)
