"""What goes into and comes out of a ReckOn run: pins tick by tick, and the record of what happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.checks import integers, numbers, shown
from chipsim.errors import RunError
from chipsim.kernels.chips.reckon import state as rk
from chipsim.native.reckon.registers import INPUTS, OUTPUTS

CYCLES = ("step", "sdone", "tar", "eprop", "send", "cnt", "evt", "supp")
ACCESS = (
    "neur_read",
    "neur_write",
    "winp_read",
    "winp_write",
    "wrec_read",
    "wrec_write",
    "wout_read",
    "wout_write",
)


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
        return np.stack(list(self.cycles.values())).sum(axis=0, dtype=np.int64)

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
        Input events sent before each tick: (t, inputs) bool array, or ``(ev_ptr (t+1,), ev_addr (e,))``, or a
        list
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
    ptr, addr = _as_events(events)
    ticks = ptr.size - 1
    ends = np.zeros(ticks, np.uint8)
    if last is None and ticks:
        ends[-1] = 1
    given = np.ones(ticks, np.uint8) if target is not None and target_given is None else target_given
    goals = np.zeros((ticks, OUTPUTS), np.int16)
    if target is not None:
        values = integers(target, "targets (16 bits):", -32768, 32767, RunError)
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
    array = numbers(values, name, RunError)
    if array.ndim and array.shape != (ticks,):
        raise RunError(f"{name}: expected one value or {ticks} (one per tick), got shape {array.shape}")
    return np.ascontiguousarray(np.broadcast_to(array != 0, (ticks,))).astype(np.uint8)


def _labels(name: str, values: Any, ticks: int) -> np.ndarray:
    array = numbers(values, name, RunError)
    if array.dtype.kind == "f":
        array = integers(array, name, -1, 15, RunError)
    if array.ndim and array.shape != (ticks,):
        raise RunError(f"{name}: expected one value or {ticks} (one per tick), got shape {array.shape}")
    if array.size and (array.min() < -1 or array.max() > 15):
        raise RunError(
            f"{name} {array.max() if array.max() > 15 else array.min()} is outside 0 .. 15 (4 bits; -1: none)"
        )
    return np.ascontiguousarray(np.broadcast_to(array, (ticks,))).astype(np.int16)


def spike_events(spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(t, n) spikes as events: pointers (t+1,) int64 and addresses (e,), ascending within a tick."""
    ticks, addresses = np.nonzero(spikes)
    counts = np.bincount(ticks, minlength=spikes.shape[0])
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), addresses


def event_spikes(ptr: np.ndarray, addr: np.ndarray, n: int) -> np.ndarray:
    """Events as (t, n) bool spikes (inverse of `spike_events`; repeats within a tick merge, as on the
    chip)."""
    spikes = np.zeros((len(ptr) - 1, n), bool)
    spikes[np.repeat(np.arange(len(ptr) - 1), np.diff(ptr)), addr] = True
    return spikes


def _as_events(events: Any) -> tuple[np.ndarray, np.ndarray]:
    """Events as (pointers int64, addresses uint8)."""
    if isinstance(events, np.ndarray) and events.ndim == 2:
        ptr, addr = spike_events(events)
    elif isinstance(events, tuple):
        if len(events) != 2:
            raise RunError(f"events are (pointers, addresses), not {len(events)} things")
        ptr = integers(events[0], "event pointers", 0, 2**62, RunError)
        addr = integers(events[1], "input event address", -(2**31), 2**31 - 1, RunError).reshape(-1)
        if ptr.ndim != 1 or ptr.size < 1 or ptr[0] != 0 or ptr[-1] != addr.size or np.any(np.diff(ptr) < 0):
            raise RunError(f"event pointers must rise from 0 to the number of events ({addr.size})")
    else:
        try:
            lists = [integers(list(e), "input event address", -(2**31), 2**31 - 1, RunError) for e in events]
        except TypeError:
            raise RunError(
                f"events are (t, inputs) spikes, (pointers, addresses) or lists, not {shown(events)}"
            ) from None
        ptr = np.concatenate([[0], np.cumsum([e.size for e in lists])])
        addr = np.concatenate(lists) if lists else np.zeros(0, np.int64)
    if addr.size and (addr.min() < 0 or addr.max() >= INPUTS):
        bad = addr.max() if addr.max() >= INPUTS else addr.min()
        raise RunError(f"input event address {bad} is outside 0 .. {INPUTS - 1} (8-bit event word)")
    return ptr.astype(np.int64), addr.astype(np.uint8)


def as_run(log: rk.Log) -> ReckonRun:
    """The kernels' log as a record with names."""
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
