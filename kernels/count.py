"""Counters from a spike log: sums over spikes with what each neuron's spike costs counted beforehand."""

from __future__ import annotations

from numba import njit

from .jit import ENTRY


@njit(**ENTRY)
def count_traffic(ptr, ids, column, fan_ptr, fan_core, fan_events, hops, spikes, sent, received, events, hop_sums):
    """Per step and core: spikes, packets sent and received, synaptic events; per step: hops by direction.

    ptr (t + 1,), ids: the spike log. column (n,): counter column of a neuron's core, -1 off chip. fan_ptr (n + 1,),
    fan_core, fan_events: destination columns of a neuron's spike and the synapses it meets there. hops (n, 4).
    The (t, c) and (t, 4) outputs are added to.
    """
    for t in range(ptr.size - 1):
        for k in range(ptr[t], ptr[t + 1]):
            neuron = ids[k]
            home = column[neuron]
            lo, hi = fan_ptr[neuron], fan_ptr[neuron + 1]
            if home >= 0:
                spikes[t, home] += 1
                sent[t, home] += hi - lo
            for e in range(lo, hi):
                received[t, fan_core[e]] += 1
                events[t, fan_core[e]] += fan_events[e]
            for d in range(4):
                hop_sums[t, d] += hops[neuron, d]


@njit(**ENTRY)
def count_waiting(ptr, ids, delay_ptr, delay_steps, delay_events, change):
    """Add to change[t] (length t + largest delay + 1) the delayed events that start or end waiting in step t."""
    for t in range(ptr.size - 1):
        for k in range(ptr[t], ptr[t + 1]):
            neuron = ids[k]
            for e in range(delay_ptr[neuron], delay_ptr[neuron + 1]):
                change[t] += delay_events[e]
                change[t + delay_steps[e]] -= delay_events[e]
