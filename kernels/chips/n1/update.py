"""One pass over the neurons of a core: LIF and CUBA membranes, dendrites, noise, traces, homeostasis, compartments."""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

from .rows import ADDED, DENDRITIC, DEPTH, NOISE, SCALE_U, SPIKE_TRACE, THRESHOLD, N, P, R, X
from .state import wrap16, wrap24


@njit(**INNER)
def next_random(word):
    """The RTL's shift register: its feedback XORs bit 15 twice, what is left are taps 0x3400."""
    return (word >> 1) ^ (0x3400 if word & 1 else 0)


@njit(**INNER)
def away_from_zero(product):
    """product / 4096, rounded away from zero; negative values that have a fraction move one further."""
    quotient = product >> 12
    if product & 4095:
        quotient += 1 if product > 0 else -1
    return wrap24(quotient)


@njit(**INNER)
def dendrites(x, p, n):
    """What three dendrites in a tree give to the soma."""
    tree = p[P.TREE, n]
    to_1, to_2, to_3 = tree & 3, tree >> 2 & 3, tree >> 4 & 3
    o3 = wrap16(x[N.D3, n] - p[P.H_3, n]) if x[N.D3, n] > p[P.H_3, n] else 0
    i2 = wrap16(x[N.D2, n] + (o3 if to_3 == 2 else 0))
    o2 = wrap16(i2 - p[P.H_2, n]) if i2 > p[P.H_2, n] else 0
    i1 = wrap16(wrap16(x[N.D1, n] + (o2 if to_2 == 1 else 0)) + (o3 if to_3 == 1 else 0))
    o1 = wrap16(i1 - p[P.H, n]) if i1 > p[P.H, n] else 0
    out = o1 if to_1 == 0 else 0
    out = wrap16(out + (o2 if to_2 == 0 else 0))
    return wrap16(out + (o3 if to_3 == 0 else 0))


@njit(**INNER)
def _decayed(trace, tau, random, masked):
    mask = min((1 << tau) - 1, 255)
    fraction = trace & mask
    step = trace >> tau
    draw = random & mask if masked else random
    if tau and fraction and draw < fraction:
        step += 1
    return trace - 1 if step == 0 else trace - step


@njit(**INNER)
def decay_traces(x, p, n, word):
    """Five traces, rounded at random with bits of one word."""
    low, high = word & 255, word >> 8 & 255
    if x[N.T1, n]:
        x[N.T1, n] = _decayed(x[N.T1, n], p[P.TAU, n], low, True)
    if x[N.T2, n]:
        x[N.T2, n] = _decayed(x[N.T2, n], p[P.TAU_2, n], high, True)
    if x[N.T3, n]:
        mask = min((1 << p[P.TAU_3, n]) - 1, 255)
        x[N.T3, n] = _decayed(x[N.T3, n], p[P.TAU_3, n], low ^ (high & mask), False)
    if x[N.T4, n]:
        x[N.T4, n] = _decayed(x[N.T4, n], p[P.TAU_4, n], (low & 15) << 4 | high >> 4, True)
    if x[N.T5, n]:
        x[N.T5, n] = _decayed(x[N.T5, n], p[P.TAU_5, n], (high & 15) << 4 | low >> 4, True)


@njit(**INNER)
def join(mine, theirs, operation):
    """What a child's contribution makes of its parent's accumulator: add, larger magnitude, bitwise or, nothing."""
    if operation == 0:
        return wrap24(mine + theirs)
    if operation == 1:
        return theirs if abs(theirs) > abs(mine) else mine
    return mine | theirs if operation == 2 else mine


