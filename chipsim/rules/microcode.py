"""Declared rules as microcode of a Loihi-class learning engine (Catalyst N1): what fits, what changes, why not.

The engine visits a synapse when its source spiked (section ltd; it then sees the target's traces) and when its target
spiked (ltp; it then sees the source's traces), never both at once, and never otherwise. A rule is therefore taken apart
by its flags ``pre`` and ``post``. What it does without a spike must be nothing, or the one thing that the three-factor
phase does to every synapse: a tag that decays by an eighth a step, and a reward times the tag on the weight.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from chipsim.rules.declaration import Rule, Trace
from chipsim.rules.verdicts import NotPolynomial, Polynomial, Verdict, added, multiplied, polynomial

ENGINE = "microcode"
PEAK = 100  #: what a spike sets a trace to
WEIGHT_TOP, WORD_TOP = 2000, 32767
STATE_TOP = 8000  #: tags and eligibilities are kept within +-
TAG_KEEP = 7 / 8  #: what the three-factor phase leaves of an eligibility
UNIT_REWARD = 128  #: reward level that counts as 1
PRE_SLOTS, POST_SLOTS = ("x1", "x2"), ("y1", "y2", "y3")
LONGEST = 64  #: instructions of a section
SCRATCH, FACTOR, PLACES = "r11", "r12", ("r13", "r14", "r15")
Value = Polynomial | tuple  # a polynomial, or ("min" | "max", value, value)


@dataclass(frozen=True)
class Writing:
    """How one stored variable is written: its register, store instruction, step in the rule's units, range."""

    register: str
    store: str
    step: float
    low: int
    high: int


@dataclass
class Plan:
    """What a rule means on the engine: registers, units, what will differ."""

    rule: Rule
    register: dict[str, str] = field(default_factory=dict)
    unit: dict[str, float] = field(default_factory=dict)  # rule's units per integer
    top: dict[str, float] = field(default_factory=dict)  # largest integer
    writing: dict[str, Writing] = field(default_factory=dict)
    taus: dict[str, dict[str, int]] = field(default_factory=lambda: {"pre": {}, "post": {}})
    reasons: list[str] = field(default_factory=list)
    three_factor: bool = False


def microcode(rule: Rule, weight_step: float | None = None) -> Verdict:
    """Verdict of a microcoded engine, with `export`: text, three_factor, taus, reward_tau, epoch, weight_step.

    `weight_step`: what one unit of the chip's weight means in the rule; None: as the rule's format or bounds say.
    """
    plan, cannot = Plan(rule), []
    _registers(plan, cannot)
    if "v" in rule.reads or "psi" in rule.reads:
        cannot.append("reads the postsynaptic membrane, which the engine does not see")
    if cannot:
        return Verdict(ENGINE, "cannot", tuple(cannot))
    try:
        quiet, down, up = (values_of(rule, pre, post) for pre, post in ((0, 0), (1, 0), (0, 1)))
        _units(plan, _taken_by_reward(plan, quiet, (down, up)), weight_step)
        text = f"{_section(plan, 'ltd', 'pre', down)}{_section(plan, 'ltp', 'post', up)}"
    except NotPolynomial as problem:
        return Verdict(ENGINE, "cannot", (str(problem),))
    plan.reasons.append(
        "changes are rounded down to whole units; the timestep's random bit, the same for all, makes their mean right"
    )
    export: dict = {
        "text": text, "three_factor": plan.three_factor, "taus": plan.taus, "weight_step": plan.unit["w"],
        "epoch": rule.every, "reward_tau": 0 if rule.third else None,
    }  # fmt: skip
    return Verdict(ENGINE, "runs with changes", tuple(plan.reasons), export)


def _registers(plan: Plan, cannot: list[str]) -> None:
    rule = plan.rule
    plan.register = {"w": "w"}
    for side, slots, what in (("pre", PRE_SLOTS, "presynaptic"), ("post", POST_SLOTS, "postsynaptic")):
        names = [n for n, t in rule.traces.items() if t.side == side]
        if len(names) > len(slots):
            cannot.append(f"needs {len(names)} {what} traces ({', '.join(names)}); the engine has {len(slots)}")
        plan.register.update(dict(zip(names, slots)))
        for name, slot in zip(names, slots):
            plan.taus[side][slot] = _shift_of(name, rule.traces[name], plan.reasons)
    if len(rule.state) > 2:
        cannot.append(f"needs {len(rule.state)} numbers a synapse ({', '.join(rule.state)}); it has a tag and an "
                      "eligibility")  # fmt: skip
    plan.register.update(dict(zip(rule.state, ("t", "e"))))
    if len(rule.third) > 1:
        cannot.append(f"needs {len(rule.third)} third factors; the chip has one reward")
    plan.register.update(dict.fromkeys(rule.third[:1], "reward"))
    if rule.every > 255:
        cannot.append(f"evaluates every {rule.every} steps; an epoch has at most 255")


