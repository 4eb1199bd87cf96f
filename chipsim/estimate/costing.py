"""Acts times constants: the lines of an energy estimate, each with the constant that it was multiplied
with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import RunError

from .timing import Timing
from .traffic import Counts, Spikes

if TYPE_CHECKING:
    from chipsim.chips.costs import CostSet
    from chipsim.chips.schema import Chip

HOPS = ("hop_east", "hop_west", "hop_north", "hop_south")
LEARNING = ("trace_update", "weight_read", "weight_write", "synapse_update", "third_factor")
GROUPS: dict[str, tuple[str, ...]] = {
    "network": ("axon_out", "axon_in", *HOPS),
    "hops": HOPS,
    "learning": tuple(f"learning_{act}" for act in LEARNING),
    "dynamic": ("synapse", "dendrite", "soma", "axon_out", "axon_in", *HOPS, "chip_to_chip")
    + tuple(f"learning_{act}" for act in LEARNING),
}
# Acts per core: line, constant, and the field of Counts that is counted.
EVENTS = (
    ("synapse", "synapse", "events"),
    ("dendrite", "dendrite", "events"),
    ("soma", "soma_access", "accesses"),
    ("soma", "soma_update", "updates"),
    ("soma", "soma_spike", "fires"),
    ("axon_out", "axon_out", "packets_out"),
    ("axon_in", "axon_in", "packets_in"),
)


LINES = frozenset(
    (*(line for lines in GROUPS.values() for line in lines), "barrier", "clock", "static", "host", "chip_to_chip")
)


class Energy(dict[str, float]):
    """Joules by line; a group ("network", "hops", "learning", "dynamic") is the sum of its lines, and no
    line itself.
    """

    def __missing__(self, name: str) -> float:
        if name in GROUPS:
            return sum(self.get(line, 0.0) for line in GROUPS[name])
        if name in LINES:
            raise RunError(
                f"energy line {shown(name)} has no figure: nobody published its cost, or it does not occur here"
            )
        known = [*self, *GROUPS]
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RunError(f"no energy line {shown(name)}{hint} There are {', '.join(known)}")


@dataclass(frozen=True, eq=False)
class Item:
    """One constant at work: `count` acts of (t, c), (t,) or () at `value` J each (None: unknown), booked
    under `line`.
    """

    line: str
    path: str
    count: np.ndarray
    value: float | None

    @cached_property
    def total(self) -> float:
        """Joules in the whole run, 0 if the constant is unknown."""
        return 0.0 if self.value is None else float(self.count.sum()) * self.value


def event_items(costs: CostSet, counts: Counts) -> list[Item]:
    """What is paid per event."""

    def joules(stage: Any) -> float | None:
        return None if stage.energy is None else stage.energy.si

    items = [
        Item(line, f"{path}.energy", getattr(counts, of), joules(getattr(costs, path))) for line, path, of in EVENTS
    ]
    items += [Item(h, f"{h}.energy", counts.hops[:, d], joules(getattr(costs, h))) for d, h in enumerate(HOPS)]
    items.append(Item("chip_to_chip", "chip_to_chip.energy", counts.crossings, joules(costs.chip_to_chip)))
    return items + [
        Item(
            f"learning_{act}",
            f"learning.{act}.energy",
            counts.learning[act],
            joules(getattr(costs.learning, act)),
        )
        for act in LEARNING
        if act in counts.learning
    ]


def standing_items(chip: Chip, costs: CostSet, counts: Counts, timing: Timing) -> list[Item]:
    """What is paid per step or per second: barrier, static power of the chips in use, active cores, host."""
    chips = max(1, len(np.unique(counts.cores // chip.topology.cores)))
    items = []
    if costs.barrier is not None:
        energy = costs.barrier.energy
        items.append(Item("barrier", "barrier.energy", np.ones(counts.steps), None if energy is None else energy.si))
    if timing.cycles is not None:
        cycle = costs.cycle
        items.append(Item("clock", "cycle", timing.cycles, None if cycle is None else cycle.si))
    for line, path, many in (
        ("static", "static_power", chips),
        ("static", "active_core_power", len(counts.cores)),
        ("host", "host_power", 1),
    ):
        power = getattr(costs, path)
        if power is not None or path != "active_core_power":
            items.append(Item(line, path, timing.step * many, None if power is None else power.si))
    return items


def booked(costs: CostSet, acts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Acts of learning that a cost set can price, each once.

    A `synapse_update` is a whole update: where its cost is known, or no cost is, the reads and writes inside it are
    left out; where only those have costs, it is left out itself.
    """
    stages = costs.learning
    whole = stages.synapse_update.energy is not None
    parts = stages.weight_read.energy is not None or stages.weight_write.energy is not None
    inside = ("weight_read", "weight_write") if whole or not parts else ("synapse_update",)
    return {act: count for act, count in acts.items() if act not in inside}


@dataclass(frozen=True, eq=False, repr=False)
class Priced:
    """Energy and time of a run on a chip: the numbers of an `Estimate`.

    Attributes
    ----------
    chip, costs
        Descriptions; `cost_set` is the name of the costs in use.
    counts, timing
        The work done, and the time of each step.
    items
        Every constant with what it was multiplied with.
    names, members : tuple of str, (n,)
        Populations and the one of each neuron, if given.
    """

    chip: Chip
    costs: CostSet
    cost_set: str
    counts: Counts
    timing: Timing
    items: tuple[Item, ...]
    spikes: Spikes | None = None
    names: tuple[str, ...] = ()
    members: np.ndarray | None = field(default=None, repr=False)
    steps_per_inference: int | None = None

    @cached_property
    def energy(self) -> Energy:
        """Joules of the run by line; unknown constants count nothing, see `unknown`."""
        out = Energy()
        for item in self.items:
            if item.value is not None or item.count.sum() == 0:
                out[item.line] = out.get(item.line, 0.0) + item.total
        return out

    @property
    def total_energy(self) -> float:
        """Joules of the run; a lower bound if `unknown` is not empty."""
        return float(sum(self.energy.values()))

    @property
    def dynamic_energy(self) -> float:
        """Joules of events only: without static power, barrier, host."""
        return self.energy["dynamic"]

    @property
    def step_time(self) -> np.ndarray:
        """Seconds of each step, (t,)."""
        return self.timing.step

    @property
    def latency(self) -> float:
        """Seconds of the run."""
        return float(self.timing.step.sum())

    @property
    def edp(self) -> float:
        """Energy-delay product of the run, J s."""
        return self.total_energy * self.latency
