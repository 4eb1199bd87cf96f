"""Texts of variable length in an HDF5 file, checked before the HDF5 library reads them.

They lie in global heaps: a collection "GCOL" has a header of 16 bytes with the size of the whole, then objects of 16
bytes (index, count of references, reserved, size) and their content, padded to 8 bytes. The last, with index 0, is the
free rest, which its size includes. What refers to a text (an element of a data set, an attribute) holds its length,
the address of its heap and its index there. The library copies as many bytes as the heap says into room for as many as
the element says, and runs in circles where a heap's sizes do not add up.
Source: HDF5 File Format Specification 3.0, III.E, IV.A.1, IV.A.2.m.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from chipsim.errors import FileError

_HEAP = b"GCOL\x01\x00\x00\x00"
_HEADER, _OBJECT = struct.Struct("<8sQ"), struct.Struct("<HHIQ")
_ELEMENT = struct.Struct("<IQI")  #: of a text of variable length: its length, the address of its heap, its index there
MAX_TEXT = 1 << 24  #: bytes of one text
Heaps = dict[int, dict[int, int]]  #: address of a heap -> index of an object -> its bytes


def heaps_of(path: Path) -> Heaps:
    """All heaps of a file; raises FileError if one does not end where it says."""
    found: Heaps = {}
    if path.stat().st_size < 64:
        return found
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_HEAP)
        while at >= 0:
            objects = _objects(data, at)
            if objects is None:
                raise FileError(
                    f"{path} is cut short or damaged (a text's length at byte {at} and after); write it again"
                )
            found[at] = objects
            at = data.find(_HEAP, at + _HEADER.unpack_from(data, at)[1])
    return found


def check_heaps(path: Path) -> None:
    """Raise FileError if a heap of the file does not end where it says."""
    heaps_of(path)


def _objects(data: mmap.mmap, start: int) -> dict[int, int] | None:
    """Index -> bytes of the objects of the heap at `start`; None if they do not fill it."""
    found: dict[int, int] = {}
    if start + _HEADER.size > len(data):
        return None
    size = _HEADER.unpack_from(data, start)[1]
    end, at = start + size, start + _HEADER.size
    if size < _HEADER.size or end > len(data):
        return None
    while at + _OBJECT.size <= end:
        index, _, _, length = _OBJECT.unpack_from(data, at)
        if index == 0:
            return found if length == end - at else None
        if length == 0 or length > end - at - _OBJECT.size or index in found:
            return None
        found[index] = length
        at += _OBJECT.size + -(-length // 8) * 8
    return found if at <= end else None


def check_elements(elements: bytes, heaps: Heaps, where: str) -> None:
    """Raise FileError unless every text that `elements` refer to is as long in its heap as they say."""
    for length, address, index in _ELEMENT.iter_unpack(elements[: len(elements) // _ELEMENT.size * _ELEMENT.size]):
        if length > MAX_TEXT:
            raise FileError(f"{where} declares a text of {length} bytes; it is damaged")
        if length and heaps.get(address, {}).get(index) != length:
            raise FileError(f"{where} declares a text of {length} bytes that the file does not hold; it is damaged")


_V1, _MESSAGE1 = struct.Struct("<BBHII"), struct.Struct("<HHB3x")
_CONTINUED, _ATTRIBUTE = 0x10, 0x0C
_VARIABLE = 9  #: class of the types whose values lie in a heap


def check_attributes(data: bytes | mmap.mmap, header: int, heaps: Heaps, where: str) -> None:
    """Raise FileError unless the texts among the attributes of the object with its header at `header` are sound."""
    for kind, body in _messages(data, header, where):
        if kind == _ATTRIBUTE:
            _check_attribute(body, heaps, where)


def _messages(data: bytes | mmap.mmap, header: int, where: str) -> Iterator[tuple[int, bytes]]:
    """(kind, body) of the messages of an object header of either version."""
    newer = data[header : header + 4] == b"OHDR"
    blocks = [_first_block2(data, header) if newer else (header + 16, _V1.unpack_from(data, header)[4])]
    extra = 2 if newer and data[header + 5] & 4 else 0
    for n, (at, size) in enumerate(blocks):
        end = at + size
        if n > 64 or end > len(data):
            raise FileError(f"{where} is damaged: its header does not end")
        head = 4 + extra if newer else 8
        while at + head <= end:
            kind, length = (
                (data[at], struct.unpack_from("<H", data, at + 1)[0]) if newer else _MESSAGE1.unpack_from(data, at)[:2]
            )
            body = data[at + head : at + head + length]
            if kind == _CONTINUED and len(body) >= 16:
                place, span = struct.unpack_from("<QQ", body)
                blocks.append((place + 4, span - 8) if newer else (place, span))
            yield kind, body
            at += head + length


def _first_block2(data: bytes | mmap.mmap, header: int) -> tuple[int, int]:
    flags = data[header + 5]
    at = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    return at + width, int.from_bytes(data[at : at + width], "little")


def _check_attribute(body: bytes, heaps: Heaps, where: str) -> None:
    """One attribute message: its texts of variable length against their heaps."""
    if len(body) < 8:
        raise FileError(f"{where} is damaged: an attribute is cut short")
    version = body[0]
    sizes = struct.unpack_from("<HHH", body, 2)
    at = 9 if version == 3 else 8
    name, kind, space = (size if version >= 2 else -(-size // 8) * 8 for size in sizes)
    if (body[at + name] if at + name < len(body) else 0) & 0x0F == _VARIABLE:
        check_elements(body[at + name + kind + space :][: _ELEMENT.size * 64], heaps, f"an attribute of {where}")
