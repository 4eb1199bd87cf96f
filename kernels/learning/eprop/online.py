"""Online e-prop: weights change in every step, no state reset, traces cut off a while after the last input
spike.

Source: Bellec et al. (2020) in the time-driven form of Korcsak-Gorzo, Linssen, Albers et al. (2024), whose
conventions NEST's ``eprop_iaf``, ``eprop_iaf_adapt``, ``eprop_iaf_psc_delta`` and
``eprop_iaf_psc_delta_adapt`` share.

Neurons: v = alpha v + input; psi; spike if v >= thr + beta a and not refractory; then v -= thr at once, or
v = v_reset (`reset_to`), with v held and inputs lost while refractory. Readout y = k_out y + sum w z, error
E = y - y*. Synapse at step h, finished two steps later (the error needs one step out and one step back)::

    zbar = alpha zbar + [arrival at h];  e = psi[h] (zbar - beta eps);  eps = rho eps + e
    ebar = kappa ebar + e;  ereg = kappa_reg ereg + (1 - kappa_reg) e
    g = L[h] ebar + c_reg (f_av - f_target) ereg;   L_j[h] = sum_k B_jk E_k[h+1]

A synapse sleeps before its first arrival and when ``h > s - 2 + cutoff`` for its last arrival s: its traces
then only decay. Adam's step counter counts time steps, so a synapse that wakes performs the missed steps,
its gradient entering the first of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.surrogates import evaluate
from chipsim.kernels.learning.eprop.adjoint import add_rows, learning_signal
from chipsim.kernels.learning.flags import FLAGS

NEVER = -(2**40)


class Online(NamedTuple):
    """Constants of the network and of the rule; decays per step, `kind` an entry of
    `chipsim.kernels.arithmetic.surrogates.KINDS`.

    beta: adaptation strength (0: none). reset_to: True for reset to v_reset with clamping, False for
    subtraction. delay: steps from an input row to its arrival. cutoff: steps. adam: True or plain descent.
    """

    alpha: float
    rho: float
    beta: float
    thr: float
    v_reset: float
    reset_to: bool
    n_ref: int
    kind: int
    height: float
    width: float
    k_out: float
    kappa: float
    kappa_reg: float
    c_reg: float
    f_target: float
    cutoff: int
    eta: float
    adam: bool
    beta_1: float
    beta_2: float
    epsilon: float


class Neurons(NamedTuple):
    """State of the recurrent layer: v, a, rate (n,) float64, refractory (n,) int64."""

    v: np.ndarray
    a: np.ndarray
    rate: np.ndarray
    refractory: np.ndarray


class Synapses(NamedTuple):
    """State of a projection, pre first: w, zbar, eps, ebar, ereg, mean, square (pre, post); arrival, steps
    (pre,) int64.
    """

    w: np.ndarray
    zbar: np.ndarray
    eps: np.ndarray
    ebar: np.ndarray
    ereg: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    arrival: np.ndarray
    steps: np.ndarray
    w_last: np.ndarray


@njit(**FLAGS)
def neurons_step(par, current, s, psi, z):
    """All neurons one step; `z` still holds the previous spikes on entry and the new ones on return."""
    for j in range(z.shape[0]):
        held = s.refractory[j] > 0
        if held:
            s.refractory[j] -= 1
        if not (held and par.reset_to):
            s.v[j] = par.alpha * s.v[j] + current[j]
        s.a[j] = par.rho * s.a[j] + z[j]
        threshold = par.thr + par.beta * s.a[j]
        free = s.refractory[j] == 0
        psi[j] = evaluate(par.kind, s.v[j] - threshold, par.height, par.width) if free else 0.0
        z[j] = 1 if free and s.v[j] >= threshold else 0
        if z[j]:
            s.v[j] = par.v_reset if par.reset_to else s.v[j] - par.thr
            s.refractory[j] = par.n_ref
        s.rate[j] = par.kappa_reg * s.rate[j] + (1.0 - par.kappa_reg) * z[j]


@njit(**FLAGS)
def optimise(par, w, gradient, mean, square, begin, end):
    """Weight after the optimiser's steps begin+1..end, the gradient entering the first of them."""
    if not par.adam:
        return w - par.eta * gradient, mean, square
    for step in range(begin + 1, end + 1):
        mean = par.beta_1 * mean + (1.0 - par.beta_1) * gradient
        square = par.beta_2 * square + (1.0 - par.beta_2) * gradient * gradient
        gradient = 0.0
        size = par.eta * np.sqrt(1.0 - par.beta_2**step) / (1.0 - par.beta_1**step)
        w -= size * mean / (np.sqrt(square) + par.epsilon)
    return w, mean, square


@njit(**FLAGS)
def wake(par, syn, i, h):
    """Whether the row i of synapses computes at step h."""
    return syn.arrival[i] <= h + 1 and h <= syn.arrival[i] - 2 + par.cutoff


