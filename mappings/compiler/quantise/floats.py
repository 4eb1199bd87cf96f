"""Ideal populations on a float chip: the exact recurrence in double precision, nothing rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.errors import CompileError
from chipsim.mappings.network.network import Population, Projection
from chipsim.mappings.network.recurrence import Recurrence, recurrence, scaled_rows
from chipsim.native import floats
from chipsim.native.base import NeuronModel
from chipsim.native.synapses import Conv, FloatSynapses

from .loihi import Lowered, compact
from .report import PopulationReport, ProjectionReport

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
    synapses: dict[str, Any] = {}
    reports: dict[str, ProjectionReport] = {}
    same = bool(np.all(rec.gain == rec.gain[0]))
    for p in incoming:
        weights = scaled_rows(p.synapses, rec.gain, p.name)
        if isinstance(p.synapses, Conv):
            c = p.synapses
            synapses[p.name] = Conv(weights, c.input_shape, c.stride, c.padding, c.dilation, c.groups, c.channels)
        else:
            synapses[p.name] = FloatSynapses(weights, p.delay)
        unit = float(1 / rec.gain[0]) if same else None
        reports[p.name] = ProjectionReport(
            p.name, population.name, unit, 0, "float", 64.0, 0.0, 0.0, 0, 0, int(np.size(weights))
        )
    report = PopulationReport(
        population.name,
        1.0,
        1.0,
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
    return Lowered(_model(population, rec), synapses, report, reports, ())


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
