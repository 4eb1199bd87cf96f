"""Pseudo-derivatives of the spike: what stands in for dz/dv, as a function of the distance x = v - threshold.

Sources: piecewise linear: Bellec et al. (2018, 2020); exponential: Shrestha and Orchard (2018, SLAYER);
fast sigmoid: Zenke and Ganguli (2018, SuperSpike); arctan: Fang et al. (2021); multi-Gaussian: Yin, Corradi
and Bohte (2021); steps: five levels, as digital learning chips store it. `height` is the value at x = 0
(the multi-Gaussian: its factor gamma), `width` the scale of x, in the units of v. All are 0 while a neuron
is refractory; the caller sees to that.
"""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np
from numba import njit

KINDS = {
    "piecewise_linear": 0,
    "exponential": 1,
    "fast_sigmoid": 2,
    "arctan": 3,
    "multi_gaussian": 4,
    "steps": 5,
}
SIDE_HEIGHT = 0.15  # h of Yin et al.: the two negative lobes
SIDE_SCALE = 6.0  # s of Yin et al.: their width
LEVELS = 5  # of the step function, spread evenly from 0 to height


@njit(cache=True, nogil=True, error_model="numpy")
def gaussian(x, mean, sigma):
    """Normal density."""
    return exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * sqrt(2.0 * pi))


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate(kind, x, height, width):
    """Value of the surrogate `kind` (see `KINDS`) at distance x from the threshold."""
    d = abs(x) / width
    if kind == 0:
        return height * max(0.0, 1.0 - d)
    if kind == 1:
        return height * exp(-d)
    if kind == 2:
        return height / ((1.0 + d) * (1.0 + d))
    if kind == 3:
        return height / (1.0 + d * d)
    if kind == 4:
        wide = SIDE_SCALE * width
        sides = gaussian(x, width, wide) + gaussian(x, -width, wide)
        return height * ((1.0 + SIDE_HEIGHT) * gaussian(x, 0.0, width) - SIDE_HEIGHT * sides)
    return height * np.ceil(max(0.0, 1.0 - d) * (LEVELS - 1)) / (LEVELS - 1)
