"""Ticks of the grid: neurons by population count, then their packets through the network, with every cycle.

Cycle 0 of a tick is the one in which it is applied. A core's scheduler pointer moves on cycle 2, so the cycles
3 .. period + 2 belong to one pointer; events on them carry the tick and cycle of the clock on the wall.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.chips.grid.burst import burst
from chipsim.kernels.chips.grid.cores import SLOTS, tick_core
from chipsim.kernels.chips.grid.router import (
    AXON,
    BUFFERS,
    DEPTH,
    IN_EXPECTED,
    IN_READ,
    IN_WRITTEN,
    INJECT_FROM,
    LOST,
    MISSED,
    N_ACTIVE,
    N_WAITING,
    STUCK,
    activate,
    falling,
    rising,
)

POINTER_CYCLE = 2  #: cycle on which the scheduler moves to a tick's word
CLEAR_AFTER = 3  #: cycles from the last neuron's write to the edge that clears the used word
IDLE_AFTER = 2  #: cycles from the last neuron's write until the core is idle
FOREVER = 1 << 40  #: cycles
OVERRUN = -1  #: a tick came while a core was busy
CROWDED = -2  #: a tick came while input packets were still waiting to enter
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Records(NamedTuple):
    """What happened, int32 rows, with the number of rows used; deliveries of one cycle in any order."""

    spikes: np.ndarray  # (s, 4) tick, core, neuron, cycle
    deliveries: np.ndarray  # (d, 5) tick, core, cycle, axon, delivery tick; for the output bus too
    busy: np.ndarray  # (b, 3) tick, core, cycle at which the core is idle again
    used: np.ndarray  # int64 (3,) rows used


class Firing(NamedTuple):
    """Spikes of one tick, waiting to be sent, int64."""

    neuron: np.ndarray  # (c, n)
    number: np.ndarray  # (c,)
    next: np.ndarray  # (c,) index of the next one to send
    at: np.ndarray  # (c,) its cycle
    lag: np.ndarray  # (c,) cycles lost to a full local buffer in this tick
    per_neuron: int  # cycles of one neuron: axons + 2
    columns: int  # of the grid


@njit(forceinline=True, **_JIT)
def deliver(cores, state, net, records, firing, tick, cycle, period, core, packet):
    """A packet reaches core `core` on the rising edge of `cycle`: its axon's bit in the scheduler, and a record."""
    axon, ahead = packet >> AXON & ((1 << 20) - 1), packet & 15
    late = 1 if cycle >= period else 0
    row = records.used[1]
    records.used[1] = row + 1
    values = records.deliveries
    values[row, 0], values[row, 1], values[row, 2] = tick + late, core, cycle - late * period
    values[row, 3], values[row, 4] = axon, ahead
    if not cores.is_core[core]:
        return
    neurons = cores.thr.shape[1]
    if tick > 0 and cycle == neurons * firing.per_neuron + CLEAR_AFTER + firing.lag[core]:
        net.counters[LOST] += 1
        return
    word = axon >> 6
    if word >= state.scheduler.shape[2]:
        net.counters[MISSED] += 1
        return
    state.scheduler[core, (tick + ahead) % SLOTS, word] |= np.uint64(1) << np.uint64(axon & 63)


@njit(forceinline=True, **_JIT)
def send(cores, net, records, firing, tick, cycle):
    """Neurons whose turn is this cycle put their packet on the way, or wait while a local buffer is full.

    Returns the cycle of the next neuron's turn.
    """
    soonest = np.int64(1 << 60)
    for core in range(firing.number.size):
        if firing.next[core] == firing.number[core]:
            continue
        if firing.at[core] == cycle:
            if net.count[core * BUFFERS] == DEPTH or net.count[core * BUFFERS + 1] == DEPTH:
                firing.lag[core] += 1
                firing.at[core] += 1
            else:
                i = firing.neuron[core, firing.next[core]]
                row = records.used[0]
                records.spikes[row, 0], records.spikes[row, 1] = tick, core
                records.spikes[row, 2], records.spikes[row, 3] = i, cycle
                records.used[0] = row + 1
                waiting = net.counters[N_WAITING]
                net.waiting[waiting, 0], net.waiting[waiting, 1] = core, cores.packet[core, i]
                net.counters[N_WAITING] = waiting + 1
                firing.next[core] += 1
                if firing.next[core] == firing.number[core]:
                    continue
                firing.at[core] = (firing.neuron[core, firing.next[core]] + 1) * firing.per_neuron + firing.lag[core]
        soonest = min(soonest, firing.at[core])
    return soonest


