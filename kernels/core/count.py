"""Counters from a spike log: sums over spikes with what each neuron's spike costs counted beforehand."""

from __future__ import annotations

from numba import njit

from chipsim.kernels.jit import ENTRY, INNER


@njit(**ENTRY)
def count_traffic(ptr, ids, column, fan_ptr, fan_core, fan_events, hops, spikes, sent, received, events, hop_sums):
    """Per step and core: spikes, packets sent and received, synaptic events; per step: hops by direction.

    ptr (t + 1,), ids: the spike log. column (n,): counter column of a neuron's core, -1 off chip. fan_ptr (n + 1,),
    fan_core, fan_events: destination columns of a neuron's spike and the synapses it meets there. hops (n, 4),
    or (0, 4) when nothing leaves its tile.
    The (t, c) and (t, 4) outputs are added to.
    """
    moving = hops.shape[0] > 0
    for t in range(ptr.size - 1):
        step = ids[ptr[t] : ptr[t + 1]]
        if received.shape[1] == 1:
            _count_one_core(step, column, fan_ptr, fan_events, spikes[t], sent[t], received[t], events[t])
        else:
            for k in range(step.size):
                neuron = step[k]
                home = column[neuron]
                lo, hi = fan_ptr[neuron], fan_ptr[neuron + 1]
                if home >= 0:
                    spikes[t, home] += 1
                    sent[t, home] += hi - lo
                for e in range(lo, hi):
                    received[t, fan_core[e]] += 1
                    events[t, fan_core[e]] += fan_events[e]
        if moving:
            for k in range(step.size):
                for d in range(4):
                    hop_sums[t, d] += hops[step[k], d]


@njit(**INNER)
def _count_one_core(step, column, fan_ptr, fan_events, spikes, sent, received, events):
    """The same for a program on one core, where every sum is one number."""
    fired, packets, arrived, added = 0, 0, 0, 0
    for k in range(step.size):
        neuron = step[k]
        lo, hi = fan_ptr[neuron], fan_ptr[neuron + 1]
        here = column[neuron] >= 0
        fired += here
        packets += here * (hi - lo)
        arrived += hi - lo
        for e in range(lo, hi):
            added += fan_events[e]
    spikes[0] += fired
    sent[0] += packets
    received[0] += arrived
    events[0] += added


@njit(**ENTRY)
def count_of(ptr, ids, chosen, out):
    """Add to out[t] the spikes of neurons whose `chosen` (n,) uint8 is set."""
    for t in range(ptr.size - 1):
        total = 0
        for k in range(ptr[t], ptr[t + 1]):
            total += chosen[ids[k]]
        out[t] += total


@njit(**ENTRY)
def count_waiting(ptr, ids, delay_ptr, delay_steps, delay_events, change):
    """Add to change[t] (length t + largest delay + 1) the delayed events that start or end waiting in step t."""
    for t in range(ptr.size - 1):
        for k in range(ptr[t], ptr[t + 1]):
            neuron = ids[k]
            for e in range(delay_ptr[neuron], delay_ptr[neuron + 1]):
                change[t] += delay_events[e]
                change[t + delay_steps[e]] -= delay_events[e]
