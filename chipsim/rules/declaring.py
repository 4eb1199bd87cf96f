"""Local learning rules: write one, get its kernel, its reference, its cost and its verdict. (`cs.rules`)

::

    @cs.rules.rule(
        traces={"x": cs.rules.Trace("pre", 20), "y": cs.rules.Trace("post", 20)},
        state={"tag": 0.0},
        third="reward",
        bounds=(0.0, 1.0),
    )
    def reward_stdp(w, tag, x, y, pre, post, reward, *, a=0.01, b=0.012, keep=0.995, eta=0.1):
        tag = keep * tag + a * x * post - b * y * pre
        w = w + eta * reward * tag

Names a rule may read: ``w`` and its own state; ``pre``, ``post`` (1 in a step in which that neuron spiked,
else 0); its
declared traces; ``v`` and ``psi`` of the postsynaptic neuron; its declared third factors (one number per
postsynaptic
neuron, or the same for all); its constants (keyword-only arguments, or
``constants=``). One step, after the neurons were updated: traces decay;
the
synapses are computed with what they see; traces that are ``seen="before"`` take the spikes of this step.

The kernel every rule compiles to (`chipsim.rules.kernel`), all arrays C-contiguous, indices local to the
projection::

    kernel(step: int64, seed: int64,
           pre_ids: int32 (a,), post_ids: int32 (b,),     neurons that spiked in this step, ascending
           row_ptr: uint32 (n_pre + 1,), col: uint32 (s,),          synapses by presynaptic neuron, col = post
           col_ptr: uint32 (n_post + 1,), col_syn: uint32 (s,), col_pre: uint32 (s,),    the same by post; the
           presynaptic neuron of each entry of col_syn
           w: float64 or int32 (s,), syn: float64 (states, s),
           pre_vars: float64 (1 + traces, n_pre), post_vars: float64 (1 + traces [+ psi], n_post),
           v: float64 (n_post,), threshold: float64 (n_post,),      read only if the rule reads v or psi
           third: float64 (factors, n_post), const: float64 (k,), counters: int64 (6,))

It returns nothing, allocates nothing, and is compiled with this one explicit signature (`kernel_signature`),
so a jitted
loop typed with ``types.FunctionType(kernel_signature())`` takes any rule without being compiled again. Random
bits are
functions of (seed, step, variable, synapse): the partition into cores or threads does not change them.
`Plastic` holds
the arrays and calls the kernel.
"""

from __future__ import annotations

import ast
import keyword
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chipsim.checks import finite, flag, mapping, shown, text_of, whole
from chipsim.rules.declaration import (
    AT_END,
    HELD,
    RESERVED,
    VALUES,
    Dependence,
    Rule,
    RuleError,
    State,
    Surrogate,
    Trace,
    check_format,
    normal_body,
    parse,
)
from chipsim.rules.e_prop.rule import EProp
from chipsim.rules.fixed_format import Fixed
from chipsim.rules.locality import Ranges, check_expression, idle

LONGEST_NAME = 100  #: letters: compiled rules are kept in files of their names


def rule(**declaration: Any) -> Callable[[Callable[..., Any]], Rule]:
    """Decorator: turn a function over local names into a `Rule`. Keywords as in `declare`."""
    return lambda function: declare(function, **declaration)


#: What a rule knows of presynaptic spikes: when they are sent, or when they arrive.
SEES = ("sent", "arrived")


def axonal(rule: Rule) -> Rule:
    """`rule` with the delay before the synapse: presynaptic spikes count when they arrive, as in Brian2 by default.

    A projection's `delay` d then moves its presynaptic spikes d steps back: with d = 3, pre at 5 and post at 7 is a
    pair of -1 step; without (the delay behind the synapse, dendritic) it is one of +2. NEST counts a dendritic delay
    for the way back as well, +5: its postsynaptic spikes reach the synapse d steps late.
    """
    if not isinstance(rule, Rule):
        raise RuleError(f"axonal takes a declared rule (cs.rules), not {type(rule).__name__}")
    return replace(rule, sees="arrived")


