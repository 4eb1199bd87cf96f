"""Random networks against brian2-loihi."""

from __future__ import annotations

import pytest

from .brian_loihi_tool import run_brian2_loihi
from .compare import agree
from .draw import brian2_loihi_case

pytest.importorskip("brian2_loihi", reason="brian2-loihi is not installed: see .ci/lava", exc_type=Exception)

FEW = {"test_inference": 6}


def test_inference(seed: int) -> None:
    agree(brian2_loihi_case(seed), run_brian2_loihi, "brian2-loihi")
