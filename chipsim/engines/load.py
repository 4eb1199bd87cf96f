"""A program to the flat arrays of a time-step machine: parameters, ports, rows of synapses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.errors import RunError
from chipsim.native.synapses import Conv, FloatSynapses
from chipsim.program import Program, ProjectionImage
from kernels import records, update
from kernels.synapse import CONV, DENSE, DENSE8, NOWHERE, POSITION_BITS, SPARSE, SPARSE8

from .registers import BUILDERS, N_OPTIONS, PARAM_ROWS, REAL_ROWS, STATE_ROWS
from .weights import common_shift, effective

#: Dense rows are added faster than sparse ones from this density on, but cost a byte for every zero:
#: they are taken for small matrices, and for any that is at least `FULL` full.
DENSE_FROM, DENSE_BYTES, FULL = 1.0, 4 << 20, 1 / 6


class Machine(NamedTuple):
    """A loaded program: `net` and the initial state, what was clipped on the way, where learning projections are."""

    net: records.Net
    state: records.State
    clipped: dict[str, int]
    #: Row of `Fans` of each projection that learns, by name.
    learns: dict[str, int]


def tile_bounds(n: int, tiles: int) -> np.ndarray:
    """Cuts of a population of n neurons into `tiles` parts at multiples of 8, (tiles + 1,) int64."""
    cuts = np.round(np.linspace(0, n, tiles + 1) / 8).astype(np.int64) * 8
    cuts[0], cuts[-1] = 0, n
    return np.minimum(cuts, n)


@dataclass
class _Ports:
    """Accumulators asked for so far, by what they share."""

    keys: dict[tuple, int] = field(default_factory=dict)
    rows: list[list[int]] = field(default_factory=list)

    def get(self, tile: int, pop: int, lo: int, hi: int, depth: int, shift: int, wrap: int, own: Any) -> int:
        """Port of neurons [lo, hi); shared by all that shift alike to the left."""
        key = (tile, pop, shift, wrap, own)
        if key not in self.keys:
            self.keys[key] = len(self.rows)
            self.rows.append([tile, lo, hi, depth, shift, wrap])
        row = self.rows[self.keys[key]]
        row[3] = max(row[3], depth)
        return self.keys[key]


class _Piece(NamedTuple):
    """A projection's part in one tile, before its ring depth is known."""

    tile: int
    port: int
    projection: ProjectionImage
    kind: int
    data: Any  # CSC matrix, dense array or conv kernel, of this tile's targets
    delay: Any  # int or aligned array
    graded: int


