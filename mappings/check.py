"""Design rules: what a chip demands of a network and of each core, as small named functions and one table.

`NETWORK_RULES` look at registers before anything is placed; `CORE_RULES` name the columns of an `Allocation` and
the limits they must keep. The name of a rule is in its error's `resource`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chipsim.errors import CompileError
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, stored
from chipsim.schema import Chip

from .axons import matrix_of
from .network import Network

if TYPE_CHECKING:
    from .allocate import Allocation

#: Registers of neuron models -> the limit (a range [lo, hi]) that a chip may set on them.
REGISTER_LIMITS = {
    "vth": "vth",
    "vth_hi": "vth",
    "bias_mant": "bias_mantissa",
    "bias_exp": "bias_exponent",
    "du": "decay",
    "dv": "decay",
    "refractory": "refractory",
}
#: What a range in a description means to the user who exceeds it.
REMEDIES = {
    "vth": "scale weights, bias and threshold down together",
    "bias_mantissa": "use a larger bias_exp, or scale the network down",
    "bias_exponent": "scale the network down, or fold the exponent into bias_mant",
    "decay": "choose a decay that the register holds",
    "refractory": "shorten the refractory period, or use a larger dt",
}


def native_models(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Neurons must be in the chip's own registers."""
    for name, population in net.populations.items():
        family = population.model.family
        if family not in (chip.family, "any"):
            yield CompileError(
                f"population '{name}' has {family} neurons ({type(population.model).__name__}), chip {chip.name} runs "
                f"{chip.family}: quantise the network, or choose a chip of family {family}",
                population=name,
                resource="native_models",
            )


