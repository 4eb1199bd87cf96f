"""What a report says, as plain data: the same for the page, report.json and the command line."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.errors import ChipsimError
from chipsim.native.synapses import Conv

from .learning import learning

if TYPE_CHECKING:
    from chipsim.run.record import Run

COUNTERS = ("spikes", "packets_out", "packets_in", "synaptic_events", "updates_active", "updates_idle")
#: What the second count of losses is on chips that lose something else than input sums, by family.
OVERFLOWS = {
    "odin": ("dropped spikes", "spikes that met a full FIFO, all populations together"),
    "tinyodin": ("dropped spikes", "spikes that met a full FIFO, all populations together"),
    "truenorth": ("lost packets", "packets that came in the cycle in which their core clears its scheduler"),
    "catalyst": ("lost", "spikes beyond 64 a core, packets at full queues, delays given up, all populations together"),
    "reckon": ("wrapped resets", "resets by subtraction beyond 16 bits"),
}
DIRECTIONS = ("east", "west", "north", "south")


def collect(result: Run, **estimate_options: Any) -> tuple[dict[str, Any], Any]:
    """Everything the report states about `result`, and its estimate (None where the chip has no costs).

    Parameters
    ----------
    **estimate_options
        cost_set, timing, steps_per_inference of `Result.estimate`.

    Returns
    -------
    data : dict
        Sections run, chip, populations, projections, mapping, activity, losses, learning (None where nothing learns),
        quantise, estimate.
    estimate : Estimate or None
    """
    estimate, reason = _estimate(result, estimate_options)
    data = {
        "run": _run(result),
        "chip": _chip(result),
        "populations": populations(result),
        "projections": projections(result),
        "mapping": mapping(result),
        "activity": _activity(result),
        "losses": losses(result),
        "learning": learning(result, estimate),
        "quantise": result.program.stages.get("quantise"),
        "loaded": result.program.stages.get(result.program.chip.family),
        "estimate": {"missing": reason} if estimate is None else summary(estimate),
    }
    return data, estimate


def _estimate(result: Run, options: dict[str, Any]) -> tuple[Any, str]:
    """The estimate, or None and why there is none; a wrong option is the caller's error and is raised."""
    from chipsim.estimate.estimate import estimate_result

    if not result.program.chip.costs and not options:
        return None, f"chip '{result.program.chip.name}' has no published costs"
    return estimate_result(result, **options), ""


