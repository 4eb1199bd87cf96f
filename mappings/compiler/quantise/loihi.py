"""Ideal populations on a fixed-point chip: decays, thresholds, biases and weights in its registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import shown
from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.compiler.quantise.learning import (
    Grid,
    bounded,
    check_membrane,
    filled,
    grids,
    open_ended,
    shift_of,
    snapped,
    start_steps,
)
from chipsim.mappings.compiler.quantise.report import PopulationReport, ProjectionReport
from chipsim.mappings.compiler.quantise.rounding import MOST_SOURCES, moments
from chipsim.mappings.compiler.quantise.scale import Demand, Ranges, choose_scale, full_scale, top_weight, weight_step
from chipsim.mappings.compiler.quantise.weights import (
    Options,
    input_unit,
    messages,
    row_sums,
    row_tops,
    to_mantissas,
    to_second,
    unrolled,
    weight_report,
)
from chipsim.mappings.network.network import Population, Projection
from chipsim.mappings.network.recurrence import Recurrence, recurrence, scaled_rows
from chipsim.native import loihi
from chipsim.native.base import NeuronModel
from chipsim.native.loihi import VTH_SHIFT
from chipsim.native.synapses import Conv, Synapses, derive_sign, stored, with_data

DECAY_ONE = 4096


@dataclass(frozen=True, eq=False)
class Lowered:
    """A population and the projections into it in the chip's terms, with their reports.

    `seconds`: projection -> synapses that hold the low bits of its weights.
    """

    model: NeuronModel
    synapses: dict[str, Any]
    report: PopulationReport
    projections: dict[str, ProjectionReport]
    notes: tuple[str, ...]
    seconds: dict[str, Any] = field(default_factory=dict)


def lower(
    population: Population,
    incoming: list[Projection],
    chip: Chip,
    dt: float,
    options: Options,
    seen: tuple[np.ndarray, np.ndarray] | None = None,
    trains: Mapping[str, np.ndarray] | None = None,
) -> Lowered:
    """One population with everything that shares its scale.

    Parameters
    ----------
    seen : ((n,), (n,)) float64 or None
        Largest |u| and |v| per neuron in a calibration run, ideal units; None takes the worst case.
    trains : population -> (steps, n), or None
        Spikes of that run, for method "data".

    Raises
    ------
    CompileError
        A reset the chip does not have, or a refractory period beyond its register.
    """
    rec = recurrence(population.model, dt, population.name)
    ranges = Ranges.of(chip)
    soft = _check(population.name, rec, chip, ranges, options.compartments)
    _check_counts(population.name, rec, chip)
    du, dv = decay_registers(rec, ranges)
    silent = bool(np.all(np.isinf(rec.threshold)))
    fixed = options.compensate is True or (options.compensate == "readouts" and silent)
    u_fix, v_fix = _compensation(rec, du, dv) if fixed else (np.ones(rec.n), np.ones(rec.n))
    if options.low_bits:
        incoming = [unrolled(p) for p in incoming]
    gain, bias = rec.gain * u_fix * v_fix, rec.bias * v_fix
    learnt = grids(incoming, chip)
    weights = {p.name: _farthest(p, learnt.get(p.name), gain) for p in incoming}
    signs = {k: learnt[k].sign if k in learnt else derive_sign(stored(w)) for k, w in weights.items()}
    worst = next((k for k, sign in signs.items() if sign == "mixed" and k not in learnt), None)
    if options.bits < 2 and worst is not None:
        raise CompileError(
            f"projection '{worst}': with 1 bit, weights of both signs have no positive value; use bits=2 or more, "
            "or split it into an excitatory and an inhibitory projection"
        )
    seen = None if learnt else seen  # what is learned is not in a calibration run
    demand = _demand(rec, du, dv, bias, weights, signs, incoming, options, seen)
    scale, exponent, overflows = choose_scale(demand, _no_exponent(ranges, incoming), options.granularity)
    if learnt:
        exponent = snapped(scale, gain, learnt, ranges.exponent, population.name)
        scale = 2.0 ** (exponent + VTH_SHIFT) / (gain * min(g.step for g in learnt.values()))
    feedback = None
    if soft:
        scale, feedback = feedback_scale(rec, dv, scale)
    model = _model(population.model.shape, rec, du, dv, bias, scale, ranges, feedback)
    synapses, reports, seconds = {}, {}, {}
    unit = input_unit(gain, scale)
    for p in incoming:
        if p.name in learnt:
            _check_fixed(p, options.low_bits)
            synapses[p.name], reports[p.name] = _learnt(p, learnt, exponent)
            continue
        h = _moments(p, rec, trains)
        first, report = to_mantissas(p, weights[p.name], signs[p.name], scale, unit, options, ranges, h)
        synapses[p.name], reports[p.name] = first, report
        if options.low_bits:
            low, report = to_second(p, weights[p.name], first, scale, unit, options, ranges, h)
            seconds[p.name], reports[report.name] = low, report
    report = _report(population, rec, du, dv, bias, scale, exponent, model)
    check_membrane(incoming, report.unit, report.offset, population.name)
    notes = (_overflow_note(population.name),) if overflows and not learnt else ()
    notes += tuple(open_ended(p, learnt[p.name]) for p in incoming if p.name in learnt and not bounded(p.rule))
    return Lowered(model, synapses, report, reports, notes, seconds)


def _moments(p: Projection, rec: Recurrence, trains: Mapping[str, np.ndarray] | None) -> np.ndarray | None:
    """Moments of a projection's sources, where its weights are rounded by them."""
    dense = isinstance(p.synapses, np.ndarray)
    if trains is None or p.pre.name not in trains or not dense or p.pre.n > MOST_SOURCES:
        return None
    return moments(trains[p.pre.name], float(rec.alpha.mean()), float(rec.beta.mean()))


