"""compile(): from a network to the program that a chip loads, pass by pass, every stage kept."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import MEMORY_LIMIT, choice, finite, integers, mapping, numbers, quoted, seed_of, shown, text_of
from chipsim.chips.arithmetic import Arithmetic
from chipsim.chips.arithmetic import arithmetic as named_arithmetic
from chipsim.chips.read import load_chip
from chipsim.chips.schema import Chip
from chipsim.errors import ChipsimWarning, CompileError
from chipsim.mappings.compiler.cores.allocate import allocate
from chipsim.mappings.compiler.cores.axons import kept_patterns, matrix_of, starts, total
from chipsim.mappings.compiler.cores.packing import METHODS
from chipsim.mappings.compiler.cores.partition import partition as make_partition
from chipsim.mappings.compiler.cores.place import cores_per_chip, place
from chipsim.mappings.compiler.lower.catalyst import lower_catalyst
from chipsim.mappings.compiler.lower.crossbar import lower_crossbar
from chipsim.mappings.compiler.lower.reckon import lower_reckon
from chipsim.mappings.compiler.lower.xylo import lower_xylo
from chipsim.mappings.network.network import Network, Projection
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, all_pairs, ask_for
from chipsim.program.program import PopulationImage, Program, ProjectionImage
from chipsim.rules.carried import existing

from .cautions import cautions, ideal_cautions
from .check import check_network, check_ranges
from .check_plastic import check_plastic
from .quantise.learning import in_rule_steps
from .relays import relayed

#: Families whose chips run time steps on cores; these passes map them.
TIME_STEP_FAMILIES = ("loihi", "float")
#: What a neuron or an input line takes on its way through the passes and in a loaded machine, without synapses.
BYTES_PER_NEURON = 64
#: Other families: family -> lowering(net, chip, *, dt, seed, arithmetic, placement, rates, name) -> Program.
FAMILY_LOWERING: dict[str, Callable[..., Program]] = {
    "reckon": lower_reckon,
    "xylo": lower_xylo,
    "odin": lower_crossbar,
    "tinyodin": lower_crossbar,
    "truenorth": lower_crossbar,
    "catalyst": lower_catalyst,
}


def compile(
    net: Network,
    chip: Chip | str | Path,
    *,
    dt: float = 1e-3,
    seed: int = 0,
    arithmetic: Arithmetic | str | None = None,
    placement: Mapping[str, Any] | None = None,
    rates: Mapping[str, Any] | None = None,
    partition: str = "auto",
    quantise: Mapping[str, Any] | None = None,
    max_neurons: int | None = None,
    packing: str = "indexed",
    relays: bool = False,
    name: str | None = None,
) -> Program:
    """Map a network onto a chip.

    Parameters
    ----------
    net : Network
        Ideal populations are quantised; native ones are taken as they are.
    chip
        A shipped name, a path to a description, or a `Chip`.
    dt : float
        Seconds per step.
    seed : int
        Of the random parts of the compiler and of a run.
    arithmetic
        A preset ("lava", "nengo_loihi", "brian2_loihi", "float") or an `Arithmetic` instead of the chip's.
    placement : dict or None
        Made by hand: population -> one physical core or (n,) of them. Every population of neurons must be
        named; inputs left out stay on the host (-1). Limits are checked all the same.
    rates : dict or None
        Population -> spikes per step per neuron, one number or (n,): what traffic is weighed with.
    partition : {"auto", "inorder", "graph"}
        See `chipsim.mappings.compiler.cores.partition.partition`.
    quantise : dict or None
        Options of `chipsim.mappings.compiler.quantise.quantise.quantise`.
    max_neurons : int or None
        Fewer neurons per core than the chip allows.
    packing : {"indexed", "nengo_loihi"}
        How synapse memory is counted, see `chipsim.mappings.compiler.cores.packing`.
    relays : bool
        Give populations whose neurons have more sources than a core has input axons a layer of relays that adds their
        inputs up, at the cost of steps of delay (`chipsim.mappings.compiler.relays`); notes in ``stages["relays"]``.
    name : str or None
        The program's name; the network's if None.

    Returns
    -------
    Program
        With `stages`: what each pass reported, by its name. What looks unmeant is given to `warnings.warn` as
        `cs.ChipsimWarning` and kept in `program.warnings`.

    Raises
    ------
    CompileError
        What does not fit, where, by how much, and what to do.
    """
    chip = load_chip(chip)
    choice(packing, "packing", METHODS, CompileError)
    _check_arguments(net, dt, seed, name)
    rates = mapping(rates, "rates", "population -> spikes per step", CompileError) or None
    options = mapping(quantise, "quantise", "option -> value", CompileError)
    if placement is not None:
        placement = mapping(placement, "placement", "population -> core", CompileError)
    if chip.family not in TIME_STEP_FAMILIES:
        program = _lowering(chip)(
            net, chip, dt=dt, seed=seed, arithmetic=arithmetic, placement=placement, rates=rates, name=name
        )
        found = ideal_cautions(net, float(dt))
        if found:
            program.stages["network"] = {**program.stages.get("network", {}), "warnings": found}
        tell(program.warnings)
        return program
    chosen = _arithmetic(arithmetic, chip)
    native, report = _native(net, _computing(chip, chosen), dt, options)
    native = in_rule_steps(native, chip, () if report is None else report.projections)
    check_network(native, chip)
    check_plastic(native, chosen)
    check_ranges(native, chosen)
    stages: dict[str, Any] = {} if report is None else {"quantise": report.report()}
    found = cautions(net, native, chip, float(dt))
    stages |= {"network": {"warnings": found}} if found else {}
    if relays:
        native, notes = relayed(native, chip, chosen)
        stages["relays"] = {"notes": notes}
        check_network(native, chip)
    _check_taught(native, placement)
    with kept_patterns():
        if placement is not None:
            core = placed_by_hand(native, chip, placement)
            stages["place"] = {"method": "by hand", "cores": int(np.unique(core[core >= 0]).size)}
        else:
            parts = make_partition(
                native, chip, rates=rates, method=partition, max_neurons=max_neurons, packing=packing, seed=seed
            )
            spot = place(parts, chip, parts.traffic, seed=seed)
            core = spot.core
            stages |= {"partition": parts.report(), "place": spot.report()}
        stages["allocate"] = allocate(native, core, chip, packing=packing).report()
    populations, projections = _images(native, report)
    program = Program(
        chip=chip,
        populations=populations,
        projections=projections,
        core=core,
        arithmetic=chosen,
        dt=float(dt),
        seed=int(seed),
        name=net.name if name is None else name,
        stages=stages,
    )
    tell(program.warnings)
    return program


def tell(found: Iterable[str]) -> None:
    """Give warnings of the compiler to Python, as of the user's line that called it."""
    frame, level = sys._getframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("chipsim."):
        frame, level = frame.f_back, level + 1
    for text in found:
        warnings.warn(text, ChipsimWarning, stacklevel=level)


