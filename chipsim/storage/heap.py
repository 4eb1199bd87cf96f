"""Global heaps of an HDF5 file, checked before the HDF5 library reads them: a wrong size there keeps it in a loop.

Texts of variable length (names, node types, edges) lie in collections "GCOL": a header of 16 bytes with the size of the
whole, then objects of 16 bytes (index, count of references, reserved, size) and their content, padded to 8 bytes. The
last, with index 0, is the free rest, which its size includes. Source: HDF5 File Format Specification 3.0, III.E.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from chipsim.errors import FileError

if TYPE_CHECKING:
    import h5py

_HEAP = b"GCOL\x01\x00\x00\x00"
_HEADER, _OBJECT = struct.Struct("<8sQ"), struct.Struct("<HHIQ")


def check_heaps(path: Path) -> None:
    """Raise FileError if a heap of the file does not end where it says."""
    if path.stat().st_size < 64:
        return
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_HEAP)
        while at >= 0:
            end = _end(data, at)
            if end is None:
                raise FileError(
                    f"{path} is cut short or damaged (a text's length at byte {at} and after); write it again"
                )
            at = data.find(_HEAP, end)


def _end(data: mmap.mmap, start: int) -> int | None:
    """Where the heap at `start` ends; None if its objects do not fill it."""
    if start + _HEADER.size > len(data):
        return None
    size = _HEADER.unpack_from(data, start)[1]
    end, at = start + size, start + _HEADER.size
    if size < _HEADER.size or end > len(data):
        return None
    while at + _OBJECT.size <= end:
        index, _, _, length = _OBJECT.unpack_from(data, at)
        if index == 0:
            return end if length == end - at else None
        if length == 0 or length > end - at - _OBJECT.size:
            return None
        at += _OBJECT.size + -(-length // 8) * 8
    return end if at <= end else None


_ELEMENT = struct.Struct("<IQI")  #: of a text of variable length: its length, the address of its heap, its index there
MAX_TEXT = 1 << 20  #: bytes of one text


def check_texts(dataset: h5py.Dataset) -> None:
    """Raise FileError unless a dataset holds texts of reasonable lengths; nothing of it is read before."""
    import h5py

    kind = dataset.id.get_type()
    if not isinstance(kind, h5py.h5t.TypeStringID):
        raise FileError(f"{dataset.name} holds no text")
    if not kind.is_variable_str():
        if kind.get_size() > MAX_TEXT:
            raise FileError(f"{dataset.name} declares a text of {kind.get_size()} bytes")
        return
    start, size = dataset.id.get_offset(), dataset.id.get_storage_size()
    if start is None or size % _ELEMENT.size:
        return
    if start + size > os.path.getsize(dataset.file.filename):
        raise FileError(f"{dataset.name} declares {size} bytes; the file holds fewer")
    with open(dataset.file.filename, "rb") as raw:
        raw.seek(start)
        elements = raw.read(size)
    for length, _, _ in _ELEMENT.iter_unpack(elements[: len(elements) // _ELEMENT.size * _ELEMENT.size]):
        if length > MAX_TEXT:
            raise FileError(f"{dataset.name} declares a text of {length} bytes; it is damaged")
