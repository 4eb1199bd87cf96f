"""A network's populations through nengo-loihi's quantiser: its normalised units in, Loihi registers out."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError, NetworkError
from chipsim.mappings.network.network import Population, Projection
from chipsim.mappings.network.recurrence import Recurrence, recurrence, scaled_rows
from chipsim.native import loihi
from chipsim.native.synapses import Conv, Synapses, with_data

from .loihi import Lowered, compact
from .nengo import FloatBlock, IntegerBlock, bias_registers, discretise_block
from .report import PopulationReport, ProjectionReport


def lower_nengo(population: Population, incoming: list[Projection], chip: Chip, dt: float) -> Lowered:
    """One population as nengo-loihi 1.1.0 would put it on the chip; run it with `arithmetic="nengo_loihi"`.

    Its units have unit gain, so weights are multiplied by gain / ((1 - alpha)(1 - beta)) before it starts.

    Raises
    ------
    CompileError
        No weight exponent fits (nengo-loihi raises BuildError), or neurons it does not have.
    """
    rec = recurrence(population.model, dt, population.name)
    if rec.subtract or not np.all(np.isfinite(rec.threshold)):
        raise CompileError(
            f"population '{population.name}': nengo-loihi's quantiser knows spiking neurons that reset to zero; "
            "use another method"
        )
    if not np.array_equal(rec.v0, np.zeros(rec.n)):
        raise CompileError(f"population '{population.name}': nengo-loihi rests and resets at 0; set v_leak = v_reset")
    leaky = bool(np.all(rec.alpha < 1))
    factor = rec.gain / (1 - rec.beta) / np.where(leaky, 1 - rec.alpha, 1.0)
    dense = [_dense(scaled_rows(p.synapses, factor, p.name), p) for p in incoming]
    block = FloatBlock(
        (1 - rec.beta).astype(np.float32),
        (1 - rec.alpha).astype(np.float32),
        rec.threshold.astype(np.float32),
        (rec.bias / np.where(leaky, 1 - rec.alpha, 1.0)).astype(np.float32),
        tuple(w.T.astype(np.float32) for w in dense),
        vmin=-np.inf,
        scale_v=leaky,
    )
    try:
        got = discretise_block(block)
    except CompileError as error:
        raise CompileError(f"population '{population.name}': {error}") from None
    unit = 1 / got.info["v_scale"]
    synapses, reports = {}, {}
    for k, p in enumerate(incoming):
        synapses[p.name] = _native(p, got, k)
        reports[p.name] = _projection_report(p, dense[k], got, k, factor)
    lowest = got.vmin if chip.arithmetic.preset == "nengo_loihi" else max(got.vmin, -loihi.STATE_MAX)
    return Lowered(_model(population, rec, got, lowest), synapses, _report(population, rec, got, unit), reports, ())


def _dense(weights: Any, p: Projection) -> np.ndarray:
    if isinstance(p.synapses, Conv):
        raise NetworkError(f"projection '{p.name}': nengo-loihi's quantiser takes matrices here, not convolutions")
    return weights.toarray() if sp.issparse(weights) else weights


def _native(p: Projection, got: IntegerBlock, k: int) -> Synapses:
    mantissa = 2 * got.steps[k].T
    if sp.issparse(p.synapses):
        columns = np.repeat(np.arange(p.pre.n), np.diff(p.synapses.indptr))
        mantissa = with_data(p.synapses, mantissa[p.synapses.indices, columns])
    return Synapses(mantissa, got.exponents[k], 8, "mixed", p.delay)


def _model(population: Population, rec: Recurrence, got: IntegerBlock, lowest: int) -> loihi.LIF:
    mantissa, exponent = bias_registers(got.bias)
    registers = {
        "du": got.decay_u,
        "dv": got.decay_v,
        "vth": got.vth >> 6,
        "bias_mant": mantissa,
        "bias_exp": exponent,
        "refractory": rec.dead + 1,
    }
    clip = {"vmin": lowest, "vmax": min(got.vmax, loihi.STATE_MAX)}
    return loihi.LIF(population.model.shape, **{k: compact(v) for k, v in registers.items()}, **clip)


def _report(population: Population, rec: Recurrence, got: IntegerBlock, unit: float) -> PopulationReport:
    lost_u, lost_v = 1 - rec.beta, 1 - rec.alpha
    off_u = np.abs((got.decay_u + 1) / 4096 - lost_u) / lost_u
    off_v = np.abs(got.decay_v / 4096 - lost_v) / np.where(lost_v > 0, lost_v, 1.0)
    scale = 1 / unit
    bias_unit = got.info["b_scale"] * rec.bias / np.where(lost_v > 0, lost_v, 1.0)
    return PopulationReport(
        name=population.name,
        scale=scale,
        unit=unit,
        offset=float(rec.shift[0]) if np.all(rec.shift == rec.shift[0]) else None,
        vth=(int(got.vth.min() >> 6), int(got.vth.max() >> 6)),
        exponent=int(got.info["w_exp"]),
        threshold_error=float(np.abs(got.vth / (rec.threshold * scale) - 1).max()),
        decay_error=float(max(off_u.max(), off_v.max())),
        bias_error=float((np.abs(got.bias - bias_unit) / got.vth).max()),
        dead=0,
        saturated=0,
        n=population.n,
    )


def _projection_report(
    p: Projection, weights: np.ndarray, got: IntegerBlock, k: int, factor: np.ndarray
) -> ProjectionReport:
    added, live = got.weights[k].T.astype(np.float64), weights != 0
    size = got.info["w_scale"] * 2.0 ** (6 + got.info["w_exp"])
    error = added / size - weights
    largest = float(np.abs(weights).max(initial=0.0))
    rms = float(np.sqrt(np.mean(weights[live] ** 2))) if live.any() else 0.0
    steps = float(np.abs(got.steps[k]).max(initial=0))
    same = bool(np.allclose(factor, factor[0], rtol=1e-12))
    return ProjectionReport(
        name=p.name,
        population=p.post.name,
        unit=float(2.0 ** (6 + got.exponents[k]) / size / factor[0]) if same else None,
        exponent=got.exponents[k],
        sign="mixed",
        bits_used=float(np.log2(steps + 1)) + 1,
        error_max=float(np.abs(error).max(initial=0.0)) / largest if largest else 0.0,
        error_rms=float(np.sqrt(np.mean(error[live] ** 2))) / rms if rms else 0.0,
        clipped=got.clipped[k],
        lost=int(np.count_nonzero(live & (added == 0))),
        synapses=int(np.count_nonzero(live)),
    )
