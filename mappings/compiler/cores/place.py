"""Place: which physical core each logical core becomes, so that packets travel few hops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import quadratic_assignment

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError

from .graph_order import sequence
from .partition import Partition
from .traffic import Traffic

#: Above this many cores the quadratic assignment gives way to exchanges only.
FAQ_CORES = 128
#: Sweeps of pairwise exchanges at most, and the work (cores cubed, over all sweeps) that large problems may take.
SWEEPS, WORK = 20, 3e8
EXCHANGE_CORES = 512


@dataclass(frozen=True, eq=False)
class Placement:
    """Neurons on physical cores.

    Attributes
    ----------
    core : (n,) int32
        Physical core of each neuron in program order, -1 for input lines.
    physical : (c,) int32
        Physical core of each logical one.
    hops, inorder_hops : float
        Hops x packets per step, here and with logical core k on the k-th physical one; NaN by hand.
    method : str
    """

    core: np.ndarray
    physical: np.ndarray
    hops: float
    inorder_hops: float
    method: str

    def report(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "method": self.method,
            "cores": int(self.physical.size),
            "hops_per_step": self.hops,
            "inorder_hops_per_step": self.inorder_hops,
            "physical": self.physical.tolist(),
        }


def cores_per_chip(chip: Chip) -> int:
    """Cores that may be used on one chip."""
    return chip.topology.cores if chip.limits.cores is None else chip.limits.cores


def slots(chip: Chip, count: int) -> np.ndarray:
    """The first `count` usable physical cores, chip after chip, (count,) int64; CompileError if too few."""
    usable, chips = cores_per_chip(chip), chip.topology.chips
    if chips is not None and count > usable * chips:
        raise CompileError(
            f"the network needs {count} cores; {chip.name} has {usable * chips} ({chips} chips of {usable}): "
            "use more chips (topology.chips), larger cores, or a smaller network",
            resource="cores",
            need=count,
            limit=usable * chips,
        )
    place = np.arange(count)
    return place // max(usable, 1) * chip.topology.cores + place % max(usable, 1)


def distances(chip: Chip, cores: np.ndarray) -> np.ndarray:
    """Hops between physical cores, (c, c) int64: Manhattan on tiles, chips continuing eastwards."""
    tile = np.asarray(cores) // chip.topology.cores_per_tile
    x, y = tile // chip.topology.height, tile % chip.topology.height
    return np.abs(x[:, None] - x[None, :]) + np.abs(y[:, None] - y[None, :])


def hops_of(traffic: Traffic, chip: Chip, physical: np.ndarray) -> float:
    """Hops x packets per step with logical core k on `physical[k]`."""
    pairs = traffic.packets.tocoo()
    tile = np.asarray(physical) // chip.topology.cores_per_tile
    x, y = tile // chip.topology.height, tile % chip.topology.height
    hops = np.abs(x[pairs.row] - x[pairs.col]) + np.abs(y[pairs.row] - y[pairs.col])
    return float((hops * pairs.data).sum())


def place(partition: Partition, chip: Chip, traffic: Traffic | None, *, seed: int = 0) -> Placement:
    """Choose physical cores for the logical ones.

    Cores fill as few tiles as can hold them (an idle tile need not take part in a barrier). Within these,
    hops x packets are minimised: starting from the logical order, from a spectral order laid along the mesh, and
    from the quadratic assignment of scipy.optimize (FAQ), pairs of cores are exchanged as long as that helps, and
    the best of all is kept. The result is never worse than the order of the logical cores.

    Parameters
    ----------
    traffic
        Packets between the partition's logical cores; None places in order.
    seed
        Of the quadratic assignment; equal seeds give equal placements.

    Raises
    ------
    CompileError
        If the network needs more cores than the chips have.
    """
    count = partition.cores
    found = slots(chip, count)
    if traffic is None or count == 1 or count > EXCHANGE_CORES:
        hops = 0.0 if traffic is None else hops_of(traffic, chip, found)
        return _placement(partition, found, hops, hops, "inorder")
    room, flow = _room(chip, found), _symmetric(traffic, count)
    distance = distances(chip, room).astype(np.float64)
    padded = np.zeros((room.size, room.size))
    padded[:count, :count] = flow
    identity = np.arange(room.size)
    before = _cost(padded, distance)
    best, cost, method = identity, before, "inorder"
    for name, start in _starts(padded, distance, _winding(chip, room), seed):
        order = _exchange(padded, distance, start)
        value = _cost(padded, distance[np.ix_(order, order)])
        if value < cost - 1e-9:
            best, cost, method = order, value, name
    return _placement(partition, room[best[:count]], cost, before, method)


def _placement(partition: Partition, physical: np.ndarray, hops: float, before: float, method: str) -> Placement:
    physical = physical.astype(np.int32)
    core = np.where(partition.core >= 0, physical[partition.core], -1).astype(np.int32)
    return Placement(core, physical, hops, before, method)


def _room(chip: Chip, found: np.ndarray) -> np.ndarray:
    """The slots of the tiles in use: the last tile may have cores to spare."""
    per_tile, usable = chip.topology.cores_per_tile, cores_per_chip(chip)
    last = int(found[-1])
    spare = np.arange(last + 1, (last // per_tile + 1) * per_tile)
    return np.concatenate([found, spare[spare % chip.topology.cores < usable]])


def _symmetric(traffic: Traffic, count: int) -> np.ndarray:
    dense, size = np.zeros((count, count)), traffic.host.size
    dense[:size, :size] = traffic.packets.toarray()
    dense = dense + dense.T
    np.fill_diagonal(dense, 0)
    return dense


def _cost(flow: np.ndarray, distance: np.ndarray) -> float:
    """Hops x packets per step of a symmetric flow (each pair is counted in both halves)."""
    return float((flow * distance).sum() / 2)


def _winding(chip: Chip, room: np.ndarray) -> np.ndarray:
    """Slots along a path through neighbouring tiles: up one column of the mesh, down the next."""
    tile = room // chip.topology.cores_per_tile
    x, y = tile // chip.topology.height, tile % chip.topology.height
    return np.lexsort((np.where(x % 2, -y, y), x))


def _starts(flow: np.ndarray, distance: np.ndarray, winding: np.ndarray, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Placements from which exchanges begin: name and permutation."""
    yield "exchange", np.arange(flow.shape[0])
    along = np.empty(flow.shape[0], np.int64)
    along[sequence(sp.csr_array(flow))] = winding
    yield "spectral+exchange", along
    if flow.shape[0] <= FAQ_CORES:
        found = quadratic_assignment(flow, distance, method="faq", options={"rng": np.random.default_rng(seed)})
        yield "faq+exchange", np.asarray(found.col_ind)


def _exchange(flow: np.ndarray, distance: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Exchange each core with its best partner until none helps; `order[k]` is the slot of core k."""
    order = order.copy()
    here = distance[np.ix_(order, order)]
    for _ in range(int(np.clip(WORK // order.size**3, 1, SWEEPS))):
        improved = False
        for i in range(order.size):
            gain = _gain(flow, here, i)
            j = int(np.argmin(gain))
            if gain[j] < -1e-9:
                order[[i, j]] = order[[j, i]]
                here[[i, j]] = here[[j, i]]
                here[:, [i, j]] = here[:, [j, i]]
                improved = True
        if not improved:
            break
    return order


def _gain(flow: np.ndarray, here: np.ndarray, i: int) -> np.ndarray:
    """Change of the cost if core i changed places with each core, (c,); `here` are present distances."""
    difference = here - here[i]
    change = difference @ flow[i] - np.einsum("jk,jk->j", flow, difference)
    # The distance between the two stays as it is, but both sums above took it for zero.
    change += 2 * flow[i] * here[i]
    change[i] = 0.0
    return change
