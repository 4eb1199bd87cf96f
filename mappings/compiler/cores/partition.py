"""Partition: which neurons share a core.

Cores are runs of a sequence of neurons: the program's own order, neurons grouped by what a core must share,
or the order that a graph partition suggests. Each run is made as long as the chip's limits allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.checks import choice, whole
from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network

from .allocate import Allocation, counted
from .axons import distinct_axons, is_input, kept_patterns, pattern, total
from .core_rules import CORE_RULES, core_error, core_limits
from .counting import Count
from .cutting import Cutter
from .graph_order import graph_parts
from .grouping import grouped_order
from .traffic import Traffic, traffic

METHODS = ("auto", "inorder", "graph")
#: A reordering by graph breaks runs of neighbours, on which emulation is fast: it must lower the packets that
#: leave their core to this share of what filling in order needs.
PAYS = 0.8
#: "auto" looks for an even spread when the fullest core has this many times its fair share of neurons.
EVEN = 1.1
#: "auto" leaves the graph partitioner out above this many synapses: about a second of METIS.
GRAPH_SYNAPSES = 300_000
#: Rounds of cutting again with the output axons that the last cut needed, before cores are split instead.
ROUNDS = 8


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
        Packets per step that leave their core, here and when cores are filled in order.
    notes : dict
        What was tried: method -> (cores, packets per step).
    traffic : Traffic or None
        Packets between the logical cores; None if there is only one.
    """

    core: np.ndarray
    cores: int
    method: str
    cut_packets: float = float("nan")
    inorder_packets: float = float("nan")
    notes: dict[str, tuple[int, float]] = field(default_factory=dict)
    traffic: Traffic | None = None

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
        where pymetis is installed, else a spectral order). "auto" takes the best that keeps neighbours
        together, and the graph's order only where it pays.
    max_neurons : int or None
        A lower limit of neurons per core than the chip's, to spread a network.
    packing
        How synapse memory is counted, see `chipsim.mappings.compiler.cores.packing`.
    seed
        Of the graph partition.

    Raises
    ------
    CompileError
        If a neuron alone does not fit a core: who, what, how much.
    """
    choice(method, "partition", METHODS, CompileError)
    if max_neurons is not None:
        max_neurons = whole(max_neurons, "max_neurons", 1, error=CompileError)
    neurons = np.flatnonzero(~is_input(net))
    if not neurons.size:
        raise CompileError(f"network '{net.name}' has no neurons, only inputs: add a population of neurons")
    if max_neurons is None and all(limit is None for limit in core_limits(chip).values()):
        core = np.full(total(net), -1, np.int32)
        core[neurons] = 0
        return Partition(core, 1, "one core", 0.0, 0.0)
    with kept_patterns():
        return _Maker(net, chip, rates, max_neurons, packing).best(method, neurons, seed)


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
        cores, before = self.size("inorder"), self.found["inorder"][1]
        chosen = "inorder"
        if method == "auto" and cores > 1:
            chosen = self._best_of_runs(neurons, cores)
        if cores > 1 and (method == "graph" or (method == "auto" and self._worth_a_graph())):
            part = graph_parts(self.net, self.rates, self.size(chosen), seed)[neurons]
            order = np.argsort(part, kind="stable")
            self.add("graph", neurons[order], blocks=part[order])
            if method == "graph" or self._pays(chosen):
                chosen = "graph" if "graph" in self.found else chosen
        core, after = self.found[chosen]
        notes = {name: (self.size(name), flow.cut) for name, (_, flow) in self.found.items()}
        return Partition(core, self.size(chosen), chosen, after.cut, before.cut, notes, after)

    def _best_of_runs(self, neurons: np.ndarray, cores: int) -> str:
        """Fewest cores first, then fewest packets, then the most even spread."""
        even = -(-neurons.size // cores)
        if np.bincount(self.found["inorder"][0][neurons]).max() > EVEN * even:
            self.add("balanced", neurons, max_neurons=even)
        if sum(not p.model.is_input for p in self.net.populations.values()) > 1:
            self.add("aligned", neurons, aligned=True)
        grouped = grouped_order(self.net, self.chip, neurons)
        if grouped is not None:
            self.add("grouped", grouped)
        fewest = min(self.size(name) for name in self.found)
        return min((k for k in self.found if self.size(k) == fewest), key=self._score)

    def _score(self, name: str) -> tuple[float, int]:
        core, flow = self.found[name]
        return round(flow.cut, 9), int(np.bincount(core[core >= 0]).max())

    def size(self, name: str) -> int:
        """Cores of a candidate."""
        return int(self.found[name][0].max()) + 1

    def _worth_a_graph(self) -> bool:
        synapses = sum(len(pattern(p).indices) for p in self.net.projections.values())
        return 0 < synapses <= GRAPH_SYNAPSES

    def _pays(self, than: str) -> bool:
        if "graph" not in self.found or self.size("graph") > self.size(than):
            return False
        return self.found["graph"][1].cut < PAYS * self.found[than][1].cut

    def add(self, name: str, order: np.ndarray, *, max_neurons: int | None = None, **options: Any) -> None:
        """Cut `order` into cores and keep the result; only the first candidate may fail."""
        cap = min((k for k in (self.max_neurons, max_neurons) if k is not None), default=None)
        try:
            core, count = self._cut(order, cap, options)
        except CompileError:
            if name == "inorder":
                raise
            return
        self.found[name] = (core, traffic(self.net, core, self.rates, rows=count.rows))

    def _cut(self, order: np.ndarray, cap: int | None, options: dict[str, Any]) -> tuple[np.ndarray, Count]:
        """Core of each neuron and its resources; cuts again until every limit is kept."""
        cutter = Cutter(self.net, self.chip, order, cap, self.packing)
        bounds, slots = cutter.cut(**options), np.zeros(order.size, np.int64)
        for k in range(64):
            core = np.full(total(self.net), -1, np.int32)
            core[order] = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
            table, count = counted(self.net, core, self.chip, self.packing)
            over = _over(table)
            if not over:
                return core, count
            if set(over) == {"output_axons"} and k < ROUNDS:
                slots = np.maximum(slots, self._slots(count)[order])
                bounds = cutter.cut(**options, slots=slots)
            else:
                bounds = self._split(bounds, table, over)
        raise CompileError(f"network '{self.net.name}' cannot be cut to fit {self.chip.name}: prune its synapses")

    def _slots(self, count: Count) -> np.ndarray:
        """Output axon slots of each neuron, (n,) int64."""
        pre, _ = distinct_axons(count.rows, count.size)
        return np.bincount(pre, minlength=count.row.size) * self.chip.limits.axon_slots.get("discrete", 1)

    def _split(self, bounds: np.ndarray, table: Allocation, over: dict[str, np.ndarray]) -> np.ndarray:
        """Bounds with every core that exceeds a limit cut in as many parts as its excess suggests."""
        lengths = np.diff(bounds)
        parts = np.ones(lengths.size, np.int64)
        for rule in CORE_RULES:
            limit = table.limits[rule.column]
            for k in over.get(rule.column, ()):
                if lengths[k] == 1:
                    raise core_error(rule, self.chip, table, int(k), limit or 0, lone=True)
                wanted = -(-int(table.table[rule.column][k]) // limit) if limit else 2
                parts[k] = max(parts[k], min(max(wanted, 2), lengths[k]))
        pieces = [np.linspace(bounds[k], bounds[k + 1], parts[k] + 1)[:-1] for k in range(parts.size)]
        return np.append(np.concatenate(pieces), bounds[-1]).astype(np.int64)


def _over(table: Allocation) -> dict[str, np.ndarray]:
    """Column -> rows of cores beyond its limit, only columns that have some."""
    found = {
        name: np.flatnonzero(table.table[name] > limit) for name, limit in table.limits.items() if limit is not None
    }
    return {name: rows for name, rows in found.items() if rows.size}
