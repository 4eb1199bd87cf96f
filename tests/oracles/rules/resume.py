"""ReSuMe: remote supervised method.

Source: Ponulak and Kasinski, Neural Computation 22:467 (2010)::

    dw_i = sum_{desired} (a + sum_{t_i <= t_d} A e^{-(t_d - t_i)/tau}) - the same at the output spikes
"""

from __future__ import annotations

from math import exp

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def window(inputs, t, amplitude, tau):
    """Sum of A e^{-(t - t_i)/tau} over input spikes up to t."""
    total = 0.0
    for s in inputs:
        if s <= t:
            total += amplitude * exp((s - t) / tau)
    return total


@njit(**FLAGS)
def update(inputs, desired, actual, a, amplitude, tau):
    """Weight change of one synapse from spike times (float64 arrays)."""
    total = 0.0
    for t in desired:
        total += a + window(inputs, t, amplitude, tau)
    for t in actual:
        total -= a + window(inputs, t, amplitude, tau)
    return total
