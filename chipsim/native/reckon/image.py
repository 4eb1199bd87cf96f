"""From plain arrays to what ReckOn loads: ideal (floats, SI units) or native (integers) networks.

Pure functions; whatever does not fit is refused with the number that is exceeded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import CompileError

from .neurons import ALPHA_MAX, ALPHA_MIN, INPUTS, NEURONS, OUTPUTS
from .registers import Memories, Registers

WEIGHT_MAX, SHIFT_MAX = 127, 7
THRESHOLD_MAX = 4096  #: largest threshold used: an eighth of the membrane's range stays below it
THRESHOLD_MIN = 16  #: below it, weights and leak would be too coarse to mean anything
QUIET = 32767  #: threshold of neurons that are not used


@dataclass(frozen=True, eq=False)
class ReckonImage:
    """What the chip loads, and what its integers mean.

    Attributes
    ----------
    registers, memories
        See `chipsim.native.reckon.registers`.
    unit : (r,) float64
        Ideal membrane units per LSB of each recurrent neuron (1 for native networks).
    out_unit : float
        The same for the output membranes.
    rounding : dict
        Largest rounding error of each weight matrix ("input", "recurrent", "output") in units of the
        threshold
        (outputs: of the largest weight), and of "alpha" and "kappa", relative.
    """

    registers: Registers
    memories: Memories
    unit: np.ndarray
    out_unit: float = 1.0
    rounding: dict[str, float] = field(default_factory=dict)


def _refuse(what: str, resource: str, need: float, limit: float, way_out: str, name: str | None) -> CompileError:
    who = f"population '{name}': " if name else ""
    message = f"{who}ReckOn: {what}: {need:g} exceeds {limit:g}; {way_out}"
    return CompileError(message, population=name, core=0, resource=resource, need=need, limit=limit)


def check_sizes(inputs: int, neurons: int, outputs: int) -> None:
    """Refuse layers larger than the chip's 256-256-16 (CompileError with need and limit)."""
    for what, need, limit in (
        ("input lines", inputs, INPUTS),
        ("recurrent neurons", neurons, NEURONS),
        ("output neurons", outputs, OUTPUTS),
    ):
        if need > limit:
            raise _refuse(f"number of {what}", what, need, limit, "use a smaller layer", None)
        if need < 1:
            raise CompileError(f"ReckOn: number of {what} is 0; at least 1 is needed", resource=what, need=0, limit=1)


def sizes(inputs: int, neurons: int, outputs: int) -> dict[str, int]:
    """Size registers. With an odd number of stepped neurons the chip never steps the last one: one is
    added."""
    check_sizes(inputs, neurons, outputs)
    last = neurons - 1
    if last % 2 == 0 and last >= max(inputs, outputs) - 1:
        last += 1
    return {"NUM_INP_NEUR": inputs - 1, "NUM_REC_NEUR": last, "NUM_OUT_NEUR": outputs - 1}


def native_image(
    winp: np.ndarray,
    wrec: np.ndarray | None,
    wout: np.ndarray,
    *,
    thr: Any,
    alpha: Any = 0x7FEF,
    kappa: int = 122,
    shifts: tuple[int, int, int] = (0, 0, 0),
    reset: str = "subtract",
    registers: dict[str, int] | None = None,
) -> ReckonImage:
    """Image from integers.

    Parameters
    ----------
    winp, wrec, wout : (r, i), (r, r) or None, (o, r) int
        Weights (post, pre), -128 .. 127.
    thr, alpha : scalar or (r,) int
        Threshold and 16-bit leak factor; equal within each pair (2p, 2p+1).
    shifts
        FP_LOC_WINP, FP_LOC_WREC, FP_LOC_WOUT.
    registers
        Any other registers (names as in `Registers`); default: learning off, everything else as after reset.
    """
    neurons, inputs = winp.shape
    outputs = wout.shape[0]
    extra = dict(registers or {})
    regs = {
        **sizes(inputs, neurons, outputs),
        "KAPPA": int(kappa),
        "RST_MODE": int(reset == "zero"),
        "DO_EPROP": 0,
        "FP_LOC_WINP": shifts[0],
        "FP_LOC_WREC": shifts[1],
        "FP_LOC_WOUT": shifts[2],
        **extra,
    }
    thresholds = np.full(128, QUIET, np.int64)
    low = np.full(128, 0xFEF, np.int64)
    factors = _pairs("alpha", alpha, neurons)
    if factors.size and (factors.min() < ALPHA_MIN or factors.max() > ALPHA_MAX):
        worst = int(factors.min() if factors.min() < ALPHA_MIN else factors.max())
        raise _refuse("leak factor (1/32768)", "leak factor", worst, ALPHA_MAX, f"use {ALPHA_MIN} .. {ALPHA_MAX}", None)
    thresholds[: factors.size] = _pairs("thr", thr, neurons)
    low[: factors.size] = factors & 0xFFF
    conf = sum(1 << p for p, value in enumerate(factors) if value >= 0x8000)
    memories = Memories(
        thr=thresholds,
        alpha_lsb=low,
        winp=winp.T,
        wrec=0 if wrec is None else wrec.T,
        wout=wout.T,
    )
    return ReckonImage(Registers(**{**regs, "ALPHA_CONF": conf}), memories, np.ones(neurons))


def _pairs(name: str, values: Any, neurons: int) -> np.ndarray:
    """One value per pair of neurons; both neurons of a pair must agree."""
    full = np.broadcast_to(np.asarray(values, np.int64), (neurons,))
    even, odd = full[0::2], full[1::2]
    bad = np.flatnonzero(even[: odd.size] != odd)
    if bad.size:
        p = 2 * int(bad[0])
        raise CompileError(
            f"ReckOn: neurons {p} and {p + 1} share one {name}, but need {full[p]} and {full[p + 1]}; give "
            f"both the "
            "same or reorder the neurons",
            resource=name,
            need=2,
            limit=1,
        )
    return even.copy()


