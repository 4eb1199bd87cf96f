"""Random networks of LIF neurons in seconds against Brian2's exact integration and NEST's neurons."""

from __future__ import annotations

import pytest

from .compare import agree
from .draw_floats import ideal_case
from .float_tools import run_brian2, run_nest

FEW = {"test_brian2": 6, "test_nest": 40}


def test_brian2(seed: int) -> None:
    pytest.importorskip("brian2", reason="Brian2 is not installed: see .ci/lava", exc_type=Exception)
    agree(ideal_case(seed), run_brian2, "Brian2", tolerance=1e-9)


def test_nest(seed: int) -> None:
    pytest.importorskip("nest", reason="NEST is not installed: see .ci/lava", exc_type=Exception)
    agree(ideal_case(seed, subtract=False), run_nest, "NEST", tolerance=1e-9)
