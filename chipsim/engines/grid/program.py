"""A `Program` of layers on the TrueNorth-class grid: populations to cores, steps to ticks.

A spike of step t, given from outside or fired, acts in step t + 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.engines.contract import Probe, Progress, RawRun, SpikeTrain, Teaching
from chipsim.errors import CompileError
from chipsim.native.grid.image import GridImage, lower_truenorth, to_packets
from chipsim.program.program import PopulationImage, Program

from .core import GridEngine, GridRun


def layers(program: Program) -> list[list[PopulationImage]]:
    """Populations by layer, the inputs first; CompileError unless every projection leads one layer on."""
    depth = {k: 0 for k, p in enumerate(program.populations) if p.model.is_input}
    for _ in program.populations:
        for p in program.projections:
            if p.pre in depth:
                depth[p.post] = max(depth.get(p.post, 0), depth[p.pre] + 1)
                if depth[p.post] > len(program.populations):
                    raise CompileError(
                        "truenorth: the network has a loop; this mapper takes layers, one after the other"
                    )
    for p in program.projections:
        if depth.get(p.post, 0) != depth.get(p.pre, 0) + 1:
            raise CompileError(
                f"truenorth: projection '{p.name}' skips a layer; this mapper takes layers, one after the other"
            )
    idle = [p.name for k, p in enumerate(program.populations) if k not in depth]
    if idle:
        raise CompileError(f"truenorth: nothing leads to population '{idle[0]}'; connect it or leave it out")
    found: list[list[PopulationImage]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for k, image in enumerate(program.populations):
        found[depth[k]].append(image)
    return found


def program_image(program: Program) -> GridImage:
    """The grid of a program; CompileError if it does not fit."""
    where = layers(program)
    start: dict[str, int] = {}
    for layer in where:
        at = 0
        for image in layer:
            start[image.name] = at
            at += image.n
    sizes = [sum(p.n for p in layer) for layer in where]
    weights = [np.zeros((post, pre), np.int64) for pre, post in zip(sizes, sizes[1:])]  # noqa: RUF007
    level = {p.name: k for k, layer in enumerate(where) for p in layer}
    for projection in program.projections:
        pre, post = program.populations[projection.pre], program.populations[projection.post]
        block = weights[level[pre.name]]
        rows, columns = (
            slice(start[post.name], start[post.name] + post.n),
            slice(start[pre.name], start[pre.name] + pre.n),
        )
        block[rows, columns] += projection.synapses.dense()
    models = [[p.model for p in layer] for layer in where[1:]]
    shared = {(int(m.values["mode"]), int(m.values["negthr"])) for layer in models for m in layer}
    if len(shared) > 1:
        raise CompileError("truenorth: all populations share mode and negthr here; make them equal")
    mode, floor = shared.pop()
    return lower_truenorth(
        weights,
        threshold=[np.concatenate([m.per_neuron("thr") for m in layer]) for layer in models],
        leak=[np.concatenate([m.per_neuron("leak") for m in layer]) for layer in models],
        reset="subtract" if mode else "zero",
        floor=floor,
        names=[" + ".join(p.name for p in layer) for layer in where[1:]],
    )


class GridProgramEngine:
    """Runs a program of family truenorth, one tick per step."""

    def __init__(self, program: Program, threads: int = 1) -> None:
        self.program, self.threads = program, threads
        self.image = program_image(program)
        self.grid = GridEngine(self.image.program)
        where = layers(program)
        self.lines = sum(p.n for p in where[0])
        self._line = np.full(program.n, -1, np.int64)
        self._line[np.concatenate([np.arange(p.start, p.stop) for p in where[0]])] = np.arange(self.lines)
        self._spot = np.full((program.n, 2), -1, np.int64)
        self._owner = np.full((self.image.program.cores, self.image.program.neurons), -1, np.int64)
        for layer, spots in zip(where[1:], self.image.where):
            ids = np.concatenate([np.arange(p.start, p.stop) for p in layer])
            self._spot[ids] = spots
            built = spots[:, 0] >= 0
            self._owner[spots[built, 0], spots[built, 1]] = ids[built]

    @property
    def step(self) -> int:
        """Steps run since the last reset."""
        return self.grid.tick

    def reset(self) -> None:
        """Back to the state of a freshly loaded program."""
        self.grid.reset()

    def run(
        self,
        inputs: SpikeTrain,
        steps: int,
        probes: list[Probe],
        *,
        masks: bool = False,
        progress: Progress | None = None,
        learning: Teaching | None = None,
    ) -> RawRun:
        """Advance `steps` ticks; `inputs` hold the spikes of exactly these steps."""
        given = np.zeros((steps, self.lines), np.int64)
        when = np.repeat(np.arange(steps), np.diff(inputs.ptr))
        given[when, self._line[inputs.ids.astype(np.int64)]] = 1
        packets = to_packets(given, self.image)
        first = self.grid.tick
        packets[:, 0] += first + 1  # enters during its own tick, acts in the next
        trace = np.zeros((steps, sum(p.hi - p.lo for p in probes)), np.int32)
        runs: list[tuple[int, GridRun]] = []
        if probes:
            for t in range(steps):
                runs.append((t, self.grid.run(packets[packets[:, 0] == first + t + 1], 1)))
                trace[t] = self._potentials(probes)
        elif steps:
            runs.append((0, self.grid.run(packets, steps)))
        if progress is not None:
            progress(steps, steps)
        spikes = np.concatenate([np.zeros((0, 4), np.int32), *(r.spikes for _, r in runs)])
        arrivals = np.concatenate([np.zeros((0, 5), np.int32), *(r.arrivals[r.to_core] for _, r in runs)])
        who = self._owner[spikes[:, 1], spikes[:, 2]]
        step = np.concatenate([when, spikes[who >= 0, 0] - first - 1])
        ids = np.concatenate([inputs.ids.astype(np.int64), who[who >= 0]])
        order = np.lexsort((ids, step))
        train = SpikeTrain(np.searchsorted(step[order], np.arange(steps + 1)).astype(np.int64),
                           ids[order].astype(np.uint32), np.zeros(0, np.int32))  # fmt: skip
        synapses = self.grid.fan_out[arrivals[:, 1], arrivals[:, 3]]
        sops = np.bincount(np.clip(arrivals[:, 0] - first - 1, 0, steps), synapses, steps + 1)[:steps].astype(np.int64)
        updates = np.full((steps, 1), int((self._spot[:, 0] >= 0).sum()))
        lost = np.array([r.lost for _, r in runs], np.int64)
        drops = np.zeros(steps, np.int64)
        drops[[t for t, _ in runs]] = lost
        quiet = np.zeros((len(self.program.populations), 2), np.int64)
        quiet[next(k for k, p in enumerate(self.program.populations) if not p.model.is_input), 1] = drops.sum()
        cycles = np.full(steps, int(self.image.program.period or 0))
        active = np.zeros((1, 1), np.uint8)
        return RawRun(train, updates, quiet, active, trace, cycles=cycles, sops=sops, drops=drops)

    def _potentials(self, probes: list[Probe]) -> np.ndarray:
        v = self.grid.potentials
        parts = [self._spot[p.lo : p.hi] for p in probes]
        return np.concatenate([np.where(s[:, 0] >= 0, v[s[:, 0], s[:, 1]], 0) for s in parts])

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint (copies)."""
        return self.grid.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint made by `state`."""
        self.grid.restore(state)