@njit(**FLAGS)
def recurrent_row(par, syn, i, arrives, h, psi, signal, regular):
    """Traces and weights of all synapses of presynaptic neuron i at step h; psi, signal, regular: (n,)."""
    n = psi.shape[0]
    w, zbar, eps, ebar, ereg = syn.w[i], syn.zbar[i], syn.eps[i], syn.ebar[i], syn.ereg[i]
    for j in range(n):
        zbar[j] = par.alpha * zbar[j] + arrives
        e = psi[j] * (zbar[j] - par.beta * eps[j])
        eps[j] = par.rho * eps[j] + e
        ebar[j] = par.kappa * ebar[j] + e
        ereg[j] = par.kappa_reg * ereg[j] + (1.0 - par.kappa_reg) * e
    if not par.adam:
        for j in range(n):
            w[j] -= par.eta * (signal[j] * ebar[j] + regular[j] * ereg[j])
    else:
        mean, square = syn.mean[i], syn.square[i]
        for j in range(n):
            g = signal[j] * ebar[j] + regular[j] * ereg[j]
            w[j], mean[j], square[j] = optimise(par, w[j], g, mean[j], square[j], syn.steps[i], h + 1)
    syn.steps[i] = h + 1


@njit(**FLAGS)
def readout_row(par, syn, i, arrives, h, error):
    """The same for the synapses from neuron i to the readouts: g = E[h] zbar."""
    for k in range(error.shape[0]):
        syn.zbar[i, k] = par.k_out * syn.zbar[i, k] + arrives
        syn.w[i, k], syn.mean[i, k], syn.square[i, k] = optimise(
            par, syn.w[i, k], error[k] * syn.zbar[i, k], syn.mean[i, k], syn.square[i, k], syn.steps[i], h + 1
        )
    syn.steps[i] = h + 1


@njit(**FLAGS)
def sleep_row(par, syn, i, arrives, decay):
    """A sleeping row: traces decay, weights stay."""
    for j in range(syn.w.shape[1]):
        syn.zbar[i, j] = decay * syn.zbar[i, j] + arrives
        syn.eps[i, j] *= par.rho
        syn.ebar[i, j] *= par.kappa
        syn.ereg[i, j] *= par.kappa_reg


@njit(**FLAGS)
def arrive(syn, active, n):
    """Book the arrivals of step n, and the weight the arriving spike sees."""
    for i in range(active.shape[0]):
        if active[i]:
            syn.arrival[i] = n
            syn.w_last[i] = syn.w[i]


@njit(**FLAGS)
def learn(par, syn, own, arrivals, h, psi, signal, regular):
    """Step h of all rows of a projection to the recurrent layer; arrivals: (pre,) uint8 of step h.

    own: whether the layer projects to itself; nobody has a synapse to itself.
    """
    for i in range(arrivals.shape[0]):
        if wake(par, syn, i, h):
            recurrent_row(par, syn, i, float(arrivals[i]), h, psi, signal, regular)
            if own:
                syn.w[i, i] = 0.0
        elif syn.arrival[i] != NEVER:
            sleep_row(par, syn, i, float(arrivals[i]), par.alpha)


@njit(**FLAGS)
def learn_readout(par, syn, arrivals, h, error):
    """Step h of all rows of the readout projection."""
    for i in range(arrivals.shape[0]):
        if wake(par, syn, i, h):
            readout_row(par, syn, i, float(arrivals[i]), h, error)
        elif syn.arrival[i] != NEVER:
            sleep_row(par, syn, i, float(arrivals[i]), par.k_out)


@njit(**FLAGS)
def run(par, arriving, target, feedback, s, into, recurrent, readout, z, psi, v, y, error, signal, regular):
    """Run the network with learning over N steps.

    arriving: (N, n_in) uint8 input spikes by step of arrival. target: (N, m), NaN where there is no error
    yet. feedback: (n, m). s: `Neurons`; into, recurrent, readout: `Synapses`. z (N, n) uint8, psi, v,
    signal, regular (N, n), y, error (N, m): filled. signal[h] is complete for h <= N - 2.
    """
    n_steps, n = z.shape
    m = y.shape[1]
    current, read = np.empty(n), np.empty(m)
    spikes, quiet = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    for t in range(n_steps):
        h = t - 2
        if h >= 0:
            learn(par, into, False, arriving[h], h, psi[h], signal[h], regular[h])
            arrived = z[h - 1] if h > 0 else quiet
            learn(par, recurrent, True, arrived, h, psi[h], signal[h], regular[h])
            learn_readout(par, readout, arrived, h, error[h])
        current[:] = 0.0
        read[:] = 0.0
        arrive(into, arriving[t], t)
        add_rows(current, into.w, arriving[t])
        if t > 0:
            arrive(recurrent, z[t - 1], t)
            arrive(readout, z[t - 1], t)
            add_rows(current, recurrent.w, z[t - 1])
            add_rows(read, readout.w, z[t - 1])
        neurons_step(par, current, s, psi[t], spikes)
        for j in range(n):
            z[t, j] = spikes[j]
            v[t, j] = s.v[j]
            regular[t, j] = par.c_reg * (s.rate[j] - par.f_target)
        for k in range(m):
            before = y[t - 1, k] if t > 0 else 0.0
            y[t, k] = par.k_out * before + read[k]
            error[t, k] = 0.0 if np.isnan(target[t, k]) else y[t, k] - target[t, k]
        if t > 0:
            learning_signal(error[t], feedback, signal[t - 1])
