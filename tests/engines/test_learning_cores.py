"""Declared rules on a chip with several cores: limits apply, placement and threads change no bit."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs

TRACE = cs.rules.fixed(7, span=8.0, signed=False)


@cs.rules.rule(
    traces={"x": cs.rules.Trace("pre", 20, format=TRACE), "y": cs.rules.Trace("post", 20, format=TRACE)},
    state={"tag": cs.rules.State(0.0, cs.rules.fixed(8, span=4.0))},
    third="reward",
    bounds=(-127, 127),
    weight=cs.rules.Fixed(8, 1.0, rounding="stochastic"),
)
def reward_stdp(w, tag, x, y, pre, post, reward, *, a=0.4, b=0.45, keep=0.98, eta=3.0):
    tag = keep * tag + a * x * post - b * y * pre
    w = w + eta * reward * tag


def network() -> cs.Network:
    rng = np.random.default_rng(0)
    net = cs.Network("three-factor")
    net.add("in", cs.SpikeSource(40))
    net.add("a", cs.loihi.LIF(30, vth=200, du=1500, dv=300))
    net.add("b", cs.loihi.LIF(10, vth=150, du=1500, dv=300))
    net.connect("in", "a", cs.loihi.Synapses(rng.integers(-20, 100, (30, 40)), sign="mixed"), rule=reward_stdp)
    net.connect("a", "b", cs.loihi.Synapses(rng.integers(0, 100, (10, 30)), sign="mixed"), rule=reward_stdp)
    return net


def learned(threads: int = 1, **options) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    program = cs.compile(network(), "research", seed=5, **options)
    emulator = cs.Emulator(program, threads=threads)
    third = {"in->a": rng.normal(size=150), "a->b": rng.normal(size=(150, 10))}
    emulator.run({"in": rng.random((150, 40)) < 0.2}, third=third)
    return [len(program.cores), *(emulator.weights(name) for name in ("in->a", "a->b"))]


@pytest.mark.parametrize(
    "options",
    [
        {"placement": {"a": np.arange(30) % 7, "b": 7 + np.arange(10) % 3}},
        {"max_neurons": 6},
        {"threads": 2, "placement": {"a": 3, "b": 90}},
    ],
)
def test_cores_and_threads_change_no_bit(options) -> None:
    start = network().projections["in->a"].synapses.mantissa
    cores, *weights = learned(**options)
    _, *alone = learned()
    assert cores > 1 and not np.array_equal(alone[0], start)
    for ours, wanted in zip(weights, alone):
        np.testing.assert_array_equal(ours, wanted)
        assert np.abs(ours).max() <= 127


def test_learning_state_counts_against_the_core() -> None:
    rng = np.random.default_rng(0)
    net = cs.Network("large")
    net.add("in", cs.SpikeSource(900))
    net.add("a", cs.loihi.LIF(100, vth=200))
    synapses = cs.loihi.Synapses(rng.integers(1, 100, (100, 900)), sign="mixed")
    net.connect("in", "a", synapses)
    assert len(cs.compile(net, "research").cores) == 1
    plastic = cs.Network("large")
    plastic.add("in", cs.SpikeSource(900))
    plastic.add("a", cs.loihi.LIF(100, vth=200))
    plastic.connect("in", "a", synapses, rule=reward_stdp)
    assert len(cs.compile(plastic, "research").cores) > 1  # a tag of 8 bits beside each weight
    with pytest.raises(cs.CompileError, match=r"synapse memory.*core 0.*research allows"):
        cs.compile(plastic, "research", placement={"a": 0})
