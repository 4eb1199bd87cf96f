"""What a run of timesteps is given and what it writes down, and the route walk that all interconnects share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

from .rows import DEPTH, GRADED, N, R, X
from .state import wrap16


class Schedule(NamedTuple):
    """Inputs of t timesteps. Rows of timestep k: `stim[stim_ptr[k] : stim_ptr[k + 1]]`, likewise `link`."""

    flags: np.ndarray  # uint8 (t,)
    reward: np.ndarray  # int64 (t,) level of the reward register
    stall: np.ndarray  # int64 (t,) DVFS stall cycles
    start: np.ndarray  # int64 (t,) clock edge of the start pulse (mesh), -1: three cycles after the last timestep
    stim_ptr: np.ndarray  # int64 (t + 1,)
    stim: np.ndarray  # int64 (s, 3) core, neuron, current
    link_ptr: np.ndarray  # int64 (t + 1,)
    link: np.ndarray  # int64 (l, 3) core, neuron, current


class Log(NamedTuple):
    """What happened. `used`: rows of `spikes` and of `sent`."""

    cycles: np.ndarray  # int64 (t,)
    total: np.ndarray  # int64 (t,) root spikes since reset
    energy: np.ndarray  # int64 (t,) the RTL's energy counter
    synops: np.ndarray  # int64 (t, c)
    active: np.ndarray  # int64 (t, c) cycles of each core
    lost: np.ndarray  # int64 (t,) spikes, packets and inputs lost, delays given up
    work: np.ndarray  # int64 (t, 3) synapses learned, instructions, weights written
    updates: np.ndarray  # int64 (t, c) neurons with something to do
    spikes: np.ndarray  # int32 (s, 5) timestep, controller cycle, core, neuron, payload
    sent: np.ndarray  # int32 (l, 5) timestep, controller cycle, core, neuron, payload (chip link)
    used: np.ndarray  # int64 (2,)
    watch: np.ndarray  # int64 (w, 3) core, row, neuron
    waiting: np.ndarray  # int64 (t,) entries of delay queues that are due after the next timestep
    held: np.ndarray  # int64 (c, 3) counters before a timestep
    sums: np.ndarray  # int64 (2, 4) tallies before and after a timestep
    trace: np.ndarray  # int32 (t, w) watched values after each timestep


@njit(**INNER)
def current_of(weight, payload, flags):
    """What a packet carries."""
    return wrap16((weight * payload) >> 7) if flags & GRADED else weight


@njit(**INNER)
def captured(m, c):
    """Spikes of core c that the routes of this timestep see."""
    return min(m.reg[c, R.PULSES], DEPTH)


@njit(**INNER)
def overwrite(m, c, n, current):
    """An input from outside replaces whatever the accumulator holds; returns whether something was lost."""
    n &= m.size[X.PLACES] - 1
    held = m.neuron[c, N.ACC, n]
    m.neuron[c, N.ACC, n] = wrap16(current)
    return held != 0


@njit(**INNER)
def write_pulses(m, log, t, offset):
    """The root spikes of all cores as rows of the log; core cycle j is controller cycle offset + j."""
    row = log.used[0]
    for c in range(m.size[X.CORES]):
        for k in range(m.reg[c, R.PULSES]):
            out = log.spikes[row]
            out[0], out[1], out[2] = t, offset + m.pulse[c, k, 1], c
            out[3], out[4] = m.pulse[c, k, 0], m.pulse[c, k, 2]
            row += 1
    log.used[0] = row
