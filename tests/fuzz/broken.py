"""A reader with one failure of each kind, for the test of the harness itself."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from chipsim.errors import FileError

from .harness import Target


def read(path: Path) -> None:
    """The numbers 4, 6 and 8 kill it, break it and make it talk; other even ones are accepted."""
    number = int(path.read_bytes())
    if number == 4:
        ctypes.string_at(0)
    if number == 6:
        raise KeyError(number)
    if number == 8:
        raise FileError("three\nlines\nof text")
    if number % 2:
        raise FileError(f"{number} is odd")


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """A number of 0..9."""
    return str(int(random.integers(10))).encode()


TARGETS = [Target("broken", ".txt", lambda: [b"0"], read, mutate)]
