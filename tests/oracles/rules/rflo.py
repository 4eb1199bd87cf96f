"""RFLO: random feedback local online learning of recurrent rate networks.

Source: Murray, eLife 8:e43299 (2019)::

    u[t] = Wrec h[t-1] + Win x[t];  h[t] = h[t-1] + (tanh(u[t]) - h[t-1])/tau;  y = Wout h;  eps = y* - y
    p_ij = (1 - 1/tau) p_ij + tanh'(u_i) h_j[t-1]/tau;  q_ij the same with x_j[t]
    dWrec_ij = mean_t (B eps)_i p_ij;  dWin_ij = mean_t (B eps)_i q_ij;  dWout = mean_t eps h^T

Directions of weight change (minus a gradient estimate of the mean of |eps|^2/2). `backpropagation` is the
exact counterpart by the adjoint, the control that RFLO is compared with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.learning.flags import FLAGS


class RateNet(NamedTuple):
    """tau: steps; w_in (n, n_in), w_rec (n, n), w_out (m, n), post first, float64; h0 (n,)."""

    tau: float
    w_in: np.ndarray
    w_rec: np.ndarray
    w_out: np.ndarray
    h0: np.ndarray


@njit(**FLAGS)
def forward(net, x, h, u, y):
    """Fill h, u (T, n) and y (T, m); row 0 is the initial state, where u and y are 0. x: (T, n_in)."""
    h[0], u[0], y[0] = net.h0, 0.0, 0.0
    n = h.shape[1]
    for t in range(1, x.shape[0]):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += net.w_rec[i, j] * h[t - 1, j]
            for j in range(x.shape[1]):
                total += net.w_in[i, j] * x[t, j]
            u[t, i] = total
            h[t, i] = h[t - 1, i] + (np.tanh(total) - h[t - 1, i]) / net.tau
        for k in range(y.shape[1]):
            total = 0.0
            for i in range(n):
                total += net.w_out[k, i] * h[t, i]
            y[t, k] = total


@njit(**FLAGS)
def updates(tau, x, h, u, error, feedback, p, q, d_rec, d_in, d_out):
    """Carry the traces p (n, n), q (n, n_in) and add the updates of a trial to d_rec, d_in, d_out.

    error: (T, m) y* - y; feedback: (n, m). Traces start as given (zero for a fresh trial).
    """
    n_steps, n = h.shape
    for t in range(1, n_steps):
        for i in range(n):
            signal = 0.0
            for k in range(error.shape[1]):
                signal += feedback[i, k] * error[t, k]
            signal /= n_steps
            slope = (1.0 - np.tanh(u[t, i]) ** 2) / tau
            for j in range(n):
                p[i, j] = (1.0 - 1.0 / tau) * p[i, j] + slope * h[t - 1, j]
                d_rec[i, j] += signal * p[i, j]
            for j in range(x.shape[1]):
                q[i, j] = (1.0 - 1.0 / tau) * q[i, j] + slope * x[t, j]
                d_in[i, j] += signal * q[i, j]
        for k in range(error.shape[1]):
            for i in range(n):
                d_out[k, i] += error[t, k] * h[t, i] / n_steps


@njit(**FLAGS)
def backpropagation(net, x, h, u, error, d_rec, d_in):
    """Exact minus-gradient of mean_t |error|^2/2 with respect to w_rec and w_in, added to d_rec, d_in."""
    n_steps, n = h.shape
    later = np.zeros(n)  # minus dE/dh[t] coming from steps > t
    drive = np.zeros(n)
    for t in range(n_steps - 1, 0, -1):
        for i in range(n):
            total = later[i]
            for k in range(error.shape[1]):
                total += net.w_out[k, i] * error[t, k] / n_steps
            drive[i] = (1.0 - np.tanh(u[t, i]) ** 2) / net.tau * total
            later[i] = (1.0 - 1.0 / net.tau) * total
        for i in range(n):
            for j in range(n):
                d_rec[i, j] += drive[i] * h[t - 1, j]
                later[j] += net.w_rec[i, j] * drive[i]
            for j in range(x.shape[1]):
                d_in[i, j] += drive[i] * x[t, j]
