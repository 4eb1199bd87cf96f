"""The recurrent e-prop core at tick level: what its registers hold after every tick and how many cycles it took.

A tick is leak-and-fire, then learning, then event propagation; cycles are computed from what happened, never
stepped through. Behaviour as in the released Verilog of ReckOn (C. Frenkel, G. Indiveri, ISSCC 2022).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .reckon_eprop import learn
from .reckon_events import propagate
from .reckon_state import (
    C_COUNT,
    C_EPROP,
    C_EVENT,
    C_SDONE,
    C_SEND,
    C_STEP,
    C_SUPP,
    C_TARGET,
    E_IGNORED,
    E_LOST,
    E_REPEATED,
    F_GOT_LABEL,
    F_IN_SAMPLE,
    F_LABEL,
)
from .reckon_step import step

_OPT = dict(cache=True, nogil=True, error_model="numpy")


@njit(**_OPT)
def _collect(cfg, st, addresses, effects):
    """Input events since the last tick: a flag per address, so repeats merge; beyond the layers, ignored."""
    for a in addresses:
        if a > cfg.m:
            effects[E_IGNORED] += 1
        effects[E_REPEATED] += st.collected[a] != 0
        st.collected[a] = 1


@njit(**_OPT)
def _latch(st):
    """At the tick the collected flags become the pending ones."""
    st.pending[:] = st.collected
    st.collected[:] = 0


@njit(**_OPT)
def _winner(values, last):
    """Lowest index of the largest value among 0..last."""
    best = 0
    for k in range(1, last + 1):
        if values[k] > values[best]:
            best = k
    return best


@njit(**_OPT)
def _send(cfg, st, sent):
    """Bytes on the output bus; returns their number."""
    if cfg.send_label:
        sent[0] = 0 if cfg.regression else _winner(st.wins, cfg.o)
        return 1
    for k in range(cfg.o + 1):
        v = np.int64(st.out[k]) & 0xFFFF
        sent[2 * k] = v & 0xFF
        sent[2 * k + 1] = v >> 8
    return 2 * (cfg.o + 1)


@njit(**_OPT)
def _close_sample(st, effects):
    """Every entry into IDLE clears flags and outputs; in IDLE the winner counts and the label flag are cleared."""
    for p in range(st.pending.shape[0]):
        effects[E_LOST] += st.pending[p]
    st.pending[:] = 0
    st.collected[:] = 0
    st.z[:] = 0
    st.dirty[:] = 0
    st.out[:] = 0
    st.wins[:] = 0
    st.flags[F_GOT_LABEL] = 0
    st.flags[F_IN_SAMPLE] = 0


@njit(**_OPT)
def _learns(cfg, last, valid):
    """Does a tick with a step enter the learning phase?"""
    return (not last) and cfg.do_eprop != 0 and (valid or cfg.regul_mode & 6 == 6)


@njit(**_OPT)
def _asks(cfg, st):
    """Does the chip request a label or target before it learns?"""
    return not (cfg.single_label and st.flags[F_GOT_LABEL])


@njit(**_OPT)
def _take_target(cfg, st, answer, target):
    """The host's answer to a request; returns the number of bytes transferred."""
    if not cfg.regression:
        st.flags[F_LABEL] = answer & 15
        st.flags[F_GOT_LABEL] = 1
        return 1
    st.target[: cfg.o + 1] = target[: cfg.o + 1]
    return 2 * (cfg.o + 1)


@njit(**_OPT)
def _snapshot(st, log, which, k):
    if log.snap_u.shape[1] == 0:
        return
    n = log.snap_u.shape[2]
    log.snap_u[which, k] = st.u[:n]
    log.snap_trace[which, 0, k] = st.tinp[:n]
    log.snap_trace[which, 1, k] = st.trec[:n]
    log.snap_trace[which, 2, k] = st.tout[:n]
    log.snap_dirty[which, k] = st.dirty[:n]


