"""nengo-loihi's way from floats to Loihi's integers, bit for bit (nengo-loihi 1.1.0 builder/discretize.py).

A block's neurons are in normalised units: an input filter and a membrane of unit gain, so that a constant
input w * rate settles the voltage at that value. One scale serves the block: the largest weight becomes
255, and the weight exponent walks down from 0 until thresholds and biases fit.

Where nengo-loihi 1.1.0 works in float32 (decays, the last product of a weight), so does this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.errors import CompileError

DECAY_MAX = (1 << 12) - 1  #: decays are 12 bit
VTH_EXP = 6  #: thresholds are stored with 17 bits and compared at 2**6 times that value
VTH_MAX = ((1 << 17) - 1) << VTH_EXP
BIAS_MANTISSA_MAX = (1 << 12) - 1  #: 12 bits and sign
BIAS_MAX = BIAS_MANTISSA_MAX << 7  #: with the largest exponent, 7
INPUT_BITS = 21  #: magnitude bits of the synaptic accumulator
WEIGHT_MAX = 255.0  #: what the largest weight becomes
LOWEST_EXP = -7  #: last block exponent that is tried
LOWEST_SYNAPSE_EXP = -6  #: exponent of a projection never goes below (a block at -7 comes out twice too strong)
DECAY_LOSS = 0.494  #: mean loss of one truncated decay, found by simulation (nengo-loihi, decay_magnitude)
DECAY_START = 2097152  #: value whose decay is summed, 2**21
WEIGHT_BITS = 8
NEGLIGIBLE_BLOCK = 1e-8  #: weights or biases below this count as zero in the choice of the scale
NEGLIGIBLE_WEIGHT = 1e-16


@dataclass(frozen=True, eq=False)
class FloatBlock:
    """Neurons and the weights into them, in floats.

    Attributes
    ----------
    decay_u, decay_v : (n,) float32
        Fraction lost per step, 1 - exp(-dt / tau).
    vth, bias : (n,) float32
        Threshold and constant input, in units of the voltage.
    weights : tuple of (pre, n) float32
        One array per projection.
    vmin, vmax : float
        Clip of the voltage; may be infinite.
    scale_u, scale_v : bool
        Whether input and voltage are scaled to unit gain; False for a neuron without that decay.
    """

    decay_u: np.ndarray
    decay_v: np.ndarray
    vth: np.ndarray
    bias: np.ndarray
    weights: tuple[np.ndarray, ...] = ()
    vmin: float = 0.0
    vmax: float = np.inf
    scale_u: bool = True
    scale_v: bool = True


@dataclass(frozen=True, eq=False)
class IntegerBlock:
    """The same block in the chip's integers.

    Attributes
    ----------
    decay_u, decay_v, vth, bias : (n,) int32
        `vth` and `bias` as they act, that is mantissa << exponent.
    steps : tuple of (pre, n) int32
        Weights in units of the precision, in -127..127 (mixed 8-bit weights keep even mantissas: 2 * steps).
    weights : tuple of (pre, n) int32
        What a spike adds to the accumulator: steps shifted by 6 + exponent, after the chip's rounding.
    exponents : tuple of int
    vmin, vmax : int
    info : dict
        w_max, w_exp, v_scale, b_scale, w_scale: floats that led here.
    clipped : tuple of int
        Weights beyond +-127 steps, by projection.
    """

    decay_u: np.ndarray
    decay_v: np.ndarray
    vth: np.ndarray
    bias: np.ndarray
    steps: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    exponents: tuple[int, ...]
    vmin: int
    vmax: int
    info: dict[str, float] = field(default_factory=dict)
    clipped: tuple[int, ...] = ()


def decay_magnitude(decay: Any, offset: int = 0) -> np.ndarray:
    """Sum over all steps of 2**21 decaying in integers, relative to its start.

    Solves y <- r y - q with r = (4096 - offset - decay) / 4096 and q the mean loss by truncation.
    """
    r = (4096 - offset - np.asarray(decay)) / 4096
    n = -(np.log1p(DECAY_START * (1 - r) / DECAY_LOSS)) / np.log(r)
    principal = (1 - r ** (n + 1)) / (1 - r)
    loss = DECAY_LOSS / ((1 - r) * DECAY_START) * (n + 1 - (1 - r ** (n + 1)) / (1 - r))
    return principal - loss


def bias_registers(bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mantissa and exponent of a whole-numbered `bias` (n,), |bias| <= 4095 * 2**7; both int32."""
    ratio = np.maximum(np.abs(bias) / BIAS_MANTISSA_MAX, 1)
    exponent = np.ceil(np.log2(ratio)).astype(np.int32)
    return np.round(bias / 2**exponent).astype(np.int32), exponent


