"""Weight perturbation of a black box: the chip is run, its cost is read, nothing else is known of it.

Kernels and sources: `kernels.rules.weight_perturbation`. Every evaluation is counted, because each is a run
of the chip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chipsim.errors import NetworkError
from chipsim.fixed_format import Fixed
from kernels.rounding import MODES, round_array
from kernels.rules.weight_perturbation import difference, project

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Perturbation:
    """How weights are perturbed and changed.

    size: perturbation, in weight units (with a format: a multiple of its step, default one step). eta:
    learning rate. serial: one weight after the other, else all at once with signs +-size. central:
    two-sided differences. format: declared fixed point of the weights, None for float64.
    """

    eta: float = 1.0
    size: float = 1e-3
    serial: bool = True
    central: bool = False
    format: Fixed | None = None

    def __post_init__(self) -> None:
        if not self.size > 0:
            raise NetworkError(f"weight perturbation: size must be positive, got {self.size}")
        if self.format is not None and abs(self.size / self.format.step - round(self.size / self.format.step)) > 1e-9:
            raise NetworkError(
                f"weight perturbation: size {self.size} is no multiple of the step {self.format.step}; "
                "the chip cannot hold the perturbed weight"
            )


@dataclass
class Learner:
    """Weights of a black box that learns by perturbation.

    cost: function of the weights (N,) that runs the chip and returns one number. evaluations: runs so far;
    `updates`: steps so far; `stalled`: wanted changes that were rounded away; `saturated`: weights held at
    the end of their format.
    """

    cost: Callable[[Array], float]
    weights: Array
    how: Perturbation
    seed: int = 0
    evaluations: int = 0
    updates: int = 0
    stalled: int = 0
    saturated: int = 0
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.weights = np.array(self.weights, dtype=np.float64).reshape(-1)
        if self.how.format is not None:
            self._store(self.weights.copy(), "nearest")
        self._rng = np.random.default_rng(self.seed)

    def evaluate(self, weights: Array) -> float:
        """One run of the chip."""
        self.evaluations += 1
        value = float(self.cost(weights))
        if not np.isfinite(value):
            raise NetworkError(f"weight perturbation: the cost is {value}; it must be a finite number")
        return value

    def gradient(self) -> Array:
        """Estimate of the gradient at the present weights."""
        w, how = self.weights, self.how
        estimate = np.zeros_like(w)
        reference = 0.0 if how.central else self.evaluate(w)
        if not how.serial:
            noise = how.size * self._rng.choice([-1.0, 1.0], w.size)
            up = self.evaluate(w + noise)
            down = self.evaluate(w - noise) if how.central else reference
            project((up - down) / (2.0 if how.central else 1.0), noise, how.size, estimate)
            return estimate
        for i in range(w.size):
            moved = w.copy()
            moved[i] += how.size
            up = self.evaluate(moved)
            if how.central:
                moved[i] -= 2.0 * how.size
                reference = self.evaluate(moved)
            estimate[i] = difference(up, reference, 2.0 * how.size if how.central else how.size)
        return estimate

    def step(self) -> None:
        """One update."""
        wanted = self.weights - self.how.eta * self.gradient()
        self.updates += 1
        if self.how.format is None:
            self.weights = wanted
            return
        before = self.weights.copy()
        self._store(wanted, self.how.format.rounding)
        self.stalled += int(((wanted != before) & (self.weights == before)).sum())

    def _store(self, wanted: Array, rounding: str) -> None:
        form = self.how.format
        assert form is not None
        self.saturated += int(((wanted < form.low) | (wanted > form.high)).sum())
        round_array(wanted, form.step, form.low, form.high, MODES[rounding], self.seed, self.updates, 0)
        self.weights = wanted
