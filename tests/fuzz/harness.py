"""Fuzzing in an isolated child: a crash, a hang, a leak of memory or an error that is no refusal is a finding.

A `Target` reads a file that nobody vouches for. The child process mutates its seeds in memory, writes each to a file
that lives in memory, reads it, and says what came of it; the parent watches, ends a child that hangs and starts another
behind the input at which one died. Input k of a target depends on (target, seed, k) alone, so any can be made again.

By hand, from the project's root:

    python -m tests.fuzz.harness                          # the targets there are
    python -m tests.fuzz.harness program --many 100000    # findings go to tests/fuzz/findings/program/
    python -m tests.fuzz.harness program --input FILE     # one file again, in this process
    python -m tests.fuzz.harness program --atheris        # guided by coverage, where atheris is installed
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

HERE = Path(__file__).parent
CORPUS, FINDINGS = HERE / "corpus", HERE / "findings"
HANG = 10.0  #: seconds after which one input counts as a hang
STARTS = 1200.0  #: seconds for the first good inputs, in which kernels may be compiled
SLOW = 3.0  #: seconds that one input may take in the child before it is a finding
MEMORY = 1 << 30  #: bytes that reading one input may add to the child's peak
LINES, LETTERS = 2, 1000  #: of a refusal
BATCH = 500  #: inputs between two answers of a child


@dataclass(frozen=True)
class Target:
    """A reader under attack.

    Parameters
    ----------
    name
        Also that of its folder in the corpus.
    suffix
        Of the files it reads.
    seeds
        Function without arguments that returns the good files, as bytes. It runs in the child, once.
    read
        read(path): returns for a file that it accepts, raises ChipsimError for one that it refuses. It should use what
        it read (compile it, run two steps), so that what slips through is found.
    mutate
        mutate(data, random) -> data; see `tests.fuzz.mutate`.
    """

    name: str
    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    mutate: Callable[[bytes, np.random.Generator], bytes]


@dataclass
class Finding:
    """What went wrong: `kind` is crash, hang, error, message, memory or slow; `where` tells findings apart."""

    kind: str
    where: str
    index: int
    detail: str = ""


@dataclass
class Report:
    """Outcome of a campaign."""

    target: str
    executions: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def text(self) -> str:
        """For people: totals, then a line a finding."""
        rate = self.executions / max(self.seconds, 1e-9)
        lines = [f"{self.target}: {self.executions} executions ({rate:.0f}/s), {self.accepted} accepted, "
                 f"{self.refused} refused, {len(self.findings)} distinct findings"]  # fmt: skip
        return "\n".join([*lines, *(f"  {f.kind} at input {f.index}: {f.where}\n{f.detail}" for f in self.findings)])


#: Modules that hold `TARGETS`, a list each.
MODULES = ("tests.fuzz.targets", "tests.fuzz.texts")


@cache
def target_of(name: str) -> Target:
    """The target `name` of any of `MODULES`, or `module:name` of another module's `TARGETS`."""
    module, _, last = name.rpartition(":")
    for place in (module,) if module else MODULES:
        for target in import_module(place).TARGETS:
            if target.name == last:
                return target
    raise SystemExit(f"no fuzz target '{name}'")


@cache
def seeds_of(name: str) -> list[bytes]:
    """The good files of a target."""
    made = target_of(name).seeds()
    assert made, f"target {name} has no seeds"
    return made


@cache
def warm(name: str) -> None:
    """Read the seeds once, so that what is compiled or imported on first use counts for no input."""
    target = target_of(name)
    with tempfile.TemporaryDirectory(dir=_memory(), prefix="fuzz-") as folder:
        for data in seeds_of(name):
            path = Path(folder) / f"input{target.suffix}"
            path.write_bytes(data)
            target.read(path)


def input_of(name: str, seed: int, index: int) -> bytes:
    """Input `index` of a campaign: the seeds themselves first, then mutations."""
    target, seeds = target_of(name), seeds_of(name)
    if index < len(seeds):
        return seeds[index]
    random = np.random.default_rng([crc32(target.name.encode()), seed, index])
    return target.mutate(seeds[random.integers(len(seeds))], random)


