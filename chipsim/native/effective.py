"""Mantissas to the integers that are added: bits cleared, rounded and shifted as the named arithmetic does it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.chips.arithmetic import Arithmetic
from chipsim.native.base import NeuronModel
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, derive_sign, stored, with_data

#: brian2-loihi clips an effective weight to +-(2**21 - 64), that is 2**15 - 1 before the common shift by 6.
BRIAN2_WEIGHT_MAX = (1 << 15) - 1


class Effective(NamedTuple):
    """Weights as they are added: `matrix` (post, pre) whole numbers or a conv kernel, then the SUM << `shift`."""

    matrix: Any
    shift: int
    clipped: int


def effective(synapses: Synapses | FloatSynapses | Conv, arithmetic: Arithmetic, whole: bool = False) -> Effective:
    """The integers of `synapses` under `arithmetic`.

    lava: low bits cleared by floor, the exponent shifts the sum (Lava 0.10.0 proc/dense). nengo_loihi: rounded to
    nearest, clipped, always in mixed format, each synapse shifted by itself. brian2_loihi: cut toward zero, each
    synapse shifted and clipped. `whole` keeps mantissas as they are: a learning rule's own steps. A convolution is its
    synapses, of 8 bits; only Lava, whose convolutions know no bits, keeps its kernel whole. On floats a convolution's
    exponent is a factor.
    """
    if isinstance(synapses, FloatSynapses):
        return Effective(synapses.weights, 0, 0)
    if isinstance(synapses, Conv):
        return _kernel(synapses, arithmetic)
    values, shift, clipped = _acting(stored(synapses.mantissa), synapses, arithmetic, whole)
    return Effective(_like(synapses.mantissa, values), shift, clipped + synapses.clipped)


class _Format(NamedTuple):
    """What cutting a mantissa depends on, of a `Synapses` or of a convolution."""

    bits: int
    sign: str | None
    exponent: int


def _kernel(conv: Conv, arithmetic: Arithmetic) -> Effective:
    if arithmetic.is_float:
        return Effective(conv.floats, 0, 0)
    kernel = np.asarray(conv.kernel).astype(np.int64)
    if arithmetic.weight_rounding == "floor" and arithmetic.negative_exponent == "sum":
        return Effective(kernel, conv.exponent, 0)
    form = _Format(8, derive_sign(kernel), conv.exponent)
    values, shift, clipped = _acting(kernel.ravel(), form, arithmetic)
    return Effective(values.reshape(kernel.shape), shift, clipped)


def _acting(
    mantissa: np.ndarray, form: Synapses | _Format, arithmetic: Arithmetic, whole: bool = False
) -> tuple[np.ndarray, int, int]:
    """Values that are added, what their sum is shifted by, how many were clipped."""
    if whole:
        values, clipped = mantissa, 0
    elif arithmetic.weight_rounding == "floor":
        values, clipped = _cut_floor(mantissa, form), 0
    elif arithmetic.weight_rounding == "zero":
        values, clipped = _cut_toward_zero(mantissa, form), 0
    else:
        values, clipped = _round_nearest(mantissa, form, arithmetic)
    if arithmetic.negative_exponent == "sum":
        return values, form.exponent, clipped
    values, more = _shift_each(values, form.exponent, arithmetic)
    return values, 0, clipped + more


def _like(matrix: Any, values: np.ndarray) -> Any:
    return with_data(matrix, values) if sp.issparse(matrix) else values.reshape(matrix.shape)


def _lost_bits(synapses: Synapses | _Format) -> int:
    return 8 - synapses.bits + (1 if synapses.sign == "mixed" else 0)


def _cut_floor(mantissa: np.ndarray, synapses: Synapses | _Format) -> np.ndarray:
    lost = _lost_bits(synapses)
    if lost == 0:
        return mantissa
    mask = mantissa.dtype.type(-(1 << lost))
    if synapses.sign == "inhibitory":
        return -((-mantissa) & mask)
    return mantissa & mask


def _cut_toward_zero(mantissa: np.ndarray, synapses: Synapses | _Format) -> np.ndarray:
    lost = _lost_bits(synapses)
    wide = mantissa.astype(np.int32)
    return np.sign(wide) * ((np.abs(wide) >> lost) << lost)


def _round_nearest(
    mantissa: np.ndarray, synapses: Synapses | _Format, arithmetic: Arithmetic
) -> tuple[np.ndarray, int]:
    lost = 8 - synapses.bits + 1
    steps = np.round(mantissa / (1 << lost)).astype(np.int32)
    top = (1 << (8 - lost)) - 1
    kept = np.clip(steps, -top, top)
    clipped = int(np.count_nonzero(kept != steps))
    right = -(lost + synapses.exponent)
    if right > 0 and arithmetic.negative_exponent == "synapse":
        # Bits that the shift would cut are rounded first, and the result clipped again: 127.5 steps become 127.
        kept = np.clip(np.round(kept / (1 << right)).astype(np.int32) << right, -top, top)
    return kept << lost, clipped


def _shift_each(values: np.ndarray, exponent: int, arithmetic: Arithmetic) -> tuple[np.ndarray, int]:
    wide = values.astype(np.int64)
    shifted = wide << exponent if exponent >= 0 else wide >> -exponent
    clipped = 0
    if arithmetic.preset == "brian2_loihi":
        kept = np.clip(shifted, -BRIAN2_WEIGHT_MAX, BRIAN2_WEIGHT_MAX)
        clipped = int(np.count_nonzero(kept != shifted))
        shifted = kept
    return shifted.astype(np.int32), clipped


def common_shift(values: np.ndarray) -> int:
    """Number of low bits that are zero in every value, at most 24 (0 for all-zero input)."""
    if not values.size:
        return 0
    together = int(np.bitwise_or.reduce(np.abs(values.astype(np.int32, copy=False)).ravel(), initial=0))
    return (together & -together).bit_length() - 1 if together else 0


def effective_bias(model: NeuronModel) -> np.ndarray:
    """mantissa << exponent, or >> -exponent (floor) for a negative one; int64."""
    mantissa = model.per_neuron("bias_mant").astype(np.int64)
    exponent = model.per_neuron("bias_exp").astype(np.int64)
    shifted = np.where(exponent >= 0, mantissa << np.maximum(exponent, 0), mantissa >> np.maximum(-exponent, 0))
    return shifted + model.per_neuron("bias") if "bias" in model.values else shifted
