"""Spikes of the previous timestep through a core's synapse pool: formats, packed weights, delays."""

from __future__ import annotations

from numba import njit

from chipsim.kernels.jit import INNER

from .rows import ADDED, DEPTH, GRADED, N, P, R, S, X
from .state import wrap16, wrap24


@njit(**INNER)
def accumulate(neuron, target, current, compartment):
    """Add a current to the soma (24 bits) or to one of three dendrites (16 bits)."""
    if compartment == 0:
        neuron[N.ACC, target] = wrap24(neuron[N.ACC, target] + current)
    else:
        row = N.D1 + compartment - 1
        neuron[row, target] = wrap16(neuron[row, target] + current)


@njit(**INNER)
def drain(m, c):
    """What is due in this timestep leaves its queue; returns the entries."""
    slot = m.reg[c, R.SLOT]
    due = m.queued[c, slot]
    for k in range(due):
        row = m.queue[c, slot, k]
        accumulate(m.neuron[c], row[0], row[1], row[2])
    m.queued[c, slot] = 0
    return due


@njit(**INNER)
def _shifted(value, exponent):
    return wrap16(value << exponent) if exponent >= 0 else value >> -exponent


@njit(**INNER)
def decompressed(weight, config):
    """A weight read through an axon configuration: [11:8] bits, [7:4] exponent, [2] negative, [1] mixed sign."""
    bits = config >> 8 & 15
    if bits == 0:
        return weight
    exponent = config >> 4 & 15
    exponent -= (exponent & 8) << 1
    raw = weight & ((1 << bits) - 1) if bits <= 9 else weight
    if config & 2 and bits > 1:
        magnitude = raw & ((1 << (bits - 1)) - 1) if bits <= 9 else raw
        value = _shifted(magnitude, exponent)
        return wrap16(-value) if raw >> (bits - 1) & 1 else value
    value = _shifted(raw, exponent)
    return wrap16(-value) if config & 4 else value


@njit(**INNER)
def _packing(config):
    """log2 of the weights in one pool entry, 0 if they are not packed."""
    bits = config >> 8 & 15
    if config & 1 == 0:
        return 0
    return 4 if bits == 1 else 3 if bits == 2 else 2 if bits == 4 else 1 if bits == 8 else 0


@njit(**INNER)
def deliver(m, c, flags):
    """All spikes in the FIFO, in order of firing; returns the cycles they take."""
    reg, neuron, pool, axon = m.reg[c], m.neuron[c], m.pool[c], m.axon[c]
    types = m.param[c, P.AXON_TYPE]
    places, addresses = m.size[X.PLACES] - 1, m.size[X.POOL_MASK]
    fifo = m.fifo[c, reg[R.SIDE]]
    cycles = 0
    for f in range(reg[R.WAITING]):
        source, payload = fifo[f, 0], fifo[f, 1]
        base, count, form = m.index[c, 0, source], m.index[c, 1, source], m.index[c, 2, source]
        cycles += 3
        if count == 0:
            continue
        cycles += 6 + 5 * (count - 1) if form == 2 else 6 * count
        reg[R.SYNOPS] += count
        own = axon[types[source]]
        packed = _packing(own) if form == 1 else 0
        bits = own >> 8 & 15
        first = pool[S.TARGET, base]
        for k in range(count):
            address = base if form == 2 else (base + (k >> packed)) & addresses
            weight = int(pool[S.WEIGHT, address])
            if packed:
                weight = wrap16((weight & 0xFFFF) >> ((k & ((1 << packed) - 1)) * bits))
            target = int(pool[S.TARGET, address]) if form == 0 else (first + k) & places
            config = axon[types[target]]
            if config >> 8:
                weight = decompressed(weight, config)
            if flags & GRADED:
                weight = wrap16((weight * payload) >> 7)
            compartment = pool[S.COMPARTMENT, address]
            delay = pool[S.DELAY, address]
            if delay:
                slot = (reg[R.SLOT] + delay) & 63
                used = m.queued[c, slot]
                if used < DEPTH:
                    row = m.queue[c, slot, used]
                    row[0], row[1], row[2] = target, weight, compartment
                    m.queued[c, slot] = used + 1
                    continue
                m.tally[c, ADDED.DELAYS_LOST] += 1
            accumulate(neuron, target, weight, compartment)
    reg[R.WAITING] = 0
    return cycles
