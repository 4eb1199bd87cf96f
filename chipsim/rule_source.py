"""From a rule to the source of its kernel: one function of generated Python over arrays."""

from __future__ import annotations

import ast
import copy
from typing import Any

from chipsim.rule_declaration import Rule, Trace
from kernels.rounding import MODES
from kernels.surrogates import KINDS

ARGUMENTS = (
    "step, seed, pre_ids, post_ids, row_ptr, col, col_ptr, col_syn, row_of, w, syn, pre_vars, post_vars, v, "
    "threshold, third, const, counters"
)
COUNTERS = ("evaluated", "changed", "stalled", "at_low", "at_high", "not_finite")
PRE_STREAM, POST_STREAM, STATE_STREAM = 100, 200, 300


def pre_rows(rule: Rule) -> dict[str, int]:
    """Row of every presynaptic variable in pre_vars; row 0 is the spike flag."""
    return {
        "pre": 0,
        **{n: k + 1 for k, n in enumerate(n for n, t in rule.traces.items() if t.side == "pre")},
    }


def post_rows(rule: Rule) -> dict[str, int]:
    """Row of every postsynaptic variable in post_vars; row 0 is the spike flag, psi comes last."""
    names = ["post", *(n for n, t in rule.traces.items() if t.side == "post")]
    if rule.surrogate is not None:
        names.append("psi")
    return {n: k for k, n in enumerate(names)}


def constant_values(rule: Rule) -> list[float]:
    """The values of the const argument: declared constants in order."""
    return [float(v) for v in rule.constants.values()] or [0.0]


def own(name: str) -> str:
    """A name of the rule, as spelled in generated code: apart from every name of the generator."""
    return f"my_{name}"


class Renamed(ast.NodeTransformer):
    """Spell every name of an expression with `own`, but not the functions it calls."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rename the arguments only."""
        return ast.Call(node.func, [self.visit(a) for a in node.args], [])

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Rename."""
        return ast.Name(own(node.id), node.ctx)


def written(node: ast.AST) -> str:
    """Source of an expression with the rule's names."""
    return ast.unparse(Renamed().visit(copy.deepcopy(node)))


class Writer:
    """Lines of source at an indent."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 1

    def add(self, text: str) -> None:
        """One line."""
        self.lines.append("    " * self.depth + text)

    def block(self, header: str) -> Writer:
        """A line, and what follows one level deeper."""
        self.add(header)
        self.depth += 1
        return self

    def end(self, levels: int = 1) -> None:
        """Back out of so many blocks."""
        self.depth -= levels


def grid(form: Any, name: str, key: str, index: str, low: float, high: float) -> str:
    """Expression that brings `name` to its format and into [low, high]."""
    if form is None:
        if low == float("-inf") and high == float("inf"):
            return name
        return f"min({high!r}, max({low!r}, {name}))".replace("inf", "math.inf")
    low, high = max(low, form.low), min(high, form.high)
    u = f"unit({key}, {index})" if form.rounding == "stochastic" else "0.0"
    return f"to_grid({name}, {form.step!r}, {low!r}, {high!r}, {MODES[form.rounding]}, {u})"


def emit_trace(out: Writer, rule: Rule, name: str, trace: Trace, row: int, stream: int) -> None:
    """Decay of one trace, and its impulse where the synapse sees it in the same step."""
    array, size = f"{trace.side}_vars", f"{trace.side}_vars.shape[1]"
    form = trace.format
    if form is not None and form.rounding == "stochastic":
        out.add(f"key = stream_key(seed, step, {stream})")
    value = f"decay_{name} * {array}[{row}, k]"
    out.block(f"for k in range({size}):")
    wide = float("inf")
    out.add(f"{array}[{row}, k] = {grid(form, value, 'key', 'k', -wide, wide)}")
    out.end()
    if trace.seen == "after":
        emit_impulse(out, trace, row)


def emit_impulse(out: Writer, trace: Trace, row: int) -> None:
    """What the spikes of this step do to one trace."""
    array = f"{trace.side}_vars"
    out.block(f"for k in {trace.side}_ids:")
    value = (
        repr(float(trace.impulse)) if trace.mode == "set" else f"{array}[{row}, k] + {float(trace.impulse)!r}"
    )
    if trace.format is not None:
        value = f"min({trace.format.high!r}, max({trace.format.low!r}, {value}))"
    out.add(f"{array}[{row}, k] = {value}")
    out.end()


def emit_body(out: Writer, body: tuple[ast.stmt, ...] | list[ast.stmt]) -> None:
    """The rule's own statements."""
    for s in body:
        if isinstance(s, ast.If):
            out.block(f"if {written(s.test)}:")
            emit_body(out, s.body)
            out.end()
            if s.orelse:
                out.block("else:")
                emit_body(out, s.orelse)
                out.end()
        elif isinstance(s, ast.Assign):
            out.add(f"{written(s.targets[0])} = {written(s.value)}")


