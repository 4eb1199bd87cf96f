"""HDF5 and NumPy files as attackers make them: refused by name before anything is read, in every reader."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import chipsim as cs
from chipsim.run.input_files import read_inputs
from chipsim.storage.arrays import read_npy, read_npz
from chipsim.storage.file import open_hdf5
from chipsim.storage.limit import VARIABLE
from tests.fuzz.mutate import mutate_hdf5
from tests.fuzz.nets import program_of
from tests.fuzz.targets import netx_files, nir_files, read_netx, read_nir


def inputs(path: Path) -> Any:
    return read_inputs(path, program_of("loihi"))


#: Reader -> (suffix, its good file, a data set in it, read).
READERS: dict[str, tuple[str, Callable[[Path], Any], str, Callable[[Path], Any]]] = {
    "program": (".h5", lambda path: program_of("loihi").save(path), "core", cs.Program.load),
    "state": (".h5", lambda path: cs.Emulator(program_of("loihi")).save(path), "state/state/rows",
              lambda path: cs.Emulator(program_of("loihi")).load(path)),
    "nir": (".nir", lambda path: path.write_bytes(nir_files()[0]), "node/nodes/n/tau", read_nir),
    "netx": (".net", lambda path: path.write_bytes(netx_files()[0]), "layer/1/weight", read_netx),
    "inputs": (".h5", lambda path: h5py.File(path, "w").create_dataset("x", data=np.ones((5, 3))).file.close(), "x",
               inputs),
}  # fmt: skip


def hollow(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (10**7, 10**7), "i4", chunks=(1000, 2), compression="gzip")


def bomb(file: h5py.File, name: str) -> None:
    made = file.create_dataset(name, (128, 1 << 24), "u1", chunks=(1, 1 << 24), compression="gzip")
    zeros = zlib.compress(bytes(1 << 24))
    for k in range(128):
        made.id.write_direct_chunk((k, 0), zeros)


def huge_chunk(file: h5py.File, name: str) -> None:
    made = file.create_dataset(name, (3,), "i4", chunks=(1 << 29,), maxshape=(None,), compression="gzip")
    made.id.write_direct_chunk((0,), zlib.compress(bytes(100)))


def objects(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (3,), h5py.vlen_dtype(np.int32))[0] = [1, 2]


def references(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (3,), h5py.ref_dtype)[0] = file["/"].ref


def opaque(file: h5py.File, name: str) -> None:
    file.create_dataset(name, data=np.zeros(3, "V7"))


def soft(file: h5py.File, name: str) -> None:
    file[name] = h5py.SoftLink("/")


def external_link(file: h5py.File, name: str) -> None:
    file[name] = h5py.ExternalLink("other.h5", "/x")


def external(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (64,), "i4", external=[("/dev/zero", 0, 256)])


def virtual(file: h5py.File, name: str) -> None:
    layout = h5py.VirtualLayout((10,), "i4")
    layout[:] = h5py.VirtualSource("nowhere.h5", "x", (10,))
    file.create_virtual_dataset(name, layout)


def scale_offset(file: h5py.File, name: str) -> None:
    file.create_dataset(name, data=np.arange(100), scaleoffset=True)


def text(file: h5py.File, name: str) -> None:
    file.create_dataset(name, data=["a", "b"], dtype=h5py.string_dtype())


ATTACKS = (hollow, bomb, huge_chunk, objects, references, opaque, soft, external_link, external, virtual, scale_offset,
           text)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses(reader: str, attack: Callable[..., None], tmp_path: Path) -> None:
    suffix, write, name, read = READERS[reader]
    path = tmp_path / f"a{suffix}"
    write(path)
    read(path)
    with h5py.File(path, "r+") as file:
        del file[name]
        attack(file, name)
    with pytest.raises(cs.ChipsimError) as caught:
        read(path)
    said = str(caught.value)
    assert len(said.splitlines()) == 1 and len(said) < 1000
    assert path.name in said or reader == "inputs"


def test_groups_that_lead_back(tmp_path: Path) -> None:
    for reader in ("program", "nir", "netx"):
        suffix, write, name, read = READERS[reader]
        path = tmp_path / f"{reader}{suffix}"
        write(path)
        with h5py.File(path, "r+") as file:
            del file[name]
            file[name] = file["/"]
        with pytest.raises(cs.ChipsimError):
            read(path)


@pytest.mark.parametrize("layout", [("earliest", "v110"), ("v110", "v110")])
@pytest.mark.parametrize("kind", ["data set", "attribute"])
def test_lengths_of_texts_are_those_of_their_heap(layout: tuple[str, str], kind: str, tmp_path: Path) -> None:
    """A length beyond the text takes gigabytes, one below it writes beyond what was taken for it."""
    path = tmp_path / "t.h5"
    with h5py.File(path, "w", libver=layout) as file:
        if kind == "attribute":
            file.attrs["format"] = "chipsim" * 9
        else:
            file.create_dataset("x", data="chipsim" * 9, dtype=h5py.string_dtype())
    open_hdf5(path).close()
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")
    element = struct.pack("<IQI", 63, heap, 1)
    assert whole.count(element) == 1
    for length in (1, 62, 64, 2**31 + 5):
        path.write_bytes(whole.replace(element, struct.pack("<IQI", length, heap, 1)))
        with pytest.raises(cs.FileError, match=r"t\.h5"):
            open_hdf5(path)


def test_any_flip_in_a_result_is_refused_or_read(tmp_path: Path) -> None:
    emulator = cs.Emulator(program_of("loihi"))
    path = emulator.run({}, 3).save(tmp_path / "r.h5")
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        path.write_bytes(mutate_hdf5(whole, random))
        try:
            cs.Result.load(path)
        except cs.FileError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def test_archives_that_unfold_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.npz"
    header = (
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '|u1', 'fortran_order': False, 'shape': (1073741824, 3), }".ljust(117)
        + b"\n"
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as entry,
    ):
        entry.write(header)
        for _ in range(12):
            entry.write(bytes(1 << 20))
    with pytest.raises(cs.FileError, match="declares shape"):
        inputs(path)
    np.savez_compressed(path, **{f"a{k}": np.zeros(1 << 20, "u1") for k in range(12)})
    assert len(read_npz(path)) == 12
    monkeypatch.setenv(VARIABLE, "0.01")
    with pytest.raises(cs.FileError, match=f"unfolds to .*{VARIABLE}"):
        read_npz(path)
    monkeypatch.setenv(VARIABLE, "much")
    with pytest.raises(cs.FileError, match="no number of GiB"):
        read_npz(path)


def test_a_large_input_is_looked_at_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "wide.npz"
    np.savez_compressed(path, x=np.zeros((1 << 20, 80), bool))
    with pytest.raises(cs.RunError, match=r"shape \(1048576, 80\); give \(steps, 3\)"):
        inputs(path)
    np.savez_compressed(path, y=np.zeros((1 << 20, 80), bool))
    with pytest.raises(cs.RunError, match="'y'"):
        inputs(path)


def test_damaged_arrays(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((5, 3)))
    whole = path.read_bytes()
    for size in (0, 5, 60, 127, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(cs.FileError, match=r"x\.npy"):
            read_npy(path)
    for old, new in (
        (b"(5, 3)", b"(5, 9)"),
        (b"'<f8'", b"'|O' "),
        (b"(5, 3)", b"(-5,3"),
        (b"{", b"(" * 9),
        (b"5", b"\x00"),
    ):
        path.write_bytes(whole.replace(old, new, 1))
        with pytest.raises(cs.FileError) as caught:
            read_npy(path)
        assert str(caught.value).isprintable()
    with pytest.raises(cs.FileError, match="no such file"):
        read_npy(tmp_path / "none.npy")
    np.savez(tmp_path / "o.npz", x=np.array([None, 1]))
    with pytest.raises(cs.FileError, match="objects"):
        read_npz(tmp_path / "o.npz")
