"""A recurrent network that learns by e-prop: forward pass, gradients, optimiser, batches, checkpoints.

The kernels are `chipsim.kernels.learning.eprop.adjoint` (adjoint form), `eprop_traces` (traces carried forward, as on
a chip)
and `eprop_fixed` (declared bit widths); the equations stand there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chipsim.checks import floats, integers, whole
from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.rounding import MODES, round_array
from chipsim.kernels.learning.eprop import adjoint, fixed
from chipsim.kernels.learning.eprop import traces as forward_traces
from chipsim.rules.e_prop.loss import loss_and_error
from chipsim.rules.e_prop.rule import Adam, EProp, Precision
from chipsim.rules.fixed_format import Fixed

Array = NDArray[np.float64]
TILE = 64  # steps per tile of the trace form; no effect on results


@dataclass(frozen=True)
class Gradient:
    """Gradient of the loss of one sequence, post first, and the run it came from."""

    w_in: Array
    w_rec: Array
    w_out: Array
    loss: float
    out: Array
    error: Array
    run: adjoint.Trajectory


def apart(n: int, k: int, place: int) -> Array:
    """(n, k) zeros whose address differs from that of other `place`s within a page.

    Large arrays start on page bounds; streams read at equal offsets in different pages make a core wait for
    itself.
    """
    offset = 72 * place
    return np.zeros(offset + n * k)[offset:].reshape(n, k)


def pre_first(name: str, weights: ArrayLike, shape: tuple[int | None, ...]) -> Array:
    """A float64 C-contiguous (pre, post) copy of (post, pre) weights, checked."""
    array = floats(weights, f"eprop: {name}")
    if array.ndim != 2 or any(want is not None and want != got for want, got in zip(shape, array.shape)):
        raise NetworkError(f"eprop: {name} has shape {array.shape}, expected {shape}; matrices are (post, pre)")
    return np.array(array.T, order="C")


def spikes_of(x: ArrayLike, n: int) -> NDArray[np.uint8]:
    """Input of a sequence as (steps, n) uint8, each 0 or 1; NetworkError for anything else."""
    rows = integers(x, "eprop: input", 0, 1)
    if rows.ndim != 2 or rows.shape[1] != n:
        raise NetworkError(f"eprop: input has shape {rows.shape}, expected (steps, {n})")
    return np.ascontiguousarray(rows, dtype=np.uint8)


class EPropNet:
    """Weights, feedback and optimiser state of one recurrent network that learns by e-prop.

    Attributes w_in, w_rec, w_out and feedback read and write as (post, pre) / (n, m) arrays; `updates`
    counts optimiser steps, `saturated` weight entries clipped at the ends of their format, `stalled`
    non-zero updates rounded away.
    """

    def __init__(
        self,
        rule: EProp,
        w_in: ArrayLike,
        w_rec: ArrayLike,
        w_out: ArrayLike,
        feedback: ArrayLike,
        seed: int = 0,
    ) -> None:
        w_rec, w_out = floats(w_rec, "eprop: w_rec"), floats(w_out, "eprop: w_out")
        n, m = (w.shape[0] if w.ndim else 0 for w in (w_rec, w_out))
        self.rule, self.seed = rule, whole(seed, "eprop: seed", 0, 2**63 - 1)
        self._weights = [
            pre_first("w_in", w_in, (n, None)),
            pre_first("w_rec", w_rec, (n, n)),
            pre_first("w_out", w_out, (m, n)),
        ]
        self.feedback = np.array(floats(feedback, "eprop: feedback"), order="C")
        if self.feedback.shape != (n, m):
            raise NetworkError(f"eprop: feedback has shape {self.feedback.shape}, expected {(n, m)}")
        self._moments = [[np.zeros_like(w), np.zeros_like(w)] for w in self._weights]
        self.updates = self.saturated = self.stalled = 0
        #: Of the last update, by weight table: which changes were rounded away, which left the format; none in float64.
        self.lost: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
        alpha = float(np.exp(-1.0 / rule.tau_m))
        if np.size(rule.beta) not in (1, n):
            raise NetworkError(f"eprop: beta has {np.size(rule.beta)} numbers for {n} neurons")
        beta = np.ascontiguousarray(np.broadcast_to(np.asarray(rule.beta, np.float64), (n,)))
        self.constants = adjoint.Lsnn(
            alpha,
            float(np.exp(-1.0 / rule.tau_out)),
            float(np.exp(-1.0 / rule.tau_a)),
            1.0 - alpha if rule.scale_input else 1.0,
            float(rule.thr),
            beta,
            float(rule.gamma),
            int(rule.n_ref),
        )
        self.to_format()

    def to_format(self) -> None:
        """Bring all weights to the nearest of their declared format, if there is one."""
        for index, w in enumerate(self._weights):
            self._round(w, index, first=True)

    @property
    def tables(self) -> list[Array]:
        """The weights themselves, presynaptic neuron first: of the inputs, the recurrent layer, the readout."""
        return self._weights

    w_in = property(lambda self: self._weights[0].T)
    w_rec = property(lambda self: self._weights[1].T)
    w_out = property(lambda self: self._weights[2].T)

    @property
    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs, as arrays and integers; give it to `restore`."""
        arrays = {f"w{i}": w.copy() for i, w in enumerate(self._weights)}
        arrays.update({f"m{i}{k}": a.copy() for i, pair in enumerate(self._moments) for k, a in enumerate(pair)})
        counts = {
            "updates": self.updates,
            "saturated": self.saturated,
            "stalled": self.stalled,
            "seed": self.seed,
        }
        return {**arrays, "feedback": self.feedback.copy(), **counts}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`, bit for bit."""
        for i, w in enumerate(self._weights):
            w[:] = state[f"w{i}"]
            for k in range(2):
                self._moments[i][k][:] = state[f"m{i}{k}"]
        self.feedback[:] = state["feedback"]
        self.updates, self.saturated = int(state["updates"]), int(state["saturated"])
        self.stalled, self.seed = int(state["stalled"]), int(state["seed"])

    def forward(self, x: NDArray[np.uint8]) -> adjoint.Trajectory:
        """Run one sequence x (T, n_in), spikes 0 or 1, from zero state."""
        w_in, w_rec, w_out = self._weights
        x = spikes_of(x, w_in.shape[0])
        shape = (x.shape[0], w_rec.shape[0])
        run = adjoint.Trajectory(
            np.empty(shape),
            np.empty(shape),
            np.empty(shape),
            np.empty(shape, np.uint8),
            np.empty((shape[0], w_out.shape[1])),
        )
        if self.rule.precision is None:
            adjoint.forward(self.constants, x, w_in, w_rec, w_out, run)
        else:
            fixed.forward(self.constants, self._formats(), x, w_in, w_rec, w_out, run)
        return run

    def error(self, y: Array, target: ArrayLike) -> tuple[float, Array, Array]:
        """Loss, output (T, m) after the softmax if any, and error (T, m), for targets (T, m) or a class
        index.
        """
        n_steps, m = y.shape
        window = self.rule.window or n_steps
        goal = floats(target, "eprop: target", nan=True)
        if goal.ndim == 0:
            label = int(integers(goal, "eprop: target", 0, m - 1))
            goal = np.broadcast_to(np.eye(m)[label], (n_steps, m))
        if goal.shape != y.shape:
            raise NetworkError(f"eprop: target has shape {goal.shape}, the readout has {y.shape}")
        return loss_and_error(self.rule.loss, y, goal, np.arange(n_steps) >= n_steps - window)

    def gradient(self, x: NDArray[np.uint8], target: ArrayLike) -> Gradient:
        """Forward pass and e-prop gradient of one sequence."""
        x = spikes_of(x, self._weights[0].shape[0])
        run = self.forward(x)
        loss, out, error = self.error(run.y, target)
        sums = self.from_error(x, run, error)
        return Gradient(sums[0].T, sums[1].T, sums[2].T, loss, out, error, run)

    def from_error(self, x: NDArray[np.uint8], run: adjoint.Trajectory, error: Array) -> list[Array]:
        """E-prop gradients (pre first) of w_in, w_rec, w_out for any readout error (T, m) of a finished
        run.
        """
        n_steps = x.shape[0]
        rate = run.z.sum(axis=0) / n_steps
        rate_gain = self.rule.c_reg * (rate - self.rule.f_target) / n_steps
        first = n_steps - (self.rule.window or n_steps)
        feedback = np.ascontiguousarray(self._weights[2] if self.rule.feedback == "symmetric" else self.feedback)
        sums = [np.zeros_like(w) for w in self._weights]
        if self.rule.form == "traces":
            self._by_traces(x, error, feedback, rate_gain, first, run, sums)
        elif self.rule.precision is None and self.rule.kappa_filter:
            adjoint.backward(self.constants, x, error, feedback, rate_gain, first, run, *sums)
        else:
            self._by_products(x, error, feedback, rate_gain, run, sums)
        np.fill_diagonal(sums[1], 0.0)
        if self.rule.average_gradient:
            for g in sums:
                g /= self.rule.window or n_steps
        return sums

    def step(self, sequences: list[tuple[NDArray[np.uint8], Any]], threads: int = 1) -> list[Gradient]:
        """One update from a batch of (input, target) sequences: gradients averaged, one optimiser step.

        threads: sequences computed side by side; the average is taken in order, so it does not change the
        result.
        """
        if threads > 1 and len(sequences) > 1:
            with ThreadPoolExecutor(threads) as pool:
                results = list(pool.map(lambda pair: self.gradient(*pair), sequences))
        else:
            results = [self.gradient(x, target) for x, target in sequences]
        means = []
        for name in ("w_in", "w_rec", "w_out"):
            total = getattr(results[0], name).T.copy()
            for result in results[1:]:
                total += getattr(result, name).T
            means.append(total / len(results) if len(results) > 1 else total)
        self.apply(means)
        return results

    def apply(self, gradients: list[Array], rate: float = 1.0) -> None:
        """Optimiser step, its size times `rate`, from pre-first gradients of w_in, w_rec, w_out; then rounding to the
        weight format.
        """
        self.updates += 1
        self.lost = []
        before = self._weights[2].copy()
        for index, (w, g) in enumerate(zip(self._weights, gradients)):
            old = w.copy() if self.rule.precision is not None else w
            choice = self.rule.optimizer
            g = np.ascontiguousarray(g)
            if isinstance(choice, Adam):
                mean, square = self._moments[index]
                adjoint.adam(
                    w, g, mean, square, self.updates, choice.eta * rate, choice.beta_1, choice.beta_2, choice.epsilon
                )
            else:
                adjoint.gradient_descent(w, g, choice.eta * rate)
            if self.rule.precision is not None and self.rule.precision.weights is not None:
                wanted = w != old
                clipped = self._round(w, index)
                stalled = wanted & (w == old)
                self.stalled += int(stalled.sum())
                self.lost.append((stalled, clipped))
        if self.rule.feedback == "adaptive":
            self.feedback += self._weights[2] - before

    def _round(self, w: Array, index: int, first: bool = False) -> NDArray[np.bool_]:
        """Bring weights to their declared format, initial ones to the nearest step; returns which left its range."""
        form = self.rule.precision.weights if self.rule.precision is not None else None
        if form is None:
            return np.zeros(w.shape, bool)
        mode = MODES["nearest"] if first else MODES[form.rounding]
        clipped = (w < form.low) | (w > form.high)
        self.saturated += int(clipped.sum())
        round_array(w.reshape(-1), form.step, form.low, form.high, mode, self.seed, self.updates, index)
        return clipped

    def _formats(self) -> fixed.Formats:
        p = self.rule.precision or Precision()

        def pair(f: Fixed | None) -> tuple[float, float]:
            return (f.step, f.high) if f is not None else (0.0, np.inf)

        mode = MODES[p.trace.rounding] if p.trace is not None else MODES["nearest"]
        return fixed.Formats(*pair(p.membrane), *pair(p.trace), *pair(p.signal), int(p.psi_levels), mode)

    def _by_traces(self, x, error, feedback, rate_gain, first, run, sums) -> None:
        n, n_in, m = run.z.shape[1], x.shape[1], error.shape[1]

        def fresh(k: int) -> forward_traces.Traces:
            return forward_traces.Traces(np.zeros(k), *(apart(n, k, place) for place in range(4)))

        into, recurrent, g_out = fresh(n_in), fresh(n), np.zeros((m, n))
        forward_traces.sequence(
            self.constants, x, error, feedback, first, run, TILE, into, recurrent, np.zeros(n), g_out
        )
        sums[0][:] = (into.gradient + rate_gain[:, None] * into.sum_e).T
        sums[1][:] = (recurrent.gradient + rate_gain[:, None] * recurrent.sum_e).T
        sums[2][:] = g_out.T

    def _by_products(self, x, error, feedback, rate_gain, run, sums) -> None:
        par, fmt, (seed, count) = self.constants, self._formats(), (self.seed, self.updates)
        signal, coefficient = np.empty_like(run.psi), np.empty_like(run.psi)
        fixed.signals(error, feedback, fmt, seed, count, signal)
        fixed.coefficients(par, run.psi, signal, rate_gain, self.rule.kappa_filter, coefficient)
        late = np.zeros_like(run.z)
        late[1:] = run.z[:-1]
        for stream, pre, total in ((1, x, sums[0]), (2, late, sums[1])):
            zbar = np.empty(pre.shape)
            fixed.traces(pre, par.alpha, fmt, seed, count, stream, zbar)
            fixed.correlate(zbar, coefficient, total)
            total *= par.scale
        zbar = np.empty(run.z.shape)
        fixed.traces(run.z, par.kappa, fmt, seed, count, 3, zbar)
        fixed.correlate(zbar, error, sums[2])
        sums[2] *= 1.0 - par.kappa
