"""The command line as users meet it: through a subprocess, with exit codes, JSON, and one-line errors."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs

HEAVY = ("numba", "scipy", "matplotlib", "h5py", "sklearn")


def chipsim(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command; the exit code must be `code`, and refused input must say so in one or two lines."""
    command = [sys.executable, "-m", "chipsim", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if code == 1:
        lines = done.stderr.strip().splitlines()
        assert 1 <= len(lines) <= 2 and lines[0].startswith("chipsim: ") and not done.stdout
    return done


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network script, its mapped program and input spikes."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "net.py").write_text(
        "import numpy as np, chipsim as cs\n"
        "net = cs.Network('tiny')\n"
        "x = net.add('x', cs.SpikeSource(4))\n"
        "a = net.add('a', cs.loihi.LIF(6, vth=20, dv=300, du=2000))\n"
        "net.connect(x, a, cs.loihi.Synapses(np.full((6, 4), 30)))\n"
    )
    spikes = np.random.default_rng(0).random((30, 4)) < 0.5
    np.savez(folder / "in.npz", x=spikes)
    np.save(folder / "in.npy", spikes)
    chipsim("map", folder / "net.py", "--chip", "loihi", "-o", folder / "p.h5", "--max-neurons", 3)
    return folder


def spikes_of(folder: Path) -> np.ndarray:
    return cs.Result.load(folder / "result.h5").spikes["a"]


