"""Float weights to mantissas and exponents of one projection, and what the rounding cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import CompileError
from chipsim.mappings.network.network import Projection
from chipsim.mappings.network.recurrence import scaled_rows
from chipsim.native.synapses import Conv, Synapses, stored, with_data

from .report import ProjectionReport
from .rounding import rounded
from .scale import Ranges, full_scale, top_weight, weight_step

INPUT_SHIFT = 6  #: what arrives is added to the current times 2**6
UNROLLED = 1 << 26  #: synapses of a convolution that is kept synapse by synapse
GRADED_BITS = 24  #: message bits of a source whose spikes carry values


@dataclass(frozen=True)
class Options:
    """Choices of a quantisation; see `chipsim.mappings.compiler.quantise.quantise.quantise`."""

    method: str = "max"
    percentile: float = 99.9
    granularity: str = "population"
    bits: int = 8
    headroom: float = 1.5
    undershoot: float = 4.0
    compensate: bool | str = True
    low_bits: int = 0
    compartments: int = 1


def row_sums(weights: Any, projection: Projection, n: int) -> np.ndarray:
    """Sum of |w| into each neuron."""
    if isinstance(projection.synapses, Conv):
        post, _, index = projection.synapses.targets()
        return np.bincount(post, np.abs(weights.ravel())[index], minlength=n)
    if sp.issparse(weights):
        return np.bincount(weights.indices, np.abs(weights.data), minlength=n)
    return np.abs(weights).sum(axis=1)


def row_tops(weights: Any, projection: Projection, n: int) -> np.ndarray:
    """Largest |w| into each neuron; of a convolution the largest of the kernel for all."""
    if isinstance(projection.synapses, Conv):
        return np.full(n, np.abs(weights).max(initial=0.0))
    if sp.issparse(weights):
        top = np.zeros(n)
        np.maximum.at(top, weights.indices, np.abs(weights.data))
        return top
    return np.abs(weights).max(axis=1, initial=0.0)


def input_unit(gain: np.ndarray, scale: np.ndarray) -> float | None:
    """Ideal weight of one unit of accumulated input, None where neurons differ."""
    if np.any(gain == 0):
        return None
    per_unit = 1.0 / (scale * gain)
    return float(per_unit[0]) if np.allclose(per_unit, per_unit[0], rtol=1e-12) else None


def to_mantissas(
    p: Projection,
    weights: Any,
    sign: str,
    scale: np.ndarray,
    unit: float | None,
    options: Options,
    ranges: Ranges,
    h: np.ndarray | None = None,
) -> tuple[Any, ProjectionReport]:
    """Mantissas of one projection at the exponent that its own largest weight allows.

    `h`: moments of its sources, by which dense weights are rounded together
    (`chipsim.mappings.compiler.quantise.rounding`).
    """
    step, top = weight_step(sign, options.bits), full_scale(sign, options.bits)
    is_conv = isinstance(p.synapses, Conv)
    if is_conv:  # kernels of 8 bits keep odd values; fewer bits leave the low ones zero, as in a matrix
        step, top = (1, 255) if options.bits == 8 else (step, top)
        target = weights * scale[0]
    else:
        target = scaled_rows(weights, scale, p.name)
    values = stored(target)
    exponent = 0 if is_conv else _projection_exponent(values, top, step, options, ranges)
    size = 2.0 ** (exponent + INPUT_SHIFT)
    wanted = np.round(values / (size * step)) * step
    mantissa = np.clip(wanted, -top, top)
    if h is not None and sign == "mixed" and not options.low_bits and _is_dense(target, is_conv, h):
        mantissa = wanted = rounded(target / size, step, top, h).ravel()
    report = weight_report(p, values, mantissa, wanted, size, step, exponent, sign, unit)
    grid = mantissa.astype(np.int32)
    if is_conv:
        c = p.synapses
        geometry = (c.input_shape, c.stride, c.padding, c.dilation, c.groups, c.channels)
        bits = max(c.message_bits, messages(p))
        return Conv(grid.reshape(target.shape), *geometry, exponent=0, message_bits=bits), report
    matrix = with_data(target, grid) if sp.issparse(target) else grid.reshape(target.shape)
    return Synapses(matrix, exponent, options.bits, sign, p.delay, messages(p)), report


def to_second(
    p: Projection,
    weights: Any,
    first: Synapses,
    scale: np.ndarray,
    unit: float | None,
    options: Options,
    ranges: Ranges,
    h: np.ndarray | None = None,
) -> tuple[Synapses, ProjectionReport]:
    """What the first synapses leave over, as synapses of their own exponent; the report describes both together."""
    target = scaled_rows(weights, scale, p.name)
    values = stored(target)
    rest = values - stored(first.mantissa) * 2.0 ** (first.exponent + INPUT_SHIFT)
    step, top = weight_step("mixed", options.low_bits), full_scale("mixed", options.low_bits)
    plain = replace(options, method="max")
    exponent = _projection_exponent(rest, top, step, plain, ranges)
    size = 2.0 ** (exponent + INPUT_SHIFT)
    wanted = np.round(rest / (size * step)) * step
    mantissa = np.clip(wanted, -top, top)
    if h is not None and _is_dense(target, False, h):
        mantissa = wanted = rounded(rest.reshape(target.shape) / size, step, top, h).ravel()
    both = (values - rest) / size + mantissa
    report = weight_report(p, values, both, both, size, step, exponent, "mixed", unit)
    report = replace(report, name=second_name(p.name), clipped=int(np.count_nonzero(wanted != mantissa)))
    grid = mantissa.astype(np.int32)
    matrix = with_data(target, grid) if sp.issparse(target) else grid.reshape(target.shape)
    return Synapses(matrix, exponent, options.low_bits, "mixed", p.delay, first.message_bits), report


def _is_dense(target: Any, is_conv: bool, h: np.ndarray) -> bool:
    return not is_conv and not sp.issparse(target) and target.shape[1] == len(h) and bool(np.any(h))


def second_name(name: str) -> str:
    """Name of the projection that holds the second synapses of `name`."""
    return f"{name} (low bits)"


def unrolled(p: Projection) -> Projection:
    """A convolution as synapses, which can have an exponent each; others as they are."""
    if not isinstance(p.synapses, Conv):
        return p
    conv = p.synapses
    count = conv.output_shape[0] * conv.output_shape[1] * conv.output_shape[2] * conv.kernel[0].size
    if count > UNROLLED:
        raise CompileError(
            f"projection '{p.name}': a convolution of {count} synapses has no second synapse per weight "
            f"({UNROLLED} at most); use low_bits=0"
        )
    post, pre, index = conv.targets()
    matrix = sp.csc_array((conv.floats.ravel()[index], (post, pre)), shape=conv.shape)
    return replace(p, synapses=matrix)


def messages(p: Projection) -> int:
    """Bits of the numbers that the source's spikes carry, 0 for plain spikes."""
    values = p.pre.model.values
    graded = int(values["graded"]) if p.pre.model.is_input else values.get("spikes") == "many"
    return GRADED_BITS if graded else 0


