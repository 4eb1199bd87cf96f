"""The phenomenological (Izhikevich-behaviour) neuron of ODIN: one event on one neuron.

A neuron is a row of parameters `p` (int64, one per register) and a row of state `s`; both are indexed by the
register names below. All 4-bit quantities wrap modulo 16, the input accumulator modulo 2048; `CORE` is a 4-bit
two's complement number. Each function is one block of the neuron, in the order in which the values flow.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

TREF, EXC, INH = 0, 1, 2  #: kinds of event a neuron sees
POS, NEG, ZERO_TO_P, ZERO_TO_N = 0, 1, 2, 3  #: sign of the resonance
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}

#: name: (lowest bit, bits) of every register in the 128-bit word; state begins at bit 70, the rest is kept.
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
    "caleak_cnt": (119, 5), "burst_lock": (124, 1),
}  # fmt: skip
PARAMETERS = tuple(name for name, (low, _) in FIELDS.items() if low < 70)
STATES = tuple(name for name, (low, _) in FIELDS.items() if low >= 70)

(LEAK_STR, LEAK_EN, FI_SEL, SPK_REF, ISI_REF, RESON_SHARP_EN, THR, RFR, DAPDEL, SPKLAT_EN, DAP_EN, STIM_THR,
 PHASIC_EN, MIXED_EN, CLASS2_EN, NEG_EN, REBOUND_EN, INHIN_EN, BIST_EN, RESON_EN, THRVAR_EN, THR_SEL_OF, THRLEAK,
 ACC_EN, CA_EN, THETAMEM, CA_THETA1, CA_THETA2, CA_THETA3, CALEAK, BURST_INCR, RESON_SHARP_AMT) = range(32)  # fmt: skip
(INACC, REFRAC, CORE, DAPDEL_CNT, STIM_STR, STIM_STR_TMP, PHASIC_LOCK, MIXED_LOCK, SPKOUT_DONE, STIM0_PREV,
 INHEXC_PREV, BIST_LOCK, INHIN_LOCK, RESON_SIGN, THRMOD, THRLEAK_CNT, CALCIUM, CALEAK_CNT,
 BURST_LOCK) = range(19)  # fmt: skip


class Stimulus(NamedTuple):
    """Strength of the stimulation of this and of the last time-reference interval, as it was before the event."""

    above: bool  # last interval, excitatory, at least stim_thr
    above_now: bool  # this interval
    zero: bool  # a time reference after an interval without stimulation
    lone_exc: bool  # an isolated excitatory spike came before that interval
    lone_inh: bool


@njit(**_JIT)
def accumulate(p, s, kind, weight):
    """Next input accumulator, and whether its selected bit toggled (a membrane tick)."""
    old = s[INACC]
    new = old
    if kind == TREF:
        if p[LEAK_EN]:
            new = old - p[LEAK_STR]
    elif kind == EXC:
        new = old + weight
    else:
        new = old - weight
    new &= 2047
    return new, (old ^ new) >> (3 + p[FI_SEL]) & 1 == 1


@njit(**_JIT)
def stimulus(p, s, kind):
    """Stimulation strength, counted in ticks between time references, judged before the event."""
    strength, now = s[STIM_STR], s[STIM_STR_TMP]
    zero = kind == TREF and now == 0
    fresh = zero and s[STIM0_PREV] < 2
    return Stimulus(
        strength < 8 and strength >= p[STIM_THR],
        now < 8 and now >= p[STIM_THR],
        zero,
        fresh and s[INHEXC_PREV] & 1 == 1,
        fresh and s[INHEXC_PREV] & 2 == 2,
    )


@njit(**_JIT)
def store_stimulus(p, s, kind, tick, above_now):
    """Count a tick, or close the interval at a time reference."""
    now = s[STIM_STR_TMP]
    if kind == TREF:
        below_now = now >= 8 and 16 - now >= p[STIM_THR]
        s[STIM_STR] = now
        s[STIM0_PREV] = (s[STIM0_PREV] & 1) << 1 | (1 if now != 0 else 0)
        s[INHEXC_PREV] = (2 if below_now else 0) | (1 if above_now else 0)
        s[STIM_STR_TMP] = 0
    elif kind == EXC and tick and now != 7:
        s[STIM_STR_TMP] = (now + 1) & 15
    elif kind == INH and tick and now != 9:
        s[STIM_STR_TMP] = (now - 1) & 15


@njit(**_JIT)
def resonate(core, sign, up):
    """One tick of a resonator: away from zero in the stimulus' phase, toward zero against it (`up`: excitatory)."""
    if (sign in (POS, ZERO_TO_P)) == up:
        return core if core == 7 else (core + 1) & 15
    return core if core == 0 else (core - 1) & 15


