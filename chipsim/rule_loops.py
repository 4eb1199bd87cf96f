"""The loops of a generated kernel: which synapses a step visits, and what happens at one.

Synapses are taken in blocks of `BLOCK`: what they need is gathered into scratch, the rule is computed in a loop over
scratch alone (which compilers vectorise), and results are written back. The arithmetic and its order are the same as
one synapse at a time; measured 3x on pair STDP.
"""

from __future__ import annotations

import ast
import copy
import math
from typing import Any

from chipsim.rule_declaration import Rule
from kernels.rounding import MODES

BLOCK = 256  #: synapses computed together; their scratch stays in the nearest cache


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


def loads_of(rule: Rule) -> tuple[list[str], list[str]]:
    """Source lines that read the presynaptic and the postsynaptic names the rule uses."""
    pre = [f"{own(n)} = pre_vars[{k}, i]" for n, k in pre_rows(rule).items() if n in rule.reads]
    post = [f"{own(n)} = post_vars[{k}, j]" for n, k in post_rows(rule).items() if n in rule.reads]
    post += [f"{own(n)} = third[{k}, j]" for k, n in enumerate(rule.third) if n in rule.reads]
    if "v" in rule.reads:
        post.append("my_v = v[j]")
    return pre, post


def gathered(lines: list[str], first: int, index: str) -> tuple[list[str], list[str]]:
    """Source that puts the values of `lines` into scratch rows from `first` on, and that reads them there."""
    names = [line.split(" = ", 1) for line in lines]
    store = [f"g{first + k}[{index}] = {value}" for k, (_, value) in enumerate(names)]
    return store, [f"{name} = g{first + k}[c]" for k, (name, _) in enumerate(names)]


def emit_synapse(out: Writer, rule: Rule, loads: list[str], weight: str, stored: list[str], place: str) -> None:
    """The loop over a block: load, compute, round, store, count.

    stored: the arrays that hold the block's weights and states; place: the synapse of entry c.
    """
    out.block("for c in range(m):")
    out.add(f"s = {place}")
    for load in loads:
        out.add(load)
    form = rule.weight
    scale = f" * {form.step!r}" if weight == "int32" and form is not None else ""
    out.add(f"my_w = {stored[0]}[c]{scale}")
    out.add("w_old = my_w")
    for row, name in enumerate(rule.state):
        out.add(f"{own(name)} = {stored[row + 1]}[c]")
    emit_body(out, rule.body)
    wide = float("inf")
    for row, (name, state) in enumerate(rule.state.items()):
        if name in rule.writes:
            out.add(f"{stored[row + 1]}[c] = {grid(state.format, own(name), f'key_{name}', 's', -wide, wide)}")
    if "w" in rule.writes:
        emit_weight(out, rule, weight, stored[0])
    out.end()
    out.add("evaluated += m")


def emit_weight(out: Writer, rule: Rule, weight: str, stored: str) -> None:
    """The new weight: rounded, clipped, counted, into the array `stored`."""
    form, (low, high), wide = rule.weight, rule.bounds, float("inf")
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
    out.add("not_finite += not (abs(w_wanted) < math.inf)")
    value = "w_new"
    if weight == "int32" and form is not None:
        # dividing by a power of two is exact, other quotients are brought to the whole number they stand for
        exact = math.frexp(form.step)[0] == 0.5
        value = f"np.int32(w_new / {form.step!r})" if exact else f"np.int32(np.floor(w_new / {form.step!r} + 0.5))"
    out.add(f"{stored}[c] = {value}")


def emit_loops(out: Writer, rule: Rule, weight: str) -> None:
    """Visit the synapses: all of them, or the rows and columns of the neurons that spiked."""
    pre, post = loads_of(rule)
    first = 1 + len(rule.state)
    rows = first + max(len(pre), len(post))
    out.add(f"g = np.empty(({rows}, {BLOCK}))")
    for row in range(rows):
        out.add(f"g{row} = g[{row}]")
    out.add(f"at = np.empty({BLOCK}, np.uint32)")
    if rule.event_driven:
        out.block("for k in range(pre_ids.shape[0]):")
        out.add("i = np.uint32(pre_ids[k])")
        pre = [f"{own('pre')} = 1.0" if line.startswith(f"{own('pre')} =") else line for line in pre]
    else:
        out.block("for k in range(row_ptr.shape[0] - 1):")
        out.add("i = np.uint32(k)")
    for line in pre:
        out.add(line)
    store, read = gathered(post, first, "c")
    names = ["w", *(f"syn[{row}]" for row in range(len(rule.state)))]
    out.block(f"for b in range(np.int64(row_ptr[i]), np.int64(row_ptr[i + np.uint32(1)]), {BLOCK}):")
    out.add(f"m = min({BLOCK}, np.int64(row_ptr[i + np.uint32(1)]) - b)")
    for k, name in enumerate(names):
        out.add(f"h{k} = {name}[b : b + m]")
    out.add("targets = col[b : b + m]")
    out.block("for c in range(m):")
    out.add("j = targets[c]")
    for line in store:
        out.add(line)
    out.end()
    emit_synapse(out, rule, read, weight, [f"h{k}" for k in range(len(names))], "b + c")
    out.end(2)
    if rule.event_driven:
        emit_columns(out, rule, weight, first)


def emit_columns(out: Writer, rule: Rule, weight: str, first: int) -> None:
    """The synapses of the postsynaptic neurons that spiked, where the presynaptic neuron is silent."""
    pre, post = loads_of(rule)
    fixed = {own("pre"): "0.0", own("post"): "1.0"}
    constant = [f"{n} = {fixed[n]}" for n in (line.split(" = ")[0] for line in pre) if n in fixed]
    store, read = gathered([line for line in pre if line.split(" = ")[0] not in fixed], first, "m")
    out.block("for k in range(post_ids.shape[0]):")
    out.add("j = np.uint32(post_ids[k])")
    for line in post:
        name = line.split(" = ")[0]
        out.add(f"{name} = {fixed[name]}" if name in fixed else line)
    out.block(f"for b in range(np.int64(col_ptr[j]), np.int64(col_ptr[j + np.uint32(1)]), {BLOCK}):")
    out.add("m = 0")
    end = f"np.uint32(min(b + {BLOCK}, np.int64(col_ptr[j + np.uint32(1)])))"
    out.block(f"for c in range(np.uint32(b), {end}):")
    out.add("s, i = col_syn[c], col_pre[c]")
    for line in ["at[m] = s", "g0[m] = w[s]", *(f"g{r + 1}[m] = syn[{r}, s]" for r in range(len(rule.state))), *store]:
        out.add(line)
    out.add("m += pre_vars[0, i] == 0.0")  # those that spiked were visited with their rows
    out.end()
    emit_synapse(out, rule, [*constant, *read], weight, [f"g{k}" for k in range(first)], "np.int64(at[c])")
    out.block("for c in range(m):")
    for k, name in enumerate(rule.state):
        if name in rule.writes:
            out.add(f"syn[{k}, at[c]] = g{k + 1}[c]")
    if "w" in rule.writes:
        out.add("w[at[c]] = np.int32(g0[c])" if weight == "int32" else "w[at[c]] = g0[c]")
    out.end(3)
