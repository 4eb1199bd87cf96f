"""A 16-bit neuron with bit-shift decays: every addition saturates by itself, several spikes per step (Xylo).

Source: SynSense XyloSim 0.1.3 (SYNS61201), whose recorded states it reproduces bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.jit import ENTRY, INNER

TOP, BOTTOM = 32767, -32768
INPUT_MOST = 15  #: spikes of one input channel in one step


class Chip(NamedTuple):
    """Synapses by source (inputs, then neurons), and the registers of the neurons, int32."""

    indptr: np.ndarray  # (sources + 1,) int64
    index: np.ndarray  # target neuron
    weight: np.ndarray  # shifted
    inputs: int
    threshold: np.ndarray
    dash_mem: np.ndarray
    dash_syn: np.ndarray
    bias: np.ndarray
    most: np.ndarray  # spikes per step


@njit(**INNER)
def _saturate(x):
    return min(max(x, np.int32(BOTTOM)), np.int32(TOP))


@njit(**INNER)
def _leak(x, shift):
    """x >> shift, but at least one step towards zero."""
    out = x >> shift
    if out == 0 and x != 0:
        return np.int32(1 if x > 0 else -1)
    return out


@njit(**INNER)
def _deliver(chip, current, source, count, clipped):
    """`count` spikes of one source; adding the same weight again and again saturates like adding it at once."""
    for e in range(chip.indptr[source], chip.indptr[source + 1]):
        j = chip.index[e]
        total = current[j] + chip.weight[e] * count
        current[j] = _saturate(total)
        clipped[j, 1] += np.int64(total != current[j])


@njit(**INNER)
def _update(chip, current, v, counts, clipped):
    for j in range(v.size):
        current[j] -= _leak(current[j], chip.dash_syn[j])
        change = _saturate(_saturate(current[j] - _leak(v[j], chip.dash_mem[j])) + chip.bias[j])
        total = v[j] + change
        v[j] = _saturate(total)
        clipped[j, 0] += np.int64(total != v[j])
        count = np.int32(0)
        while v[j] >= chip.threshold[j] and count < chip.most[j]:
            v[j] -= chip.threshold[j]
            count += np.int32(1)
        counts[j] = count


@njit(**ENTRY)
def run(chip, ptr, ids, values, current, v, counts, spikes, trace_v, trace_i, clipped):
    """`spikes.shape[0]` steps: inputs act at once, spikes of neurons (`counts`) in the step after.

    Writes spikes (t, n), and v and current after each step where `trace_v` (t, n) is not empty; counts clips of
    v and of the current in `clipped` (n, 2).
    """
    for t in range(spikes.shape[0]):
        for k in range(ptr[t], ptr[t + 1]):
            _deliver(chip, current, ids[k], min(values[k], np.int32(INPUT_MOST)), clipped)
        for j in range(v.size):
            if counts[j] > 0:
                _deliver(chip, current, chip.inputs + j, counts[j], clipped)
        _update(chip, current, v, counts, clipped)
        for j in range(v.size):
            spikes[t, j] = counts[j]
        if trace_v.shape[0]:
            for j in range(v.size):
                trace_v[t, j], trace_i[t, j] = v[j], current[j]