def _check_arguments(net: Any, dt: float, seed: int, title: str | None) -> None:
    if not isinstance(net, Network):
        raise CompileError(f"compile takes a Network, not {type(net).__name__}: build one with cs.Network()")
    if not net.n and not net.projections:
        raise CompileError(f"network '{net.name}' has no neurons, only inputs: add a population of neurons")
    if isinstance(dt, (bool, np.bool_)) or not isinstance(dt, (int, float, np.floating, np.integer)) or not dt > 0:
        raise CompileError(f"dt={shown(dt)} must be a positive number of seconds per step, e.g. dt=1e-3")
    finite(dt, "dt", CompileError)
    if title is not None and not text_of(title, f"name={shown(title)}:", CompileError):
        raise CompileError("name='' is empty: leave it out for the network's name")
    seed_of(seed, error=CompileError)
    need = sum(p.n for p in net.populations.values()) * BYTES_PER_NEURON
    if need > MEMORY_LIMIT:
        largest = max(net.populations.values(), key=lambda p: p.n)
        raise CompileError(
            f"network '{net.name}' needs about {need >> 30} GiB for its neurons alone, more than {MEMORY_LIMIT >> 30}; "
            f"the largest population is '{largest.name}' with {largest.n}"
        )
    for name, projection in net.projections.items():
        if isinstance(projection.synapses, Conv):  # the mapper asks which neurons each of its inputs reaches
            ask_for(projection.synapses, f"projection '{name}': a convolution")


