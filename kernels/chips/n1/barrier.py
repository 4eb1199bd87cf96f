"""The barrier mesh of all shipped builds: a serial walk over the route tables, one FIFO of packets; the chip link."""

from __future__ import annotations

from numba import njit

from chipsim.kernels.jit import INNER

from .rows import ADDED, INJECT_DEPTH, LINK_DEPTH, LOCAL_SLOTS, SLOTS, C, R, X
from .schedule import captured, current_of, overwrite

WALK = 1 + 3 * SLOTS  #: cycles of one spike in the route walk


@njit(**INNER)
def begin(m, schedule, k):
    """Stimuli, packets of the link and of the last timestep; returns the cycles before the cores start."""
    for s in range(schedule.stim_ptr[k], schedule.stim_ptr[k + 1]):
        c, n, current = schedule.stim[s]
        m.tally[c, ADDED.OVERWRITTEN] += overwrite(m, c, n, current)
    extra = 0
    if m.size[X.LINK]:
        received = schedule.link_ptr[k + 1] - schedule.link_ptr[k]
        extra = 2 * received + 1
        for s in range(schedule.link_ptr[k], schedule.link_ptr[k + 1]):
            waiting = m.chip[C.WAITING]
            if waiting == INJECT_DEPTH:
                return -1
            for j in range(3):
                m.inject[waiting, j] = schedule.link[s, j]
            m.chip[C.WAITING] = waiting + 1
    packets = m.chip[C.WAITING]
    for q in range(packets):
        c, n, current = m.inject[q]
        m.tally[c, ADDED.OVERWRITTEN] += overwrite(m, c, n, current)
    m.chip[C.WAITING] = 0
    return extra + (packets + 2 if packets else 1)


@njit(**INNER)
def walk(m, flags, cycle, log, t):
    """Packets of the captured spikes into the FIFO; returns the cycles of the walk, which starts at `cycle`."""
    first, sent = cycle, 0
    for c in range(m.size[X.CORES]):
        for k in range(captured(m, c)):
            n, payload = m.pulse[c, k, 0], m.pulse[c, k, 2]
            for slot in range(SLOTS):
                row = m.route[c, n, slot]
                if row[0] == 0:
                    continue
                if m.size[X.LINK] and slot >= LOCAL_SLOTS and row[3] < 0:
                    if sent == LINK_DEPTH:
                        m.tally[c, ADDED.LINK_LOST] += 1
                        continue
                    out = log.sent[log.used[1]]
                    out[0], out[1], out[2] = t, cycle + 1 + 3 * (slot + 1), row[1]
                    out[3], out[4] = row[2], payload
                    log.used[1] += 1
                    sent += 1
                    continue
                waiting = m.chip[C.WAITING]
                if waiting == INJECT_DEPTH:
                    m.tally[c, ADDED.PACKETS_LOST] += 1
                    continue
                m.inject[waiting, 0], m.inject[waiting, 1] = row[1], row[2]
                m.inject[waiting, 2] = current_of(row[3], payload, flags)
                m.chip[C.WAITING] = waiting + 1
            cycle += WALK
        cycle += 1
    return cycle - first + m.size[X.ALL_CORES] - m.size[X.CORES]


@njit(**INNER)
def finish(m, before, longest, flags, stall, log, t):
    """Route walk and counters of a synchronous timestep; returns its cycles C."""
    cycles = before + 1 + longest + 3
    cycles += walk(m, flags, cycles, log, t) + 1 + stall
    total = 0
    for c in range(m.size[X.CORES]):
        pulses = m.reg[c, R.PULSES]
        total += pulses
        m.reg[c, R.PRODUCED] = m.reg[c, R.RESTART] = pulses > 0
    m.chip[C.SPIKES] = (m.chip[C.SPIKES] + total) & 0xFFFFFFFF
    m.chip[C.ENERGY] = (m.chip[C.ENERGY] + cycles - 1 - stall + 10 * m.chip[C.SPIKES]) & 0xFFFFFFFF
    log.cycles[t] = cycles
    return cycles
