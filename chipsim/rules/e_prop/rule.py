"""E-prop as a rule: constants of network, loss and optimiser, and the declared precision.

`cs.rules.EPropNet(rule, ...)` is the network that learns. Equations:
`chipsim.kernels.learning.eprop.adjoint`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.checks import choice, finite, floats, shown, whole
from chipsim.errors import NetworkError
from chipsim.rules.costs import FLOAT_BITS, bits_of
from chipsim.rules.fixed_format import Fixed

if TYPE_CHECKING:
    pass

LOSSES = ("mse", "cross_entropy")
FEEDBACK = ("random", "symmetric", "adaptive")
MOST_STEPS = (1 << 31) - 1  #: of a window or a refractory period
SUM_BITS = 32  #: of the gradient sum that a core keeps for each synapse during a sequence


@dataclass(frozen=True)
class Descent:
    """Plain gradient descent, W -= eta g."""

    eta: float = 1e-4

    def __post_init__(self) -> None:
        finite(self.eta, "Descent: eta")


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015); epsilon added to sqrt(v)."""

    eta: float = 5e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("eta", "beta_1", "beta_2", "epsilon"):
            finite(getattr(self, name), f"Adam: {name}")


@dataclass(frozen=True)
class Precision:
    """Declared fixed point of an e-prop core; None leaves a variable in float64.

    weights, trace (counted in spikes), signal, membrane: `Fixed`. psi_levels: levels of the
    pseudo-derivative (0: continuous).
    """

    weights: Fixed | None = None
    trace: Fixed | None = None
    signal: Fixed | None = None
    membrane: Fixed | None = None
    psi_levels: int = 0

    def __post_init__(self) -> None:
        for name in ("weights", "trace", "signal", "membrane"):
            form = getattr(self, name)
            if form is not None and not isinstance(form, Fixed):
                raise NetworkError(f"Precision: {name}={shown(form)} is no Fixed, nor None for float64")
        whole(self.psi_levels, "Precision: psi_levels", 0, 256)


@dataclass(frozen=True)
class EProp:
    """Constants of network and rule. Times in steps.

    Parameters
    ----------
    tau_m, tau_out, tau_a
        Time constants of membrane, readout and adaptation.
    thr, beta, gamma, n_ref, scale_input
        Threshold; adaptation strength, scalar or (n,); height of psi; refractory steps; input factor 1 -
        alpha or 1.
    loss, window, average_gradient
        "mse" or "cross_entropy"; error counts in the last `window` steps (None: all); divide gradients by
        window.
    feedback
        "random" (fixed B), "symmetric" (Wout^T), "adaptive" (B takes the same updates as Wout).
    c_reg, f_target
        Rate regularisation and target rate in spikes per step.
    form
        "adjoint" (fast) or "traces" (as a chip does it); equal up to the order of summation.
    kappa_filter
        False drops the filter of the eligibility (traces per neuron only).
    feedback_weights
        (n, m) array B, for a network on an emulated chip; None draws N(0, 1 / n) from the program's seed.
    """

    name = "eprop"

    tau_m: float = 30.0
    tau_out: float = 30.0
    tau_a: float = 2000.0
    thr: float = 0.03
    beta: Any = 0.0
    gamma: float = 0.3
    n_ref: int = 0
    scale_input: bool = True
    loss: str = "mse"
    window: int | None = None
    average_gradient: bool = False
    feedback: str = "random"
    c_reg: float = 0.0
    f_target: float = 0.01
    optimizer: Descent | Adam = field(default_factory=Descent)
    form: str = "adjoint"
    kappa_filter: bool = True
    precision: Precision | None = None
    feedback_weights: Any = None

    def __post_init__(self) -> None:
        for name, allowed in (("loss", LOSSES), ("feedback", FEEDBACK), ("form", ("adjoint", "traces"))):
            choice(getattr(self, name), f"eprop: {name}", allowed)
        self._numbers()
        for name in ("tau_m", "tau_out", "tau_a", "thr", "gamma"):
            if not getattr(self, name) > 0:
                raise NetworkError(f"eprop: {name} must be positive, got {getattr(self, name)}")
        if self.form == "traces" and (self.precision is not None or not self.kappa_filter):
            raise NetworkError("eprop: form='traces' is float64 with the kappa filter; drop one or the other")

    def _numbers(self) -> None:
        """Every constant a finite number, every array float64 of the numbers that were given."""
        for name in ("tau_m", "tau_out", "tau_a", "thr", "gamma", "c_reg", "f_target"):
            finite(getattr(self, name), f"eprop: {name}")
        whole(self.n_ref, "eprop: n_ref", 0, MOST_STEPS)
        if self.window is not None:
            whole(self.window, "eprop: window", 1, MOST_STEPS)
        for name in ("scale_input", "average_gradient", "kappa_filter"):
            if not isinstance(getattr(self, name), (bool, np.bool_, int)):
                raise NetworkError(f"eprop: {name}={shown(getattr(self, name))}: give True or False")
        if not isinstance(self.optimizer, (Descent, Adam)):
            raise NetworkError(f"eprop: optimizer={shown(self.optimizer)} is no Descent and no Adam")
        if self.precision is not None and not isinstance(self.precision, Precision):
            raise NetworkError(f"eprop: precision={shown(self.precision)} is no Precision, nor None")
        beta = floats(self.beta, "eprop: beta")
        if beta.ndim > 1 or not beta.size:
            raise NetworkError(f"eprop: beta has shape {beta.shape}; give one number, or one for each neuron")
        object.__setattr__(self, "beta", beta.copy() if beta.ndim else float(beta))
        if self.feedback_weights is not None:
            weights = floats(self.feedback_weights, "eprop: feedback_weights")
            if weights.ndim != 2 or not weights.size:
                raise NetworkError(f"eprop: feedback_weights have shape {weights.shape}; give (neurons, outputs)")
            object.__setattr__(self, "feedback_weights", weights.copy())

    def state_bits(self) -> dict[str, int]:
        """Memory on a core: bits per "synapse" (weight, gradient sum, traces and moments of its own), "pre" axon (its
        trace) and "post" neuron (psi, learning signal), 64 for what has no declared format.
        """
        p = self.precision or Precision()
        trace, signal = bits_of(p.trace), bits_of(p.signal)
        adaptive = float(np.max(np.asarray(self.beta, np.float64))) > 0
        own = bits_of(p.weights) + (SUM_BITS if p.weights is not None else FLOAT_BITS)
        own += trace * (int(self.kappa_filter) + int(adaptive))
        own += 2 * FLOAT_BITS * int(isinstance(self.optimizer, Adam))
        psi = FLOAT_BITS if p.psi_levels < 2 else (int(p.psi_levels) - 1).bit_length()
        return {"synapse": own, "pre": trace, "post": psi + signal}
