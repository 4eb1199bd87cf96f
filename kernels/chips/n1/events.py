"""Event-driven mode of the barrier mesh (flag async): cores run when packets reach them, clock cycle by clock cycle."""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

from .core import step_core
from .rows import ADDED, DEPTH, INPUT_DEPTH, LOCAL_SLOTS, C, R, X
from .schedule import current_of, overwrite
from .state import wrap16

ACTIVE, INJECT, POP, ADDR, WAIT, READ, DONE = range(7)
NEVER = 1 << 60


@njit(**{**INNER, "_nrt": True})
def run_events(m, schedule, k, flags, log, limit):
    """One event-driven timestep; returns its cycles, -1 if a core hangs, -2 beyond `limit`, -3 when the log is full."""
    cores = m.size[X.CORES]
    inputs = np.zeros((cores, INPUT_DEPTH, 2), np.int64)
    input_count = np.zeros(cores, np.int64)
    capture = np.zeros((cores, DEPTH, 2), np.int64)
    captured = np.zeros(cores, np.int64)
    running, start = np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    idle_at = np.zeros(cores, np.int64)  # cycle in which `done` shows; the core is idle from here
    origin = np.zeros(cores, np.int64)  # controller cycle of the core's cycle 0
    next_pulse = np.zeros(cores, np.int64)
    idle_at[:] = -1
    for s in range(schedule.stim_ptr[k], schedule.stim_ptr[k + 1]):
        c = schedule.stim[s, 0]
        if input_count[c] == INPUT_DEPTH:
            m.tally[c, ADDED.INPUTS_LOST] += 1
            continue
        inputs[c, input_count[c], 0], inputs[c, input_count[c], 1] = schedule.stim[s, 1], wrap16(schedule.stim[s, 2])
        input_count[c] += 1
    for c in range(cores):
        m.reg[c, R.PULSES] = 0
    state, own, slot, spike, payload = ACTIVE, 0, 0, 0, 0
    # registers that act in the following cycle
    start_next, pop_input, pop_capture, push_to, push_neuron, push_current = -1, -1, -1, -1, 0, 0
    cycle = 0
    total = 0
    while True:
        if cycle >= limit:
            return -2
        popping_input, popping_capture, pushing = pop_input, pop_capture, push_to
        pushed_neuron, pushed_current = push_neuron, push_current
        pop_input = pop_capture = push_to = -1
        start[:] = 0
        if start_next >= 0:
            start[start_next] = 1
        start_next = -1
        # the controller, from values before the edge
        following = state
        if state == ACTIVE:
            following = DONE
            for c in range(cores):
                if running[c] or start[c] or m.reg[c, R.RESTART] or input_count[c] or captured[c]:
                    following = ACTIVE
            if following == ACTIVE:
                found = False
                for c in range(cores):
                    if not running[c] and input_count[c]:
                        following, own, found = INJECT, c, True
                        break
                if not found:
                    for c in range(cores):
                        if captured[c]:
                            following, own, found = POP, c, True
                            break
                if not found:
                    for c in range(cores):
                        if m.reg[c, R.RESTART] and not running[c]:
                            start_next = c
                            break
        elif state == INJECT:
            if input_count[own] == 0:
                start_next = own
                following = ACTIVE
            else:
                m.tally[own, ADDED.OVERWRITTEN] += overwrite(m, own, inputs[own, 0, 0], inputs[own, 0, 1])
                pop_input = own
        elif state == POP:
            if captured[own] == 0:
                following = ACTIVE
            else:
                spike, payload = capture[own, 0, 0], capture[own, 0, 1]
                pop_capture, slot = own, 0
                following = ADDR
        elif state == ADDR:
            following = WAIT
        elif state == WAIT:
            following = READ
        elif state == READ:
            row = m.route[own, spike, slot]
            if row[0]:
                if input_count[row[1]] < INPUT_DEPTH:
                    push_to, push_neuron = row[1], row[2]
                    push_current = current_of(row[3], payload, flags)
                else:
                    m.tally[row[1], ADDED.INPUTS_LOST] += 1
            slot += 1
            following = ADDR if slot < LOCAL_SLOTS else POP
        # the cores and their registers
        for c in range(cores):
            reg = m.reg[c]
            pulse = (
                running[c] != 0
                and next_pulse[c] < reg[R.PULSES]
                and (origin[c] + m.pulse[c, next_pulse[c], 1] == cycle)
            )
            done = idle_at[c] == cycle
            busy = idle_at[c] > cycle
            restart = (reg[R.RESTART] != 0 or (done and (reg[R.PRODUCED] != 0 or pulse))) and not start[c]
            reg[R.PRODUCED] = (reg[R.PRODUCED] != 0 and not start[c]) or pulse
            reg[R.RESTART] = restart and state != DONE
            was_full = captured[c] == DEPTH
            if pulse and was_full:
                m.tally[c, ADDED.PACKETS_LOST] += 1
            if popping_capture == c and captured[c] > 0:
                for q in range(captured[c] - 1):
                    capture[c, q, 0], capture[c, q, 1] = capture[c, q + 1, 0], capture[c, q + 1, 1]
                captured[c] -= 1
            if pulse:
                if not was_full:
                    capture[c, captured[c], 0] = m.pulse[c, next_pulse[c], 0]
                    capture[c, captured[c], 1] = m.pulse[c, next_pulse[c], 2]
                    captured[c] += 1
                next_pulse[c] += 1
            running[c] = (running[c] != 0 or start[c] != 0) and not done
            input_full = input_count[c] == INPUT_DEPTH
            if popping_input == c and input_count[c] > 0:
                for q in range(input_count[c] - 1):
                    inputs[c, q, 0], inputs[c, q, 1] = inputs[c, q + 1, 0], inputs[c, q + 1, 1]
                input_count[c] -= 1
            if pushing == c:
                if input_full:
                    m.tally[c, ADDED.INPUTS_LOST] += 1
                else:
                    inputs[c, input_count[c], 0], inputs[c, input_count[c], 1] = pushed_neuron, pushed_current
                    input_count[c] += 1
            if start[c] and not busy:
                taken = step_core(m, c, flags)
                if taken < 0:
                    m.chip[C.ERROR] = c
                    return -1
                origin[c] = cycle + 1
                idle_at[c] = cycle + 1 + taken
                next_pulse[c] = 0
                pulses = reg[R.PULSES]
                total += pulses
                if log.used[0] + pulses > log.spikes.shape[0]:
                    return -3
                for q in range(pulses):
                    out = log.spikes[log.used[0]]
                    out[0], out[1], out[2] = k, origin[c] + m.pulse[c, q, 1], c
                    out[3], out[4] = m.pulse[c, q, 0], m.pulse[c, q, 2]
                    log.used[0] += 1
        cycle += 1
        if state == DONE:
            break
        # nothing can happen before the next pulse or `done` of a core: go there
        if state == ACTIVE and following == ACTIVE and start_next < 0 and not start.any():
            soonest = NEVER
            for c in range(cores):
                if idle_at[c] >= cycle:
                    soonest = min(soonest, idle_at[c])
                if running[c] and next_pulse[c] < m.reg[c, R.PULSES]:
                    soonest = min(soonest, origin[c] + m.pulse[c, next_pulse[c], 1])
            if soonest != NEVER and soonest > cycle:
                still = True
                for c in range(cores):
                    if captured[c] or (input_count[c] and not running[c]) or (m.reg[c, R.RESTART] and not running[c]):
                        still = False
                if still and popping_input < 0 and popping_capture < 0 and pushing < 0:
                    cycle = soonest
        state = following
    m.chip[C.SPIKES] = (m.chip[C.SPIKES] + total) & 0xFFFFFFFF
    m.chip[C.ENERGY] = (m.chip[C.ENERGY] + cycle) & 0xFFFFFFFF
    return cycle
