"""From a rule to the source of its kernel: one function of generated Python over arrays."""

from __future__ import annotations

from chipsim.kernels.arithmetic.surrogates import KINDS
from chipsim.rules.declaration import EVALUATES, HELD, HOLDS, VALUES, Rule, Trace
from chipsim.rules.loops import Writer, emit_loops, grid, own, post_rows, pre_rows

__all__ = ["COUNTERS", "Writer", "constant_values", "generate", "post_rows", "pre_rows"]

ARGUMENTS = (
    "step, seed, pre_ids, post_ids, row_ptr, col, col_ptr, col_syn, col_pre, w, syn, pre_vars, post_vars, v, "
    "threshold, third, const, counters"
)
COUNTERS = ("evaluated", "changed", "stalled", "at_low", "at_high", "not_finite")
PRE_STREAM, POST_STREAM, STATE_STREAM = 100, 200, 300


def constant_values(rule: Rule) -> list[float]:
    """The values of the const argument: declared constants in order."""
    return [float(v) for v in rule.constants.values()] or [0.0]


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
        emit_impulse(out, rule, trace, row)


def emit_impulse(out: Writer, rule: Rule, trace: Trace, row: int) -> None:
    """What the spikes of this step, or the numbers that were sent, do to one trace."""
    array, added = f"{trace.side}_vars", repr(float(trace.impulse))
    if trace.of == "value":
        rows = pre_rows(rule) if trace.side == "pre" else post_rows(rule)
        out.block(f"for k in range({array}.shape[1]):")
        added = f"{added} * {array}[{rows['r_' + trace.side]}, k]"
    else:
        out.block(f"for k in {trace.side}_ids:")
    value = added if trace.mode == "set" else f"{array}[{row}, k] + {added}"
    if trace.format is not None:
        value = f"min({trace.format.high!r}, max({trace.format.low!r}, {value}))"
    out.add(f"{array}[{row}, k] = {value}")
    out.end()


def emit_held(out: Writer, rule: Rule, rows: dict[str, int]) -> None:
    """Where a phase ends, its values are kept for the next one."""
    if not rule.held:
        return
    out.block(f"if third[{rule.factors.index('when')}, 0] % 2.0 == {HOLDS}.0:")
    for name in sorted(rule.held):
        array = f"{VALUES[name]}_vars"
        out.block(f"for k in range({array}.shape[1]):")
        out.add(f"{array}[{rows[HELD + name]}, k] = {array}[{rows[name]}, k]")
        out.end()
    out.end()


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
    when = f" and third[{rule.factors.index('when')}, 0] >= {EVALUATES}.0" if rule.timed else ""
    out.block(f"if step % {rule.every} == 0{when}:")
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
            emit_impulse(out, rule, trace, rows[name])
    emit_held(out, rule, rows)
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

from chipsim.rules.kernel import signature
from chipsim.kernels.intrinsics import gather_group, groups, scratch_float64, scratch_int32
from chipsim.kernels.jit import ENTRY
from chipsim.kernels.arithmetic.rounding import stream_key, to_grid, unit
from chipsim.kernels.arithmetic.surrogates import evaluate


@njit(signature("{weight}"), **ENTRY)
def kernel({arguments}):
{body}
'''
