"""Learning phase of the recurrent e-prop core: every weight moves by at most one step, with a drawn probability.

For a synapse from i to j the product of the learning signal of j, the pseudo-derivative of j and the trace of i,
scaled by shifts, is the probability of moving the weight by one in the direction of its sign.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .lfsr import bits_at, reserve
from .reckon_state import (
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
    GROUP,
    S_WINP,
    S_WOUT,
    S_WREC,
)
from .reckon_step import load_q

_OPT = dict(cache=True, nogil=True, error_model="numpy")
_MIN32 = -(1 << 31)
_FULL32 = (1 << 32) - 1
_FULL28 = (1 << 28) - 1


@njit(**_OPT)
def _saturate16(x):
    return min(max(x, -32768), 32767)


@njit(**_OPT)
def errors(cfg, st, valid, err):
    """err[k] = target - output, saturated to 16 bits; 0 for outputs that are not in use or without a target."""
    for k in range(err.shape[0]):
        err[k] = 0
        if valid and k <= cfg.o:
            v = np.int64(st.out[k])
            if not cfg.no_out_act:  # hard sigmoid: 0 .. 2048
                v = 2048 if v > 2047 else (0 if v < -2048 else (v + 2048) >> 1)
            if cfg.regression:
                goal = np.int64(st.target[k])
            else:
                goal = np.int64(2048) if st.flags[0] == k else np.int64(0)
            err[k] = _saturate16(goal - v)


@njit(**_OPT)
def learning_signal(cfg, row, err):
    """Error projected back through the output weights of one neuron, scaled and saturated to 16 bits."""
    psum = np.int64(0)
    for k in range(cfg.o + 1):
        psum += err[k] * np.int64(row[k])
    return _saturate16((psum << cfg.learn_sig_scale) >> 12)


@njit(**_OPT)
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


@njit(**_OPT)
def _update_outputs(cfg, row, err, trace, words, pos, effects):
    """Delta rule with one random word of 28 bits per output."""
    for k in range(cfg.o + 1):
        prob = err[k] * trace
        if prob == 0:
            continue
        big = min(abs(prob) << cfg.lr_p_wout, _FULL28) >> cfg.lr_r_wout
        if big >= bits_at(words, pos + 28 * k, 28):
            new = np.int64(row[k]) + (1 if prob > 0 else -1)
            if new > 127 or new < -128:
                effects[E_WEIGHT_SAT] += 1
            else:
                row[k] = new
                effects[E_UPDATES_OUT] += 1


@njit(**_OPT)
def _post(cfg, st, streams, scratch, valid, j, access, effects):
    """Post-synaptic neuron `j`: learning signal, pseudo-derivative, regularisation; its output weights learn."""
    n = j & 15
    q = scratch.q
    if valid and j % 2 == 0 and j <= cfg.m:
        load_q(st, q, j // 2)
        access[A_NEUR_R] += 1
    at = 4 * (j & 1)
    live = st.dirty[j & 1] != 0
    u = q[at] if live else np.int64(0)
    trec = q[at + 2] >> cfg.fp_trec if live else np.int64(0)
    tout = q[at + 3] >> cfg.fp_tout if live else np.int64(0)
    if cfg.regul_mode:
        scratch.reg[n] = max(trec - cfg.regul_f0, 0)
    signal = np.int64(0)
    if valid and j <= cfg.r:
        access[A_WOUT_R] += 1
        if cfg.do_eprop & 3:
            signal = learning_signal(cfg, st.wout[j], scratch.err)
        if tout != 0:
            if cfg.do_eprop & 4:
                reserve(streams, S_WOUT, 448)
                _update_outputs(
                    cfg, st.wout[j], scratch.err, tout, streams.words[S_WOUT], streams.pos[S_WOUT], effects
                )
                streams.pos[S_WOUT] += 448
                access[A_WOUT_W] += 1
            else:
                access[A_WOUT_R] += 1
    st.lsig[n] = signal
    scratch.drive[n] = signal * _segment(cfg, u)


@njit(**_OPT)
def _regularisers(cfg, scratch):
    """Per post-synaptic neuron of the group: factor of positive products, and what is subtracted."""
    busy = False
    for n in range(GROUP):
        r = scratch.reg[n] if cfg.regul_mode else np.int64(0)
        busy |= r != 0
        scratch.mul[n] = max(0, 16 - (r >> cfg.k_mul)) if cfg.regul_mode & 1 and cfg.regul_w else 16
        add = cfg.regul_mode & 2
        inp = ((r << cfg.k_inp_p) & _FULL32) >> cfg.k_inp_r if add and cfg.regul_w & 1 else np.int64(0)
        rec = ((r << cfg.k_rec_p) & _FULL32) >> cfg.k_rec_r if add and cfg.regul_w & 2 else np.int64(0)
        scratch.sub[0, n] = np.int32(np.uint32(inp))
        scratch.sub[1, n] = np.int32(np.uint32(rec))
    return busy


@njit(**_OPT)
def update_word(row, scratch, sub, trace, words, pos, shifts):
    """Sixteen weights of one word; returns (weights moved, weights held at a rail, bit mask of those selected).

    `shifts` = (left, right) shift of the probability. The test on bit 31 of the scaled product is the chip's: it
    turns a positive product with bit 27 set into a certain decrement.
    """
    left, right = np.uint64(shifts[0]), np.uint64(shifts[1])
    moved = 0
    held = 0
    selected = 0
    for n in range(GROUP):
        e = np.int32(scratch.drive[n] * trace)
        m = np.int32(16) if e < 0 else scratch.mul[n]
        k31 = np.int32(e * m)
        quotient = (e >> np.int32(4)) * m + (((e & np.int32(15)) * m) >> np.int32(4))
        s = np.int32(quotient - sub[n])
        s = np.int32(_MIN32) if (s >= 0) & (k31 < 0) else s
        mag = np.uint64(abs(np.int64(s)))
        big = min(mag << left, np.uint64(_FULL32)) >> right
        hit = (s != 0) & ((s == _MIN32) | (big >= np.uint64(words[pos + n])))
        new = np.int32(row[n]) + (np.int32(1) if s > 0 else np.int32(-1))
        rail = (new > 127) | (new < -128)
        held += hit & rail
        moved += hit & ~rail
        selected |= np.int64(hit) << n
        row[n] = new if hit & ~rail else row[n]
    return moved, held, selected


@njit(**_OPT)
def _any(a, b):
    for n in range(GROUP):
        if a[n] != 0 or b[n] != 0:
            return True
    return False


@njit(**_OPT)
def _learn_word(streams, which, row, scratch, sub, trace, shifts, active):
    """One word of input or recurrent weights; the register steps once even if nothing can change."""
    reserve(streams, which, 512)
    moved, held, selected = 0, 0, 0
    if active:
        words, at = streams.words[which], streams.pos[which] >> 5
        moved, held, selected = update_word(row, scratch, sub, trace, words, at, shifts)
    streams.pos[which] += 512
    return moved, held, selected


@njit(**_OPT)
def _pre(cfg, st, streams, scratch, valid, group, access, effects):
    """All pre-synaptic indices against one group of sixteen post-synaptic neurons."""
    idle = not _regularisers(cfg, scratch)
    always = cfg.regul_mode & 6 == 6
    do_inp = cfg.do_eprop & 1 and (valid or (always and cfg.regul_w & 1))
    do_rec = cfg.do_eprop & 2 and (valid or (always and cfg.regul_w & 2))
    active_inp, active_rec = _any(scratch.drive, scratch.sub[0]), _any(scratch.drive, scratch.sub[1])
    first = GROUP * group
    q = scratch.q
    shifts_inp, shifts_rec = (cfg.lr_p_winp, cfg.lr_r_winp), (cfg.lr_p_wrec, cfg.lr_r_wrec)
    for i in range(cfg.m + 1):
        if valid and i % 2 == 0:
            load_q(st, q, i // 2)
            access[A_NEUR_R] += 1
        at = 4 * (i & 1)
        live = st.dirty[i & 1] != 0
        if do_inp and i <= cfg.i:
            access[A_WINP_R] += 1
            trace = np.int32(q[at + 1] >> cfg.fp_tinp) if live else np.int32(0)
            if trace != 0 or not idle:
                row = st.winp[i, first : first + GROUP]
                moved, held, _ = _learn_word(
                    streams, S_WINP, row, scratch, scratch.sub[0], trace, shifts_inp, active_inp
                )
                access[A_WINP_W] += 1
                effects[E_UPDATES_INP] += moved
                effects[E_WEIGHT_SAT] += held
        if do_rec and i <= cfg.r:
            access[A_WREC_R] += 1
            trace = np.int32(q[at + 2] >> cfg.fp_trec) if live else np.int32(0)
            if trace != 0 or not idle:
                row = st.wrec[i, first : first + GROUP]
                moved, held, selected = _learn_word(
                    streams, S_WREC, row, scratch, scratch.sub[1], trace, shifts_rec, active_rec
                )
                if i // GROUP == group and (selected >> (i & 15)) & 1:
                    row[i & 15] = 0  # a neuron's weight onto itself is never learned
                access[A_WREC_W] += 1
                effects[E_UPDATES_REC] += moved
                effects[E_WEIGHT_SAT] += held


@njit(**_OPT)
def learn(cfg, st, streams, scratch, valid, access, effects):
    """One EPROP phase; `valid`: a target is present in this tick."""
    errors(cfg, st, valid, scratch.err)
    only_outputs = cfg.do_eprop == 4
    for group in range(cfg.r // GROUP + 1):
        first = GROUP * group
        count = min(GROUP, cfg.r + 1 - first) if only_outputs else GROUP
        for j in range(first, first + count):
            _post(cfg, st, streams, scratch, valid, j, access, effects)
        if not only_outputs:
            _pre(cfg, st, streams, scratch, valid, group, access, effects)
