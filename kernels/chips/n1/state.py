"""Memories and registers of a Catalyst N1 as flat arrays, and the programming operations that fill them.

c cores, m = 2^NEURON_BITS neuron places per core (numbers wrap there), p pool addresses. Integers as in the RTL: s24
potentials, currents and accumulators, s16 weights and dendrites, u8 traces.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.jit import ENTRY, INNER

from .rows import (
    ADDED,
    DEPTH,
    LOCAL_SLOTS,
    NEURON_ROWS,
    OP_DELAY,
    OP_GLOBAL,
    OP_INDEX,
    OP_LOCAL,
    OP_POOL,
    OP_PROGRAM,
    PARAM_ROWS,
    PC_COUNT,
    REGISTERS,
    SLOTS,
    TALLIES,
    C,
    N,
    P,
    R,
    S,
    X,
)


class Machine(NamedTuple):
    """A chip: sizes, what is programmed, what changes. Row names are in `rows`."""

    size: np.ndarray  # int64 (X_COUNT,)
    neuron: np.ndarray  # int32 (c, NEURON_ROWS, m)
    param: np.ndarray  # int32 (c, PARAM_ROWS, m)
    pool: np.ndarray  # int16 (c, 6, p): target, weight, compartment, delay, tag, eligibility
    index: np.ndarray  # int32 (c, 3, m): base, count, format
    reverse: np.ndarray  # int32 (c, m, f, 2): source (-1: slot not valid), address
    reverse_next: np.ndarray  # uint8 (c, m)
    route: np.ndarray  # int32 (c, m, 12, 4): valid, core, neuron, weight; 8 local, 4 global
    program: np.ndarray  # int32 (c, 256, 6): op, d, a, b, sh, imm
    axon: np.ndarray  # int32 (c, 32)
    queue: np.ndarray  # int32 (c, 64, 64, 3): target, current, compartment
    queued: np.ndarray  # int32 (c, 64)
    fifo: np.ndarray  # int32 (c, 2, 64, 2): neuron, payload
    reg: np.ndarray  # int64 (c, REGISTERS)
    tally: np.ndarray  # int64 (c, TALLIES)
    spiked: np.ndarray  # int32 (c, m): neurons marked in this timestep, ascending after `collect`
    pulse: np.ndarray  # int32 (c, room, 3): neuron, core cycle, payload of the root spikes of this timestep
    debug: np.ndarray  # int32 (c, 64, 2): spike trace FIFO: timestep, neuron
    scratch: np.ndarray  # int32 (c, 16): registers of the learning engine
    chip: np.ndarray  # int64 (CHIP_REGISTERS,)
    inject: np.ndarray  # int32 (512, 3): core, neuron, current


@njit(**INNER)
def wrap16(x):
    """Two's complement wrap to 16 bits."""
    return ((x + 0x8000) & 0xFFFF) - 0x8000


@njit(**INNER)
def wrap24(x):
    """Two's complement wrap to 24 bits."""
    return ((x + 0x800000) & 0xFFFFFF) - 0x800000


@njit(**INNER)
def write_pool(m, c, address, source, target, weight, compartment):
    """A pool entry, its reverse slot, and the mark of the highest address."""
    places = m.size[X.PLACES]
    address &= m.size[X.POOL_MASK]
    source &= places - 1
    target &= places - 1
    pool = m.pool[c]
    pool[S.TARGET, address] = target
    pool[S.WEIGHT, address] = wrap16(weight)
    pool[S.COMPARTMENT, address] = compartment & 3
    slot = m.reverse_next[c, target]
    if slot < m.size[X.FAN_IN]:
        if m.reverse[c, target, slot, 0] >= 0:
            m.tally[c, ADDED.REVERSE_LOST] += 1
        m.reverse[c, target, slot, 0] = source
        m.reverse[c, target, slot, 1] = address
    m.reverse_next[c, target] = (slot + 1) & m.size[X.SLOT_MASK]
    m.reg[c, R.POOL_USED] = max(m.reg[c, R.POOL_USED], address + 1)


@njit(**ENTRY)
def write_word(m, c, address, word):
    """One instruction of the learning program."""
    row = m.program[c, address & (PC_COUNT - 1)]
    row[0] = word >> 28 & 15
    row[1] = word >> 24 & 15
    row[2] = word >> 20 & 15
    row[3] = word >> 16 & 15
    row[4] = word >> 13 & 7
    row[5] = wrap16(word & 0xFFFF)


