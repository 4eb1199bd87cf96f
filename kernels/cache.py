"""Compiled kernels on disk that notice when a file they import has changed.

Numba stamps a cached kernel with its own file only; a kernel that calls one of another file would go on
running yesterday's copy of it. The locator here stamps with the content of every file of this package that the
kernel's file imports, directly or not.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from numba.core import caching

ROOT = Path(__file__).resolve().parent
_IMPORT = re.compile(r"^\s*from\s+(\.+|chipsim\.kernels)([\w.]*)\s+import\s+(\([^)]*\)|[^\n#]+)", re.MULTILINE)


@cache
def sources(path: Path) -> frozenset[Path]:
    """`path` and all files of this package that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [path.resolve()]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        waiting += _direct(current)
    return frozenset(found)


def _direct(path: Path) -> list[Path]:
    """Files of this package that `path` names in its import statements."""
    out = []
    for dots, module, names in _IMPORT.findall(path.read_text(encoding="utf-8")):
        base = ROOT if dots[0] != "." else path.parents[len(dots) - 1]
        target = base.joinpath(*[part for part in module.split(".") if part])
        candidates = [target.with_suffix(".py")]
        candidates += [target / f"{name.split(' as ')[0].strip()}.py" for name in names.strip("() \n").split(",")]
        out += [c for c in candidates if c.is_file() and ROOT in c.parents]
    return out


@cache
def stamp(path: Path) -> str:
    """Hash of the content of all `sources` of `path`."""
    digest = hashlib.sha256()
    for source in sorted(sources(path)):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


# The names lost their underscore in Numba 0.62.
_InTree: Any = getattr(caching, "InTreeCacheLocator", None) or getattr(caching, "_InTreeCacheLocator", None)
_Impl: Any = getattr(caching, "CacheImpl", None) or getattr(caching, "_CacheImpl", None)


def install() -> None:
    """Put our locator first; kernels outside this package keep Numba's own."""
    if _InTree is None or _Impl is None or any(getattr(c, "of_chipsim", False) for c in _Impl._locator_classes):
        return

    class Locator(_InTree):
        """Numba's own place beside the source, with the stamp of all files that matter."""

        of_chipsim = True

        def get_source_stamp(self) -> str:
            return stamp(Path(self._py_file).resolve())

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            inside = ROOT in Path(py_file).resolve().parents
            return super().from_function(py_func, py_file) if inside else None

    _Impl._locator_classes.insert(0, Locator)
