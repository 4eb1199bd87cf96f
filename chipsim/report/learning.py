"""What learning did and cost in a run, projection by projection, for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.estimate.timing import seconds
from chipsim.rules.carried import rule_state
from chipsim.rules.costs import cost
from chipsim.rules.declaration import Rule
from chipsim.rules.products.rule import SumOfProducts

if TYPE_CHECKING:
    from chipsim.run.record import Run


def learning(result: Run, estimate: Any) -> dict[str, Any] | None:
    """The section, or None where nothing can learn.

    "projections": memory, acts, operations and warnings of each; "acts": totals of the run; "memory_bits": of all
    weights that learn and their state, as the mapper counts it. "energy_J", "time_s" of all learning,
    "energy_per_update_J", "time_per_update_s" of one update, "inference_J" of all other events: None where the chip
    has no costs, a lower bound where `unknown` is not empty.
    """
    reports = result.learning
    if not reports:
        return None
    images = {p.name: p for p in result.program.projections}
    rows = [_row(result, images[name], report) for name, report in reports.items()]
    updates = int(result.activity.learning["synapse_update"].sum())
    data = {
        "projections": rows,
        "acts": {act: int(count.sum()) for act, count in result.activity.learning.items()},
        "updates": updates,
        "memory_bits": sum(r["memory_bits"] for r in rows),
        "warnings": [f"{r['name']}: {text}" for r in rows for text in r["warnings"]],
    }
    return data | _price(estimate, updates)


def _price(estimate: Any, updates: int) -> dict[str, Any]:
    names = ("energy_J", "time_s", "energy_per_update_J", "time_per_update_s", "inference_J")
    if estimate is None:
        return {**dict.fromkeys(names), "unknown": ["the chip has no published costs"]}
    energy = float(estimate.energy["learning"])
    stages, counts = estimate.costs.learning, estimate.counts.learning
    time = float(sum(count.sum() * seconds(stages, act) for act, count in counts.items()))
    each = (None, None) if not updates else (energy / updates, time / updates)
    values = (energy, time, *each, estimate.dynamic_energy - energy)
    return dict(zip(names, values)) | {"unknown": [u for u in estimate.unknown if u.startswith("learning.")]}


def _row(result: Run, image: Any, report: Any) -> dict[str, Any]:
    from chipsim.program.fan_out import pattern

    state = rule_state(image.rule)
    synapses = int(pattern(image).nnz)
    memory = _memory(result.program, image, state, pattern(image))
    operations = operations_of(image.rule)
    return {
        "name": image.name,
        "rule": report.rule,
        "synapses": synapses,
        "bits_per_synapse": state["synapse"],
        "bits_per_pre": state["pre"],
        "bits_per_post": state["post"],
        "memory_bits": memory,
        "steps": report.steps,
        "updates": report.updates,
        "changed": report.changed,
        "stalled": report.stalled,
        "saturated": report.saturated,
        "not_finite": report.not_finite,
        "at_bound": report.at_bound,
        "mean_before": report.before[0],
        "mean_after": report.after[0],
        "operations_per_update": operations,
        "operations": None if operations is None else {k: v * report.updates for k, v in operations.items()},
        "warnings": report.warnings,
    }


def _memory(program: Any, image: Any, state: dict[str, int], held: Any) -> int:
    """Bits on all cores: every core keeps the traces of the axons that reach it."""
    post = program.populations[image.post]
    core = program.column[post.start : post.stop]
    pre = np.repeat(np.arange(held.shape[1]), np.diff(held.indptr))
    copies = np.unique(np.stack([core[held.indices], pre]), axis=1).shape[1]
    neurons = int(np.isin(core, core[held.indices]).sum())
    return state["synapse"] * held.nnz + state["pre"] * copies + state["post"] * neurons


def operations_of(rule: Any) -> dict[str, float] | None:
    """Multiplies and adds (with compares) of one evaluation; None for rules whose kernel is the chip's or the host's.

    A declared rule is evaluated at a synapse; a sum of products product by product, of which this is the mean.
    """
    if isinstance(rule, Rule):
        c = cost(rule)
        return {"multiplies": float(c.multiplies + c.functions), "adds": float(c.adds + c.compares)}
    inner = getattr(rule, "rule", rule)
    if isinstance(inner, SumOfProducts):
        found, n = inner.operations(), max(len(inner.products), 1)
        return {"multiplies": found["multiply"] / n, "adds": (found["add"] + found["shift"]) / n}
    return None
