"""Ideal populations on a float chip: the exact recurrence in double precision, nothing rounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from chipsim.errors import CompileError
from chipsim.mappings.compiler.quantise.learning import check_membrane, in_format, plastic
from chipsim.mappings.compiler.quantise.loihi import Lowered, compact
from chipsim.mappings.compiler.quantise.report import PopulationReport, ProjectionReport
from chipsim.mappings.network.network import Population, Projection
from chipsim.mappings.network.recurrence import Recurrence, recurrence, scaled_rows
from chipsim.native import floats
from chipsim.native.base import NeuronModel
from chipsim.native.synapses import Conv, FloatSynapses

NEVER = 1e300  #: threshold of a neuron that never spikes


def lower_float(population: Population, incoming: list[Projection], dt: float) -> Lowered:
    """One population as float neurons; weights take the gain of the input filter, everything else stays.

    Raises
    ------
    CompileError
        Reset by subtraction together with a refractory period, or by another amount than the threshold, which no
        float model has.
    """
    rec = recurrence(population.model, dt, population.name)
    scale = np.ones(rec.n)
    if plastic(incoming):
        scale = _gain_of(population.name, rec)
        rec = in_units_of_input(rec)
    synapses: dict[str, Any] = {}
    reports: dict[str, ProjectionReport] = {}
    same = bool(np.all(rec.gain == rec.gain[0]))
    for p in incoming:
        weights = scaled_rows(in_format(p), rec.gain, p.name)
        if isinstance(p.synapses, Conv):
            c = p.synapses
            synapses[p.name] = Conv(weights, c.input_shape, c.stride, c.padding, c.dilation, c.groups, c.channels)
        else:
            synapses[p.name] = FloatSynapses(weights, p.delay)
        unit = float(1 / rec.gain[0]) if same else None
        reports[p.name] = ProjectionReport(
            p.name, population.name, unit, 0, "float", 64.0, 0.0, 0.0, 0, 0, int(np.size(weights))
        )
    uniform = bool(np.all(scale == scale[0]))
    report = PopulationReport(
        population.name,
        float(1 / scale[0]) if uniform else None,
        float(scale[0]) if uniform else None,
        float(rec.shift[0]) if np.ptp(rec.shift) == 0 else None,
        (0, 0),
        0,
        0.0,
        0.0,
        0.0,
        0,
        0,
        population.n,
    )
    check_membrane(incoming, report.unit, report.offset, population.name)
    return Lowered(_model(population, rec), synapses, report, reports, ())


def _gain_of(name: str, rec: Recurrence) -> np.ndarray:
    if np.any(rec.gain <= 0):
        raise CompileError(
            f"population '{name}': a resistance r of 0 or below turns what a rule learns around; give r > 0"
        )
    return rec.gain


def in_units_of_input(rec: Recurrence) -> Recurrence:
    """The same neurons with potentials in units of their gain: weights then stay as they are, as a rule knows them."""
    g = rec.gain
    return replace(
        rec,
        gain=np.ones(rec.n),
        bias=rec.bias / g,
        threshold=rec.threshold / g,
        v0=rec.v0 / g,
        drop=rec.drop / g,
        lowest=np.where(rec.lowest > -NEVER, rec.lowest / g, rec.lowest),
    )


def _model(population: Population, rec: Recurrence) -> NeuronModel:
    if rec.subtract:
        _check_reset(population.name, rec)
    if rec.spikes == "many" or np.any(rec.lowest > -NEVER):
        return _unit(population, rec)
    threshold = compact(np.where(np.isfinite(rec.threshold), rec.threshold, NEVER))
    if not rec.subtract:
        return floats.LavaLIF(
            population.model.shape,
            du=compact(1 - rec.beta),
            dv=compact(1 - rec.alpha),
            vth=threshold,
            bias=compact(rec.bias),
            refractory=compact(rec.dead),
            v=compact(rec.v0),
        )
    if rec.dead.any() or rec.v0.any():
        raise CompileError(
            f"population '{population.name}': reset='subtract' with a refractory period or a resting potential has no "
            "float neuron; drop one, or use reset='zero'"
        )
    return floats.LIF(
        population.model.shape,
        threshold=threshold,
        leak_decay=compact(rec.alpha),
        input_decay=compact(rec.beta),
        bias=compact(rec.bias),
        soft_reset=1,
        grid=0.0,
    )


def _check_reset(name: str, rec: Recurrence) -> None:
    if rec.spikes == "waits" or np.any(rec.drop != rec.threshold):
        raise CompileError(
            f"population '{name}': no ideal float neuron waits above threshold or subtracts another amount; run the "
            "network as it was read (cs.floats.Unit), or set reset_by=0 and spikes='one'"
        )


def _unit(population: Population, rec: Recurrence) -> NeuronModel:
    if rec.dead.any():
        raise CompileError(
            f"population '{population.name}': a refractory period with a lowest potential or several spikes in a step "
            "has no float neuron; drop one"
        )
    return floats.Unit(
        population.model.shape,
        current_kept=compact(rec.beta),
        current_gain=1.0,
        kept=compact(rec.alpha),
        gain=1.0,
        constant=compact(rec.bias),
        threshold=compact(rec.threshold),
        lowest=compact(rec.lowest),
        sends="many" if rec.spikes == "many" else "above",
        after_spike="subtract" if rec.subtract else "value",
        v=compact(rec.v0),
    )
