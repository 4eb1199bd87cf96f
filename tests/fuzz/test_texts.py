"""Text readers under mutation, in CI at small size; by hand `python -m tests.fuzz.harness chip --many 100000`."""

from __future__ import annotations

import pytest

from .harness import campaign, judge, replay, target_of
from .texts import TARGETS

#: Executions in CI: YAML is read at some 100 a second.
MANY = {"chip": 2000, "sanafe": 2000, "automaton": 2000}


@pytest.mark.parametrize("name", [t.name for t in TARGETS])
def test_mutations_are_read_or_refused(name: str) -> None:
    report = campaign(name, MANY[name])
    assert not report.findings, report.text()
    assert report.accepted and report.refused


@pytest.mark.parametrize("name", [t.name for t in TARGETS])
def test_what_failed_once(name: str) -> None:
    inputs = replay(name)
    assert inputs
    for path in inputs:
        outcome = judge(target_of(name), path)
        assert outcome[0] == "refused", (path.name, outcome)
