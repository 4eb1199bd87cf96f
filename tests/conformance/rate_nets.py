"""Networks of rate units for the recorded credit assignment rules, as a user builds them for the float chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

import chipsim as cs

FREE = np.nan


def full(weights: Any) -> Any:
    """Synapses of every pair of a matrix (post, pre), zeros too."""
    matrix = np.asarray(weights, np.float64)
    m, n = matrix.shape
    return cs.floats.Synapses(
        sp.csc_array((matrix.ravel("F"), np.tile(np.arange(m), n), np.arange(n + 1) * m), shape=(m, n))
    )


def dense(emulator: cs.Emulator, name: str) -> np.ndarray:
    """Weights of a projection as an array."""
    weights = emulator.weights(name)
    return np.asarray(weights.toarray() if sp.issparse(weights) else weights)


class Layers:
    """Layers W[0], W[1], ... of rate units, an error unit per output, feedback into every layer that learns.

    The layers are populations "h1", "h2", ..., the last linear and called "out"; sources "x" and "t" give input and
    target, "e" is (t - out) / variance. Synapses "W0", "W1", ... learn by `rule`.
    """

    def __init__(self, weights: Sequence[np.ndarray], rule: Any, *, relax: float | None = None, variance: float = 1.0):
        self.weights, self.net, self.relaxed = weights, cs.Network("layers"), relax is not None
        self.names = [*(f"h{k + 1}" for k in range(len(weights) - 1)), "out"]
        self.net.add("x", cs.SpikeSource(weights[0].shape[1], graded=1))
        self.net.add("t", cs.SpikeSource(weights[-1].shape[0], graded=1))
        for name, w in zip(self.names[:-1], weights):
            units = {"k": 1.0} if relax is None else {"k": relax, "form": "input"}
            self.net.add(name, cs.floats.Rate(len(w), g="tanh", **units))
        self.linear("out", len(weights[-1]))
        for k, (before, after) in enumerate(zip(("x", *self.names), self.names)):
            self.net.connect(before, after, full(weights[k]), rule=rule, name=f"W{k}")
        self.linear("e", len(weights[-1]), t=np.eye(len(weights[-1])) / variance)
        self.net.connect(self.names[-2], "e", cs.floats.Synapses(-weights[-1] / variance))

    def linear(self, name: str, n: int, g: str = "linear", **inputs: np.ndarray) -> str:
        """Units without memory, and what they add up: population = weights."""
        self.net.add(name, cs.floats.Rate(n, k=1.0, g=g))
        for source, w in inputs.items():
            self.net.connect(source, name, cs.floats.Synapses(np.asarray(w, np.float64)))
        return name

    def teach(self, layer: str, **feedback: np.ndarray) -> None:
        """The third factor L of a layer: population = weights. A layer that relaxes is moved by it, too."""
        for source, w in feedback.items():
            weights = cs.floats.Synapses(np.asarray(w, np.float64))
            self.net.connect(source, layer, weights, role="third", factor="L", name=f"{source}=>{layer}")
            if self.relaxed and layer != "out":
                self.net.connect(source, layer, weights, role="gate", name=f"{source}~>{layer}")

    def delta(self, layer: str, **feedback: np.ndarray) -> str:
        """Error units of a layer: what comes back, times the layer's slope."""
        n = self.net.populations[layer].n
        name = self.linear(f"d_{layer}", n, **feedback)
        self.net.connect(layer, name, cs.floats.Synapses(np.eye(n)), role="slope")
        return name

    def run(self, x: np.ndarray, target: np.ndarray, steps: int = 20, record: Mapping[str, Any] | None = None):
        """Show one pair until all has settled: what every layer's weights changed, and the last of what is recorded."""
        emulator = cs.Emulator(cs.compile(self.net, "float"))
        inputs = {"x": np.tile(x, (steps, 1)), "t": np.tile(target, (steps, 1))}
        result = emulator.run(inputs, steps, phase="shown", record=record)
        changes = [dense(emulator, f"W{k}") - w for k, w in enumerate(self.weights)]
        return changes, {name: {v: rows[-1] for v, rows in seen.items()} for name, seen in result.trace.items()}


def propagated(weights: Sequence[np.ndarray], backward: Sequence[np.ndarray], rule: Any, **options: Any) -> Layers:
    """Errors go back layer by layer through `backward`, one matrix per layer but the first."""
    net = Layers(weights, rule, **options)
    net.teach("out", e=np.eye(len(weights[-1])))
    source = "e"
    for k in range(len(weights) - 2, -1, -1):
        layer, w = f"h{k + 1}", backward[k]
        net.teach(layer, **{source: w})
        if k:
            source = net.delta(layer, **{source: w})
    return net


def direct(weights: Sequence[np.ndarray], feedback: Sequence[np.ndarray], rule: Any) -> Layers:
    """The output's error goes to every layer at once."""
    net = Layers(weights, rule)
    net.teach("out", e=np.eye(len(weights[-1])))
    for k, w in enumerate(feedback):
        net.teach(f"h{k + 1}", e=w)
    return net


def two_phases(weights: Any, rule: Any, bias: Any, k: float = 0.3) -> tuple[cs.Emulator, Any]:
    """A symmetric net in one population "v" of potentials; returns its emulator and run(phase, steps, hold, nudge)."""
    net = cs.Network("two phases")
    net.add("v", cs.floats.Rate(len(weights), k=k, g="tanh", form="input", bias=bias))
    net.connect("v", "v", full(weights), rule=rule, name="w")
    emulator = cs.Emulator(cs.compile(net, "float"))

    def run(phase: str, steps: int, hold: np.ndarray, nudge: tuple[np.ndarray, float] | None = None) -> np.ndarray:
        given = {"hold": {"v": hold}, "nudge": {} if nudge is None else {"v": nudge}}
        return emulator.run(steps=steps, phase=phase, record={"v": ["r"]}, **given).trace["v"]["r"]

    return emulator, run


def adjoint(w: np.ndarray, w_in: np.ndarray, bias: np.ndarray, k: Any, g: str, states: np.ndarray, x: np.ndarray,
            direct_part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Exact gradients by w, w_in and bias of rate units that read inputs x (T, inputs) on the way to states (T + 1, n).

    Inputs are units of their own that do not move (k = 0); direct_part (T + 1, n) is dE/dstate as the loss gives it.
    """
    from chipsim.kernels.core.neurons.rate import FUNCTIONS
    from chipsim.kernels.learning.trajectories import backward

    n, whole, steps = len(w), len(w) + w_in.shape[1], len(states)
    both, y, direct, shares, biases = np.zeros((whole, whole)), np.zeros((steps, whole)), np.zeros((steps, whole)), \
        np.zeros(whole), np.zeros(whole)  # fmt: skip
    both[:n, :n], both[:n, n:], y[:, :n], y[:-1, n:], direct[:, :n] = w, w_in, states, x, direct_part
    shares[:n], biases[:n] = k, bias
    d_w, rest = np.zeros((whole, whole)), [np.zeros(whole) for _ in range(5)]
    backward(both, biases, shares, np.zeros(whole), FUNCTIONS[g], y, direct, d_w, *rest)
    return d_w[:n, :n], d_w[:n, n:], rest[0][:n]
