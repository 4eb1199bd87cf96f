"""The plain NumPy reference of a rule: the declaration interpreted over whole arrays, statement by statement.

Independent of the kernel: no generated code, no Numba; rounding and random bits are written again with
NumPy's uint64.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipsim.rules.declaration import EVALUATES, HELD, HOLDS, VALUES, Rule
from chipsim.rules.fixed_format import Fixed

Array = NDArray[np.float64]
CALLS = {
    "exp": np.exp,
    "sqrt": np.sqrt,
    "log": np.log,
    "tanh": np.tanh,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
}
BINARY = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power}
COMPARE = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
PRE_STREAM, POST_STREAM, STATE_STREAM = 100, 200, 300
MASK = (1 << 64) - 1


def mixed(x: int) -> int:
    """SplitMix64's finaliser on Python integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def uniform(seed: int, step: int, stream: int, count: int) -> Array:
    """The `count` first numbers in [0, 1) of a stream, as `chipsim.kernels.arithmetic.rounding` defines them."""
    golden = 0x9E3779B97F4A7C15
    key = mixed((seed + golden) & MASK)
    key = mixed(key ^ ((step + golden) & MASK))
    key = mixed(key ^ ((stream + golden) & MASK))
    return np.array([(mixed(key ^ ((i * golden) & MASK)) >> 11) / 2.0**53 for i in range(count)])


def on_grid(values: Array, form: Fixed | None, low: float, high: float, draw: Any) -> Array:
    """Values in a format (None: float64), clipped to [low, high]; draw(count) gives random numbers."""
    if form is not None:
        low, high = max(low, form.low), min(high, form.high)
        shift = {"nearest": 0.5, "down": 0.0}.get(form.rounding)
        values = np.floor(values / form.step + (draw(values.size) if shift is None else shift)) * form.step
    return np.clip(values, low, high)


def value_of(node: ast.expr, names: dict[str, Any]) -> Any:
    """An expression over arrays."""
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.BinOp):
        return BINARY[type(node.op)](value_of(node.left, names), value_of(node.right, names))
    if isinstance(node, ast.UnaryOp):
        inner = value_of(node.operand, names)
        return (
            np.logical_not(inner)
            if isinstance(node.op, ast.Not)
            else -inner
            if isinstance(node.op, ast.USub)
            else inner
        )
    if isinstance(node, ast.BoolOp):
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return join.reduce(np.broadcast_arrays(*(value_of(v, names) for v in node.values)))
    if isinstance(node, ast.Compare):
        parts = [value_of(p, names) for p in (node.left, *node.comparators)]
        tests = [COMPARE[type(op)](a, b) for op, a, b in zip(node.ops, parts, parts[1:])]
        return np.logical_and.reduce(np.broadcast_arrays(*tests))
    if isinstance(node, ast.IfExp):
        return np.where(value_of(node.test, names), value_of(node.body, names), value_of(node.orelse, names))
    if isinstance(node, ast.Call):
        return CALLS[ast.unparse(node.func)](*(value_of(a, names) for a in node.args))
    raise TypeError(f"no reference for {ast.dump(node)}")


def run_block(body: Any, names: dict[str, Any], where: Any) -> None:
    """Statements in order; an assignment holds where `where` is true."""
    for s in body:
        if isinstance(s, ast.If):
            test = np.asarray(value_of(s.test, names), dtype=bool)
            run_block(s.body, names, where & test)
            run_block(s.orelse, names, where & ~test)
            continue
        target = s.targets[0].id
        new = value_of(s.value, names)
        names[target] = np.where(where, new, names.get(target, 0.0))


