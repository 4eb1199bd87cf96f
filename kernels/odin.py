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

from kernels import odin_izh
from kernels.event_core import (
    BIST_ALL,
    BIST_ROW,
    DONE,
    GROW,
    HEAD,
    NEXT,
    POP_SPIKE,
    POP_VIRTUAL,
    SYNAPSE,
    TREF_ALL,
    TREF_ONE,
    next_action,
    settle_input,
    settle_pop,
)

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
    theta1: np.ndarray
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
    words: np.ndarray  # uint64 (256, 2), the words of the Izhikevich neurons
    enabled: np.ndarray  # uint8 (256,)
    row: np.ndarray  # uint8 (256, 256), nibbles [pre, post]
    up: np.ndarray  # uint8 (256,), SDSP flags
    down: np.ndarray
    fired: np.ndarray  # uint8 (256,), scratch: threshold reached in this event
    weight: np.ndarray  # uint8 (256,), scratch: weights before the update
    activity: np.ndarray  # int64 (4,), counters


@njit(inline="always", **_JIT)
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
    eligible = lif.ca_en[j] != 0 and lif.theta1[j] <= ca
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
def lif_reference(m, j):
    """A time reference arrives at LIF neuron j: leak, and one step of its calcium leak counter."""
    lif = m.lif
    tick = False
    if lif.ca_leak[j] != 0:
        count = lif.ca_count[j]
        tick = count == lif.ca_leak[j] - 1
        lif.ca_count[j] = 0 if tick else (count + 1) & 31
    store_lif(m, j, np.int16(max(np.int16(lif.v[j] - lif.leak[j]), np.int16(0))), tick)


@njit(**_JIT)
def izh_event(m, j, kind, weight):
    """One event at Izhikevich neuron j."""
    hi, spike, up, down = odin_izh.update(m.words[j, 0], m.words[j, 1], kind, weight)
    m.words[j, 1] = hi
    m.up[j] = up
    m.down[j] = down
    m.fired[j] = spike


@njit(**_JIT)
def one_neuron(m, j, kind, weight):
    """One event (TREF, EXC, INH with weight 0..7) at neuron j of either model."""
    if m.words[j, 0] & np.uint64(1) == 0:
        izh_event(m, j, kind, weight)
    elif kind == odin_izh.TREF:
        lif_reference(m, j)
    else:
        lif_synaptic(m, j, np.int16(-weight if kind == odin_izh.INH else weight))


@njit(**_JIT)
def all_references(m):
    """A time reference at all neurons."""
    for j in range(NEURONS):
        lif_reference(m, j)
    for j in m.izh:
        izh_event(m, j, odin_izh.TREF, 0)


@njit(**_JIT)
def spike_row(m, pre):
    """The spike of neuron `pre` at all its synapses: weights to the neurons, then SDSP with the flags before."""
    lif = m.lif
    row = m.row[pre]
    weight = m.weight
    up, down, fired = m.up, m.down, m.fired
    update = np.uint8(m.registers.upd_unmapped)
    open_ = np.uint8(7 * m.registers.prop_unmapped)
    sign = np.int16(-1) if m.inhibitory[pre] else np.int16(1)
    for j in range(NEURONS):
        nibble = row[j]
        w = np.uint8(nibble & np.uint8(7))
        mapped = np.uint8(nibble >> np.uint8(3))
        seen = np.uint8(w & np.uint8(np.uint8(mapped * np.uint8(7)) | open_))
        weight[j] = seen
        plastic = np.uint8(mapped | update)
        raise_ = np.uint8(np.uint8(up[j] & plastic) & np.uint8(w < 7))
        lower = np.uint8(np.uint8(down[j] & plastic) & np.uint8(w > 0))
        row[j] = np.uint8(np.uint8(nibble + raise_) - lower)
    for j in range(NEURONS):
        v1 = np.int16(lif.v[j] + np.int16(sign * np.int16(weight[j])))
        v1 = np.int16(min(max(v1, np.int16(0)), np.int16(255)))
        spike = v1 >= lif.thr[j]
        v = np.int16(0) if spike else v1
        learns = lif.ca_en[j]
        ca = np.int16(min(np.int16(lif.ca[j] + np.int16(learns & np.int16(spike))), np.int16(7)))
        eligible = (learns != 0) & (lif.theta1[j] <= ca)
        above = v >= lif.theta_mem[j]
        lif.v[j] = v
        lif.ca[j] = ca
        up[j] = eligible & above & (ca < lif.theta3[j])
        down[j] = eligible & (not above) & (ca < lif.theta2[j])
        fired[j] = spike
    for j in m.izh:
        izh_event(m, j, odin_izh.INH if m.inhibitory[pre] else odin_izh.EXC, np.int64(weight[j]))


@njit(**_JIT)
def one_synapse(m, pre, post):
    """A single synapse stimulated: its weight to the neuron, then SDSP on it if enabled."""
    nibble = np.int64(m.row[pre, post])
    w = nibble & 7
    mapped = nibble >> 3 == 1
    up, down = m.up[post], m.down[post]
    kind = odin_izh.INH if m.inhibitory[pre] else odin_izh.EXC
    one_neuron(m, post, kind, w if mapped or m.registers.prop_unmapped else 0)
    if m.registers.sdsp_syn and (mapped or m.registers.upd_unmapped):
        m.row[pre, post] = nibble + (1 if up and w < 7 else 0) - (1 if down and w > 0 else 0)


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
def packet(work, at, address):
    """Append an output packet at a position."""
    work.packet_at[work.n[1]] = at
    work.packet[work.n[1]] = address
    work.n[1] += 1


