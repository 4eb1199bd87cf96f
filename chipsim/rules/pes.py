"""PES learning of a projection onto pairs of neurons, in nengo-loihi's integers.

rule = Pes(tau=20, magnitude=10.5, rate=1, rate_exp=-3)
par, state = rule.params(weight_exp=10), pes_state(w)            # w (n_pre, n_post), integers as added
numbers = PesStreams(seed)
pes_step(t, spikes, error, *numbers.draw(t, rule, state), par, state)      # t = 1, 2, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chipsim.checks import finite, floats, integers, whole
from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.trace import TRACE_MAX
from chipsim.kernels.learning.pes import PesParams, PesState

#: Errors are 8-bit signed, symmetric.
MAX_ERROR = 127
_EPOCH = (1, (1 << 31) - 1)
LIMITS = {
    "rate": (-127, 127),
    "rate_exp": (-64, 64),
    "train_epoch": _EPOCH,
    "learn_epoch": _EPOCH,
    "weight_bits": (1, 8),
}


@dataclass(frozen=True)
class Pes:
    """Constants of the rule.

    Parameters
    ----------
    tau
        Time constant of the presynaptic trace, in steps, > 0.
    magnitude
        What a spike adds to the trace, 0..127 (7 bits of fraction on the chip).
    rate, rate_exp
        Learning rate rate * 2**rate_exp.
    train_epoch, learn_epoch
        Steps between updates of the trace, and of the weights (a multiple).
    weight_bits
        Bits of a mixed weight, 1..8.
    """

    tau: float
    magnitude: float
    rate: int = 1
    rate_exp: int = -3
    train_epoch: int = 2
    learn_epoch: int = 4
    weight_bits: int = 8

    def __post_init__(self) -> None:
        if not finite(self.tau, "PES: tau") > 0:
            raise NetworkError(f"PES: tau = {self.tau}, must be a number of steps > 0")
        if not 0 <= finite(self.magnitude, "PES: magnitude") <= TRACE_MAX:
            raise NetworkError(f"PES: magnitude = {self.magnitude}, must be in 0..{TRACE_MAX}; lower the rate's share")
        for name, (lo, hi) in LIMITS.items():
            object.__setattr__(self, name, whole(getattr(self, name), f"PES: {name}", lo, hi))
        if self.learn_epoch % self.train_epoch:
            raise NetworkError(
                f"PES: learn_epoch = {self.learn_epoch} must be a multiple of train_epoch {self.train_epoch}"
            )

    def params(self, weight_exp: int) -> PesParams:
        """Constants for the kernel; weights are multiples of 2**weight_exp (nengo-loihi: 6 + its own)."""
        return PesParams(
            decay=float(np.exp(-self.train_epoch / self.tau)),
            impulse=float(self.magnitude),
            rate_int=int(self.rate),
            rate_exp=int(self.rate_exp),
            train_epoch=int(self.train_epoch),
            learn_epoch=int(self.learn_epoch),
            weight_exp=int(weight_exp),
            cut=8 - self.weight_bits + 1,
        )


def pes_state(w: ArrayLike) -> PesState:
    """State at rest; w (n_pre, n_post) integers as they are added to the input, n_post even."""
    weights = integers(w, "PES: weights", -(2**31), 2**31 - 1).astype(np.int32)
    if weights.ndim != 2 or weights.shape[1] % 2:
        raise NetworkError(
            f"PES: weights have shape {weights.shape}, must be (n_pre, n_post), n_post even (neuron pairs)"
        )
    n_pre = weights.shape[0]
    return PesState(weights, np.zeros(n_pre, np.int32), np.zeros(n_pre, np.uint8), np.zeros(3, np.int64))


def scale_errors(error: ArrayLike, scale: float = 1.0) -> NDArray[np.int32]:
    """Errors as the chip receives them: scaled, rounded half to even, clipped to +-127."""
    values = np.round(finite(scale, "PES: scale") * floats(error, "PES: errors"))
    return np.clip(values, -MAX_ERROR, MAX_ERROR).astype(np.int32)


class PesStreams:
    """nengo-loihi's random numbers: one numpy RandomState; per training epoch one per axon, then one per
    weight.

    After a step's learning come the compartments: see `noise`.
    """

    def __init__(self, seed: int | np.random.RandomState = 0) -> None:
        self.rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
        self._none, self._none2 = np.zeros(1), np.zeros((1, 1))

    def draw(self, t: int, rule: Pes, state: PesState) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Numbers of step t (1-based): (n_pre,) and (n_pre, n_post), or size 1 where the step needs none."""
        n_pre, n_post = state.w.shape
        trace = self.rng.rand(n_pre) if t % rule.train_epoch == 0 else self._none
        weight = self.rng.rand(n_pre, n_post) if t % rule.learn_epoch == 0 else self._none2
        return trace, weight

    def noise(self, n: int) -> NDArray[np.int32]:
        """The n numbers -127..127 that the emulator draws for all its compartments at the end of every step.

        It draws them whether or not a compartment is noisy, so a run with the tool's own numbers calls this
        too.
        """
        return self.rng.randint(-127, 128, size=n, dtype=np.int32)
