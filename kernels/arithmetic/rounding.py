"""Rounding to declared fixed-point grids, and the counter-based random bits it needs.

A random number is a pure function of (seed, step, stream, index): the same bits come out whatever the order
or the number of threads in which synapses are visited, and a run resumed at a step continues them. The
mixer is the finaliser of SplitMix64 (Steele, Lea and Flood 2014), applied between the counters.
"""

from __future__ import annotations

import numpy as np
from numba import njit

NEAREST, STOCHASTIC, DOWN = 0, 1, 2
MODES = {"nearest": NEAREST, "stochastic": STOCHASTIC, "down": DOWN}
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
TO_UNIT = 1.0 / 9007199254740992.0  # 2**-53


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def mix(x):
    """Finaliser of SplitMix64: a bijection of uint64 that flips half the bits for any change of input."""
    x = (x ^ (x >> np.uint64(30))) * MIX_1
    x = (x ^ (x >> np.uint64(27))) * MIX_2
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True, error_model="numpy")
def stream_key(seed, step, stream):
    """Key of one stream in one step: hash it once, then call `unit` per index."""
    key = mix(np.uint64(seed) + GOLDEN)
    key = mix(key ^ (np.uint64(step) + GOLDEN))
    return mix(key ^ (np.uint64(stream) + GOLDEN))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def unit(key, index):
    """Uniform float64 in [0, 1) for counter `index` under `key`."""
    return float(mix(np.uint64(key) ^ (np.uint64(index) * GOLDEN)) >> np.uint64(11)) * TO_UNIT


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def to_grid(x, step, low, high, mode, u):
    """x on the grid of multiples of `step`, clipped to [low, high]; u in [0, 1) is read by stochastic
    rounding.

    Nearest rounds halves up. step 0 means no grid: x is only clipped.
    """
    if step > 0.0:
        shift = 0.5 if mode == NEAREST else (u if mode == STOCHASTIC else 0.0)
        x = np.floor(x / step + shift) * step
    return min(high, max(low, x))


@njit(cache=True, nogil=True, error_model="numpy")
def round_array(values, step, low, high, mode, seed, count, stream):
    """Round a flat float64 array in place; element i draws counter i of (seed, count, stream)."""
    key = stream_key(seed, count, stream)
    for i in range(values.shape[0]):
        values[i] = to_grid(values[i], step, low, high, mode, unit(key, i))
