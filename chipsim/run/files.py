"""Results and checkpoints in HDF5 (docs/formats.md); loading returns the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from chipsim.checks import shown
from chipsim.engines.contract import RawRun, SpikeTrain
from chipsim.errors import FileError
from chipsim.native.synapses import MAX_DELAY
from chipsim.program.program import Program, fingerprint, read_program, write_program
from chipsim.storage.codec import write
from chipsim.storage.file import reading, writing
from chipsim.storage.reader import Reader, array_of

from .record import Run


def save_result(run: Run, path: str | Path) -> Path:
    """Write program, spikes, traces and counters of `run` to the HDF5 file `path`; raises FileError."""
    layout = [(n, v, int(a.shape[1])) for n, variables in run.trace.items() for v, a in variables.items()]
    with writing(path, "result") as file:
        write_program(file.create_group("program"), run.program)
        write(file, "raw", run.raw)
        write(file, "traces", layout)
        write(file, "dropped_input", int(run.dropped_input))
        write(file, "first_step", int(run.first_step))
        counters = file.create_group("activity")
        for name, array in run.activity.arrays().items():
            write(counters, name, array)
    return Path(path)


def load_result(path: str | Path) -> Run:
    """The result saved in `path`; counters are counted again from its spikes, so both agree.

    Raises
    ------
    FileError
        The file is missing, cut short, of another kind, of a newer version, or contradicts itself.
    """
    with reading(path, "result") as file:
        program = read_program(file["program"])
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
        for name, value in (("dropped_input", dropped), ("first_step", first)):
            if type(value) is not int or not 0 <= value < 1 << 62:
                raise FileError(f"'{name}' is {shown(value)}, no count")
    return Run(program, raw, traces, dropped, first)


def _check_log(raw: RawRun, program: Program) -> None:
    ptr = raw.spikes.ptr
    before = raw.before
    sound = (
        _sound_train(raw.spikes, program)
        and (before is None or (_sound_train(before, program) and before.ptr.size <= MAX_DELAY + 1))
        and raw.updates.shape == (ptr.size - 1, max(len(program.cores), 1))
        and raw.saturated.shape == (len(program.populations), 2)
    )
    if not sound:
        raise FileError("the spike log does not fit the program it came from")
    _check_counts(raw, ptr.size - 1)


def _check_counts(raw: RawRun, steps: int) -> None:
    """Everything else of a run has its rows and its kind of numbers; raises FileError."""
    for name in ("updates", "saturated", "cycles", "sops", "drops", "waiting", "access"):
        counts = getattr(raw, name)
        whole = counts is None or (isinstance(counts, np.ndarray) and counts.dtype.kind in "iu")
        if not whole or (counts is not None and name != "saturated" and len(counts) != steps):
            raise FileError(f"the run's '{name}' are no counts of its {steps} steps")
    if raw.active.dtype != np.uint8 or raw.active.ndim != 2 or (len(raw.active) > 1 and len(raw.active) != steps):
        raise FileError(f"the run's 'active' are no masks of its {steps} steps")
    if raw.trace.ndim != 2 or len(raw.trace) != steps or raw.trace.dtype.kind not in "iuf":
        raise FileError(f"the run's 'trace' does not have {steps} rows of numbers")
    values = raw.spikes.value
    if values.ndim != 1 or values.dtype.kind not in "iuf" or values.size not in (0, 1, raw.spikes.ids.size):
        raise FileError("the run's spikes and their values do not fit")


def _sound_train(train: SpikeTrain, program: Program) -> bool:
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
