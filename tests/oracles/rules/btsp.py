"""BTSP: behavioural-timescale plasticity from an eligibility trace and an instructive plateau signal.

Source: Milstein, Li, Bittner, Grienberger, Soltesz, Magee and Romani (2021)::

    ET' = -ET/tau_ET + input;  IS' = -IS/tau_IS + plateau
    w' = (w_max - w) k+ q+(ET IS) - w k- q-(ET IS)
    q(x) = (s(x) - s(0))/(s(1) - s(0)),  s(x) = 1/(1 + e^{-slope (x - half)})

Times in ms, k+ and k- per second. Forward Euler: traces first, then the weight.
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


class Btsp(NamedTuple):
    """tau in ms, k per second, half and slope of the two sigmoids, w_max, dt in ms."""

    tau_et: float
    tau_is: float
    k_plus: float
    k_minus: float
    half_plus: float
    slope_plus: float
    half_minus: float
    slope_minus: float
    w_max: float
    dt: float


@njit(**FLAGS)
def sigmoid(x, half, slope):
    """Logistic function."""
    return 1.0 / (1.0 + exp(-slope * (x - half)))


@njit(**FLAGS)
def gate(x, half, slope):
    """Sigmoid rescaled to 0 at 0 and 1 at 1."""
    low = sigmoid(0.0, half, slope)
    return (sigmoid(x, half, slope) - low) / (sigmoid(1.0, half, slope) - low)


@njit(**FLAGS)
def weight_step(par, w, overlap):
    """Weight after one step at trace overlap ET IS."""
    up = (par.w_max - w) * par.k_plus * gate(overlap, par.half_plus, par.slope_plus)
    down = w * par.k_minus * gate(overlap, par.half_minus, par.slope_minus)
    return w + par.dt / 1000.0 * (up - down)


@njit(**FLAGS)
def run(par, presynaptic, plateau, w):
    """Change w (k,) in place. presynaptic: (T, k) and plateau: (T,): drive of the two traces per ms."""
    for i in range(w.shape[0]):
        et = instructive = 0.0
        for t in range(plateau.shape[0]):
            et += par.dt * (presynaptic[t, i] - et / par.tau_et)
            instructive += par.dt * (plateau[t] - instructive / par.tau_is)
            w[i] = weight_step(par, w[i], et * instructive)
