"""SuperSpike: supervised learning of spike times through a surrogate of the membrane potential.

Source: Zenke and Ganguli, Neural Computation 30:1514 (2018)::

    U = dm U + (1 - dm) I (0 while refractory);  S = U >= theta;  then I = dc I + W S_pre
    eligibility = alpha * (beta/(1 + beta |U - theta|)^2 (eps * S_pre));  error e = alpha * (S* - S)
    dW_out = sum_t e_k eligibility_kj;  hidden: dW = sum_t (sum_k b_ik e_k) eligibility_ij

eps: the postsynaptic potential (current and membrane filter, U before I); alpha: the same two filters, I
before U. Directions of weight change; with b = W_out^T the feedback is symmetric, random or uniform b do as
well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.learning.flags import FLAGS


class SuperSpike(NamedTuple):
    """dc, dm: decay of current and membrane per step; theta: threshold (units of U); beta: 1/units of U;
    n_ref: steps.
    """

    dc: float
    dm: float
    theta: float
    beta: float
    n_ref: int


@njit(**FLAGS)
def layer(par, spikes_in, weights, u, spikes, slope):
    """Run one layer. spikes_in: (T, pre) uint8; weights: (post, pre); u, slope (T, post), spikes (T, post)
    uint8 filled.

    u is the potential seen by the threshold, before the reset.
    """
    n_steps, n = u.shape
    membrane, current = np.zeros(n), np.zeros(n)
    refractory = np.zeros(n, np.int64)
    for t in range(n_steps):
        for i in range(n):
            membrane[i] = par.dm * membrane[i] + (1.0 - par.dm) * current[i]
            free = refractory[i] == 0
            if not free:
                membrane[i] = 0.0
                refractory[i] -= 1
            u[t, i] = membrane[i]
            slope[t, i] = par.beta / (1.0 + par.beta * abs(membrane[i] - par.theta)) ** 2
            spikes[t, i] = 1 if free and membrane[i] >= par.theta else 0
            if spikes[t, i]:
                refractory[i] = par.n_ref
                membrane[i] = 0.0
            arrived = 0.0
            for j in range(spikes_in.shape[1]):
                if spikes_in[t, j]:
                    arrived += weights[i, j]
            current[i] = par.dc * current[i] + arrived


@njit(**FLAGS)
def filtered_error(par, target, spikes, error):
    """error (T, post) = alpha * (target - spikes)."""
    fast, slow = np.zeros(target.shape[1]), np.zeros(target.shape[1])
    for t in range(target.shape[0]):
        for k in range(target.shape[1]):
            fast[k] = par.dc * fast[k] + (float(target[t, k]) - float(spikes[t, k]))
            slow[k] = par.dm * slow[k] + (1.0 - par.dm) * fast[k]
            error[t, k] = slow[k]


@njit(**FLAGS)
def updates(par, spikes_in, slope, signal, eligibility, d_w):
    """Add sum_t signal_i eligibility_ij to d_w (post, pre) and leave the last eligibility in `eligibility`.

    signal: (T, post), the error of an output unit or the error fed back to a hidden one.
    """
    n_pre = spikes_in.shape[1]
    current, potential = np.zeros(n_pre), np.zeros(n_pre)
    first = np.zeros_like(eligibility)
    for t in range(spikes_in.shape[0]):
        for j in range(n_pre):
            potential[j] = par.dm * potential[j] + (1.0 - par.dm) * current[j]
            current[j] = par.dc * current[j] + spikes_in[t, j]
        for i in range(slope.shape[1]):
            for j in range(n_pre):
                first[i, j] = par.dc * first[i, j] + slope[t, i] * potential[j]
                eligibility[i, j] = par.dm * eligibility[i, j] + (1.0 - par.dm) * first[i, j]
                d_w[i, j] += signal[t, i] * eligibility[i, j]
