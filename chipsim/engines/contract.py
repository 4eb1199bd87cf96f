"""What an engine is: the contract between the emulator, which knows no chip, and what advances a program of one family.

An engine of a new family implements `Engine` and has one line in `chipsim.engines.choose`; one whose programs can learn
implements `Learns` as well. Everything a run leaves is a `RawRun`, whatever the family; what a family does not count is
None there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from chipsim.rules.carried import LearningReport, troubles

Progress = Callable[[int, int], None]


class SpikeTrain(NamedTuple):
    """Spikes in steps: those of step i are ids[ptr[i]:ptr[i + 1]], ascending; `value` as long as ids, or of size 1."""

    ptr: np.ndarray  # (t + 1,) int64
    ids: np.ndarray  # uint32
    value: np.ndarray  # int32 or float64


class Probe(NamedTuple):
    """One recorded state variable of neurons [lo, hi): its kernel row (-1: the step's input sum)."""

    row: int
    lo: int
    hi: int


class Learned(NamedTuple):
    """What learning adds to a run: acts per step (t,) int64 by name, a report by projection."""

    counts: dict[str, np.ndarray]
    reports: dict[str, LearningReport]


class RawRun(NamedTuple):
    """What a run leaves: all spikes, updates per core, losses, probes, and what only some chips count."""

    spikes: SpikeTrain  # a neuron that fires several times in a step stands there as often
    updates: np.ndarray  # (t, c) int64 active neuron updates
    #: (p, 2) int64: voltages clipped, and currents, resets or input sums overflowed or spikes lost.
    saturated: np.ndarray
    active: np.ndarray  # (t, n padded / 8) uint8 masks, or (0, 1)
    trace: np.ndarray  # (t, columns)
    learned: Learned | None = None  # what learning did, None if nothing can learn
    #: Spikes of the last steps before this run, as many as the longest delay: their events may still be waiting.
    before: SpikeTrain | None = None
    #: (t,) int64 clock cycles of each step. Those of the TrueNorth-class grid are of the open hardware (RANC); time and
    #: energy of the chip that its description names follow the chip's own tick.
    cycles: np.ndarray | None = None
    #: (t,) or (t, c) int64 synaptic operations: all synapses of every spike event served (crossbar), connected ones
    #: (grid), connections delivered (Catalyst).
    sops: np.ndarray | None = None
    drops: np.ndarray | None = None  # (t,) int64 spikes and packets lost, delays given up
    #: (t,) int64 events held back at the end of each step, where the engine looks into its chip's queues.
    waiting: np.ndarray | None = None
    access: np.ndarray | None = None  # (t, 8) int64 memory accesses of ReckOn
    effects: dict[str, int] | None = None  # silent effects of ReckOn by name


class Episode(NamedTuple):
    """What an episode taught one network.

    loss: as the rule defines it, over the steps that had a target. output, error: (S - 2, m) of the readout, in ideal
    units, after the softmax if there is one. changed, stalled, saturated: weights changed by the update, updates that
    rounded to nothing, weights held at the end of their format; all 0 if the episode did not update. at_bound: share of
    the weights that stand at an end of their format. stochastic: weights are rounded so.
    """

    loss: float
    output: np.ndarray
    error: np.ndarray
    changed: int = 0
    stalled: int = 0
    saturated: int = 0
    at_bound: float = 0.0
    stochastic: bool = False

    @property
    def warnings(self) -> list[str]:
        """What went wrong with the update, in words; empty if nothing did."""
        return troubles("eprop", self.changed, self.stalled, self.saturated, self.at_bound, self.stochastic)


class Phase(NamedTuple):
    """The phase that a run is (None: of none), and whether it ends with the run."""

    name: str | None = None
    ends: bool = True


NO_PHASE = Phase()


class Teaching(NamedTuple):
    """What a run is taught: third factors by projection, targets by readout; `watch`: variables of learning
    projections that are kept after `every` steps; learn=False freezes all of it.
    """

    learn: bool = True
    third: Mapping[str, Any] = {}
    targets: Mapping[str, Any] = {}
    watch: Mapping[str, Sequence[str]] = {}
    every: int = 1
    phase: Phase = NO_PHASE


class Engine(Protocol):
    """Advances a program of one family; keeps its state between runs."""

    @property
    def step(self) -> int:
        """Steps run since the last reset."""
        ...

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
        ...

    def reset(self) -> None:
        """Back to the state of a freshly loaded program."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything that a later run depends on, by name; copies."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; RunError for arrays that are not this program's."""
        ...


class Plasticity(Protocol):
    """A projection that can learn."""

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be recorded of it."""
        ...


@runtime_checkable
class Learns(Engine, Protocol):
    """An engine whose programs can learn, and whose weights can be read and overwritten between runs."""

    @property
    def learners(self) -> Mapping[str, Plasticity]:
        """The projections that can learn, by name; none in a program without rules."""
        ...

    def weights(self, name: str) -> Any:
        """Weights of a projection now, as they were given."""
        ...

    def set_weights(self, name: str, weights: Any) -> None:
        """Overwrite the weights of a projection."""
        ...


@runtime_checkable
class Episodes(Protocol):
    """An engine that runs trials: neurons go back to rest in between, weights stay."""

    def end_episode(self, update: bool = True, rate: float = 1.0) -> dict[str, Episode]:
        """Neurons and what is in flight to rest; what e-prop learned, by readout."""
        ...


@runtime_checkable
class Holds(Protocol):
    """An engine with rate units that can be held or nudged, and whose runs are phases."""

    def hold(self, held: Mapping[str, Any], nudged: Mapping[str, Any]) -> None:
        """Hold rate units at values, or nudge them towards some, from now on; those not named are free."""
        ...
