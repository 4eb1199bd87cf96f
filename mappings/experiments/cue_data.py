"""Samples of the delayed cue accumulation task, made here or read from files in the chip's event format.

A run down a corridor: seven cues of 100 ms, each left or right, then a second of nothing, then the question
on
which side there were more. 40 inputs in four groups of ten: left cues, right cues, recall, noise; 2,250 ticks
of
1 ms. The task is that of Bellec et al., Nature Communications 11, 3625 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chipsim.checks import shown
from chipsim.errors import FileError
from chipsim.storage.atomic import write_file

INPUTS, GROUP = 40, 10
TICKS, RECALL = 2250, 2100
CUES, CUE_START, CUE_PERIOD, CUE_LENGTH = 7, 50, 150, 100
CUE_RATE, NOISE_RATE = 0.04, 0.01  # spikes per tick of 1 ms and input
MINORITY = 0.3  # probability that a cue is on the other side


@dataclass(frozen=True)
class CueSet:
    """Samples of the task.

    Attributes
    ----------
    events
        One (e, 2) int64 array per sample: input address, tick; in the order of the ticks.
    labels
        (samples,) int64, 0 = group 0 had more cues, 1 = group 1.
    ticks, recall
        Length of a sample and first tick of the recall window.
    """

    events: tuple[np.ndarray, ...]
    labels: np.ndarray
    ticks: int = TICKS
    recall: int = RECALL

    def __len__(self) -> int:
        return len(self.events)


def make_cues(samples: int, seed: int = 0) -> CueSet:
    """`samples` new samples; the same seed gives the same samples."""
    rng = np.random.default_rng(seed)
    events, labels = [], []
    for _ in range(samples):
        side = int(rng.integers(2))
        cues = np.where(rng.random(CUES) < MINORITY, 1 - side, side)
        rate = np.zeros((TICKS, INPUTS))
        for c, group in enumerate(cues):
            start = CUE_START + c * CUE_PERIOD
            rate[start : start + CUE_LENGTH, group * GROUP : (group + 1) * GROUP] = CUE_RATE
        rate[RECALL:, 2 * GROUP : 3 * GROUP] = CUE_RATE
        rate[:, 3 * GROUP :] = NOISE_RATE
        tick, address = np.nonzero(rng.random(rate.shape) < rate)
        events.append(np.stack([address, tick], 1).astype(np.int64))
        labels.append(int(cues.sum() * 2 > CUES))
    return CueSet(tuple(events), np.array(labels, np.int64))


def read_cues(path: str | Path) -> CueSet:
    """Samples in the chip's event format.

    First line: number of samples. Then one event a line, ``address, tick``; ``-2, label`` starts the recall
    window,
    ``-1, ticks`` ends the sample.

    Raises
    ------
    FileError
        A file that is missing, cut short or holds something else; the message names file and line.
    """
    lines = read_lines(path)
    events: list[np.ndarray] = []
    labels: list[int] = []
    rows: list[tuple[int, int]] = []
    label, ticks = None, TICKS
    for number, line in enumerate(lines[1:], 2):
        try:
            first, second = (int(part) for part in line.split(","))
        except ValueError:
            raise FileError(f"{path}, line {number}: expected 'address, tick', found {shown(line)}") from None
        if first == -2:
            label = second
        elif first == -1:
            if label is None:
                raise FileError(f"{path}, line {number}: the sample ends without a label (a line '-2, label')")
            table = np.array(rows, np.int64).reshape(-1, 2)
            events.append(table[np.argsort(table[:, 1], kind="stable")])
            labels.append(label)
            ticks, rows, label = second, [], None
        elif 0 <= first < 256 and 0 <= second < 1 << 31:
            rows.append((first, second))
        else:
            wrong = f"address {first} or tick {second} is outside 0 .. 255 or 0 .. 2^31 - 1"
            raise FileError(f"{path}, line {number}: {wrong}")
    if not lines or rows or str(len(events)) != lines[0].strip():
        raise FileError(f"{path}: {lines[0].strip() if lines else 'no'} samples announced, {len(events)} complete")
    return CueSet(tuple(events), np.array(labels, np.int64), ticks, ticks - (TICKS - RECALL))


def write_cues(cues: CueSet, path: str | Path) -> None:
    """Write samples in the chip's event format (see `read_cues`)."""
    out = [str(len(cues))]
    for events, label in zip(cues.events, cues.labels):
        early = events[:, 1] < cues.recall
        out += [f"{a}, {t}" for a, t in events[early]]
        out.append(f"-2, {label}")
        out += [f"{a}, {t}" for a, t in events[~early]]
        out.append(f"-1, {cues.ticks}")
    write_file(path, "\n".join(out) + "\n")


def read_lines(path: str | Path) -> list[str]:
    """Lines of a text file that are not empty (FileError if it cannot be read)."""
    if Path(path).exists() and not Path(path).is_file():
        raise FileError(f"{path}: it is a folder, a device or a pipe, no file")
    try:
        return [line for line in Path(path).read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read as text ({error})") from None
