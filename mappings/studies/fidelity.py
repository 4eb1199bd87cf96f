"""How well a NIR graph on a chip does what its tool does: layers, silent neurons, predicted classes, as one value.

The reference is the same graph in double precision, which reproduces the recorded runs of the tools spike by spike
(docs/nir.md). Samples are run one after another from the initial state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from chipsim.checks import integers, numbers
from chipsim.emulator import Emulator
from chipsim.errors import NetworkError
from chipsim.mappings.compiler.compile import compile
from chipsim.mappings.formats.nir.onto_chip import compile_nir
from chipsim.mappings.formats.nir.reader import aligned, from_nir, padded
from chipsim.mappings.network.network import Network
from chipsim.mappings.network.substeps import spread
from chipsim.program.program import Program

from .agreement import LayerAgreement, Tally, as_text, same_class, warnings

GOAL = 0.98  #: share of samples with the same class below which a warning is given


@dataclass(frozen=True)
class Fidelity:
    """A graph on a chip against itself in floats.

    Attributes
    ----------
    source, chip, output : str
        File, chip, and the population whose largest sum is the class.
    samples, same : int
        How many there were, and for how many the class was the same (of several largest outputs any).
    accuracy_float, accuracy_chip : float or None
        Against labels, if there were any.
    layers : tuple of LayerAgreement
    warnings, notes : tuple of str
        Silent layers and neurons, a share below 98 %; what the chip has no word for.
    """

    source: str
    chip: str
    output: str
    samples: int
    same: int
    layers: tuple[LayerAgreement, ...]
    accuracy_float: float | None = None
    accuracy_chip: float | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    quantise: dict[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Share of samples with the same class."""
        return self.same / self.samples

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "share": self.share}

    def __str__(self) -> str:
        """A table for people."""
        lines = [as_text(list(self.layers)), f"same class as in floats ({self.output}): {self.same} of {self.samples}"]
        if self.accuracy_float is not None:
            lines.append(f"correct: float {self.accuracy_float:.2%}, {self.chip} {self.accuracy_chip:.2%}")
        return "\n".join([*lines, *(f"warning: {w}" for w in self.warnings)])


def fidelity(
    graph: Any,
    chip: Any,
    samples: Any,
    *,
    labels: Any = None,
    calibrate: int = 0,
    quantise: Mapping[str, Any] | None = None,
    substeps: int = 1,
    **options: Any,
) -> Fidelity:
    """Run a NIR graph in floats and on `chip` on the same samples, and compare.

    Parameters
    ----------
    samples : (m, steps, *shape) array, or dict input node -> such an array
        On the tool's clock, without padding.
    labels : (m,) int or None
    calibrate : int
        The first so many samples size the chip's numbers (`quantise`'s calibration).
    quantise, substeps, **options
        As in `chipsim.mappings.formats.nir.onto_chip.compile_nir`.

    Raises
    ------
    FileError, NetworkError, CompileError
        As reading and compiling do; samples of another shape.
    """
    net = from_nir(graph, **{k: v for k, v in options.items() if k != "seconds"})
    given = samples_of(net, samples)
    chosen = dict(quantise or {})
    if calibrate:
        chosen["calibration"] = calibration(given, calibrate, substeps)
    program = compile_nir(graph, chip, quantise=chosen, substeps=substeps, **options)
    return compare(net, program, given, labels=labels, substeps=substeps, quantise=dict(quantise or {}))


