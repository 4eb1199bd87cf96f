"""Learner of nengo-loihi's PES: an error given for every pair of neurons, weights in 2**-6 of a mantissa's unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import RunError
from chipsim.kept import FOREVER, Kept, flags, like, number
from chipsim.kernels.arithmetic.trace import TRACE_MAX
from chipsim.kernels.learning.pes import CLIPPED_WEIGHTS, PesState, pes_step
from chipsim.program.program import Program, ProjectionImage
from chipsim.rules.pes import MAX_ERROR, Pes, PesStreams

from .declared import Learner, Tally, _messages
from .third import third_array

#: The neurons' current stands 6 bits above the sum of weights.
CURRENT_SHIFT = 6


class PesLearner(Learner):
    """PES: weights in units of 2**-6 of a mantissa's, dense, errors given for every pair of neurons."""

    variables = ("w", "x1")

    def __init__(
        self, program: Program, image: ProjectionImage, matrix: sp.csc_array, weights: np.ndarray, streams: PesStreams
    ) -> None:
        super().__init__(program, image, matrix, weights)
        rule: Pes = image.rule
        self.rule, self.name, self.streams = rule, "PES", streams
        what = f"projection '{image.name}': PES"
        if self.is_float or program.arithmetic.preset != "nengo_loihi":
            raise RunError(f"{what} is nengo-loihi's: compile with arithmetic='nengo_loihi'")
        if image.synapses.exponent < 0 or self.post.n % 2 or matrix.nnz != self.pre.n * self.post.n:
            raise RunError(
                f"{what} needs exponent >= 0, an even number of neurons (pairs) and every synapse; store zeros with "
                "chipsim.rules.carried.all_to_all"
            )
        self.params = rule.params(CURRENT_SHIFT + image.synapses.exponent)
        n_pre = self.pre.n
        self.state = PesState(
            np.zeros((n_pre, self.post.n), np.int32), np.zeros(n_pre, np.int32), np.zeros(n_pre, np.uint8),
            np.zeros(3, np.int64),
        )  # fmt: skip
        self.changed_outside()
        self.flags = np.zeros(n_pre, bool)
        self.time, self.changed = 0, 0

    def changed_outside(self) -> None:
        """Take the machine's weights."""
        self.state.w[...] = (self.weights << CURRENT_SHIFT).reshape(self.state.w.shape)

    def prepare(self, steps: int, third: Any) -> None:
        """Errors of the coming run, one per pair."""
        pairs = self.post.n // 2
        self.third = third_array(self.image.name, self.name, ("error",), third, steps, pairs)
        if np.any(np.abs(self.third) > MAX_ERROR) or np.any(self.third != np.floor(self.third)):
            raise RunError(
                f"projection '{self.image.name}': PES errors are whole numbers within +-{MAX_ERROR}; scale them with "
                "chipsim.rules.pes.scale_errors"
            )
        self.done = np.zeros((steps, 2), np.int64)

    def rest(self) -> None:
        """Traces to 0."""
        self.state.trace[:], self.state.seen[:] = 0, 0

    def before(self, t: int, row: int, pre: np.ndarray) -> None:
        """Traces and weights, from the spikes that arrived; before the neurons of the step."""
        self.time += 1
        self.flags[:] = False
        self.flags[pre] = True
        error = np.broadcast_to(self.third[row, 0], (self.post.n // 2,)).astype(np.int64)
        numbers = self.streams.draw(self.time, self.rule, self.state)
        pes_step(self.time, self.flags, error, *numbers, self.params, self.state)
        if self.time % self.rule.learn_epoch == 0:
            now = (self.state.w >> CURRENT_SHIFT).ravel()
            self.done[row] = now.size, np.count_nonzero(now != self.weights)
            self.changed += int(self.done[row, 1])
            self.weights[:] = now

    def counts(self) -> dict[str, np.ndarray]:
        """Acts per step of the run."""
        steps = self.done.shape[0]
        trains = (self.time - steps + np.arange(1, steps + 1)) % self.rule.train_epoch == 0
        return {
            "trace_update": trains * self.pre.n,
            "synapse_update": self.done[:, 0],
            "weight_read": self.done[:, 0],
            "weight_write": self.done[:, 1],
            "third_factor": _messages(self.third),
        }

    def tally(self) -> Tally:
        """Totals since reset."""
        updates = self.time // self.rule.learn_epoch * self.weights.size
        return Tally(updates, self.changed, updates - self.changed, int(self.state.counts[CLIPPED_WEIGHTS]))

    def bounds(self) -> tuple[float, float]:
        """Range of the weights."""
        top = ((1 << 8 - self.params.cut) - 1) << (self.params.weight_exp + self.params.cut - CURRENT_SHIFT)
        return -float(top), float(top)

    def value(self, name: str) -> np.ndarray:
        """A recorded variable now."""
        return self.state.trace.copy() if name == "x1" else self.dense(self.weights)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that changes but the weights."""
        _, keys, position, *_ = self.streams.rng.get_state()
        return {
            "trace": self.state.trace.copy(), "seen": self.state.seen.copy(), "counts": self.state.counts.copy(),
            "time": np.array(self.time), "changed": np.array(self.changed), "keys": np.array(keys),
            "position": np.array(position),
        }  # fmt: skip

    def kept(self) -> dict[str, Kept]:
        """What `checkpoint` holds."""
        return {
            "trace": like(self.state.trace, 0, TRACE_MAX), "seen": flags(self.state.seen),
            "counts": like(self.state.counts, 0, FOREVER), "time": number(), "changed": number(),
            "keys": Kept((624,), np.dtype(np.uint32)), "position": number(0, 624),
        }  # fmt: skip

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint."""
        self.state.trace[:], self.state.seen[:] = saved["trace"], saved["seen"]
        self.state.counts[:], self.time, self.changed = saved["counts"], int(saved["time"]), int(saved["changed"])
        words = {"key": np.asarray(saved["keys"], np.uint32), "pos": int(saved["position"])}
        self.streams.rng.set_state({**self.streams.rng.get_state(legacy=False), "state": words})
        self.changed_outside()
