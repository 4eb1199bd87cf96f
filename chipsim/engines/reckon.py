"""Engine of ReckOn: the network, its state and its random streams, run tick by tick, bit for bit and cycle for cycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels import lfsr
from kernels import reckon_state as rk
from kernels.reckon import run_ticks

from ..errors import RunError
from ..native.reckon import INPUTS, NEURONS, OUTPUTS, Memories, Registers, leak_factor

CYCLES = ("step", "sdone", "tar", "eprop", "send", "cnt", "evt", "supp")
ACCESS = ("neur_read", "neur_write", "winp_read", "winp_write", "wrec_read", "wrec_write", "wout_read", "wout_write")

# seed register -> (first row of the streams, registers it seeds, bits of each, values after reset)
_SEEDS: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    "SEED_INP": (rk.S_WINP, 1, 25, (0x0000001,)),
    "SEED_REC": (rk.S_WREC, 1, 25, (0x0424242,)),
    "SEED_OUT": (rk.S_WOUT, 1, 22, (0x000001,)),
    "SEED_STRND_NEUR": (rk.S_U, 2, 15, (0x1234, 0x70F0)),
    "SEED_STRND_ONEUR": (rk.S_OUT, 1, 15, (0x7ABA,)),
    "SEED_STRND_TINP": (rk.S_TINP, 2, 15, (0x1348, 0x7FCF)),
    "SEED_STRND_TREC": (rk.S_TREC, 2, 15, (0x4321, 0x7BEA)),
    "SEED_STRND_TOUT": (rk.S_TOUT, 2, 15, (0x3FF3, 0x7EF0)),
    "SEED_NOISE_NEUR": (rk.S_NOISE, 1, 17, (0x1F0F1,)),
}
# name -> (stream row, registers, bits put out at once): the random words visible in the chip
LFSR_OUTPUTS: dict[str, tuple[int, int, int]] = {
    "winp": (rk.S_WINP, 1, 512),
    "wrec": (rk.S_WREC, 1, 512),
    "wout": (rk.S_WOUT, 1, 448),
    "noise": (rk.S_NOISE, 1, 32),
    "u": (rk.S_U, 2, 15),
    "ou": (rk.S_OUT, 1, 7),
    "ti": (rk.S_TINP, 2, 15),
    "tr": (rk.S_TREC, 2, 15),
    "to": (rk.S_TOUT, 2, 7),
}


def seed_window(seed: int, length: int, now: tuple[int, ...], past: tuple[int, ...]) -> int:
    """Next `length` bits of the stream from a register value.

    `now` gives, for register bits 0, 1, ... the stream bit they hold (0 = s[T]); `past` likewise for the following
    register bits, counted back from T (1 = s[T-1]). The register holds no bit before s[T-length+len(now)].
    """
    held = {t: (seed >> b) & 1 for b, t in enumerate(now)}
    held.update({-t: (seed >> (len(now) + b)) & 1 for b, t in enumerate(past)})
    tap = {25: 3, 17: 3, 22: 1, 15: 1}[length]
    for t in range(length):
        if t not in held:
            held[t] = held[t - tap] ^ held[t - length]
    return sum(held[t] << t for t in range(length))


def _window(register: str, seed: int) -> int:
    """Stream window of one shift register from the value of its seed register."""
    _, _, length, _ = _SEEDS[register]
    if register in ("SEED_INP", "SEED_REC", "SEED_NOISE_NEUR"):
        return seed_window(seed, length, (0, 1, 2), tuple(range(length - 3, 0, -1)))
    if register in ("SEED_STRND_ONEUR", "SEED_STRND_TOUT"):
        order = [0] + [t for i in range(7) for t in (-14 + i, -7 + i)]
        return seed_window(seed, length, tuple(order), ())
    return seed_window(seed, length, (0,), tuple(range(length - 1, 0, -1)))


@dataclass(frozen=True)
class ReckonRun:
    """What a run of t ticks left behind (plain arrays; n = logged neurons).

    Attributes
    ----------
    has_step
        (t,) bool, False on the first tick of a sample.
    spikes
        (t, n) bool, recurrent spikes.
    out_step, out_end
        (t, 16) int16, output membranes after the leak, and when the chip was ready again.
    learning_signals
        (t, 16) int16, learning signal registers at the end of the tick.
    passes
        (t,) int32, event passes.
    cycles, access
        dict of (t,) int32: clock cycles per controller state, memory accesses.
    sent
        (t, 32) int16, bytes sent, padded with -1.
    effects
        dict of int: what the chip does silently (events ignored, saturations, ...) and weights moved.
    snapshots
        dict of (t, n) arrays ``u_after_step`` ... ``dirty_end`` when asked for, else empty.
    """

    has_step: np.ndarray
    spikes: np.ndarray
    out_step: np.ndarray
    out_end: np.ndarray
    learning_signals: np.ndarray
    passes: np.ndarray
    cycles: dict[str, np.ndarray]
    access: dict[str, np.ndarray]
    sent: np.ndarray
    effects: dict[str, int]
    snapshots: dict[str, np.ndarray]

    @property
    def busy_cycles(self) -> np.ndarray:
        """(t,) int64, clock cycles of each tick, waiting for the next tick not included."""
        return np.sum(list(self.cycles.values()), axis=0, dtype=np.int64)

    @property
    def inferences(self) -> np.ndarray:
        """First byte of every transfer, in order: with SEND_LABEL_ONLY the label of each sample."""
        first = self.sent[:, 0]
        return first[first >= 0].astype(np.int64)


def stimulus(
    events: Iterable[Iterable[int]] | np.ndarray | tuple[np.ndarray, np.ndarray],
    *,
    last: np.ndarray | None = None,
    target_valid: np.ndarray | bool = False,
    infer_acc: np.ndarray | bool = False,
    label: np.ndarray | None = None,
    answer: np.ndarray | int | None = None,
    target: np.ndarray | None = None,
    target_given: np.ndarray | None = None,
) -> rk.Stimulus:
    """What arrives at the pins during t ticks.

    Parameters
    ----------
    events
        Input events sent before each tick: (t, inputs) bool array, or ``(ev_ptr (t+1,), ev_addr (e,))``, or a list
        of t lists of addresses.
    last
        (t,) bool, SAMPLE low: the sample ends with this tick (default: only the final tick).
    target_valid, infer_acc
        (t,) bool or one bool: pin levels.
    label
        (t,) int, class label sent before tick k, -1 none.
    answer
        Class label sent when the chip asks in tick k: (t,) int, -1 none; or one label for the whole run.
    target, target_given
        (t, outputs) int16 regression targets and (t,) bool whether the host answers a request.

    Raises
    ------
    RunError
        Addresses outside 0 .. 255, labels outside 0 .. 15, targets beyond 16 bits, or lengths that differ.
    """
    ptr, addr = _events(events)
    ticks = ptr.size - 1
    ends = np.zeros(ticks, np.uint8)
    if last is None and ticks:
        ends[-1] = 1
    given = np.ones(ticks, np.uint8) if target is not None and target_given is None else target_given
    goals = np.zeros((ticks, OUTPUTS), np.int16)
    if target is not None:
        values = np.asarray(target)
        if values.ndim != 2 or values.shape[0] != ticks or values.shape[1] > OUTPUTS:
            raise RunError(f"targets: expected ({ticks}, up to {OUTPUTS}), got {values.shape}")
        if values.size and (values.min() < -32768 or values.max() > 32767):
            raise RunError(f"targets {values.min()} .. {values.max()} do not fit 16 bits")
        goals[:, : values.shape[1]] = values
    return rk.Stimulus(
        ptr,
        addr,
        ends if last is None else _levels("last", last, ticks),
        _levels("target_valid", target_valid, ticks),
        _levels("infer_acc", infer_acc, ticks),
        _labels("label", -1 if label is None else label, ticks),
        _labels("answer", -1 if answer is None else answer, ticks),
        goals,
        _levels("target_given", False if given is None else given, ticks),
    )


def _levels(name: str, values: Any, ticks: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim and array.shape != (ticks,):
        raise RunError(f"{name}: expected one value or {ticks} (one per tick), got shape {array.shape}")
    return np.ascontiguousarray(np.broadcast_to(array != 0, (ticks,))).astype(np.uint8)


def _labels(name: str, values: Any, ticks: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim and array.shape != (ticks,):
        raise RunError(f"{name}: expected one value or {ticks} (one per tick), got shape {array.shape}")
    if array.size and (array.min() < -1 or array.max() > 15):
        raise RunError(f"{name} {array.max() if array.max() > 15 else array.min()} is outside 0 .. 15 (4 bits; -1: none)")
    return np.ascontiguousarray(np.broadcast_to(array, (ticks,))).astype(np.int16)


def _events(events: Any) -> tuple[np.ndarray, np.ndarray]:
    """Events as (pointers int64, addresses uint8)."""
    if isinstance(events, np.ndarray) and events.ndim == 2:
        ticks, addresses = np.nonzero(events)
        counts = np.bincount(ticks, minlength=events.shape[0])
        ptr, addr = np.concatenate([[0], np.cumsum(counts)]), addresses
    elif isinstance(events, tuple):
        ptr, addr = np.asarray(events[0]), np.asarray(events[1])
        if ptr.ndim != 1 or ptr.size < 1 or ptr[0] != 0 or ptr[-1] != addr.size or np.any(np.diff(ptr) < 0):
            raise RunError(f"event pointers must rise from 0 to the number of events ({addr.size})")
    else:
        lists = [np.asarray(list(e), np.int64) for e in events]
        ptr = np.concatenate([[0], np.cumsum([e.size for e in lists])])
        addr = np.concatenate(lists) if lists else np.zeros(0, np.int64)
    if addr.size and (addr.min() < 0 or addr.max() >= INPUTS):
        bad = addr.max() if addr.max() >= INPUTS else addr.min()
        raise RunError(f"input event address {bad} is outside 0 .. {INPUTS - 1} (8-bit event word)")
    return ptr.astype(np.int64), addr.astype(np.uint8)


class ReckonEngine:
    """One ReckOn: registers, memories, state. Running 2 x 100 ticks equals running 200.

    Parameters
    ----------
    registers, memories
        What is programmed before the run.
    """

    def __init__(self, registers: Registers, memories: Memories | None = None) -> None:
        self.registers = registers
        self.memories = memories or Memories()
        self.reset()

    def reset(self) -> None:
        """Everything as after programming: memories, flags, random streams."""
        self._state = rk.make_state()
        self._streams = lfsr.make_streams(rk.TAPS)
        self._scratch = rk.make_scratch()
        st, mem = self._state, self.memories
        for name in ("u", "tinp", "trec", "tout", "winp", "wrec", "wout"):
            getattr(st, name)[...] = getattr(mem, name)
        st.thr[:] = np.repeat(mem.thr.astype(np.int32), 2)
        self._apply_leak()
        self._seed(_SEEDS)

    def _apply_leak(self) -> None:
        self._state.alpha[:] = np.repeat(leak_factor(self.registers, self.memories), 2)

    def _seed(self, names: Iterable[str]) -> None:
        """(Re)load shift registers: from the seed register, or their reset value where it is None."""
        for name in names:
            row, count, bits, resets = _SEEDS[name]
            value = getattr(self.registers, name)
            for n in range(count):
                part = resets[n] if value is None else (value >> (bits * n)) & ((1 << bits) - 1)
                lfsr.load_window(self._streams, row + n, _window(name, part))

    def configure(self, **changes: int) -> None:
        """Write configuration registers between ticks; writing a seed restarts its random stream at once."""
        self.registers = self.registers.with_(**changes)
        if "ALPHA_CONF" in changes:
            self._apply_leak()
        self._seed(name for name in changes if name in _SEEDS)

    def run(self, stim: rk.Stimulus, *, neurons: int | None = None, snapshots: bool = False) -> ReckonRun:
        """Run all ticks of `stim` (see `stimulus`).

        Parameters
        ----------
        neurons
            How many recurrent neurons to log (default: NUM_REC_NEUR + 1).
        snapshots
            Also keep the raw neuron memory after the step and at the end of every tick.

        Raises
        ------
        RunError
            A learning tick without a label or target, LOCAL_TICK = 1, or EN_CONF = 1.
        """
        self._check_runnable()
        count = self.registers.NUM_REC_NEUR + 1 if neurons is None else neurons
        if not 1 <= count <= NEURONS:
            raise RunError(f"neurons to log: {count} is outside 1 .. {NEURONS}")
        log = rk.make_log(stim.last.size, count, snapshots)
        done, why = run_ticks(self.config(), self._state, self._streams, self._scratch, stim, log)
        if why:
            what, arg = ("a label", "answer=") if why == 1 else ("regression targets", "target=")
            raise RunError(
                f"tick {done}: the chip learns (DO_EPROP = {self.registers.DO_EPROP}) and asks for {what}, but none is "
                f"given; pass {arg}, or set DO_EPROP = 0"
            )
        return _as_run(log)

    def _check_runnable(self) -> None:
        if self.registers.LOCAL_TICK:
            raise RunError("register LOCAL_TICK = 1: a sample never starts on this chip; use external ticks (0)")
        if self.registers.EN_CONF:
            raise RunError("register EN_CONF = 1: the chip stays in its configuration state; set it to 0")

    def config(self) -> rk.Config:
        """The registers in the form the kernels take."""
        r = self.registers
        i, n, o = r.NUM_INP_NEUR, r.NUM_REC_NEUR, r.NUM_OUT_NEUR
        return rk.Config(
            i, n, o, max(i, n), max(i, n, o), r.RST_MODE, r.DO_EPROP, r.FP_LOC_WINP, r.FP_LOC_WREC, r.FP_LOC_WOUT,
            r.FP_LOC_TINP, r.FP_LOC_TREC, r.FP_LOC_TOUT, r.LEARN_SIG_SCALE, r.REGUL_MODE, r.REGUL_W,
            r.EN_STOCH_ROUND, r.REGRESSION, r.SINGLE_LABEL, r.NO_OUT_ACT, r.SEND_PER_TIMESTEP, r.SEND_LABEL_ONLY,
            r.NOISE_EN, r.NOISE_STR, r.FORCE_TRACES, r.KAPPA, r.THR_H_0, r.THR_H_1, r.THR_H_2, r.THR_H_3,
            r.H_0, r.H_1, r.H_2, r.H_3, r.H_4, r.LR_R_WINP, r.LR_P_WINP, r.LR_R_WREC, r.LR_P_WREC,
            r.LR_R_WOUT, r.LR_P_WOUT, r.REGUL_F0, r.REGUL_K_INP_R, r.REGUL_K_INP_P, r.REGUL_K_REC_R,
            r.REGUL_K_REC_P, r.REGUL_K_MUL,
        )  # fmt: skip

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies of the input, recurrent and output weights, [pre, post], cut to the enabled layers."""
        r, st = self.registers, self._state
        i, n, o = r.NUM_INP_NEUR + 1, r.NUM_REC_NEUR + 1, r.NUM_OUT_NEUR + 1
        return st.winp[:i, :n].copy(), st.wrec[:n, :n].copy(), st.wout[:n, :o].copy()

    def memory(self, name: str) -> np.ndarray:
        """Copy of one memory as it is now: thr, winp, wrec, wout, u, tinp, trec or tout (full size, raw)."""
        names = ("thr", "winp", "wrec", "wout", "u", "tinp", "trec", "tout")
        if name not in names:
            raise RunError(f"ReckOn has no memory {name!r}; it has {', '.join(names)}")
        array = getattr(self._state, name)
        return array[::2].astype(np.int16) if name == "thr" else array.copy()

    def lfsr_outputs(self) -> dict[str, np.ndarray]:
        """Random words the chip's shift registers show now: uint32 words, low bits first."""
        out = {}
        for name, (row, count, bits) in LFSR_OUTPUTS.items():
            words = [lfsr.output_words(self._streams, row + n, bits) for n in range(count)]
            out[name] = np.concatenate(words)
        return out

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint: copies of all state arrays and of the random streams."""
        saved = {f"state.{k}": v.copy() for k, v in self._state._asdict().items()}
        saved.update({f"streams.{k}": v.copy() for k, v in self._streams._asdict().items()})
        saved["learning.reg"] = self._scratch.reg.copy()
        return saved

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint made by `state` (same registers).

        Raises
        ------
        RunError
            A checkpoint that lacks an array or has another shape.
        """
        targets = {f"state.{k}": v for k, v in self._state._asdict().items()}
        targets.update({f"streams.{k}": v for k, v in self._streams._asdict().items()})
        targets["learning.reg"] = self._scratch.reg
        for name, array in targets.items():
            if name not in saved or np.shape(saved[name]) != array.shape:
                raise RunError(f"checkpoint of ReckOn: array {name} of shape {array.shape} is missing or differs")
        for name, array in targets.items():
            array[...] = saved[name]


def _as_run(log: rk.Log) -> ReckonRun:
    snaps = {}
    if log.snap_u.shape[1]:
        for which, when in enumerate(("after_step", "end")):
            snaps[f"u_{when}"] = log.snap_u[which]
            for t, trace in enumerate(("tinp", "trec", "tout")):
                snaps[f"{trace}_{when}"] = log.snap_trace[which, t]
            snaps[f"dirty_{when}"] = log.snap_dirty[which]
    return ReckonRun(
        log.has_step != 0,
        log.spikes != 0,
        log.out_step,
        log.out_end,
        log.lsig,
        log.npass,
        {name: log.cycles[:, c] for c, name in enumerate(CYCLES)},
        {name: log.access[:, c] for c, name in enumerate(ACCESS)},
        log.sent,
        dict(zip(rk.EFFECTS, (int(v) for v in log.effects))),
        snaps,
    )
