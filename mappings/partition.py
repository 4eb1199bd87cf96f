"""Partition: which neurons share a core.

Cores are runs of a sequence of neurons: the program's own order, populations grouped by what a core must share, or
the order that a graph partition suggests. Each run is made as long as the chip's limits allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.errors import CompileError
from chipsim.schema import Chip

from .allocate import Allocation, usage
from .axons import is_input, owner, total
from .check import CORE_RULES, too_much
from .cutting import Cutter
from .network import Network
from .traffic_graph import Traffic, traffic

METHODS = ("auto", "inorder", "graph")
#: A reordering by graph breaks runs of neighbours, on which emulation is fast: it must lower the packets that
#: leave their core to this share of what filling in order needs.
PAYS = 0.8
#: "auto" leaves the graph partitioner out above this many synapses: it would take longer than it can win.
GRAPH_SYNAPSES = 2_000_000


@dataclass(frozen=True, eq=False)
class Partition:
    """Neurons on logical cores.

    Attributes
    ----------
    core : (n,) int32
        Logical core of each neuron in program order, -1 for input lines.
    cores : int
        How many cores there are, numbered 0 .. cores - 1.
    method : str
        What made it: "one core", "inorder", "aligned", "balanced" or "graph".
    cut_packets, inorder_packets : float
        Packets per step that leave their core, here and when cores are filled in order; NaN where not counted.
    notes : dict
        What was tried: method -> (cores, packets per step).
    """

    core: np.ndarray
    cores: int
    method: str
    cut_packets: float = float("nan")
    inorder_packets: float = float("nan")
    notes: dict[str, tuple[int, float]] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Plain data, without the array."""
        return {
            "method": self.method,
            "cores": self.cores,
            "cut_packets": self.cut_packets,
            "inorder_packets": self.inorder_packets,
            "tried": {name: list(found) for name, found in self.notes.items()},
        }


def partition(
    net: Network,
    chip: Chip,
    *,
    rates: Mapping[str, Any] | None = None,
    method: str = "auto",
    max_neurons: int | None = None,
    packing: str = "indexed",
    seed: int = 0,
) -> Partition:
    """Assign every neuron to a logical core within the chip's limits.

    Parameters
    ----------
    net
        A native network.
    rates : dict or None
        Population -> spikes per step per neuron, measured or predicted; None weighs all neurons alike.
    method : {"auto", "inorder", "graph"}
        "inorder" fills core after core in program order. "graph" groups neurons by who talks to whom (METIS
        where pymetis is installed, else a spectral order). "auto" takes the best that keeps neighbours together,
        and the graph's order only where it pays.
    max_neurons : int or None
        A lower limit of neurons per core than the chip's, to spread a network.
    packing
        How synapse memory is counted, see `mappings.packing`.
    seed
        Of the graph partition.

    Raises
    ------
    CompileError
        If a neuron alone does not fit a core: who, what, how much.
    """
    if method not in METHODS:
        raise CompileError(f"partition method {method!r} is not one of {', '.join(METHODS)}")
    if max_neurons is not None and (not isinstance(max_neurons, (int, np.integer)) or max_neurons < 1):
        raise CompileError(f"max_neurons={max_neurons!r} must be a whole number of at least 1")
    neurons = np.flatnonzero(~is_input(net))
    if not neurons.size:
        raise CompileError(f"network '{net.name}' has no neurons, only inputs: add a population of neurons")
    if _unlimited(chip) and max_neurons is None:
        core = np.full(total(net), -1, np.int32)
        core[neurons] = 0
        return Partition(core, 1, "one core", 0.0, 0.0)
    maker = _Maker(net, chip, rates, max_neurons, packing)
    return maker.best(method, neurons, seed)


def _unlimited(chip: Chip) -> bool:
    """True if one core holds any network."""
    from .allocate import core_limits

    return all(limit is None for limit in core_limits(chip).values())


