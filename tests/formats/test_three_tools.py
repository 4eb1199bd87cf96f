"""The example that runs one network in three tools: whichever are installed give the same spikes."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from chipsim.mappings.formats.lava.writer import patched_import

ROOT = Path(__file__).parent.parent.parent


def installed() -> list[str]:
    found = ["chipsim"]
    with contextlib.suppress(Exception):
        patched_import()
        import lava.proc.lif.process  # noqa: F401

        found.append("Lava")
    if importlib.util.find_spec("nengo_loihi") and int(np.__version__.partition(".")[0]) < 2:
        found.append("nengo-loihi")
    return found


def example():
    spec = importlib.util.spec_from_file_location("three_tools", ROOT / "examples" / "three_tools.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def test_prints_a_line_for_every_tool(tmp_path: Path) -> None:
    call = [sys.executable, "-W", "ignore", str(ROOT / "examples" / "three_tools.py")]
    call += ["--neurons", "80", "--steps", "60", "--picture", str(tmp_path / "three.png")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = {line.split("  ")[0].split(" not")[0].strip(): line for line in done.stdout.splitlines()}
    for name in ("chipsim", "Lava", "nengo-loihi"):
        assert ("every bit" if name in installed() else "not run") in lines[name], done.stdout
    assert int(lines["chipsim"].split()[1].replace(",", "")) > 100
    assert (tmp_path / "three.png").stat().st_size > 10_000


def test_one_other_bit_is_seen() -> None:
    module = example()
    spikes = np.eye(5, dtype=bool)
    other = spikes.copy()
    other[0, 3] = True
    runs = {"chipsim": module.Run(spikes, 0.1, 1e-6), "Lava": module.Run(other, 0.1, 1e-6)}
    text = module.table(runs, {"nengo-loihi": "no module"})
    assert "every bit" in text and "1 differ" in text and "nengo-loihi  not run: no module" in text
