"""The emulator against the slow oracle, and the properties that every run must have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chipsim as cs
from tests.oracles.naive import NaiveNetwork
from tests.support.strategies import networks

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
RECORD = ("u", "v")


def record_all(net):
    return {name: RECORD for name, p in net.populations.items() if not p.model.is_input}


def run_naive(net, inputs, steps):
    naive, traces = NaiveNetwork(net), {name: {k: [] for k in RECORD} for name in record_all(net)}
    spikes = {name: [] for name in net.populations}
    for t in range(steps):
        sent = naive.step({name: values[t] for name, values in inputs.items()})
        for name in net.populations:
            spikes[name].append(sent[name])
        for name in traces:
            for k in RECORD:
                traces[name][k].append(list(naive.state[name][k]))
    return spikes, traces


def same(a, b, net):
    for name in net.populations:
        np.testing.assert_array_equal(a.spikes[name], b.spikes[name])
    for name, variables in a.trace.items():
        for variable, values in variables.items():
            np.testing.assert_array_equal(values, b.trace[name][variable])


@SETTINGS
@given(networks())
def test_equals_the_oracle(case) -> None:
    net, inputs, steps = case
    result = cs.Emulator(cs.compile(net, "unlimited")).run(inputs, steps, record=record_all(net))
    spikes, traces = run_naive(net, inputs, steps)
    for name in net.populations:
        np.testing.assert_array_equal(result.spikes[name], np.array(spikes[name]), err_msg=f"spikes of {name}")
    for name in traces:
        for variable in RECORD:
            np.testing.assert_array_equal(result.trace[name][variable], traces[name][variable], err_msg=variable)


@SETTINGS
@given(networks(), st.integers(1, 29))
def test_two_runs_equal_one(case, cut: int) -> None:
    net, inputs, steps = case
    cut = min(cut, steps)
    program, record = cs.compile(net, "unlimited"), record_all(net)
    whole = cs.Emulator(program).run(inputs, steps, record=record)
    emulator = cs.Emulator(program)
    first = emulator.run({k: v[:cut] for k, v in inputs.items()}, cut, record=record)
    parts = [first]
    if cut < steps:
        parts.append(emulator.run({k: v[cut:] for k, v in inputs.items()}, steps - cut, record=record))
    for name in net.populations:
        joined = np.concatenate([p.spikes[name] for p in parts])
        np.testing.assert_array_equal(joined, whole.spikes[name])
    for name, variables in whole.trace.items():
        for variable, values in variables.items():
            np.testing.assert_array_equal(np.concatenate([p.trace[name][variable] for p in parts]), values)


@SETTINGS
@given(networks(), st.integers(0, 2**32 - 1))
def test_placement_changes_no_bit(case, seed: int) -> None:
    net, inputs, steps = case
    rng = np.random.default_rng(seed)
    record = record_all(net)
    one = cs.Emulator(cs.compile(net, "unlimited")).run(inputs, steps, record=record)
    for cores in (7, 128):
        placement = {name: rng.integers(0, cores, p.n) for name, p in net.populations.items() if not p.model.is_input}
        other = cs.Emulator(cs.compile(net, "unlimited", placement=placement)).run(inputs, steps, record=record)
        same(one, other, net)


def test_threads_change_no_bit(monkeypatch) -> None:
    monkeypatch.setattr("chipsim.engines.timestep.THREADS_FROM", 0)
    net, inputs, steps = thousand_neurons()
    program = cs.compile(net, "unlimited")
    record = {"a": RECORD, "b": RECORD}
    one = cs.Emulator(program, threads=1).run(inputs, steps, record=record)
    two = cs.Emulator(program, threads=2).run(inputs, steps, record=record)
    assert one.spikes["a"].sum() > 1000, "the comparison needs spikes"
    same(one, two, net)
    for name, values in one.activity.arrays().items():
        np.testing.assert_array_equal(values, two.activity.arrays()[name], err_msg=name)


def thousand_neurons():
    rng = np.random.default_rng(7)
    net, steps = cs.Network("thousand"), 60
    net.add("x", cs.SpikeSource(50))
    net.add("a", cs.loihi.LIF(700, du=1000, dv=200, vth=300, bias_mant=rng.integers(0, 1500, 700)))
    net.add("b", cs.loihi.LIF(301, du=900, dv=100, vth=rng.integers(100, 400, 301), refractory=2))
    for pre, post, delay in (("x", "a", 0), ("a", "a", 5), ("a", "b", 0), ("b", "a", 0)):
        shape = (net.populations[post].n, net.populations[pre].n)
        weights = rng.integers(-120, 120, shape) * (rng.random(shape) < 0.05)
        net.connect(pre, post, cs.loihi.Synapses(weights, delays=rng.integers(0, delay + 1, shape), sign="mixed"))
    return net, {"x": rng.random((steps, 50)) < 0.1}, steps


def test_reset_starts_again() -> None:
    net, inputs, steps = thousand_neurons()
    emulator = cs.Emulator(cs.compile(net, "unlimited"))
    first = emulator.run(inputs, steps)
    emulator.reset()
    again = emulator.run(inputs, steps)
    assert emulator.step == steps
    same(first, again, net)


def test_checkpoint_continues_bit_for_bit(tmp_path) -> None:
    net, inputs, steps = thousand_neurons()
    program = cs.compile(net, "unlimited")
    emulator = cs.Emulator(program)
    half = {k: v[: steps // 2] for k, v in inputs.items()}
    rest = {k: v[steps // 2 :] for k, v in inputs.items()}
    emulator.run(half)
    path = emulator.save(tmp_path / "half.h5")
    expected = emulator.run(rest)
    other = cs.Emulator(program)
    other.load(path)
    same(expected, other.run(rest), net)


def test_noise_follows_the_seed() -> None:
    net = cs.Network("noisy")
    net.add("a", cs.loihi.LIF(40, du=4095, dv=100, vth=40, noise="current", noise_exp=8, noise_offset=1))

    def spikes(seed: int):
        return cs.Emulator(cs.compile(net, "unlimited", seed=seed)).run(steps=50).spikes["a"]

    np.testing.assert_array_equal(spikes(1), spikes(1))
    assert (spikes(1) != spikes(2)).any()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_spike_acts_in_the_next_step(steps: int) -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(1))
    net.add("a", cs.loihi.LIF(1, du=4095, dv=4096, vth=131071))
    net.connect("x", "a", cs.loihi.Synapses([[100]], delays=steps - 1))
    result = cs.Emulator(cs.compile(net, "unlimited")).run({"x": [[1], [0], [0], [0]]}, record={"a": ["u"]})
    assert result.trace["a"]["u"][:, 0].tolist() == [6400 if t == steps else 0 for t in range(4)]


def test_volts_are_in_units_of_the_ideal_network() -> None:
    net = cs.Network()
    net.add("a", cs.LIF(1, tau_mem=20e-3, threshold=2.0, v_leak=1.0, v_reset=0.5, bias=0.3))
    result = cs.Emulator(cs.compile(net, "loihi", dt=1e-3)).run(steps=400, record={"a": ["v"]})
    # dv/dt = -(v - v_leak) / tau + bias / tau: v settles at v_leak + bias
    assert abs(result.volts["a"]["v"][-1, 0] - 1.3) < 0.02
