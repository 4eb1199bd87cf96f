"""Tempotron: learn to fire, or not, for a spatiotemporal spike pattern.

Source: Gutig and Sompolinsky, Nature Neuroscience 9:420 (2006)::

    V(t) = sum_i w_i sum_{t_i < t} K(t - t_i);   K(s) = v0 (e^{-s/tau_m} - e^{-s/tau_s}),  v0 so that max K
    = 1 on error: dw_i = +-lambda dVmax/dw_i,        dVmax/dw_i = sum_{t_i < t_max} K(t_max - t_i)
"""

from __future__ import annotations

from math import exp

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


def kernel_scale(tau_m: float, tau_s: float) -> float:
    """v0: the factor that brings the maximum of K to 1."""
    peak = tau_m * tau_s / (tau_m - tau_s)
    ratio = tau_m / tau_s
    return 1.0 / (ratio ** (-peak / tau_m) - ratio ** (-peak / tau_s))


@njit(**FLAGS)
def psp(times, t, tau_m, tau_s, v0):
    """Sum of K over the spikes before t. times: (k,) float64."""
    total = 0.0
    for s in times:
        if s < t:
            total += v0 * (exp((s - t) / tau_m) - exp((s - t) / tau_s))
    return total


@njit(**FLAGS)
def potential(times, counts, w, tau_m, tau_s, v0, dt, v):
    """Fill v (T,), V at k dt, and return the index of its maximum. times: all spikes; counts: (n,) spikes
    per input.
    """
    best = 0
    for k in range(v.shape[0]):
        start, total = 0, 0.0
        for i in range(w.shape[0]):
            total += w[i] * psp(times[start : start + counts[i]], k * dt, tau_m, tau_s, v0)
            start += counts[i]
        v[k] = total
        if total > v[best]:
            best = k
    return best


@njit(**FLAGS)
def gradient(times, counts, t_max, tau_m, tau_s, v0, out):
    """out[i] = dVmax/dw_i."""
    start = 0
    for i in range(out.shape[0]):
        out[i] = psp(times[start : start + counts[i]], t_max, tau_m, tau_s, v0)
        start += counts[i]
