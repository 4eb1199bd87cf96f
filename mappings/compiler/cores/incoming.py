"""Synapses in the order of their targets: what a core needs as neurons are added to it one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from chipsim.chips.schema import Chip, Limits
from chipsim.mappings.network.network import Network

from .axons import pattern, starts, total
from .packing import base_limit, bits_per_axon, synapse_width


@dataclass
class Incoming:
    """All synapses into a sequence of neurons, row k holding those of its k-th neuron.

    Attributes
    ----------
    indptr : (m + 1,) int64
        Entries of row k are indptr[k]:indptr[k + 1].
    column : (s,) int32
        Axon of each entry: one number per (projection, source).
    rank : (s,) int32
        How many entries of the same column stand in earlier rows.
    previous : (s,) int32
        Row of the column's entry before this one (undefined where rank is 0).
    source, projection : (columns,) int
        Program number of each column's source, and its projection.
    bits : (projections,) int64
        Bits of a synapse without index.
    packing : str
        How memory is counted, see `chipsim.mappings.compiler.cores.packing`.
    """

    indptr: np.ndarray
    column: np.ndarray
    rank: np.ndarray
    previous: np.ndarray
    source: np.ndarray
    projection: np.ndarray
    bits: np.ndarray
    limits: Limits
    packing: str
    seen: np.ndarray = field(init=False)
    merges: bool = field(init=False)

    def __post_init__(self) -> None:
        #: Entries of each column that the cores so far have taken.
        self.seen = np.zeros(self.source.size, np.int32)
        #: True if some source has several columns, which share one axon.
        self.merges = bool(np.any(np.bincount(self.source) > 1)) if self.source.size else False

    @classmethod
    def of(cls, net: Network, order: np.ndarray, chip: Chip, packing: str = "indexed") -> Incoming:
        """Sort the synapses of `net` by the place of their target in `order` (program numbers)."""
        place = np.zeros(total(net), np.int32)
        place[order] = np.arange(order.size)
        start, projections = starts(net), list(net.projections.values())
        found = [pattern(p) for p in projections]
        rows = [place[start[p.post.name] :][f.indices] for p, f in zip(projections, found)]
        offset = np.cumsum([0, *(len(f.indices) for f in found)])
        pointer = np.concatenate([np.zeros(1, np.int64), *(f.indptr[1:] + at for f, at in zip(found, offset))])
        none = [np.zeros(0, np.int32)]
        source = np.concatenate([*(start[p.pre.name] + np.arange(p.pre.n) for p in projections), *none])
        widths = [synapse_width(p.synapses, p.rule, chip.limits.synapse_packing).bits for p in projections]
        flat = np.concatenate([*rows, *none]).astype(np.int32, copy=False)
        shape = (order.size, source.size)
        if np.any(order[1:] < order[:-1]):
            pointer, flat = _sorted(pointer, flat, shape)
        by_row = sp.csc_array((np.arange(flat.size), flat, pointer), shape=shape).tocsr()
        entry, column = by_row.data, by_row.indices
        return cls(
            indptr=by_row.indptr.astype(np.int64),
            column=column,
            rank=(entry - pointer[column]).astype(np.int32),
            previous=flat[np.maximum(entry - 1, 0)],
            source=source.astype(np.int64),
            projection=np.repeat(np.arange(len(projections)), [p.pre.n for p in projections]),
            bits=np.array(widths, np.int64),
            limits=chip.limits,
            packing=packing,
        )

    def needs(self, a: int, b: int) -> dict[str, np.ndarray]:
        """What a core needs that holds rows a .. k, for every k in [a, b): resource -> (b - a,) int64.

        Memory is counted with the index field that b - a neurons need, so it may exceed what `pack` finds.
        """
        part = slice(self.indptr[a], self.indptr[b])
        column = self.column[part]
        row = np.repeat(np.arange(b - a), np.diff(self.indptr[a : b + 1]))
        rank = self.rank[part] - self.seen[column]
        fresh = np.flatnonzero(rank == 0)
        if self.merges:
            fresh = fresh[np.unique(self.source[column[fresh]], return_index=True)[1]]
        axons = np.cumsum(np.bincount(row[fresh], minlength=b - a))
        out = {"input_axons": axons, "synapses": self.indptr[a + 1 : b + 1] - self.indptr[a]}
        if self.limits.synapse_bits is not None:
            out["synapse_bits"] = self._memory(column, row, rank, self.previous[part] - a, b - a)
        return out

    def _memory(
        self, column: np.ndarray, row: np.ndarray, rank: np.ndarray, previous: np.ndarray, rows: int
    ) -> np.ndarray:
        """Synapse memory of the first 1, 2, ... rows: per projection the cheaper of runs and indexed."""
        packing = self.limits.synapse_packing
        projection = self.projection[column]
        present = np.flatnonzero(np.bincount(projection, minlength=self.bits.size))
        compact = np.zeros(self.bits.size, np.int64)
        compact[present] = np.arange(present.size)
        which = compact[projection]
        counts, bits = np.arange(rows + 1), self.bits[present, None]

        def grown(width: np.ndarray, after: np.ndarray, before: np.ndarray) -> np.ndarray:
            table = bits_per_axon(counts, width, packing)
            added = np.bincount(which * rows + row, table[which, after] - table[which, before], bits.size * rows)
            return np.cumsum(np.rint(added).astype(np.int64).reshape(bits.size, rows), axis=1)

        if self.packing == "nengo_loihi":
            return grown(bits, rank + 1, rank).sum(axis=0)
        base = self._base(column, row, rank)
        best = grown(bits, row - base + 1, np.where(rank == 0, 0, previous - base + 1))
        index = min((f for f in packing.index_field_bits if f and 1 << f >= rows), default=None)
        if index is not None:
            best = np.minimum(best, grown(bits + index, rank + 1, rank))
        return best.sum(axis=0)

    def _base(self, column: np.ndarray, row: np.ndarray, rank: np.ndarray) -> np.ndarray:
        """Row at which the axon of each entry starts."""
        opening = np.zeros(self.source.size, np.int64)
        fresh = rank == 0
        opening[column[fresh]] = row[fresh]
        highest = base_limit(self.limits)
        return opening[column] if highest is None else np.minimum(opening[column], highest)

    def take(self, a: int, b: int) -> None:
        """Rows [a, b) have become a core."""
        np.add.at(self.seen, self.column[self.indptr[a] : self.indptr[b]], 1)


def _sorted(pointer: np.ndarray, rows: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The same columns with ascending rows in each (two transpositions sort in linear time)."""
    there = sp.csc_array((np.zeros(rows.size, np.int8), rows, pointer), shape=shape).tocsr()
    back = there.tocsc()
    return back.indptr.astype(np.int64), back.indices
