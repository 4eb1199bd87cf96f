"""Evidence accumulation by e-prop, as an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way

FRESH = 128  #: trials after learning


class Ready(NamedTuple):
    """The lengths of the task, the precision (None: float64) and the chip."""

    size: Any
    precision: Any
    chip: str


def prepare(way: Way, size: Mapping[str, Any]) -> Ready:
    """The full task, or the small one."""
    from .. import evidence_accumulation as task

    formats = way.settings.get("formats")
    precision = None if formats is None else task.chip_precision(**formats)
    return Ready(task.SMALL if size.get("small") else task.FULL, precision, way.chip)


def advance(ready: Ready, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Train to `goal` iterations in all, or until solved."""
    from .. import evidence_accumulation as task

    made = task.run(
        seed, ready.size, goal, ready.precision, lambda i, error: tell(i, f"error {error:.1%}"),
        None if state is None else dict(state), test_trials=0, chip=ready.chip,
    )  # fmt: skip
    return Outcome(made, made.solved_at is not None)


def rows(ran: Ran) -> list[Row]:
    """When it was solved, and the share of wrong answers on fresh trials."""
    from .. import evidence_accumulation as task

    return [
        {"seed": seed, "iterations": len(r.errors), "solved_at": r.solved_at,
         "test_error": float(task.test(r.trainer, ran.ready.size, FRESH, seed + 10_000))}
        for seed, r in ran.made.items()
    ]  # fmt: skip


def figure(groups: Mapping[str, Ran]) -> Any:
    """Error over iterations of every seed."""
    from ..figures import evidence_figure

    return evidence_figure({name: list(ran.made.values()) for name, ran in groups.items()})


def declared(bits: int, rounding: str) -> Way:
    """Weights of `bits` bits; traces and signals keep 8."""
    formats = {"weight_bits": bits, "trace_bits": 8, "rounding": rounding}
    return Way(f"{bits}-bit weights, {rounding} rounding", f"{bits} bit, {rounding}",
               f"chip, {bits} bit, {rounding} rounding", "research", {"formats": formats})  # fmt: skip


_BITS = {"weight_bits": 8, "trace_bits": 8}
_LEARNED = (
    Bar("solved_at", ">=", 1.0, "20 batches in a row under 7 % wrong, in every seed", "share"),
    Bar("test_error", "<=", 0.125, "under 7 % in training; 128 fresh trials spread by 3 points a standard deviation"),
)
_FAILS = (Bar("test_error", ">=", 0.3, "small updates round to nothing: must fail", "worst"),)
_QUICK = Quick((1,), 300, (Bar("test_error", "<=", 0.25, "12 % on the small task; 47 % with nearest rounding"),),
               {"small": True})  # fmt: skip

EXPERIMENT = Experiment(
    name="evidence-accumulation",
    about="count cues on two sides, wait a second, say which side had more, by e-prop",
    paper="Bellec et al. 2020, figure 4",
    ways={
        "float": Way("float64", "float64", "float64", "float", {}, _LEARNED, _QUICK),
        "chip": Way("8-bit weights and traces, rounded at random", "8 bit", "chip, 8 bit", "research",
                    {"formats": _BITS}, _LEARNED, _QUICK),
        "nearest": Way("the control: the same 8 bits rounded to nearest", "8 bit, nearest",
                       "chip, 8 bit, nearest rounding", "research", {"formats": _BITS | {"rounding": "nearest"}},
                       _FAILS, Quick((1,), 200, _FAILS, {"small": True})),
    },
    seeds=(1,), iterations=900, unit="iterations", key="test_error", cpu_seconds=100,
    prepare=prepare, advance=advance, seen=lambda state: len(state["errors"]), rows=rows, figure=figure,
    declared=declared,
)  # fmt: skip
