"""Sum-of-products engine: naive reference, grammar, limits, streams, the float and the linear engine."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from chipsim.errors import NetworkError
from chipsim.kernels.learning.sum_of_products.floats import float_step, linear_step
from chipsim.kernels.learning.sum_of_products.integers import sop_step
from chipsim.kernels.learning.sum_of_products.records import CHANGED, CLIPPED, EPOCHS, PRODUCTS, STALLED, Draws
from chipsim.rules.products.grammar import parse
from chipsim.rules.products.rule import SumOfProducts, reward_modulated_stdp, stdp_loihi
from chipsim.rules.products.state import SopStreams, dense, float_state, linear_state, sop_state
from tests.oracles.naive_sop import Naive, wrap32


def run(rule: SumOfProducts, w, pre, post, draws: Draws, sign: str = "mixed"):
    state = sop_state(rule, w, sign_mode=sign)
    tab, par = rule.tables(sign), rule.trace_params()
    none = np.zeros((3, post.shape[1]), np.int64)
    for t in range(1, pre.shape[0] + 1):
        sop_step(t, t - 1, pre[t - 1], post[t - 1], none, draws, tab, par, state)
    return state


FACTORS = (
    "x1",
    "x2",
    "y1",
    "y2",
    "y3",
    "w",
    "t",
    "d",
    "x0",
    "y0",
    "(w-100)",
    "(7-x1)",
    "sgn(t+3)",
    "(d+2^-1)",
)
PRODUCT = st.tuples(
    st.sampled_from(("x0", "y0", "u1")),
    st.integers(-7, 7),
    st.integers(-7, 8),
    st.lists(st.sampled_from(FACTORS), max_size=4),
)


def text_of(products: list) -> str:
    return " + ".join("*".join([f"({m})", f"2^{e}", dep, *factors]) for dep, m, e, factors in products)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(PRODUCT, min_size=1, max_size=3),
    st.lists(PRODUCT, min_size=1, max_size=2),
    st.lists(PRODUCT, min_size=1, max_size=2),
    st.sampled_from(("mixed", "excitatory", "inhibitory")),
    st.integers(1, 4),
    st.integers(0, 2**31),
)
def test_naive_equals_compiled(dw, dt, dd, sign: str, epoch: int, seed: int) -> None:
    """Random rules, weights and spikes: every variable of every synapse, every trace."""
    rng = np.random.default_rng(seed)
    traces = {f"{k}_impulse": rng.integers(0, 512) / 4 for k in ("x1", "x2", "y1", "y2", "y3")}
    traces |= {f"{k}_tau": float(rng.integers(0, 20)) for k in ("x1", "x2", "y1", "y2", "y3")}
    traces = {k: min(v, 127.0) for k, v in traces.items()}
    rule = SumOfProducts(dw=text_of(dw), dt=text_of(dt), dd=text_of(dd), t_epoch=epoch, **traces)
    steps = 3 * epoch
    low, high = {"mixed": (-256, 256), "excitatory": (0, 256), "inhibitory": (-255, 1)}[sign]
    w = rng.integers(low, high, (2, 3))
    pre, post = rng.integers(0, 2, (steps, 3)), rng.integers(0, 2, (steps, 2))
    draws = SopStreams(seed % 1000).draw(steps, epoch)
    naive = Naive(rule, w, sign)
    for t in range(1, steps + 1):
        naive.step(t, pre[t - 1], post[t - 1], draws)
    state = run(rule, w, pre, post, draws, sign)
    for name, values in (("w", state.w), ("t", state.t), ("d", state.d)):
        np.testing.assert_array_equal(dense(state, values), naive.v[name].astype(int), err_msg=name)
    np.testing.assert_array_equal(state.x, naive.x.astype(int))
    np.testing.assert_array_equal(state.y, naive.y.astype(int))


def test_sparse_rows_learn_as_dense_ones() -> None:
    rule = stdp_loihi(1, 2, -2, 10, 8, t_epoch=2)
    rng = np.random.default_rng(1)
    w = rng.integers(-50, 50, (20, 30)) * 2
    mask = rng.random(w.shape) < 0.2
    pre, post = rng.integers(0, 2, (12, 30)), rng.integers(0, 2, (12, 20))
    draws = SopStreams(3).draw(12, 2)
    full, part = run(rule, w, pre, post, draws), run(rule, sp.coo_array(w * mask), pre, post, draws)
    expected = np.where(mask & (w != 0), dense(full, full.w), 0)
    np.testing.assert_array_equal(dense(part, part.w), expected)
    assert part.w.size == np.count_nonzero(w * mask)


def test_two_runs_continue_one() -> None:
    rule = stdp_loihi(0.5, 3, -2, 7, 9, t_epoch=3, x1_impulse=20.5)
    whole = SopStreams(5).draw(20, 3)
    parts = SopStreams(5)
    first = parts.draw(7, 3)
    saved = parts.get_state()
    second = parts.draw(13, 3)
    parts.set_state(saved)
    again = parts.draw(13, 3)
    for a, b, c, d in zip(whole, first, second, again):
        np.testing.assert_array_equal(a, np.concatenate([b, c]))
        np.testing.assert_array_equal(c, d)
    assert rule.products[0].text == "(1) * 2 ^ -1 * (-2) * x0 * y1"


def test_stdp_window_in_closed_form() -> None:
    """One pre spike, one post spike `lag` steps later: w grows by floor-decayed 16, a unit per trace unit."""
    for lag in range(1, 12):
        rule = stdp_loihi(1, 1, -1, 10, 10)
        pre, post = np.zeros((lag + 1, 1), int), np.zeros((lag + 1, 1), int)
        pre[0], post[lag] = 1, 1
        never = np.full(lag + 1, 0.999999)
        zeros = np.zeros(lag + 1, np.int64)
        state = run(rule, np.zeros((1, 1)), pre, post, Draws(never, zeros + 127, never, zeros + 127, zeros, never))
        trace = 16
        for _ in range(lag):
            trace = int(trace * np.exp(-0.1))
        assert state.w[0] == trace, lag


def test_products_wrap_at_32_bits() -> None:
    """x1^4 * y1 at 127 exceeds 31 bits; the engine keeps the low 32 and shifts those."""
    rule = SumOfProducts(
        dw="2^8*x0*x1*x1*x1*x1*y1", x1_impulse=127, x1_tau=1000, y1_impulse=127, y1_tau=1000, t_epoch=1
    )
    one = np.ones((1, 1), int)
    zeros = np.zeros(1, np.int64)
    state = run(
        rule,
        np.zeros((1, 1)),
        one,
        one,
        Draws(np.ones(1), zeros + 127, np.ones(1), zeros + 127, zeros, np.ones(1)),
    )
    wrapped = (wrap32(127**5) >> (5 * 7 + 4 - 15)) << 15
    assert state.w[0] == min(max(wrapped // 128, -256), 255) != 127**5 * 2**8
    assert wrapped != (127**5 >> 24) << 15


def test_counters_say_what_a_rule_did() -> None:
    one, zeros = np.ones((8, 1), int), np.zeros(8, np.int64)
    down = Draws(np.zeros(8), zeros, np.zeros(8), zeros, zeros, np.full(8, 0.9999999))
    settings_ = {"x1_impulse": 1, "x1_tau": 0}
    stalls = run(SumOfProducts(dw="2^-3*x0*x1", **settings_), np.zeros((1, 1)), one, one, down)
    assert stalls.w[0] == 0 and stalls.counts[STALLED] == stalls.counts[PRODUCTS] == 8
    grows = run(SumOfProducts(dw="2^6*x0*x1", **settings_), np.zeros((1, 1)), one, one, down)
    assert grows.w[0] == 255 and grows.counts[CLIPPED] > 0 and grows.counts[CHANGED] > 0
    assert grows.counts[EPOCHS] == 8


def test_reward_turns_a_tag_into_weight() -> None:
    """Pre, then post: a tag; no reward, no change; a reward while the tag lasts moves the weight its way."""
    rule = reward_modulated_stdp(1, 1, -1, 10, 32, 0.125)
    tab, par = rule.tables(), rule.trace_params()
    ends = {}
    for reward in (-8, 0, 8):
        state = sop_state(rule, np.zeros((1, 1)))
        draws = SopStreams(0).draw(12, 1)
        for t in range(1, 13):
            traces = np.array([[0], [reward if t == 8 else 0], [0]])
            sop_step(t, t - 1, np.array([t == 2]), np.array([t == 4]), traces, draws, tab, par, state)
        ends[reward] = int(state.w[0])
        assert state.t[0] > 0
    assert ends[-8] < 0 == ends[0] < ends[8]


@pytest.mark.parametrize(
    "values, fragment",
    [
        ({}, "at least one"),
        ({"dw": "x0", "t_epoch": 64}, "1..63"),
        ({"dw": "x0", "t_epoch": 0}, "1..63"),
        ({"dw": "x0", "x1_impulse": 200}, "7 bits"),
        ({"dw": "x0", "y1_tau": -1}, ">= 0"),
        ({"dw": "x0", "y1_tau": float("nan")}, ">= 0"),
        ({"dw": "u0*w", "dt": "u1*t"}, "one K"),
        ({"dw": "x0", "y1_impulse": 3, "three_factor": True}, "comes from the neuron"),
        ({"dw": "x0", "graded": 4}, "0, 1, 2 or 3"),
    ],
)
def test_rules_beyond_the_registers_are_refused(values: dict, fragment: str) -> None:
    with pytest.raises(NetworkError, match=fragment.replace("(", r"\(")):
        SumOfProducts(**values)


def test_states_beyond_the_registers_are_refused() -> None:
    rule = SumOfProducts(dw="x0")
    for w, options, fragment in (
        (np.full((2, 2), 300), {}, "outside -256..255"),
        (np.full((2, 2), -1), {"sign_mode": "excitatory"}, "outside 0..255"),
        (np.full((2, 2), 0.5), {}, "whole numbers"),
        (np.zeros((2, 2)), {"tags": 400}, "tags"),
        (np.zeros((2, 2)), {"delays": -1}, "delays"),
        (np.zeros((2, 2)), {"sign_mode": "both"}, "sign_mode"),
        (np.zeros((2, 2)), {"num_weight_bits": 9}, "1..8"),
        (np.zeros(4), {}, "shape"),
    ):
        with pytest.raises(NetworkError, match=fragment):
            sop_state(rule, w, **options)


def test_state_and_operations_of_a_rule() -> None:
    rule = reward_modulated_stdp(1, 1, -1, 10, 32, 0.5)
    assert rule.reads == {"x0", "y0", "x1", "y1", "y2", "t", "w"}
    assert rule.state_bits() == {"synapse": 18, "pre": 13, "post": 20}
    assert rule.operations() == {"multiply": 9, "add": 4, "shift": 8}


def test_float_engine_equals_sum_over_pairs() -> None:
    """Pair STDP in floats, epochs of one step: all-to-all sums of exponentials, in closed form."""
    rng = np.random.default_rng(0)
    pre, post = rng.random((60, 3)) < 0.2, rng.random((60, 2)) < 0.2
    rule = stdp_loihi(1, 1, -1, 10, 20, x1_impulse=2, y1_impulse=3)
    state = float_state(rule, np.zeros((2, 3)))
    tab, par, none = rule.tables(), rule.float_traces(), np.zeros((3, 2))
    for t in range(1, 61):
        float_step(t, pre[t - 1].astype(np.int64), post[t - 1], none, tab, par, state)
    expected = np.zeros((2, 3))
    for tj, j in np.argwhere(post):
        for ti, i in np.argwhere(pre):
            expected[j, i] += 2 * np.exp((ti - tj) / 10) if ti <= tj else 0
            expected[j, i] -= 3 * np.exp((tj - ti) / 20) if tj <= ti else 0
    np.testing.assert_allclose(dense(state, state.w), expected, rtol=1e-12, atol=1e-12)


def test_linear_decay_is_unbiased_between_spikes() -> None:
    rule = SumOfProducts(dw="2^-7*x0*x1", x1_impulse=100, x1_tau=8, y1_impulse=1, y1_tau=2)
    n = 20000
    state = linear_state(rule, np.zeros((n, 1)), seed=1)
    tab = rule.tables("excitatory")
    for step in range(12):
        linear_step(step, np.array([step == 0]), np.zeros(n, bool), tab, state)
    assert abs(state.traces[0].mean() - 87 * (7 / 8) ** 11) < 0.05  # the first step drew its chance at trace 0


def test_linear_engine_refuses_what_it_lacks() -> None:
    for values in (
        {"dt": "x0*y1"},
        {"dw": "x0", "t_epoch": 2},
        {"dw": "x0*t"},
        {"dw": "x0", "three_factor": True},
    ):
        with pytest.raises(NetworkError, match="brian2_loihi"):
            linear_state(SumOfProducts(**values), np.zeros((1, 1)))
    with pytest.raises(NetworkError, match="whole numbers"):
        linear_state(SumOfProducts(dw="x0*x1", x1_impulse=1.5, x1_tau=3), np.zeros((1, 1)))


def test_the_documentation_runs(capsys) -> None:
    """Every Python block of the page, one after another in one namespace."""
    page = (Path(__file__).parent.parent.parent / "docs" / "loihi_learning.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["rule"].tables().product.tobytes() != b""
    assert "u0 * t * y2" in capsys.readouterr().out
    errors = re.search(r"```text\n(.*?)```", page, re.S).group(1).splitlines()
    for line in errors:
        text = re.search(r"'(.*?)'", line).group(1)
        with pytest.raises(NetworkError) as error:
            parse("dw", text)
        assert str(error.value) == line
