"""What an experiment is: one value with its name, paper, ways and bars, and what runs, measures and draws it.

A new experiment is a module that makes such a value, and its line in `catalogue/__init__.py`. The command line knows no
experiment by name: `chipsim learn` is one loop over what stands here. This module imports nothing heavy, so that the
list of experiments is quick; the functions of an `Experiment` import what they need when they are called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from chipsim.errors import RunError

Row = dict[str, Any]
#: tell(iterations done of this seed, text beside the progress bar)
Tell = Callable[[float, str], None]


class Bar(NamedTuple):
    """What an experiment must reach: `metric op value`, and why that value.

    metric: a column of the rows. op: "<=" or ">=". over: "mean" of the seeds that know it, "worst" of all seeds, or
    "share" of the seeds that know it (a metric is None in a seed that did not get there).
    """

    metric: str
    op: str
    value: float
    why: str
    over: str = "mean"

    def measured(self, rows: Sequence[Row]) -> float | None:
        """The figure of these rows that the bar judges; None where no seed has one."""
        known = [float(r[self.metric]) for r in rows if r.get(self.metric) is not None]
        if self.over == "share":
            return len(known) / len(rows) if rows else None
        if not known or (self.over == "worst" and len(known) < len(rows)):
            return None
        if any(math.isnan(v) for v in known):
            return math.nan
        return sum(known) / len(known) if self.over == "mean" else (max if self.op == "<=" else min)(known)

    def met(self, value: float | None) -> bool:
        """Whether a measured figure passes; none, and one that is not a number, does not."""
        if value is None or math.isnan(value):
            return False
        return value <= self.value if self.op == "<=" else value >= self.value

    def __str__(self) -> str:
        if self.over == "share":
            return f"{self.metric} in {self.op} {self.value:.0%} of seeds"
        return f"{'every ' if self.over == 'worst' else ''}{self.metric} {self.op} {self.value:g}"


class Quick(NamedTuple):
    """A small form for every change of the code: its own size and its own bars."""

    seeds: tuple[int, ...]
    iterations: int
    bars: tuple[Bar, ...]
    size: Mapping[str, Any] = {}  #: given to `prepare`; nothing: the full task, fewer iterations


@dataclass(frozen=True)
class Way:
    """One variant of an experiment.

    about: one line. label: in the figure. precision: in the table and the JSON. chip: the description it runs on.
    settings: the experiment's own. bars: judged at the experiment's own seeds and iterations.

    """

    about: str
    label: str
    precision: str
    chip: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    bars: tuple[Bar, ...] = ()
    quick: Quick | None = None


class Made(Protocol):
    """What a stretch of an experiment leaves behind; the experiment knows what else it holds."""

    @property
    def state(self) -> Mapping[str, Any]:
        """A checkpoint: a run that gets it goes on bit for bit."""
        ...


class Outcome(NamedTuple):
    """The end of a stretch, and whether the experiment needs no more iterations."""

    made: Any  #: a `Made`
    solved: bool = False


class Ran(NamedTuple):
    """All seeds of one way: what `rows` measures and `figure` draws."""

    way: Way
    ready: Any  #: what `prepare` gave
    made: Mapping[int, Any]  #: by seed


@dataclass(frozen=True)
class Experiment:
    """An experiment as a value.

    name: on the command line. about, paper: a line each. ways: by name, the first is the default. seeds, iterations,
    unit: its own size, and what it counts. key: the column whose spread over the seeds is told. cpu_seconds: of its
    own size in its default way, one core, as measured.
    prepare(way, size): data and chip, once for all seeds; size is empty or `Quick.size`.
    advance(ready, seed, goal, tell, state): from a checkpoint (None: the start) to `goal` iterations in all.
    seen(state): iterations that a checkpoint has seen. rows(ran): one row a seed. figure(groups): by label.
    every: iterations between checkpoints, where the user does not choose. declared(bits, rounding): a way made of a
    precision, where the experiment takes any.
    """

    name: str
    about: str
    paper: str
    ways: Mapping[str, Way]
    seeds: tuple[int, ...]
    iterations: int
    unit: str
    key: str
    cpu_seconds: float
    prepare: Callable[[Way, Mapping[str, Any]], Any]
    advance: Callable[[Any, int, int, Tell, Mapping[str, Any] | None], Outcome]
    seen: Callable[[Mapping[str, Any]], int]
    rows: Callable[[Ran], list[Row]]
    figure: Callable[[Mapping[str, Ran]], Any]
    every: int | None = None
    declared: Callable[[int, str], Way] | None = None

    @property
    def default(self) -> str:
        """Name of the way that runs when none is asked for."""
        return next(iter(self.ways))

    @property
    def chips(self) -> tuple[str, ...]:
        """Chips it runs on, the default first."""
        return tuple(dict.fromkeys(way.chip for way in self.ways.values()))

    def way(self, name: str) -> Way:
        """The way of that name.

        Raises
        ------
        RunError
            No such way: the message lists those there are.
        """
        if name not in self.ways:
            raise RunError(f"{self.name} has no way '{name}'; there are {', '.join(self.ways)}")
        return self.ways[name]


def judged(bars: Sequence[Bar], rows: Sequence[Row]) -> list[Row]:
    """The bars as rows: metric, bar, measured, met, why."""
    found = []
    for bar in bars:
        value = bar.measured(rows)
        found.append({"metric": bar.metric, "bar": str(bar), "op": bar.op, "value": bar.value, "over": bar.over,
                      "measured": value, "met": bar.met(value), "why": bar.why})  # fmt: skip
    return found