@dataclass
class _Maker:
    """Makes candidates, counts their packets, keeps the best."""

    net: Network
    chip: Chip
    rates: Mapping[str, Any] | None
    max_neurons: int | None
    packing: str
    found: dict[str, tuple[np.ndarray, Traffic]] = field(default_factory=dict)

    def best(self, method: str, neurons: np.ndarray, seed: int) -> Partition:
        """The partition that `method` asks for."""
        self.add("inorder", neurons)
        cores, flow = self._size("inorder"), self.found["inorder"][1]
        chosen = "inorder"
        if method == "auto" and cores > 1:
            self.add("aligned", neurons, aligned=True)
            self.add("balanced", neurons, aligned=True, max_neurons=-(-neurons.size // cores))
            grouped = self._grouped(neurons)
            if grouped is not None:
                self.add("grouped", grouped)
            fewest = min(self._size(name) for name in self.found)
            chosen = min((k for k in self.found if self._size(k) == fewest), key=self._score)
        if cores > 1 and (method == "graph" or (method == "auto" and self._worth_a_graph())):
            self._add_graph(neurons, self._size(chosen), seed)
            if method == "graph" or self._pays(chosen):
                chosen = "graph" if "graph" in self.found else chosen
        core, chosen_flow = self.found[chosen]
        notes = {name: (self._size(name), t.cut) for name, (_, t) in self.found.items()}
        return Partition(core, self._size(chosen), chosen, chosen_flow.cut, flow.cut, notes)

    def _score(self, name: str) -> tuple[float, int]:
        """Packets first; of equals the one that spreads the work most evenly."""
        core, flow = self.found[name]
        return round(flow.cut, 9), int(np.bincount(core[core >= 0]).max())

    def _size(self, name: str) -> int:
        return int(self.found[name][0].max()) + 1

    def _worth_a_graph(self) -> bool:
        synapses = sum(int(p.indices.size) for p in self._patterns())
        return 0 < synapses <= GRAPH_SYNAPSES

    def _patterns(self) -> list[Any]:
        from .axons import pattern

        return [pattern(p.synapses) for p in self.net.projections.values()]

    def _pays(self, than: str) -> bool:
        if "graph" not in self.found or self._size("graph") > self._size(than):
            return False
        return self.found["graph"][1].cut < PAYS * self.found[than][1].cut

    def _grouped(self, neurons: np.ndarray) -> np.ndarray | None:
        """Populations that may share a core side by side, or None if that is the program's order already."""
        from .grouping import grouped_order

        return grouped_order(self.net, self.chip, neurons)

    def _add_graph(self, neurons: np.ndarray, cores: int, seed: int) -> None:
        from .graph_order import graph_parts

        part = graph_parts(self.net, self.rates, cores, seed)
        order = neurons[np.argsort(part[neurons], kind="stable")]
        self.add("graph", order, blocks=part[order])

    def add(self, name: str, order: np.ndarray, **options: Any) -> None:
        """Cut `order` into cores and keep the result, unless it breaks a limit (only the first one may raise)."""
        cap = min((k for k in (self.max_neurons, options.pop("max_neurons", None)) if k), default=None)
        try:
            core = self._cut(order, cap, **options)
        except CompileError:
            if name == "inorder":
                raise
            return
        self.found[name] = (core, traffic(self.net, core, self.rates))

    def _cut(self, order: np.ndarray, cap: int | None, **options: Any) -> np.ndarray:
        cutter = Cutter(self.net, self.chip, order, cap)
        bounds = cutter.cut(**options)
        for _ in range(64):
            core = np.full(total(self.net), -1, np.int32)
            core[order] = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
            table = usage(self.net, core, self.chip, packing=self.packing)
            finer = self._split(bounds, table)
            if finer is None:
                return core
            bounds = finer
        raise CompileError(f"network '{self.net.name}' cannot be cut to fit {self.chip.name}: prune its connections")

    def _split(self, bounds: np.ndarray, table: Allocation) -> np.ndarray | None:
        """Bounds with every core that exceeds a limit cut in so many parts, None if none does."""
        parts = np.ones(len(bounds) - 1, np.int64)
        for rule in CORE_RULES:
            limit = table.limits[rule.column]
            if limit is None:
                continue
            need = table.table[rule.column]
            over = np.flatnonzero(need > limit)
            for k in over:
                if bounds[k + 1] - bounds[k] == 1:
                    raise self._alone(rule, table, int(k), limit)
                wanted = -(-int(need[k]) // limit) if limit else 2
                parts[k] = max(parts[k], min(max(wanted, 2), int(bounds[k + 1] - bounds[k])))
        if np.all(parts == 1):
            return None
        pieces = [np.linspace(bounds[k], bounds[k + 1], parts[k] + 1)[:-1] for k in range(parts.size)]
        return np.append(np.concatenate(pieces), bounds[-1]).astype(np.int64)

    def _alone(self, rule: Any, table: Allocation, row: int, limit: int) -> CompileError:
        core = int(table.cores[row])
        column = table.parts["neurons"][:, row]
        population = table.populations[int(np.argmax(column))]
        error = too_much(rule, self.chip, population, core, int(table.table[rule.column][row]), limit)
        lone = f"one neuron alone is too much for a core. {error}"
        return CompileError(
            lone, population=error.population, core=core, resource=error.resource, need=error.need, limit=limit
        )


def owners(net: Network, order: np.ndarray) -> np.ndarray:
    """Population index of each neuron of `order`."""
    return owner(net)[order]
