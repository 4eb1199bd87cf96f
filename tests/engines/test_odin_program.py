"""Networks compiled for ODIN and tinyODIN: runs, checkpoints, cycles, energy by the published law, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs


def ideal_network(seed=0, **neurons):
    rng = np.random.default_rng(seed)
    net = cs.Network("two layers")
    x = net.add("in", cs.SpikeSource(40))
    h = net.add("hid", cs.LIF(60, tau_mem=20e-3, threshold=1.0, **neurons))
    o = net.add("out", cs.LIF(10, tau_mem=20e-3, threshold=1.0))
    net.connect(x, h, weights=rng.normal(size=(60, 40)) * 0.5)
    outgoing = np.abs(rng.normal(size=(10, 60))) * 0.2
    outgoing[:, 30:] *= -1
    net.connect(h, o, weights=outgoing)
    return net, (rng.random((60, 40)) < 0.1).astype(int)


@pytest.mark.parametrize("chip", ["odin", "tinyodin"])
def test_a_run_in_parts_equals_one_run_and_programs_can_be_saved(chip, tmp_path):
    net, spikes = ideal_network()
    program = cs.compile(net, chip)
    whole = cs.Emulator(program).run({"in": spikes}, record={"hid": ["v"]})
    parts = cs.Emulator(cs.Program.load(program.save(tmp_path / "p.h5")))
    first = parts.run({"in": spikes[:25]})
    parts.save(tmp_path / "state.h5")
    parts.run({"in": spikes[25:]})
    parts.load(tmp_path / "state.h5")
    second = parts.run({"in": spikes[25:]})
    for name in ("hid", "out"):
        assert np.array_equal(whole.spikes[name], np.vstack([first.spikes[name], second.spikes[name]]))
        assert whole.spikes[name].sum() > 0
    assert np.array_equal(whole.cycles, np.concatenate([first.cycles, second.cycles]))
    assert whole.trace["hid"]["v"].shape == (60, 60)
    # this network is too lively for ODIN's FIFO of 32, not for tinyODIN's of 128; losses are counted
    assert (whole.raw.drops.sum() > 0) == (chip == "odin") and whole.activity.overflowed["hid"] == whole.raw.drops.sum()


def test_energy_is_the_published_power_law():
    net, spikes = ideal_network()
    result = cs.Emulator(cs.compile(net, "odin")).run({"in": spikes})
    sops, cycles = int(result.raw.sops.sum()), int(result.cycles.sum())
    assert sops % 256 == 0 and sops == result.activity.synaptic_events.sum()
    law = cs.odin.power_law_energy(cycles, sops, clock=75e6, leak=27.3e-6, idle=1.78e-12, sop=8.43e-12)
    estimate = result.estimate()
    assert estimate.total_energy == pytest.approx(law["total"], rel=1e-6)
    assert estimate.latency == pytest.approx(cycles / 75e6, rel=1e-6)


@pytest.mark.parametrize("chip", ["odin", "tinyodin"])
def test_native_networks_run_in_registers(chip):
    module = getattr(cs, chip)
    net = cs.Network()
    x, a = net.add("in", cs.SpikeSource(4)), net.add("a", module.LIF(3, thr=[5, 7, 100], leak_str=1))
    net.connect(x, a, module.Synapses(np.full((3, 4), 3)))
    result = cs.Emulator(cs.compile(net, chip)).run({"in": np.ones((2, 4), int)}, record={"a": "v"})
    # four events of weight 3, then a leak of 1: neuron 0 fires at 6 twice, neuron 1 at 9 once, neuron 2 never
    assert result.rates()["a"].tolist() == [2, 1, 0]
    assert result.trace["a"]["v"][0].tolist() == [0, 2, 11]


def test_sdsp_learns_in_a_compiled_network():
    net = cs.Network()
    x = net.add("in", cs.SpikeSource(4))
    a = net.add("a", cs.odin.LIF(1, thr=200, ca_en=1, ca=3, theta_mem=2, theta1=1, theta2=5, theta3=7))
    net.connect(x, a, cs.odin.Synapses([[2, 2, 2, 2]]))
    emulator = cs.Emulator(cs.compile(net, "odin"))
    emulator.run({"in": np.ones((3, 4), int)})
    weights = emulator._engine.steps_engine.core.weights[:4, 0]
    assert np.all(weights > 2)


def refused(change):
    net, _ = ideal_network()
    change(net)
    return net


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda: ideal_network(tau_syn=5e-3)[0], "synaptic time constant"),
        (lambda: ideal_network(reset="subtract")[0], "reset by subtraction"),
        (lambda: refused(lambda n: n.add("more", cs.LIF(200, tau_mem=20e-3))), "neurons: 270 exceeds 256"),
        (lambda: refused(lambda n: n.add("far", cs.loihi.LIF(3))), "has no loihi.LIF"),
        (lambda: refused(lambda n: n.connect("out", "hid", weights=np.ones((60, 10)), delay=2)), "delay 2 exceeds 0"),
        (lambda: refused(lambda n: n.connect("hid", "hid", weights=np.eye(60) - 0.1)),
         "outgoing weights of both signs"),
    ],
)  # fmt: skip
def test_what_the_chip_lacks_is_refused_by_name(net, message):
    with pytest.raises(cs.CompileError, match=message):
        cs.compile(net(), "odin")
