"""Where chipsim runs: closed and full streams, quotas, no cache, little memory, Ctrl-C: an exit code and a line."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chipsim.errors import FileError
from tests.support.signals import hears

ROOT = Path(__file__).parent.parent.parent
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
NET = """import numpy as np, chipsim as cs
net = cs.Network("n")
net.add("x", cs.SpikeSource(2))
net.add("a", cs.loihi.LIF(3, vth=10))
net.connect("x", "a", cs.loihi.Synapses(np.full((3, 2), 40)))
"""


def shell(line: str, folder: Path, **env: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command of bash, in which `chipsim` is ours."""
    script = f'chipsim() {{ exec "{sys.executable}" -m chipsim "$@"; }}; {line}'
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, env={**ENV, **env})
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output(folder: Path) -> None:
    code, _, said = shell("chipsim chips > /dev/full", folder)
    assert code == 1 and len(said.splitlines()) == 1 and "no space left on device" in said


def test_closed_streams(folder: Path) -> None:
    code, out, said = shell("chipsim map net.py -o p.h5 >&- 2>&-", folder)
    assert (code, out, said) == (0, "", "")
    assert sorted(p.name for p in folder.iterdir()) == ["net.py", "p.h5"]


def test_a_reader_that_leaves(folder: Path) -> None:
    _, out, said = shell("chipsim chips --json | head -c 1", folder)
    assert len(out) == 1 and not said


def test_a_quota(folder: Path) -> None:
    code, _, said = shell("ulimit -f 20; chipsim map net.py -o p.h5", folder)
    assert code == 1 and len(said.splitlines()) == 1 and "cannot write p.h5" in said
    assert [p.name for p in folder.iterdir()] == ["net.py"]


def test_no_compiler(folder: Path) -> None:
    code, _, said = shell("chipsim run net.py --chip loihi -n 3 -o out", folder, NUMBA_DISABLE_JIT="1")
    assert code == 1 and said.splitlines() == [
        "chipsim: NUMBA_DISABLE_JIT is set, but chipsim's kernels only run compiled; unset it"
    ]


def test_little_memory(folder: Path) -> None:
    code, _, said = shell("ulimit -v 220000; chipsim map net.py -o p.h5; exit", folder)
    assert code in (0, 1) and "Traceback" not in said and len(said.splitlines()) <= 1, said


