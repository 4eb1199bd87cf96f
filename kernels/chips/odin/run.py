"""The event loop of the 256-neuron learning crossbar: what each event does, reports and pushes.

`serve` has one call of each neuron model, so that the compiled code stays small.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.chips.event_core import (
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
    settle,
)
from chipsim.kernels.chips.odin import izhikevich as odin_izh
from chipsim.kernels.chips.odin.core import (
    NEURON_UPDATES,
    NEURONS,
    SOPS,
    SPIKES,
    SYNAPSE_WORDS,
    WORDS,
    bistable_row,
    lif_references,
    lif_synaptic,
    plastic_synapse,
    spike_row,
)

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_JIT)
def packet(work, at, address):
    """Append an output packet at a position."""
    work.packet_at[work.n[1]] = at
    work.packet[work.n[1]] = address
    work.n[1] += 1


@njit(**_JIT)
def monitor(m, work, at, j, flag):
    """The two packets of the monitored neuron: {flag, up, down, calcium, resonance sign}, then its potential."""
    head = (1 if flag else 0) << 7 | np.int64(m.up[j]) << 6 | np.int64(m.down[j]) << 5
    if m.is_lif[j]:
        packet(work, at, head | np.int64(m.lif.ca[j]) << 2)
        packet(work, at, np.int64(m.lif.v[j]))
    else:
        state = m.izh_state[j]
        packet(work, at, head | state[odin_izh.CALCIUM] << 2 | state[odin_izh.RESON_SIGN])
        packet(work, at, state[odin_izh.CORE])


@njit(forceinline=True, **_JIT)
def report(m, work, first, count, popped, synapse_at):
    """What the neurons first .. first + count - 1 push and send, at positions 0 .. count - 1.

    `popped` is the row of a spike event or -1; `synapse_at` the position where the monitored synapse word is
    written, or -1. A neuron's packets precede the synapse's on the same position.
    """
    r = m.registers
    for at in range(count):
        j = first + at
        if m.fired[j] and m.enabled[j]:
            m.activity[SPIKES] += 1
            if not r.open_loop:
                work.push_at[work.n[0]] = at
                work.push[work.n[0]] = j
                work.n[0] += 1
            if not r.mon_en and not r.src:
                packet(work, at, j)
        if j == r.mon_neur:
            if r.mon_en:
                monitor(m, work, at, j, popped == j if r.src else m.fired[j] and m.enabled[j])
            elif r.src and popped >= 0:
                packet(work, at, popped)
        if at == synapse_at:
            packet(work, at, 0xF0 | np.int64(m.row[r.mon_syn, r.mon_neur]))


@njit(**_JIT)
def bistability(m, work, action, pre):
    """A row or all rows drift; returns the positions (synapse words written)."""
    first, rows = (pre, 1) if action == BIST_ROW else (0, NEURONS)
    for row in range(first, first + rows):
        bistable_row(m, row)
    r = m.registers
    if r.mon_en and first <= r.mon_syn < first + rows:
        packet(work, (r.mon_syn - first) * WORDS + (r.mon_neur >> 3), 0xF0 | np.int64(m.row[r.mon_syn, r.mon_neur]))
    m.activity[SYNAPSE_WORDS] += rows * WORDS
    return rows * WORDS


@njit(**_JIT)
def operands(m, action, a, b):
    """Neuron, kind of event and weight of a single-neuron action; the synapse of a SYNAPSE event learns here."""
    if action == TREF_ONE:
        return a, odin_izh.TREF, 0
    if action == SYNAPSE:
        nibble = np.int64(m.row[a, b])
        weight = nibble & 7 if nibble >> 3 or m.registers.prop_unmapped else 0
        if m.registers.sdsp_syn:
            plastic_synapse(m, a, b)
        m.activity[SOPS] += 1
        return b, odin_izh.INH if m.inhibitory[a] else odin_izh.EXC, weight
    v = a >> 8
    kind = odin_izh.TREF if v & 1 else (odin_izh.INH if v & 2 else odin_izh.EXC)
    return a & 255, kind, v >> 2


@njit(forceinline=True, **_JIT)
def serve(m, work, action, a, b):
    """Compute one action with operands `a`, `b` (a FIFO entry in `a`); returns the positions of its sweep."""
    if action in (BIST_ROW, BIST_ALL):
        return bistability(m, work, action, a)
    r = m.registers
    first, count, popped, synapse_at = 0, NEURONS, -1, -1
    word = r.mon_neur >> 3
    kind = odin_izh.TREF
    models = m.izh
    if action == TREF_ALL:
        lif_references(m, 0, NEURONS)
        m.weight[:] = 0
    elif action == POP_SPIKE:
        popped = a & 255
        kind = odin_izh.INH if m.inhibitory[popped] else odin_izh.EXC
        spike_row(m, popped)
        m.activity[SOPS] += NEURONS
        if r.mon_en and popped == r.mon_syn:
            synapse_at = word << 3
    elif action >= POP_VIRTUAL:
        if action == SYNAPSE and r.mon_en and a == r.mon_syn and b >> 3 == word:
            synapse_at = 0
        first, kind, weight = operands(m, action, a, b)
        count = 1
        models = m.one
        m.one[0] = first
        m.weight[first] = weight
        if m.is_lif[first]:
            models = m.izh[:0]
            if kind == odin_izh.TREF:
                lif_references(m, first, 1)
            else:
                lif_synaptic(m, first, np.int16(-weight if kind == odin_izh.INH else weight))
    else:
        return 0
    for j in models:
        spike, up, down = odin_izh.update(m.izh_param[j], m.izh_state[j], kind, np.int64(m.weight[j]))
        m.up[j] = up
        m.down[j] = down
        m.fired[j] = spike
    report(m, work, first, count, popped, synapse_at)
    m.activity[NEURON_UPDATES] += count
    return count


@njit(**_JIT)
def run(m, clock, fifo, events, host, controller, log, work, until):
    """Serve events until nothing is left that begins before edge `until` (DONE) or the log is full (GROW)."""
    while True:
        action = next_action(clock, fifo, events, host, log, until)
        if action in (DONE, GROW):
            return action
        work.n[:] = 0
        a, b = fifo[clock[HEAD]], np.int64(0)
        if action > POP_VIRTUAL or action < POP_SPIKE:
            k = clock[NEXT]
            a, b = events.a[k], events.b[k]
        positions = serve(m, work, action, a, b)
        settle(clock, fifo, host, controller, log, work, action, positions, a)
