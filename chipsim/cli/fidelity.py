"""Options of `chipsim run` and `convert` for NIR graphs on a chip, and the comparison with floats."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from chipsim.errors import FileError, RunError

from .common import table, working

if TYPE_CHECKING:
    from chipsim.mappings.studies.fidelity import Fidelity
    from chipsim.program.program import Program

Quantise = Annotated[
    list[str] | None,
    typer.Option("--quantise", metavar="KEY=VALUE", help="Option of the quantiser, e.g. bits=6; repeatable."),
]
Substeps = Annotated[int, typer.Option(help="NIR: steps of the chip in one of the tool (tools that count spikes).")]
Calibrate = Annotated[int, typer.Option(help="With --compare-float: so many samples size the chip's numbers.")]
LABELS = "labels"  #: array of an input file with the class of each sample


def quantise_options(given: list[str] | None) -> dict[str, Any]:
    """KEY=VALUE texts as options of `chipsim.mappings.compiler.quantise.quantise.quantise`; raises RunError for
    others."""
    if not given:
        return {}
    from chipsim.mappings.compiler.quantise.quantise import quantise

    allowed = [k for k in inspect.signature(quantise).parameters if k not in ("net", "chip", "dt", "calibration")]
    out: dict[str, Any] = {}
    for item in given:
        key, equals, text = item.partition("=")
        if not equals or key not in allowed:
            raise RunError(f"--quantise {item}: write KEY=VALUE, with KEY one of {', '.join(allowed)}")
        try:
            out[key] = json.loads(text.lower() if text in ("True", "False") else text)
        except ValueError:
            out[key] = text
    return out


def read_samples(path: Path | None, program: Program) -> tuple[dict[str, np.ndarray], Any]:
    """Samples by input, (m, steps, ...) each, and labels or None; one sample may come without its first axis."""
    from chipsim.run.input_files import read_inputs

    if path is None:
        raise RunError("--compare-float needs --input: (samples, steps, n) spikes of each input, without padding")
    given = dict(read_inputs(path, program))
    labels = given.pop(LABELS, None)
    sources = {p.name: p for p in program.populations if p.model.is_input}
    out = {}
    for name, array in given.items():
        if name not in sources:
            raise FileError(f"{path}: the graph has no input '{name}'; it has {', '.join(sources)}")
        if array.dtype.kind not in "biuf":
            raise FileError(
                f"{path}: '{name}' holds {array.dtype}, not numbers; --compare-float takes arrays of spikes"
            )
        alone = array.ndim == 2 or (array.ndim > 2 and array[0].size == sources[name].n)
        out[name] = array[None] if alone else array
    return out, labels


def compared(
    program: Program,
    graph: Path,
    samples: dict[str, np.ndarray],
    labels: Any,
    calibrate: int,
    options: dict[str, Any],
) -> tuple[Program, Fidelity, dict[str, np.ndarray], int]:
    """The program (compiled again if samples size its numbers), the comparison, and inputs and steps of a sample."""
    from chipsim.mappings.formats.nir.onto_chip import compile_nir
    from chipsim.mappings.formats.nir.reader import from_nir, padded
    from chipsim.mappings.studies.fidelity import calibration, compare, samples_of

    substeps = options["substeps"]
    net = from_nir(graph, **options["nir"])
    given = samples_of(net, samples)
    with working("comparing with floats"):
        if calibrate:
            chosen = {**options["quantise"], "calibration": calibration(given, calibrate, substeps)}
            program = compile_nir(graph, program.chip, quantise=chosen, substeps=substeps, **options["nir"])
        found = compare(net, program, given, labels=labels, substeps=substeps, quantise=options["quantise"])
    first, steps = padded(net, {k: a[0] for k, a in given.items()}, substeps)
    return program, found, first, steps


def shown(found: Fidelity) -> list[Any]:
    """The comparison as a table and lines."""
    rows = [
        (x.name, x.neurons, f"{x.rate_float:.4f}", f"{x.rate_chip:.4f}", f"{x.rate_correlation:.4f}",
         f"{x.raster_similarity:.3f}", x.silenced)
        for x in found.layers
    ]  # fmt: skip
    columns = ("population", ">neurons", ">float", f">{found.chip}", ">r of rates", ">raster", ">silenced")
    out: list[Any] = [table("Against floats: spikes per neuron and step of the tool", columns, rows)]
    out.append(f"same class ({found.output}): {found.same} of {found.samples} samples")
    if found.accuracy_float is not None:
        out.append(f"correct: floats {found.accuracy_float:.1%}, {found.chip} {found.accuracy_chip:.1%}")
    return [*out, *(f"warning: {w}" for w in found.warnings)]
