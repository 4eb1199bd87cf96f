"""Lowering onto ODIN, tinyODIN (one 256 x 256 crossbar) and the TrueNorth-class grid (layers): sources and LIF neurons.

Ideal neurons become the chip's: per neuron one scale for weights, threshold and leak. The chip leaks by a constant per
time reference; an exponential leak is replaced by the constant that takes the same away at half the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.mappings.network.recurrence import recurrence
from chipsim.native.crossbar import odin, tinyodin
from chipsim.native.crossbar.image import ODIN_THRESHOLD, ODIN_WEIGHT, TINY_THRESHOLD, TINY_WEIGHTS, refuse, to_integers
from chipsim.native.grid import truenorth
from chipsim.program.program import PopulationImage, Program, ProjectionImage

from .common import refuse_options

_CHIP = {
    "odin": (odin, (-ODIN_WEIGHT, ODIN_WEIGHT), ODIN_THRESHOLD, ("odin_lif", "odin_izh")),
    "tinyodin": (tinyodin, TINY_WEIGHTS, TINY_THRESHOLD, ("tinyodin_lif",)),
    "truenorth": (truenorth, TINY_WEIGHTS, ODIN_THRESHOLD, ("truenorth_lif",)),
}
_IDEAL = ("ideal_lif", "ideal_if")


def lower_crossbar(
    net: Network,
    chip: Chip,
    *,
    dt: float = 1e-3,
    seed: int = 0,
    arithmetic: Any = None,
    placement: Mapping[str, Any] | None = None,
    rates: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Program:
    """The program of `net` on ODIN, tinyODIN or the TrueNorth-class grid.

    Raises
    ------
    CompileError
        More than 256 neurons or presynaptic rows, neurons with outgoing weights of both signs (ODIN), delays, rules,
        synaptic time constants, biases, refractory periods, reset by subtraction, or neurons of another chip.
    """
    refuse_options(chip, arithmetic, placement)
    neurons = [p for p in net.populations.values() if not p.model.is_input]
    count = sum(p.n for p in neurons)
    if count > odin.NEURONS and chip.family != "truenorth":
        raise refuse(chip.name, None, "neurons", count, odin.NEURONS, "use fewer neurons")
    ideal = {p.name for p in neurons if _kind(p, chip) == "ideal"}
    if ideal and len(ideal) != len(neurons):
        mixed = ", ".join(sorted(ideal))
        raise CompileError(f"{chip.name}: populations {mixed} are ideal, others native: build all of one kind")
    for projection in net.projections.values():
        _check_projection(projection, chip)
    models, synapses, stage = _from_ideal(net, neurons, chip, dt) if ideal else (_models(net), _native(net, chip), {})
    program = _program(net, chip, models, synapses, stage, dt, seed, name)
    if chip.family == "truenorth":
        from chipsim.engines.grid.program import program_image as image
    else:
        from chipsim.engines.crossbar.program import program_image as image
    image(program)
    return program


def _kind(population: Population, chip: Chip) -> str:
    model = population.model
    if model.model in _IDEAL:
        return "ideal"
    if model.model not in _CHIP[chip.family][3]:
        raise CompileError(
            f"population '{population.name}': {chip.name} has no {model.family}.{type(model).__name__}; "
            f"use cs.LIF, cs.IF or cs.{chip.family}.LIF",
            population=population.name,
            resource="neuron_models",
        )
    return "native"


def _check_projection(p: Projection, chip: Chip) -> None:
    if p.post.model.is_input:
        raise CompileError(f"projection '{p.name}': '{p.post.name}' is an input and cannot receive spikes")
    if int(p.pre.model.values.get("graded", 0)):
        raise CompileError(f"population '{p.pre.name}': {chip.name} takes plain spikes, not graded ones")
    if p.max_delay:
        raise CompileError(
            f"projection '{p.name}': delay {p.max_delay} exceeds 0: {chip.name} has no delays",
            resource="delay", need=p.max_delay, limit=0,
        )  # fmt: skip
    if p.rule is not None:
        raise CompileError(
            f"projection '{p.name}': {chip.name} takes no rule=; ODIN learns with SDSP, set in its neurons' registers "
            "(cs.odin.LIF(ca_en=1, theta_mem=…))"
        )


def _models(net: Network) -> dict[str, Any]:
    return {p.name: p.model for p in net.populations.values()}


def _native(net: Network, chip: Chip) -> dict[str, Any]:
    kind = _CHIP[chip.family][0].Synapses
    for p in net.projections.values():
        if not isinstance(p.synapses, kind):
            raise CompileError(f"projection '{p.name}': native {chip.name} neurons need cs.{chip.family}.Synapses")
    return {p.name: p.synapses for p in net.projections.values()}


def _dense(p: Projection) -> np.ndarray:
    synapses = p.synapses
    if isinstance(synapses, np.ndarray):
        return synapses.astype(np.float64)
    if hasattr(synapses, "toarray"):
        return synapses.toarray().astype(np.float64)
    if hasattr(synapses, "targets"):  # a convolution, written out
        post, pre, weight = synapses.targets()
        full = np.zeros(synapses.shape)
        np.add.at(full, (post, pre), weight)
        return full
    raise CompileError(f"projection '{p.name}': an ideal network needs plain weights, not {type(synapses).__name__}")


def _from_ideal(
    net: Network, neurons: list[Population], chip: Chip, dt: float
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Native models and synapses of an ideal network, and what rounding cost."""
    module, (lo, hi), thr_max, _ = _CHIP[chip.family]
    models = _models(net)
    synapses: dict[str, Any] = {}
    report: dict[str, Any] = {"rounding": {}, "units": {}, "leak": "constant per step, exact at half the threshold"}
    for population in neurons:
        found = recurrence(population.model, dt, population.name)
        for what, bad in (
            ("a synaptic time constant (tau_syn)", np.any(found.beta != 0)),
            ("a bias or a leak to another value than the reset's", np.any(found.bias != 0) or np.any(found.v0 != 0)),
            ("a refractory period", np.any(found.dead > 0)),
            ("a reset by subtraction (reset='zero' works)", found.subtract and chip.family != "truenorth"),
        ):
            if bad:
                raise CompileError(
                    f"population '{population.name}': {chip.name} has no way to give {what}",
                    population=population.name, resource=what.split(" (")[0], limit=0,
                )  # fmt: skip
        arriving = [p for p in net.projections.values() if p.post is population]
        parts = [_dense(p) * found.gain[:, None] for p in arriving]
        together = np.concatenate([np.zeros((population.n, 1)), *parts], axis=1)
        leak = (1 - found.alpha) * found.threshold / 2
        native = to_integers(chip.name, together, found.threshold, leak, lo, hi, thr_max, population.name)
        gone = np.count_nonzero((leak > 0) & (native.leak == 0))
        if gone:
            report.setdefault("warnings", []).append(
                f"population '{population.name}': the leak of {gone} neurons rounds to 0 at a threshold of "
                f"{int(native.threshold.min())} to {int(native.threshold.max())}: they do not leak on {chip.name}"
            )
        column = 1
        for projection, part in zip(arriving, parts):
            synapses[projection.name] = module.Synapses(native.weights[:, column : column + part.shape[1]])
            column += part.shape[1]
        models[population.name] = _neurons(chip, population, native, found.subtract)
        report["rounding"][population.name] = native.rounding
        same = np.ptp(native.unit) == 0
        report["units"][population.name] = float(native.unit[0]) if same else None
    return models, synapses, {"quantise": report}


