"""The recorded truth of the seed gallery (golden/seeds): same contract as `test_learning`."""

from __future__ import annotations

from tests.conformance.conftest import golden_files, golden_id
from tests.conformance.seeds_replay import SEED_KINDS
from tests.conformance.test_learning import compare

ALL_KINDS = {**SEED_KINDS}


def pytest_generate_tests(metafunc) -> None:
    if "path" in metafunc.fixturenames:
        metafunc.parametrize("path", golden_files(metafunc.config, "seeds"), ids=golden_id)


def test_recorded_seed(path) -> None:
    compare(path, ALL_KINDS)
