"""Triplet STDP.

Source: Pfister and Gerstner (2006), all-to-all: with presynaptic traces r1 (tau_plus), r2
(tau_plus_triplet) and postsynaptic traces o1 (tau_minus), o2 (tau_minus_triplet)::

    on post:  w += r1 (A_plus + A_plus_triplet o2(t - 0))
    on pre:   w -= o1 (A_minus + A_minus_triplet r2(t - 0))
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from chipsim.kernels.learning.flags import FLAGS
from tests.oracles.rules.spike_events import LONG_AGO, merge, trace_at


class TripletStdp(NamedTuple):
    """Time constants in the units of the spike times; amplitudes in weight units; weights stay in [0,
    w_max].
    """

    tau_plus: float
    tau_plus_triplet: float
    tau_minus: float
    tau_minus_triplet: float
    a_plus: float
    a_plus_triplet: float
    a_minus: float
    a_minus_triplet: float
    w_max: float


@njit(**FLAGS)
def replay(par, pre, post, delay, w, out):
    """Weight after every presynaptic spike. out: (len(pre),) float64, filled; returns the last weight."""
    times, is_pre = merge(pre, post, delay)
    r1 = r2 = o1 = o2 = 0.0
    last_pre = last_post = LONG_AGO
    k = 0
    for e in range(times.shape[0]):
        t = times[e]
        if is_pre[e]:
            r2_now = trace_at(r2, last_pre, t, par.tau_plus_triplet)
            gain = par.a_minus + par.a_minus_triplet * r2_now
            w = max(0.0, w - trace_at(o1, last_post, t, par.tau_minus) * gain)
            r1, r2, last_pre = trace_at(r1, last_pre, t, par.tau_plus), r2_now, t
            out[k] = w
            k += 1
        else:
            o2_now = trace_at(o2, last_post, t, par.tau_minus_triplet)
            gain = par.a_plus + par.a_plus_triplet * o2_now
            w = min(par.w_max, w + trace_at(r1, last_pre, t, par.tau_plus) * gain)
            o1, o2, last_post = trace_at(o1, last_post, t, par.tau_minus), o2_now, t
    return w
