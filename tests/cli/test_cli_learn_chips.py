"""`chipsim learn` of the chips that learn by themselves: rows, spread, figure, going on where it was interrupted."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from chipsim.cli.app import app
from chipsim.mappings.experiments import cue as cue_task
from chipsim.mappings.experiments import odin_digits


def learn(*words: str) -> dict:
    done = CliRunner().invoke(app, ["learn", *words, "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cue_task, "run_cue_experiment", functools.partial(cue_task.run_cue_experiment, samples=6))
    images = odin_digits.digit_images()
    few = odin_digits.Images(images.pixels[:90], images.labels[:90], 60)
    monkeypatch.setattr(odin_digits, "digit_images", lambda: few)


@pytest.mark.parametrize(("name", "column"), [("reckon-cue", "weight_moved_nJ"), ("odin-digits", "lesson_nJ")])
def test_seeds_spread_and_resume(name, column, small, tmp_path):
    whole = learn(name, "-n", "2", "--seeds", "0,1", "-o", str(tmp_path / "a"))
    rows = whole["runs"]
    assert [r["seed"] for r in rows[:2]] == [0, 1] and "mean" in rows[2]["seed"]
    assert rows[2]["test_right"] == pytest.approx(np.mean([r["test_right"] for r in rows[:2]]))
    assert rows[0][column] > 0
    assert (tmp_path / "a" / f"{name}.png").stat().st_size > 20_000
    checkpoint = tmp_path / "a" / f"{name}-chip-seed0.h5"
    assert checkpoint.exists(), "the state after one epoch"
    again = learn(name, "-n", "2", "--seeds", "0", "-o", str(tmp_path / "a"))
    assert again["runs"][0] == rows[0], "goes on from the checkpoint to the same numbers"