def judge(target: Target, path: Path) -> tuple[str, str, str]:
    """(outcome, where, detail) of reading one file: accepted, refused, or the kind of a finding."""
    from chipsim.errors import ChipsimError

    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(path)
        outcome = ("accepted", "", "")
    except ChipsimError as error:
        text = str(error)
        fits = text.strip() and len(text.splitlines()) <= LINES and len(text) <= LETTERS and text.isprintable()
        place = _place(error)
        outcome = ("refused", "", "") if fits else ("message", place, repr(text[:2000]))
    except (Exception, SystemExit) as error:
        outcome = ("error", f"{type(error).__name__} {_place(error)}", traceback.format_exc(limit=-8))
    spent = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if outcome[0] in ("accepted", "refused"):
        if grown > MEMORY:
            return "memory", f"{grown >> 20} MiB", ""
        if spent > SLOW:
            return "slow", f"{spent:.1f} s", ""
    return outcome


def _place(error: BaseException) -> str:
    """The deepest line of the project in a traceback, without its number: what tells two failures apart."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = ("/fuzz/", "site-packages", "/lib/python")
    own = [f for f in frames if not any(part in f.filename for part in foreign)]
    last = (own or frames)[-1]
    return f"{Path(last.filename).name}:{last.name}: {(last.line or '')[:100]}"


# The child ---------------------------------------------------------------------------------------------------------


def serve(progress_file: str) -> None:
    """Child: jobs as JSON lines on stdin, one answer each on stdout; the current input's number in `progress_file`."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(progress_file, "r+b") as file, mmap.mmap(file.fileno(), 16) as progress:
        for line in sys.stdin:
            print(json.dumps(_work(json.loads(line), progress)), file=out, flush=True)


def _work(job: dict[str, Any], progress: mmap.mmap) -> dict[str, Any]:
    name, seed = job["target"], job["seed"]
    target = target_of(name)
    warm(name)
    counts = {"accepted": 0, "refused": 0}
    findings: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory(dir=_memory(), prefix="fuzz-") as folder:
        for k in range(job["start"], job["stop"]):
            progress[:8] = k.to_bytes(8, "little", signed=True)
            path = Path(folder) / f"input{target.suffix}"
            path.write_bytes(input_of(name, seed, k))
            outcome, where, detail = judge(target, path)
            if outcome in counts:
                counts[outcome] += 1
            else:
                findings.setdefault(f"{outcome} {where}", [outcome, where, k, detail])
    return {**counts, "findings": list(findings.values())}


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# The parent --------------------------------------------------------------------------------------------------------


class Child:
    """One isolated process, started anew when it died."""

    def __init__(self) -> None:
        handle, self.file = tempfile.mkstemp(dir=_memory(), prefix="fuzz-progress-")
        os.truncate(handle, 16)
        self.progress = mmap.mmap(handle, 16)
        os.close(handle)
        self.process: subprocess.Popen[str] | None = None
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115

    def _start(self) -> subprocess.Popen[str]:
        if self.process is None or self.process.poll() is not None:
            root = str(HERE.parent.parent)
            path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
            code = f"from tests.fuzz.harness import serve; serve({self.file!r})"
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-c", code],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=root,
                env={**os.environ, "PYTHONPATH": path, "HDF5_USE_FILE_LOCKING": "FALSE"},
            )  # fmt: skip
        return self.process

    def run(self, name: str, seed: int, start: int, stop: int) -> tuple[dict[str, Any] | None, int, Finding | None]:
        """Inputs start..stop: (answer, next input, None), or (None, next input, finding) if the child did not live."""
        process = self._start()
        assert process.stdin is not None and process.stdout is not None
        self.progress[:8] = (-1).to_bytes(8, "little", signed=True)
        job = {"target": name, "seed": seed, "start": start, "stop": stop}
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        last, since = -1, time.monotonic()
        while True:
            if select.select([process.stdout], [], [], 0.2)[0]:
                line = process.stdout.readline()
                if line:
                    return json.loads(line), stop, None
                code = process.wait()
                at = self._index()
                return None, at + 1, Finding("crash", self._died(code, at), at, self._said())
            at = self._index()
            if at != last:
                last, since = at, time.monotonic()
            elif time.monotonic() - since > (HANG if at >= 0 else STARTS):
                process.kill()
                process.wait()
                return None, at + 1, Finding("hang", f"more than {HANG:g} s", at)

    def _index(self) -> int:
        return int.from_bytes(self.progress[:8], "little", signed=True)

    def _died(self, code: int, at: int) -> str:
        said = self._said()
        frames = [x.strip() for x in said.splitlines() if x.strip().startswith("File") and "/fuzz/" not in x]
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        if at < 0:
            raise RuntimeError(f"the fuzz child died before its first input ({name}):\n{said[-3000:]}")
        return f"{name} {frames[0] if frames else ''}"

    def _said(self) -> str:
        self.log.seek(0)
        return self.log.read()[-3000:]

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None
        self.progress.close()
        self.log.close()
        Path(self.file).unlink(missing_ok=True)


