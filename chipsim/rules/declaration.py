"""What a local rule is made of: the declaration, and the checks that it is local, complete and safe to run.

A rule is a small Python function over names that a synapse can know (see `chipsim.rules`). It is never
called: its
source is read, checked and turned into kernels. Nothing here knows Numba or any chip.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chipsim.checks import choice, finite, shown
from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.surrogates import KINDS
from chipsim.rules.fixed_format import Fixed

FUNCTIONS = {"exp": 1, "sqrt": 1, "log": 1, "tanh": 1, "abs": 1, "min": 2, "max": 2}
RESERVED = ("w", "pre", "post", "v", "psi")
#: Numbers that a rule may read without declaring them, and whose they are; a declaration of the same name hides them.
VALUES = {"r_pre": "pre", "r_post": "post", "slope": "post", "u": "post"}
HELD = "held_"  #: prefix of the value that a number had when the last phase ended
AT_END = "phase"  #: `every` of a rule that is evaluated when a phase ends
#: What a step is to a rule of phases, as bits: values are held after it, the rule is evaluated in it.
HOLDS, EVALUATES = 1, 2


class RuleError(NetworkError):
    """A rule that no synapse could run, or that is not fully declared."""


def check_format(form: Any, what: str) -> None:
    """A format is a `Fixed`, or None for float64."""
    if form is not None and not isinstance(form, Fixed):
        raise RuleError(
            f"{what}: format must be a cs.rules.Fixed, e.g. cs.rules.fixed(8, 1.0), or None; got {shown(form)}"
        )


def kept(tau: float, what: str = "tau") -> float:
    """exp(-1 / tau): what is left of a state after one step. Raises `RuleError` unless tau > 0."""
    if isinstance(tau, (float, np.floating)) and tau == math.inf:
        return 1.0
    if not finite(tau, what, RuleError) > 0:
        raise RuleError(f"{what} must be positive steps, got {tau}")
    return math.exp(-1 / tau)


@dataclass(frozen=True)
class Trace:
    """A spike trace of the pre- or postsynaptic neuron: ``x <- decay x``, and ``+ impulse`` at its spikes.

    Parameters
    ----------
    side
        "pre" or "post".
    tau
        Time constant in steps, > 0; decay = exp(-1/tau).
    impulse
        What a spike adds (`mode` "add": all-to-all pairing) or sets (`mode` "set": nearest neighbour).
    seen
        "before": the synapse sees the trace without the spike of the same step; "after": with it.
    format
        `Fixed` format it is stored in, or None for float64.
    of
        "spikes", or "value": the number that the neuron sends in the step takes the place of its spike; with `mode`
        "set" and tau inf the trace is that number, `seen` "before" the one of the step before.
    """

    side: str
    tau: float
    impulse: float = 1.0
    mode: str = "add"
    seen: str = "before"
    format: Fixed | None = None
    of: str = field(default="spikes", metadata={"added": True})

    def __post_init__(self) -> None:
        for name, allowed in (
            ("side", ("pre", "post")),
            ("mode", ("add", "set")),
            ("seen", ("before", "after")),
            ("of", ("spikes", "value")),
        ):
            choice(getattr(self, name), f"trace: {name}", allowed, RuleError, "is unknown; use one of")
        kept(self.tau, "trace: tau")
        finite(self.impulse, "trace: impulse", RuleError)
        check_format(self.format, "trace")


@dataclass(frozen=True)
class State:
    """A number every synapse keeps: its start value and the format it is stored in (None: float64)."""

    start: float = 0.0
    format: Fixed | None = None

    def __post_init__(self) -> None:
        start, form = finite(self.start, "state: start value", RuleError), self.format
        check_format(form, "state")
        if form is not None and not form.low <= start <= form.high:
            raise RuleError(f"state: start value {start:g} is beyond its format, {form.low:g}..{form.high:g}")


@dataclass(frozen=True)
class Surrogate:
    """The pseudo-derivative ``psi`` of the postsynaptic neuron, from its membrane and threshold.

    kind: a key of `chipsim.kernels.arithmetic.surrogates.KINDS`; height and width in units of v.
    """

    kind: str = "piecewise_linear"
    height: float = 0.3
    width: float = 1.0

    def __post_init__(self) -> None:
        choice(self.kind, "surrogate: kind", KINDS, RuleError, "is unknown; use one of")
        finite(self.height, "surrogate: height", RuleError)
        if not finite(self.width, "surrogate: width", RuleError) > 0:
            raise RuleError(f"surrogate: width must be positive, got {self.width}: psi divides by it")


@dataclass(frozen=True)
class Rule:
    """A checked declaration. Made by `chipsim.rules.rule`; fields as given there.

    body: the statements as parsed. every: evaluate in steps divisible by it. event_driven: whether nothing
    can change
    without a pre- or postsynaptic spike in the step, so that only those synapses are visited. sees: presynaptic
    spikes in the step in which they are "sent", whatever the projection's delay, or so many steps later ("arrived").
    """

    name: str
    body: tuple[ast.stmt, ...]
    traces: Mapping[str, Trace]
    state: Mapping[str, State]
    constants: Mapping[str, float]
    third: tuple[str, ...]
    bounds: tuple[float, float]
    weight: Fixed | None
    surrogate: Surrogate | None
    every: int
    event_driven: bool
    source: str
    doc: str = ""
    follows_gradient: bool = False
    notes: tuple[str, ...] = field(default=())
    phases: tuple[str, ...] = ()
    at_end: bool = False
    sees: str = "sent"

    @cached_property
    def reads(self) -> frozenset[str]:
        """Every name the body reads."""
        names = (n for s in self.body for n in ast.walk(s) if isinstance(n, ast.Name))
        return frozenset(n.id for n in names if isinstance(n.ctx, ast.Load))

    @cached_property
    def writes(self) -> tuple[str, ...]:
        """Stored names the body assigns: w and state, in declaration order."""
        assigned = assigned_names(self.body)
        return tuple(n for n in ("w", *self.state) if n in assigned)

    @cached_property
    def values(self) -> frozenset[str]:
        """Numbers of the neurons that the rule or its traces read: of `VALUES`, those held with the prefix `HELD`."""
        hidden = {*self.traces, *self.state, *self.constants, *self.third, *assigned_names(self.body)}
        named = {n for n in self.reads - hidden if n.removeprefix(HELD) in VALUES}
        own = {"r_" + t.side for t in self.traces.values() if t.of == "value"}
        return frozenset(named | own | {n.removeprefix(HELD) for n in named})

    @cached_property
    def held(self) -> frozenset[str]:
        """Names of the values that the rule reads as they were when the last phase ended, without the prefix."""
        return frozenset(n.removeprefix(HELD) for n in self.values if n.startswith(HELD))

    @cached_property
    def reads_phase(self) -> bool:
        """Whether the rule reads `phase`: -1 in the first, +1 in the second of its phases."""
        hidden = {*self.traces, *self.state, *self.constants, *self.third, *assigned_names(self.body)}
        return bool(self.phases) and "phase" in self.reads - hidden

    @property
    def timed(self) -> bool:
        """Whether phases decide when it is evaluated."""
        return bool(self.phases or self.at_end or self.held)

    @property
    def factors(self) -> tuple[str, ...]:
        """Rows of the kernel's argument `third`: the third factors, the phase, what the step is to its phases."""
        return (*self.third, *(("phase",) if self.reads_phase else ()), *(("when",) if self.timed else ()))

    @property
    def state_bits(self) -> dict[str, int]:
        """Memory beside the weight, for the mapper: bits per synapse (9 of them stand for the weight), pre,
        post.
        """
        width = {side: 0 for side in ("pre", "post")}
        for t in self.traces.values():
            width[t.side] += 64 if t.format is None else t.format.bits
        states = sum(64 if s.format is None else s.format.bits for s in self.state.values())
        return {"synapse": 9 + states, **width}

    def __repr__(self) -> str:
        return f"Rule({self.name}: {', '.join(self.writes)} from {', '.join(sorted(self.reads))})"


