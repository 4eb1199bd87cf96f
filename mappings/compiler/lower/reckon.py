"""Lowering onto ReckOn: sources, one recurrent layer of LIF neurons, leaky integrators; ideal or native.

The chip's fixed shape decides: input lines -> 256 all-to-all neurons -> 16 outputs. Several populations of
a kind share their layer, in network order. Delta synapses only; what the chip lacks is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.mappings.network.recurrence import Recurrence, recurrence
from chipsim.native.reckon.image import ReckonImage, check_sizes, ideal_image
from chipsim.native.reckon.neurons import LI, LIF, Synapses
from chipsim.program.program import PopulationImage, Program, ProjectionImage

from .common import refuse_options

_LAYER = {"ideal_lif": 1, "ideal_if": 1, "reckon_lif": 1, "ideal_li": 2, "reckon_li": 2}
_ALLOWED = {(0, 1): "input", (1, 1): "recurrent", (1, 2): "output"}


def lower_reckon(
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
    """The program of `net` on ReckOn (learning off).

    Raises
    ------
    CompileError
        Layers beyond 256-256-16, projections the chip has no wires for, delays, rules, time constants below
        7.5 dt, synaptic time constants, biases, dead times, and weights beyond 8 bits and a shift of 7.
    """
    refuse_options(chip, arithmetic, placement)
    layer = {p.name: _layer(p, chip) for p in net.populations.values()}
    _check_projections(net, layer, chip)
    sizes = [sum(p.model.n for p in net.populations.values() if layer[p.name] == k) for k in range(3)]
    check_sizes(max(sizes[0], 1), sizes[1], max(sizes[2], 1))
    ideal = {p.name for p in net.populations.values() if p.model.family == "ideal"}
    if ideal and len(ideal) != sum(1 for k in layer.values() if k):
        mixed = ", ".join(sorted(ideal))
        raise CompileError(f"{chip.name}: populations {mixed} are ideal, others native: build all of one kind")
    if ideal:
        models, synapses, stage = _from_ideal(net, layer, sizes, dt)
    else:
        models = {p.name: p.model for p in net.populations.values()}
        synapses, stage = {p.name: p.synapses for p in net.projections.values()}, {}
    program = _program(net, chip, layer, models, synapses, stage, dt, seed, name)
    _check_native(program)
    return program


def _layer(population: Population, chip: Chip) -> int:
    """0 input, 1 recurrent, 2 output."""
    model = population.model
    if model.is_input:
        if int(model.values.get("graded", 0)):
            raise CompileError(f"population '{population.name}': {chip.name} takes plain spikes, not graded ones")
        return 0
    if model.model not in _LAYER:
        raise CompileError(
            f"population '{population.name}': {chip.name} has no {model.family}.{type(model).__name__}; "
            "use cs.LIF, cs.IF, cs.LI or cs.reckon.LIF, cs.reckon.LI",
            population=population.name,
            resource="neuron_models",
        )
    return _LAYER[model.model]


def _check_projections(net: Network, layer: dict[str, int], chip: Chip) -> None:
    seen: set[tuple[str, str]] = set()
    for p in net.projections.values():
        pair = (p.pre.name, p.post.name)
        if (layer[pair[0]], layer[pair[1]]) not in _ALLOWED:
            raise CompileError(
                f"projection '{p.name}': {chip.name} connects inputs to LIF neurons, these to each other and to leaky "
                f"integrators, not {type(p.pre.model).__name__} to {type(p.post.model).__name__}"
            )
        if pair in seen:
            raise CompileError(
                f"projection '{p.name}': '{pair[0]}' and '{pair[1]}' are connected twice; add the weights"
            )
        if p.max_delay:
            raise CompileError(
                f"projection '{p.name}': delay {p.max_delay} exceeds 0: {chip.name} has no delays",
                resource="delay",
                need=p.max_delay,
                limit=0,
            )
        if p.rule is not None:
            raise CompileError(
                f"projection '{p.name}': {chip.name} learns with its own e-prop, set in registers (DO_EPROP, …): "
                "use chipsim.engines.reckon.core.ReckonEngine, or leave out rule="
            )
        seen.add(pair)


def _plain(population: Population, dt: float) -> Recurrence:
    """The recurrence of an ideal population that the chip can follow."""
    found = recurrence(population.model, dt, population.name)
    for what, bad in (
        ("a synaptic time constant (tau_syn)", np.any(found.beta != 0)),
        ("a bias or a leak to another value than the reset's", np.any(np.abs(found.bias) > 0) or np.any(found.v0 != 0)),
        ("a refractory period", np.any(found.dead > 0)),
    ):
        if bad:
            raise CompileError(
                f"population '{population.name}': ReckOn has no way to give {what}; set it to 0",
                population=population.name,
                resource=what.split(" (")[0],
                limit=0,
            )
    return found


def _matrix(projection: Projection) -> np.ndarray:
    synapses = projection.synapses
    if isinstance(synapses, np.ndarray):
        return synapses.astype(np.float64)
    if hasattr(synapses, "toarray"):
        return synapses.toarray().astype(np.float64)
    if hasattr(synapses, "targets"):  # a convolution, written out
        post, pre, weight = synapses.targets()
        full = np.zeros(synapses.shape)
        np.add.at(full, (post, pre), weight)
        return full
    kind = type(synapses).__name__
    raise CompileError(f"projection '{projection.name}': an ideal network needs plain weights, not {kind}")


def _from_ideal(
    net: Network, layer: dict[str, int], sizes: list[int], dt: float
) -> tuple[dict[str, Any], dict[str, Synapses], dict[str, Any]]:
    """Native models and synapses of an ideal network, and what rounding cost."""
    start: dict[str, int] = {}
    filled = [0, 0, 0]
    for p in net.populations.values():
        start[p.name] = filled[layer[p.name]]
        filled[layer[p.name]] += p.model.n
    found = {n: _plain(net.populations[n], dt) for n, k in layer.items() if k}
    blocks = {"input": np.zeros((sizes[1], max(sizes[0], 1))), "recurrent": np.zeros((sizes[1], sizes[1]))}
    blocks["output"] = np.zeros((max(sizes[2], 1), sizes[1]))
    spots = {}
    for p in net.projections.values():
        kind = _ALLOWED[layer[p.pre.name], layer[p.post.name]]
        i, j = start[p.post.name], start[p.pre.name]
        spots[p.name] = kind, slice(i, i + p.post.model.n), slice(j, j + p.pre.model.n)
        blocks[kind][spots[p.name][1:]] = _matrix(p) * found[p.post.name].gain[:, None]
    neurons = [found[n] for n, k in layer.items() if k == 1]
    image = ideal_image(
        blocks["input"],
        blocks["recurrent"],
        blocks["output"],
        threshold=np.concatenate([r.threshold for r in neurons]),
        tau_mem=_tau(np.concatenate([r.alpha for r in neurons]), dt),
        tau_out=_output_tau([(n, found[n]) for n, k in layer.items() if k == 2], dt),
        dt=dt,
        reset=_reset([(n, found[n]) for n, k in layer.items() if k == 1]),
        strict=True,
    )
    return _native_parts(net, layer, start, spots, image)


def _tau(alpha: np.ndarray, dt: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -dt / np.log(alpha)


def _output_tau(outputs: list[tuple[str, Recurrence]], dt: float) -> float:
    """The one time constant of all outputs."""
    if not outputs:
        return 20 * dt
    alpha = np.concatenate([r.alpha for _, r in outputs])
    if np.ptp(alpha) > 0:
        names = ", ".join(n for n, _ in outputs)
        raise CompileError(f"ReckOn: all outputs share one leak, but {names} differ in tau_mem; make them equal")
    return float(_tau(alpha[:1], dt)[0])


def _reset(neurons: list[tuple[str, Recurrence]]) -> str:
    kinds = {r.subtract for _, r in neurons}
    if len(kinds) > 1:
        names = ", ".join(n for n, _ in neurons)
        raise CompileError(f"ReckOn: all neurons share one reset, but {names} differ; use 'zero' or 'subtract' for all")
    return "subtract" if kinds.pop() else "zero"


def _native_parts(
    net: Network, layer: dict[str, int], start: dict[str, int], spots: dict[str, Any], image: ReckonImage
) -> tuple[dict[str, Any], dict[str, Synapses], dict[str, Any]]:
    """Cut the image into the network's populations and projections."""
    regs, mem = image.registers, image.memories
    alpha = np.array([0x8000 if regs.ALPHA_CONF >> p & 1 else 0x7000 for p in range(128)]) | mem.alpha_lsb
    reset = "zero" if regs.RST_MODE else "subtract"
    models: dict[str, Any] = {}
    for name, p in net.populations.items():
        own = start[name] + np.arange(p.model.n)
        if layer[name] == 0:
            models[name] = p.model
        elif layer[name] == 1:
            models[name] = LIF(p.model.shape, thr=mem.thr[own // 2], alpha=alpha[own // 2], reset=reset)
        else:
            models[name] = LI(p.model.shape, kappa=regs.KAPPA)
    memory = {"input": (mem.winp, regs.FP_LOC_WINP), "recurrent": (mem.wrec, regs.FP_LOC_WREC)}
    memory["output"] = (mem.wout, regs.FP_LOC_WOUT)
    synapses = {}
    for name, (kind, post, pre) in spots.items():
        weights, shift = memory[kind]
        synapses[name] = Synapses(weights[pre, post].T.astype(np.int64), shift)
    units: dict[str, float | None] = {n: image.out_unit for n, k in layer.items() if k == 2}
    units.update({n: _unit(image, start[n], net.populations[n].model.n) for n, k in layer.items() if k == 1})
    stage = {"quantise": {"rounding": dict(image.rounding), "threshold": int(mem.thr[0]), "units": units}}
    return models, synapses, stage


def _unit(image: ReckonImage, first: int, count: int) -> float | None:
    """Ideal units per LSB if the whole population shares them."""
    unit = image.unit[first : first + count]
    return float(unit[0]) if np.ptp(unit) == 0 else None


def _program(
    net: Network, chip: Chip, layer: dict[str, int], models: dict, synapses: dict, stage: dict, dt: float, seed: int,
    name: str | None,
) -> Program:  # fmt: skip
    units = stage.get("quantise", {}).get("units", {})
    images, at, core, index = [], 0, [], {}
    for k, (label, p) in enumerate(net.populations.items()):
        images.append(PopulationImage(label, models[label], at, units.get(label)))
        core.append(np.full(p.model.n, 0 if layer[label] else -1, np.int32))
        index[label] = k
        at += p.model.n
    projections = tuple(
        ProjectionImage(p.name, index[p.pre.name], index[p.post.name], synapses[p.name])
        for p in net.projections.values()
    )
    return Program(
        chip=chip,
        populations=tuple(images),
        projections=projections,
        core=np.concatenate(core),
        arithmetic=chip.arithmetic.resolve(),
        dt=float(dt),
        seed=int(seed),
        name=net.name if name is None else name,
        stages=stage,
    )


def _check_native(program: Program) -> None:
    """What native parts must agree on: one shift per memory, one kappa, one reset, pairs that share a
    word.
    """
    from chipsim.engines.reckon.program import layout, program_image

    where = layout(program)
    if not where.neurons:
        raise CompileError("ReckOn: the network has no LIF neurons; add a population of cs.LIF or cs.reckon.LIF")
    for what, values in (
        ("kappa", {int(p.model.values["kappa"]) for p in where.outputs}),
        ("reset", {p.model.values["reset"] for p in where.neurons}),
    ):
        if len(values) > 1:
            raise CompileError(
                f"ReckOn: one {what} serves the whole layer, but {len(values)} are given; make them equal"
            )
    kinds = {p.name: k for k, layer in enumerate(where) for p in layer}
    shifts: dict[str, set[int]] = {}
    for p in program.projections:
        if not isinstance(p.synapses, Synapses):
            raise CompileError(f"projection '{p.name}': native ReckOn neurons need cs.reckon.Synapses")
        pre, post = program.populations[p.pre], program.populations[p.post]
        shifts.setdefault(_ALLOWED[kinds[pre.name], kinds[post.name]], set()).add(int(p.synapses.exponent))
    for kind, found in shifts.items():
        if len(found) > 1:
            raise CompileError(
                f"ReckOn: all {kind} synapses share one exponent, but {sorted(found)} are given; use one"
            )
    program_image(program)
