"""NIR in and out: every node type against plain NumPy, repairs, refusals, the way to a chip and back."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import h5py
import nir
import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.nir import nodes as nir_nodes
from chipsim.mappings.formats.nir.nodes import untyped_graph
from chipsim.mappings.formats.nir.onto_chip import compile_nir, describe
from chipsim.mappings.formats.nir.reader import aligned, from_nir, padded
from chipsim.mappings.formats.nir.writer import to_nir
from chipsim.mappings.network.idealise import idealise
from chipsim.mappings.studies.agreement import agreement, as_text, predicted, warnings
from tests.oracles.naive_nir import Euler, Late, conv

DT = 1e-3
GOLDEN = Path(__file__).parent.parent / "golden" / "nir"
EULER = {"dt": DT, "scheme": "norse_import", "reset": "zero"}


needs_cubali = pytest.mark.skipif(not hasattr(nir, "CubaLI"), reason="needs nir>=1.0.5")


def lif(shape, tau=5e-3, threshold=0.5):
    one = np.ones(shape)
    return nir.LIF(tau * one, 1.0 * one, 0.0 * one, threshold * one, 0.0 * one)


def graph(edges, **nodes):
    named = {k.replace("_", "."): v for k, v in nodes.items()}
    return untyped_graph(named, edges)


def chain(*nodes, shape, out=(3,)):
    names = ["input", *(f"n{k}" for k in range(len(nodes))), "output"]
    made = {"input": nir.Input(np.array(shape)), **dict(zip(names[1:-1], nodes)), "output": nir.Output(np.array(out))}
    return untyped_graph(made, list(pairwise(names)))


def played(net, x):
    given, steps = padded(net, {"input": x})
    return aligned(net, cs.Emulator(cs.compile(net, "float")).run(given, steps))


def spikes(shape, steps=60, rate=0.3, seed=0):
    return (np.random.default_rng(seed).random((steps, *shape)) < rate).astype(float)


def random(*shape, seed=1):
    return np.random.default_rng(seed).normal(0, 0.6, shape)


# ------------------------------------------------------------------------------------------- stateless nodes


def test_chain_of_linear_nodes_is_one_map():
    w1, w2, scale = random(4, 6), random(3, 4, seed=2), random(4, seed=3)
    b1, b2 = random(4, seed=4), random(3, seed=5)
    g = chain(nir.Affine(w1, b1), nir.Scale(scale), nir.Affine(w2, b2), lif((3,)), shape=(6,))
    net, x, neuron = from_nir(g, **EULER), spikes((6,)), Euler((3,), DT, 5e-3, 0.5)
    assert len(net.projections) == 1
    want = [neuron(w2 @ (scale * (w1 @ row + b1)) + b2) for row in x]
    np.testing.assert_array_equal(played(net, x)["n3"], want)


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"stride": (2, 1), "padding": (1, 0)},
        {"dilation": (1, 2), "groups": 2},
        pytest.param({"padding": "same"}, marks=needs_cubali),  # 1.0.4 cannot compute its shape either
        {"padding": "valid", "stride": (2, 2)},
    ],
)
def test_conv2d_pools_and_flatten(geometry):
    groups = geometry.get("groups", 1)
    weight, bias = random(4, 2 // groups, 3, 3), random(4, seed=6)
    padding = {"same": (1, 1), "valid": (0, 0)}.get(geometry.get("padding"), geometry.get("padding", (0, 0)))
    numeric = {k: v for k, v in geometry.items() if k not in ("groups", "padding")}
    x = spikes((2, 8, 8))
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **geometry}
    first = conv(x[0], weight, padding=padding, groups=groups, **numeric)
    pooled = first.shape[1] // 2, first.shape[2] // 2
    dense = random(3, 4 * pooled[0] * pooled[1], seed=7)
    g = chain(
        nir.Conv2d((8, 8), weight, bias=bias, **given), lif(first.shape),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0])),
        nir.Flatten({"input": np.array([4, *pooled])}, 0, -1), nir.Linear(dense), lif((3,)), shape=(2, 8, 8),
    )  # fmt: skip
    hidden, out = Euler(first.shape, DT, 5e-3, 0.5), Euler((3,), DT, 5e-3, 0.5)
    want = []
    for frame in x:
        z = hidden(conv(frame, weight, padding=padding, groups=groups, **numeric) + bias[:, None, None])
        mean = z[:, : 2 * pooled[0], : 2 * pooled[1]].reshape(4, pooled[0], 2, pooled[1], 2).mean(axis=(2, 4))
        want.append(out(dense @ mean.ravel()))
    np.testing.assert_array_equal(played(from_nir(g, **EULER), x)["n6"], want)


def test_conv1d():
    weight, bias = random(3, 2, 3), random(3, seed=8)
    g = chain(nir.Conv1d(9, weight, 2, 1, 1, 1, bias), lif((3, 5)), shape=(2, 9), out=(3, 5))
    x, neuron = spikes((2, 9)), Euler((3, 5), DT, 5e-3, 0.5)
    want = [neuron(conv(f[:, None], weight[:, :, None], (1, 2), (0, 1))[:, 0] + bias[:, None]) for f in x]
    np.testing.assert_array_equal(played(from_nir(g, **EULER), x)["n1"], want)


def test_delays_before_and_after_weights():
    """Before the weights a delay belongs to the source; after a bias it needs a relay, which starts on time."""
    before, after = np.array([0, 2, 5, 1]) * DT, np.array([3, 0, 4]) * DT
    w, b = random(3, 4), np.array([0.4, -0.2, 0.3])
    g = chain(nir.Delay(before), nir.Affine(w, b), nir.Delay(after), lif((3,)), shape=(4,))
    x = spikes((4,))
    first, second, neuron = Late([0, 2, 5, 1]), Late([3, 0, 4]), Euler((3,), DT, 5e-3, 0.5)
    want = [neuron(second(w @ first(row) + b)) for row in x]
    np.testing.assert_array_equal(played(from_nir(g, **EULER), x)["n3"], want)


# ---------------------------------------------------------------------------------------- stateful nodes


def test_skip_connection_arrives_in_the_same_step():
    w1, w2, w3 = random(5, 4), random(3, 5, seed=2), random(3, 4, seed=3)
    nodes = {
        "input": nir.Input(np.array([4])), "a": nir.Linear(w1), "h": lif((5,)), "b": nir.Linear(w2),
        "skip": nir.Linear(w3), "o": lif((3,)), "output": nir.Output(np.array([3])),
    }  # fmt: skip
    edges = [("input", "a"), ("a", "h"), ("h", "b"), ("b", "o"), ("input", "skip"), ("skip", "o"), ("o", "output")]
    net, x = from_nir(untyped_graph(nodes, edges), **EULER), spikes((4,))
    hidden, out = Euler((5,), DT, 5e-3, 0.5), Euler((3,), DT, 5e-3, 0.5)
    np.testing.assert_array_equal(played(net, x)["output"], [out(w2 @ hidden(w1 @ r) + w3 @ r) for r in x])


def test_nested_recurrent_graph():
    """A graph inside, with a recurrent Affine: one step of delay, its bias from the first step on."""
    w, rec, bias = random(4, 3), random(4, 4, seed=2), random(4, seed=3)
    inner = untyped_graph(
        {
            "in": nir.Input(np.array([4])),
            "lif": lif((4,)),
            "w_rec": nir.Affine(rec, bias),
            "out": nir.Output(np.array([4])),
        },
        [("in", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "out")],
    )
    g = chain(nir.Linear(w), inner, shape=(3,), out=(4,))
    x, neuron, last, want = spikes((3,)), Euler((4,), DT, 5e-3, 0.5), np.zeros(4), []
    for row in x:
        last = neuron(w @ row + rec @ last + bias)
        want.append(last)
    got = played(from_nir(g, **EULER), x)
    np.testing.assert_array_equal(got["n1.lif"], want)
    np.testing.assert_array_equal(got["output"], want)


def test_readouts_send_values():
    one = np.ones(3)
    w = random(3, 4)
    li = nir.LI(5e-3 * one, one, 0 * one)
    x = spikes((4,))
    v, want = np.zeros(3), []
    for row in x:
        v += DT / 5e-3 * (-v + w @ row)
        want.append(v.copy())
    np.testing.assert_allclose(
        played(from_nir(chain(nir.Linear(w), li, shape=(4,)), **EULER), x)["output"], want, atol=1e-12
    )
    plain = chain(lif((4,)), nir.Linear(w), shape=(4,))
    net = from_nir(plain, **EULER)
    got = played(net, x)
    np.testing.assert_allclose(got["output"], got["n0"] @ w.T, atol=1e-12)


@needs_cubali
def test_readouts_with_a_current_send_values():
    one, w, x = np.ones(3), random(3, 4), spikes((4,))
    cuba = nir.CubaLI(4e-3 * one, 5e-3 * one, one, 0 * one, 2 * one)
    i, v, want = np.zeros(3), np.zeros(3), []
    for row in x:
        i += DT / 4e-3 * (-i + 2 * (w @ row))
        v += DT / 5e-3 * (-v + i)
        want.append(v.copy())
    got = played(from_nir(chain(nir.Linear(w), cuba, shape=(4,)), **EULER), x)["output"]
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_integrator_and_threshold():
    g = chain(nir.I(2 * np.ones(4)), nir.Threshold(1.5 * np.ones(4)), shape=(4,), out=(4,))
    x = spikes((4,))
    np.testing.assert_array_equal(played(from_nir(g, **EULER), x)["output"], np.cumsum(2 * x, axis=0) > 1.5)


@pytest.mark.parametrize("kind", ["LIF", pytest.param("CubaLIF", marks=needs_cubali)])
def test_exact_scheme_is_the_limit_of_small_steps(kind):
    """A thousand Euler steps within each step come to the same potential."""
    tau, tau_syn, fine = 7e-3, 3e-3, 1000
    one = np.ones(1)
    node = (
        nir.LI(tau * one, 1.5 * one, 0.2 * one)
        if kind == "LIF"
        else nir.CubaLI(tau_syn * one, tau * one, 1.5 * one, 0.2 * one, 2 * one)
    )
    x = spikes((1,), steps=20)
    v, i, want = 0.0, 0.0, []
    for value in x[:, 0]:
        for _ in range(fine):
            drive = value
            if kind == "CubaLIF":
                i += DT / fine / tau_syn * (-i + 2 * value)
                drive = i
            v += DT / fine / tau * (0.2 - v + 1.5 * drive)
        want.append(v)
    got = played(from_nir(chain(node, shape=(1,), out=(1,)), dt=DT, scheme="exact"), x)["output"]
    np.testing.assert_allclose(got[:, 0], want, rtol=2e-3)


# ------------------------------------------------------------------------------------ repairs and refusals


def test_repairs_are_told():
    one = nir.LIF(np.array(5e-3), np.array(1.0), np.array(0.0), np.array(0.5), np.array(0.0))
    g = chain(nir.Linear(random(3, 4)), one, shape=(1, 4))
    net = from_nir(g, **EULER)
    notes = " ".join(net.metadata["nir"]["notes"])
    assert "one tau for all" in notes and "batch axis" in notes
    assert net.population("n1").n == 3


def refused(match, g, **options):
    with pytest.raises(cs.ChipsimError, match=match):
        from_nir(g, **(EULER | options))


def test_refusals_name_the_node():
    w = random(3, 4)
    good = chain(nir.Linear(w), lif((3,)), shape=(4,))
    refused("does not say dt and scheme", good, dt=None, scheme=None)
    refused("scheme 'brian' is not one of", good, scheme="brian")
    refused("not a positive number", good, dt=-1.0)
    refused("'n1' .LIF.: tau=0.005 is below dt", good, dt=1.0)
    refused("'n0' .Linear. takes 4 values, but", chain(nir.Linear(w), lif((3,)), shape=(5,)))
    refused("'n1' .LIF.: tau has shape .2,.", chain(nir.Linear(w), lif((2,)), shape=(4,)))
    refused("node 'n1' is None", graph_with(good, "n1", None))
    refused("has type 'Sparkle'", graph_with(good, "n1", type("Sparkle", (nir.LIF,), {})(*[np.ones(3)] * 5)))
    refused("no neuron in it", loop_without_neuron())
    refused("no Input node", untyped_graph({"o": nir.Output(np.array([3]))}, []))
    refused("no neurons", chain(nir.Linear(w), shape=(4,)))
    refused(
        "there is no node 'gone'",
        untyped_graph(good.nodes, [*good.edges, ("gone", "n1"), ("n0", "away")]),
    )
    refused("holds NaN", chain(nir.Linear(w * np.nan), lif((3,)), shape=(4,)))
    refused("shape .1000000000000,.", chain(nir.Linear(w), lif((3,)), shape=(10**12,)))
    refused(
        "takes .channels, height, width.",
        chain(nir.Conv2d(None, random(2, 1, 3, 3), 1, 0, 1, 1, np.zeros(2)), lif((2,)), shape=(4,)),
    )
    refused("delay of 100 steps", chain(nir.Delay(0.1 * np.ones(4)), nir.Linear(w), lif((3,)), shape=(4,)))
    refused("was recurrent, but", good, recurrent=["n1"])


def graph_with(g, name, node):
    return SimpleNamespace(nodes={**g.nodes, name: node}, edges=g.edges, metadata={})


def loop_without_neuron():
    w = np.eye(3)
    nodes = {
        "input": nir.Input(np.array([3])),
        "a": nir.Linear(w),
        "b": nir.Linear(w),
        "n": lif((3,)),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "n"), ("n", "output")]
    return untyped_graph(nodes, edges)


def test_damaged_and_hostile_files(tmp_path):
    good = tmp_path / "good.nir"
    nir.write(good, chain(nir.Linear(random(30, 40)), lif((30,)), shape=(40,), out=(30,)))
    data = good.read_bytes()
    for cut in (0, 4, 100, len(data) // 2, len(data) - 8):
        bad = tmp_path / "cut.nir"
        bad.write_bytes(data[:cut])
        with pytest.raises(cs.FileError, match=r"cut\.nir"):
            from_nir(bad, **EULER)
    with h5py.File(good, "r+") as file:
        del file["node/nodes/n0/weight"]
        file["node/nodes/n0"].create_dataset("weight", (10**6, 10**6), "f8", chunks=(1000, 1000), compression="gzip")
    with pytest.raises(cs.FileError, match="declares 8000000000000 bytes"):
        from_nir(good, **EULER)
    with pytest.raises(cs.FileError, match="no such file"):
        from_nir(tmp_path / "none.nir", **EULER)


def test_same_flow_with_other_node_order():
    """The order of nodes and edges in a file means nothing."""
    w = random(3, 4)
    a = chain(nir.Linear(w), lif((3,)), shape=(4,))
    b = untyped_graph(dict(reversed(a.nodes.items())), list(reversed(a.edges)))
    x = spikes((4,))
    np.testing.assert_array_equal(played(from_nir(a, **EULER), x)["n1"], played(from_nir(b, **EULER), x)["n1"])


# --------------------------------------------------------------------------------------------- out and back


@pytest.mark.parametrize("folder", sorted(f.parent.name for f in GOLDEN.glob("*/model.nir")))
def test_out_and_back(folder, tmp_path):
    from tests.conformance.test_nir import options

    net = from_nir(GOLDEN / folder / "model.nir", **options(GOLDEN / folder))
    to_nir(net, tmp_path / "out.nir")
    nir.read(tmp_path / "out.nir")  # the library's own type check
    back = from_nir(tmp_path / "out.nir")
    for key in ("scheme", "dt", "reset", "reset_delay", "spike_fn", "min_v_mem"):
        assert back.metadata["nir"][key] == net.metadata["nir"][key], key
    with np.load(GOLDEN / folder / "run.npz") as run:
        x = run["input"]
    first, second = played(net, x), played(back, x)
    for name in net.metadata["nir"]["outputs"]:
        assert np.abs(first[name] * 1.0 - second[name].reshape(first[name].shape)).max() < 1e-9


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_ideal_network_out(tmp_path, reset):
    """Ideal neurons keep their recurrence; the layer behind comes one step earlier than on a chip."""
    net = cs.Network("ideal")
    x = net.add("input", cs.SpikeSource(8))
    h = net.add("h", cs.LIF(6, tau_mem=10e-3, tau_syn=4e-3, threshold=0.05, reset=reset))
    o = net.add("o", cs.IF(3, threshold=1.0, reset=reset))
    net.connect(x, h, random(6, 8) + 0.3)
    net.connect(h, o, random(3, 6, seed=2))
    net.connect(x, o, random(3, 8, seed=3), delay=4)
    to_nir(net, tmp_path / "ideal.nir", dt=DT)
    back = from_nir(tmp_path / "ideal.nir")
    rows = spikes((8,))
    own = cs.Emulator(cs.compile(net, "float", dt=DT)).run({"input": np.pad(rows, ((0, 2), (0, 0))).astype(int)})
    got = played(back, rows)
    assert got["h"].any() and got["o"].any()
    np.testing.assert_array_equal(got["h"], own.spikes["h"][1:61])
    np.testing.assert_array_equal(got["o"], own.spikes["o"][2:62])


def test_program_out(tmp_path):
    """The integers' float meaning spikes as the integers do (no bias: decays cut toward zero are all that differs)."""
    w1, w2 = random(12, 10) + 0.1, random(4, 12, seed=2)
    g = chain(
        nir.Linear(w1),
        nir.IF(np.ones(12), np.ones(12), np.zeros(12)),
        nir.Linear(w2),
        nir.IF(np.ones(4), np.ones(4), np.zeros(4)),
        shape=(10,),
        out=(4,),
    )
    program = compile_nir(g, "loihi", **EULER)
    to_nir(program, tmp_path / "program.nir")
    back, x = from_nir(tmp_path / "program.nir"), spikes((10,))
    given, steps = padded(back, {"input": x})
    chip = aligned(back, cs.Emulator(program).run(given, steps))
    floats = played(back, x)
    assert chip["n1"].any() and chip["n3"].any()
    for name in ("n1", "n3"):
        np.testing.assert_array_equal(chip[name], floats[name])


