"""One crossbar of up to 256 neurons with a signed 12-bit potential and signed 4-bit weights; no learning.

A sweep over the neurons is one vectorised pass in int16; timing is left to event_core.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.chips.event_core import (
    DONE,
    GROW,
    HEAD,
    NEXT,
    POP_SPIKE,
    POP_VIRTUAL,
    TREF_ALL,
    TREF_ONE,
    next_action,
    settle,
)

SOPS, NEURON_UPDATES, SPIKES = range(3)  #: places in the activity counters
V_MIN, V_MAX = -2048, 2047  #: range of the potential, two's complement 12 bit
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Machine(NamedTuple):
    """Everything that an event can read or change."""

    open_loop: int
    src: int  # AER_SRC_CTRL_nNEUR
    max_neur: int
    thr: np.ndarray  # int16 (256,), 0..4095
    leak: np.ndarray  # int16 (256,), 0..127
    enabled: np.ndarray  # uint8 (256,)
    weight: np.ndarray  # int8 (256, 256) [pre, post]
    v: np.ndarray  # int16 (256,)
    fired: np.ndarray  # uint8 (256,), scratch
    activity: np.ndarray  # int64 (3,), counters


@njit(**_JIT)
def leak_range(m, first, last):
    """A time reference at neurons first .. last - 1: one leak step towards 0 that never crosses it."""
    for j in range(first, last):
        v, leak = m.v[j], m.leak[j]
        down = np.int16(max(np.int16(v - leak), np.int16(0)))
        up = np.int16(min(np.int16(v + leak), np.int16(0)))
        v1 = up if v < 0 else down
        spike = (v1 >= 0) & (v1 >= m.thr[j])
        m.v[j] = np.int16(0) if spike else v1
        m.fired[j] = spike


@njit(forceinline=True, **_JIT)
def add_range(m, first, last, weights):
    """Signed weights (int8, indexed by neuron) at neurons first .. last - 1; the potential saturates."""
    for j in range(first, last):
        v1 = np.int16(m.v[j] + np.int16(weights[j]))
        v1 = np.int16(min(max(v1, np.int16(V_MIN)), np.int16(V_MAX)))
        spike = (v1 >= 0) & (v1 >= m.thr[j])
        m.v[j] = np.int16(0) if spike else v1
        m.fired[j] = spike


@njit(forceinline=True, **_JIT)
def report(m, work, first, count):
    """What neurons first .. first + count - 1 push and send."""
    for at in range(count):
        j = first + at
        if m.fired[j] and m.enabled[j]:
            m.activity[SPIKES] += 1
            if not m.open_loop:
                work.push_at[work.n[0]] = at
                work.push[work.n[0]] = j
                work.n[0] += 1
            if not m.src:
                work.packet_at[work.n[1]] = at
                work.packet[work.n[1]] = j
                work.n[1] += 1


@njit(forceinline=True, **_JIT)
def serve(m, work, action, a, virtual):
    """Compute one action with operand `a` (a FIFO entry, or a neuron); returns the positions of its sweep."""
    first, count = 0, m.max_neur + 1
    if action == TREF_ALL:
        leak_range(m, 0, count)
    elif action == POP_SPIKE:
        add_range(m, 0, count, m.weight[a & 255])
        m.activity[SOPS] += count
    elif action in (TREF_ONE, POP_VIRTUAL):
        first, count = a & 255, 1
        if action == TREF_ONE:
            leak_range(m, first, first + 1)
        else:
            virtual[first] = ((a >> 8) ^ 8) - 8
            add_range(m, first, first + 1, virtual)
    else:
        return 0
    report(m, work, first, count)
    if action == POP_SPIKE and m.src:
        work.packet_at[0] = count - 1
        work.packet[0] = a & 255
        work.n[1] = 1
    m.activity[NEURON_UPDATES] += count
    return count


@njit(**_JIT)
def run(m, clock, fifo, events, host, controller, log, work, until):
    """Serve events until nothing is left that begins before edge `until` (DONE) or the log is full (GROW)."""
    virtual = np.zeros(256, np.int8)
    while True:
        action = next_action(clock, fifo, events, host, log, until)
        if action in (DONE, GROW):
            return action
        work.n[:] = 0
        popped = action in (POP_SPIKE, POP_VIRTUAL)
        a = fifo[clock[HEAD]] if popped else events.a[clock[NEXT]]
        positions = serve(m, work, action, a, virtual)
        settle(clock, fifo, host, controller, log, work, action, positions, a)
