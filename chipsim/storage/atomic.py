"""The one way in which chipsim writes a file: beside its target, renamed when it is complete, removed when it is not.

A process that dies leaves the old file as it was and a `.NAME.HOST@PID-N.part`, which the next one that writes into the
folder removes.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chipsim.errors import FileError

_PART = re.compile(r"^\..+\.(?:(?P<host>[\w-]*)@)?(?P<pid>\d{1,10})(?:-\d+)?\.part$")
_NUMBERS = itertools.count()
_LOOKED: dict[str, float] = {}  #: folder -> when stale files were last looked for, where looking takes long
_CROWDED, _AGAIN = 1000, 60.0  #: entries of a folder from which it is looked through only every so many seconds


def write_file(path: str | Path, content: bytes | str) -> Path:
    """Write `content` (text as UTF-8) to `path` at once or not at all; raises FileError, returns the path."""
    with replacing(path) as part:
        part.write(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def replacing(path: str | Path) -> Iterator[PartFile]:
    """A binary file to write and read that takes the place of `path` if the block succeeds, and is removed if not.

    Raises
    ------
    FileError
        No such folder, a target that is no regular file, or a system that refuses to write (a full disk, a quota).
    """
    target = _target(path)
    remove_stale(target.parent)
    part = target.with_name(f".{target.name[:48]}.{_host()}@{os.getpid()}-{next(_NUMBERS)}.part")
    try:
        file = PartFile(part)
    except (OSError, ValueError) as error:
        raise _refusal(target, error) from None
    try:
        yield file
        file.finish()
        os.replace(part, target)
    except OSError as error:
        raise _refusal(target, file.error or error) from error
    except Exception as error:
        if file.error is None:
            raise
        raise _refusal(target, file.error) from error  # it broke because nothing more could be written
    finally:
        file.abandon()
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _target(path: str | Path) -> Path:
    """Where `path` leads, links followed; FileError unless a regular file is or could be there."""
    given = Path(path)
    try:
        target = Path(os.path.realpath(given)) if given.is_symlink() else given
        if target.is_dir():
            raise FileError(f"cannot write {given}: it is a folder; give a file name")
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write {given}: it is a device or a pipe, no regular file")
        if not target.parent.is_dir():
            raise FileError(f"cannot write {given}: there is no folder {target.parent}")
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"cannot write {str(given)[:200]!r}: {getattr(error, 'strerror', None) or error}") from None
    return target


def _refusal(target: Path, error: BaseException) -> FileError:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return FileError(f"cannot write {target}: {said.splitlines()[0]}; nothing was changed")


class PartFile(io.RawIOBase):
    """A new file that takes everything after the first write that failed: HDF5 can then be closed, which it cannot be
    while its disk is full. `finish` raises what was kept back.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.error = path, None
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        self._file: Any = os.fdopen(self._handle, "r+b", buffering=0)

    error: BaseException | None

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                done = 0
                while done < len(view):
                    done += self._file.write(view[done:])
                return len(view)
            except BaseException as error:
                self.error = error
        with suppress(OSError):
            self._file.seek(len(view), os.SEEK_CUR)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read; what was never written is zeros."""
        view = memoryview(buffer).cast("B")
        got = self._file.readinto(view) or 0
        if self.error is not None and got < len(view):
            view[got:] = bytes(len(view) - got)
            return len(view)
        return got

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it stands."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the length."""
        try:
            return self._file.truncate(size)
        except BaseException as error:
            self.error = self.error or error
            return self.tell() if size is None else size

    def flush(self) -> None:
        """Nothing is buffered here."""

    def readable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def finish(self) -> None:
        """Close the file; raises what writing it raised."""
        try:
            self._file.close()  # a quota may speak only now
        except OSError as error:
            self.error = self.error or error
        if self.error is not None:
            raise self.error

    def abandon(self) -> None:
        """Close the file, whatever happens."""
        with suppress(OSError):
            self._file.close()


def remove_stale(folder: Path) -> None:
    """Remove the unfinished files in `folder` of processes of this machine that no longer run."""
    now = time.monotonic()
    if now - _LOOKED.get(str(folder), -_AGAIN) < _AGAIN:
        return
    count = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            count += 1
            found = _PART.match(entry.name)
            if found and found["host"] in (None, _host()) and not _runs(int(found["pid"])):
                with suppress(OSError):
                    os.unlink(entry.path)
    if count > _CROWDED:
        _LOOKED[str(folder)] = now


def _host() -> str:
    return re.sub(r"[^\w-]", "-", socket.gethostname())[:32]


def _runs(pid: int) -> bool:
    """True if a process of that number is there; on systems that cannot be asked, always."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
