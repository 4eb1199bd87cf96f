"""Writing files: at once or not at all, on full disks too, only onto files, with nothing left behind."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chipsim as cs
from chipsim.storage.arrays import write_npz
from chipsim.storage.atomic import replacing, write_file
from chipsim.storage.file import new_hdf5
from tests.fuzz.nets import NETS, program_of


@contextmanager
def quota(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def nir(path: Path) -> None:
    net = cs.Network("n")
    net.add("x", cs.SpikeSource(40))
    net.add("a", cs.LIF(40, tau_mem=20e-3))
    net.connect("x", "a", np.random.default_rng(0).normal(size=(40, 40)))
    cs.to_nir(net, path, dt=1e-3, scheme="exact")


def network(path: Path) -> None:
    from chipsim.mappings.network.files import save_network

    save_network(NETS["loihi"][0](), path)


def netx(path: Path) -> None:
    from chipsim.mappings.formats.netx.writer import write_netx

    net = cs.Network("n")
    net.add("input", cs.SpikeSource(40))
    net.add("a", cs.loihi.LIF(40, vth=5))
    net.connect("input", "a", cs.loihi.Synapses(np.full((40, 40), 2)))
    write_netx(net, path)


def lava(path: Path) -> None:
    from chipsim.mappings.formats.lava.writer import write_lava_script

    write_lava_script(program_of("loihi"), path)


def cues(path: Path) -> None:
    from chipsim.mappings.experiments.cue_data import make_cues, write_cues

    write_cues(make_cues(2, 0), path)


def hdf5(path: Path) -> None:
    with new_hdf5(path) as file:
        for k in range(50):
            file.create_dataset(f"group {k}/data", data=np.arange(400), chunks=True, compression=1)


#: What writes a file -> how. Each writes more than the quota of the test.
WRITERS: dict[str, Callable[[Path], Any]] = {
    "program": lambda path: program_of("loihi").save(path),
    "network": network,
    "hdf5": hdf5,
    "nir": nir,
    "netx": netx,
    "lava": lava,
    "cues": cues,
    "text": lambda path: write_file(path, "x" * 50_000),
    "npz": lambda path: write_npz(path, a=np.arange(9000)),
}
QUOTA = 4096


@pytest.mark.parametrize("name", WRITERS)
def test_a_quota_is_said_in_one_line_and_nothing_changes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    for before in (None, b"mine"):
        if before is not None:
            path.write_bytes(before)
        with quota(QUOTA), pytest.raises(cs.FileError, match=r"cannot write .*nothing was changed") as caught:
            WRITERS[name](path)
        assert len(str(caught.value).splitlines()) == 1
        assert [p.name for p in tmp_path.iterdir()] == (["out"] if before else [])
        assert before is None or path.read_bytes() == before
    WRITERS[name](path)
    assert path.stat().st_size > QUOTA and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_every_size_of_quota(tmp_path: Path) -> None:
    """HDF5 writes in many places: wherever the disk ends, the process goes on and the old file is whole."""
    path = tmp_path / "p.h5"
    program = program_of("loihi")
    size = program.save(path).stat().st_size
    whole = path.read_bytes()
    for limit in range(0, size, size // 12):
        with quota(limit), pytest.raises(cs.FileError):
            program.save(path)
        assert path.read_bytes() == whole and len(list(tmp_path.iterdir())) == 1
    cs.Program.load(path)


@pytest.mark.parametrize("name", WRITERS)
def test_only_regular_files_are_replaced(name: str, tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(os.devnull)
    for path in (Path(os.devnull), Path("/dev/full"), fifo, link, tmp_path):
        with pytest.raises(cs.FileError, match="cannot write"):
            WRITERS[name](path)
    assert fifo.is_fifo() and link.is_symlink() and Path(os.devnull).is_char_device()


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "real", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_file(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


def test_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    import socket

    gone = 2**22 + 1  # beyond the largest number of a process
    host = socket.gethostname().replace(".", "-")
    stale = [tmp_path / f".p.h5.{gone}.part", tmp_path / f".other.json.{host}@{gone}-3.part"]
    kept = [tmp_path / f".p.h5.{os.getpid()}.part", tmp_path / f".p.h5.elsewhere@{gone}-0.part", tmp_path / "x.part"]
    for path in (*stale, *kept):
        path.write_text("half")
    write_file(tmp_path / "new", "x")
    assert not any(p.exists() for p in stale) and all(p.exists() for p in kept)


def test_a_failing_block_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as part:
        part.write(b"half")
        raise KeyError("mine")
    with pytest.raises(cs.FileError, match="no folder"):
        write_file(tmp_path / "none" / "x", "y")
    for name in ("a" * 300, "a\0b"):
        with pytest.raises(cs.FileError, match="cannot write"):
            write_file(tmp_path / name, "y")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    long = tmp_path / ("n" * 250)
    write_file(long, "y")
    assert long.read_text() == "y"


def test_headers_have_checksums(tmp_path: Path) -> None:
    """A flipped bit in the structure of a file is seen, not read."""
    path = program_of("loihi").save(tmp_path / "p.h5")
    whole = path.read_bytes()
    at = whole.index(b"OHDR") + 9
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(cs.FileError, match="damaged"):
        cs.Program.load(path)
