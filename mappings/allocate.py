"""Allocate: what every core must hold, counted, and refused where a core cannot hold it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.schema import Chip

from .axons import AxonRows, all_rows, distinct_axons, owner, pattern, starts
from .network import Network
from .packing import Packed, pack, rule_state, synapse_width
from .profiles import (
    decay_key,
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


@dataclass(frozen=True, eq=False)
class Allocation:
    """Resources of every core in use.

    Attributes
    ----------
    chip : str
        Name of the chip.
    table : (c,) structured array
        One row per core, ascending; columns `COLUMNS`. `shared` is the largest number of different values of a
        core-wide register, `mixed_learning` 1 where learning and fixed synapses meet, `learning_bits` the state
        that learning rules declare.
    limits : dict
        Column -> what one core of the chip allows, None for no limit.
    parts : dict
        Column -> (p, c) int64: the share of each population, for the columns that add up.
    populations : tuple of str
        Names of the rows of `parts`.
    """

    chip: str
    table: np.ndarray
    limits: dict[str, int | None]
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    populations: tuple[str, ...] = ()

    @property
    def cores(self) -> np.ndarray:
        """Cores in use, (c,) int64."""
        return self.table["core"]

    def utilisation(self, column: str) -> np.ndarray | None:
        """(c,) float64: share of the limit in use, None where the chip has no such limit."""
        limit = self.limits.get(column)
        return None if not limit else self.table[column] / limit

    def text(self) -> str:
        """The table for people."""
        from .dump import dump

        return dump(self)

    def report(self) -> dict[str, Any]:
        """Plain data: the columns as lists and the limits."""
        return {
            "chip": self.chip,
            "limits": dict(self.limits),
            "table": {name: self.table[name].tolist() for name in COLUMNS},
        }


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
        How synapse memory is counted, see `mappings.packing`.

    Raises
    ------
    CompileError
        Naming population, core, resource, need, limit and a way out.
    """
    from .check import enforce

    allocation = usage(net, core, chip, packing=packing)
    enforce(allocation, chip)
    return allocation


def usage(net: Network, core: np.ndarray, chip: Chip, *, packing: str = "indexed") -> Allocation:
    """`allocate` without the refusal: the table, also of cores that hold too much."""
    core = np.asarray(core)
    cores = np.unique(core[core >= 0]).astype(np.int64)
    counter = _Counter(net, core, cores, chip, packing)
    for count in (_neurons, _axons, _memory, _profiles, _learning):
        count(counter)
    return Allocation(chip.name, counter.table, core_limits(chip), counter.parts, tuple(net.populations))


def core_limits(chip: Chip) -> dict[str, int | None]:
    """Column of the table -> the most that one core allows."""
    from .check import CORE_RULES

    return {rule.column: rule.limit(chip) for rule in CORE_RULES}


@dataclass
class _Counter:
    """The table being filled; `column[k]` is the row of core k in it."""

    net: Network
    core: np.ndarray
    cores: np.ndarray
    chip: Chip
    packing: str
    parts: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = np.zeros(self.cores.size, TABLE)
        self.table["core"] = self.cores
        self.column = np.full(int(self.cores.max(initial=-1)) + 1, -1, np.int64)
        self.column[self.cores] = np.arange(self.cores.size)
        self.rows: list[AxonRows] = all_rows(self.net, self.core)
        self.columns = [self.column[r.core] for r in self.rows]
        self.owner = owner(self.net)
        self.index_of = {name: k for k, name in enumerate(self.net.populations)}
        self.packed: list[Packed] = []

    @property
    def size(self) -> int:
        """Cores in use."""
        return self.cores.size

    def by_population(self, name: str, population: np.ndarray, column: np.ndarray) -> None:
        """Count one for each pair given, by population and core, into `parts` and the table."""
        shape = (len(self.net.populations), self.size)
        flat = np.bincount(population.astype(np.int64) * self.size + column, minlength=shape[0] * shape[1])
        self.parts[name] = flat.reshape(shape).astype(np.int64)
        self.table[name] = self.parts[name].sum(axis=0)


def _neurons(counter: _Counter) -> None:
    placed = np.flatnonzero(counter.core >= 0)
    kinds = np.array([p.model.is_input for p in counter.net.populations.values()], bool)
    placed = placed[~kinds[counter.owner[placed]]]
    counter.by_population("neurons", counter.owner[placed], counter.column[counter.core[placed]])


def _axons(counter: _Counter) -> None:
    table, size, limits = counter.table, counter.size, counter.chip.limits
    pre, column = distinct_axons([r._replace(core=c.astype(np.int32)) for r, c in _placed(counter)], max(size, 1))
    table["input_axons"] = np.bincount(column, minlength=size)
    slots = limits.axon_slots.get("discrete", 1)
    home = counter.core[pre]
    sends = home >= 0
    counter.by_population("output_axons", counter.owner[pre[sends]], counter.column[home[sends]])
    table["output_axons"] *= slots
    table["input_lines"] = np.bincount(column[~sends], minlength=size)
    share = np.zeros((len(counter.net.populations), size), np.int64)
    for projection, columns in zip(counter.net.projections.values(), counter.columns):
        share[counter.index_of[projection.post.name]] += np.bincount(columns, minlength=size)
    counter.parts["input_axons"] = share
    learning = [k for k, p in enumerate(counter.net.projections.values()) if p.rule is not None]
    pairs = [r._replace(core=c.astype(np.int32)) for r, c in _placed(counter)]
    learns = np.bincount(distinct_axons([pairs[k] for k in learning], max(size, 1))[1], minlength=size)
    table["synapse_map"] = (table["input_axons"] - learns) * limits.synapse_map_per_axon
    table["synapse_map"] += learns * limits.synapse_map_per_learning_axon


