"""The data of a run: spikes, traces, counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.errors import RunError

from .activity import Activity, count

if TYPE_CHECKING:
    from chipsim.engines.contract import RawRun
    from chipsim.program.program import PopulationImage, Program
    from chipsim.rules.carried import LearningReport

EVENT = np.dtype([("step", np.int64), ("neuron", np.int64)])


class _PerPopulation(Mapping[str, Any]):
    """A read-only dict over population names whose values are made when asked for."""

    def __init__(self, result: Run, make: Any, names: list[str]) -> None:
        self._make, self._names, self._kept = make, names, {}
        self._result = result

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            known = ", ".join(self._names) or "nothing"
            raise RunError(f"nothing of that kind is recorded for '{name}'; recorded: {known}")
        if name not in self._kept:
            self._kept[name] = self._make(self._result.program.population(name))
        return self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Traces(dict[str, dict[str, np.ndarray]]):
    """What was recorded, by population; a name that is missing is refused with what there is."""

    def __missing__(self, name: str) -> Any:
        raise RunError(
            f"nothing is recorded of '{name}': run with record={{'{name}': [...]}}; recorded: "
            f"{', '.join(self) or 'nothing'}"
        )


class Run:
    """What a run produced: the data of a `Result`, which adds what is made of them.

    Attributes
    ----------
    spikes : mapping population -> (steps, n) bool, or numbers where spikes carry values
    events : mapping population -> structured array (step, neuron)
    trace : dict population -> dict variable -> (steps, n), the chip's integers (floats on float chips)
    activity : Activity
    learning : dict projection -> LearningReport
        What each projection that can learn did (`chipsim.rules.carried`), with what was recorded of it; empty without.
    first_step : int
        Steps that had been run before this run.
    """

    def __init__(
        self,
        program: Program,
        raw: RawRun,
        traces: dict[str, dict[str, np.ndarray]],
        dropped: int,
        first_step: int,
    ) -> None:
        self.program, self.raw, self.trace = program, raw, _Traces(traces)
        self.dropped_input, self.first_step = dropped, first_step
        names = [p.name for p in program.populations]
        self.spikes: Mapping[str, np.ndarray] = _PerPopulation(self, self._spikes_of, names)
        self.events: Mapping[str, np.ndarray] = _PerPopulation(self, self._events_of, names)
        self.volts: Mapping[str, dict[str, np.ndarray]] = _PerPopulation(
            self, self._volts_of, [n for n in traces if program.population(n).unit is not None]
        )

    @property
    def steps(self) -> int:
        """Number of steps of the run."""
        return self.raw.spikes.ptr.size - 1

    @property
    def duration(self) -> float:
        """Time that the run stands for on the chip's own step, s."""
        return self.steps * self.program.dt

    @property
    def cycles(self) -> np.ndarray | None:
        """Clock cycles of each step, (t,) int64, where the engine counts them; else None.

        On the TrueNorth-class grid they are those of the open hardware; its time follows the chip's own tick.
        """
        return self.raw.cycles

    @cached_property
    def activity(self) -> Activity:
        """Counters per step and core."""
        return count(self.program, self.raw, self.dropped_input)

    @property
    def learning(self) -> dict[str, LearningReport]:
        """Reports of the projections that can learn, by name."""
        return {} if self.raw.learned is None else dict(self.raw.learned.reports)

    def _select(self, image: PopulationImage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        train = self.raw.spikes
        mine = (train.ids >= image.start) & (train.ids < image.stop)
        step = np.repeat(np.arange(self.steps), np.diff(train.ptr))[mine]
        value = train.value[mine] if train.value.size == train.ids.size else np.ones(step.size, np.int32)
        return step, train.ids[mine].astype(np.int64) - image.start, value

    def _spikes_of(self, image: PopulationImage) -> np.ndarray:
        step, neuron, value = self._select(image)
        if image.model.carries_values:
            out = np.zeros((self.steps, image.n), self.raw.spikes.value.dtype)
            out[step, neuron] = value
            return out
        out = np.zeros((self.steps, image.n), bool)
        out[step, neuron] = True
        return out

    def _events_of(self, image: PopulationImage) -> np.ndarray:
        step, neuron, _ = self._select(image)
        events = np.empty(step.size, EVENT)
        events["step"], events["neuron"] = step, neuron
        return events

    def _volts_of(self, image: PopulationImage) -> dict[str, np.ndarray]:
        return {
            name: values * image.unit + (image.offset if name == "v" else 0.0)
            for name, values in self.trace[image.name].items()
            if name in ("v", "u", "i")
        }

    def rates(self) -> dict[str, np.ndarray]:
        """Spikes per step of every neuron, by population."""
        totals = np.bincount(self.raw.spikes.ids, minlength=self.program.n) / max(self.steps, 1)
        return {p.name: totals[p.start : p.stop] for p in self.program.populations}
