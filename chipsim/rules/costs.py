"""What a rule costs: state in bits, operations and memory accesses per update, counted from its
declaration."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from chipsim.rules.declaration import VALUES, Rule, RuleError
from chipsim.rules.fixed_format import Fixed

FLOAT_BITS = 64
HELD_BITS = 8  #: of a value kept from one phase to the next: as it is sent


@dataclass(frozen=True)
class Cost:
    """Per synapse and update, unless said; an update is one evaluation of the rule at one synapse.

    multiplies, adds, compares, functions: operations, both sides of an if counted. reads, writes: synaptic
    words (weight
    and state). neuron_reads: traces, membrane, third factors. random_numbers: draws of stochastic rounding.
    bits_per_synapse, bits_per_pre, bits_per_post: stored state. trace_multiplies: per neuron and step, both
    sides.
    event_driven: whether only synapses of spiking neurons are visited.
    """

    multiplies: int
    adds: int
    compares: int
    functions: int
    reads: int
    writes: int
    neuron_reads: int
    random_numbers: int
    bits_per_synapse: int
    bits_per_pre: int
    bits_per_post: int
    trace_multiplies: int
    event_driven: bool

    def memory_bits(self, n_pre: int, n_post: int, n_synapses: int) -> int:
        """State of a projection."""
        return self.bits_per_synapse * n_synapses + self.bits_per_pre * n_pre + self.bits_per_post * n_post

    def energy(self, updates: int, *, multiply: float, add: float, read_bit: float, write_bit: float) -> float:
        """Joules of `updates` updates from a chip's constants (J per operation, J per bit of memory)."""
        words = self.reads + self.writes
        bits = self.bits_per_synapse / max(1, words) if words else 0.0
        operations = self.multiplies * multiply + (self.adds + self.compares) * add
        return updates * (operations + self.reads * bits * read_bit + self.writes * bits * write_bit)

    def table(self) -> str:
        """Two columns of text."""
        return "\n".join(f"{name.replace('_', ' '):18} {value}" for name, value in vars(self).items())


def bits_of(form: Fixed | None) -> int:
    """Width of a stored number."""
    return FLOAT_BITS if form is None else form.bits


def cost(rule: Rule) -> Cost:
    """Count operations, accesses and state of a rule."""
    if not isinstance(rule, Rule):
        raise RuleError(f"cost takes a declared rule (cs.rules), not {type(rule).__name__}")
    nodes = [n for s in rule.body for n in ast.walk(s)]
    binary = [type(n.op) for n in nodes if isinstance(n, ast.BinOp)]
    called = [ast.unparse(n.func) for n in nodes if isinstance(n, ast.Call)]
    synaptic = {"w", *rule.state}
    elsewhere = {"v", "psi", *rule.third, *rule.traces, *rule.values}
    held = {side: sum(VALUES[n] == side for n in rule.held) for side in ("pre", "post")}
    forms = [(n, rule.weight if n == "w" else rule.state[n].format) for n in rule.writes]
    sides = {side: [t for t in rule.traces.values() if t.side == side] for side in ("pre", "post")}
    return Cost(
        multiplies=sum(op in (ast.Mult, ast.Div) for op in binary),
        adds=sum(op in (ast.Add, ast.Sub) for op in binary),
        compares=sum(isinstance(n, (ast.Compare, ast.IfExp)) for n in nodes)
        + sum(c in ("min", "max", "abs") for c in called),
        functions=sum(c not in ("min", "max", "abs") for c in called) + binary.count(ast.Pow),
        reads=len(synaptic & (rule.reads | set(rule.writes))),
        writes=len(rule.writes),
        neuron_reads=len(elsewhere & rule.reads),
        random_numbers=sum(f is not None and f.rounding == "stochastic" for _, f in forms),
        bits_per_synapse=bits_of(rule.weight) + sum(bits_of(s.format) for s in rule.state.values()),
        bits_per_pre=sum(bits_of(t.format) for t in sides["pre"]) + HELD_BITS * held["pre"],
        bits_per_post=sum(bits_of(t.format) for t in sides["post"]) + HELD_BITS * held["post"],
        trace_multiplies=len(rule.traces),
        event_driven=rule.event_driven,
    )
