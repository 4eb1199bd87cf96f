"""Recurrent nets of rate units that follow trajectories: run on a chip, gradients by the adjoint (Pearlmutter 1989)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from chipsim.checks import numbers
from chipsim.emulator import Emulator
from chipsim.errors import NetworkError
from chipsim.mappings.compiler.compile import compile as compile_network
from chipsim.mappings.network.network import Network
from chipsim.native import floats
from chipsim.native.floats import RATE_FUNCTIONS


class TrajectoryGradient(NamedTuple):
    """Loss, and its derivatives by the weights (n, n), bias, k, rest and the initial state (n,)."""

    loss: float
    w: np.ndarray
    bias: np.ndarray
    k: np.ndarray
    rest: np.ndarray
    start: np.ndarray


@dataclass(frozen=True, eq=False)
class Trajectory:
    """y <- y + k (g(W y + bias) + rest - y), from y = start: n rate units that reach each other in one step.

    Attributes
    ----------
    w : (n, n) float
        Weights, post first.
    start : (n,) float
        Initial state.
    k, bias, rest : float or (n,)
        Share of the way per step (dt / T of a time constant T), input inside and outside the non-linearity.
    g : str
        A non-linearity of `cs.floats.Rate`.
    """

    w: np.ndarray
    start: np.ndarray
    k: ArrayLike = 1.0
    bias: ArrayLike = 0.0
    rest: ArrayLike = 0.0
    g: str = "tanh"

    def __post_init__(self) -> None:
        """Check shapes and numbers; raises NetworkError."""
        n = np.size(self.start)
        for name, shape in (("w", (n, n)), ("start", (n,)), ("k", (n,)), ("bias", (n,)), ("rest", (n,))):
            array = numbers(getattr(self, name), f"Trajectory: {name}").astype(np.float64)
            if array.shape != shape and (array.ndim or len(shape) == 2 or name == "start"):
                raise NetworkError(f"Trajectory: {name} has shape {array.shape}; for {n} units it is {shape}")
            if not np.all(np.isfinite(array)):
                raise NetworkError(f"Trajectory: {name} holds NaN or infinity")
            object.__setattr__(self, name, np.array(np.broadcast_to(array, shape)))
        if self.g not in RATE_FUNCTIONS:
            raise NetworkError(f"Trajectory: g={self.g!r} is not one of {', '.join(RATE_FUNCTIONS)}")

    def network(self) -> Network:
        """One population "y" of rate units in float, connected to itself."""
        n = self.start.size
        net = Network("trajectory")
        net.add("y", floats.Rate(n, k=self.k, bias=self.bias, rest=self.rest, u=self.start, g=self.g, start=1))
        net.connect("y", "y", floats.Synapses(sp.csc_array(self.w)), name="w")
        return net

    def run(self, steps: int) -> np.ndarray:
        """States y[0], y[1], ... y[steps] on the emulated float chip, (steps + 1, n)."""
        result = Emulator(compile_network(self.network(), "float")).run(steps=steps + 1, record={"y": ["u"]})
        return result.trace["y"]["u"]

    def gradient(self, target: ArrayLike, weight: float = 1.0) -> TrajectoryGradient:
        """Loss E = weight / 2 sum (y - target)^2 over the numbers of `target`, and its exact gradient.

        Parameters
        ----------
        target : (steps + 1, n)
            Row t belongs to y[t]; NaN where nothing is asked.
        weight : float
            E.g. the dt of an integral over time.

        Raises
        ------
        NetworkError
            A target of another width, or of fewer than two rows.
        """
        from chipsim.kernels.core.neurons.rate import FUNCTIONS
        from chipsim.kernels.learning.trajectories import backward

        wanted = numbers(target, "Trajectory.gradient: target").astype(np.float64)
        n = self.start.size
        if wanted.ndim != 2 or wanted.shape[1] != n or len(wanted) < 2:
            raise NetworkError(f"Trajectory.gradient: target has shape {wanted.shape}; give (steps + 1, {n})")
        y = self.run(len(wanted) - 1)
        error = weight * np.where(np.isnan(wanted), 0.0, y - wanted)
        d_w, d_bias, d_k, d_rest, z = np.zeros((n, n)), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
        parts = (np.ascontiguousarray(self.w), self.bias, self.k, self.rest, FUNCTIONS[self.g])
        backward(*parts, np.ascontiguousarray(y), error, d_w, d_bias, d_k, d_rest, z, np.zeros(n))
        loss = 0.5 * float((error**2).sum()) / weight
        return TrajectoryGradient(loss, d_w, d_bias, d_k, d_rest, z)
