"""Sweeps: the figures of a point are those of a run by hand; points are computed once; the front is the front."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chipsim as cs
from chipsim.mappings.studies.point import Study, evaluate
from chipsim.sweep.grid import Sweep, grid, pareto, sweep
from chipsim.sweep.vary import changed, parse_axes, resolve
from tests.support.signals import hears

NET = """
import numpy as np, chipsim as cs
rng = np.random.default_rng(0)
net = cs.Network("tiny")
x = net.add("x", cs.SpikeSource(20))
a = net.add("a", cs.loihi.LIF(60, vth=60, dv=300, du=2000))
b = net.add("b", cs.loihi.LIF(20, vth=60, dv=300, du=2000))
net.connect(x, a, cs.loihi.Synapses(2 * rng.integers(-10, 30, (60, 20)), sign="mixed"))
net.connect(a, b, cs.loihi.Synapses(2 * rng.integers(-10, 20, (20, 60)), sign="mixed"))
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def chipsim(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chipsim", "sweep", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if code == 1:
        assert 1 <= len(done.stderr.strip().splitlines()) <= 2 and done.stderr.startswith("chipsim: ")
    return done


# ------------------------------------------------------------------------------------------------ the front

POINT = st.tuples(st.integers(0, 6), st.integers(0, 6))


@given(st.lists(POINT, max_size=20))
def test_pareto_is_what_nothing_beats(points) -> None:
    def beaten(p, q) -> bool:
        return q[0] <= p[0] and q[1] <= p[1] and q != p

    naive = sorted(p for p in points if not any(beaten(p, q) for q in points))
    assert [points[k] for k in pareto(points)] == naive


def test_front_leaves_refused_points_out() -> None:
    rows = [
        {"status": "ok", "latency_s": 2.0, "energy_J": 1.0},
        {"status": "refused", "error": "too large"},
        {"status": "ok", "latency_s": 1.0, "energy_J": 2.0},
        {"status": "ok", "latency_s": 3.0, "energy_J": 1.0},
    ]
    assert Sweep({}, rows).front() == [rows[2], rows[0]]


# ------------------------------------------------------------------------------------------------ names


def test_axes() -> None:
    assert parse_axes(["a=1,2", "b = x2 , 0.5"]) == {"a": [1, 2], "b": ["x2", 0.5]}
    assert grid({"a": [1, 2], "b": [3, 4]}) == [
        {"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}
    ]  # fmt: skip
    for wrong in (["a"], ["=1"], ["a=1,,2"], ["a=1", "a=2"], ["a=1,1"]):
        with pytest.raises(cs.RunError):
            parse_axes(wrong)
    with pytest.raises(cs.RunError, match="100,000"):
        grid({k: range(100) for k in "abc"})


def test_fields_by_name() -> None:
    chip = cs.chip("loihi")
    assert resolve(chip, "cores_per_tile") == "topology.cores_per_tile"
    assert resolve(chip, "synapse_bits") == "limits.synapse_bits"
    assert resolve(chip, "noc.buffer") == "topology.noc.buffer"
    assert resolve(chip, "synapse.energy") == f"costs.{chip.cost_set}.synapse.energy"
    with pytest.raises(cs.RunError, match="did you mean 'cores_per_tile'"):
        resolve(chip, "cores_per_tiles")


def test_changed_chip() -> None:
    chip = cs.chip("loihi")
    made = changed(chip, {"cores_per_tile": "2", "synapse.energy": "x2", "hop_east.time": "5ns"})
    assert (made.topology.cores_per_tile, made.limits.cores) == (2, 64)
    before, after = chip.costs_named().synapse.energy, made.costs_named().synapse.energy
    assert after.si == pytest.approx(2 * before.si) and after.status == "assumed"
    assert made.costs_named().hop_east.time.si == pytest.approx(5e-9)
    assert made.costs_named().soma_update == chip.costs_named().soma_update
    assert changed(chip, {"cores_per_tile": 4}).model_dump() == chip.model_dump()
    for wrong in (
        {"cores_per_tile": "0"},
        {"cores_per_tile": "many"},
        {"synapse.energy": "5ns"},
        {"synapse.energy": "q"},
    ):
        with pytest.raises(cs.ChipsimError):
            changed(chip, wrong)


# ------------------------------------------------------------------------------------------------ points


def test_figures_are_those_of_a_run_by_hand(net: Path, tmp_path: Path) -> None:
    spikes = np.random.default_rng(1).random((40, 20)) < 0.2
    np.savez(tmp_path / "in.npz", x=spikes)
    (tmp_path / "small.yaml").write_text(
        "base: loihi\nname: small\ntopology: {cores_per_tile: 1}\nlimits: {cores: 32}\n"
    )
    study = Study(str(net), "loihi", str(tmp_path / "in.npz"), (("timing", "detailed"),))
    mine = evaluate(study, {"cores_per_tile": "1", "max_neurons": "9"})
    space: dict = {}
    exec(NET, space)
    program = cs.compile(space["net"], tmp_path / "small.yaml", max_neurons=9)
    est = cs.Emulator(program).run({"x": spikes}, masks=True).estimate(timing="detailed")
    assert mine["energy_J"] == est.total_energy and mine["latency_s"] == est.latency and mine["edp_Js"] == est.edp
    assert mine["cores"] == mine["tiles"] == len(program.cores) > 1
    assert mine["energy_synapse_J"] == est.energy["synapse"] > 0
    other = evaluate(study, {"cores_per_tile": "4", "max_neurons": "9"})
    assert other["hops"] < mine["hops"] and other["spikes"] == mine["spikes"]


def counted(study, values):
    """Writes a line per call beside the study's file, and stops where that says."""
    with Path(study).open("a") as log:
        log.write(f"{values['x']} {values['y']}\n")
    if values["x"] == 13:
        raise cs.CompileError("13 does not fit")
    return {"latency_s": float(values["x"]), "energy_J": float(values["y"])}


def test_computed_once(tmp_path: Path) -> None:
    log, axes = tmp_path / "log", {"x": [1, 13], "y": [1, 2]}
    first = sweep(counted, str(log), axes, tmp_path / "out")
    assert first.computed == 4 and len(log.read_text().splitlines()) == 4
    assert [row["status"] for row in first.rows] == ["ok", "ok", "refused", "refused"]
    assert first.rows[2]["error"] == "13 does not fit"
    again = sweep(counted, str(log), axes, tmp_path / "out")
    assert again.computed == 0 and again.rows == first.rows and len(log.read_text().splitlines()) == 4
    wider = sweep(counted, str(log), axes | {"y": [1, 2, 3]}, tmp_path / "out")
    assert wider.computed == 2 and len(wider.rows) == 6
    damaged = sorted((tmp_path / "out" / "points").glob("*.json"))[0]
    damaged.write_text(damaged.read_text()[:10])
    assert sweep(counted, str(log), axes | {"y": [1, 2, 3]}, tmp_path / "out").rows == wider.rows
    assert len(log.read_text().splitlines()) == 7
    for count, held in enumerate((b"[" * 100_000, b"\xff\xfe[", b"5", b""), 8):
        damaged.write_bytes(held)
        assert sweep(counted, str(log), axes | {"y": [1, 2, 3]}, tmp_path / "out").rows == wider.rows
        assert len(log.read_text().splitlines()) == count


def test_interrupted_and_resumed(tmp_path: Path) -> None:
    asked: list[int] = []

    def stops(study, values):
        asked.append(values["x"])
        if values["x"] == 3 and len(asked) == 3:
            raise KeyboardInterrupt
        return {"latency_s": 1.0, "energy_J": float(values["x"])}

    axes, moved = {"x": [1, 2, 3, 4]}, []
    with pytest.raises(KeyboardInterrupt):
        sweep(stops, "s", axes, tmp_path)
    made = sweep(stops, "s", axes, tmp_path, progress=lambda done, of: moved.append((done, of)))
    assert asked == [1, 2, 3, 3, 4] and made.computed == 2 and moved == [(2, 4), (3, 4), (4, 4)]
    assert not list(tmp_path.rglob("*.part"))


def test_dask(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    axes = {"x": [1, 13], "y": [1, 2]}
    made = sweep(counted, str(tmp_path / "log"), axes, tmp_path / "a", cluster="local", workers=1)
    assert made.rows == sweep(counted, str(tmp_path / "log"), axes, tmp_path / "b").rows


def test_dask_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(cs.RunError, match=r"chipsim\[sweep\]"):
        sweep(counted, str(tmp_path / "log"), {"x": [1], "y": [1]}, tmp_path, cluster="local")


# ------------------------------------------------------------------------------------------------ the command


def test_command_killed_and_resumed(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    vary = ("--vary", "max_neurons=5,9,15", "--vary", "synapse.energy=x1,x2", "--steps", 30, "--rate", 0.3)
    command = [sys.executable, "-m", "chipsim", "sweep", str(net), *map(str, vary), "-o", str(out)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=hears)
    limit = time.monotonic() + 120
    while len(list(out.rglob("points/*.json"))) < 2 and running.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    before = {p: p.stat().st_mtime_ns for p in out.rglob("points/*.json")}
    assert len(before) >= 2
    assert running.returncode == 0 or (
        running.returncode in (1, 130) and "interrupted" in said and "Traceback" not in said
    )
    data = json.loads(chipsim(net, *vary, "-o", out, "--json").stdout)
    assert data["points"] == 6 and data["computed"] == 6 - len(before) and data["refused"] == 0
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in before.items())
    rows = {(r["max_neurons"], r["synapse.energy"]): r for r in data["rows"]}
    for n in (5, 15):
        one, two = rows[n, "x1"], rows[n, "x2"]
        assert two["energy_synapse_J"] == pytest.approx(2 * one["energy_synapse_J"])
        assert two["energy_soma_J"] == one["energy_soma_J"] and two["latency_s"] == one["latency_s"]
    with (out / "sweep.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 6 and float(table[0]["energy_J"]) == data["rows"][0]["energy_J"]
    assert (out / "pareto.png").read_bytes()[:4] == b"\x89PNG" and "<svg" in (out / "pareto.svg").read_text()
    net.write_text(NET.replace("vth=60", "vth=50"))
    assert json.loads(chipsim(net, *vary, "-o", out, "--json").stdout)["computed"] == 6


def test_command_refuses(net: Path, tmp_path: Path) -> None:
    out = ("--steps", 5, "-o", tmp_path / "out", "--workers", 1)
    chipsim(net, "--vary", "cores_per_tils=1", *out, code=1)
    chipsim(net, "--vary", "cores_per_tile=0", *out, code=1)
    chipsim(net, "--vary", "cores_per_tile", *out, code=1)
    chipsim(net, "--vary", "max_neurons=few", *out, code=1)
    chipsim(tmp_path / "no.py", "--vary", "width=4", *out, code=1)
    chipsim(net, code=2)
    said = chipsim(net, "--vary", "limits.synapse_bits=100,1048576", "--rate", 0.1, *out).stdout
    chipsim(net, "--vary", "limits.synapse_bits=100,101", "--rate", 0.1, *out, code=1)
    assert "refused: " in said and " nJ" in said


def test_page_runs_as_written(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = (Path(__file__).parent.parent.parent / "docs" / "sweep.md").read_text(encoding="utf-8").split("```")
    command = next(b for b in blocks if b.startswith("\nchipsim sweep")).split()
    code = next(b for b in blocks if b.startswith("python"))
    monkeypatch.chdir(tmp_path)
    chipsim(*[tmp_path / part if part in ("net.py", "study") else part for part in command[2:]])
    assert {p.name for p in (tmp_path / "study").iterdir()} == {
        "points", "sweep.csv", "sweep.json", "pareto.png", "pareto.svg"
    }  # fmt: skip
    names: dict = {}
    exec(code.removeprefix("python"), names)
    assert len(names["made"].rows) == 3 and names["made"].front(x="hops", y="energy_J")
