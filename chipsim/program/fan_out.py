"""Where the spikes of each neuron go: destination cores, synapses met there, hops, delays. Counted once per placed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.native.synapses import AllToAll, Conv, FloatAllToAll, FloatSynapses

from .images import PopulationImage, ProjectionImage


class Placed(NamedTuple):
    """What is read of a program: its parts, the physical cores in use (c,), each neuron's column among them (n,)."""

    populations: tuple[PopulationImage, ...]
    projections: tuple[ProjectionImage, ...]
    n: int
    cores: np.ndarray
    column: np.ndarray
    topology: Any


class FanOut(NamedTuple):
    """Per neuron n: `ptr` (n + 1,) into `core` (counter column) and `events`; `hops` (n, 4) E, W, N, S.

    `delay_ptr`, `delay_steps`, `delay_events`: synapses by extra delay, delays of 0 left out.
    """

    ptr: np.ndarray
    core: np.ndarray
    events: np.ndarray
    hops: np.ndarray
    delay_ptr: np.ndarray
    delay_steps: np.ndarray
    delay_events: np.ndarray


def pattern(projection: Any) -> sp.csc_array:
    """Which synapses of a program's projection exist, as a CSC array (post, pre) of ones; zeros of dense ones do not.

    Where a dense matrix learns, the compiler has made it `AllToAll`, in which they do.
    """
    synapses = projection.synapses
    if isinstance(synapses, Conv):
        post, pre, _ = synapses.targets()
        return sp.csc_array((np.ones(post.size, np.int64), (post, pre)), shape=synapses.shape)
    matrix = synapses.weights if isinstance(synapses, FloatSynapses) else synapses.mantissa
    if sp.issparse(matrix):
        return sp.csc_array((np.ones(matrix.nnz, np.int64), matrix.indices, matrix.indptr), shape=matrix.shape)
    if isinstance(synapses, (AllToAll, FloatAllToAll)):
        return sp.csc_array(np.ones(synapses.shape, np.int64))
    return sp.csc_array((matrix != 0).astype(np.int64))


def fan_out(placed: Placed) -> FanOut:
    """Count the fan-out of every neuron of what is placed."""
    n, columns = placed.n, max(len(placed.cores), 1)
    total = sp.csr_array((n, columns), dtype=np.int64)
    for projection in placed.projections:
        pre, post = placed.populations[projection.pre], placed.populations[projection.post]
        ones = pattern(projection)
        home = placed.column[post.start : post.stop]
        if home.size and np.all(home == home[0]):
            counts = np.diff(ones.indptr).astype(np.int64)
            rows = np.flatnonzero(counts)
            part = sp.csr_array((counts[rows], (rows + pre.start, np.full(rows.size, max(home[0], 0)))), (n, columns))
        else:
            onto = sp.csr_array((np.ones(post.n, np.int64), (np.arange(post.n), home)), (post.n, columns))
            part = (ones.T @ onto).tocoo()
            part = sp.csr_array((part.data, (part.row + pre.start, part.col)), (n, columns))
        total = total + part
    total = sp.csr_array(total)
    total.sort_indices()
    return FanOut(
        total.indptr.astype(np.int64),
        total.indices.astype(np.int32),
        total.data.astype(np.int64),
        _hops(placed, total),
        *_delays(placed),
    )


def _hops(placed: Placed, total: sp.csr_array) -> np.ndarray:
    """Links crossed by one spike of each neuron, by direction: dimension order, x before y."""
    hops = np.zeros((placed.n, 4), np.int64)
    top = placed.topology
    if not len(placed.cores) or top is None or top.interconnect in ("barrier", "events"):
        return hops  # a table walk has no links
    x, y = tile_xy(placed)
    source = np.repeat(np.arange(placed.n), np.diff(total.indptr))
    home = placed.column[source]
    on_chip = home >= 0
    source, home, target = source[on_chip], home[on_chip], total.indices[on_chip]
    dx, dy = x[target] - x[home], y[target] - y[home]
    for d, part in enumerate((np.maximum(dx, 0), np.maximum(-dx, 0), np.maximum(dy, 0), np.maximum(-dy, 0))):
        np.add.at(hops[:, d], source, part)
    return hops


def tile_xy(placed: Placed) -> tuple[np.ndarray, np.ndarray]:
    """Mesh position of each core in use, (c,) int64 each: tile t at x = t // height, y = t % height."""
    topology = placed.topology
    tile = placed.cores.astype(np.int64) // topology.cores_per_tile
    if topology.interconnect == "xy":  # numbered row by row
        return tile % topology.width, tile // topology.width
    return tile // topology.height, tile % topology.height


def _delays(placed: Placed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    neurons, steps, events = [], [], []
    for projection in placed.projections:
        synapses, pre = projection.synapses, placed.populations[projection.pre]
        if synapses.max_delay == 0:
            continue
        ones = pattern(projection)
        column = np.repeat(np.arange(pre.n), np.diff(ones.indptr))
        delays = synapses.delays
        if np.ndim(delays) == 0:
            values = np.full(column.size, int(delays))
        else:
            values = delays.data if sp.issparse(delays) else np.asarray(delays)[ones.indices, column]
        key = column.astype(np.int64) * 64 + values
        found, count = np.unique(key[values > 0], return_counts=True)
        neurons.append(found // 64 + pre.start)
        steps.append(found % 64)
        events.append(count)
    if not neurons:
        return np.zeros(placed.n + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    who = np.concatenate(neurons)
    order = np.argsort(who, kind="stable")
    ptr = np.searchsorted(who[order], np.arange(placed.n + 1)).astype(np.int64)
    return ptr, np.concatenate(steps)[order].astype(np.int64), np.concatenate(events)[order].astype(np.int64)
