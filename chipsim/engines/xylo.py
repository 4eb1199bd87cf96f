"""The engine of family xylo: one core of 16-bit neurons, inputs acting at once, spikes one step later."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.engines.contract import Probe, Progress, RawRun, SpikeTrain, Teaching
from chipsim.errors import RunError
from chipsim.kept import checked, like, number
from chipsim.kernels.chips import xylo
from chipsim.program.program import Program


class XyloEngine:
    """Runs a program of family xylo; `threads` changes nothing, because one core has one clock."""

    def __init__(self, program: Program, threads: int = 1) -> None:
        self.program, self.threads = program, threads
        self.images = [p for p in program.populations if not p.model.is_input]
        for image in self.images:
            if image.model.model != "xylo_lif":
                raise RunError(f"population '{image.name}': {type(image.model).__name__} does not run on Xylo")
        order = [p for p in program.populations if p.model.is_input] + self.images
        self._ids = np.concatenate([np.arange(p.start, p.stop) for p in order])
        self._address = np.argsort(self._ids)
        self._inputs = sum(p.n for p in order) - sum(p.n for p in self.images)
        self.chip = self._load()
        self.reset()

    def _load(self) -> xylo.Chip:
        n = self.program.n
        total: Any = sp.csc_array((n, n), dtype=np.int32)
        for p in self.program.projections:
            pre, post = self.program.populations[p.pre], self.program.populations[p.post]
            part = sp.coo_array(p.synapses.mantissa)
            rows, columns = self._address[part.coords[0] + post.start], self._address[part.coords[1] + pre.start]
            values = part.data.astype(np.int32) << np.int32(p.synapses.exponent)
            total = total + sp.csc_array((values, (rows, columns)), shape=(n, n))
        total.sort_indices()

        def register(name: str) -> np.ndarray:
            parts = [p.model.per_neuron(name) for p in self.images]
            return np.concatenate(parts).astype(np.int32)

        names = ("threshold", "dash_mem", "dash_syn", "bias", "most")
        index = total.indices.astype(np.int64) - self._inputs
        pointer = total.indptr.astype(np.int64)
        return xylo.Chip(pointer, index, total.data.astype(np.int32), self._inputs, *map(register, names))

    def reset(self) -> None:
        """Everything at zero."""
        n = self.chip.threshold.size
        self._current, self._v, self._counts = (np.zeros(n, np.int32) for _ in range(3))
        self.step = 0

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
        n = self.chip.threshold.size
        kept = steps if probes else 0
        spikes = np.zeros((steps, n), np.int32)
        trace_v, trace_i = np.zeros((kept, n), np.int32), np.zeros((kept, n), np.int32)
        clipped = np.zeros((n, 2), np.int64)
        ids = self._address[inputs.ids.astype(np.int64)]
        values = inputs.value.astype(np.int32) if inputs.value.size else np.ones(ids.size, np.int32)
        if np.any(values < 0):
            raise RunError("Xylo's inputs are counts of spikes; negative ones mean nothing")
        state = (self._current, self._v, self._counts)
        xylo.run(self.chip, inputs.ptr, ids, values, *state, spikes, trace_v, trace_i, clipped)
        self.step += steps
        if progress is not None:
            progress(steps, steps)
        saturated = np.zeros((len(self.program.populations), 2), np.int64)
        traces = [np.zeros((steps, 0), np.int32)]
        for probe in probes:
            where = self._address[probe.lo : probe.hi] - self._inputs
            traces.append((trace_v, trace_i)[probe.row][:, where])
        for k, image in enumerate(self.program.populations):
            if not image.model.is_input:
                saturated[k] = clipped[self._address[image.start : image.stop] - self._inputs].sum(axis=0)
        return RawRun(
            self._log(inputs, values, spikes),
            np.full((steps, 1), n, np.int64),
            saturated,
            np.zeros((0, 1), np.uint8),
            np.concatenate(traces, axis=1),
        )

    def _log(self, inputs: SpikeTrain, values: np.ndarray, spikes: np.ndarray) -> SpikeTrain:
        tick, neuron = np.nonzero(spikes)
        step = np.concatenate([np.repeat(np.arange(len(spikes)), np.diff(inputs.ptr)), tick])
        who = np.concatenate([inputs.ids.astype(np.int64), self._ids[neuron + self._inputs]])
        value = np.concatenate([np.minimum(values, xylo.INPUT_MOST), spikes[tick, neuron]]).astype(np.int32)
        order = np.lexsort((who, step))
        ptr = np.searchsorted(step[order], np.arange(len(spikes) + 1)).astype(np.int64)
        return SpikeTrain(ptr, who[order].astype(np.uint32), value[order])

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint (copies)."""
        named = {"current": self._current, "v": self._v, "counts": self._counts}
        return {k: v.copy() for k, v in named.items()} | {"step": np.array(self.step)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint made by `state`; RunError for what is none."""
        bits = like(self._v, xylo.BOTTOM, xylo.TOP)
        counts = like(self._counts, 0, self.chip.most)
        state = checked(state, {"current": bits, "v": bits, "counts": counts, "step": number()})
        self._current, self._v = np.array(state["current"]), np.array(state["v"])
        self._counts, self.step = np.array(state["counts"]), int(state["step"])
