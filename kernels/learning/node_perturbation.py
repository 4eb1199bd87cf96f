"""Node perturbation: noise on the summed inputs of the nodes, one cost for the whole trial.

Sources: Widrow and Lehr (1990); Fiete and Seung (2006); Zuge, Klos and Memmesheimer (2023)::

    dW_ij = -(E_perturbed - E)/sigma^2  sum_t xi_i[t] r_j[t]

xi: noise of node i at step t, r_j: presynaptic activity. Local: each synapse needs the noise of its own
node, its own input and one broadcast number.
"""

from __future__ import annotations

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def eligibility(noise, activity, trace):
    """Add sum_t noise_i[t] activity_j[t] to trace (post, pre). noise: (T, post); activity: (T, pre)."""
    for t in range(noise.shape[0]):
        for i in range(noise.shape[1]):
            for j in range(activity.shape[1]):
                trace[i, j] += noise[t, i] * activity[t, j]


@njit(**FLAGS)
def update(change, sigma, trace, d_w):
    """Add the weight change for a cost difference `change` to d_w (post, pre)."""
    scale = -change / (sigma * sigma)
    for i in range(trace.shape[0]):
        for j in range(trace.shape[1]):
            d_w[i, j] += scale * trace[i, j]
