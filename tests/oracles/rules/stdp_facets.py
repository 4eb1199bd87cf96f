"""STDP of the BrainScaleS-1 wafer (FACETS): 4-bit weights changed by look-up tables, charge on two
capacitors.

Source: Schemmel, Gruebl, Meier and Mueller (2006); Pfeil et al. (2012). Each synapse collects causal and
acausal charge from reduced nearest-neighbour pairs; a controller visits the rows of the array in turn,
compares the two charges twice (four configuration bits each), and the two answers choose the table: (1,0)
first, (0,1) second, (1,1) third.
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.learning.flags import FLAGS
from tests.oracles.rules.spike_events import LONG_AGO, merge


class Facets(NamedTuple):
    """Constants of the array.

    threshold_high, threshold_low: charges. config: (2, 4) int64 bits [cc, ca, ac, aa]. tables: (3, 16) int64.
    reset: (3, 2) int64, whether table k empties (causal, acausal). weight_step: weight per table entry.
    cycle: time between two visits of a row. tau_plus, tau_minus, cycle in the units of the spike times.
    """

    tau_plus: float
    tau_minus: float
    threshold_high: float
    threshold_low: float
    config: np.ndarray
    tables: np.ndarray
    reset: np.ndarray
    weight_step: float
    cycle: float


@njit(**FLAGS)
def compare(par, bits, causal, acausal):
    """One evaluation bit: two weighted means of threshold and charges against each other."""
    low = (par.threshold_low + bits[2] * causal + bits[1] * acausal) / (1 + bits[2] + bits[1])
    high = (par.threshold_high + bits[0] * causal + bits[3] * acausal) / (1 + bits[0] + bits[3])
    return low > high


@njit(**FLAGS)
def choose(par, causal, acausal):
    """Index of the table, or -1 for no change."""
    first, second = compare(par, par.config[0], causal, acausal), compare(par, par.config[1], causal, acausal)
    if first and second:
        return 2
    if second:
        return 1
    return 0 if first else -1


@njit(**FLAGS)
def replay(par, pre, post, first_visit, delay, w, out):
    """Weight after every presynaptic spike. first_visit: time of the controller's first visit to this row."""
    times, is_pre = merge(pre, post, delay)
    causal = acausal = last_pre = 0.0
    first_post = last_post = LONG_AGO  # since the last presynaptic spike
    visit = first_visit
    k = 0
    for e in range(times.shape[0]):
        t = times[e]
        if not is_pre[e]:
            if first_post == LONG_AGO:
                first_post = t
            last_post = t
            continue
        if t > visit:
            entry = int(np.floor(w / par.weight_step + 0.5))
            table = choose(par, causal, acausal)
            if table >= 0:
                entry = par.tables[table, entry]
                if par.reset[table, 0]:
                    causal = 0.0
                if par.reset[table, 1]:
                    acausal = 0.0
            w = entry * par.weight_step
            visit += par.cycle * np.ceil((t - visit) / par.cycle)
        if first_post != LONG_AGO:
            causal += exp((last_pre - first_post) / par.tau_plus)
            acausal += exp((last_post - t) / par.tau_minus)
        last_pre, first_post = t, LONG_AGO
        out[k] = w
        k += 1
    return w
