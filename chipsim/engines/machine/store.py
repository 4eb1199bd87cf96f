"""Pieces of projections to the flat arrays that the kernels read: ports, rows, kernels, look-up tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import RunError
from chipsim.kernels.core import records
from chipsim.kernels.core.delivery import CONV, DENSE, DENSE8, NOWHERE, POSITION_BITS, SPARSE8
from chipsim.native.synapses import Conv
from chipsim.program.program import Program

from .pieces import Piece


def ports_record(rows: list[list[int]], tiles: int) -> dict[str, Any]:
    """The `Ports` of rows (tile, lo, hi, depth, shift, wrap), sorted by tile, and where each tile's begin."""
    table = np.array(rows, np.int64).reshape(-1, 6)
    sizes = (table[:, 2] - table[:, 1]) * table[:, 3]
    offset = np.concatenate(([0], np.cumsum(sizes)))[:-1].astype(np.int64)
    columns = [np.ascontiguousarray(c) for c in (table[:, 3], table[:, 1], table[:, 2], table[:, 4], table[:, 5])]
    return {
        "ports": records.Ports(offset, *columns),
        "port_ptr": np.searchsorted(table[:, 0], np.arange(tiles + 1)).astype(np.int64),
    }


def homes(ports: records.Ports, whose: list[int]) -> np.ndarray:
    """Place in the accumulators of each one of a machine of one tile, (acc,) int64.

    There a port is a ring of whole populations, (depth, targets), and ports follow each other by first target, then in
    the order of `whose`, the number of the whole port that each port of `ports` is a part of.
    """
    order = sorted(range(len(whose)), key=lambda q: (whose[q], int(ports.lo[q])))
    parts: dict[int, list[np.ndarray]] = {}
    for q in order:
        ring = ports.offset[q] + np.arange(ports.depth[q] * (ports.hi[q] - ports.lo[q]))
        parts.setdefault(whose[q], []).append(ring.reshape(ports.depth[q], -1))
    first = {w: min(int(ports.lo[q]) for q in order if whose[q] == w) for w in parts}
    rings = [np.concatenate(parts[w], axis=1).ravel() for w in sorted(parts, key=lambda w: (first[w], w))]
    return np.concatenate(rings) if rings else np.zeros(0, np.int64)


