"""Reward-based e-prop against its printed form with traces, and on a task that only reward can teach."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.rules.e_prop.net import EPropNet
from chipsim.rules.e_prop.reward import NO_ACTION, ActorCritic
from chipsim.rules.e_prop.rule import Adam, EProp

N_IN, N, ACTIONS, T = 5, 7, 2, 50
RULE = EProp(tau_m=10.0, tau_out=8.0, thr=0.5, scale_input=False)


def make(seed: int, rule: EProp = RULE, n: int = N, n_in: int = N_IN):
    rng = np.random.default_rng(seed)
    w_rec = rng.normal(size=(n, n)) * 0.3 * (1 - np.eye(n))
    w_out = rng.normal(size=(ACTIONS + 1, n)) * 0.5
    return EPropNet(rule, rng.normal(size=(n, n_in)) * 0.7, w_rec, w_out, rng.normal(size=(n, ACTIONS + 1)))


def test_equals_the_printed_rule() -> None:
    rng = np.random.default_rng(0)
    net, how = make(1), ActorCritic(0.9, 0.4)
    x = (rng.random((T, N_IN)) < 0.25).astype(np.uint8)
    actions = np.where(rng.random(T) < 0.3, rng.integers(0, ACTIONS, T), NO_ACTION)
    rewards = rng.normal(size=T)
    run = net.forward(x)
    ours = net.from_error(x, run, how.error(run.y, actions, rewards))[0].T
    delta, _ = how.advantage(run.y[:, -1], rewards)
    pi = how.policy(run.y)
    alpha, kappa = np.exp(-1 / 10), np.exp(-1 / 8)
    zbar, ebar = np.zeros(N_IN), np.zeros((N, N_IN))
    slow, total = np.zeros((N, N_IN)), np.zeros((N, N_IN))
    for t in range(T):
        zbar = alpha * zbar + x[t]
        ebar = kappa * ebar + (1 - kappa) * run.psi[t][:, None] * zbar
        chosen = np.eye(ACTIONS)[actions[t]] if actions[t] >= 0 else pi[t]
        signal = net.feedback[:, :-1] @ (pi[t] - chosen) - how.c_value * net.feedback[:, -1]
        slow = how.gamma * slow + signal[:, None] * ebar
        total += delta[t] * slow
    assert run.z.sum() > 20
    np.testing.assert_allclose(ours, total, rtol=0, atol=1e-12 * np.abs(total).max())


def test_reward_alone_teaches_which_cue_means_which_action() -> None:
    rng = np.random.default_rng(3)
    rule = EProp(tau_m=10.0, tau_out=8.0, thr=0.5, scale_input=False, feedback="symmetric", optimizer=Adam(0.01))
    net, how = make(2, rule, n=20, n_in=8), ActorCritic(0.9, 0.5)
    right = []
    for _ in range(300):
        cue = int(rng.integers(2))
        x = np.zeros((30, 8), np.uint8)
        x[:20, cue * 4 : cue * 4 + 4] = rng.random((20, 4)) < 0.4
        pi = how.policy(net.forward(x).y)[20]
        action = int(rng.random() > pi[0])
        actions, rewards = np.full(30, NO_ACTION), np.zeros(30)
        actions[20], rewards[25] = action, float(action == cue)
        how.learn(net, x, actions, rewards)
        right.append(action == cue)
    assert np.mean(right[-100:]) > 0.85 > np.mean(right[:30])


def test_bad_rewards_are_refused() -> None:
    net, how = make(1), ActorCritic()
    x = np.zeros((T, N_IN), np.uint8)
    for actions, rewards, reason in (
        (np.zeros(T), np.full(T, np.nan), "finite"),
        (np.zeros(T - 1), np.zeros(T), "one entry per step"),
        (np.full(T, 7), np.zeros(T), "count actions"),
    ):
        with pytest.raises(ValueError, match=reason):
            how.learn(net, x, actions, rewards)
    with pytest.raises(ValueError, match="gamma"):
        ActorCritic(gamma=1.0)
