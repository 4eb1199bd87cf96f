"""SDSP: spike-driven synaptic plasticity with a calcium window, in few-bit integers.

Sources: Brader, Senn and Fusi (2007); digital form of Frenkel, Lefebvre, Legat and Bol (2019, ODIN). On a
presynaptic spike, with v and ca those of the postsynaptic neuron after its update::

    w += 1 if v >= theta_m and t1 <= ca < t3;     w -= 1 if v < theta_m and t1 <= ca < t2

Calcium counts postsynaptic spikes and leaks by one every `leak_every` steps in which the neuron is silent.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


class Sdsp(NamedTuple):
    """Integers: theta_m membrane threshold, t1 t2 t3 calcium thresholds, ca_max, w_max, leak_every steps."""

    theta_m: int
    t1: int
    t2: int
    t3: int
    ca_max: int
    w_max: int
    leak_every: int


@njit(**FLAGS)
def calcium(par, ca, spiked, step):
    """Calcium after step `step` (counted from 0)."""
    if spiked:
        return min(par.ca_max, ca + 1)
    if (step + 1) % par.leak_every == 0:
        return max(0, ca - 1)
    return ca


@njit(**FLAGS)
def direction(par, v, ca):
    """+1, -1 or 0: what a presynaptic spike does now."""
    if v >= par.theta_m:
        return 1 if par.t1 <= ca < par.t3 else 0
    return -1 if par.t1 <= ca < par.t2 else 0


@njit(**FLAGS)
def update(par, pre, change, w):
    """Apply `change` at the synapses whose `pre` (k,) uint8 is set; w: (k,) int64 in [0, w_max], in place."""
    for i in range(w.shape[0]):
        if pre[i]:
            w[i] = min(par.w_max, max(0, w[i] + change))


@njit(**FLAGS)
def replay(par, pre, drive, threshold, reset, v_max, w, history, weights):
    """One neuron driven by recorded increments.

    pre: (T, k) uint8; drive: (T,) int64 membrane increments; threshold, reset, v_max: of the membrane. w:
    (k,) int64, in place. history: (T, 5) int64 filled with v, ca, spike, up, down; weights: (T, k) int64
    filled.
    """
    v = ca = 0
    for t in range(pre.shape[0]):
        v = max(0, min(v + drive[t], v_max))
        spiked = v >= threshold
        if spiked:
            v = reset
        ca = calcium(par, ca, spiked, t)
        change = direction(par, v, ca)
        update(par, pre[t], change, w)
        history[t, 0], history[t, 1], history[t, 2] = v, ca, spiked
        history[t, 3], history[t, 4] = change > 0, change < 0
        weights[t] = w
