"""Everything in an HDF5 file looked at before any of it is read: what reading could stumble over is refused by name.

Files come from anywhere. The HDF5 library follows links to other files, runs filters from wherever they are installed,
takes memory for whatever shape, chunk or text a file declares, and trusts lengths that it finds (`storage_heap`).
"""

from __future__ import annotations

import math
import mmap
import zlib
from pathlib import Path
from typing import Any

import h5py
from h5py import h5a, h5d, h5l, h5o, h5s, h5t, h5z

from chipsim.errors import FileError
from chipsim.storage.heap import Heaps, check_attributes, check_elements, heaps_of
from chipsim.storage.limit import check_unfolded

DEPTH = 32  #: groups inside groups
MAX_ATTRIBUTE = 1 << 16  #: bytes of one attribute
DEFLATE = 1100  #: no deflate stream grows by more than 1032:1
SMALL = 1 << 12  #: bytes that a data set may declare without holding them (fill values)
FILTERS = frozenset({h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_SZIP, 32000})
_WORDS = {
    h5t.VLEN: "rows of different lengths", h5t.REFERENCE: "references", h5t.OPAQUE: "opaque bytes",
    h5t.ARRAY: "arrays", h5t.TIME: "times", h5t.BITFIELD: "bit fields",
}  # fmt: skip


def check_file(file: h5py.File, path: Path, *, attributes: bool = True) -> None:
    """Raise FileError for anything in an open file that cannot be read safely.

    Parameters
    ----------
    attributes
        Look at the attributes too: those of chipsim's own files are read, those of other formats are not.
    """
    heaps = heaps_of(path)
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        guard = _Guard(data, heaps, attributes)
        guard.group(file.id, "", 0)
    check_unfolded(path, guard.total)


