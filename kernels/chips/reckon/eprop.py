"""Learning phase of the recurrent e-prop core: every weight moves by at most one step, with a drawn
probability.

For a synapse from i to j the product of the learning signal of j, the pseudo-derivative of j and the trace of
i,
scaled by shifts, is the probability of moving the weight by one in the direction of its sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.lfsr import WORD, bits_at, reserve

from .state import (
    A_NEUR_R,
    A_WINP_R,
    A_WINP_W,
    A_WOUT_R,
    A_WOUT_W,
    A_WREC_R,
    A_WREC_W,
    E_UPDATES_INP,
    E_UPDATES_OUT,
    E_UPDATES_REC,
    E_WEIGHT_SAT,
    F_LABEL,
    GROUP,
    OUT_WORD_BITS,
    S_WINP,
    S_WOUT,
    S_WREC,
    WORD_BITS,
)
from .step import load_q

_OPT: dict[str, Any] = dict(cache=True, nogil=True, error_model="numpy")
_INNER: dict[str, Any] = dict(
    _OPT, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False
)  # called from kernels only: compiles faster
_MIN32 = np.int32(-(1 << 31))
_FULL32 = np.uint32((1 << 32) - 1)
_FULL28 = (1 << 28) - 1


@njit(**_INNER)
def _saturate16(x):
    return min(max(x, -32768), 32767)


@njit(**_INNER)
def errors(cfg, st, valid, err):
    """err[k] = target - output, saturated to 16 bits; 0 for outputs that are not in use or without a
    target."""
    for k in range(err.shape[0]):
        err[k] = 0
        if valid and k <= cfg.o:
            v = np.int64(st.out[k])
            if not cfg.no_out_act:  # hard sigmoid: 0 .. 2048
                v = 2048 if v > 2047 else (0 if v < -2048 else (v + 2048) >> 1)
            goal = np.int64(2048) if st.flags[F_LABEL] == k else np.int64(0)
            err[k] = _saturate16((np.int64(st.target[k]) if cfg.regression else goal) - v)


@njit(**_INNER)
def learning_signal(cfg, wout, j, err):
    """Error projected back through the output weights of neuron `j`, scaled and saturated to 16 bits."""
    psum = np.int64(0)
    for k in range(cfg.o + 1):
        psum += err[k] * np.int64(wout[j, k])
    return _saturate16((psum << cfg.learn_sig_scale) >> 12)


@njit(**_INNER)
def _segment(cfg, u):
    """Pseudo-derivative: five segments of the membrane potential."""
    if u < cfg.thr_h0:
        return cfg.h0
    if u < cfg.thr_h1:
        return cfg.h1
    if u < cfg.thr_h2:
        return cfg.h2
    if u < cfg.thr_h3:
        return cfg.h3
    return cfg.h4


@njit(**_INNER)
def _update_outputs(cfg, wout, j, err, trace, words, pos, effects):
    """Delta rule with one random word of 28 bits per output."""
    for k in range(cfg.o + 1):
        prob = err[k] * trace
        if prob == 0:
            continue
        big = min(abs(prob) << cfg.lr_p_wout, _FULL28) >> cfg.lr_r_wout
        if big >= bits_at(words, pos + 28 * k, 28):
            new = np.int64(wout[j, k]) + (1 if prob > 0 else -1)
            if new > 127 or new < -128:
                effects[E_WEIGHT_SAT] += 1
            else:
                wout[j, k] = new
                effects[E_UPDATES_OUT] += 1


@njit(**_INNER)
def _post(cfg, st, streams, scratch, valid, first, count, access, effects):
    """Post-synaptic neurons of one group: learning signal, pseudo-derivative, activity above the limit; and
    their
    output weights learn."""
    q, err, lsig, drive, reg = scratch.q, scratch.err, st.lsig, scratch.drive, scratch.reg
    u, tinp, trec, tout, dirty, wout = st.u, st.tinp, st.trec, st.tout, st.dirty, st.wout
    out_words, out_pos = streams.words[S_WOUT], streams.pos
    limit = WORD * (out_words.shape[0] - 3) - OUT_WORD_BITS
    for n in range(count):
        j = first + n
        if valid and j % 2 == 0 and j <= cfg.m:
            load_q(q, u, tinp, trec, tout, j)
            access[A_NEUR_R] += 1
        at = 4 * (j & 1)
        live = dirty[j & 1] != 0
        if cfg.regul_mode:
            reg[n] = max((q[at + 2] >> cfg.fp_trec if live else np.int64(0)) - cfg.regul_f0, 0)
        signal = np.int64(0)
        if valid and j <= cfg.r:
            access[A_WOUT_R] += 1
            if cfg.do_eprop & 3:
                signal = learning_signal(cfg, wout, j, err)
            trace = q[at + 3] >> cfg.fp_tout if live else np.int64(0)
            if trace != 0 and cfg.do_eprop & 4:
                if out_pos[S_WOUT] > limit:
                    reserve(streams, S_WOUT, OUT_WORD_BITS)
                _update_outputs(cfg, wout, j, err, trace, out_words, out_pos[S_WOUT], effects)
                out_pos[S_WOUT] += OUT_WORD_BITS
                access[A_WOUT_W] += 1
            elif trace != 0:
                access[A_WOUT_R] += 1
        lsig[n] = signal
        drive[n] = signal * _segment(cfg, q[at] if live else np.int64(0))


@njit(**_INNER)
def _regularisers(cfg, scratch):
    """Per post-synaptic neuron of the group: factor of positive products, and what is subtracted."""
    busy = False
    for n in range(GROUP):
        r = scratch.reg[n] if cfg.regul_mode else np.int64(0)
        busy |= r != 0
        scratch.mul[n] = max(0, 16 - (r >> cfg.k_mul)) if cfg.regul_mode & 1 and cfg.regul_w else 16
        add = cfg.regul_mode & 2
        inp = ((r << cfg.k_inp_p) & 0xFFFFFFFF) >> cfg.k_inp_r if add and cfg.regul_w & 1 else np.int64(0)
        rec = ((r << cfg.k_rec_p) & 0xFFFFFFFF) >> cfg.k_rec_r if add and cfg.regul_w & 2 else np.int64(0)
        scratch.sub[0, n] = np.int32(np.uint32(inp))
        scratch.sub[1, n] = np.int32(np.uint32(rec))
    return busy


@njit(**_OPT)
def update_word(weights, i, first, factors, sub, trace, words, pos, shifts, own):
    """Sixteen weights ``weights[i, first:first+16]``; returns (weights selected, of these held at a rail).

    `factors` = (learning signal times pseudo-derivative, factor of positive products), each int32 (16,);
    `shifts` = (left, right) shift of the probability; weight `own` (-1: none) becomes 0 when selected. The
    test on
    bit 31 of the scaled product is the chip's: it turns a positive product with bit 27 set into a certain
    decrement. All in 32 bits, so that the sixteen lanes stay in one vector register.
    """
    left, right = np.uint32(shifts[0]), np.uint32(shifts[1])
    fits = _FULL32 >> left
    drive, mul = factors
    i, first, pos = np.uint64(i), np.uint64(first), np.uint64(pos)
    hits = np.int32(0)
    held = np.int32(0)
    for lane in range(GROUP):
        n = np.uint64(lane)
        e = np.int32(drive[n] * trace)
        m = np.int32(16) if e < 0 else mul[n]
        k31 = np.int32(e * m)
        high = np.int32(np.int32(e >> np.int32(4)) * m)
        low = np.int32(np.int32(e & np.int32(15)) * m)
        s = np.int32(np.int32(high + np.int32(low >> np.int32(4))) - sub[n])
        s = _MIN32 if (s >= 0) & (k31 < 0) else s
        mag = np.uint32(s if s >= 0 else -s)
        big = np.uint32(mag << left) if mag <= fits else _FULL32
        hit = (s != 0) & ((s == _MIN32) | (np.uint32(big >> right) >= words[pos + n]))
        old = np.int32(weights[i, first + n])
        new = np.int32(old + (np.int32(1) if s > 0 else np.int32(-1)))
        kept = min(max(new, np.int32(-128)), np.int32(127))
        hits += np.int32(hit)
        held += np.int32(hit & (kept != new))
        kept = np.int32(0) if lane == own else kept
        weights[i, first + n] = np.int8(kept if hit else old)
    return hits, held


@njit(**_INNER)
def _any(a, b):
    found = False
    for n in range(GROUP):
        found |= a[n] != 0 or b[n] != 0
    return found


@njit(**_INNER)
def _pre_layer(streams, which, weights, traces, first, last, factors, sub, shifts, idle):
    """One layer's weights onto a group of sixteen; returns (words written, weights moved, weights held at a
    rail).

    A word is skipped when its trace is 0 and no neuron of the group is regularised (`idle`); its register
    steps
    once for every other word, even if nothing can change. A neuron's weight onto itself is never learned.
    """
    words = streams.words[which]
    pos = streams.pos[which]
    limit = WORD * (words.shape[0] - 3) - WORD_BITS
    active = _any(factors[0], sub)
    written, hits, held = 0, 0, 0
    for i in range(last + 1):
        if traces[i] == 0 and idle:
            continue
        written += 1
        if pos > limit:
            streams.pos[which] = pos
            reserve(streams, which, WORD_BITS)
            pos = streams.pos[which]
        if active:
            own = i - first if which == S_WREC else -1
            h, stuck = update_word(weights, i, first, factors, sub, traces[i], words, pos >> 5, shifts, own)
            hits += h
            held += stuck
        pos += WORD_BITS
    streams.pos[which] = pos
    return written, hits - held, held


@njit(**_INNER)
def _pre_traces(cfg, st, q, valid, traces):
    """Input and recurrent traces of all pre-synaptic indices as the data register shows them; returns the
    reads."""
    reads = 0
    for i in range(cfg.m + 1):
        if valid and i % 2 == 0:
            load_q(q, st.u, st.tinp, st.trec, st.tout, i)
            reads += 1
        at = 4 * (i & 1)
        live = st.dirty[i & 1] != 0
        traces[0, i] = np.int32(q[at + 1] >> cfg.fp_tinp) if live else np.int32(0)
        traces[1, i] = np.int32(q[at + 2] >> cfg.fp_trec) if live else np.int32(0)
    return reads


@njit(**_INNER)
def _pre(cfg, st, streams, scratch, valid, group, access, effects):
    """All pre-synaptic indices against one group of sixteen post-synaptic neurons."""
    idle = not _regularisers(cfg, scratch)
    always = cfg.regul_mode & 6 == 6
    traces, first = scratch.rnd, GROUP * group
    access[A_NEUR_R] += _pre_traces(cfg, st, scratch.q, valid, traces)
    factors = (scratch.drive, scratch.mul)
    if cfg.do_eprop & 1 and (valid or (always and cfg.regul_w & 1)):
        shifts, sub = (cfg.lr_p_winp, cfg.lr_r_winp), scratch.sub[0]
        written, moved, held = _pre_layer(streams, S_WINP, st.winp, traces[0], first, cfg.i, factors, sub, shifts, idle)
        access[A_WINP_R] += cfg.i + 1
        access[A_WINP_W] += written
        effects[E_UPDATES_INP] += moved
        effects[E_WEIGHT_SAT] += held
    if cfg.do_eprop & 2 and (valid or (always and cfg.regul_w & 2)):
        shifts, sub = (cfg.lr_p_wrec, cfg.lr_r_wrec), scratch.sub[1]
        written, moved, held = _pre_layer(streams, S_WREC, st.wrec, traces[1], first, cfg.r, factors, sub, shifts, idle)
        access[A_WREC_R] += cfg.r + 1
        access[A_WREC_W] += written
        effects[E_UPDATES_REC] += moved
        effects[E_WEIGHT_SAT] += held


@njit(**_INNER)
def learn(cfg, st, streams, scratch, valid, access, effects):
    """One EPROP phase; `valid`: a target is present in this tick."""
    errors(cfg, st, valid, scratch.err)
    only_outputs = cfg.do_eprop == 4
    for group in range(cfg.r // GROUP + 1):
        first = GROUP * group
        count = min(GROUP, cfg.r + 1 - first) if only_outputs else GROUP
        _post(cfg, st, streams, scratch, valid, first, count, access, effects)
        if not only_outputs:
            _pre(cfg, st, streams, scratch, valid, group, access, effects)