def native_synapses(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Synapses must be in the chip's own form: whole mantissas, or floats on a float chip."""
    wanted = FloatSynapses if chip.family == "float" else Synapses
    for name, projection in net.projections.items():
        synapses = projection.synapses
        if isinstance(synapses, Conv):
            kind = np.asarray(synapses.kernel).dtype.kind
            fits = chip.family == "float" or kind in "iu" or not np.any(synapses.kernel % 1)
        else:
            fits = isinstance(synapses, wanted)
        if not fits:
            yield CompileError(
                f"projection '{name}': {type(synapses).__name__} weights are not what chip {chip.name} stores: "
                f"quantise the network, or give {chip.family} synapses",
                population=projection.post.name,
                resource="native_synapses",
            )


def neuron_models(net: Network, chip: Chip) -> Iterator[CompileError]:
    """The chip must have the neuron model."""
    allowed = chip.arithmetic.neuron_models
    for name, population in net.populations.items():
        model = population.model
        if allowed is None or model.is_input or {type(model).__name__, model.model} & set(allowed):
            continue
        yield CompileError(
            f"population '{name}': chip {chip.name} has no {type(model).__name__} neurons, only {', '.join(allowed)}: "
            "use one of these, or a chip such as 'loihi2' or 'unlimited'",
            population=name,
            resource="neuron_models",
        )


def reset_modes(net: Network, chip: Chip) -> Iterator[CompileError]:
    """The chip must have the reset mode."""
    allowed = chip.arithmetic.reset_modes
    for name, population in net.populations.items():
        mode = population.model.values.get("reset")
        if isinstance(mode, str) and mode not in allowed:
            yield CompileError(
                f"population '{name}' resets by {mode!r}; chip {chip.name} allows {', '.join(allowed)}: "
                "set reset='zero', or use a chip that allows it ('loihi2', 'unlimited')",
                population=name,
                resource="reset_modes",
            )


def registers(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Thresholds, biases, decays and refractory periods must fit their registers."""
    for name, population in net.populations.items():
        for register, limit in REGISTER_LIMITS.items():
            span = getattr(chip.limits, limit)
            if span is None or register not in population.model.values:
                continue
            values = population.model.values[register]
            bad = (values < span[0]) | (values > span[1])
            if not np.any(bad):
                continue
            worst = np.extract(bad, values)[0]
            yield CompileError(
                f"population '{name}': {register} = {worst:g} is outside {chip.name}'s [{span[0]}, {span[1]}]: "
                f"{REMEDIES[limit]}",
                population=name,
                resource=limit,
                need=float(worst),
                limit=span[1] if worst > span[1] else span[0],
            )


def weights(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Weight bits, mantissas and exponents must fit the synapse format."""
    limits = chip.limits
    for name, projection in net.projections.items():
        synapses = projection.synapses
        if isinstance(synapses, FloatSynapses) or not isinstance(synapses, (Synapses, Conv)):
            continue
        facts: list[tuple[str, Any]] = [("weight_exponent", synapses.exponent)]
        if isinstance(synapses, Synapses):
            facts.append(("weight_bits", synapses.bits))
        if limits.weight is not None:
            values = np.asarray(synapses.kernel) if isinstance(synapses, Conv) else stored(matrix_of(synapses))
            facts += [("weight", values.min(initial=0)), ("weight", values.max(initial=0))]
        for limit, value in facts:
            yield from _in_range(projection, name, chip, limit, int(value), "quantise with fewer bits or rescale")


def delays(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Delays must fit the chip's delay lines and their field in a synapse."""
    for name, projection in net.projections.items():
        longest = int(getattr(projection.synapses, "max_delay", 0))
        remedy = "shorten the delays, use a larger dt, or insert a relay population"
        yield from _in_range(projection, name, chip, "delay", longest, remedy)
        yield from _in_range(projection, name, chip, "delay_bits", longest.bit_length(), remedy)


def payloads(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Spikes may carry values only where the chip's packets have room for them."""
    bits = chip.limits.spike_bits
    for name, projection in net.projections.items():
        need = int(getattr(projection.synapses, "message_bits", 0))
        if bits is not None and need > bits:
            yield CompileError(
                f"projection '{name}' needs spikes of {need} bits, {chip.name}'s carry {bits}: set message_bits={bits}, "
                "or use a chip with graded spikes ('loihi2', 'unlimited')",
                population=projection.post.name,
                resource="spike_bits",
                need=need,
                limit=bits,
            )


def learning(net: Network, chip: Chip) -> Iterator[CompileError]:
    """A rule needs a learning engine, and its constants must fit the engine's registers."""
    for name, projection in net.projections.items():
        rule = projection.rule
        if rule is None:
            continue
        if not chip.learning.rules:
            yield CompileError(
                f"projection '{name}' learns, chip {chip.name} cannot: leave rule out, or use a chip that learns",
                population=projection.post.name,
                resource="learning",
            )
        top = chip.limits.trace_impulse
        for trace in ("x1_impulse", "x2_impulse", "y1_impulse", "y2_impulse", "y3_impulse"):
            value = getattr(rule, trace, 0) or 0
            if top is not None and value > top:
                yield from _in_range(projection, name, chip, "trace_impulse", value, "scale the rule's traces down")
        if hasattr(rule, "tag_bits"):
            yield from _in_range(projection, name, chip, "tag_bits", int(rule.tag_bits), "use fewer tag bits")


def _in_range(projection: Any, name: str, chip: Chip, limit: str, value: float, remedy: str) -> Iterator[CompileError]:
    span = getattr(chip.limits, limit)
    if span is None:
        return
    lo, hi = span if isinstance(span, tuple) else (0, span)
    if not lo <= value <= hi:
        yield CompileError(
            f"projection '{name}' needs {limit} {value}, {chip.name} allows {lo}..{hi}: {remedy}",
            population=projection.post.name,
            resource=limit,
            need=value,
            limit=hi if value > hi else lo,
        )


NETWORK_RULES: tuple[Callable[[Network, Chip], Iterator[CompileError]], ...] = (
    native_models,
    native_synapses,
    neuron_models,
    reset_modes,
    registers,
    weights,
    delays,
    payloads,
    learning,
)


def check_network(net: Network, chip: Chip) -> None:
    """Raise the first error of `NETWORK_RULES`; returns None for a network that the chip's registers can hold."""
    for rule in NETWORK_RULES:
        for error in rule(net, chip):
            raise error


class CoreRule(NamedTuple):
    """A limit of one core: the column that counts it, the chip's limit, its words and a way out."""

    column: str
    limit: Callable[[Chip], int | None]
    unit: str
    remedy: str


def _axon_limit(chip: Chip) -> int | None:
    """Input axons: the table's size, the width of an axon id and of the field in a spike, whichever is least."""
    limits = chip.limits
    found = [limits.input_axons]
    if limits.axon_id_bits is not None and "discrete" in limits.axon_id_bits:
        found.append(1 << limits.axon_id_bits["discrete"])
    if limits.spike_fields is not None:
        found.append(limits.spike_fields.get("axon"))
    return min((f for f in found if f is not None), default=None)


def _neuron_limit(chip: Chip) -> int | None:
    return chip.limits.neurons


_SPREAD = "spread it over more cores, e.g. partition(max_neurons=...)"
_SPLIT = "place the populations that differ on different cores"

CORE_RULES: tuple[CoreRule, ...] = (
    CoreRule("neurons", _neuron_limit, "neurons", "place part of it on another core"),
    CoreRule("input_axons", _axon_limit, "input axons", _SPREAD + ", or prune its inputs"),
    CoreRule("output_axons", lambda c: c.limits.output_axons, "output axon slots", _SPREAD + ", or target fewer cores"),
    CoreRule("synapses", lambda c: c.limits.synapses, "synapses", _SPREAD + ", or prune"),
    CoreRule("synapse_bits", lambda c: c.limits.synapse_bits, "bits of synapse memory", _SPREAD + ", or fewer bits"),
    CoreRule("synapse_map", lambda c: c.limits.synapse_map_entries, "synapse map entries", _SPREAD),
    CoreRule("formats", lambda c: c.limits.synapse_formats, "synapse formats", "give projections equal bits/exponents"),
    CoreRule("decay_profiles", lambda c: c.limits.decay_profiles, "decay profiles", "use fewer different decays"),
    CoreRule(
        "threshold_profiles", lambda c: c.limits.threshold_profiles, "threshold profiles",
        "use fewer different thresholds, or " + _SPREAD,
    ),
    CoreRule("pre_traces", lambda c: c.limits.pre_trace_profiles, "pre-trace profiles", _SPLIT),
    CoreRule("shared", lambda c: 1 if c.limits.core_shared else None, "values of a core-wide register", _SPLIT),
    CoreRule(
        "mixed_learning", lambda c: 0 if c.limits.learning_uniform else None, "cores with learning and fixed synapses",
        "let all synapses of its core learn or none",
    ),
    CoreRule("axon_fanout", lambda c: c.limits.axon_fanout, "synapses of one axon", _SPREAD),
    CoreRule("fan_in", lambda c: c.limits.fan_in, "synapses of one neuron", "prune its inputs or insert a relay layer"),
    CoreRule("input_lines", lambda c: c.limits.input_units, "input lines", _SPREAD),
)  # fmt: skip


def enforce(allocation: Allocation, chip: Chip) -> None:
    """Raise for the first limit that a core exceeds, the worst core of it."""
    for rule in CORE_RULES:
        limit = allocation.limits[rule.column]
        counts = allocation.table[rule.column]
        if limit is None or not counts.size or counts.max() <= limit:
            continue
        worst = int(np.argmax(counts))
        raise core_error(rule, chip, allocation, worst, limit)
    fields = chip.limits.spike_fields or {}
    top = int(np.max(allocation.cores % chip.topology.cores, initial=0))
    if "core" in fields and top >= fields["core"]:
        raise CompileError(
            f"core {top} has no address in a spike of {chip.name}, which names cores 0..{fields['core'] - 1}: "
            "use a chip description with fewer cores",
            core=top, resource="spike_fields", need=top, limit=fields["core"] - 1,
        )  # fmt: skip


def core_error(rule: CoreRule, chip: Chip, allocation: Allocation, row: int, limit: int) -> CompileError:
    """The error for a core (row of the table) beyond `limit`, naming the population with the largest share."""
    core, need = int(allocation.cores[row]), int(allocation.table[rule.column][row])
    share = allocation.parts.get(rule.column, allocation.parts["neurons"])[:, row]
    population = allocation.populations[int(np.argmax(share))]
    return too_much(rule, chip, population, core, need, limit)


def too_much(rule: CoreRule, chip: Chip, population: str, core: int, need: int, limit: int) -> CompileError:
    """The sentence: who needs how much of what where, what is allowed, and what to do."""
    if rule.column == "mixed_learning":
        text = f"population '{population}' on core {core} has learning and fixed synapses; {chip.name} allows one kind"
    else:
        allowed = "registers shared by the core: 1" if rule.column == "shared" else str(limit)
        text = f"population '{population}' needs {need} {rule.unit} on core {core}; {chip.name} allows {allowed}"
    return CompileError(
        f"{text}: {rule.remedy}", population=population, core=core, resource=rule.column, need=need, limit=limit
    )
