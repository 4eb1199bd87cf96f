"""SPAN: the Widrow-Hoff rule on spike trains convolved with alpha kernels.

Source: Mohemmed, Schliebs, Matsuda and Kasabov, Int. J. Neural Systems 22:1250012 (2012). The integral of
the product of two alpha kernels (t e^{1-t/tau}/tau) has a closed form::

    dw_i = lambda (e/2)^2 [ sum_i sum_d (|t_i - t_d| + tau) e^{-|t_i - t_d|/tau} - the same with the output
    spikes ]
"""

from __future__ import annotations

from math import e, exp

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def overlap(left, right, tau):
    """Sum over all pairs of the integrated product of their kernels, without the factor (e/2)^2."""
    total = 0.0
    for s in left:
        for t in right:
            gap = abs(s - t)
            total += (gap + tau) * exp(-gap / tau)
    return total


@njit(**FLAGS)
def update(inputs, desired, actual, lam, tau):
    """Weight change of one synapse from spike times (float64 arrays)."""
    return lam * (e / 2.0) ** 2 * (overlap(inputs, desired, tau) - overlap(inputs, actual, tau))
