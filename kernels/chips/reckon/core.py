"""The recurrent e-prop core at tick level: what its registers hold after every tick and how many cycles it
took.

A tick is leak-and-fire, then learning, then event propagation; cycles are computed from what happened, never
stepped through. Behaviour as in the released Verilog of ReckOn (C. Frenkel, G. Indiveri, ISSCC 2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .eprop import learn
from .events import propagate
from .state import (
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
    ONE,
    ZERO,
)
from .step import step

_OPT: dict[str, Any] = dict(cache=True, nogil=True, error_model="numpy")
_INNER: dict[str, Any] = dict(
    _OPT, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False
)  # called from kernels only: compiles faster


@njit(**_INNER)
def _copy(target, source):
    """Copy as much as the target holds (a plain loop compiles ten times faster than a slice assignment)."""
    for i in range(target.shape[0]):
        target[i] = source[i]


@njit(**_INNER)
def _collect(cfg, st, addresses, effects):
    """Input events since the last tick: a flag per address, so repeats merge; beyond the layers, ignored."""
    for a in addresses:
        if a > cfg.m:
            effects[E_IGNORED] += 1
        effects[E_REPEATED] += st.collected[a] != 0
        st.collected[a] = 1


@njit(**_INNER)
def _latch(pending, collected):
    """At the tick the collected flags become the pending ones."""
    for p in range(pending.shape[0]):
        pending[p] = collected[p]
        collected[p] = 0


@njit(**_INNER)
def _winner(values, last):
    """Lowest index of the largest value among 0..last."""
    best = 0
    for k in range(1, last + 1):
        if values[k] > values[best]:
            best = k
    return best


@njit(**_INNER)
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


@njit(**_INNER)
def _close_sample(st, effects):
    """Every entry into IDLE clears flags and outputs; in IDLE the winner counts and the label flag are
    cleared."""
    for p in range(st.pending.shape[0]):
        effects[E_LOST] += st.pending[p]
        st.pending[p] = 0
        st.collected[p] = 0
        st.z[p] = 0
        st.dirty[p] = 0
    for k in range(st.out.shape[0]):
        st.out[k] = 0
        st.wins[k] = 0
    st.flags[F_GOT_LABEL] = 0
    st.flags[F_IN_SAMPLE] = 0


@njit(**_INNER)
def _learns(cfg, last, valid):
    """Does a tick with a step enter the learning phase?"""
    return (not last) and cfg.do_eprop != 0 and (valid or cfg.regul_mode & 6 == 6)


@njit(**_INNER)
def _asks(cfg, st):
    """Does the chip request a label or target before it learns?"""
    return not (cfg.single_label and st.flags[F_GOT_LABEL])


@njit(**_INNER)
def _take_target(cfg, st, answer, target):
    """The host's answer to a request; returns the number of bytes transferred."""
    if not cfg.regression:
        st.flags[F_LABEL] = answer & 15
        st.flags[F_GOT_LABEL] = 1
        return 1
    for k in range(cfg.o + 1):
        st.target[k] = target[k]
    return 2 * (cfg.o + 1)


@njit(**_INNER)
def _snapshot(st, log, which, k):
    if log.snap_u.shape[1] == 0:
        return
    for j in range(log.snap_u.shape[2]):
        log.snap_u[which, k, j] = st.u[j]
        log.snap_trace[which, 0, k, j] = st.tinp[j]
        log.snap_trace[which, 1, k, j] = st.trec[j]
        log.snap_trace[which, 2, k, j] = st.tout[j]
        log.snap_dirty[which, k, j] = st.dirty[j]


@njit(**_INNER)
def _label_missing(cfg, st, stim, k):
    """Would tick `k` wait for ever for a label (1) or regression targets (2)? 0 = no."""
    valid = stim.target_valid[k] != 0
    if not st.flags[F_IN_SAMPLE] or not _learns(cfg, stim.last[k] != 0, valid):
        return 0
    if cfg.regression:  # a label is never received, so the chip asks in every learning tick
        return 0 if stim.target_given[k] else 2
    comes = cfg.single_label and stim.label[k] >= 0
    return 0 if comes or not _asks(cfg, st) or stim.answer[k] >= 0 else 1


