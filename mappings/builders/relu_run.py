"""A converted network at work: accuracy after every step, error of every layer, in floats or on a chip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.checks import NO_NUMBERS, integers, numbers, shown
from chipsim.chips.read import load_chip
from chipsim.emulator import Emulator
from chipsim.errors import NetworkError
from chipsim.mappings.builders.layers import rows_of
from chipsim.mappings.compiler.compile import compile
from chipsim.mappings.compiler.quantise.quantise import quantise
from chipsim.mappings.network.network import Network
from chipsim.mappings.network.presentation import present
from chipsim.native.floats import Unit
from chipsim.program.program import Program

from .relu import Conversion
from .units import as_units

UNDERSHOOT = 0.5  #: thresholds per step that a neuron may sink below zero; it has no leak


@dataclass(frozen=True, eq=False)
class Measured:
    """What a converted network did with samples.

    Attributes
    ----------
    chip : str
    steps : int
        Per sample.
    values : (m, steps, n) float64
        Outputs as they would be read after 1, 2, ... steps.
    wanted : (m, n) float64
        Outputs of the original network.
    layers : dict
        Population -> correlation and rms error of its rates against the original's activations.
    spikes_per_sample : float
        Of all neurons and inputs.
    """

    chip: str
    steps: int
    values: np.ndarray
    wanted: np.ndarray
    layers: dict[str, dict[str, float]]
    spikes_per_sample: float

    @property
    def agreement(self) -> np.ndarray:
        """(steps,) share of samples with the original's class, if read after 1, 2, ... steps."""
        return (self.values.argmax(axis=2) == self.wanted.argmax(axis=1)[:, None]).mean(axis=0)

    def accuracy(self, labels: Any) -> np.ndarray:
        """(steps,) share of samples whose largest output is the label (0, 1, ...), if read after 1, 2, ... steps."""
        truth = integers(labels, "labels: a class", 0, 2**31 - 1)
        if truth.shape != (len(self.values),):
            raise NetworkError(f"labels have shape {truth.shape}; give one for each of the {len(self.values)} samples")
        return (self.values.argmax(axis=2) == truth[:, None]).mean(axis=0)

    def original_accuracy(self, labels: Any) -> float:
        """Share of samples that the original network gets right."""
        return float((self.wanted.argmax(axis=1) == integers(labels, "labels: a class", 0, 2**31 - 1)).mean())


def program_of(conversion: Conversion, chip: Any = "float", steps: int = 32, **options: Any) -> Program:
    """The program that presents samples for `steps` steps each.

    On chips of family float a layer starts when its first input can arrive; run samples one by one. On the others
    neurons forget between samples, which follow each other without a gap.

    Raises
    ------
    NetworkError, CompileError
        `options` (as in `chipsim.mappings.compiler.quantise.quantise.quantise`) or chips that do not take such a
        network.
    """
    described = load_chip(chip)
    if described.family == "float":
        if options:
            raise NetworkError(f"program_of: {', '.join(options)}: chip '{described.name}' computes in floats")
        return compile(_started(conversion), described, dt=1e-3)
    options.setdefault("undershoot", UNDERSHOOT * steps)
    native, report = quantise(conversion.network, described, **options)
    program = compile(present(native, steps), described, dt=1e-3)
    program.stages["quantise"] = report.report()
    return program


def measure(
    conversion: Conversion, data: np.ndarray, chip: Any = "float", steps: int = 32, **options: Any
) -> Measured:  # fmt: skip
    """Run samples (m, n_in) through a converted network, `steps` steps each; options as in `program_of`.

    Raises
    ------
    NetworkError
        Samples of another size than the network's input, NaN, no step.
    """
    samples, n_in = numbers(data, "measure: samples", exact=True), conversion.layers[0].n_in
    if samples.ndim < 2 or not samples.size or samples[0].size != n_in or not np.all(np.isfinite(samples)):
        raise NetworkError(f"measure: samples have shape {samples.shape}; give finite numbers, {n_in} for each sample")
    if isinstance(steps, NO_NUMBERS) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise NetworkError(f"measure: steps={shown(steps)}; a sample is shown for one step at least")
    samples = rows_of(samples, "measure: samples")
    program = program_of(conversion, chip, int(steps), **options)
    spikes = (_apart if program.chip.family == "float" else _together)(conversion, program, samples, steps)
    windows = conversion.window(spikes["out"], "out", steps)
    counts = windows.cumsum(axis=1)
    values = np.stack([conversion.decode(counts[:, t], t + 1) for t in range(steps)], axis=1)
    return Measured(
        program.chip.name, steps, values, conversion.activations(samples)[-1],
        conversion.errors(samples, spikes, steps), float(sum(s.sum() for s in spikes.values()) / len(samples)),
    )  # fmt: skip


def _started(conversion: Conversion) -> Network:
    units = as_units(conversion.network, 1e-3)
    net = Network(conversion.network.name)
    for depth, (name, p) in enumerate(units.populations.items()):
        net.add(name, Unit(p.shape, **{**p.model.values, "start": depth}) if isinstance(p.model, Unit) else p.model)
    for name, p in units.projections.items():
        net.connect(p.pre.name, p.post.name, p.synapses, name=name)
    return net


def _together(conversion: Conversion, program: Program, samples: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    result = Emulator(program).run({"in": conversion.encode(samples, steps)})
    return {name: result.spikes[name] for name in conversion.populations}


def _apart(conversion: Conversion, program: Program, samples: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """As `_together` would log it: the windows of all samples, then the steps in which the last arrives."""
    emulator, depth = Emulator(program), conversion.depth
    found = {n: np.zeros((len(samples) * steps + depth, program.population(n).n), bool) for n in conversion.populations}
    for k, sample in enumerate(samples):
        emulator.reset()
        result = emulator.run({"in": conversion.encode(sample[None], steps)})
        for late, name in enumerate(conversion.populations):
            found[name][k * steps + late : (k + 1) * steps + late] = result.spikes[name][late : late + steps]
    return found
