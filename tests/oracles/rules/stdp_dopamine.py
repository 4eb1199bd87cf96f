"""Reward-modulated STDP: an eligibility trace written by spike pairs, read by dopamine.

Source: Izhikevich (2007); the exact integration between events of Potjans, Morrison and Diesmann (2010)::

    c' = -c/tau_c + A_plus x delta(t - t_post) - A_minus y delta(t - t_pre)
    n' = -n/tau_n + delta(t - t_dopamine)/tau_n
    w' = c (n - b)

Between events c and n decay exponentially, so over an interval h
``dw = c n (1 - e^{-h/tau})/ (1/tau) - b c tau_c (1 - e^{-h/tau_c})`` with 1/tau = 1/tau_c + 1/tau_n.
"""

from __future__ import annotations

from math import exp, expm1
from typing import NamedTuple

from numba import njit

from chipsim.kernels.learning.flags import FLAGS
from tests.oracles.rules.spike_events import LONG_AGO, merge, trace_at


class DopamineStdp(NamedTuple):
    """Time constants in the units of the spike times; baseline: b; weights stay in [w_min, w_max]."""

    tau_plus: float
    tau_minus: float
    tau_c: float
    tau_n: float
    a_plus: float
    a_minus: float
    baseline: float
    w_min: float
    w_max: float


@njit(**FLAGS)
def drift(par, w, c, n, span):
    """Weight after `span` without events, from eligibility c and dopamine n at its beginning."""
    rate = 1.0 / par.tau_c + 1.0 / par.tau_n
    gain = -n / rate * expm1(-rate * span) + par.baseline * par.tau_c * expm1(-span / par.tau_c)
    return min(par.w_max, max(par.w_min, w + c * gain))


@njit(**FLAGS)
def replay(par, pre, post, dopamine, delay, w, out):
    """Weight after every presynaptic spike. dopamine: (k,) float64 ascending times; out: (len(pre),),
    filled.
    """
    times, is_pre = merge(pre, post, delay)
    x = y = c = n = now = 0.0
    last_pre = last_post = LONG_AGO
    k = d = 0
    for e in range(times.shape[0]):
        t = times[e]
        while d < dopamine.shape[0] and dopamine[d] <= t:
            span = dopamine[d] - now
            w = drift(par, w, c, n, span)
            c, n = c * exp(-span / par.tau_c), n * exp(-span / par.tau_n) + 1.0 / par.tau_n
            now = dopamine[d]
            d += 1
        span = t - now
        w = drift(par, w, c, n, span)
        c, n, now = c * exp(-span / par.tau_c), n * exp(-span / par.tau_n), t
        if is_pre[e]:
            c -= par.a_minus * trace_at(y, last_post, t, par.tau_minus)
            x, last_pre = trace_at(x, last_pre, t, par.tau_plus), t
            out[k] = w
            k += 1
        else:
            c += par.a_plus * trace_at(x, last_pre, t, par.tau_plus)
            y, last_post = trace_at(y, last_post, t, par.tau_minus), t
    return w