def load(program: Program, tiles: int = 1) -> Machine:
    """Build the machine of a time-step program; `tiles` > 1 prepares it for as many threads."""
    is_float = program.arithmetic.is_float
    number = np.float64 if is_float else np.int32
    tiles = 1 if any(isinstance(p.synapses, Conv) for p in program.projections) else tiles
    net_part, clipped, learns = _synapses(program, tiles, is_float)
    params, reals, rows, options = _neurons(program, number, is_float)
    segments, segment_ptr = _segments(program, options, tiles, is_float)
    pops = program.populations
    net = records.Net(
        params=params,
        reals=reals,
        segments=segments,
        segment_ptr=segment_ptr,
        is_input=np.array([p.model.is_input for p in pops], np.uint8),
        is_graded=np.array([carries_values(p.model) for p in pops], np.uint8),
        pop_ptr=np.array([0, *(p.stop for p in pops)], np.int64),
        **net_part,
    )
    ports = net.ports
    size = int((ports.depth * (ports.hi - ports.lo)).sum())
    padded = -(-program.n // 8) * 8 + 8
    state = records.State(
        rows=rows,
        acc=np.zeros(size, number),
        drive=np.zeros(program.n, number),
        value=np.zeros(program.n, number),
        fired=np.zeros(padded, np.uint8),
        active=np.zeros(padded, np.uint8),
        last_ptr=np.zeros(len(pops) + 1, np.int64),
    )
    return Machine(net, state, clipped, learns)


def carries_values(model: Any) -> bool:
    """True when spikes of these neurons (or this source) carry a number."""
    return bool(model.values["graded"]) if model.is_input else model.model in update.GRADED_MODELS


def _neurons(program: Program, number: type, is_float: bool) -> tuple:
    n = program.n
    params = np.zeros((PARAM_ROWS, n), number)
    reals = np.zeros((REAL_ROWS, n if not is_float else 1), np.float64)
    rows = np.zeros((STATE_ROWS, n), number)
    options = []
    for image in program.populations:
        if image.model.is_input:
            options.append([0] * N_OPTIONS)
            continue
        if image.model.model not in BUILDERS:
            raise RunError(
                f"population '{image.name}': chip family {program.chip.family} runs no {image.model!r}"
            )
        built = BUILDERS[image.model.model](image.model, program.arithmetic)
        part = slice(image.start, image.stop)
        for row, values in built.params.items():
            params[row, part] = values
        for row, values in built.state.items():
            rows[row, part] = values
        for row, values in built.reals.items():
            reals[row, part] = values
        options.append(built.options)
    return params, reals, rows, options


def _segments(
    program: Program, options: list, tiles: int, is_float: bool
) -> tuple[records.Segments, np.ndarray]:
    codes = update.FLOAT_MODELS if is_float else update.INTEGER_MODELS
    table: list[list[int]] = []
    chosen: list[list[int]] = []
    pointer = [0]
    for tile in range(tiles):
        for p, image in enumerate(program.populations):
            if image.model.is_input:
                continue
            cuts = tile_bounds(image.n, tiles)
            lo, hi = image.start + int(cuts[tile]), image.start + int(cuts[tile + 1])
            column = program.column[lo:hi]
            edges = [lo, *(lo + 1 + np.flatnonzero(np.diff(column))).tolist(), hi] if hi > lo else []
            for a, b in zip(edges[:-1], edges[1:]):
                table.append([codes[image.model.model], p, int(program.column[a]), a, b])
                chosen.append(options[p])
        pointer.append(len(table))
    columns = np.array(table, np.int32).reshape(-1, 5).T
    opts = np.array(chosen, np.int32).reshape(-1, N_OPTIONS)
    return records.Segments(*(np.ascontiguousarray(c) for c in columns), opts), np.array(pointer, np.int64)


def _synapses(
    program: Program, tiles: int, is_float: bool
) -> tuple[dict[str, Any], dict[str, int], dict[str, int]]:
    ports, pieces, clipped = _Ports(), [], {}
    for projection in program.projections:
        weights = effective(projection.synapses, program.arithmetic)
        if weights.clipped:
            clipped[projection.name] = weights.clipped
        pieces += _pieces(program, projection, weights, ports, tiles, is_float)
    order = sorted(range(len(ports.rows)), key=lambda q: (ports.rows[q][0], ports.rows[q][1], q))
    place = {q: k for k, q in enumerate(order)}
    rows = [ports.rows[q] for q in order]
    built = _ports_record(rows, tiles)
    pieces = sorted(pieces, key=lambda piece: piece.tile)
    fans, flat = _fans(program, pieces, place, built["ports"], tiles, is_float)
    return built | fans | flat, clipped, _learning_rows(pieces)


def _learning_rows(pieces: list[_Piece]) -> dict[str, int]:
    """Row in the table of fans of each projection that learns; its weights must lie in one place."""
    rows: dict[str, int] = {}
    for j, piece in enumerate(pieces):
        name = piece.projection.name
        if piece.projection.rule is None:
            continue
        if piece.kind != SPARSE or isinstance(piece.projection.synapses, Conv):
            raise RunError(f"projection '{name}' is a convolution and cannot learn; give its weights as a matrix")
        if name in rows:
            raise RunError(
                f"projection '{name}' learns with several delays and a negative exponent: its sums are shifted "
                "delay by delay; use one delay or exponent >= 0"
            )
        rows[name] = j
    return rows


def _pieces(
    program: Program, projection: ProjectionImage, weights: Any, ports: _Ports, tiles: int, is_float: bool
):
    """Cut one projection by tile, and by delay where the shift of a sum must be taken delay by delay."""
    synapses, post = projection.synapses, program.populations[projection.post]
    carries = carries_values(program.populations[projection.pre].model)
    graded = int(carries and (is_float or synapses.message_bits > 0))
    wrap = 23 if isinstance(synapses, Conv) and not is_float else 0
    if isinstance(synapses, Conv) and not _needs_rows(program):
        port = ports.get(
            0, projection.post, post.start, post.stop, 1, 0, wrap, projection.name if wrap else None
        )
        return [_Piece(0, port, projection, CONV, synapses, 0, graded)]
    matrix, low = _as_matrix(synapses, weights.matrix), 0
    if projection.rule is not None and not sp.issparse(matrix):
        matrix = _with_pattern(matrix, synapses)
    if not is_float and projection.rule is None:
        values = matrix.data if sp.issparse(matrix) else matrix
        low = common_shift(values)
        if low:
            matrix = _map(matrix, lambda a: (a >> low).astype(np.int8 if _fits_int8(a >> low) else np.int32))
    shift = weights.shift + low
    out = []
    for delay, part in _by_delay(matrix, synapses.delays, shift):
        depth = 1 + (int(delay) if np.ndim(delay) == 0 else int(np.max(delay, initial=0)))
        own = (projection.name, depth) if shift < 0 else None
        cuts = tile_bounds(post.n, tiles)
        for tile in range(tiles):
            lo, hi = int(cuts[tile]), int(cuts[tile + 1])
            if hi == lo:
                continue
            port = ports.get(tile, projection.post, post.start + lo, post.start + hi, depth, shift, 0, own)
            data, aligned = _rows_of(part, delay, lo, hi)
            kind = _kind(data, aligned, projection, graded, is_float)
            out.append(_Piece(tile, port, projection, kind, data, aligned, graded))
    return out


def _with_pattern(matrix: np.ndarray, synapses: Any) -> sp.csc_array:
    """A dense matrix as rows of the synapses that were given: one that is cut to zero may still learn."""
    given = synapses.weights if isinstance(synapses, FloatSynapses) else synapses.mantissa
    ptr = np.concatenate(([0], np.cumsum(np.count_nonzero(given, axis=0))))
    pre, post = np.nonzero(np.asarray(given).T)
    return sp.csc_array((np.asarray(matrix)[post, pre], post, ptr), shape=matrix.shape)


def _needs_rows(program: Program) -> bool:
    """True when neurons ask whether an event arrived: their synapses are then kept row by row."""
    return any(image.model.model == "float_lif" for image in program.populations)


def _fits_int8(values: np.ndarray) -> bool:
    return not values.size or (values.min() >= -128 and values.max() <= 127)


def _as_matrix(synapses: Any, weights: Any) -> Any:
    if not isinstance(synapses, Conv):
        return weights
    post, pre, index = synapses.targets()
    return sp.csc_array((synapses.kernel.ravel()[index], (post, pre)), shape=synapses.shape)


def _map(matrix: Any, act: Any) -> Any:
    if sp.issparse(matrix):
        return sp.csc_array((act(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    return act(matrix)


def _by_delay(matrix: Any, delays: Any, shift: int) -> list[tuple[Any, Any]]:
    """(delay, matrix) parts: one, unless a right shift makes each delay's sum its own."""
    if np.ndim(delays) == 0:
        return [(int(delays), matrix)]
    if not sp.issparse(matrix):
        matrix = sp.csc_array(matrix)
        matrix.sort_indices()
    if sp.issparse(delays):
        aligned = delays.data
    else:
        columns = np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))
        aligned = np.asarray(delays)[matrix.indices, columns]
    if shift >= 0:
        return [(aligned, matrix)]
    parts = []
    for d in np.unique(aligned):
        keep = aligned == d
        counts = np.concatenate(([0], np.cumsum(keep)))
        part = sp.csc_array(
            (matrix.data[keep], matrix.indices[keep], counts[matrix.indptr]), shape=matrix.shape
        )
        parts.append((int(d), part))
    return parts


def _rows_of(matrix: Any, delay: Any, lo: int, hi: int) -> tuple[Any, Any]:
    """The synapses onto targets [lo, hi), targets renumbered from 0."""
    if lo == 0 and hi == matrix.shape[0]:
        return matrix, delay
    if not sp.issparse(matrix):
        return matrix[lo:hi], delay
    keep = (matrix.indices >= lo) & (matrix.indices < hi)
    counts = np.concatenate(([0], np.cumsum(keep)))
    part = sp.csc_array(
        (matrix.data[keep], matrix.indices[keep] - lo, counts[matrix.indptr]),
        shape=(hi - lo, matrix.shape[1]),
    )
    return part, delay if np.ndim(delay) == 0 else delay[keep]


def _kind(data: Any, delay: Any, projection: ProjectionImage, graded: int, is_float: bool) -> int:
    if projection.rule is not None:
        return SPARSE
    size = data.shape[0] * data.shape[1]
    filled = data.nnz if sp.issparse(data) else np.count_nonzero(data)
    density = filled / max(size, 1)
    values = data.data if sp.issparse(data) else data
    narrow = not is_float and _fits_int8(values)
    row_bytes = size * (1 if narrow else 8)
    if is_float:
        return SPARSE
    if np.ndim(delay) == 0 and (density >= FULL or (density >= DENSE_FROM and row_bytes <= DENSE_BYTES)):
        return DENSE8 if narrow else DENSE
    return SPARSE8 if narrow and not graded else SPARSE


def _ports_record(rows: list[list[int]], tiles: int) -> dict[str, Any]:
    table = np.array(rows, np.int64).reshape(-1, 6)
    sizes = (table[:, 2] - table[:, 1]) * table[:, 3]
    offset = np.concatenate(([0], np.cumsum(sizes)))[:-1].astype(np.int64)
    columns = [
        np.ascontiguousarray(c) for c in (table[:, 3], table[:, 1], table[:, 2], table[:, 4], table[:, 5])
    ]
    return {
        "ports": records.Ports(offset, *columns),
        "port_ptr": np.searchsorted(table[:, 0], np.arange(tiles + 1)).astype(np.int64),
    }


def _fans(
    program: Program, pieces: list[_Piece], place: dict[int, int], ports: Any, tiles: int, is_float: bool
):
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
        # see kernels.machine.arrive: 1 acts in the step it is sent, 2 learns
        at_once = 1 if early and source.model.is_input else 2 * int(piece.projection.rule is not None)
        table.append([piece.kind, piece.projection.pre, source.start, q, pointer, piece.graded, at_once])
    columns = np.array(table, np.int64).reshape(-1, 7).T
    fans = records.Fans(*(np.ascontiguousarray(c) for c in columns), geometry)
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


def _store(piece: _Piece, width: int, depth: int, number: type, append: Any, geometry: np.ndarray) -> int:
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
        return (
            append("narrow", rows.astype(np.int8))
            if piece.kind == DENSE8
            else append("wide", rows.astype(number))
        )
    matrix = piece.data
    if not sp.issparse(matrix):
        matrix = sp.csc_array(matrix)
        matrix.sort_indices()
    if depth * width >= (1 << POSITION_BITS) and piece.kind == SPARSE8:
        raise RunError(
            f"projection '{piece.projection.name}': delay times targets exceeds 2**24 ring positions"
        )
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
    at = (
        np.arange(size)[:, None]
        + conv.padding[axis]
        - np.arange(conv.kernel.shape[1 + axis]) * conv.dilation[axis]
    )
    place, rest = np.divmod(at, conv.stride[axis])
    inside = (rest == 0) & (place >= 0) & (place < out)
    return np.where(inside, place, int(NOWHERE)).astype(np.uint32).ravel()


def _conv_rows(conv: Conv) -> np.ndarray:
    """Kernel reordered to (in channel, k0, k1, out channel of its group), flat."""
    out, k0, k1, per_in = conv.kernel.shape
    grouped = conv.kernel.reshape(conv.groups, out // conv.groups, k0, k1, per_in)
    return np.ascontiguousarray(grouped.transpose(0, 4, 2, 3, 1)).ravel()
