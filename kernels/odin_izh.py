"""The phenomenological (Izhikevich-behaviour) neuron of ODIN: one event on one 128-bit word.

The word is two uint64 (bits 63..0 and 127..64); parameters are bits 69..1, state bits 124..70. All 4-bit
quantities wrap modulo 16, the input accumulator modulo 2048; `core` is a 4-bit two's complement number.
Each function below is one block of the neuron, in the order in which the values flow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

TREF, EXC, INH = 0, 1, 2  #: kinds of event a neuron sees
POS, NEG, ZERO_TO_P, ZERO_TO_N = 0, 1, 2, 3  #: sign of the resonance
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}

#: name: (lowest bit, bits) of every field; state fields start at bit 70.
FIELDS: dict[str, tuple[int, int]] = {
    "leak_str": (1, 7), "leak_en": (8, 1), "fi_sel": (9, 3), "spk_ref": (12, 3), "isi_ref": (15, 3),
    "reson_sharp_en": (18, 1), "thr": (19, 3), "rfr": (22, 3), "dapdel": (25, 3), "spklat_en": (28, 1),
    "dap_en": (29, 1), "stim_thr": (30, 3), "phasic_en": (33, 1), "mixed_en": (34, 1), "class2_en": (35, 1),
    "neg_en": (36, 1), "rebound_en": (37, 1), "inhin_en": (38, 1), "bist_en": (39, 1), "reson_en": (40, 1),
    "thrvar_en": (41, 1), "thr_sel_of": (42, 1), "thrleak": (43, 4), "acc_en": (47, 1), "ca_en": (48, 1),
    "thetamem": (49, 3), "ca_theta1": (52, 3), "ca_theta2": (55, 3), "ca_theta3": (58, 3), "caleak": (61, 5),
    "burst_incr": (66, 1), "reson_sharp_amt": (67, 3),
    "inacc": (70, 11), "refrac": (81, 1), "core": (82, 4), "dapdel_cnt": (86, 3), "stim_str": (89, 4),
    "stim_str_tmp": (93, 4), "phasic_lock": (97, 1), "mixed_lock": (98, 1), "spkout_done": (99, 1),
    "stim0_prev": (100, 2), "inhexc_prev": (102, 2), "bist_lock": (104, 1), "inhin_lock": (105, 1),
    "reson_sign": (106, 2), "thrmod": (108, 4), "thrleak_cnt": (112, 4), "calcium": (116, 3),
    "caleak_cnt": (119, 5), "burst_lock": (124, 1), "neur_disable": (127, 1),
}  # fmt: skip


class Stimulus(NamedTuple):
    """Strength of the stimulation of this and of the last time-reference interval, and its next state bits."""

    above: bool  # last interval, excitatory, at least stim_thr
    above_now: bool  # this interval
    zero: bool  # a time reference after an interval without stimulation
    lone_exc: bool  # an isolated excitatory spike came before that interval
    lone_inh: bool
    bits: np.uint64  # next stim_str, stim_str_tmp, stim0_prev, inhexc_prev at their places


@njit(inline="always", **_JIT)
def bits(lo, hi, low, width):
    """Field of `width` bits from bit `low` of the word (lo, hi), int64."""
    if low >= 64:
        value = hi >> np.uint64(low - 64)
    elif low + width <= 64:
        value = lo >> np.uint64(low)
    else:
        value = lo >> np.uint64(low) | hi << np.uint64(64 - low)
    return np.int64(value & np.uint64((1 << width) - 1))


@njit(inline="always", **_JIT)
def place(value, low):
    """`value` at bit `low` (>= 64) of the word, as its upper half."""
    return np.uint64(value) << np.uint64(low - 64)


@njit(**_JIT)
def accumulate(lo, hi, kind, weight):
    """Next input accumulator, and whether its selected bit toggled (a membrane tick)."""
    old = bits(lo, hi, 70, 11)
    new = old
    if kind == TREF:
        if bits(lo, hi, 8, 1):
            new = old - bits(lo, hi, 1, 7)
    elif kind == EXC:
        new = old + weight
    else:
        new = old - weight
    new &= 2047
    return new, (old ^ new) >> (3 + bits(lo, hi, 9, 3)) & 1 == 1


@njit(**_JIT)
def stimulus(lo, hi, kind, tick):
    """Stimulation strength, counted in ticks between time references."""
    strength, now = bits(lo, hi, 89, 4), bits(lo, hi, 93, 4)
    prev0, prev = bits(lo, hi, 100, 2), bits(lo, hi, 102, 2)
    limit = bits(lo, hi, 30, 3)
    above = strength < 8 and (strength & 7) >= limit
    above_now = now < 8 and (now & 7) >= limit
    below_now = now >= 8 and 16 - now >= limit
    zero = kind == TREF and now == 0
    fresh = zero and prev0 < 2
    lone_exc, lone_inh = fresh and prev & 1 == 1, fresh and prev & 2 == 2
    if kind == TREF:
        strength = now
        prev0 = (prev0 & 1) << 1 | (1 if now != 0 else 0)
        prev = (2 if below_now else 0) | (1 if above_now else 0)
        now = 0
    elif kind == EXC and tick and now != 7:
        now = (now + 1) & 15
    elif kind == INH and tick and now != 9:
        now = (now - 1) & 15
    packed = place(strength, 89) | place(now, 93) | place(prev0, 100) | place(prev, 102)
    return Stimulus(above, above_now, zero, lone_exc, lone_inh, packed)


@njit(**_JIT)
def resonate(core, sign, up):
    """One tick of a resonator: away from zero in the stimulus' phase, toward zero against it (`up`: excitatory)."""
    rising = (sign == POS or sign == ZERO_TO_P) == up
    if rising:
        return core if core == 7 else (core + 1) & 15
    return core if core == 0 else (core - 1) & 15