def assigned_names(body: tuple[ast.stmt, ...]) -> set[str]:
    """Names that any statement of `body` assigns."""
    names = (n for s in body for n in ast.walk(s) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Store)}


def _why(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    return "the text holds what is no character" if isinstance(error, ValueError) else "the text is nested too deeply"


def parse(function: Callable[..., Any] | str) -> tuple[ast.FunctionDef, str]:
    """The function definition behind a function or its source text."""
    if isinstance(function, str):
        source = function
    else:
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError) as error:
            raise RuleError("rule: the source is not available here; pass the function as text") from error
    source = textwrap.dedent(source)
    if getattr(function, "__name__", "") == "<lambda>":
        raise RuleError("rule: a lambda cannot assign; write a function with def that assigns w or its state")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise RuleError(f"rule{where}: {_why(error)}; it must be Python") from None
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    if len(found) != 1:
        raise RuleError(f"rule: expected one function, found {len(found)}")
    a = found[0].args
    if a.vararg or a.kwarg or a.defaults:
        raise RuleError(
            f"rule {found[0].name}: takes *args, **kwargs or a default; name what it reads one by one, and give "
            "constants after a star: def rule(w, x, *, eta=0.1)"
        )
    return found[0], source


def normal_body(definition: ast.FunctionDef) -> tuple[ast.stmt, ...]:
    """Statements without docstring and final return of names; ``x += e`` written out."""
    body = list(definition.body)
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    if body and isinstance(body[-1], ast.Return):
        value = body[-1].value
        parts = value.elts if isinstance(value, ast.Tuple) else [value] if value is not None else []
        if any(not isinstance(p, ast.Name) for p in parts):
            raise RuleError(f"rule {definition.name}: assign the new value to its name, then return names only")
        body = body[:-1]
    return tuple(plain(Held(definition.name).visit(s), definition.name) for s in body)