@njit(forceinline=True, **_JIT)
def together(cores, state, net, queues, records, firing, injected, tick, cycle, turn, last, period):
    """Deliver what was just sent into an idle network as one burst, if nothing else happens before it is over."""
    if net.counters[STUCK] > 0:
        return False
    sent = net.counters[N_WAITING]
    over = burst(net.waiting, queues, sent, firing.columns)
    end = min(turn, last)
    if net.counters[IN_WRITTEN] < injected.size:
        end = min(end, INJECT_FROM + net.counters[IN_WRITTEN] - 1)
    if over < 0 or cycle + over > end:
        return False
    for i in range(sent):
        at = cycle + queues.delivered[i, 2]
        deliver(cores, state, net, records, firing, tick, at, period, queues.delivered[i, 0], queues.delivered[i, 1])
    net.counters[N_WAITING] = 0
    return True


@njit(forceinline=True, **_JIT)
def route(cores, state, net, queues, records, firing, injected, arrivals, tick, first, last, period):
    """The network and the sending neurons from cycle `first` to `last` of a tick; empty stretches are skipped."""
    turn = np.int64(1 << 60)
    for core in range(firing.number.size):
        if firing.next[core] < firing.number[core]:
            turn = min(turn, firing.at[core])
    inlet = net.count.size - 1
    cycle = first
    while cycle <= last:
        if net.counters[N_ACTIVE] == 0 and net.counters[N_WAITING] == 0:
            soonest = turn
            if net.counters[IN_WRITTEN] < injected.size:
                soonest = min(soonest, INJECT_FROM + net.counters[IN_WRITTEN])
            if soonest > last:
                return
            cycle = max(cycle, soonest)
        entering = net.counters[IN_WRITTEN] < injected.size and cycle == INJECT_FROM + net.counters[IN_WRITTEN]
        written = net.counters[N_WAITING]
        if cycle == turn:
            idle = written == 0 and net.counters[N_ACTIVE] == 0 and not entering
            turn = send(cores, net, records, firing, tick, cycle)
            if idle and together(cores, state, net, queues, records, firing, injected, tick, cycle, turn, last, period):
                cycle += 1
                continue
        arrived = rising(net, injected, arrivals, written)
        for i in range(arrived):
            deliver(cores, state, net, records, firing, tick, cycle, period, arrivals[i, 0], arrivals[i, 1])
        if entering:
            net.counters[IN_WRITTEN] += 1
            net.count[inlet] += 1
            activate(net, net.consumer[inlet])
        falling(net)
        cycle += 1


@njit(**_JIT)
def run(cores, state, net, queues, records, firing, arrivals, injected, offsets, first_tick, ticks, period):
    """`ticks` ticks from `first_tick` (1, 2, ...; 0 is the time before tick 1: input only, until nothing moves).

    `injected[offsets[i] : offsets[i + 1]]` are the packets that enter in the i-th tick of this call. Returns the
    ticks done (fewer when `records` may overflow), OVERRUN or CROWDED.
    """
    c, neurons = cores.thr.shape
    for index in range(ticks):
        tick = first_tick + index
        packets = injected[offsets[index] : offsets[index + 1]]
        room = 2 * (c * neurons + packets.size) + 4096
        if records.deliveries.shape[0] - records.used[1] < room or records.spikes.shape[0] - records.used[0] < room:
            return index
        if net.count[-1] > 0 or net.counters[IN_WRITTEN] < net.counters[IN_EXPECTED]:
            return CROWDED
        net.counters[IN_READ] = 0
        net.counters[IN_WRITTEN] = 0
        net.counters[IN_EXPECTED] = packets.size
        firing.lag[:] = 0
        firing.number[:] = 0
        firing.next[:] = 0
        first, last, length = POINTER_CYCLE + 1, period + POINTER_CYCLE, period
        if tick == 0:
            first, last, length = 0, FOREVER, FOREVER
        for core in range(c):
            if tick > 0 and cores.is_core[core]:
                fired = tick_core(cores, state, core, (tick - 1) % SLOTS, firing.neuron[core])
                firing.number[core] = fired
                if fired:
                    firing.at[core] = (firing.neuron[core, 0] + 1) * firing.per_neuron
        route(cores, state, net, queues, records, firing, packets, arrivals, tick, first, last, length)
        if tick == 0:
            continue
        for core in range(c):
            if cores.is_core[core]:
                row = records.used[2]
                cycle = neurons * firing.per_neuron + IDLE_AFTER + firing.lag[core]
                records.busy[row, 0], records.busy[row, 1], records.busy[row, 2] = tick, core, cycle
                records.used[2] = row + 1
                if cycle >= period:
                    return OVERRUN
    return ticks
