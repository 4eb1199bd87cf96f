"""Where the numbers of an estimate come from, and the forms in which people read it: table, text, plain
data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.text import human

from .costing import Priced
from .timing import STAGES
from .traffic import fan_hops

_ACTS = {
    "synapse": "synaptic events",
    "dendrite": "synaptic events",
    "soma_access": "neurons handled",
    "soma_update": "neuron updates",
    "soma_spike": "spikes",
    "axon_out": "packets sent",
    "axon_in": "packets received",
    "chip_to_chip": "chip borders passed",
    "barrier": "steps",
    "cycle": "clock cycles",
    "static_power": "seconds",
    "active_core_power": "core-seconds",
    "host_power": "seconds",
}


def _act(path: str) -> str:
    if path.startswith("hop_"):
        return "hops"
    if path.startswith("learning."):
        return path.split(".")[1].replace("_", " ") + "s"
    return _ACTS[path.split(".")[0]]


def unknown(est: Priced) -> tuple[str, ...]:
    """What the run did that has no published cost, one sentence per constant."""
    out = []
    for item in est.items:
        acts = item.count.sum()
        if item.value is None and acts > 0:
            out.append(f"{item.path}: not published ({acts:.4g} {_act(item.path)} counted as 0 J)")
    if est.timing.cycles is not None:
        return tuple(out)
    for path, acts in _timed(est):
        if acts > 0 and est.costs.constants().get(path) is None:
            out.append(f"{path}: not published ({acts:.4g} {_act(path)} counted as 0 s)")
    if est.costs.barrier is None:
        out.append("barrier.time: not published (steps take no time to synchronise)")
    return tuple(out)


def _timed(est: Priced) -> list[tuple[str, float]]:
    """Acts whose time enters the timing, by path of the constant."""
    c = est.counts
    acts = [
        ("soma_access", c.accesses),
        ("soma_update", c.updates),
        ("soma_spike", c.fires),
        ("axon_out", c.packets_out),
        ("axon_in", c.packets_in),
        ("synapse", c.events),
        ("dendrite", c.events),
    ]
    return [(f"{name}.time", float(count.sum())) for name, count in acts]


def sources(est: Priced) -> list[dict[str, Any]]:
    """One record per constant in use, largest share of the energy first, those of time after them."""
    total = est.total_energy
    constants = est.costs.constants()
    out = []
    for item in est.items:
        constant = constants.get(item.path)
        if constant is None:
            continue
        out.append(
            {
                "constant": item.path,
                "value": constant.value,
                "unit": constant.unit,
                "status": constant.status,
                "source": constant.source,
                "acts": float(item.count.sum()),
                "energy": item.total,
                "share": item.total / total if total else 0.0,
            }
        )
    out.sort(key=lambda record: -record["energy"])
    return out if est.timing.cycles is not None else out + _time_sources(est)


def _time_sources(est: Priced) -> list[dict[str, Any]]:
    """Seconds that each time constant contributes on the busiest core of each step, and the barrier."""
    column, stage = est.timing.bottleneck
    c, t = est.counts, np.arange(est.counts.steps)
    constants = est.costs.constants()
    acts = {
        "soma_access": (c.accesses, 0),
        "soma_update": (c.updates, 0),
        "soma_spike": (c.fires, 0),
        "axon_out": (c.packets_out, 0),
        "axon_in": (c.packets_in, 1),
        "synapse": (c.events, 1),
        "dendrite": (c.events, 1),
    }
    found = []
    for name, (count, of) in acts.items():
        constant = constants.get(f"{name}.time")
        if constant is not None and count.shape[1]:
            found.append((f"{name}.time", constant, float((count[t, column] * (stage == of)).sum())))
    if est.costs.barrier is not None and est.timing.barrier > 0:
        used = [p for p in constants if p.startswith("barrier.time") and constants[p] is not None]
        near = min(used, key=lambda p: abs(constants[p].si - est.timing.barrier))  # type: ignore[union-attr]
        found.append((near, constants[near], float(est.counts.steps)))
    out = [
        {
            "constant": path,
            "value": k.value,
            "unit": k.unit,
            "status": k.status,
            "source": k.source,
            "acts": acts_,
            "time": acts_ * k.si,
            "share": acts_ * k.si / est.latency if est.latency else 0.0,
        }
        for path, k, acts_ in found
        if k is not None
    ]
    return sorted(out, key=lambda record: -record["time"])


def by_population(est: Priced) -> dict[str, dict[str, float]]:
    """Joules by population: "soma" of its neurons, and packets, hops and synaptic events that its spikes cause.

    Without a record of the active neurons, the updates of a core are shared evenly among its neurons.
    """
    spikes = est.spikes
    if spikes is None or est.members is None:
        return {}
    e = {item.path.split(".")[0]: item.value or 0.0 for item in est.items}
    own = np.repeat(np.arange(len(spikes.core)), np.diff(spikes.fan_start))
    sent = spikes.core >= 0
    hop_cost = fan_hops(est.chip, spikes) @ np.array([e[f"hop_{d}"] for d in ("east", "west", "north", "south")])
    packet = e["axon_in"] + e["axon_out"] * sent[own] + hop_cost
    events, network = (np.bincount(own, weights=w, minlength=len(sent)) for w in (spikes.fan_synapses, packet))
    fired = np.bincount(spikes.neuron, minlength=len(sent))
    costly = sent & ~np.asarray(spikes.free, bool)
    updates = _updates(spikes, fired) if len(spikes.active) else _shared_updates(est, spikes.core, costly)
    lines = {
        "synapse": events * fired * e["synapse"],
        "dendrite": events * fired * e["dendrite"],
        "soma": costly * (est.counts.steps * e["soma_access"] + updates * e["soma_update"] + fired * e["soma_spike"]),
        "network": network * fired,
    }
    sums = {line: np.bincount(est.members, weights=v, minlength=len(est.names)) for line, v in lines.items()}
    return {name: {line: float(v[p]) for line, v in sums.items()} for p, name in enumerate(est.names)}


def _updates(spikes: Any, fired: np.ndarray) -> np.ndarray:
    """Steps in which each neuron was active or fired, (n,)."""
    n = len(spikes.core)
    total = np.zeros(n, np.int64)
    for t in range(len(spikes.start) - 1):
        on = np.unpackbits(spikes.active[t], bitorder="little", count=n)
        on[spikes.neuron[spikes.start[t] : spikes.start[t + 1]]] = 1
        total += on
    return total


def _shared_updates(est: Priced, core: np.ndarray, costly: np.ndarray) -> np.ndarray:
    """Updates of each core divided by its neurons, (n,)."""
    if not len(est.counts.cores):
        return np.zeros(len(core))
    column = np.searchsorted(est.counts.cores, np.where(costly, core, est.counts.cores[0]))
    size = np.bincount(column[costly], minlength=len(est.counts.cores))
    return np.where(costly, (est.counts.updates.sum(axis=0) / np.maximum(size, 1))[column], 0.0)


def summary(est: Priced) -> dict[str, Any]:
    """The figures people ask for first."""
    step = est.step_time
    core, stage = est.bottleneck
    return {
        "chip": est.chip.name,
        "cost_set": est.cost_set,
        "timing": est.timing.model,
        "steps": est.counts.steps,
        "total_energy_J": est.total_energy,
        "dynamic_energy_J": est.dynamic_energy,
        "latency_s": est.latency,
        "edp_Js": est.edp,
        "step_mean_s": float(step.mean()) if step.size else 0.0,
        "step_median_s": float(np.median(step)) if step.size else 0.0,
        "step_worst_s": float(step.max(initial=0.0)),
        "worst_step": int(step.argmax()) if step.size else -1,
        "barrier_s": est.timing.barrier,
        "bottleneck_core": core,
        "bottleneck_stage": stage,
        "worst_link": est.worst_link,
        "network_latency_s": est.network_latency,
        "inference": est.inference,
        "complete": not unknown(est),
    }


def to_dict(est: Priced) -> dict[str, Any]:
    """Plain data: summary, energy by line, core, population and step, time by step, sources, unknown."""
    return {
        **summary(est),
        "energy_J": dict(est.energy),
        "energy_groups_J": {group: est.energy[group] for group in ("network", "learning", "dynamic")},
        "energy_by_core_J": {
            "core": est.counts.cores.tolist(),
            **{line: np.asarray(v).tolist() for line, v in est.energy_cores.items()},
        },
        "energy_by_population_J": est.energy_populations,
        "energy_by_step_J": {line: np.asarray(v).tolist() for line, v in est.energy_steps.items()},
        "step_time_s": est.step_time.tolist(),
        "sources": sources(est),
        "unknown": list(unknown(est)),
    }


def table(est: Priced) -> Any:
    """Energy by line as a rich table that prints as text; the caption says what is unknown."""
    from chipsim.printed_table import PrintedTable

    bound = ">= " if unknown(est) else ""
    out = PrintedTable(title=f"{est.chip.title}: {bound}{human(est.total_energy, 'J')} in {human(est.latency, 's')}")
    for name, justify in (("line", "left"), ("energy", "right"), ("share", "right"), ("status", "left")):
        out.add_column(name, justify=justify)  # type: ignore[arg-type]
    status: dict[str, set[str]] = {}
    constants = est.costs.constants()
    for item in est.items:
        constant = constants.get(item.path)
        if item.count.sum() > 0:
            status.setdefault(item.line, set()).add(constant.status if constant else "unknown")
    for line in dict.fromkeys(item.line for item in est.items):
        joules = est.energy.get(line, 0.0)
        share = joules / est.total_energy if est.total_energy else 0.0
        said = ", ".join(sorted(status.get(line, {"no events"})))
        shown = human(joules, "J") if line in est.energy else "unknown"
        out.add_row(line, shown, f"{share:.1%}", said)
    if unknown(est):
        out.caption = "not published: " + ", ".join(sorted({u.split(":")[0] for u in unknown(est)}))
    return out


def text(est: Priced) -> str:
    """A few lines: totals, pace, the largest constants, what is unknown."""
    s = summary(est)
    bound = "at least " if unknown(est) else ""
    lines = [
        f"{est.chip.title}, costs {est.cost_set}, timing {s['timing']}: "
        f"{bound}{human(s['total_energy_J'], 'J')} (events {human(s['dynamic_energy_J'], 'J')}) "
        f"in {human(s['latency_s'], 's')} for {s['steps']} steps",
        f"a step takes {human(s['step_mean_s'], 's')} on average, {human(s['step_worst_s'], 's')} at worst; "
        f"core {s['bottleneck_core']} sets the pace with its {s['bottleneck_stage']}",
    ]
    top = [r for r in sources(est) if "energy" in r and r["energy"] > 0][:3]
    lines += [
        f"  {r['share']:.0%} {r['constant']} {r['value']:g} {r['unit']} ({r['status']}: {r['source']})" for r in top
    ]
    return "\n".join(lines + [f"  unknown: {u}" for u in unknown(est)])


__all__ = ["STAGES", "by_population", "sources", "summary", "table", "text", "to_dict", "unknown"]
