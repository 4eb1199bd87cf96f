"""XOR by weight perturbation: the network is a black box that is run, perturbed, and run again.

Set-up after Jabri and Flower (1992): a 2-3-1 net of sigmoid units, one weight perturbed after the other,
forward differences. Solved when all four outputs are within 0.2 of their targets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chipsim.errors import RunError
from chipsim.fixed_format import Fixed
from chipsim.perturbation import Learner, Perturbation

Array = NDArray[np.float64]
PATTERNS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = np.array([0.0, 1.0, 1.0, 0.0])
CLOSE = 0.2
CHIP_WEIGHTS = Fixed(8, 0.125, rounding="stochastic")  # +-16 in eighths
FLOAT, CHIP = Perturbation(eta=1.0, size=1e-3), Perturbation(eta=1.0, size=0.125, format=CHIP_WEIGHTS)


@dataclass(frozen=True)
class XorRun:
    """epochs: updates until solved, or None; chip_runs: patterns presented, over all evaluations; costs per
    epoch.
    """

    seed: int
    epochs: int | None
    chip_runs: int
    costs: Array
    weights: Array
    stalled: int


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
    """Outputs (p,) of the 2-h-1 net with flat weights W1 | b1 | W2 | b2."""
    hidden = (weights.size - 1) // 4
    w1, b1, w2, b2 = np.split(weights, np.cumsum([2 * hidden, hidden, hidden]))
    inner = 1.0 / (1.0 + np.exp(-(patterns @ w1.reshape(hidden, 2).T + b1)))
    return 1.0 / (1.0 + np.exp(-(inner @ w2 + b2[0])))


def run_one(
    seed: int,
    how: Perturbation = CHIP,
    hidden: int = 3,
    max_epochs: int = 5000,
    box: Callable[[Array], Array] = outputs,
    progress: Callable[[int, float], None] | None = None,
) -> XorRun:
    """One seed. box: weights -> the four outputs; by default a model of the chip's units, or any run of an
    emulator.
    """

    def cost(weights: Array) -> float:
        return 0.5 * float(((box(weights) - TARGETS) ** 2).sum())

    start = np.random.default_rng(seed).normal(0.0, 1.0, 4 * hidden + 1)
    learner = Learner(cost, start, how, seed=seed)
    costs = []
    for epoch in range(max_epochs + 1):
        answer = box(learner.weights)
        costs.append(0.5 * float(((answer - TARGETS) ** 2).sum()))
        if progress is not None:
            progress(epoch, costs[-1])
        if np.abs(answer - TARGETS).max() < CLOSE:
            return XorRun(seed, epoch, 4 * learner.evaluations, np.array(costs), learner.weights, learner.stalled)
        if epoch < max_epochs:
            learner.step()
    return XorRun(seed, None, 4 * learner.evaluations, np.array(costs), learner.weights, learner.stalled)


def run(
    seeds: Sequence[int] = tuple(range(12)),
    how: Perturbation = CHIP,
    hidden: int = 3,
    max_epochs: int = 5000,
    progress: Callable[[int, float], None] | None = None,
) -> XorResult:
    """All seeds. progress: called with (seeds done, epochs of the last)."""
    if hidden < 1:
        raise RunError(f"xor: {hidden} hidden units; 1 or more")
    done = []
    for k, seed in enumerate(seeds):
        done.append(run_one(seed, how, hidden, max_epochs))
        if progress is not None:
            progress(k + 1, float(done[-1].epochs or max_epochs))
    return XorResult(tuple(done))
