"""Pair STDP with all-to-all pairing and a choice of weight dependence.

    on post:  w/Wmax += lambda (1 - w/Wmax)^mu_plus x          x: presynaptic trace, tau_plus
    on pre:   w/Wmax -= alpha lambda (w/Wmax)^mu_minus y       y: postsynaptic trace, tau_minus

Additive (Song, Miller and Abbott 2000): mu 0, 0. Multiplicative (Rubin, Lee and Sompolinsky 2001): 1, 1.
Guetig, Aharonov, Rotter and Sompolinsky (2003): 0 < mu < 1. Van Rossum, Bi and Turrigiano (2000): 0, 1.
Power law (Morrison, Aertsen and Diesmann 2007): on post w += lambda w^mu x, on pre w -= lambda alpha w y.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from chipsim.kernels.learning.flags import FLAGS
from tests.oracles.rules.spike_events import LONG_AGO, merge, trace_at

LAWS = {"additive": (0.0, 0.0), "multiplicative": (1.0, 1.0), "van_rossum": (0.0, 1.0)}


class PairStdp(NamedTuple):
    """tau_plus, tau_minus in the units of the spike times; lam: step size; alpha: depression over
    potentiation.
    """

    tau_plus: float
    tau_minus: float
    lam: float
    alpha: float
    mu_plus: float
    mu_minus: float
    w_max: float


@njit(**FLAGS)
def facilitate(par, w, x):
    """Weight after a postsynaptic spike that meets the presynaptic trace x."""
    share = w / par.w_max
    share += par.lam * (1.0 - share) ** par.mu_plus * x
    return share * par.w_max if share < 1.0 else par.w_max


@njit(**FLAGS)
def depress(par, w, y):
    """Weight after a presynaptic spike that meets the postsynaptic trace y."""
    share = w / par.w_max
    share -= par.alpha * par.lam * share**par.mu_minus * y
    return share * par.w_max if share > 0.0 else 0.0


@njit(**FLAGS)
def replay(par, pre, post, delay, w, out):
    """Weight after every presynaptic spike, from spike times. out: (len(pre),) float64, filled; returns the
    last w.
    """
    times, is_pre = merge(pre, post, delay)
    x = y = 0.0
    last_pre = last_post = LONG_AGO
    k = 0
    for e in range(times.shape[0]):
        t = times[e]
        if is_pre[e]:
            w = depress(par, w, trace_at(y, last_post, t, par.tau_minus))
            x, last_pre = trace_at(x, last_pre, t, par.tau_plus), t
            out[k] = w
            k += 1
        else:
            w = facilitate(par, w, trace_at(x, last_pre, t, par.tau_plus))
            y, last_post = trace_at(y, last_post, t, par.tau_minus), t
    return w


@njit(**FLAGS)
def replay_power_law(par, pre, post, delay, w, out):
    """The same with the power law; mu_plus is the exponent, mu_minus is not read, weights stay in [0,
    w_max].
    """
    times, is_pre = merge(pre, post, delay)
    x = y = 0.0
    last_pre = last_post = LONG_AGO
    k = 0
    for e in range(times.shape[0]):
        t = times[e]
        if is_pre[e]:
            w = max(0.0, w - par.lam * par.alpha * w * trace_at(y, last_post, t, par.tau_minus))
            x, last_pre = trace_at(x, last_pre, t, par.tau_plus), t
            out[k] = w
            k += 1
        else:
            w = min(par.w_max, w + par.lam * w**par.mu_plus * trace_at(x, last_pre, t, par.tau_plus))
            y, last_post = trace_at(y, last_post, t, par.tau_minus), t
    return w
