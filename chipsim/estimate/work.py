"""From a run to what an estimate needs: counts per core, spikes with their fan-out, populations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chipsim.errors import RunError

from .traffic import Counts, Spikes, crossings

if TYPE_CHECKING:
    from chipsim.program.program import Program
    from chipsim.run.record import Run


def free_neurons(program: Program) -> np.ndarray:
    """Neurons (n,) whose handling costs nothing: input lines."""
    return np.concatenate([np.full(p.n, p.model.is_input) for p in program.populations])


def members_of(program: Program) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the populations, and the one of each neuron (n,)."""
    sizes = [p.n for p in program.populations]
    return tuple(p.name for p in program.populations), np.repeat(np.arange(len(sizes)), sizes)


def learning_share(program: Program) -> np.ndarray:
    """Part of the acts of learning that each core in use takes, (c,): its part of the synapses that learn.

    Acts are counted by step, not by core; all are booked on the first core where no core holds the synapses (those onto
    spike sources).
    """
    from chipsim.program.fan_out import pattern

    held = np.zeros(max(len(program.cores), 1))
    for p in program.projections:
        if p.rule is None:
            continue
        post = program.populations[p.post]
        column = program.column[post.start : post.stop][pattern(p).indices]
        held += np.bincount(column[column >= 0], minlength=held.size)
    if not held.any():
        held[0] = 1.0
    return held / held.sum()


def counts_of(result: Run) -> Counts:
    """Counts of a run, (t, c) with one column per core in use; those of learning are shared out, not whole numbers."""
    program, activity = result.program, result.activity
    own = _spikes_of_free(result, activity.spikes.shape)
    share = learning_share(program) if activity.learning else np.zeros(0)
    learning = {act: count[:, None] * share for act, count in activity.learning.items()}
    return Counts(
        cores=np.asarray(activity.cores, np.int64),
        accesses=activity.updates_active + activity.updates_idle,
        updates=activity.updates_active,
        fires=activity.spikes - own,
        packets_out=activity.packets_out,
        packets_in=activity.packets_in,
        events=activity.synaptic_events,
        hops=activity.hops,
        crossings=crossings(program.chip, spikes_of(result, False)),
        learning=learning,
    )


def spikes_of(result: Run, need_active: bool) -> Spikes:
    """Spikes of a run with the fan-out of its program.

    Raises `RunError` if `need_active` and the run kept no record of which neurons were active.
    """
    program, raw = result.program, result.raw
    fan = program.fan_out
    active = raw.active
    if active.shape[0] != raw.spikes.ptr.size - 1:
        if need_active:
            raise RunError("this timing needs the active neurons of each step: run with masks=True, or use 'simple'")
        active = np.zeros((0, 1), np.uint8)
    cores = np.asarray(program.cores, np.int64)
    return Spikes(
        start=raw.spikes.ptr,
        neuron=raw.spikes.ids,
        active=active,
        core=np.asarray(program.core, np.int64),
        free=free_neurons(program),
        fan_start=fan.ptr,
        fan_core=cores[fan.core] if cores.size else np.zeros(0, np.int64),
        fan_synapses=fan.events,
    )


def _spikes_of_free(result: Run, shape: tuple[int, ...]) -> np.ndarray:
    """Spikes of input lines that sit on a core, (t, c)."""
    program, train = result.program, result.raw.spikes
    out = np.zeros(shape, np.int64)
    placed = free_neurons(program) & (program.column >= 0)
    if placed.any():
        step = np.repeat(np.arange(shape[0]), np.diff(train.ptr))
        mine = placed[train.ids]
        np.add.at(out, (step[mine], program.column[train.ids[mine]]), 1)
    return out