def fans_record(
    program: Program, pieces: list[Piece], place: dict[int, int], ports: Any, tiles: int, is_float: bool
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The `Fans` of all pieces, where each tile's begin, and the flat arrays that their pointers point into."""
    flat: dict[str, list[np.ndarray]] = {
        "indptr": [],
        "packed": [],
        "index": [],
        "weight": [],
        "wide": [],
        "narrow": [],
    }
    filled = dict.fromkeys(flat, 0)
    table = []
    geometry = np.zeros((max(len(pieces), 1), 16), np.int64)
    early = program.arithmetic.preset == "brian2_loihi"

    def append(name: str, array: np.ndarray) -> int:
        at = filled[name]
        flat[name].append(array)
        filled[name] += array.size
        return at

    for j, piece in enumerate(pieces):
        q = place[piece.port]
        width = int(ports.hi[q] - ports.lo[q])
        source = program.populations[piece.projection.pre]
        number = np.float64 if is_float else np.int32
        pointer = _store(piece, width, int(ports.depth[q]), number, append, geometry[j])
        # see chipsim.kernels.core.machine.arrive: 1 acts in the step it is sent, 2 learns
        at_once = 1 if early and source.model.is_input else 2 * int(piece.projection.rule is not None)
        table.append([piece.kind, piece.projection.pre, source.start, q, pointer, piece.graded, at_once])
    columns = np.array(table, np.int64).reshape(-1, 7).T
    listed: list[np.ndarray] = [*(np.ascontiguousarray(c) for c in columns), geometry]
    fans = records.Fans(*listed)
    dtypes = {
        "indptr": np.uint32,
        "packed": np.uint32,
        "index": np.uint32,
        "narrow": np.int8,
        "weight": np.float64 if is_float else np.int32,
        "wide": np.float64 if is_float else np.int32,
    }
    arrays = {
        name: (parts[0] if len(parts) == 1 else np.concatenate(parts)) if parts else np.zeros(1, dtypes[name])
        for name, parts in flat.items()
    }
    fan_ptr = np.searchsorted([p.tile for p in pieces], np.arange(tiles + 1)).astype(np.int64)
    return {"fans": fans, "fan_ptr": fan_ptr}, arrays


def _store(piece: Piece, width: int, depth: int, number: type, append: Any, geometry: np.ndarray) -> int:
    """Append a piece's arrays; returns its pointer."""
    if piece.kind == CONV:
        conv: Conv = piece.data
        tables = [append("indptr", _conv_places(conv, axis)) for axis in (0, 1)]
        geometry[:12] = (
            *conv.in_image,
            *conv.out_image,
            *conv.kernel.shape[1:3],
            *tables,
            conv.groups,
            int(conv.channels == "first"),
        )
        return append("wide", _conv_rows(conv).astype(number))
    if piece.kind in (DENSE8, DENSE):
        dense = piece.data.toarray() if sp.issparse(piece.data) else piece.data
        rows = np.ascontiguousarray(dense.T).ravel()
        geometry[0] = int(piece.delay)
        return append("narrow", rows.astype(np.int8)) if piece.kind == DENSE8 else append("wide", rows.astype(number))
    matrix = piece.data
    if not sp.issparse(matrix):
        matrix = sp.csc_array(matrix)
        matrix.sort_indices()
    if depth * width >= (1 << POSITION_BITS) and piece.kind == SPARSE8:
        raise RunError(f"projection '{piece.projection.name}': delay times targets exceeds 2**24 ring positions")
    position = matrix.indices.astype(np.uint32)
    if np.ndim(piece.delay) or piece.delay:
        position = position + np.uint32(width) * np.asarray(piece.delay).astype(np.uint32)
    if piece.kind == SPARSE8:
        data = matrix.data.astype(np.int8, copy=False).view(np.uint8).astype(np.uint32)
        np.left_shift(data, POSITION_BITS, out=data)
        np.bitwise_or(data, position, out=data)
        base = append("packed", _sorted_rows(data, matrix.indptr) if np.ndim(piece.delay) else data)
    else:
        base = append("index", position)
        append("weight", matrix.data.astype(number))
    return append("indptr", (matrix.indptr.astype(np.int64) + base).astype(np.uint32))


def _sorted_rows(packed: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Packed entries sorted by ring position within each row, by sorting (row, position, weight) as one number."""
    row = np.repeat(np.arange(indptr.size - 1, dtype=np.uint64), np.diff(indptr))
    low = np.uint64((1 << POSITION_BITS) - 1)
    wide = packed.astype(np.uint64)
    key = (row << np.uint64(32)) | ((wide & low) << np.uint64(8)) | (wide >> np.uint64(POSITION_BITS))
    key.sort()
    position = ((key >> np.uint64(8)) & low).astype(np.uint32)
    return position | ((key & np.uint64(0xFF)).astype(np.uint32) << np.uint32(POSITION_BITS))


def _conv_places(conv: Conv, axis: int) -> np.ndarray:
    """Output coordinate along `axis` of every (input coordinate, kernel offset), flat uint32; NOWHERE if none."""
    size, out = conv.in_image[axis], conv.out_image[axis]
    at = np.arange(size)[:, None] + conv.padding[axis] - np.arange(conv.kernel.shape[1 + axis]) * conv.dilation[axis]
    place, rest = np.divmod(at, conv.stride[axis])
    inside = (rest == 0) & (place >= 0) & (place < out)
    return np.where(inside, place, int(NOWHERE)).astype(np.uint32).ravel()


def _conv_rows(conv: Conv) -> np.ndarray:
    """Kernel reordered to (in channel, k0, k1, out channel of its group), flat."""
    out, k0, k1, per_in = conv.kernel.shape
    grouped = conv.kernel.reshape(conv.groups, out // conv.groups, k0, k1, per_in)
    return np.ascontiguousarray(grouped.transpose(0, 4, 2, 3, 1)).ravel()
