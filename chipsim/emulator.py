"""The emulator: a program on its chip, run step by step; keeps its state between runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.program.program import Program

from .checks import MEMORY_LIMIT, finite, flag, mapping, shown, whole
from .errors import FileError, RunError

if TYPE_CHECKING:
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
        self._engine = _engine(program, threads)

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

        from .results import Result

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
        extra = self._learning(learn, third, targets, watch, record_every)
        self._phase(phase, phase_ends, hold or {}, nudge or {}, extra)
        raw = self._engine.run(train, count, probes, masks=masks, progress=progress, **extra)
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
        learners = getattr(getattr(self._engine, "learning", None), "learners", {})
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

    def _learning(
        self,
        learn: bool,
        third: Mapping[str, Any],
        targets: Mapping[str, Any],
        watch: dict[str, list[str]],
        every: int,
    ) -> dict[str, Any]:
        """Arguments of the engine that concern learning; none where nothing learns."""
        if not isinstance(learn, (bool, np.bool_)):
            raise RunError(f"learn={shown(learn)}: give True or False")
        learners = getattr(getattr(self._engine, "learning", None), "learners", {})
        for name in third:
            if name not in learners:
                known = ", ".join(learners) or "none"
                raise RunError(f"third factor for '{name}', which is no learning projection; those are: {known}")
        if targets and not learners:
            raise RunError(f"targets for '{next(iter(targets))}', but no projection learns: give one a rule")
        given = {"learn": bool(learn), "third": third, "targets": targets, "watch": watch, "every": int(every)}
        return given if learners else {}

    def _phase(self, phase: Any, ends: Any, hold: Mapping[str, Any], nudge: Mapping[str, Any], extra: dict) -> None:
        """Check the phase of a run, and hold and nudge what is to be."""
        if phase is not None and (not isinstance(phase, str) or not phase):
            raise RunError(f"phase={phase!r} must be a name such as 'free'")
        if not isinstance(ends, (bool, np.bool_)):
            raise RunError(f"phase_ends={ends!r}: give True or False")
        if not hasattr(self._engine, "hold"):
            if phase is not None or hold or nudge:
                raise RunError(f"programs of family '{self.program.chip.family}' have no phases, hold or nudge")
            return
        from chipsim.engines.learning.declared import Phase

        self._engine.hold(hold, nudge)
        if extra:
            extra["phase"] = Phase(phase, bool(ends))

    def end_episode(self, *, update: bool = True, rate: float = 1.0) -> dict[str, Any]:
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
            (`chipsim.engines.learning.eprop_network.Episode`); empty for other rules.

        Raises
        ------
        RunError
            Chips whose engine has no episodes, an episode too short to reach the readout, a rate that is no number.
        """
        if not hasattr(self._engine, "end_episode"):
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

    def _plastic(self) -> Any:
        if not hasattr(self._engine, "learning"):
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

    def _probes(self, record: Record) -> tuple[list[Any], list[tuple[str, str, int]]]:
        from chipsim.engines.timestep import Probe

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
        from chipsim.storage.documents import save_state

        return save_state(self._engine.state(), self.program, path)

    def load(self, path: str | Path) -> None:
        """Continue from a checkpoint of the same program; raises FileError otherwise."""
        from chipsim.storage.documents import load_state

        state = load_state(self.program, path)
        try:
            self.restore(state)
        except RunError as error:
            raise FileError(f"{path} was saved by another version, or is damaged: {error}") from None


def _engine(program: Program, threads: int) -> Any:
    if program.chip.family in ("loihi", "float"):
        from chipsim.engines.timestep import TimeStepEngine

        return TimeStepEngine(program, threads)
    if program.chip.family == "reckon":
        from chipsim.engines.reckon.program import ReckonProgramEngine

        return ReckonProgramEngine(program, threads)
    if program.chip.family == "xylo":
        from chipsim.engines.xylo import XyloEngine

        return XyloEngine(program, threads)
    if program.chip.family in ("odin", "tinyodin"):
        from chipsim.engines.crossbar.program import CrossbarProgramEngine

        return CrossbarProgramEngine(program, threads)
    if program.chip.family == "truenorth":
        from chipsim.engines.grid.program import GridProgramEngine

        return GridProgramEngine(program, threads)
    if program.chip.family == "catalyst":
        from .engines.catalyst.program import N1ProgramEngine

        return N1ProgramEngine(program, threads)
    raise RunError(f"no engine runs programs of family '{program.chip.family}'")


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
