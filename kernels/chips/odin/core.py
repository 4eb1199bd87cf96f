"""One crossbar of 256 neurons with online learning (SDSP), event by event: neurons, synapses, flags, monitor.

A sweep over the neurons is one vectorised pass (the leaky integrate-and-fire neurons side by side in int16,
Izhikevich neurons one by one from their words); timing is left to event_core. Synapse (pre, post) is the byte
``row[pre, post]`` = map << 3 | weight. The order inside an event is the chip's: neurons see the weights before
the update, SDSP sees the flags from before the event.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

NEURONS = 256
WORDS = 32  #: synapse words of a row, eight synapses each
SOPS, NEURON_UPDATES, SYNAPSE_WORDS, SPIKES = range(4)  #: places in the activity counters
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Registers(NamedTuple):
    """Configuration registers that act while the chip runs."""

    open_loop: int
    src: int  # AER_SRC_CTRL_nNEUR
    mon_en: int
    mon_neur: int
    mon_syn: int
    upd_unmapped: int
    prop_unmapped: int
    sdsp_syn: int


class Lif(NamedTuple):
    """Leaky integrate-and-fire neurons, all (256,) int16; an Izhikevich neuron has a threshold nothing reaches."""

    leak: np.ndarray  # 0 where the leak is off
    thr: np.ndarray
    ca_en: np.ndarray
    theta_mem: np.ndarray
    theta1: np.ndarray  # 8, above all calcium, where calcium is off
    theta2: np.ndarray
    theta3: np.ndarray
    ca_leak: np.ndarray  # 0 where calcium does not leak
    v: np.ndarray
    ca: np.ndarray
    ca_count: np.ndarray


class Machine(NamedTuple):
    """Everything that an event can read or change."""

    registers: Registers
    inhibitory: np.ndarray  # uint8 (256,), sign of a row
    lif: Lif
    izh: np.ndarray  # int64, indices of the Izhikevich neurons
    is_lif: np.ndarray  # uint8 (256,)
    izh_param: np.ndarray  # int64 (256, 32), registers of the Izhikevich neurons (odin_izh)
    izh_state: np.ndarray  # int64 (256, 19)
    enabled: np.ndarray  # uint8 (256,)
    row: np.ndarray  # uint8 (256, 256), nibbles [pre, post]
    up: np.ndarray  # uint8 (256,), SDSP flags
    down: np.ndarray
    fired: np.ndarray  # uint8 (256,), scratch: threshold reached in this event
    weight: np.ndarray  # uint8 (256,), scratch: weights before the update
    sum_: np.ndarray  # int16 (256,), scratch: potential before the firing test
    one: np.ndarray  # int64 (1,), scratch: index of a single neuron
    activity: np.ndarray  # int64 (4,), counters


@njit(**_JIT)
def store_lif(m, j, v1, leak_tick):
    """Firing test, reset, calcium and flags of neuron j from its candidate potential `v1` (int16)."""
    lif = m.lif
    spike = v1 >= lif.thr[j]
    v = np.int16(0) if spike else v1
    ca = lif.ca[j]
    if lif.ca_en[j] != 0:
        if spike and not leak_tick and ca < 7:
            ca = np.int16(ca + 1)
        elif leak_tick and not spike and ca > 0:
            ca = np.int16(ca - 1)
    eligible = lif.theta1[j] <= ca
    above = v >= lif.theta_mem[j]
    lif.v[j] = v
    lif.ca[j] = ca
    m.up[j] = eligible and above and ca < lif.theta3[j]
    m.down[j] = eligible and not above and ca < lif.theta2[j]
    m.fired[j] = spike


@njit(**_JIT)
def lif_synaptic(m, j, weight):
    """A signed weight (int16) arrives at LIF neuron j: the potential saturates at 0 and 255."""
    v1 = np.int16(min(max(np.int16(m.lif.v[j] + weight), np.int16(0)), np.int16(255)))
    store_lif(m, j, v1, False)


@njit(**_JIT)
def lif_references(m, first, count):
    """A time reference arrives at `count` neurons from `first`: leak, and one step of the calcium leak counter."""
    lif = m.lif
    for j in range(first, first + count):
        tick = False
        if lif.ca_leak[j] != 0:
            counter = lif.ca_count[j]
            tick = counter == lif.ca_leak[j] - 1
            lif.ca_count[j] = 0 if tick else (counter + 1) & 31
        store_lif(m, j, np.int16(max(np.int16(lif.v[j] - lif.leak[j]), np.int16(0))), tick)


@njit(forceinline=True, **_JIT)
def learn_row(row, weight, up, down, update, open_):
    """SDSP on a row of nibbles with the flags as they are; the weights that neurons see, before it, go to `weight`."""
    for j in range(NEURONS):
        nibble = row[j]
        w = np.uint8(nibble & np.uint8(7))
        mapped = np.uint8(nibble >> np.uint8(3))
        weight[j] = np.uint8(w & np.uint8(np.uint8(mapped * np.uint8(7)) | open_))
        plastic = np.uint8(mapped | update)
        raise_ = np.uint8(np.uint8(up[j] & plastic) & np.uint8(w < 7))
        lower = np.uint8(np.uint8(down[j] & plastic) & np.uint8(w > 0))
        row[j] = np.uint8(np.uint8(nibble + raise_) - lower)


@njit(forceinline=True, **_JIT)
def integrate(v, weight, sign, sum_):
    """Potential plus signed weight, saturated at 0 and 255, into `sum_`."""
    for j in range(NEURONS):
        v1 = np.int16(v[j] + np.int16(sign * np.int16(weight[j])))
        sum_[j] = np.int16(min(max(v1, np.int16(0)), np.int16(255)))


@njit(forceinline=True, **_JIT)
def fire(sum_, thr, v, fired):
    """Firing test and reset."""
    for j in range(NEURONS):
        spike = sum_[j] >= thr[j]
        fired[j] = spike
        v[j] = np.int16(0) if spike else sum_[j]


@njit(forceinline=True, **_JIT)
def count_calcium(ca, ca_en, fired):
    """Calcium of the neurons that fired, saturated at 7."""
    for j in range(NEURONS):
        ca[j] = np.int16(min(np.int16(ca[j] + np.int16(ca_en[j] & np.int16(fired[j]))), np.int16(7)))


@njit(forceinline=True, **_JIT)
def flag_up(v, theta_mem, ca, theta1, theta3, up):
    """UP flags: potential high and calcium in its window."""
    for j in range(NEURONS):
        up[j] = (v[j] >= theta_mem[j]) & (theta1[j] <= ca[j]) & (ca[j] < theta3[j])


@njit(forceinline=True, **_JIT)
def flag_down(v, theta_mem, ca, theta1, theta2, down):
    """DOWN flags: potential low and calcium in its window."""
    for j in range(NEURONS):
        down[j] = (v[j] < theta_mem[j]) & (theta1[j] <= ca[j]) & (ca[j] < theta2[j])


@njit(forceinline=True, **_JIT)
def spike_row(m, pre):
    """The spike of neuron `pre` at all its synapses: SDSP with the flags before, the weights before to the LIF neurons.

    One short loop per quantity, because a loop over a dozen arrays does not vectorise (too many overlaps to rule out).
    """
    lif = m.lif
    learn_row(
        m.row[pre], m.weight, m.up, m.down, np.uint8(m.registers.upd_unmapped), np.uint8(7 * m.registers.prop_unmapped)
    )
    integrate(lif.v, m.weight, np.int16(-1) if m.inhibitory[pre] else np.int16(1), m.sum_)
    fire(m.sum_, lif.thr, lif.v, m.fired)
    count_calcium(lif.ca, lif.ca_en, m.fired)
    flag_up(lif.v, lif.theta_mem, lif.ca, lif.theta1, lif.theta3, m.up)
    flag_down(lif.v, lif.theta_mem, lif.ca, lif.theta1, lif.theta2, m.down)


@njit(**_JIT)
def bistable_row(m, pre):
    """All synapses of a row drift to the nearer end of 0..7."""
    row = m.row[pre]
    update = np.uint8(m.registers.upd_unmapped)
    for j in range(NEURONS):
        nibble = row[j]
        w = np.uint8(nibble & np.uint8(7))
        plastic = np.uint8(np.uint8(nibble >> np.uint8(3)) | update)
        raise_ = np.uint8(plastic & np.uint8((w >= 4) & (w < 7)))
        lower = np.uint8(plastic & np.uint8((w < 4) & (w > 0)))
        row[j] = np.uint8(np.uint8(nibble + raise_) - lower)


@njit(**_JIT)
def plastic_synapse(m, pre, post):
    """The SDSP step of one synapse with the flags as they are."""
    nibble = np.int64(m.row[pre, post])
    w = nibble & 7
    if nibble >> 3 or m.registers.upd_unmapped:
        if m.up[post] and w < 7:
            nibble += 1
        elif m.down[post] and w > 0:
            nibble -= 1
        m.row[pre, post] = nibble
