"""Event propagation of the recurrent e-prop core: input spikes and recurrent spikes onto membranes and
traces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.lfsr import draw_block

from .state import (
    A_NEUR_R,
    A_NEUR_W,
    A_WINP_R,
    A_WOUT_R,
    A_WREC_R,
    E_OUT_SAT,
    E_SAT_HIGH,
    E_SAT_LOW,
    NOISE_BITS,
    ONE,
    S_NOISE,
    TRACE_MAX,
    TRACE_OUT_MAX,
    ZERO,
)
from .step import wrap16

_OPT: dict[str, Any] = dict(cache=True, nogil=True, error_model="numpy")
_INNER: dict[str, Any] = dict(
    _OPT, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False
)  # called from kernels only: compiles faster


@njit(**_INNER)
def _to_outputs(cfg, st, row, effects):
    """A recurrent spike onto the output membranes, saturating."""
    for k in range(cfg.o + 1):
        v = np.int64(st.out[k]) + (np.int64(row[k]) << cfg.fp_wout)
        if v > 32767 or v < -32768:
            effects[E_OUT_SAT] += 1
            v = min(max(v, -32768), 32767)
        st.out[k] = v


@njit(**_INNER)
def _clear_stale(st, count):
    """Neurons that were not dirty start from zero, whatever the memory holds."""
    for j in range(count):
        if st.dirty[j] == 0:
            st.u[j] = 0
            st.tinp[j] = 0
            st.trec[j] = 0
            st.tout[j] = 0
            st.dirty[j] = 1


@njit(**_INNER)
def _accumulate(st, winp, wrec, shift_inp, shift_rec, count, effects):
    """u += weights, saturating; a shift of -1 leaves that weight out."""
    high = 0
    low = 0
    gain_inp = np.int32(1) << np.int32(shift_inp) if shift_inp >= 0 else np.int32(0)
    gain_rec = np.int32(1) << np.int32(shift_rec) if shift_rec >= 0 else np.int32(0)
    for j in range(count):
        v = np.int32(st.u[j] + winp[j] * gain_inp + wrec[j] * gain_rec)
        high += v > 32767
        low += v < -32768
        st.u[j] = min(max(v, -32768), 32767)
    effects[E_SAT_HIGH] += high
    effects[E_SAT_LOW] += low


@njit(**_INNER)
def _accumulate_noisy(cfg, st, streams, winp, wrec, with_inp, with_rec, count, noise, effects):
    """u += weights + noise: the saturation looks at the signs of u, w and the sum only, so noise may wrap."""
    draw_block(streams, S_NOISE, NOISE_BITS, count, noise, ZERO, ONE)
    for j in range(count):
        w = 0
        if with_inp:
            w += np.int64(winp[j]) << cfg.fp_winp
        if with_rec:
            w += np.int64(wrec[j]) << cfg.fp_wrec
        u = np.int64(st.u[j])
        v = wrap16(u + w + (wrap16(noise[j]) >> cfg.noise_str))
        if u >= 0 and w >= 0 and v < 0:
            v = 32767
            effects[E_SAT_HIGH] += 1
        elif u < 0 and w < 0 and v >= 0:
            v = -32768
            effects[E_SAT_LOW] += 1
        st.u[j] = v


@njit(**_INNER)
def _bump(trace, j, amount, top):
    trace[j] = min(np.int64(trace[j]) + amount, top)


@njit(**_INNER)
def _supplement(cfg, st, p):
    """Input trace of an index beyond the recurrent layer, in its own pair word; membranes are not written."""
    for n in range(2):
        j = (p & ~1) + n
        if st.dirty[j] == 0:
            st.tinp[j] = 0
            st.trec[j] = 0
            st.tout[j] = 0
            st.dirty[j] = 1
    _bump(st.tinp, p, 8 << cfg.fp_tinp, TRACE_MAX)


@njit(**_INNER)
def _one_event(cfg, st, streams, scratch, p, access, effects):
    """All that index `p` causes in this tick; returns 1 if the supplementary pass ran."""
    pairs = cfg.r // 2 + 1
    inp, rec = st.pending[p] != 0, st.z[p] != 0
    if rec:
        _to_outputs(cfg, st, st.wout[p], effects)
        access[A_WOUT_R] += 1
        access[A_WREC_R] += (pairs + 7) // 8
    if inp:
        access[A_WINP_R] += (pairs + 7) // 8
    _clear_stale(st, 2 * pairs)
    if cfg.noise_en:
        _accumulate_noisy(cfg, st, streams, st.winp[p], st.wrec[p], inp, rec, 2 * pairs, scratch.rnd[0], effects)
    else:
        shift_inp = cfg.fp_winp if inp else -1
        shift_rec = cfg.fp_wrec if rec else -1
        _accumulate(st, st.winp[p], st.wrec[p], shift_inp, shift_rec, 2 * pairs, effects)
    if p < 2 * pairs:
        if inp and (cfg.do_eprop & 1 or cfg.force_traces):
            _bump(st.tinp, p, 8 << cfg.fp_tinp, TRACE_MAX)
        if rec and (cfg.do_eprop & 2 or cfg.force_traces):
            _bump(st.trec, p, 8 << cfg.fp_trec, TRACE_MAX)
        if rec and (cfg.do_eprop & 4 or cfg.force_traces):
            _bump(st.tout, p, 2 << cfg.fp_tout, TRACE_OUT_MAX)
    access[A_NEUR_R] += pairs
    access[A_NEUR_W] += pairs
    if inp and p > cfg.r and (cfg.do_eprop & 1 or cfg.force_traces):
        _supplement(cfg, st, p)
        access[A_NEUR_R] += 1
        access[A_NEUR_W] += 1
        return 1
    return 0


@njit(**_INNER)
def propagate(cfg, st, streams, scratch, access, effects):
    """One PROP phase. Returns (event passes, supplementary passes)."""
    passes = 0
    supplements = 0
    for p in range(cfg.m + 1):
        if st.pending[p] or st.z[p]:
            passes += 1
            supplements += _one_event(cfg, st, streams, scratch, p, access, effects)
            st.z[p] = 0
            st.pending[p] = 0
    return passes, supplements
