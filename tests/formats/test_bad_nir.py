"""NIR files that nobody should trust: one error with file and node, before memory is taken; nothing half written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from typer.testing import CliRunner

import chipsim as cs
from chipsim.cli.app import app
from chipsim.mappings.formats.nir.nodes import untyped_graph
from chipsim.mappings.formats.nir.onto_chip import compile_nir
from chipsim.mappings.formats.nir.reader import from_nir
from chipsim.mappings.formats.nir.writer import to_nir
from chipsim.storage.heap import check_heaps

OPTIONS = {"dt": 1e-3, "scheme": "norse_box", "reset": "zero"}
ONE = np.ones(3)


@pytest.fixture
def good(tmp_path) -> Path:
    nodes = {
        "input": nir.Input(np.array([4])), "w": nir.Linear(np.ones((3, 4))),
        "n": nir.LIF(5e-3 * ONE, ONE, 0 * ONE, ONE, 0 * ONE), "output": nir.Output(np.array([3])),
    }  # fmt: skip
    edges = [("input", "w"), ("w", "n"), ("n", "output")]
    nir.write(tmp_path / "model.nir", untyped_graph(nodes, edges))
    return tmp_path / "model.nir"


def refuse(path: Path, *words: str) -> None:
    with pytest.raises(cs.ChipsimError) as said:
        from_nir(path, **OPTIONS)
    text = str(said.value)
    assert text.startswith(str(path)) and "\n" not in text, text
    for word in words:
        assert word in text, text


def change(path: Path, act) -> None:
    with h5py.File(path, "r+") as file:
        act(file)


def put(file, name, value) -> None:
    if name in file:
        del file[name]
    file[name] = value


HOSTILE = {
    "type": (lambda f: put(f, "node/nodes/n/type", "Sparkle"), ("'n'", "'Sparkle'", "not known")),
    "no type": (lambda f: f["node/nodes/n"].pop("type"), ("'n' is None",)),
    "type is a number": (lambda f: put(f, "node/nodes/n/type", 7), ("/node/nodes/n/type", "no text")),
    "type is a group": (lambda f: (f.pop("node/nodes/n/type"), f.create_group("node/nodes/n/type")), ("is a group",)),
    "node is an array": (lambda f: put(f, "node/nodes/n", np.ones(3)), ("'n'",)),
    "parameter is a text": (lambda f: put(f, "node/nodes/n/tau", "long"), ("'n'", "tau is not numeric")),
    "parameter is complex": (lambda f: put(f, "node/nodes/n/tau", np.ones(3) + 0j), ("'n'", "tau is not numeric")),
    "parameter is missing": (lambda f: f["node/nodes/n"].pop("tau"), ("'n'", "no parameter 'tau'")),
    "NaN": (lambda f: put(f, "node/nodes/n/r", np.array([1, np.nan, 1])), ("'n'", "r holds NaN")),
    "shape": (lambda f: put(f, "node/nodes/n/r", np.ones(4)), ("'n'", "r has shape (4,)")),
    "weight": (lambda f: put(f, "node/nodes/w/weight", np.ones((3, 5))), ("'w'", "takes 5 values")),
    "tau below dt": (lambda f: put(f, "node/nodes/n/tau", 1e-5 * ONE), ("'n'", "tau=1e-05 is below dt")),
    "tau of 0": (lambda f: put(f, "node/nodes/n/tau", 0 * ONE), ("'n'", "tau")),
    "input of a million millions": (
        lambda f: put(f, "node/nodes/input/shape", np.array([10**12])), ("'input'", "1000000000000")
    ),
    "input of nothing": (lambda f: put(f, "node/nodes/input/shape", np.zeros(0, int)), ("'input'", "states no shape")),
    "negative input": (lambda f: put(f, "node/nodes/input/shape", np.array([-4])), ("'input'", "-4")),
    "edges of three": (lambda f: put(f, "node/edges", np.array([["a", "b", "c"]], "S5")), ("edges have shape (1, 3)",)),
    "edges of numbers": (lambda f: put(f, "node/edges", np.ones((2, 2))), ("/node/edges", "no text")),
    "edge to nowhere": (
        lambda f: put(f, "node/edges", np.array([["input", "w"], ["w", "x"], ["x", "n"]], "S5")), ("no node 'x'",)
    ),
    "version": (lambda f: put(f, "version", "7.1"), ("version 7.1",)),
    "no version": (lambda f: f.pop("version"), ("no 'node' and 'version'",)),
    "version is a number": (lambda f: put(f, "version", 1.0), ("/version", "no text")),
    "root is a node": (lambda f: put(f, "node/type", "LIF"), ("/node", "LIF", "not a graph")),
    "root is an array": (lambda f: put(f, "node", np.ones(2)), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_one_error_names_file_and_node(name, good):
    act, words = HOSTILE[name]
    change(good, act)
    refuse(good, *words)


@pytest.mark.parametrize("where", ["node/nodes/w/weight", "node/nodes/n/tau", "node/edges", "node/nodes/input/shape"])
def test_declared_sizes_are_checked_first(where, good):
    """A data set that declares a hundred terabytes, of which the file holds nothing."""

    def act(file):
        kind = file[where].dtype
        del file[where]
        shape = (10**7, 10**7) if where != "node/edges" else (10**12, 2)
        file.create_dataset(where, shape, kind, chunks=(1000, 2), compression="gzip")

    change(good, act)
    refuse(good)


def test_links_lead_nowhere_else(good, tmp_path):
    """Soft and external links: not followed out of the file, loops end."""
    shutil.copy(good, tmp_path / "other.nir")

    def outside(file):
        del file["node/nodes/n/tau"]
        file["node/nodes/n/tau"] = h5py.ExternalLink("other.nir", "/node/nodes/n/tau")

    change(good, outside)
    refuse(good, "node/nodes/n/tau is a link")
    shutil.copy(tmp_path / "other.nir", good)

    def loop(file):
        put(file, "node/nodes/n/type", "NIRGraph")
        file["node/nodes/n/nodes"] = h5py.SoftLink("/node/nodes")

    change(good, loop)
    refuse(good)


def test_a_cycle_without_a_neuron_is_named(good):
    def act(file):
        edges = [("input", "w"), ("w", "v"), ("v", "w"), ("w", "n"), ("n", "output")]
        put(file, "node/edges", np.array(edges, "S8"))
        file.copy("node/nodes/w", file["node/nodes"], "v")
        put(file, "node/nodes/w/weight", np.ones((4, 4)))
        put(file, "node/nodes/v/weight", np.ones((4, 4)))
        for key in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
            put(file, f"node/nodes/n/{key}", np.ones(4))

    change(good, act)
    refuse(good, "the cycle", "w", "v", "no neuron")


def test_cut_files(good):
    data = good.read_bytes()
    for length in (*range(0, 120, 13), *range(120, len(data), 2999)):
        good.write_bytes(data[:length])
        with pytest.raises(cs.FileError, match=r"model\.nir"):
            from_nir(good, **OPTIONS)


def test_lengths_of_texts_are_checked_before_the_library_reads_them(good):
    """A changed length of a text kept the HDF5 library in a loop, or took 4 GB; both are refused first."""
    data = good.read_bytes()
    heap = data.find(b"GCOL")
    assert heap > 0
    for offset in (*range(8, 14), 24, 25, 31, 48, 49):
        broken = bytearray(data)
        broken[heap + offset] ^= 0xFF
        good.write_bytes(bytes(broken))
        with pytest.raises(cs.FileError, match="damaged"):
            check_heaps(good)
        refuse(good, "damaged")
    with h5py.File(good.with_name("x.nir"), "w") as file:
        file["version"] = "1.0"
        start = file["version"].id.get_offset()
    broken = bytearray(good.with_name("x.nir").read_bytes())
    broken[start : start + 4] = b"\xff\xff\xff\x7f"
    good.write_bytes(bytes(broken))
    change(good, lambda file: file.create_group("node"))
    refuse(good, "/version", "2147483647 bytes")


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_give_errors_of_ours_or_the_same_graph(seed, good):
    """Anything but a traceback: bytes changed at random places of the structure (not of the numbers)."""
    rng, data = np.random.default_rng(seed), good.read_bytes()
    for position in rng.integers(0, min(len(data), 9000), 60):
        broken = bytearray(data)
        broken[position] = int(rng.integers(256))
        good.write_bytes(bytes(broken))
        try:
            from_nir(good, **OPTIONS)
        except cs.ChipsimError as error:
            assert "model.nir" in str(error)


def test_nothing_half_written(good, tmp_path, monkeypatch):
    """Writers that fail on the way leave the folder, and an older file of that name, as they were."""
    net = from_nir(good, **OPTIONS)
    target = tmp_path / "out.nir"
    target.write_bytes(b"older")
    before = sorted(os.listdir(tmp_path))

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nir, "write", full)
    with pytest.raises(cs.FileError, match=r"out\.nir.*[Nn]o space"):
        to_nir(net, target)
    with pytest.raises(cs.FileError, match="no folder"):
        to_nir(net, tmp_path / "none" / "out.nir")
    assert target.read_bytes() == b"older" and sorted(os.listdir(tmp_path)) == before


def test_command_line_says_it_in_a_line(good, tmp_path):
    change(good, HOSTILE["type"][0])
    for command in (
        ["inspect", good], ["convert", good, "--dt", "1e-3", "--scheme", "norse_box", "-o", tmp_path / "x.h5"],
        ["run", good, "--dt", "1e-3", "--scheme", "norse_box", "-o", tmp_path / "out"],
    ):  # fmt: skip
        done = CliRunner().invoke(app, [str(a) for a in command])
        if command[0] == "inspect":
            assert done.exit_code == 0 and "Sparkle  (unknown type: cannot be run)" in done.output
        else:
            assert isinstance(done.exception, cs.ChipsimError) and "'Sparkle'" in str(done.exception)
    assert sorted(os.listdir(tmp_path)) == ["model.nir"]


def test_nothing_runs_without_dt_and_scheme(good):
    for missing in ({"dt": 1e-3}, {"scheme": "norse_box"}, {}):
        with pytest.raises(cs.NetworkError, match="does not say"):
            compile_nir(good, "loihi", **missing)
