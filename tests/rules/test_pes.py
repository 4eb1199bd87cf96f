"""PES in nengo-loihi's integers against a plain NumPy account of it, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.errors import NetworkError
from chipsim.kernels.learning.pes import CLIPPED_TRACES, CLIPPED_WEIGHTS, LOST_SPIKES, pes_step
from chipsim.rules.pes import Pes, PesStreams, pes_state, scale_errors


def stochastic_round(x: np.ndarray, p: np.ndarray, clip: int) -> np.ndarray:
    fraction, whole = np.modf(np.abs(x))
    return np.sign(x).astype(np.int64) * np.minimum(whole.astype(np.int64) + (fraction > p), clip)


def shift(x: np.ndarray, bits: int) -> np.ndarray:
    return x << bits if bits >= 0 else x >> -bits


@pytest.mark.parametrize(
    "rate, rate_exp, weight_exp, bits", [(1, -3, 10, 8), (3, -6, 6, 8), (2, 0, 4, 5), (1, 2, 12, 4)]
)
def test_against_numpy(rate: int, rate_exp: int, weight_exp: int, bits: int) -> None:
    rng = np.random.default_rng(1)
    rule = Pes(tau=9, magnitude=33.25, rate=rate, rate_exp=rate_exp, weight_bits=bits)
    cut = 9 - bits
    w = rng.integers(-20, 20, (7, 6)) << (weight_exp + cut)
    state, par, streams = pes_state(w), rule.params(weight_exp), PesStreams(4)
    numbers = np.random.RandomState(4)
    trace, seen = np.zeros(7, np.int64), np.zeros(7, bool)
    for t in range(1, 61):
        spikes, error = rng.random(7) < 0.3, rng.integers(-127, 128, 3)
        pes_step(t, spikes, error, *streams.draw(t, rule, state), par, state)
        seen |= spikes
        if t % 2 == 0:
            trace = stochastic_round(np.exp(-2 / 9) * trace + 33.25 * seen, numbers.rand(7), 127)
            seen[:] = False
        if t % 4 == 0:
            delta = shift(np.outer(trace, np.hstack([-error, error])) * rate, 7 + rate_exp - 2)
            value = (shift(w, 7 - weight_exp) + delta) * 2.0 ** (-7 - cut)
            w = stochastic_round(value, numbers.rand(7, 6), 2 ** (8 - cut) - 1) << (weight_exp + cut)
        np.testing.assert_array_equal(state.trace, trace)
        np.testing.assert_array_equal(state.w, w, err_msg=f"step {t}")


def test_error_drives_pairs_apart_until_weights_clip() -> None:
    rule = Pes(tau=20, magnitude=60)
    state, par, streams = pes_state(np.zeros((3, 4))), rule.params(6), PesStreams(0)
    one, error = np.ones(3, bool), np.array([127, -127])
    for t in range(1, 401):
        pes_step(t, one, error, *streams.draw(t, rule, state), par, state)
    assert (np.sign(state.w) == [-1, 1, 1, -1]).all()
    assert (np.abs(state.w) == 127 << 7).all() and state.counts[CLIPPED_WEIGHTS] > 0
    assert state.counts[LOST_SPIKES] == 3 * 200 and state.counts[CLIPPED_TRACES] > 0


def test_errors_round_half_to_even_and_clip() -> None:
    np.testing.assert_array_equal(scale_errors([0.5, 1.5, -2.5, 3, -1e9], 100), [50, 127, -127, 127, -127])
    np.testing.assert_array_equal(scale_errors([0.5, 1.5, 2.5]), [0, 2, 2])


@pytest.mark.parametrize(
    "values, fragment",
    [
        ({"tau": 0, "magnitude": 1}, "> 0"),
        ({"tau": 5, "magnitude": 200}, "0..127"),
        ({"tau": 5, "magnitude": 1, "learn_epoch": 3}, "multiple"),
        ({"tau": 5, "magnitude": 1, "weight_bits": 9}, "1..8"),
    ],
)
def test_constants_beyond_the_registers_are_refused(values: dict, fragment: str) -> None:
    with pytest.raises(NetworkError, match=fragment):
        Pes(**values)


def test_states_and_errors_that_mean_nothing_are_refused() -> None:
    with pytest.raises(NetworkError, match="even"):
        pes_state(np.zeros((3, 5)))
    with pytest.raises(NetworkError, match="finite"):
        scale_errors([np.nan])
