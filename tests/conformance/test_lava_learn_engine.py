"""Replays learning in the engines themselves, with recorded random numbers; through the chip: test_lava_learn.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chipsim.kernels.learning.pes import pes_step
from chipsim.kernels.learning.sum_of_products.floats import float_step, linear_begin, linear_spikes, linear_update
from chipsim.kernels.learning.sum_of_products.integers import neuron_traces, sop_step
from chipsim.kernels.learning.sum_of_products.records import Draws
from chipsim.rules.pes import Pes, PesStreams, pes_state
from chipsim.rules.products.grammar import parse
from chipsim.rules.products.rule import SumOfProducts, reward_modulated_stdp, stdp_loihi
from chipsim.rules.products.state import SopStreams, dense, float_state, linear_state, recorded_draws, sop_state

from .conftest import golden_files, golden_id

TRACES = ("x1", "x2", "y1", "y2", "y3")
B = 2**23
#: Arrays of a learning run that go into it.
STIMULUS = {
    "pre", "post", "w0", "t0", "d0", "reward", "y1", "y2", "y3", *(f"rng_{k}" for k in ("x_decay", "x_imp", "y_decay")),
    "rng_y_imp", "rng_w_round",
}  # fmt: skip


def load(path: Path) -> tuple[dict, dict]:
    with np.load(path, allow_pickle=False) as data:
        return json.loads(str(data["spec"])), {k: data[k] for k in data.files if k not in ("spec", "versions")}


def trunc12(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * (np.abs(x) >> 12)


class TinyLIF:
    """Lava's fixed-point LIF, the few lines of it that the closed loops need."""

    def __init__(self, n: int, du: int, dv: int, vth: int, bias_mant: int, bias_exp: int) -> None:
        self.u, self.v = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.s = np.zeros(n, np.int64)
        self.du, self.dv, self.vth = du, dv, vth << 6
        self.bias = bias_mant << bias_exp if bias_exp >= 0 else bias_mant >> -bias_exp

    def step(self, a: np.ndarray) -> np.ndarray:
        u = trunc12(self.u * (4095 - self.du)) + (a << 6)
        self.u = np.where(u > B, u - 2 * B, np.where(u <= -B, u + 2 * B, u))
        self.v = np.clip(trunc12(self.v * (4096 - self.dv)) + self.u + self.bias, -B + 1, B - 1)
        self.s = (self.v > self.vth).astype(np.int64)
        self.v[self.s > 0] = 0
        return self.s


def rule_of(spec: dict) -> SumOfProducts:
    """The recorded rule; closed loops were made by Lava's own helpers, so they are here as well."""
    epoch = {"t_epoch": spec["t_epoch"]}
    if spec.get("kind") == "closed_stdp":
        names = ("learning_rate", "A_plus", "A_minus", "tau_plus", "tau_minus")
        return stdp_loihi(*(spec[k] for k in names), x1_impulse=spec["impulse"], y1_impulse=spec["impulse"], **epoch)
    if spec.get("kind") == "closed_rstdp":
        amounts = (spec["learning_rate"], spec["A_plus"], spec["A_minus"])
        return reward_modulated_stdp(*amounts, spec["tau_plus"], spec["impulse"], spec["eligibility"], **epoch)
    three = bool(spec.get("three"))
    settings = {}
    for k in TRACES[:2] if three else TRACES:
        settings |= {f"{k}_impulse": spec["imp"][k], f"{k}_tau": spec["tau"][k]}
    rules = {k: spec.get(k) for k in ("dw", "dd", "dt")}
    return SumOfProducts(**rules, **settings, three_factor=three, graded=spec.get("gcfg", 0), **epoch)


def replay(spec: dict, data: dict, draws, rule: SumOfProducts) -> dict[str, np.ndarray]:
    """Every variable at the end of every step: synapses deliver what arrived one step ago, then learn."""
    sign = spec.get("sign_mode", "MIXED").lower()
    st = sop_state(
        rule,
        data["w0"],
        data.get("t0"),
        data.get("d0"),
        sign_mode=sign,
        num_weight_bits=spec.get("num_weight_bits", 8),
    )
    tab, par = rule.tables(sign), rule.trace_params()
    n_post = data["w0"].shape[0]
    lif = TinyLIF(n_post, **spec["neuron"]) if "neuron" in spec else None
    exp, graded = spec.get("weight_exp", 0), bool(spec.get("num_message_bits", 0))
    a, y = np.zeros(n_post, np.int64), np.zeros((3, n_post), np.int64)
    rows: dict[str, list] = {}
    for t in range(1, spec["T"] + 1):
        pre = data["pre"][t - 1].astype(np.int64)
        out = {"a": a}
        if lif is None:
            post = data["post"][t - 1].astype(np.int64)
            if rule.three_factor:
                y = np.array([data[k][t - 1] for k in ("y1", "y2", "y3")], np.int64)
        else:
            before, post = lif.s, lif.step(a)
            out |= {"lif_u": lif.u, "lif_v": lif.v, "lif_s": post}
            if rule.three_factor:
                reward = data["reward"][t - 2].astype(np.int64) if t > 1 else np.zeros(n_post, np.int64)
                neuron_traces(y, before, reward, np.exp(-1 / spec["tau_minus"]), float(spec["impulse"]))
                out |= {"lif_y1": y[0].copy(), "lif_y2": y[1].copy()}
        total = dense(st, st.w).astype(np.int64) @ (pre if graded else pre != 0)
        a = total << exp if exp > 0 else total >> -exp
        sop_step(t, t - 1, pre, post, y, draws, tab, par, st)
        out |= {"w": dense(st, st.w), "t": dense(st, st.t), "d": dense(st, st.d)}
        out |= dict(zip(TRACES, (*st.x.copy(), *st.y.copy())))
        for k, v in out.items():
            rows.setdefault(k, []).append(v)
    return {k: np.array(v) for k, v in rows.items()}


