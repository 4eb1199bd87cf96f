"""Recorded runs of snnTorch, Norse, sinabs, Rockpool and XyloSim: every recorded spike, output and integer state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.nir.reader import aligned, from_nir, padded
from chipsim.mappings.formats.xylo import from_xylo_spec

from .conftest import golden_files

TOLERANCE = 1e-4  # of membranes and spike counts, as the recorded runs' README allows
OPTIONS = ("dt", "scheme", "reset", "reset_delay", "spike_fn", "min_v_mem")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    runs = golden_files(metafunc.config, "nir", "run.npz")
    folders = [f.parent for f in runs]
    kinds = {
        "graph_folder": [f for f in folders if (f / "model.nir").exists() and not f.name.endswith("LOSSY")],
        "lossy_folder": [f for f in folders if f.name.endswith("LOSSY")],
        "xylo_folder": [f for f in folders if (f / "spec.npz").exists()],
        "repaired_file": golden_files(metafunc.config, "nir", "*_subgraph.nir"),
        "lif_folder": [f.parent for f in golden_files(metafunc.config, "nir", "lif_exact.csv")],
    }
    for argument, chosen in kinds.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, chosen, ids=["/".join(f.parts[-2:]) for f in chosen])


def options(folder: Path) -> dict:
    meta = json.loads((folder / "meta.json").read_text())
    given = {k: meta[k] for k in OPTIONS if k in meta}
    if given["scheme"] in ("sinabs", "rockpool"):
        del given["reset"]
    return given


def replayed(net: cs.Network, inputs: np.ndarray) -> dict[str, np.ndarray]:
    source = next(name for name, p in net.populations.items() if p.model.is_input)
    given, steps = padded(net, {source: inputs})
    return aligned(net, cs.Emulator(cs.compile(net, "float")).run(given, steps))


def differences(folder: Path, got: dict[str, np.ndarray]) -> dict[str, int]:
    out = {}
    with np.load(folder / "run.npz", allow_pickle=False) as run:
        for key in run.files:
            if key == "input":
                continue
            name = key.removeprefix("node:")
            name = name if name in got else f"{name}.lif"
            assert got[name].size == run[key].size, key
            out[key] = int((np.abs(got[name].reshape(run[key].shape) - run[key]) > TOLERANCE).sum())
    return out


def recorded_input(folder: Path) -> np.ndarray:
    with np.load(folder / "run.npz", allow_pickle=False) as run:
        return run["input"]


def test_graph(graph_folder: Path) -> None:
    net = from_nir(graph_folder / "model.nir", **options(graph_folder))
    found = differences(graph_folder, replayed(net, recorded_input(graph_folder)))
    assert found and not any(found.values()), found


def test_lossy_file_is_refused(lossy_folder: Path) -> None:
    """The file cannot give the run; who says which node was recurrent is told so, who does not is warned."""
    given = options(lossy_folder)
    net = from_nir(lossy_folder / "model.nir", **given)
    found = differences(lossy_folder, replayed(net, recorded_input(lossy_folder)))
    assert any(found.values())
    assert any("drops recurrent weights" in note for note in net.metadata["nir"]["notes"])
    first = next(k for k in found if k.startswith("node:")).removeprefix("node:")
    with pytest.raises(cs.NetworkError, match="has dropped the recurrent"):
        from_nir(lossy_folder / "model.nir", **given, recurrent=[first])


def test_repaired_file(repaired_file: Path) -> None:
    """Edges to a node of another name: only one node can be meant, and the run is that of the flat file."""
    reset = "zero" if "zero" in repaired_file.stem else "subtract"
    net = from_nir(repaired_file, dt=1e-4, scheme="norse_import", reset=reset)
    assert any("taken as 'lif1.lif1'" in note for note in net.metadata["nir"]["notes"])
    twin = next(f for f in repaired_file.parent.parent.rglob(f"paper_braille_{reset}_norse") if f.is_dir())
    got = replayed(net, recorded_input(twin))
    found = differences(twin, got | {"lif1.lif": got["lif1.lif1"]})
    assert found and not any(found.values()), found


@pytest.mark.parametrize(
    ("scheme", "model", "trace"),
    [
        ("exact", "lif_norse", "lif_exact"),
        ("norse_box", "lif_norse", "lif_norse"),
        ("rockpool", "lif_rockpool", "lif_rockpool"),
    ],
)
def test_single_neuron(lif_folder: Path, scheme: str, model: str, trace: str) -> None:
    """Spike times of one neuron as the tool itself, and as the exact solution, gives them."""
    table = np.loadtxt(lif_folder / f"{trace}.csv", delimiter=",")
    net = from_nir(lif_folder / f"{model}.nir", dt=1e-4, scheme=scheme)
    got = replayed(net, table[:, :1])["output"]
    np.testing.assert_array_equal(np.flatnonzero(got), np.flatnonzero(table[:, 2]))


XYLO = {
    "output": ("out", "spikes"), "rec_Spikes": ("hidden", "spikes"), "rec_Vmem": ("hidden", "v"),
    "rec_Isyn": ("hidden", "i"), "rec_Vmem_out": ("out", "v"), "rec_Isyn_out": ("out", "i"),
}  # fmt: skip


def test_xylo(xylo_folder: Path) -> None:
    net = from_xylo_spec(xylo_folder / "spec.npz")
    inputs = recorded_input(xylo_folder)
    record = {name: ["v", "i"] for name in ("hidden", "out")}
    result = cs.Emulator(cs.compile(net, "xylo")).run({"in": inputs}, len(inputs), record=record)
    with np.load(xylo_folder / "run.npz", allow_pickle=False) as run:
        for key in set(run.files) - {"input"}:
            if key == "rec_Isyn2":
                assert not run[key].any(), "a second synapse is not modelled"
                continue
            name, variable = XYLO[key]
            got = result.spikes[name] if variable == "spikes" else result.trace[name][variable]
            np.testing.assert_array_equal(got, run[key], err_msg=key)
