"""NetX files (`.net`): round trips, hand-written files against slow references, hostile files; any Python."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import chipsim as cs
from chipsim.chips.arithmetic import PRESETS
from chipsim.cli.app import app
from chipsim.mappings import from_netx, write_netx
from chipsim.native.effective import effective
from chipsim.native.synapses import Conv

NEURON = {"type": b"CUBA", "iDecay": 2048, "vDecay": 500, "vThMant": 80, "refDelay": 1, "gradedSpike": False}


def put(group, fields: dict) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            put(group.create_group(name), value)
        elif isinstance(value, bytes):
            group.create_dataset(name, (1,), "S10", [value])
        else:
            group.create_dataset(name, data=value)


def file_of(path: Path, *layers: dict) -> Path:
    with h5py.File(path, "w") as file:
        for k, layer in enumerate(layers):
            put(file.create_group(f"layer/{k}"), layer)
    return path


def dense(weight, **more) -> dict:
    weight = np.asarray(weight)
    return {"type": b"dense", "shape": [weight.shape[0]], "weight": weight, "neuron": NEURON} | more


def recurrent(rng=None) -> cs.Network:
    """Input, a recurrent layer with bias, a delayed layer."""
    rng = rng or np.random.default_rng(0)
    net = cs.Network("recurrent")
    net.add("input", cs.SpikeSource(9))
    net.add("layer1", cs.loihi.LIF(7, du=1000, dv=300, vth=60, bias_mant=rng.integers(-9, 30, 7), bias_exp=6))
    net.add("layer2", cs.loihi.LIF(4, du=-1, dv=4096, vth=90))
    net.connect("input", "layer1", cs.loihi.Synapses(rng.integers(-100, 128, (7, 9)) * 2, sign="mixed"))
    loop = cs.loihi.Synapses(rng.integers(-50, 51, (7, 7)) * 2, exponent=-1, sign="mixed")
    net.connect("layer1", "layer1", loop)
    delays = rng.integers(0, 63, (4, 7))
    late = cs.loihi.Synapses(rng.integers(0, 64, (4, 7)), sign="excitatory", exponent=2, delays=delays)
    net.connect("layer1", "layer2", late)
    return net


def images(rng=None) -> cs.Network:
    """Two convolutions (strides, padding, dilation, groups; biases per channel and per neuron) and a dense layer."""
    rng = rng or np.random.default_rng(1)
    net = cs.Network("images")
    geometry = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
    first = Conv(rng.integers(-90, 160, (4, 3, 2, 1)), (2, 9, 8), channels="first", **geometry)
    second = Conv(rng.integers(-300, 500, (3, 2, 3, 4)), first.output_shape, channels="first")
    per_channel = np.broadcast_to(rng.integers(-5, 20, 4)[:, None, None], first.output_shape).ravel()
    n = int(np.prod(second.output_shape))
    net.add("input", cs.SpikeSource((2, 9, 8)))
    net.add("layer1", cs.loihi.LIF(first.output_shape, du=4095, dv=400, vth=150, bias_mant=per_channel, bias_exp=6))
    kind = {"bias_mant": rng.integers(-5, 9, n), "bias_exp": 6}
    net.add("layer2", cs.loihi.LIF(second.output_shape, du=3000, dv=400, vth=400, **kind))
    net.add("layer4", cs.loihi.LIF(3, du=4095, dv=200, vth=100))
    net.connect("input", "layer1", first)
    net.connect("layer1", "layer2", second)
    net.connect("layer2", "layer4", cs.loihi.Synapses(rng.integers(-120, 128, (3, n)) * 2, sign="mixed"))
    return net


NETWORKS = {"recurrent": recurrent, "images": images}


def acting(s) -> np.ndarray:
    """Weights as they act, (post, pre), or a kernel."""
    if isinstance(s, Conv):
        return np.asarray(s.kernel)
    found = effective(s, PRESETS["lava"])
    matrix = np.asarray(found.matrix, np.int64)
    return matrix << found.shift if found.shift >= 0 else matrix >> -found.shift


def same(a: cs.Network, b: cs.Network) -> None:
    assert list(a.populations) == list(b.populations)
    for name, p in a.populations.items():
        q = b.populations[name]
        assert type(p.model) is type(q.model) and p.shape == q.shape, name
        if not p.model.is_input:
            for register in ("du", "dv", "vth", "refractory", "vmin", "vmax", "u", "v"):
                np.testing.assert_array_equal(p.model.per_neuron(register), q.model.per_neuron(register), err_msg=name)
            bias = [m.per_neuron("bias_mant") << m.per_neuron("bias_exp") for m in (p.model, q.model)]
            np.testing.assert_array_equal(*bias, err_msg=name)
    assert list(a.projections) == list(b.projections)
    for name, p in a.projections.items():
        s, t = p.synapses, b.projections[name].synapses
        np.testing.assert_array_equal(acting(s), acting(t), err_msg=name)
        if isinstance(s, Conv):
            for k in ("input_shape", "stride", "padding", "dilation", "groups", "channels"):
                assert getattr(s, k) == getattr(t, k), (name, k)
        else:
            np.testing.assert_array_equal(np.broadcast_to(s.delays, s.shape), np.broadcast_to(t.delays, s.shape))


@pytest.mark.parametrize("name", NETWORKS)
def test_round_trip(name, tmp_path) -> None:
    net = NETWORKS[name]()
    same(net, from_netx(write_netx(net, tmp_path / "a.net")))
    write_netx(cs.compile(net, "unlimited"), tmp_path / "b.net")
    write_netx(from_netx(tmp_path / "a.net"), tmp_path / "c.net")

    def content(path):
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda k, v: found.__setitem__(k, v[()]) if isinstance(v, h5py.Dataset) else None)
        return found

    first = content(tmp_path / "a.net")
    for other in ("b.net", "c.net"):
        again = content(tmp_path / other)
        assert first.keys() == again.keys()
        for key, value in first.items():
            np.testing.assert_array_equal(value, again[key], err_msg=f"{other} {key}")


def test_a_run_before_and_after(tmp_path) -> None:
    for make in NETWORKS.values():
        net = make()
        back = from_netx(write_netx(net, tmp_path / "a.net"))
        shape = net.populations["input"].shape
        spikes = {"input": np.random.default_rng(3).random((90, *shape)) < 0.3}
        last = list(net.populations)[-1]
        runs = [cs.Emulator(cs.compile(n, "unlimited")).run(spikes, 90, record={last: ["v"]}) for n in (net, back)]
        assert runs[0].spikes[last].any()
        np.testing.assert_array_equal(runs[0].trace[last]["v"], runs[1].trace[last]["v"])


def test_conv_is_a_correlation_of_the_file_weights(tmp_path) -> None:
    """Against four loops over the file's own arrays (channels, height, width)."""
    rng = np.random.default_rng(2)
    weight = rng.integers(-9, 10, (2, 3, 2, 3))
    neuron = NEURON | {"iDecay": 4096, "vThMant": 131071}
    conv = {"type": b"conv", "shape": [2, 3, 2], "weight": weight[..., None], "stride": [2, 1], "padding": [1, 0],
            "dilation": [1, 2], "groups": 1, "bias": [3, -4], "neuron": neuron}  # fmt: skip
    net = from_netx(file_of(tmp_path / "c.net", {"type": b"input", "shape": [3, 4, 6]}, conv))
    image = rng.integers(0, 2, (3, 4, 6))
    spikes = np.zeros((2, 3, 4, 6), int)
    spikes[0] = image
    u = cs.Emulator(cs.compile(net, "unlimited")).run({"input": spikes}, 2, record={"layer1": ["u"]})
    padded = np.pad(image, ((0, 0), (1, 1), (0, 0)))
    expected = np.zeros((2, 3, 2), int)
    for o, y, x, c, i, j in np.ndindex(2, 3, 2, 3, 2, 3):
        if 2 * y + i < 6 and x + 2 * j < 6:
            expected[o, y, x] += weight[o, c, i, j] * padded[c, 2 * y + i, x + 2 * j]
    np.testing.assert_array_equal(u.trace["layer1"]["u"][1].reshape(2, 3, 2), expected << 6)
    bias = net.populations["layer1"].model.per_neuron("bias_mant").reshape(2, 6)
    np.testing.assert_array_equal(bias, [[3] * 6, [-4] * 6])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-256, 255), min_size=1, max_size=8))
