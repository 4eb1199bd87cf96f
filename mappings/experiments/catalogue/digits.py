"""Handwritten digits on the chip, as an experiment: what conversion costs. `chipsim demo` shows one run in depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way


class Ready(NamedTuple):
    """The chip, and how many test images (None: all)."""

    chip: str
    images: int | None


class Shown(NamedTuple):
    """One seed: what the chip answered. A run has no middle to go on from; the state is empty."""

    outcome: Any

    @property
    def state(self) -> dict[str, Any]:
        """Nothing to continue."""
        return {}


def prepare(way: Way, size: Mapping[str, Any]) -> Ready:
    """The way's chip."""
    return Ready(way.chip, size.get("images"))


def advance(ready: Ready, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Train the float network of a seed, map it, show every test image for `goal` steps."""
    from .. import digits as task

    demo = task.digits_network(task.train_digits(seed), ready.chip, steps=goal, images=ready.images, seed=seed)

    def step(done: int, of: int) -> None:
        tell(goal * done / of, f"seed {seed}")

    return Outcome(Shown(task.evaluate(demo, progress=step)), solved=True)


def rows(ran: Ran) -> list[Row]:
    """Right answers of the float network and of the chip, and what an image takes."""
    return [
        {"seed": seed, "images": len(o.labels), "float_right": float(o.float_accuracy),
         "chip_right": float(o.chip_accuracy), "points_lost": float(o.loss),
         "spikes_per_image": o.spikes_per_image, "events_per_image": o.synops_per_image}
        for seed, o in ((seed, r.outcome) for seed, r in ran.made.items())
    ]  # fmt: skip


def figure(groups: Mapping[str, Ran]) -> Any:
    """Right answers over the steps an image is shown, a line for each seed, the float network's dashed."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 4), layout="constrained")
    axis = drawn.subplots()
    for k, (name, ran) in enumerate(groups.items()):
        for j, r in enumerate(ran.made.values()):
            o = r.outcome
            steps = range(1, o.steps + 1)
            axis.plot(steps, 100 * o.accuracy_by_step, color=f"C{k}", lw=1, label=None if j else name)
            axis.axhline(100 * o.float_accuracy, color="0.6", ls="--", lw=0.8)
    axis.set(xlabel="steps an image is shown", ylabel="right answers (%)", ylim=(0, 101),
             title="Handwritten digits; dashed: the float network")  # fmt: skip
    axis.legend(frameon=False)
    return drawn


def _way(about: str, chip: str) -> Way:
    bars = (Bar("chip_right", ">=", 0.96, "the float network has 95.8 to 98 %"),
            Bar("points_lost", "<=", 0.5, "the demo's goal: half a point at most", "worst"))  # fmt: skip
    small = Quick((0,), 64, (Bar("points_lost", "<=", 3.0, "60 images: one is 1.7 points"),), {"images": 60})
    return Way(about, chip, "8-bit weights", chip, {}, bars, small)


EXPERIMENT = Experiment(
    name="digits",
    about="a trained multilayer perceptron converted, mapped, and read from spikes",
    paper="Rueckauer et al. 2017",
    ways={
        "loihi": _way("neurons that reset to zero", "loihi"),
        "loihi2": _way("neurons that reset by subtraction", "loihi2"),
    },
    seeds=(0, 1, 2), iterations=128, unit="steps", key="chip_right", cpu_seconds=5, every=1 << 30,
    prepare=prepare, advance=advance, seen=lambda state: 0, rows=rows, figure=figure,
)  # fmt: skip
