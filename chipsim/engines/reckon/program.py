"""A `Program` on ReckOn: populations and projections to registers and memories, steps to ticks of one
sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chipsim.engines.contract import Probe, Progress, RawRun, SpikeTrain, Teaching
from chipsim.errors import RunError
from chipsim.kept import checked, number
from chipsim.native.reckon.image import native_image
from chipsim.program.program import PopulationImage, Program

from .core import ReckonEngine
from .io import ReckonRun, stimulus

LIF_STATES = ("u", "tinp", "trec", "tout")  #: probe rows of a LIF population; an LI population has row 0, "o"


class Layout(NamedTuple):
    """Where populations lie: one address space per layer, filled in program order."""

    inputs: tuple[PopulationImage, ...]
    neurons: tuple[PopulationImage, ...]
    outputs: tuple[PopulationImage, ...]

    def address(self, program: Program) -> np.ndarray:
        """(n,) address of each program neuron within its layer."""
        table = np.zeros(program.n, np.int64)
        for layer in self:
            first = 0
            for image in layer:
                table[image.start : image.stop] = first + np.arange(image.n)
                first += image.n
        return table


def layout(program: Program) -> Layout:
    """The three layers of a program; raises RunError for neurons that are not ReckOn's."""
    layers: dict[str, list[PopulationImage]] = {"input": [], "reckon_lif": [], "reckon_li": []}
    for image in program.populations:
        if image.model.model not in layers:
            raise RunError(f"population '{image.name}': {type(image.model).__name__} does not run on ReckOn")
        layers[image.model.model].append(image)
    return Layout(*(tuple(layer) for layer in layers.values()))


def program_image(program: Program) -> Any:
    """Registers and memories of a program (`ReckonImage`)."""
    where = layout(program)
    size = [sum(p.n for p in layer) for layer in where]
    address = where.address(program)
    layer_of = {p.name: k for k, layer in enumerate(where) for p in layer}
    blocks = {
        (0, 1): np.zeros((size[1], max(size[0], 1)), np.int64),
        (1, 1): np.zeros((size[1], size[1]), np.int64),
        (1, 2): np.zeros((max(size[2], 1), size[1]), np.int64),
    }
    shifts = dict.fromkeys(blocks, 0)
    for projection in program.projections:
        pre, post = program.populations[projection.pre], program.populations[projection.post]
        block = (layer_of[pre.name], layer_of[post.name])
        rows = address[post.start : post.stop, None]
        blocks[block][rows, address[pre.start : pre.stop]] += projection.synapses.dense()
        shifts[block] = int(projection.synapses.exponent)
    kappa = {int(p.model.values["kappa"]) for p in where.outputs} or {0}
    return native_image(
        *blocks.values(),
        thr=np.concatenate([p.model.per_neuron("thr") for p in where.neurons]),
        alpha=np.concatenate([p.model.per_neuron("alpha") for p in where.neurons]),
        kappa=kappa.pop(),
        shifts=tuple(shifts.values()),  # type: ignore[arg-type]
        reset=str(where.neurons[0].model.values["reset"]),
    )


class ReckonProgramEngine:
    """Runs a program of family reckon: all steps are ticks of one sample, learning off.

    The first tick after a reset only takes in events. A recorded variable is what the chip's memory holds
    when the tick is over: a leaky membrane plus what arrived in this tick.
    """

    def __init__(self, program: Program, threads: int = 1) -> None:
        self.program, self.threads = program, threads
        self.layout = layout(program)
        self._address = self.layout.address(program)
        image = program_image(program)
        self.chip = ReckonEngine(image.registers, image.memories)
        self.step = 0

    def reset(self) -> None:
        """Back to the state of a freshly loaded program."""
        self.chip.reset()
        self.step = 0

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
        """Advance `steps` ticks; `inputs` hold the spikes of exactly these ticks."""
        events = (inputs.ptr, self._address[inputs.ids.astype(np.int64)])
        neurons = sum(p.n for p in self.layout.neurons)
        stim = stimulus(events, last=np.zeros(steps, bool))
        run = self.chip.run(stim, neurons=neurons, snapshots=any(not self._is_output(p) for p in probes))
        self.step += steps
        if progress is not None:
            progress(steps, steps)
        saturated = np.zeros((len(self.program.populations), 2), np.int64)
        first = self.program.populations.index(self.layout.neurons[0])
        high, low = run.effects["membrane_saturated_high"], run.effects["membrane_saturated_low"]
        saturated[first] = high + low, run.effects["reset_wrapped"]
        if self.layout.outputs:
            saturated[self.program.populations.index(self.layout.outputs[0]), 0] = run.effects["output_saturated"]
        count = neurons + sum(p.n for p in self.layout.outputs)
        return RawRun(
            self._log(inputs, run),
            (run.has_step[:, None] * count).astype(np.int64),
            saturated,
            np.zeros((1, 1), np.uint8),
            self._trace(run, steps, probes),
            cycles=run.busy_cycles,
            access=np.stack(list(run.access.values()), 1).astype(np.int64),
            effects=run.effects,
        )

    def _is_output(self, probe: Probe) -> bool:
        return any(p.start <= probe.lo < p.stop for p in self.layout.outputs)

    def _log(self, inputs: SpikeTrain, run: ReckonRun) -> SpikeTrain:
        """Input and recurrent spikes in the program's order."""
        ids = np.concatenate([np.arange(p.start, p.stop) for p in self.layout.neurons])
        tick, neuron = np.nonzero(run.spikes)
        ticks = len(run.spikes)
        step = np.concatenate([np.repeat(np.arange(ticks), np.diff(inputs.ptr)), tick])
        who = np.concatenate([inputs.ids.astype(np.int64), ids[neuron]])
        order = np.lexsort((who, step))
        ptr = np.searchsorted(step[order], np.arange(ticks + 1)).astype(np.int64)
        return SpikeTrain(ptr, who[order].astype(np.uint32), np.zeros(0, np.int32))

    def _trace(self, run: ReckonRun, steps: int, probes: list[Probe]) -> np.ndarray:
        parts = [np.zeros((steps, 0), np.int32)]
        for probe in probes:
            where = self._address[probe.lo : probe.hi]
            source = run.out_end if self._is_output(probe) else run.snapshots[f"{LIF_STATES[probe.row]}_end"]
            parts.append(source[:, where].astype(np.int32))
        return np.concatenate(parts, axis=1)

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint (copies)."""
        return {**self.chip.state(), "step": np.array(self.step)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint made by `state`; RunError for what is none."""
        state = checked(state, {"step": number(), **self.chip.kept()})
        self.chip.restore({k: v for k, v in state.items() if k != "step"})
        self.step = int(state["step"])
