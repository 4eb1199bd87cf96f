"""Spikes in files: one array for each source population, in .npz, .npy or HDF5."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.errors import FileError, RunError
from chipsim.storage.arrays import Check, read_npy, read_npz

if TYPE_CHECKING:
    from chipsim.program.program import Program


LARGE = 1 << 26  #: bytes from which an array is looked at before it is read


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
    readers = {".npz": read_npz, ".npy": read_npy, ".h5": _hdf5, ".hdf5": _hdf5}
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise FileError(f"{source}: inputs are read from {', '.join(readers)}, not '{source.suffix}'")
    found = reader(source, _Wanted(program).check)
    if isinstance(found, dict):
        return found
    sources = [p.name for p in program.populations if p.model.is_input]
    if len(sources) != 1:
        raise RunError(
            f"{source} holds one array, but the program has {len(sources)} sources: use .npz with their names"
        )
    return {sources[0]: found}


class _Wanted:
    """What a program can take: an array that is large and none of it is refused before it is read."""

    def __init__(self, program: Program) -> None:
        self.sizes = {p.name: p.n for p in program.populations if p.model.is_input}

    def check(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Raise RunError for a large array that no source of the program can take."""
        if math.prod(shape) * dtype.itemsize < LARGE or dtype.names is not None:
            return
        size = self.sizes.get(name) if name else next(iter(self.sizes.values()), None)
        if size is None:
            raise RunError(f"input for '{name}', which is no source; those are: {', '.join(self.sizes) or 'none'}")
        if not shape or math.prod(shape[1:]) != size:
            raise RunError(f"input{f' {name!r}' if name else ''} has shape {shape}; give (steps, {size}) or events")


def _hdf5(source: Path, check: Check) -> dict[str, Any]:
    import h5py

    from chipsim.storage.file import DAMAGE, open_hdf5, reason
    from chipsim.storage.reader import array_of

    with open_hdf5(source, attributes=False) as file:
        try:
            held = {name: file[name] for name in file}
            for name, node in held.items():
                if not isinstance(node, h5py.Dataset) or node.shape is None:
                    raise FileError(f"{source}: '{name}' is no array; one data set a source is read")
                check(name, node.shape, node.dtype)
            return {name: array_of(node) for name, node in held.items()}
        except (FileError, RunError):
            raise
        except DAMAGE as error:
            raise FileError(f"{source} is damaged: {reason(error)}") from None