def test_weights_act_as_they_stand_in_the_file_or_are_refused(values) -> None:
    from chipsim.mappings.formats.netx.reader import synapses

    weight = np.array([values])
    try:
        np.testing.assert_array_equal(acting(synapses(weight, 0, "weight")), weight)
    except cs.FileError:
        low, high = weight.min(), weight.max()
        assert (low < 0 < high and np.any(weight % 2) and max(-low, high) > 127) or (high <= 0 and low < -255)


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (3, np.full((2, 3), 3)),
        ([1, 70], [[1] * 3, [62] * 3]),
        ([1, 2, 3], [[1, 2, 3]] * 2),
        (np.eye(2, 3), np.eye(2, 3)),
    ],
)
def test_delays_as_netx_spreads_them(delay, expected, tmp_path) -> None:
    net = from_netx(file_of(tmp_path / "d.net", dense(np.ones((2, 3)), delay=delay)))
    s = net.projections["input->layer0"].synapses
    np.testing.assert_array_equal(np.broadcast_to(s.delays, (2, 3)), expected)
    notes = net.metadata["netx"]["notes"]
    assert (notes == ["layer 0 (dense): delays up to 70 steps are cut at 62, as NetX does"]) == (np.max(delay) > 62)


def test_notes_say_what_is_ignored(tmp_path) -> None:
    odd = NEURON | {"refDelay": 3, "gradedSpike": True, "vThMant": 2**18 - 1}
    first = {"type": b"input", "shape": [3], "neuron": NEURON}
    path = file_of(tmp_path / "n.net", first, dense(np.ones((2, 3)), neuron=odd))
    net = from_netx(path)
    notes = " ".join(net.metadata["netx"]["notes"])
    for word in ("refDelay 3 is ignored", "gradedSpike is ignored", "vThMant 262143", "one step later"):
        assert word in notes
    assert [p.model.is_input for p in net.populations.values()] == [True, False, False]
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 0 and "1 dense: 2; weight 2x3" in done.output and "refDelay 3 is ignored" in done.output
    done = CliRunner().invoke(app, ["map", str(path), "--chip", "unlimited", "-o", str(tmp_path / "p.h5")])
    assert done.exit_code == 0 and "note: layer 1 (dense): refDelay 3 is ignored" in done.output


