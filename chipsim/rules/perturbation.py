"""Perturbation of a black box: the chip is run, its cost is read, nothing else is known of it.

Kernels and sources: `chipsim.kernels.learning.weight_perturbation`, `chipsim.kernels.learning.node_perturbation`.
Every evaluation is
counted, because each is a run of the chip.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipsim.checks import finite, flag, floats, shown, whole
from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.rounding import MODES, round_array
from chipsim.kernels.learning import node_perturbation
from chipsim.kernels.learning.weight_perturbation import difference, project
from chipsim.rules.carried import troubles
from chipsim.rules.fixed_format import Fixed

Array = NDArray[np.float64]
COUNTS = ("evaluations", "updates", "changed", "stalled", "saturated")


def _check_settings(what: str, eta: float, size: float, form: Fixed | None) -> None:
    finite(eta, f"{what}: eta must be positive; it", lo=math.ulp(0.0))
    finite(size, f"{what}: size must be positive; it", lo=math.ulp(0.0))
    if form is not None and not isinstance(form, Fixed):
        raise NetworkError(f"{what}: format {shown(form)} is no Fixed, nor None for float64")
    if form is not None and abs(size / form.step - round(size / form.step)) > 1e-9:
        raise NetworkError(
            f"{what}: size {size} is no multiple of the step {form.step}; the chip cannot hold the perturbed weight"
        )


@dataclass(frozen=True)
class Perturbation:
    """How weights are perturbed and changed.

    size: perturbation, in weight units (with a format: a multiple of its step). eta: learning rate. serial: one weight
    after the other, else all at once with signs +-size. central: two-sided differences. format: declared fixed point
    of the weights, None for float64.
    """

    eta: float = 1.0
    size: float = 1e-3
    serial: bool = True
    central: bool = False
    format: Fixed | None = None

    def __post_init__(self) -> None:
        _check_settings("weight perturbation", self.eta, self.size, self.format)
        flag(self.serial, "weight perturbation: serial")
        flag(self.central, "weight perturbation: central")


@dataclass(frozen=True)
class NodePerturbation:
    """How the summed inputs of the nodes are perturbed: all at once with signs +-size; eta, format as for weights."""

    eta: float = 1.0
    size: float = 1e-3
    format: Fixed | None = None

    def __post_init__(self) -> None:
        _check_settings("node perturbation", self.eta, self.size, self.format)


@dataclass
class BlackBoxLearner(ABC):
    """Weights (N,) of a black box, changed by -eta times an estimate of the gradient and stored in their format.

    evaluations: runs of the chip so far; `updates`: steps so far; `changed`, `stalled`: wanted changes of a weight that
    moved it, or were rounded away; `saturated`: changes cut at the end of the format. `warnings` says what went wrong.
    """

    weights: Array
    how: Any
    seed: int = 0
    evaluations: int = field(default=0, init=False)
    updates: int = field(default=0, init=False)
    changed: int = field(default=0, init=False)
    stalled: int = field(default=0, init=False)
    saturated: int = field(default=0, init=False)
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.weights = floats(self.weights, "perturbation: weights").copy().reshape(-1)
        whole(self.seed, "perturbation: seed", 0)
        if self.how.format is not None:
            self._store(self.weights.copy(), "nearest")
        self._rng = np.random.default_rng(self.seed)

    @abstractmethod
    def gradient(self) -> Array:
        """Estimate (N,) of the gradient at the present weights."""

    def step(self) -> None:
        """One update."""
        wanted = self.weights - self.how.eta * self.gradient()
        self.updates += 1
        before, asked = self.weights, wanted != self.weights
        if self.how.format is None:
            self.weights = wanted
        else:
            self._store(wanted.copy(), self.how.format.rounding)
        moved = self.weights != before
        self.changed += int(moved.sum())
        self.stalled += int((asked & ~moved).sum())

    @property
    def warnings(self) -> list[str]:
        """What went wrong, in words; empty if nothing did."""
        low, high = self._limits()
        at_bound = float(((self.weights <= low) | (self.weights >= high)).mean()) if self.weights.size else 0.0
        form = self.how.format
        stochastic = form is not None and form.rounding == "stochastic"
        return troubles("perturbation", self.changed, self.stalled, self.saturated, at_bound, stochastic)

    def state(self) -> dict[str, Any]:
        """All that a later step depends on, as plain values and arrays."""
        counts = {name: getattr(self, name) for name in COUNTS}
        return {"weights": self.weights.copy(), "random": self._rng.bit_generator.state, **counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned, bit for bit."""
        if np.shape(state["weights"]) != self.weights.shape:
            raise NetworkError(
                f"perturbation: the state has {np.size(state['weights'])} weights, the box {self.weights.size}"
            )
        self.weights = np.array(state["weights"], dtype=np.float64)
        self._rng.bit_generator.state = state["random"]
        for name in COUNTS:
            setattr(self, name, int(state[name]))

    def _limits(self) -> tuple[float, float]:
        form = self.how.format
        return (-np.inf, np.inf) if form is None else (form.low, form.high)

    def _finite(self, value: Any) -> Any:
        self.evaluations += 1
        if not np.all(np.isfinite(value)):
            raise NetworkError(f"perturbation: the cost is {value}; it must be a finite number")
        return value

    def _store(self, wanted: Array, rounding: str) -> None:
        form = self.how.format
        assert form is not None
        self.saturated += int(((wanted < form.low) | (wanted > form.high)).sum())
        round_array(wanted, form.step, form.low, form.high, MODES[rounding], self.seed, self.updates, 0)
        self.weights = wanted