def emit_synapse(out: Writer, rule: Rule, loads: list[str], weight: str) -> None:
    """One synapse: load, compute, round, store, count."""
    for load in loads:
        out.add(load)
    form = rule.weight
    scale = f" * {form.step!r}" if weight == "int32" and form is not None else ""
    out.add(f"my_w = w[s]{scale}")
    out.add("w_old = my_w")
    for row, name in enumerate(rule.state):
        out.add(f"{own(name)} = syn[{row}, s]")
    emit_body(out, rule.body)
    wide = float("inf")
    for row, (name, state) in enumerate(rule.state.items()):
        if name in rule.writes:
            key = f"key_{name}"
            out.add(f"syn[{row}, s] = {grid(state.format, own(name), key, 's', -wide, wide)}")
    out.add("evaluated += 1")
    if "w" not in rule.writes:
        return
    low, high = rule.bounds
    if form is not None:
        low, high = max(low, form.low), min(high, form.high)
    out.add("w_wanted = my_w")
    out.add(f"w_new = {grid(form, 'my_w', 'key_w', 's', *rule.bounds)}")
    out.add("changed += w_new != w_old")
    if form is not None:
        out.add("stalled += (w_wanted != w_old) & (w_new == w_old)")
    if low > -wide:
        out.add(f"at_low += w_wanted < {low!r}")
    if high < wide:
        out.add(f"at_high += w_wanted > {high!r}")
    out.add("not_finite += not math.isfinite(w_wanted)")
    if weight == "int32" and form is not None:
        out.add(f"w[s] = np.int32(np.floor(w_new / {form.step!r} + 0.5))")
    else:
        out.add("w[s] = w_new")


def loads_of(rule: Rule) -> tuple[list[str], list[str]]:
    """Source lines that read the presynaptic and the postsynaptic names the rule uses."""
    pre = [f"{own(n)} = pre_vars[{k}, i]" for n, k in pre_rows(rule).items() if n in rule.reads]
    post = [f"{own(n)} = post_vars[{k}, j]" for n, k in post_rows(rule).items() if n in rule.reads]
    post += [f"{own(n)} = third[{k}, j]" for k, n in enumerate(rule.third) if n in rule.reads]
    if "v" in rule.reads:
        post.append("my_v = v[j]")
    return pre, post


