"""The learning engine: microcode per synapse, LTD over spiking neurons' axons, LTP over their inputs; eligibility."""

from __future__ import annotations

import numpy as np
from numba import njit

from chipsim.kernels.jit import INNER

from .rows import ADDED, LTD, LTD_3, LTP, LTP_3, THREE_FACTOR, WEIGHT_MAX, N, R, S, X
from .state import wrap16

#: A synapse's program that meets no HALT within this many instructions is taken to hang the core.
LONGEST = 1 << 24
NOP, ADD, SUB, MUL, SHR, SHL, MAX, MIN, LOADI, STORE_W, STORE_E, SKIP_Z, SKIP_NZ, HALT, STORE_D, STORE_T = range(16)


@njit(**INNER)
def run_program(m, c, start, neighbour, address, registers):
    """The program from `start` for one synapse; returns the instructions executed, -1 if it does not halt."""
    x, pool, program, r = m.neuron[c], m.pool[c], m.program[c], registers
    r[0], r[1], r[2] = x[N.T1, neighbour], x[N.T3, neighbour], x[N.T2, neighbour]
    r[3], r[4] = x[N.T4, neighbour], x[N.T5, neighbour]
    r[5], r[6] = pool[S.WEIGHT, address], pool[S.DELAY, address]
    r[7], r[8] = pool[S.TAG, address], pool[S.ELIGIBILITY, address]
    r[9], r[10] = m.reg[c, R.REWARD], x[N.STAMP, neighbour]
    r[11] = r[12] = r[13] = r[14] = r[15] = 0
    pc, executed = start, 0
    while executed < LONGEST:
        row = program[pc]
        op, d, a, b = row[0], row[1], row[2], row[3]
        pc = (pc + 1) & 255
        executed += 1
        if op == HALT:
            return executed
        if op == ADD:
            r[d] = wrap16(r[a] + r[b])
        elif op == SUB:
            r[d] = wrap16(r[a] - r[b])
        elif op == MUL:
            r[d] = wrap16((r[a] * r[b]) >> row[4])
        elif op == SHR:
            r[d] = r[a] >> row[4]
        elif op == SHL:
            r[d] = wrap16(r[a] << row[4])
        elif op == MAX:
            r[d] = max(r[a], r[b])
        elif op == MIN:
            r[d] = min(r[a], r[b])
        elif op == LOADI:
            r[d] = row[5]
        elif op == STORE_W:
            pool[S.WEIGHT, address] = wrap16(r[5] + (m.reg[c, R.LFSR] & 1))
            m.tally[c, ADDED.WEIGHTS_WRITTEN] += 1
        elif op == STORE_E:
            pool[S.ELIGIBILITY, address] = r[8]
        elif op == SKIP_Z:
            if r[a] == 0:
                pc = (pc + 1) & 255
        elif op == SKIP_NZ:
            if r[a] != 0:
                pc = (pc + 1) & 255
        elif op == STORE_D:
            pool[S.DELAY, address] = r[6] & 63
        elif op == STORE_T:
            pool[S.TAG, address] = r[7]
    return -1


@njit(**INNER)
def learn(m, c, flags, spiked):
    """Both sweeps for the first `spiked` neurons of `m.spiked`; returns their cycles, -1 if a program does not halt."""
    registers = m.scratch[c]
    down, up = (LTD_3, LTP_3) if flags & THREE_FACTOR else (LTD, LTP)
    cycles = 2 * (m.size[X.NEURONS] + 1)
    fan, addresses = m.size[X.FAN_IN], m.size[X.POOL_MASK]
    synapses, instructions = 0, 0
    for k in range(spiked):
        n = m.spiked[c, k]
        cycles += 2
        base, count = m.index[c, 0, n], m.index[c, 1, n]
        if m.index[c, 2, n] != 0:
            continue
        for i in range(count):
            address = (base + i) & addresses
            done = run_program(m, c, down, m.pool[c, S.TARGET, address], address, registers)
            if done < 0:
                return -1
            cycles += 6 + 2 * done
            instructions += done
        synapses += count
    for k in range(spiked):
        n = m.spiked[c, k]
        cycles += 6 * fan
        for i in range(fan):
            source = m.reverse[c, n, i, 0]
            if source < 0:
                continue
            done = run_program(m, c, up, source, m.reverse[c, n, i, 1], registers)
            if done < 0:
                return -1
            cycles += 2 * done
            instructions += done
            synapses += 1
    m.tally[c, ADDED.LEARNED] += synapses
    m.tally[c, ADDED.INSTRUCTIONS] += instructions
    return cycles


@njit(**INNER)
def eligibility(m, c):
    """Reward moves all weights of the core (and clips them), eligibilities decay; returns the cycles."""
    weight, value = m.pool[c, S.WEIGHT], m.pool[c, S.ELIGIBILITY]
    reward, used = np.int32(m.reg[c, R.REWARD]), m.reg[c, R.POOL_USED]
    if reward:
        for a in range(used):
            w = wrap16(weight[a] + wrap16((np.int32(value[a]) * reward) >> 7))
            weight[a] = min(max(w, 0), WEIGHT_MAX)
    for a in range(used):
        e = np.int32(value[a])
        value[a] = e - 1 if e > 0 and e >> 3 == 0 else wrap16(e - (e >> 3))
    return 3 * used + 1


@njit(**INNER)
def decayed_reward(reward, tau):
    """The reward trace one timestep later, without what is added."""
    part = reward >> tau
    if reward == 0:
        return reward
    return reward - 1 if reward > 0 and part == 0 else reward - part