def test_help_is_quick_and_light() -> None:
    code = (
        "import sys; sys.argv = ['chipsim', *sys.argv[1:]]\n"
        "from chipsim.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('LOADED', [m for m in sys.modules if m in " + repr(HEAVY) + "])"
    )
    for arguments in (["--help"], ["run", "--help"], ["chips"], ["chips", "no such chip"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
        assert done.stdout.strip().splitlines()[-1] == "LOADED []", (arguments, done.stdout, done.stderr)
    text = chipsim("--help").stdout
    assert all(name in text for name in ("demo", "chips", "map", "run", "report", "bench"))


def test_version_and_usage() -> None:
    assert chipsim("--version").stdout.strip() == f"chipsim {cs.__version__}"
    chipsim("no-such-command", code=2)
    chipsim("run", code=2)
    chipsim("demo", "--images", -3, code=2)
    chipsim("map", "x.h5", "--dt", "fast", "-o", "y.h5", code=2)


def test_chips_lists_and_shows() -> None:
    listed = json.loads(chipsim("chips", "--json").stdout)
    assert {"loihi", "loihi2", "odin"} <= {c["name"] for c in listed}
    assert "Intel Loihi 1" in chipsim("chips").stdout
    shown = chipsim("chips", "loihi").stdout
    assert "synapse_bits" in shown and "1048576" in shown and "nengo-loihi" in shown
    sources = json.loads(chipsim("chips", "loihi", "--sources", "--json").stdout)
    constant = sources["costs"]["davies2018"]["synapse.energy"]
    assert constant["value"] == 23.6 and constant["unit"] == "pJ" and "Davies" in constant["source"]
    assert "not published" in chipsim("chips", "loihi", "--sources").stdout


def test_map_says_what_each_core_holds(here: Path, tmp_path: Path) -> None:
    done = chipsim("map", here / "net.py", "-o", tmp_path / "p.h5", "--max-neurons", 2, "--json")
    data = json.loads(done.stdout)
    assert data["cores"] == 3 and data["neurons"] == 6
    assert data["stages"]["allocate"]["table"]["neurons"] == [2, 2, 2]
    assert "synapse bits" in chipsim("map", here / "net.py", "-o", tmp_path / "q.h5").stdout


def test_run_equals_the_interface(here: Path, tmp_path: Path) -> None:
    direct = cs.Emulator(cs.Program.load(here / "p.h5")).run({"x": np.load(here / "in.npy")}, 30)
    assert direct.spikes["a"].any()
    done = chipsim(
        "run", here / "p.h5", "-i", here / "in.npz", "-n", 30, "-o", tmp_path / "a", "--record", "a.v", "--json"
    )
    data = json.loads(done.stdout)
    assert np.array_equal(spikes_of(tmp_path / "a"), direct.spikes["a"])
    assert data["totals"] == direct.activity.totals()
    assert data["energy_J"] == pytest.approx(direct.estimate().total_energy)
    assert cs.Result.load(tmp_path / "a" / "result.h5").trace["a"]["v"].shape == (30, 6)
    chipsim("run", here / "p.h5", "-i", here / "in.npy", "-o", tmp_path / "b", "--threads", 2)
    chipsim("run", here / "net.py", "--chip", "loihi", "-i", here / "in.npy", "-o", tmp_path / "c")
    for name in ("b", "c"):
        assert np.array_equal(spikes_of(tmp_path / name), direct.spikes["a"])


def test_inputs_from_hdf5_and_events(here: Path, tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "in.h5", "w") as file:
        step, neuron = np.nonzero(np.load(here / "in.npy"))
        events = np.empty(step.size, [("step", "i8"), ("neuron", "i8")])
        events["step"], events["neuron"] = step, neuron
        file["x"] = events
    chipsim("run", here / "p.h5", "-i", tmp_path / "in.h5", "-n", 30, "-o", tmp_path / "a")
    chipsim("run", here / "p.h5", "-i", here / "in.npy", "-o", tmp_path / "b")
    assert np.array_equal(spikes_of(tmp_path / "a"), spikes_of(tmp_path / "b"))


def test_report_of_a_folder(here: Path, tmp_path: Path) -> None:
    chipsim("run", here / "p.h5", "-i", here / "in.npz", "-o", tmp_path, "--report", "--masks")
    data = json.loads((tmp_path / "report.json").read_text())
    data |= {"title": "kept", "accuracy": {"steps": [1], "curves": {"chip": [1.0]}, "reference": None}}
    (tmp_path / "report.json").write_text(json.dumps(data))
    done = chipsim("report", tmp_path, "--timing", "detailed", "--cost-set", "davies2018", "--json")
    assert json.loads(done.stdout)["report"] == str(tmp_path / "report.html")
    fresh = json.loads((tmp_path / "report.json").read_text())
    assert fresh["title"] == "kept" and fresh["accuracy"]["curves"] == {"chip": [1.0]}
    assert fresh["estimate"]["cost_set"] == "davies2018" and fresh["estimate"]["timing"] == "detailed"
    other = tmp_path / "other"
    chipsim("report", tmp_path / "result.h5", "-o", other, "--title", "new", "--steps-per-inference", 10)
    assert json.loads((other / "report.json").read_text())["estimate"]["inference"]["energy"] > 0


def test_inspect_shows_every_kind(here: Path, tmp_path: Path) -> None:
    assert "population a: loihi.LIF(6" in chipsim("inspect", here / "net.py").stdout
    data = json.loads(chipsim("inspect", here / "p.h5", "--json").stdout)
    assert data["kind"] == "program" and any("projection x->a" in line for line in data["text"])
    chip = cs.Emulator(cs.Program.load(here / "p.h5"))
    result = chip.run({"x": np.load(here / "in.npy")}, 30, record={"a": "v"})
    result.save(tmp_path / "r.h5")
    chip.save(tmp_path / "s.h5")
    assert "recorded a: v" in chipsim("inspect", tmp_path / "r.h5").stdout
    assert "state/weight: int" in chipsim("inspect", tmp_path / "s.h5").stdout
    chipsim("inspect", tmp_path / "none.h5", code=1)


def test_learn_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    listed = json.loads(chipsim("learn", "--json").stdout)
    assert {"pattern-generation", "xor-perturbation"} <= set(listed)
    run = ["learn", "pattern-generation", "--seeds", 1, "--json"]
    whole = json.loads(chipsim(*run, "-n", 5, "--every", 100, "-o", tmp_path / "a").stdout)
    chipsim(*run, "-n", 4, "--every", 2, "-o", tmp_path / "b")
    parts = json.loads(chipsim(*run, "-n", 5, "--every", 2, "-o", tmp_path / "b").stdout)
    assert (tmp_path / "b" / "pattern-generation-float-seed1.h5").exists()
    assert parts["runs"] == whole["runs"] and whole["runs"][0]["iterations"] == 5
    assert (tmp_path / "b" / "pattern-generation.png").read_bytes()[:4] == b"\x89PNG"
    assert "seen 4 iterations" in chipsim(*run, "-n", 4, "--every", 2, "-o", tmp_path / "b", code=1).stderr
    chipsim("learn", "no-such", "-o", tmp_path / "c", code=1)
    assert not (tmp_path / "c").exists()


def test_bench_measures(tmp_path: Path) -> None:
    done = chipsim("bench", "--neurons", 200, "--fan-out", 10, "--steps", 50, "--rounds", 2, "--json")
    data = json.loads(done.stdout)
    assert data["steps_per_second"] > 0 and 0 < data["spikes_per_neuron_and_step"] < 1
    chipsim("bench", "--neurons", 5, "--fan-out", 10, code=1)


def refused(arguments: list, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command of this process prints on stderr when it refuses its input: one or two lines, nothing else."""
    from chipsim.__main__ import main

    monkeypatch.setattr(sys, "argv", ["chipsim", *map(str, arguments)])
    assert main() == 1, arguments
    printed = capsys.readouterr()
    assert not printed.out and 1 <= len(printed.err.strip().splitlines()) <= 2
    return printed.err


def test_refused_input_is_one_line_and_exit_1(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.yaml").write_text("base: loihi\nlimts: {}\n")
    (tmp_path / "cut.h5").write_bytes((here / "p.h5").read_bytes()[:3000])
    (tmp_path / "big.py").write_text(
        "import numpy as np, chipsim as cs\nnet = cs.Network('big')\n"
        "a = net.add('a', cs.loihi.LIF(3, vth=np.arange(1, 4)))\n"
        "net.connect(a, a, cs.loihi.Synapses(np.ones((3, 3))))\n"
    )
    (tmp_path / "small.yaml").write_text(
        "base: loihi\nname: small\nlimits: {cores: 1, neurons: 2}\ntopology: {chips: 1}\n"
    )
    np.savez(tmp_path / "wrong.npz", y=np.zeros((5, 4)))
    np.save(tmp_path / "nan.npy", np.full((5, 4), np.nan))
    (tmp_path / "cut.npz").write_bytes((here / "in.npz").read_bytes()[:100])
    out = tmp_path / "out"
    program = here / "p.h5"
    cases = [
        (["chips", "loihii"], "did you mean 'loihi'"),
        (["chips", tmp_path / "bad.yaml"], "did you mean 'limits'"),
        (["map", here / "net.py", "--chip", "nope", "-o", tmp_path / "x.h5"], "no chip 'nope'"),
        (["map", here / "none.h5", "-o", tmp_path / "x.h5"], "no such file"),
        (["map", here / "p.h5", "-o", tmp_path / "x.h5"], "holds a program, not a network"),
        (["map", here / "in.npz", "-o", tmp_path / "x.h5"], "no reader for '.npz'"),
        (["map", here / "net.py", "--dt", "-1", "-o", tmp_path / "x.h5"], "dt="),
        (["map", tmp_path / "big.py", "--chip", tmp_path / "small.yaml", "-o", tmp_path / "x.h5"], "core"),
        (["run", tmp_path / "cut.h5", "-n", 5, "-o", out], "cut short"),
        (["run", tmp_path / "none.h5", "-n", 5, "-o", out], "no such file"),
        (["run", here / "net.py", "-n", 5, "-o", out], "--chip"),
        (["run", program, "-n", 0, "-o", out], "outside 1.."),
        (["run", program, "-n", 10**14, "-o", out], "GiB"),
        (["run", program, "-o", out], "number of steps"),
        (["run", program, "-i", tmp_path / "wrong.npz", "-o", out], "no population 'y'"),
        (["run", program, "-i", tmp_path / "nan.npy", "-o", out], "NaN"),
        (["run", program, "-i", tmp_path / "cut.npz", "-o", out], "cut short or damaged"),
        (["run", program, "-i", tmp_path / "bad.yaml", "-o", out], "inputs are read from"),
        (["run", program, "-n", 5, "--record", "a.q", "-o", out], "no variable 'q'"),
        (["run", program, "-n", 5, "--record", "a", "-o", out], "POPULATION.VARIABLE"),
        (["run", program, "-n", 5, "--chip", "loihi", "-o", out], "mapped onto a chip already"),
        (["run", program, "-n", 5, "-o", here / "net.py"], "cannot make the folder"),
        (["report", tmp_path / "none"], "no such file"),
    ]
    for k, (arguments, said) in enumerate(cases):
        outside = k % 8 == 0
        printed = chipsim(*arguments, code=1).stderr if outside else refused(arguments, capsys, monkeypatch)
        assert said in printed, (arguments, printed)
    assert not out.exists() and not list(tmp_path.glob("*.part")) and not (tmp_path / "x.h5").exists()


def test_inputs_that_declare_more_than_they_hold(here: Path, tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 45, 4)})
    content = header.getvalue() + bytes(64)
    (tmp_path / "huge.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for name in ("huge.npy", "huge.npz"):
        done = chipsim("run", here / "p.h5", "-i", tmp_path / name, "-n", 5, "-o", tmp_path / "out", code=1)
        assert name in done.stderr
    assert not (tmp_path / "out").exists()


def test_demo_runs_and_reports(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    done = chipsim("demo", "-o", tmp_path / "d", "--images", 60, "--json")
    data = json.loads(done.stdout)
    assert data["images"] == 60 and data["chip_accuracy"] > 0.9 and data["cores"] > 1
    assert data["energy_per_image_J"] > 0 and data["latency_per_image_s"] > 0
    assert {p.name for p in (tmp_path / "d").iterdir()} == {
        "report.html", "report.json", "steps.csv", "cores.csv", "program.h5", "result.h5",
    }  # fmt: skip
    page = json.loads((tmp_path / "d" / "report.json").read_text())
    assert len(page["accuracy"]["steps"]) == data["steps_per_image"]
