"""A `Program` on a Catalyst N1: steps are timesteps, input spikes are stimuli of relay neurons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.kernels.chips.n1.rows import N
from chipsim.program.program import Program

from ...errors import RunError
from ..contract import Probe, Progress, RawRun, SpikeTrain, Teaching
from .engine import N1Engine, N1Run
from .image import FLAGS, UNIT_PAYLOAD, N1Image, program_image
from .learning import N1Learning, Pools

#: Row of the neuron array of each variable of the neurons (`native.catalyst.neurons.STATES`), in their order.
PROBED = np.array([N.V, N.U, N.REF, N.ACC, N.THR, N.T1, N.T3, N.T2, N.T4, N.T5])
LEARNING = FLAGS["learn"] | FLAGS["threefactor"]
#: Timesteps that one call of the kernel is given, so that a progress bar can move.
CHUNK = 1000


class N1ProgramEngine:
    """Runs a program of family catalyst, one timestep per step."""

    def __init__(self, program: Program, threads: int = 1) -> None:
        self.program, self.threads = program, threads
        self.image: N1Image = program_image(program)
        self.chip = N1Engine(self.image.build, self.image.operations, threads=threads, held=self.image.cores)
        self.pools = Pools(program, self.image, self.chip)
        self.learning = N1Learning(program, self.pools)
        relays = self.image.relays[np.argsort(self.image.relays[:, 0], kind="stable")]
        self._relays = relays
        self._relay_ptr = np.searchsorted(relays[:, 0], np.arange(program.n + 1))
        self._owner = np.full((self.chip.cores, self.image.build.places), -1, np.int64)
        mine = np.flatnonzero(self.image.spot[:, 0] >= 0)
        self._owner[self.image.spot[mine, 0], self.image.spot[mine, 1]] = mine

    @property
    def step(self) -> int:
        """Steps run since the last reset."""
        return self.chip.step

    def reset(self) -> None:
        """Back to the state of a freshly loaded program."""
        self.chip.reset()

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
        """Advance `steps` steps; `inputs` hold the spikes of exactly these steps."""
        learn, third, targets, watch, every, _ = learning or Teaching()
        if targets:
            raise RunError(f"targets for '{next(iter(targets))}', but no projection learns by e-prop")
        reward = self.learning.level(third, steps) if learn else np.zeros(steps, np.int64)
        before = {name: learner.weights() for name, learner in self.learning.learners.items()}
        seen = {name: {variable: [] for variable in wanted} for name, wanted in watch.items()}
        looks: list[int] = []
        stimuli = self.stimuli(inputs, steps)
        flags = self.image.flags & (0xFF if learn else ~LEARNING & 0xFF)
        probed = self._watch(probes)
        runs: list[tuple[int, N1Run]] = []
        chunk = max(1, min(CHUNK, every if seen else CHUNK))
        for at in range(0, steps, chunk):
            count = min(chunk, steps - at)
            lo, hi = np.searchsorted(stimuli[:, 0], [at, at + count])
            mine = stimuli[lo:hi] - np.array([at, 0, 0, 0])
            level = reward[at : at + count]
            runs.append((at, self.chip.run(count, mine, flags=flags, reward=level, watch=probed)))
            if seen and (at + count) % every == 0:
                looks.append(at + count)
                for name, kept in seen.items():
                    for variable, rows in kept.items():
                        rows.append(self.learning.learners[name].value(variable))
            if progress is not None:
                progress(at + count, steps)
        raw = self._raw(inputs, steps, runs, len(probed))
        if not self.learning.learners:
            return raw
        work = np.concatenate([r.work for _, r in runs])
        return raw._replace(learned=self.learning.report(before, work, reward, learn, seen, looks))

    def stimuli(self, inputs: SpikeTrain, steps: int) -> np.ndarray:
        """Rows (step, core, neuron, current) that make the relays of every input spike fire, by step."""
        ids = inputs.ids.astype(np.int64)
        step = np.repeat(np.arange(steps), np.diff(inputs.ptr))
        graded = bool(self.image.flags & FLAGS["graded"])
        value = np.full(ids.size, UNIT_PAYLOAD if graded else 1, np.int64)
        if graded and inputs.value.size == ids.size:
            carries = np.zeros(self.program.n, bool)
            for p in self.program.populations:
                carries[p.start : p.stop] = p.model.is_input and bool(p.model.values["graded"])
            value = np.where(carries[ids], inputs.value.astype(np.int64), value)
            if np.any((value < 1) | (value > 255)):
                bad = int(value[(value < 1) | (value > 255)][0])
                raise RunError(f"input spikes carry {bad}; the chip's payloads are 1..255")
        elif inputs.value.size == ids.size and np.any(inputs.value < 0):
            raise RunError("input spikes carry negative values; without graded synapses the chip takes plain spikes")
        count = np.diff(self._relay_ptr)[ids]
        which = np.repeat(self._relay_ptr[ids], count) + _within(count)
        rows = self._relays[which]
        # A relay fires at a current of its threshold 1 and above; its payload is what the current exceeds it by.
        extra = int(graded)
        return np.column_stack([np.repeat(step, count), rows[:, 1], rows[:, 2], np.repeat(value, count) + extra])

    def _watch(self, probes: list[Probe]) -> np.ndarray:
        parts = [np.zeros((0, 3), np.int64)]
        for p in probes:
            spot = self.image.spot[p.lo : p.hi]
            parts.append(np.column_stack([spot[:, 0], np.full(len(spot), PROBED[p.row]), spot[:, 1]]))
        return np.concatenate(parts)

    def _raw(self, inputs: SpikeTrain, steps: int, runs: list[tuple[int, N1Run]], columns: int) -> RawRun:
        fired = [np.zeros((0, 2), np.int64)]
        for at, run in runs:
            who = self._owner[run.spikes[:, 2], run.spikes[:, 3]]
            fired.append(np.column_stack([run.spikes[:, 0].astype(np.int64) + at, who])[who >= 0])
        rows = np.concatenate(fired)
        when = np.concatenate([np.repeat(np.arange(steps), np.diff(inputs.ptr)), rows[:, 0]])
        ids = np.concatenate([inputs.ids.astype(np.int64), rows[:, 1]])
        order = np.lexsort((ids, when))
        ptr = np.searchsorted(when[order], np.arange(steps + 1)).astype(np.int64)
        values = np.zeros(0, np.int32)
        if inputs.value.size == inputs.ids.size and inputs.ids.size:
            values = np.concatenate([inputs.value.astype(np.int32), np.ones(len(rows), np.int32)])[order]
        train = SpikeTrain(ptr, ids[order].astype(np.uint32), values)
        used = self.program.cores

        def joined(name: str, shape: tuple[int, ...]) -> np.ndarray:
            return np.concatenate([np.zeros((0, *shape), np.int64), *(getattr(r, name) for _, r in runs)])

        cores = (self.chip.cores,)
        drops = joined("lost", ())
        saturated = np.zeros((len(self.program.populations), 2), np.int64)
        first = next((k for k, p in enumerate(self.program.populations) if not p.model.is_input), 0)
        saturated[first, 1] = drops.sum()
        trace = np.concatenate([np.zeros((0, columns), np.int32), *(r.trace for _, r in runs)])
        updates, sops = joined("updates", cores)[:, used], joined("synops", cores)[:, used]
        return RawRun(
            train, updates, saturated, np.zeros((1, 1), np.uint8), trace, cycles=joined("cycles", ()), sops=sops,
            drops=drops, waiting=joined("waiting", ()),
        )  # fmt: skip

    @property
    def learners(self) -> Mapping[str, Any]:
        """The projections that can learn, by name."""
        return self.learning.learners

    def weights(self, projection: str) -> Any:
        """Weights now, (post, pre) int64 dense, or CSC if they were given so."""
        return self.pools.matrix(projection)

    def set_weights(self, projection: str, weights: Any) -> None:
        """Overwrite the weights of a projection between runs, its pattern kept."""
        self.pools.write(projection, weights)

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint (copies)."""
        return self.chip.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint made by `state`."""
        self.chip.restore(state)


def _within(count: np.ndarray) -> np.ndarray:
    """0 .. c - 1 for every c of `count`, one after the other."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
