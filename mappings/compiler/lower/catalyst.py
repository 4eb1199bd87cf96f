"""Lowering onto the Catalyst N1: ideal neurons to CUBA or LIF registers, neurons to cores, every limit checked.

An ideal LIF or LI becomes a CUBA neuron: its input acts on the potential one timestep later, which a delay of at least
one takes up; where there is none the report says so. An IF neuron that cannot go below its reset is a LIF neuron of the
chip, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.engines.catalyst.image import N1Image, build_of, program_image
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.mappings.network.recurrence import Recurrence, recurrence
from chipsim.native.catalyst.microcode import Program as Microcode
from chipsim.native.catalyst.neurons import CUBA, LIF
from chipsim.native.catalyst.synapses import Synapses
from chipsim.program.program import PopulationImage, Program, ProjectionImage

from .catalyst_cores import assign

_IDEAL = ("ideal_lif", "ideal_if", "ideal_li")
_NATIVE = ("catalyst_lif", "catalyst_cuba")
HIGHEST = 30_000  #: thresholds and weights are scaled up to here
WEIGHT_MAX = 2000  #: what the engine keeps learned weights below
READOUT_REACH = 24_000  #: readouts are scaled to stay below this potential


def lower_catalyst(
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
    """The program of `net` on a Catalyst N1.

    Raises
    ------
    CompileError
        Neurons, synapses, routes, delays, fan-in of learning, compartments or rules that the build cannot hold; ideal
        models that its neurons cannot follow.
    """
    if arithmetic is not None:
        raise CompileError(f"{chip.name} has its own arithmetic: leave out arithmetic=")
    build_of(chip)
    ideal = [p.name for p in net.populations.values() if _kind(p, chip) == "ideal"]
    neurons = [p for p in net.populations.values() if not p.model.is_input]
    if ideal and len(ideal) != len(neurons):
        raise CompileError(
            f"{chip.name}: populations {', '.join(ideal)} are ideal, others native: build all of one kind"
        )
    for projection in net.projections.values():
        _check_projection(projection, chip)
    parts = _from_ideal(net, chip, dt) if ideal else _native(net, chip)
    core = assign(net, parts.models, parts.synapses, parts.rules, chip, placement, rates)
    if ideal:
        _across_cores(net, parts, core)
    program = _program(net, chip, parts, core, dt, seed, name)
    image = program_image(program)
    stage = {"cores": image.usage, "warnings": [*image.warnings], "flags": image.flags}
    for p in program.projections:
        if isinstance(p.rule, Microcode):
            stage.setdefault("learning programs", {})[p.name] = _listing(p.rule)
    program.stages["allocate"] = _table(image)
    program.stages["catalyst"] = stage
    return program


def _table(image: N1Image) -> dict[str, Any]:
    """What each core holds and what it could, as the report shows it; relays are neurons too."""
    rows = image.usage
    table = {name: [row[name] for row in rows] for name in ("core", "relays", "synapses", "packets")}
    table["neurons"] = [row["neurons"] + row["relays"] for row in rows]
    return {"table": table, "limits": {"neurons": image.build.neurons, "synapses": image.build.pool}}


def _listing(rule: Microcode) -> dict[str, Any]:
    return {
        "program": rule.listing, "three_factor": rule.three_factor, "skip_idle": rule.skip_idle,
        "instructions": {s: [c.fewest, c.most] for s, c in rule.costs.items()},
        "cycles per synapse": {s: list(c) for s, c in rule.cycles().items()}, "changes": list(rule.notes),
    }  # fmt: skip


@dataclass(eq=False)
class _Parts:
    """Native parts of a network, and what quantising them meant."""

    models: dict[str, Any]
    synapses: dict[str, Synapses]
    rules: dict[str, Microcode | None]
    units: dict[str, float | None]
    offsets: dict[str, float]
    weight_units: dict[str, float | None]
    stages: dict[str, Any]


def _kind(population: Population, chip: Chip) -> str:
    model = population.model
    if model.is_input:
        return "input"
    if model.model in _IDEAL:
        return "ideal"
    if model.model in _NATIVE:
        return "native"
    raise CompileError(
        f"population '{population.name}': {chip.name} has no {model.family}.{type(model).__name__}; "
        "use cs.LIF, cs.IF, cs.LI or cs.catalyst.LIF, cs.catalyst.CUBA",
        population=population.name,
        resource="neuron_models",
    )


def _check_projection(p: Projection, chip: Chip) -> None:
    if p.post.model.is_input:
        raise CompileError(
            f"projection '{p.name}': '{p.post.name}' is an input; {chip.name} teaches neurons only: put a population "
            "of cs.catalyst.LIF there and drive it",
            population=p.post.name,
        )
    if int(p.pre.model.values.get("graded", 0)) and not getattr(p.synapses, "graded", False):
        raise CompileError(
            f"population '{p.pre.name}' sends graded spikes: give projection '{p.name}' "
            "cs.catalyst.Synapses(..., graded=True)",
            population=p.pre.name,
        )


def _rule(p: Projection, chip: Chip, weight_step: float | None = None) -> Microcode | None:
    """The microcode of a projection's rule; `weight_step`: a unit of the chip's weight in the rule's."""
    if p.rule is None or isinstance(p.rule, Microcode):
        return p.rule
    from .catalyst_rules import to_microcode

    return to_microcode(p.rule, chip, p.name, weight_step)


