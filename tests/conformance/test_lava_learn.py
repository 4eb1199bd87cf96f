"""Replays learning through the public interface: Lava's engine (fixed, floating point), PES, brian2-loihi's rules."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.pes import Pes
from chipsim.rules.products.rule import SumOfProducts

from .test_lava_learn_engine import TRACES, compare, load, pytest_generate_tests, rule_of

__all__ = ["pytest_generate_tests"]
NAME = "pre->post"


def chip_run(spec: dict, data: dict) -> tuple[cs.Emulator, dict, dict]:
    """The recorded network on the chip: emulator, inputs, third factors."""
    rule, (n_post, n_pre) = rule_of(spec), data["w0"].shape
    bits = spec.get("num_message_bits", 0)
    net = cs.Network("recorded")
    net.add("pre", cs.SpikeSource(n_pre, graded=int(bits > 0)))
    inputs, third = {"pre": data["pre"]}, {}
    if "neuron" in spec:
        net.add("post", cs.loihi.LIF(n_post, **spec["neuron"]))
    else:
        net.add("post", cs.SpikeSource(n_post))
        inputs["post"] = data["post"]
    synapses = cs.loihi.Synapses(
        all_to_all(data["w0"]),
        exponent=spec.get("weight_exp", 0),
        bits=spec.get("num_weight_bits", 8),
        sign=spec.get("sign_mode", "MIXED").lower(),
        message_bits=bits,
    )
    settings = {"tags": data.get("t0"), "delays": data.get("d0")}
    if rule.three_factor and "neuron" in spec:
        settings |= {"y1_tau": spec["tau_minus"], "y1_impulse": float(spec["impulse"])}
        # a reward travels for one step before it reaches the neuron
        third = {NAME: np.concatenate([np.zeros((1, n_post), int), data["reward"][:-1]])}
    elif rule.three_factor:
        third = {NAME: {k: data[k] for k in ("y1", "y2", "y3")}}
    net.connect("pre", "post", synapses, rule=EngineRule(rule, **settings))
    program = cs.compile(net, "unlimited", seed=spec["seed"], placement={"post": 0})
    return cs.Emulator(program), inputs, third


def test_on_the_chip(learn_file: Path) -> None:
    """Every recorded array of every step, from Lava's own seeds."""
    spec, data = load(learn_file)
    emulator, inputs, third = chip_run(spec, data)
    neurons = ["u", "v", "input"] if "neuron" in spec else ["input"]
    record = {NAME: ["w", "t", "d", *TRACES], "post": neurons}
    result = emulator.run(inputs, spec["T"], record=record, third=third)
    seen = result.trace["post"]
    got = dict(result.learning[NAME].trace) | {"a": seen["input"], "lif_s": result.spikes["post"]}
    if "neuron" in spec:
        got |= {"lif_u": seen["u"], "lif_v": seen["v"], "lif_y1": got["y1"], "lif_y2": got["y2"]}
    compare(data, got)
    np.testing.assert_array_equal(emulator.weights(NAME).toarray(), data["out_w"][-1])


def test_float(stdp_float_file: Path) -> None:
    """Lava's floating-point model: traces to the last bits of exp (1e-14), weights as recorded (float32)."""
    spec, data = load(stdp_float_file)
    tau, impulse = spec["tau"], spec["impulse"]
    traces = {"x1_tau": tau, "y1_tau": tau, "x1_impulse": impulse, "y1_impulse": impulse}
    net = cs.Network("recorded")
    net.add("pre", cs.SpikeSource(data["pre"].shape[1]))
    net.add("post", cs.SpikeSource(data["post"].shape[1]))
    rule = SumOfProducts(dw=spec["dw"], t_epoch=spec["t_epoch"], **traces)
    net.connect("pre", "post", cs.floats.Synapses(all_to_all(data["w0"])), rule=rule)
    emulator = cs.Emulator(cs.compile(net, "float", placement={"post": 0}))
    spikes = {k: data[k] for k in ("pre", "post")}
    trace = emulator.run(spikes, spec["T"], record={NAME: ["w", "x1", "y1"]}).learning[NAME].trace
    np.testing.assert_allclose(trace["x1"], data["out_x1"], rtol=1e-14)
    np.testing.assert_allclose(trace["y1"], data["out_y1"], rtol=1e-14)
    np.testing.assert_array_equal(trace["w"].astype(np.float32), data["out_weights"])


