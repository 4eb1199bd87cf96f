"""Pattern generation by e-prop, as an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way

ITERATIONS = 2000
DOCUMENTED = "what docs/learning.md reports for seeds 1 to 3, and a fifth"


def prepare(way: Way, size: Mapping[str, Any]) -> Any:
    """The run with the way's chip and precision."""
    from .. import pattern_generation as task

    formats = way.settings.get("formats")
    precision = None if formats is None else task.chip_precision(**formats)
    return partial(task.run, precision=precision, chip=way.chip)


def advance(ready: Any, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Train to `goal` iterations in all."""
    return Outcome(ready(seed, goal, progress=lambda i, loss: tell(i, f"loss {loss:.4g}"), resume=state))


def rows(ran: Ran) -> list[Row]:
    """Normalised error and last loss."""
    return [
        {"seed": seed, "iterations": len(r.losses), "nmse": float(r.nmse), "loss": float(r.losses[-1])}
        for seed, r in ran.made.items()
    ]


def figure(groups: Mapping[str, Ran]) -> Any:
    """Error over iterations, and the readout beside its target."""
    from ..figures import pattern_figure

    return pattern_figure({name: list(ran.made.values()) for name, ran in groups.items()})


def declared(bits: int, rounding: str) -> Way:
    """Weights of `bits` bits; traces and signals keep 8."""
    formats = {"weight_bits": bits, "rounding": rounding}
    return Way(f"{bits}-bit weights, {rounding} rounding", f"{bits} bit, {rounding}",
               f"chip, {bits} bit, {rounding} rounding", "research", {"formats": formats})  # fmt: skip


def _quick(op: str, value: float) -> Quick:
    return Quick((1,), 200, (Bar("nmse", op, value, "0.53 and 0.52 after 200 iterations, 0.80 where it stalls"),))


EXPERIMENT = Experiment(
    name="pattern-generation",
    about="a recurrent spiking network learns one second of a sum of four sines, by e-prop",
    paper="Bellec et al. 2020, figure 3",
    ways={
        "float": Way("float64", "float64", "float64", "float",
                     bars=(Bar("nmse", "<=", 0.036, DOCUMENTED),),
                     quick=_quick("<=", 0.6)),
        "chip": Way("8-bit weights, traces and signals, rounded at random", "8 bit", "chip, 8 bit", "research",
                    {"formats": {}}, (Bar("nmse", "<=", 0.040, DOCUMENTED),),
                    _quick("<=", 0.6)),
        "nearest": Way("the control: the same 8 bits rounded to nearest, which stalls", "8 bit, nearest",
                       "chip, 8 bit, nearest rounding", "research", {"formats": {"rounding": "nearest"}},
                       (Bar("nmse", ">=", 0.3, "small updates round to nothing: must fail", "worst"),),
                       _quick(">=", 0.7)),
    },
    seeds=(1, 2, 3), iterations=ITERATIONS, unit="iterations", key="nmse", cpu_seconds=36,
    prepare=prepare, advance=advance, seen=lambda state: len(state["losses"]), rows=rows, figure=figure,
    declared=declared,
)  # fmt: skip
