"""Perturbation of a black box: counts, gradients, formats, and XOR on the emulated chip against plain integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chipsim as cs
from chipsim.kernels.learning import weight_perturbation
from chipsim.mappings.experiments import xor as xor_perturbation
from chipsim.mappings.experiments import xor_chip
from chipsim.mappings.experiments.xor_chip import XorChip
from chipsim.rules import Fixed
from chipsim.rules.perturbation import Learner, NodeLearner, NodePerturbation, Perturbation
from tests.oracles.naive import toward_zero


@pytest.mark.parametrize(
    ("serial", "central", "runs"), [(True, False, 5), (True, True, 8), (False, False, 2), (False, True, 2)]
)
def test_perturbation_counts_runs_and_follows_the_gradient(serial: bool, central: bool, runs: int) -> None:
    goal = np.array([0.3, -0.2, 0.8, 0.1])
    learner = Learner(lambda w: float(((w - goal) ** 2).sum()), np.zeros(4), Perturbation(0.05, 1e-4, serial, central))
    learner.step()
    assert learner.evaluations == runs == weight_perturbation.evaluations(4, serial, central)
    for _ in range(400):
        learner.step()
    np.testing.assert_allclose(learner.weights, goal, atol=1e-3)


def test_perturbation_refuses_what_the_chip_cannot_hold() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        Perturbation(size=0.1, format=Fixed(8, 0.125))
    with pytest.raises(ValueError, match="finite"):
        Learner(lambda w: float("nan"), np.zeros(2), Perturbation()).step()


@pytest.mark.parametrize(("serial", "central"), [(True, False), (True, True), (False, False), (False, True)])
def test_weights_at_the_end_of_the_format_are_perturbed_inside_it(serial: bool, central: bool) -> None:
    seen = []

    def cost(w: np.ndarray) -> float:
        seen.append(w.copy())
        return float((w - 0.5) @ np.array([1.0, -2.0]))

    form = Fixed(4, 0.25)
    learner = Learner(cost, [form.high, form.low], Perturbation(0.1, 0.5, serial, central, form))
    if serial:
        np.testing.assert_allclose(learner.gradient(), [1.0, -2.0], rtol=1e-12)
    learner.step()
    assert all(np.all((w >= form.low) & (w <= form.high)) for w in seen)


def test_counts_and_words_of_rounding() -> None:
    form = Fixed(6, 0.125)
    learner = Learner(lambda w: float(w.sum()), np.zeros(3), Perturbation(0.01, 0.125, format=form))
    for _ in range(4):
        learner.step()
    assert (learner.changed, learner.stalled) == (0, 12) and "stalls" in learner.warnings[0]
    learner = Learner(lambda w: float(w.sum()), np.full(3, form.low), Perturbation(1.0, 0.125, format=form))
    learner.step()
    assert learner.saturated == 3 and [w.split()[1] for w in learner.warnings] == ["stalls:", "saturates:", "drifts:"]


def test_node_perturbation_follows_the_gradient_of_a_linear_layer() -> None:
    """Mean over signs of the estimate = gradient of sum_p |W x_p - t_p|^2 / 2, to first order in the size."""
    rng = np.random.default_rng(5)
    x, w, target = rng.normal(size=(6, 4)), rng.normal(size=(3, 4)), rng.normal(size=(6, 3))

    def trial(weights: np.ndarray, noise: np.ndarray):
        return 0.5 * ((x @ weights.reshape(3, 4).T + noise - target) ** 2).sum(axis=1), [x]

    learner = NodeLearner(trial, w, [np.arange(12).reshape(3, 4)], NodePerturbation(size=1e-4), seed=1)
    estimate = np.mean([learner.gradient() for _ in range(4000)], axis=0)
    exact = (x @ w.T - target).T @ x
    assert learner.evaluations == 8000
    assert np.corrcoef(estimate, exact.ravel())[0, 1] > 0.99
    np.testing.assert_allclose(estimate, exact.ravel(), atol=0.1 * np.abs(exact).max())


def naive_units(drive: list[list[int]], start: list[int], threshold: int) -> list[list[bool]]:
    """LIF neurons in plain integers, du = 0, dv = 4095: drive[t][i] arrives in step t, `start` lists the steps of
    clearing."""
    u, v = [0] * len(drive[0]), [0] * len(drive[0])
    fired = []
    for t, arrived in enumerate(drive):
        row = []
        for i, a in enumerate(arrived):
            if t in start:
                u[i] = v[i] = 0
            u[i] = toward_zero(u[i], 4095) + 64 * a
            v[i] = toward_zero(v[i], 1) + u[i]
            row.append(v[i] > 64 * threshold)
            v[i] = 0 if row[-1] else v[i]
        fired.append(row)
    return fired


def naive_answers(weights: np.ndarray, levels: int) -> np.ndarray:
    """Outputs of the chip from its description in words: sweeps through logistic quantiles, in plain integers."""
    (w1, b1, w2, b2), hidden = np.split(np.rint(weights * 16).astype(int), [6, 9, 12]), 3
    scale, answers = 128, []
    quantile = [scale * np.log((k + 0.5) / (levels - k - 0.5)) for k in range(levels)]
    fall = [0, *(-int(np.rint(q)) for q in quantile[::-1])]  # the lowered threshold, from the highest quantile on
    steps = np.diff(fall) + np.eye(levels, dtype=int)[0]  # a neuron fires above one unit, not above none
    gain = levels // 8
    for x in xor_chip.PATTERNS:
        drive = [[0] * hidden for _ in range(2 * levels + 2)]
        for k in range(levels):
            drive[k + 1] = [int(steps[k])] * hidden
        for i in range(hidden):
            drive[1][i] += int(8 * (x @ w1.reshape(hidden, 2)[i] + b1[i]))
        sent = naive_units(drive, [0, levels + 1], 1)
        second = [[0] for _ in drive]
        for t in range(1, len(drive)):
            second[t][0] = int(np.dot(sent[t - 1], w2)) + (int(b2[0]) if 2 <= t < levels + 2 else 0)
        for k in range(levels):
            second[levels + 2 + k][0] += gain * int(steps[k])
        answers.append(sum(row[0] for row in naive_units(second, [0], gain)[levels + 2 :]) / levels)
    return np.array(answers)


@pytest.mark.parametrize(("chip", "levels"), [("loihi", 64), ("loihi2", 16)])
def test_chip_computes_what_plain_integers_compute_and_nearly_sigmoids(chip: str, levels: int) -> None:
    box, rng = XorChip(chip=chip, levels=levels), np.random.default_rng(4)
    for size in (0.5, 2.0, 5.0):
        weights = np.clip(np.rint(8 * rng.normal(0, size, 13)) / 8, -16, 15.875)
        answers = box(weights)
        np.testing.assert_array_equal(answers, naive_answers(weights, levels))
        np.testing.assert_allclose(answers, xor_perturbation.outputs(weights), atol=2.0 / levels)
    assert box.runs == 3


def test_xor_is_solved_on_the_chip_and_every_run_is_counted() -> None:
    box = XorChip()
    made = xor_perturbation.run_one(3, xor_perturbation.PARALLEL, box=box, max_epochs=2000)
    assert made.epochs is not None and np.abs(box(made.weights) - xor_perturbation.TARGETS).max() < 0.2
    assert made.chip_runs == box.runs - 1 == 2 * made.epochs + 1
    np.testing.assert_array_equal(made.weights * 8, np.rint(made.weights * 8))


@pytest.mark.parametrize("how", ["CHIP", "PARALLEL", "NODES"])
def test_learning_on_the_chip_resumes_bit_for_bit(how: str) -> None:
    way, box = getattr(xor_perturbation, how), XorChip()
    whole = xor_perturbation.run_one(3, way, box=box, max_epochs=6)
    half = xor_perturbation.run_one(3, way, box=box, max_epochs=2)
    rest = xor_perturbation.run_one(3, way, box=box, max_epochs=6, resume=half.state)
    np.testing.assert_array_equal(rest.costs, whole.costs)
    np.testing.assert_array_equal(rest.weights, whole.weights)
    assert rest.chip_runs == whole.chip_runs == {"CHIP": 6 * 14, "PARALLEL": 12, "NODES": 12}[how] + 1


def test_bad_boxes_and_settings_are_refused() -> None:
    for wrong in ({"eta": 0.0}, {"size": -1.0}, {"size": float("nan")}, {"eta": float("inf")}):
        for kind in (Perturbation, NodePerturbation):
            with pytest.raises(cs.NetworkError, match="must be positive"):
                kind(**wrong)
    with pytest.raises(cs.RunError, match=r"multiples of 0.125 in -16..15.875"):
        XorChip()(np.full(13, 0.1))
    with pytest.raises(cs.RunError, match="levels; there are"):
        XorChip(levels=128)
    with pytest.raises(cs.RunError, match=r"4 h \+ 1"):
        xor_perturbation.outputs(np.zeros(12))
    with pytest.raises(cs.RunError, match="give an XorChip"):
        xor_perturbation.run_one(0, replace(xor_perturbation.NODES, format=None))
    with pytest.raises(cs.NetworkError, match="13 weights, the box 9"):
        state = xor_perturbation.run_one(0, xor_perturbation.FLOAT, max_epochs=1).state
        xor_perturbation.run_one(0, xor_perturbation.FLOAT, hidden=2, max_epochs=2, resume=state)