def _neurons(chip: Chip, population: Population, native: Any, subtract: bool) -> Any:
    """The chip's neurons; on the grid a leak needs a floor at 0, or it would go on below."""
    if chip.family != "truenorth":
        return _CHIP[chip.family][0].LIF(population.shape, thr=native.threshold, leak_str=native.leak)
    floor = 0 if np.any(native.leak) else -256
    return truenorth.LIF(population.shape, thr=native.threshold, leak=-native.leak, negthr=floor, mode=int(subtract))


def _program(
    net: Network, chip: Chip, models: dict, synapses: dict, stage: dict, dt: float, seed: int, name: str | None
) -> Program:
    units = stage.get("quantise", {}).get("units", {})
    images, at, core, index = [], 0, [], {}
    for k, (label, p) in enumerate(net.populations.items()):
        images.append(PopulationImage(label, models[label], at, units.get(label)))
        core.append(np.full(p.n, -1 if p.model.is_input else 0, np.int32))
        index[label] = k
        at += p.n
    projections = [
        ProjectionImage(p.name, index[p.pre.name], index[p.post.name], synapses[p.name])
        for p in net.projections.values()
    ]
    return Program(
        chip=chip,
        populations=tuple(images),
        projections=tuple(projections),
        core=np.concatenate(core),
        arithmetic=chip.arithmetic.resolve(),
        dt=float(dt),
        seed=int(seed),
        name=net.name if name is None else name,
        stages=stage,
    )
