"""Spike traces: decay by a factor per step, impulse per spike, rounding by numbers that are handed in.

Integer traces are 7 bits wide (0..127). A decayed value is rounded down, and up by one if the random number
`r` is below the lost fraction: `r = 0` rounds up whenever a fraction is left, `r = 1` always rounds down, `r`
uniform in [0, 1) rounds without bias. Who draws the numbers, and whether neurons share one, is the caller's
choice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from chipsim.kernels.jit import ENTRY, INNER

#: A trace is 7 bits wide.
TRACE_MAX = 127
#: Fractions of an impulse are held in 8 bits.
IMPULSE_FRACTION_BITS = 8

EXP, LINEAR = "exp", "linear"


def decay_factor(tau: NDArray[np.float64], kind: str = EXP) -> NDArray[np.float64]:
    """What is left of a trace after one step.

    Parameters
    ----------
    tau
        (k,) time constants in steps; 0 clears the trace at every step.
    kind
        "exp": exp(-1/tau) (Lava, nengo-loihi); "linear": 1 - 1/tau (brian2-loihi).

    Returns
    -------
    (k,) float64 factors.
    """
    tau = np.asarray(tau, dtype=np.float64)
    safe = np.where(tau > 0, tau, 1.0)
    left = np.exp(-1.0 / safe) if kind == EXP else 1.0 - 1.0 / safe
    return np.where(tau > 0, left, 0.0)


def split_impulse(impulse: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole part and 8-bit fraction of impulses; a fraction of .998 or more becomes 256/256 of a unit."""
    impulse = np.asarray(impulse, dtype=np.float64)
    whole = np.floor(impulse)
    fraction = np.round((impulse - whole) * 2**IMPULSE_FRACTION_BITS)
    return whole.astype(np.int64), fraction.astype(np.int64)


@njit(**ENTRY, inline="always")
def decay_round(h: Any, factor: Any, r: Any) -> Any:
    """floor(factor * h), plus one if `r` is below the lost fraction."""
    value = factor * h
    floor = np.floor(value)
    return np.int64(floor) + np.int64(r < value - floor)


@njit(**ENTRY, inline="always")
def add_impulse(h: Any, whole: Any, fraction: Any, r: Any) -> Any:
    """Add an impulse, rounded up if the integer `r` is below its fraction; saturate at 0 and 127."""
    return min(max(h + whole + np.int64(r < fraction), 0), TRACE_MAX)


@njit(**INNER)
def history(trace, t_spike, constants, r_decay, r_impulse, hist) -> None:
    """Values of integer traces at the end of each step of an epoch, given the step of the last spike.

    Parameters
    ----------
    trace
        (k, n) int32, the traces as the epoch ends (impulses of all but the last spike are already in).
    t_spike
        (n,) int32, step of the last spike within the epoch, 1..q; 0: none.
    constants
        (3, k) float64: factor per step, whole impulse, impulse fraction in 1/256.
    r_decay, r_impulse
        One number in [0, 1) and one integer for all traces, neurons and steps of this epoch.
    hist
        (q + 1, k, n) int32, written: hist[0] = trace, hist[m] after step m.
    """
    steps = hist.shape[0] - 1
    for k in range(trace.shape[0]):
        factor, whole, fraction = constants[0, k], np.int64(constants[1, k]), np.int64(constants[2, k])
        for n in range(trace.shape[1]):
            h = np.int64(trace[k, n])
            hist[0, k, n] = h
            for q in range(1, steps + 1):
                h = decay_round(h, factor, r_decay)
                if t_spike[n] == q:
                    h = add_impulse(h, whole, fraction, r_impulse)
                hist[q, k, n] = h


@njit(**INNER)
def history_float(trace, t_spike, decay, impulse, hist) -> None:
    """As `history`, in float64 without rounding or saturation; impulse is (k,) float64."""
    steps = hist.shape[0] - 1
    for k in range(trace.shape[0]):
        for n in range(trace.shape[1]):
            h = trace[k, n]
            hist[0, k, n] = h
            for q in range(1, steps + 1):
                h = decay[k] * h
                if t_spike[n] == q:
                    h += impulse[k]
                hist[q, k, n] = h
