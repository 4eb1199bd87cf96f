"""chipsim convert, run and inspect on NIR graphs, through the command line itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import chipsim as cs
from chipsim.cli import app

MODEL = Path(__file__).parent / "golden" / "nir" / "snntorch_rec_rleaky_one"
SCHEME = ["--dt", "1e-4", "--scheme", "snntorch", "--reset", "subtract", "--no-reset-delay"]


def called(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_convert_to_network_program_script_and_back(tmp_path):
    from mappings.files import load_network

    assert called("convert", MODEL / "model.nir", *SCHEME, "-o", tmp_path / "net.h5").exit_code == 0
    net = load_network(tmp_path / "net.h5")
    assert net.metadata["nir"]["scheme"] == "snntorch" and net.metadata["nir"]["depth"]["3"] == 2
    assert called("convert", tmp_path / "net.h5", "-o", tmp_path / "again.nir").exit_code == 0
    assert called("convert", tmp_path / "again.nir", "--chip", "loihi", "-o", tmp_path / "p.h5").exit_code == 0
    program = cs.Program.load(tmp_path / "p.h5")
    assert program.stages["nir"]["reset_delay"] is False
    assert called("convert", tmp_path / "p.h5", "-o", tmp_path / "p.py").exit_code == 0
    assert "LIF(" in (tmp_path / "p.py").read_text()


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
