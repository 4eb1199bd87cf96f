"""One timestep of one core, in the order of the hardware, with its cycles."""

from __future__ import annotations

from numba import njit

from chipsim.kernels.jit import INNER

from .deliver import deliver, drain
from .learn import decayed_reward, eligibility, learn
from .rows import DEPTH, LEARN, SKIP_IDLE, THREE_FACTOR, C, R
from .state import wrap16
from .update import collect, update


@njit(**INNER)
def step_core(m, c, flags):
    """Drain delays, deliver, update, learn, end. Returns the cycles T; root spikes are in `m.pulse[c]`.

    -1 if a learning program does not halt.
    """
    reg = m.reg[c]
    reg[R.PULSES] = 0
    cycle = 1 + 4 * drain(m, c)
    cycle += deliver(m, c, flags) + 1
    for _ in range(reg[R.PASSES]):
        cycle = update(m, c, flags, cycle)
    spiked = collect(m, c)
    if reg[R.EPOCH] == 0 and not (flags & SKIP_IDLE and spiked == 0):
        if flags & LEARN:
            taken = learn(m, c, flags, spiked)
            if taken < 0:
                return -1
            cycle += taken
        if flags & THREE_FACTOR:
            cycle += eligibility(m, c)
    _end(reg, m.chip[C.REWARD])
    reg[R.CYCLES] = (reg[R.CYCLES] + cycle + 1) & 0xFFFFFFFF
    reg[R.SYNOPS] &= 0xFFFFFFFF
    return cycle + 1


@njit(**INNER)
def _end(reg, reward):
    reg[R.SIDE] = 1 - reg[R.SIDE]
    reg[R.WAITING] = min(reg[R.PULSES], DEPTH)
    reg[R.SLOT] = (reg[R.SLOT] + 1) & 63
    if reg[R.INTERVAL] != 0 and reg[R.EPOCH] >= reg[R.INTERVAL] - 1:
        reg[R.EPOCH] = reg[R.TSIE] = 0
    else:
        reg[R.EPOCH] = (reg[R.EPOCH] + 1) & 255
        reg[R.TSIE] = (reg[R.TSIE] + 1) & 255
    reg[R.REWARD] = wrap16(decayed_reward(reg[R.REWARD], reg[R.REWARD_TAU]) + reward)
    reg[R.STEPS] += 1
