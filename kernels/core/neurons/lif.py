"""Fixed-point leaky integrate-and-fire neurons: one step of a segment.

Parameter rows (int32, or int64 for `lif_wide`): 0 current factor, 1 voltage factor (both of 4096), 2 threshold,
3 bias, 4 refractory, 5 vmin, 6 vmax, 7 what a spike takes from v (below 0: all). State rows: 0 u, 1 v, 2 refractory
counter, 3 input (general kernel only). Options: see OPT_*.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12, fold_once, wrap_signed
from chipsim.kernels.jit import INNER

N_OPTIONS = 8
OPT_FAST = 0  #: 1: one du, dv, vth for all, no refractory, full clip range, reset to zero, one fold
OPT_OVERFLOW = 1  #: 0 fold once at 2**23, 1 wrap to 24 bits, 2 none
OPT_INPUT_BITS = 2  #: magnitude bits of the input sum, 0 = unlimited
OPT_NOISE = 3  #: 0 none, 1 on the current, 2 on the voltage
OPT_RESET_INTERVAL = 4  #: clear u and v every so many steps, 0 = never
OPT_RESET_OFFSET = 5
OPT_MORE_COMPARTMENTS = 6  #: of every model: compartments of a neuron besides the first, each an update more

BOUND = np.int32(1 << 23)
INPUT_SHIFT = np.int32(6)


@njit(**INNER)
def lif_uniform(rows, params, drive, fired, active, lo, hi):
    """The common case, all int32 and branch-free so that it vectorises; returns (active, clipped, folded)."""
    fu, fv, vth = params[0, lo], params[1, lo], params[2, lo]
    u_row, v_row = rows[0, lo:hi], rows[1, lo:hi]
    bias, a, out, act = params[3, lo:hi], drive[lo:hi], fired[lo:hi], active[lo:hi]
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    for i in range(u_row.size):
        u0, v0, x, b = u_row[i], v_row[i], np.int32(a[i] << INPUT_SHIFT), bias[i]
        busy = (u0 | v0 | x | b) != 0
        act[i] = np.uint8(busy)
        # Every sum is cut back to 32 bits: Numba would widen it to 64 and halve the lanes (1.6 -> 2.0 G/s).
        n_active = np.int32(n_active + np.int32(busy))
        u = np.int32(decay12(u0, fu) + x)
        over = np.int32(np.int32(u > BOUND) - np.int32(u <= -BOUND))
        folded = np.int32(folded + np.int32(over != 0))
        u = np.int32(u - np.int32(over << np.int32(24)))
        v = np.int32(decay12(v0, fv) + u + b)
        w = np.int32(min(max(v, np.int32(1 - BOUND)), np.int32(BOUND - 1)))
        clipped = np.int32(clipped + np.int32(w != v))
        spike = w > vth
        out[i] = np.uint8(spike)
        u_row[i] = u
        v_row[i] = np.int32(0) if spike else w
    return n_active, clipped, folded


@njit(**INNER)
def lif_general(rows, params, drive, fired, active, lo, hi, options, noise, t):
    """Every option, one neuron after another; keeps the input as used in row 3.

    Returns (active, clipped, folded).
    """
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    overflow, bits, noisy = options[1], options[2], options[3]
    interval = options[4]
    clear = interval > 0 and t % interval == options[5] % max(interval, 1)
    for i in range(lo, hi):
        if clear:
            rows[0, i] = 0
            rows[1, i] = 0
        u0, v0 = rows[0, i], rows[1, i]
        x = np.int32(drive[i] << INPUT_SHIFT)
        busy = (u0 | v0 | x | params[3, i]) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        if noisy == 1:
            x = np.int32(x + noise[i])
        if bits > 0:
            wrapped = wrap_signed(x, bits)
            folded += np.int32(wrapped != x)
            x = wrapped
        rows[3, i] = x
        raw = np.int32(decay12(u0, params[0, i]) + x)
        u = _overflow(raw, overflow)
        folded += np.int32(u != raw)
        push = np.int32(u + params[3, i])
        if noisy == 2:
            push = np.int32(push + noise[i])
        if overflow == 1:
            push = wrap_signed(push, 23)
        rows[0, i] = u
        if rows[2, i] > 0:
            rows[2, i] -= np.int32(1)
            fired[i] = np.uint8(0)
            continue
        v = np.int32(decay12(v0, params[1, i]) + push)
        kept = np.int32(min(max(v, params[5, i]), params[6, i]))
        clipped += np.int32(kept != v)
        spike = kept > params[2, i]
        fired[i] = np.uint8(spike)
        if spike:
            kept = np.int32(kept - params[7, i]) if params[7, i] >= 0 else np.int32(0)
            rows[2, i] = np.int32(params[4, i] - 1)
        rows[1, i] = kept
    return n_active, clipped, folded


@njit(**INNER)
def decay12_wide(x, factor):
    """sign(x) * floor(|x| * factor / 4096) for int64 `x` and `factor` in 0..4096: the product is split in two."""
    magnitude = abs(x)
    kept = (magnitude >> 12) * factor + (((magnitude & 4095) * factor) >> 12)
    return kept if x >= 0 else -kept


@njit(**INNER)
def lif_wide(rows, params, drive, fired, active, lo, hi, options, noise, t):
    """`lif_general` in int64 for tools whose sums never overflow (brian2-loihi keeps whole float64 numbers).

    Exact while values stay below 2**52, where float64 is. Nothing wraps; v is clipped where a user asked for it.
    """
    n_active, clipped = np.int32(0), np.int32(0)
    noisy, interval = options[3], options[4]
    clear = interval > 0 and t % interval == options[5] % max(interval, 1)
    for i in range(lo, hi):
        if clear:
            rows[0, i] = 0
            rows[1, i] = 0
        u0, v0 = rows[0, i], rows[1, i]
        x = drive[i] << 6
        busy = (u0 | v0 | x | params[3, i]) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        if noisy == 1:
            x += noise[i]
        rows[3, i] = x
        u = decay12_wide(u0, params[0, i]) + x
        push = u + params[3, i] + (noise[i] if noisy == 2 else 0)
        rows[0, i] = u
        if rows[2, i] > 0:
            rows[2, i] -= 1
            fired[i] = np.uint8(0)
            continue
        v = decay12_wide(v0, params[1, i]) + push
        kept = min(max(v, params[5, i]), params[6, i])
        clipped += np.int32(kept != v)
        spike = kept > params[2, i]
        fired[i] = np.uint8(spike)
        if spike:
            kept = kept - params[7, i] if params[7, i] >= 0 else 0
            rows[2, i] = params[4, i] - 1
        rows[1, i] = kept
    return n_active, clipped, np.int32(0)


@njit(**INNER)
def _overflow(raw, overflow):
    """The current `raw` as 24 bits hold it, by the named overflow behaviour."""
    if overflow == 0:
        return fold_once(raw, BOUND)
    if overflow == 1:
        return wrap_signed(raw, 23)
    return np.int32(raw)


@njit(**INNER)
def ternary(rows, params, drive, fired, active, value, lo, hi):
    """LIF with an upper (row 2) and a lower threshold (row 4): sends +1 or -1; returns (active, clipped, folded)."""
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    for i in range(lo, hi):
        u0, v0, x = rows[0, i], rows[1, i], np.int32(drive[i] << INPUT_SHIFT)
        busy = (u0 | v0 | x | params[3, i]) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        raw = np.int32(decay12(u0, params[0, i]) + x)
        u = fold_once(raw, BOUND)
        folded += np.int32(u != raw)
        v = np.int32(decay12(v0, params[1, i]) + u + params[3, i])
        kept = np.int32(min(max(v, np.int32(1 - BOUND)), np.int32(BOUND - 1)))
        clipped += np.int32(kept != v)
        sent = np.int32(kept > params[2, i]) - np.int32(kept < params[4, i])
        value[i] = sent
        fired[i] = np.uint8(sent != 0)
        rows[0, i] = u
        rows[1, i] = np.int32(0) if sent != 0 else kept
    return n_active, clipped, folded