@njit(**_JIT)
def at_reference(lo, hi, core, tick):
    """Core at a time reference: leak, refractory recovery, accommodation, or end of a depolarised after-potential."""
    if bits(lo, hi, 40, 1):
        return (core - 1) & 15 if bits(lo, hi, 106, 2) == ZERO_TO_N else core
    if bits(lo, hi, 81, 1):
        return core if bits(lo, hi, 124, 1) else (core + 1) & 15
    if bits(lo, hi, 47, 1):
        return core if bits(lo, hi, 99, 1) else (core - bits(lo, hi, 93, 4)) & 15
    if bits(lo, hi, 29, 1) and bits(lo, hi, 86, 3) == 1 and core != 0:
        return 0
    if tick and core != 0:
        return (core + 1) & 15 if core >= 8 else core - 1
    return core


@njit(**_JIT)
def membrane(lo, hi, kind, tick, stim):
    """Core before the firing test."""
    core = bits(lo, hi, 82, 4)
    if bits(lo, hi, 28, 1) and bits(lo, hi, 86, 3) != 0:
        return core
    if bits(lo, hi, 97, 1) and core == 0:
        return core
    if kind == TREF:
        return at_reference(lo, hi, core, tick)
    if not tick:
        return core
    if bits(lo, hi, 40, 1):
        return resonate(core, bits(lo, hi, 106, 2), kind == EXC)
    if bits(lo, hi, 81, 1):
        return core
    if kind == INH:
        floor = 8 if bits(lo, hi, 36, 1) else 0
        return core if core == floor else (core - 1) & 15
    if bits(lo, hi, 35, 1) and not stim.above and not stim.above_now:
        return core
    return core if core == 7 else (core + 1) & 15


@njit(**_JIT)
def resonance_sign(lo, hi, kind, core):
    """Next sign of the resonance before firing; `core` is the value before the firing test."""
    sign = bits(lo, hi, 106, 2)
    if not bits(lo, hi, 40, 1):
        return POS
    if kind != TREF:
        return sign
    if bits(lo, hi, 82, 4) == 0:
        return POS
    if sign == POS:
        return ZERO_TO_N
    if sign == NEG:
        return ZERO_TO_P
    if sign == ZERO_TO_P:
        return POS
    return POS if core == 0 else NEG


@njit(**_JIT)
def fires(lo, hi, kind, tick, stim, core, threshold, sign):
    """The firing test: equality with the threshold, unless an enabled behaviour replaces it."""
    hit = core == threshold
    count = bits(lo, hi, 86, 3)
    if bits(lo, hi, 18, 1):
        return kind == EXC and tick and count == bits(lo, hi, 67, 3)
    if bits(lo, hi, 28, 1):
        return kind == TREF and count == 1
    if bits(lo, hi, 37, 1):
        return stim.lone_inh or hit
    if bits(lo, hi, 39, 1):
        block = bits(lo, hi, 104, 1)
        return (block == 0 and stim.lone_exc) or (block == 1 and core == 0) or hit
    if bits(lo, hi, 105, 1):
        return core == 0
    if bits(lo, hi, 40, 1):
        return sign == POS and hit
    return hit


@njit(**_JIT)
def delay_counter(lo, hi, kind, tick, core, threshold, spike):
    """Next counter of the after-potential, spike latency, or sharp resonance."""
    count = bits(lo, hi, 86, 3)
    if bits(lo, hi, 18, 1):
        if kind == TREF:
            return min(count + 1, 7)
        return 0 if kind == EXC and tick else count
    latent = bits(lo, hi, 28, 1) == 1 and core == threshold and bits(lo, hi, 82, 4) != threshold
    if latent or (spike and bits(lo, hi, 29, 1) == 1):
        return bits(lo, hi, 25, 3)
    return count - 1 if kind == TREF and count != 0 else count


@njit(**_JIT)
def locks(lo, hi, kind, stim, spike):
    """Next phasic and mixed locks, at their places."""
    enabled = place(bits(lo, hi, 33, 1), 97) | place(bits(lo, hi, 34, 1), 98)
    if spike and (stim.above_now or stim.above):
        return enabled
    resting = bits(lo, hi, 82, 4) == 0 or bits(lo, hi, 81, 1) == 1
    if kind == TREF and bits(lo, hi, 99, 1) == 1 and resting and stim.above_now:
        return enabled
    if not stim.above:
        return np.uint64(0)
    return place(bits(lo, hi, 97, 1), 97) | place(bits(lo, hi, 98, 1), 98)


