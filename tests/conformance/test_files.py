"""Every recorded file of a suite is collected by some test: a name that nobody knows is a failure, not a silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import test_learning, test_seeds
from tests.conformance.conftest import golden_files, golden_id

SUITES = ("energy", "lava", "learning", "nir", "odin", "reckon", "seeds")


def claimed(suite: str, path: Path) -> bool:
    """Whether a test of the suite replays (or, for what it does not know, fails on) this file."""
    folder, name = path.parent, path.name
    if suite == "lava":
        whole = ("lava_lif", "lava_learn", "nengo_loihi", "brian2_loihi")
        floats = folder.name == "lava_float" and name.startswith(("LIF", "stdp_float"))
        return folder.name in whole or floats or name.startswith("big_recurrent")
    if suite == "nir":
        beside = (folder / "model.nir").exists() or (folder / "spec.npz").exists()
        return name in ("run.npz", "spec.npz") and beside
    if suite in ("learning", "seeds"):
        kinds = test_learning.ALL_KINDS if suite == "learning" else test_seeds.ALL_KINDS
        return name.startswith(tuple(kinds))
    return True  # every *.npz below the folder is a case of the suite's own test


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "found" in metafunc.fixturenames:
        files = [(suite, path) for suite in SUITES for path in golden_files(metafunc.config, suite)]
        metafunc.parametrize("found", files, ids=[f"{suite}-{golden_id(path)}" for suite, path in files])


def test_a_test_claims_every_file(found: tuple[str, Path]) -> None:
    suite, path = found
    assert claimed(suite, path), f"no test replays {path.name} of {suite}"


@pytest.mark.parametrize(
    ("suite", "name"),
    [("lava", "lava_new/x.npz"), ("lava", "lava_float/other.npz"), ("nir", "a/extra.npz"), ("learning", "mystery.npz")],
)
def test_unknown_names_are_seen(suite: str, name: str, tmp_path: Path) -> None:
    assert not claimed(suite, tmp_path / name)