def _shift_of(name: str, trace: Trace, reasons: list[str]) -> int:
    """The trace's tau register: it loses 1 / 2^tau a step, at least 1 of 100."""
    lost = 1 - math.exp(-1 / trace.tau)
    if trace.tau == math.inf:
        reasons.append(f"trace {name} never decays in the rule; the chip's loses 1 of {PEAK} a step")
        return 7
    shift = min(max(round(-math.log2(lost)), 0), 7)
    kept = 0.0 if shift == 0 else 1 - 2.0**-shift
    if abs(kept - (1 - lost)) > 0.005 or 2.0**-shift * PEAK < 1:
        at_least = f", at least 1 of {PEAK}" if shift > 4 else ""
        reasons.append(
            f"trace {name} keeps {kept:.4g} a step instead of {1 - lost:.4g} (tau register {shift}){at_least}"
        )
    if trace.mode == "add":
        reasons.append(f"trace {name} is set by a spike; the rule adds up spikes")
    if trace.seen == "before":
        reasons.append(f"trace {name} is seen with a spike of the same timestep; the rule sees it without")
    return shift


def values_of(rule: Rule, pre: int, post: int) -> dict[str, Value]:
    """New value of w and each state as a function of their old ones, for given spike flags."""
    names: dict[str, Value] = {n: {(): c} if c else {} for n, c in rule.constants.items()}
    names["pre"], names["post"] = ({(): 1.0} if flag else {} for flag in (pre, post))
    _carry(rule.body, names)
    return {n: names.get(n, {(n,): 1.0}) for n in ("w", *rule.state)}


def _carry(body: Sequence[ast.stmt], names: dict[str, Value]) -> None:
    for s in body:
        if isinstance(s, ast.Assign):
            names[s.targets[0].id] = _value(s.value, names)  # type: ignore[attr-defined]
        elif isinstance(s, ast.If):
            test = _value(s.test, names)
            if isinstance(test, tuple) or set(test) - {()}:
                raise NotPolynomial(f"decides on {ast.unparse(s.test)}, which the engine's skips cannot compare")
            _carry(s.body if test.get((), 0.0) else s.orelse, names)


def _value(node: ast.expr, names: dict[str, Value]) -> Value:
    """A polynomial, or min / max of such at the outside."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
        parts = [_value(a, names) for a in node.args]
        return (node.func.id, parts[0], parts[1])
    if isinstance(node, ast.Name) and isinstance(names.get(node.id), tuple):
        return names[node.id]
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and isinstance(names.get(n.id), tuple):
            raise NotPolynomial(f"computes with {n.id}, a minimum or maximum, after clipping it; clip last")
    return polynomial(node, {k: v for k, v in names.items() if not isinstance(v, tuple)})


def _change(name: str, value: Value) -> Polynomial:
    if isinstance(value, tuple):
        raise NotPolynomial(f"{name} is clipped without a spike, when the engine does not visit the synapse")
    return added(value, {(name,): 1.0}, -1.0)


def _taken_by_reward(plan: Plan, quiet: dict[str, Value], spiking: Sequence[dict[str, Value]]) -> float | None:
    """What the three-factor phase does, taken out of the sections; the reward's coefficient, None without."""
    rule = plan.rule
    moves = {n: c for n, v in quiet.items() if (c := _change(n, v))}
    if not moves:
        return None
    third = rule.third[0] if rule.third else None
    tag = next(iter(rule.state), None)
    rest = "changes " + " and ".join(moves) + " in steps without a spike, when the engine does not visit the synapse"
    hint = "; what it can do then is w + eta * reward * tag, tag = keep * tag"
    if third is None or tag is None or set(moves) - {"w", tag} or set(moves.get(tag, {})) - {(tag,)}:
        raise NotPolynomial(rest + hint)
    keep = 1 + moves.get(tag, {}).get((tag,), 0.0)
    product = tuple(sorted((third, tag)))
    reward = moves.get("w", {}).get(product, 0.0) / (keep or 1.0)
    if set(moves.get("w", {})) - {product} or not reward:
        raise NotPolynomial(rest + hint)
    if abs(keep - TAG_KEEP) > 0.02:
        plan.reasons.append(f"{tag} keeps {TAG_KEEP} a step, as the hardware does, instead of {keep:.4g}")
    plan.reasons.append(f"any {third} clips all weights of the core to 0..{WEIGHT_TOP}, also those that do not learn")
    plan.three_factor = True
    plan.register[tag] = "e"
    others = [n for n in rule.state if n != tag]
    plan.register.update(dict.fromkeys(others, "t"))
    for values in spiking:
        for name in ("w", tag):
            if isinstance(values[name], tuple):
                raise NotPolynomial(f"{name} is clipped beside the reward's own change; leave the clipping to bounds")
        new_tag, new_w = values[tag], values["w"]
        values["w"] = added(new_w, multiplied({(third,): reward}, new_tag), -1.0)  # type: ignore[arg-type]
        values[tag] = added(new_tag, {(tag,): keep - 1.0}, -1.0)  # type: ignore[arg-type]
    return reward