@njit(**_JIT)
def threshold_modifier(lo, hi, kind, tick, threshold, spike, increment):
    """Next threshold modifier and its leak counter, at their places."""
    modifier, counter = bits(lo, hi, 108, 4), bits(lo, hi, 112, 4)
    leak = False
    variable = bits(lo, hi, 41, 1) == 1
    period = bits(lo, hi, 43, 4)
    if variable and period != 0 and kind == TREF:
        leak = counter == period - 1
        counter = 0 if leak else (counter + 1) & 15
    if bits(lo, hi, 47, 1):
        if kind == TREF:
            now, base = bits(lo, hi, 93, 4), bits(lo, hi, 19, 3)
            over = (now + base) & 15 >= 8
            modifier = (7 - base if now < 8 else 1 - base) & 15 if over else now
    elif variable:
        of = bits(lo, hi, 42, 1) == 1
        if spike if of else (kind == EXC and tick):
            if bits(lo, hi, 66, 1):
                modifier = 7 if (7 - threshold) & 15 < increment else (modifier + increment) & 15
            elif threshold != 7:
                modifier = (modifier + 1) & 15
        elif not of and kind == INH and tick:
            if threshold != 1:
                modifier = (modifier - 1) & 15
        elif leak and modifier != 0:
            modifier = (modifier + 1) & 15 if modifier >= 8 else modifier - 1
    return place(modifier, 108) | place(counter, 112)


@njit(**_JIT)
def calcium(lo, hi, kind, spike, increment, core):
    """Next calcium and its leak counter at their places, and the two SDSP flags (from the new core and calcium)."""
    level, counter = bits(lo, hi, 116, 3), bits(lo, hi, 119, 5)
    up = down = False
    if bits(lo, hi, 48, 1):
        period = bits(lo, hi, 61, 5)
        leak = False
        if period != 0 and kind == TREF:
            leak = counter == period - 1
            counter = 0 if leak else (counter + 1) & 31
        if spike and not leak:
            level = min(level + (increment if bits(lo, hi, 66, 1) else 1), 7)
        elif leak and not spike:
            level = max(level - 1, 0)
        if core < 8 and bits(lo, hi, 52, 3) <= level:
            high = core >= bits(lo, hi, 49, 3)
            up = high and level < bits(lo, hi, 58, 3)
            down = not high and level < bits(lo, hi, 55, 3)
    return place(level, 116) | place(counter, 119), up, down


@njit(**_JIT)
def update(lo, hi, kind, weight):
    """One event on the word (lo, hi): the new upper half, whether it fired, and the UP and DOWN flags.

    `kind` is TREF, EXC or INH, `weight` 0..7. The lower half (parameters) never changes; a burst end never
    comes, because the burst scheduler is not modelled.
    """
    inacc, tick = accumulate(lo, hi, kind, weight)
    stim = stimulus(lo, hi, kind, tick)
    old = bits(lo, hi, 82, 4)
    threshold = (bits(lo, hi, 19, 3) + bits(lo, hi, 108, 4)) & 15
    core = membrane(lo, hi, kind, tick, stim)
    sign = resonance_sign(lo, hi, kind, core)
    spike = fires(lo, hi, kind, tick, stim, core, threshold, sign)
    burst = 0 if bits(lo, hi, 98, 1) else bits(lo, hi, 12, 3)
    increment = burst + (1 if burst != 7 else 0)
    refrac, inhibited = bits(lo, hi, 81, 1), bits(lo, hi, 105, 1)
    if bits(lo, hi, 38, 1) == 1 and refrac == 0 and -old & 15 == threshold:
        inhibited = 1
    elif stim.zero:
        inhibited = 0
    rest, positive = bits(lo, hi, 22, 3), bits(lo, hi, 29, 1) | bits(lo, hi, 40, 1)
    if spike or inhibited:
        refrac = 1 if rest != 0 and not positive else 0
    elif core == 0:
        refrac = 0
    dap = delay_counter(lo, hi, kind, tick, core, threshold, spike)
    if spike:
        core = rest if positive else -rest & 15
        if bits(lo, hi, 40, 1):
            sign = NEG
    block = bits(lo, hi, 104, 1) ^ (1 if bits(lo, hi, 39, 1) == 1 and stim.lone_exc else 0)
    done = 0 if kind == TREF else (1 if spike else bits(lo, hi, 99, 1))
    waiting = 1 if spike and burst != 0 else bits(lo, hi, 124, 1)
    ca, up, down = calcium(lo, hi, kind, spike, increment, core)
    kept = hi & ~(((np.uint64(1) << np.uint64(55)) - np.uint64(1)) << np.uint64(6))
    new = kept | place(inacc, 70) | place(refrac, 81) | place(core, 82) | place(dap, 86) | stim.bits
    new |= locks(lo, hi, kind, stim, spike) | place(done, 99) | place(block, 104) | place(inhibited, 105)
    new |= place(sign, 106) | threshold_modifier(lo, hi, kind, tick, threshold, spike, increment) | ca
    return new | place(waiting, 124), spike, up, down