class Learner(BlackBoxLearner):
    """Weight perturbation.

    Parameters
    ----------
    cost
        Function of the weights (N,) that runs the chip and returns one number.
    weights : (N,) array_like
        Where to start; with a format, stored to the nearest.
    how : Perturbation
    seed : int
        Of the signs of parallel perturbation, and of stochastic rounding.

    Examples
    --------
    >>> learner = Learner(lambda w: float(((w - 1) ** 2).sum()), [0.0, 3.0], Perturbation(eta=0.25, size=1e-6))
    >>> for _ in range(40):
    ...     learner.step()
    >>> learner.weights.round(3).tolist(), learner.evaluations
    ([1.0, 1.0], 120)
    """

    def __init__(self, cost: Callable[[Array], float], weights: Any, how: Perturbation, seed: int = 0) -> None:
        self.cost = cost
        super().__init__(weights, how, seed)

    def evaluate(self, weights: Array) -> float:
        """One run of the chip."""
        return self._finite(float(self.cost(weights)))

    def gradient(self) -> Array:
        """Estimate of the gradient at the present weights."""
        w, how = self.weights, self.how
        estimate = np.zeros_like(w)
        reference = 0.0 if how.central else self.evaluate(w)
        if not how.serial:
            noise = how.size * self._rng.choice([-1.0, 1.0], w.size)
            high, low = self._moved(w, noise)
            up = self.evaluate(high)
            down = self.evaluate(low) if how.central else reference
            project((up - down) / (2.0 if how.central else 1.0), noise, how.size, estimate)
            return estimate
        for i in range(w.size):
            noise = np.zeros_like(w)
            noise[i] = how.size
            high, low = self._moved(w, noise)
            up = self.evaluate(high)
            if how.central:
                whole = high[i] - low[i] if self.how.format is not None else 2.0 * how.size
                estimate[i] = difference(up, self.evaluate(low), whole)
            else:
                estimate[i] = difference(up, reference, noise[i])
        return estimate

    def _moved(self, w: Array, noise: Array) -> tuple[Array, Array]:
        """w + noise and w - noise as the format holds them.

        A one-sided perturbation that would leave the format goes the other way (in `noise`, too), a two-sided one is
        cut on that side.
        """
        low, high = self._limits()
        if not self.how.central:
            noise[(w + noise > high) | (w + noise < low)] *= -1.0
        return np.clip(w + noise, low, high), np.clip(w - noise, low, high)


class NodeLearner(BlackBoxLearner):
    """Node perturbation of a layered network: two runs of the chip per update, whatever the number of weights.

    Parameters
    ----------
    trial
        Function (weights (N,), noise (nodes,)) -> (costs (p,), [received (p, pre) for each layer]) that runs the chip
        on p patterns, with `noise` added to the sums of the nodes.
    weights : (N,) array_like
    layers : list of (post, pre) int arrays
        Where in `weights` the matrix of each layer lies; their rows in order are the nodes.
    how : NodePerturbation
    seed : int
        Of the signs, and of stochastic rounding.
    """

    def __init__(
        self,
        trial: Callable[[Array, Array], tuple[Array, Sequence[Array]]],
        weights: Any,
        layers: Sequence[NDArray[np.intp]],
        how: NodePerturbation,
        seed: int = 0,
    ) -> None:
        self.trial, self.layers = trial, list(layers)
        self.nodes = sum(len(layer) for layer in self.layers)
        super().__init__(weights, how, seed)

    def gradient(self) -> Array:
        """Estimate of the gradient at the present weights, from one perturbed run."""
        noise = self.how.size * self._rng.choice([-1.0, 1.0], self.nodes)
        before, received = self.trial(self.weights, np.zeros(self.nodes))
        self._finite(before)
        after = self._finite(self.trial(self.weights, noise)[0])
        estimate, first = np.zeros_like(self.weights), 0
        for layer, activity in zip(self.layers, received, strict=True):
            mine = noise[first : first + len(layer)]
            first += len(layer)
            change = np.zeros(layer.shape)
            for k, lost in enumerate(after - before):
                trace = np.zeros(layer.shape)
                node_perturbation.eligibility(mine[None], np.ascontiguousarray(activity[k : k + 1]), trace)
                node_perturbation.update(float(lost), self.how.size, trace, change)
            estimate[layer] = -change
        return estimate
