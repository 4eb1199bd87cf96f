"""Every reader under attack, in a child: nothing but acceptance or a refusal in one line.

CHIPSIM_FUZZ=100000 python -m pytest tests/fuzz runs that many executions for each reader instead of 2,000; `harness`
runs single targets, and atheris.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .harness import Child, Report, campaign, judge, replay, target_of
from .nets import NETS
from .targets import TARGETS

MANY = int(os.environ.get("CHIPSIM_FUZZ", "2000"))
NAMES = [t.name for t in TARGETS]
#: Checkpoints are one reader: their executions are shared by the families.
SHARE = {name: len(NETS) for name in NAMES if name.startswith("checkpoint-")}


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> dict[str, Report]:
    """The campaigns of the tests that were chosen, in two children side by side."""
    chosen = [item for item in request.session.items if item.name.startswith("test_mutated_files[")]
    waiting = [item.callspec.params["name"] for item in chosen]  # type: ignore[attr-defined]
    found: dict[str, Report] = {}

    def work(child: Child) -> None:
        while waiting:
            name = waiting.pop(0)
            found[name] = campaign(name, max(MANY // SHARE.get(name, 1), 50), seed=0, child=child)

    children = [Child(), Child()]
    try:
        with ThreadPoolExecutor(len(children)) as pool:
            list(pool.map(work, children))
    finally:
        for child in children:
            child.close()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_mutated_files(name: str, reports: dict[str, Report]) -> None:
    report = reports[name]
    assert not report.findings, report.text()
    assert report.refused and report.accepted, report.text()


CORPUS = [(name, path) for name in NAMES for path in replay(name)]


@pytest.mark.parametrize(("name", "path"), CORPUS, ids=[f"{n}/{p.name}" for n, p in CORPUS])
def test_inputs_that_failed_once(name: str, path: Path, tmp_path: Path) -> None:
    target = target_of(name)
    place = tmp_path / f"input{target.suffix}"
    place.write_bytes(path.read_bytes())
    outcome, where, detail = judge(target, place)
    assert outcome in ("accepted", "refused"), f"{outcome} {where}\n{detail}"


def test_the_harness_sees_what_goes_wrong() -> None:
    """A child that dies, an error that is no refusal, a refusal of three lines: each is found, and it goes on."""
    report = campaign("tests.fuzz.broken:broken", 30)
    assert {f.kind for f in report.findings} == {"crash", "error", "message"}, report.text()
    assert len(report.findings) == 3 and report.executions == 30
