"""Files as a whole: written beside the target and renamed, opened with a reason when they are not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chipsim.errors import FileError

from .heap import check_heaps

if TYPE_CHECKING:
    import h5py

FORMAT = "chipsim"
VERSION = 1  #: of the layout in docs/formats.md; raised when an older reader could misread a file
_DAMAGE = (
    KeyError, OSError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RuntimeError,
)  # fmt: skip
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place if the block succeeds, and is removed if it fails.

    Raises
    ------
    FileError
        The folder does not exist, or the system refuses to write.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileError(f"cannot write {target}: there is no folder {target.parent}")
    if target.is_dir():
        raise FileError(f"cannot write {target}: it is a folder; give a file name")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, target)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path, kind: str) -> Iterator[h5py.File]:
    """A new HDF5 file of `kind`, in place only when the block has succeeded."""
    import h5py

    from chipsim import __version__

    with replacing(path) as part, h5py.File(part, "w", libver=("earliest", "v110")) as file:
        file.attrs["format"], file.attrs["kind"], file.attrs["version"] = FORMAT, kind, VERSION
        file.attrs["written_by"] = f"chipsim {__version__}"
        yield file


@contextmanager
def reading(path: str | Path, *kinds: str) -> Iterator[h5py.File]:
    """An open file of one of `kinds`; whatever is wrong inside becomes one FileError naming the file.

    Raises
    ------
    FileError
        Missing, cut short, not HDF5, not chipsim's, of another kind, or of a newer version.
    """
    source = Path(path)
    file = _open(source)
    try:
        _check_header(file, source, kinds)
        yield file
    except FileError as error:
        known = str(error).startswith(str(source))
        raise error if known else FileError(f"{source}: {error}") from None
    except _DAMAGE as error:
        text = str(error).strip("'\"").splitlines() or [type(error).__name__]
        raise FileError(f"{source} is damaged: {text[0]}") from error
    finally:
        file.close()


def _open(source: Path) -> h5py.File:
    import h5py

    if source.is_dir():
        raise FileError(f"{source} is a folder, not a file")
    try:
        with source.open("rb") as raw:
            signature = raw.read(len(_SIGNATURE))
    except OSError as error:
        raise FileError(f"cannot read {source}: {(error.strerror or str(error)).lower()}") from None
    if signature != _SIGNATURE:
        said = (
            "is empty" if not signature else "is not an HDF5 file; chipsim saves programs, results and networks in HDF5"
        )
        raise FileError(f"{source} {said}")
    check_heaps(source)
    try:
        return h5py.File(source, "r")
    except OSError as error:
        raise FileError(f"{source} is cut short or damaged ({_reason(error)}); write it again") from None


def _reason(error: OSError) -> str:
    text = str(error)
    inner = text[text.rfind("(") + 1 :].rstrip(")") if "(" in text else text
    return inner.splitlines()[0][:120]


def _check_header(file: h5py.File, source: Path, kinds: tuple[str, ...]) -> None:
    wanted = " or ".join(kinds)
    if _text(file, "format") != FORMAT:
        raise FileError(f"{source} is an HDF5 file, but no chipsim {wanted}")
    version = int(file.attrs.get("version", -1))
    if version > VERSION:
        raise FileError(
            f"{source} has format version {version}, written by {_text(file, 'written_by')}; "
            f"this chipsim reads up to {VERSION}: update it"
        )
    kind = _text(file, "kind")
    if kind not in kinds:
        raise FileError(f"{source} holds a {kind}, not a {wanted}")


def _text(file: h5py.File, name: str) -> str:
    value = file.attrs.get(name, "")
    return value if isinstance(value, str) else ""


def kind_of(path: str | Path) -> str:
    """What a chipsim file holds: "program", "result", "network" or "state"; FileError for any other."""
    source = Path(path)
    with _open(source) as file:
        kind = _text(file, "kind")
        _check_header(file, source, (kind,))
        return kind
