"""Timesteps of the whole chip: inputs, cores, interconnect; everything written down with its cycle."""

from __future__ import annotations

from numba import njit

from kernels.jit import ENTRY, INNER

from .barrier import begin, finish
from .core import step_core
from .events import run_events
from .mesh import drain_mesh, run_until, walk_mesh
from .rows import ADDED, ASYNC, C, R, X
from .schedule import overwrite, write_pulses

DONE, FULL, HANGS, ENDLESS, LINK_FULL = 0, 1, 2, 3, 4
BETWEEN = 3  #: idle cycles between the timesteps of one RUN command


@njit(**ENTRY)
def cores_step(m, flags, first, stride):
    """Cores first, first + stride, ...; returns the longest core's cycles, -1 if one hangs."""
    longest = 0
    for c in range(first, m.size[X.CORES], stride):
        taken = step_core(m, c, flags)
        if taken < 0:
            m.chip[C.ERROR] = c
            return -1
        longest = max(longest, taken)
    return longest


@njit(**INNER)
def sum_tallies(m, sums):
    """Over all cores: what was lost, synapses learned, instructions, weights written."""
    sums[:] = 0
    for c in range(m.size[X.CORES]):
        row = m.tally[c]
        sums[0] += row[ADDED.SPIKES_LOST] + row[ADDED.DELAYS_LOST] + row[ADDED.PACKETS_LOST] + row[ADDED.INPUTS_LOST]
        sums[0] += row[ADDED.LINK_LOST]
        sums[1] += row[ADDED.LEARNED]
        sums[2] += row[ADDED.INSTRUCTIONS]
        sums[3] += row[ADDED.WEIGHTS_WRITTEN]


@njit(**INNER)
def hold(m, log):
    """Counters before a timestep, for their differences."""
    for c in range(m.size[X.CORES]):
        log.held[c, 0], log.held[c, 1] = m.reg[c, R.SYNOPS], m.reg[c, R.CYCLES]
        log.held[c, 2] = m.tally[c, ADDED.ACTIVE]
    sum_tallies(m, log.sums[0])


@njit(**INNER)
def note(m, log, at):
    """Counters of a timestep and what is watched."""
    log.total[at], log.energy[at] = m.chip[C.SPIKES], m.chip[C.ENERGY]
    for c in range(m.size[X.CORES]):
        log.synops[at, c] = (m.reg[c, R.SYNOPS] - log.held[c, 0]) & 0xFFFFFFFF
        log.active[at, c] = (m.reg[c, R.CYCLES] - log.held[c, 1]) & 0xFFFFFFFF
        log.updates[at, c] = m.tally[c, ADDED.ACTIVE] - log.held[c, 2]
    sum_tallies(m, log.sums[1])
    log.lost[at] = log.sums[1, 0] - log.sums[0, 0]
    for j in range(3):
        log.work[at, j] = log.sums[1, j + 1] - log.sums[0, j + 1]
    for w in range(log.watch.shape[0]):
        log.trace[at, w] = m.neuron[log.watch[w, 0], log.watch[w, 1], log.watch[w, 2]]


@njit(**INNER)
def mesh_step(m, net, schedule, k, flags, log):
    """One timestep of the XY mesh; a status."""
    start = schedule.start[k]
    if start < 0:
        start = m.chip[C.EDGE] + BETWEEN - 1
    run_until(m, net, m.chip[C.EDGE], start + 1)
    for s in range(schedule.stim_ptr[k], schedule.stim_ptr[k + 1]):
        c, n, current = schedule.stim[s]
        m.tally[c, ADDED.OVERWRITTEN] += overwrite(m, c, n, current)
    before = drain_mesh(m, net, start + 1)
    longest = cores_step(m, flags, 0, 1)
    if longest < 0:
        return HANGS
    edge = start + 1 + before
    after = edge + 1 + longest + 3
    run_until(m, net, edge, after)
    write_pulses(m, log, k, before + 2)
    walked = walk_mesh(m, net, flags, after)
    run_until(m, net, after + walked, after + walked + 1)
    m.chip[C.EDGE] = after + walked + 1
    log.cycles[k] = before + 1 + longest + 3 + walked + 1
    for c in range(m.size[X.CORES]):
        m.chip[C.SPIKES] += m.reg[c, R.PULSES]
    m.chip[C.SPIKES] &= 0xFFFFFFFF
    return DONE


@njit(**INNER)
def barrier_step(m, schedule, k, flags, log):
    """One synchronous timestep of the barrier mesh; a status."""
    before = begin(m, schedule, k)
    if before < 0:
        return LINK_FULL
    longest = cores_step(m, flags, 0, 1)
    if longest < 0:
        return HANGS
    write_pulses(m, log, k, before + 2)
    finish(m, before, longest, flags, schedule.stall[k], log, k)
    return DONE


@njit(**ENTRY)
def run(m, net, schedule, log, first, count, limit):
    """Timesteps `first` .. of the schedule until `count` are done; returns (next timestep, status).

    FULL: make room for spikes in the log and call again.
    """
    room = m.pulse.shape[1] * m.size[X.CORES]
    for k in range(first, count):
        if log.used[0] + room > log.spikes.shape[0] or log.used[1] + 256 > log.sent.shape[0]:
            return k, FULL
        flags = schedule.flags[k]
        hold(m, log)
        m.chip[C.REWARD] = schedule.reward[k]
        if m.size[X.COLUMNS]:
            status = mesh_step(m, net, schedule, k, flags, log)
        elif flags & ASYNC:
            taken = run_events(m, schedule, k, flags, log, limit)
            log.cycles[k] = taken
            status = HANGS if taken == -1 else ENDLESS if taken < 0 else DONE
        else:
            status = barrier_step(m, schedule, k, flags, log)
        if status != DONE:
            return k, status
        m.chip[C.STEPS] += 1
        note(m, log, k)
    return count, DONE
