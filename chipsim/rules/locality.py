"""Is a rule local, declared, and free of divisions that can meet zero? Each check names the line, the name,
the way out."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

from chipsim.checks import shown
from chipsim.rules.declaration import FUNCTIONS, Rule, RuleError, assigned_names

Interval = tuple[float, float]
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
SHAPES = (
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.Name,
    ast.Constant,
    ast.Call,
    ast.Load,
)


def check_expression(node: ast.AST, rule: str, known: set[str], outside: Mapping[str, Any], line: int) -> None:
    """Raise `RuleError` unless every part of the expression is local arithmetic."""
    where = f"rule {rule}, line {line}"
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript):
            raise RuleError(
                f"{where}: reads {ast.unparse(part)}, an element of an array; a synapse holds single "
                f"numbers of its "
                "own and cannot index those of others. Send the value as a third factor"
            )
        if isinstance(part, ast.Attribute):
            raise RuleError(
                f"{where}: reads {ast.unparse(part)}, which lives outside the synapse. Declare it as a "
                f"constant, a "
                "trace or a third factor"
            )
        if isinstance(part, ast.Call):
            check_call(part, where)
        elif isinstance(part, ast.Constant) and not isinstance(part.value, (int, float)):
            raise RuleError(f"{where}: {shown(part.value)} is not a number")
        elif not isinstance(part, (*SHAPES, *OPERATORS, *COMPARISONS)):
            raise RuleError(f"{where}: {type(part).__name__} is not arithmetic a synapse can do")
    called = {id(p.func) for p in ast.walk(node) if isinstance(p, ast.Call)}
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and id(part) not in called and part.id not in known:
            raise RuleError(f"{where}: {not_local(part.id, outside, known)}")


def check_call(call: ast.Call, where: str) -> None:
    """Only the functions a synapse has, with the right number of arguments."""
    name = ast.unparse(call.func)
    if name not in FUNCTIONS:
        raise RuleError(f"{where}: calls {name}(), which a synapse does not have; it has {', '.join(FUNCTIONS)}")
    if len(call.args) != FUNCTIONS[name] or call.keywords:
        raise RuleError(f"{where}: {name}() takes {FUNCTIONS[name]} argument(s)")


def not_local(name: str, outside: Mapping[str, Any], known: set[str]) -> str:
    """Why `name` cannot be read, and what to do."""
    value = outside.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"reads the undeclared constant {name}; declare it: constants={{{name!r}: {value!r}}}"
    if name in ("v_pre", "pre_v", "u_pre", "psi_pre"):
        return (
            f"reads {name}, the membrane of the presynaptic neuron: it stays on that neuron's core, only "
            f"spikes "
            "travel. Use a presynaptic trace"
        )
    if name == "psi":
        return "reads psi; declare how it follows from v: surrogate=cs.rules.Surrogate(...)"
    local = ", ".join(sorted(known))
    return (
        f"reads {name}, which is not local to the synapse (local here: {local}). Another neuron's or "
        f"synapse's "
        f"value must be sent: third=({name!r},), or be declared as trace, state or constant"
    )


def join(a: Interval, b: Interval) -> Interval:
    """Smallest interval that holds both."""
    return min(a[0], b[0]), max(a[1], b[1])


def product(a: Interval, b: Interval) -> Interval:
    """Interval of x y; 0 times infinity counts as 0 (a finite value never reaches the infinite end)."""
    ends = [0.0 if 0.0 in (x, y) else x * y for x in a for y in b]
    return min(ends), max(ends)


class Ranges:
    """Interval arithmetic over the body: finds divisions whose divisor may be zero."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        everything = (-math.inf, math.inf)
        self.known: dict[str, Interval] = {"w": rule.bounds, "pre": (0.0, 1.0), "post": (0.0, 1.0)}
        self.known["psi"] = (0.0, math.inf)
        self.known.update({n: (c, c) for n, c in rule.constants.items()})
        for name, t in rule.traces.items():
            self.known[name] = (
                min(0.0, t.impulse) * math.inf if t.impulse < 0 else 0.0,
                0.0 if t.impulse < 0 else math.inf,
            )
        for name in (*rule.state, *rule.third, "v", *(n for n, t in rule.traces.items() if t.of == "value")):
            self.known[name] = everything

    def run(self) -> None:
        """Walk all statements in order."""
        self.block(self.rule.body)

    def block(self, body: tuple[ast.stmt, ...] | list[ast.stmt]) -> None:
        """Statements in order; after an if, a name may hold what either side left."""
        for s in body:
            if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name):
                value = self.of(s.value, s.lineno)
                name = s.targets[0].id
                self.known[name] = value
            elif isinstance(s, ast.If):
                self.of(s.test, s.test.lineno)
                before = dict(self.known)
                self.block(s.body)
                after, self.known = self.known, dict(before)
                self.block(s.orelse)
                both = {*after, *self.known}
                wide = (-math.inf, math.inf)
                self.known = {n: join(after.get(n, wide), self.known.get(n, wide)) for n in both}

    def of(self, node: ast.expr, line: int) -> Interval:
        """Interval of an expression."""
        if isinstance(node, ast.Constant):
            return float(node.value), float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            return self.known.get(node.id, (-math.inf, math.inf))
        if isinstance(node, ast.UnaryOp):
            low, high = self.of(node.operand, line)
            return (-high, -low) if isinstance(node.op, ast.USub) else (low, high)
        if isinstance(node, ast.IfExp):
            self.of(node.test, line)
            return join(self.of(node.body, line), self.of(node.orelse, line))
        if isinstance(node, ast.Call):
            return self.call(node, line)
        if isinstance(node, ast.BinOp):
            return self.binary(node, line)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.of(child, line)
        return 0.0, 1.0

    def binary(self, node: ast.BinOp, line: int) -> Interval:
        """Interval of an operation on two parts."""
        a, b = self.of(node.left, line), self.of(node.right, line)
        if isinstance(node.op, ast.Add):
            return a[0] + b[0], a[1] + b[1]
        if isinstance(node.op, ast.Sub):
            return a[0] - b[1], a[1] - b[0]
        if isinstance(node.op, ast.Mult):
            return product(a, b)
        if isinstance(node.op, ast.Div):
            if b[0] <= 0.0 <= b[1]:
                raise RuleError(
                    f"rule {self.rule.name}, line {line}: divides by {ast.unparse(node.right)}, which can "
                    f"be zero "
                    f"(range {b[0]:g} to {b[1]:g}). Add a positive constant to the divisor"
                )
            return product(a, (1.0 / b[1], 1.0 / b[0]))
        return self.power(node, a, b, line)

    def power(self, node: ast.BinOp, a: Interval, b: Interval, line: int) -> Interval:
        """Interval of a power; refuses roots of what can be negative and negative powers of what can be zero."""
        where = f"rule {self.rule.name}, line {line}: {ast.unparse(node)}"
        if a[0] < 0.0 and not (b[0] == b[1] and float(b[0]).is_integer()):
            raise RuleError(
                f"{where}: takes a power with a fraction of {ast.unparse(node.left)}, which can be negative"
            )
        if a[0] <= 0.0 <= a[1] and b[0] < 0.0:
            raise RuleError(f"{where}: a negative power divides by {ast.unparse(node.left)}, which can be zero")
        even = b[0] == b[1] and float(b[0]).is_integer() and int(b[0]) % 2 == 0
        return (0.0, math.inf) if a[0] >= 0.0 or even else (-math.inf, math.inf)

    def call(self, node: ast.Call, line: int) -> Interval:
        """Interval of a function."""
        parts = [self.of(a, line) for a in node.args]
        name = ast.unparse(node.func)
        if name == "exp":
            return tuple(math.exp(min(700.0, p)) if p > -700 else 0.0 for p in parts[0])  # type: ignore[return-value]
        if name == "abs":
            low, high = parts[0]
            return (0.0 if low <= 0.0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
        if name in ("min", "max"):
            pick = min if name == "min" else max
            return pick(parts[0][0], parts[1][0]), pick(parts[0][1], parts[1][1])
        if name == "tanh":
            return math.tanh(parts[0][0]), math.tanh(parts[0][1])
        if name == "log" and parts[0][0] <= 0.0:
            raise RuleError(
                f"rule {self.rule.name}, line {line}: log of {ast.unparse(node.args[0])}, which can be zero or negative"
            )
        if name == "sqrt" and parts[0][0] < 0.0:
            raise RuleError(
                f"rule {self.rule.name}, line {line}: sqrt of {ast.unparse(node.args[0])}, which can be negative"
            )
        return (0.0, math.inf) if name == "sqrt" else (-math.inf, math.inf)


def fold(node: ast.expr, silent: Mapping[str, float]) -> float | None:
    """Value of an expression when the names in `silent` have these values, or None where it depends on
    others."""
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return silent.get(node.id)
    if isinstance(node, ast.UnaryOp):
        value = fold(node.operand, silent)
        if value is None:
            return None
        return -value if isinstance(node.op, ast.USub) else float(not value) if isinstance(node.op, ast.Not) else value
    if isinstance(node, ast.BinOp):
        a, b = fold(node.left, silent), fold(node.right, silent)
        if isinstance(node.op, ast.Mult) and (a == 0.0 or b == 0.0):
            return 0.0
        if isinstance(node.op, ast.Div) and a == 0.0:
            return 0.0
        if a is None or b is None:
            return None
        operation = {ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b}
        return operation.get(type(node.op))
    if isinstance(node, ast.BoolOp):
        values = [fold(v, silent) for v in node.values]
        if isinstance(node.op, ast.And):
            return 0.0 if 0.0 in values else None if None in values else float(all(values))
        return None if None in values else float(any(v for v in values))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        a, b = fold(node.left, silent), fold(node.comparators[0], silent)
        if a is None or b is None:
            return None
        tests = {
            ast.Lt: a < b,
            ast.LtE: a <= b,
            ast.Gt: a > b,
            ast.GtE: a >= b,
            ast.Eq: a == b,
            ast.NotEq: a != b,
        }
        return float(tests[type(node.ops[0])])
    return None


def idle(body: tuple[ast.stmt, ...] | list[ast.stmt], stored: set[str], silent: dict[str, float] | None = None) -> bool:
    """Whether no stored name changes in a step without a pre- and without a postsynaptic spike."""
    known = {"pre": 0.0, "post": 0.0} if silent is None else silent
    for s in body:
        if isinstance(s, ast.If):
            test = fold(s.test, known)
            branches = [s.body, s.orelse] if test is None else [s.body if test else s.orelse]
            if not all(idle(b, stored, dict(known)) for b in branches):
                return False
            for name in assigned_names(tuple(s.body + s.orelse)):
                known.pop(name, None)
        elif isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name):
            name = s.targets[0].id
            if name in stored:
                if not unchanged(s.value, name, known):
                    return False
                continue
            value = fold(s.value, known)
            known.pop(name, None)
            if value is not None:
                known[name] = value
    return True


def unchanged(value: ast.expr, name: str, silent: Mapping[str, float]) -> bool:
    """Whether ``name = value`` leaves name as it was: a sum of the name itself and terms that fold to
    zero."""
    if isinstance(value, ast.Name) and value.id == name:
        return True
    if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.Sub)):
        if fold(value.right, silent) == 0.0:
            return unchanged(value.left, name, silent)
        return (
            isinstance(value.op, ast.Add) and fold(value.left, silent) == 0.0 and unchanged(value.right, name, silent)
        )
    return False