def campaign(name: str, executions: int, seed: int = 0, child: Child | None = None, stop_after: int = 25) -> Report:
    """Run `executions` inputs of a target in a child; distinct findings only, at most `stop_after` deaths."""
    own = child is None
    child = child or Child()
    report, at, deaths = Report(name.rpartition(":")[2]), 0, 0
    started = time.monotonic()
    known: dict[str, Finding] = {}
    try:
        while at < executions and deaths < stop_after:
            answer, reached, finding = child.run(name, seed, at, min(at + BATCH, executions))
            if finding is not None:
                deaths += 1
                known.setdefault(f"{finding.kind} {finding.where}", finding)
                if finding.index > at:  # what came before it was lost with the child
                    answer, _, _ = child.run(name, seed, at, finding.index)
            report.executions += reached - at
            if answer is not None:
                report.accepted += answer["accepted"]
                report.refused += answer["refused"]
                for kind, where, index, detail in answer["findings"]:
                    known.setdefault(f"{kind} {where}", Finding(kind, where, index, detail))
            at = reached
    finally:
        if own:
            child.close()
    report.findings, report.seconds = list(known.values()), time.monotonic() - started
    return report


def replay(name: str) -> list[Path]:
    """The target's corpus: inputs that failed once."""
    folder = CORPUS / name.rpartition(":")[2]
    return sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []


def keep(report: Report, name: str, seed: int, folder: Path = FINDINGS) -> None:
    """Write the inputs of findings to `folder`/target."""
    target = target_of(name)
    for finding in report.findings:
        place = folder / target.name
        place.mkdir(parents=True, exist_ok=True)
        data = input_of(name, seed, finding.index)
        (place / f"{finding.kind}-{crc32(data):08x}{target.suffix}").write_bytes(data)


def guided(name: str) -> None:
    """Coverage-guided fuzzing in this process by atheris, without end; a crash ends it and leaves the input."""
    import atheris  # type: ignore[import-not-found]

    target = target_of(name)
    path = Path(tempfile.mkdtemp(dir=_memory())) / f"input{target.suffix}"
    folder = Path(tempfile.mkdtemp(dir=_memory()))
    for k, data in enumerate(seeds_of(name)):
        (folder / str(k)).write_bytes(data)

    def one(data: bytes) -> None:
        path.write_bytes(data)
        outcome, where, detail = judge(target, path)
        if outcome not in ("accepted", "refused"):
            raise RuntimeError(f"{outcome}: {where}\n{detail}")

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        return target.mutate(data, np.random.default_rng(seed))[:size]

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], str(folder), str(CORPUS / target.name)], one, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.harness", description="Fuzz one reader of chipsim.")
    parser.add_argument("target", nargs="?", default="", help="its name; without one, they are listed")
    parser.add_argument("--many", type=int, default=2000, help="executions")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="of the campaign")
    parser.add_argument("--input", type=Path, help="read this file in this process, and nothing else")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage")
    asked = parser.parse_args()
    if not asked.target:
        print("\n".join(t.name for m in MODULES for t in import_module(m).TARGETS))
        return 0
    if asked.input:
        target_of(asked.target).read(asked.input)
        print("accepted")
        return 0
    if asked.atheris:
        guided(asked.target)
    report = campaign(asked.target, asked.many, asked.seed)
    keep(report, asked.target, asked.seed)
    print(f"seed {asked.seed}\n{report.text()}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
