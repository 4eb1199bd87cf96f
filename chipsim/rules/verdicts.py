"""Can a chip's learning engine run a rule? The rule as a polynomial, against what the engine can multiply.

A sum-of-products engine computes ``dz = sum of S 2^e prod(factors)`` for weight z = w, tag t or delay d, once
per learning
epoch; factors are spikes (x0, y0), presynaptic traces (x1, x2), postsynaptic traces (y1, y2, y3), w, t, d and
constants.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field
from importlib import import_module

from chipsim.rules.declaration import Rule, RuleError
from chipsim.rules.products.grammar import EXPONENT_MAX, EXPONENT_MIN, MANTISSA_MAX

Polynomial = dict[tuple[str, ...], float]  # sorted factors -> coefficient
PRE_TRACES, POST_TRACES, STATES = ("x1", "x2"), ("y1", "y2", "y3"), ("t", "d")
GRID_ERROR = 0.02  # coefficients that miss by more are reported
ENGINE_IMPULSE = 64.0  # engine units of one impulse of a trace; the trace holds 7 bits
WEIGHT_CODES = 256
PEAK_TRACE, PEAKS = 127.0, {"x0": 1.0, "y0": 1.0, "w": 255.0, "t": 255.0, "d": 63.0}  # largest values of the registers
LEFT_OUT = 0.05  # a term below the smallest factor may be left out up to this share of the largest term
MAX_EPOCH_POWER = 9
FINE = 2.0 ** (EXPONENT_MIN + 3)  # coefficients from here up have a mantissa of at least three bits


class NotPolynomial(Exception):
    """A part that no sum of products can express; the text says which."""


@dataclass(frozen=True)
class Verdict:
    """runs: "runs", "runs with changes" or "cannot". reasons: why. export: engine text per variable ("dw",
    "dt")."""

    engine: str
    runs: str
    reasons: tuple[str, ...]
    export: dict[str, str | float | bool] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.engine}: {self.runs}" + "".join(f"\n  - {r}" for r in self.reasons)


def multiplied(a: Polynomial, b: Polynomial) -> Polynomial:
    """Product; a spike flag times itself is itself."""
    result: Polynomial = {}
    for left, c in a.items():
        for right, d in b.items():
            names = sorted(left + right)
            once = [n for k, n in enumerate(names) if n not in ("pre", "post") or n not in names[:k]]
            key = tuple(once)
            result[key] = result.get(key, 0.0) + c * d
    return result


def added(a: Polynomial, b: Polynomial, sign: float = 1.0) -> Polynomial:
    """a + sign b, without vanishing terms."""
    result = dict(a)
    for key, c in b.items():
        result[key] = result.get(key, 0.0) + sign * c
    return {k: c for k, c in result.items() if c != 0.0}


def polynomial(node: ast.expr, names: dict[str, Polynomial]) -> Polynomial:
    """An expression as a polynomial of local names."""
    if isinstance(node, ast.Constant):
        return {(): float(node.value)}  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return names.get(node.id, {(node.id,): 1.0})
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = polynomial(node.operand, names)
        return added({}, inner, -1.0) if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        a, b = polynomial(node.left, names), polynomial(node.right, names)
        if isinstance(node.op, ast.Add):
            return added(a, b)
        if isinstance(node.op, ast.Sub):
            return added(a, b, -1.0)
        if isinstance(node.op, ast.Mult):
            return multiplied(a, b)
        if isinstance(node.op, ast.Div) and set(b) <= {()} and b:
            return {k: c / b[()] for k, c in a.items()}
        if isinstance(node.op, ast.Pow) and set(b) <= {()} and b and b[()] in (1.0, 2.0, 3.0):
            result = a
            for _ in range(int(b[()]) - 1):
                result = multiplied(result, a)
            return result
        what = "divides by" if isinstance(node.op, ast.Div) else "takes a power of"
        raise NotPolynomial(f"{what} {ast.unparse(node.right if isinstance(node.op, ast.Div) else node.left)}")
    if isinstance(node, ast.Call):
        raise NotPolynomial(f"calls {ast.unparse(node.func)}()")
    raise NotPolynomial(f"decides on {ast.unparse(node)}")


def expand(body, names: dict[str, Polynomial]) -> None:
    """Carry the polynomials of all assigned names through the statements; spikes may guard blocks."""
    for s in body:
        if isinstance(s, ast.Assign):
            names[s.targets[0].id] = polynomial(s.value, names)  # type: ignore[attr-defined]
        elif isinstance(s, ast.If):
            if not (isinstance(s.test, ast.Name) and s.test.id in ("pre", "post")):
                raise NotPolynomial(f"decides on {ast.unparse(s.test)}")
            one, two, guard = dict(names), dict(names), {(s.test.id,): 1.0}
            expand(s.body, one)
            expand(s.orelse, two)
            for n in {*one, *two}:
                base = two.get(n, {(n,): 1.0})
                names[n] = added(base, multiplied(guard, added(one.get(n, {(n,): 1.0}), base, -1.0)))


def changes(rule: Rule) -> dict[str, Polynomial]:
    """Change of w and of each state per evaluation, as polynomials; raises `NotPolynomial`."""
    names: dict[str, Polynomial] = {n: {(): c} for n, c in rule.constants.items()}
    expand(rule.body, names)
    return {n: added(names[n], {(n,): 1.0}, -1.0) for n in rule.writes}


def assign_registers(rule: Rule, reasons: list[str]) -> dict[str, str]:
    """Engine names of the rule's variables; what does not fit is written to `reasons`."""
    table = {"pre": "x0", "post": "y0", "w": "w"}
    sides = {side: [n for n, t in rule.traces.items() if t.side == side] for side in ("pre", "post")}
    third = [n for n in rule.third if n in rule.reads]
    wanted = (
        ("presynaptic traces", sides["pre"], PRE_TRACES),
        ("postsynaptic traces and third factors", [*sides["post"], *third], POST_TRACES),
        ("synaptic states", list(rule.state), STATES),
    )
    for what, names, registers in wanted:
        if len(names) > len(registers):
            reasons.append(f"needs {len(names)} {what} ({', '.join(names)}); the engine has {len(registers)}")
        table.update(dict(zip(names, registers)))
    return table


