"""Design rules: what a chip demands of a network before anything is placed, as small named functions.

Each rule yields a `CompileError` for everything that breaks it; `check_network` raises the first. What a core
must hold is checked by the table in `chipsim.mappings.compiler.cores.core_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chipsim.chips.arithmetic import Arithmetic
from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.compiler.cores.axons import matrix_of
from chipsim.mappings.network.network import Network
from chipsim.native.ranges import Problem, neuron_problems, synapse_problems
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, stored

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
                f"population '{name}' has {family} neurons ({type(population.model).__name__}), "
                f"{chip.name} runs {chip.family}: quantise the network, or choose a chip of family {family}",
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
                f"projection '{name}': {type(synapses).__name__} weights are not what chip {chip.name} "
                f"stores: quantise the network, or give {chip.family} synapses",
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
            f"population '{name}': chip {chip.name} has no {type(model).__name__} neurons, only "
            f"{', '.join(allowed)}: use one of these, or a chip such as 'loihi2' or 'unlimited'",
            population=name,
            resource="neuron_models",
        )


def reset_modes(net: Network, chip: Chip) -> Iterator[CompileError]:
    """The chip must have the reset mode."""
    allowed = chip.arithmetic.reset_modes
    for name, population in net.populations.items():
        mode = population.model.values.get("reset")
        joined = population.model.compartments > 1 and chip.limits.soft_reset_compartments is not None
        if isinstance(mode, str) and mode not in allowed and not joined:
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
                f"population '{name}': {register} = {worst:g} is outside {chip.name}'s "
                f"[{span[0]}, {span[1]}]: {REMEDIES[limit]}",
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


RATE_BITS = 8  #: of the numbers that rate units send


def payloads(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Spikes may carry values only where the chip's packets have room for them."""
    bits = chip.limits.spike_bits
    for name, projection in net.projections.items():
        need = int(getattr(projection.synapses, "message_bits", 0))
        if projection.pre.model.model == "rate" and projection.role != "slope" and need < RATE_BITS:
            if bits is not None and bits < RATE_BITS:
                way = f"{chip.name}'s spikes carry {bits} bits; use 'research', 'loihi2' or 'unlimited'"
            else:
                way = f"give its synapses message_bits={RATE_BITS}"
            yield CompileError(
                f"projection '{name}': the units of '{projection.pre.name}' send numbers of {RATE_BITS} bits: {way}",
                population=projection.pre.name,
                resource="spike_bits",
                need=RATE_BITS,
                limit=bits,
            )
            continue
        if bits is not None and need > bits:
            yield CompileError(
                f"projection '{name}' needs spikes of {need} bits, {chip.name}'s carry {bits}: "
                f"set message_bits={bits}, or use a chip with graded spikes ('loihi2', 'unlimited')",
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
                f"projection '{name}' learns, chip {chip.name} cannot: take a chip that learns",
                population=projection.post.name,
                resource="learning",
            )
        problem = engine_problem(rule, chip) or numbers_problem(rule, projection)
        if problem is not None:
            yield CompileError(f"projection '{name}': {problem}", population=projection.post.name, resource="learning")
        top = chip.limits.trace_impulse
        for trace in ("x1_impulse", "x2_impulse", "y1_impulse", "y2_impulse", "y3_impulse"):
            value = getattr(rule, trace, 0) or 0
            if top is not None and value > top:
                yield from _in_range(projection, name, chip, "trace_impulse", value, "scale the rule's traces down")
        if hasattr(rule, "tag_bits"):
            yield from _in_range(projection, name, chip, "tag_bits", int(rule.tag_bits), "use fewer tag bits")


