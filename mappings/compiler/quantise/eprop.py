"""Populations that learn by e-prop in a chip's numbers: the weights' declared format sets the scale.

What learns must keep room to grow and synapses that are zero today. So a weight format of b bits over +-span becomes
mantissas of b bits (multiples of 2**(9 - b), -256..255 for +-span), and the membrane's unit follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.native import floats, loihi
from chipsim.native.loihi import STATE_MAX, VTH_SHIFT
from chipsim.native.synapses import FloatSynapses, Synapses
from chipsim.rules.carried import existing
from chipsim.rules.e_prop.rule import EProp, Precision
from chipsim.rules.fixed_format import Fixed, fixed

from .floats import NEVER
from .loihi import DECAY_ONE, Lowered, compact
from .report import PopulationReport, ProjectionReport

TOP = 256  #: mantissa that stands for the span of the weights
CLOSE = 1e-9


def learns_by_eprop(incoming: list[Projection]) -> bool:
    """True for a population that such projections reach."""
    return any(isinstance(p.rule, EProp) for p in incoming)


def lower_eprop(
    population: Population, incoming: list[Projection], chip: Chip, dt: float, rules: Mapping[str, EProp]
) -> Lowered:
    """LSNN neurons, or their readout, with the projections that learn them; `rules` as `resolved` gives them.

    Raises
    ------
    CompileError
        A model that e-prop does not know, constants that differ from the rule's, what the chip cannot hold.
    """
    other = next((p.name for p in incoming if p.name not in rules), None)
    if other is not None or not incoming:
        raise CompileError(
            f"population '{population.name}' is for networks that learn by e-prop, projection '{other}' into it does "
            "not: give all of them rule=cs.rules.eprop(...); Emulator.run(learn=False) keeps weights as they are"
        )
    make = {"ideal_lsnn": _lsnn, "ideal_li": _readout}.get(population.model.model)
    if make is None:
        raise CompileError(
            f"population '{population.name}' learns by e-prop but holds {type(population.model).__name__} neurons: "
            "use cs.LSNN, or cs.LI for the readout"
        )
    return make(population, incoming, chip, dt, rules[incoming[0].name])


def resolved(rules: Mapping[str, Any], net: Network, chip: Chip, bits: int) -> dict[str, EProp]:
    """The rules of projections with their bits spelled out: on integer chips weights always have a format.

    Left undeclared, weights get `bits` bits over the next power of two above all weights that learn, rounded
    stochastically. Rules of other kinds are left out: `lower_eprop` refuses them by name.
    """
    rules = {k: r for k, r in rules.items() if isinstance(r, EProp)}
    if chip.family == "float":
        for name, rule in rules.items():
            if rule.precision is not None and rule.precision.membrane is not None:
                raise CompileError(
                    f"projection '{name}': rule eprop declares a membrane of few bits, chip '{chip.name}' computes in "
                    "float64; leave membrane out, or take an integer chip"
                )
        return dict(rules)
    made = {}
    for name, rule in rules.items():
        p = rule.precision or Precision()
        if p.membrane is not None:
            raise CompileError(
                f"projection '{name}': rule eprop declares the membrane's bits, chip '{chip.name}' has its own (24); "
                "leave membrane out"
            )
        form = p.weights
        if form is None:
            tops = [float(np.abs(q.synapses.data if sp.issparse(q.synapses) else q.synapses).max(initial=0.0))
                    for q in net.projections.values() if isinstance(q.rule, EProp)]  # fmt: skip
            form = fixed(bits, 2.0 ** np.ceil(np.log2(max(*tops, 1e-9) * 1.001)))
        if not form.signed or not 2 <= form.bits <= 8:
            raise CompileError(
                f"projection '{name}': rule eprop declares weights of {form.bits} {'' if form.signed else 'un'}signed "
                f"bits; chip '{chip.name}' takes signed ones of 2 to 8"
            )
        levels = p.psi_levels if p.psi_levels > 1 else 256
        made[name] = replace(rule, precision=replace(p, weights=form, psi_levels=levels))
    return made


def _lsnn(population: Population, incoming: list[Projection], chip: Chip, dt: float, rule: EProp) -> Lowered:
    model, n = population.model, population.n
    v = {k: model.per_neuron(k) for k in model.registers}
    kept, rho = np.exp(-dt / v["tau_mem"]), np.exp(-dt / v["tau_adapt"])
    steps = np.round(v["refractory"] / dt).astype(np.int64)
    _agree(population.name, rule, dt, {"tau_m": v["tau_mem"] / dt, "thr": v["threshold"], "beta": v["beta"],
                                       "n_ref": steps, "scale_input": v["normalised"]})  # fmt: skip
    if np.any(v["beta"] > 0):
        _agree(population.name, rule, dt, {"tau_a": v["tau_adapt"] / dt})
    gain = 1.0 - kept if v["normalised"][0] else np.ones(n)
    levels = 0 if rule.precision is None else int(rule.precision.psi_levels)
    if chip.family == "float":
        registers = {
            "kept": kept, "gain": gain, "threshold": v["threshold"], "beta": v["beta"], "adaptation_kept": rho,
            "refractory": steps, "height": rule.gamma / v["threshold"], "levels": levels,
        }  # fmt: skip
        return _real(population, floats.LSNN(model.shape, **_compacted(registers)), incoming)
    unit = _unit(rule, gain, population.name)
    registers = {
        "dv": np.round(DECAY_ONE * (1 - kept)), "vth": np.round(v["threshold"] / unit / 2**VTH_SHIFT),
        "da": np.round(DECAY_ONE * (1 - rho)), "beta": np.round(v["beta"] / unit), "refractory": np.maximum(steps, 1),
        "levels": levels,
    }  # fmt: skip
    _fit(population.name, chip, registers["vth"], registers["beta"])
    return _integer(population, loihi.LSNN(model.shape, **_compacted(registers)), incoming, rule, unit)


def _compacted(registers: dict[str, Any]) -> dict[str, Any]:
    """Registers that are the same for all neurons as one number."""
    return {k: compact(np.asarray(v)) if np.ndim(v) else v for k, v in registers.items()}


def _readout(population: Population, incoming: list[Projection], chip: Chip, dt: float, rule: EProp) -> Lowered:
    model = population.model
    v = {k: model.per_neuron(k) for k in model.registers}
    kept = np.exp(-dt / v["tau_mem"])
    _agree(population.name, rule, dt, {"tau_out": v["tau_mem"] / dt})
    if v["tau_syn"].any() or v["bias"].any() or v["v_leak"].any() or np.any(np.abs(v["r"] / (1 - kept) - 1) > 1e-6):
        raise CompileError(
            f"population '{population.name}' is a readout that learns by e-prop: it needs tau_syn=0, no bias, v_leak=0 "
            f"and r=1-exp(-dt/tau_mem)={1 - kept[0]:.6g}"
        )
    if chip.family == "float":
        made = floats.Unit(
            model.shape,
            kept=compact(kept),
            input_gain=compact(1.0 - kept),
            threshold=NEVER,
            sends="above",
            after_spike="nothing",
        )
        return _real(population, made, incoming)
    unit = _unit(rule, 1.0 - np.round(DECAY_ONE * kept) / DECAY_ONE, population.name)
    made = loihi.LIF(
        model.shape, du=4095, dv=compact(np.round(DECAY_ONE * (1 - kept))), vth=STATE_MAX >> VTH_SHIFT,
        vmax=(STATE_MAX >> VTH_SHIFT) << VTH_SHIFT,
    )  # fmt: skip
    return _integer(population, made, incoming, rule, unit)


def _agree(name: str, rule: EProp, dt: float, found: dict[str, np.ndarray]) -> None:
    """The rule computes eligibilities of these very neurons: its constants must be theirs."""
    for field, values in found.items():
        wanted = np.asarray(getattr(rule, field), np.float64)
        if wanted.ndim and wanted.shape != values.shape:
            raise CompileError(
                f"population '{name}': rule eprop has {wanted.size} values of {field}, give {values.size}"
            )
        worst = np.argmax(np.abs(values - wanted))
        if np.abs(values - wanted).max() > CLOSE * max(1.0, float(np.abs(wanted).max())):
            raise CompileError(
                f"population '{name}': its neurons have {field}={values[worst]:g} in steps of dt={dt:g} s, rule eprop "
                f"learns for {np.broadcast_to(wanted, values.shape)[worst]:g}; make them equal "
                "(chipsim.mappings.eprop_network builds both)"
            )


def _unit(rule: EProp, gain: np.ndarray, name: str) -> float:
    """Ideal potential of one unit of v: 2**6 mantissas of weight step each enter at `gain`."""
    if np.ptp(gain) > CLOSE:
        raise CompileError(
            f"population '{name}': e-prop on an integer chip needs one time constant for all its neurons"
        )
    return float(gain[0]) * _mantissa_unit(rule) / 2**VTH_SHIFT


def _mantissa_unit(rule: EProp) -> float:
    form = _weights(rule)
    return form.step * 2 ** (form.bits - 1) / TOP


def _weights(rule: EProp) -> Fixed:
    form = rule.precision.weights if rule.precision is not None else None
    assert form is not None  # `resolved` declared it
    return form


def _fit(name: str, chip: Chip, vth: np.ndarray, beta: np.ndarray) -> None:
    if np.any(vth < 1) or np.any(vth > STATE_MAX >> VTH_SHIFT) or np.any(beta > STATE_MAX):
        raise CompileError(
            f"population '{name}': a threshold of mantissa {vth.max():.0f} (beta {beta.max():.0f}) does not fit chip "
            f"'{chip.name}'; choose another span of the weights in the rule's precision"
        )


def _real(population: Population, model: Any, incoming: list[Projection]) -> Lowered:
    synapses = {p.name: FloatSynapses(p.synapses, p.delay) for p in incoming}
    reports = {
        p.name: ProjectionReport(p.name, population.name, 1.0, 0, "float", 64.0, 0.0, 0.0, 0, 0, _size(p))
        for p in incoming
    }
    return Lowered(model, synapses, _report(population, 1.0, (0, 0)), reports, ())


def _integer(population: Population, model: Any, incoming: list[Projection], rule: EProp, unit: float) -> Lowered:
    form, step = _weights(rule), _mantissa_unit(rule)
    least = round(form.step / step)
    synapses, reports = {}, {}
    for p in incoming:
        matrix = _stored(p)
        wanted = np.asarray(matrix.data, np.float64) / form.step
        kept = np.clip(np.floor(wanted + 0.5), -(2 ** (form.bits - 1)), 2 ** (form.bits - 1) - 1)
        mantissa = sp.csc_array(((kept * least).astype(np.int64), matrix.indices, matrix.indptr), shape=matrix.shape)
        synapses[p.name] = Synapses(mantissa, bits=form.bits, sign="mixed", delays=p.delay)
        error = kept - wanted
        top, rms = max(np.abs(wanted).max(initial=0.0), 1e-300), np.sqrt((wanted**2).mean()) if wanted.size else 1.0
        reports[p.name] = ProjectionReport(
            p.name, population.name, step, 0, "mixed", float(form.bits), float(np.abs(error).max(initial=0.0) / top),
            float(np.sqrt((error**2).mean()) / max(rms, 1e-300)) if wanted.size else 0.0,
            int(np.count_nonzero(np.abs(error) > 0.5)), int(np.count_nonzero((kept == 0) & (wanted != 0))), wanted.size,
        )  # fmt: skip
    vth = model.per_neuron("vth")
    return Lowered(model, synapses, _report(population, unit, (int(vth.min()), int(vth.max()))), reports, ())


def _report(population: Population, unit: float, vth: tuple[int, int]) -> PopulationReport:
    return PopulationReport(population.name, 1.0 / unit, unit, 0.0, vth, 0, 0.0, 0.0, 0.0, 0, 0, population.n)


def _size(p: Projection) -> int:
    return int(_stored(p).nnz)


def _stored(p: Projection) -> sp.csc_array:
    """The weights as a CSC array that stores every synapse, those of 0 that may grow among them."""
    if sp.issparse(p.synapses):
        matrix = sp.csc_array(p.synapses)
        matrix.sort_indices()
        return matrix
    found = existing(p.synapses, p.rule, p.pre is p.post)
    pre, post = np.nonzero(found.T)
    ptr = np.concatenate(([0], np.cumsum(np.count_nonzero(found, axis=0))))
    return sp.csc_array((np.asarray(p.synapses)[post, pre], post, ptr), shape=found.shape)