def _units(plan: Plan, reward: float | None, given_step: float | None) -> None:
    rule = plan.rule
    low, high = rule.bounds
    finite = math.isfinite(high - low)
    step = given_step or (rule.weight.step if rule.weight is not None else (high - low) / WEIGHT_TOP if finite else 1.0)
    ends = [_word(b / step) if math.isfinite(b) else math.copysign(WORD_TOP, b) for b in (low, high)]
    plan.unit, plan.top = {"w": step}, {"w": max(abs(e) for e in ends) or 1}
    plan.writing["w"] = Writing("w", "store_w", step, int(ends[0]), int(ends[1]))
    for name, state in rule.state.items():
        register = plan.register[name]
        given = state.format.step if state.format is not None else step
        if reward is not None and register == "e":
            given = step / reward  # a reward of UNIT_REWARD then adds one unit of weight for one of eligibility
        plan.unit[name], plan.top[name] = abs(given), STATE_TOP
        plan.writing[name] = Writing(register, f"store_{register}", given, -STATE_TOP, STATE_TOP)
        if state.start:
            raise NotPolynomial(f"starts {name} at {state.start:g}; the chip's start at 0 and no command sets them")
    for name, trace in rule.traces.items():
        plan.unit[name], plan.top[name] = (trace.impulse or 1.0) / PEAK, PEAK
    for name in rule.third:
        plan.unit[name], plan.top[name] = 1 / UNIT_REWARD, WORD_TOP


def _word(value: float) -> float:
    return max(-WORD_TOP, min(WORD_TOP, round(value)))


def _section(plan: Plan, name: str, spiking: str, values: dict[str, Value]) -> str:
    """The program for synapses whose `spiking` neuron fired."""
    out: list[str] = []
    changed = {n: v for n, v in values.items() if isinstance(v, tuple) or _change(n, v)}
    for n, value in changed.items():
        for factor in _factors(value):
            trace = plan.rule.traces.get(factor)
            if trace is not None and trace.side == spiking:
                raise NotPolynomial(
                    f"{n} needs trace {factor} of the neuron that spiked; the engine shows those of the other side"
                )
    common = _common(plan, changed)
    if common:
        out += [f"skip_nz {common}", "halt"]
    places = list(PLACES)
    moves = []
    for n, value in changed.items():
        if not places:
            raise NotPolynomial("needs more registers than the five that are free")
        place = plan.register[n] if _in_place(n, value, changed) else places.pop(0)
        _evaluate(plan, out, value, place, places, n)
        moves.append((n, place))
    for n, place in moves:
        w = plan.writing[n]
        for op, bound in (("max", w.low), ("min", w.high)):
            if abs(bound) < WORD_TOP:
                out += [f"loadi {SCRATCH}, {bound}", f"{op} {place}, {place}, {SCRATCH}"]
        if place != w.register:
            out.append(f"max {w.register}, {place}, {place}")
        out.append(w.store)
    out.append("halt")
    if len(out) > LONGEST:
        raise NotPolynomial(f"needs {len(out)} instructions a section; there are {LONGEST}")
    label = f"{name}3" if plan.three_factor else name
    return f"{label}:\n" + "".join(f"    {line}\n" for line in out)


def _in_place(name: str, value: Value, changed: dict[str, Value]) -> bool:
    """True if the variable's own register can take the changes one by one: nothing reads its old value later."""
    if isinstance(value, tuple) or len(changed) > 1 or value.get((name,), 0.0) != 1.0:
        return False
    return not any(name in key for key in value if key != (name,))


def _factors(value: Value) -> set[str]:
    if isinstance(value, tuple):
        return _factors(value[1]) | _factors(value[2])
    return {f for key in value for f in key}


def _common(plan: Plan, changed: dict[str, Value]) -> str | None:
    """A trace without which nothing changes: the program can stop where it is 0."""
    shared: set[str] | None = None
    for n, value in changed.items():
        if isinstance(value, tuple):
            return None
        for key in _change(n, value):
            shared = set(key) if shared is None else shared & set(key)
    found = sorted(f for f in shared or () if f in plan.rule.traces)
    return plan.register[found[0]] if found else None


