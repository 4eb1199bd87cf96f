"""Counts of what every core holds, one small function per group of columns of an `Allocation`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.mappings.network.network import Network
from chipsim.rules.carried import rule_state

from .axons import AxonRows, all_rows, distinct, distinct_axons, owner, pattern, starts, total
from .packing import Packed, pack, synapse_width
from .profiles import (
    decay_key,
    learns_at_all,
    pre_trace_setting,
    profile_ids,
    shared_ids,
    synapse_format,
    taught,
    threshold_key,
)

#: Columns of the table; -1 in a column means: not counted, because the chip has no such limit.
COLUMNS = (
    "core", "neurons", "input_axons", "output_axons", "synapses", "synapse_bits", "synapse_map", "formats",
    "decay_profiles", "threshold_profiles", "pre_traces", "shared", "mixed_learning", "axon_fanout", "fan_in",
    "input_lines", "max_delay", "learning_bits",
)  # fmt: skip
TABLE = np.dtype([(name, np.int64) for name in COLUMNS])


@dataclass
class Count:
    """The table being filled: cores are rows 0 .. c - 1 of it, and `rows[k].core` counts in these."""

    net: Network
    core: np.ndarray
    chip: Chip
    packing: str
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    packed: list[Packed] = field(default_factory=list)
    learning: dict[str, np.ndarray] = field(default_factory=dict)  #: bits by core of synapses that learn

    def __post_init__(self) -> None:
        self.cores = distinct(self.core[self.core >= 0]).astype(np.int64)
        self.table = np.zeros(self.cores.size, TABLE)
        self.table["core"] = self.cores
        row_of = np.full(int(self.cores.max(initial=-1)) + 2, -1, np.int32)
        row_of[self.cores] = np.arange(self.cores.size)
        #: (n,) row of each neuron's core, -1 for input lines on the host (the last entry of `row_of`).
        self.row = row_of[self.core]
        self.rows: list[AxonRows] = all_rows(self.net, self.row)
        self.owner = owner(self.net)
        self.index_of = {name: k for k, name in enumerate(self.net.populations)}

    @property
    def size(self) -> int:
        """Cores in use."""
        return self.cores.size

    @property
    def projections(self) -> list:
        """The network's projections, in the order of `rows`."""
        return list(self.net.projections.values())

    def per_core(self, row: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Entries (or their weights) summed by row, (c,) int64."""
        found = np.bincount(row, weights=weights, minlength=self.size)
        return found if weights is None else np.rint(found).astype(np.int64)

    def by_population(self, population: np.ndarray, row: np.ndarray) -> np.ndarray:
        """How often each (population, row) occurs, (p, c) int64."""
        shape = (len(self.net.populations), self.size)
        keys = population.astype(np.int64) * self.size + row
        return np.bincount(keys, minlength=shape[0] * shape[1]).reshape(shape)

    def posts(self) -> np.ndarray:
        """A fresh (p, c) int64 array of zeros for the shares of target populations."""
        return np.zeros((len(self.net.populations), self.size), np.int64)


def count_neurons(count: Count) -> None:
    """Neurons, each as many as it has compartments; input lines placed on a core take none."""
    inputs = np.array([p.model.is_input for p in count.net.populations.values()], bool)
    held = np.flatnonzero((count.row >= 0) & ~inputs[count.owner])
    compartments = np.array([p.model.compartments for p in count.net.populations.values()], np.int64)
    count.parts["neurons"] = count.by_population(count.owner[held], count.row[held]) * compartments[:, None]
    count.table["neurons"] = count.parts["neurons"].sum(axis=0)


def count_axons(count: Count) -> None:
    """Input axons: one per source that reaches the core; output axons: one per neuron and core reached."""
    table, limits = count.table, count.chip.limits
    pre, row = distinct_axons(count.rows, max(count.size, 1))
    table["input_axons"] = count.per_core(row)
    home = count.row[pre]
    sends = home >= 0
    out = count.by_population(count.owner[pre[sends]], home[sends]) * limits.axon_slots.get("discrete", 1)
    count.parts["output_axons"] = out
    table["output_axons"] = out.sum(axis=0)
    table["input_lines"] = count.per_core(row[~sends])
    share = count.posts()
    for projection, rows in zip(count.projections, count.rows):
        share[count.index_of[projection.post.name]] += count.per_core(rows.core)
    count.parts["input_axons"] = share
    taught_rows = [rows for p, rows in zip(count.projections, count.rows) if p.rule is not None]
    learning = count.per_core(distinct_axons(taught_rows, max(count.size, 1))[1])
    fixed = table["input_axons"] - learning
    entries = fixed * limits.synapse_map_per_axon + learning * limits.synapse_map_per_learning_axon
    table["synapse_map"] = entries


def count_memory(count: Count) -> None:
    """Synapses, their memory as packed, formats, the longest delay."""
    limits = count.chip.limits
    synapses, bits = count.posts(), count.posts()
    for projection, rows in zip(count.projections, count.rows):
        width = synapse_width(projection.synapses, projection.rule, limits.synapse_packing)
        packed = pack(rows, count.size, width, limits, count.packing)
        count.packed.append(packed)
        post = count.index_of[projection.post.name]
        held = count.per_core(rows.core, rows.count)
        bits[post] += packed.bits
        synapses[post] += held
        delay = np.where(held > 0, int(getattr(projection.synapses, "max_delay", 0)), 0)
        np.maximum(count.table["max_delay"], delay, out=count.table["max_delay"])
    count.parts |= {"synapses": synapses, "synapse_bits": bits}
    count.table["synapses"], count.table["synapse_bits"] = synapses.sum(axis=0), bits.sum(axis=0)
    count.table["formats"] = _formats(count) if limits.synapse_formats is not None else -1
    count.table["axon_fanout"] = _fanout(count) if limits.axon_fanout is not None else -1
    count.table["fan_in"] = _fan_in(count) if limits.fan_in is not None else -1


def _formats(count: Count) -> np.ndarray:
    found: list[set[tuple]] = [set() for _ in range(count.size)]
    for projection, rows, packed in zip(count.projections, count.rows, count.packed):
        width = synapse_width(projection.synapses, projection.rule, count.chip.limits.synapse_packing)
        for k in np.flatnonzero(count.per_core(rows.core)).tolist():
            found[k].add(synapse_format(projection, width, int(packed.index[k])))
    return np.array([len(s) for s in found], np.int64)


def _fanout(count: Count) -> np.ndarray:
    """Synapses of the axon that has most, (c,)."""
    out = np.zeros(count.size, np.int64)
    if count.rows:
        keys = np.concatenate([r.pre * count.size + r.core for r in count.rows])
        axon, inverse = np.unique(keys, return_inverse=True)
        synapses = np.bincount(inverse, weights=np.concatenate([r.count for r in count.rows]))
        np.maximum.at(out, axon % count.size, np.rint(synapses).astype(np.int64))
    return out


def fan_in(net: Network) -> np.ndarray:
    """(n,) int64: synapses that arrive at each neuron, in program order."""
    start = starts(net)
    out = np.zeros(total(net), np.int64)
    for projection in net.projections.values():
        lo, n = start[projection.post.name], projection.post.n
        out[lo : lo + n] += np.bincount(pattern(projection).indices, minlength=n)
    return out


def _fan_in(count: Count) -> np.ndarray:
    out = np.zeros(count.size, np.int64)
    held = np.flatnonzero(count.row >= 0)
    np.maximum.at(out, count.row[held], fan_in(count.net)[held])
    return out


def count_profiles(count: Count) -> None:
    """Different decays and thresholds, and the largest number of values of a register that a core shares."""
    limits, table = count.chip.limits, count.table
    for name, key in (("decay_profiles", decay_key), ("threshold_profiles", threshold_key)):
        limited = getattr(limits, name) is not None
        table[name] = _distinct(count, profile_ids(count.net, key)) if limited else -1
    table["shared"] = -1
    for register in limits.core_shared:
        np.maximum(table["shared"], _distinct(count, shared_ids(count.net, register)), out=table["shared"])


def _distinct(count: Count, ids: np.ndarray) -> np.ndarray:
    """Number of different ids >= 0 on each core, (c,)."""
    held = np.flatnonzero((count.row >= 0) & (ids >= 0))
    span = int(ids.max(initial=0)) + 1
    pairs = distinct(count.row[held] * span + ids[held])
    return count.per_core(pairs // span)


def count_learning(count: Count) -> None:
    """Memory that learning rules declare, their pre-trace settings, whether a core mixes both kinds."""
    if not learns_at_all(count.net):
        return
    traces: list[set[tuple]] = [set() for _ in range(count.size)]
    for projection, rows in zip(count.projections, count.rows):
        if projection.rule is None:
            continue
        state = rule_state(projection.rule)
        axons = count.per_core(rows.core)
        neurons = np.where(axons > 0, count.parts["neurons"][count.index_of[projection.post.name]], 0)
        synapses = count.per_core(rows.core, rows.count)
        bits = state["synapse"] * synapses + state["post"] * neurons + state["pre"] * axons
        count.learning[projection.name] = state["synapse"] * synapses
        count.table["learning_bits"] += bits
        for k in np.flatnonzero(axons).tolist():
            traces[k].add(pre_trace_setting(projection.rule))
    count.table["pre_traces"] = [len(t) for t in traces]
    learns, fixed = (count.per_core(count.row[(count.row >= 0) & f]) > 0 for f in taught(count.net))
    count.table["mixed_learning"] = learns & fixed


COUNTS = (count_neurons, count_axons, count_memory, count_profiles, count_learning)