class _Guard:
    """One walk over the objects of a file; `total` bytes are what its data sets unfold to."""

    def __init__(self, data: mmap.mmap, heaps: Heaps, attributes: bool) -> None:
        self.data, self.heaps, self.attributes = data, heaps, attributes
        self.seen: set[int] = set()
        self.total = 0

    def group(self, group: Any, where: str, depth: int) -> None:
        """A group: its attributes and all that it links to."""
        if depth > DEPTH:
            raise FileError(f"{where}: groups lie more than {DEPTH} deep")
        if self.attributes:
            self._attributes(group, where or "/")
        for name in group:
            place = f"{where}/{name.decode('utf-8', 'replace')}"
            if group.links.get_info(name).type != h5l.TYPE_HARD:
                said = "is missing: what stands there is a link" if self.attributes else "is a link"
                raise FileError(f"{place} {said} to elsewhere; what a file holds must lie in itself")
            self._object(h5o.open(group, name), place, depth)

    def _object(self, found: Any, where: str, depth: int) -> None:
        address = h5o.get_info(found).addr
        if address in self.seen:
            return
        self.seen.add(address)
        if isinstance(found, h5d.DatasetID):
            self._dataset(found, where)
            if self.attributes:
                self._attributes(found, where)
        elif isinstance(found, h5py.h5g.GroupID):
            self.group(found, where, depth + 1)
        else:
            raise FileError(f"{where} is a type, neither a group nor data")

    def _dataset(self, found: Any, where: str) -> None:
        kind, space, plan = found.get_type(), found.get_space(), found.get_create_plist()
        check_type(kind, where)
        if plan.get_layout() == h5d.VIRTUAL or plan.get_external_count():
            raise FileError(f"{where} keeps its values in another file")
        if space.get_simple_extent_type() == h5s.NULL:
            return
        shape, item = space.get_simple_extent_dims(), kind.get_size()
        size, held = math.prod(shape) * item, found.get_storage_size()
        packed = self._filters(plan, where)
        if size > max(held * DEFLATE if packed else held, SMALL):
            raise FileError(f"{where} declares {size} bytes in shape {shape}, but the file holds {held}")
        self.total += size
        if plan.get_layout() == h5d.CHUNKED:
            self._chunks(found, math.prod(plan.get_chunk()) * item, held, packed, where)
        if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str():
            self._texts(found, plan, where)

    def _filters(self, plan: Any, where: str) -> bool:
        """True if the values are compressed; raises FileError for filters that are not HDF5's own."""
        codes = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
        for code in codes:
            if code not in FILTERS:
                raise FileError(f"{where} is packed by filter {code}; gzip, lzf, shuffle and fletcher32 are read")
        return bool({h5z.FILTER_DEFLATE, h5z.FILTER_SZIP, 32000} & set(codes))

    def _chunks(self, found: Any, chunk: int, held: int, packed: bool, where: str) -> None:
        if chunk > max(held * DEFLATE if packed else held, SMALL) and held:
            raise FileError(f"{where} declares chunks of {chunk} bytes, but the file holds {held}")
        self.total += max(chunk, 0) if held and chunk > 1 << 24 else 0
        # A stream may be longer than its chunk: one that could grow beyond a limit is unpacked with a bound first.
        if not packed or held * DEFLATE <= 1 << 30:
            return
        for k in range(found.get_num_chunks()):
            info = found.get_chunk_info(k)
            if info.size * DEFLATE > max(1 << 30, 2 * chunk) and info.byte_offset is not None:
                stream = self.data[info.byte_offset : info.byte_offset + info.size]
                unpacked = zlib.decompressobj()
                try:
                    unpacked.decompress(stream, chunk + 64)
                except zlib.error:
                    continue  # reading it will say so
                if not unpacked.eof:
                    raise FileError(f"{where} unfolds to more than the {chunk} bytes of its chunks")

    def _texts(self, found: Any, plan: Any, where: str) -> None:
        """Texts of variable length: what the data set says of them against their heaps."""
        for elements in self._stored(found, plan, where):
            check_elements(elements, self.heaps, where)

    def _stored(self, found: Any, plan: Any, where: str) -> list[bytes]:
        start, held = found.get_offset(), found.get_storage_size()
        if start is not None:
            if start + held > len(self.data):
                raise FileError(f"{where} declares {held} bytes; the file holds fewer")
            return [self.data[start : start + held]]
        if not held:
            return []
        codes = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
        if plan.get_layout() != h5d.CHUNKED or not set(codes) <= {h5z.FILTER_DEFLATE}:
            raise FileError(f"{where} keeps texts of variable length in a form that is not read; write them plainly")
        chunks = [found.get_chunk_info(k) for k in range(found.get_num_chunks())]
        parts = [self.data[c.byte_offset : c.byte_offset + c.size] for c in chunks]
        most = math.prod(plan.get_chunk()) * 16
        return [zlib.decompressobj().decompress(p, most) for p in parts] if codes else parts

    def _attributes(self, found: Any, where: str) -> None:
        variable = False
        for k in range(h5a.get_num_attrs(found)):
            attribute = h5a.open(found, index=k)
            kind = attribute.get_type()
            check_type(kind, f"an attribute of {where}")
            if attribute.get_storage_size() > MAX_ATTRIBUTE:
                raise FileError(f"an attribute of {where} takes {attribute.get_storage_size()} bytes")
            variable |= isinstance(kind, h5t.TypeStringID) and kind.is_variable_str()
        if variable:
            check_attributes(self.data, h5o.get_info(found).addr, self.heaps, where)


def check_type(kind: Any, where: str) -> None:
    """Raise FileError unless a type is a number, a truth value, a text, or a record of these."""
    group, size = kind.get_class(), kind.get_size()
    if group in (h5t.INTEGER, h5t.FLOAT):
        if size not in (1, 2, 4, 8, 16):
            raise FileError(f"{where} holds numbers of {size} bytes")
    elif group == h5t.ENUM:
        check_type(kind.get_super(), where)
    elif group == h5t.COMPOUND:
        if kind.get_nmembers() > 64:
            raise FileError(f"{where} holds records of {kind.get_nmembers()} fields")
        for k in range(kind.get_nmembers()):
            member = kind.get_member_type(k)
            if member.get_class() == h5t.STRING:
                raise FileError(f"{where} holds records with texts")
            check_type(member, where)
    elif group == h5t.STRING:
        if not kind.is_variable_str() and size > 1 << 24:
            raise FileError(f"{where} declares a text of {size} bytes")
    else:
        raise FileError(f"{where} holds {_WORDS.get(group, 'objects')}, not numbers or text")
