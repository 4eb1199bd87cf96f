"""E-prop for recurrent LIF and adaptive LIF networks, per-sequence update (offline form).

Source: Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein, Maass, Nature Communications 11:3625 (2020);
time conventions of the authors' TensorFlow code and of NEST's ``eprop_*_bsshslm_2020`` models.

Dynamics, zero state at the start of a sequence (alpha, kappa, rho: membrane, readout, adaptation decay per
step)::

    v[t] = alpha v[t-1] + s (Win x[t] + Wrec z[t-1]) - thr z[t-1]
    a[t] = rho a[t-1] + z[t-1]
    z[t] = v >= thr + beta a, unless refractory
    psi[t] = gamma/thr max(0, 1 - |v - thr - beta a|/thr), 0 while refractory
    y[t] = kappa y[t-1] + (1-kappa) Wout z[t]

Gradient as the paper writes it, with traces carried forward in every synapse::

    zbar_i = alpha zbar_i + s pre_i;  e_ji = psi_j (zbar_i - beta eps_ji);  eps_ji' = rho eps_ji + e_ji
    ebar = kappa ebar + (1-kappa) e;  dW_ji = sum_t L_j ebar_ji + c_reg (f_j - f_target)/T sum_t e_ji

Every e_ji is linear in the presynaptic spikes with coefficients that belong to the postsynaptic neuron
alone, so the sum can be filtered backwards once per *neuron* (three filters: kappa, the adaptation, alpha)
and then read off at the spikes: ``dW_ji = s sum_{t: pre_i spikes} q_j[t]``. No array of size synapses x
steps, no matrix product: the work is one row addition per spike, like the forward pass itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.learning.flags import FLAGS


class Lsnn(NamedTuple):
    """Constants of a recurrent LIF / ALIF network with leaky readouts.

    alpha, kappa, rho: decay per step, dimensionless, in [0, 1). scale: factor of the input current.
    thr: threshold (units of v). beta: (n,) float64 adaptation strength, 0 for LIF. gamma: height of the
    pseudo-derivative. n_ref: refractory steps.
    """

    alpha: float
    kappa: float
    rho: float
    scale: float
    thr: float
    beta: np.ndarray
    gamma: float
    n_ref: int


class Trajectory(NamedTuple):
    """What a sequence leaves behind: v, a, psi (T, n) float64, z (T, n) uint8, y (T, m) float64."""

    v: np.ndarray
    a: np.ndarray
    psi: np.ndarray
    z: np.ndarray
    y: np.ndarray


@njit(**FLAGS)
def add_rows(total, rows, active):
    """Add to `total` (n,) the rows of `rows` (pre, n) whose entry in `active` (pre,) uint8 is not zero."""
    for i in range(active.shape[0]):
        if active[i]:
            row = rows[i]
            for j in range(total.shape[0]):
                total[j] += row[j]


@njit(**FLAGS)
def neuron_step(par, current, v0, a0, z0, refractory, v, a, psi, z):
    """One step of all neurons; reads the previous state (v0, a0, z0), writes (v, a, psi, z) and
    `refractory`.
    """
    height = par.gamma / par.thr
    for j in range(v.shape[0]):
        spiked = float(z0[j])
        v[j] = par.alpha * v0[j] + par.scale * current[j] - par.thr * spiked
        a[j] = par.rho * a0[j] + spiked
        distance = v[j] - (par.thr + par.beta[j] * a[j])
        if refractory[j] > 0:
            refractory[j] -= 1
        free = refractory[j] == 0
        psi[j] = height * max(0.0, 1.0 - abs(distance) / par.thr) if free else 0.0
        fires = free and distance >= 0.0
        z[j] = 1 if fires else 0
        if fires:
            refractory[j] = par.n_ref


@njit(**FLAGS)
def forward(par, x, w_in, w_rec, w_out, out):
    """Run one sequence.

    x: (T, n_in) uint8. w_in: (n_in, n), w_rec: (n, n), w_out: (n, m): float64, **pre first** and
    C-contiguous, so that a spike adds one row. out: `Trajectory` to fill.
    """
    n_steps, n = out.z.shape
    m = out.y.shape[1]
    current = np.empty(n)
    refractory = np.zeros(n, np.int64)
    silent, zeros, none = np.zeros(n), np.zeros(n), np.zeros(n, np.uint8)
    read = np.empty(m)
    for t in range(n_steps):
        current[:] = 0.0
        add_rows(current, w_in, x[t])
        if t == 0:
            neuron_step(par, current, silent, zeros, none, refractory, out.v[0], out.a[0], out.psi[0], out.z[0])
        else:
            add_rows(current, w_rec, out.z[t - 1])
            neuron_step(
                par,
                current,
                out.v[t - 1],
                out.a[t - 1],
                out.z[t - 1],
                refractory,
                out.v[t],
                out.a[t],
                out.psi[t],
                out.z[t],
            )
        read[:] = 0.0
        add_rows(read, w_out, out.z[t])
        for k in range(m):
            before = out.y[t - 1, k] if t > 0 else 0.0
            out.y[t, k] = par.kappa * before + (1.0 - par.kappa) * read[k]


@njit(**FLAGS)
def learning_signal(error, feedback, signal):
    """L_j = sum_k B_jk e_k. error: (m,), feedback: (n, m), signal: (n,) overwritten."""
    for j in range(signal.shape[0]):
        total = 0.0
        for k in range(error.shape[0]):
            total += feedback[j, k] * error[k]
        signal[j] = total


@njit(**FLAGS)
def add_to_rows(rows, active, values, factor):
    """Add `factor * values` (n,) to every row of `rows` (pre, n) whose entry in `active` is not zero."""
    for i in range(active.shape[0]):
        if active[i]:
            row = rows[i]
            for j in range(values.shape[0]):
                row[j] += factor * values[j]


@njit(**FLAGS)
def backward(par, x, error, feedback, rate_gain, first, out, g_in, g_rec, g_out):
    """Add the e-prop gradient of one sequence to g_in (n_in, n), g_rec (n, n), g_out (n, m), all pre first.

    error: (T, m) float64, zero before step `first` (where the learning window opens). feedback: (n, m).
    rate_gain: (n,) c_reg (f_j - f_target) / T. The diagonal of g_rec is left for the caller to clear.
    """
    n_steps, n = out.z.shape
    m = error.shape[1]
    late = np.zeros(n)  # L filtered backwards by kappa
    adapt = np.zeros(n)  # adjoint of the adaptation part of the eligibility
    reach = np.zeros(n)  # what one more unit of presynaptic input at step t is worth
    signal = np.zeros(n)
    late_error = np.zeros(m)
    for t in range(n_steps - 1, -1, -1):
        if t >= first:
            learning_signal(error[t], feedback, signal)
            for k in range(m):
                late_error[k] = error[t, k] + par.kappa * late_error[k]
        else:
            signal[:] = 0.0
            late_error *= par.kappa
        psi = out.psi[t]
        for j in range(n):
            late[j] = signal[j] + par.kappa * late[j]
            gain = (1.0 - par.kappa) * late[j] + rate_gain[j]
            reach[j] = psi[j] * (gain + adapt[j]) + par.alpha * reach[j]
            adapt[j] = par.rho * adapt[j] - par.beta[j] * psi[j] * (gain + adapt[j])
        add_to_rows(g_in, x[t], reach, par.scale)
        if t > 0:
            add_to_rows(g_rec, out.z[t - 1], reach, par.scale)
        add_to_rows(g_out, out.z[t], late_error, 1.0 - par.kappa)


@njit(**FLAGS)
def gradient_descent(weights, gradient, eta):
    """W -= eta g, in place."""
    w, g = weights.reshape(-1), gradient.reshape(-1)
    for i in range(w.shape[0]):
        w[i] -= eta * g[i]


@njit(**FLAGS)
def adam(weights, gradient, mean, square, step, eta, beta_1, beta_2, epsilon):
    """One Adam step in place, bias correction in the step size; `step` counts from 1.

    w -= eta sqrt(1-b2^k)/(1-b1^k) m/(sqrt(v)+eps): Kingma and Ba (2015), section 2, efficient order.
    """
    w, g, m, v = weights.reshape(-1), gradient.reshape(-1), mean.reshape(-1), square.reshape(-1)
    size = eta * np.sqrt(1.0 - beta_2**step) / (1.0 - beta_1**step)
    for i in range(w.shape[0]):
        m[i] = beta_1 * m[i] + (1.0 - beta_1) * g[i]
        v[i] = beta_2 * v[i] + (1.0 - beta_2) * g[i] * g[i]
        w[i] -= size * m[i] / (np.sqrt(v[i]) + epsilon)
