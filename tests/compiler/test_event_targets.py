"""Event-driven chips as targets of the mapper: run, cycles, estimate, report; bad input is refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.crossbar.odin import OdinEngine
from chipsim.report.facts import losses, projections

CHIPS = ("odin", "tinyodin", "truenorth", "reckon")


def ideal(chip: str) -> cs.Network:
    rng = np.random.default_rng(0)
    net = cs.Network("ideal")
    x, h = net.add("in", cs.SpikeSource(8)), net.add("hid", cs.LIF(6, tau_mem=20e-3))
    o = net.add("out", cs.LI(3, tau_mem=30e-3) if chip == "reckon" else cs.LIF(3, tau_mem=20e-3))
    net.connect(x, h, rng.normal(0.2, 0.3, (6, 8)))
    net.connect(h, o, np.abs(rng.normal(0, 0.3, (3, 6))))
    return net


@pytest.mark.parametrize("chip", CHIPS)
def test_cycles_estimate_and_report(chip, tmp_path):
    result = cs.Emulator(cs.compile(ideal(chip), chip)).run({"in": np.random.default_rng(1).random((20, 8)) < 0.3})
    assert result.cycles is not None and result.cycles.shape == (20,) and np.all(result.cycles[1:] > 0)
    assert result.spikes["hid"].sum() > 0
    estimate = result.estimate()
    clock = result.program.chip.clock
    assert estimate.latency == pytest.approx(20e-3 if clock is None else result.cycles.sum() / clock.si)
    assert (estimate.total_energy > 0) == (chip != "tinyodin"), "nobody published an energy of tinyODIN"
    page = result.report(tmp_path)
    assert "hid" in page.read_text(encoding="utf-8")
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert chip == "truenorth" or data["estimate"]["latency_s"] == pytest.approx(estimate.latency)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cs.odin.LIF(3, thr=256), r"thr.*256.*\[0, 255\]"),
        (lambda: cs.odin.LIF(3, theta1=8), r"theta1.*8.*\[0, 7\]"),
        (lambda: cs.tinyodin.LIF(3, leak_str=128), r"leak_str.*128.*\[0, 127\]"),
        (lambda: cs.tinyodin.Registers(max_neur=256), r"max_neur.*256.*\[0, 255\]"),
        (lambda: cs.odin.Registers(mon_neur=-1), r"mon_neur.*-1.*\[0, 255\]"),
        (lambda: cs.odin.Registers.from_spi([(26, 1)]), "26.*0 to 25"),
        (lambda: cs.odin.pack(cs.odin.LIF(257)), "257 neurons; the core has 256"),
        (lambda: cs.odin.Synapses([[8]]), r"8.*-7"),
        (lambda: cs.tinyodin.Synapses([[-9]]), r"-9.*-8"),
        (lambda: cs.odin.pack_synapses([[8]]), r"weight=8.*\[0, 7\]"),
        (lambda: cs.odin.events.spike(256), r"spike event: neuron=256.*\[0, 255\]"),
        (lambda: cs.odin.events.virtual(3, 8), r"virtual event: weight=8.*\[1, 7\]"),
        (lambda: cs.odin.events.check(1 << 17), r"address=131072.*\[0, 131071\]"),
        (lambda: cs.odin.events.synapse(1, 300), r"post=300.*\[0, 255\]"),
        (lambda: cs.tinyodin.events.virtual(16, 1), r"neuron=16.*\[0, 15\]"),
        (lambda: cs.tinyodin.events.check(1024), r"1024.*\[0, 1023\]"),
        (lambda: cs.reckon.LIF(3, thr=40000), r"thr.*40000"),
        (lambda: cs.reckon.Synapses([[128]], 0), "128"),
        (lambda: cs.truenorth.LIF(3, thr=300), r"thr.*300"),
    ],
)
def test_bad_registers_events_and_weights_name_themselves(make, message):
    with pytest.raises(cs.ChipsimError, match=message):
        make()


def test_a_wide_word_reaches_no_engine():
    program = cs.odin.OdinProgram(cs.odin.Registers(), cs.odin.pack(cs.odin.LIF(2)), cs.odin.pack_synapses([[1, 1]]))
    engine = OdinEngine(program)
    with pytest.raises(cs.ChipsimError, match="address=-1"):
        engine.run([-1])
    with pytest.raises(cs.ChipsimError, match=r"upd_unmapped=2 is outside \[0, 1\]"):
        engine.configure(upd_unmapped=2)
    with pytest.raises(cs.ChipsimError, match="no updates"):
        engine.configure(updates=1)


def test_what_odin_drops_is_counted():
    """100 neurons fire on one event: a FIFO of 32, one place taken by that event, loses 69; counted and reported."""
    net = cs.Network()
    x = net.add("in", cs.SpikeSource(1))
    a = net.add("a", cs.odin.LIF(100, thr=3))
    net.connect(x, a, cs.odin.Synapses(np.full((100, 1), 3)))
    net.connect(a, a, cs.odin.Synapses(np.eye(100, dtype=int)))
    result = cs.Emulator(cs.compile(net, "odin")).run({"in": np.ones((1, 1), int)})
    assert result.raw.drops.tolist() == [100 - 31] and result.activity.overflowed["a"] == 69
    stated = {r["kind"]: r["count"] for r in losses(result)}
    assert stated == {"dropped spikes": 69} and projections(result)[0]["bits"] == 3


@pytest.mark.parametrize("tau", [20e-3, 2e-3])
def test_a_leak_that_rounds_to_nothing_is_said(tau):
    net = cs.Network()
    x, h = net.add("in", cs.SpikeSource(2)), net.add("hid", cs.LIF(1, tau_mem=tau))
    net.connect(x, h, np.array([[0.5, 0.7]]))
    program = cs.compile(net, "odin")
    warned = program.stages["quantise"].get("warnings", [])
    assert bool(warned) == (program.populations[1].model.per_neuron("leak_str").max() == 0)
    assert bool(warned) == (tau == 20e-3) and all("'hid'" in w for w in warned)