def engine_problem(rule: Any, chip: Chip) -> str | None:
    """Why the chip's learning engine cannot run a rule, and the way out; None if it can.

    Engines by their names in a description: "local" runs every declared rule, "three_factor" those that are sums of
    products of local values, "sum_of_products" and "pes" their own rules. Float chips run all but PES.
    """
    from chipsim.rules.carried import kind_of
    from chipsim.rules.verdicts import verdict

    kind, engines = kind_of(rule), chip.learning.rules
    if kind == "pes":
        return None if "pes" in engines else f"chip {chip.name} has no PES engine; use 'loihi' or 'unlimited'"
    if kind == "microcode":
        return f"chip {chip.name} runs no microcode of the Catalyst N1; use 'catalyst_n1', or a rule of cs.rules"
    if kind == "sum_of_products":
        fits = chip.family == "float" or "sum_of_products" in engines
        return None if fits else f"chip {chip.name} has no sum-of-products engine; use 'loihi', 'unlimited' or 'float'"
    if kind == "eprop":
        return None if "eprop" in engines else _no_eprop(chip)
    if chip.family == "float" or "local" in engines:
        return None
    found = verdict(rule, "sum_of_products")
    if "three_factor" in engines and found.runs != "cannot":
        return None
    why = "; ".join(found.reasons) or "it runs there without changes"
    if found.runs == "cannot" or "sum_of_products" not in engines:
        ways = "use 'research', 'unlimited' or 'float'"
        return f"the learning engine of {chip.name} cannot run rule {rule.name}: {why}; {ways}"
    return (
        f"the learning engine of {chip.name} takes sums of products, no declared rules: {rule.name} {found.runs} there "
        f"({why}); give rule=SumOfProducts(**cs.rules.verdict(rule, 'sum_of_products').export), or 'research' or "
        "'unlimited'"
    )


def numbers_problem(rule: Any, projection: Any) -> str | None:
    """A declared rule reads numbers where there are spikes, or takes numbers for spikes; None if neither."""
    from chipsim.rules.declaration import Rule

    if not isinstance(rule, Rule):
        return None
    for side, population in (("pre", projection.pre), ("post", projection.post)):
        numbers, read = population.model.carries_values, f"r_{side}" in rule.values
        if read and not numbers:
            return (
                f"rule {rule.name} reads the numbers that '{population.name}' sends, but its spikes carry none: use "
                "rate units (cs.floats.Rate, cs.loihi.Rate) or a graded source"
            )
        spikes = side in rule.reads or any(t.side == side and t.of == "spikes" for t in rule.traces.values())
        if numbers and spikes and not read:
            return (
                f"rule {rule.name} reads spikes of '{population.name}', whose neurons send numbers: it would take them "
                f"for 0 and 1; read r_{side} or Trace({side!r}, ..., of='value'), or let the neurons send spikes"
            )
    return None


def _no_eprop(chip: Chip) -> str:
    return (
        f"the learning engine of {chip.name} cannot run e-prop: it has no pseudo-derivative and no trace of a "
        "synapse's own; use 'research', 'unlimited' or 'float' (or 'reckon' with its own network, cs.reckon)"
    )


def eprop_networks(net: Network, chip: Chip) -> Iterator[CompileError]:
    """Projections that learn by e-prop must form whole networks: inputs, LSNN neurons, one readout."""
    from chipsim.rules.e_prop.group import Link, eprop_groups

    links = [Link(k, p.pre.name, p.post.name, p.max_delay, p.rule) for k, p in net.projections.items()]
    try:
        eprop_groups({k: p.model for k, p in net.populations.items()}, links, CompileError)
    except CompileError as error:
        yield error


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
    learning,
    neuron_models,
    reset_modes,
    registers,
    weights,
    delays,
    payloads,
    eprop_networks,
)


def check_ranges(net: Network, arithmetic: Arithmetic) -> None:
    """Raise for the first register or weight that the owner of the arithmetic does not hold."""
    for name, population in net.populations.items():
        for found in neuron_problems(population.model, arithmetic):
            raise _beyond(f"population '{name}'", name, found)
    for name, projection in net.projections.items():
        for found in synapse_problems(projection.synapses, arithmetic):
            raise _beyond(f"projection '{name}'", projection.post.name, found)


def _beyond(where: str, population: str, found: Problem) -> CompileError:
    text = f"{where}: {found.text}"
    return CompileError(text, population=population, resource=found.register, need=found.value, limit=found.limit)


def check_network(net: Network, chip: Chip) -> None:
    """Raise the first error of `NETWORK_RULES`, if there is any."""
    for rule in NETWORK_RULES:
        for error in rule(net, chip):
            raise error
