"""One learning run: what is recorded and reported of it, and its compiled loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.engines.contract import Learned
from chipsim.kernels.learning import machine_declared as machine_plastic
from chipsim.rules.carried import LearningReport
from chipsim.rules.e_prop.rule import EProp

from .declared import DeclaredLearner, Learner

ACTS = ("trace_update", "weight_read", "weight_write", "synapse_update", "third_factor")


class Lesson:
    """One learning run: what it started from, what is recorded on the way."""

    def __init__(
        self, learners: Mapping[str, Learner], reported: dict[str, Any], steps: int, watch: Mapping[str, Any]
    ) -> None:
        self.learners, self.reported, self.steps, self.watch = learners, reported, steps, watch
        self.started = {n: reported.get(n) or standing(x) for n, x in learners.items()}
        self.step: list[int] = []
        self.kept: dict[str, dict[str, list[np.ndarray]]] = {n: {v: [] for v in vs} for n, vs in watch.items()}

    def look(self, done: int) -> None:
        """Keep what is recorded, after `done` steps of the run."""
        if not self.watch:
            return
        self.step.append(done)
        for name, variables in self.kept.items():
            for variable, values in variables.items():
                values.append(self.learners[name].value(variable))

    def end(self, learned: bool) -> Learned:
        """The run's counts and reports."""
        counts = {act: np.zeros(self.steps, np.int64) for act in ACTS}
        reports = {}
        for name, learner in self.learners.items():
            if learned:
                for act, values in learner.counts().items():
                    counts[act] += values
            trace = {v: np.array(rows) for v, rows in self.kept.get(name, {}).items()}
            reports[name] = self._report(name, learner, trace, learned)
            if learner.late:
                self.reported[name] = standing(learner)
        return Learned(counts, reports)

    def _report(self, name: str, learner: Any, trace: dict[str, np.ndarray], learned: bool) -> LearningReport:
        was, before = self.started[name]
        now, (low, high) = learner.tally(), learner.bounds()
        names = ("updates", "changed", "stalled", "saturated", "not_finite")
        delta = {n: getattr(now, n) - getattr(was, n) for n in names}
        edge = (learner.weights <= low) | (learner.weights >= high)
        return LearningReport(
            rule=learner.name,
            steps=self.steps if learned else 0,
            at_bound=float(edge.mean()) if edge.size else 0.0,
            before=before,
            after=_moments(learner.weights),
            step=np.array(self.step if trace else [], np.int64),
            trace=trace,
            stochastic=rounds_stochastically(learner),
            **delta,
        )


def rounds_stochastically(learner: Any) -> bool:
    """True for declared rules with such a weight format, and Loihi's own engines, which always do."""
    rule = learner.image.rule
    if isinstance(rule, EProp):
        form = None if rule.precision is None else rule.precision.weights
    elif isinstance(learner, DeclaredLearner):
        form = learner.rule.weight
    else:
        return not learner.is_float
    return form is not None and form.rounding == "stochastic"


def standing(learner: Any) -> tuple[Any, tuple[float, float]]:
    """A learner's totals and the moments of its weights now."""
    return learner.tally(), _moments(learner.weights)


def _moments(weights: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation."""
    if not weights.size:
        return 0.0, 0.0
    values = weights.astype(np.float64)
    mean = float(values.mean())
    values -= mean
    values *= values
    return mean, math.sqrt(float(values.mean()))


def teacher_of(learner: DeclaredLearner) -> machine_plastic.Teacher:
    """A learner's arrays as the compiled loop takes them."""
    p, n_post = learner.plastic, learner.post.n
    numbers = [learner.image.pre, learner.image.post, learner.v_row, p.seed, p.step_index, p.address, *learner.rows]
    return machine_plastic.Teacher(
        row_ptr=p.row_ptr,
        col=p.col,
        col_ptr=p.col_ptr,
        col_syn=p.col_syn,
        col_pre=p.col_pre,
        w=p.w,
        syn=p.syn,
        pre_vars=p.pre_vars,
        post_vars=p.post_vars,
        level=learner.level,
        const=p.const,
        counters=p.counters,
        third=np.ascontiguousarray(learner.third),
        factors=np.zeros((len(learner.rule.factors), n_post)),
        v=np.zeros(n_post),
        pre_ids=np.zeros(learner.pre.n, np.int32),
        post_ids=np.zeros(n_post, np.int32),
        where=np.array(numbers, np.int64),
        unit=np.array([learner.v_unit, *learner.units, learner.v_offset]),
        inlet=learner.inlet,
        factor_unit=learner.factor_unit,
        done=learner.done,
        queue=learner.queue,
    )
