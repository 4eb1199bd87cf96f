"""Kernels of the shipped rules against independent truths: finite differences, integrals, NumPy, each
other.
"""

from __future__ import annotations

import numpy as np
import pytest

import chipsim.rules as rules
from chipsim.kernels.arithmetic.rounding import NEAREST, round_array, stream_key, to_grid, unit
from chipsim.rules import Plastic
from tests.oracles.rules import (
    feedback_alignment,
    homeostatic,
    resume,
    rflo,
    sdsp,
    span,
    stdp_jonke,
    stdp_pair,
    stdp_triplet,
    superspike,
    tempotron,
    vogels_sprekeler,
)

T = 400


def spike_steps(seed: int):
    rng = np.random.default_rng(seed)
    return np.flatnonzero(rng.random(T) < 0.08), np.flatnonzero(rng.random(T) < 0.08)


def declared_weights(rule, pre, post, w0: float) -> np.ndarray:
    """Weight after every presynaptic spike, from the declared rule stepped through time."""
    p = Plastic(rule, np.array([[w0]]))
    out = []
    for t in range(T):
        p.step(np.array([t in pre]), np.array([t in post]))
        if t in pre:
            out.append(p.weights[0, 0])
    return np.array(out)


PAIR = {"tau_plus": 16.0, "tau_minus": 22.0, "w_max": 2.0}
PAIRS = [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.4, 0.4)]


@pytest.mark.parametrize(("mu_plus", "mu_minus"), PAIRS)
def test_declared_pair_stdp_equals_the_event_kernel(mu_plus: float, mu_minus: float) -> None:
    pre, post = spike_steps(1)
    par = stdp_pair.PairStdp(PAIR["tau_plus"], PAIR["tau_minus"], 0.01, 1.05, mu_plus, mu_minus, 2.0)
    out = np.empty(len(pre))
    stdp_pair.replay(par, pre.astype(float), post.astype(float), 0.0, 1.0, out)
    ours = declared_weights(
        rules.stdp(**PAIR, lam=0.01, alpha=1.05, mu_plus=mu_plus, mu_minus=mu_minus), pre, post, 1.0
    )
    np.testing.assert_allclose(ours, out, rtol=1e-12)


def test_declared_triplet_jonke_and_inhibitory_equal_the_event_kernels() -> None:
    pre, post = spike_steps(2)
    a, b, out = pre.astype(float), post.astype(float), np.empty(len(pre))
    par = stdp_triplet.TripletStdp(16.8, 101.0, 33.7, 125.0, 0.005, 0.0062, 0.007, 0.00023, 1.0)
    stdp_triplet.replay(par, a, b, 0.0, 0.5, out)
    np.testing.assert_allclose(declared_weights(rules.triplet(), pre, post, 0.5), out, rtol=1e-12)
    stdp_jonke.replay(stdp_jonke.JonkeStdp(20.0, 20.0, 0.02, 0.3, 0.05, -1.0, 0.0, 3.0), a, b, 0.0, 1.0, out)
    np.testing.assert_allclose(declared_weights(rules.jonke(), pre, post, 1.0), out, rtol=1e-12)
    par = vogels_sprekeler.VogelsSprekeler(20.0, 20.0, 0.01, 0.12, 9.0)
    vogels_sprekeler.replay(par, a, b, 0.0, 0.5, out)
    np.testing.assert_allclose(declared_weights(rules.inhibitory(w_max=9.0), pre, post, 0.5), out, rtol=1e-12)


def test_power_law_is_scale_free() -> None:
    pre, post = (s.astype(float) for s in spike_steps(3))
    par = stdp_pair.PairStdp(20.0, 20.0, 0.01, 0.1, 0.4, 1.0, 1e9)
    out = np.empty(len(pre))
    w, x, y, last = 0.7, 0.0, 0.0, 0.0
    stdp_pair.replay_power_law(par, pre, post, 0.0, w, out)
    events = sorted([(t, 0) for t in post] + [(t, 1) for t in pre])
    mine, x_last, y_last = [], (0.0, -1e9), (0.0, -1e9)
    for t, kind in events:
        x, y = x_last[0] * np.exp((x_last[1] - t) / 20), y_last[0] * np.exp((y_last[1] - t) / 20)
        if kind == 0:
            w, y_last = w + 0.01 * w**0.4 * x, (y + 1, t)
        else:
            seen = y - 1 if y_last[1] == t else y
            w, x_last = w - 0.01 * 0.1 * w * seen, (x + 1, t)
            mine.append(w)
    assert last == 0.0
    np.testing.assert_allclose(out, mine, rtol=1e-12)


def test_random_bits_are_uniform_and_free_of_order() -> None:
    key = stream_key(7, 11, 13)
    numbers = np.array([unit(key, i) for i in range(20000)])
    assert abs(numbers.mean() - 0.5) < 0.01 and abs(numbers.var() - 1 / 12) < 0.003
    assert np.abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03
    values = np.random.default_rng(0).random(50)
    whole, halves = values.copy(), values.copy()
    round_array(whole, 0.1, 0.0, 1.0, 1, 3, 4, 5)
    key = stream_key(3, 4, 5)
    for i in reversed(range(50)):
        halves[i] = to_grid(halves[i], 0.1, 0.0, 1.0, 1, unit(key, i))
    assert np.array_equal(whole, halves)
    assert to_grid(0.25, 0.5, -1.0, 1.0, NEAREST, 0.0) == 0.5 and to_grid(9.0, 0.5, -1.0, 1.0, NEAREST, 0.0) == 1.0


