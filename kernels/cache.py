"""Compiled kernels on disk that notice when a file they import has changed.

Numba stamps a cached kernel with its own file only; a kernel that calls one of another file would go on
running yesterday's copy of it. The locator here stamps with the content of every file of this package that the
kernel's file imports, directly or not.
"""

from __future__ import annotations

import atexit
import hashlib
import re
import shutil
import tempfile
import warnings
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
_UserWide: Any = getattr(caching, "UserWideCacheLocator", None) or getattr(caching, "_UserWideCacheLocator", None)
_Impl: Any = getattr(caching, "CacheImpl", None) or getattr(caching, "_CacheImpl", None)
_File: Any = getattr(caching, "IndexDataCacheFile", None)


def install() -> None:
    """Put our locators first and last; kernels outside this package keep Numba's own.

    Compiled kernels lie beside their source, or in the user's cache folder where that cannot be written, or in a folder
    of this process, which is said. A disk that is full when one is kept costs a compilation next time, and no more.
    """
    if _Impl is None or _InTree is None or _UserWide is None:
        return
    if any(getattr(c, "of_chipsim", False) for c in _Impl._locator_classes):
        return
    _Impl._locator_classes[:0] = [_stamped(_InTree), _stamped(_UserWide)]
    _Impl._locator_classes.append(_stamped(_InTree, scratch))
    if _File is not None:
        _File.save = _forgiving(_File.save)


def refuse_uncompiled() -> None:
    """Raise RuntimeError where Numba is told to compile nothing: kernels are written for the compiler alone."""
    from numba import config

    if config.DISABLE_JIT:
        raise RuntimeError("NUMBA_DISABLE_JIT is set, but chipsim's kernels only run compiled; unset it")


def _stamped(base: Any, folder: Any = None) -> Any:
    """Numba's locator `base` for our files, with the stamp of all sources that matter; in `folder()` if given."""

    class Locator(base):
        of_chipsim = True

        def __init__(self, py_func: Any, py_file: str) -> None:
            super().__init__(py_func, py_file)
            if folder is not None:
                self._cache_path = str(Path(folder()) / self.get_suitable_cache_subpath(py_file))

        def get_source_stamp(self) -> str:
            return stamp(Path(self._py_file).resolve())

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            inside = ROOT in Path(py_file).resolve().parents
            try:
                return super().from_function(py_func, py_file) if inside else None
            except OSError:
                return None

    return Locator


@cache
def scratch() -> str:
    """A folder for compiled code that ends with this process; the first call says that there is no better one."""
    made = tempfile.mkdtemp(prefix="chipsim-kernels-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    warnings.warn(
        "no folder for compiled kernels can be written, so they are compiled anew in every process; "
        "set NUMBA_CACHE_DIR or CHIPSIM_CACHE to one that can",
        RuntimeWarning,
        stacklevel=2,
    )
    return made


def _forgiving(save: Any) -> Any:
    """`save`, but what cannot be written is not kept."""

    def saved(self: Any, key: Any, data: Any) -> None:
        try:
            save(self, key, data)
        except OSError as error:
            warnings.warn(f"a compiled kernel was not kept: {error.strerror or error}", RuntimeWarning, stacklevel=2)

    return saved
