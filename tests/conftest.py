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


#: Files of the edit loop: one or two a room, together well under a minute (`pytest -m quick`).
QUICK = (
    "house/test_rooms.py", "kernels/test_fixed.py", "kernels/test_lfsr.py", "native/test_neuron_rows.py",
    "native/test_conv_exponent.py", "chips/test_description.py", "chips/test_register_ranges.py",
    "network/test_network.py", "compiler/test_allocate.py", "compiler/test_place.py", "compiler/test_pipeline.py",
    "rules/test_rules.py", "engines/test_emulator.py", "run/test_counters.py", "estimate/test_metrics.py",
    "storage/test_storage.py", "storage/test_saved_files.py", "formats/test_formats.py", "report/test_report.py",
)  # fmt: skip


def pytest_collection_modifyitems(items) -> None:
    import pytest

    for item in items:
        if item.path.as_posix().endswith(QUICK):
            item.add_marker(pytest.mark.quick)


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "quick: the edit loop, a part of every room in under a minute")
    from hypothesis import settings

    # Compiling a kernel for the first time takes longer than any deadline.
    settings.register_profile("chipsim", deadline=None)
    settings.load_profile("chipsim")
