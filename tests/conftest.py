"""Options of the whole test suite."""

from __future__ import annotations


def pytest_addoption(parser) -> None:
    parser.addoption(
        "--golden", default=None, help="folder with recorded runs (lava/, odin/, energy/ …); default tests/golden"
    )
