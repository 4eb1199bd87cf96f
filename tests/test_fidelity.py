"""From a tool's neurons to a chip's: counts of spikes, late resets, second synapses, each against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import chipsim as cs
from chipsim.errors import CompileError, NetworkError
from mappings.ideal import IF, LIF
from mappings.idealise import KEEPS, idealise
from mappings.quantise import quantise
from mappings.quantise_reference import run_float, run_integer

DT = 1e-3
LOIHI2 = cs.chip("loihi2")


def pair(model, w, source=None):
    net = cs.Network("pair")
    x = net.add("x", source or cs.SpikeSource(np.shape(w)[1]))
    net.connect(x, net.add("h", model), w)
    return net


def rows(steps, n, rate=0.3, seed=0):
    return (np.random.default_rng(seed).random((steps, n)) < rate).astype(int)


# ------------------------------------------------------------------------------------------- counts of spikes


@settings(max_examples=30, deadline=None)
@given(
    seed=some.integers(0, 10**6),
    du=some.sampled_from([4095, 2000, 100]),
    dv=some.sampled_from([0, 300, 4095]),
    kind=some.sampled_from(["many", "waits"]),
    most=some.sampled_from([65535, 3]),
    vmin=some.sampled_from([-(2**23) + 1, -20000]),
)
def test_counting_neurons_in_the_chip_s_integers(seed, du, dv, kind, most, vmin):
    """Two layers of counts against the slow integer run: u, v and every count."""
    rng = np.random.default_rng(seed)
    net = cs.Network("counts")
    x = net.add("x", cs.SpikeSource(6, graded=1))
    registers = dict(bias_mant=rng.integers(-300, 300, 5), reset_by=rng.choice([0, 5000]), most=most, vmin=vmin)
    vth = rng.integers(20, 200, 5)
    a = net.add("a", cs.loihi.CountLIF(5, du=du, dv=dv, vth=vth, spikes=kind, **registers))
    b = net.add("b", cs.loihi.CountLIF(4, du=du, dv=dv, vth=150, spikes="many"))
    net.connect(x, a, cs.loihi.Synapses(rng.integers(-127, 127, (5, 6)) * 2, exponent=1, message_bits=24))
    net.connect(a, b, cs.loihi.Synapses(rng.integers(-60, 127, (4, 5)) * 2, message_bits=24))
    given_rows = rng.integers(0, 5, (40, 6))
    want = run_integer(net, {"x": given_rows}, keep_v=True)
    got = cs.Emulator(cs.compile(net, "loihi2")).run({"x": given_rows}, 40, record={"a": ["v"], "b": ["v"]})
    for name in ("a", "b"):
        np.testing.assert_array_equal(got.trace[name]["v"], want.v[name])
        np.testing.assert_array_equal(got.spikes[name], want.spikes[name])


def test_counts_by_hand():
    """Three thresholds and a half arrive: three spikes, half a threshold stays; the next half gives one more."""
    net = pair(
        cs.loihi.CountLIF(1, du=4095, dv=0, vth=100),
        cs.loihi.Synapses([[70]], message_bits=24),
        cs.SpikeSource(1, graded=1),
    )
    got = cs.Emulator(cs.compile(net, "loihi2")).run({"x": np.array([[5], [1], [0], [0]])}, 4, record={"h": ["v"]})
    np.testing.assert_array_equal(got.spikes["h"][:, 0], [0, 3, 1, 0])
    np.testing.assert_array_equal(got.trace["h"]["v"][:, 0], [0, 50 * 64, 20 * 64, 20 * 64])


def test_ideal_counts_and_floor_quantised():
    """An ideal neuron that counts, with a lowest potential, in floats and on the chip: the same counts."""
    w = np.array([[2.0, -3.0, 0.5], [1.0, 0.25, -1.0]])
    net = pair(IF(2, threshold=1.0, reset="subtract", spikes="many", lowest=-1.0), w)
    inputs = {"x": rows(200, 3, 0.4)}
    floats = run_float(net, inputs, DT)
    assert floats.spikes["h"].max() > 1
    native, _ = quantise(net, LOIHI2, dt=DT)
    chip = cs.Emulator(cs.compile(native, "loihi2", dt=DT)).run(inputs, 200)
    assert np.abs(chip.spikes["h"].sum(0) - floats.spikes["h"].sum(0)).max() <= 1
    own = cs.Emulator(cs.compile(net, "float", dt=DT)).run(inputs, 200)
    np.testing.assert_array_equal(own.spikes["h"], floats.spikes["h"])


def test_chips_without_microcode_refuse_counts():
    w = np.ones((2, 2))
    net = pair(IF(2, reset="subtract", spikes="waits"), w)
    with pytest.raises(CompileError, match=r"'h'.*microcode.*loihi2"):
        quantise(net, cs.chip("unlimited").model_copy(update={"name": "plain", "arithmetic": plain_neurons()}))
    with pytest.raises(CompileError, match=r"no ideal float neuron waits"):
        cs.compile(net, "float")
    for bad in ({"spikes": "many"}, {"spikes": "many", "reset": "subtract", "refractory": 2e-3}, {"lowest": 0.5}):
        with pytest.raises(NetworkError, match=r"IF: (spikes='many' needs|lowest=0.5)"):
            IF(2, **bad)


def plain_neurons():
    return cs.chip("unlimited").arithmetic.model_copy(update={"neuron_models": ("LIF",)})


# ------------------------------------------------------------------------------------------------ late resets


@pytest.mark.parametrize("current", [0.0, 0.7])
@pytest.mark.parametrize("at_once", [0, 1])
@pytest.mark.parametrize("after", ["late_subtract", "late_zero", "late_forget", "subtract", "value"])
def test_resets_keep_their_meaning(after, at_once, current):
    """The ideal neuron that `idealise` makes spikes just when the tool's unit does, potentials over 2 th included."""
    rng = np.random.default_rng(1)
    unit = cs.floats.Unit(8, kept=rng.uniform(0.7, 0.99, 8), current_kept=current, current_gain=1.0 if current else 0.0,
                          gain=1.0 if current else 0.0, input_gain=0.0 if current else 1.0, threshold=1.0,
                          sends="above", after_spike=after, at_once=at_once)  # fmt: skip
    net = cs.Network("late")
    x = net.add("x", cs.SpikeSource(5))
    net.connect(x, net.add("h", unit), cs.floats.Synapses(rng.normal(0.4, 1.0, (8, 5))))
    inputs = {"x": rows(300, 5)}
    tool = cs.Emulator(cs.compile(net, "float")).run(inputs, 300)
    ideal = idealise(net, DT, keeps=KEEPS)
    assert not ideal.metadata["idealised"]
    np.testing.assert_array_equal(run_float(ideal, inputs, DT).spikes["h"], tool.spikes["h"])
    assert tool.spikes["h"].mean() > 0.1


