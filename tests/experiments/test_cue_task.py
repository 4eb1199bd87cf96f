"""Delayed cue accumulation: data, file format, learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chipsim.errors import FileError, RunError
from chipsim.mappings.experiments.cue import cue_data, read_memories, run_cue_experiment
from chipsim.mappings.experiments.cue_data import GROUP, make_cues, read_cues, write_cues
from chipsim.mappings.experiments.cue_figure import plot_cue_experiment


def test_generated_samples_hold_what_the_task_says() -> None:
    cues = make_cues(60, seed=3)
    events = np.concatenate(cues.events)
    group = events[:, 0] // GROUP
    assert events[:, 0].max() == 39 and set(np.unique(cues.labels)) == {0, 1}
    sides = events[group < 2][:, 1]
    assert sides.min() >= 50 and sides.max() < 50 + 6 * 150 + 100
    assert events[group == 2][:, 1].min() >= cues.recall
    per_side = np.array([[(e[:, 0] // GROUP == g).sum() for g in (0, 1)] for e in cues.events])
    assert np.mean((per_side[:, 1] > per_side[:, 0]) == cues.labels) > 0.95
    noise = (group == 3).sum() / (60 * 10 * 2.25)
    assert 9.5 < noise < 10.5, "Hz"
    assert all(np.array_equal(a, b) for a, b in zip(cues.events, make_cues(60, seed=3).events))


def test_file_format_round_trip(tmp_path: Path) -> None:
    cues = make_cues(3, seed=1)
    write_cues(cues, tmp_path / "a.dat")
    back = read_cues(tmp_path / "a.dat")
    assert back.labels.tolist() == cues.labels.tolist() and (back.ticks, back.recall) == (2250, 2100)
    for a, b in zip(cues.events, back.events):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n3, 5\n-2, 0\nx, 7\n-1, 2250\n", "line 4"),
        ("1\n3, 5\n-1, 2250\n", "without a label"),
        ("2\n3, 5\n-2, 1\n-1, 2250\n", "2 samples announced, 1 complete"),
        ("1\n256, 5\n-2, 1\n-1, 2250\n", "outside 0 .. 255"),
        ("1\n3, 5\n-2, 1\n", "1 samples announced, 0 complete"),
        ("", "no samples announced"),
    ],
)
def test_bad_files_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.dat").write_text(text)
    with pytest.raises(FileError, match=message):
        read_cues(tmp_path / "bad.dat")


def test_missing_files_and_numbers(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        run_cue_experiment(tmp_path)
    (tmp_path / "init_rand_weights_inp_cueAcc.dat").write_text("1\n2\n")
    with pytest.raises(FileError, match="2 weights instead of 40 x 100"):
        read_memories(tmp_path)
    with pytest.raises(RunError, match="at least 1"):
        run_cue_experiment(epochs=0)


def test_it_learns_and_draws(tmp_path: Path) -> None:
    steps = []
    result = run_cue_experiment(epochs=3, samples=120, progress=lambda *a: steps.append(a))
    assert result.accuracy[-1, 1] >= 0.9
    assert steps[-1][:2] == (720, 720) and len(steps) == 720
    assert len(result.weights) == 4 and (result.moved[:, 1] == 0).all() and (result.moved[:, 0] > 0).all()
    assert (result.evaluated[:, 1] == 0).all()
    energy = result.energy()
    passes = result.passes[:, 1].mean()
    assert energy["inference"] == pytest.approx(passes * 100 * 5.3e-12)
    assert energy["training"] > energy["learning"] > energy["update_tick"] > 0
    (training, _), _ = cue_data(None, 2, 0)
    path = plot_cue_experiment(result, training, tmp_path / "cue.png")
    assert path.stat().st_size > 50_000
