"""The choice whose reward comes a second late, as an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..protocol import Bar, Experiment, Outcome, Quick, Ran, Row, Tell, Way

LAST = 100  #: trials that are counted


class Ready(NamedTuple):
    """The task and the learning rule."""

    task: Any
    rule: Any


def prepare(way: Way, size: Mapping[str, Any]) -> Ready:
    """The task with a tag that lasts, or the control's."""
    from .. import delayed_reward as task

    return Ready(task.Task(**size), task.tag_rule(**way.settings))


def advance(ready: Ready, seed: int, goal: int, tell: Tell, state: Mapping[str, Any] | None) -> Outcome:
    """Trials up to `goal` in all."""
    from .. import delayed_reward as task

    def step(done: int, share: float) -> None:
        tell(done, f"seed {seed}, {share:.0%} right")

    return Outcome(task.run_seed(seed, goal, ready.task, ready.rule, progress=step, resume=state))


def rows(ran: Ran) -> list[Row]:
    """Share of right choices over the last 100 trials."""
    return [
        {"seed": seed, "trials": len(r.correct), "right_of_last_100": float(r.correct[-LAST:].mean())}
        for seed, r in ran.made.items()
    ]


def figure(groups: Mapping[str, Ran]) -> Any:
    """Learning curves, what bridges the delay, what was learned; a control beside it if it ran."""
    from .. import delayed_reward as task
    from ..delayed_reward_figure import figure as draw

    outcomes = [task.joined(list(ran.made.values()), *ran.ready) for ran in groups.values()]
    return draw(*outcomes[:2])


_SOLVED = Bar("right_of_last_100", ">=", 0.9, "solved; chance is a third", "worst")
_FAILS = Bar("right_of_last_100", "<=", 0.6, "nothing bridges the delay: must fail", "worst")

EXPERIMENT = Experiment(
    name="delayed-reward",
    about="a choice learnt in Loihi's own learning engine, its reward a second late",
    paper="Izhikevich 2007",
    ways={
        "chip": Way("a tag that lasts a second", "tag lasts 1 s", "Loihi's learning engine", "research",
                    bars=(_SOLVED,), quick=Quick((0,), 120, (_SOLVED,))),
        "control": Way("a tag that is gone before the reward comes", "tag gone", "Loihi's learning engine", "research",
                       {"decay": 0.5}, (_FAILS,), Quick((0,), 100, (_FAILS,))),
    },
    seeds=(0, 1, 2), iterations=200, unit="trials", key="right_of_last_100", cpu_seconds=30,
    prepare=prepare, advance=advance, seen=lambda state: len(state["correct"]), rows=rows, figure=figure,
)  # fmt: skip
