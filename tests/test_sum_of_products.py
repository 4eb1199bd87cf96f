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
from chipsim.sop_grammar import Factor, float_to_literal, parse
from chipsim.sop_state import SopStreams, dense, float_state, linear_state, sop_state, truncate_weights
from chipsim.sum_of_products import SumOfProducts, reward_modulated_stdp, stdp_loihi
from kernels.sop_records import CHANGED, CLIPPED, EPOCHS, PRODUCTS, STALLED, Draws
from kernels.sum_of_products import sop_step
from kernels.sum_of_products_float import float_step, linear_step

WIDTH = {"x0": 1, "y0": 1, "w": 9, "t": 9, "d": 9}


class Naive:
    """The engine as matrices over (post, pre) and Python integers, one product after another; no tables."""

    def __init__(self, rule: SumOfProducts, w: np.ndarray, sign: str = "mixed") -> None:
        self.rule, self.sign = rule, sign
        self.v = {"w": truncate_weights(w, sign).astype(object)}
        self.v |= {k: np.zeros(w.shape, object) for k in "td"}
        self.x, self.y = np.zeros((2, w.shape[1]), object), np.zeros((3, w.shape[0]), object)
        self.tx, self.ty = np.zeros(w.shape[1], int), np.zeros(w.shape[0], int)
        values = np.array([getattr(rule, f"{k}_impulse") for k in ("x1", "x2", "y1", "y2", "y3")])
        self.impulse = [(int(v), round((v - int(v)) * 256)) for v in values]
        self.tau = [getattr(rule, f"{k}_tau") for k in ("x1", "x2", "y1", "y2", "y3")]

    def add(self, value: int, k: int, r: int) -> int:
        whole, fraction = self.impulse[k]
        return min(max(value + whole + (r < fraction), 0), 127)

    def decay(self, value: int, k: int, r: float) -> int:
        if self.tau[k] == 0:
            return 0
        exact = float(np.exp(-1 / np.array([self.tau[k]]))[0]) * value
        return int(np.floor(exact)) + (r < exact % 1)

    def spikes(
        self, now: int, which: np.ndarray, trace: np.ndarray, last: np.ndarray, first: int, r: int
    ) -> None:
        for n in np.flatnonzero(which):
            if last[n]:
                for k in range(trace.shape[0]):
                    trace[k, n] = self.add(trace[k, n], first + k, r)
            last[n] = now

    def history(
        self, trace: np.ndarray, last: np.ndarray, first: int, rd: float, ri: int
    ) -> list[np.ndarray]:
        rows = [trace.copy()]
        for q in range(1, self.rule.t_epoch + 1):
            h = rows[-1].copy()
            for k in range(h.shape[0]):
                for n in range(h.shape[1]):
                    h[k, n] = self.decay(h[k, n], first + k, rd)
                    if last[n] == q:
                        h[k, n] = self.add(h[k, n], first + k, ri)
            rows.append(h)
        return rows

    def factor(self, f: Factor, i: int, j: int, x: np.ndarray, y: np.ndarray) -> int:
        values = {"x0": int(self.tx[i] > 0), "y0": int(self.ty[j] > 0)}
        values |= {"x1": x[0, i], "x2": x[1, i], "y1": y[0, j], "y2": y[1, j], "y3": y[2, j]}
        values |= {k: self.v[k][j, i] for k in "wtd"}
        value = values[f.variable] + f.constant
        value = np.sign(value) if f.sgn else value
        width = WIDTH.get(f.variable, 7)
        return int(min(max(value, -(2**width)), 2**width - 1))

    def synapse(self, name: str, i: int, j: int, u: bool, hx: list, hy: list, r: float) -> int:
        acc = int(self.v[name][j, i]) << 7
        for p in self.rule.products:
            if p.target != f"d{name}":
                continue
            q = {"x0": self.tx[i], "y0": self.ty[j], "u": self.rule.t_epoch if u else 0}[p.dependency]
            product = int(q > 0)
            for f in p.factors:
                product = wrap32(product * self.factor(f, i, j, hx[q], hy[q]))
            product = wrap32(product * p.mantissa)
            product >>= max(0, 4 - 15 + sum(WIDTH.get(f.variable, 7) for f in p.factors))
            acc += min(max(product << (p.exponent + 7), -32769), 32767)
            acc = min(max(acc, -32769), 32767)
        if name == "d" or (name == "w" and self.sign == "excitatory"):
            acc = max(acc, 0)
        if name == "w" and self.sign == "inhibitory":
            acc = min(acc, 0)
        value = int(np.floor(acc / 128)) + (r < acc / 128 % 1)
        low, high = {"t": (-257, 255), "d": (0, 255)}.get(
            name, {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[self.sign]
        )
        return min(max(value, low), high)

    def step(self, t: int, pre: np.ndarray, post: np.ndarray, draws: Draws) -> None:
        epoch = self.rule.t_epoch
        now = (t - 1) % epoch + 1
        self.spikes(now, pre, self.x, self.tx, 0, 0)
        self.spikes(now, post, self.y, self.ty, 2, int(draws.y_again[t - 1]))
        if t % epoch:
            return
        hx = self.history(self.x, self.tx, 0, draws.x_decay[t - 1], int(draws.x_impulse[t - 1]))
        hy = self.history(self.y, self.ty, 2, draws.y_decay[t - 1], int(draws.y_impulse[t - 1]))
        ks = [p.k for p in self.rule.products if p.k is not None]
        u = bool(ks) and (t // epoch) % 2 ** ks[0] == 0
        new = {}
        for name, text in (("w", self.rule.dw), ("t", self.rule.dt), ("d", self.rule.dd)):
            new[name] = self.v[name].copy()
            if text is not None:
                for j, i in np.ndindex(new[name].shape):
                    new[name][j, i] = self.synapse(name, i, j, u, hx, hy, draws.w_round[t - 1])
        self.v = new
        self.x, self.y = hx[-1], hy[-1]
        self.tx[:], self.ty[:] = 0, 0


def wrap32(x: int) -> int:
    return (int(x) + 2**31) % 2**32 - 2**31


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
        state = run(
            rule, np.zeros((1, 1)), pre, post, Draws(never, zeros + 127, never, zeros + 127, zeros, never)
        )
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
    "text, expected",
    [
        ("x0*y1", [("x0", 1, 0, ("y1",))]),
        (" -4*x0*y3*y0 ", [("x0", -4, 0, ("y3", "y0"))]),
        ("(1) * 2 ^ -1 * (-2) * x0 * y1", [("x0", -2, -1, ("y1",))]),
        ("24*y0 - 2*2^-3*2^2*u3*x0", [("y0", 6, 2, ()), ("u", -2, -1, ("x0",))]),
        ("-8*x0", [("x0", -4, 1, ())]),
        ("0*x0", [("x0", 0, 0, ())]),
    ],
)
def test_grammar(text: str, expected: list) -> None:
    got = [
        (p.dependency, p.mantissa, p.exponent, tuple(f.variable for f in p.factors))
        for p in parse("dw", text)
    ]
    assert got == expected


def test_grammar_of_brackets() -> None:
    (p,) = parse("dw", "x0*(w-100)*(3-y1)*sgn(t+2*2^3)*(2^-1+x1)*(w)")
    assert p.mantissa == -1
    assert p.factors == (
        Factor("w", -100),
        Factor("y1", -3),
        Factor("t", 16, True),
        Factor("x1", 0.5),
        Factor("w"),
    )


@pytest.mark.parametrize(
    "text, fragments",
    [
        ("x1*y1", ["'x1*y1'", "no dependency"]),
        ("x0*y1 + 17*x0", ["'17*x0'", "-8..7", "split"]),
        ("2^9*x0", ["exponent", "-7..8"]),
        ("2^-8*x0*y1", ["exponent", "-7..8"]),
        ("3^2*x0", ["powers of 2"]),
        ("x0*y4", ["'y4'", "allowed are"]),
        ("x0*u0", ["put u0 first"]),
        ("u10*w", ["one digit"]),
        ("x0*-2*y1", ["two operators", "brackets"]),
        ("x0 y1", ["write '*'"]),
        ("x0*(-w)", ["minus in front"]),
        ("x0*(w*2)", ["brackets hold"]),
        ("x0*(x1+2+3)", ["brackets hold"]),
        ("x0*(x1+y1)", ["one variable and one constant"]),
        ("x0*sgn(x1)", ["sgn", "w, d or t"]),
        ("x0*sgn(3-w)", ["stand with a plus"]),
        ("x0*(y1", ["brackets"]),
        ("x0*", ["missing"]),
        ("", ["empty"]),
    ],
)
def test_grammar_errors_name_product_limit_and_way_out(text: str, fragments: list[str]) -> None:
    with pytest.raises(NetworkError) as error:
        parse("dw", text)
    message = str(error.value)
    assert message.startswith("dw") and "\n" not in message
    for fragment in fragments:
        assert fragment in message, message


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


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (1, "(1)"),
        (-2, "(-2)"),
        (0.5, "(1) * 2 ^ -1"),
        (-0.1, "(-1) * 2 ^ -3"),
        (2.5, "(2) * 2 ^ 0"),
    ],
)
def test_float_to_literal(value: float, text: str) -> None:
    assert float_to_literal(value) == text


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
    assert (
        abs(state.traces[0].mean() - 87 * (7 / 8) ** 11) < 0.05
    )  # the first step drew its chance at trace 0


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
    page = (Path(__file__).parent.parent / "docs" / "loihi_learning.md").read_text()
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
