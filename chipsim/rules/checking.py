"""The self-test of a declared rule: kernel against reference, threads and order, gradient, locality, cost,
verdict."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.rules.costs import Cost, cost
from chipsim.rules.declaration import EVALUATES, Rule, RuleError, Trace
from chipsim.rules.plastic import Plastic
from chipsim.rules.reference import reference_step
from chipsim.rules.verdicts import Verdict, sum_of_products

STEPS, N_PRE, N_POST, RATE = 60, 7, 5, 0.2
TOLERANCE = 1e-12  # exp and pow of two libraries may differ in the last bit; plain arithmetic is equal


@dataclass(frozen=True)
class Report:
    """Outcome of `check`. passed: all tests; difference: largest relative gap of kernel and reference."""

    rule: str
    passed: bool
    difference: float
    lines: tuple[str, ...]
    cost: Cost
    verdict: Verdict

    def __str__(self) -> str:
        return "\n".join((f"rule {self.rule}: {'passed' if self.passed else 'FAILED'}", *self.lines, str(self.verdict)))


def random_inputs(rule: Rule, seed: int):
    """Spikes, membranes, third factors of a short random run."""
    rng = np.random.default_rng(seed)
    third = rng.normal(size=(STEPS, len(rule.third), N_POST))
    v = rng.normal(1.0, 0.5, size=(STEPS, N_POST))
    pre, post = rng.random((STEPS, N_PRE)) < RATE, rng.random((STEPS, N_POST)) < RATE
    if "r_pre" in rule.values:
        pre = pre * rng.normal(size=pre.shape)
    if "r_post" in rule.values:
        post = post * rng.normal(size=post.shape)
    return pre, post, v, third


def passing(rule: Rule, v: np.ndarray, t: int) -> dict[str, Any]:
    """What else a step of a random run hands to a rule: slope and potential, and what the step is to its phases."""
    if not rule.values and not rule.timed:
        return {}
    return {
        "slope": v[t] ** 2,
        "u": v[t],
        "phase": 1.0 - 2.0 * (t // 4 % 2),
        "when": int(2 * (t % 3 != 1) + (t % 4 == 3)),
    }


def start_weights(rule: Rule, seed: int) -> np.ndarray:
    """Random weights inside the bounds."""
    low, high = rule.bounds
    form = rule.weight
    if form is not None:
        low, high = max(low, form.low), min(high, form.high)
    low, high = max(low, -1.0) if np.isfinite(low) else -1.0, min(high, 1.0) if np.isfinite(high) else 1.0
    return np.random.default_rng(seed).uniform(low, high, size=(N_POST, N_PRE))


def compare(rule: Rule, seed: int = 0) -> float:
    """Largest relative difference of kernel and reference over a random run."""
    fast = Plastic(rule, start_weights(rule, seed), seed=seed)
    slow = copy.copy(fast)
    for name in ("w", "syn", "pre_vars", "post_vars"):
        setattr(slow, name, getattr(fast, name).copy())
    pre, post, v, third = random_inputs(rule, seed)
    threshold = np.ones(N_POST)
    worst = 0.0
    for t in range(STEPS):
        more = passing(rule, v, t)
        fast.step(pre[t], post[t], v=v[t], threshold=threshold, third=dict(zip(rule.third, third[t])), **more)
        factors = np.array([*third[t], *(np.full(N_POST, more[n]) for n in rule.factors[len(rule.third) :])])
        slow.take_values({"r_pre": pre[t], "r_post": post[t], **more} if more else {})
        reference_step(rule, slow, pre[t] != 0, post[t] != 0, v[t], threshold, factors)
        slow.step_index += 1
        for name in ("w", "syn", "pre_vars", "post_vars"):
            a, b = getattr(fast, name).astype(float), getattr(slow, name).astype(float)
            if a.size:
                gap = np.abs(a - b).max() / max(1.0, float(np.abs(b).max()))
                worst = max(worst, gap if np.isfinite(gap) else np.inf)
    return float(worst)


def order_free(rule: Rule, seed: int = 0) -> bool:
    """Whether a run stopped and resumed from a checkpoint ends on the same bits."""
    pre, post, v, third = random_inputs(rule, seed)

    def run(cut: int | None) -> np.ndarray:
        p = Plastic(rule, start_weights(rule, seed), seed=seed)
        for t in range(STEPS):
            if t == cut:
                saved = p.checkpoint()
                p = Plastic(rule, start_weights(rule, seed + 1), seed=seed + 1)
                p.restore(saved)
            p.step(pre[t], post[t], v=v[t], threshold=1.0, third=dict(zip(rule.third, third[t])), **passing(rule, v, t))
        return p.weights

    return bool(np.array_equal(run(None), run(STEPS // 2)))


def stays_within(rule: Rule, seed: int = 0) -> bool:
    """Whether every weight of a random run is finite, inside the bounds and a multiple of the format's step."""
    pre, post, v, third = random_inputs(rule, seed)
    p = Plastic(rule, start_weights(rule, seed), seed=seed)
    (low, high), form = rule.bounds, rule.weight
    for t in range(STEPS):
        p.step(pre[t], post[t], v=v[t], threshold=1.0, third=dict(zip(rule.third, third[t])), **passing(rule, v, t))
        w = p.weights
        if not np.all(np.isfinite(w)) or np.any((w < low) | (w > high)):
            return False
        if form is not None and not np.array_equal(w / form.step, np.rint(w / form.step)):
            return False
    return True