def recorded_numbers(data: dict, rule: SumOfProducts) -> Draws:
    """The random numbers that Lava drew."""
    xd, xi, yd, yi, w = (data[f"rng_{k}"] for k in ("x_decay", "x_imp", "y_decay", "y_imp", "w_round"))
    return recorded_draws(xd, xi, yd, yi, w, rule.t_epoch)


def compare(data: dict, got: dict[str, np.ndarray]) -> None:
    names = [k for k in data if k.startswith("out_")]
    assert names
    left = set(data) - set(names) - STIMULUS
    assert not left, f"recorded but not compared: {sorted(left)}"
    for name in names:
        np.testing.assert_array_equal(got[name[4:]], data[name], err_msg=name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds = {
        "learn_file": ("lava_learn", "*.npz"),
        "stdp_float_file": ("lava_float", "stdp_float*.npz"),
        "pes_file": ("nengo_loihi", "pes_*.npz"),
        "statistical_file": ("brian2_loihi", "learning_statistical*.npz"),
    }
    for argument, (folder, pattern) in kinds.items():
        if argument in metafunc.fixturenames:
            files = [f for f in golden_files(metafunc.config, "lava", pattern) if f.parent.name == folder]
            metafunc.parametrize(argument, files, ids=golden_id)


def whole_sequences(seed: int, data: dict) -> None:
    """Also the numbers that Lava draws and the engine does not use: generators seed, + 1, + 2, + 3, and 2."""
    for k, name in enumerate(("rng_x_decay", "rng_x_imp", "rng_y_decay", "rng_y_imp")):
        source, n = np.random.default_rng(seed + k), data[name].size
        drawn = source.integers(0, 128, n) if name.endswith("imp") else source.random(n)
        np.testing.assert_array_equal(drawn, data[name], err_msg=name)
    n = data["rng_w_round"].size
    np.testing.assert_array_equal(np.random.default_rng(2).random(n), data["rng_w_round"], err_msg="rng_w_round")


def test_streams_of_seed(learn_file: Path) -> None:
    """With Lava's seeds: every recorded array of the run, and the recorded random numbers themselves."""
    spec, data = load(learn_file)
    rule = rule_of(spec)
    draws = SopStreams(spec["seed"]).draw(spec["T"], rule.t_epoch)
    for target in ("dw", "dt"):  # Lava's helpers wrote these texts; ours must mean the same
        if "kind" in spec and spec[target] is not None:
            mine, theirs = parse(target, getattr(rule, target)), parse(target, spec[target])
            assert [replace(p, text="") for p in mine] == [replace(p, text="") for p in theirs]
    if "rng_x_decay" in data:
        recorded = recorded_numbers(data, rule)
        ends = np.arange(1, spec["T"] + 1) % rule.t_epoch == 0
        for name, mine, theirs in zip(draws._fields, draws, recorded):
            keep = ends if name == "w_round" else slice(None)
            np.testing.assert_array_equal(mine[keep], theirs[keep], err_msg=name)
        whole_sequences(spec["seed"], data)
    compare(data, replay(spec, data, draws, rule))


def test_injected_numbers(learn_file: Path) -> None:
    """With the recorded random numbers handed in; closed loops did not record them and use the seed."""
    spec, data = load(learn_file)
    rule = rule_of(spec)
    if "rng_x_decay" not in data:
        draws = SopStreams(spec["seed"]).draw(spec["T"], rule.t_epoch)
    else:
        draws = recorded_numbers(data, rule)
    compare(data, replay(spec, data, draws, rule))


def test_float(stdp_float_file: Path) -> None:
    """Lava's floating-point model: traces to the last bits of exp (1e-14), weights as recorded (float32)."""
    spec, data = load(stdp_float_file)
    tau, impulse = spec["tau"], spec["impulse"]
    rule = SumOfProducts(
        dw=spec["dw"], x1_tau=tau, y1_tau=tau, x1_impulse=impulse, y1_impulse=impulse, t_epoch=spec["t_epoch"]
    )
    st = float_state(rule, data["w0"])
    tab, par = rule.tables(), rule.float_traces()
    none = np.zeros((3, data["post"].shape[1]))
    for t in range(1, spec["T"] + 1):
        float_step(t, data["pre"][t - 1].astype(np.int64), data["post"][t - 1], none, tab, par, st)
        np.testing.assert_allclose(st.x[0], data["out_x1"][t - 1], rtol=1e-14)
        np.testing.assert_allclose(st.y[0], data["out_y1"][t - 1], rtol=1e-14)
        np.testing.assert_array_equal(dense(st, st.w).astype(np.float32), data["out_weights"][t - 1])


def wrap(x: np.ndarray, bits: int) -> np.ndarray:
    return (x + 2**bits) % 2 ** (bits + 1) - 2**bits


def test_pes(pes_file: Path) -> None:
    """Every recorded array: weights and traces, and the neurons that the weights drive."""
    spec, data = load(pes_file)
    p = {k: np.array(v) for k, v in spec["P"].items()}
    rule = Pes(
        tau=spec["tracing_tau"],
        magnitude=spec["tracing_mag"],
        rate=spec["lr_int"],
        rate_exp=spec["lr_exp"],
        train_epoch=spec["train_epoch"],
        learn_epoch=spec["learn_epoch"],
    )
    st, par, streams = (
        pes_state(data["w_int_in"]),
        rule.params(6 + spec["weight_exp"]),
        PesStreams(spec["seed"]),
    )
    u, v, dead = (np.zeros(spec["n"], np.int64) for _ in range(3))
    for t in range(1, spec["T"] + 1):
        spikes = data["x"][t - 2] if t > 1 else np.zeros(spec["ni"], bool)
        q = wrap(spikes.astype(np.int64) @ st.w, 21)
        pes_step(t, spikes, data["err"][t - 1].astype(np.int64), *streams.draw(t, rule, st), par, st)
        streams.noise(spec["n"])
        u = wrap(trunc12(u * (4095 - p["decay_u"])) + q, 23)
        v = np.clip(trunc12(v * (4096 - p["decay_v"])) + wrap(u + p["bias"], 23), p["vmin"], p["vmax"])
        v[dead > 0] = 0
        fired = v > p["vth"]
        v[fired] = 0
        dead = np.where(fired, p["refract"], dead) - 1
        got = {"q": q, "current": u, "voltage": v, "spiked": fired, "w": st.w, "trace": st.trace}
        for name, value in got.items():
            np.testing.assert_array_equal(value, data[f"out_{name}"][t - 1], err_msg=f"{name}, step {t}")


def test_statistical(statistical_file: Path) -> None:
    """brian2-loihi draws its own numbers: means agree within five standard errors at every step."""
    spec, data = load(statistical_file)
    names = (
        "imp_x1",
        "tau_x1",
        "imp_y1",
        "tau_y1",
        "imp_x2",
        "tau_x2",
        "imp_y2",
        "tau_y2",
        "imp_y3",
        "tau_y3",
    )
    values = {f"{k[4:]}_{'impulse' if k.startswith('imp') else 'tau'}": spec[k] for k in names if k in spec}
    rule = SumOfProducts(dw=spec["dw"], **values)
    sign = ("mixed", "excitatory", "inhibitory")[spec["sign_mode"] - 1]
    n = 4000
    st = linear_state(rule, np.full((n, 1), spec["w0"]), sign_mode=sign, seed=7)
    tab = rule.tables(sign)
    pre, post = (np.isin(np.arange(spec["T"]), data[k]).astype(np.uint8) for k in ("pre_times", "post_times"))
    for step in range(spec["T"]):
        linear_begin(step, tab, st)
        post_traces = st.traces[2:].copy()  # recorded before the impulses of the step's post spikes
        linear_spikes(pre[step : step + 1], np.full(n, post[step - 1] if step else 0, np.uint8), st)
        got = dict(zip(TRACES, (*st.traces[:2].copy(), *post_traces)))
        linear_update(step, tab, st)
        got["w"] = st.w
        for name in (k[4:] for k in data if k.startswith("out_")):
            value, recorded = got[name], data[f"out_{name}"][step]
            error = np.sqrt((value.var() + 1 / recorded.size) / recorded.size)
            assert abs(value.mean() - recorded.mean()) <= 5 * error, (name, step)
            assert abs(value.std() - recorded.std()) <= 0.5 * max(value.std(), 0.4), (name, step)