def compare(
    net: Network,
    program: Program,
    samples: dict[str, np.ndarray],
    *,
    labels: Any = None,
    substeps: int = 1,
    quantise: dict[str, Any] | None = None,
) -> Fidelity:
    """The same for a network of `from_nir` and the program that `compile_nir` made of it."""
    count = len(next(iter(samples.values())))
    truth = None if labels is None else _labels(labels, count)
    layers = [k for k, p in net.populations.items() if not p.model.is_input]
    output = next(iter(net.metadata["nir"]["outputs"].values()), layers[-1])
    floats, emulator = Emulator(compile(net, "float")), Emulator(program)
    tallies = {k: Tally() for k in layers}
    sums = np.zeros((2, count, net.population(output).n))
    for k in range(count):
        one = {name: array[k] for name, array in samples.items()}
        pair = _played(net, floats, one, 1), _played(net, emulator, one, substeps)
        for name in layers:
            tallies[name].add(pair[0][name], pair[1][name])
        for side, record in enumerate(pair):
            sums[side, k] = record[output].reshape(len(record[output]), -1).sum(axis=0)
    found = tuple(tallies[name].result(name) for name in layers)
    same = sum(same_class(a, b) for a, b in zip(*sums))
    right = [None, None] if truth is None else [float(np.mean(s.argmax(axis=1) == truth)) for s in sums]
    said = warnings(list(found))
    if same < GOAL * count:
        said.append(f"{output}: same class as in floats on {same / count:.1%} of samples, below {GOAL:.0%}")
    notes = tuple(program.stages.get("nir", {}).get("notes", ()))
    source = str(net.metadata["nir"].get("source", net.name))
    return Fidelity(
        source, program.chip.name, output, count, same, found, right[0], right[1], tuple(said), notes, quantise or {}
    )


def samples_of(net: Network, samples: Any) -> dict[str, np.ndarray]:
    """`samples` by input node, (m, steps, n) each; raises NetworkError for other shapes."""
    inputs = [k for k, p in net.populations.items() if p.model.is_input]
    if not isinstance(samples, Mapping):
        if len(inputs) != 1:
            raise NetworkError(f"the graph has {len(inputs)} inputs: give samples as a dict of {', '.join(inputs)}")
        samples = {inputs[0]: samples}
    out: dict[str, np.ndarray] = {}
    for name in inputs:
        if name not in samples:
            raise NetworkError(f"no samples for input '{name}'; there are {', '.join(samples)}")
        array, shape = numbers(samples[name], f"samples of '{name}'", exact=True), net.population(name).shape
        n = net.population(name).n
        if array.ndim < 3 or not array.size or array[0, 0].size != n:
            raise NetworkError(f"samples of '{name}' have shape {array.shape}; give (samples, steps, *{shape})")
        out[name] = array.reshape(*array.shape[:2], n)
    if len({a.shape[:2] for a in out.values()}) > 1:
        raise NetworkError("samples of different inputs differ in number or steps")
    return out


def calibration(samples: dict[str, np.ndarray], count: int, substeps: int = 1) -> dict[str, np.ndarray]:
    """The first `count` samples one after another, as `quantise` takes them."""
    return {k: spread(np.concatenate(a[:count]), substeps).astype(np.int64) for k, a in samples.items()}


def most_spikes(net: Network, samples: dict[str, np.ndarray]) -> int:
    """Most spikes of a neuron in a step in floats, 1 at least: so many substeps lose none of these."""
    emulator, most = Emulator(compile(net, "float")), 1
    many = [k for k, p in net.populations.items() if not p.model.is_input and p.model.values["sends"] == "many"]
    for k in range(len(next(iter(samples.values())))):
        found = _played(net, emulator, {name: array[k] for name, array in samples.items()}, 1)
        most = max([most, *(int(found[name].max(initial=0)) for name in many)])
    return most


def _labels(labels: Any, count: int) -> np.ndarray:
    truth = integers(labels, "labels: a class", 0, 2**31 - 1)
    if truth.shape != (count,):
        raise NetworkError(f"labels have shape {truth.shape}; give one for each of {count} samples")
    return truth


def _played(net: Network, emulator: Emulator, one: dict[str, np.ndarray], substeps: int) -> dict[str, np.ndarray]:
    """What every population sent, on the tool's clock; its potential where that is what the tool sends."""
    given, steps = padded(net, one, substeps)
    program = emulator.program
    values = {p.name: p.unit or 1.0 for p in program.populations if _readout(net, program, p.name)}
    emulator.reset()
    result = emulator.run(given, steps, record={name: ["v"] for name in values})
    found = aligned(net, result)
    if values:
        potentials = aligned(net, result, "v")
        found |= {name: potentials[name] * unit for name, unit in values.items()}
    return found


def _readout(net: Network, program: Program, name: str) -> bool:
    tool: Any = net.population(name).model
    return not tool.is_input and tool.values["sends"] == "value" and program.chip.family != "float"