def _check_taught(net: Network, placement: Mapping[str, Any] | None) -> None:
    """Spike sources that teach learning synapses must be placed by hand: no pass moves an input."""
    for name, projection in net.projections.items():
        post = projection.post
        if post.model.is_input and post.name not in (placement or {}):
            raise CompileError(
                f"projection '{name}' learns towards the spike source '{post.name}': say which core holds it, "
                f"placement={{'{post.name}': 0, ...}} (with every population of neurons)",
                population=post.name,
                resource="placement",
            )


def _lowering(chip: Chip) -> Callable[..., Program]:
    if chip.family not in FAMILY_LOWERING:
        known = ", ".join((*TIME_STEP_FAMILIES, *FAMILY_LOWERING))
        raise CompileError(
            f"chip {chip.name} is of family '{chip.family}', which no mapper serves; choose one of {known}",
            resource="family",
        )
    return FAMILY_LOWERING[chip.family]


def _arithmetic(chosen: Arithmetic | str | None, chip: Chip) -> Arithmetic:
    if chosen is None:
        return chip.arithmetic.resolve()
    found = chosen if isinstance(chosen, Arithmetic) else named_arithmetic(chosen)
    if found.is_float != (chip.family == "float"):
        raise CompileError(
            f"arithmetic '{found.preset}' does not belong on chip {chip.name} of family '{chip.family}': "
            f"use {'float' if chip.family == 'float' else 'lava, nengo_loihi or brian2_loihi'}"
        )
    return found


def _computing(chip: Chip, chosen: Arithmetic) -> Chip:
    """The chip with the arithmetic of the program: nengo-loihi's quantiser asks how low a voltage may fall."""
    if chosen.preset == chip.arithmetic.preset or chosen.preset != "nengo_loihi":
        return chip
    part = chip.arithmetic.model_copy(update={"preset": chosen.preset, "options": {}})
    return chip.model_copy(update={"arithmetic": part})


def is_native(net: Network, chip: Chip) -> bool:
    """True if nothing in `net` is left to quantise for a time-step chip."""
    if any(p.model.family == "ideal" for p in net.populations.values()):
        return False
    return all(_native_synapses(p.synapses, chip) for p in net.projections.values())


def _native_synapses(synapses: Any, chip: Chip) -> bool:
    if isinstance(synapses, Conv):
        return chip.family == "float" or np.asarray(synapses.kernel).dtype.kind in "iu"
    return isinstance(synapses, (Synapses, FloatSynapses))


def _native(net: Network, chip: Chip, dt: float, options: Mapping[str, Any]) -> tuple[Network, Any]:
    """The native network and the quantiser's report, None if there was nothing to quantise."""
    if is_native(net, chip):
        if options:
            raise CompileError("quantise options were given, but the network is native already: leave them out")
        return net, None
    from chipsim.mappings.compiler.quantise.quantise import quantise as make_native

    known = [k for k in signature(make_native).parameters if k not in ("net", "chip", "dt")]
    for wrong in set(options) - set(known):
        raise CompileError(f"quantise has no option {shown(wrong)}; it has {', '.join(known)}")
    return make_native(net, chip, dt=dt, **options)


