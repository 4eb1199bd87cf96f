"""Synapses by source neuron and destination core: what memory, axons and traffic are counted from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.mappings.network.network import Network, Projection
from chipsim.native.synapses import Conv, FloatSynapses, Synapses
from chipsim.rules.carried import existing


class Pattern(NamedTuple):
    """Which synapses exist: those of source j go to ``indices[indptr[j]:indptr[j + 1]]``, ascending."""

    indptr: np.ndarray
    indices: np.ndarray


class AxonRows(NamedTuple):
    """Synapses of one projection grouped by (source, destination core); fields are (r,), ordered by source.

    `pre` counts in program order; `first` and `last` are the core-local indices of the outermost targets,
    where a core numbers its neurons in ascending program order.
    """

    pre: np.ndarray
    core: np.ndarray
    count: np.ndarray
    first: np.ndarray
    last: np.ndarray


def starts(net: Network) -> dict[str, int]:
    """First neuron of each population in program order (inputs included)."""
    out, at = {}, 0
    for name, population in net.populations.items():
        out[name] = at
        at += population.n
    return out


def total(net: Network) -> int:
    """Neurons and input lines of the network."""
    return sum(p.n for p in net.populations.values())


def is_input(net: Network) -> np.ndarray:
    """(n,) bool in program order: True for input lines."""
    parts = [np.full(p.n, p.model.is_input) for p in net.populations.values()]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def owner(net: Network) -> np.ndarray:
    """(n,) int32: index of the population of each neuron."""
    return np.repeat(np.arange(len(net.populations), dtype=np.int32), [p.n for p in net.populations.values()])


def matrix_of(synapses: Any) -> Any:
    """The (post, pre) matrix of native synapses; a Conv has none."""
    if isinstance(synapses, Synapses):
        return synapses.mantissa
    return synapses.weights if isinstance(synapses, FloatSynapses) else synapses


_KEPT: ContextVar[dict[tuple[int, int], Pattern] | None] = ContextVar("patterns", default=None)


@contextmanager
def kept_patterns() -> Iterator[None]:
    """Inside, patterns of dense matrices and convolutions are worked out once; outside, none is kept in memory."""
    if _KEPT.get() is not None:
        yield
        return
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def pattern(projection: Projection) -> Pattern:
    """Where its synapses are: every stored entry of a sparse matrix is one, a zero of a dense one only where it learns.

    See `chipsim.rules.carried.existing`.
    """
    synapses = projection.synapses
    matrix: Any = None if isinstance(synapses, Conv) else matrix_of(synapses)
    if sp.issparse(matrix):
        return Pattern(matrix.indptr, matrix.indices)
    kept = _KEPT.get()
    if kept is None:
        return _worked_out(projection, matrix)
    key = (id(synapses), id(projection.rule))
    if key not in kept:
        kept[key] = _worked_out(projection, matrix)
    return kept[key]


def _worked_out(projection: Projection, matrix: Any) -> Pattern:
    synapses = projection.synapses
    if matrix is None:
        post, pre, _ = synapses.targets()
    else:
        found = existing(matrix, projection.rule, projection.pre is projection.post)
        pre, post = np.nonzero(np.ascontiguousarray(found.T))
    counts = np.bincount(pre, minlength=synapses.shape[1])
    return Pattern(np.concatenate(([0], np.cumsum(counts))), post.astype(np.int32))


def local_index(core: np.ndarray) -> np.ndarray:
    """(n,) int32: place of each neuron among those of its core, in ascending order (input lines get 0)."""
    out = np.zeros(core.size, np.int32)
    placed = np.flatnonzero(core >= 0)
    if not placed.size:
        return out
    label = core[placed]
    order = np.argsort(label, kind="stable") if np.any(label[1:] < label[:-1]) else np.arange(placed.size)
    sorted_label = label[order]
    begin = np.flatnonzero(np.r_[True, sorted_label[1:] != sorted_label[:-1]])
    rank = np.arange(placed.size) - np.repeat(begin, np.diff(np.r_[begin, placed.size]))
    out[placed[order]] = rank
    return out


def axon_rows(projection: Projection, pre_start: int, core: np.ndarray, local: np.ndarray) -> AxonRows:
    """Group the synapses of `projection` by source and destination core.

    Parameters
    ----------
    projection
        With native synapses.
    pre_start
        First neuron of its source in program order.
    core, local : (m,) int32
        Core and core-local index of each neuron of its target.
    """
    indptr, indices = pattern(projection)
    if not len(indices):
        none = np.zeros(0, np.int64)
        return AxonRows(none, none.astype(np.int32), none, none, none)
    if core.size and np.all(core == core[0]):
        return _rows_of_one_core(indptr, indices, pre_start, int(core[0]), local)
    source = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
    target = core[indices]
    if _comes_back(core):
        order = np.argsort(source.astype(np.int64) * (int(core.max()) + 1) + target, kind="stable")
        source, target, indices = source[order], target[order], indices[order]
    change = np.flatnonzero((target[1:] != target[:-1]) | (source[1:] != source[:-1])) + 1
    begin = np.concatenate(([0], change))
    end = np.concatenate((change, [len(indices)]))
    return AxonRows(
        source[begin].astype(np.int64) + pre_start,
        target[begin],
        end - begin,
        local[indices[begin]].astype(np.int64),
        local[indices[end - 1]].astype(np.int64),
    )


def _comes_back(core: np.ndarray) -> bool:
    """True if the neurons of some core are not one run of neighbours."""
    runs = 1 + np.count_nonzero(core[1:] != core[:-1])
    return runs != distinct(core).size


def _rows_of_one_core(
    indptr: np.ndarray, indices: np.ndarray, pre_start: int, core: int, local: np.ndarray
) -> AxonRows:
    count = np.diff(indptr)
    sources = np.flatnonzero(count)
    return AxonRows(
        sources + pre_start,
        np.full(sources.size, core, np.int32),
        count[sources].astype(np.int64),
        local[indices[indptr[sources]]].astype(np.int64),
        local[indices[indptr[sources + 1] - 1]].astype(np.int64),
    )


def all_rows(net: Network, core: np.ndarray) -> list[AxonRows]:
    """`axon_rows` of every projection, in the network's order; `core` is (n,) in program order."""
    local, start = local_index(np.where(is_input(net), -1, core)), starts(net)
    out = []
    for projection in net.projections.values():
        lo = start[projection.post.name]
        part = slice(lo, lo + projection.post.n)
        out.append(axon_rows(projection, start[projection.pre.name], core[part], local[part]))
    return out


def distinct_axons(rows: list[AxonRows], cores: int) -> tuple[np.ndarray, np.ndarray]:
    """Every (source neuron, destination core) with a synapse, once: two (a,) arrays, in no particular order.

    Cores are numbered below `cores`.
    """
    if len(rows) == 1:
        return rows[0].pre, rows[0].core
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int32)
    keys = distinct(np.concatenate([r.pre * cores + r.core for r in rows]))
    return keys // cores, (keys % cores).astype(np.int32)


def distinct(keys: np.ndarray) -> np.ndarray:
    """Different values of an integer array, ascending (np.unique's hash table is many times slower on millions)."""
    found = np.sort(keys, axis=None)
    return found[np.r_[True, found[1:] != found[:-1]]] if found.size else found
