"""Layered networks compiled for the TrueNorth-class grid: against plain NumPy, checkpoints, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs


def ideal_network():
    rng = np.random.default_rng(0)
    net = cs.Network("layers")
    x = net.add("in", cs.SpikeSource(40))
    h = net.add("hid", cs.LIF(60, tau_mem=20e-3, threshold=1.0))
    o = net.add("out", cs.LIF(10, tau_mem=20e-3, threshold=1.0))
    net.connect(x, h, weights=rng.normal(size=(60, 40)) * 0.5)
    net.connect(h, o, weights=rng.normal(size=(10, 60)) * 0.3)
    return net, (rng.random((50, 40)) < 0.1).astype(int)


def step(v, total, model):
    """One tick of a layer: (fired, potentials)."""
    v = (v + total + model.per_neuron("leak") + 256) % 512 - 256
    fired = v >= model.per_neuron("thr")
    return fired, np.where(fired | (v < int(model.values["negthr"])), 0, v)


def test_the_grid_runs_the_compiled_layers():
    net, spikes = ideal_network()
    program = cs.compile(net, "truenorth")
    result = cs.Emulator(program).run({"in": spikes}, record={"hid": ["v"]})
    w1, w2 = (p.synapses.dense() for p in program.projections)
    hid, out = program.population("hid").model, program.population("out").model
    v1, v2, s1 = np.zeros(60, int), np.zeros(10, int), np.zeros(60, int)
    for t in range(50):
        f2, v2 = step(v2, w2 @ s1, out)
        f1, v1 = step(v1, w1 @ (spikes[t - 1] if t else np.zeros(40, int)), hid)
        s1 = f1.astype(int)
        assert np.array_equal(result.spikes["hid"][t], f1) and np.array_equal(result.spikes["out"][t], f2), t
        assert np.array_equal(result.trace["hid"]["v"][t], v1), t
    assert result.spikes["out"].sum() > 5
    assert result.activity.synaptic_events.sum() == result.raw.sops.sum() > 0


def test_a_run_in_parts_equals_one_run(tmp_path):
    net, spikes = ideal_network()
    program = cs.compile(net, "truenorth")
    whole = cs.Emulator(program).run({"in": spikes})
    parts = cs.Emulator(cs.Program.load(program.save(tmp_path / "p.h5")))
    first = parts.run({"in": spikes[:20]})
    parts.save(tmp_path / "s.h5")
    parts.run({"in": spikes[20:]})
    parts.load(tmp_path / "s.h5")
    second = parts.run({"in": spikes[20:]})
    for name in ("hid", "out"):
        assert np.array_equal(whole.spikes[name], np.vstack([first.spikes[name], second.spikes[name]]))


def test_energy_has_a_source():
    net, spikes = ideal_network()
    estimate = cs.Emulator(cs.compile(net, "truenorth")).run({"in": spikes}).estimate()
    assert estimate.total_energy > 0 and estimate.latency == pytest.approx(50e-3)


def test_what_the_mapper_does_not_take_is_refused():
    net, _ = ideal_network()
    net.connect("out", "hid", weights=np.ones((60, 10)))
    with pytest.raises(cs.CompileError, match="loop"):
        cs.compile(net, "truenorth")
    net, _ = ideal_network()
    net.connect("in", "out", weights=np.ones((10, 40)))
    with pytest.raises(cs.CompileError, match="skips a layer"):
        cs.compile(net, "truenorth")
    net = cs.Network()
    x, a = net.add("in", cs.SpikeSource(9)), net.add("a", cs.truenorth.LIF(2, thr=3))
    net.connect(x, a, cs.truenorth.Synapses(np.arange(18).reshape(2, 9) * 9))
    with pytest.raises(cs.CompileError, match="different weights of a neuron: 9 exceeds 4"):
        cs.compile(net, "truenorth")
