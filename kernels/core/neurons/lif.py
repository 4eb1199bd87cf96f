"""Fixed-point leaky integrate-and-fire neurons: one step of a segment.

Parameters are int32, or int64 for `lif_wide`; the input is kept by the general kernels only. Each model's class in
`chipsim.native` names the same rows, and a test holds both against each other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.fixed import decay12, fold_once, wrap_signed
from chipsim.kernels.jit import INNER

N_OPTIONS = 8
P_KEPT_U, P_KEPT_V = 0, 1  #: what a step leaves of current and voltage, of 4096
P_VTH, P_BIAS, P_REFRACTORY, P_VMIN, P_VMAX = 2, 3, 4, 5, 6
P_TAKEN = 7  #: what a spike takes from v; below 0: all
P_LOWER = 4  #: lower threshold of `ternary`
S_U, S_V, S_REFRACTORY, S_INPUT = 0, 1, 2, 3
O_PLAIN = 0  #: 1: one du, dv, vth for all, no refractory, full clip range, reset to zero, one fold
O_OVERFLOW = 1  #: 0 fold once at 2**23, 1 wrap to 24 bits, 2 none
O_INPUT_BITS = 2  #: magnitude bits of the input sum, 0 = unlimited
O_NOISE = 3  #: 0 none, 1 on the current, 2 on the voltage
O_RESET_INTERVAL = 4  #: clear u and v every so many steps, 0 = never
O_RESET_OFFSET = 5
O_MORE_COMPARTMENTS = 6  #: of every model: compartments of a neuron besides the first, each an update more

BOUND = np.int32(1 << 23)
INPUT_SHIFT = np.int32(6)


@njit(**INNER)
def lif_uniform(rows, params, drive, fired, active, lo, hi):
    """The common case, all int32 and branch-free so that it vectorises; returns (active, clipped, folded)."""
    fu, fv, vth = params[P_KEPT_U, lo], params[P_KEPT_V, lo], params[P_VTH, lo]
    u_row, v_row = rows[S_U, lo:hi], rows[S_V, lo:hi]
    bias, a, out, act = params[P_BIAS, lo:hi], drive[lo:hi], fired[lo:hi], active[lo:hi]
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
    overflow, bits, noisy = options[O_OVERFLOW], options[O_INPUT_BITS], options[O_NOISE]
    interval = options[O_RESET_INTERVAL]
    clear = interval > 0 and t % interval == options[O_RESET_OFFSET] % max(interval, 1)
    for i in range(lo, hi):
        if clear:
            rows[S_U, i] = 0
            rows[S_V, i] = 0
        u0, v0 = rows[S_U, i], rows[S_V, i]
        x = np.int32(drive[i] << INPUT_SHIFT)
        busy = (u0 | v0 | x | params[P_BIAS, i]) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        if noisy == 1:
            x = np.int32(x + noise[i])
        if bits > 0:
            wrapped = wrap_signed(x, bits)
            folded += np.int32(wrapped != x)
            x = wrapped
        rows[S_INPUT, i] = x
        raw = np.int32(decay12(u0, params[P_KEPT_U, i]) + x)
        u = _overflow(raw, overflow)
        folded += np.int32(u != raw)
        push = np.int32(u + params[P_BIAS, i])
        if noisy == 2:
            push = np.int32(push + noise[i])
        if overflow == 1:
            push = wrap_signed(push, 23)
        rows[S_U, i] = u
        if rows[S_REFRACTORY, i] > 0:
            rows[S_REFRACTORY, i] -= np.int32(1)
            fired[i] = np.uint8(0)
            continue
        v = np.int32(decay12(v0, params[P_KEPT_V, i]) + push)
        kept = np.int32(min(max(v, params[P_VMIN, i]), params[P_VMAX, i]))
        clipped += np.int32(kept != v)
        spike = kept > params[P_VTH, i]
        fired[i] = np.uint8(spike)
        if spike:
            kept = np.int32(kept - params[P_TAKEN, i]) if params[P_TAKEN, i] >= 0 else np.int32(0)
            rows[S_REFRACTORY, i] = np.int32(params[P_REFRACTORY, i] - 1)
        rows[S_V, i] = kept
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
    noisy, interval = options[O_NOISE], options[O_RESET_INTERVAL]
    clear = interval > 0 and t % interval == options[O_RESET_OFFSET] % max(interval, 1)
    for i in range(lo, hi):
        if clear:
            rows[S_U, i] = 0
            rows[S_V, i] = 0
        u0, v0 = rows[S_U, i], rows[S_V, i]
        x = drive[i] << 6
        busy = (u0 | v0 | x | params[P_BIAS, i]) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        if noisy == 1:
            x += noise[i]
        rows[S_INPUT, i] = x
        u = decay12_wide(u0, params[P_KEPT_U, i]) + x
        push = u + params[P_BIAS, i] + (noise[i] if noisy == 2 else 0)
        rows[S_U, i] = u
        if rows[S_REFRACTORY, i] > 0:
            rows[S_REFRACTORY, i] -= 1
            fired[i] = np.uint8(0)
            continue
        v = decay12_wide(v0, params[P_KEPT_V, i]) + push
        kept = min(max(v, params[P_VMIN, i]), params[P_VMAX, i])
        clipped += np.int32(kept != v)
        spike = kept > params[P_VTH, i]
        fired[i] = np.uint8(spike)
        if spike:
            kept = kept - params[P_TAKEN, i] if params[P_TAKEN, i] >= 0 else 0
            rows[S_REFRACTORY, i] = params[P_REFRACTORY, i] - 1
        rows[S_V, i] = kept
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
    """LIF with an upper and a lower threshold: sends +1 or -1; returns (active, clipped, folded)."""
    n_active, clipped, folded = np.int32(0), np.int32(0), np.int32(0)
    for i in range(lo, hi):
        u0, v0, x = rows[S_U, i], rows[S_V, i], np.int32(drive[i] << INPUT_SHIFT)
        busy = (u0 | v0 | x | params[P_BIAS, i]) != 0
        active[i] = np.uint8(busy)
        n_active += np.int32(busy)
        raw = np.int32(decay12(u0, params[P_KEPT_U, i]) + x)
        u = fold_once(raw, BOUND)
        folded += np.int32(u != raw)
        v = np.int32(decay12(v0, params[P_KEPT_V, i]) + u + params[P_BIAS, i])
        kept = np.int32(min(max(v, np.int32(1 - BOUND)), np.int32(BOUND - 1)))
        clipped += np.int32(kept != v)
        sent = np.int32(kept > params[P_VTH, i]) - np.int32(kept < params[P_LOWER, i])
        value[i] = sent
        fired[i] = np.uint8(sent != 0)
        rows[S_U, i] = u
        rows[S_V, i] = np.int32(0) if sent != 0 else kept
    return n_active, clipped, folded