@njit(**INNER)
def write_parameter(m, c, n, number, value):
    """Parameter `number` of neuron n (or of the core); numbers without a register do nothing."""
    n &= m.size[X.PLACES] - 1
    u16 = value & 0xFFFF
    s16 = wrap16(value)
    p = m.param[c]
    reg = m.reg[c]
    if number == 0:
        m.neuron[c, N.THR, n] = s16
    elif number == 1:
        p[P.LEAK, n] = s16
    elif number == 2:
        p[P.REST, n] = s16
    elif number == 3:
        p[P.PERIOD, n] = u16 & 255
        p[P.RELATIVE, n] = u16 >> 9 & 1
    elif number == 5:
        mask = (u16 & 15) << (u16 >> 4 & 31) & 0xFFFFFFFF
        p[P.NOISE, n] = 0xFFFF if mask >= 65536 else mask
    elif number == 6 or number == 7:
        p[P.TAU + number - 6, n] = u16 & 15
    elif 19 <= number <= 21:
        p[P.TAU + number - 17, n] = u16 & 15
    elif 8 <= number <= 10:
        p[P.H + number - 8, n] = s16
    elif number == 11:
        reg[R.INTERVAL] = u16 & 255
        reg[R.PASSES] = max(u16 >> 12, 1)
    elif number == 12:
        reg[R.REWARD_TAU] = u16 & 15
    elif number == 13:
        p[P.TARGET_RATE, n] = u16 & 255
    elif number == 14:
        p[P.ETA, n] = u16 & 255
    elif number == 15:
        p[P.TREE, n] = u16 & 63
    elif number == 16:
        p[P.DECAY_V, n] = u16 & 4095
    elif number == 17:
        p[P.DECAY_U, n] = u16 & 4095
    elif number == 18:
        mantissa = u16 >> 3
        mantissa -= (mantissa & 0x1000) << 1
        p[P.BIAS, n] = wrap24(mantissa << (u16 & 7))
    elif number == 22:
        p[P.PARENT, n] = u16 & (m.size[X.PLACES] - 1)
    elif number == 23:
        p[P.JOIN, n] = u16 & 3
        p[P.STACK, n] = u16 >> 2 & 3
    elif number == 24:
        p[P.ROOT, n] = u16 & 1
    elif number == 25:
        p[P.AXON_TYPE, n] = u16 & 31
    elif number == 26:
        m.axon[c, n & 31] = u16 & 4095
    elif number == 27:
        reg[R.DEBUG_ON] = u16 & 1
    elif number == 28:
        reg[R.SPIKES] = reg[R.CYCLES] = reg[R.SYNOPS] = 0
    elif number == 29:
        p[P.NOISE_TO, n] = u16 & 3
    elif number == 30:
        p[P.VMIN, n] = s16
    elif number == 31:
        p[P.VMAX, n] = s16
    if number == 16 or number == 17 or number == 18:
        # the bias register, not its value, decides: mantissa 0 with an exponent is a CUBA neuron too
        if number == 18:
            p[P.BIAS_WORD, n] = u16
        p[P.CUBA, n] = (p[P.DECAY_V, n] | p[P.DECAY_U, n] | p[P.BIAS_WORD, n]) != 0


@njit(**INNER)
def write_route(m, c, n, slot, to_core, to_neuron, weight):
    """A route entry: slots 0..7 local, 8..11 global."""
    row = m.route[c, n & (m.size[X.PLACES] - 1), slot]
    row[0] = 1
    row[1] = to_core % m.size[X.ALL_CORES]
    row[2] = to_neuron & (m.size[X.PLACES] - 1)
    row[3] = wrap16(weight)


