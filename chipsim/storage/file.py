"""HDF5 files as a whole: new ones written through `storage_atomic`, others opened once nothing in them can hurt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chipsim.errors import FileError, lacks_memory
from chipsim.storage.atomic import replacing

if TYPE_CHECKING:
    import h5py

FORMAT = "chipsim"
VERSION = 1  #: of the layout in docs/formats.md; raised when an older reader could misread a file
#: What h5py, NumPy and constructors raise for damage.
DAMAGE = (
    KeyError, OSError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RuntimeError, RecursionError,
    ArithmeticError,
)  # fmt: skip
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Headers with checksums (HDF5 1.10): a flipped bit in them is seen before anything is made of it.
LAYOUT = ("v110", "v110")


@contextmanager
def new_hdf5(path: str | Path, libver: tuple[str, str] = LAYOUT) -> Iterator[h5py.File]:
    """A new HDF5 file, in place only when the block has succeeded; raises FileError where it cannot be written."""
    import h5py

    with replacing(path) as part, h5py.File(part, "w", libver=libver) as file:
        yield file


@contextmanager
def writing(path: str | Path, kind: str) -> Iterator[h5py.File]:
    """A new file of chipsim's own of `kind`, in place only when the block has succeeded."""
    from chipsim import __version__

    with new_hdf5(path) as file:
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
    file = open_hdf5(source)
    try:
        _check_header(file, source, kinds)
        yield file
    except FileError as error:
        raise naming(source, error) from None
    except DAMAGE as error:
        if lacks_memory(error):
            raise
        raise FileError(f"{source} is damaged: {reason(error)}") from error
    finally:
        file.close()


def open_hdf5(
    path: str | Path, *, attributes: bool = True, label: Callable[[h5py.File, str], str] | None = None
) -> h5py.File:
    """An HDF5 file open for reading, of which nothing can lead elsewhere, take more memory than it may, or crash.

    Parameters
    ----------
    attributes
        Look at attributes too; False for formats whose attributes are never read.
    label
        label(file, text) -> text of a refusal, in which the format's own words stand for an object's place.

    Raises
    ------
    FileError
        Missing, a folder, no HDF5, cut short, or holding what `storage_guard.check_file` refuses.
    """
    import h5py

    from chipsim.storage.guard import check_file

    source = Path(path)
    if source.is_dir():
        raise FileError(f"{source} is a folder, not a file")
    if source.exists() and not source.is_file():
        raise FileError(f"{source} is a device or a pipe, not a file")
    try:
        with source.open("rb") as raw:
            signature = raw.read(len(_SIGNATURE))
    except (OSError, ValueError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise FileError(f"cannot read {plain(str(source))}: {said}") from None
    if signature != _SIGNATURE:
        said = (
            "is empty" if not signature else "is not an HDF5 file; chipsim saves programs, results and networks in HDF5"
        )
        raise FileError(f"{source} {said}")
    file = None
    try:
        file = h5py.File(source, "r")
        check_file(file, source, attributes=attributes)
    except (FileError, *DAMAGE) as error:
        text = str(error)
        if file is not None:
            text = label(file, text) if label is not None else text
            file.close()
        if isinstance(error, FileError):
            raise naming(source, FileError(text)) from None
        raise FileError(f"{source} is cut short or damaged ({reason(error)}); write it again") from None
    return file


def naming(source: str | Path, error: Exception) -> FileError:
    """The error as one of the file `source`, which it names in front, in a line that can be printed."""
    text, name = str(error), str(source)
    rest = text[len(name) :] if text.startswith(name) else f": {text}"
    return FileError(f"{plain(name)}{plain(rest)}")


def reason(error: BaseException) -> str:
    """What an error of h5py or NumPy says, in a line of at most 120 letters."""
    text = str(error).strip("'\"")
    inner = text[text.rfind("(") + 1 :].rstrip(")") if "(" in text and isinstance(error, OSError) else text
    return plain(inner)[:120] or type(error).__name__


def plain(text: str) -> str:
    """A text from a file or an error as one line that can be printed: what cannot be is escaped, long ones are cut."""
    made = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
    return made if len(made) <= 400 else f"{made[:380]}… ({len(made)} letters)"


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
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else ""


def kind_of(path: str | Path) -> str:
    """What a chipsim file holds: "program", "result", "network" or "state"; FileError for any other."""
    source = Path(path)
    with open_hdf5(source) as file:
        kind = _text(file, "kind")
        _check_header(file, source, (kind,))
        return kind