def test_a_read_only_installation(folder: Path) -> None:
    """No cache folder can be written, neither beside the sources nor in the home: said once, and all works."""
    home = folder / "install"
    for package in ("chipsim", "kernels", "mappings"):
        if not (ROOT / package).is_symlink():
            shutil.copytree(ROOT / package, home / package, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for place in [p for p in home.rglob("*") if p.is_dir() and not p.is_symlink()]:
        (place / "__pycache__").write_text("")  # where a folder would have to be
    code = (
        "from chipsim.kernels.arithmetic import fixed; import numpy as np; "
        "print(int(fixed.wrap_signed(np.int32(1 << 24), np.int32(23))), fixed.__file__)"
    )
    env = {**ENV, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/proc/none",
           "XDG_CACHE_HOME": "/proc/none", "CHIPSIM_CACHE": ""}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == 0 and str(home) in done.stdout, done.stderr
    assert done.stderr.count("compiled anew in every process") == 1


def interrupted(arguments: list[str], folder: Path, after: float) -> tuple[int, str]:
    """Exit code and stderr of a command that gets Ctrl-C after so many seconds."""
    call = [sys.executable, "-m", "chipsim", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(call, cwd=folder, env=ENV, preexec_fn=hears, **pipes)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


COMMANDS: dict[str, tuple[list[str], float]] = {
    "during imports": (["map", "net.py", "-o", "p.h5"], 0.4),
    "run": (["run", "net.py", "--chip", "loihi", "-n", "100000000", "-o", "out"], 2.5),
    "sweep": (["sweep", "net.py", "--vary", "seed=1,2", "-n", "50000000", "-o", "sw"], 2.5),
    "learn": (["learn", "pattern-generation", "-n", "100000", "-o", "le"], 2.5),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c(name: str, folder: Path) -> None:
    arguments, after = COMMANDS[name]
    code, said = interrupted(arguments, folder, after)
    assert code == 130 and len(said.splitlines()) == 1 and said.startswith("chipsim: interrupted"), said
    assert not list(folder.rglob("*.part"))


def test_what_main_makes_of_errors(capsys: Any, monkeypatch: Any) -> None:
    """Errors of the system are a line; errors of ours are not hidden."""
    from chipsim import __main__ as door
    from chipsim.errors import Stopped

    for error, code, words in (
        (MemoryError(), 1, "not enough memory"), (OSError(12, "Cannot allocate memory"), 1, "not enough memory"),
        (ImportError("x.so: failed to map segment from shared object"), 1, "not enough memory"),
        (RuntimeError("can't start new thread"), 1, "not enough memory"),
        (OSError(28, "No space left", "f"), 1, "f: no space"), (KeyboardInterrupt(), 130, "interrupted"),
        (Stopped("3 points are kept"), 130, "interrupted; 3 points are kept"),
        (SystemExit(130), 130, "interrupted"), (SystemExit(2), 2, ""), (SystemExit("why"), 1, ""),
    ):  # fmt: skip
        monkeypatch.setattr("chipsim.cli.app.app", lambda error=error, **_: (_ for _ in ()).throw(error))
        assert door.main() == code
        said = capsys.readouterr().err
        assert words in said and len(said.splitlines()) == bool(words)
    monkeypatch.setattr("chipsim.cli.app.app", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        door.main()


@pytest.mark.parametrize(("limit", "threads"), [("6000000", "1"), ("unlimited", "None")])
def test_a_limit_of_memory(limit: str, threads: str, folder: Path) -> None:
    """OpenBLAS waits for ever for threads that a limit of memory does not let it make: it makes none there."""
    code = (
        "import os, sys; from chipsim.__main__ import main; sys.argv = ['chipsim', '--version']; main(); "
        "print(os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    line = f'env -u OPENBLAS_NUM_THREADS "{sys.executable}" -c "{code}"'
    done, out, said = shell(f"ulimit -v {limit}; {line}", folder)
    assert (done, out.split()[-1], said) == (0, threads, "")


def test_lack_of_memory_is_no_damage(folder: Path) -> None:
    """A library that could not be loaded while a file was read says nothing about the file."""
    from chipsim.storage.file import reading, writing

    with writing(folder / "p.h5", "program"):
        pass
    with pytest.raises(OSError, match="libllvmlite"), reading(folder / "p.h5", "program"):
        raise OSError("Could not find/load shared object file 'libllvmlite.so'")
    with pytest.raises(FileError, match="damaged"), reading(folder / "p.h5", "program"):
        raise OSError("Can't synchronously read data")


def test_a_ctrl_c_that_a_library_loses(capsys: Any, monkeypatch: Any) -> None:
    """The work goes on to its end; the exit code and a line say that it was told to stop."""
    from chipsim import __main__ as door

    def swallows(**_: Any) -> None:
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("chipsim.cli.app.app", swallows)
    assert door.main() == 130
    assert capsys.readouterr().err == "chipsim: interrupted\n"


def test_ctrl_c_after_the_end(folder: Path) -> None:
    """While Python takes its modules down, nothing is left to interrupt."""
    code = (
        "import atexit, signal, sys; atexit.register(signal.raise_signal, signal.SIGINT); "
        "from chipsim.__main__ import main; sys.argv = ['chipsim', '--version']; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=ENV)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["a.json", "a.net", "cues.txt"])
def test_nobody_waits_for_a_pipe(name: str, folder: Path) -> None:
    os.mkfifo(folder / name)
    if name == "cues.txt":
        from chipsim.mappings.experiments.cue_data import read_cues

        with pytest.raises(FileError, match="pipe"):
            read_cues(folder / name)
    else:
        code, _, said = shell(
            f"ulimit -t 60; timeout 20 bash -c 'exec {sys.executable} -m chipsim inspect {name}'", folder
        )
        assert code == 1 and len(said.splitlines()) == 1 and said.startswith("chipsim: "), said