class Dependence(ast.NodeTransformer):
    """``dependence(x, mu)``, a power whose exponent is a constant of the rule: 1 for mu = 0, x itself for mu = 1.

    A product with that 1 is the other factor: what does not depend on the weight costs no multiplication.
    """

    def __init__(self, rule: str, constants: Mapping[str, float]) -> None:
        self.rule, self.constants = rule, constants

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Write the power out."""
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id != "dependence":
            return node
        where = f"rule {self.rule}, line {node.lineno}: {ast.unparse(node)}"
        name = node.args[1].id if len(node.args) == 2 and isinstance(node.args[1], ast.Name) else None
        if name is None or name not in self.constants:
            raise RuleError(f"{where}; dependence() takes a value and a constant of the rule, its exponent")
        base, mu = node.args[0], self.constants[name]
        if mu in (0.0, 1.0):
            return ast.copy_location(ast.Constant(1.0), node) if mu == 0.0 else base
        return ast.copy_location(ast.BinOp(base, ast.Pow(), node.args[1]), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Leave out a factor that has become 1."""
        had = [isinstance(side, ast.Constant) for side in (node.left, node.right)]
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult):
            for side, other, before in ((node.left, node.right, had[0]), (node.right, node.left, had[1])):
                if not before and isinstance(side, ast.Constant) and side.value == 1.0:
                    return other
        return node


class Held(ast.NodeTransformer):
    """``held("r_pre")`` is the value of r_pre when the last phase ended: a name of its own."""

    def __init__(self, rule: str) -> None:
        self.rule = rule

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace the calls of `held`."""
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id != "held":
            return node
        name = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
        if name not in VALUES:
            raise RuleError(
                f"rule {self.rule}, line {node.lineno}: {ast.unparse(node)}; held() takes one of "
                f"{', '.join(repr(v) for v in VALUES)}"
            )
        return ast.copy_location(ast.Name(HELD + name, ast.Load()), node)


def plain(statement: ast.stmt, rule: str) -> ast.stmt:
    """Only assignments to one name and if/else remain."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        load = ast.Name(statement.target.id, ast.Load())
        value = ast.BinOp(load, statement.op, statement.value)
        return ast.Assign([ast.Name(statement.target.id, ast.Store())], value, lineno=statement.lineno)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement
    if isinstance(statement, ast.If):
        body, other = ([plain(s, rule) for s in part] for part in (statement.body, statement.orelse))
        return ast.If(statement.test, body, other)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        raise RuleError(
            f"rule {rule}, line {statement.lineno}: writes {ast.unparse(statement.targets[0])}, an element "
            f"of an "
            "array; a synapse can only change its own weight and state"
        )
    raise RuleError(
        f"rule {rule}, line {statement.lineno}: {type(statement).__name__.lower()} is not possible in a "
        f"synapse; "
        "use assignments to a name and if/else"
    )