def test_pes(pes_file: Path) -> None:
    """Every recorded array: weights and traces, and the neurons that the weights drive."""
    spec, data = load(pes_file)
    p = spec["P"]
    rule = Pes(
        tau=spec["tracing_tau"],
        magnitude=spec["tracing_mag"],
        rate=spec["lr_int"],
        rate_exp=spec["lr_exp"],
        train_epoch=spec["train_epoch"],
        learn_epoch=spec["learn_epoch"],
    )
    exponent = spec["weight_exp"]
    mantissa = data["w_int_in"].T >> (6 + exponent)
    np.testing.assert_array_equal(mantissa << (6 + exponent), data["w_int_in"].T)
    net = cs.Network("recorded")
    net.add("pre", cs.SpikeSource(spec["ni"]))
    net.add(
        "post",
        cs.loihi.LIF(
            spec["n"], du=p["decay_u"], dv=p["decay_v"], vth=[v >> 6 for v in p["vth"]], bias=p["bias"],
            refractory=p["refract"], vmin=p["vmin"], vmax=p["vmax"],
        ),
    )  # fmt: skip
    assert not any(v & 63 for v in p["vth"])
    net.connect("pre", "post", cs.loihi.Synapses(all_to_all(mantissa), exponent=exponent, sign="mixed"), rule=rule)
    program = cs.compile(net, "unlimited", seed=spec["seed"], arithmetic="nengo_loihi")
    record = {"post": ["input", "u", "v"], NAME: ["w", "x1"]}
    result = cs.Emulator(program).run({"pre": data["x"]}, spec["T"], record=record, third={NAME: data["err"]})
    first, second = cs.Emulator(program), cs.Emulator(program)
    first.run({"pre": data["x"][:50]}, 50, third={NAME: data["err"][:50]})
    second.restore(first.state())
    second.run({"pre": data["x"][50:]}, spec["T"] - 50, third={NAME: data["err"][50:]})
    np.testing.assert_array_equal(second.weights(NAME).toarray().T << 6, data["out_w"][-1])
    seen, learned = result.trace["post"], result.learning[NAME].trace
    got = {
        "q": seen["input"], "current": seen["u"], "voltage": seen["v"], "spiked": result.spikes["post"],
        "w": learned["w"].transpose(0, 2, 1) << 6, "trace": learned["x1"],
    }  # fmt: skip
    for name, value in got.items():
        np.testing.assert_array_equal(value, data[f"out_{name}"], err_msg=name)
    left = set(data) - {f"out_{name}" for name in got} - {"x", "err", "w_int_in"}
    assert not left, f"recorded but not compared: {sorted(left)}"


def test_statistical(statistical_file: Path) -> None:
    """brian2-loihi draws its own numbers: the mean weight agrees within five standard errors at every step."""
    spec, data = load(statistical_file)
    names = [f"{kind}_{t}" for t in TRACES for kind in ("imp", "tau")]
    values = {f"{k[4:]}_{'impulse' if k[0] == 'i' else 'tau'}": spec[k] for k in names if k in spec}
    sign, n = ("mixed", "excitatory", "inhibitory")[spec["sign_mode"] - 1], 4000
    net = cs.Network("recorded")
    net.add("pre", cs.SpikeSource(1))
    net.add("post", cs.SpikeSource(n))
    synapses = cs.loihi.Synapses(all_to_all(np.full((n, 1), spec["w0"])), sign=sign)
    net.connect("pre", "post", synapses, rule=SumOfProducts(dw=spec["dw"], **values))
    program = cs.compile(net, "unlimited", seed=7, arithmetic="brian2_loihi", placement={"post": 0})
    steps = np.arange(spec["T"])
    pre, post = (np.isin(steps, data[k]).astype(np.uint8)[:, None] for k in ("pre_times", "post_times"))
    result = cs.Emulator(program).run({"pre": pre, "post": np.repeat(post, n, axis=1)}, record={NAME: ["w"]})
    weights = result.learning[NAME].trace["w"][:, :, 0]
    for step, recorded in enumerate(data["out_w"]):
        value = weights[step]
        error = np.sqrt((value.var() + 1 / recorded.size) / recorded.size)
        assert abs(value.mean() - recorded.mean()) <= 5 * error, step


@pytest.mark.parametrize("parts", [2, 7])
def test_in_parts(learn_file: Path, parts: int) -> None:
    """A recorded run cut into parts, each on a fresh emulator that restores the state before it."""
    spec, data = load(learn_file)
    emulator, inputs, third = chip_run(spec, data)
    cuts = np.linspace(0, spec["T"], parts + 1).astype(int)
    state = None
    for a, b in pairwise(cuts):
        if state is not None:
            emulator = cs.Emulator(emulator.program)
            emulator.restore(state)

        def cut(value, a=a, b=b):
            return {k: cut(v) for k, v in value.items()} if isinstance(value, dict) else value[a:b]

        emulator.run(cut(inputs), int(b - a), third=cut(third))
        state = emulator.state()
    np.testing.assert_array_equal(emulator.weights(NAME).toarray(), data["out_w"][-1])