def test_writing_fails_whole(tmp_path):
    net = cs.Network()
    x, a = net.add("x", cs.SpikeSource(2)), net.add("a", cs.LIF(3, refractory=5e-3))
    net.connect(x, a, np.ones((3, 2)))
    with pytest.raises(cs.NetworkError, match="refractory"):
        to_nir(net, tmp_path / "no.nir")
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------------------------------------- to a chip


def test_quantised_agrees_and_says_what_it_changed():
    folder = GOLDEN / "snntorch_rec_rleaky_one"
    with np.load(folder / "run.npz") as run:
        x = run["input"]
    options = {"dt": 1e-4, "scheme": "snntorch", "reset": "subtract", "reset_delay": False}
    net = from_nir(folder / "model.nir", **options)
    program = compile_nir(folder / "model.nir", "loihi", **options, quantise={"compartments": 1})
    assert any("reset 'zero' instead of 'subtract'" in n for n in program.stages["nir"]["notes"])
    soft = compile_nir(folder / "model.nir", "loihi", **options)
    assert any("takes a second compartment" in n for n in soft.stages["nir"]["notes"])
    given, steps = padded(net, {"input": x})
    layers = agreement(played(net, x), aligned(net, cs.Emulator(program).run(given, steps)), ["1.lif", "3"])
    assert min(layer.rate_correlation for layer in layers) > 0.98
    assert "1.lif" in as_text(layers) and warnings(layers) == []


