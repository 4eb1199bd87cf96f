"""XOR by perturbation, as an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way


class Ready(NamedTuple):
    """The way of perturbing, and the box that is perturbed (None: sigmoid units in float64)."""

    how: Any
    box: Any


def prepare(way: Way, size: Mapping[str, Any]) -> Ready:
    """The chip, compiled once for all seeds."""
    from .. import xor as task

    return Ready(getattr(task, way.settings["how"]), None if way.chip == "float" else task.XorChip(chip=way.chip))


def advance(ready: Ready, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Epochs up to `goal` in all, or until solved."""
    from .. import xor as task

    def step(epoch: int, cost: float) -> None:
        tell(epoch, f"seed {seed}, epoch {epoch}, cost {cost:.3g}")

    made = task.run_one(seed, ready.how, max_epochs=goal, box=ready.box, progress=step, resume=state)
    return Outcome(made, made.epochs is not None)


def rows(ran: Ran) -> list[Row]:
    """Epochs until solved, runs of the chip, last cost, what rounding and range took; warnings if any seed has one."""
    runs = ran.made.values()
    any_warns = any(r.warnings for r in runs)
    return [
        {"seed": r.seed, "epochs": r.epochs, "chip_runs": r.chip_runs, "cost": float(r.costs[-1]),
         "stalled": r.stalled, "saturated": r.saturated, **({"warnings": "; ".join(r.warnings)} if any_warns else {})}
        for r in runs
    ]  # fmt: skip


def figure(groups: Mapping[str, Ran]) -> Any:
    """Cost over epochs; with a chip, the spikes with which it answers."""
    from .. import xor as task
    from ..figures import xor_figure

    results = {name: task.XorResult(tuple(ran.made.values())) for name, ran in groups.items()}
    return xor_figure(results, on_chip=list(groups.values())[-1].ready.box is not None)


def _way(how: str, about: str, label: str, quick: tuple[int, ...] = ()) -> Way:
    chip, precision = ("float", "float64") if how == "FLOAT" else ("loihi", "chip, 8 bit")
    solved = Bar("epochs", ">=", 1.0, "all four outputs within 0.2 of their targets, in every seed", "share")
    return Way(about, label, precision, chip, {"how": how}, (solved,), Quick(quick, 1500, (solved,)) if quick else None)


EXPERIMENT = Experiment(
    name="xor-perturbation",
    about="XOR learnt by a network that is only run, perturbed, and run again",
    paper="Jabri & Flower 1992",
    ways={
        "float": _way("FLOAT", "float64 sigmoid units, weight after weight", "float64", (0, 1, 2)),
        "chip": _way("CHIP", "spiking neurons, 8-bit weights, weight after weight", "chip, 8 bit"),
        "parallel": _way("PARALLEL", "the same, all weights at once", "chip, all weights at once", (1,)),
        "nodes": _way("NODES", "the same, all nodes at once", "chip, all nodes at once", (0, 1)),
    },
    seeds=tuple(range(12)), iterations=5000, unit="epochs", key="epochs", cpu_seconds=3,
    prepare=prepare, advance=advance, seen=lambda state: len(state["costs"]) - 1, rows=rows, figure=figure,
)  # fmt: skip
