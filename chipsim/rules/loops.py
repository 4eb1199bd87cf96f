"""The loops of a generated kernel: which synapses a step visits, and what happens at one.

Synapses are taken in blocks of `BLOCK`: what they need is gathered into scratch on the stack, the rule is computed in
a loop over scratch and the row itself (which compilers vectorise), and results are written back. The arithmetic and
its order are the same as one synapse at a time. What it is worth on pair STDP: vector arithmetic 3x, gathering by
groups of eight with one store a group 2x over single loads and stores, counting in int16 instead of int64 a tenth.
"""

from __future__ import annotations

import ast
import copy
import math
from typing import Any

from chipsim.kernels.arithmetic.rounding import MODES
from chipsim.kernels.intrinsics import GROUP, SCRATCH
from chipsim.rules.declaration import HELD, VALUES, Rule

BLOCK = SCRATCH  #: synapses computed together; their scratch stays in the nearest cache
INFINITY = float("inf")


def pre_rows(rule: Rule) -> dict[str, int]:
    """Row of every presynaptic variable in pre_vars; row 0 is the spike flag, numbers come last."""
    return _rows(rule, "pre", ())


def post_rows(rule: Rule) -> dict[str, int]:
    """Row of every postsynaptic variable in post_vars; row 0 is the spike flag, then traces, psi, numbers."""
    return _rows(rule, "post", ("psi",) if rule.surrogate is not None else ())


def _rows(rule: Rule, side: str, more: tuple[str, ...]) -> dict[str, int]:
    traces = [n for n, t in rule.traces.items() if t.side == side]
    numbers = [n for n, whose in VALUES.items() if whose == side and n in rule.values]
    held = [HELD + n for n in numbers if n in rule.held]
    return {n: k for k, n in enumerate((side, *traces, *more, *numbers, *held))}


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


def loads_of(rule: Rule) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """Where the presynaptic and the postsynaptic names that the rule uses are read: name -> (array, view of a matrix).

    The array is a name of generated code for one row of variables; the view is what it stands for.
    """
    pre = {own(n): (f"pre_{k}", f"pre_vars[{k}]") for n, k in pre_rows(rule).items() if n in rule.reads}
    post = {own(n): (f"post_{k}", f"post_vars[{k}]") for n, k in post_rows(rule).items() if n in rule.reads}
    factors = {n: k for k, n in enumerate(rule.factors) if n in rule.reads and n != "when"}
    post |= {own(n): (f"third_{k}", f"third[{k}]") for n, k in factors.items()}
    if "v" in rule.reads:
        post["my_v"] = ("v", "v")
    return pre, post


def emit_gather(out: Writer, arrays: list[str], scratch: list[str], index: str) -> None:
    """Entry b + q of `index` says which element of each array goes to place q of its scratch, q in 0..n - 1."""
    if not arrays:
        return
    out.block(f"for q in range(0, n - {GROUP - 1}, {GROUP}):")
    for array, to in zip(arrays, scratch):
        out.add(f"gather_group({to}, q, {array}, {index}, b + q)")
    out.end()
    out.block(f"for q in range(n // {GROUP} * {GROUP}, n):")
    for array, to in zip(arrays, scratch):
        out.add(f"{to}[q] = {array}[{index}[b + q]]")
    out.end()


def limits(rule: Rule) -> tuple[float, float]:
    """Range of the weight, by its bounds and its format."""
    low, high = rule.bounds
    return (low, high) if rule.weight is None else (max(low, rule.weight.low), min(high, rule.weight.high))


