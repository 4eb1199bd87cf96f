"""Exact gradient of a recurrent LIF / ALIF network by backpropagation through time: the yardstick for e-prop.

Source: Bellec et al. (2020), equation 1 and Methods: dE/dW_ji = sum_t dE/dz_j[t] e_ji[t] with the *total*
derivative dE/dz, which also runs through the recurrent spikes (pseudo-derivative psi for dz/dv). Constants
and conventions as in `chipsim.kernels.learning.eprop.adjoint`. Off-chip only: it needs the future and other neurons'
weights.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def total_derivative(par, error, w_rec, w_out, out, d_spike, d_state):
    """Fill d_spike, d_state (T, n): dE/dz[t] and dE/dv[t].

    dE/dz[t] is total over readout, other neurons and the neuron's own reset; a neuron's own adaptation
    belongs to its hidden state, so it is in dE/dv and in the eligibility, not in dE/dz (equation 1 would
    count it twice).

    error: (T, m), dE/dy[t]. w_rec: (n, n), w_out: (n, m), pre first. out: `Trajectory`.
    """
    n_steps, n = out.z.shape
    m = error.shape[1]
    read = np.zeros(m)  # dE/d(input of the readout filter)
    state = np.zeros(n)  # dE/dv[t+1]
    slow = np.zeros(n)  # dE/da[t+1]
    for t in range(n_steps - 1, -1, -1):
        for k in range(m):
            read[k] = error[t, k] + par.kappa * read[k]
        for j in range(n):
            total = -par.thr * state[j]
            for k in range(m):
                total += (1.0 - par.kappa) * w_out[j, k] * read[k]
            row = w_rec[j]
            for i in range(n):
                total += par.scale * row[i] * state[i]
            d_spike[t, j] = total
        for j in range(n):
            through = out.psi[t, j] * (d_spike[t, j] + slow[j])
            state[j] = par.alpha * state[j] + through
            slow[j] = par.rho * slow[j] - par.beta[j] * through
            d_state[t, j] = state[j]
