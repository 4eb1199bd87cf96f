"""A run as a value change dump (.vcd) for waveform viewers: spikes as pulses, recorded variables as integers.

Time is the chip's clock where the engine counts cycles (one unit of the file is one cycle's time), else the step.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from chipsim.storage.atomic import replacing

from ..errors import FileError, RunError

if TYPE_CHECKING:
    from .record import Run

#: Printable characters of which identifiers are made.
_FIRST, _COUNT = 33, 94
WIDTH = 32  #: bits of an integer or real variable


def write_vcd(result: Run, path: str | Path, populations: Iterable[str] | None = None) -> Path:
    """Write spikes and recorded variables of a run; returns the path.

    Parameters
    ----------
    populations : names or None
        None: all. A neuron's spikes are the wire `spike[k]` in the scope of its population, a recorded variable v the
        integer `v[k]` (a real on float chips).

    Raises
    ------
    RunError
        An unknown population, or a file that cannot be written.
    """
    path = Path(path)
    known = [p.name for p in result.program.populations]
    chosen = known if populations is None else list(populations)
    for name in chosen:
        if name not in known:
            raise RunError(f"vcd: the run has no population '{name}'; it has {', '.join(known)}")
    try:
        with replacing(path) as part, io.TextIOWrapper(io.BufferedWriter(part), "ascii", errors="replace") as out:
            _write(result, chosen, out)
    except FileError as error:
        raise RunError(f"vcd: {error}") from None
    return path


def _write(result: Run, populations: list[str], out: TextIO) -> None:
    times, scale = _times(result)
    names = _identifiers()
    lines: list[tuple[str, np.ndarray, str]] = []  # identifier, (t,) values, kind
    out.write(f"$comment {result.program.name} on {result.program.chip.name} $end\n$timescale {scale} $end\n")
    out.write("$scope module chip $end\n")
    for name in populations:
        out.write(f"$scope module {_word(name)} $end\n")
        spikes = np.asarray(result.spikes[name]) != 0
        for k in range(spikes.shape[1]):
            identifier = next(names)
            out.write(f"$var wire 1 {identifier} spike[{k}] $end\n")
            lines.append((identifier, spikes[:, k], "spike"))
        for variable, values in dict(result.trace).get(name, {}).items():
            real = values.dtype.kind == "f"
            for k in range(values.shape[1]):
                identifier = next(names)
                kind, width = ("real", 64) if real else ("integer", WIDTH)
                out.write(f"$var {kind} {width} {identifier} {_word(variable)}[{k}] $end\n")
                lines.append((identifier, values[:, k], kind))
        out.write("$upscope $end\n")
    out.write("$upscope $end\n$enddefinitions $end\n")
    _changes(lines, times, out)


def _changes(lines: list[tuple[str, np.ndarray, str]], times: np.ndarray, out: TextIO) -> None:
    """All changes in order of time: a spike is 1 for half of its step."""
    out.write("#0\n$dumpvars\n")
    for identifier, _, kind in lines:
        out.write(f"{_as(0, kind)} {identifier}\n" if kind != "spike" else f"0{identifier}\n")
    out.write("$end\n")
    rise: list[list[str]] = [[] for _ in range(len(times) - 1)]
    fall: list[list[str]] = [[] for _ in range(len(times) - 1)]
    for identifier, values, kind in lines:
        if kind == "spike":
            for t in np.flatnonzero(values):
                rise[t].append(f"1{identifier}")
                fall[t].append(f"0{identifier}")
            continue
        changed = np.flatnonzero(np.diff(values, prepend=values.dtype.type(0)))
        for t in changed:
            rise[t].append(f"{_as(values[t], kind)} {identifier}")
    for t in range(len(times) - 1):
        for at, part in ((times[t], rise[t]), ((times[t] + times[t + 1]) // 2, fall[t])):
            if part:
                out.write(f"#{at}\n" + "\n".join(part) + "\n")
    out.write(f"#{times[-1]}\n")


def _as(value: Any, kind: str) -> str:
    return f"r{float(value):.17g}" if kind == "real" else f"b{int(value) & 0xFFFFFFFF:032b}"


def _times(result: Run) -> tuple[np.ndarray, str]:
    """Start of each step and the end, in units of the file, and that unit; two units a cycle or step at least."""
    chip, cycles = result.program.chip, result.cycles
    if cycles is not None and chip.clock is not None and np.all(np.asarray(cycles) > 0):
        unit = 1e12 / chip.clock.si / 2  # half a cycle in ps
        ends = np.concatenate([[0], np.cumsum(np.asarray(cycles, np.int64))]) * 2
        return np.rint(ends * unit).astype(np.int64), "1 ps"
    step = max(round(result.program.dt * 1e9), 2)
    return np.arange(result.steps + 1, dtype=np.int64) * step, "1 ns"


def _identifiers() -> Iterator[str]:
    k = 0
    while True:
        text, rest = "", k
        while True:
            text += chr(_FIRST + rest % _COUNT)
            rest = rest // _COUNT - 1
            if rest < 0:
                break
        yield text
        k += 1


def _word(name: str) -> str:
    """A name without the characters that the format uses."""
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in name) or "_"