BAD = {
    "pool": ({"type": b"pool"}, r"layer 1 \(pool\).*NetX does not implement"),
    "average": ({"type": b"average", "shape": [1]}, r"layer 1 \(average\)"),
    "unknown": ({"type": b"gru"}, r"layer 1 \(gru\).*no type of NetX"),
    "sdnn": (dense(np.ones((2, 3)), neuron=NEURON | {"type": b"SDNN"}), "SDNN neurons"),
    "rf": (dense(np.ones((2, 3)), neuron=NEURON | {"type": b"RF_PHASE"}), "RF_PHASE neurons"),
    "no neuron": ({"type": b"dense", "shape": [2], "weight": np.ones((2, 3))}, "has no neuron"),
    "no weight": ({"type": b"dense", "shape": [2], "neuron": NEURON}, "has no weight"),
    "no decay": (dense(np.ones((2, 3)), neuron={"type": b"CUBA", "iDecay": 1, "vThMant": 3}), "has no neuron/vDecay"),
    "shape": (dense(np.ones((2, 4))), r"weight has shape \(2, 4\); the layer before has 3"),
    "rows": (dense(np.ones((2, 3)), shape=[5]), "the layer has 5 neurons"),
    "fractions": (dense(np.full((2, 3), 0.5)), "holds fractions"),
    "nan": (dense(np.full((2, 3), np.nan)), "NaN"),
    "text": (dense(np.ones((2, 3)), bias=b"much"), "bias holds .*, not numbers"),
    "too large": (dense(np.full((2, 3), 300)), "spans 300..300"),
    "odd": (dense([[201, -3, 0]]), "odd 201"),
    "bias": (dense(np.ones((2, 3)), bias=[1, 2, 3]), r"bias has shape \(3,\)"),
    "bias range": (dense(np.ones((2, 3)), bias=[9000, 2]), "beyond 4095"),
    "delay shape": (dense(np.ones((2, 3)), delay=np.ones(7)), r"delay has shape \(7,\)"),
    "delay sign": (dense(np.ones((2, 3)), delay=-1), "negative"),
    "du": (dense(np.ones((2, 3)), neuron=NEURON | {"iDecay": 9999}), "du=9998"),
    "complex": (dense(np.ones((2, 3))) | {"weight": {"real": np.ones(2)}}, "complex"),
    "huge shape": (dense(np.ones((2, 3)), shape=[2**40]), "declares 1099511627776 neurons"),
    "loop delays": (
        dense(np.ones((2, 3)), type=b"dense_rec", weight_rec=np.ones((2, 2)), delay=np.full(2, 4)),
        "loses its weights' exponent",
    ),
    "messages": (dense(np.ones((2, 3)), neuron=NEURON | {"messageBits": 8}), "graded spikes of 8 bits"),
}