def _projection_exponent(values: np.ndarray, top: int, step: int, options: Options, ranges: Ranges) -> int:
    """Smallest exponent at which the weight that should fill the mantissa still fits (rounding included)."""
    largest = top_weight(values, options.method, options.percentile, top // step)
    if largest == 0:
        return 0
    exponent = np.ceil(np.log2(largest / ((top + 0.5 * step) * 2.0**INPUT_SHIFT)))
    # The low bits of a mantissa with fewer than 9 bits are zero, so so many shifts to the right lose
    # nothing; more would cut the sum of all weights (toward minus infinity) at each step.
    lowest = max(ranges.exponent[0], 1 - step.bit_length())
    return int(np.clip(exponent, lowest, ranges.exponent[1]))


def weight_report(
    p: Projection,
    values: np.ndarray,
    mantissa: np.ndarray,
    wanted: np.ndarray,
    size: float,
    step: int,
    exponent: int,
    sign: str,
    unit: float | None,
) -> ProjectionReport:
    """What became of the weights `values` as `mantissa` (clipped from `wanted`) times `size`, all (s,) float64."""
    error, live = mantissa * size - values, values != 0
    largest = float(np.abs(values).max(initial=0.0))
    rms = float(np.sqrt(np.mean(values[live] ** 2))) if live.any() else 0.0
    used = float(np.abs(mantissa).max(initial=0.0)) / step
    return ProjectionReport(
        name=p.name,
        population=p.post.name,
        unit=None if unit is None else unit * size,
        exponent=exponent,
        sign=sign,
        bits_used=float(np.log2(used + 1)) + (sign == "mixed"),
        error_max=float(np.abs(error).max(initial=0.0)) / largest if largest else 0.0,
        error_rms=float(np.sqrt(np.mean(error[live] ** 2))) / rms if rms else 0.0,
        clipped=int(np.count_nonzero(wanted != mantissa)),
        lost=int(np.count_nonzero(live & (mantissa == 0))),
        synapses=int(np.count_nonzero(live)),
    )
