"""Which core of a Catalyst N1 holds which neuron: filled in network order within every limit, or as told by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.engines.catalyst.wiring import QUEUE, build_of
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network
from chipsim.native.catalyst.build import Build

SPIKES = 64  #: per core and timestep; the rest is lost


def assign(
    net: Network,
    models: Mapping[str, Any],
    synapses: Mapping[str, Any],
    rules: Mapping[str, Any],
    chip: Chip,
    placement: Mapping[str, Any] | None,
    rates: Mapping[str, Any] | None,
) -> np.ndarray:
    """Core of each neuron in program order, (n,) int32, -1 for inputs.

    Raises
    ------
    CompileError
        A neuron that no core can hold, more cores than the build has, a placement that does not fit.
    """
    start, at = {}, 0
    for p in net.populations.values():
        start[p.name] = at
        at += p.n
    core = np.full(at, -1, np.int32)
    build = build_of(chip)
    if placement is not None:
        return _by_hand(net, start, core, placement, build, chip)
    for name in rates or {}:
        if name not in net.populations:
            raise CompileError(f"rates: no population '{name}'; the network has {', '.join(net.populations)}")
    filler = _Filler(net, start, models, synapses, rules, rates or {}, build, chip)
    for p in net.populations.values():
        if not p.model.is_input:
            filler.population(p.name, core)
    return core


def _by_hand(
    net: Network, start: dict[str, int], core: np.ndarray, placement: Mapping[str, Any], build: Build, chip: Chip
) -> np.ndarray:
    for name in placement:
        if name not in net.populations:
            raise CompileError(f"placement: no population '{name}'; the network has {', '.join(net.populations)}")
    for name, p in net.populations.items():
        if p.model.is_input:
            if name in placement:
                raise CompileError(
                    f"placement: '{name}' is an input; {chip.name} gives it relays where it is heard: leave it out"
                )
            continue
        if name not in placement:
            raise CompileError(f"placement says nothing about population '{name}': give its core, or {p.n}")
        cores = np.asarray(placement[name])
        if cores.dtype.kind not in "iu" or (cores.ndim and cores.shape != (p.n,)):
            raise CompileError(f"placement of population '{name}' must be one core number or {p.n} of them")
        if cores.min() < 0 or cores.max() >= build.cores:
            raise CompileError(
                f"placement of population '{name}': {chip.name} has cores 0..{build.cores - 1}, no core "
                f"{cores.max() if cores.max() >= build.cores else cores.min()}",
                population=name, resource="cores",
            )  # fmt: skip
        core[start[name] : start[name] + p.n] = cores
    return core


class _Filler:
    """Fills cores one after the other."""

    def __init__(
        self, net: Network, start: dict[str, int], models: Any, synapses: Any, rules: Any, rates: Any, build: Build,
        chip: Chip,
    ) -> None:  # fmt: skip
        self.net, self.start, self.models, self.build, self.chip = net, start, models, build, chip
        self.rules = rules
        self.rate = np.zeros(sum(p.n for p in net.populations.values()))
        for name, value in rates.items():
            first = start[name]
            self.rate[first : first + net.populations[name].n] = np.asarray(value, np.float64)
        self.incoming = {name: self._incoming(name, synapses) for name in net.populations}
        self.core, self.key = -1, None
        self._new()

    def _incoming(self, name: str, synapses: Any) -> tuple[np.ndarray, np.ndarray]:
        """Per neuron: pointers into rows (source, delay), sorted by neuron."""
        parts = [np.zeros((0, 3), np.int64)]
        for p in self.net.projections.values():
            if p.post.name == name:
                post, pre, _, delay = synapses[p.name].entries()
                parts.append(np.stack([post, pre + self.start[p.pre.name], delay], axis=1))
        rows = np.concatenate(parts)
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        n = self.net.populations[name].n
        return np.searchsorted(rows[:, 0], np.arange(n + 1)), rows[:, 1:]

    def _new(self) -> None:
        self.core += 1
        self.held: set[int] = set()  # members and sources: each takes a neuron of the core
        self.members, self.pool, self.spikes = 0, 0, 0.0
        self.axon: dict[int, int] = {}
        self.delayed: dict[tuple[int, int], int] = {}

    def population(self, name: str, core: np.ndarray) -> None:
        """Place a population: neuron by neuron, or whole if its neurons are compartments of trees."""
        p, model, first = self.net.populations[name], self.models[name], self.start[name]
        rule = next((self.rules[q.name] for q in self.net.projections.values()
                     if q.post.name == name and self.rules[q.name] is not None), None)  # fmt: skip
        key = (*(int(model.values[k]) for k in ("epoch", "passes", "reward_tau")), rule)
        if self.key is not None and key != self.key and self.members:
            self._new()
        self.key = key
        whole = bool(np.any(model.per_neuron("parent") >= 0))
        ptr, rows = self.incoming[name]
        groups = [np.arange(p.n)] if whole else [np.array([k]) for k in range(p.n)]
        for group in groups:
            mine = rows[ptr[group[0]] : ptr[group[-1] + 1]]
            trouble = self._trouble(group + first, mine)
            if trouble and self.members:
                self._new()
                trouble = self._trouble(group + first, mine)
            if trouble:
                raise self._refusal(name, trouble, whole)
            if self.core >= self.build.cores:
                raise CompileError(
                    f"{self.chip.name}: population '{name}' needs a core beyond its {self.build.cores}: use a smaller "
                    "network, or a larger build",
                    population=name, resource="cores", need=self.core + 1, limit=self.build.cores,
                )  # fmt: skip
            self._take(group + first, mine)
            core[group + first] = self.core

    def _trouble(self, ids: np.ndarray, rows: np.ndarray) -> tuple[str, int, int] | None:
        """Resource, need and limit of what does not fit, None if all does."""
        new = {*ids.tolist(), *rows[:, 0].tolist()} - self.held
        held = len(self.held) + len(new)
        if held > self.build.neurons:
            return "neurons", held, self.build.neurons
        if self.pool + len(rows) > self.build.pool:
            return "synapse pool", self.pool + len(rows), self.build.pool
        spikes = self.spikes + float(self.rate[list(new)].sum())  # relays fire as often as what they stand for
        if spikes > SPIKES:
            return "spikes per timestep", int(np.ceil(spikes)), SPIKES
        most = (1 << self.build.count_bits) - 1
        for source, count in zip(*np.unique(rows[:, 0], return_counts=True)):
            if self.axon.get(int(source), 0) + count > most:
                return "synapses of one axon", self.axon.get(int(source), 0) + int(count), most
        late = rows[rows[:, 1] > 0]
        if late.size:
            for (source, delay), count in zip(*np.unique(late, axis=0, return_counts=True)):
                need = self.delayed.get((int(source), int(delay)), 0) + int(count)
                if need > QUEUE:
                    return "delay queue", need, QUEUE
        return None

    def _take(self, ids: np.ndarray, rows: np.ndarray) -> None:
        new = {*ids.tolist(), *rows[:, 0].tolist()} - self.held
        self.spikes += float(self.rate[list(new)].sum())
        self.held |= new
        self.members += len(ids)
        self.pool += len(rows)
        for source in rows[:, 0].tolist():
            self.axon[source] = self.axon.get(source, 0) + 1
        for source, delay in rows[rows[:, 1] > 0].tolist():
            self.delayed[source, delay] = self.delayed.get((source, delay), 0) + 1

    def _refusal(self, name: str, trouble: tuple[str, int, int], whole: bool) -> CompileError:
        what, need, limit = trouble
        remedy = {
            "neurons": "inputs and sources on other cores take a relay neuron each: lower the fan-in",
            "synapse pool": "use fewer synapses, or a build with a deeper pool",
            "spikes per timestep": "its rate and those of its sources, as relays, are more than a core sends",
            "synapses of one axon": "use fewer targets",
            "delay queue": "spread the delays of a source over more timesteps",
        }[what]
        tree = " (its neurons are compartments of trees and stay on one core)" if whole else ""
        return CompileError(
            f"{self.chip.name}: population '{name}'{tree} needs {what} {need} on one core, which has {limit}: {remedy}",
            population=name, resource=what, need=need, limit=limit,
        )  # fmt: skip
