"""The engine of time-step chips (families loihi and float): runs the machine, keeps its state, collects its log."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from chipsim.engines.contract import Episode, Probe, Progress, RawRun, SpikeTrain, Teaching
from chipsim.engines.learning.declared import Learner
from chipsim.engines.learning.learning import Learning
from chipsim.engines.machine.load import Machine, load
from chipsim.engines.machine.noise import NoiseSource
from chipsim.engines.machine.ranges import row_ranges
from chipsim.engines.machine.rewriting import Rewritten
from chipsim.errors import RunError
from chipsim.kept import Kept, checked, flags, like, number
from chipsim.kernels.core import machine, records
from chipsim.kernels.core.neurons.lif import O_PLAIN, S_INPUT
from chipsim.native.synapses import Conv
from chipsim.program.program import Program

from .machine.rates import set_held

#: Estimated work per step, ns, from which threads pay: below it the meetings of a step cost more than they give.
THREADS_FROM = 30_000
SECONDS_PER_CALL = 0.1  #: work handed to the compiled loop at once, so that a progress bar can move
LOG_ROOM = 1 << 20  #: spikes that the log of one call holds at least


class TimeStepEngine:
    """Runs a program step by step.

    Parameters
    ----------
    program
        Of family loihi or float.
    threads
        Tiles that run side by side; results do not depend on it.
    """

    def __init__(self, program: Program, threads: int = 1) -> None:
        self.program = program
        self.threads = worth_threads(program, threads)
        self.rewritten = Rewritten(program)
        self._load()
        self._noise = NoiseSource(program)
        self._cuts = any(p.model.model == "float_lif" for p in program.populations)
        self._reach = max((p.synapses.max_delay for p in program.projections), default=0)
        self.reset()

    def _load(self) -> None:
        """Build the machine of the program, with the weights that were overwritten."""
        program, self._stale = self.rewritten.loaded(), False
        self.machine: Machine = load(program, self.threads)
        self.learning = Learning(program, self.machine)
        self._plain = self.machine.net.segments.options[:, O_PLAIN].copy()
        self._number = self.machine.state.rows.dtype

    def reset(self) -> None:
        """Back to the state of a freshly loaded program."""
        if self.rewritten.synapses:
            self.rewritten.synapses.clear()
            self._load()
        self._rest()
        self.step = self._began = 0
        self._noise.reset()
        self.learning.reset()

    def _rest(self) -> None:
        """Neurons as loaded, nothing in flight."""
        self._state = records.State(*(np.array(a) for a in self.machine.state))
        self._last = SpikeTrain(np.zeros(2, np.int64), np.zeros(0, np.uint32), np.zeros(0, self._number))
        self._tail = SpikeTrain(np.zeros(1, np.int64), np.zeros(0, np.uint32), np.zeros(0, self._number))

    def end_episode(self, update: bool = True, rate: float = 1.0) -> dict[str, Episode]:
        """Neurons and what is in flight to rest, weights and random streams stay; see `Emulator.end_episode`."""
        found = self.learning.end_episode(update, rate)
        self._rest()
        self._began = self.step
        return found

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
        learn, third, targets, watch, every, phase = learning or Teaching()
        self._reload()
        net = self.machine.net
        lesson = None
        if self.learning.any:
            taught = steps if learn else 0
            lesson = self.learning.begin(taught, third, targets, self._state, watch, steps, phase)
        # Only the general LIF kernel keeps the input sum: take it when that is recorded.
        net.segments.options[:, O_PLAIN] = self._plain & (not any(p.row == S_INPUT for p in probes))
        asked = int(sum(p.hi - p.lo for p in probes))
        probes = [*probes, *(Probe(*p) for p in self.learning.probes())] if learn else probes
        columns = int(sum(p.hi - p.lo for p in probes))
        trace = np.zeros((steps, columns), self._number)
        updates = np.zeros((steps, max(len(self.program.cores), 1)), np.int64)
        saturated = np.zeros((self.threads, len(self.program.populations), 2), np.int64)
        width = self._state.active.size // 8
        active = np.zeros((steps, width), np.uint8) if masks else np.zeros((1, 1), np.uint8)
        table = _probe_table(probes)
        graded, sources = bool(net.is_graded.any()), bool(net.is_graded[net.is_input != 0].any())
        touched = np.zeros(self._state.drive.size if self._cuts else 0, np.uint8)
        parts: list[SpikeTrain] = []
        done, call = 0, 256
        while done < steps:
            count = min(call, steps - done)
            if lesson is not None and watch:
                count = min(count, every - done % every)
            log = self._log(count, inputs, done, graded, table, trace, active, saturated, masks)
            noise = self._noise.draw(count)
            view = records.Inputs(inputs.ptr[done : done + count + 1], inputs.ids, inputs.value, noise, sources)
            started = time.perf_counter()
            if lesson is None:
                made = self._call(net, view, log, count, touched)
            else:
                rest = (count, self.program.arithmetic.is_float, touched, learn, done)
                made = self.learning.advance(self._state, view, log, self.step - self._began, *rest)
            spent = time.perf_counter() - started
            updates[done : done + made] = log.updates[:, :made].sum(axis=0)
            parts.append(self._take(log, made, graded))
            self._noise.keep(made)
            self.step += made
            done += made
            if lesson is not None and done % every == 0:
                lesson.look(done)
            call = max(16, min(4 * count, int(count * SECONDS_PER_CALL / max(spent, 1e-6))))
            if progress is not None:
                progress(done, steps)
        spikes = _join(parts, steps, self._number)
        if lesson is not None and learn:
            self.learning.gather(spikes, trace[:, asked:])
        before, self._tail = self._tail, _end(self._tail, spikes, self._reach)
        return RawRun(
            spikes,
            updates,
            saturated.sum(axis=0),
            active if masks else np.zeros((0, 1), np.uint8),
            trace[:, :asked],
            None if lesson is None else lesson.end(learn),
            before if self._reach else None,
        )

    def _call(self, net: records.Net, view: records.Inputs, log: records.Log, count: int, touched: np.ndarray) -> int:
        """Run the compiled loop, on threads where there are several tiles."""
        arrivals = np.zeros(1, np.int64)
        rest = (net, self._state, view, log, self.step - self._began, count, self.program.arithmetic.is_float, touched)
        if self.threads == 1:
            return machine.run(*rest, 0, 1, arrivals)
        with ThreadPoolExecutor(self.threads) as pool:
            made = [pool.submit(machine.run, *rest, k, self.threads, arrivals) for k in range(self.threads)]
            return made[0].result()

    def _log(self, count, inputs, done, graded, table, trace, active, saturated, masks) -> records.Log:
        carried = self._last.ids.size
        arriving = int(inputs.ptr[done + count] - inputs.ptr[done])
        room = max(LOG_ROOM, 2 * self.program.n) + carried + arriving
        ids = np.empty(room, np.uint32)
        ids[:carried] = self._last.ids
        value = np.empty(room if graded else 1, self._number)
        if graded:
            value[:carried] = self._last.value
        ptr = np.zeros(count + 2, np.int64)
        ptr[1] = carried
        cores = max(len(self.program.cores), 1)
        return records.Log(
            ptr,
            ids,
            value,
            np.zeros((self.threads, count, cores), np.int32),
            saturated,
            active[done:] if masks else active,
            table,
            trace[done:],
            graded,
        )

    def _take(self, log: records.Log, made: int, graded: bool) -> SpikeTrain:
        lo, hi = int(log.ptr[1]), int(log.ptr[made + 1])
        ptr = log.ptr[1 : made + 2] - lo
        value = log.value[lo:hi].copy() if graded else np.zeros(0, self._number)
        last = slice(int(log.ptr[made]), hi)
        self._last = SpikeTrain(
            np.zeros(2, np.int64), log.ids[last].copy(), log.value[last].copy() if graded else value
        )
        return SpikeTrain(ptr, log.ids[lo:hi].copy(), value)

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The projections that can learn, by name."""
        return self.learning.learners

    def hold(self, held: Mapping[str, Any], nudged: Mapping[str, Any]) -> None:
        """Hold rate units at values, or nudge them towards some, from now on; those not named are free."""
        self._reload()
        set_held(self.program, self.machine.net.params, held, nudged)

    def weights(self, name: str) -> Any:
        """Weights of a projection now, as they were given."""
        number = self.program.projection(name)
        if self.program.projections[number].rule is None:
            return self.rewritten.weights(number)
        return self.learning.weights(name)

    def set_weights(self, name: str, weights: Any) -> None:
        """Overwrite the weights of a projection; those of a fixed one are loaded before the next run."""
        number = self.program.projection(name)
        if self.program.projections[number].rule is not None:
            self.learning.set_weights(name, weights)
            return
        self._moving(name)
        self.rewritten.set(number, weights)
        self._stale = True

    def _moving(self, name: str) -> None:
        """Refuse other weights while sums wait in the rings: the new machine may keep them in another form."""
        if not self._stale and np.any(self._state.acc):
            raise RunError(
                f"projection '{name}': its weights cannot be overwritten now, as spikes are on their way (delays, or "
                "projections that learn); overwrite them before the first run, after reset(), or when all is silent"
            )

    def _reload(self) -> None:
        """Build the machine anew if weights were overwritten; all else goes on."""
        if not self._stale:
            return
        learned = {name: learner.weights.copy() for name, learner in self.learning.learners.items()}
        state = self.learning.state()
        self._load()
        self.learning.reset()
        for name, values in learned.items():
            self.learning.learners[name].weights[:] = values
        self.learning.restore(state)
        self._state = self._state._replace(acc=np.array(self.machine.state.acc))

    def state(self) -> dict[str, np.ndarray]:
        """Everything that a later run depends on, by name; a copy."""
        self._reload()
        named = {f"state/{k}": np.array(v) for k, v in self._state._asdict().items()}
        named["state/acc"] = named["state/acc"][self.machine.home]
        named["last/ids"], named["last/value"] = self._last.ids.copy(), self._last.value.copy()
        named["tail/ptr"], named["tail/ids"] = self._tail.ptr.copy(), self._tail.ids.copy()
        named["step"], named["began"] = np.array(self.step), np.array(self._began)
        if self.threads == 1:  # fixed weights need not be kept, and those of several tiles lie in another order
            named["weight"] = np.array(self.machine.net.weight)
        return named | self._noise.state() | self.learning.state() | self.rewritten.state()

    def kept(self, state: Mapping[str, Any]) -> dict[str, Kept]:
        """What `state` must hold: that of a machine with the weights that it overwrites, which is loaded already."""
        first = self.machine.state
        wanted = {f"state/{k}": like(v) for k, v in first._asdict().items()}
        wanted |= {f"state/{k}": flags(getattr(first, k)) for k in ("fired", "active")}
        wanted["state/rows"] = like(first.rows, *row_ranges(self.program, first.rows, self.machine.net.params))
        wanted["last/ids"] = Kept((None,), np.dtype(np.uint32), 0, max(self.program.n - 1, 0))
        wanted["last/value"] = Kept((None,), np.dtype(self._number))
        wanted["step"], wanted["began"] = number(), number()
        wanted["tail/ptr"] = Kept((None,), np.dtype(np.int64), 0)
        wanted["tail/ids"] = Kept((None,), np.dtype(np.uint32), 0, max(self.program.n - 1, 0))
        if self.learning.any:
            wanted["weight"] = like(self.machine.net.weight, *self.learning.weight_ranges())
        elif "weight" in state:  # fixed ones are kept with one thread only, and are not taken
            wanted["weight"] = Kept((None,), self.machine.net.weight.dtype)
        return wanted | self._noise.kept() | self.learning.kept() | self.rewritten.kept(state)

    def _check_last(self, state: Mapping[str, np.ndarray]) -> None:
        """The spikes of the last step, by population: within each, ascending; refuses what is not."""
        ends, ids, pops = state["state/last_ptr"], state["last/ids"].astype(np.int64), self.machine.net.pop_ptr
        sound = ends[0] == 0 and ends[-1] == ids.size and bool(np.all(np.diff(ends) >= 0))
        if sound and ids.size:
            owner = np.repeat(np.arange(ends.size - 1), np.diff(ends))
            sound = bool(np.all((ids >= pops[owner]) & (ids < pops[owner + 1]))) and bool(np.all(np.diff(ids) > 0))
        if not sound:
            raise RunError("the state's 'last/ids' and 'state/last_ptr' are no spikes of this program's populations")
        if state["last/value"].size not in ((ids.size,) if self.machine.net.is_graded.any() else (0, ids.size)):
            raise RunError(f"the state's 'last/value' holds {state['last/value'].size} values of {ids.size} spikes")
        tail = state["tail/ptr"]
        if not (0 < tail.size <= self._reach + 1 and tail[0] == 0 and tail[-1] == state["tail/ids"].size):
            raise RunError("the state's 'tail/ptr' does not fit its 'tail/ids'")
        if np.any(np.diff(tail) < 0):
            raise RunError("the state's 'tail/ptr' does not ascend")
        if state["began"] > state["step"]:
            raise RunError("the state's 'began' lies behind its 'step'")

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned, for the same program and any number of threads; else RunError."""
        if self.rewritten.restored(state):
            self._load()
            self.learning.reset()
        old = "tail/ptr" not in state
        given = {"tail/ptr": np.zeros(1, np.int64), "tail/ids": np.zeros(0, np.uint32), **state}
        state = checked(given, self.kept(given))
        self._check_last(state)
        if old:
            state = self._of_old(state)
        whole = self.machine.state._asdict()
        self._state = records.State(*(np.array(state[f"state/{k}"], a.dtype) for k, a in whole.items()))
        self._state.acc[self.machine.home] = state["state/acc"]
        self._last = SpikeTrain(
            np.zeros(2, np.int64), np.array(state["last/ids"]), np.array(state["last/value"], self._number)
        )
        self._tail = SpikeTrain(np.array(state["tail/ptr"]), np.array(state["tail/ids"]), np.zeros(0, self._number))
        self.step, self._began = int(state["step"]), int(state["began"])
        if self.learning.any:
            self.machine.net.weight[:] = state["weight"]
        self._noise.restore(state)
        self.learning.restore(state)

    def _of_old(self, state: dict[str, Any]) -> dict[str, Any]:
        """A checkpoint of a version whose accumulators lay as the threads of its own machine had them.

        Threads that keep sparse weights show in their order; a network that may have run on several, with delayed
        spikes in flight, is taken to have run on as many as here, with a warning. Which delayed events were waiting it
        does not say.
        """
        weight, own = state.get("weight"), self.machine.net.weight
        fixed = not self.learning.any and not self.rewritten.synapses
        if fixed and weight is not None and not np.array_equal(weight, own):
            raise RunError("the state was saved by an older version with another number of threads; use that number")
        if np.any(state["state/acc"]) and worth_threads(self.program, 2) > 1:
            warnings.warn(
                f"a checkpoint of an older version does not say its number of threads: taken as {self.threads}, other "
                "numbers give wrong spikes",
                stacklevel=4,
            )
        return {**state, "state/acc": state["state/acc"][self.machine.home]}


def worth_threads(program: Program, threads: int) -> int:
    """`threads`, or 1 where a step is too short to share, a projection is a convolution or learns, or the system has
    no yield.

    The work of a step is guessed from sizes: 0.4 ns per neuron, and 1 ns per sparse or 0.05 ns per dense synapse of
    the 2 % of neurons that fire.
    """
    if threads == 1 or not hasattr(os, "sched_yield"):
        return 1
    if any(isinstance(p.synapses, Conv) or p.rule is not None or p.role for p in program.projections):
        return 1
    work = 0.4 * program.n
    for projection in program.projections:
        post, pre = projection.synapses.shape
        matrix = getattr(projection.synapses, "mantissa", None)
        matrix = projection.synapses.weights if matrix is None else matrix
        work += 0.02 * (matrix.nnz if hasattr(matrix, "indptr") else 0.05 * post * pre)
    return threads if work >= THREADS_FROM else 1


def _end(before: SpikeTrain, spikes: SpikeTrain, steps: int) -> SpikeTrain:
    """The last `steps` steps of two trains in a row, fewer if there are not so many; values left out."""
    if not steps:
        return before
    taken = min(steps, spikes.ptr.size - 1)
    kept = min(steps - taken, before.ptr.size - 1)
    old, new = before.ptr[before.ptr.size - 1 - kept :], spikes.ptr[spikes.ptr.size - 1 - taken :]
    ids = np.concatenate([before.ids[old[0] :], spikes.ids[new[0] :]])
    ptr = np.concatenate([old - old[0], new[1:] - new[0] + before.ids.size - old[0]])
    return SpikeTrain(ptr, ids, before.value)


def _probe_table(probes: list[Probe]) -> np.ndarray:
    table, column = np.zeros((len(probes), 4), np.int64), 0
    for m, probe in enumerate(probes):
        table[m] = probe.row, probe.lo, probe.hi, column
        column += probe.hi - probe.lo
    return table


def _join(parts: list[SpikeTrain], steps: int, number: Any) -> SpikeTrain:
    ptr, base = np.zeros(steps + 1, np.int64), 0
    at = 0
    for part in parts:
        ptr[at : at + part.ptr.size] = part.ptr + base
        at += part.ptr.size - 1
        base += int(part.ptr[-1])
    if len(parts) == 1:
        return SpikeTrain(ptr, parts[0].ids, parts[0].value)
    ids = np.concatenate([p.ids for p in parts]) if parts else np.zeros(0, np.uint32)
    value = np.concatenate([p.value for p in parts]) if parts else np.zeros(0, number)
    return SpikeTrain(ptr, ids, value)
