"""Registers hold what the tool whose arithmetic a program takes accepts, no less and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chipsim as cs
from chipsim.chips.arithmetic import PRESETS
from chipsim.errors import CompileError, NetworkError, RunError
from chipsim.native.synapses import Conv

#: (register, value) -> the arithmetics that take it.
LIMITS = {
    ("du", 4095): "lava nengo_loihi brian2_loihi",
    ("du", -1): "lava brian2_loihi",
    ("dv", 4096): "lava brian2_loihi",
    ("vmin", 1 - 2**23): "lava nengo_loihi brian2_loihi",
    ("vmin", -(2**23)): "nengo_loihi",
    ("vmin", 1 - 2**31): "nengo_loihi",
    ("vmin", -5): "lava nengo_loihi",
    ("vmax", 5): "lava nengo_loihi",
    ("vth", 0): "lava brian2_loihi",
    ("refractory", 64): "lava brian2_loihi",
}
NOISE = {
    ("noise_exp", 0): "lava brian2_loihi",
    ("noise_exp", 15): "lava nengo_loihi brian2_loihi",
    ("noise_exp", 16): "nengo_loihi",
    ("noise_exp", 23): "nengo_loihi",
    ("noise_offset", 5): "nengo_loihi",
    ("noise_offset", -3): "nengo_loihi",
    ("noise_offset", 2**31 - 1): "nengo_loihi",
}


def program(model, arithmetic: str, synapses=None):
    net = cs.Network()
    net.add("a", model)
    if synapses is not None:
        net.add("x", cs.SpikeSource(synapses.shape[1]))
        net.connect("x", "a", synapses)
    return cs.compile(net, "unlimited", arithmetic=arithmetic)


@pytest.mark.parametrize("arithmetic", ["lava", "nengo_loihi", "brian2_loihi"])
@pytest.mark.parametrize(("case", "owners"), [*LIMITS.items(), *NOISE.items()])
def test_each_register(case, owners: str, arithmetic: str) -> None:
    (register, value), noise = case, {"noise": "voltage", "noise_exp": 7} if case in NOISE else {}
    model = cs.loihi.LIF(2, **{**noise, register: value})
    if arithmetic in owners.split():
        cs.Emulator(program(model, arithmetic))
        return
    with pytest.raises(CompileError, match=rf"'a': {register} = {value} is outside {arithmetic}'s \[") as found:
        program(model, arithmetic)
    assert found.value.resource == register and "\n" not in str(found.value) and len(str(found.value)) < 200
    assert owners.split()[0] in str(found.value) or owners == "", "an arithmetic that takes it is named"


def test_a_program_of_another_arithmetic_is_checked_when_it_is_loaded() -> None:
    made = program(cs.loihi.LIF(2, vmin=-(2**30)), "nengo_loihi")
    with pytest.raises(RunError, match="'a': vmin = -1073741824 is outside lava's"):
        cs.Emulator(replace(made, arithmetic=PRESETS["lava"]))


@pytest.mark.parametrize("name", ["LIF", "LIFReset", "CountLIF", "TernaryLIF"])
def test_a_current_decay_of_4096_is_legal_nowhere(name: str) -> None:
    with pytest.raises(NetworkError, match=rf"loihi.{name}: du=4096 is outside \[-1, 4095\]"):
        getattr(cs.loihi, name)(1, du=4096)


@pytest.mark.parametrize("arithmetic", ["lava", "nengo_loihi", "brian2_loihi"])
def test_inhibitory_mantissas_reach_256_in_brian2_loihi(arithmetic: str) -> None:
    synapses = cs.loihi.Synapses([[-256]], sign="inhibitory")
    if arithmetic != "brian2_loihi":
        with pytest.raises(CompileError, match=rf"inhibitory mantissa = -256 is outside {arithmetic}'s \[-255, 0\]"):
            program(cs.loihi.LIF(1), arithmetic, synapses)
        return
    made = program(cs.loihi.LIF(1, du=4095), arithmetic, synapses)
    u = cs.Emulator(made).run({"x": [[1], [0]]}, record={"a": ["u"]}).trace["a"]["u"]
    assert u.min() == -256 * 64
    with pytest.raises(NetworkError, match="-257 is beyond inhibitory"):
        cs.loihi.Synapses([[-257]], sign="inhibitory")
    assert cs.loihi.Synapses([[-300]], sign="inhibitory", saturate=True).mantissa.tolist() == [[-255]]


def test_kernels_are_whole_in_lava_and_mantissas_elsewhere() -> None:
    conv, neuron = Conv(np.full((1, 1, 1, 1), 500), (1, 1, 1)), cs.loihi.LIF(1)
    program(neuron, "lava", conv)
    for arithmetic in ("nengo_loihi", "brian2_loihi"):
        with pytest.raises(CompileError, match=rf"kernel = 500 is outside {arithmetic}'s \[-256, 255\]"):
            program(neuron, arithmetic, conv)


@pytest.mark.parametrize(("exp", "offset"), [(1, 0), (7, -4), (16, 3), (23, 0), (23, 200), (10, 2**25), (12, -(2**31))])
def test_noise_is_what_32_bits_make_of_it(exp: int, offset: int) -> None:
    """nengo-loihi 1.1.0 emulator/interface.py, NoiseState: int32 sums wrap, a product beyond them is the lowest."""
    made = program(
        cs.loihi.LIF(3, dv=4095, vth=131071, noise="voltage", noise_exp=exp, noise_offset=offset), "nengo_loihi"
    )
    draws = np.random.RandomState(made.seed).randint(-127, 128, size=(6, 3)).astype(np.int64)
    shifted = (draws + (64 * offset + 2**31) % 2**32 - 2**31 + 2**31) % 2**32 - 2**31
    product = np.trunc(shifted * 2.0 ** (exp - 7))
    noise = np.where(np.abs(product) < 2.0**31, product, -(2.0**31)).astype(np.int64)
    v, expected = np.zeros(3, np.int64), []
    for row in noise:
        u2 = (row + 2**23) % 2**24 - 2**23
        v = np.clip(np.sign(v) * (np.abs(v) >> 12) + u2, 1 - 2**23, 2**23 - 1)
        v = np.where(v > 131071 << 6, 0, v)
        expected.append(v)
    got = cs.Emulator(made).run(steps=6, record={"a": ["v"]}).trace["a"]["v"]
    assert np.array_equal(got, np.array(expected))


def test_networks_of_nengo_loihi_s_quantiser_sink_as_low_as_there() -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(2))
    net.add("a", cs.LIF(2, tau_mem=20e-3, threshold=1.0))
    net.connect("x", "a", np.array([[-1.0, 0.5], [0.2, -0.3]]))
    for arithmetic, lowest in (("nengo_loihi", 1 - 2**31), ("lava", 1 - 2**23)):
        made = cs.compile(net, "loihi", arithmetic=arithmetic, quantise={"method": "nengo_loihi"})
        assert made.population("a").model.values["vmin"] == lowest


def test_overwritten_weights_are_checked_when_they_are_given() -> None:
    emulator = cs.Emulator(program(cs.loihi.LIF(1), "lava", cs.loihi.Synapses([[-5]], sign="inhibitory")))
    with pytest.raises(RunError, match=r"inhibitory mantissa = -256 is outside lava's \[-255, 0\]"):
        emulator.set_weights("x->a", [[-256]])
    emulator.run(steps=1)
    assert emulator.weights("x->a").tolist() == [[-5]]
