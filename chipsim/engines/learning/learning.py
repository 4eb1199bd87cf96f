"""Learning in the time-step engine: which projections learn, the loop of a learning run, what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import floats
from chipsim.engines.contract import NO_PHASE, Episode, Phase
from chipsim.engines.learning.declared import DeclaredLearner
from chipsim.engines.learning.eprop import EPropLearner
from chipsim.engines.learning.lesson import Lesson, teacher_of
from chipsim.engines.learning.loihi import LinearLearner, SopLearner
from chipsim.engines.learning.pes import PesLearner
from chipsim.engines.machine.load import Machine
from chipsim.engines.machine.rewriting import dense_weights, matrix_of
from chipsim.errors import RunError
from chipsim.kept import Kept, under
from chipsim.kernels.core import records
from chipsim.kernels.learning import machine_declared as machine_plastic
from chipsim.kernels.learning import machine_engine as machine_sop
from chipsim.program.program import Program
from chipsim.rules.carried import kind_of
from chipsim.rules.pes import PesStreams

from .eprop_network import EPropNetwork, networks


class Learning:
    """The learning projections of a loaded program."""

    def __init__(self, program: Program, machine: Machine) -> None:
        self.program, self.machine = program, machine
        net = machine.net
        self._initial = net.weight.copy() if machine.learns else np.zeros(0)
        self._patterns = {name: self._pattern(name, j) for name, j in machine.learns.items()}
        self.learners: dict[str, Any] = {}
        self.networks: list[EPropNetwork] = []
        self.reported: dict[str, Any] = {}  # what the last report of a learner that changes between runs ended with
        self.has_pes = False

    @property
    def any(self) -> bool:
        """True if a projection learns."""
        return bool(self.machine.learns)

    def _span(self, row: int) -> slice:
        """Where the weights of a row of fans lie."""
        net = self.machine.net
        first = int(net.fans.pointer[row])
        n_pre = self.program.populations[int(net.fans.pop[row])].n
        return slice(int(net.indptr[first]), int(net.indptr[first + n_pre]))

    def _pattern(self, name: str, row: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        net, span = self.machine.net, self._span(row)
        image = next(p for p in self.program.projections if p.name == name)
        post, pre = (self.program.populations[k].n for k in (image.post, image.pre))
        first = int(net.fans.pointer[row])
        ptr = net.indptr[first : first + pre + 1].astype(np.int64) - span.start
        return net.index[span].astype(np.int64) % post, ptr, (post, pre)

    def reset(self) -> None:
        """Weights as loaded, traces at rest, random numbers from the start."""
        if not self.any:
            return
        self.machine.net.weight[:] = self._initial
        streams = PesStreams(self.program.seed % 2**32)
        self.has_pes, self.learners, self.reported = False, {}, {}
        for image in self.program.projections:
            if image.rule is not None:
                self.learners[image.name] = self._learner(image, streams)
        taught = {k: x for k, x in self.learners.items() if isinstance(x, EPropLearner)}
        self.networks = networks(self.program, taught) if taught else []
        self.stepping = {k: x for k, x in self.learners.items() if k not in taught}  # those that act in every step
        self.streams = streams
        self.compartments = sum(p.n for p in self.program.populations if not p.model.is_input)
        if self.has_pes and any(p.model.values.get("noise", "none") != "none" for p in self.program.populations):
            raise RunError("PES and noisy neurons share one random stream in nengo-loihi; take the noise away")

    def _learner(self, image: Any, streams: PesStreams) -> Any:
        indices, ptr, shape = self._patterns[image.name]
        weights = self.machine.net.weight[self._span(self.machine.learns[image.name])]
        matrix = sp.csc_array((weights.copy(), indices, ptr), shape=shape)
        kind = kind_of(image.rule)
        if kind == "pes":
            self.has_pes = True
            return PesLearner(self.program, image, matrix, weights, streams)
        if kind == "eprop":
            return EPropLearner(self.program, image, matrix, weights)
        if kind == "declared":
            learner = DeclaredLearner(self.program, image, matrix, weights)
            positions = self.machine.net.index[self._span(self.machine.learns[image.name])]
            if np.array_equal(positions, learner.plastic.col):
                learner.plastic.col = positions  # delivery and learning share their lines of the cache
            learner.take_levels(self.machine.net.params)
            return learner
        linear = self.program.arithmetic.trace_decay == "linear"
        return (LinearLearner if linear else SopLearner)(self.program, image, matrix, weights)

    def begin(
        self,
        learning: int,
        third: Mapping[str, Any],
        targets: Mapping[str, Any],
        state: records.State,
        watch: Mapping[str, Any],
        steps: int,
        phase: Phase = NO_PHASE,
    ) -> Lesson:
        """Check and take what teaches a run of `steps` steps, of which `learning` learn (all or none)."""
        self._check_targets(targets)
        for name, learner in self.learners.items():
            if isinstance(learner, DeclaredLearner):
                learner.machine_state = state
            if learning and isinstance(learner, DeclaredLearner):
                learner.prepare(learning, third.get(name), phase)
            elif learning:
                learner.prepare(learning, third.get(name))
        for network in self.networks if learning else ():
            network.begin(learning, targets.get(network.group.readout))
        return Lesson(self.learners, self.reported, steps, watch)

    def _check_targets(self, targets: Mapping[str, Any]) -> None:
        readouts = [network.group.readout for network in self.networks]
        for name in targets:
            if name not in readouts:
                known = ", ".join(readouts) or "none: no projection learns by e-prop"
                raise RunError(f"targets for '{name}', which is no readout that teaches; those are {known}")

    def probes(self) -> list[tuple[int, int, int]]:
        """State that e-prop looks at in every step: (row, first neuron, one past the last), two per network."""
        found = []
        for network in self.networks:
            psi = network.recurrent.model.variables["psi"]
            found.append((psi, network.recurrent.start, network.recurrent.stop))
            found.append((network.out_row, network.readout.start, network.readout.stop))
        return found

    def gather(self, spikes: Any, seen: np.ndarray) -> None:
        """A learning run is over: its spike log and what `probes` asked for, (t, columns)."""
        at = 0
        for network in self.networks:
            cut = at + network.recurrent.n, at + network.recurrent.n + network.readout.n
            network.gather(spikes, seen[:, at : cut[0]], seen[:, cut[0] : cut[1]])
            at = cut[1]

    def end_episode(self, update: bool, rate: float) -> dict[str, Episode]:
        """Traces to rest, weights stay; what e-prop learned, by readout (see `Emulator.end_episode`)."""
        found = {network.group.readout: network.end(update, rate) for network in self.networks}
        for learner in self.learners.values():
            learner.rest()
        return {name: episode for name, episode in found.items() if episode is not None}

    def advance(self, state, view, log, t0: int, count: int, in_order: bool, touched, learn: bool, row: int) -> int:
        """Run `count` steps after step t0, those of row `row` and on of the run; returns the steps done."""
        net = self.machine.net
        if not learn or not self.stepping:
            return machine_plastic.run_frozen(net, state, view, log, 0, t0, count, in_order, touched)
        if all(isinstance(x, DeclaredLearner) or _in_integers(x) for x in self.stepping.values()):
            return self._compiled(state, view, log, t0, count, in_order, touched, row)
        return self._stepwise(state, view, log, t0, count, in_order, touched, row)

    def _compiled(self, state, view, log, t0, count, in_order, touched, row) -> int:
        """Declared rules and sums of products in integers, any number of them."""
        declared = [x for x in self.stepping.values() if isinstance(x, DeclaredLearner)]
        loihi = [x for x in self.stepping.values() if isinstance(x, SopLearner)]
        teachers, engines = [teacher_of(x) for x in declared], tuple(x.engine() for x in loihi)
        steps = (t0, count, in_order, touched)
        taught = (machine_plastic.table_of(teachers), machine_plastic.LIKES)
        net = self.machine.net
        if engines:
            made = machine_sop.run_engines(net, state, view, log, *steps, *taught, engines, row)
        else:
            made = machine_plastic.run_declared(net, state, view, log, *steps, *taught, row)
        for learner, teacher in zip(declared, teachers):
            learner.plastic.step_index = int(teacher.where[4])
        for learner, engine in zip(loihi, engines):
            learner.time = int(engine.where[2])
        return int(made)

    def _stepwise(self, state, view, log, t0, count, in_order, touched, row) -> int:
        """The same in a Python loop: any learners, also such as are no declared rules."""
        net, graded = self.machine.net, log.graded
        before = self._sent(state, log, 0)
        for i in range(count):
            if log.ptr[i + 1] + int(net.pop_ptr[-1]) > log.ids.size:
                return i  # before anything of the step has learned: the caller makes room and comes back to it
            for learner in self.stepping.values():
                learner.before(t0 + i + 1, row + i, before(learner.image.pre)[0])
            if self.has_pes:
                self.streams.noise(self.compartments)
            machine_plastic.run_frozen(net, state, view, log, i, t0 + i, 1, in_order, touched)
            before = self._sent(state, log, i + 1)
            for learner in self.stepping.values():
                pre, values = before(learner.image.pre)
                post, _ = before(learner.image.post)
                learner.after(t0 + i + 1, row + i, pre, values if graded else np.ones(pre.size, np.int64), post)
        return count

    def _sent(self, state, log, row: int) -> Any:
        """Function from a population's number to its spikes in `row` of the log (local ids) and their values."""
        base, ends = int(log.ptr[row]), state.last_ptr.copy()
        starts, graded = self.machine.net.pop_ptr, log.graded

        def spikes(population: int) -> tuple[np.ndarray, np.ndarray]:
            part = slice(base + int(ends[population]), base + int(ends[population + 1]))
            ids = log.ids[part].astype(np.int64) - starts[population]
            return ids, log.value[part] if graded else ids

        return spikes

    def weights(self, name: str) -> Any:
        """Weights of a learning projection now: (post, pre), dense or CSC as it was given."""
        learner = self.learners[name]
        if sp.issparse(matrix_of(self._image(name).synapses)):
            indices, ptr, shape = self._patterns[name]
            return sp.csc_array((learner.weights.copy(), indices.copy(), ptr.copy()), shape=shape)
        return learner.dense(learner.weights)

    def set_weights(self, name: str, given: Any) -> None:
        """Overwrite the weights of a learning projection, its pattern kept.

        Raises RunError for other shapes, weights where there is no synapse, or beyond the rule's range.
        """
        learner = self.learners[name]
        indices, ptr, shape = self._patterns[name]
        dense = dense_weights(given, shape, f"projection '{name}'")
        if self.program.arithmetic.is_float:
            dense = floats(dense, f"projection '{name}': weights", RunError)
        values = dense[indices, np.repeat(np.arange(shape[1]), np.diff(ptr))]
        if np.count_nonzero(values) != np.count_nonzero(dense):
            raise RunError(f"projection '{name}': weights are given where it has no synapse")
        if not self.program.arithmetic.is_float and np.any(values != np.floor(values)):
            raise RunError(f"projection '{name}': the chip's weights are whole numbers")
        low, high = learner.bounds()
        if values.size and (values.min() < low or values.max() > high):
            raise RunError(
                f"projection '{name}': weights span {values.min():g}..{values.max():g}, beyond {low:g}..{high:g}"
            )
        learner.weights[:] = values
        learner.changed_outside()

    def _image(self, name: str) -> Any:
        return self.program.projections[self.program.projection(name)]

    def state(self) -> dict[str, np.ndarray]:
        """Everything that learning changes but the weights, by name."""
        return {f"learn/{k}/{n}": a for k, x in enumerate(self.learners.values()) for n, a in x.checkpoint().items()}

    def kept(self) -> dict[str, Kept]:
        """What `state` holds."""
        wanted: dict[str, Kept] = {}
        for k, learner in enumerate(self.learners.values()):
            wanted |= under(f"learn/{k}/", learner.kept())
        return wanted

    def weight_ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value of each of the machine's weights: fixed ones are those that were loaded."""
        loaded = self._initial if self.any else self.machine.net.weight
        low, high = loaded.copy(), loaded.copy()
        for name, learner in self.learners.items():
            span = self._span(self.machine.learns[name])
            ends = learner.bounds()
            if low.dtype.kind == "i":
                most = np.iinfo(low.dtype)
                ends = max(ends[0], most.min), min(ends[1], most.max)
            low[span], high[span] = np.minimum(low[span], ends[0]), np.maximum(high[span], ends[1])
        return low, high

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`, bit for bit; the weights are in place already."""
        self.reported = {}
        for k, learner in enumerate(self.learners.values()):
            prefix = f"learn/{k}/"
            learner.restore({n[len(prefix) :]: np.asarray(a) for n, a in state.items() if n.startswith(prefix)})


def _in_integers(learner: Any) -> bool:
    return isinstance(learner, SopLearner) and not learner.is_float
