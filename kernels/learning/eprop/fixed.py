"""E-prop in declared fixed point: what a digital core holds in a few bits is rounded where it is stored.

Rules and symbols of `chipsim.kernels.learning.eprop.adjoint`. Formats are steps (the value of one bit): membrane ``v``,
presynaptic trace ``zbar``, learning signal ``L`` and weights. Products and the
gradient sum of a sequence are wide, as in a multiply-accumulate unit; the sum meets the weight once, at the
end of the sequence. Without the kappa filter (`kappa_filter` False; Frenkel and Indiveri 2022, ReckOn) a
synapse needs no trace of its own: only its weight and the accumulator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.rounding import NEAREST, stream_key, to_grid, unit
from chipsim.kernels.learning.eprop.adjoint import add_rows
from chipsim.kernels.learning.flags import FLAGS

SIGNAL_STREAM = 11


class Formats(NamedTuple):
    """Step and largest magnitude of each stored variable (0: not rounded); psi_levels: 0 or number of levels.

    mode: see `chipsim.kernels.arithmetic.rounding.MODES`, for traces and signals (weights are rounded by the caller).
    """

    v_step: float
    v_max: float
    trace_step: float
    trace_max: float
    signal_step: float
    signal_max: float
    psi_levels: int
    mode: int


@njit(**FLAGS)
def forward(par, fmt, x, w_in, w_rec, w_out, out):
    """As `eprop.forward`, with v rounded (nearest) and psi in levels."""
    n_steps, n = out.z.shape
    current, read = np.empty(n), np.empty(out.y.shape[1])
    v, a, spiked = np.zeros(n), np.zeros(n), np.zeros(n)
    refractory = np.zeros(n, np.int64)
    height = par.gamma / par.thr
    for t in range(n_steps):
        current[:] = 0.0
        add_rows(current, w_in, x[t])
        if t > 0:
            add_rows(current, w_rec, out.z[t - 1])
        for j in range(n):
            raw = par.alpha * v[j] + par.scale * current[j] - par.thr * spiked[j]
            v[j] = to_grid(raw, fmt.v_step, -fmt.v_max, fmt.v_max, NEAREST, 0.0)
            a[j] = par.rho * a[j] + spiked[j]
            distance = v[j] - (par.thr + par.beta[j] * a[j])
            if refractory[j] > 0:
                refractory[j] -= 1
            free = refractory[j] == 0
            bump = max(0.0, 1.0 - abs(distance) / par.thr) if free else 0.0
            if fmt.psi_levels > 1:
                bump = np.floor(bump * (fmt.psi_levels - 1) + 0.5) / (fmt.psi_levels - 1)
            out.psi[t, j] = height * bump
            fires = free and distance >= 0.0
            spiked[j] = 1.0 if fires else 0.0
            out.z[t, j] = 1 if fires else 0
            if fires:
                refractory[j] = par.n_ref
            out.v[t, j], out.a[t, j] = v[j], a[j]
        read[:] = 0.0
        add_rows(read, w_out, out.z[t])
        for k in range(read.shape[0]):
            before = out.y[t - 1, k] if t > 0 else 0.0
            out.y[t, k] = par.kappa * before + (1.0 - par.kappa) * read[k]


@njit(**FLAGS)
def traces(pre, decay, fmt, seed, count, stream, zbar):
    """Rounded presynaptic traces of a sequence, in spikes. pre: (T, n) uint8; zbar: (T, n) filled."""
    held = np.zeros(pre.shape[1])
    for t in range(pre.shape[0]):
        key = stream_key(seed, count, stream + 16 * t)
        for i in range(pre.shape[1]):
            raw = decay * held[i] + pre[t, i]
            held[i] = to_grid(raw, fmt.trace_step, -fmt.trace_max, fmt.trace_max, fmt.mode, unit(key, i))
            zbar[t, i] = held[i]


@njit(**FLAGS)
def signals(error, feedback, fmt, seed, count, signal):
    """Rounded learning signals L = B e. error: (T, m); feedback: (n, m); signal: (T, n) filled."""
    for t in range(error.shape[0]):
        key = stream_key(seed, count, SIGNAL_STREAM + 16 * t)
        for j in range(feedback.shape[0]):
            total = 0.0
            for k in range(error.shape[1]):
                total += feedback[j, k] * error[t, k]
            signal[t, j] = to_grid(total, fmt.signal_step, -fmt.signal_max, fmt.signal_max, fmt.mode, unit(key, j))


@njit(**FLAGS)
def coefficients(par, psi, signal, rate_gain, kappa_filter, coefficient):
    """What multiplies zbar_i[t] in the gradient of W_ji, (T, n), adaptation included; see
    `eprop.backward`.
    """
    n = psi.shape[1]
    late, adapt = np.zeros(n), np.zeros(n)
    for t in range(psi.shape[0] - 1, -1, -1):
        for j in range(n):
            if kappa_filter:
                late[j] = signal[t, j] + par.kappa * late[j]
                gain = (1.0 - par.kappa) * late[j] + rate_gain[j]
            else:
                gain = signal[t, j] + rate_gain[j]
            coefficient[t, j] = psi[t, j] * (gain + adapt[j])
            adapt[j] = par.rho * adapt[j] - par.beta[j] * coefficient[t, j]


@njit(**FLAGS)
def correlate(zbar, coefficient, total):
    """total[i, j] = sum_t zbar[t, i] coefficient[t, j]; zbar (T, pre), coefficient (T, n), total (pre, n) filled.

    A loop of our own instead of a matrix product of BLAS: the same bits on any number of threads, and no threads that
    wait for each other on a busy machine (four steps per pass: 1.2 ms for T = 1000, 100 by 100).
    """
    steps = zbar.shape[0]
    whole = steps - steps % 4
    by_pre = zbar.T.copy()
    for i in range(zbar.shape[1]):
        z, row = by_pre[i], total[i]
        row[:] = 0.0
        for t in range(0, whole, 4):
            a, b, c, d = z[t], z[t + 1], z[t + 2], z[t + 3]
            if a == 0.0 and b == 0.0 and c == 0.0 and d == 0.0:
                continue
            one, two, three, four = coefficient[t], coefficient[t + 1], coefficient[t + 2], coefficient[t + 3]
            for j in range(row.shape[0]):
                row[j] += (a * one[j] + b * two[j]) + (c * three[j] + d * four[j])
        for t in range(whole, steps):
            for j in range(row.shape[0]):
                row[j] += z[t] * coefficient[t, j]
