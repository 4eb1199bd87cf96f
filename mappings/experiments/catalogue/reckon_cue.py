"""Delayed cue accumulation on ReckOn, as an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way


def prepare(way: Way, size: Mapping[str, Any]) -> Any:
    """The run on generated samples, 200 a phase if not told otherwise."""
    from .. import cue as task

    return partial(task.run_cue_experiment, **size)


def advance(ready: Any, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Epochs up to `goal` in all, each with its test."""

    def step(done: int, of: int, text: str) -> None:
        tell(done * goal / of, text)

    return Outcome(ready(epochs=goal, seed=seed, progress=step, resume=state))


def rows(ran: Ran) -> list[Row]:
    """Right answers after the last epoch, and energy by the published law."""
    made = []
    for seed, result in ran.made.items():
        energy = result.energy()
        made.append(
            {"seed": seed, "epochs": len(result.correct), "train_right": float(result.accuracy[-1, 0]),
             "test_right": float(result.accuracy[-1, 1]), "inference_uJ": 1e6 * energy["inference"],
             "learning_uJ": 1e6 * energy["learning"], "weight_moved_nJ": 1e9 * energy["update_weight"]}
        )  # fmt: skip
    return made


def figure(groups: Mapping[str, Ran]) -> Any:
    """A sample, learning curves, energy and weights of the first seed."""
    from .. import cue as task
    from ..cue_figure import cue_experiment_figure

    made = next(iter(groups.values())).made
    seed = next(iter(made))
    (shown, _), _ = task.cue_data(None, 1, seed)
    return cue_experiment_figure(made[seed], shown)


EXPERIMENT = Experiment(
    name="reckon-cue",
    about="delayed cue accumulation with ReckOn's own e-prop, in its own registers",
    paper="Frenkel & Indiveri 2022",
    ways={
        "chip": Way("e-prop as the silicon does it", "ReckOn", "ReckOn's own e-prop, 8-bit weights", "reckon",
                    bars=(Bar("test_right", ">=", 0.9, "the released data set gives 90 to 100 % on the chip"),),
                    quick=Quick((0,), 2, (Bar("test_right", ">=", 0.85, "95 % after two epochs"),), {"samples": 120})),
    },
    seeds=(0,), iterations=5, unit="epochs", key="test_right", cpu_seconds=15, every=1,
    prepare=prepare, advance=advance, seen=lambda state: len(state["correct"]), rows=rows, figure=figure,
)  # fmt: skip