def declare(
    function: Callable[..., Any] | str,
    *,
    traces: Mapping[str, Trace] | None = None,
    state: Mapping[str, State | float] | None = None,
    constants: Mapping[str, float] | None = None,
    third: tuple[str, ...] | str = (),
    bounds: tuple[float, float] = (-math.inf, math.inf),
    weight: Fixed | None = None,
    surrogate: Surrogate | None = None,
    every: int | str = 1,
    follows_gradient: bool = False,
    phases: tuple[str, ...] = (),
    sees: str = "sent",
) -> Rule:
    """Check a rule and freeze it.

    Parameters
    ----------
    function
        A function over local names, or its source text. Its arguments are the names it reads; it is never
        called.
    traces, state, constants, third
        Declared names. third: names of broadcast factors, one value per postsynaptic neuron and step.
    bounds, weight
        Range of the weight; its fixed-point format or None for float64.
    surrogate
        How psi follows from v and threshold.
    every
        Evaluate only in steps divisible by it; "phase": only when a phase ends (`Emulator.run(phase=...)`).
    follows_gradient
        The rule claims that its expected change goes down a loss; `check` then tests it.
    phases
        One or two names: the rule is evaluated in runs of these phases only, and may read `phase`, -1 in the first of
        two and +1 in the last. A rule that reads ``held("r_pre")``, the value when the last phase ended, is evaluated
        in the last of them.
    sees : {"sent", "arrived"}
        Which delay a pair of spikes sees. "sent": none; the synapse counts a presynaptic spike in the step in which the
        neuron sent it, so that a projection's delay lies behind the synapse (dendritic). "arrived": so many steps later
        as the projection has of `delay`, which lies before the synapse (axonal, Brian2's default). See `axonal`.

    Raises `RuleError` when the rule reads what is not local or not declared, or divides by what can be zero.
    """
    definition, source = parse(function)
    text_of(definition.name, "rule name", RuleError)
    if len(definition.name) > LONGEST_NAME:
        raise RuleError(f"rule name {shown(definition.name)} is longer than {LONGEST_NAME} letters")
    flag(follows_gradient, f"rule {definition.name}: follows_gradient", RuleError)
    check_declarations(definition.name, traces, state, constants, bounds, weight, surrogate)
    outside = {} if isinstance(function, str) else surroundings(function)
    third = (third,) if isinstance(third, str) else third
    if not isinstance(third, (tuple, list)) or not all(isinstance(n, str) for n in third):
        raise RuleError(f"rule {definition.name}: third must be a name or a tuple of names, not {shown(third)}")
    third = tuple(third)
    if sees not in SEES:
        raise RuleError(f"rule {definition.name}: sees={sees!r} is not one of {', '.join(SEES)}")
    states = {n: s if isinstance(s, State) else State(s) for n, s in (state or {}).items()}
    given = {**keyword_constants(definition, function, set(constants or ())), **(constants or {})}
    values = {n: checked_number(definition.name, n, c) for n, c in given.items()}
    at_end = isinstance(every, str) and every == AT_END
    if not at_end:
        whole(every, f"rule {definition.name}: every", 1, error=RuleError)
    phases = _phases(definition.name, phases)
    if not bounds[0] < bounds[1]:
        raise RuleError(f"rule {definition.name}: bounds {bounds} hold no weight")
    known = check_names(definition.name, dict(traces or {}), states, values, third, surrogate)
    known |= {*VALUES, *(HELD + n for n in VALUES), *(("phase",) if phases else ())}
    body = tuple(Dependence(definition.name, values).visit(s) for s in normal_body(definition))
    check_arguments([a.arg for a in definition.args.args], definition.name, known, outside)
    stored = {"w", *states}
    check_block(body, definition.name, set(known), stored, known, outside)
    result = Rule(
        definition.name,
        body,
        dict(traces or {}),
        states,
        values,
        third,
        (float(bounds[0]), float(bounds[1])),
        weight,
        surrogate,
        1 if at_end else int(every),
        idle(body, stored),
        source,
        doc_of(function),
        follows_gradient,
        phases=phases,
        at_end=at_end,
        sees=sees,
    )
    if not result.writes:
        raise RuleError(f"rule {definition.name}: changes nothing; assign w or a declared state")
    Ranges(result).run()
    return result


def _phases(name: str, given: Any) -> tuple[str, ...]:
    """One or two names of phases, or none."""
    named = (given,) if isinstance(given, str) else given
    sound = isinstance(named, (tuple, list)) and len(named) <= 2 and all(isinstance(p, str) and p for p in named)
    if not sound or len(set(named)) != len(named):
        raise RuleError(f"rule {name}: phases must be one or two names such as ('free', 'teacher'), not {given!r}")
    return tuple(named)