def _placed(counter: _Counter) -> list[tuple[AxonRows, np.ndarray]]:
    return list(zip(counter.rows, counter.columns))


def _memory(counter: _Counter) -> None:
    limits, size = counter.chip.limits, counter.size
    shape = (len(counter.net.populations), size)
    synapses, bits = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for projection, (rows, column) in zip(counter.net.projections.values(), _placed(counter)):
        width = synapse_width(projection.synapses, projection.rule, limits.synapse_packing)
        packed = pack(rows, column, size, width, limits, counter.packing)
        counter.packed.append(packed)
        post = counter.index_of[projection.post.name]
        bits[post] += packed.bits
        held = np.rint(np.bincount(column, weights=rows.count, minlength=size)).astype(np.int64)
        synapses[post] += held
        delay = np.where(held > 0, int(getattr(projection.synapses, "max_delay", 0)), 0)
        np.maximum(counter.table["max_delay"], delay, out=counter.table["max_delay"])
    counter.parts |= {"synapses": synapses, "synapse_bits": bits}
    counter.table["synapses"], counter.table["synapse_bits"] = synapses.sum(axis=0), bits.sum(axis=0)
    counter.table["formats"] = _formats(counter) if limits.synapse_formats is not None else -1
    counter.table["axon_fanout"] = _fanout(counter) if limits.axon_fanout is not None else -1
    counter.table["fan_in"] = _fan_in(counter) if limits.fan_in is not None else -1


def _formats(counter: _Counter) -> np.ndarray:
    found: list[set[tuple]] = [set() for _ in range(counter.size)]
    packing = counter.chip.limits.synapse_packing
    for projection, column, packed in zip(counter.net.projections.values(), counter.columns, counter.packed):
        width = synapse_width(projection.synapses, projection.rule, packing)
        for k in np.unique(column).tolist():
            found[k].add(synapse_format(projection, width, int(packed.index[k])))
    return np.array([len(s) for s in found], np.int64)


def _fanout(counter: _Counter) -> np.ndarray:
    out = np.zeros(counter.size, np.int64)
    if not counter.rows:
        return out
    keys = np.concatenate([r.pre * counter.size + c for r, c in _placed(counter)])
    axon, inverse = np.unique(keys, return_inverse=True)
    counts = np.bincount(inverse, weights=np.concatenate([r.count for r in counter.rows])).astype(np.int64)
    np.maximum.at(out, axon % counter.size, counts)
    return out


def fan_in(net: Network) -> np.ndarray:
    """(n,) int64: synapses that arrive at each neuron, in program order."""
    start = starts(net)
    out = np.zeros(sum(p.n for p in net.populations.values()), np.int64)
    for projection in net.projections.values():
        lo = start[projection.post.name]
        indices = pattern(projection.synapses).indices
        out[lo : lo + projection.post.n] += np.bincount(indices, minlength=projection.post.n)
    return out


def _fan_in(counter: _Counter) -> np.ndarray:
    out = np.zeros(counter.size, np.int64)
    placed = np.flatnonzero(counter.core >= 0)
    np.maximum.at(out, counter.column[counter.core[placed]], fan_in(counter.net)[placed])
    return out


def _profiles(counter: _Counter) -> None:
    limits, table = counter.chip.limits, counter.table
    for name, key in (("decay_profiles", decay_key), ("threshold_profiles", threshold_key)):
        table[name] = -1 if getattr(limits, name) is None else _distinct(counter, profile_ids(counter.net, key))
    table["shared"] = -1
    for register in limits.core_shared:
        different = _distinct(counter, shared_ids(counter.net, register))
        np.maximum(table["shared"], different, out=table["shared"])


def _distinct(counter: _Counter, ids: np.ndarray) -> np.ndarray:
    """Number of different ids >= 0 on each core, (c,)."""
    held = np.flatnonzero((counter.core >= 0) & (ids >= 0))
    span = int(ids.max(initial=0)) + 1
    pairs = np.unique(counter.column[counter.core[held]] * span + ids[held])
    return np.bincount(pairs // span, minlength=counter.size)


def _learning(counter: _Counter) -> None:
    table, size = counter.table, counter.size
    table["mixed_learning"], table["pre_traces"] = 0, 0
    rules = [p.rule for p in counter.net.projections.values()]
    if all(rule is None for rule in rules):
        return
    traces: list[set[tuple]] = [set() for _ in range(size)]
    for projection, (rows, column) in zip(counter.net.projections.values(), _placed(counter)):
        if projection.rule is None:
            continue
        state = rule_state(projection.rule)
        synapses = np.bincount(column, weights=rows.count, minlength=size).astype(np.int64)
        neurons = counter.parts["neurons"][counter.index_of[projection.post.name]]
        table["learning_bits"] += state["synapse"] * synapses + state["post"] * np.where(synapses > 0, neurons, 0)
        table["learning_bits"] += state["pre"] * np.bincount(column, minlength=size)
        for k in np.unique(column).tolist():
            traces[k].add(pre_trace_setting(projection.rule))
    table["pre_traces"] = [len(t) for t in traces]
    learns, fixed = taught(counter.net)
    placed = counter.core >= 0
    both = [np.bincount(counter.column[counter.core[placed & f]], minlength=size) > 0 for f in (learns, fixed)]
    table["mixed_learning"] = both[0] & both[1]
