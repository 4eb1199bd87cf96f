"""Files between chipsim and the tools themselves: their exports read here, what is written here run there."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging

import nir
import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.nir.reader import aligned, from_nir, padded
from chipsim.mappings.formats.nir.writer import to_nir
from chipsim.mappings.formats.torch.reader import from_torch
from tests.support.torch_runs import Recorder, differences, emulated, first, spikes

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("nirtorch", reason="needs nirtorch")
if "v_reset" not in nir.LIF.__dataclass_fields__:
    pytest.skip("snnTorch 1.0 and nirtorch 2.6 need nir>=1.0.6", allow_module_level=True)
nn = torch.nn
NEURONS = (
    "Leaky", "Synaptic", "RLeaky", "RSynaptic", "LIFBoxCell", "LIFCell", "IAFCell", "IAFSqueeze", "LIFSqueeze",
)  # fmt: skip


def linear(a, b, rng, loud):
    layer = nn.Linear(a, b)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rng.normal(0.05, loud / np.sqrt(a), (b, a))))
        layer.bias.copy_(torch.tensor(rng.normal(0, 0.1, b)))
    return layer


def file_of(graph, path):
    with contextlib.redirect_stdout(io.StringIO()):
        nir.write(path, graph)
    return path


# ------------------------------------------------------------------- their own files, of random architectures


def snntorch_net(rng, reset, delay):
    snn = pytest.importorskip("snntorch", reason="needs snntorch")
    sizes = [int(n) for n in rng.integers(6, 20, rng.integers(3, 5))]
    layers = []
    for a, b in itertools.pairwise(sizes):
        full = {"reset_mechanism": reset, "reset_delay": delay, "init_hidden": True}
        full |= {"threshold": torch.ones(b) * float(rng.uniform(0.5, 1.2))}
        beta, alpha = torch.tensor(rng.uniform(0.3, 0.95, (2, b)), dtype=torch.float32)
        kind = ("Leaky", "Synaptic", "RLeaky", "RSynaptic")[rng.integers(4 if delay else 3)]
        full |= {"alpha": alpha} if kind.endswith("Synaptic") else {}
        full |= {"linear_features": b} if kind.startswith("R") else {}
        layers += [linear(a, b, rng, 2.0), getattr(snn, kind)(beta=beta, **full)]
    return nn.Sequential(*layers), sizes[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(8))
def test_files_of_snntorch(seed, tmp_path):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    reset, delay = ("subtract", "zero")[seed % 2], seed % 4 < 2
    module, n = snntorch_net(rng, reset, delay)
    from snntorch.export_nir import export_to_nir

    path = file_of(export_to_nir(module, torch.zeros(1, n), ignore_dims=[0]), tmp_path / "m.nir")
    for layer in module[1::2]:
        layer.reset_mem()  # the export has run a step
    x = spikes(n, seed=seed)
    one = from_nir(path, dt=1e-4, scheme="snntorch", reset=reset, reset_delay=delay)
    other, recorder = from_torch(module, torch.zeros(1, n)), Recorder(module, NEURONS)
    with torch.no_grad():
        for row in x:
            module(torch.tensor(row)[None])
    wanted = recorder.taken()
    differences(other, x, wanted)
    differences(one, x, {k if k in one.populations else f"{k}.lif": v for k, v in wanted.items()})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
def test_files_of_norse(seed, tmp_path):
    norse = pytest.importorskip("norse.torch", reason="needs norse")
    rng = np.random.default_rng(seed)
    method = (norse.functional.reset.reset_value, norse.functional.reset.reset_subtract)[seed % 2]
    sizes = [int(n) for n in rng.integers(6, 20, rng.integers(3, 5))]
    layers = []
    for a, b in itertools.pairwise(sizes):
        some = lambda low, high, b=b: torch.tensor(rng.uniform(low, high, b), dtype=torch.float32)  # noqa: E731
        shared = {"tau_mem_inv": 1 / some(3e-3, 2e-2), "v_th": some(0.2, 0.6), "v_leak": some(0, 0.1)}
        box = norse.LIFBoxParameters(**shared, v_reset=torch.zeros(b), reset_method=method)
        cuba = norse.LIFParameters(**shared, tau_syn_inv=1 / some(3e-3, 1e-2), v_reset=torch.zeros(b))
        cells = [lambda p=box: norse.LIFBoxCell(p), lambda p=cuba: norse.LIFCell(p)]
        layers += [linear(a, b, rng, 3.0), cells[rng.integers(1 if seed % 2 else 2)]()]
    module, n = norse.SequentialState(*layers), sizes[0]
    # dt=1.0: its default of 1e-3 writes time constants a thousand times too short.
    path = file_of(norse.to_nir(module, torch.zeros(1, n), dt=1.0), tmp_path / "m.nir")
    x = spikes(n, seed=seed)
    one = from_nir(path, dt=1e-3, scheme="norse_box", reset=("zero", "subtract")[seed % 2])
    other, recorder, state = from_torch(module, torch.zeros(1, n)), Recorder(module, NEURONS), None
    with torch.no_grad():
        for row in x:
            _, state = module(torch.tensor(row)[None], state)
    differences(one, x, recorder.taken())
    differences(other, x, recorder.taken())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
def test_files_of_sinabs(seed, tmp_path):
    sl = pytest.importorskip("sinabs.layers", reason="needs sinabs")
    from sinabs.activation import MultiSpike, SingleSpike
    from sinabs.nir import to_nir as export

    rng = np.random.default_rng(seed)
    spike_fn = (MultiSpike, SingleSpike)[seed % 2]
    sizes = [int(n) for n in rng.integers(6, 20, rng.integers(3, 5))]
    layers = []
    for a, b in itertools.pairwise(sizes):
        shared = {"batch_size": 1, "spike_fn": spike_fn, "min_v_mem": -1.0}
        tau = torch.tensor(rng.uniform(3, 20, b), dtype=torch.float32)
        leaky = {"tau_mem": tau, "spike_threshold": torch.ones(b) * 0.3}
        neuron = sl.LIFSqueeze(**leaky, **shared) if rng.integers(2) else sl.IAFSqueeze(**shared)
        layers += [linear(a, b, rng, 3.0), neuron]
    module, n = nn.Sequential(*layers), sizes[0]
    path = file_of(export(module, torch.zeros(1, n)), tmp_path / "m.nir")
    for layer in layers[1::2]:
        layer.reset_states()
    x = spikes(n, seed=seed)
    options = {"spike_fn": spike_fn.__name__, "min_v_mem": -1.0}
    one = from_nir(path, dt=1, scheme="sinabs", **options)
    other, recorder = from_torch(module, torch.zeros(1, n)), Recorder(module, NEURONS)
    with torch.no_grad():
        module(torch.tensor(x))
    wanted = recorder.taken()
    differences(one, x, wanted)
    differences(other, x, wanted)


# ------------------------------------------------------------------------------- what is written, in the tools


def in_snntorch(path, x):
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):
        module = import_from_nir(nir.read(path))
    state, out = None, []
    with torch.no_grad():
        for row in x:
            got = module(torch.tensor(row)[None]) if state is None else module(torch.tensor(row)[None], state)
            out.append(first(got).numpy().ravel())
            state = got[1] if isinstance(got, tuple) else None
    return np.array(out)


def in_norse(path, x, dt):
    import norse.torch as norse

    logging.disable(logging.WARNING)
    try:
        module = norse.from_nir(nir.read(path), dt=dt)
    finally:
        logging.disable(logging.NOTSET)
    state, out = None, []
    with torch.no_grad():
        for row in x:
            got, state = module(torch.tensor(row)[None], state)
            out.append(got.numpy().ravel())
    return np.array(out)


def random(*shape, seed=1, low=0.1):
    return np.random.default_rng(seed).normal(low, 0.4, shape)


def ideal(seed, cuba):
    """Two layers, neurons that differ, a bias, and a convolution where the seed is odd."""
    net = cs.Network("ideal")
    if seed % 2:
        x = net.add("input", cs.SpikeSource((2, 6, 6)))
        tau = {"tau_mem": 15e-3, "tau_syn": 4e-3 if cuba else 0.0}
        h = net.add("h", cs.LIF((3, 4, 4), **tau, threshold=0.2, bias=0.0 if cuba else 0.05))
        net.connect(x, h, cs.Conv2d(random(3, 2, 3, 3, seed=seed), (2, 6, 6)))
    else:
        x = net.add("input", cs.SpikeSource(16))
        thresholds = np.random.default_rng(seed).uniform(0.1, 0.5, 24)
        h = net.add("h", cs.LIF(24, tau_mem=15e-3, tau_syn=4e-3 if cuba else 0.0, threshold=thresholds))
        net.connect(x, h, random(24, 16, seed=seed))
    o = net.add("o", cs.IF(8, threshold=2.0) if seed % 3 else cs.LIF(8, tau_mem=20e-3, threshold=0.5, bias=0.1))
    net.connect(h, o, random(8, h.n, seed=seed + 1))
    return net


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tool", ["snntorch", "norse"])
@pytest.mark.parametrize("cuba", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_ideal_networks_run_in_the_tools(tool, cuba, seed, tmp_path):
    pytest.importorskip("snntorch" if tool == "snntorch" else "norse.torch")
    net = ideal(seed, cuba)
    shape = net.population("input").shape
    x = spikes(*shape, rate=0.2, seed=seed)
    to_nir(net, tmp_path / "m.nir", dt=1e-3, tool=tool)
    there = in_snntorch(tmp_path / "m.nir", x) if tool == "snntorch" else in_norse(tmp_path / "m.nir", x, 1e-3)
    back = from_nir(tmp_path / "m.nir")
    assert back.metadata["nir"]["dt"] == (1e-4 if tool == "snntorch" else 1e-3)
    np.testing.assert_array_equal(emulated(back, x)["o"], there)
    own = cs.Emulator(cs.compile(net, "float", dt=1e-3)).run({"input": np.pad(x, [(0, 2)] + [(0, 0)] * len(shape)) > 0})
    assert there.any() and not there.all()
    bias = any(np.any(p.model.values.get("bias", 0)) for p in net.populations.values() if not p.model.is_input)
    if not bias:  # on a chip, biases act before the first input arrives
        np.testing.assert_array_equal(own.spikes["o"][2:62], there)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tool", ["snntorch", "norse"])
def test_a_quantised_program_runs_in_the_tools(tool, tmp_path):
    """The integers of Loihi, in both tools' floats: neurons without leak, so that nothing is rounded on the way."""
    pytest.importorskip("snntorch" if tool == "snntorch" else "norse.torch")
    net = cs.Network("quantised")
    x, h, o = net.add("input", cs.SpikeSource(16)), net.add("h", cs.IF(20, threshold=1.0)), net.add("o", cs.IF(6))
    net.connect(x, h, random(20, 16)), net.connect(h, o, random(6, 20, seed=2))
    program = cs.compile(net, "loihi", dt=1e-3)
    to_nir(program, tmp_path / "m.nir", tool=tool)
    rows = spikes(16, rate=0.2)
    there = in_snntorch(tmp_path / "m.nir", rows) if tool == "snntorch" else in_norse(tmp_path / "m.nir", rows, 1e-3)
    back = from_nir(tmp_path / "m.nir")
    given, steps = padded(back, {"input": rows})
    chip = aligned(back, cs.Emulator(program).run({k: v > 0 for k, v in given.items()}, steps))
    assert chip["o"].any()
    np.testing.assert_array_equal(chip["o"], there)


