"""Options of the whole test suite."""

from __future__ import annotations


def pytest_addoption(parser) -> None:
    parser.addoption(
        "--golden", default=None, help="folder with recorded runs (lava/, odin/, energy/ …); default tests/golden"
    )
    parser.addoption(
        "--flip", default="one", choices=("one", "all"), help="recorded arrays that test_flipped changes in every file"
    )
    parser.addoption("--many", type=int, default=None, help="random networks of each kind in tests/differential")
    parser.addoption("--first", type=int, default=0, help="seed of the first of them")


def pytest_configure() -> None:
    from hypothesis import settings

    # Compiling a kernel for the first time takes longer than any deadline.
    settings.register_profile("chipsim", deadline=None)
    settings.load_profile("chipsim")
