"""A compiled kernel is recompiled when a file that it imports changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from chipsim.kernels import cache

ROOT = Path(cache.__file__).parent


def test_sources_follow_imports() -> None:
    names = {path.name for path in cache.sources(ROOT / "core" / "machine.py")}
    assert {"machine.py", "update.py", "lif.py", "fixed.py", "delivery.py"} <= names


def test_an_imported_change_is_noticed(tmp_path: Path) -> None:
    package = tmp_path / "chipsim" / "kernels"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    for name in ("__init__.py", "cache.py", "jit.py"):
        (package / name).write_text((ROOT / name).read_text())
    (package / "outer.py").write_text(
        "from numba import njit\nfrom .inner import f\n\n@njit(cache=True)\ndef g(x):\n    return f(x)\n"
    )
    inner = "from numba import njit\n\n@njit(cache=True)\ndef f(x):\n    return x + {}\n"

    def run(amount: int) -> str:
        (package / "inner.py").write_text(inner.format(amount))
        code = "from chipsim.kernels.outer import g; print(g(1))"
        out = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return out.stdout.strip()

    assert run(1) == "2"
    assert run(5) == "6"