def reference_step(rule: Rule, p: Any, pre: NDArray[np.bool_], post: NDArray[np.bool_], v, threshold, third) -> None:
    """One step of `rule` on a `Plastic` projection `p`, in place. pre (n_pre,), post (n_post,) bool spikes.

    v, threshold: (n_post,); third: (factors, n_post). Same order of events as the kernel; p.step is the
    step's number.
    """
    rows = {**p.pre_rows, **p.post_rows}
    names: dict[str, Any] = dict(rule.constants)
    tables = {"pre": (p.pre_vars, p.row_of, pre), "post": (p.post_vars, p.col, post)}
    for name, t in rule.traces.items():
        table, index, spikes = tables[t.side]
        base = (PRE_STREAM if t.side == "pre" else POST_STREAM) + rows[name]
        decayed = np.exp(-1.0 / t.tau) * table[rows[name]]
        table[rows[name]] = on_grid(
            decayed, t.format, -np.inf, np.inf, lambda k, base=base: uniform(p.seed, p.step_index, base, k)
        )
        if t.seen == "after":
            add_impulse(table, rows, name, t, spikes)
        names[name] = table[rows[name]][index]
    names["pre"], names["post"] = pre[p.row_of].astype(float), post[p.col].astype(float)
    names["v"] = v[p.col]
    if rule.surrogate is not None:
        p.post_vars[rows["psi"]] = surrogate_values(rule.surrogate, v - threshold)
        names["psi"] = p.post_vars[rows["psi"]][p.col]
    for name in rule.values:
        table, index, _ = tables[VALUES[name.removeprefix(HELD)]]
        names[name] = table[rows[name]][index]
    for k, name in enumerate(rule.factors):
        names[name] = third[k][p.col]
    when = int(third[rule.factors.index("when")][0]) if rule.timed else EVALUATES
    if p.step_index % rule.every == 0 and when & EVALUATES:
        where = np.ones(p.w.size, bool)
        if rule.event_driven:
            where = pre[p.row_of] | post[p.col]
        update_synapses(rule, p, names, where)
    for name, t in rule.traces.items():
        if t.seen == "before":
            table, _, spikes = tables[t.side]
            add_impulse(table, rows, name, t, spikes)
    for name in rule.held if when & HOLDS else ():
        table, _, _ = tables[VALUES[name]]
        table[rows[HELD + name]] = table[rows[name]]


def update_synapses(rule: Rule, p: Any, names: dict[str, Any], where: NDArray[np.bool_]) -> None:
    """The rule's statements on all synapses at once, stored where they are visited."""
    names["w"] = p.weights_now()
    for k, name in enumerate(rule.state):
        names[name] = p.syn[k].copy()
    run_block(rule.body, names, where)
    for k, (name, state) in enumerate(rule.state.items()):
        stream = STATE_STREAM + k
        new = on_grid(
            names[name] + 0.0 * p.syn[k],
            state.format,
            -np.inf,
            np.inf,
            lambda c, stream=stream: uniform(p.seed, p.step_index, stream, c),
        )
        if name in rule.writes:
            p.syn[k] = np.where(where, new, p.syn[k])
    if "w" in rule.writes:
        new = on_grid(names["w"], rule.weight, *rule.bounds, lambda c: uniform(p.seed, p.step_index, 0, c))
        p.store_weights(np.where(where, new, p.weights_now()))


def add_impulse(table: Array, rows: dict[str, int], name: str, t: Any, spikes: NDArray[np.bool_]) -> None:
    """Spikes of this step, or the numbers that were sent, enter a trace."""
    row = table[rows[name]]
    added = t.impulse * (table[rows["r_" + t.side]] if t.of == "value" else np.ones_like(row))
    new = added if t.mode == "set" else row + added
    spikes = spikes | (t.of == "value")
    if t.format is not None:
        new = np.clip(new, t.format.low, t.format.high)
    row[:] = np.where(spikes, new, row)


def surrogate_values(s: Any, x: Array) -> Array:
    """Pseudo-derivative over an array of distances; formulas of `chipsim.kernels.arithmetic.surrogates` in NumPy."""
    d = np.abs(x) / s.width
    if s.kind == "multi_gaussian":

        def density(mean: float, sigma: float) -> Array:
            return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))

        wide = 6.0 * s.width
        return s.height * (1.15 * density(0.0, s.width) - 0.15 * (density(s.width, wide) + density(-s.width, wide)))
    shapes = {
        "piecewise_linear": lambda: np.maximum(0.0, 1.0 - d),
        "exponential": lambda: np.exp(-d),
        "fast_sigmoid": lambda: 1.0 / (1.0 + d) ** 2,
        "arctan": lambda: 1.0 / (1.0 + d * d),
        "steps": lambda: np.ceil(np.maximum(0.0, 1.0 - d) * 4) / 4,
    }
    return s.height * shapes[s.kind]()
