"""ODIN learning handwritten digits, as an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way


def prepare(way: Way, size: Mapping[str, Any]) -> Any:
    """The images."""
    from .. import odin_digits as task

    return task.digit_images()


def advance(ready: Any, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Epochs up to `goal` in all, each with its test."""
    from .. import odin_digits as task

    def step(done: int, of: int, text: str) -> None:
        tell(done * goal / of, text)

    return Outcome(task.run(seed, goal, step, state, ready))


def rows(ran: Ran) -> list[Row]:
    """Right answers after the last epoch, and energy by the published law."""
    return [
        {"seed": seed, "epochs": len(r.test), "train_right": float(r.train[-1]), "test_right": float(r.test[-1]),
         "inference_nJ": 1e9 * r.inference["energy"], "lesson_nJ": 1e9 * r.update["energy"],
         "weight_moved_nJ": 1e9 * r.update["energy_per_weight"]}
        for seed, r in ran.made.items()
    ]  # fmt: skip


def figure(groups: Mapping[str, Ran]) -> Any:
    """Curves of all seeds; weights, confusions and energy of the first."""
    from ..figures import digits_figure

    ran = next(iter(groups.values()))
    return digits_figure(list(ran.made.values()), ran.ready.labels[ran.ready.train :])


EXPERIMENT = Experiment(
    name="odin-digits",
    about="ODIN learns 16x16 digits online with its own SDSP and a teacher",
    paper="Frenkel et al. 2019",
    ways={
        "chip": Way("SDSP as the silicon does it", "ODIN", "ODIN's own SDSP, 3-bit weights", "odin",
                    bars=(Bar("test_right", ">=", 0.84, "the silicon's 84.5 % on 16x16 MNIST, another data set"),),
                    quick=Quick((0,), 2, (Bar("test_right", ">=", 0.78, "82 % after two epochs"),))),
    },
    seeds=(0, 1, 2), iterations=8, unit="epochs", key="test_right", cpu_seconds=30, every=1,
    prepare=prepare, advance=advance, seen=lambda state: len(state["rows"]), rows=rows, figure=figure,
)  # fmt: skip
