"""XOR by weight perturbation: the network is a black box that is run, perturbed, and run again.

Set-up after Jabri and Flower (1992): a 2-3-1 net of sigmoid units, one weight perturbed after the other,
forward differences. Solved when all four outputs are within 0.2 of their targets. The box is the emulated chip
(`xor_chip`) or, in float64, the sigmoid units themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipsim.errors import RunError
from chipsim.mappings.experiments.xor_chip import CHIP_WEIGHTS, XorChip, split
from chipsim.rules.perturbation import Learner, NodeLearner, NodePerturbation, Perturbation

Array = NDArray[np.float64]
PATTERNS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = np.array([0.0, 1.0, 1.0, 0.0])
CLOSE = 0.2
FLOAT = Perturbation(eta=1.0, size=1e-3)
CHIP = Perturbation(eta=1.0, size=0.5, format=CHIP_WEIGHTS)  #: four steps: a smaller one often moves no spike
PARALLEL = Perturbation(eta=0.5, size=0.25, serial=False, format=CHIP_WEIGHTS)
NODES = NodePerturbation(eta=2.0, size=0.5, format=CHIP_WEIGHTS)


@dataclass(frozen=True)
class XorRun:
    """epochs: updates until solved, or None; chip_runs: runs of the box, each with the four patterns; costs per epoch;
    stalled, saturated: changes that rounded to nothing, or left the format; warnings: what went wrong, in words;
    `state` continues it.
    """

    seed: int
    epochs: int | None
    chip_runs: int
    costs: Array
    weights: Array
    stalled: int
    saturated: int
    warnings: tuple[str, ...]
    state: Mapping[str, Any]


@dataclass(frozen=True)
class XorResult:
    """All seeds; median_epochs over the solved ones."""

    runs: tuple[XorRun, ...]

    @property
    def solved(self) -> int:
        """Number of seeds that reached the solution."""
        return sum(r.epochs is not None for r in self.runs)

    @property
    def median_epochs(self) -> float:
        """Median updates of the solved seeds."""
        return float(np.median([r.epochs for r in self.runs if r.epochs is not None])) if self.solved else float("inf")


def outputs(weights: Array, patterns: Array = PATTERNS) -> Array:
    """Outputs (p,) of the 2-h-1 net of exact sigmoid units with flat weights W1 | b1 | W2 | b2."""
    first, second = split(weights)
    inner = 1.0 / (1.0 + np.exp(-(patterns @ first[:, :2].T + first[:, 2])))
    return 1.0 / (1.0 + np.exp(-(inner @ second[0, :-1] + second[0, -1])))


class _Box:
    """Counts the runs of a box, and remembers its last answer: an update starts where the last check was made."""

    def __init__(self, run: Callable[[Array], Array], runs: int) -> None:
        self.run, self.runs = run, runs
        self._asked, self._answer = np.zeros(0), np.zeros(0)

    def answer(self, weights: Array) -> Array:
        if not np.array_equal(weights, self._asked):
            self._asked, self._answer = weights.copy(), self.run(weights)
            self.runs += 1
        return self._answer

    def cost(self, weights: Array) -> float:
        return 0.5 * float(((self.answer(weights) - TARGETS) ** 2).sum())


def run_one(
    seed: int,
    how: Perturbation | NodePerturbation = CHIP,
    hidden: int = 3,
    max_epochs: int = 5000,
    box: Callable[[Array], Array] | None = None,
    progress: Callable[[int, float], None] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> XorRun:
    """One seed.

    Parameters
    ----------
    how
        `CHIP` (serial), `PARALLEL`, `NODES` or other settings.
    box
        Flat weights -> the four outputs. By default the emulated chip if `how` has a format, else `outputs`.
        Node perturbation takes an `XorChip`.
    progress
        Called with (epoch, cost).
    resume
        The `state` of an earlier run, which ended at its `max_epochs`; the result is as if it had gone on.
    """
    if hidden < 1:
        raise RunError(f"xor: {hidden} hidden units; 1 or more")
    if box is None:
        box = XorChip(hidden) if how.format is not None else outputs
    counted = _Box(box, int(resume["runs"]) if resume else 0)
    start = np.random.default_rng(seed).normal(0.0, 1.0, 4 * hidden + 1)
    learner = _learner(how, counted, box, start, seed)
    costs = []
    if resume:
        learner.restore(resume["learner"])
        costs = list(resume["costs"][:-1])  # the last one is checked again, below
        counted.runs -= 1
    epochs = None
    for epoch in range(len(costs), max_epochs + 1):
        answer = counted.answer(learner.weights)
        costs.append(0.5 * float(((answer - TARGETS) ** 2).sum()))
        if progress is not None:
            progress(epoch, costs[-1])
        if np.abs(answer - TARGETS).max() < CLOSE:
            epochs = epoch
            break
        if epoch < max_epochs:
            learner.step()
    state = {"learner": learner.state(), "runs": counted.runs, "costs": np.array(costs)}
    told = (learner.stalled, learner.saturated, tuple(learner.warnings))
    return XorRun(seed, epochs, counted.runs, np.array(costs), learner.weights, *told, state)


def _learner(how: Perturbation | NodePerturbation, counted: _Box, box: Any, start: Array, seed: int) -> Any:
    if isinstance(how, Perturbation):
        return Learner(counted.cost, start, how, seed=seed)
    if not isinstance(box, XorChip):
        raise RunError("xor: node perturbation reads the rates of the units; give an XorChip as the box")

    def trial(weights: Array, noise: Array) -> tuple[Array, list[Array]]:
        """Costs of the patterns, and what each layer receives, with `noise` added to the biases."""
        hidden = noise.size - 1
        moved = weights.copy()
        moved[2 * hidden : 3 * hidden] += noise[:hidden]
        moved[-1] += noise[-1]
        np.clip(moved, CHIP_WEIGHTS.low, CHIP_WEIGHTS.high, out=moved)
        costs = 0.5 * (counted.answer(moved) - TARGETS) ** 2
        ones = np.ones((4, 1))
        return costs, [np.hstack([PATTERNS, ones]), np.hstack([box.rates("hidden"), ones])]

    places = split(np.arange(start.size, dtype=np.float64))
    return NodeLearner(trial, start, [layer.astype(np.intp) for layer in places], how, seed)


def run(
    seeds: Sequence[int] = tuple(range(12)),
    how: Perturbation | NodePerturbation = CHIP,
    hidden: int = 3,
    max_epochs: int = 5000,
    progress: Callable[[int, float], None] | None = None,
    box: Callable[[Array], Array] | None = None,
) -> XorResult:
    """All seeds. progress: called with (seeds done, epochs of the last)."""
    done = []
    for k, seed in enumerate(seeds):
        done.append(run_one(seed, how, hidden, max_epochs, box))
        if progress is not None:
            progress(k + 1, float(max_epochs if done[-1].epochs is None else done[-1].epochs))
    return XorResult(tuple(done))
