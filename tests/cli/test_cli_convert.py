"""chipsim convert, run and inspect on NIR graphs, through the command line itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import chipsim as cs
from chipsim.cli.app import app

MODEL = Path(__file__).parent.parent / "golden" / "nir" / "snntorch_rec_rleaky_one"
SCHEME = ["--dt", "1e-4", "--scheme", "snntorch", "--reset", "subtract", "--no-reset-delay"]


def called(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_convert_to_network_program_script_and_back(tmp_path):
    from chipsim.mappings.network.files import load_network

    assert called("convert", MODEL / "model.nir", *SCHEME, "-o", tmp_path / "net.h5").exit_code == 0
    net = load_network(tmp_path / "net.h5")
    assert net.metadata["nir"]["scheme"] == "snntorch" and net.metadata["nir"]["depth"]["3"] == 2
    assert called("convert", tmp_path / "net.h5", "-o", tmp_path / "again.nir").exit_code == 0
    one = ["--quantise", "compartments=1"]  # Lava has no reset by subtraction
    assert called("convert", tmp_path / "again.nir", "--chip", "loihi", *one, "-o", tmp_path / "p.h5").exit_code == 0
    program = cs.Program.load(tmp_path / "p.h5")
    assert program.stages["nir"]["reset_delay"] is False
    assert called("convert", tmp_path / "p.h5", "-o", tmp_path / "p.py").exit_code == 0
    assert "LIF(" in (tmp_path / "p.py").read_text()
    assert called("convert", tmp_path / "again.nir", "--chip", "loihi", "-o", tmp_path / "q.py").exit_code == 0
    assert called("convert", tmp_path / "again.nir", "--chip", "loihi", "-o", tmp_path / "q.h5").exit_code == 0
    soft = called("convert", tmp_path / "q.h5", "-o", tmp_path / "q2.py")
    assert "quantise={'compartments': 1}" in str(soft.exception)


def test_convert_for_the_importer_of_a_tool(tmp_path):
    import nir

    net = "import numpy as np, chipsim as cs\nnet = cs.Network('n')\nx, h = net.add('x', cs.SpikeSource(3)), "
    net += "net.add('h', cs.LIF(2, tau_mem=5e-3, threshold=0.5))\nnet.connect(x, h, np.ones((2, 3)))\n"
    (tmp_path / "net.py").write_text(net)
    for tool, tau in (("norse", 5.5e-3), ("snntorch", 5.5e-4)):  # Euler's time constant, in seconds and in snnTorch's
        assert called("convert", tmp_path / "net.py", "-o", tmp_path / "m.nir", "--tool", tool).exit_code == 0
        node = nir.read(tmp_path / "m.nir").nodes["h"]
        np.testing.assert_allclose(node.tau, tau, rtol=0.01)
        np.testing.assert_allclose(node.r, 1.0 if tool == "norse" else node.tau / 1e-4)
    assert "one of snntorch, norse" in str(
        called("convert", tmp_path / "net.py", "-o", tmp_path / "m.nir", "--tool", "lava").exception
    )
    assert "not of m.h5" in str(
        called("convert", tmp_path / "net.py", "-o", tmp_path / "m.h5", "--tool", "norse").exception
    )


def test_run_equals_the_recorded_run(tmp_path):
    with np.load(MODEL / "run.npz") as run:
        np.savez(tmp_path / "in.npz", input=np.pad(run["input"], ((0, 2), (0, 0))))
        expected = run["output"]
    done = called("run", MODEL / "model.nir", *SCHEME, "-i", tmp_path / "in.npz", "-o", tmp_path / "out")
    assert done.exit_code == 0
    np.testing.assert_array_equal(cs.Result.load(tmp_path / "out" / "result.h5").spikes["3"][2:], expected)


def test_inspect_says_what_is_missing():
    done = called("inspect", MODEL / "model.nir")
    assert done.exit_code == 0 and "1.w_rec: Linear" in done.output and "does not say dt and scheme" in done.output


def test_refusals_write_nothing(tmp_path):
    for arguments in (
        ["convert", MODEL / "model.nir", "-o", tmp_path / "x.h5"],
        ["convert", MODEL / "model.nir", *SCHEME, "-o", tmp_path / "x.txt"],
        ["convert", MODEL / "model.nir", *SCHEME, "-o", tmp_path / "x.py"],
        ["convert", tmp_path / "none.nir", *SCHEME, "-o", tmp_path / "x.h5"],
    ):
        assert isinstance(called(*arguments).exception, cs.ChipsimError), arguments
        assert not list(tmp_path.iterdir())


def samples(path, **more):
    with np.load(MODEL / "run.npz") as run:
        first = run["input"]
    other = (np.random.default_rng(0).random((2, *first.shape)) < first.mean()).astype(float)
    np.savez(path, input=np.concatenate([first[None], other]), **more)
    return path


def test_run_compares_with_floats(tmp_path):
    """One command says how far the chip agrees, layer by layer; the numbers are those of two runs by hand."""
    from chipsim.mappings.formats.nir.onto_chip import compile_nir
    from chipsim.mappings.formats.nir.reader import aligned, from_nir, padded
    from chipsim.mappings.studies.agreement import layer_agreement

    given = samples(tmp_path / "in.npz", labels=np.array([0, 1, 2]))
    options = [*SCHEME, "--chip", "loihi", "--quantise", "low_bits=8", "-i", given, "--compare-float"]
    options += ["-o", tmp_path / "out"]
    done = called("run", MODEL / "model.nir", *options, "--report", "--json")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)["against_floats"]
    assert found["samples"] == 3 and found["quantise"] == {"low_bits": 8}
    named = {"dt": 1e-4, "scheme": "snntorch", "reset": "subtract", "reset_delay": False}
    net = from_nir(MODEL / "model.nir", **named)
    program = compile_nir(MODEL / "model.nir", "loihi", quantise={"low_bits": 8}, **named)
    a, b, sums = [], [], []
    for x in np.load(given)["input"]:
        rows, steps = padded(net, {"input": x})
        both = [aligned(net, cs.Emulator(p).run(rows, steps)) for p in (cs.compile(net, "float"), program)]
        a.append(both[0]["1.lif"]), b.append(both[1]["1.lif"])
        sums.append([r["output"].sum(axis=0) for r in both])
    want = layer_agreement("1.lif", np.concatenate(a), np.concatenate(b))
    (layer,) = [x for x in found["layers"] if x["name"] == "1.lif"]
    assert layer["raster_similarity"] == pytest.approx(want.raster_similarity) and layer["silenced"] == want.silenced
    assert layer["rate_correlation"] == pytest.approx(want.rate_correlation)
    assert found["same"] == sum(f[c.argmax()] == f.max() for f, c in sums)
    assert found["accuracy_chip"] == pytest.approx(np.mean([c.argmax() == k for k, (_, c) in enumerate(sums)]))
    assert "same class as floats" in (tmp_path / "out" / "report.html").read_text()
    text = called("run", MODEL / "model.nir", *options, "--calibrate", "2").output
    assert "r of rates" in text and "same class (3)" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--quantise", "bitz=8"], "KEY one of method"),
        (["--quantise", "bits=9"], "bits=9"),
        (["--substeps", "4"], "sends one spike per step"),
        (["--compare-float"], "needs --input"),
        (["--compare-float", "-i", "samples.npz", "--calibrate", "2", "--quantise", "low_bits=1"], "low_bits=1"),
        (["--compare-float", "-i", "short.npz"], r"samples of 'input' have shape \(1, 3, 7\)"),
        (["--compare-float", "-i", "other.npz"], "the graph has no input 'other'"),
        (["--compare-float", "-i", "labels.npz"], r"labels have shape \(2,\)"),
    ],
)
def test_comparison_refuses(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples("samples.npz")
    np.savez("short.npz", input=np.zeros((3, 7)))
    np.savez("other.npz", other=np.zeros((3, 16)))
    samples("labels.npz", labels=np.array([1, 2]))
    done = called("run", MODEL / "model.nir", *SCHEME, "--chip", "loihi", *arguments, "-o", "out")
    assert isinstance(done.exception, cs.ChipsimError) and re.search(said, str(done.exception)), done.exception
    assert not (tmp_path / "out").exists()