def check_declarations(name: str, traces, state, constants, bounds, weight, surrogate) -> None:
    """What stands beside the text must be of the kinds that `declare` names."""
    what = f"rule {name}"
    for kind, given, holds in (
        ("traces", traces, "name -> cs.rules.Trace"),
        ("state", state, "name -> start value or cs.rules.State"),
        ("constants", constants, "name -> number"),
    ):
        mapping(given, f"{what}: {kind}", holds, RuleError)
    for n, trace in (traces or {}).items():
        if not isinstance(trace, Trace):
            raise RuleError(f"{what}: trace {shown(n)} must be a cs.rules.Trace('pre', 20), not {shown(trace)}")
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise RuleError(f"{what}: bounds must be (lowest, highest) weight, not {shown(bounds)}")
    for bound in bounds:
        if not (isinstance(bound, (float, np.floating)) and not np.isfinite(bound)):
            finite(bound, f"{what}: bounds must be numbers; a bound", RuleError)
    check_format(weight, f"{what}: weight")
    if surrogate is not None and not isinstance(surrogate, Surrogate):
        raise RuleError(f"{what}: surrogate must be a cs.rules.Surrogate, not {shown(surrogate)}")


def eprop(**keywords: Any) -> EProp:
    """E-prop for a recurrent network with readouts; keywords are the fields of `EProp`."""
    return EProp(**keywords)


def keyword_constants(
    definition: ast.FunctionDef, function: Callable[..., Any] | str, replaced: set[str]
) -> dict[str, Any]:
    """Constants declared as keyword-only arguments: ``def rule(w, x, *, eta=0.1)``."""
    if not isinstance(function, str):
        return dict(function.__kwdefaults__ or {})
    found = {}
    for argument, default in zip(definition.args.kwonlyargs, definition.args.kw_defaults):
        if argument.arg in replaced:
            continue
        try:
            found[argument.arg] = ast.literal_eval(default) if default is not None else None
        except ValueError as error:
            raise RuleError(f"rule {definition.name}: constant {argument.arg} must be a number") from error
    return found


def doc_of(function: Callable[..., Any] | str) -> str:
    """First paragraph of the docstring, if any."""
    return "" if isinstance(function, str) else (function.__doc__ or "").strip().split("\n\n")[0]


def surroundings(function: Callable[..., Any]) -> dict[str, Any]:
    """Names visible around the function: a reader who forgets to declare one is told its value."""
    code = function.__code__
    cells = function.__closure__ or ()
    return {**function.__globals__, **{n: c.cell_contents for n, c in zip(code.co_freevars, cells)}}


def checked_number(rule_name: str, name: str, value: Any) -> float:
    """A constant as a finite float."""
    return finite(value, f"rule {rule_name}: constant {name}", RuleError)


def check_names(name, traces, states, constants, third, surrogate) -> set[str]:
    """All readable names; raise where two declarations collide."""
    known: set[str] = {"w", "pre", "post", "v", *(("psi",) if surrogate is not None else ())}
    for kind, names in (
        ("trace", traces),
        ("state", states),
        ("constant", constants),
        ("third factor", third),
    ):
        for n in names:
            usable = isinstance(n, str) and n.isidentifier() and not keyword.iskeyword(n) and not n.endswith("_")
            if n in known or n in RESERVED or not usable:
                raise RuleError(f"rule {name}: {kind} {shown(n)} is taken or no usable name; choose another")
            known.add(n)
    return known


def check_arguments(arguments: list[str], name: str, known: set[str], outside: Mapping[str, Any]) -> None:
    """Arguments must be readable names."""
    for argument in arguments:
        check_expression(ast.Name(argument, ast.Load()), name, known, outside, 1)


def check_block(body, name: str, readable: set[str], stored: set[str], known: set[str], outside) -> None:
    """Check statements in order; a name assigned here can be read below it."""
    for s in body:
        if isinstance(s, ast.If):
            check_expression(s.test, name, readable, outside, s.test.lineno)
            one, two = set(readable), set(readable)
            check_block(s.body, name, one, stored, known, outside)
            check_block(s.orelse, name, two, stored, known, outside)
            readable |= one & two
            continue
        check_expression(s.value, name, readable, outside, s.lineno)
        target = s.targets[0].id
        if target in known and target not in stored and target.removeprefix(HELD) not in VALUES and target != "phase":
            raise RuleError(
                f"rule {name}, line {s.lineno}: assigns {target}, which the synapse may only read; "
                "it can change w and its declared state"
            )
        if target.endswith("_"):
            raise RuleError(f"rule {name}, line {s.lineno}: {shown(target)} is no usable name; choose another")
        readable.add(target)