def emit_synapse(
    out: Writer, rule: Rule, loads: list[str], weight: str, stored: list[str], place: str, live: str
) -> None:
    """The loop over a block: load, compute, round, store, count.

    stored: the arrays that hold the block's weights and states; place: the synapse of entry c; live: an expression
    that is false where entry c must stay as it is.
    """
    out.add("n_live = n_changed = n_stalled = n_odd = np.int16(0)")
    out.block("for c in range(n):")
    out.add(f"s = {place}")
    for load in loads:
        out.add(load)
    form = rule.weight
    scale = f" * {form.step!r}" if weight == "int32" and form is not None else ""
    out.add(f"my_w = {stored[0]}[c]{scale}")
    out.add("w_old = my_w")
    for row, name in enumerate(rule.state):
        out.add(f"{own(name)} = {stored[row + 1]}[c]")
    out.add(f"live = {live}")
    out.add("n_live = np.int16(n_live + live)")
    emit_body(out, rule.body)
    for row, (name, state) in enumerate(rule.state.items()):
        if name in rule.writes:
            value, to = grid(state.format, own(name), f"key_{name}", "s", -INFINITY, INFINITY), stored[row + 1]
            out.add(f"{to}[c] = {value} if live else {to}[c]")
    if "w" in rule.writes:
        emit_weight(out, rule, weight, stored[0])
    out.end()
    out.add("evaluated += n_live")
    if "w" in rule.writes:
        emit_totals(out, rule)


def emit_weight(out: Writer, rule: Rule, weight: str, stored: str) -> None:
    """The new weight: rounded, clipped, counted, into the array `stored`."""
    form, (low, high) = rule.weight, limits(rule)
    out.add("w_wanted = my_w")
    out.add(f"w_new = {grid(form, 'my_w', 'key_w', 's', *rule.bounds)}")
    out.add("n_changed = np.int16(n_changed + (live & (w_new != w_old)))")
    if form is not None:
        out.add("n_stalled = np.int16(n_stalled + (live & (w_wanted != w_old) & (w_new == w_old)))")
    if bounded(rule):
        # one test for what is rare; what it was is counted afterwards, from the values wanted
        tests = [f"(w_wanted >= {low!r})" if low > -INFINITY else "(w_wanted > -math.inf)"]
        tests += [f"(w_wanted <= {high!r})" if high < INFINITY else "(w_wanted < math.inf)"]
        out.add(f"n_odd = np.int16(n_odd + (live & (not ({' & '.join(tests)}))))")
        harmless = low if low > -INFINITY else high
        out.add(f"wanted[c] = w_wanted if live else {harmless!r}")
    else:
        out.add("n_odd = np.int16(n_odd + (live & (not (abs(w_wanted) < math.inf))))")
    value = "w_new"
    if weight == "int32" and form is not None:
        # dividing by a power of two is exact, other quotients are brought to the whole number they stand for
        exact = math.frexp(form.step)[0] == 0.5
        value = f"np.int32(w_new / {form.step!r})" if exact else f"np.int32(np.floor(w_new / {form.step!r} + 0.5))"
    out.add(f"{stored}[c] = {value} if live else {stored}[c]")


def bounded(rule: Rule) -> bool:
    """Whether the weight can pass a bound."""
    low, high = limits(rule)
    return low > -INFINITY or high < INFINITY


def emit_totals(out: Writer, rule: Rule) -> None:
    """Add the counts of a block to those of the step."""
    low, high = limits(rule)
    out.add("changed += n_changed")
    out.add("stalled += n_stalled")
    if not bounded(rule):
        out.add("not_finite += n_odd")
        return
    out.block("if n_odd > 0:")
    out.block("for c in range(n):")
    if low > -INFINITY:
        out.add(f"at_low += wanted[c] < {low!r}")
    if high < INFINITY:
        out.add(f"at_high += wanted[c] > {high!r}")
    out.add("not_finite += not (abs(wanted[c]) < math.inf)")
    out.end(2)


def emit_loops(out: Writer, rule: Rule, weight: str) -> None:
    """Visit the synapses: all of them, or the rows and columns of the neurons that spiked."""
    pre, post = loads_of(rule)
    for array, view in (*pre.values(), *post.values()):
        if array != view:
            out.add(f"{array} = {view}")
    for k in range(max(len(pre), len(post), 1)):
        out.add(f"g{k} = scratch_float64()")
    if bounded(rule):
        out.add("wanted = scratch_float64()")
    if rule.event_driven:
        emit_rows(out, rule, weight)
        emit_columns(out, rule, weight)
    else:
        emit_rows(out, rule, weight)