@njit(**INNER)
def _homeostasis(x, p, n):
    target, eta = p[P.TARGET_RATE, n], p[P.ETA, n]
    if target == 0:
        return
    if x[N.COUNT, n] > target:
        x[N.THR, n] = min(x[N.THR, n] + eta, 4 * THRESHOLD)
    elif x[N.COUNT, n] < target:
        x[N.THR, n] = max(x[N.THR, n] - eta, THRESHOLD // 4)


@njit(**INNER)
def _emit(m, c, n, payload, cycle):
    """A root spike: to the FIFO of the next timestep and to the output."""
    reg = m.reg[c]
    reg[R.SPIKES] = (reg[R.SPIKES] + 1) & 0xFFFFFFFF
    pulses = reg[R.PULSES]
    if pulses < DEPTH:
        row = m.fifo[c, 1 - reg[R.SIDE], pulses]
        row[0], row[1] = n, payload
    else:
        m.tally[c, ADDED.SPIKES_LOST] += 1
    out = m.pulse[c, pulses]
    out[0], out[1], out[2] = n, cycle, payload
    reg[R.PULSES] = pulses + 1
    if reg[R.DEBUG_ON] and reg[R.DEBUG_COUNT] < DEPTH:
        entry = m.debug[c, (reg[R.DEBUG_HEAD] + reg[R.DEBUG_COUNT]) & (DEPTH - 1)]
        entry[0], entry[1] = reg[R.STEPS] & 0xFFFF, n
        reg[R.DEBUG_COUNT] += 1


@njit(**INNER)
def update(m, c, flags, cycle):
    """All neurons once, ascending; `cycle` is the core cycle of the first. Returns the cycle after the last."""
    x, p, reg = m.neuron[c], m.param[c], m.reg[c]
    word = reg[R.LFSR]
    last_of_epoch = reg[R.INTERVAL] != 0 and reg[R.EPOCH] == reg[R.INTERVAL] - 1
    orphan = m.size[X.PLACES] - 1
    active = 0
    for n in range(m.size[X.NEURONS]):
        total = x[N.ACC, n]
        if flags & DENDRITIC:
            total = wrap24(total + dendrites(x, p, n))
        v, u, ref = x[N.V, n], x[N.U, n], x[N.REF, n]
        leak, rest = p[P.LEAK, n], p[P.REST, n]
        threshold, noise_v, noise_u = x[N.THR, n], 0, 0
        if flags & NOISE and p[P.NOISE_TO, n] != 3:
            mask = p[P.NOISE, n]
            noise = (word & mask & 0x7FFF) - (mask >> 1)
            if p[P.NOISE_TO, n] == 0:
                threshold = wrap24(threshold + noise)
            elif p[P.NOISE_TO, n] == 1:
                noise_v = noise
            else:
                noise_u = noise
        fired = False
        if p[P.CUBA, n]:
            decay_v, decay_u, bias = p[P.DECAY_V, n], p[P.DECAY_U, n], p[P.BIAS, n]
            dv = away_from_zero(np.int64(v) * decay_v) if decay_v else 0
            du = away_from_zero(np.int64(u) * decay_u) if decay_u else 0
            driven = away_from_zero(np.int64(total) * decay_u) if flags & SCALE_U else total
            x[N.U, n] = wrap24(u - du + driven + noise_u)
            if ref > 0:
                new = wrap24(v - dv - bias + noise_v) if p[P.RELATIVE, n] else rest
                x[N.REF, n] = ref - 1
            else:
                new = wrap24(v - dv + u + bias + noise_v)
                fired = new >= threshold
            active += 1
        else:
            x[N.U, n] = 0
            total_v = wrap24(v + total)
            if ref > 0:
                new = rest
                x[N.REF, n] = ref - 1
                active += 1
            else:
                new = wrap24(total_v - leak)
                fired = new >= threshold
                if not fired and total_v <= leak:
                    new = rest
                active += (total != 0) | (v != rest)
        if fired:
            new = rest
            x[N.REF, n] = p[P.PERIOD, n]
        x[N.V, n] = p[P.VMIN, n] if new < p[P.VMIN, n] else p[P.VMAX, n] if new > p[P.VMAX, n] else new
        own = x[N.ACC, n]
        if fired:
            for t in range(5):
                x[N.T1 + t, n] = SPIKE_TRACE
            x[N.STAMP, n] = reg[R.TSIE]
            if x[N.MARK, n] == 0:
                x[N.MARK, n] = 1
                reg[R.MARKED] += 1
            if p[P.ROOT, n]:
                payload = wrap24(wrap16(v) + total - leak - threshold)
                _emit(m, c, n, min(max(payload, 1), 255), cycle + 3)
        elif x[N.T1, n] | x[N.T2, n] | x[N.T3, n] | x[N.T4, n] | x[N.T5, n]:
            decay_traces(x, p, n, word)
        if last_of_epoch:
            _homeostasis(x, p, n)
            x[N.COUNT, n] = x[N.MARK, n]
        else:
            x[N.COUNT, n] = (x[N.COUNT, n] + x[N.MARK, n]) & 255
        word = next_random(word)
        x[N.ACC, n] = x[N.D1, n] = x[N.D2, n] = x[N.D3, n] = 0
        cycle += 4
        if fired and p[P.PARENT, n] != orphan:
            stack = p[P.STACK, n] if p[P.CUBA, n] else 0
            given = threshold if stack == 0 else v if stack == 1 else u if stack == 2 else own
            parent = p[P.PARENT, n]
            x[N.ACC, parent] = join(x[N.ACC, parent], given, p[P.JOIN, n])
            cycle += 3
    reg[R.LFSR] = word
    m.tally[c, ADDED.ACTIVE] += active
    return cycle


@njit(**INNER)
def collect(m, c):
    """The marked neurons, ascending, into `m.spiked`; their marks are cleared. Returns how many."""
    marks = m.neuron[c, N.MARK]
    found = 0
    if m.reg[c, R.MARKED]:
        for n in range(m.size[X.NEURONS]):
            if marks[n]:
                marks[n] = 0
                m.spiked[c, found] = n
                found += 1
    m.reg[c, R.MARKED] = 0
    return found
