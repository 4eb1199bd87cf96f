"""Processes killed (-9) while they save, run, sweep and learn: nothing is lost, nothing half written, all goes on.

python -m tests.support.kills --many 50            # kills of each kind, by hand; three in tests/storage/test_kills.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.__main__ import main as command
from chipsim.sweep.grid import sweep
from tests.fuzz.nets import inputs_of, program_of

Work = Callable[[], Any]


def killed(work: Work, after: float) -> bool:
    """Run `work` in a child and kill it after so many seconds; False if it had ended by then."""
    child = os.fork()
    if not child:
        os.setsid()
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def chipsim(*arguments: str) -> int:
    """The command line in this process."""
    sys.argv = ["chipsim", *arguments]
    return command()


def saving(folder: Path, many: int, draw: random.Random) -> int:
    """Programs and checkpoints written again and again: the file is always one of those that were saved."""
    program = program_of("loihi")
    emulator = cs.Emulator(program)
    emulator.run(inputs_of(program, 5), 5)
    files = folder / "p.h5", folder / "c.h5"

    def work() -> None:
        while True:
            program.save(files[0])
            emulator.save(files[1])

    program.save(files[0]), emulator.save(files[1])
    kills = 0
    for _ in range(many):
        kills += killed(work, draw.uniform(0.01, 0.15))
        assert cs.Program.load(files[0]).n == program.n
        cs.Emulator(program).load(files[1])
    program.save(files[0])
    assert sorted(p.name for p in folder.iterdir()) == ["c.h5", "p.h5"], "unfinished files are left"
    return kills


def running(folder: Path, many: int, draw: random.Random) -> int:
    """`chipsim run`: the result is there as a whole, or not at all; the same command then makes it."""
    program = program_of("loihi")
    program.save(folder / "p.h5")
    arguments = ("run", str(folder / "p.h5"), "-n", "200", "-o", str(folder / "out"), "--json")
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        assert chipsim(*arguments) == 0  # what is loaded on first use is loaded now
        started = time.monotonic()
        assert chipsim(*arguments) == 0
    span, kills = time.monotonic() - started, 0
    for _ in range(many):
        kills += killed(lambda: chipsim(*arguments), draw.uniform(0.0, span))
        assert cs.Result.load(folder / "out" / "result.h5").steps == 200
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        assert chipsim(*arguments) == 0
    assert [p.name for p in (folder / "out").iterdir()] == ["result.h5"]
    return kills


def figures(study: Any, values: dict[str, Any]) -> dict[str, Any]:
    """A point that takes a moment."""
    time.sleep(0.004)
    return {"energy_J": values["a"] * 1.5, "latency_s": values["b"] + study}


def sweeping(folder: Path, many: int, draw: random.Random) -> int:
    """A sweep killed many times computes every point once and ends with the rows of an undisturbed one."""
    axes = {"a": list(range(12)), "b": list(range(8))}
    whole = sweep(figures, 1, axes, folder / "whole")
    computed, kills = set[str](), 0
    for _ in range(many):
        kills += killed(lambda: sweep(figures, 1, axes, folder / "cut"), draw.uniform(0.02, 0.12))
        now = {p.name for p in (folder / "cut" / "points").glob("*.json")}
        assert computed <= now, "a point was lost"
        computed = now
    last = sweep(figures, 1, axes, folder / "cut")
    assert last.rows == whole.rows and last.computed == len(whole.rows) - len(computed)
    assert not list((folder / "cut" / "points").glob(".*")), "unfinished files are left"
    return kills


def learning(folder: Path, many: int, draw: random.Random) -> int:
    """`chipsim learn` killed many times ends with the numbers of an undisturbed run."""

    def learn(place: str) -> int:
        return chipsim(
            "learn", "pattern-generation", "--seeds", "1", "-n", "24", "--every", "3", "-o", str(folder / place)
        )

    with contextlib.redirect_stdout(open(os.devnull, "w")):
        learn("warm")
        started = time.monotonic()
        assert learn("whole") == 0
        span, kills = time.monotonic() - started, 0
        for _ in range(many):
            kills += killed(lambda: learn("cut"), draw.uniform(0.1, 0.6) * span)
        assert learn("cut") == 0
    made, wanted = (json.loads((folder / place / "pattern-generation.json").read_text()) for place in ("cut", "whole"))
    assert made["runs"] == wanted["runs"]
    return kills


KINDS = {"save": saving, "run": running, "sweep": sweeping, "learn": learning}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.kills", description="Kill what chipsim does, and look."
    )
    parser.add_argument("kinds", nargs="*", default=list(KINDS), help=f"of {', '.join(KINDS)}; all if left out")
    parser.add_argument("--many", type=int, default=3, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    asked = parser.parse_args()
    np.random.seed(0)
    for kind in asked.kinds:
        with tempfile.TemporaryDirectory() as folder:
            kills = KINDS[kind](Path(folder), asked.many, random.Random(asked.seed))
        print(f"{kind}: {asked.many} tries, {kills} killed in the act, nothing lost", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