@pytest.mark.parametrize("name", BAD)
def test_refusals_name_file_and_layer(name, tmp_path) -> None:
    layer, said = BAD[name]
    path = file_of(tmp_path / "bad.net", {"type": b"input", "shape": [3]}, layer)
    with pytest.raises(cs.FileError, match=said) as caught:
        from_netx(path)
    assert str(caught.value).startswith(f"{path}: layer 1")


def test_hostile_and_damaged_files(tmp_path) -> None:
    path = tmp_path / "h.net"
    good = file_of(tmp_path / "good.net", dense(np.ones((2, 3)))).read_bytes()
    for size in range(0, len(good), 211):
        path.write_bytes(good[:size])
        with pytest.raises(cs.FileError, match=r"h\.net"):
            from_netx(path)
    with h5py.File(path, "w") as file:
        put(file.create_group("layer/0"), {"type": b"dense", "shape": [2], "neuron": NEURON})
        file.create_dataset("layer/0/weight", (2**20, 2**20), "i1", chunks=(1024, 1024))
    with pytest.raises(cs.FileError, match=r"layer 0 \(dense\).*declares 1099511627776 bytes"):
        from_netx(path)
    with h5py.File(path, "w") as file:
        put(file.create_group("layer/0"), {"type": b"dense", "shape": [2]})
        file["layer/0/weight"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(cs.FileError, match="link to elsewhere"):
        from_netx(path)
    with h5py.File(path, "w") as file:
        put(file.create_group("layer/1"), dense(np.ones((2, 3))))
    with pytest.raises(cs.FileError, match="layer 0: is missing"):
        from_netx(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(cs.FileError, match="no NetX network"):
        from_netx(path)


def chain(**changed) -> cs.Network:
    net = cs.Network("chain")
    net.add("input", cs.SpikeSource(3))
    net.add("a", cs.loihi.LIF(2, **({"vth": 5} | changed)))
    return net


def connected(synapses, **changed) -> cs.Network:
    net = chain(**changed)
    net.connect("input", "a", synapses)
    return net


ONE = cs.loihi.Synapses(np.ones((2, 3), int))


def branch() -> cs.Network:
    net = connected(ONE)
    net.add("b", cs.loihi.LIF(2))
    net.connect("input", "b", ONE)
    return net


REFUSED = {
    "per neuron": (lambda: connected(ONE, vth=[5, 6]), "one vth, here are 5..6"),
    "bias": (lambda: connected(ONE, bias_mant=[5, 6]), "no multiple of 64"),
    "start": (lambda: connected(ONE, v=3), "no start values"),
    "refractory": (lambda: connected(ONE, refractory=2), "no refractory"),
    "exponent": (lambda: connected(cs.loihi.Synapses(np.ones((2, 3), int), exponent=-1)), "cuts bits of a sum"),
    "range": (lambda: connected(cs.loihi.Synapses(np.full((2, 3), 200), exponent=1)), "spans 400..400"),
    "zero": (lambda: connected(cs.loihi.Synapses(np.zeros((2, 3), int))), "all weights are zero"),
    "delay": (lambda: connected(cs.loihi.Synapses(np.ones((2, 3), int), delays=63)), "exceeds the 62"),
    "branch": (branch, "NetX runs chains"),
    "alone": (chain, "no layer behind its input"),
    "ideal": (lambda: cs.Network("empty"), "0 spike sources"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_writer_refuses_and_leaves_nothing(name, tmp_path) -> None:
    make, said = REFUSED[name]
    with pytest.raises(cs.CompileError, match=said):
        write_netx(make(), tmp_path / "x.net")
    assert not list(tmp_path.iterdir())


def test_command_line_there_and_back(tmp_path) -> None:
    def call(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments])

    write_netx(recurrent(), tmp_path / "m.net")
    assert call("convert", tmp_path / "m.net", "--chip", "unlimited", "-o", tmp_path / "p.h5").exit_code == 0
    assert call("convert", tmp_path / "p.h5", "-o", tmp_path / "again.net").exit_code == 0
    same(from_netx(tmp_path / "m.net"), from_netx(tmp_path / "again.net"))
    assert call("convert", tmp_path / "m.net", "-o", tmp_path / "n.h5").exit_code == 0
    assert call("convert", tmp_path / "n.h5", "--chip", "unlimited", "-o", tmp_path / "lava.py").exit_code == 0
    assert "RingBuffer" in (tmp_path / "lava.py").read_text()
