"""Learners of Loihi's own engine: sums of products in Lava's integers or floats, or in brian2-loihi's arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import RunError
from chipsim.kept import FOREVER, Kept, flags, like, number
from chipsim.kernels.arithmetic.trace import TRACE_MAX
from chipsim.kernels.learning.machine_engine import Engine
from chipsim.kernels.learning.sum_of_products.floats import float_step, linear_step
from chipsim.kernels.learning.sum_of_products.integers import neuron_traces, sop_step
from chipsim.kernels.learning.sum_of_products.records import CHANGED, CLIPPED, PRODUCTS, STALLED, VAR_MIN
from chipsim.program.program import Program, ProjectionImage
from chipsim.rules.products.rule import TRACES, WEIGHT_RANGE
from chipsim.rules.products.state import SopStreams, float_state, linear_state, sop_state

from .declared import Learner, Tally, _messages, inner_rule
from .third import third_array

Y = ("y1", "y2", "y3")
#: Fields of the engine's state that change; weights are the machine's own.
CHANGES = ("t", "d", "x", "y", "tx", "ty", "counts")
PASSING = ("x", "y", "tx", "ty")  #: those that an episode's end brings to rest


class SopLearner(Learner):
    """A sum of products in Lava's integers (integer chips) or floats (float chips)."""

    def __init__(self, program: Program, image: ProjectionImage, matrix: sp.csc_array, weights: np.ndarray) -> None:
        super().__init__(program, image, matrix, weights)
        self.chosen = inner_rule(image.rule)
        rule = self.chosen.rule
        self.rule, self.name = rule, rule.name
        sign = "mixed" if self.is_float else image.synapses.sign
        if not self.is_float and program.arithmetic.negative_exponent == "synapse" and image.synapses.exponent:
            raise RunError(
                f"projection '{image.name}': {rule.name} learns mantissas, arithmetic '{program.arithmetic.preset}' "
                "shifts each weight by itself; use exponent=0 or arithmetic 'lava'"
            )
        self.sign = sign
        build: Any = float_state if self.is_float else sop_state
        extra = {} if self.is_float else {"sign_mode": sign}
        state = build(rule, matrix, self.chosen.tags, self.chosen.delays, **extra)
        self.state = state._replace(w=weights)
        self.tables = rule.tables(sign)
        self.params: Any = rule.float_traces() if self.is_float else rule.trace_params()
        seed = program.seed if self.chosen.seed is None else self.chosen.seed
        self.streams = SopStreams(seed, self.chosen.weight_seed)
        self.payload, self.spikes = np.zeros(self.pre.n, np.int64), np.zeros(self.post.n, np.int64)
        self.last = np.zeros(self.post.n, np.int64)  # spikes of the step before, for the neurons' own trace
        self.sent = np.zeros((3, self.post.n), np.int64)
        self.time = 0
        self.variables = ("w", "t", "d", *TRACES)
        self.totals = np.zeros(2, np.int64)
        self.at_rest = {k: getattr(self.state, k).copy() for k in PASSING}

    def rest(self) -> None:
        """Traces to rest; tags and delays stay, they are memory like the weights."""
        for name, values in self.at_rest.items():
            getattr(self.state, name)[...] = values
        self.last[:] = self.sent[:] = 0

    def prepare(self, steps: int, third: Any) -> None:
        """Third factors and random numbers of the coming run."""
        names = Y if self.rule.three_factor else ()
        if names and third is not None and not isinstance(third, Mapping):
            third = {"y2": third}
        if names and third is None and not self.chosen.y1_impulse:
            third_array(self.image.name, self.name, ("y2",), None, steps, self.post.n)
        self.third = third_array(self.image.name, self.name, names, third or {} if names else third, steps,
                                 self.post.n, optional=True)  # fmt: skip
        self.given = set(third or {}) if names else set()
        if np.any(self.third != np.floor(self.third)):
            raise RunError(f"projection '{self.image.name}': y1, y2, y3 of {self.name} are whole numbers")
        if not self.is_float:
            self.draws = self.streams.draw(steps, self.rule.t_epoch)
        self.done = np.zeros((steps, 2), np.int64)

    def after(self, t: int, row: int, pre: np.ndarray, values: np.ndarray, post: np.ndarray) -> None:
        """One step of the engine."""
        self.time += 1
        self.payload[:] = 0
        self.payload[pre] = values
        self.spikes[:] = 0
        self.spikes[post] = 1
        traces = self._sent(row)
        counts = self.state.counts
        was = counts[[PRODUCTS, CHANGED]]
        if self.is_float:
            self._float_step(traces)
        else:
            sop_step(
                self.time, row, self.payload, self.spikes, traces, self.draws, self.tables, self.params, self.state
            )
        self.done[row] = counts[[PRODUCTS, CHANGED]] - was

    def engine(self) -> Engine:
        """The learner's arrays as the compiled loop takes them; integer engines only."""
        own = bool(self.chosen.y1_impulse)
        given = [name in self.given or not (k == 0 and own) for k, name in enumerate(Y)]
        decay = np.exp(-1 / self.chosen.y1_tau) if self.chosen.y1_tau else 0.0
        return Engine(
            self.tables, self.params, self.draws, self.state, np.ascontiguousarray(self.third),
            np.array(given, np.uint8), np.array([decay, float(self.chosen.y1_impulse)]), self.sent, self.last,
            self.payload, self.spikes, np.array([self.image.pre, self.image.post, self.time], np.int64), self.done,
        )  # fmt: skip

    def _float_step(self, traces: np.ndarray) -> None:
        """The floating-point engine visits every synapse at the end of an epoch; its acts are counted here."""
        ends = self.time % self.rule.t_epoch == 0
        before = self.weights.copy() if ends else self.weights
        float_step(self.time, self.payload, self.spikes, traces, self.tables, self.params, self.state)
        if ends:
            self.state.counts[PRODUCTS] += self.weights.size
            self.state.counts[CHANGED] += np.count_nonzero(before != self.weights)

    def _sent(self, row: int) -> np.ndarray:
        """y1..y3 that the neurons of a three-factor rule send in this step."""
        if not self.rule.three_factor:
            return self.sent
        factors = np.broadcast_to(self.third[row], (3, self.post.n)).astype(np.int64)
        if self.chosen.y1_impulse:
            decay = np.exp(-1 / self.chosen.y1_tau) if self.chosen.y1_tau else 0.0
            neuron_traces(self.sent, self.last, factors[1], decay, float(self.chosen.y1_impulse))
        for k, name in enumerate(Y):
            if name in self.given or not (k == 0 and self.chosen.y1_impulse):
                self.sent[k] = factors[k]
        self.last[:] = self.spikes
        return self.sent

    def counts(self) -> dict[str, np.ndarray]:
        """Acts per step of the run."""
        steps = self.done.shape[0]
        first = self.time - steps
        ends = (first + np.arange(1, steps + 1)) % self.rule.t_epoch == 0
        reads = self.rule.reads
        each = len(reads & {"x1", "x2"}) * self.pre.n
        each += 0 if self.rule.three_factor else len(reads & set(Y)) * self.post.n
        return {
            "trace_update": ends * each,
            "synapse_update": self.done[:, 0],
            "weight_read": self.done[:, 0],
            "weight_write": self.done[:, 1],
            "third_factor": _messages(self.third),
        }

    def tally(self) -> Tally:
        """Totals since reset."""
        c = self.state.counts
        return Tally(int(c[PRODUCTS]), int(c[CHANGED]), int(c[STALLED]), int(c[CLIPPED]))

    def bounds(self) -> tuple[float, float]:
        """Range of the weights."""
        return (-np.inf, np.inf) if self.is_float else WEIGHT_RANGE[self.sign]

    def value(self, name: str) -> np.ndarray:
        """A recorded variable now."""
        if name in TRACES:
            side = self.state.x if name[0] == "x" else self.state.y
            return side[int(name[1]) - 1].copy()
        return self.dense(getattr(self.state, name))

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that changes but the weights."""
        arrays = {k: getattr(self.state, k).copy() for k in CHANGES}
        random = {f"rng{k}": pcg_words(s) for k, s in enumerate(self.streams.get_state()["rng"])}
        extra = {"time": np.array(self.time), "drawn": np.array(self.streams.t), "last": self.last.copy()}
        return arrays | random | extra | {"sent": self.sent.copy()}

    def kept(self) -> dict[str, Kept]:
        """What `checkpoint` holds: traces of 7 bits, 8 where a payload enters; last spikes within the epoch."""
        state, epoch = self.state, self.rule.t_epoch
        wanted = {name: like(getattr(state, name)) for name in CHANGES}
        if not self.is_float:
            for row, (name, first) in enumerate((("t", self.chosen.tags), ("d", self.chosen.delays)), 1):
                start = (0, 0) if first is None else (np.min(first), np.max(first))
                low, high = min(int(self.tables.bounds[row, 0]), start[0], VAR_MIN - 1), int(self.tables.bounds[row, 1])
                wanted[name] = like(getattr(state, name), low, max(high, start[1]))
            wanted["x"] = like(state.x, 0, 255)
            wanted["y"] = like(state.y) if self.rule.three_factor else like(state.y, 0, TRACE_MAX)
        wanted["tx"], wanted["ty"] = like(state.tx, 0, epoch), like(state.ty, 0, epoch)
        wanted["counts"] = like(state.counts, 0, FOREVER)
        words = np.array([*[(1 << 64) - 1] * 4, 1, (1 << 32) - 1], np.uint64)
        wanted |= {f"rng{k}": Kept((6,), np.dtype(np.uint64), None, words) for k in range(5)}
        wanted |= {"time": number(), "drawn": number(), "last": flags(self.last)}
        return wanted | {"sent": like(self.sent, -FOREVER, FOREVER)}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint."""
        for name in CHANGES:
            getattr(self.state, name)[...] = saved[name]
        states = [pcg_state(saved[f"rng{k}"]) for k in range(5)]
        self.streams.set_state({"t": int(saved["drawn"]), "rng": states})
        self.time, self.last[:], self.sent[:] = int(saved["time"]), saved["last"], saved["sent"]


