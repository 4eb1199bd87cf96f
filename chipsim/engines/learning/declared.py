"""Learners: one projection's rule in a run of the time-step engine. Weights are the machine's own array, in place.

A learner has `prepare(steps, third)` before a run, `before(t, row, pre)` and `after(t, row, pre, values, post)` around
each step (t counts from 1 since reset, `row` within the run), `tally()` and what a checkpoint holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.chips.arithmetic import Arithmetic
from chipsim.engines.contract import NO_PHASE, Phase
from chipsim.engines.machine.pieces import inlets
from chipsim.errors import RunError
from chipsim.kept import FOREVER, Kept, like, number
from chipsim.native.ranges import mantissa_range
from chipsim.native.synapses import Synapses
from chipsim.program.program import Program, ProjectionImage
from chipsim.rules.carried import EngineRule
from chipsim.rules.costs import cost
from chipsim.rules.declaration import EVALUATES, HOLDS, Rule
from chipsim.rules.fixed_format import Fixed
from chipsim.rules.plastic import Plastic
from chipsim.rules.source import COUNTERS

from .third import third_array

CLOSE = 1e-9  #: of a step: by so much a bound may miss one
DEFAULT_BITS = 9  #: of a learned weight on an integer chip, if the rule declares no format


def value_unit(model: Any, post: Any) -> float:
    """What one unit of a number that `model` sends means to a rule: rates of integer units count in 128ths."""
    rate = model.model == "rate" or (model.is_input and post.model == "rate")
    return 1.0 / 128 if rate else 1.0


def state_units(model: Any) -> tuple[float, float]:
    """What one unit of the slope and of u means to a rule."""
    if model.model != "rate":
        return 1.0, 1.0
    return 2.0**-14, 2.0**-14 if model.values["form"] == "output" else 2.0**-12


class Tally:
    """Totals of a learner since reset, by name."""

    def __init__(self, updates: int = 0, changed: int = 0, stalled: int = 0, saturated: int = 0, not_finite: int = 0):
        self.updates, self.changed, self.stalled = updates, changed, stalled
        self.saturated, self.not_finite = saturated, not_finite


def chip_rule(rule: Rule, image: ProjectionImage, arithmetic: Arithmetic) -> Rule:
    """The rule with the weight format that the chip gives it: none on float chips unless declared, else mantissas.

    On an integer chip one step of the weight is one unit of the mantissa: the ideal weight it stands for where the
    network was quantised, the declared step otherwise. Bits and rounding are those declared (9 bits, stochastic).
    """
    if arithmetic.is_float:
        return rule
    synapses: Synapses = image.synapses
    form = rule.weight
    step = image.unit or (form.step if form is not None else 1.0)
    bits, rounding = (DEFAULT_BITS, "stochastic") if form is None else (form.bits, form.rounding)
    low, high = mantissa_range(synapses.sign or "mixed", arithmetic)
    low, high = max(low, np.ceil(rule.bounds[0] / step - CLOSE)), min(high, np.floor(rule.bounds[1] / step + CLOSE))
    bounds = float(low * step), float(high * step)
    if not bounds[0] < bounds[1]:
        raise RunError(
            f"projection '{image.name}': rule {rule.name} keeps weights in {rule.bounds}, {synapses.sign} mantissas "
            f"span {low:g}..{high:g} of {step:g}; choose another sign or other bounds"
        )
    signed = True if form is None else form.signed
    return replace(rule, weight=Fixed(bits, step, signed, rounding), bounds=bounds)


class Learner:
    """What all learners share: the projection, its populations, its weights in the machine."""

    def __init__(self, program: Program, image: ProjectionImage, matrix: sp.csc_array, weights: np.ndarray) -> None:
        self.program, self.image, self.weights = program, image, weights
        self.pre, self.post = program.populations[image.pre], program.populations[image.post]
        self.matrix = matrix  # pattern; its data are the weights as loaded
        self.is_float = program.arithmetic.is_float
        self.third = np.zeros((0, 0, 1))
        self.done = np.zeros((0, 2), np.int64)

    #: True if weights change between runs, at the end of an episode: the next run's report says it.
    late = False
    #: Names of the variables that can be recorded, the rule's name, third factors needed.
    variables: tuple[str, ...] = ("w",)
    name = ""

    def dense(self, values: np.ndarray) -> np.ndarray:
        """Synaptic values (s,) as (post, pre)."""
        out = np.zeros((self.post.n, self.pre.n), values.dtype)
        out[self.matrix.indices, np.repeat(np.arange(self.pre.n), np.diff(self.matrix.indptr))] = values
        return out

    def bounds(self) -> tuple[float, float]:
        """Range of the weights in the machine's numbers."""
        return -np.inf, np.inf

    def changed_outside(self) -> None:
        """The weights were overwritten by the user."""

    def rest(self) -> None:
        """An episode is over: traces and other passing state to their start, weights and random streams stay."""

    def before(self, t: int, row: int, pre: np.ndarray) -> None:
        """Before step t; `pre` fired in the step before."""

    def after(self, t: int, row: int, pre: np.ndarray, values: np.ndarray, post: np.ndarray) -> None:
        """After step t, in which `pre` (carrying `values`) and `post` fired."""


