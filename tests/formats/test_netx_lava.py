"""NetX files in lava-dl's own NetX, run in Lava's CPU simulator against the emulator (Python 3.10 with both)."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from pathlib import Path

import h5py
import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings import from_netx, write_netx
from chipsim.mappings.formats.lava.writer import patched_import
from tests.formats.test_netx import NETWORKS, put

with contextlib.suppress(ImportError):
    patched_import()
pytest.importorskip("lava.proc.lif.process", reason="lava-nc", exc_type=Exception)
if importlib.util.find_spec("lava.lib") is None or importlib.util.find_spec("lava.lib.dl") is None:
    pytest.skip("lava-dl is not installed", allow_module_level=True)

STEPS = 80


@pytest.fixture(scope="module")
def netx():
    """NetX as installed. It imports torch, and of lava-dl's training part one function for resonate-and-fire neurons;
    neither is used here, and where torch is missing empty modules stand in for both."""
    names = ["torch", *(f"lava.lib.dl.slayer{tail}" for tail in ("", ".neuron", ".neuron.rf"))]
    if importlib.util.find_spec("torch") is None:
        for name in names:
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torch"].tensor = np.ndarray  # type: ignore[attr-defined]
        sys.modules[names[-1]].neuron_params = None  # type: ignore[attr-defined]
    from lava.lib.dl.netx.hdf5 import Network

    yield Network
    for name in names:
        sys.modules.pop(name, None)


def ran(netx, path: Path, spikes: np.ndarray) -> dict[str, np.ndarray]:
    """v of every layer and the output's spikes, in the order of the file's layers."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi1SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer
    from lava.proc.monitor.process import Monitor

    net = netx(str(path))
    data = spikes.reshape(STEPS, -1).T
    if len(net.inp.shape) == 3:
        data = spikes.transpose(3, 2, 1, 0)  # (width, height, channels, steps)
    source, sink = RingBuffer(data=data.astype(int)), Sink(shape=net.out.shape, buffer=STEPS)
    direct = type(net.in_layer).__name__ == "Input"  # as in lava-dl's tutorials: its port leads nowhere
    source.s_out.connect(net.in_layer.neuron.a_in if direct else net.inp)
    net.out.connect(sink.a_in)
    monitors = [Monitor() for _ in net.layers]
    for monitor, layer in zip(monitors, net.layers):
        monitor.probe(layer.neuron.v, STEPS)
    net.run(condition=RunSteps(num_steps=STEPS), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
    found = {}
    for k, monitor in enumerate(monitors):
        (values,) = next(iter(monitor.get_data().values())).values()
        found[str(k)] = flat(np.asarray(values))
    found["out"] = flat(np.moveaxis(sink.data.get(), -1, 0))
    net.stop()
    return found


def flat(values: np.ndarray) -> np.ndarray:
    """(steps, n) in the file's order from NetX's (steps, width, height, channels)."""
    return (values.transpose(0, 3, 2, 1) if values.ndim == 4 else values).reshape(STEPS, -1)


@pytest.mark.parametrize("name", NETWORKS)
def test_written_file_in_netx(name: str, netx, tmp_path: Path) -> None:
    net = NETWORKS[name]()
    path = write_netx(net, tmp_path / "net.net")
    compare(netx, path, net)


def test_file_made_elsewhere_in_netx(netx, tmp_path: Path) -> None:
    """Weights that Loihi holds only after scaling (odd, thin ranges, one sign), axonal delays, a bias for all."""
    rng = np.random.default_rng(7)
    neuron = {"type": b"CUBA", "iDecay": 1024, "vDecay": 300, "vThMant": 70, "refDelay": 2, "gradedSpike": False}
    weights = [rng.integers(-101, 128, (6, 5)), rng.integers(0, 33, (5, 6)), rng.integers(-9, 60, (4, 5))]
    extra = [{"delay": rng.integers(0, 80, 6)}, {"bias": np.array([7])}, {"shape": [4], "bias": rng.integers(0, 9, 4)}]
    with h5py.File(tmp_path / "made.net", "w") as file:
        for k, (weight, more) in enumerate(zip(weights, extra)):
            layer = file.create_group(f"layer/{k}")
            for key, value in ({"shape": [len(weight)], "weight": weight.astype(np.float32)} | more).items():
                layer.create_dataset(key, data=value)
            layer.create_dataset("type", (1,), "S10", [b"dense"])
            for key, value in neuron.items():
                layer.create_dataset(f"neuron/{key}", data=value)
    compare(netx, tmp_path / "made.net", from_netx(tmp_path / "made.net"))


def test_neurons_of_an_input_layer_in_netx(netx, tmp_path: Path) -> None:
    """They hear NetX's port at once, ours a step later."""
    neuron = {"type": b"CUBA", "iDecay": 1024, "vDecay": 300, "vThMant": 3, "refDelay": 1, "gradedSpike": False}
    weight = np.random.default_rng(8).integers(-101, 128, (6, 5))
    layers = [{"type": b"input", "shape": [5], "neuron": neuron}, {"type": b"dense", "shape": [6], "weight": weight}]
    with h5py.File(tmp_path / "in.net", "w") as file:
        for k, layer in enumerate(layers):
            put(file.create_group(f"layer/{k}"), layer | {"neuron": neuron})
    net = from_netx(tmp_path / "in.net")
    spikes = np.random.default_rng(5).random((STEPS, 5)) < 0.3
    result = cs.Emulator(cs.compile(net, "unlimited")).run({"input": spikes}, STEPS, record={"layer1": ["v"]})
    found = ran(netx, tmp_path / "in.net", spikes.astype(int))
    np.testing.assert_array_equal(found["1"][:-1], result.trace["layer1"]["v"][1:])
    assert result.spikes["layer0"].any() and result.spikes["layer1"].any()


def compare(netx, path: Path, net: cs.Network) -> None:
    spikes = np.random.default_rng(5).random((STEPS, *net.populations["input"].shape)) < 0.3
    names = [name for name, p in net.populations.items() if not p.model.is_input]
    result = cs.Emulator(cs.compile(net, "unlimited")).run({"input": spikes}, STEPS, record={n: ["v"] for n in names})
    found = ran(netx, path, spikes.astype(int))
    for k, name in enumerate(names):
        np.testing.assert_array_equal(found[str(k)], result.trace[name]["v"], err_msg=f"v of {name}")
        assert result.spikes[name].any(), name
    np.testing.assert_array_equal(found["out"], result.spikes[names[-1]])
