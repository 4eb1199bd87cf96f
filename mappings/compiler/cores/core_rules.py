"""The limits of one core as a table: the column that counts it, what the chip allows, what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError


class Counted(Protocol):
    """What is read of an allocation."""

    @property
    def cores(self) -> np.ndarray:
        """Physical cores, (c,)."""
        ...

    @property
    def table(self) -> np.ndarray:
        """What each holds, by column."""
        ...

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Share of each population, (p, c), by column."""
        ...

    @property
    def populations(self) -> tuple[str, ...]:
        """Their names."""
        ...

    @property
    def learning(self) -> dict[str, np.ndarray]:
        """Bits of the synapses that learn, by projection."""
        ...


LARGER = "prune its synapses, or use a chip with larger cores"
RELAYS = f"let relays add up its inputs (compile(relays=True), map --relays), {LARGER}"


class CoreRule(NamedTuple):
    """A limit of one core: the column that counts it, the chip's limit, its words, a way out, and one if a neuron alone
    exceeds it, for which more cores are none.
    """

    column: str
    limit: Callable[[Chip], int | None]
    unit: str
    remedy: str
    lone: str = LARGER


def axon_limit(chip: Chip) -> int | None:
    """Input axons: the least of the table's size, an axon id's width and its field in a spike."""
    limits = chip.limits
    found = [limits.input_axons]
    if limits.axon_id_bits is not None and "discrete" in limits.axon_id_bits:
        found.append(1 << limits.axon_id_bits["discrete"])
    if limits.spike_fields is not None:
        found.append(limits.spike_fields.get("axon"))
    return min((f for f in found if f is not None), default=None)


_SPREAD = "spread it over more cores, e.g. partition(max_neurons=...)"
_APART = "place populations that differ on different cores"

CORE_RULES: tuple[CoreRule, ...] = (
    CoreRule("neurons", lambda c: c.limits.neurons, "neurons", "place part of it on another core"),
    CoreRule("input_axons", axon_limit, "input axons", f"{_SPREAD}, or prune its inputs", RELAYS),
    CoreRule(
        "output_axons",
        lambda c: c.limits.output_axons,
        "output axon slots",
        f"{_SPREAD}, or target fewer cores",
    ),
    CoreRule("synapses", lambda c: c.limits.synapses, "synapses", f"{_SPREAD}, or prune"),
    CoreRule(
        "synapse_bits",
        lambda c: c.limits.synapse_bits,
        "bits of synapse memory",
        f"{_SPREAD}, or use fewer bits",
    ),
    CoreRule("synapse_map", lambda c: c.limits.synapse_map_entries, "synapse map entries", _SPREAD),
    CoreRule(
        "formats",
        lambda c: c.limits.synapse_formats,
        "synapse formats",
        "give projections equal bits and exponents",
    ),
    CoreRule("decay_profiles", lambda c: c.limits.decay_profiles, "decay profiles", "use fewer different decays"),
    CoreRule(
        "threshold_profiles",
        lambda c: c.limits.threshold_profiles,
        "threshold profiles",
        f"use fewer different thresholds, or {_SPREAD}",
    ),
    CoreRule("pre_traces", lambda c: c.limits.pre_trace_profiles, "pre-trace profiles", _APART),
    CoreRule("shared", lambda c: 1 if c.limits.core_shared else None, "values of a core-wide register", _APART),
    CoreRule(
        "mixed_learning",
        lambda c: 0 if c.limits.learning_uniform else None,
        "kinds of synapses",
        "let all synapses of its core learn or none, or use a chip whose cores hold both ('loihi', 'research')",
        "let all its synapses learn (a rule of rate 0 keeps its weights) or none, or use a chip whose cores hold both "
        "('loihi', 'research')",
    ),
    CoreRule("axon_fanout", lambda c: c.limits.axon_fanout, "synapses of one axon", _SPREAD),
    CoreRule("fan_in", lambda c: c.limits.fan_in, "synapses of one neuron", "prune its inputs"),
    CoreRule("input_lines", lambda c: c.limits.input_units, "input lines", _SPREAD),
)


def core_limits(chip: Chip) -> dict[str, int | None]:
    """Column of an allocation -> the most that one core of `chip` allows, None for no limit."""
    return {rule.column: rule.limit(chip) for rule in CORE_RULES}


def enforce(allocation: Counted, chip: Chip) -> None:
    """Raise CompileError for the first limit that a core exceeds, naming the core that exceeds it most."""
    for rule in CORE_RULES:
        limit = allocation.limits[rule.column]
        counts = allocation.table[rule.column]
        if limit is None or not counts.size or counts.max() <= limit:
            continue
        raise core_error(rule, chip, allocation, int(np.argmax(counts)), limit)
    fields = chip.limits.spike_fields or {}
    top = int(np.max(allocation.cores % chip.topology.cores, initial=0))
    if "core" in fields and top >= fields["core"]:
        raise CompileError(
            f"core {top} has no address in a spike of {chip.name}, which names 0..{fields['core'] - 1}: "
            "use fewer cores of a chip",
            core=top,
            resource="spike_fields",
            need=top,
            limit=fields["core"] - 1,
        )


def core_error(
    rule: CoreRule, chip: Chip, allocation: Counted, row: int, limit: int, *, lone: bool = False
) -> CompileError:
    """The error for a core (row of the table) beyond `limit` and the population with most of it."""
    core, need = int(allocation.cores[row]), int(allocation.table[rule.column][row])
    share = allocation.parts.get(rule.column, allocation.parts["neurons"])[:, row]
    population = allocation.populations[int(np.argmax(share))]
    error = too_much(rule, chip, population, core, need, limit, alone=lone or np.count_nonzero(share) < 2, lone=lone)
    kept = {name: int(bits[row]) for name, bits in allocation.learning.items() if bits[row]}
    if rule.column != "synapse_bits" or not kept:
        return error
    most = max(kept, key=kept.__getitem__)
    return with_learning(error, most, kept[most])


def with_learning(error: CompileError, projection: str, bits: int | None = None) -> CompileError:
    """`error` of synapse memory, with the projection whose rule takes most of it, its bits, and the way out."""
    many = "" if bits is None else f", its synapses keep {bits} bits"
    out = "store the state of its rule in fewer bits, e.g. fixed(8, 1.0)"
    text = f"{error}; projection '{projection}' learns{many}: {out}"
    return CompileError(
        text, population=error.population, core=error.core, resource=error.resource, need=error.need, limit=error.limit
    )


def too_much(
    rule: CoreRule,
    chip: Chip,
    population: str,
    core: int,
    need: int,
    limit: int,
    *,
    alone: bool = True,
    lone: bool = False,
) -> CompileError:
    """The sentence: who needs how much of what where, what is allowed, and what to do.

    `alone` is False where other populations have a share in `need`; `population` has the largest. `lone`: a single
    neuron needs it.
    """
    name = f"population '{population}'" + ("" if alone else " with others")
    verb = "needs" if alone else "need"
    if rule.column == "mixed_learning":
        text = f"{name} on core {core}: learning and fixed synapses meet; {chip.name} allows one kind per core"
    elif rule.column == "shared":
        text = f"{name} on core {core} {verb} {need} values of a register that {chip.name} shares"
    else:
        text = f"{name} {verb} {need} {rule.unit} on core {core}; {chip.name} allows {limit}"
    return CompileError(
        f"{text}, for one neuron alone: {rule.lone}" if lone else f"{text}: {rule.remedy}",
        population=population,
        core=core,
        resource=rule.column,
        need=need,
        limit=limit,
    )
