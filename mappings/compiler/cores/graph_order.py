"""Parts of a network whose neurons talk to each other: METIS if installed, else a spectral order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee
from scipy.sparse.linalg import ArpackError, eigsh

from chipsim.mappings.network.network import Network

from .axons import is_input, pattern, starts, total
from .traffic import spike_rates

#: Edge weights are whole numbers for METIS: the busiest edge gets this.
WEIGHT_SCALE = 1000
#: A spectral order is computed up to this many neurons; beyond, reverse Cuthill-McKee is.
SPECTRAL_NEURONS = 20_000


def affinity(net: Network, rates: Mapping[str, Any] | None) -> sp.csr_array:
    """Symmetric (n, n) weights: how many packets per step two neurons on one core may save.

    A spike costs one packet per core that holds a target. Shared between k targets that is worth 1 / k to
    each pair (source, target); the targets of an input line, which has no core, are tied in a chain.
    """
    n, start, rate = total(net), starts(net), spike_rates(net, rates)
    rows, columns, weights = [], [], []
    for projection in net.projections.values():
        indptr, indices = pattern(projection)
        count = np.diff(indptr)
        source = np.repeat(np.arange(count.size), count)
        value = (rate[start[projection.pre.name] :][: count.size] / np.maximum(count, 1))[source]
        target = start[projection.post.name] + indices.astype(np.int64)
        if projection.pre.model.is_input:
            follows = np.flatnonzero(source[1:] == source[:-1]) if source.size else np.zeros(0, np.int64)
            rows.append(target[follows])
            columns.append(target[follows + 1])
            weights.append(value[follows])
        else:
            rows.append(start[projection.pre.name] + source)
            columns.append(target)
            weights.append(value)
    if not rows:
        return sp.csr_array((n, n))
    data = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    graph = sp.coo_array(data, shape=(n, n)).tocsr()
    graph = (graph + graph.T).tocsr()
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def graph_parts(net: Network, rates: Mapping[str, Any] | None, parts: int, seed: int) -> np.ndarray:
    """(n,) int64: a part in 0 .. parts - 1 for each neuron, of nearly equal sizes; input lines get part 0."""
    inside = np.flatnonzero(~is_input(net))
    graph = affinity(net, rates)[inside][:, inside].tocsr()
    out = np.zeros(total(net), np.int64)
    part = _metis(graph, parts, seed)
    if part is None:
        order = sequence(graph)
        part = np.empty(inside.size, np.int64)
        part[order] = np.arange(inside.size) * parts // inside.size
    out[inside] = part
    return out


def _metis(graph: sp.csr_array, parts: int, seed: int) -> np.ndarray | None:
    """METIS k-way, None where pymetis is missing or the graph has no edges."""
    try:
        import pymetis
    except ImportError:
        return None
    if not graph.nnz:
        return None
    weights = np.maximum(1, np.rint(graph.data / graph.data.max() * WEIGHT_SCALE)).astype(np.int64)
    adjacency = pymetis.CSRAdjacency(graph.indptr, graph.indices)
    options = pymetis.Options(seed=seed)
    _, membership = pymetis.part_graph(parts, adjacency, eweights=weights, options=options, recursive=parts <= 8)
    return np.asarray(membership, np.int64)


def sequence(graph: Any) -> np.ndarray:
    """A sequence in which neighbours in the graph are near: connected parts together, spectral inside."""
    if graph.shape[0] > SPECTRAL_NEURONS or not graph.nnz:
        return np.asarray(reverse_cuthill_mckee(graph, symmetric_mode=True), np.int64)
    count, label = connected_components(graph, directed=False)
    pieces = []
    for k in range(count):
        members = np.flatnonzero(label == k)
        pieces.append(members if members.size < 3 else members[_spectral(graph[members][:, members].tocsr())])
    return np.concatenate(pieces)


def _spectral(graph: Any) -> np.ndarray:
    """Sorted by the Fiedler vector of the normalised Laplacian, or reverse Cuthill-McKee if that fails."""
    n = graph.shape[0]
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = sp.diags_array(1 / np.sqrt(np.maximum(degree, 1e-30)))
    walk = (scale @ graph @ scale).tocsr()
    if n <= 200:
        vector = np.linalg.eigh(walk.toarray())[1][:, -2]
    else:
        try:
            start = np.sqrt(degree) + np.linspace(-1, 1, n) * np.sqrt(degree.mean())
            found: Any = eigsh(walk, k=2, which="LA", v0=start, maxiter=5000)
            vector = found[1][:, 0]
        except ArpackError:
            return np.asarray(reverse_cuthill_mckee(graph, symmetric_mode=True), np.int64)
    vector = vector / np.sqrt(np.maximum(degree, 1e-30))
    return np.argsort(vector * np.sign(vector[np.argmax(np.abs(vector))]), kind="stable")