@pytest.mark.filterwarnings("ignore")
def test_a_recurrent_network_runs_in_norse(tmp_path):
    pytest.importorskip("norse.torch", reason="needs norse")
    net = cs.Network("recurrent")
    x, h = net.add("input", cs.SpikeSource(16)), net.add("h", cs.LIF(20, tau_mem=10e-3, threshold=0.4))
    net.connect(x, h, random(20, 16)), net.connect(h, h, random(20, 20, seed=2, low=-0.1))
    to_nir(net, tmp_path / "m.nir", dt=1e-3, tool="norse")
    rows = spikes(16, rate=0.2)
    there = in_norse(tmp_path / "m.nir", rows, 1e-3)
    assert there.any()
    np.testing.assert_array_equal(emulated(from_nir(tmp_path / "m.nir"), rows)["h"], there)
    with pytest.raises(cs.NetworkError, match=r"recurrent; snnTorch 1\.0 fails"):
        to_nir(net, tmp_path / "n.nir", dt=1e-3, tool="snntorch")


@pytest.mark.filterwarnings("ignore")
def test_files_of_rockpool(tmp_path, monkeypatch):
    """One test for all, because importing Rockpool takes long."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # it looks for a package of its own on import
    modules = pytest.importorskip("rockpool.nn.modules", reason="needs rockpool")
    from rockpool.nn.combinators import Sequential

    for seed in range(4):
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        sizes = [int(n) for n in rng.integers(6, 20, rng.integers(3, 5))]
        layers = []
        for a, b in itertools.pairwise(sizes):
            tau = torch.tensor(rng.uniform(4e-3, 2e-2, (2, b)), dtype=torch.float32)
            threshold = torch.tensor(rng.uniform(0.5, 2.0, b), dtype=torch.float32)
            shared = {"threshold": threshold, "bias": torch.zeros(b), "dt": 1e-3}
            layers += [modules.LinearTorch((a, b)), modules.LIFTorch(b, tau_mem=tau[0], tau_syn=tau[1], **shared)]
        for layer in layers[::2]:  # few spikes per step: sums of dozens come close to thresholds within float32
            layer.weight.data *= 0.2
        module, x = Sequential(*layers), spikes(sizes[0], seed=seed)
        path = file_of(modules.to_nir(module, torch.zeros(1, sizes[0])), tmp_path / f"{seed}.nir")
        recorded = module(torch.tensor(x)[None], record=True)[2]
        neurons = {k: v["spikes"].detach().numpy()[0] for k, v in recorded.items() if k.endswith("LIFTorch")}
        differences(from_nir(path, dt=1e-3, scheme="rockpool"), x, neurons)
