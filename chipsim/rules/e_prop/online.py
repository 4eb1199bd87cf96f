"""Online e-prop of a recurrent network: weights change in every step (kernel:
`chipsim.kernels.learning.eprop.online`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chipsim.checks import choice, floats, integers, whole
from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.surrogates import KINDS
from chipsim.kernels.learning.eprop import online as kernel

Array = NDArray[np.float64]
INPUT_DELAY = 2  # steps from an input row to its arrival at the neurons
TARGET_DELAY = 3  # steps from a target row to the readout it is compared with


@dataclass(frozen=True)
class OnlineRun:
    """What a run leaves: z (N, n) uint8; v, psi, signal (N, n), y (N, m); weights (post, pre); loss per
    iteration.

    w_*: weights after all finished steps. w_*_last: what each synapse's last presynaptic spike saw.
    """

    z: NDArray[np.uint8]
    v: Array
    psi: Array
    signal: Array
    y: Array
    w_in: Array
    w_rec: Array
    w_out: Array
    w_in_last: Array
    w_rec_last: Array
    w_out_last: Array
    loss: Array


@dataclass(frozen=True)
class OnlineEProp:
    """Constants; times in steps, rates in spikes per step. Symbols as in the kernel's header.

    reset: "subtract" or "to" (v_reset). surrogate: a key of `chipsim.kernels.arithmetic.surrogates.KINDS`. optimizer:
    "gradient_descent" or "adam".
    """

    tau_m: float = 30.0
    tau_out: float = 30.0
    tau_a: float = 10.0
    beta: float = 0.0
    thr: float = 0.03
    v_reset: float = 0.0
    reset: str = "subtract"
    n_ref: int = 0
    surrogate: str = "piecewise_linear"
    height: float = 10.0
    width: float = 0.03
    kappa: float = 0.97
    kappa_reg: float = 0.97
    c_reg: float = 0.0
    f_target: float = 0.01
    cutoff: int = 100
    eta: float = 1e-4
    optimizer: str = "gradient_descent"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        for name, allowed in (
            ("surrogate", tuple(KINDS)),
            ("reset", ("subtract", "to")),
            ("optimizer", ("gradient_descent", "adam")),
        ):
            choice(getattr(self, name), f"online e-prop: {name}", allowed)

    @classmethod
    def from_nest(
        cls, model: str, neuron: dict[str, Any], readout: dict[str, Any], optimizer: dict[str, Any]
    ) -> OnlineEProp:
        """From the parameter dictionaries of NEST's ``eprop_iaf*`` models at a resolution of 1 ms."""
        adaptive = model.endswith("adapt")
        return cls(
            tau_m=neuron["tau_m"],
            tau_out=readout["tau_m"],
            tau_a=float(neuron.get("adapt_tau", 10.0)),
            beta=float(neuron.get("adapt_beta", 1.0)) if adaptive else 0.0,
            thr=neuron["V_th"],
            v_reset=float(neuron.get("V_reset", 0.0)),
            reset="to" if "psc_delta" in model else "subtract",
            n_ref=round(neuron["t_ref"]),
            surrogate=str(neuron["surrogate_gradient_function"]).removesuffix("_derivative"),
            height=float(neuron["surrogate_gradient_height"]),
            width=float(neuron["surrogate_gradient_width"]),
            kappa=neuron["kappa"],
            kappa_reg=neuron["kappa_reg"],
            c_reg=neuron["c_reg"],
            f_target=neuron["f_target"] / 1000.0,
            cutoff=int(neuron["eprop_isi_trace_cutoff"]),
            eta=optimizer["eta"],
            optimizer=optimizer["type"],
            beta_1=optimizer.get("beta_1", 0.9),
            beta_2=optimizer.get("beta_2", 0.999),
            epsilon=optimizer.get("epsilon", 1e-7),
        )

    def constants(self) -> kernel.Online:
        """The kernel's record."""
        return kernel.Online(
            float(np.exp(-1 / self.tau_m)),
            float(np.exp(-1 / self.tau_a)),
            float(self.beta),
            float(self.thr),
            float(self.v_reset),
            self.reset == "to",
            int(self.n_ref),
            KINDS[self.surrogate],
            float(self.height),
            float(self.width),
            float(np.exp(-1 / self.tau_out)),
            float(self.kappa),
            float(self.kappa_reg),
            float(self.c_reg),
            float(self.f_target),
            int(self.cutoff),
            float(self.eta),
            self.optimizer == "adam",
            float(self.beta_1),
            float(self.beta_2),
            float(self.epsilon),
        )

    def run(
        self,
        x: ArrayLike,
        target: ArrayLike,
        repeats: int,
        w_in: ArrayLike,
        w_rec: ArrayLike,
        w_out: ArrayLike,
        feedback: ArrayLike,
        steps: int | None = None,
    ) -> OnlineRun:
        """Present x (T, n_in) with target (T, m) `repeats` times in a row, learning throughout.

        steps: length of the run, default repeats T + 5 so that the last row's error has arrived. After the
        last row the target generator holds its last value. Matrices are (post, pre), feedback (n, m).
        """
        rows = integers(x, "online e-prop: input", 0, 1).astype(np.uint8)
        goal = floats(target, "online e-prop: target")
        whole(repeats, "online e-prop: repeats", 1, 2**31 - 1)
        if steps is not None:
            whole(steps, "online e-prop: steps", TARGET_DELAY + 1, 2**31 - 1)
        if rows.ndim != 2:
            raise NetworkError(f"online e-prop: input has shape {rows.shape}, expected (steps, inputs)")
        if goal.ndim != 2 or goal.shape[0] != rows.shape[0]:
            raise NetworkError(f"online e-prop: target has shape {goal.shape}, expected ({rows.shape[0]}, outputs)")
        total = repeats * rows.shape[0]
        n_steps = total + 5 if steps is None else steps
        arriving = np.zeros((n_steps, rows.shape[1]), np.uint8)
        part = min(total, n_steps - INPUT_DELAY)
        arriving[INPUT_DELAY : INPUT_DELAY + part] = np.tile(rows, (repeats, 1))[:part]
        wanted = np.full((n_steps, goal.shape[1]), np.nan)
        part = min(total, n_steps - TARGET_DELAY)
        wanted[TARGET_DELAY : TARGET_DELAY + part] = np.tile(goal, (repeats, 1))[:part]
        wanted[TARGET_DELAY + part :] = goal[-1]
        return self._run(arriving, wanted, goal, repeats, [w_in, w_rec, w_out], feedback)

    def _run(self, arriving, wanted, goal, repeats, weights, feedback) -> OnlineRun:
        into, recurrent, readout = (fresh_synapses(w) for w in weights)
        n, m, n_steps = recurrent.w.shape[0], goal.shape[1], arriving.shape[0]
        neurons = kernel.Neurons(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.int64))
        z = np.zeros((n_steps, n), np.uint8)
        psi, v, signal, regular = (np.zeros((n_steps, n)) for _ in range(4))
        y, error = np.zeros((n_steps, m)), np.zeros((n_steps, m))
        back = np.array(floats(feedback, "online e-prop: feedback"), order="C")
        if back.shape != (n, m):
            raise NetworkError(f"online e-prop: feedback has shape {back.shape}, expected {(n, m)}")
        kernel.run(
            self.constants(),
            arriving,
            wanted,
            back,
            neurons,
            into,
            recurrent,
            readout,
            z,
            psi,
            v,
            y,
            error,
            signal,
            regular,
        )
        shown = y[INPUT_DELAY : INPUT_DELAY + repeats * len(goal)]
        before = np.vstack([np.zeros((1, m)), np.tile(goal, (repeats, 1))[:-1]])[: len(shown)]
        loss = 0.5 * ((shown - before) ** 2).reshape(repeats, -1, m).sum(axis=1).mean(axis=1)
        now = into.w.T, recurrent.w.T, readout.w.T
        last = into.w_last.T, recurrent.w_last.T, readout.w_last.T
        return OnlineRun(z, v, psi, signal, y, *now, *last, loss)


def fresh_synapses(weights: ArrayLike) -> kernel.Synapses:
    """State of a projection with these (post, pre) weights, all traces empty."""
    given = floats(weights, "online e-prop: weights")
    if given.ndim != 2:
        raise NetworkError(f"online e-prop: weights have shape {given.shape}, expected (post, pre)")
    w = np.array(given.T, order="C")
    a, b, c, d, e, f = (np.zeros_like(w) for _ in range(6))
    n_pre = w.shape[0]
    return kernel.Synapses(w, a, b, c, d, e, f, np.full(n_pre, kernel.NEVER), np.zeros(n_pre, np.int64), w.copy())
