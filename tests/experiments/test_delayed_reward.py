"""The delayed-reward experiment: it learns, its control cannot, and it resumes bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chipsim.errors import RunError
from chipsim.mappings.experiments.delayed_reward import Task, control, new_machine, run, tag_rule
from chipsim.mappings.experiments.delayed_reward_figure import figure, moving_mean
from chipsim.mappings.experiments.reward_layer import RewardLayer
from chipsim.rules.products.rule import SumOfProducts

SHORT = Task(delay=400, pause=600)


def trunc12(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * (np.abs(x) >> 12)


def test_learns_across_the_delay_and_the_control_does_not() -> None:
    seen: list[tuple[int, int]] = []
    outcome = run(60, (0, 1), SHORT, progress=lambda done, total, right: seen.append((done, total)))
    assert (outcome.accuracy(20) >= 0.95).all()
    assert seen[-1] == (120, 120) and len(seen) == 120
    assert (control(60, (0, 1), SHORT).accuracy(60) < 0.6).all()
    arrival = SHORT.cue_steps + SHORT.delay
    assert 0.4 < outcome.tag[arrival - 1] / outcome.tag[SHORT.cue_steps] < 0.95  # exp(-400 / 1024) = 0.68
    assert outcome.tag[arrival - 1] > 3 * outcome.other[arrival - 1]


def test_learned_weights_join_cue_and_action() -> None:
    outcome = run(60, (3,), SHORT)
    blocks = outcome.weights[0].reshape(3, SHORT.per_action, 3, SHORT.per_cue).mean(axis=(1, 3))
    assert (np.argmax(blocks, axis=0) == np.arange(3)).all()


def test_resumes_from_a_checkpoint(tmp_path) -> None:
    path = tmp_path / "seeds.npz"
    task = replace(SHORT, delay=100, pause=100)
    whole = run(6, (0, 1, 2), task)
    run(6, (0, 1, 2), task, checkpoint=path)
    data = dict(np.load(path))
    np.savez(path, identity=data["identity"], correct=data["correct"][:1], weights=data["weights"][:1])
    again = run(6, (0, 1, 2), task, checkpoint=path)
    np.testing.assert_array_equal(again.weights, whole.weights)
    np.testing.assert_array_equal(again.correct, whole.correct)
    with pytest.raises(RunError, match="other settings"):
        run(7, (0, 1, 2), task, checkpoint=path)


def test_layer_equals_numpy_and_continues_itself() -> None:
    """Neurons against a few lines of NumPy with frozen weights; a run in two parts, learning, against one."""
    task = Task()
    rng = np.random.default_rng(0)
    inputs = rng.random((90, 60)) < 0.05
    noise = rng.random((90, 24)) < 0.05
    nothing = np.zeros(90, int)
    layer = new_machine(task, tag_rule(), 0)
    spikes = layer.run(inputs, noise, nothing, learn=False)
    w, p = layer.weights.astype(np.int64), task.neurons
    group = np.arange(24) // task.per_action
    lateral = np.where(group[:, None] != group, task.inhibit, 0)
    u, v, drive = (np.zeros(24, np.int64) for _ in range(3))
    for t in range(90):
        u = trunc12(u * (4095 - p.du)) + drive * 64
        v = np.maximum(trunc12(v * (4096 - p.dv)) + u, -64 * p.vth)
        s = v > 64 * p.vth
        v[s] = 0
        np.testing.assert_array_equal(spikes[t], s)
        drive = w @ inputs[t] + lateral @ s + task.kick * noise[t]
    assert spikes.sum() > 20
    reward = rng.integers(-20, 20, 90)
    whole, parts = new_machine(task, tag_rule(), 1), new_machine(task, tag_rule(), 1)
    all_spikes = whole.run(inputs, noise, reward)
    first = parts.run(inputs[:37], noise[:37], reward[:37])
    saved = parts.get_state()
    parts.run(inputs[:20], noise[:20], reward[:20])
    parts.set_state(saved)
    second = parts.run(inputs[37:], noise[37:], reward[37:])
    np.testing.assert_array_equal(all_spikes, np.concatenate([first, second]))
    np.testing.assert_array_equal(whole.weights, parts.weights)
    assert (whole.weights != new_machine(task, tag_rule(), 1).weights).any()


def test_bad_input_is_refused() -> None:
    layer = new_machine(Task(), tag_rule(), 0)
    inputs, noise = np.zeros((4, 60), bool), np.zeros((4, 24), bool)
    for reward, fragment in (
        (np.zeros(3, int), "one row per step"),
        (np.zeros(4), "integers"),
        (np.full(4, np.nan), "integers"),
        (np.full(4, 500), "-127..127"),
    ):
        with pytest.raises(RunError, match=fragment):
            layer.run(inputs, noise, reward)
    with pytest.raises(RunError, match="three_factor"):
        RewardLayer(SumOfProducts(dw="x0*y1"), np.zeros((2, 2), int), np.zeros((2, 2), int), 1)
    with pytest.raises(RunError, match="at least one"):
        run(0)


def test_figure_shows_curves_and_tags() -> None:
    import matplotlib

    matplotlib.use("Agg")
    outcome = run(5, (0,), replace(SHORT, delay=50, pause=50))
    fig = figure(outcome, outcome)
    assert len(fig.axes) == 4 and "right choices" in fig.axes[0].get_ylabel()
    np.testing.assert_allclose(moving_mean(np.array([[1, 0, 1, 1]], bool), 2), [[1, 0.5, 0.5, 1]])