def emit_rows(out: Writer, rule: Rule, weight: str) -> None:
    """The synapses of presynaptic neurons, in place: of those that spiked, or of all."""
    pre, post = loads_of(rule)
    out.block(f"for k in range({'pre_ids.shape[0]' if rule.event_driven else 'row_ptr.shape[0] - 1'}):")
    out.add(f"i = np.uint32({'pre_ids[k]' if rule.event_driven else 'k'})")
    names = ["w", *(f"syn[{row}]" for row in range(len(rule.state)))]
    for name, (array, _) in pre.items():
        out.add(f"{name} = 1.0" if rule.event_driven and name == own("pre") else f"{name} = {array}[i]")
    out.add("first, end = np.int64(row_ptr[i]), np.int64(row_ptr[i + np.uint32(1)])")
    out.block(f"for b in range(first, end, {BLOCK}):")
    out.add(f"m = min({BLOCK}, end - b)")
    out.add("n = groups(m, col.shape[0] - b)")
    scratch = [f"g{k}" for k in range(len(post))]
    emit_gather(out, [array for array, _ in post.values()], scratch, "col")
    for k, name in enumerate(names):
        out.add(f"h{k} = {name}[b : b + n]")
    reads = [f"{name} = {to}[c]" for name, to in zip(post, scratch)]
    emit_synapse(out, rule, reads, weight, [f"h{k}" for k in range(len(names))], "b + c", "c < m")
    out.end(2)


def emit_columns(out: Writer, rule: Rule, weight: str) -> None:
    """The synapses of the postsynaptic neurons that spiked, where the presynaptic neuron is silent.

    Those whose presynaptic neuron spiked were visited with their rows. They are known by a mark: in the first trace
    that is gathered anyway, NaN stands for a neuron that spiked while the columns are visited, its value waits in the
    row of flags. A rule that reads no trace gathers the flags.
    """
    pre, post = loads_of(rule)
    fixed = {own("pre"): "0.0", own("post"): "1.0"}
    gathered = {name: array for name, (array, _) in pre.items() if name not in fixed}
    marked = next(iter(gathered.values()), "")
    if marked:
        emit_marks(out, marked, True)
        live = "(g0[c] == g0[c]) & (c < m)"
    else:
        gathered, live = {"": "pre_vars[0]"}, "(g0[c] == 0.0) & (c < m)"
    out.add(f"h0 = scratch_{weight}()")
    for k in range(len(rule.state)):
        out.add(f"h{k + 1} = scratch_float64()")
    out.block("for k in range(post_ids.shape[0]):")
    out.add("j = np.uint32(post_ids[k])")
    for name, (array, _) in post.items():
        out.add(f"{name} = {fixed[name]}" if name in fixed else f"{name} = {array}[j]")
    out.add("first, end = np.int64(col_ptr[j]), np.int64(col_ptr[j + np.uint32(1)])")
    out.block(f"for b in range(first, end, {BLOCK}):")
    out.add(f"m = min({BLOCK}, end - b)")
    out.add("n = groups(m, col_pre.shape[0] - b)")
    emit_gather(out, list(gathered.values()), [f"g{k}" for k in range(len(gathered))], "col_pre")
    names = ["w", *(f"syn[{row}]" for row in range(len(rule.state)))]
    emit_gather(out, names, [f"h{k}" for k in range(len(names))], "col_syn")
    out.add("place = col_syn[b : b + n]")
    constant = [f"{name} = {fixed[name]}" for name in pre if name in fixed]
    reads = [f"{name} = g{k}[c]" for k, name in enumerate(gathered) if name]
    emit_synapse(out, rule, [*constant, *reads], weight, [f"h{k}" for k in range(len(names))], "place[c]", live)
    written = [(n, k) for k, n in enumerate(("w", *rule.state)) if n in rule.writes]
    out.block("for c in range(n):")
    for _, k in written:
        out.add(f"{names[k]}[place[c]] = h{k}[c]")
    out.end(3)
    if marked:
        emit_marks(out, marked, False)


def emit_marks(out: Writer, trace: str, put: bool) -> None:
    """Put or take away the marks of the presynaptic neurons that spiked."""
    out.block("for k in range(pre_ids.shape[0]):")
    out.add("i = np.uint32(pre_ids[k])")
    for line in [f"pre_vars[0, i] = {trace}[i]", f"{trace}[i] = math.nan"] if put else [f"{trace}[i] = pre_vars[0, i]"]:
        out.add(line)
    out.end()
