"""Lowering onto Xylo: input channels, one recurrent layer of hidden neurons, output neurons; native only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, synapse_count
from chipsim.native.xylo import OUTPUT_MOST, Synapses
from chipsim.program.program import PopulationImage, Program, ProjectionImage

from .common import refuse_options


def lower_xylo(
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
    """The program of a network of `cs.xylo` neurons.

    Raises
    ------
    CompileError
        Other neurons, more channels, neurons or outputs than the chip has, outputs that feed anything.
    """
    refuse_options(chip, arithmetic, placement)
    _check_sizes(net, chip)
    for p in net.projections.values():
        if not isinstance(p.synapses, Synapses) or p.rule is not None:
            raise CompileError(f"projection '{p.name}': {chip.name} takes cs.xylo.Synapses without a rule")
        if _is_output(p.pre) or (p.pre.model.is_input and _is_output(p.post)):
            raise CompileError(
                f"projection '{p.name}': {chip.name} connects inputs to hidden neurons, and these to each other "
                "and to outputs"
            )
    images, at, core = [], 0, []
    for label, population in net.populations.items():
        images.append(PopulationImage(label, population.model, at))
        core.append(np.full(population.n, -1 if population.model.is_input else 0, np.int32))
        at += population.n
    index = {label: k for k, label in enumerate(net.populations)}
    projections = tuple(
        ProjectionImage(p.name, index[p.pre.name], index[p.post.name], p.synapses) for p in net.projections.values()
    )
    return Program(
        chip=chip, populations=tuple(images), projections=projections, core=np.concatenate(core),
        arithmetic=chip.arithmetic.resolve(), dt=float(dt), seed=int(seed), name=net.name if name is None else name,
    )  # fmt: skip


def _is_output(population: Any) -> bool:
    """Output neurons are those that fire at most once a step."""
    return not population.model.is_input and bool(np.all(population.model.per_neuron("most") == OUTPUT_MOST))


def _check_sizes(net: Network, chip: Chip) -> None:
    counts = {"input_units": 0, "neurons": 0, "outputs": 0}
    for name, p in net.populations.items():
        if not p.model.is_input and p.model.model != "xylo_lif":
            raise CompileError(
                f"population '{name}': {chip.name} has no {p.model.family}.{type(p.model).__name__}; use cs.xylo.LIF",
                population=name,
                resource="neuron_models",
            )
        counts["input_units" if p.model.is_input else "outputs" if _is_output(p) else "neurons"] += p.n
    counts["synapses"] = sum(synapse_count(p.synapses) for p in net.projections.values())
    for what, need in counts.items():
        limit = getattr(chip.limits, what, None)
        if limit is not None and need > limit:
            raise CompileError(
                f"the network needs {need} {what.replace('_', ' ')}, {chip.name} has {limit}: make it smaller",
                resource=what,
                need=need,
                limit=limit,
            )