def gradient_cosine(rule: Rule, seed: int = 0) -> float:
    """Cosine of the rule's weight change with descent, where its third factor is the error of a linear
    readout.

    The postsynaptic unit sums its filtered inputs, u_j = sum_i w_ji x_i with the rule's first presynaptic
    trace; the loss
    is sum_t (u - target)^2/2 and the third factor is target - u of fixed weights. psi and v are held at
    threshold.
    """
    rng = np.random.default_rng(seed)
    start = start_weights(rule, seed) * 0.1
    p = Plastic(rule, start, seed=seed)
    before = p.weights
    trace = next((n for n, t in rule.traces.items() if t.side == "pre"), None)
    pre, _, _, _ = random_inputs(rule, seed)
    target = rng.normal(size=N_POST)
    descent = np.zeros_like(before)
    shadow = np.zeros(N_PRE)
    t_rule = Trace("pre", 1e-3, seen="after") if trace is None else rule.traces[trace]  # without one: what is sent now
    more = {"slope": 1.0, "u": 0.0, "when": EVALUATES} if rule.values or rule.timed else {}
    for t in range(STEPS):
        shadow = np.exp(-1.0 / t_rule.tau) * shadow
        seen = shadow + t_rule.impulse * pre[t] if t_rule.seen == "after" else shadow
        error = target - before @ seen
        descent += np.outer(error, seen)
        shadow = shadow + t_rule.impulse * pre[t]
        p.step(pre[t], np.zeros(N_POST), v=1.0, threshold=1.0, third=dict.fromkeys(rule.third, error), **more)
    change = p.weights - before
    return float((change * descent).sum() / (np.linalg.norm(change) * np.linalg.norm(descent) + 1e-300))


def check(rule: Rule, seed: int = 0) -> Report:
    """Run the self-test of a declared rule and say what was found.

    Tests: kernel = NumPy reference over a random run; checkpoint and resume end on the same bits; weights
    stay on their
    grid and in bounds; a rule that claims to follow a gradient has a positive cosine with it.
    """
    if not isinstance(rule, Rule):
        raise RuleError(f"check takes a declared rule (cs.rules), not {type(rule).__name__}")
    difference = compare(rule, seed)
    resumed = order_free(rule, seed)
    passed = difference <= TOLERANCE and resumed
    lines = [
        f"kernel = reference to {difference:.1e} over {STEPS} steps"
        + ("" if difference <= TOLERANCE else "  <-- FAILED"),
        "resume from a checkpoint: " + ("same bits" if resumed else "DIFFERENT"),
        "visits "
        + ("synapses of spiking neurons" if rule.event_driven else f"all synapses every {rule.every} step(s)"),
    ]
    if rule.follows_gradient:
        cosine = gradient_cosine(rule, seed)
        passed = passed and cosine > 0.0
        lines.append(f"cosine with descent on a linear readout: {cosine:.3f}")
    held = stays_within(rule, seed)
    passed = passed and held
    low, high = rule.bounds
    grid = "" if rule.weight is None else f", multiples of {rule.weight.step:g}"
    lines += [
        f"weights in {low:g}..{high:g}{grid}" + ("" if held else "  <-- FAILED"),
        f"local: reads {', '.join(sorted(rule.reads - set(rule.constants)))}",
    ]
    c = cost(rule)
    lines.append(
        f"costs {c.multiplies} multiplies, {c.adds} adds, {c.reads} reads, {c.writes} writes per update; "
        f"{c.bits_per_synapse} bits per synapse, {c.bits_per_pre} per pre-, {c.bits_per_post} per "
        f"postsynaptic neuron"
    )
    return Report(rule.name, passed, difference, tuple(lines), c, sum_of_products(rule))