def leak_register(tau: Any, dt: float, neurons: int, name: str | None = None) -> np.ndarray:
    """(n,) int64 leak factors exp(-dt / tau) in 1/32768; tau = inf keeps all. Refused below 0.875."""
    with np.errstate(divide="ignore"):
        exact = np.exp(-dt / np.broadcast_to(np.asarray(tau, np.float64), (neurons,)))
    fixed = np.rint(exact * 32768).astype(np.int64)
    if fixed.size and fixed.min() < ALPHA_MIN:
        shortest = -dt / np.log(ALPHA_MIN / 32768)
        raise CompileError(
            f"{f'population {shown(name)}: ' if name else ''}ReckOn: membrane time constant "
            f"{np.min(tau):g} s is below {shortest:g} s (leak factor 0.875 at dt = {dt:g} s); use a shorter "
            f"step",
            population=name,
            resource="membrane time constant",
            need=float(np.min(tau)),
            limit=float(shortest),
        )
    return fixed


def _shift_for(largest: float, what: str, name: str | None) -> int:
    """Smallest left shift with which a weight of `largest` LSB fits 8 bits."""
    for shift in range(SHIFT_MAX + 1):
        if np.rint(largest / (1 << shift)) <= WEIGHT_MAX:
            return shift
    limit = WEIGHT_MAX << SHIFT_MAX
    raise _refuse(f"{what} weight (in LSB)", "weight", largest, limit, "use smaller weights or thresholds", name)


def _integer_threshold(largest: float, name: str | None) -> int:
    """Highest threshold up to 4096 at which the largest weight (in thresholds) fills its 8 bits."""
    if not largest:
        return THRESHOLD_MAX
    shift = int(np.clip(np.floor(np.log2(THRESHOLD_MAX * largest / WEIGHT_MAX)), 0, SHIFT_MAX))
    thr = int(min(THRESHOLD_MAX, (WEIGHT_MAX << shift) / largest))
    if thr < THRESHOLD_MIN:
        limit = (WEIGHT_MAX << SHIFT_MAX) / THRESHOLD_MIN
        raise _refuse("weight over threshold", "weight", largest, limit, "use smaller weights", name)
    return thr


def ideal_image(
    winp: np.ndarray,
    wrec: np.ndarray | None,
    wout: np.ndarray,
    *,
    threshold: Any,
    tau_mem: Any,
    tau_out: float,
    dt: float,
    reset: str = "subtract",
    out_shift: int = 2,
    registers: dict[str, int] | None = None,
    strict: bool = False,
    name: str | None = None,
) -> ReckonImage:
    """Image from an ideal network: u' = exp(-dt/tau) u + W s, spike at u >= threshold.

    Every neuron is measured in its own threshold, so different thresholds cost nothing (weights are scaled by
    row);
    one integer threshold as high as weights and membrane range allow keeps the rounding of the leak small.

    Parameters
    ----------
    winp, wrec, wout : (r, i), (r, r) or None, (o, r) float
        Weights (post, pre): jump of the membrane per spike.
    threshold, tau_mem : scalar or (r,)
        In membrane units and s; thresholds must be positive, `tau_mem` equal within each pair of neurons.
    tau_out, dt : float
        s.
    out_shift : int
        FP_LOC_WOUT: the largest output weight becomes ``127 << out_shift``.
    strict
        Spike only above the threshold (the register is one higher).
    registers, name
        Other registers; population named in errors.

    Raises
    ------
    CompileError
        Layers beyond 256-256-16, a time constant too short, weights beyond 8 bits and a shift of 7.
    """
    neurons, inputs = winp.shape
    check_sizes(inputs, neurons, wout.shape[0])
    level = np.broadcast_to(np.asarray(threshold, np.float64), (neurons,))
    if np.any(level <= 0):
        raise CompileError(f"ReckOn: threshold {level.min():g} is not positive", population=name, resource="threshold")
    relative = {
        "input": winp / level[:, None],
        "recurrent": (np.zeros((neurons, neurons)) if wrec is None else wrec) / level[:, None],
    }
    largest = max(float(np.abs(w).max(initial=0.0)) for w in relative.values())
    thr = _integer_threshold(largest, name)
    shifts, fixed, rounding = [], [], {}
    for kind, weights in relative.items():
        shift = _shift_for(float(np.abs(weights).max(initial=0.0)) * thr, kind, name)
        rounded = np.rint(weights * thr / (1 << shift))
        rounding[kind] = float(np.abs(rounded * (1 << shift) / thr - weights).max(initial=0.0))
        shifts.append(shift)
        fixed.append(rounded.astype(np.int64))
    top = float(np.abs(wout).max(initial=0.0)) or 1.0
    out = np.rint(wout * (WEIGHT_MAX / top)).astype(np.int64)
    rounding["output"] = float(np.abs(out / WEIGHT_MAX - wout / top).max(initial=0.0))
    kappa = int(np.rint(np.exp(-dt / tau_out) * 128)) if tau_out > 0 else 0
    rounding["kappa"] = abs(kappa / 128 - float(np.exp(-dt / tau_out))) if tau_out > 0 else 0.0
    alpha = leak_register(tau_mem, dt, neurons, name)
    image = native_image(
        fixed[0], fixed[1], out, thr=thr + strict, alpha=alpha, kappa=kappa, shifts=(shifts[0], shifts[1], out_shift),
        reset=reset, registers=registers,
    )  # fmt: skip
    return ReckonImage(image.registers, image.memories, level / thr, top / (WEIGHT_MAX << out_shift), rounding)