def literal(value: float) -> tuple[str, float]:
    """A coefficient as mantissa times a power of two in the engine's range, and its relative error."""
    size, exponent = abs(value), EXPONENT_MIN
    while size * 2.0**-exponent > MANTISSA_MAX:
        exponent += 1
    mantissa = round(size * 2.0**-exponent)
    error = abs(mantissa * 2.0**exponent - size) / size
    while mantissa and mantissa % 2 == 0:
        mantissa, exponent = mantissa // 2, exponent + 1
    if mantissa == 0 or exponent > EXPONENT_MAX:
        raise NotPolynomial(
            f"needs the factor {value:.3g} in the engine's units; it has 2^{EXPONENT_MIN} to 7*2^{EXPONENT_MAX}"
        )
    return (f"2^{exponent}" if mantissa == 1 else f"{mantissa}*2^{exponent}"), error


def engine_units(rule: Rule) -> dict[str, float]:
    """What one unit of each name is in the engine's integers: weights and states by their step, traces by
    their impulse.

    Undeclared formats: the weight's range on 8 bits (bounds, or -1 to 1), states the weight's step, factors
    1.
    """
    low, high = rule.bounds
    span = high - low if math.isfinite(high - low) else 2.0
    step = rule.weight.step if rule.weight is not None else span / WEIGHT_CODES
    units = {"w": 1.0 / step, "pre": 1.0, "post": 1.0, **dict.fromkeys(rule.third, 1.0)}
    units.update({n: ENGINE_IMPULSE / abs(t.impulse or 1.0) for n, t in rule.traces.items()})
    units.update({n: 1.0 / (s.format.step if s.format is not None else step) for n, s in rule.state.items()})
    return units


def sum_of_products(rule: Rule) -> Verdict:
    """Verdict of a sum-of-products engine (Loihi), with the rule in its grammar where it can run."""
    engine, cannot, adapt = "sum of products", [], []
    registers = assign_registers(rule, cannot)
    if "v" in rule.reads or "psi" in rule.reads:
        cannot.append("reads the postsynaptic membrane, which the engine does not see")
    if rule.values:
        cannot.append(f"reads numbers ({', '.join(sorted(rule.values))}), where the engine has spikes and their traces")
    if rule.timed:
        cannot.append("is evaluated by phases, which the engine does not know")
    try:
        terms = changes(rule)
    except NotPolynomial as problem:
        return Verdict(engine, "cannot", (*cannot, f"{problem}, which no sum of products can"))
    if cannot:
        return Verdict(engine, "cannot", tuple(cannot))
    units = engine_units(rule)
    export: dict[str, str | float | bool] = {}
    scaled = {
        name: {k: c * units[name] / math.prod(units[f] for f in k) for k, c in change.items()}
        for name, change in terms.items()
    }
    power = epoch_power(scaled)
    for name, change in scaled.items():
        try:
            export[f"d{registers[name]}"] = engine_text(name, change, registers, power, adapt)
        except NotPolynomial as problem:
            return Verdict(engine, "cannot", (f"{name}: {problem}",))
    for name, t in rule.traces.items():
        if t.side == "pre" or not rule.third:
            export[f"{registers[name]}_impulse"] = ENGINE_IMPULSE
            export[f"{registers[name]}_tau"] = float(t.tau)
        if t.mode == "set":
            adapt.append(f"trace {name} is set by a spike; the engine adds, with saturation at 127")
    if rule.third:
        adapt.append(
            f"third factor {', '.join(rule.third)} has to be written to {registers[rule.third[0]]} of each "
            "neuron, an integer from 0 to 127; traces of the postsynaptic side then come from the neuron, too"
        )
        export["three_factor"] = True
    return Verdict(engine, "runs with changes" if adapt else "runs", tuple(adapt), export)


