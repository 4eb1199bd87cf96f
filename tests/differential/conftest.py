"""How many random networks each test takes: the module's `FEW` of it, or what `--many` says."""

from __future__ import annotations

import warnings

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        many, first = metafunc.config.getoption("many"), metafunc.config.getoption("first")
        count = metafunc.module.FEW[metafunc.function.__name__] if many is None else many
        metafunc.parametrize("seed", range(first, first + count))


@pytest.fixture(autouse=True)
def quiet():
    """The tools warn of overflows that are meant, and of NumPy's newer ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
