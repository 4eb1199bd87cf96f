"""STDP with exponential weight dependence and a constant offset, for winner-take-all motifs and assemblies.

Source: Jonke, Legenstein, Habenschuss and Maass (2018); Nessler, Pfeiffer, Buesing and Maass (2013) with
mu_plus < 0::

    on post:  w += lambda (e^{mu_plus w} x - beta)
    on pre:   w += lambda (-alpha e^{mu_minus w} y - beta)
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple

from numba import njit

from chipsim.kernels.learning.flags import FLAGS
from tests.oracles.rules.spike_events import LONG_AGO, merge, trace_at


class JonkeStdp(NamedTuple):
    """Time constants in the units of the spike times; the weight is capped at w_max on post, at 0 on pre."""

    tau_plus: float
    tau_minus: float
    lam: float
    alpha: float
    beta: float
    mu_plus: float
    mu_minus: float
    w_max: float


@njit(**FLAGS)
def replay(par, pre, post, delay, w, out):
    """Weight after every presynaptic spike. out: (len(pre),) float64, filled; returns the last weight."""
    times, is_pre = merge(pre, post, delay)
    x = y = 0.0
    last_pre = last_post = LONG_AGO
    k = 0
    for e in range(times.shape[0]):
        t = times[e]
        if is_pre[e]:
            now = trace_at(y, last_post, t, par.tau_minus)
            w = max(0.0, w + par.lam * (-par.alpha * exp(par.mu_minus * w) * now - par.beta))
            x, last_pre = trace_at(x, last_pre, t, par.tau_plus), t
            out[k] = w
            k += 1
        else:
            now = trace_at(x, last_pre, t, par.tau_plus)
            w = min(par.w_max, w + par.lam * (exp(par.mu_plus * w) * now - par.beta))
            y, last_post = trace_at(y, last_post, t, par.tau_minus), t
    return w