@njit(**_OPT)
def _label_missing(cfg, st, stim, k):
    """Would tick `k` wait for ever for a label (1) or regression targets (2)? 0 = no."""
    valid = stim.target_valid[k] != 0
    if not st.flags[F_IN_SAMPLE] or not _learns(cfg, stim.last[k] != 0, valid):
        return 0
    if cfg.regression:  # a label is never received, so the chip asks in every learning tick
        return 0 if stim.target_given[k] else 2
    comes = cfg.single_label and stim.label[k] >= 0
    return 0 if comes or not _asks(cfg, st) or stim.answer[k] >= 0 else 1


@njit(**_OPT)
def _after_step(cfg, st, streams, scratch, stim, log, k):
    """SDONE and what follows up to event propagation; returns True when the sample ends here."""
    cycles = log.cycles[k]
    valid = stim.target_valid[k] != 0 and cfg.do_eprop != 0
    if stim.infer_acc[k]:
        st.wins[0 if cfg.regression else _winner(st.out, cfg.o)] += 1
    if stim.last[k]:
        cycles[C_SEND] = 6 * _send(cfg, st, log.sent[k]) - 2
        return True
    if _learns(cfg, False, valid):
        if _asks(cfg, st):
            cycles[C_TARGET] = 7 * _take_target(cfg, st, stim.answer[k], stim.target[k]) - 4
        learn(cfg, st, streams, scratch, valid, log.access[k], log.effects)
        groups = cfg.r // 16 + 1
        cycles[C_EPROP] = 2 * (cfg.r + 1) if cfg.do_eprop == 4 else groups * (32 + 2 * (cfg.m + 1))
    if cfg.send_each:
        cycles[C_SEND] = 6 * _send(cfg, st, log.sent[k]) - 2
    return False


@njit(**_OPT)
def _tick(cfg, st, streams, scratch, stim, log, k):
    """One time tick, in the order in which the controller acts."""
    _collect(cfg, st, stim.ev_addr[stim.ev_ptr[k] : stim.ev_ptr[k + 1]], log.effects)
    cycles = log.cycles[k]
    if stim.label[k] >= 0 and not cfg.regression:
        st.flags[F_LABEL] = stim.label[k] & 15
        st.flags[F_GOT_LABEL] = st.flags[F_IN_SAMPLE]
    _latch(st)
    if st.flags[F_IN_SAMPLE]:
        log.has_step[k] = 1
        step(cfg, st, streams, scratch, log.access[k], log.effects)
        cycles[C_STEP], cycles[C_SDONE] = cfg.x + 1, 1
        log.spikes[k] = st.z[: log.spikes.shape[1]]
        log.out_step[k] = st.out
        _snapshot(st, log, 0, k)
        if _after_step(cfg, st, streams, scratch, stim, log, k):
            _close_sample(st, log.effects)
            _snapshot(st, log, 1, k)
            log.lsig[k] = st.lsig
            return
    elif stim.last[k]:
        return  # idle and SAMPLE low: the tick is not taken
    st.flags[F_IN_SAMPLE] = 1
    passes, supplements = propagate(cfg, st, streams, scratch, log.access[k], log.effects)
    log.npass[k] = passes
    cycles[C_COUNT] = cfg.m + 1
    cycles[C_EVENT] = passes * 2 * (cfg.r // 2 + 1)
    cycles[C_SUPP] = 2 * supplements
    log.out_end[k] = st.out
    log.lsig[k] = st.lsig
    _snapshot(st, log, 1, k)


@njit(**_OPT)
def run_ticks(cfg, st, streams, scratch, stim, log):
    """All ticks of the stimulus. Returns (ticks done, why it stopped: 0 end, 1 label missing, 2 target missing)."""
    ticks = stim.last.shape[0]
    for k in range(ticks):
        missing = _label_missing(cfg, st, stim, k)
        if missing:
            return k, missing
        _tick(cfg, st, streams, scratch, stim, log, k)
    return ticks, 0
