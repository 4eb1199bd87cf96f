"""Leak, fire, reset and trace decay of the recurrent e-prop core: what one tick does before learning and
events."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.lfsr import draw_block

from .state import (
    A_NEUR_R,
    A_NEUR_W,
    E_WRAP,
    KAPPA_BITS,
    LEAK_BITS,
    ONE,
    S_OUT,
    S_TINP,
    S_U,
    TWO,
    UNIT_ALPHA,
    UNIT_KAPPA,
    ZERO,
)

_OPT: dict[str, Any] = dict(cache=True, nogil=True, error_model="numpy")
_INNER: dict[str, Any] = dict(
    _OPT, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False
)  # called from kernels only: compiles faster
NEVER = 1 << 20  # a random word that no fraction reaches: rounding down


@njit(**_INNER)
def wrap16(x):
    """Two's complement wrap to 16 bits."""
    return ((x + 0x8000) & 0xFFFF) - 0x8000


@njit(**_INNER)
def _leak_outputs(cfg, st, streams, rnd):
    """Output membranes: o = floor(o * kappa), one more with the probability of the cropped fraction."""
    stoch = cfg.stoch and cfg.kappa != UNIT_KAPPA
    count = min(cfg.x, 15) + 1
    if stoch:
        draw_block(streams, S_OUT, KAPPA_BITS, count, rnd, ZERO, ONE)
    for k in range(min(cfg.o, 15) + 1):
        x = np.int64(st.out[k]) * cfg.kappa
        q = wrap16(x >> 7)
        if stoch and q != 0 and (x & 0x7F) >= rnd[k]:
            q = wrap16(q + 1)
        st.out[k] = q


@njit(**_INNER)
def _never(rnd, count):
    for j in range(count):
        rnd[j] = NEVER


@njit(**_INNER)
def _draw_rounding(cfg, st, streams, rnd, pairs):
    """Random words of all pairs that are stepped; where nothing is rounded up, a word that is never
    reached."""
    if not cfg.stoch:
        for row in range(4):
            _never(rnd[row], 2 * pairs)
        return
    for lane in range(6):  # input, recurrent, output traces of even and odd neurons
        row, n = 1 + lane // 2, lane % 2
        draw_block(streams, S_TINP + lane, KAPPA_BITS if row == 3 else LEAK_BITS, pairs, rnd[row], n, TWO)
    for n in range(2):
        p = 0
        while p < pairs:  # runs of pairs with a leak: a factor of one draws nothing
            first = p
            while p < pairs and st.alpha[2 * p] != UNIT_ALPHA:
                p += 1
            draw_block(streams, S_U + n, LEAK_BITS, p - first, rnd[0], 2 * first + n, TWO)
            while p < pairs and st.alpha[2 * p] == UNIT_ALPHA:
                for row in range(3):
                    rnd[row, 2 * p + n] = NEVER
                p += 1
    if cfg.kappa == UNIT_KAPPA:
        _never(rnd[3], 2 * pairs)


@njit(**_INNER)
def _decay(value, factor, shift, mask, rnd):
    """A trace times a factor: floor, plus one where the fraction reaches the random word and the result is
    not 0."""
    x = np.int32(value * factor)
    q = np.int32((x >> shift) & mask)
    frac = np.int32(x & np.int32((1 << shift) - 1))
    return np.int32((q + 1) & mask) if (q != 0) & (frac >= rnd) else q


@njit(**_INNER)
def _step_membranes(cfg, st, rnd, count):
    """Test, leak and reset of the membranes; resets that leave 16 bits are counted and returned."""
    wrapped = np.int32(0)
    to_zero = cfg.rst_mode != 0
    for j in range(count):
        u = np.int32(st.u[j]) if st.dirty[j] != 0 else np.int32(0)
        alpha, thr = st.alpha[j], st.thr[j]
        x = np.int32(u * alpha)
        q = np.int32(np.int16(x >> 15))
        up = (q != 0) & (np.int32(x & 0x7FFF) >= rnd[j])
        q = np.int32(np.int16(q + 1)) if up else q
        spike = u >= thr
        low = np.int32(0) if to_zero else np.int32(q - thr)
        low16 = np.int32(np.int16(low))
        wrapped += np.int32(spike & (low16 != low))
        st.z[j] = np.uint8(spike)
        st.u[j] = np.int16(low16 if spike else q)
    return wrapped


@njit(**_INNER)
def _step_traces(cfg, st, rnd, count):
    """Decay of the three traces."""
    kappa = np.int32(cfg.kappa)
    for j in range(count):
        tinp = np.int32(st.tinp[j]) if st.dirty[j] != 0 else np.int32(0)
        st.tinp[j] = np.uint16(_decay(tinp, st.alpha[j], 15, 0xFFF, rnd[1, j]))
    for j in range(count):
        trec = np.int32(st.trec[j]) if st.dirty[j] != 0 else np.int32(0)
        st.trec[j] = np.uint16(_decay(trec, st.alpha[j], 15, 0xFFF, rnd[2, j]))
    for j in range(count):
        tout = np.int32(st.tout[j]) if st.dirty[j] != 0 else np.int32(0)
        st.tout[j] = np.uint16(_decay(tout, kappa, 7, 0x3FF, rnd[3, j]))


@njit(**_INNER)
def load_q(q, u, tinp, trec, tout, first):
    """Read the pair word of neurons `first`, `first` + 1 into the neuron memory's data register (raw fields,
    not
    gated by the dirty flags)."""
    for n in range(2):
        q[4 * n] = u[first + n]
        q[4 * n + 1] = tinp[first + n]
        q[4 * n + 2] = trec[first + n]
        q[4 * n + 3] = tout[first + n]


@njit(**_INNER)
def step(cfg, st, streams, scratch, access, effects):
    """One STEP phase; leaves the old content of the last pair touched in the data register.

    With an odd number of neurons (`cfg.x` even) the last pair is read but never written.
    """
    pairs = (cfg.x + 1) // 2
    load_q(scratch.q, st.u, st.tinp, st.trec, st.tout, cfg.x // 2 * 2)
    _leak_outputs(cfg, st, streams, scratch.rnd[0])
    _draw_rounding(cfg, st, streams, scratch.rnd, pairs)
    effects[E_WRAP] += _step_membranes(cfg, st, scratch.rnd[0], 2 * pairs)
    _step_traces(cfg, st, scratch.rnd, 2 * pairs)
    for j in range(2 * pairs):
        st.dirty[j] = 1
    if cfg.x % 2 == 0:
        st.z[cfg.x] = 0
        st.z[cfg.x + 1] = 0
    access[A_NEUR_R] += (cfg.x + 2) // 2
    access[A_NEUR_W] += pairs