def _learned_top(population: Population, found: Recurrence, learning: list[Projection], chip: Chip) -> float | None:
    """Ideal weight that becomes the chip's largest learned one, times the gain; None where nothing learns."""
    if not learning:
        return None
    if np.ptp(found.gain) > 0:
        raise CompileError(
            f"population '{population.name}': its synapses learn, so its neurons must share time constants and r",
            population=population.name, resource="learning",
        )  # fmt: skip
    tops = []
    for p in learning:
        bounds = getattr(p.rule, "bounds", None)
        if bounds is None or not np.all(np.isfinite(bounds)):
            raise CompileError(
                f"projection '{p.name}': {chip.name} learns whole numbers 0..{WEIGHT_MAX}; a rule on ideal weights "
                "needs finite bounds=, which become these; or build it from cs.catalyst.LIF and Synapses",
                population=population.name, resource="learning",
            )  # fmt: skip
        tops.append(max(abs(b) for b in bounds))
    return max(tops) * float(found.gain[0])


def _native(net: Network, chip: Chip) -> _Parts:
    for p in net.projections.values():
        if not isinstance(p.synapses, Synapses):
            raise CompileError(f"projection '{p.name}': native Catalyst neurons need cs.catalyst.Synapses")
    rules = {p.name: _rule(p, chip) for p in net.projections.values()}
    return _Parts(
        {p.name: p.model for p in net.populations.values()},
        {p.name: p.synapses for p in net.projections.values()}, rules, {}, {}, {}, {},
    )  # fmt: skip


def _matrix(p: Projection) -> np.ndarray:
    synapses = p.synapses
    if isinstance(synapses, np.ndarray):
        return synapses.astype(np.float64)
    if hasattr(synapses, "toarray"):
        return synapses.toarray().astype(np.float64)
    if hasattr(synapses, "targets"):  # a convolution, written out
        post, pre, weight = synapses.targets()
        full = np.zeros(synapses.shape)
        np.add.at(full, (post, pre), np.asarray(synapses.kernel, np.float64).ravel()[weight])
        return full
    raise CompileError(f"projection '{p.name}': an ideal network needs plain weights, not {type(synapses).__name__}")


