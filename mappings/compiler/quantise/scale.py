"""Choosing the scale of a population: integers per ideal unit, so that weights use their bits and nothing
overflows.

One scale serves a population's threshold, bias and all projections into it: v_int = scale * v. A
projection's weights become mantissa * 2**(exponent + 6); the largest weight of the population takes the
full mantissa at the largest exponent at which threshold, bias and the current's range still fit. Where none
fits, the scale is what the threshold or bias allow, and weights use fewer bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.mappings.network.recurrence import magnitudes
from chipsim.native.loihi import STATE_MAX, VTH_SHIFT

BIAS_MANTISSA, BIAS_EXPONENT, VTH_MANTISSA = 4095, 7, 131071
WEIGHT_EXPONENT = (-7, 7)
SAMPLED = 500_000  #: of more weights than this, a regular sample decides percentile and least squared error


@dataclass(frozen=True)
class Ranges:
    """What a chip's registers hold, where the description is silent: what the registers themselves allow."""

    vth: int
    bias_mantissa: int
    bias_exponent: int
    decay: tuple[int, int]
    refractory: int
    exponent: tuple[int, int]
    threshold_profiles: int | None

    @property
    def bias(self) -> int:
        """Largest bias."""
        return self.bias_mantissa << self.bias_exponent

    @classmethod
    def of(cls, chip: Chip) -> Ranges:
        """From a chip's limits."""
        limits = chip.limits
        return cls(
            vth=limits.vth[1] if limits.vth else VTH_MANTISSA,
            bias_mantissa=min(abs(b) for b in limits.bias_mantissa) if limits.bias_mantissa else BIAS_MANTISSA,
            bias_exponent=limits.bias_exponent[1] if limits.bias_exponent else BIAS_EXPONENT,
            decay=limits.decay or (0, 4095),
            refractory=limits.refractory[1] if limits.refractory else 63,
            exponent=limits.weight_exponent or WEIGHT_EXPONENT,
            threshold_profiles=limits.threshold_profiles,
        )


@dataclass(frozen=True, eq=False)
class Demand:
    """What a population asks of its scale.

    Attributes
    ----------
    fill : (n,) float64
        Largest weight into a neuron per step of mantissa: the scale 2**(e + 6) / fill uses the mantissa in
        full.
    threshold, bias, current, voltage : (n,) float64
        Threshold (infinite: none), |bias|, and the largest |current| and |voltage| to be held without overflow. A
        voltage clipped far below threshold does least harm, so weights keep their bits before it.
    measured : bool
        `current` and `voltage` were seen in a calibration run (else they are the worst case of all sources
        firing at once).
    """

    fill: np.ndarray
    threshold: np.ndarray
    bias: np.ndarray
    current: np.ndarray
    voltage: np.ndarray
    measured: bool


def full_scale(sign: str, bits: int) -> int:
    """Largest mantissa of a format, symmetric for mixed weights: 254 mixed, 255 otherwise with 8 bits."""
    step = weight_step(sign, bits)
    return 255 // step * step


def weight_step(sign: str, bits: int) -> int:
    """Distance of neighbouring mantissas: 8-bit mixed weights keep even ones."""
    return 1 << (8 - bits + (1 if sign == "mixed" else 0))


def top_weight(weights: np.ndarray, method: str, percentile: float, levels: int) -> float:
    """The weight that takes the full mantissa: the largest, a percentile, or the clip of least squared
    error.
    """
    values = magnitudes(weights)
    if not values.size:
        return 0.0
    largest = float(values.max())
    values = values[:: max(1, values.size // SAMPLED)]
    if method == "percentile":
        return float(np.percentile(values, percentile)) or largest
    if method == "mse":
        tops = largest * np.linspace(0.3, 1.0, 29)
        return float(min(tops, key=lambda top: _squared_error(values, top, levels)))
    return largest


def _squared_error(values: np.ndarray, top: float, levels: int) -> float:
    unit = top / levels
    return float(np.sum((np.minimum(np.round(values / unit), levels) * unit - values) ** 2))


def choose_scale(demand: Demand, ranges: Ranges, granularity: str) -> tuple[np.ndarray, int, bool]:
    """(scale (n,), exponent of the fullest weight, whether the worst-case current may overflow)."""
    hard = _cap(demand.threshold, ranges.vth << VTH_SHIFT)
    hard = np.minimum(hard, _cap(demand.bias, ranges.bias))
    soft = np.minimum(_cap(demand.current, STATE_MAX), _cap(demand.voltage, STATE_MAX))
    if demand.measured:
        hard = np.minimum(hard, np.where(np.isfinite(demand.threshold), _cap(demand.current, STATE_MAX), soft))
    fill = float(demand.fill.max(initial=0.0))
    if fill == 0:
        scale = float(np.min(np.minimum(hard, soft)))
        return np.full(demand.fill.size, scale if np.isfinite(scale) else float(STATE_MAX)), 0, False
    room, hard_room = float(np.min(np.minimum(hard, soft))), float(np.min(hard))
    exponent = _exponent(fill, room, ranges)
    wanted = 2.0 ** (exponent + 6) / fill
    if granularity == "neuron":
        own = np.where(demand.fill > 0, demand.fill, fill)
        scale = np.minimum(2.0 ** (exponent + 6) / own, np.maximum(np.minimum(hard, soft), wanted))
        scale = _grouped(np.minimum(scale, hard), ranges.threshold_profiles)
    else:
        scale = np.full(demand.fill.size, min(wanted, hard_room))
    return scale, exponent, bool(np.any(scale * demand.current > STATE_MAX))


def _cap(values: np.ndarray, limit: float) -> np.ndarray:
    """Largest scale per neuron at which `values` stay within `limit`; infinite values bind nothing."""
    binding = np.isfinite(values) & (values > 0)
    with np.errstate(over="ignore"):
        return np.where(binding, limit / np.where(binding, values, 1.0), np.inf)


def _exponent(fill: float, room: float, ranges: Ranges) -> int:
    """Largest exponent >= 0 at which a full mantissa stays below the scale `room`, 0 if there is none.

    Below 0 nothing is won: what is added to the current is a multiple of 2**6 all the same.
    """
    high = ranges.exponent[1]
    if not np.isfinite(room):
        return high
    return int(np.clip(np.floor(np.log2(room * fill)) - 6, 0, high))


def _grouped(scale: np.ndarray, profiles: int | None) -> np.ndarray:
    """At most `profiles` different scales, each neuron's not above its own."""
    if profiles is None or np.unique(scale).size <= profiles:
        return scale
    levels = np.unique(np.quantile(scale, np.linspace(0, 1, profiles + 1)[:-1], method="lower"))
    return levels[np.searchsorted(levels, scale, side="right") - 1]
