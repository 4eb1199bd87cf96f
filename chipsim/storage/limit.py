"""How much a file may unfold to: asked before anything is read, for HDF5, NumPy archives and arrays alike."""

from __future__ import annotations

import os
from pathlib import Path

from chipsim.errors import FileError

VARIABLE = "CHIPSIM_READ_LIMIT"  #: GiB that a file may unfold to, for those who trust theirs
ALWAYS = 1 << 30  #: bytes that any file may unfold to
TIMES = 64  #: times its own size that a larger one may


def read_limit(path: str | Path) -> int:
    """Bytes that the arrays of the file `path` may take together: 1 GiB, or 64 times its size where that is more.

    The environment variable CHIPSIM_READ_LIMIT (GiB) replaces it. Raises FileError where that is no number.
    """
    chosen = os.environ.get(VARIABLE, "")
    if not chosen:
        return max(ALWAYS, TIMES * os.path.getsize(path))
    try:
        limit = float(chosen)
    except ValueError:
        limit = -1.0
    if not 0 < limit < 1 << 20:
        raise FileError(f"{VARIABLE}={chosen!r} is no number of GiB")
    return int(limit * (1 << 30))


def check_unfolded(path: str | Path, size: int) -> None:
    """Raise FileError if the arrays of `path` would take `size` bytes and that is more than it may."""
    limit = read_limit(path)
    if size > limit:
        raise FileError(
            f"{path} unfolds to {_human(size)} of arrays, its {_human(os.path.getsize(path))} may unfold to "
            f"{_human(limit)}; if you trust it, set {VARIABLE} to as many GiB"
        )


def _human(size: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024  # type: ignore[assignment]
    return f"{size:,.3g} GiB"
