"""Programs, results and checkpoints in one HDF5 layout (docs/formats.md); loading returns the same bits."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.errors import FileError
from chipsim.native.synapses import MAX_DELAY
from chipsim.program.program import Program
from chipsim.program.sound import check_program

from .codec import walk, write
from .file import reading, writing
from .reader import Reader, array_of

if TYPE_CHECKING:
    import h5py

    from chipsim.results import Result

_PROGRAM = ("chip", "populations", "projections", "core", "arithmetic", "dt", "seed", "name", "stages")


def save_program(program: Program, path: str | Path) -> Path:
    """Write `program` to the HDF5 file `path` and return that path.

    Raises
    ------
    FileError
        The place cannot be written, or the program holds an object that no file could give back.
    """
    with writing(path, "program") as file:
        _write_program(file, program)
    return Path(path)


def load_program(path: str | Path) -> Program:
    """The program saved in `path` (also the one inside a result file).

    Raises
    ------
    FileError
        The file is missing, cut short, of another kind, of a newer version, or contradicts itself.
    """
    with reading(path, "program", "result") as file:
        root = file["program"] if file.attrs["kind"] == "result" else file
        return _read_program(root)


def _write_program(group: h5py.Group, program: Program) -> None:
    for name in _PROGRAM:
        write(group, name, getattr(program, name))


def _read_program(group: h5py.Group) -> Program:
    reader = Reader()
    parts = {name: reader.read(group, name) for name in _PROGRAM}
    program = Program(**parts)
    check_program(program)
    return program


def save_result(result: Result, path: str | Path) -> Path:
    """Write program, spikes, traces and counters of `result` to the HDF5 file `path`; raises FileError."""
    layout = [(n, v, int(a.shape[1])) for n, variables in result.trace.items() for v, a in variables.items()]
    with writing(path, "result") as file:
        _write_program(file.create_group("program"), result.program)
        write(file, "raw", result.raw)
        write(file, "traces", layout)
        write(file, "dropped_input", int(result.dropped_input))
        write(file, "first_step", int(result.first_step))
        counters = file.create_group("activity")
        for name, array in result.activity.arrays().items():
            write(counters, name, array)
    return Path(path)


def load_result(path: str | Path) -> Result:
    """The result saved in `path`; counters are counted again from its spikes, so both agree.

    Raises
    ------
    FileError
        The file is missing, cut short, of another kind, of a newer version, or contradicts itself.
    """
    from chipsim.results import Result

    with reading(path, "result") as file:
        program = _read_program(file["program"])
        reader = Reader()
        raw = reader.read(file, "raw")
        _check_log(raw, program)
        traces: dict[str, dict[str, np.ndarray]] = {}
        column = 0
        for name, variable, width in reader.read(file, "traces"):
            traces.setdefault(name, {})[variable] = raw.trace[:, column : column + width]
            column += width
        if column != (raw.trace.shape[1] if traces else column):
            raise FileError("the recorded traces do not fill the recorded columns")
        dropped, first = reader.read(file, "dropped_input"), reader.read(file, "first_step")
    return Result(program, raw, traces, int(dropped), int(first))


def _check_log(raw: Any, program: Program) -> None:
    ptr = raw.spikes.ptr
    before = getattr(raw, "before", None)
    sound = (
        _sound_train(raw.spikes, program)
        and (before is None or (_sound_train(before, program) and before.ptr.size <= MAX_DELAY + 1))
        and raw.updates.shape == (ptr.size - 1, max(len(program.cores), 1))
        and raw.saturated.shape == (len(program.populations), 2)
    )
    if not sound:
        raise FileError("the spike log does not fit the program it came from")


def _sound_train(train: Any, program: Program) -> bool:
    """Rows that follow each other, of neurons that the program has."""
    ptr, ids = train.ptr, train.ids
    return bool(
        ptr.ndim == ids.ndim == 1
        and ptr.dtype == np.int64
        and ids.dtype == np.uint32
        and ptr.size >= 1
        and ptr[0] == 0
        and int(ptr[-1]) == ids.size
        and np.all(ptr[1:] >= ptr[:-1])
        and int(ids.max(initial=0)) < max(program.n, 1)
    )


def fingerprint(program: Program) -> str:
    """SHA-256 over all that decides a run: chip, registers, synapses, placement, arithmetic, dt and seed."""
    digest = sha256()
    for name in _PROGRAM:
        if name not in ("name", "stages"):
            walk(getattr(program, name), digest.update)
    return digest.hexdigest()


def save_state(state: dict[str, Any], program: Program, path: str | Path) -> Path:
    """Write a checkpoint of `program`: named arrays, to the HDF5 file `path`; raises FileError."""
    with writing(path, "state") as file:
        file.attrs["program"] = fingerprint(program)
        group = file.create_group("state")
        for name, array in state.items():
            write(group, name, np.asarray(array))
    return Path(path)


def load_state(program: Program, path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint by name; the engine that takes them checks each (`chipsim.kept`).

    Raises
    ------
    FileError
        Missing, cut short, damaged, no checkpoint, or one of another program.
    """
    with reading(path, "state") as file:
        if file.attrs.get("program") != fingerprint(program):
            raise FileError(f"{path} is a checkpoint of another program than '{program.name}'")
        return _arrays(file["state"], "")


def _arrays(group: Any, prefix: str) -> dict[str, np.ndarray]:
    import h5py

    out: dict[str, np.ndarray] = {}
    for name in group:
        if prefix.count("/") > 4:
            raise FileError(f"{group.name}/{name} lies too deep")
        node = group[name]
        out |= {prefix + name: array_of(node)} if isinstance(node, h5py.Dataset) else _arrays(node, f"{prefix}{name}/")
    return out