class DeclaredLearner(Learner):
    """A declared rule: the arrays of `Plastic`, with the machine's weights in place of its own."""

    def __init__(self, program: Program, image: ProjectionImage, matrix: sp.csc_array, weights: np.ndarray) -> None:
        super().__init__(program, image, matrix, weights)
        rule: Rule = chip_rule(image.rule, image, program.arithmetic)
        self.rule, self.name = rule, rule.name
        self.words_read = cost(rule).reads
        dtype = "float64" if self.is_float else "int32"
        step = 1.0 if self.is_float or rule.weight is None else rule.weight.step
        given = sp.csc_array((matrix.data * step, matrix.indices, matrix.indptr), shape=matrix.shape)
        try:
            self.plastic = Plastic(rule, given, seed=_seed(program, image), dtype=dtype)
        except RunError as problem:
            raise RunError(f"projection '{image.name}': {problem}") from None
        if not np.array_equal(self.plastic.weights_now(), given.data):
            worst = given.data[np.flatnonzero(self.plastic.weights_now() != given.data)[0]]
            raise RunError(
                f"projection '{image.name}': initial weight {worst:g} does not fit rule {rule.name}, whose weights are "
                f"{'any number' if rule.weight is None else f'multiples of {rule.weight.step:g}'} in "
                f"{rule.bounds[0]:g}..{rule.bounds[1]:g}; change the weights or the rule's bounds"
            )
        weights[:] = self.plastic.w
        self.plastic.w = weights
        self.variables = ("w", *rule.state, *rule.traces)
        late = image.synapses.max_delay if rule.sees == "arrived" else 0
        self.queue = np.zeros((late, 1 + self.pre.n), np.int64)  # spikes on their way, see `machine_declared`
        self._membrane()
        self._numbers()
        self._arriving()

    def _membrane(self) -> None:
        rule, model = self.rule, self.post.model
        self.v_row = -1
        self.level = np.zeros(self.post.n)
        self.v_unit, self.v_offset = self.post.unit or 1.0, self.post.offset if self.post.unit else 0.0
        if "v" not in rule.reads and rule.surrogate is None:
            return
        self.v_row = model.variables.get("v", -1)
        needs_level = rule.surrogate is not None and model.threshold_row < 0
        if self.v_row < 0 or needs_level:
            missing = "membrane" if self.v_row < 0 else "threshold"
            raise RunError(
                f"projection '{self.image.name}': rule {rule.name} reads the {missing} of population "
                f"'{self.post.name}', whose neurons ({model.model}) have none"
            )

    def _numbers(self) -> None:
        """Where the numbers that the rule reads come from, and what their units mean."""
        rule, p, post = self.rule, self.plastic, self.post.model
        for side, image in (("pre", self.pre), ("post", self.post)):
            if f"r_{side}" in rule.values and not image.model.carries_values:
                raise RunError(
                    f"projection '{self.image.name}': rule {rule.name} reads the numbers of population "
                    f"'{image.name}', but its spikes carry none: use rate units (cs.floats.Rate, cs.loihi.Rate) or a "
                    "graded source"
                )
        states = post.variables
        for name in ("slope", "u"):
            if name in rule.values and name not in states:
                raise RunError(
                    f"projection '{self.image.name}': rule {rule.name} reads {name} of population '{self.post.name}', "
                    f"whose neurons ({post.model}) have none; rate units have: cs.floats.Rate, cs.loihi.Rate"
                )
        rows = [p.pre_rows.get("r_pre", -1), *(p.post_rows.get(n, -1) for n in ("r_post", "slope", "u"))]
        self.rows = [*rows, states.get("slope", -1), states.get("u", -1)]
        self.units = [value_unit(self.pre.model, post), value_unit(post, post), *state_units(post)]

    def _arriving(self) -> None:
        """Third factors that projections bring, instead of the user."""
        factors = self.rule.factors
        self.inlet, self.factor_unit = np.full(len(factors), -1, np.int64), np.ones(len(factors))
        places = inlets(self.program)
        for k, name in enumerate(self.rule.third):
            at = places.get((self.image.post, name))
            if at is None:
                continue
            self.inlet[k] = at
            if self.post.model.model == "rate":
                self.factor_unit[k] = 2.0 ** (int(self.post.model.values["input_exp"]) - 20)

    def take_levels(self, params: np.ndarray) -> None:
        """Thresholds from the machine's parameters, in the rule's unit."""
        row = self.post.model.threshold_row
        if self.v_row >= 0 and row >= 0:
            self.level = np.ascontiguousarray(
                params[row, self.post.start : self.post.stop] * self.v_unit + self.v_offset, np.float64
            )

    def prepare(self, steps: int, third: Any, phase: Phase = NO_PHASE) -> None:
        """Third factors of the coming run, (steps, factors, 1 or post), and what its steps are to the rule's phases."""
        rule = self.rule
        names = tuple(n for k, n in enumerate(rule.third) if self.inlet[k] < 0)
        if isinstance(third, Mapping) and set(third) & (set(rule.third) - set(names)):
            raise RunError(
                f"projection '{self.image.name}': its third factor '{min(set(third) - set(names))}' arrives through a "
                "projection; leave it out of third="
            )
        given = third_array(self.image.name, rule.name, names, third, steps, self.post.n)
        if names == rule.factors:
            self.third = given
        else:
            self.third = np.zeros((steps, len(rule.factors), given.shape[2]))
            self.third[:, [rule.factors.index(n) for n in names]] = given
        if rule.reads_phase:
            self.third[:, rule.factors.index("phase")] = (
                -1.0 if phase.name == rule.phases[0] != rule.phases[-1] else 1.0
            )
        if rule.timed:
            self._time(phase)
        self.done = np.zeros((steps, 2), np.int64)

    def _time(self, phase: Phase) -> None:
        """Which steps of the run are evaluated, and whether their values are held at its end."""
        rule, row = self.rule, self.rule.factors.index("when")
        if phase.name is None:
            raise RunError(
                f"projection '{self.image.name}': rule {rule.name} is evaluated by phases: say which one this run is, "
                f"run(phase={(rule.phases or ('phase',))[0]!r}), or learn=False"
            )
        mine = not rule.phases or phase.name in (rule.phases[-1:] if rule.held else rule.phases)
        if not rule.at_end and mine:
            self.third[:, row] = EVALUATES
        if phase.ends:
            self.third[-1, row] = (EVALUATES if mine else 0) | HOLDS

    def after(self, t: int, row: int, pre: np.ndarray, values: np.ndarray, post: np.ndarray) -> None:
        """One call of the rule's kernel, outside the compiled loop."""
        p, state, part = self.plastic, self.machine_state, slice(self.post.start, self.post.stop)
        factors = np.array(np.broadcast_to(self.third[row], (len(self.rule.factors), self.post.n)))
        for k in np.flatnonzero(self.inlet >= 0):
            factors[k] = state.drive[self.inlet[k] : self.inlet[k] + self.post.n] * self.factor_unit[k]
        v = np.zeros(self.post.n)
        if self.v_row >= 0:
            v = state.rows[self.v_row, part] * self.v_unit + self.v_offset
        if self.rule.values:
            sent = np.zeros(self.pre.n)
            sent[pre] = values
            rows = {n: self.post.model.variables.get(n) for n in ("slope", "u")}
            known = {
                n: None if r is None else state.rows[r, part] * self.units[2 + k]
                for k, (n, r) in enumerate(rows.items())
            }
            known |= {"r_pre": sent * self.units[0], "r_post": state.value[part] * self.units[1]}
            p.take_values(known)
        was = p.counters[:2].copy()
        p.step_ids(self._arrived(pre.astype(np.int32)), post.astype(np.int32), v, self.level, factors)
        self.done[row] = p.counters[:2] - was

    def _arrived(self, pre: np.ndarray) -> np.ndarray:
        """The spikes that reach the synapse now, where the rule waits for that; `pre` are sent off."""
        if not len(self.queue):
            return pre
        line = self.queue[self.plastic.step_index % len(self.queue)]
        before = line[1 : 1 + line[0]].astype(np.int32)
        line[0], line[1 : 1 + pre.size] = pre.size, pre
        return before

    machine_state: Any = None  # set before a run

    def counts(self) -> dict[str, np.ndarray]:
        """Acts per step of the run, (t,) int64."""
        active = self.done.shape[0]
        traces = [t.side for t in self.rule.traces.values()]
        each = sum(self.pre.n if side == "pre" else self.post.n for side in traces)
        own = len(self.rule.writes) - ("w" in self.rule.writes)
        return {
            "trace_update": np.full(active, each, np.int64),
            "synapse_update": self.done[:, 0],
            "weight_read": self.done[:, 0] * self.words_read,
            "weight_write": self.done[:, 1] + self.done[:, 0] * own,
            "third_factor": _messages(self.third),
        }

    def rest(self) -> None:
        """Traces to 0, synaptic state to its start."""
        p = self.plastic
        p.pre_vars[:] = p.post_vars[:] = 0.0
        self.queue[:, :1] = 0
        for row, state in enumerate(self.rule.state.values()):
            p.syn[row] = state.start

    def tally(self) -> Tally:
        """Totals since reset."""
        c = dict(zip(COUNTERS, self.plastic.counters.tolist()))
        return Tally(c["evaluated"], c["changed"], c["stalled"], c["at_low"] + c["at_high"], c["not_finite"])

    def bounds(self) -> tuple[float, float]:
        """Range of the weights."""
        low, high = self.rule.bounds
        form = self.rule.weight
        if form is None:
            return low, high
        step = 1.0 if self.is_float else form.step
        return max(low, form.low) / step, min(high, form.high) / step

    def value(self, name: str) -> np.ndarray:
        """A recorded variable now."""
        if name == "w":
            return self.dense(self.weights)
        return self.plastic.state(name) if name in self.rule.state else self.plastic.trace(name).copy()

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that changes but the weights."""
        p, way = self.plastic, {"queue": self.queue.copy()} if len(self.queue) else {}
        return way | {
            "syn": p.syn.copy(), "pre": p.pre_vars.copy(), "post": p.post_vars.copy(), "counters": p.counters.copy(),
            "step": np.array(p.step_index),
        }  # fmt: skip

    def kept(self) -> dict[str, Kept]:
        """What `checkpoint` holds."""
        p = self.plastic
        free = {"syn": like(p.syn), "pre": like(p.pre_vars), "post": like(p.post_vars)}
        free |= {"queue": like(self.queue, 0, max(self.pre.n, 1))} if len(self.queue) else {}
        return free | {"counters": like(p.counters, 0, FOREVER), "step": number()}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint."""
        p = self.plastic
        p.syn[:], p.pre_vars[:], p.post_vars[:] = saved["syn"], saved["pre"], saved["post"]
        p.counters[:], p.step_index = saved["counters"], int(saved["step"])
        if len(self.queue):
            self.queue[:] = saved["queue"]


def _seed(program: Program, image: ProjectionImage) -> int:
    """Every projection draws bits of its own: the program's seed, and which of the learning ones it is."""
    learning = [p.name for p in program.projections if p.rule is not None]
    return int(program.seed) + 1_000_003 * learning.index(image.name)


def _messages(third: np.ndarray) -> np.ndarray:
    """Third-factor messages per step: values that are not zero."""
    return np.count_nonzero(third.reshape(third.shape[0], -1), axis=1).astype(np.int64)


def inner_rule(rule: Any) -> EngineRule:
    """A sum of products as an EngineRule."""
    return rule if isinstance(rule, EngineRule) else EngineRule(rule)
