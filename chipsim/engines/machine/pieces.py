"""Projections cut into pieces: by target tile, by delay where that matters, each with the form it is kept in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.kernels.core.delivery import CONV, DENSE, DENSE8, SPARSE, SPARSE8
from chipsim.native.effective import common_shift
from chipsim.native.synapses import AllToAll, Conv, FloatAllToAll, FloatSynapses, stored
from chipsim.program.program import Program, ProjectionImage

#: A matrix is kept as dense rows (a byte for every weight, zeros included, 20x the weights per second) instead of
#: sparse ones (four bytes for every synapse) when at least this share of it is nonzero, or when a thinner one of
#: at most `DENSE_SMALL` bytes is still the faster: W1, 10 % full, takes 1 MB and 0.8 of the time.
DENSE_FROM, DENSE_SMALL_FROM, DENSE_SMALL = 1 / 6, 0.05, 4 << 20


def tile_bounds(n: int, tiles: int) -> np.ndarray:
    """Cuts of a population of n neurons into `tiles` parts at multiples of 8, (tiles + 1,) int64."""
    cuts = np.round(np.linspace(0, n, tiles + 1) / 8).astype(np.int64) * 8
    cuts[0], cuts[-1] = 0, n
    return np.minimum(cuts, n)


@dataclass
class PortTable:
    """Accumulators asked for so far, by what they share."""

    keys: dict[tuple, int] = field(default_factory=dict)
    rows: list[list[int]] = field(default_factory=list)
    #: Of each row: which port it is a part of, counted over a whole population as if there were one tile.
    whole: list[int] = field(default_factory=list)

    _ports: dict[tuple, int] = field(default_factory=dict)

    def get(self, tile: int, pop: Any, lo: int, hi: int, depth: int, shift: int, wrap: int, own: Any) -> int:
        """Port of neurons [lo, hi); shared by all that shift alike to the left."""
        key = (tile, pop, shift, wrap, own)
        if key not in self.keys:
            self.keys[key] = len(self.rows)
            self.rows.append([tile, lo, hi, depth, shift, wrap])
            self.whole.append(self._ports.setdefault(key[1:], len(self._ports)))
        row = self.rows[self.keys[key]]
        row[3] = max(row[3], depth)
        return self.keys[key]


class Piece(NamedTuple):
    """A projection's part in one tile, before its ring depth is known."""

    tile: int
    port: int
    projection: ProjectionImage
    kind: int
    data: Any  # CSC matrix, dense array or conv kernel, of this tile's targets
    delay: Any  # int or aligned array
    graded: int


SLOPE = "slope"  #: the role of a projection that delivers no sums: its source's slope scales what the target sends


def inlets(program: Program) -> dict[tuple[int, str], int]:
    """Where the sums of projections with a role arrive: (population, role) -> first place in the drive, behind the
    neurons' own.
    """
    places: dict[tuple[int, str], int] = {}
    at = program.n
    for projection in program.projections:
        key = (projection.post, projection.role)
        if projection.role not in ("", SLOPE) and key not in places:
            places[key] = at
            at += program.populations[projection.post].n
    return places


def drive_size(program: Program) -> int:
    """Sums that a step forms: one per neuron, and one per neuron and role."""
    return program.n + sum(program.populations[post].n for post, _ in inlets(program))


def cut_projection(
    program: Program, projection: ProjectionImage, weights: Any, ports: PortTable, tiles: int, is_float: bool
):
    """Cut one projection by tile, and by delay where the shift of a sum must be taken delay by delay."""
    synapses, post = projection.synapses, program.populations[projection.post]
    if projection.role == SLOPE:
        return []
    whose, base = projection.post, post.start
    if projection.role:
        whose, base = (projection.post, projection.role), inlets(program)[projection.post, projection.role]
    carries = program.populations[projection.pre].model.carries_values
    graded = int(carries and (is_float or synapses.message_bits > 0))
    if isinstance(synapses, Conv) and not _needs_rows(program):
        # Lava's convolutions give 24 bits; nengo-loihi's accumulator has fewer, others do not overflow
        wrap, shift = 23 if program.arithmetic.number is np.int32 else 0, weights.shift
        own = projection.name if wrap or shift < 0 else None
        port = ports.get(0, whose, base, base + post.n, 1, shift, wrap, own)
        return [Piece(0, port, projection, CONV, replace(synapses, kernel=weights.matrix, exponent=0), 0, graded)]
    matrix, low = _as_matrix(synapses, weights.matrix), 0
    if projection.rule is not None and not sp.issparse(matrix):
        matrix = _with_pattern(matrix, projection)
    if not is_float and projection.rule is None:
        low = common_shift(stored(matrix))
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
            port = ports.get(tile, whose, base + lo, base + hi, depth, shift, 0, own)
            data, aligned = _rows_of(part, delay, lo, hi)
            kind = _kind(data, aligned, projection, graded, is_float)
            out.append(Piece(tile, port, projection, kind, data, aligned, graded))
    return out


def _with_pattern(matrix: np.ndarray, projection: ProjectionImage) -> sp.csc_array:
    """A dense matrix as rows of the synapses that it means: one that is 0, or cut to it, may still learn."""
    synapses = projection.synapses
    given = synapses.weights if isinstance(synapses, FloatSynapses) else synapses.mantissa
    every = isinstance(synapses, (AllToAll, FloatAllToAll))
    found = np.ones(given.shape, bool) if every else np.asarray(given) != 0
    ptr = np.concatenate(([0], np.cumsum(np.count_nonzero(found, axis=0))))
    pre, post = np.nonzero(found.T)
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
    return sp.csc_array((weights.ravel()[index], (post, pre)), shape=synapses.shape)


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
        part = sp.csc_array((matrix.data[keep], matrix.indices[keep], counts[matrix.indptr]), shape=matrix.shape)
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
    if is_float:
        return SPARSE
    small = narrow and size <= DENSE_SMALL and density >= DENSE_SMALL_FROM
    if np.ndim(delay) == 0 and (density >= DENSE_FROM or small):
        return DENSE8 if narrow else DENSE
    return SPARSE8 if narrow and not graded else SPARSE
