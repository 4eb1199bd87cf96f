"""Leak, fire, reset and trace decay of the recurrent e-prop core: what one tick does before learning and events."""

from __future__ import annotations

import numpy as np
from numba import njit

from .lfsr import draw_block
from .reckon_state import (
    A_NEUR_R,
    A_NEUR_W,
    E_WRAP,
    S_OUT,
    S_TINP,
    S_TOUT,
    S_TREC,
    S_U,
    UNIT_ALPHA,
    UNIT_KAPPA,
)

_OPT = dict(cache=True, nogil=True, error_model="numpy")
NEVER = 1 << 20  # a random word that no fraction reaches: rounding down


@njit(**_OPT)
def wrap16(x):
    """Two's complement wrap to 16 bits."""
    return ((x + 0x8000) & 0xFFFF) - 0x8000


@njit(**_OPT)
def _leak_outputs(cfg, st, streams, rnd):
    """Output membranes: o = floor(o * kappa), one more with the probability of the cropped fraction."""
    stoch = cfg.stoch and cfg.kappa != UNIT_KAPPA
    count = min(cfg.x, 15) + 1
    if stoch:
        draw_block(streams, S_OUT, 7, count, rnd, 0, 1)
    for k in range(min(cfg.o, 15) + 1):
        x = np.int64(st.out[k]) * cfg.kappa
        q = wrap16(x >> 7)
        if stoch and q != 0 and (x & 0x7F) >= rnd[k]:
            q = wrap16(q + 1)
        st.out[k] = q


@njit(**_OPT)
def _draw_rounding(cfg, st, streams, rnd, pairs):
    """Random words of all pairs that are stepped; where nothing is rounded up, a word that is never reached."""
    if not cfg.stoch:
        rnd[:, : 2 * pairs] = NEVER
        return
    for n in range(2):
        draw_block(streams, S_TINP + n, 15, pairs, rnd[1], n, 2)
        draw_block(streams, S_TREC + n, 15, pairs, rnd[2], n, 2)
        draw_block(streams, S_TOUT + n, 7, pairs, rnd[3], n, 2)
        p = 0
        while p < pairs:  # runs of pairs with a leak: a factor of one draws nothing
            first = p
            while p < pairs and st.alpha[2 * p] != UNIT_ALPHA:
                p += 1
            draw_block(streams, S_U + n, 15, p - first, rnd[0], 2 * first + n, 2)
            while p < pairs and st.alpha[2 * p] == UNIT_ALPHA:
                rnd[0:3, 2 * p + n] = NEVER
                p += 1
    if cfg.kappa == UNIT_KAPPA:
        rnd[3, : 2 * pairs] = NEVER


@njit(**_OPT)
def _decay(value, factor, shift, mask, rnd):
    """A trace times a factor: floor, plus one where the fraction reaches the random word and the result is not 0."""
    x = value * factor
    q = (x >> shift) & mask
    frac = x & ((1 << shift) - 1)
    return (q + 1) & mask if (q != 0) & (frac >= rnd) else q


@njit(**_OPT)
def _step_neurons(cfg, st, rnd, count):
    """Both neurons of every pair written in this step: test, leak, reset, decay. Returns wrapped resets."""
    wrapped = 0
    for j in range(count):
        live = st.dirty[j] != 0
        u = np.int32(st.u[j]) if live else np.int32(0)
        alpha, thr = st.alpha[j], st.thr[j]
        x = np.int32(u * alpha)
        q = wrap16(x >> 15)
        q = wrap16(q + 1) if (q != 0) & ((x & 0x7FFF) >= rnd[0, j]) else q
        spike = u >= thr
        low = 0 if cfg.rst_mode else q - thr
        st.z[j] = spike
        st.u[j] = wrap16(low) if spike else q
        wrapped += spike & (wrap16(low) != low)
        tinp = np.int32(st.tinp[j]) if live else np.int32(0)
        trec = np.int32(st.trec[j]) if live else np.int32(0)
        tout = np.int32(st.tout[j]) if live else np.int32(0)
        st.tinp[j] = _decay(tinp, alpha, 15, 0xFFF, rnd[1, j])
        st.trec[j] = _decay(trec, alpha, 15, 0xFFF, rnd[2, j])
        st.tout[j] = _decay(tout, cfg.kappa, 7, 0x3FF, rnd[3, j])
        st.dirty[j] = 1
    return wrapped


@njit(**_OPT)
def load_q(st, q, pair):
    """Read a pair word into the neuron memory's data register (raw, not gated by the dirty flags)."""
    for n in range(2):
        j = 2 * pair + n
        q[4 * n] = st.u[j]
        q[4 * n + 1] = st.tinp[j]
        q[4 * n + 2] = st.trec[j]
        q[4 * n + 3] = st.tout[j]


@njit(**_OPT)
def step(cfg, st, streams, scratch, access, effects):
    """One STEP phase; leaves the old content of the last pair touched in the data register.

    With an odd number of neurons (`cfg.x` even) the last pair is read but never written.
    """
    pairs = (cfg.x + 1) // 2
    load_q(st, scratch.q, cfg.x // 2)
    _leak_outputs(cfg, st, streams, scratch.rnd[0])
    _draw_rounding(cfg, st, streams, scratch.rnd, pairs)
    effects[E_WRAP] += _step_neurons(cfg, st, scratch.rnd, 2 * pairs)
    if cfg.x % 2 == 0:
        st.z[cfg.x] = 0
        st.z[cfg.x + 1] = 0
    access[A_NEUR_R] += (cfg.x + 2) // 2
    access[A_NEUR_W] += pairs
