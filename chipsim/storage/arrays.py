"""NumPy files (.npy, .npz) that nobody vouches for: what they declare is asked before memory is taken for it.

An .npz is a zip of .npy files. A megabyte of it can hold a thousand of zeros; its directory may lie about sizes, name
the same bytes many times, or be cut short.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.errors import ChipsimError, FileError
from chipsim.storage.atomic import write_file
from chipsim.storage.limit import check_unfolded

#: What NumPy, zipfile and their parsers raise for damage.
DAMAGE = (
    OSError, ValueError, KeyError, EOFError, SyntaxError, TypeError, RuntimeError, NotImplementedError, OverflowError,
    IndexError, AttributeError, RecursionError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
MEMBERS = 10_000  #: of one .npz
#: Asked of every array before it is read: check(name, shape, dtype), which raises for one that is not wanted.
Check = Callable[[str, tuple[int, ...], np.dtype], None]


def read_npy(path: str | Path, check: Check | None = None) -> np.ndarray:
    """The array of an .npy file.

    Raises
    ------
    FileError
        Missing, cut short, damaged, of objects, or declaring more than it holds.
    """
    return _guarded(Path(path), lambda source: _whole(source, check))


def read_npz(path: str | Path, check: Check | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name; raises FileError as `read_npy`, and for one that unfolds to too much."""
    return _guarded(Path(path), lambda source: _members(source, check))


def write_npz(path: str | Path, **arrays: Any) -> Path:
    """Write arrays to an .npz file at once or not at all; raises FileError."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return write_file(path, content.getvalue())


def _guarded(source: Path, read: Callable[[Path], Any]) -> Any:
    from chipsim.storage.file import naming, plain, reason

    try:
        if not source.is_file():
            raise FileError(f"cannot read {source}: {'no such file' if not source.exists() else 'it is no file'}")
        return read(source)
    except FileError as error:
        raise error if str(error).startswith("cannot read") else naming(source, error) from None
    except ChipsimError:
        raise
    except DAMAGE as error:
        raise FileError(f"{plain(str(source))} is cut short or damaged: {reason(error)}") from None


def _header(stream: Any, what: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype of an .npy stream, which then stands at the first value."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise FileError(f"{what} has an unknown array format {version}")
        shape, fortran, dtype = readers[version](stream)
    except FileError:
        raise
    except Exception as error:  # Python's own parser reads the header, and raises whatever it likes
        from chipsim.storage.file import plain

        raise FileError(f"{what} has a damaged array header ({plain(str(error))[:80]})") from None
    if dtype.hasobject:
        raise FileError(f"{what} holds objects, not numbers")
    if len(shape) > 32 or any(d < 0 for d in shape):
        raise FileError(f"{what} declares shape {shape}")
    return shape, fortran, dtype


def _bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return math.prod(shape) * dtype.itemsize


def _whole(source: Path, check: Check | None) -> np.ndarray:
    with source.open("rb") as stream:
        shape, fortran, dtype = _header(stream, "it")
        need, held = _bytes(shape, dtype), os.fstat(stream.fileno()).st_size - stream.tell()
        if need > held:
            raise FileError(f"declares shape {shape}, {need} bytes; it holds {held}")
        if check is not None:
            check("", shape, dtype)
        return _read(stream, shape, fortran, dtype)


def _read(stream: Any, shape: tuple[int, ...], fortran: bool, dtype: np.dtype) -> np.ndarray:
    """The values that follow a header."""
    made = np.empty(math.prod(shape), dtype)
    view: Any = made.view(np.uint8).data if made.nbytes else memoryview(b"")
    at = 0
    while at < made.nbytes:
        part = stream.read(min(1 << 22, made.nbytes - at))
        if not part:
            raise FileError(f"ends after {at} of {made.nbytes} bytes")
        view[at : at + len(part)] = part
        at += len(part)
    return made.reshape(shape, order="F" if fortran else "C")


def _members(source: Path, check: Check | None) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
        if len(entries) > MEMBERS:
            raise FileError(f"has {len(entries)} members; at most {MEMBERS} are read")
        total = 0
        for entry in entries:
            total += _asked(archive, entry, check)
            check_unfolded(source, total)
        found: dict[str, np.ndarray] = {}
        for entry in entries:
            with archive.open(entry) as stream:
                found[entry.filename.removesuffix(".npy")] = _read(stream, *_header(stream, f"'{entry.filename}'"))
                if stream.read(1):
                    raise FileError(f"'{entry.filename}' holds more than it declares")
    return found


def _asked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, check: Check | None) -> int:
    """Bytes that a member will take, by its own header; it is refused if the directory says fewer."""
    what = f"'{entry.filename}'"
    if not entry.filename.isprintable() or len(entry.filename) > 1000:
        raise FileError(f"a member's name {entry.filename[:40]!a} is no name of an array")
    with archive.open(entry) as stream:
        shape, _, dtype = _header(stream, what)
    need = _bytes(shape, dtype)
    if need > entry.file_size:
        raise FileError(f"{what} declares shape {shape}, {need} bytes; it holds {entry.file_size}")
    if check is not None:
        check(entry.filename.removesuffix(".npy"), shape, dtype)
    return need
