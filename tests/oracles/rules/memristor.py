"""Conductance of a memristive synapse under identical pulses.

Source: Chen, Peng and Yu (2018, NeuroSim+); Tang et al. (2019), section on non-ideal updates. After P of
P_max pulses::

    G_LTP(P) = B (1 - e^{-P/A}) + G_min;   G_LTD(P) = -B (1 - e^{(P - P_max)/A}) + G_max
    B = (G_max - G_min)/(1 - e^{-P_max/A})
"""

from __future__ import annotations

from math import exp

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def tables(shape, g_min, g_max, potentiation, depression):
    """Fill the two tables (P_max + 1,); shape: A, in pulses. depression[P] is reached going down from P_max
    pulses.
    """
    last = potentiation.shape[0] - 1
    span = (g_max - g_min) / (1.0 - exp(-last / shape))
    for p in range(last + 1):
        potentiation[p] = span * (1.0 - exp(-p / shape)) + g_min
        depression[p] = -span * (1.0 - exp((p - last) / shape)) + g_max