def test_zero_reset_keeps_classes():
    """Random inputs through a Norse network: floats and the 8-bit chip choose the same class."""
    folder = GOLDEN / "norse_ff_lif_li_readout"
    net = from_nir(folder / "model.nir", dt=1e-3, scheme="norse_box", reset="zero")
    program = compile_nir(folder / "model.nir", "loihi", dt=1e-3, scheme="norse_box", reset="zero")
    floats, chip = cs.Emulator(cs.compile(net, "float")), cs.Emulator(program)
    first, second = [], []
    for seed in range(20):
        given, steps = padded(net, {"input": spikes((16,), 150, 0.25, seed)})
        floats.reset(), chip.reset()
        first.append(aligned(net, floats.run(given, steps))["output"])
        second.append(aligned(net, chip.run(given, steps, record={"3": ["v"]}), "v")["3"])
    assert np.mean(predicted(first) == predicted(second)) >= 0.95


def test_agreement_by_hand():
    a = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 1, 0]])
    b = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1], [0, 0, 0]])
    (layer,) = agreement({"x": a}, {"x": b})
    assert layer.silenced == 1 and layer.raster_similarity == pytest.approx(4 / np.sqrt(6 * 4))
    assert "1 of 3 neurons never spike" in warnings([layer])[0]


def test_idealise_refuses_what_has_no_decay():
    net = from_nir(chain(nir.Threshold(np.ones(4)), shape=(4,), out=(4,)), **EULER)
    with pytest.raises(cs.NetworkError, match=r"'n0'.*no ideal"):
        idealise(net, DT)