def decay_registers(rec: Recurrence, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """du and dv, (n,) int64: u keeps (4096 - (du + 1)) / 4096 per step, v keeps (4096 - dv) / 4096."""
    low, high = ranges.decay
    du = np.clip(np.round(DECAY_ONE * (1 - rec.beta)) - 1, low, high)
    dv = np.clip(np.round(DECAY_ONE * (1 - rec.alpha)), low, high)
    return du.astype(np.int64), dv.astype(np.int64)


def _check(name: str, rec: Recurrence, chip: Chip, ranges: Ranges, compartments: int) -> bool:
    """True if reset by subtraction takes a second compartment."""
    soft, needed = rec.subtract and "subtract" not in chip.arithmetic.reset_modes, chip.limits.soft_reset_compartments
    if soft and (needed is None or needed > compartments):
        way = "" if needed is None else f"quantise={{'compartments': {needed}}} (twice the neurons), "
        raise CompileError(
            f"population '{name}': reset='subtract', but chip '{chip.name}' resets to zero only; "
            f"use reset='zero', {way}or a chip such as loihi2"
        )
    if rec.dead.max(initial=0) + 1 > ranges.refractory:
        raise CompileError(
            f"population '{name}': a refractory period of {rec.dead.max()} steps needs register {rec.dead.max() + 1}, "
            f"chip '{chip.name}' holds {ranges.refractory}; shorten it or raise dt"
        )
    return soft


def feedback_scale(rec: Recurrence, dv: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scale, lowered until what a second compartment sends back is a synapse's weight, and that weight, (n,) each.

    The synapse acts a step after the spike, so that its weight is what is left of `drop` after a step. One scale for
    all neurons takes a weight of 1..255 << 0..7 exactly; where decays differ, each neuron takes the nearest.
    """
    wanted = rec.drop * scale * np.maximum(DECAY_ONE - dv, 1) / DECAY_ONE / 2**loihi.VTH_SHIFT
    scale = scale * np.minimum(1.0, (255 << 7) / wanted.max())
    wanted = wanted * np.minimum(1.0, (255 << 7) / wanted.max())
    exponent = np.clip(np.ceil(np.log2(wanted / 255)), 0, 7).astype(np.int64)
    mantissa = np.clip(np.round(wanted / 2.0**exponent), 1, 255).astype(np.int64)
    if np.ptp(wanted) <= 1e-9 * wanted.max():
        mantissa = np.maximum(np.floor(wanted / 2.0**exponent + 1e-9), 1).astype(np.int64)
        scale = scale * (mantissa << exponent) / wanted
    return scale, mantissa << exponent


def _check_counts(name: str, rec: Recurrence, chip: Chip) -> None:
    models, bits = chip.arithmetic.neuron_models, chip.limits.spike_bits
    if rec.spikes == "one" or (models is None and (rec.spikes != "many" or bits is None or bits > 1)):
        return
    raise CompileError(
        f"population '{name}': spikes={shown(rec.spikes)} takes microcode and spikes that carry a count, which "
        f"chip '{chip.name}' lacks; use spikes='one', or a chip such as loihi2"
    )


def _farthest(p: Projection, grid: Grid | None, gain: np.ndarray) -> Any:
    """Weights times the gain of their neurons: those that are, or the largest that a rule can make."""
    reach = p if grid is None else replace(p, synapses=filled(p, grid.reach))
    return scaled_rows(reach.synapses, gain, p.name)


def _learnt(p: Projection, learnt: dict[str, Grid], exponent: int) -> tuple[Synapses, ProjectionReport]:
    """Synapses of a projection that learns: its start weights in steps of its rule."""
    grid = learnt[p.name]
    wanted, kept = start_steps(p, grid)
    exponent += shift_of(grid.step, min(g.step for g in learnt.values()))
    form = p.rule.weight
    bits = 8 if form is None else min(8, form.bits)
    flat = kept.astype(np.int32)
    matrix = with_data(p.synapses, flat) if sp.issparse(p.synapses) else flat.reshape(np.shape(p.synapses))
    values = stored(p.synapses) / grid.step
    report = weight_report(p, values, kept, wanted, 1.0, 1, exponent, grid.sign, None)
    return Synapses(matrix, exponent, bits, grid.sign, p.delay, messages(p)), replace(report, unit=grid.step)


def _check_fixed(p: Projection, low_bits: int) -> None:
    if low_bits:
        raise CompileError(f"projection '{p.name}' learns: a rule changes one synapse per weight; use low_bits=0")


def _compensation(rec: Recurrence, du: np.ndarray, dv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors on weights and bias that keep the response to a constant input although decays are rounded."""
    lost_u, lost_v = (du + 1) / DECAY_ONE, dv / DECAY_ONE
    ideal_u, ideal_v = 1 - rec.beta, 1 - rec.alpha
    leaky = (ideal_v > 0) & (dv > 0)
    return lost_u / ideal_u, np.where(leaky, lost_v / np.where(leaky, ideal_v, 1.0), 1.0)


def _no_exponent(ranges: Ranges, incoming: list[Projection]) -> Ranges:
    """A convolution's exponent is ignored by the chip's model: with one among them the scale is taken at 0."""
    if not any(isinstance(p.synapses, Conv) for p in incoming):
        return ranges
    return replace(ranges, exponent=(0, 0))


def _demand(
    rec: Recurrence,
    du: np.ndarray,
    dv: np.ndarray,
    bias: np.ndarray,
    weights: dict[str, Any],
    signs: dict[str, str],
    incoming: list[Projection],
    options: Options,
    seen: tuple[np.ndarray, np.ndarray] | None,
) -> Demand:
    fill, worst = np.zeros(rec.n), np.zeros(rec.n)
    for p in incoming:
        w, levels = weights[p.name], full_scale(signs[p.name], options.bits)
        top = top_weight(w, options.method, options.percentile, levels // weight_step(signs[p.name], options.bits))
        rows = np.minimum(row_tops(w, p, rec.n), top)
        if options.granularity == "population":
            rows = np.full(rec.n, rows.max(initial=0.0))
        fill = np.maximum(fill, rows / levels)
        worst += row_sums(w, p, rec.n)
    worst = worst / ((du + 1) / DECAY_ONE)
    lost = np.maximum(dv, 1) / DECAY_ONE
    voltage = (worst + np.abs(bias)) / lost
    if rec.spikes == "many":
        voltage = rec.threshold + worst + np.abs(bias)  # after a step less than a threshold is left
    if seen is not None:
        worst = np.minimum(worst, seen[0] * options.headroom)
        voltage = np.minimum(voltage, seen[1] * options.headroom)
    spiking = np.isfinite(rec.threshold)
    if rec.spikes != "many":
        sinks = np.where(spiking, np.where(spiking, rec.threshold, 0.0) * options.undershoot, np.inf)
        voltage = np.minimum(voltage, sinks)
    return Demand(fill, rec.threshold, np.abs(bias), worst, voltage, seen is not None)


def _model(
    shape: tuple[int, ...],
    rec: Recurrence,
    du: np.ndarray,
    dv: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    ranges: Ranges,
    feedback: np.ndarray | None,
) -> NeuronModel:
    vth = np.where(np.isfinite(rec.threshold), rec.threshold, 0.0) * scale / 2**loihi.VTH_SHIFT
    vth = np.where(np.isfinite(rec.threshold), np.clip(np.round(vth), 1, ranges.vth), ranges.vth)
    wanted = np.clip(np.round(bias * scale), -ranges.bias, ranges.bias)
    mantissa, exponent = loihi.bias_registers(wanted)
    registers = {
        "du": du,
        "dv": dv,
        "vth": vth.astype(np.int64),
        "bias_mant": mantissa,
        "bias_exp": exponent,
        "refractory": rec.dead + 1,
        "v": np.round(rec.v0 * scale).astype(np.int64),
    }
    if np.any(rec.lowest > -1e299):
        registers["vmin"] = np.clip(np.round(rec.lowest * scale), -loihi.STATE_MAX, 0).astype(np.int64)
    if feedback is not None:
        taken = np.round((feedback << loihi.VTH_SHIFT) * DECAY_ONE / np.maximum(DECAY_ONE - dv, 1)).astype(np.int64)
        registers["reset_by"] = np.clip(taken, 1, loihi.STATE_MAX)
        return loihi.SoftLIF(shape, **{k: compact(v) for k, v in registers.items()})
    if rec.subtract and np.any(rec.drop != rec.threshold):
        registers["reset_by"] = np.clip(np.round(rec.drop * scale), 1, loihi.STATE_MAX).astype(np.int64)
    if rec.spikes != "one":
        del registers["refractory"]
        return loihi.CountLIF(shape, **{k: compact(v) for k, v in registers.items()}, spikes=rec.spikes)
    reset = "subtract" if rec.subtract else "zero"
    return loihi.LIF(shape, **{k: compact(v) for k, v in registers.items()}, reset=reset)


def compact(values: np.ndarray) -> Any:
    """One number where all are equal: the emulator has a faster path for uniform populations."""
    return values[0] if values.size and np.all(values == values[0]) else values


def _report(
    population: Population,
    rec: Recurrence,
    du: np.ndarray,
    dv: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    exponent: int,
    model: NeuronModel,
) -> PopulationReport:
    spiking = np.isfinite(rec.threshold)
    vth = model.per_neuron("vth")
    ideal = np.where(spiking, rec.threshold * scale, 1.0)
    got = np.where(spiking, vth * 2.0**loihi.VTH_SHIFT, 1.0)
    acting = model.per_neuron("bias_mant") * 2.0 ** model.per_neuron("bias_exp")
    lost_u, lost_v = 1 - rec.beta, 1 - rec.alpha
    off_u = np.abs((du + 1) / DECAY_ONE - lost_u) / lost_u
    off_v = np.abs(dv / DECAY_ONE - lost_v) / np.where(lost_v > 0, lost_v, 1.0)
    same = bool(np.all(scale == scale[0]))
    return PopulationReport(
        name=population.name,
        scale=float(scale[0]) if same else None,
        unit=float(1 / scale[0]) if same else None,
        offset=float(rec.shift[0]) if np.all(rec.shift == rec.shift[0]) else None,
        vth=(int(vth.min()), int(vth.max())),
        exponent=exponent,
        threshold_error=float(np.abs(got / ideal - 1).max()),
        reset_error=_reset_error(rec, scale, model),
        decay_error=float(max(off_u.max(), off_v.max())),
        bias_error=float((np.abs(acting - bias * scale) / np.where(spiking, ideal, np.inf)).max()),
        dead=0,
        saturated=0,
        n=population.n,
    )


def _reset_error(rec: Recurrence, scale: np.ndarray, model: NeuronModel) -> float:
    """Largest relative error of what a spike takes from v, where that is subtracted."""
    if not rec.subtract:
        return 0.0
    by, vth = model.per_neuron("reset_by"), model.per_neuron("vth").astype(np.int64) << loihi.VTH_SHIFT
    return float(np.abs(np.where(by > 0, by, vth) / (rec.drop * scale) - 1).max())


def _overflow_note(name: str) -> str:
    return (
        f"population '{name}': with every source firing at once the current would overflow 24 bits; "
        "give calibration inputs to size it by what happens"
    )
