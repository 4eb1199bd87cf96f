"""Replays recorded runs of real chips and tools: one test per file, every recorded array compared."""

from __future__ import annotations

from pathlib import Path

SMALL = Path(__file__).parent.parent / "golden"


def golden_files(config, suite: str, pattern: str = "*.npz") -> list[Path]:
    """Files of `suite` matching `pattern` below --golden (or below the small selection in tests/golden)."""
    root = Path(config.getoption("golden") or SMALL) / suite
    return sorted(root.rglob(pattern))


def golden_id(path: Path) -> str:
    """A readable test id: the last two parts of the path."""
    return "/".join(path.parts[-2:])
