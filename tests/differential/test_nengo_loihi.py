"""Random networks against nengo-loihi's emulator: every register, noise, refractory periods, PES."""

from __future__ import annotations

import numpy as np
import pytest

from .compare import agree
from .draw import nengo_case
from .draw_learning import pes_case
from .nengo_tool import run_emulator

pytest.importorskip("nengo_loihi", reason="nengo-loihi is not installed: see .ci/lava", exc_type=Exception)
if int(np.__version__.partition(".")[0]) >= 2:
    pytest.skip("nengo-loihi needs numpy<2", allow_module_level=True)

FEW = {"test_inference": 80, "test_pes": 30}


def test_inference(seed: int) -> None:
    agree(nengo_case(seed), run_emulator, "nengo-loihi")


def test_pes(seed: int) -> None:
    agree(pes_case(seed), run_emulator, "nengo-loihi")
