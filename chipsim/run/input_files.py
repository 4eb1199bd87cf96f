"""Spikes in files: one array for each source population, in .npz, .npy or HDF5."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.checks import MEMORY_LIMIT
from chipsim.errors import FileError, RunError

if TYPE_CHECKING:
    from chipsim.program.program import Program


def read_inputs(path: str | Path, program: Program) -> dict[str, np.ndarray]:
    """The arrays of an input file by population name, as `Emulator.run` takes them.

    Parameters
    ----------
    path
        .npz or .h5 with one array per source population, or .npy for a program with one source: (steps, n)
        arrays, or structured ones with fields step and neuron.

    Raises
    ------
    FileError
        Missing, damaged, of another kind, or declaring more than it holds.
    RunError
        A .npy for a program with several sources.
    """
    source = Path(path)
    if not source.is_file():
        raise FileError(f"cannot read {source}: no such file")
    readers = {".npz": _npz, ".npy": _npy, ".h5": _hdf5, ".hdf5": _hdf5}
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise FileError(f"{source}: inputs are read from {', '.join(readers)}, not '{source.suffix}'")
    try:
        found = reader(source)
    except FileError as error:
        raise FileError(f"{source}: {error}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, SyntaxError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(f"{source} is cut short or damaged: {said[:160]}") from None
    if isinstance(found, dict):
        return found
    sources = [p.name for p in program.populations if p.model.is_input]
    if len(sources) != 1:
        raise RunError(
            f"{source} holds one array, but the program has {len(sources)} sources: use .npz with their names"
        )
    return {sources[0]: found}


def _npy(source: Path) -> np.ndarray:
    # A memory map refuses a header that declares more than the file holds.
    return np.array(np.load(source, mmap_mode="r", allow_pickle=False))


def _npz(source: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            _check_entry(archive, entry)
    with np.load(source, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuse an array whose header declares more bytes than its entry holds, before memory is taken."""
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise FileError(f"'{entry.filename}' has an unknown array format {version}")
        shape, _, dtype = readers[version](stream)
    need = int(np.prod(np.asarray(shape, object), initial=1)) * dtype.itemsize
    if need > min(entry.file_size, MEMORY_LIMIT):
        raise FileError(f"'{entry.filename}' declares shape {shape}, {need} bytes; it holds {entry.file_size}")


def _hdf5(source: Path) -> dict[str, Any]:
    import h5py

    from chipsim.storage.reader import array_of

    with h5py.File(source, "r") as file:
        hard = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
        return {name: array_of(file[name]) for name in hard if isinstance(file[name], h5py.Dataset)}
