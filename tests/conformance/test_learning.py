"""Learning rules against recorded gradients, weights, spikes and losses (golden/learning)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.conformance.conftest import Recording, golden_files, golden_id
from tests.conformance.learning_replay import KINDS
from tests.conformance.learning_replay_credit import CREDIT_KINDS
from tests.conformance.learning_replay_rates import RATE_KINDS
from tests.conformance.learning_replay_spikes import SPIKE_KINDS

ALL_KINDS = {**KINDS, **RATE_KINDS, **SPIKE_KINDS, **CREDIT_KINDS}


def pytest_generate_tests(metafunc) -> None:
    if "path" in metafunc.fixturenames:
        metafunc.parametrize("path", golden_files(metafunc.config, "learning"), ids=golden_id)


def agree(name: str, ours, recorded, tolerance: float) -> str | None:
    """None, or what differs: largest difference against the largest recorded magnitude."""
    ours, recorded = np.asarray(ours, dtype=np.float64), np.asarray(recorded, dtype=np.float64)
    if ours.shape != recorded.shape:
        return f"{name}: shape {ours.shape}, recorded {recorded.shape}"
    gap = np.abs(ours - recorded).max(initial=0.0)
    scale = max(np.abs(recorded).max(initial=0.0), 1e-300)
    if name.startswith("loss"):
        gap, scale = np.abs(ours / recorded - 1.0).max(), 1.0
    return None if gap <= tolerance * scale else f"{name}: differs by {gap:.3g} of {scale:.3g}"


def compare(path: Path, kinds) -> None:
    """Replay one file by the longest known beginning of its name; every array of it must have been looked at."""
    known = sorted((prefix for prefix in kinds if path.name.startswith(prefix)), key=len)
    assert known, f"no replay for {path.name}"
    data = Recording(path)
    checks = kinds[known[-1]](path, data)
    problems = [text for name, c in checks.items() if (text := agree(name, *c))]
    assert not problems, "; ".join(problems)
    assert not data.unread(), f"recorded but not compared: {data.unread()}"


def test_recorded_learning(path) -> None:
    compare(path, ALL_KINDS)
