"""One point of a design-space study: a network on a varied chip, mapped, run, and priced."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from chipsim import __version__
from chipsim.chips.read import load_chip
from chipsim.chips.schema import Chip
from chipsim.emulator import Emulator
from chipsim.errors import ChipsimWarning, FileError, RunError
from chipsim.mappings.formats import read_network
from chipsim.mappings.formats.any_chip import compile
from chipsim.mappings.network.network import Network
from chipsim.program.program import Program
from chipsim.sweep.vary import OPTIONS, changed, option, resolve

#: Options of `Study.options` and of a point that go to the compiler.
QUANTISE = "quantise."  #: before the names of options that go to the quantiser
COMPILE = ("max_neurons", "partition", "packing", "arithmetic", "seed", "dt")


@dataclass(frozen=True)
class Study:
    """What all points of a study share.

    Attributes
    ----------
    network : str
        Path of a network file.
    chip : str
        A shipped name or a path.
    inputs : str or None
        Path of input spikes.
    options : tuple of (name, value)
        Fixed values of `chipsim.sweep.vary.OPTIONS`; the values of a point go before them. "rate" is spikes per step
        of every input line where no file is given; "quantise" holds (name, value) pairs for the quantiser.
    """

    network: str
    chip: str
    inputs: str | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def check(self, names: Mapping[str, Any]) -> None:
        """RunError if something in `names` is neither an option nor a field of the chip."""
        for name in names:
            if name not in OPTIONS:
                resolve(load_chip(self.chip), name)

    def settings(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], Chip]:
        """Options and chip of a point."""
        options = dict(self.options) | {k: option(k, v) for k, v in values.items() if k in OPTIONS}
        fields = {k: v for k, v in values.items() if k not in OPTIONS}
        return options, changed(load_chip(options.get("chip", self.chip)), fields)

    def key(self, values: dict[str, Any]) -> list[Any]:
        """All that the figures of a point depend on, as plain data."""
        options, chip = self.settings(values)
        files = [_fingerprint(path) for path in (self.network, self.inputs) if path]
        return [__version__, files, sorted(options.items()), chip.model_dump(mode="json")]


def _fingerprint(path: str) -> str:
    try:
        stamp = Path(path).stat()
    except OSError as error:
        raise FileError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    return _content(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=16)
def _content(path: str, _time: int, _size: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def _network(path: str, _content: str) -> Network:
    return read_network(path)


def evaluate(study: Study, values: dict[str, Any]) -> dict[str, Any]:
    """Figures of a point: energy (J), latency (s), their product, work, traffic, cores; see docs/sweep.md.

    Raises
    ------
    ChipsimError
        The network does not fit the varied chip, or the options do not fit together.
    """
    begin = perf_counter()
    options, chip = study.settings(values)
    network = _network(study.network, _fingerprint(study.network))
    chosen = dict(options.get("quantise", ())) | {
        k.removeprefix(QUANTISE): v for k, v in options.items() if k.startswith(QUANTISE)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChipsimWarning)
        compiling = {k: v for k, v in options.items() if k in COMPILE}
        program = compile(network, chip, **compiling, quantise=chosen or None)
    inputs, steps = _inputs(study, program, options)
    timing = options.get("timing", "simple")
    result = Emulator(program).run(inputs, steps, masks=timing != "simple")
    made = result.estimate(timing=timing, cost_set=options.get("cost_set"))
    totals = result.activity.totals()
    used = len(program.cores)
    return {
        "energy_J": made.total_energy,
        "latency_s": made.latency,
        "edp_Js": made.edp,
        "dynamic_J": made.dynamic_energy,
        **{f"energy_{line}_J": joules for line, joules in made.energy.items()},
        "steps": result.steps,
        "cores": used,
        "tiles": len(np.unique(program.cores // chip.topology.cores_per_tile)),
        **{name: totals[name] for name in ("spikes", "input_spikes", "packets_out", "synaptic_events")},
        "hops": int(result.activity.hops.sum()),
        "unknown": len(made.unknown),
        "seconds": perf_counter() - begin,
    }


def _inputs(study: Study, program: Program, options: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Spikes of the input populations, and the steps to run (None: as long as the file's)."""
    steps, rate = options.get("steps"), float(options.get("rate", 0.0))
    if study.inputs is not None:
        from chipsim.run.input_files import read_inputs

        return read_inputs(study.inputs, program), steps
    if steps is None:
        raise RunError("give steps, or a file of inputs")
    sources = [p for p in program.populations if p.model.is_input]
    if sources and not rate:
        raise RunError(f"the network has the input '{sources[0].name}': give a file of inputs, or a rate")
    if not 0 <= rate <= 1:
        raise RunError(f"rate={rate:g} must lie in 0..1 spikes per step and line")
    rng = np.random.default_rng(int(options.get("seed", 0)))
    return {p.name: rng.random((steps, p.n)) < rate for p in sources}, steps