def _evaluate(plan: Plan, out: list[str], value: Value, place: str, places: list[str], name: str) -> None:
    """Instructions that leave `value`, in units of the variable `name`, in register `place`.

    Terms of the weight are rounded down, also negative ones, so that the random bit of STORE_W makes the mean right;
    those of tags and eligibilities, which get none, towards zero.
    """
    unit = plan.unit[name]
    if isinstance(value, tuple):
        if not places:
            raise NotPolynomial("needs more registers than the five that are free")
        _evaluate(plan, out, value[1], place, places[1:], name)
        _evaluate(plan, out, value[2], places[0], places[1:], name)
        out.append(f"{value[0]} {place}, {place}, {places[0]}")
        return
    terms = dict(value)
    own = [k for k in terms if len(k) == 1 and k[0] in plan.writing]
    start = next((k for k in own if abs(plan.unit[k[0]] * terms[k] / unit - 1) < 1e-9), None)
    if start is None:
        out.append(f"loadi {place}, 0")
    else:
        del terms[start]
        register = plan.register[start[0]]
        if place != register:
            out.append(f"max {place}, {register}, {register}")
    for factors, c in sorted(terms.items()):
        real = c * math.prod(plan.unit[f] for f in factors) / unit
        down = real < 0 and name == "w"
        _term(plan, out, factors, abs(real), down)
        out.append(f"{'add' if real > 0 or down else 'sub'} {place}, {place}, {SCRATCH}")


def _term(plan: Plan, out: list[str], factors: tuple[str, ...], k: float, negative: bool) -> None:
    """k (> 0) times the product of registers in the scratch register, or minus that; rounded down."""
    spelled = "*".join(factors) or "1"
    most = math.prod(plan.top[f] for f in factors) * k
    if most > WORD_TOP:
        raise NotPolynomial(
            f"the term {k:.3g}*{spelled} in the chip's units reaches {most:.3g}, beyond 16 bits: take a smaller "
            "learning rate or a coarser weight"
        )
    if most < 1:
        raise NotPolynomial(
            f"the term {k:.3g}*{spelled} in the chip's units never reaches one unit of the weight: take a larger "
            "learning rate or a finer weight"
        )
    if not factors:
        out.append(f"loadi {SCRATCH}, {-round(k) if negative else round(k)}")
        return
    source, top = plan.register[factors[0]], plan.top[factors[0]]
    for factor in factors[1:]:
        shift = max(0, math.ceil(math.log2(top * plan.top[factor] / WORD_TOP)))
        if shift > 7:
            out.append(f"shr {SCRATCH}, {source}, {shift - 7}")
            source, top, k, shift = SCRATCH, top / 2 ** (shift - 7), k * 2.0 ** (shift - 7), 7
        out.append(f"mul {SCRATCH}, {source}, {plan.register[factor]}, {shift}")
        source, top, k = SCRATCH, top * plan.top[factor] / 2**shift, k * 2.0**shift
    exponent = round(math.log2(k))
    if abs(k / 2.0**exponent - 1) < 0.01 and not negative:
        _shifted(out, source, exponent)
        return
    mantissa, shift = _mantissa(k, top)
    out.append(f"loadi {FACTOR}, {-mantissa if negative else mantissa}")
    out.append(f"mul {SCRATCH}, {source}, {FACTOR}, {min(shift, 7)}")
    if shift > 7:
        _shifted(out, SCRATCH, 7 - shift)
    error = abs(mantissa * 2.0**-shift / k - 1)
    if error > 0.02:
        plan.reasons.append(f"the factor {k:.4g} of {spelled} becomes {mantissa * 2.0**-shift:.4g}")


def _mantissa(k: float, top: float) -> tuple[int, int]:
    """k as mantissa / 2^shift with as many bits as the product leaves room for."""
    best = (max(1, round(k)), 0)
    for shift in range(1, 15):
        mantissa = round(k * 2.0**shift)
        if mantissa > WORD_TOP or top * mantissa / 2 ** min(shift, 7) > WORD_TOP:
            break
        if mantissa:
            best = mantissa, shift
    return best


def _shifted(out: list[str], source: str, exponent: int) -> None:
    """source * 2^exponent into the scratch register."""
    op, left = ("shl", exponent) if exponent > 0 else ("shr", -exponent)
    while True:
        part = min(left, 7)
        out.append(f"{op} {SCRATCH}, {source}, {part}")
        source, left = SCRATCH, left - part
        if not left:
            return
