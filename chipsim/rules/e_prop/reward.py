"""Reward-based e-prop: an actor and a critic read out of one recurrent network.

Source: Bellec et al. (2020), reward-based e-prop. The readouts are K action values (softmax: the policy pi)
and, last, the value V of the state. With the prediction error delta[t] = r[t] + gamma V[t+1] - V[t]::

    dW_ji = sum_t delta[t] F_gamma(L_j ebar_ji)[t],    L_j = sum_k B_jk (pi_k - 1[a = k]) - c_V B_jV

As in `chipsim.kernels.learning.eprop.adjoint` the filter is turned around: with A[t] = sum_{t' >= t} gamma^(t'-t)
delta[t']
this is plain e-prop with the readout error A (pi_k - 1[a = k]) for actions and -c_V A for the value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chipsim.errors import NetworkError
from chipsim.rules.e_prop.net import EPropNet

Array = NDArray[np.float64]
NO_ACTION = -1


@dataclass(frozen=True)
class ActorCritic:
    """gamma: discount per step, in [0, 1). c_value: weight of the critic. entropy: bonus for undecided
    policies.
    """

    gamma: float = 0.99
    c_value: float = 0.5
    entropy: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.gamma < 1.0:
            raise NetworkError(f"actor-critic: gamma must lie in [0, 1), got {self.gamma}")

    def policy(self, y: Array) -> Array:
        """Action probabilities (T, K) from readouts (T, K + 1)."""
        shifted = np.exp(y[:, :-1] - y[:, :-1].max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def advantage(self, value: Array, rewards: Array) -> tuple[Array, Array]:
        """Prediction errors delta (T,) and their discounted sums A (T,); the value after the end is 0."""
        delta = rewards + self.gamma * np.append(value[1:], 0.0) - value
        total = np.empty_like(delta)
        later = 0.0
        for t in range(len(delta) - 1, -1, -1):
            later = delta[t] + self.gamma * later
            total[t] = later
        return delta, total

    def error(self, y: Array, actions: ArrayLike, rewards: ArrayLike) -> Array:
        """Readout error (T, K + 1). actions: (T,) int, `NO_ACTION` where none was taken; rewards: (T,)."""
        chosen, reward = np.asarray(actions, dtype=np.int64), np.asarray(rewards, dtype=np.float64)
        n_steps, n_actions = y.shape[0], y.shape[1] - 1
        if chosen.shape != (n_steps,) or reward.shape != (n_steps,):
            raise NetworkError(
                f"actor-critic: actions {chosen.shape} and rewards {reward.shape} must have one entry per step, "
                f"({n_steps},)"
            )
        if not np.isfinite(reward).all():
            raise NetworkError("actor-critic: a reward is not a finite number")
        if chosen.max(initial=NO_ACTION) >= n_actions:
            raise NetworkError(f"actor-critic: action {chosen.max()} of {n_actions}; count actions from 0")
        _, advantage = self.advantage(y[:, -1], reward)
        pi = self.policy(y)
        acted = np.flatnonzero(chosen >= 0)
        error = np.zeros_like(y)
        error[acted, :-1] = advantage[acted, None] * pi[acted]
        error[acted, chosen[acted]] -= advantage[acted]
        if self.entropy:
            log_pi = np.log(pi[acted])
            error[acted, :-1] += self.entropy * pi[acted] * (log_pi - (pi[acted] * log_pi).sum(axis=1, keepdims=True))
        error[:, -1] = -self.c_value * advantage
        return error

    def learn(self, net: EPropNet, x: NDArray[np.uint8], actions: ArrayLike, rewards: ArrayLike) -> Array:
        """One update of `net` from a finished episode; returns the readout error."""
        run = net.forward(x)
        error = self.error(run.y, actions, rewards)
        net.apply(net.from_error(np.ascontiguousarray(x, np.uint8), run, error))
        return error
