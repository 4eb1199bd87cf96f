"""Replays recorded runs of real chips and tools: one test per file, every recorded array compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

SMALL = Path(__file__).parent.parent / "golden"
#: Names under which a file says how it was made: read by people, not compared.
NOTES = frozenset({"check", "meta", "versions"})


def golden_files(config, suite: str, pattern: str = "*.npz") -> list[Path]:
    """Files of `suite` matching `pattern` below --golden (or below the small selection in tests/golden)."""
    root = Path(config.getoption("golden") or SMALL) / suite
    return sorted(root.rglob(pattern))


def golden_id(path: Path) -> str:
    """A readable test id: the last two parts of the path."""
    return "/".join(path.parts[-2:])


class Recording(Mapping[str, np.ndarray]):
    """The arrays of a recorded run, which remembers those that were read: what nobody reads, nobody compares."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            self._arrays = {name: np.asarray(file[name]) for name in file.files}
        self.path, self.files = path, list(self._arrays)
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self._read.add(name)
        return self._arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def unread(self) -> list[str]:
        """Names of recorded arrays that nobody has looked at."""
        return sorted(set(self._arrays) - self._read - NOTES)
