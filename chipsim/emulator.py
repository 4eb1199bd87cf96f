"""The emulator: a program on its chip, run step by step; keeps its state between runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RunError
from .program import Program

Record = Mapping[str, Sequence[str] | str]
#: A run that would need more than this is refused before memory is taken.
MEMORY_LIMIT = 16 << 30


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
        if threads < 1:
            raise RunError(f"threads={threads}: at least one is needed")
        self.program = program
        self.threads = threads
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
    ) -> Any:
        """Run and return a `Result`.

        Parameters
        ----------
        inputs : dict population -> spikes
            (steps, n) arrays or structured (step, neuron) events; steps count from this call.
        steps : int
            Taken from the longest input array when left out.
        record : dict population -> variables
            State variables to keep, e.g. {"hid": ["spikes", "v"]}. Spikes are always kept.
        masks : bool
            Keep which neurons were active in each step (needed by timing="detailed" and "noc").
        progress
            Called as progress(steps done, steps).

        Raises
        ------
        RunError
            No steps, unknown populations or variables, inputs that do not fit, or a request too large for memory.
        """
        from .inputs import gather
        from .results import Result

        count = _steps(inputs or {}, steps)
        probes, layout = self._probes(record or {})
        self._check_memory(count, sum(p.hi - p.lo for p in probes), masks)
        train, dropped = gather(self.program, inputs or {}, count)
        first = self._engine.step
        raw = self._engine.run(train, count, probes, masks=masks, progress=progress)
        traces: dict[str, dict[str, np.ndarray]] = {}
        column = 0
        for name, variable, size in layout:
            traces.setdefault(name, {})[variable] = raw.trace[:, column : column + size]
            column += size
        return Result(self.program, raw, traces, dropped, first)

    def _probes(self, record: Record) -> tuple[list[Any], list[tuple[str, str, int]]]:
        from .engines.registers import STATE_ROW
        from .engines.timestep import Probe

        probes, layout = [], []
        for name, wanted in record.items():
            image = self.program.population(name)
            rows = STATE_ROW.get(image.model.model, {})
            for variable in [wanted] if isinstance(wanted, str) else wanted:
                if variable == "spikes":
                    continue
                if variable not in rows:
                    known = ", ".join(["spikes", *rows])
                    raise RunError(
                        f"population '{name}' has no variable '{variable}' to record; it has {known}"
                    )
                probes.append(Probe(rows[variable], image.start, image.stop))
                layout.append((name, variable, image.n))
        return probes, layout

    def _check_memory(self, steps: int, columns: int, masks: bool) -> None:
        wide = 8 if self.program.arithmetic.is_float else 4
        need = steps * (columns * wide + len(self.program.cores) * 16 + (self.program.n // 8 if masks else 0))
        if need > MEMORY_LIMIT:
            raise RunError(
                f"recording {columns} values in {steps} steps needs {need / 2**30:.0f} GiB; "
                "record fewer populations or run in parts"
            )

    def reset(self) -> None:
        """Back to the freshly loaded state: step 0, initial potentials, nothing in flight."""
        self._engine.reset()

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint from which `load` continues bit for bit."""
        from .storage import save_state

        return save_state(self._engine.state(), self.program, path)

    def load(self, path: str | Path) -> None:
        """Continue from a checkpoint of the same program; raises FileError otherwise."""
        from .storage import load_state

        self._engine.restore(load_state(self.program, path, self._engine.state()))


def _engine(program: Program, threads: int) -> Any:
    if program.chip.family in ("loihi", "float"):
        from .engines.timestep import TimeStepEngine

        return TimeStepEngine(program, threads)
    if program.chip.family == "reckon":
        from .engines.reckon_program import ReckonProgramEngine

        return ReckonProgramEngine(program, threads)
    if program.chip.family == "xylo":
        from .engines.xylo import XyloEngine

        return XyloEngine(program, threads)
    if program.chip.family in ("odin", "tinyodin"):
        from .engines.crossbar_program import CrossbarProgramEngine

        return CrossbarProgramEngine(program, threads)
    raise RunError(f"no engine runs programs of family '{program.chip.family}'")


def _steps(inputs: Mapping[str, Any], steps: int | None) -> int:
    if steps is None:
        lengths = [len(v) for v in inputs.values() if getattr(np.asarray(v).dtype, "names", None) is None]
        if not lengths:
            raise RunError("give steps=: the number of steps does not follow from the inputs")
        return max(lengths)
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
        raise RunError(f"steps={steps!r} is not a whole number")
    if steps < 1:
        raise RunError(f"steps={steps}: run at least one step")
    return int(steps)
