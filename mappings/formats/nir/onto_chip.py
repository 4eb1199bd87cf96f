"""NIR graphs onto chips in one call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chipsim.chips.read import load_chip
from chipsim.chips.schema import Chip
from chipsim.mappings.compiler.compile import compile, tell
from chipsim.mappings.compiler.quantise.quantise import quantise as make_native
from chipsim.mappings.compiler.quantise.weights import GRADED_BITS
from chipsim.mappings.formats.nir.reader import from_nir
from chipsim.mappings.formats.nir.start import started
from chipsim.mappings.formats.nir.text import describe as describe
from chipsim.mappings.network.idealise import ONE_SPIKE, idealise
from chipsim.mappings.network.network import Network
from chipsim.mappings.network.substeps import substepped
from chipsim.program.program import Program

QUANTISE = {"compensate": "readouts"}  #: options of the quantiser unless others are given
STEP_OF_STEPS = 1e-3  #: seconds per step on a chip where the graph counts steps and nothing else is said


def for_chip(
    net: Network, chip: Any, *, seconds: float | None = None, reset: str | None = None, compartments: int = 1
) -> tuple[Network, float]:
    """A network from `from_nir` in the form that `cs.compile` takes for `chip`, and its seconds per step.

    Parameters
    ----------
    chip
        Family float runs the units as they are; others get ideal neurons.
    seconds
        Per step on the chip; left out: the graph's dt, or 1 ms where the graph counts steps (sinabs).
    reset
        Instead of the tool's own; left out: the tool's if the chip has it, else what the chip has.
    compartments
        2 counts a subtraction through a second compartment among what the chip has; give it to `quantise` as well.
    """
    described = load_chip(chip)
    stated = net.metadata.get("nir", {})
    own = float(stated.get("dt", STEP_OF_STEPS))
    step = (seconds or (STEP_OF_STEPS if stated.get("scheme") == "sinabs" else own)) / stated.get("substeps", 1)
    if described.family == "float":
        return net, step
    allowed = described.arithmetic.reset_modes
    joined = described.limits.soft_reset_compartments
    if reset is None and len(allowed) == 1 and (joined is None or joined > compartments):
        reset = allowed[0]
    keeps = features(described)
    return idealise(net, step, reset=reset, graded="counts" in keeps, keeps=keeps), step


def features(chip: Chip) -> frozenset[str]:
    """What `idealise` need not change for `chip`: by its neurons, its spikes, and the registers set afterwards."""
    found = {"drive"} if chip.family == "loihi" else set()
    if chip.arithmetic.neuron_models is None:
        found.add("waits")
        if chip.limits.spike_bits is None or chip.limits.spike_bits >= GRADED_BITS:
            found.add("counts")
    return frozenset(found)


def compile_nir(
    graph: Any, chip: Any, *, seconds: float | None = None, quantise: Any = None, substeps: int = 1, **options: Any
) -> Program:
    """Read, idealise where the chip needs it, and compile; options as in `from_nir` and `quantise`.

    What is nearest to the tool is taken without asking: counts of spikes and late resets on chips with microcode, reset
    by subtraction through a second compartment on Loihi 1 (``quantise={"compartments": 1}``: reset to zero instead).
    substeps
        Steps of the chip in one of the tool: where a tool counts several spikes in a step and the chip's spikes carry
        no number, they follow each other; see `chipsim.mappings.network.substeps`. Give it to `padded` as well.

    The program's `stages["nir"]` holds source, dt, scheme, depths and all notes.
    """
    return compile_read(from_nir(graph, **options), chip, seconds=seconds, quantise=quantise, substeps=substeps)


def compile_read(
    net: Network, chip: Any, *, seconds: float | None = None, quantise: Any = None, substeps: int = 1, **options: Any
) -> Program:
    """`compile_nir` of a network that was read already (`from_nir`, `from_torch`); options as in `compile`."""
    described, chosen = load_chip(chip), {**QUANTISE, **(quantise or {})}
    if substeps > 1 and described.family != "float":
        net = substepped(net, substeps)
    if described.limits.soft_reset_compartments is not None:
        chosen = {"compartments": described.limits.soft_reset_compartments, **chosen}
    made, step = for_chip(net, chip, seconds=seconds, compartments=chosen.get("compartments", 1))
    notes = [*net.metadata["nir"]["notes"], *made.metadata.get("idealised", [])]
    if any(note.endswith(ONE_SPIKE) for note in notes):
        notes.append("substeps=k (command line: --substeps) lets up to k spikes of a step follow each other")
    if described.family == "loihi":
        program = _quantised(net, made, described, step, chosen, options)
        soft = [p.name for p in program.populations if p.model.compartments > 1]
        if soft:
            notes.append(f"{', '.join(soft)}: reset by subtraction takes a second compartment of each neuron")
    else:
        program = compile(made, chip, dt=step, quantise=quantise, **options)
    program.stages["nir"] = {**net.metadata["nir"], "notes": notes}
    return program


def _quantised(
    net: Network, ideal: Network, chip: Chip, dt: float, options: dict[str, Any], rest: dict[str, Any]
) -> Program:
    """Quantise, set what only the chip's registers can say, compile, keep the ideal units."""
    native, report = make_native(ideal, chip, dt=dt, **options)
    program = compile(started(native, net, report.units), chip, dt=dt, **rest)
    tell(report.warnings)
    populations = tuple(replace(p, unit=report.units.get(p.name)) for p in program.populations)
    projections = tuple(replace(p, unit=report.weight_units.get(p.name)) for p in program.projections)
    stages = {"quantise": report.report(), **program.stages}
    return replace(program, populations=populations, projections=projections, stages=stages)