@njit(**_INNER)
def _begin(cfg, st, stim, log, k):
    """Pins before and at the tick: events collected and latched, an early label; returns True if a tick is
    taken."""
    _collect(cfg, st, stim.ev_addr[stim.ev_ptr[k] : stim.ev_ptr[k + 1]], log.effects)
    if stim.label[k] >= 0 and not cfg.regression:
        st.flags[F_LABEL] = stim.label[k] & 15
        st.flags[F_GOT_LABEL] = st.flags[F_IN_SAMPLE]
    _latch(st.pending, st.collected)
    return st.flags[F_IN_SAMPLE] or not stim.last[k]  # idle and SAMPLE low: nothing happens


@njit(**_INNER)
def _step_done(cfg, st, stim, log, k):
    """After STEP: what is logged, the winner count, and at the end of a sample its result."""
    log.has_step[k] = 1
    log.cycles[k, C_STEP], log.cycles[k, C_SDONE] = cfg.x + 1, 1
    _copy(log.spikes[k], st.z)
    _copy(log.out_step[k], st.out)
    _snapshot(st, log, ZERO, k)
    if stim.infer_acc[k]:
        st.wins[0 if cfg.regression else _winner(st.out, cfg.o)] += 1
    if stim.last[k]:
        log.cycles[k, C_SEND] = 6 * _send(cfg, st, log.sent[k]) - 2
        _close_sample(st, log.effects)


@njit(**_INNER)
def _request(cfg, st, stim, log, k):
    """Ask the host for a label or target unless the sample's label is known."""
    if _asks(cfg, st):
        log.cycles[k, C_TARGET] = 7 * _take_target(cfg, st, stim.answer[k], stim.target[k]) - 4
    only_outputs = cfg.do_eprop == 4
    groups = cfg.r // 16 + 1
    log.cycles[k, C_EPROP] = 2 * (cfg.r + 1) if only_outputs else groups * (32 + 2 * (cfg.m + 1))


@njit(**_INNER)
def _ready(cfg, st, log, k, passes, supplements):
    """After PROP: cycles and what is logged at the end of the tick."""
    log.npass[k] = passes
    log.cycles[k, C_COUNT] = cfg.m + 1
    log.cycles[k, C_EVENT] = passes * 2 * (cfg.r // 2 + 1)
    log.cycles[k, C_SUPP] = 2 * supplements
    _copy(log.out_end[k], st.out)
    _copy(log.lsig[k], st.lsig)
    _snapshot(st, log, ONE, k)


@njit(**_OPT)
def run_ticks(cfg, st, streams, scratch, stim, log):
    """All ticks of the stimulus, each in the order in which the controller acts.

    Returns (ticks done, why it stopped: 0 end, 1 label missing, 2 target missing); a tick that would wait for
    ever
    is not begun.
    """
    ticks = stim.last.shape[0]
    for k in range(ticks):
        missing = _label_missing(cfg, st, stim, k)
        if missing:
            return k, missing
        if not _begin(cfg, st, stim, log, k):
            continue
        access = log.access[k]
        if st.flags[F_IN_SAMPLE]:
            step(cfg, st, streams, scratch, access, log.effects)
            _step_done(cfg, st, stim, log, k)
            if stim.last[k]:
                _copy(log.lsig[k], st.lsig)
                _snapshot(st, log, ONE, k)
                continue
            valid = stim.target_valid[k] != 0
            if _learns(cfg, False, valid):
                _request(cfg, st, stim, log, k)
                learn(cfg, st, streams, scratch, valid, access, log.effects)
            if cfg.send_each:
                log.cycles[k, C_SEND] = 6 * _send(cfg, st, log.sent[k]) - 2
        st.flags[F_IN_SAMPLE] = 1
        passes, supplements = propagate(cfg, st, streams, scratch, access, log.effects)
        _ready(cfg, st, log, k, passes, supplements)
    return ticks, 0
