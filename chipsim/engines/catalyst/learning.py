"""Learning projections of a program on a Catalyst N1: their weights and states, the reward, what a run reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.kernels.chips.n1.rows import WEIGHT_MAX, S

from ...errors import RunError
from ...native.synapses import with_data
from ...rules.carried import LearningReport
from ..contract import Learned
from ..learning.lesson import ACTS
from .engine import N1Engine
from .image import N1Image

UNIT_REWARD = 128  #: reward level that counts as 1 in a declared rule
_ROWS = {"w": S.WEIGHT, "t": S.TAG, "e": S.ELIGIBILITY, "d": S.DELAY}


class Pools:
    """Where the synapses of each projection lie in the cores' pools, read and written as matrices (post, pre)."""

    def __init__(self, program: Any, image: N1Image, chip: N1Engine) -> None:
        self.program, self.image, self.chip = program, image, chip

    def _values(self, k: int, row: int) -> np.ndarray:
        """One row of the pool for every synapse of projection k, in the order of its `entries`."""
        post, _, weight, _ = self.program.projections[k].synapses.entries()
        values = weight.copy() if row == S.WEIGHT else np.zeros(post.size, np.int64)
        for (owner, core), span in self.image.spans.items():
            if owner == k:
                values[span[:, 0]] = self.chip.machine.pool[core, row, span[:, 1]]
        return values

    def matrix(self, name: str, variable: str = "w") -> Any:
        """A variable of a projection, (post, pre) int64, dense or CSC as its weights were given."""
        k = self.program.projection(name)
        synapses = self.program.projections[k].synapses
        values = self._values(k, _ROWS[variable])
        if not isinstance(synapses.mantissa, np.ndarray):
            return with_data(synapses.mantissa, values)
        post, pre, _, _ = synapses.entries()
        out = np.zeros(synapses.shape, np.int64)
        out[post, pre] = values
        return out

    def write(self, name: str, given: Any) -> None:
        """Overwrite the weights of a projection, its pattern kept; RunError for other shapes, places, numbers."""
        k = self.program.projection(name)
        synapses = self.program.projections[k].synapses
        if np.shape(given) != synapses.shape:
            raise RunError(
                f"projection '{name}': weights have shape {np.shape(given)}; give (post, pre) = {synapses.shape}"
            )
        dense = np.asarray(given.toarray() if hasattr(given, "toarray") else given)
        if dense.dtype.kind not in "iuf" or not np.all(np.isfinite(dense)) or np.any(dense != np.floor(dense)):
            raise RunError(f"projection '{name}': the chip's weights are whole numbers")
        if dense.size and (dense.min() < -32768 or dense.max() > 32767):
            raise RunError(f"projection '{name}': weights span {dense.min():g}..{dense.max():g}, beyond 16 bits")
        post, pre, _, _ = synapses.entries()
        values = dense[post, pre].astype(np.int64)
        if np.count_nonzero(values) != np.count_nonzero(dense):
            raise RunError(f"projection '{name}': weights are given where it has no synapse")
        found = {core: span for (owner, core), span in self.image.spans.items() if owner == k}
        if sum(len(span) for span in found.values()) != values.size:
            raise RunError(f"projection '{name}' leads over routes between cores, which cannot be rewritten from here")
        for core, span in found.items():
            order = np.argsort(span[:, 1], kind="stable")
            same, value = np.diff(span[order, 1]) == 0, values[span[order, 0]]
            if np.any(same & (np.diff(value) != 0)):
                raise RunError(f"projection '{name}' is written in population format: one weight for all of a source")
            self.chip.machine.pool[core, S.WEIGHT, span[:, 1]] = values[span[:, 0]]


class N1Learner:
    """One learning projection: what can be recorded of it, w weight, t tag, e eligibility, d delay."""

    variables = tuple(_ROWS)

    def __init__(self, image: Any, pools: Pools) -> None:
        self.name, self.rule, self.pools = image.name, image.rule, pools

    def value(self, variable: str) -> np.ndarray:
        """A variable now, (post, pre)."""
        found = self.pools.matrix(self.name, variable)
        return found if isinstance(found, np.ndarray) else found.toarray()

    def weights(self) -> np.ndarray:
        """All weights now, flat."""
        found = self.pools.matrix(self.name)
        return found.ravel() if isinstance(found, np.ndarray) else found.data


class N1Learning:
    """The learning projections of a program."""

    def __init__(self, program: Any, pools: Pools) -> None:
        self.learners = {p.name: N1Learner(p, pools) for p in program.projections if p.rule is not None}

    def level(self, third: Mapping[str, Any], steps: int) -> np.ndarray:
        """The reward register in each step, (steps,) int64; RunError for more than one reward, or one beyond 16 bits.

        A declared rule's third factor of 1 is a level of 128; microcode gets the register's value as it is given.
        """
        levels = []
        for name, given in third.items():
            values = np.asarray(given, np.float64)
            if values.ndim > 1 and np.all(values == values[:, :1]):
                values = values[:, 0]
            if values.ndim > 1 or (values.ndim and values.shape != (steps,)):
                raise RunError(
                    f"third factor for '{name}': the chip has one reward for all: give a number, or {steps} of them"
                )
            unit = UNIT_REWARD if self.learners[name].rule.weight_step is not None else 1
            levels.append(np.rint(np.broadcast_to(values * unit, (steps,))))
        if not levels:
            return np.zeros(steps, np.int64)
        if any(not np.array_equal(levels[0], other) for other in levels[1:]):
            raise RunError(f"third factors for {', '.join(third)} differ; the chip has one reward for all")
        if np.abs(levels[0]).max(initial=0) > 32767:
            raise RunError(
                f"third factor: a reward level of {np.abs(levels[0]).max():g} is beyond the register's 32767"
            )
        return levels[0].astype(np.int64)

    def report(
        self, before: dict[str, np.ndarray], work: np.ndarray, level: np.ndarray, learned: bool, seen: dict[str, Any],
        at: list[int],
    ) -> Learned:  # fmt: skip
        """Counts per step, and what each projection did; updates and changes are those of the whole chip."""
        steps = len(work)
        counts = {act: np.zeros(steps, np.int64) for act in ACTS}
        counts["synapse_update"], counts["weight_read"] = work[:, 0].copy(), work[:, 0].copy()
        counts["weight_write"], counts["third_factor"] = work[:, 2].copy(), (level != 0).astype(np.int64)
        reports = {}
        for name, learner in self.learners.items():
            now = learner.weights()
            edge = (now <= 0) | (now >= WEIGHT_MAX)
            trace = {variable: np.array(rows) for variable, rows in seen.get(name, {}).items()}
            reports[name] = LearningReport(
                rule=learner.rule.name, steps=steps if learned else 0, updates=int(work[:, 0].sum()),
                changed=int(work[:, 2].sum()), stalled=0, saturated=0, not_finite=0,
                at_bound=float(edge.mean()) if edge.size else 0.0, before=_moments(before[name]), after=_moments(now),
                step=np.array(at if trace else [], np.int64), trace=trace,
            )  # fmt: skip
        return Learned(counts, reports)


def _moments(weights: np.ndarray) -> tuple[float, float]:
    return (float(weights.mean()), float(weights.std())) if weights.size else (0.0, 0.0)