@njit(**_JIT)
def at_reference(p, s, core, tick):
    """Core at a time reference: leak, refractory recovery, accommodation, or end of a depolarised after-potential."""
    if p[RESON_EN]:
        return (core - 1) & 15 if s[RESON_SIGN] == ZERO_TO_N else core
    if s[REFRAC]:
        return core if s[BURST_LOCK] else (core + 1) & 15
    if p[ACC_EN]:
        return core if s[SPKOUT_DONE] else (core - s[STIM_STR_TMP]) & 15
    if p[DAP_EN] and s[DAPDEL_CNT] == 1 and core != 0:
        return 0
    if tick and core != 0:
        return (core + 1) & 15 if core >= 8 else core - 1
    return core


@njit(**_JIT)
def membrane(p, s, kind, tick, stim):
    """Core before the firing test."""
    core = s[CORE]
    if (p[SPKLAT_EN] and s[DAPDEL_CNT] != 0) or (s[PHASIC_LOCK] and core == 0):
        return core
    if kind == TREF:
        return at_reference(p, s, core, tick)
    if not tick:
        return core
    if p[RESON_EN]:
        return resonate(core, s[RESON_SIGN], kind == EXC)
    if s[REFRAC]:
        return core
    if kind == INH:
        floor = 8 if p[NEG_EN] else 0
        return core if core == floor else (core - 1) & 15
    if p[CLASS2_EN] and not stim.above and not stim.above_now:
        return core
    return core if core == 7 else (core + 1) & 15


@njit(**_JIT)
def resonance_sign(p, s, kind, core):
    """Next sign of the resonance before firing; `core` is the value before the firing test."""
    sign = s[RESON_SIGN]
    if not p[RESON_EN]:
        return POS
    if kind != TREF:
        return sign
    if s[CORE] == 0:
        return POS
    if sign == POS:
        return ZERO_TO_N
    if sign == NEG:
        return ZERO_TO_P
    if sign == ZERO_TO_P:
        return POS
    return POS if core == 0 else NEG


@njit(**_JIT)
def fires(p, s, kind, tick, stim, core, threshold, sign):
    """The firing test: equality with the threshold, unless an enabled behaviour replaces it."""
    hit = core == threshold
    count = s[DAPDEL_CNT]
    if p[RESON_SHARP_EN]:
        return kind == EXC and tick and count == p[RESON_SHARP_AMT]
    if p[SPKLAT_EN]:
        return kind == TREF and count == 1
    if p[REBOUND_EN]:
        return stim.lone_inh or hit
    if p[BIST_EN]:
        block = s[BIST_LOCK]
        return (block == 0 and stim.lone_exc) or (block == 1 and core == 0) or hit
    if s[INHIN_LOCK]:
        return core == 0
    if p[RESON_EN]:
        return sign == POS and hit
    return hit


@njit(**_JIT)
def delay_counter(p, s, kind, tick, core, threshold, spike):
    """Next counter of the after-potential, spike latency, or sharp resonance."""
    count = s[DAPDEL_CNT]
    if p[RESON_SHARP_EN]:
        if kind == TREF:
            return min(count + 1, 7)
        return 0 if kind == EXC and tick else count
    latent = p[SPKLAT_EN] == 1 and core == threshold and s[CORE] != threshold
    if latent or (spike and p[DAP_EN] == 1):
        return p[DAPDEL]
    return count - 1 if kind == TREF and count != 0 else count


@njit(**_JIT)
def store_locks(p, s, kind, stim, spike):
    """Phasic and mixed locks, from the state before the event."""
    again = kind == TREF and s[SPKOUT_DONE] == 1 and (s[CORE] == 0 or s[REFRAC] == 1) and stim.above_now
    if again or (spike and (stim.above_now or stim.above)):
        s[PHASIC_LOCK], s[MIXED_LOCK] = p[PHASIC_EN], p[MIXED_EN]
    elif not stim.above:
        s[PHASIC_LOCK], s[MIXED_LOCK] = 0, 0


