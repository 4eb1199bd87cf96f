"""E-prop with eligibility traces carried forward in every synapse (the on-chip form), and the full tensors.

Same source, symbols and result as `chipsim.kernels.learning.eprop.adjoint`; here nothing is known of the future, so a
synapse
holds ``eps`` (adaptive neurons), ``ebar`` (the kappa filter) and the running sums. Time is cut into tiles:
neurons run through a tile, then each row of synapses runs through the same tile while it sits in the
first-level cache. Within a sequence the weights do not change, so the order of the two loops changes no bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.learning.eprop.adjoint import learning_signal
from chipsim.kernels.learning.flags import FLAGS


class Traces(NamedTuple):
    """Synaptic state, post first: zbar (pre,), eps, ebar, sum_e, gradient (n, pre), float64."""

    zbar: np.ndarray
    eps: np.ndarray
    ebar: np.ndarray
    sum_e: np.ndarray
    gradient: np.ndarray


@njit(**FLAGS)
def filter_tile(pre, decay, scale, start, zbar):
    """Low-pass filtered presynaptic spikes of one tile. pre: (t, n) uint8; start: (n,) carried on; zbar:
    (t, n).
    """
    for t in range(pre.shape[0]):
        for i in range(pre.shape[1]):
            start[i] = decay * start[i] + scale * pre[t, i]
            zbar[t, i] = start[i]


@njit(**FLAGS)
def lif_row(zbar, psi, signal, kappa, ebar, sum_e, gradient):
    """All synapses of one LIF neuron through a tile. zbar: (t, pre); psi, signal: (t,); the rest (pre,)."""
    for t in range(zbar.shape[0]):
        gate, factor = psi[t], signal[t]
        row = zbar[t]
        keep = 1.0 - kappa
        for i in range(ebar.shape[0]):
            e = gate * row[i]
            ebar[i] = kappa * ebar[i] + keep * e
            sum_e[i] += e
            gradient[i] += factor * ebar[i]


@njit(**FLAGS)
def alif_row(zbar, psi, signal, kappa, rho, beta, eps, ebar, sum_e, gradient):
    """All synapses of one adaptive neuron through a tile; eps: (pre,) is the slow adaptation trace."""
    for t in range(zbar.shape[0]):
        gate, factor = psi[t], signal[t]
        row = zbar[t]
        keep = 1.0 - kappa
        for i in range(ebar.shape[0]):
            e = gate * (row[i] - beta * eps[i])
            eps[i] = rho * eps[i] + e
            ebar[i] = kappa * ebar[i] + keep * e
            sum_e[i] += e
            gradient[i] += factor * ebar[i]


@njit(**FLAGS)
def accumulate(par, pre, psi, signal, traces):
    """Carry all traces of one projection through a tile.

    pre: (t, n_pre) uint8 spikes arriving in each step; psi, signal: (t, n) float64. traces: `Traces`, in
    place.
    """
    n_steps, n = psi.shape
    zbar = np.empty((n_steps, pre.shape[1]))
    filter_tile(pre, par.alpha, par.scale, traces.zbar, zbar)
    gate, factor = np.ascontiguousarray(psi.T), np.ascontiguousarray(signal.T)
    for j in range(n):
        if par.beta[j] == 0.0:
            lif_row(zbar, gate[j], factor[j], par.kappa, traces.ebar[j], traces.sum_e[j], traces.gradient[j])
        else:
            alif_row(
                zbar,
                gate[j],
                factor[j],
                par.kappa,
                par.rho,
                par.beta[j],
                traces.eps[j],
                traces.ebar[j],
                traces.sum_e[j],
                traces.gradient[j],
            )


@njit(**FLAGS)
def sequence(par, x, error, feedback, first, out, tile, into, recurrent, out_trace, g_out):
    """Run the traces of one sequence tile by tile.

    x: (T, n_in) uint8; error: (T, m); feedback: (n, m); out: `Trajectory`; tile: steps per tile; into,
    recurrent: `Traces` of the two projections; out_trace: (n,) zero; g_out: (m, n) readout gradient, added
    to.
    """
    n_steps, n = out.z.shape
    signal = np.zeros((tile, n))
    late = np.zeros((tile, n), np.uint8)
    for begin in range(0, n_steps, tile):
        end = min(begin + tile, n_steps)
        for t in range(begin, end):
            if t > 0:
                late[t - begin] = out.z[t - 1]
            if t < first:
                signal[t - begin] = 0.0
            else:
                learning_signal(error[t], feedback, signal[t - begin])
            for j in range(n):
                out_trace[j] = par.kappa * out_trace[j] + (1.0 - par.kappa) * out.z[t, j]
            if t >= first:
                for k in range(error.shape[1]):
                    for j in range(n):
                        g_out[k, j] += error[t, k] * out_trace[j]
        size = end - begin
        accumulate(par, x[begin:end], out.psi[begin:end], signal[:size], into)
        accumulate(par, late[:size], out.psi[begin:end], signal[:size], recurrent)


@njit(**FLAGS)
def eligibility_tensor(par, pre, psi, tensor):
    """e_ji[t] of every synapse and step. pre: (T, n_pre) uint8; psi: (T, n); tensor: (T, n, n_pre)
    overwritten.
    """
    n_steps, n = psi.shape
    zbar = np.zeros(pre.shape[1])
    eps = np.zeros((n, pre.shape[1]))
    for t in range(n_steps):
        for i in range(pre.shape[1]):
            zbar[i] = par.alpha * zbar[i] + par.scale * pre[t, i]
        for j in range(n):
            for i in range(pre.shape[1]):
                e = psi[t, j] * (zbar[i] - par.beta[j] * eps[j, i])
                eps[j, i] = par.rho * eps[j, i] + e
                tensor[t, j, i] = e
