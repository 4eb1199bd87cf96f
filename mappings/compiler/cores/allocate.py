"""Allocate: what every core must hold, counted, and refused where a core cannot hold it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.mappings.network.network import Network

from .core_rules import core_limits, enforce
from .counting import COLUMNS, COUNTS, Count


@dataclass(frozen=True, eq=False)
class Allocation:
    """Resources of every core in use.

    Attributes
    ----------
    chip : str
        Name of the chip.
    table : (c,) structured array
        One row per core, ascending; columns `COLUMNS`. `shared` is the largest number of different values
        of a core-wide register, `mixed_learning` 1 where learning and fixed synapses meet, `learning_bits`
        the state that learning rules declare.
    limits : dict
        Column -> what one core of the chip allows, None for no limit.
    parts : dict
        Column -> (p, c) int64: the share of each population, for the columns that add up.
    populations : tuple of str
        Names of the rows of `parts`.
    learning : dict
        Projection that learns -> (c,) int64: bits of its synapses, those its rule keeps included.
    """

    chip: str
    table: np.ndarray
    limits: dict[str, int | None]
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    populations: tuple[str, ...] = ()
    learning: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def cores(self) -> np.ndarray:
        """Cores in use, (c,) int64."""
        return self.table["core"]

    def utilisation(self, column: str) -> np.ndarray | None:
        """(c,) float64: share of the limit in use, None where the chip has no such limit."""
        limit = self.limits.get(column)
        return None if not limit else self.table[column] / limit

    def report(self) -> dict[str, Any]:
        """Plain data: the columns as lists and the limits."""
        table = {name: self.table[name].tolist() for name in COLUMNS}
        return {"chip": self.chip, "limits": dict(self.limits), "table": table}


def allocate(net: Network, core: np.ndarray, chip: Chip, *, packing: str = "indexed") -> Allocation:
    """Count what each core holds and refuse what does not fit.

    Parameters
    ----------
    net
        A native network.
    core : (n,) int array
        Core of each neuron in program order, -1 for input lines on the host.
    chip
        Its limits are enforced, every one that is not None.
    packing : {"indexed", "nengo_loihi"}
        How synapse memory is counted, see `chipsim.mappings.compiler.cores.packing`.

    Raises
    ------
    CompileError
        Naming population, core, resource, need, limit and a way out.
    """
    allocation = usage(net, core, chip, packing=packing)
    enforce(allocation, chip)
    return allocation


def usage(net: Network, core: np.ndarray, chip: Chip, *, packing: str = "indexed") -> Allocation:
    """`allocate` without the refusal: the table, also of cores that hold too much."""
    return counted(net, core, chip, packing)[0]


def counted(net: Network, core: np.ndarray, chip: Chip, packing: str) -> tuple[Allocation, Count]:
    """`usage`, and what it was counted from (synapses by source and core among them)."""
    count = Count(net, np.asarray(core), chip, packing)
    for fill in COUNTS:
        fill(count)
    names = tuple(net.populations)
    allocation = Allocation(chip.name, count.table, core_limits(chip), count.parts, names, count.learning)
    return allocation, count