@njit(**_JIT)
def report_neuron(m, work, at, j, popped):
    """What neuron j, written at position `at`, pushes and sends."""
    r = m.registers
    fired = m.fired[j] != 0 and m.enabled[j] != 0
    if fired:
        m.activity[SPIKES] += 1
        if not r.open_loop:
            work.push_at[work.n[0]] = at
            work.push[work.n[0]] = j
            work.n[0] += 1
        if not r.mon_en and not r.src:
            packet(work, at, j)
    if r.mon_en and j == r.mon_neur:
        flag = popped == j if r.src else fired
        head = (1 if flag else 0) << 7 | np.int64(m.up[j]) << 6 | np.int64(m.down[j]) << 5
        lo, hi = m.words[j, 0], m.words[j, 1]
        if lo & np.uint64(1):
            packet(work, at, head | np.int64(m.lif.ca[j]) << 2)
            packet(work, at, np.int64(m.lif.v[j]))
        else:
            sign = odin_izh.bits(lo, hi, 106, 2)
            packet(work, at, head | odin_izh.bits(lo, hi, 116, 3) << 2 | sign)
            packet(work, at, odin_izh.bits(lo, hi, 82, 4))


@njit(**_JIT)
def report_synapse(m, work, at, pre, word):
    """The monitor packet of a write of synapse word `word` of row `pre`, if it holds the monitored synapse."""
    r = m.registers
    if r.mon_en and pre == r.mon_syn and word == r.mon_neur >> 3:
        packet(work, at, 0xF0 | np.int64(m.row[pre, r.mon_neur]))


@njit(**_JIT)
def report_sweep(m, work, popped):
    """What a sweep over all neurons pushes and sends; `popped` is the row swept, -1 for a time reference."""
    r = m.registers
    word = r.mon_neur >> 3
    for j in range(NEURONS):
        if m.fired[j] != 0 or j == r.mon_neur:
            report_neuron(m, work, j, j, popped)
            if popped >= 0 and j == r.mon_neur and r.src and not r.mon_en:
                packet(work, j, popped)
        if popped >= 0 and j == word << 3:
            report_synapse(m, work, j, popped, word)


@njit(**_JIT)
def serve(m, work, action, a, b):
    """Compute one input event; returns the positions of its sweep."""
    if action == TREF_ALL:
        all_references(m)
        report_sweep(m, work, -1)
        m.activity[NEURON_UPDATES] += NEURONS
        return NEURONS
    if action == TREF_ONE:
        one_neuron(m, a, odin_izh.TREF, 0)
        report_neuron(m, work, 0, a, -1)
    elif action == SYNAPSE:
        one_synapse(m, a, b)
        report_neuron(m, work, 0, b, -1)
        report_synapse(m, work, 0, a, b >> 3)
        m.activity[SOPS] += 1
    elif action == BIST_ROW or action == BIST_ALL:
        first, rows = (a, 1) if action == BIST_ROW else (0, NEURONS)
        for pre in range(first, first + rows):
            bistable_row(m, pre)
        if first <= m.registers.mon_syn < first + rows:
            word = m.registers.mon_neur >> 3
            report_synapse(m, work, (m.registers.mon_syn - first) * WORDS + word, m.registers.mon_syn, word)
        m.activity[SYNAPSE_WORDS] += rows * WORDS
        return rows * WORDS
    else:
        return 0
    m.activity[NEURON_UPDATES] += 1
    return 1


@njit(**_JIT)
def serve_entry(m, work, action, entry):
    """Compute the FIFO entry v << 8 | n; returns the positions of its sweep."""
    n = entry & 255
    if action == POP_SPIKE:
        spike_row(m, n)
        report_sweep(m, work, n)
        m.activity[SOPS] += NEURONS
        m.activity[NEURON_UPDATES] += NEURONS
        return NEURONS
    v = entry >> 8
    kind = odin_izh.TREF if v & 1 else (odin_izh.INH if v & 2 else odin_izh.EXC)
    one_neuron(m, n, kind, v >> 2)
    report_neuron(m, work, 0, n, -1)
    m.activity[NEURON_UPDATES] += 1
    return 1


@njit(**_JIT)
def run(m, clock, fifo, events, host, controller, log, work, until):
    """Serve events until nothing is left that begins before edge `until` (DONE) or the log is full (GROW)."""
    while True:
        action = next_action(clock, fifo, events, host, log, until)
        if action == DONE or action == GROW:
            return action
        work.n[:] = 0
        if action == POP_SPIKE or action == POP_VIRTUAL:
            positions = serve_entry(m, work, action, fifo[clock[HEAD]])
            settle_pop(clock, fifo, host, controller, log, work, action, positions)
        else:
            k = clock[NEXT]
            positions = serve(m, work, action, events.a[k], events.b[k])
            settle_input(clock, fifo, host, controller, log, work, action, positions, events.a[k])