_WORD = (1 << 64) - 1


def pcg_words(state: Mapping[str, Any]) -> np.ndarray:
    """The state of numpy's PCG64 as six uint64."""
    inner = state["state"]
    halves = [inner["state"] >> 64, inner["state"] & _WORD, inner["inc"] >> 64, inner["inc"] & _WORD]
    return np.array([*halves, state["has_uint32"], state["uinteger"]], np.uint64)


def pcg_state(words: np.ndarray) -> dict[str, Any]:
    """The inverse of `pcg_words`."""
    a, b, c, d, has, last = (int(w) for w in words)
    inner = {"state": a << 64 | b, "inc": c << 64 | d}
    return {"bit_generator": "PCG64", "state": inner, "has_uint32": has, "uinteger": last}


class LinearLearner(Learner):
    """A sum of products in brian2-loihi's arithmetic: traces of synapses that decay by 1 - 1/tau."""

    def __init__(self, program: Program, image: ProjectionImage, matrix: sp.csc_array, weights: np.ndarray) -> None:
        super().__init__(program, image, matrix, weights)
        self.chosen = inner_rule(image.rule)
        rule = self.chosen.rule
        self.rule, self.name, self.sign = rule, rule.name, image.synapses.sign
        if image.synapses.exponent:
            raise RunError(f"projection '{image.name}': brian2_loihi learns weights with exponent=0 only")
        seed = program.seed if self.chosen.seed is None else self.chosen.seed
        state = linear_state(rule, matrix, sign_mode=self.sign, num_weight_bits=image.synapses.bits, seed=seed)
        self.state, self.tables = state._replace(w=weights), rule.tables(self.sign)
        self.pre_flags, self.post_flags = np.zeros(self.pre.n, np.uint8), np.zeros(self.post.n, np.uint8)
        self.time, self.changed = 0, 0
        self.variables = ("w", *TRACES)

    def rest(self) -> None:
        """Traces to 0."""
        self.state.traces[...], self.post_flags[:] = 0, 0

    def prepare(self, steps: int, third: Any) -> None:
        """Nothing comes from outside."""
        self.third = third_array(self.image.name, self.name, (), third, steps, self.post.n)
        self.done = np.zeros((steps, 2), np.int64)

    def after(self, t: int, row: int, pre: np.ndarray, values: np.ndarray, post: np.ndarray) -> None:
        """One step: pre spikes of this step, post spikes of the one before."""
        self.pre_flags[:] = 0
        self.pre_flags[pre] = 1
        was = self.weights.copy()
        linear_step(self.time, self.pre_flags, self.post_flags, self.tables, self.state)
        self.time += 1
        self.post_flags[:] = 0
        self.post_flags[post] = 1
        self.done[row] = self.weights.size, np.count_nonzero(self.weights != was)
        self.changed += int(self.done[row, 1])

    def counts(self) -> dict[str, np.ndarray]:
        """Acts per step of the run: every synapse keeps its own traces."""
        used = len(self.rule.reads & set(TRACES))
        return {
            "trace_update": np.full(self.done.shape[0], used * self.weights.size, np.int64),
            "synapse_update": self.done[:, 0],
            "weight_read": self.done[:, 0],
            "weight_write": self.done[:, 1],
            "third_factor": np.zeros(self.done.shape[0], np.int64),
        }

    def tally(self) -> Tally:
        """Totals since reset."""
        return Tally(self.time * self.weights.size, self.changed)

    def bounds(self) -> tuple[float, float]:
        """Range of the weights."""
        return float(self.state.low), float(self.state.high)

    def value(self, name: str) -> np.ndarray:
        """A recorded variable now; traces belong to synapses here."""
        return self.dense(self.weights if name == "w" else self.state.traces[TRACES.index(name)])

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that changes but the weights."""
        return {
            "traces": self.state.traces.copy(), "post": self.post_flags.copy(), "time": np.array(self.time),
            "changed": np.array(self.changed),
        }  # fmt: skip

    def kept(self) -> dict[str, Kept]:
        """What `checkpoint` holds."""
        traces, post = like(self.state.traces, 0, TRACE_MAX), flags(self.post_flags)
        return {"traces": traces, "post": post, "time": number(), "changed": number()}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint."""
        self.state.traces[...], self.post_flags[:] = saved["traces"], saved["post"]
        self.time, self.changed = int(saved["time"]), int(saved["changed"])