def test_feedback_alignment_family() -> None:
    rng = np.random.default_rng(0)
    w0, w1, x = rng.normal(size=(4, 3)), rng.normal(size=(2, 4)), rng.normal(size=3)
    hidden = np.tanh(w0 @ x)
    error, slope = rng.normal(size=2), 1 - hidden**2
    for feedback in (np.ascontiguousarray(w1.T), rng.normal(size=(4, 2))):
        delta, d_w = np.empty(4), np.zeros((4, 3))
        feedback_alignment.send_back(feedback, error, slope, delta)
        feedback_alignment.outer(delta, x, d_w)
        np.testing.assert_allclose(d_w, np.outer(slope * (feedback @ error), x), rtol=1e-14)


def test_rflo_with_one_neuron_is_exact() -> None:
    """Without other neurons nothing is dropped but the neuron's own loop through its weight, here zero."""
    rng = np.random.default_rng(0)
    net = rflo.RateNet(5.0, rng.normal(size=(1, 2)), np.zeros((1, 1)), np.array([[1.3]]), np.zeros(1))
    x, target = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    h, u, y = np.empty((50, 1)), np.empty((50, 1)), np.empty((50, 1))
    rflo.forward(net, x, h, u, y)
    error = target - y
    error[0] = 0
    local, exact = np.zeros((1, 2)), np.zeros((1, 2))
    rec, out = np.zeros((1, 1)), np.zeros((1, 1))
    rflo.updates(
        5.0,
        x,
        h,
        u,
        error,
        np.ascontiguousarray(net.w_out.T),
        np.zeros((1, 1)),
        np.zeros((1, 2)),
        rec,
        local,
        out,
    )
    rflo.backpropagation(net, x, h, u, error, np.zeros((1, 1)), exact)
    np.testing.assert_allclose(local, exact, rtol=1e-12)


def test_superspike_eligibility_is_the_double_convolution() -> None:
    rng = np.random.default_rng(0)
    par = superspike.SuperSpike(0.9, 0.95, 1.0, 1.0, 3)
    spikes, slope = (rng.random((60, 3)) < 0.2).astype(np.uint8), rng.random((60, 2))
    steps = np.arange(60)
    alpha = np.array([sum(0.05 * 0.95 ** (k - j) * 0.9**j for j in range(k + 1)) for k in steps])
    psp = np.concatenate([[0.0], alpha[:-1]])  # the potential sees the current of the step before
    potential = np.stack([np.convolve(spikes[:, j], psp)[:60] for j in range(3)], axis=1)
    expected = np.array([[np.convolve(slope[:, i] * potential[:, j], alpha)[59] for j in range(3)] for i in range(2)])
    eligibility, d_w = np.zeros((2, 3)), np.zeros((2, 3))
    superspike.updates(par, spikes, slope, np.zeros((60, 2)), eligibility, d_w)
    np.testing.assert_allclose(eligibility, expected, rtol=1e-12)
    assert not d_w.any()


def test_tempotron_gradient_is_the_difference_of_maxima() -> None:
    rng = np.random.default_rng(0)
    counts = np.array([2, 3, 1])
    times = np.concatenate([np.sort(rng.uniform(0, 80, k)) for k in counts])
    v0, w = tempotron.kernel_scale(15.0, 3.75), rng.random(3)
    v, slope = np.empty(1000), np.empty(3)
    best = tempotron.potential(times, counts, w, 15.0, 3.75, v0, 0.1, v)
    tempotron.gradient(times, counts, best * 0.1, 15.0, 3.75, v0, slope)
    for i in range(3):
        moved = w.copy()
        moved[i] += 1e-6
        other = np.empty(1000)
        tempotron.potential(times, counts, moved, 15.0, 3.75, v0, 0.1, other)
        assert (other[best] - v[best]) / 1e-6 == pytest.approx(slope[i], rel=1e-6)


def test_span_is_the_integral_of_alpha_kernels() -> None:
    tau, t = 5.0, np.arange(0, 400, 0.01)

    def train(times) -> np.ndarray:
        return sum(np.where(t >= s, (t - s) * np.exp(1 - (t - s) / tau) / tau, 0.0) for s in times)

    inputs, desired, actual = np.array([20.0, 60.0]), np.array([30.0, 70.0]), np.array([45.0])
    integral = (train(inputs) * (train(desired) - train(actual))).sum() * 0.01
    assert span.update(inputs, desired, actual, 1.0, tau) == pytest.approx(integral, rel=1e-4)


def test_resume_is_zero_at_the_goal_and_local() -> None:
    inputs, goal = np.array([1.0, 9.0]), np.array([5.0, 12.0])
    assert resume.update(inputs, goal, goal, 0.1, 0.05, 5.0) == 0.0
    assert resume.update(inputs, goal, goal[:1], 0.1, 0.05, 5.0) == pytest.approx(
        0.1 + 0.05 * (np.exp(-11 / 5) + np.exp(-3 / 5))
    )


def test_scaling_moves_rates_to_target() -> None:
    w, rate = np.full((2, 3), 0.5), np.array([0.02, 0.0])
    homeostatic.scale(w, rate, 0.01, 1.0, 1.0)
    np.testing.assert_allclose(w, [[0.495] * 3, [0.505] * 3])
    homeostatic.track(rate, np.array([1, 0], np.uint8), 0.9)
    np.testing.assert_allclose(rate, [0.118, 0.0])


def test_sdsp_window() -> None:
    par = sdsp.Sdsp(60, 1, 4, 6, 7, 7, 8)
    assert [sdsp.direction(par, v, ca) for v, ca in ((60, 0), (60, 5), (60, 6), (59, 3), (59, 4))] == [
        0,
        1,
        0,
        -1,
        0,
    ]
