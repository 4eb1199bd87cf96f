"""Synapses in the order of their targets: what a core needs as neurons are added to it one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from chipsim.schema import Chip, Limits

from .axons import pattern, starts
from .check import _axon_limit
from .network import Network
from .packing import SynapseWidth, base_limit, bits_per_axon, synapse_width

HUGE = np.iinfo(np.int64).max


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
    widths : one per projection
    """

    indptr: np.ndarray
    column: np.ndarray
    rank: np.ndarray
    previous: np.ndarray
    source: np.ndarray
    projection: np.ndarray
    widths: list[SynapseWidth]
    limits: Limits
    axon_limit: int | None
    seen: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        #: Entries of each column that the cores so far have taken.
        self.seen = np.zeros(self.source.size, np.int32)

    @classmethod
    def of(cls, net: Network, order: np.ndarray, chip: Chip) -> Incoming:
        """Sort the synapses of `net` by the place of their target in `order` (program numbers)."""
        place = np.zeros(sum(p.n for p in net.populations.values()), np.int64)
        place[order] = np.arange(order.size)
        start, at = starts(net), 0
        pointers, rows, sources, owners, widths = [np.zeros(1, np.int64)], [], [], [], []
        for k, projection in enumerate(net.projections.values()):
            indptr, indices = pattern(projection.synapses)
            rows.append(place[start[projection.post.name] + indices].astype(np.int32))
            pointers.append(indptr[1:].astype(np.int64) + at)
            at += len(indices)
            sources.append(start[projection.pre.name] + np.arange(projection.pre.n))
            owners.append(np.full(projection.pre.n, k, np.int32))
            widths.append(synapse_width(projection.synapses, projection.rule, chip.limits.synapse_packing))
        flat = np.concatenate(rows) if rows else np.zeros(0, np.int32)
        source = np.concatenate(sources) if sources else np.zeros(0, np.int64)
        owned = np.concatenate(owners) if owners else np.zeros(0, np.int32)
        pointer = np.concatenate(pointers)
        shape = (order.size, source.size)
        if np.any(order[1:] < order[:-1]):
            pointer, flat = _sorted(pointer, flat, shape)
        by_row = sp.csc_array((np.arange(flat.size), flat, pointer), shape=shape).tocsr()
        entry, column = by_row.data, by_row.indices
        rank = (entry - pointer[column]).astype(np.int32)
        previous = flat[np.maximum(entry - 1, 0)]
        return cls(
            by_row.indptr.astype(np.int64), column, rank, previous, source, owned, widths, chip.limits, _axon_limit(chip)
        )

    @property
    def is_limited(self) -> bool:
        """True if the chip limits anything that depends on synapses."""
        limits = self.limits
        synapse_limits = (limits.synapses, limits.synapse_bits, limits.synapse_map_entries, limits.input_units)
        return self.axon_limit is not None or any(k is not None for k in synapse_limits)

    def needs(self, a: int, b: int) -> dict[str, np.ndarray]:
        """What a core needs that holds rows a .. k, for every k in [a, b): resource -> (b - a,) int64."""
        part = slice(self.indptr[a], self.indptr[b])
        column = self.column[part]
        row = np.repeat(np.arange(b - a), np.diff(self.indptr[a : b + 1]))
        rank = self.rank[part] - self.seen[column]
        fresh = np.flatnonzero(rank == 0)
        source, first_at = np.unique(self.source[column[fresh]], return_index=True)
        axons = np.cumsum(np.bincount(row[fresh[first_at]], minlength=b - a))
        out = {"input_axons": axons, "synapses": self.indptr[a + 1 : b + 1] - self.indptr[a]}
        if self.limits.synapse_bits is not None:
            out["synapse_bits"] = self._bits(a, b, column, row, rank, self.previous[part])
        return out

    def _bits(
        self, a: int, b: int, column: np.ndarray, row: np.ndarray, rank: np.ndarray, previous: np.ndarray
    ) -> np.ndarray:
        """Synapse memory of rows a .. k: per projection the cheaper of dense runs and indexed rows."""
        packing, highest = self.limits.synapse_packing, base_limit(self.limits)
        opening = np.zeros(self.source.size, np.int64)
        fresh = rank == 0
        opening[column[fresh]] = row[fresh]
        base = opening[column] if highest is None else np.minimum(opening[column], highest)
        reach = row - base + 1
        reach_before = np.where(fresh, 0, previous - a - base + 1)
        projection = self.projection[column]
        index = min((f for f in packing.index_field_bits if 1 << f >= b - a and f), default=None)
        total = np.zeros(b - a, np.int64)
        for k in np.unique(projection):
            mine = projection == k
            width, at = self.widths[k].bits, row[mine]
            table = bits_per_axon(np.arange(b - a + 2), width, packing)
            best = _running(table[reach[mine]] - table[reach_before[mine]], at, b - a)
            if index is not None:
                table = bits_per_axon(np.arange(b - a + 2), width + index, packing)
                sparse = _running(table[rank[mine] + 1] - table[rank[mine]], at, b - a)
                best = np.minimum(best, sparse)
            total += best
        return total

    def take(self, a: int, b: int) -> None:
        """Rows [a, b) have become a core."""
        column = self.column[self.indptr[a] : self.indptr[b]]
        np.add.at(self.seen, column, 1)


def _running(added: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    return np.cumsum(np.rint(np.bincount(row, weights=added, minlength=rows)).astype(np.int64))


def _sorted(pointer: np.ndarray, rows: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The same columns with ascending rows in each (two transpositions sort in linear time)."""
    there = sp.csc_array((np.zeros(rows.size, np.int8), rows, pointer), shape=shape).tocsr()
    back = there.tocsc()
    return back.indptr.astype(np.int64), back.indices
