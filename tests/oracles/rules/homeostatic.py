"""Homeostatic synaptic scaling: every synapse of a neuron is multiplied by one factor that holds its rate.

Source: Turrigiano, Leslie, Desai, Rutherford and Nelson (1998); multiplicative form of van Rossum, Bi and
Turrigiano (2000), with a running rate::

    rate = decay rate + (1 - decay) spike;   w_ji *= 1 + eta (target - rate_j)
"""

from __future__ import annotations

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def track(rate, spikes, decay):
    """One step of the running rates (n,), spikes per step. spikes: (n,) uint8."""
    for j in range(rate.shape[0]):
        rate[j] = decay * rate[j] + (1.0 - decay) * spikes[j]


@njit(**FLAGS)
def scale(w, rate, target, eta, w_max):
    """Scale w (post, pre) in place towards rates `target`; weights stay in [0, w_max]."""
    for j in range(w.shape[0]):
        factor = 1.0 + eta * (target - rate[j])
        for i in range(w.shape[1]):
            w[j, i] = min(w_max, max(0.0, w[j, i] * factor))
