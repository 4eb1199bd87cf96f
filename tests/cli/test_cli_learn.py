"""`chipsim learn` of every experiment: interrupted by a signal, resumed to the same numbers, spread over seeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chipsim.cli.app import app
from tests.support.signals import hears


def learn(*words: object) -> dict:
    done = CliRunner().invoke(app, ["learn", *map(str, words), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "options", "column", "few", "more"),
    [
        ("delayed-reward", (), "right_of_last_100", 4, 8),
        ("xor-perturbation", ("--chip",), "chip_runs", 3, 6),
        ("xor-perturbation", (), "cost", 20, 40),
        ("pattern-generation", (), "nmse", 2, 4),
    ],
)
def test_more_iterations_go_on_from_the_checkpoint(name, options, column, few, more, tmp_path: Path) -> None:
    whole = learn(name, *options, "--seeds", "0,1", "-n", more, "-o", tmp_path / "whole")["runs"]
    learn(name, *options, "--seeds", "0,1", "-n", few, "--every", 2, "-o", tmp_path / "parts")
    parts = learn(name, *options, "--seeds", "0,1", "-n", more, "--every", 2, "-o", tmp_path / "parts")["runs"]
    assert parts == whole
    values = [row[column] for row in whole[:2]]
    assert len(whole) == 3 and whole[2]["seed"].startswith("mean")
    assert whole[2][column] == pytest.approx(sum(values) / 2)
    assert (tmp_path / "parts" / f"{name}.png").stat().st_size > 20_000


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name != "posix", reason="sends a signal to a process")
def test_an_interrupted_experiment_goes_on(tmp_path: Path) -> None:
    words = ["learn", "xor-perturbation", "--chip", "--seeds", "0", "-n", "30", "--every", "4", "-o", "out", "--json"]
    running = subprocess.Popen(
        [sys.executable, "-m", "chipsim", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears,
    )
    checkpoint = tmp_path / "out" / "xor-perturbation-chip-seed0.h5"
    for _ in range(600):
        if checkpoint.exists() or running.poll() is not None:
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode not in (0, None) and "Traceback" not in said, said
    assert not (tmp_path / "out" / "xor-perturbation.json").exists()
    assert [p.name for p in (tmp_path / "out").iterdir()] == [checkpoint.name], "nothing half written"
    again = learn(*words[1:-3], "-o", tmp_path / "out")["runs"][0]
    fresh = learn(*words[1:-3], "-o", tmp_path / "fresh")["runs"][0]
    assert again == fresh