def _from_ideal(net: Network, chip: Chip, dt: float) -> _Parts:
    parts = _Parts({}, {}, {}, {}, {}, {}, {"quantise": {"rounding": {}, "units": {}}})
    report = parts.stages["quantise"]
    for p in net.populations.values():
        if p.model.is_input:
            parts.models[p.name] = p.model
    for population in net.populations.values():
        if population.model.is_input:
            continue
        found = recurrence(population.model, dt, population.name)
        _refuse(population, found, chip)
        arriving = [p for p in net.projections.values() if p.post is population]
        weights = {p.name: _matrix(p) * found.gain[:, None] for p in arriving}
        plain = _is_plain(found)
        learning = [p for p in arriving if p.rule is not None]
        scale = _scale(found, weights, _learned_top(population, found, learning, chip))
        model = _lif(population, found, scale) if plain else _cuba(population, found, scale)
        parts.models[population.name] = model
        parts.units[population.name] = report["units"][population.name] = 1 / scale
        parts.offsets[population.name] = float(found.shift[0]) if np.ptp(found.shift) == 0 else 0.0
        absorbed = _absorbed(arriving, weights) if not plain else 0
        if not plain and not absorbed:
            report.setdefault("later", []).append(population.name)
        for p in arriving:
            whole = np.rint(weights[p.name] * scale).astype(np.int64)
            if p.rule is not None:  # a synapse that learns is one, whatever its weight is now
                whole = np.where((weights[p.name] != 0) & (whole == 0), 1, whole)
            delay = _delays(p, whole.shape) - absorbed
            parts.synapses[p.name] = Synapses(whole, delays=np.where(whole != 0, delay, 0))
            same = np.ptp(found.gain) == 0 and found.gain[0] != 0
            unit = parts.weight_units[p.name] = 1 / scale / float(found.gain[0]) if same else None
            parts.rules[p.name] = None if p.rule is None else _rule(p, chip, unit)
        off = [np.abs(np.rint(w * scale) / scale - w).max(initial=0) for w in weights.values()]
        report["rounding"][population.name] = float(max(off, default=0.0))
    if "later" in report:
        report.setdefault("warnings", []).append(
            f"inputs of {', '.join(report['later'])} act one timestep later than in the ideal network (CUBA neurons "
            "integrate the current of the timestep before): give their projections a delay of at least 1 to be exact"
        )
    return parts


def _refuse(population: Population, found: Recurrence, chip: Chip) -> None:
    for what, bad, remedy in (
        ("a reset by subtraction", found.subtract, "use reset='zero'"),
        ("a potential that starts away from its reset", np.any(found.v0 != 0), "make v_leak equal to v_reset"),
        ("several spikes in a step", found.spikes != "one", "use spikes='one'"),
        ("a refractory period beyond 255 steps", np.any(found.dead > 255), "shorten it, or use a larger dt"),
    ):
        if bad:
            raise CompileError(
                f"population '{population.name}': {chip.name} has no way to give {what}: {remedy}",
                population=population.name, resource=what,
            )  # fmt: skip


def _is_plain(found: Recurrence) -> bool:
    """Neurons that the chip's LIF follows exactly: no leak, no current, no drive, never below the reset."""
    return bool(
        np.all(found.alpha == 1) and np.all(found.beta == 0) and np.all(found.bias == 0)
        and np.all(found.lowest == 0) and np.all(np.isfinite(found.threshold))
    )  # fmt: skip


def _scale(found: Recurrence, weights: dict[str, np.ndarray], learned_top: float | None) -> float:
    """Chip units per unit of v: thresholds and weights as large as their registers hold, learned ones up to 2000."""
    largest = max((np.abs(w).max(initial=0) for w in weights.values()), default=0.0)
    limits = [HIGHEST / largest] if largest > 0 else []
    spiking = np.isfinite(found.threshold)
    if spiking.any():
        limits.append(HIGHEST / np.abs(found.threshold[spiking]).max())
    else:  # a readout: as high as it can be driven, or its largest constant drive
        keep = np.minimum(1 / np.maximum(1 - found.alpha, 1e-3), 1e3)
        reach = sum((np.abs(w).sum(axis=1) for w in weights.values()), np.abs(found.bias)) * keep
        if reach.max(initial=0) > 0:
            limits.append(READOUT_REACH / reach.max())
    if learned_top is not None:
        return min(*limits, WEIGHT_MAX / learned_top) if limits else WEIGHT_MAX / learned_top
    if np.abs(found.bias).max(initial=0) > 0:
        limits.append((4095 << 7) / np.abs(found.bias).max())
    scale = min(limits, default=1.0)
    exact = 2.0 ** np.floor(np.log2(scale))
    values = [w[w != 0] for w in weights.values()]
    whole = np.concatenate([np.zeros(1), *values])
    # Whole numbers stay whole: a power of two below the largest scale changes none of them.
    return float(exact) if np.all(whole == np.rint(whole)) and exact >= 1 else float(scale)