def discretise_block(block: FloatBlock) -> IntegerBlock:
    """All of a block in integers.

    Raises
    ------
    CompileError
        If no weight exponent (or bias scale) lets threshold and bias fit their registers.
    """
    decay_u = _round(np.clip(block.decay_u * np.float32(DECAY_MAX) - np.float32(1), 0, DECAY_MAX))
    decay_v = _round(block.decay_v * np.float32(DECAY_MAX))
    u_factor = 1.0 / decay_magnitude(decay_u, 1) if block.scale_u else np.ones(decay_u.shape)
    v_factor = 1.0 / decay_magnitude(decay_v) if block.scale_v else np.ones(decay_v.shape)
    w_max = float(max((_largest(w) for w in block.weights), default=0.0))
    w_exp, w_scale, v_scale, b_scale, vth, bias = _scales(block, w_max, u_factor, v_factor)
    bias_mantissa, bias_exponent = bias_registers(bias)
    synapses = [_weights(w, w_max, w_scale, w_exp) for w in block.weights]
    vmin, vmax = _clip_registers(v_scale[0] * block.vmin, v_scale[0] * block.vmax)
    return IntegerBlock(
        decay_u,
        decay_v,
        (_round(vth / 2**VTH_EXP) << VTH_EXP).astype(np.int32),
        bias_mantissa << bias_exponent,
        tuple(s[0] for s in synapses),
        tuple(s[1] for s in synapses),
        tuple(s[2] for s in synapses),
        vmin,
        vmax,
        {
            "w_max": w_max,
            "w_exp": float(w_exp),
            "v_scale": float(v_scale[0]),
            "b_scale": float(np.ravel(b_scale)[0]),
            "w_scale": float(np.ravel(w_scale)[0]),
        },
        tuple(s[3] for s in synapses),
    )


def _round(x: np.ndarray) -> np.ndarray:
    return np.round(x).astype(np.int32)


def _largest(weights: np.ndarray) -> float:
    return float(np.abs(weights).max(initial=0.0))


def _scales(block: FloatBlock, w_max: float, u_factor: np.ndarray, v_factor: np.ndarray) -> tuple:
    """(exponent, w_scale, v_scale (n,), b_scale (n,), vth (n,), bias (n,)): by weights, else by biases,
    else by vth.
    """
    b_max = float(np.abs(block.bias).max())
    if w_max > NEGLIGIBLE_BLOCK:
        w_scale = WEIGHT_MAX / w_max
        for w_exp in range(0, LOWEST_EXP - 1, -1):
            v_scale = 1.0 / (u_factor * v_factor) * w_scale * 2.0 ** (6 + w_exp)
            b_scale = v_scale * v_factor
            vth, bias = np.round(block.vth * v_scale), np.round(block.bias * b_scale)
            if np.all(vth <= VTH_MAX) and np.all(np.abs(bias) <= BIAS_MAX):
                return w_exp, w_scale, v_scale, b_scale, vth, bias
        raise CompileError(
            f"weights up to {w_max:.3g} are too small beside thresholds up to {block.vth.max():.3g}: no weight "
            f"exponent in {LOWEST_EXP}..0 lets threshold ({vth.max():.3g} of {VTH_MAX}) and bias fit; "
            "use larger weights"
        )
    if b_max > NEGLIGIBLE_BLOCK:
        b_scale = BIAS_MAX / b_max
        while b_scale * b_max > 1:
            v_scale = b_scale / v_factor
            vth, bias = np.round(block.vth * v_scale), np.round(block.bias * b_scale)
            if np.all(vth <= VTH_MAX):
                return 0, b_scale * u_factor / 2.0**6, v_scale, np.asarray(b_scale), vth, bias
            b_scale /= 2.0
        raise CompileError(
            f"biases up to {b_max:.3g} are too small beside thresholds up to {block.vth.max():.3g}; raise the biases"
        )
    v_scale = np.array([min(VTH_MAX, 2**INPUT_BITS - 1) / (float(block.vth.max()) + 1)])
    b_scale = v_scale * v_factor
    vth, bias = np.round(block.vth * v_scale), np.round(block.bias * b_scale)
    return 0, v_scale * v_factor * u_factor / 2.0**6, v_scale, b_scale, vth, bias


def _weights(w: np.ndarray, w_max: float, w_scale: Any, w_exp: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """One projection: steps, what is added, its exponent, and how many weights were clipped."""
    largest = _largest(w)
    if largest > NEGLIGIBLE_WEIGHT:
        extra = int(np.floor(np.log2(w_max / largest)))
        exponent = max(w_exp - extra, LOWEST_SYNAPSE_EXP)
    else:
        exponent = LOWEST_SYNAPSE_EXP
        extra = w_exp - exponent
    scale = np.float32(w_scale) if np.ndim(w_scale) == 0 else w_scale[np.arange(w.shape[1]) % len(w_scale)]
    steps, clipped = _steps(w * scale * np.float32(2.0**extra))
    return steps, _as_added(steps, exponent), exponent, clipped


def _steps(mantissa: np.ndarray) -> tuple[np.ndarray, int]:
    """Mixed 8-bit weights: rounded (half to even) to multiples of 2, at most 127 of them either way."""
    wanted = np.round(mantissa / 2.0)
    top = (1 << (WEIGHT_BITS - 1)) - 1
    return wanted.clip(-top, top).astype(np.int32), int(np.count_nonzero(np.abs(wanted) > top))


def _as_added(steps: np.ndarray, exponent: int) -> np.ndarray:
    """Steps shifted in two stages as the chip does; bits that the first shift drops are rounded before."""
    shift = 1 + exponent
    if shift < 0:
        top = (1 << (WEIGHT_BITS - 1)) - 1
        kept = (np.round(steps * 2.0**shift) / 2.0**shift).clip(-top, top).astype(np.int32)
        return (kept >> -shift) << 6
    return (steps << shift) << 6


def _clip_registers(vmin: float, vmax: float) -> tuple[int, int]:
    """vmin as -(2**k) + 1 and vmax as 2**(9 + 2 k) - 1, k nearest in the exponent."""
    low = int(np.clip(np.round(np.log2(-vmin + 1)), 0, 31))
    high = int(np.clip(np.round((np.log2(vmax + 1) - 9) * 0.5), 0, 7))
    return -(2**low) + 1, 2 ** (9 + 2 * high) - 1
