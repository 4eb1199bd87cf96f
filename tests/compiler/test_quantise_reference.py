"""The slow references against the emulator: two implementations, the same bits (or the last bits of float64)."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.mappings.compiler.quantise.reference import run_float, run_integer


def ideal(seed: int, reset: str = "zero", dead: float = 2e-3) -> cs.Network:
    rng = np.random.default_rng(seed)
    net = cs.Network("random")
    x = net.add("x", cs.SpikeSource(12))
    h = net.add(
        "h", cs.LIF(15, tau_mem=rng.uniform(5e-3, 40e-3, 15), tau_syn=4e-3, bias=0.3, refractory=dead, reset=reset)
    )
    o = net.add("o", cs.IF(6, threshold=1.5, reset=reset))
    net.connect(x, h, rng.normal(0.4, 0.6, (15, 12)), delay=rng.integers(0, 6, (15, 12)))
    net.connect(h, h, sp.random_array((15, 15), density=0.3, random_state=rng) * 0.3, delay=1)
    net.connect(h, o, rng.normal(0.2, 0.4, (6, 15)))
    return net


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), numbers=st.sampled_from(["lava", "nengo_loihi"]), subtract=st.booleans())
def test_integers_equal_the_emulator(seed: int, numbers: str, subtract: bool) -> None:
    net = ideal(seed, "subtract" if subtract else "zero")
    program = cs.compile(net, "unlimited", arithmetic=numbers)
    spikes = {"x": np.random.default_rng(seed).random((80, 12)) < 0.2}
    result = cs.Emulator(program).run(spikes, record={"h": ["v"], "o": ["v"]})
    native = cs.Network("native")
    for p in program.populations:
        native.add(p.name, p.model)
    names = [p.name for p in program.populations]
    for p in program.projections:
        native.connect(names[p.pre], names[p.post], p.synapses, name=p.name)
    want = run_integer(native, spikes, program.arithmetic, keep_v=True)
    for name in ("h", "o"):
        np.testing.assert_array_equal(result.spikes[name], want.spikes[name])
        np.testing.assert_array_equal(result.trace[name]["v"], want.v[name])
    assert result.spikes["h"].any()


@pytest.mark.parametrize(("reset", "dead"), [("zero", 3e-3), ("subtract", 0.0)])
def test_float_chip_equals_the_ideal_network(reset: str, dead: float) -> None:
    net = ideal(1, reset, dead)
    spikes = {"x": np.random.default_rng(1).random((300, 12)) < 0.2}
    result = cs.Emulator(cs.compile(net, "float")).run(spikes, record={"h": ["v"]})
    want = run_float(net, spikes, 1e-3, keep_v=True)
    for name in ("h", "o"):
        np.testing.assert_array_equal(result.spikes[name], want.spikes[name])
    np.testing.assert_allclose(result.trace["h"]["v"], want.v["h"], rtol=1e-9, atol=1e-12)
    assert result.spikes["o"].any()


def test_volts_of_a_compiled_network_follow_the_ideal_membrane() -> None:
    net = cs.Network()
    h = net.add("h", cs.LIF(5, tau_mem=20e-3, tau_syn=5e-3, threshold=30.0))
    net.connect(net.add("x", cs.SpikeSource(8)), h, np.random.default_rng(2).normal(0.5, 0.5, (5, 8)))
    spikes = {"x": np.random.default_rng(3).random((200, 8)) < 0.3}
    result = cs.Emulator(cs.compile(net, "loihi")).run(spikes, record={"h": ["v"]})
    want = run_float(net, spikes, 1e-3, keep_v=True).v["h"]
    assert np.abs(result.volts["h"]["v"] - want).max() < 0.01 * np.ptp(want)


def test_nengo_method_puts_its_own_integers_on_the_chip() -> None:
    """Compiled with method and arithmetic of nengo-loihi, what is added per spike is what its quantiser says."""
    from chipsim.mappings.compiler.quantise.nengo import FloatBlock, discretise_block
    from chipsim.native.effective import effective

    rng = np.random.default_rng(4)
    w = rng.normal(0, 0.2, (7, 9))
    net = cs.Network()
    h = net.add("h", cs.LIF(7, tau_mem=20e-3, bias=0.2))
    net.connect(net.add("x", cs.SpikeSource(9)), h, w)
    program = cs.compile(net, "loihi", arithmetic="nengo_loihi", quantise={"method": "nengo_loihi"})
    lost = -np.expm1(-1 / 20)
    filled = np.full(7, 1, np.float32)
    block = FloatBlock(
        filled, np.float32(lost) * filled, filled, np.float32(0.2) * filled, ((w / lost).T.astype(np.float32),)
    )
    want, model = discretise_block(block), program.population("h").model
    acting = effective(program.projections[0].synapses, program.arithmetic)
    np.testing.assert_array_equal(np.asarray(acting.matrix).T << (6 + acting.shift), want.weights[0])
    for register, values in (("du", want.decay_u), ("dv", want.decay_v), ("vth", want.vth >> 6)):
        np.testing.assert_array_equal(model.per_neuron(register), values)
    np.testing.assert_array_equal(model.per_neuron("bias_mant") << model.per_neuron("bias_exp"), want.bias)