def placed_by_hand(net: Network, chip: Chip, placement: Mapping[str, Any]) -> np.ndarray:
    """A hand-made placement as (n,) int32 physical cores in program order.

    Raises
    ------
    CompileError
        Unknown or missing populations, wrong shapes, cores that the chip does not have.
    """
    unknown = [k for k in placement if k not in net.populations]
    if unknown:
        raise CompileError(
            f"placement: no population {quoted(unknown[0])}; the network has {', '.join(net.populations)}"
        )
    core, at = np.full(total(net), -1, np.int32), 0
    for name, population in net.populations.items():
        part, at = slice(at, at + population.n), at + population.n
        lowest = -1 if population.model.is_input else 0
        if name in placement:
            core[part] = _cores_of(chip, population.n, placement[name], name, lowest)
        elif lowest == 0:
            raise CompileError(f"placement says nothing about population '{name}': give its core, or {population.n}")
    return core


def _cores_of(chip: Chip, n: int, value: Any, name: str, lowest: int) -> np.ndarray:
    cores = numbers(value, f"placement of population '{name}', its core,", CompileError)
    if cores.dtype.kind not in "iu" or (cores.ndim and cores.shape != (n,)):
        raise CompileError(f"placement of population '{name}' must be one core number or {n} of them")
    cores = integers(cores, f"placement of population '{name}': core", -(2**31), 2**31 - 1, CompileError)
    usable, per_chip, chips = cores_per_chip(chip), chip.topology.cores, chip.topology.chips
    beyond = cores < lowest if chips is None else (cores < lowest) | (cores >= per_chip * chips)
    beyond |= (cores >= 0) & (cores % per_chip >= usable)
    if np.any(beyond):
        top = "" if chips is None else f": it has 0..{per_chip * (chips - 1) + usable - 1}"
        worst = int(np.extract(beyond, cores)[0])
        raise CompileError(
            f"placement of population '{name}': chip {chip.name} has no core {worst}{top}",
            population=name,
            core=worst,
            resource="cores",
        )
    return cores


def rate_unit(projection: Any) -> float | None:
    """What a mantissa of 1 means to a rate unit of an integer chip, None for other neurons."""
    model = projection.post.model
    if model.model != "rate" or not isinstance(projection.synapses, Synapses):
        return None
    return 2.0 ** (int(model.values["input_exp"]) + projection.synapses.exponent - 13)


def _images(net: Network, report: Any) -> tuple[tuple[PopulationImage, ...], tuple[ProjectionImage, ...]]:
    """Populations and projections as a program holds them, with ideal units where there are."""
    units = report.units if report is not None else {}
    weight_units = report.weight_units if report is not None else {}
    offsets = report.offsets if report is not None else {}
    start, number = starts(net), {name: k for k, name in enumerate(net.populations)}
    populations = tuple(
        PopulationImage(name, p.model, start[name], units.get(name), offsets.get(name) or 0.0)
        for name, p in net.populations.items()
    )
    images = []
    for name, p in net.projections.items():
        unit = weight_units.get(name, rate_unit(p))
        images.append(ProjectionImage(name, number[p.pre.name], number[p.post.name], _kept(p), p.rule, unit, p.role))
    projections = tuple(images)
    return populations, projections


def _kept(p: Projection) -> Any:
    """Synapses as a program keeps them: of a dense matrix that learns, those of weight 0 as well."""
    s: Any = p.synapses
    matrix = None if isinstance(s, Conv) or not isinstance(s, (Synapses, FloatSynapses)) else matrix_of(s)
    if p.rule is None or matrix is None or sp.issparse(matrix):
        return s
    found = existing(matrix, p.rule, p.pre is p.post)
    if np.array_equal(found, np.asarray(matrix) != 0):
        return s
    if found.all():
        return all_pairs(p.synapses)  # type: ignore[arg-type]
    pre, post = np.nonzero(found.T)
    ptr = np.concatenate(([0], np.cumsum(np.count_nonzero(found, axis=0))))
    kept = sp.csc_array((np.asarray(matrix)[post, pre], post, ptr), shape=found.shape)
    return replace(s, **{"weights" if isinstance(s, FloatSynapses) else "mantissa": kept})
