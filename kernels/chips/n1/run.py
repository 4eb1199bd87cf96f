"""Timesteps of the whole chip: inputs, cores, interconnect; everything written down with its cycle."""

from __future__ import annotations

from numba import njit

from chipsim.kernels.intrinsics import barrier
from chipsim.kernels.jit import ENTRY, INNER

from .barrier import begin, finish
from .core import step_core
from .events import run_events
from .mesh import drain_mesh, run_until, walk_mesh
from .rows import ADDED, ASYNC, DEPTH, LINK_DEPTH, C, R, X
from .schedule import overwrite, write_pulses

DONE, FULL, HANGS, ENDLESS, LINK_FULL = range(5)
STATUS, SYNCHRONOUS, BEFORE, LONGEST = range(4)  #: places in `shared`
BETWEEN = 3  #: idle cycles between the timesteps of one RUN command


@njit(**INNER)
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
        for slot in range(DEPTH):
            if slot != m.reg[c, R.SLOT]:
                log.waiting[at] += m.queued[c, slot]
    sum_tallies(m, log.sums[1])
    log.lost[at] = log.sums[1, 0] - log.sums[0, 0]
    for j in range(3):
        log.work[at, j] = log.sums[1, j + 1] - log.sums[0, j + 1]
    for w in range(log.watch.shape[0]):
        log.trace[at, w] = m.neuron[log.watch[w, 0], log.watch[w, 1], log.watch[w, 2]]


@njit(**INNER)
def before_cores(m, net, schedule, k):
    """Stimuli and packets of a synchronous timestep; returns the controller cycles until the cores start, -1: hangs."""
    if not m.size[X.COLUMNS]:
        return begin(m, schedule, k)
    start = schedule.start[k]
    if start < 0:
        start = m.chip[C.EDGE] + BETWEEN - 1
    run_until(m, net, m.chip[C.EDGE], start + 1)
    for s in range(schedule.stim_ptr[k], schedule.stim_ptr[k + 1]):
        c, n, current = schedule.stim[s]
        m.tally[c, ADDED.OVERWRITTEN] += overwrite(m, c, n, current)
    m.chip[C.EDGE] = start + 1
    cycles = drain_mesh(m, net, start + 1)
    m.chip[C.EDGE] += cycles
    return cycles


@njit(**INNER)
def after_cores(m, net, schedule, k, flags, log, before, longest):
    """Spikes, route walk and counters of a synchronous timestep."""
    write_pulses(m, log, k, before + 2)
    if not m.size[X.COLUMNS]:
        finish(m, before, longest, flags, schedule.stall[k], log, k)
        return
    edge = m.chip[C.EDGE]
    after = edge + 1 + longest + 3
    run_until(m, net, edge, after)
    walked = walk_mesh(m, net, flags, after)
    run_until(m, net, after + walked, after + walked + 1)
    m.chip[C.EDGE] = after + walked + 1
    log.cycles[k] = before + 1 + longest + 3 + walked + 1
    for c in range(m.size[X.CORES]):
        m.chip[C.SPIKES] += m.reg[c, R.PULSES]
    m.chip[C.SPIKES] &= 0xFFFFFFFF


@njit(**INNER)
def open_step(m, net, schedule, k, log, limit, shared):
    """What one worker does before the cores: inputs, or a whole event-driven timestep. See `run` for `shared`."""
    shared[STATUS], shared[SYNCHRONOUS] = DONE, 0
    room = m.pulse.shape[1] * m.size[X.CORES]
    if log.used[0] + room > log.spikes.shape[0] or log.used[1] + LINK_DEPTH > log.sent.shape[0]:
        shared[STATUS] = FULL
        return
    hold(m, log)
    m.chip[C.REWARD] = schedule.reward[k]
    if schedule.flags[k] & ASYNC and not m.size[X.COLUMNS]:
        taken = run_events(m, schedule, k, schedule.flags[k], log, limit)
        log.cycles[k] = taken
        shared[STATUS] = HANGS if taken == -1 else ENDLESS if taken < 0 else DONE
        return
    shared[BEFORE] = before_cores(m, net, schedule, k)
    shared[SYNCHRONOUS] = 1
    if shared[BEFORE] < 0:
        shared[STATUS] = LINK_FULL


@njit(**INNER)
def close_step(m, net, schedule, k, log, shared, workers):
    """What one worker does after the cores."""
    longest = 0
    for w in range(workers):
        if shared[LONGEST + w] < 0:
            shared[STATUS] = HANGS
        longest = max(longest, shared[LONGEST + w])
    if shared[STATUS] == DONE and shared[SYNCHRONOUS]:
        after_cores(m, net, schedule, k, schedule.flags[k], log, shared[BEFORE], longest)
    if shared[STATUS] == DONE:
        m.chip[C.STEPS] += 1
        note(m, log, k)


@njit(**ENTRY)
def run(m, net, schedule, log, first, count, limit, worker, workers, shared, arrivals):
    """Timesteps `first` .. of the schedule until `count` are done; returns (next timestep, status).

    FULL: make room for spikes in the log and call again. Each of `workers` threads calls this with its number and the
    same arrays and runs its own cores; they meet three times in a timestep. `shared` is int64 (4 + workers,): status,
    whether cores run, cycles before them, longest core of each worker.
    """
    met = 0
    for k in range(first, count):
        if worker == 0:
            open_step(m, net, schedule, k, log, limit, shared)
        if workers > 1:
            met += workers
            barrier(arrivals, met)
        if shared[STATUS] == FULL:
            return k, FULL
        if shared[STATUS] == DONE and shared[SYNCHRONOUS]:
            shared[LONGEST + worker] = cores_step(m, schedule.flags[k], worker, workers)
        else:
            shared[LONGEST + worker] = 0
        if workers > 1:
            met += workers
            barrier(arrivals, met)
        if worker == 0:
            close_step(m, net, schedule, k, log, shared, workers)
        if workers > 1:
            met += workers
            barrier(arrivals, met)
        if shared[STATUS] != DONE:
            return k, shared[STATUS]
    return count, DONE
