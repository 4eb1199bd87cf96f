"""PES (prescribed error sensitivity) in integers, as nengo-loihi 1.1.0 emulates it on a Loihi core.

    trace = R(exp(-P/tau) * trace + magnitude * spike)      every P steps (train_epoch)
    w     = R(w +- rate * error * trace)                    every L steps (learn_epoch)

Neurons come in pairs: the first half of a population receives -error, the second half +error. R rounds up
with the lost fraction as probability; the numbers are handed in, one per presynaptic axon and one per weight.
A trace clips at 127, a weight mantissa at its own width. Source: nengo_loihi/emulator/interface.py,
`SynapseState`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from chipsim.kernels.arithmetic.trace import TRACE_MAX
from chipsim.kernels.jit import ENTRY, INNER

#: Fraction bits of a weight while it learns, and bits lost by a product of two 7-bit factors.
LEARN_FRACTION, PRODUCT_OVERFLOW = 7, 2
#: Index of each counter in PesState.counts.
LOST_SPIKES, CLIPPED_TRACES, CLIPPED_WEIGHTS = range(3)


class PesParams(NamedTuple):
    """Constants: decay of the trace per training epoch, impulse, rate = rate_int * 2**rate_exp, epochs in
    steps.

    weight_exp: exponent of the integer weights (their unit is 2**weight_exp; nengo-loihi: 6 + its
    weight_exp). cut: low bits that the format lacks (8 - bits + 1 if mixed).
    """

    decay: float
    impulse: float
    rate_int: int
    rate_exp: int
    train_epoch: int
    learn_epoch: int
    weight_exp: int
    cut: int


class PesState(NamedTuple):
    """w (i, j) int32 weights as added; trace (i,) int32; seen (i,) uint8: spike since the last training
    epoch.

    counts (3,) int64: spikes lost (a second one within a training epoch), traces clipped, weights clipped.
    """

    w: np.ndarray
    trace: np.ndarray
    seen: np.ndarray
    counts: np.ndarray


@njit(**ENTRY, inline="always")
def signed_shift(x: Any, bits: Any) -> Any:
    """x * 2**bits in int32, rounded down."""
    return np.int32(x << bits) if bits >= 0 else np.int32(x >> -bits)


@njit(**ENTRY, inline="always")
def round_away(x: Any, r: Any) -> Any:
    """Magnitude of x rounded down, or up if `r` is below its fraction; as (sign, magnitude)."""
    size = abs(x)
    floor = np.int64(size)
    sign = 1 if x > 0 else (-1 if x < 0 else 0)
    return sign, floor + np.int64(size - floor > r)


@njit(**INNER)
def pes_traces(spikes, uniform, train: Any, par: PesParams, st: PesState) -> None:
    """Presynaptic spikes (i,) that arrive now; if `train`, traces advance with numbers `uniform` (i,)."""
    for i in range(st.trace.size):
        if spikes[i] != 0:
            st.counts[LOST_SPIKES] += st.seen[i]
            st.seen[i] = 1
        if not train:
            continue
        value = par.decay * st.trace[i] + par.impulse * st.seen[i]
        size = round_away(value, uniform[i])[1]
        st.counts[CLIPPED_TRACES] += size > TRACE_MAX
        st.trace[i] = min(size, TRACE_MAX)
        st.seen[i] = 0


@njit(**INNER)
def pes_weights(error, uniform, par: PesParams, st: PesState) -> None:
    """Weights from traces and error (j / 2,) integers within +-127, with numbers `uniform` (i, j)."""
    half = error.size
    rate_shift = LEARN_FRACTION + par.rate_exp - PRODUCT_OVERFLOW
    scale, limit = 2.0 ** (-LEARN_FRACTION - par.cut), 2 ** (8 - par.cut) - 1
    for i in range(st.w.shape[0]):
        for j in range(st.w.shape[1]):
            e = -error[j] if j < half else error[j - half]
            delta = signed_shift(np.int32(np.int64(st.trace[i]) * e * par.rate_int), rate_shift)
            value = signed_shift(st.w[i, j], LEARN_FRACTION - par.weight_exp) + np.int64(delta)
            sign, size = round_away(np.int32(value) * scale, uniform[i, j])
            st.counts[CLIPPED_WEIGHTS] += size > limit
            st.w[i, j] = np.int32(sign * min(size, limit)) << (par.weight_exp + par.cut)


@njit(**ENTRY)
def pes_step(t: Any, spikes, error, trace_numbers, weight_numbers, par: PesParams, st: PesState) -> None:
    """One step t (1-based), after delivery: traces, then weights.

    `trace_numbers` (i,) is read when t is a multiple of train_epoch, `weight_numbers` (i, j) when of
    learn_epoch.
    """
    pes_traces(spikes, trace_numbers, t % par.train_epoch == 0, par, st)
    if t % par.learn_epoch == 0:
        pes_weights(error, weight_numbers, par, st)
