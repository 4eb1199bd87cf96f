"""Sums and registers that leave 32 bits: clipped and counted where chipsim says so, refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.errors import NetworkError

TOP = 2**23 - 1


def run(model, fan_in: int, exponent: int, sign: int = 1):
    net = cs.Network()
    net.add("x", cs.SpikeSource(fan_in))
    net.add("a", model)
    net.connect("x", "a", cs.loihi.Synapses(np.full((1, fan_in), sign * 254), exponent=exponent, sign="mixed"))
    spikes = np.zeros((4, fan_in), int)
    spikes[0] = 1
    return cs.Emulator(cs.compile(net, "unlimited")).run({"x": spikes}, record={"a": list(model.states)})


@pytest.mark.parametrize(("fan_in", "exponent"), [(200, 7), (1100, 7), (1100, 9), (2000, 7)])
def test_a_flood_of_excitation_is_not_inhibition(fan_in: int, exponent: int) -> None:
    for sign in (1, -1):
        result = run(cs.loihi.CountLIF(1, du=0, dv=0, vth=131071, most=1), fan_in, exponent, sign)
        assert result.trace["a"]["u"][1, 0] == sign * TOP and result.activity.overflowed["a"] >= 1
        result = run(cs.loihi.LSNN(1, dv=0, vth=131071), fan_in, exponent, sign)
        assert result.trace["a"]["v"][1, 0] == sign * TOP and result.activity.clipped["a"] == 1
    assert run(cs.loihi.LSNN(1, dv=0, vth=131071), fan_in, exponent).spikes["a"][1, 0]


def test_many_spikes_take_what_they_take() -> None:
    model = cs.loihi.CountLIF(1, du=4095, dv=0, vth=1, reset_by=TOP, v=TOP, most=60_000)
    v = cs.Emulator(single(model)).run(steps=1, record={"a": ["v"]}).trace["a"]["v"]
    assert v[0, 0] < 0, "60,000 resets of 2**23 leave it far below zero, not wrapped to some other value"


def single(model):
    net = cs.Network()
    net.add("a", model)
    return cs.compile(net, "unlimited")


@pytest.mark.parametrize(
    "make",
    [
        lambda: cs.loihi.Delta(2, vth=2**31),
        lambda: cs.loihi.Delta(2, vth=2**10, spike_exp=15, state_exp=10),
        lambda: cs.loihi.SigmaDelta(2, vth=1, bias=2**20, spike_exp=12),
        lambda: cs.loihi.SigmaDelta(2, vth=[1, 2**40]),
        lambda: cs.loihi.ATRLIF(2, theta_0=1e9),
        lambda: cs.loihi.ATRLIF(2, theta_step=-(2.0**26)),
    ],
)
def test_registers_beyond_32_bits_are_refused(make) -> None:
    with pytest.raises(NetworkError, match="exceeds 32 bits"):
        make()


def test_a_delayed_event_makes_its_neuron_busy_when_it_arrives() -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(1))
    net.add("a", cs.floats.LIF(1, threshold=9.0, leak_decay=0.0))
    net.connect("x", "a", cs.floats.Synapses([[2.0]], delays=2))
    result = cs.Emulator(cs.compile(net, "float")).run({"x": [[1], [0], [0], [0], [0], [0]]})
    assert result.activity.updates_active[:, 0].tolist() == [0, 0, 0, 1, 1, 0]


def test_a_neuron_alone_notices_its_own_events() -> None:
    net = cs.Network()
    net.add("a", cs.floats.LIF(1, threshold=1.0, bias=0.0, leak_decay=0.0))
    net.add("x", cs.SpikeSource(1))
    net.connect("x", "a", cs.floats.Synapses([[2.0]]))
    net.connect("a", "a", cs.floats.Synapses(np.zeros((1, 1))))
    result = cs.Emulator(cs.compile(net, "float")).run({"x": [[1], [0], [0], [0]]})
    assert result.spikes["a"][:, 0].tolist() == [False, True, False, False]