def test_describe():
    text = describe(GOLDEN / "norse_conv_lif" / "model.nir")
    assert "Conv2d" in text and "tau: (4, 4, 4) 0.01 s" in text and "does not say dt and scheme" in text


def test_describe_follows_the_flow_and_says_what_is_wrong(tmp_path):
    """Nodes from input to output with their shapes; what would be repaired, what cannot run; units of the file."""
    w = random(3, 4)
    nodes = {"z": nir.Output(np.array([3])), "b": nir.Linear(w), "a": lif((3,)), "input": nir.Input(np.array([1, 4]))}
    edges = [("input", "b"), ("b", "a"), ("a", "z")]
    lines = describe(untyped_graph(nodes, edges)).splitlines()
    heads = [line.strip() for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert heads[:4] == ["input: Input", "b: Linear -> (3,)", "a: LIF -> (3,)", "z: Output -> (3,)"]
    text = "\n".join(lines)
    assert "tau: 0.005, 0.005, 0.005 s" in text and "shortest time constant 0.005 s" in text
    assert "would be repaired: node 'input': batch axis" in text and "cannot be run" not in text
    bad = describe(untyped_graph(nodes | {"b": nir.Linear(random(3, 5))}, [*edges, ("a", "gone")]))
    assert "(there is no node 'gone')" in bad and "cannot be run: edge 'a' -> 'gone'" in bad


def test_layers_may_reset_in_their_own_ways(tmp_path):
    """A node's metadata goes before the graph's, in files as well, and is written back."""
    w1, w2 = 3 * random(5, 4) + 1, 3 * random(3, 5, seed=2) + 2
    last = lif((3,))
    last.metadata = {"reset": "subtract"}
    g, x = chain(nir.Linear(w1), lif((5,)), nir.Linear(w2), last, shape=(4,)), spikes((4,))
    nir.write(tmp_path / "mixed.nir", g)
    net = from_nir(tmp_path / "mixed.nir", **EULER)
    hidden, v, want = Euler((5,), DT, 5e-3, 0.5), np.zeros(3), []
    for row in x:
        v += DT / 5e-3 * (-v + w2 @ hidden(w1 @ row))
        want.append(v > 0.5)
        v -= 0.5 * want[-1]
    assert np.any(want)
    np.testing.assert_array_equal(played(net, x)["n3"], want)
    to_nir(net, tmp_path / "out.nir")
    back = from_nir(tmp_path / "out.nir")
    assert nir.read(tmp_path / "out.nir").nodes["n1"].metadata == {}
    np.testing.assert_array_equal(played(back, x)["n3"], want)
    last.metadata = {"reset": "sometimes"}
    refused("node 'n3' .LIF.: its metadata: reset must be one of", g)


def test_what_an_older_library_cannot_say_is_refused(monkeypatch, tmp_path):
    """nir 1.0.4 has neither `v_reset` nor CubaLI: neurons that reset to 0 are written, others are refused."""
    old = SimpleNamespace(**{k: getattr(nir, k) for k in ("NIRGraph", "Input", "Output", "Linear", "Affine", "Scale")})
    for kind in ("LIF", "IF", "CubaLIF"):
        fields = [f for f in getattr(nir, kind).__dataclass_fields__ if f != "v_reset"]
        made = SimpleNamespace(__dataclass_fields__=dict.fromkeys(fields))
        setattr(old, kind, _without_reset(getattr(nir, kind), made.__dataclass_fields__))
    monkeypatch.setattr(nir_nodes, "library", lambda: old)
    for model in (cs.LIF(2), cs.IF(2), cs.LIF(2, tau_syn=5e-3)):
        net = cs.Network()
        net.add("x", cs.SpikeSource(2))
        net.add("a", model)
        net.connect("x", "a", np.eye(2))
        read = from_nir(to_nir(net, tmp_path / "old.nir"))
        assert read.n == 2
    lower = cs.floats.Unit(2, kept=0.9, input_gain=0.1, after_spike="value", reset_to=-0.2)
    for model, word in ((lower, "v_reset, its neurons"), (cs.LI(2, tau_syn=5e-3), "node CubaLI; install")):
        net = cs.Network()
        net.add("x", cs.SpikeSource(2))
        net.add("a", model)
        net.connect("x", "a", np.eye(2) if word[0] == "n" else cs.floats.Synapses(np.eye(2)))
        with pytest.raises(cs.NetworkError, match=f"population 'a': nir .* has no {word}"):
            to_nir(net, tmp_path / "old.nir")


def _without_reset(kind, fields):
    def made(**given):
        assert "v_reset" not in given
        return kind(**given, v_reset=np.zeros_like(given["v_threshold"])) if "v_reset" in kind_fields else kind(**given)

    kind_fields = kind.__dataclass_fields__
    made.__dataclass_fields__ = fields
    return made
