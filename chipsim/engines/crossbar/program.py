"""A `Program` on ODIN or tinyODIN: populations and projections to memories, steps to events and one time reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.engines.contract import Probe, Progress, RawRun, SpikeTrain, Teaching
from chipsim.errors import RunError
from chipsim.native.crossbar.image import CrossbarImage, lower_odin, lower_tinyodin
from chipsim.program.program import PopulationImage, Program

from .steps import StepEngine

MODELS = {"odin": ("odin_lif", "odin_izh"), "tinyodin": ("tinyodin_lif",)}


def layout(program: Program) -> tuple[list[PopulationImage], list[PopulationImage]]:
    """Input and neuron populations in program order; RunError for neurons that are not the chip's."""
    inputs, neurons = [], []
    for image in program.populations:
        if image.model.is_input:
            inputs.append(image)
        elif image.model.model in MODELS[program.chip.family]:
            neurons.append(image)
        else:
            raise RunError(
                f"population '{image.name}': {type(image.model).__name__} does not run on {program.chip.name}"
            )
    return inputs, neurons


def program_image(program: Program) -> CrossbarImage:
    """Registers and memories of a program; CompileError if they do not fit."""
    inputs, neurons = layout(program)
    spot: dict[int, tuple[int, int]] = {}
    sizes = []
    for side, images in enumerate((inputs, neurons)):
        first = 0
        for image in images:
            spot[program.populations.index(image)] = side, first
            first += image.n
        sizes.append(first)
    blocks = [np.zeros((sizes[1], max(sizes[0], 1)), np.int64), np.zeros((sizes[1], sizes[1]), np.int64)]
    for projection in program.projections:
        side, column = spot[projection.pre]
        _, row = spot[projection.post]
        weights = projection.synapses.dense()
        blocks[side][row : row + weights.shape[0], column : column + weights.shape[1]] += weights
    lower = lower_odin if program.chip.family == "odin" else lower_tinyodin
    return lower(blocks[0], blocks[1], models=[p.model for p in neurons])


class CrossbarProgramEngine:
    """Runs a program of family odin or tinyodin, one time reference per step (see `StepEngine`)."""

    def __init__(self, program: Program, threads: int = 1) -> None:
        self.program, self.threads = program, threads
        self.inputs, self.neurons = layout(program)
        self._line = np.full(program.n, -1, np.int64)
        first = 0
        for image in self.inputs:
            self._line[image.start : image.stop] = first + np.arange(image.n)
            first += image.n
        self.lines = max(first, 1)
        self._id = np.concatenate([np.arange(p.start, p.stop) for p in self.neurons])
        self.steps_engine = StepEngine(program_image(program), self._id.size)

    @property
    def step(self) -> int:
        """Steps run since the last reset."""
        return self.steps_engine.step

    def reset(self) -> None:
        """Back to the state of a freshly loaded program."""
        self.steps_engine.reset()

    def run(
        self,
        inputs: SpikeTrain,
        steps: int,
        probes: list[Probe],
        *,
        masks: bool = False,
        progress: Progress | None = None,
        learning: Teaching | None = None,
    ) -> RawRun:
        """Advance `steps` steps; `inputs` hold the spikes of exactly these steps."""
        counts = np.zeros((steps, self.lines), np.int64)
        step = np.repeat(np.arange(steps), np.diff(inputs.ptr))
        np.add.at(counts, (step, self._line[inputs.ids.astype(np.int64)]), 1)
        run = self.steps_engine.run(counts, potentials=bool(probes))
        if progress is not None:
            progress(steps, steps)
        fired, neuron = np.nonzero(run.spikes)
        times = run.spikes[fired, neuron]
        when = np.concatenate([step, np.repeat(fired, times)])
        who = np.concatenate([inputs.ids.astype(np.int64), np.repeat(self._id[neuron], times)])
        order = np.lexsort((who, when))
        ptr = np.searchsorted(when[order], np.arange(steps + 1)).astype(np.int64)
        train = SpikeTrain(ptr, who[order].astype(np.uint32), np.zeros(0, np.int32))
        lost = np.zeros((len(self.program.populations), 2), np.int64)
        lost[self.program.populations.index(self.neurons[0]), 1] = run.drops.sum()
        updates, trace = run.neuron_updates[:, None], self._trace(run.potentials, steps, probes)
        active = np.zeros((1, 1), np.uint8)
        counted = {"cycles": run.cycles, "sops": run.sops, "drops": run.drops}
        return RawRun(train, updates, lost, active, trace, **counted)

    def _trace(self, potentials: np.ndarray | None, steps: int, probes: list[Probe]) -> np.ndarray:
        parts = [np.zeros((steps, 0), np.int32)]
        for probe in probes:
            columns = np.searchsorted(self._id, np.arange(probe.lo, probe.hi))
            assert potentials is not None
            parts.append(potentials[:, columns].astype(np.int32))
        return np.concatenate(parts, axis=1)

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint (copies)."""
        return self.steps_engine.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint made by `state`."""
        self.steps_engine.restore(state)