def _threshold(found: Recurrence, scale: float) -> np.ndarray:
    """Least whole potential that exceeds the ideal threshold."""
    finite = np.isfinite(found.threshold)
    return np.where(finite, np.floor(np.where(finite, found.threshold, 0) * scale) + 1, 32767).astype(np.int64)


def _lif(population: Population, found: Recurrence, scale: float) -> LIF:
    return LIF(population.shape, thr=_threshold(found, scale), refractory=found.dead, leak=0)


def _cuba(population: Population, found: Recurrence, scale: float) -> CUBA:
    lowest = np.where(np.isfinite(found.lowest), np.maximum(found.lowest * scale, -32768), -32768)
    return CUBA(
        population.shape,
        thr=_threshold(found, scale),
        refractory=found.dead,
        decay_v=np.clip(np.rint((1 - found.alpha) * 4096), 0, 4095),
        decay_u=np.clip(np.rint((1 - found.beta) * 4096), 1, 4095),
        bias=np.array([_nearest_bias(b) for b in found.bias * scale], np.int64),
        vmin=np.rint(lowest),
        vmax=np.where(np.isfinite(found.threshold), 32767, 32766),
    )


def _nearest_bias(bias: float) -> int:
    """The bias register's value next to `bias`."""
    for exponent in range(8):
        mantissa = int(np.rint(bias / (1 << exponent)))
        if -4096 <= mantissa <= 4095:
            return mantissa << exponent
    return (4095 if bias > 0 else -4096) << 7


def _delays(p: Projection, shape: tuple[int, ...]) -> np.ndarray:
    delay = p.delay
    if hasattr(delay, "toarray"):
        return delay.toarray().astype(np.int64)
    return np.broadcast_to(np.asarray(delay, np.int64), shape)


def _absorbed(arriving: list[Projection], weights: dict[str, np.ndarray]) -> int:
    """1 if every synapse onto a population has a delay from which the CUBA neuron's own timestep can be taken."""
    least = [_delays(p, weights[p.name].shape)[weights[p.name] != 0].min(initial=63) for p in arriving]
    return int(min(least, default=0) >= 1)


def _across_cores(net: Network, parts: _Parts, core: np.ndarray) -> None:
    """Synapses between cores need a timestep of delay (a relay adds up what packets would overwrite)."""
    start, at = {}, 0
    for p in net.populations.values():
        start[p.name] = at
        at += p.n
    later = []
    for p in net.projections.values():
        if p.pre.model.is_input:
            continue
        synapses = parts.synapses[p.name]
        post, pre, _, delay = synapses.entries()
        crossing = core[post + start[p.post.name]] != core[pre + start[p.pre.name]]
        if np.any(crossing & (delay == 0)):
            matrix = synapses.mantissa
            raised = np.where(np.asarray(matrix) != 0, np.minimum(np.asarray(synapses.delays) + 1, 63), 0)
            parts.synapses[p.name] = replace(synapses, delays=raised)
            later.append(p.name)
    if later:
        parts.stages["quantise"].setdefault("warnings", []).append(
            f"projections {', '.join(later)} lead from core to core: all their synapses act one timestep later "
            "(give them a delay of at least 1 to be exact)"
        )


def _program(
    net: Network, chip: Chip, parts: _Parts, core: np.ndarray, dt: float, seed: int, name: str | None
) -> Program:
    images, at, index = [], 0, {}
    for k, (label, p) in enumerate(net.populations.items()):
        images.append(
            PopulationImage(label, parts.models[label], at, parts.units.get(label), parts.offsets.get(label, 0.0))
        )
        index[label] = k
        at += p.n
    projections = tuple(
        ProjectionImage(
            p.name, index[p.pre.name], index[p.post.name], parts.synapses[p.name], parts.rules[p.name],
            parts.weight_units.get(p.name),
        )
        for p in net.projections.values()
    )  # fmt: skip
    return Program(
        chip=chip, populations=tuple(images), projections=projections, core=core,
        arithmetic=chip.arithmetic.resolve(), dt=float(dt), seed=int(seed), name=name or net.name, stages=parts.stages,
    )  # fmt: skip
