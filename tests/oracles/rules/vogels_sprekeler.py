"""Inhibitory plasticity that balances excitation.

Source: Vogels, Sprekeler, Zenke, Clopath and Gerstner (2011); traces x, y with one time constant, alpha = 2
rho_0 tau::

    on post:  w += eta x
    on pre:   w += eta (y - alpha)
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from chipsim.kernels.learning.flags import FLAGS
from tests.oracles.rules.spike_events import LONG_AGO, merge, trace_at


class VogelsSprekeler(NamedTuple):
    """tau_plus, tau_minus in the units of the spike times (the paper: equal); weights stay in [0, w_max]."""

    tau_plus: float
    tau_minus: float
    eta: float
    alpha: float
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
            w = min(par.w_max, w + par.eta * trace_at(y, last_post, t, par.tau_minus))
            w = max(0.0, w - par.alpha * par.eta)
            x, last_pre = trace_at(x, last_pre, t, par.tau_plus), t
            out[k] = w
            k += 1
        else:
            w = min(par.w_max, w + par.eta * trace_at(x, last_pre, t, par.tau_plus))
            y, last_post = trace_at(y, last_post, t, par.tau_minus), t
    return w