# ------------------------------------------------------------------------------------------- second synapses


def test_second_synapses_hold_the_low_bits():
    """Both synapses of a weight together: its value to half a step of the second, finer by their exponents."""
    w = np.random.default_rng(2).normal(0, 0.4, (30, 40))
    one, coarse = quantise(pair(LIF(30, tau_mem=10e-3), w), LOIHI2, dt=DT)
    both, fine = quantise(pair(LIF(30, tau_mem=10e-3), w), LOIHI2, dt=DT, low_bits=8)
    assert list(both.projections) == ["x->h", "x->h (low bits)"]
    scale = fine.populations["h"].scale
    got = sum(p.synapses.mantissa * 2.0 ** (p.synapses.exponent + 6) for p in both.projections.values()) / scale
    gain = np.median(got / w)
    step = 2.0 ** (both.projections["x->h (low bits)"].synapses.exponent + 6) * 2 / scale
    assert np.abs(got - gain * w).max() <= step
    first, second = (p.synapses.exponent for p in both.projections.values())
    ratio = coarse.projections["x->h"].error_max / fine.projections["x->h (low bits)"].error_max
    assert ratio == pytest.approx(2.0 ** (first - second), rel=0.1) and ratio > 50
    assert fine.projections["x->h (low bits)"].clipped == 0
    np.testing.assert_array_equal(one.projections["x->h"].synapses.mantissa, both.projections["x->h"].synapses.mantissa)


def test_convolutions_get_second_synapses_unrolled():
    kernel = np.random.default_rng(3).normal(0, 0.4, (2, 1, 3, 3))
    net = cs.Network("conv")
    x = net.add("x", cs.SpikeSource((1, 6, 6)))
    net.connect(x, net.add("h", IF((2, 4, 4))), cs.Conv2d(kernel, (1, 6, 6)))
    native, report = quantise(net, LOIHI2, dt=DT, low_bits=8)
    inputs = {"x": rows(100, 36)}
    floats, chip = run_float(net, inputs, DT), cs.Emulator(cs.compile(native, "loihi2")).run(inputs, 100)
    assert floats.spikes["h"].any() and report.projections["x->h (low bits)"].error_max < 1e-4
    assert (floats.spikes["h"] == chip.spikes["h"].reshape(100, -1)).mean() > 0.999


def test_a_learning_projection_keeps_one_synapse():
    net = cs.Network("learns")
    x = net.add("x", cs.SpikeSource(2))
    net.connect(x, net.add("h", LIF(2)), np.ones((2, 2)), rule=cs.rules.stdp())
    with pytest.raises(CompileError, match=r"'x->h' learns.*low_bits=0"):
        quantise(net, LOIHI2, low_bits=8)
