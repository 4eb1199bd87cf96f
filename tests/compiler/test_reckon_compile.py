"""Networks compiled onto ReckOn: the common interface, against the float chip and against the chip's own
engine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.reckon.core import ReckonEngine, stimulus
from chipsim.engines.reckon.program import program_image
from chipsim.errors import CompileError
from chipsim.program.program import Program


def spikes(steps: int = 150, n: int = 24, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((steps, n)) < 0.06


def ideal(neurons: int = 31, recurrent: bool = False, **lif: object) -> cs.Network:
    rng = np.random.default_rng(0)
    net = cs.Network("small")
    x = net.add("in", cs.SpikeSource(24))
    h = net.add("hid", cs.LIF(neurons, **{"tau_mem": 20e-3, "threshold": 1.0, **lif}))
    o = net.add("out", cs.LI(3, tau_mem=30e-3))
    net.connect(x, h, rng.normal(0.08, 0.25, (neurons, 24)))
    if recurrent:
        net.connect(h, h, rng.normal(0, 0.05, (neurons, neurons)))
    net.connect(h, o, rng.normal(0, 1, (3, neurons)))
    return net


def native() -> cs.Network:
    rng = np.random.default_rng(4)
    net = cs.Network("native")
    x = net.add("in", cs.SpikeSource(9))
    a = net.add("a", cs.reckon.LIF(4, thr=[300, 300, 400, 400], alpha=0x7F00, reset="zero"))
    b = net.add("b", cs.reckon.LIF(5, thr=250, alpha=0x8000, reset="zero"))
    o = net.add("out", cs.reckon.LI(2, kappa=120))
    net.connect(x, a, cs.reckon.Synapses(rng.integers(-40, 100, (4, 9)), 1))
    net.connect(x, b, cs.reckon.Synapses(rng.integers(-40, 100, (5, 9)), 1))
    net.connect(a, b, cs.reckon.Synapses(rng.integers(-40, 60, (5, 4)), 2))
    net.connect(b, o, cs.reckon.Synapses(rng.integers(-40, 60, (2, 5)), 3))
    return net


def test_ideal_networks_spike_like_on_the_float_chip() -> None:
    net, inputs = ideal(), spikes()
    chip = cs.Emulator(cs.compile(net, "reckon")).run({"in": inputs})
    want = cs.Emulator(cs.compile(net, "float")).run({"in": inputs})
    a, b = chip.spikes["hid"], want.spikes["hid"]
    assert b.sum() > 300 and np.array_equal(a[:3], b[:3])
    assert (a != b).sum() < 0.1 * b.sum() and np.corrcoef(a.sum(0), b.sum(0))[0, 1] > 0.99


def test_exact_weights_fire_in_the_same_steps() -> None:
    net = cs.Network()
    x, h = net.add("in", cs.SpikeSource(2)), net.add("hid", cs.IF(2, threshold=1.0, reset="zero"))
    net.connect(x, h, np.array([[0.5, 0.0], [0.0, 1.5]]))
    inputs = np.ones((12, 2), bool)
    a = cs.Emulator(cs.compile(net, "reckon")).run({"in": inputs}).spikes["hid"]
    b = cs.Emulator(cs.compile(net, "float")).run({"in": inputs}).spikes["hid"]
    assert np.array_equal(a, b) and a[:, 0].sum() == 3, "0.5 + 0.5 does not exceed the threshold 1"


def test_native_program_is_what_the_chip_engine_runs() -> None:
    program = cs.compile(native(), "reckon")
    image = program_image(program)
    assert image.memories.thr[:6].tolist() == [300, 400, 250, 250, 250, 32767]
    assert image.registers.ALPHA_CONF == 0b11100 and image.registers.FP_LOC_WREC == 2
    inputs = spikes(80, 9, seed=2)
    result = cs.Emulator(program).run({"in": inputs}, record={"a": ["u", "trec"], "b": "u", "out": "o"})
    run = ReckonEngine(image.registers, image.memories).run(
        stimulus(inputs, last=np.zeros(80)), neurons=9, snapshots=True
    )
    assert run.spikes.sum() > 20
    assert np.array_equal(np.hstack([result.spikes["a"], result.spikes["b"]]), run.spikes)
    assert np.array_equal(np.hstack([result.trace["a"]["u"], result.trace["b"]["u"]]), run.snapshots["u_end"])
    assert np.array_equal(result.trace["out"]["o"], run.out_end[:, :2])
    assert result.cycles is not None and np.array_equal(result.cycles, run.busy_cycles)
    assert result.estimate().latency == pytest.approx(run.busy_cycles.sum() / program.chip.clock.si)
    assert result.activity.spikes.sum() == run.spikes.sum() and result.estimate().total_energy > 0


def test_state_is_kept_saved_and_cleared(tmp_path: Path) -> None:
    program, inputs = cs.compile(ideal(recurrent=True), "reckon"), spikes()
    emulator = cs.Emulator(program)
    whole = emulator.run({"in": inputs})
    emulator.reset()
    first = emulator.run({"in": inputs[:70]})
    emulator.save(tmp_path / "c.h5")
    second = emulator.run({"in": inputs[70:]})
    both = np.concatenate([first.spikes["hid"], second.spikes["hid"]])
    assert np.array_equal(both, whole.spikes["hid"]) and emulator.step == 150
    other = cs.Emulator(Program.load(program.save(tmp_path / "p.h5")))
    other.load(tmp_path / "c.h5")
    assert np.array_equal(other.run({"in": inputs[70:]}).spikes["hid"], second.spikes["hid"])
    again = type(whole).load(whole.save(tmp_path / "r.h5"))
    assert np.array_equal(again.raw.cycles, whole.raw.cycles)


def refused(net: cs.Network, match: str, **options: object) -> CompileError:
    with pytest.raises(CompileError, match=match) as caught:
        cs.compile(net, "reckon", **options)  # type: ignore[arg-type]
    return caught.value


def test_what_the_chip_lacks_is_refused_by_name() -> None:
    error = refused(ideal(neurons=300), "recurrent neurons: 300 exceeds 256")
    assert (error.resource, error.need, error.limit) == ("recurrent neurons", 300, 256)
    refused(ideal(tau_syn=5e-3), "tau_syn")
    refused(ideal(bias=0.1), "bias")
    refused(ideal(refractory=2e-3), "refractory")
    refused(ideal(tau_mem=5e-3), "membrane time constant")
    refused(ideal(), "own arithmetic", arithmetic="lava")
    net = ideal()
    net.connect("in", "out", np.ones((3, 24)))
    refused(net, "not SpikeSource to LI")
    net = ideal()
    net.connect("in", "hid", np.ones((31, 24)), name="twice")
    refused(net, "connected twice")
    net = cs.Network()
    x, h = net.add("in", cs.SpikeSource(2)), net.add("hid", cs.LIF(2))
    net.connect(x, h, np.ones((2, 2)), delay=1)
    refused(net, "delay 1 exceeds 0")
    net = native()
    net.connect("in", "b", cs.reckon.Synapses(np.zeros((5, 9), int), 0), name="again")
    refused(net, "connected twice")
    net = cs.Network()
    x, h = net.add("in", cs.SpikeSource(2)), net.add("hid", cs.loihi.LIF(2))
    refused(net, r"no loihi\.LIF")
    net = native()
    net.connect("b", "a", cs.reckon.Synapses(np.zeros((4, 5), int), 1))
    refused(net, r"share one exponent, but \[1, 2\]")
