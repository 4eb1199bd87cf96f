"""ODIN and tinyODIN driven step by step: spike counts in, spike counts out, cycles and losses of every step.

The host sends a step's spikes and one time reference, and the next step when the core is at rest: results do not
depend on how a run is cut. Recurrent spikes are served inside the step in which they happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.kept import checked, number
from chipsim.native.crossbar.image import CrossbarImage, to_stream
from chipsim.native.crossbar.odin import OdinProgram

from .odin import OdinEngine, TinyOdinEngine


@dataclass(frozen=True, eq=False)
class StepRun:
    """One run. t steps, n neurons.

    Attributes
    ----------
    spikes : (t, n) int64
        Output packets per neuron and step (a neuron may fire several times in a step).
    cycles, sops, neuron_updates, drops, fifo_peak : (t,) int64
        Clock cycles, synaptic operations, neuron updates, spikes lost to a full FIFO, largest FIFO fill.
    potentials : (t, n) int64 or None
        Membrane potentials at the end of each step, in the chip's integers.
    """

    spikes: np.ndarray
    cycles: np.ndarray
    sops: np.ndarray
    neuron_updates: np.ndarray
    drops: np.ndarray
    fifo_peak: np.ndarray
    potentials: np.ndarray | None


class StepEngine:
    """A lowered network on its crossbar; keeps state between calls.

    Parameters
    ----------
    image : CrossbarImage
        From `chipsim.native.crossbar.image`.
    neurons : int
        Neurons of the network.
    """

    def __init__(self, image: CrossbarImage, neurons: int | None = None) -> None:
        self.image = image
        self.n = len(image.unit) if neurons is None else neurons
        self.core = (
            OdinEngine(image.program) if isinstance(image.program, OdinProgram) else TinyOdinEngine(image.program)
        )
        self.step = 0

    def reset(self) -> None:
        """Back to the freshly loaded program at step 0."""
        self.core.reset()
        self.step = 0

    def state(self) -> dict[str, np.ndarray]:
        """Copies of everything that changes."""
        return {"step": np.array(self.step), **self.core.state()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state()`; RunError for what is none."""
        state = checked(state, {"step": number(), **self.core.kept()})
        self.core.restore({k: v for k, v in state.items() if k != "step"})
        self.step = int(state["step"])

    def run(self, spikes: Any, *, potentials: bool = False) -> StepRun:
        """Run spike counts (t, input lines); RunError for shapes that do not fit or a network that never rests."""
        addresses, owner = to_stream(spikes, self.image)
        steps = len(spikes)
        bounds = np.searchsorted(owner, np.arange(steps + 1))
        counts = np.zeros((steps, self.n), np.int64)
        columns = np.zeros((5, steps), np.int64)
        trace = np.zeros((steps, self.n), np.int64) if potentials else None
        for t in range(steps):
            run = self.core.run(addresses[bounds[t] : bounds[t + 1]], self.core.edge + 1)
            counts[t] = np.bincount(run.out_address, minlength=256)[: self.n]
            columns[:, t] = run.cycles, run.activity["sops"], run.activity["neuron_updates"], run.drops, run.fifo_peak
            if trace is not None:
                trace[t] = self.core.potentials[: self.n]
        self.step += steps
        return StepRun(counts, *columns, potentials=trace)
