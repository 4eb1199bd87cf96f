"""Learning rules against recorded gradients, weights, spikes and losses (golden/learning)."""

from __future__ import annotations

import numpy as np

from tests.conformance.conftest import golden_files, golden_id
from tests.conformance.learning_replay import KINDS
from tests.conformance.learning_replay_rates import RATE_KINDS
from tests.conformance.learning_replay_spikes import SPIKE_KINDS

LATER = (
    "contrastive",
    "mlp_credit",
    "pearlmutter",
)  # rules of the credit-assignment library, not of this one
ALL_KINDS = {**KINDS, **RATE_KINDS, **SPIKE_KINDS}


def pytest_generate_tests(metafunc) -> None:
    files = [f for f in golden_files(metafunc.config, "learning") if not f.name.startswith(LATER)]
    metafunc.parametrize("path", files, ids=golden_id)


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


def test_recorded_learning(path) -> None:
    replay = next((f for prefix, f in ALL_KINDS.items() if path.name.startswith(prefix)), None)
    assert replay is not None, f"no replay for {path.name}"
    checks = replay(path, np.load(path))
    problems = [text for name, c in checks.items() if (text := agree(name, *c))]
    assert not problems, "; ".join(problems)