def versions() -> dict[str, str]:
    """Versions of chipsim, Python and the libraries that compute."""
    from chipsim import __version__

    found = {"chipsim": __version__, "python": platform.python_version()}
    for name in ("numpy", "numba", "scipy", "h5py"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _run(result: Run) -> dict[str, Any]:
    program = result.program
    return {
        "program": program.name,
        "steps": result.steps,
        "first_step": result.first_step,
        "dt_s": program.dt,
        "seed": program.seed,
        "arithmetic": asdict(program.arithmetic),
        "versions": versions(),
        "machine": f"{platform.machine()}, {sys.platform}",
    }


def _chip(result: Run) -> dict[str, Any]:
    chip = result.program.chip
    top = chip.topology
    out = {"name": chip.name, "title": chip.title, "family": chip.family, "note": chip.note}
    if top is not None:
        out |= {"width": top.width, "height": top.height, "cores_per_tile": top.cores_per_tile}
    return out


def populations(result: Run) -> list[dict[str, Any]]:
    """Name, model, size, cores, mean rate and losses of each population."""
    program, rates = result.program, result.rates()
    out = []
    for image in program.populations:
        cores = np.unique(program.core[image.start : image.stop])
        rate = rates[image.name]
        out.append(
            {
                "name": image.name,
                "model": repr(image.model),
                "input": bool(image.model.is_input),
                "n": image.n,
                "cores": [int(c) for c in cores if c >= 0],
                "spikes": round(float(rate.sum()) * result.steps),
                "rate_per_step": float(rate.mean()),
                "silent": int(np.count_nonzero(rate == 0)),
                "clipped": int(result.activity.clipped.get(image.name, 0)),
                "overflowed": int(result.activity.overflowed.get(image.name, 0)),
            }
        )
    return out


def projections(result: Run) -> list[dict[str, Any]]:
    """Name, ends, kind, number of synapses and delays of each projection."""
    from chipsim.program.fan_out import pattern

    out = []
    for p in result.program.projections:
        synapses = p.synapses
        kind = "convolution" if isinstance(synapses, Conv) else type(synapses).__name__.lower()
        matrix = getattr(synapses, "mantissa", getattr(synapses, "weights", None))
        if matrix is not None:
            kind = "sparse" if hasattr(matrix, "indptr") else "dense"
        out.append(
            {
                "name": p.name,
                "pre": result.program.populations[p.pre].name,
                "post": result.program.populations[p.post].name,
                "kind": kind,
                "synapses": _count(pattern, p),
                "bits": getattr(synapses, "chip_bits", getattr(synapses, "bits", None)),
                "exponent": getattr(synapses, "exponent", None),
                "max_delay": int(getattr(synapses, "max_delay", 0)),
                "rule": None if p.rule is None else type(p.rule).__name__,
            }
        )
    return out


def _count(pattern: Any, projection: Any) -> int | None:
    synapses = projection.synapses
    shaped = hasattr(synapses, "mantissa") or hasattr(synapses, "weights") or isinstance(synapses, Conv)
    return int(pattern(projection).nnz) if shaped else None


def mapping(result: Run) -> dict[str, Any]:
    """Cores in use, the allocation's table and limits, and the share of every limit in use per core."""
    program = result.program
    table = dict((program.stages.get("allocate") or {}).get("table") or {})
    limits = dict((program.stages.get("allocate") or {}).get("limits") or {})
    if not table:
        neurons = _neurons_per_core(program)
        table = {"core": program.cores.tolist(), "neurons": neurons.tolist()}
        limits = {"neurons": program.chip.limits.neurons}
    shares = {
        name: [v / limits[name] for v in values]
        for name, values in table.items()
        if (limits.get(name) or 0) > 1 and max(values, default=0) > 0
    }
    counted = {name: values for name, values in table.items() if min(values, default=0) >= 0}
    chips = np.unique(program.cores // program.chip.topology.cores).size if program.cores.size else 0
    return {
        "cores_used": len(program.cores),
        "cores_of_chip": program.chip.limits.cores or program.chip.topology.cores,
        "chips_used": int(chips),
        "table": counted,
        "limits": limits,
        "utilisation": shares,
        "stages": {k: v for k, v in program.stages.items() if k in ("partition", "place") and _small(v)},
    }


def _small(value: Any) -> bool:
    return isinstance(value, dict) and len(repr(value)) < 4000


def _neurons_per_core(program: Any) -> np.ndarray:
    on = np.concatenate([np.full(p.n, not p.model.is_input) for p in program.populations])
    return np.bincount(program.column[on & (program.column >= 0)], minlength=len(program.cores))


def _activity(result: Run) -> dict[str, Any]:
    totals = result.activity.totals()
    return {
        "totals": totals,
        "per_step": {name: totals[name] / max(result.steps, 1) for name in COUNTERS},
        "waiting_most": int(result.activity.waiting.max(initial=0)),
    }


def losses(result: Run) -> list[dict[str, Any]]:
    """Everything that was cut, clipped or dropped, one record each; empty if nothing was."""
    activity = result.activity
    found = [("clipped", name, n, "voltages clipped at their bounds") for name, n in activity.clipped.items()]
    usual = ("overflowed", "currents or input sums beyond their bits")
    kind, meaning = OVERFLOWS.get(result.program.chip.family, usual)
    found += [(kind, name, n, meaning) for name, n in activity.overflowed.items()]
    for p in result.program.projections:
        found.append(("weights clipped", p.name, int(getattr(p.synapses, "clipped", 0)), "weights beyond the bits"))
    found.append(("dropped input", "all inputs", activity.dropped_input, "input spikes after the last step"))
    return [{"kind": k, "where": w, "count": int(n), "meaning": m} for k, w, n, m in found if n]


def summary(estimate: Any) -> dict[str, Any]:
    """The estimate as plain data without its per-step lists (those are in steps.csv)."""
    data = estimate.to_dict()
    return {k: v for k, v in data.items() if k not in ("energy_by_step_J", "step_time_s")}


def step_table(result: Run, estimate: Any) -> dict[str, np.ndarray]:
    """One column per counter, one row per step."""
    activity = result.activity
    table: dict[str, np.ndarray] = {"step": np.arange(result.steps) + result.first_step}
    table["input_spikes"] = activity.input_spikes
    table |= {name: getattr(activity, name).sum(axis=1) for name in COUNTERS}
    table |= {f"hops_{d}": activity.hops[:, k] for k, d in enumerate(DIRECTIONS)}
    table["waiting"] = activity.waiting
    table |= {f"learning_{act}": count for act, count in activity.learning.items()}
    if estimate is not None:
        table["time_s"] = estimate.step_time
        lines = {k: _column(v, result.steps) for k, v in estimate.energy_steps.items()}
        table |= {f"energy_{k}_J": v for k, v in lines.items() if v.any()}
    return table


def core_table(result: Run, estimate: Any) -> dict[str, np.ndarray]:
    """One column per counter and energy line, one row per core in use."""
    program, activity = result.program, result.activity
    top = program.chip.topology
    tile = activity.cores.astype(np.int64) // top.cores_per_tile
    table: dict[str, np.ndarray] = {
        "core": activity.cores,
        "tile_x": tile // top.height,
        "tile_y": tile % top.height,
    }
    table["neurons"] = _neurons_per_core(program)
    table |= {name: getattr(activity, name).sum(axis=0)[: len(activity.cores)] for name in COUNTERS}
    held = ((program.stages.get("allocate") or {}).get("table") or {}).get("learning_bits")
    if held is not None and max(held, default=0) > 0:
        table["learning_bits"] = np.asarray(held)
    if estimate is not None:
        lines = {k: np.asarray(v, float) for k, v in estimate.energy_cores.items()}
        table |= {f"energy_{k}_J": v for k, v in lines.items() if v.shape == table["neurons"].shape}
    return table


def _column(values: Any, steps: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, float), (steps,))


def csv_text(table: Mapping[str, np.ndarray]) -> str:
    """A table as comma-separated text with a header; floats in full."""
    columns = [np.asarray(v).tolist() for v in table.values()]
    rows = [",".join(map(repr, row)) for row in zip(*columns)]
    return "\n".join([",".join(table), *rows, ""])


def link_loads(result: Run) -> np.ndarray | None:
    """Packets over the links of each tile, (tiles, 4), or None for a chip without a mesh."""
    from chipsim.estimate.traffic import link_loads as count_links
    from chipsim.estimate.work import spikes_of

    if result.program.chip.topology is None or not len(result.program.cores):
        return None
    try:
        return count_links(result.program.chip, spikes_of(result, False))
    except ChipsimError:
        # A family whose packets take no mesh has no links to show.
        return None