@njit(**ENTRY)
def write_operations(m, operations):
    """Rows op, a .. f in order (`chipsim.native.catalyst.image` says what they mean); returns rows done.

    Fewer than all: the pool array must grow to hold the address of the next row.
    """
    for k in range(operations.shape[0]):
        op, c, b, x, y, z, w = operations[k]
        if op == OP_POOL:
            if (b & m.size[X.POOL_MASK]) >= m.pool.shape[2]:
                return k
            write_pool(m, c, b, x, y, z, w)
        elif op == OP_INDEX:
            n = b & (m.size[X.PLACES] - 1)
            count = y & ((1 << m.size[X.COUNT_BITS]) - 1)
            m.index[c, 0, n] = x & m.size[X.POOL_MASK]
            m.index[c, 1, n] = count
            m.index[c, 2, n] = z & 3
            if min((x & m.size[X.POOL_MASK]) + count, m.size[X.POOL_MASK] + 1) > m.pool.shape[2]:
                return k
        elif op == OP_LOCAL:
            write_route(m, c, b, x & 7, y, z, w)
        elif op == OP_GLOBAL:
            write_route(m, c, b, LOCAL_SLOTS + (x & 3), y, z, w)
        elif op == OP_DELAY:
            if (b & m.size[X.POOL_MASK]) >= m.pool.shape[2]:
                return k
            m.pool[c, S.DELAY, b & m.size[X.POOL_MASK]] = x & 63
        elif op == OP_PROGRAM:
            write_word(m, c, b, (x & 0xFFFF) << 16 | y & 0xFFFF)
        else:
            write_parameter(m, c, b, x, y)
    return operations.shape[0]


#: Power-up programs: X = R5 (weight) for pair learning, R8 (eligibility) for three factors.
_POWER_UP = (
    (0, (0xC0000000, 0xD0000000, 0x4B006000, 0x255B0000, 0x8B000000, 0x655B0000, 0x8B0007D0, 0x755B0000, 0x90000000)),
    (64, (0xC0000000, 0xD0000000, 0x4B006000, 0x155B0000, 0x8B000000, 0x655B0000, 0x8B0007D0, 0x755B0000, 0x90000000)),
    (128, (0xC0000000, 0xD0000000, 0x4B006000, 0x288B0000, 0x8B00FC18, 0x688B0000, 0x8B0003E8, 0x788B0000, 0xA0000000)),
    (192, (0xC0000000, 0xD0000000, 0x4B006000, 0x188B0000, 0x8B00FC18, 0x688B0000, 0x8B0003E8, 0x788B0000, 0xA0000000)),
)
POWER_UP = {at + k: word for at, words in _POWER_UP for k, word in enumerate((*words, 0xD0000000))}


def make_machine(sizes: np.ndarray, pool: int, *, hardware: bool = False) -> Machine:
    """A chip after power-up. `hardware`: memories at zero, as without the RTL's SIMULATION define.

    Parameters
    ----------
    sizes : (X.COUNT,) int64
    pool : int
        Pool addresses that are held (the engine grows it).
    """
    c, n, fan = (int(sizes[k]) for k in (X.CORES, X.PLACES, X.FAN_IN))
    m = Machine(
        size=sizes,
        neuron=np.zeros((c, NEURON_ROWS, n), np.int32),
        param=np.zeros((c, PARAM_ROWS, n), np.int32),
        pool=np.zeros((c, S.ROWS, pool), np.int16),
        index=np.zeros((c, 3, n), np.int32),
        reverse=np.full((c, n, fan, 2), -1, np.int32),
        reverse_next=np.zeros((c, n), np.uint8),
        route=np.zeros((c, n, SLOTS, 4), np.int32),
        program=np.zeros((c, PC_COUNT, 6), np.int32),
        axon=np.zeros((c, 32), np.int32),
        queue=np.zeros((c, DEPTH, DEPTH, 3), np.int32),
        queued=np.zeros((c, DEPTH), np.int32),
        fifo=np.zeros((c, 2, DEPTH, 2), np.int32),
        reg=np.zeros((c, REGISTERS), np.int64),
        tally=np.zeros((c, TALLIES), np.int64),
        spiked=np.zeros((c, n), np.int32),
        pulse=np.zeros((c, int(sizes[X.NEURONS]), 3), np.int32),
        debug=np.zeros((c, DEPTH, 2), np.int32),
        scratch=np.zeros((c, 16), np.int32),
        chip=np.zeros(C.REGISTERS, np.int64),
        inject=np.zeros((512, 3), np.int32),
    )
    m.reg[:, R.LFSR], m.reg[:, R.INTERVAL], m.reg[:, R.PASSES], m.reg[:, R.REWARD_TAU] = 0xACE1, 1, 1, 4
    m.param[:, P.PARENT], m.param[:, P.ROOT] = n - 1, 1
    if not hardware:
        m.neuron[:, N.THR], m.param[:, P.LEAK], m.param[:, P.PERIOD] = 1000, 3, 3
        m.param[:, P.TAU], m.param[:, P.TAU + 1] = 3, 4
        m.param[:, P.VMIN], m.param[:, P.VMAX] = -32768, 32767
        for core in range(c):
            for address, word in POWER_UP.items():
                write_word(m, core, address, word)
    return m