@njit(**_JIT)
def store_threshold(p, s, kind, tick, threshold, spike, increment):
    """Threshold modifier: accommodation, or variability with its leak; before the stimulus is stored."""
    modifier = s[THRMOD]
    variable = p[THRVAR_EN] == 1
    leak = False
    if variable and p[THRLEAK] != 0 and kind == TREF:
        leak = s[THRLEAK_CNT] == p[THRLEAK] - 1
        s[THRLEAK_CNT] = 0 if leak else (s[THRLEAK_CNT] + 1) & 15
    if p[ACC_EN]:
        if kind == TREF:
            now, base = s[STIM_STR_TMP], p[THR]
            over = (now + base) & 15 >= 8
            modifier = ((7 if now < 8 else 1) - base) & 15 if over else now
    elif variable:
        fast = p[THR_SEL_OF] == 1
        if spike if fast else (kind == EXC and tick):
            if p[BURST_INCR]:
                modifier = 7 if (7 - threshold) & 15 < increment else (modifier + increment) & 15
            elif threshold != 7:
                modifier = (modifier + 1) & 15
        elif not fast and kind == INH and tick:
            if threshold != 1:
                modifier = (modifier - 1) & 15
        elif leak and modifier != 0:
            modifier = (modifier + 1) & 15 if modifier >= 8 else modifier - 1
    s[THRMOD] = modifier


@njit(**_JIT)
def store_calcium(p, s, kind, spike, increment, core):
    """Calcium and its leak counter; returns the two SDSP flags (from the new core and calcium)."""
    if p[CA_EN] == 0:
        return False, False
    level = s[CALCIUM]
    leak = False
    if p[CALEAK] != 0 and kind == TREF:
        leak = s[CALEAK_CNT] == p[CALEAK] - 1
        s[CALEAK_CNT] = 0 if leak else (s[CALEAK_CNT] + 1) & 31
    if spike and not leak:
        level = min(level + (increment if p[BURST_INCR] else 1), 7)
    elif leak and not spike:
        level = max(level - 1, 0)
    s[CALCIUM] = level
    if core >= 8 or p[CA_THETA1] > level:
        return False, False
    high = core >= p[THETAMEM]
    return high and level < p[CA_THETA3], not high and level < p[CA_THETA2]


@njit(**_JIT)
def update(p, s, kind, weight):
    """One event (TREF, EXC or INH with `weight` 0..7): changes `s`, returns whether it fired and the flags UP, DOWN.

    A burst end never comes, because the burst scheduler is not modelled.
    """
    inacc, tick = accumulate(p, s, kind, weight)
    stim = stimulus(p, s, kind)
    old = s[CORE]
    threshold = (p[THR] + s[THRMOD]) & 15
    core = membrane(p, s, kind, tick, stim)
    sign = resonance_sign(p, s, kind, core)
    spike = fires(p, s, kind, tick, stim, core, threshold, sign)
    burst = 0 if s[MIXED_LOCK] else p[SPK_REF]
    increment = burst + (1 if burst != 7 else 0)
    positive = p[DAP_EN] | p[RESON_EN]
    s[DAPDEL_CNT] = delay_counter(p, s, kind, tick, core, threshold, spike)
    store_locks(p, s, kind, stim, spike)
    store_threshold(p, s, kind, tick, threshold, spike, increment)
    store_stimulus(p, s, kind, tick, stim.above_now)
    if p[INHIN_EN] == 1 and s[REFRAC] == 0 and -old & 15 == threshold:
        s[INHIN_LOCK] = 1
    elif stim.zero:
        s[INHIN_LOCK] = 0
    if spike or s[INHIN_LOCK]:
        s[REFRAC] = 1 if p[RFR] != 0 and not positive else 0
    elif core == 0:
        s[REFRAC] = 0
    if p[BIST_EN] == 1 and stim.lone_exc:
        s[BIST_LOCK] ^= 1
    if spike:
        core = p[RFR] if positive else -p[RFR] & 15
        if p[RESON_EN]:
            sign = NEG
        if burst != 0:
            s[BURST_LOCK] = 1
    s[SPKOUT_DONE] = 0 if kind == TREF else (1 if spike else s[SPKOUT_DONE])
    s[INACC], s[CORE], s[RESON_SIGN] = inacc, core, sign
    up, down = store_calcium(p, s, kind, spike, increment, core)
    return spike, up, down
