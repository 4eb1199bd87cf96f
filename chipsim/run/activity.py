"""What was counted in a run, per step and core: exact, and a function of the spike log alone where it can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chipsim.engines.contract import RawRun
    from chipsim.program.program import Program


@dataclass(frozen=True, eq=False)
class Activity:
    """Counters of a run; t steps, c cores (the program's `cores`, ascending), int64 unless said.

    Attributes
    ----------
    cores : (c,) int32
        Physical core of each column.
    spikes, packets_out, packets_in, synaptic_events, updates_active, updates_idle : (t, c)
        Fired neurons; packets sent (one per fired neuron and destination core) and received; weights added;
        neurons updated that had something to do, and those at rest.
    hops : (t, 4)
        Links between tiles crossed east, west, north (+y), south, by packets between cores.
    input_spikes : (t,)
        Spikes that came from outside.
    waiting : (t,)
        Synaptic events held back by delays at the end of a step (those due in the next step not counted), also those
        of spikes of earlier runs.
    dropped_input : int
        Input spikes beyond the last step, not used.
    clipped, overflowed : dict population -> int
        Times the voltage was clipped, and the current or its input sum overflowed.
    learning : dict act -> (t,)
        Acts of learning in each step: trace_update (a trace brought up to date), synapse_update (declared rules, PES: a
        synapse visited; sums of products: a product evaluated), weight_read (one per such update), weight_write (values
        changed), third_factor (values sent that are not zero). Empty if nothing can learn.
    """

    cores: np.ndarray
    spikes: np.ndarray
    packets_out: np.ndarray
    packets_in: np.ndarray
    synaptic_events: np.ndarray
    updates_active: np.ndarray
    updates_idle: np.ndarray
    hops: np.ndarray
    input_spikes: np.ndarray
    waiting: np.ndarray
    dropped_input: int
    clipped: dict[str, int]
    overflowed: dict[str, int]
    learning: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.spikes.shape[0]

    def totals(self) -> dict[str, int]:
        """Sums over steps and cores, by name."""
        names = ("spikes", "packets_out", "packets_in", "synaptic_events", "updates_active", "updates_idle")
        sums = {name: int(getattr(self, name).sum()) for name in names}
        sums |= {f"hops_{d}": int(h) for d, h in zip(("east", "west", "north", "south"), self.hops.sum(axis=0))}
        sums |= {"input_spikes": int(self.input_spikes.sum()), "dropped_input": self.dropped_input}
        sums |= {"clipped": sum(self.clipped.values()), "overflowed": sum(self.overflowed.values())}
        sums |= {act: int(values.sum()) for act, values in self.learning.items()}
        return sums

    def arrays(self) -> dict[str, Any]:
        """All arrays by name, for writing to a file."""
        return {k: v for k, v in self.__dict__.items() if isinstance(v, np.ndarray)}


def count(program: Program, raw: RawRun, dropped: int = 0) -> Activity:
    """The counters of a run of `program`."""
    from chipsim.kernels.core.count import count_traffic

    fan = program.fan_out
    steps, columns = raw.spikes.ptr.size - 1, max(len(program.cores), 1)
    spikes, sent, received, events = (np.zeros((steps, columns), np.int64) for _ in range(4))
    hops = np.zeros((steps, 4), np.int64)
    count_traffic(
        raw.spikes.ptr,
        raw.spikes.ids,
        program.column,
        fan.ptr,
        fan.core,
        fan.events,
        fan.hops if fan.hops.any() else fan.hops[:0],
        spikes,
        sent,
        received,
        events,
        hops,
    )
    waiting = _waiting(program, raw) if raw.waiting is None else raw.waiting
    updates = [np.full(p.n, 0 if p.model.is_input else p.model.compartments) for p in program.populations]
    held = program.column >= 0
    size = np.bincount(program.column[held], weights=np.concatenate(updates)[held], minlength=columns).astype(np.int64)
    if raw.sops is not None:  # an event-driven core reads whole rows: its engine counts them
        events = raw.sops if raw.sops.ndim == 2 else raw.sops[:, None]
    names = [p.name for p in program.populations]
    return Activity(
        cores=program.cores,
        spikes=spikes,
        packets_out=sent,
        packets_in=received,
        synaptic_events=events,
        updates_active=raw.updates,
        updates_idle=np.maximum(size[None, :] - raw.updates, 0),
        hops=hops,
        input_spikes=_input_spikes(program, raw),
        waiting=waiting,
        dropped_input=dropped,
        clipped=dict(zip(names, raw.saturated[:, 0].tolist())),
        overflowed=dict(zip(names, raw.saturated[:, 1].tolist())),
        learning={} if raw.learned is None else dict(raw.learned.counts),
    )


def _waiting(program: Program, raw: RawRun) -> np.ndarray:
    """Events held back at the end of each step, of spikes of this run and of the steps before it."""
    fan, steps = program.fan_out, raw.spikes.ptr.size - 1
    if not fan.delay_steps.size:
        return np.zeros(steps, np.int64)
    from chipsim.kernels.core.count import count_waiting

    before = raw.before
    first = 0 if before is None else before.ptr.size - 1
    change = np.zeros(first + steps + int(fan.delay_steps.max()) + 1, np.int64)
    for train, at in ((before, 0), (raw.spikes, first)):
        if train is not None:
            count_waiting(train.ptr, train.ids, fan.delay_ptr, fan.delay_steps, fan.delay_events, change[at:])
    return np.cumsum(change)[first : first + steps]


def _input_spikes(program: Program, raw: RawRun) -> np.ndarray:
    """Spikes of input populations per step."""
    steps, ids = raw.spikes.ptr.size - 1, raw.spikes.ids
    sources = [p for p in program.populations if p.model.is_input]
    if not sources or not steps:
        return np.zeros(steps, np.int64)
    from chipsim.kernels.core.count import count_of

    from_outside = np.zeros(program.n, np.uint8)
    for p in sources:
        from_outside[p.start : p.stop] = 1
    out = np.zeros(steps, np.int64)
    count_of(raw.spikes.ptr, ids, from_outside, out)
    return out