def epoch_power(changes_: dict[str, Polynomial]) -> int:
    """The K of the engine's one dependency uK (every 2^K-th epoch): large enough for the slowest spikeless
    term.
    """
    slow = [abs(c) for p in changes_.values() for f, c in p.items() if not {"pre", "post"} & set(f)]
    power = 0
    while slow and min(slow) * 2.0**power < FINE and power < MAX_EPOCH_POWER:
        power += 1
    return power


def largest(c: float, factors: tuple[str, ...], registers: dict[str, str]) -> float:
    """Largest magnitude of a term, with all its factors at the end of their registers."""
    return abs(c) * math.prod(PEAKS.get(registers[f], PEAK_TRACE) for f in factors)


def engine_text(name: str, change: Polynomial, registers: dict[str, str], power: int, adapt: list[str]) -> str:
    """The right side of ``dw = ...`` in the engine's grammar; adds to `adapt` what will differ."""
    parts = []
    most = max(largest(c, factors, registers) for factors, c in change.items())
    for factors, c in sorted(change.items()):
        spelled = [registers[f] for f in factors]
        product = "*".join(spelled) or "1"
        epoch = 0
        if not {"pre", "post"} & set(factors):
            epoch = power
            spelled.insert(0, f"u{epoch}")
            adapt.append(
                f"the change of {name} without a spike ({product}) happens every {2**epoch} steps "
                "(with epochs of one step), not in all"
            )
        try:
            text, error = literal(c * 2.0**epoch)
        except NotPolynomial as problem:
            if abs(c) > 1.0 or len(change) == 1:
                raise
            share = largest(c, factors, registers) / most
            if share > LEFT_OUT and not {"pre", "post"} <= set(factors):  # both spikes in one step are rare
                raise NotPolynomial(
                    f"{problem}, and its term {c:.2g}*{product} is up to {100 * share:.0f} % of the largest one; take "
                    "a larger learning rate or a finer weight"
                ) from None
            adapt.append(f"the term {c:.2g}*{product} of {name} is below the engine's smallest factor: left out")
            continue
        if error > GRID_ERROR:
            adapt.append(f"coefficient {c:.4g} of {product} becomes {text}, {100 * error:.0f} % off")
        spelled.sort(key=lambda f: f not in ("x0", "y0") and not f.startswith("u"))
        parts.append(f"{'-' if c < 0 else '+'} {text}*{'*'.join(spelled)}")
    if not parts:
        raise NotPolynomial("every term is below the engine's smallest factor; widen the weight's step or bounds")
    return " ".join(parts).removeprefix("+ ")


PROCESSORS = ("local", "processor", "float64")  # engines that run any declared rule


#: The translator into programs of a microcoded engine: it is written in the terms of this module, and named here.
MICROCODE = "chipsim.rules.microcode"


def microcode(rule: Rule) -> Verdict:
    """Verdict of a microcoded engine (`chipsim.rules.microcode`)."""
    return import_module(MICROCODE).microcode(rule)


PROGRAMMABLE = {"sum_of_products": sum_of_products, "three_factor": sum_of_products, "microcode": microcode}
BUILT_IN = {  # engines that run one rule of their own, and the shipped rules that are a form of it
    "sdsp": ("sdsp",),
    "eprop": ("eprop_light", "eprop_synapse"),
    "pes": ("delta",),
}


def verdict(rule: Rule, engine: str) -> Verdict:
    """Verdict of a learning engine by its name in a chip description."""
    if engine in PROCESSORS:
        return Verdict(engine, "runs", ())
    if engine in PROGRAMMABLE:
        found = PROGRAMMABLE[engine](rule)
        return Verdict(engine, found.runs, found.reasons, found.export)
    if engine in BUILT_IN and rule.name in BUILT_IN[engine]:
        return Verdict(
            engine,
            "runs with changes",
            (f"in the chip's own form of {engine}, its arithmetic and constants",),
        )
    if engine in BUILT_IN:
        return Verdict(engine, "cannot", (f"the engine runs {engine} only and takes no programs",))
    if engine:
        known = ", ".join((*PROCESSORS, *PROGRAMMABLE, *BUILT_IN))
        raise RuleError(f"no learning engine is called '{engine}'; there are {known}")
    return Verdict("none", "cannot", ("the chip has no learning engine",))


def best_verdict(rule: Rule, engines: tuple[str, ...]) -> Verdict:
    """The most favourable verdict among a chip's engines."""
    order = ("runs", "runs with changes", "cannot")
    found = [verdict(rule, e) for e in engines] or [verdict(rule, "")]
    return min(found, key=lambda v: order.index(v.runs))
