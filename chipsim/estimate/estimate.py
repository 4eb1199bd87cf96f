"""What a run would cost on the chip: joules and seconds from counts, each line with the constant behind it.

Energy of a line is a number of acts times a constant of the chip's cost set. A constant that nobody
published is not guessed: its acts are listed as unknown, and the total is a lower bound. Static power, the
barrier and the host are lines of their own, because they outweigh the events of a small network by orders
of magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.checks import shown, whole
from chipsim.errors import RunError

from .costing import Priced, booked, event_items, standing_items
from .timing import STAGES, TIMINGS, latency_summary, time_cycles, time_steps
from .traffic import Counts, Spikes, link_loads

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(Priced):
    """Energy and time of a run on a chip; printable, and plain data by `to_dict`.

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

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Sentences on constants that were needed and that nobody published."""
        from .provenance import unknown

        return unknown(self)

    @cached_property
    def sources(self) -> list[dict[str, Any]]:
        """Every constant that was used: value, unit, source, status, joules and share of the total, largest
        first.
        """
        from .provenance import sources

        return sources(self)

    @cached_property
    def energy_steps(self) -> dict[str, np.ndarray]:
        """Joules by line and step, (t,) each."""
        return self._spread(0)

    @cached_property
    def energy_cores(self) -> dict[str, np.ndarray]:
        """Joules by line and core, (c,) each, for what happens in cores (in the order of `counts.cores`)."""
        return self._spread(1)

    def _spread(self, axis: int) -> dict[str, np.ndarray]:
        out: dict[str, np.ndarray] = {}
        for item in self.items:
            count = item.count
            if item.value is None or (axis == 1 and count.ndim < 2):
                continue
            part = count.sum(axis=1 - axis) if count.ndim == 2 else count
            out[item.line] = out.get(item.line, 0.0) + part * item.value
        return out

    @cached_property
    def energy_populations(self) -> dict[str, dict[str, float]]:
        """Joules by population and line: its neurons, and all that its spikes cause up to the synaptic
        events.
        """
        from .provenance import by_population

        return by_population(self)

    @cached_property
    def link_loads(self) -> np.ndarray | None:
        """Packets over each link in the run, (tiles, 4): the links that leave a tile east, west, north,
        south.
        """
        return None if self.spikes is None else link_loads(self.chip, self.spikes)

    @property
    def worst_link(self) -> dict[str, Any] | None:
        """The link that carried most packets: tile, direction, packets; None if there is none."""
        if self.link_loads is None or not self.link_loads.any():
            return None
        tile, d = divmod(int(self.link_loads.argmax()), 4)
        direction = ("east", "west", "north", "south")[d]
        return {"tile": tile, "direction": direction, "packets": int(self.link_loads[tile, d])}

    @property
    def network_latency(self) -> dict[str, float] | None:
        """Mean, median, 99th percentile and largest time of a packet from core to core in s; only with
        timing "noc".
        """
        return latency_summary(self.chip, self.timing)

    @cached_property
    def bottleneck(self) -> tuple[int, str]:
        """Core and stage ("neurons" or "packets") that set the pace for most of the time."""
        column, stage = self.timing.bottleneck
        if not len(self.counts.cores):
            return -1, STAGES[0]
        time = np.bincount(column * 2 + stage, weights=self.step_time, minlength=2 * len(self.counts.cores))
        worst = int(time.argmax())
        return int(self.counts.cores[worst // 2]), STAGES[worst % 2]

    @property
    def inference(self) -> dict[str, float] | None:
        """`per_inference` of the steps that were said to be one inference; None if nobody said."""
        return None if self.steps_per_inference is None else self.per_inference(self.steps_per_inference)

    def per_inference(self, steps: int) -> dict[str, float]:
        """Energy (J), latency (s) and their product per inference of `steps` steps."""
        if steps < 1 or steps > self.counts.steps:
            raise RunError(
                f"an inference of {steps} steps does not fit a run of {self.counts.steps}: give 1 up to that"
            )
        share = steps / self.counts.steps
        energy, latency = self.total_energy * share, self.latency * share
        return {"energy": energy, "latency": latency, "edp": energy * latency}

    def table(self) -> Any:
        """A rich table of energy by line, with the share of each and what is unknown; `print` shows it as text."""
        from .provenance import table

        return table(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        from .provenance import to_dict

        return to_dict(self)

    def __repr__(self) -> str:
        """Chip, joules and seconds."""
        return (
            f"Estimate({self.chip.name!r}: {self.total_energy:.4g} J, {self.latency:.4g} s, {self.counts.steps} steps)"
        )

    def __str__(self) -> str:
        """A few lines; see `chipsim.estimate.provenance.text`."""
        from .provenance import text

        return text(self)


def estimate(
    chip: Chip,
    counts: Counts,
    *,
    cost_set: str | None = None,
    timing: str = "simple",
    spikes: Spikes | None = None,
    cycles: np.ndarray | None = None,
    names: tuple[str, ...] = (),
    members: np.ndarray | None = None,
) -> Estimate:
    """Energy and time of a run, from its counts.

    Parameters
    ----------
    chip, counts
        Description of the chip and the work done; `chipsim.estimate.traffic.count` makes counts from spikes.
    cost_set
        One of the chip's sets, the default one if None.
    timing
        "simple", "detailed" or "noc"; the last two need `spikes`.
    cycles
        Clock cycles of each step, (t,), from an engine that counts them: they take the place of `timing`.
    names, members
        Names of the populations and (n,) the population of each neuron, for energy by population.
    """
    costs = chip.costs_named(cost_set)
    time = time_steps(chip, costs, counts, timing, spikes) if cycles is None else time_cycles(chip, counts, cycles)
    items = (*event_items(costs, counts), *standing_items(chip, costs, counts, time))
    return Estimate(chip, costs, cost_set or chip.cost_set or "", counts, time, items, spikes, names, members)


def estimate_result(
    result: Any,
    *,
    cost_set: str | None = None,
    timing: str = "simple",
    steps_per_inference: int | None = None,
) -> Estimate:
    """The estimate of a `Result`; "detailed" and "noc" need a run with `masks=True`.

    With `steps_per_inference`, `Estimate.inference` holds energy, latency and their product per inference.
    """
    from .work import counts_of, members_of, spikes_of

    if timing not in TIMINGS:
        raise RunError(f"unknown timing {shown(timing)}: choose one of {', '.join(TIMINGS)}")
    if steps_per_inference is not None:
        whole(steps_per_inference, "steps_per_inference", 1, error=RunError)
    chip = result.program.chip
    names, members = members_of(result.program)
    counts = counts_of(result)
    if counts.learning and chip.costs:
        counts = replace(counts, learning=booked(chip.costs_named(cost_set), counts.learning))
    made = estimate(
        chip,
        counts,
        cost_set=cost_set,
        timing=timing,
        spikes=spikes_of(result, timing != "simple"),
        names=names,
        members=members,
        cycles=result.cycles if chip.clock is not None else None,
    )
    return made if steps_per_inference is None else replace(made, steps_per_inference=steps_per_inference)


def estimate_cycles(
    chip: Chip,
    cycles: int | np.ndarray,
    sops: int | np.ndarray,
    *,
    clock: float | None = None,
    cost_set: str | None = None,
) -> Estimate:
    """Energy and time of a single-core chip whose engine counts clock cycles (ODIN, tinyODIN, ReckOn).

    Parameters
    ----------
    cycles, sops
        Clock cycles and synaptic operations of a run, or of each of its parts, (t,).
    clock
        Hz, if not that of the description. Work that has no published cost (time references, …) is not counted.

    Examples
    --------
    >>> import chipsim as cs
    >>> est = estimate_cycles(cs.chip("odin"), cycles=1_300_000, sops=650_000, clock=1.3e6)
    >>> round(est.total_energy / est.latency * 1e6, 1)  # uW; 35 were measured
    35.1
    """
    from chipsim.chips.costs import Frequency

    cycles, sops = np.atleast_1d(np.asarray(cycles, np.int64)), np.atleast_1d(np.asarray(sops, np.int64))
    if clock is not None:
        hertz = Frequency(value=clock, unit="Hz", source="given with the run", status="assumed")
        chip = chip.model_copy(update={"clock": hertz})
    none = np.zeros((len(cycles), 1), np.int64)
    hops, one = np.zeros((len(cycles), 4), np.int64), np.zeros(1, np.int64)
    counts = Counts(one, none, none, none, none, none, sops[:, None], hops, none[:, 0])
    return estimate(chip, counts, cost_set=cost_set, cycles=cycles)