def emit_loops(out: Writer, rule: Rule, weight: str) -> None:
    """Visit the synapses: all of them, or the rows and columns of the neurons that spiked."""
    pre, post = loads_of(rule)
    row_loop = "for s in range(row_ptr[i], row_ptr[i + np.uint32(1)]):"
    if rule.event_driven:
        out.block("for k in range(pre_ids.shape[0]):")
        out.add("i = np.uint32(pre_ids[k])")
    else:
        out.block("for k in range(row_ptr.shape[0] - 1):")
        out.add("i = np.uint32(k)")
    if rule.event_driven and "pre" in rule.reads:
        pre = [line for line in pre if not line.startswith(f"{own('pre')} =")] + [f"{own('pre')} = 1.0"]
    for line in pre:
        out.add(line)
    out.block(row_loop)
    out.add("j = col[s]")
    emit_synapse(out, rule, post, weight)
    out.end(2)
    if not rule.event_driven:
        return
    out.block("for k in range(post_ids.shape[0]):")
    out.add("j = np.uint32(post_ids[k])")
    alone = {own("pre"): "0.0", own("post"): "1.0"}  # here the presynaptic neuron is silent
    post = [f"{n} = {alone[n]}" if (n := line.split(" = ")[0]) in alone else line for line in post]
    pre = [
        f"{n} = {alone[n]}" if (n := line.split(" = ")[0]) in alone else line for line in loads_of(rule)[0]
    ]
    for line in post:
        out.add(line)
    out.block("for c in range(col_ptr[j], col_ptr[j + np.uint32(1)]):")
    out.add("s = col_syn[c]")
    out.add("i = row_of[s]")
    out.block("if pre_vars[0, i] == 0.0:")
    emit_synapse(out, rule, pre, weight)
    out.end(3)


def generate(rule: Rule, weight: str = "float64") -> str:
    """Source of the kernel module."""
    out = Writer()
    out.add(f'"""One step of the rule {rule.name}; generated from its declaration."""')
    for k, name in enumerate(rule.constants):
        out.add(f"{own(name)} = const[{k}]")
    first = len(constant_values(rule))
    for k, name in enumerate(rule.traces):
        out.add(f"decay_{name} = const[{first + k}]")
    for side in ("pre", "post"):
        out.block(f"for k in {side}_ids:")
        out.add(f"{side}_vars[0, k] = 1.0")
        out.end()
    rows = {**pre_rows(rule), **post_rows(rule)}
    for name, trace in rule.traces.items():
        base = PRE_STREAM if trace.side == "pre" else POST_STREAM
        emit_trace(out, rule, name, trace, rows[name], base + rows[name])
    if rule.surrogate is not None:
        s = rule.surrogate
        out.block("for k in range(post_vars.shape[1]):")
        shape = f"{KINDS[s.kind]}, v[k] - threshold[k], {float(s.height)!r}, {float(s.width)!r}"
        out.add(f"post_vars[{rows['psi']}, k] = evaluate({shape})")
        out.end()
    out.block(f"if step % {rule.every} == 0:")
    out.add("evaluated = changed = stalled = at_low = at_high = not_finite = 0")
    if rule.weight is not None:
        out.add("key_w = stream_key(seed, step, 0)")
    for k, (name, state) in enumerate(rule.state.items()):
        if state.format is not None:
            out.add(f"key_{name} = stream_key(seed, step, {STATE_STREAM + k})")
    emit_loops(out, rule, weight)
    for k, name in enumerate(COUNTERS):
        out.add(f"counters[{k}] += {name}")
    out.end()
    for name, trace in rule.traces.items():
        if trace.seen == "before":
            emit_impulse(out, trace, rows[name])
    for side in ("pre", "post"):
        out.block(f"for k in {side}_ids:")
        out.add(f"{side}_vars[0, k] = 0.0")
        out.end()
    text = "\n".join(out.lines)
    return HEADER.format(name=rule.name, arguments=ARGUMENTS, body=text, weight=weight)


HEADER = '''"""Generated by chipsim from the rule {name}; safe to delete."""

import math
from math import exp, log, sqrt, tanh

import numpy as np
from numba import njit

from chipsim.rule_kernel import signature
from kernels.rounding import stream_key, to_grid, unit
from kernels.surrogates import evaluate


@njit(signature("{weight}"), cache=True, nogil=True, error_model="numpy")
def kernel({arguments}):
{body}
'''
