"""The emulator: a program on its chip, run step by step; keeps its state between runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.engines.choose import engine_of
from chipsim.engines.contract import Episode, Episodes, Holds, Learns, Phase, Plasticity, Probe, Teaching
from chipsim.program.program import Program

from .checks import MEMORY_LIMIT, finite, flag, mapping, shown, whole
from .errors import FileError, RunError
from .results import Result

Record = Mapping[str, Sequence[str] | str]
MAX_THREADS = 1024
MOST_STEPS = (1 << 62) - 1  #: of a run, as far as counters go; memory ends it sooner


class Emulator:
    """A program on an emulated chip.

    Parameters
    ----------
    program : Program
    threads : int
        Threads to use on large networks; results are the same bits for any number.

    Examples
    --------
    >>> import chipsim as cs, numpy as np
    >>> net = cs.Network()
    >>> x, a = net.add("x", cs.SpikeSource(2)), net.add("a", cs.loihi.LIF(3, vth=10, dv=0, du=4095))
    >>> _ = net.connect(x, a, cs.loihi.Synapses(np.full((3, 2), 20)))
    >>> result = cs.Emulator(cs.compile(net, "loihi")).run({"x": np.ones((5, 2), int)}, steps=5)
    >>> int(result.spikes["a"].sum())
    12
    """

    def __init__(self, program: Program, *, threads: int = 1) -> None:
        if not isinstance(program, Program):
            raise RunError(
                f"Emulator takes a Program, not {type(program).__name__}: make one with cs.compile(net, chip)"
            )
        self.program = program
        self.threads = threads = whole(threads, "threads", 1, MAX_THREADS, RunError)
        self._engine = engine_of(program, threads)

    @property
    def step(self) -> int:
        """Steps run since the last reset."""
        return self._engine.step

    def run(
        self,
        inputs: Mapping[str, Any] | None = None,
        steps: int | None = None,
        *,
        record: Record | None = None,
        masks: bool = False,
        progress: Callable[[int, int], None] | None = None,
        learn: bool = True,
        third: Mapping[str, Any] | None = None,
        targets: Mapping[str, Any] | None = None,
        record_every: int = 1,
        phase: str | None = None,
        phase_ends: bool = True,
        hold: Mapping[str, Any] | None = None,
        nudge: Mapping[str, Any] | None = None,
    ) -> Result:
        """Run and return a `Result`.

        Parameters
        ----------
        inputs : dict population -> spikes
            (steps, n) arrays or structured (step, neuron) events; steps count from this call.
        steps : int
            Taken from the longest input array when left out.
        record : dict population -> variables
            State variables to keep, e.g. {"hid": ["spikes", "v"]}. Spikes are always kept. For a projection that
            learns: its weights, synaptic state and traces, e.g. {"in->hid": ["w", "x"]}, found in `result.learning`.
        masks : bool
            Keep which neurons were active in each step (needed by timing="detailed" and "noc").
        progress
            Called as progress(steps done, steps).
        learn : bool
            False freezes all learning: weights, traces and random numbers stand still.
        third : dict projection -> third factor
            A number, (steps,), or (steps, n_post) for one value per neuron; a dict of them by name where a rule has
            several. PES takes its errors here, (steps, n_post / 2).
        targets : dict readout -> target
            For networks that learn by e-prop: what the readout population should show after each step of this run,
            (steps, m), rows of NaN where nothing is asked; or class numbers (steps,), -1 for none, if the rule's loss
            is cross-entropy. An input spike reaches the readout two steps later.
        record_every : int
            Variables of projections are kept after every so many steps.
        phase : str
            Which phase of learning this run is; rules with `phases` learn in theirs only.
        phase_ends : bool
            False if the phase goes on in the next run.
        hold : dict population -> (n,) rates
            Rate units that send these values in this run and stand still; NaN leaves a unit free.
        nudge : dict population -> (target, beta)
            Rate units to whose input beta (target - rate) is added in every step of this run.

        Raises
        ------
        RunError
            No steps, unknown populations or variables, inputs, third factors or targets that do not fit, or a request
            too large for memory.
        """
        from chipsim.run.inputs import gather

        masks = flag(masks, "masks", RunError)
        inputs = mapping(inputs, "inputs", "population -> spikes", RunError)
        record = mapping(record, "record", "population -> variables", RunError)
        third = mapping(third, "third", "projection -> third factor", RunError)
        targets = mapping(targets, "targets", "readout -> target", RunError)
        count = _steps(self.program, inputs, steps)
        watch, record = self._split(record, record_every)
        probes, layout = self._probes(record)
        self._check_memory(count, sum(p.hi - p.lo for p in probes), masks)
        train, dropped = gather(self.program, inputs, count)
        first = self._engine.step
        teaching = self._teaching(learn, third, targets, watch, record_every, self._phase(phase, phase_ends))
        self._hold(hold or {}, nudge or {})
        raw = self._engine.run(train, count, probes, masks=masks, progress=progress, learning=teaching)
        traces: dict[str, dict[str, np.ndarray]] = {}
        column = 0
        for name, variable, size in layout:
            traces.setdefault(name, {})[variable] = raw.trace[:, column : column + size]
            column += size
        return Result(self.program, raw, traces, dropped, first)

    def _split(self, record: Record, every: int) -> tuple[dict[str, list[str]], Record]:
        """What is recorded of projections, checked, and the rest."""
        whole(every, "record_every", 1, error=RunError)
        names = {p.name for p in self.program.populations}
        learners = self._learners()
        watch: dict[str, list[str]] = {}
        for name, wanted in record.items():
            if name in names or name not in {p.name for p in self.program.projections}:
                continue
            if name not in learners:
                raise RunError(f"projection '{name}' does not learn: there is nothing to record; give it a rule")
            watch[name] = _variables(name, wanted)
            for variable in watch[name]:
                if variable not in learners[name].variables:
                    known = ", ".join(learners[name].variables)
                    raise RunError(f"projection '{name}' has no variable '{variable}' to record; it has {known}")
        return watch, {k: v for k, v in record.items() if k not in watch}

    def _teaching(
        self,
        learn: bool,
        third: Mapping[str, Any],
        targets: Mapping[str, Any],
        watch: dict[str, list[str]],
        every: int,
        phase: Phase,
    ) -> Teaching | None:
        """What the engine is told of learning; None where nothing learns."""
        if not isinstance(learn, (bool, np.bool_)):
            raise RunError(f"learn={shown(learn)}: give True or False")
        learners = self._learners()
        for name in third:
            if name not in learners:
                known = ", ".join(learners) or "none"
                raise RunError(f"third factor for '{name}', which is no learning projection; those are: {known}")
        if targets and not learners:
            raise RunError(f"targets for '{next(iter(targets))}', but no projection learns: give one a rule")
        return Teaching(bool(learn), third, targets, watch, int(every), phase) if learners else None

    def _learners(self) -> Mapping[str, Plasticity]:
        """The projections that can learn, by name."""
        return self._engine.learners if isinstance(self._engine, Learns) else {}

    def _phase(self, phase: Any, ends: Any) -> Phase:
        """The phase of a run, checked."""
        if phase is not None and (not isinstance(phase, str) or not phase):
            raise RunError(f"phase={phase!r} must be a name such as 'free'")
        if not isinstance(ends, (bool, np.bool_)):
            raise RunError(f"phase_ends={ends!r}: give True or False")
        if phase is not None and not isinstance(self._engine, Holds):
            raise RunError(f"programs of family '{self.program.chip.family}' have no phases, hold or nudge")
        return Phase(phase, bool(ends))

    def _hold(self, hold: Mapping[str, Any], nudge: Mapping[str, Any]) -> None:
        """Hold and nudge what is to be."""
        if isinstance(self._engine, Holds):
            self._engine.hold(hold, nudge)
        elif hold or nudge:
            raise RunError(f"programs of family '{self.program.chip.family}' have no phases, hold or nudge")

    def end_episode(self, *, update: bool = True, rate: float = 1.0) -> dict[str, Episode]:
        """End a trial: neurons, spikes in flight and traces go back to rest; weights and random streams stay.

        Parameters
        ----------
        update : bool
            Networks that learn by e-prop change their weights now, by the mean gradient of all episodes since the
            last update; False only adds this episode's gradient (a batch). Rules that learn in every step are done.
        rate : float
            Factor on the learning rate of this update, for schedules.

        Returns
        -------
        dict readout -> Episode
            Loss, output and error of each network that learns by e-prop and learned in this episode
            (`chipsim.engines.contract.Episode`); empty for other rules.

        Raises
        ------
        RunError
            Chips whose engine has no episodes, an episode too short to reach the readout, a rate that is no number.
        """
        if not isinstance(self._engine, Episodes):
            raise RunError(f"programs of family '{self.program.chip.family}' have no episodes here; use reset()")
        if not isinstance(update, (bool, np.bool_)):
            raise RunError(f"end_episode: update={shown(update)}: give True or False")
        return self._engine.end_episode(bool(update), finite(rate, "end_episode: rate", RunError, lo=0.0))

    def weights(self, projection: str) -> Any:
        """Weights of a projection now, (post, pre): ndarray or CSC array, as they were given to the network.

        In the chip's own numbers: mantissas on integer chips (as added, for PES), float64 on float chips. Learned
        weights are read back; fixed ones are those of the program, or what `set_weights` put in their place.
        """
        return self._plastic().weights(projection)

    def set_weights(self, projection: str, weights: Any) -> None:
        """Overwrite the weights of a projection between runs, (post, pre) in the numbers of `weights`.

        The projection keeps its synapses: weights can become 0, but none can be added. `reset` gives back those of the
        program.

        Raises
        ------
        RunError
            Unknown projection or a convolution, another shape, weights where there is no synapse or beyond the range;
            a fixed projection while spikes are under way with delays.
        """
        self._plastic().set_weights(projection, weights)

    def _plastic(self) -> Learns:
        if not isinstance(self._engine, Learns):
            raise RunError(f"weights of programs of family '{self.program.chip.family}' cannot be read from here")
        return self._engine

    def state(self) -> dict[str, Any]:
        """Everything that a later run depends on, as named arrays; a copy."""
        return self._engine.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned, bit for bit, for the same program and any number of threads.

        Raises
        ------
        RunError
            An array is missing, has another shape or dtype, or holds a value out of its range; nothing has changed
            then.
        """
        given, before = dict(mapping(state, "state", "name -> array", RunError)), self._engine.state()
        try:
            self._engine.restore(given)
        except RunError:
            self._engine.restore(before)
            raise

    def _probes(self, record: Record) -> tuple[list[Probe], list[tuple[str, str, int]]]:
        probes, layout = [], []
        for name, wanted in record.items():
            image = self.program.population(name)
            rows = image.model.variables
            for variable in _variables(name, wanted):
                if variable == "spikes":
                    continue
                if variable not in rows:
                    known = ", ".join(["spikes", *rows])
                    raise RunError(f"population '{name}' has no variable '{variable}' to record; it has {known}")
                probes.append(Probe(rows[variable], image.start, image.stop))
                layout.append((name, variable, image.n))
        return probes, layout

    def _check_memory(self, steps: int, columns: int, masks: bool) -> None:
        wide = np.dtype(self.program.arithmetic.number).itemsize
        # Six counters of each core, and per step those of hops, inputs, waiting and the spike log's pointer.
        each = columns * wide + len(self.program.cores) * 48 + 64 + (self.program.n // 8 if masks else 0)
        if steps * each > MEMORY_LIMIT:
            raise RunError(
                f"{steps} steps with counters and {columns} recorded values need {steps * each / 2**30:.0f} GiB, "
                f"more than {MEMORY_LIMIT >> 30}; run at most {MEMORY_LIMIT // each} steps at once, or record less"
            )

    def reset(self) -> None:
        """Back to the freshly loaded state: step 0, initial potentials, nothing in flight."""
        self._engine.reset()

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint from which `load` continues bit for bit."""
        from chipsim.run.files import save_state

        return save_state(self._engine.state(), self.program, path)

    def load(self, path: str | Path) -> None:
        """Continue from a checkpoint of the same program; raises FileError otherwise."""
        from chipsim.run.files import load_state

        state = load_state(self.program, path)
        try:
            self.restore(state)
        except RunError as error:
            raise FileError(f"{path} was saved by another version, or is damaged: {error}") from None


def _variables(name: str, wanted: Any) -> list[str]:
    """One name or several, as a list."""
    names = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        raise RunError(f"record of '{name}' must be names of variables, e.g. ['spikes', 'v'], not {shown(wanted)}")
    return list(names)


def _steps(program: Program, inputs: Mapping[str, Any], steps: int | None) -> int:
    from chipsim.run.inputs import as_input

    if steps is not None:
        return whole(steps, "steps", 1, MOST_STEPS, RunError)
    arrays = [as_input(program.population(name), given) for name, given in inputs.items()]
    lengths = [len(array) for array in arrays if array.dtype.names is None]
    if not lengths:
        raise RunError("give steps=: the number of steps does not follow from the inputs")
    if not max(lengths):
        raise RunError("the inputs have 0 steps: run at least one step")
    return max(lengths)
