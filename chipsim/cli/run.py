"""`chipsim map`, `chipsim run` and `chipsim report`: from a network file to a program, a result, a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipsim.errors import ChipsimError, FileError, RunError
from chipsim.mappings.formats.registry import format_of

from .common import Json, progress, say, table, working
from .fidelity import Calibrate, Quantise, Substeps, compared, quantise_options, read_samples, shown
from .formats import HDF5, READ, onto_chip, with_format_options

if TYPE_CHECKING:
    from chipsim.mappings.studies.fidelity import Fidelity
    from chipsim.program.program import Program
    from chipsim.results import Result

RESULT = "result.h5"
ChipName = Annotated[str, typer.Option("--chip", help="A shipped chip (see `chipsim chips`) or a YAML file.")]


@with_format_options
def map_network(
    net: Annotated[Path, typer.Argument(help=f"A network: {READ}.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Program to write, .h5.")],
    chip: ChipName = "loihi",
    dt: Annotated[float | None, typer.Option(help="Seconds per step; 1e-3, or what the file says.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    arithmetic: Annotated[str, typer.Option(help="lava, nengo_loihi or brian2_loihi; the chip's own if empty.")] = "",
    max_neurons: Annotated[int, typer.Option(help="Fewer neurons per core than the chip allows; 0: as many.")] = 0,
    quantise: Quantise = None,
    substeps: Substeps = 1,
    relays: Annotated[bool, typer.Option("--relays", help="Relays where a neuron has too many input axons.")] = False,
    as_json: Json = False,
    *,
    given: dict[str, Any],
) -> None:
    """Map a network onto a chip and write the program that the chip loads."""
    from chipsim.report.page import make_folder

    options: dict[str, Any] = {"seed": seed, "arithmetic": arithmetic or None, "max_neurons": max_neurons or None}
    mapped = {"dt": dt, "quantise": quantise_options(quantise) or None, "substeps": substeps}
    with working(f"mapping {net.name} onto {chip}"):
        program, notes = onto_chip(net, chip, given, **mapped, relays=relays, **options)
    make_folder(out.parent)
    program.save(out)
    used = program.stages.get("allocate") or {}
    data = {
        "program": str(out),
        "chip": program.chip.name,
        "neurons": int((program.core >= 0).sum()),
        "cores": len(program.cores),
        "stages": {k: v for k, v in program.stages.items() if k != "place"},
    }
    say(data, as_json, *_mapped(program, used, notes), f"{program!r} written to {out}")


def _mapped(program: Program, used: dict[str, Any], notes: list[str]) -> list[Any]:
    out: list[Any] = [*(f"warning: {w}" for w in program.warnings), *(f"note: {n}" for n in notes)]
    columns, limits = used.get("table") or {}, used.get("limits") or {}
    shown = ("neurons", "input_axons", "output_axons", "synapses", "synapse_bits")
    if not columns:
        return out
    shown = tuple(c for c in shown if c in columns)
    cells = [[_filled(columns[c][k], limits.get(c)) for c in shown] for k in range(min(len(columns["core"]), 32))]
    rows = [[columns["core"][k], *row] for k, row in enumerate(cells)]
    heads = [">core", *(">" + c.replace("_", " ") for c in shown)]
    more = len(columns["core"]) - len(rows)
    out.append(table("Cores", heads, rows, caption=f"and {more} more" if more else None))
    return out


def _filled(value: int, limit: int | None) -> str:
    return f"{value}" if not limit else f"{value} ({value / limit:.0%})"


@with_format_options
def run(
    program: Annotated[Path, typer.Argument(help="A program from `chipsim map`, or a network with --chip.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result.")],
    inputs: Annotated[Path | None, typer.Option("--input", "-i", help="Spikes: .npz, .npy or .h5.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", "-n", help="Steps; the inputs' length if left out.")] = None,
    record: Annotated[list[str] | None, typer.Option(help="POPULATION.VARIABLE to record, e.g. hid.v.")] = None,
    threads: Annotated[int, typer.Option(help="Threads; the results are the same.")] = 1,
    masks: Annotated[bool, typer.Option("--masks", help="Keep what --timing detailed and noc need.")] = False,
    chip: Annotated[str, typer.Option("--chip", help="Chip, if PROGRAM is a network.")] = "",
    dt: Annotated[float | None, typer.Option(help="Seconds per step, if PROGRAM is a network; 1e-3.")] = None,
    quantise: Quantise = None,
    substeps: Substeps = 1,
    compare_float: Annotated[bool, typer.Option("--compare-float", help="NIR: how well the chip agrees.")] = False,
    calibrate: Calibrate = 0,
    page: Annotated[bool, typer.Option("--report", help="Write the report as well.")] = False,
    as_json: Json = False,
    *,
    given: dict[str, Any],
) -> None:
    """Run a program on the emulated chip and keep spikes, traces and counters."""
    chosen = quantise_options(quantise)
    loaded = _loaded(program, chip, given, {"dt": dt, "quantise": chosen or None, "substeps": substeps})
    if compare_float and not format_of(program).mapper:
        raise RunError(f"--compare-float compares networks of other tools (.nir), not {program.name}")
    reading = {"dt": dt, **{k: v for k, v in given.items() if v is not None}}
    options = {"nir": reading, "substeps": substeps, "quantise": chosen}
    found = None
    if compare_float:
        samples, labels = read_samples(inputs, loaded)
        loaded, found, shown_to_it, whole = compared(loaded, program, samples, labels, calibrate, options)
        steps = whole if steps is None else steps
    else:
        shown_to_it = _given(inputs, loaded)
    result = _running(loaded, shown_to_it, steps, _records(record or []), threads, masks)
    _finish(result, out, page, found, as_json)


def _given(inputs: Path | None, loaded: Program) -> dict[str, Any]:
    from chipsim.run.input_files import read_inputs

    return {} if inputs is None else read_inputs(inputs, loaded)


def _running(
    loaded: Program, given: dict[str, Any], steps: int | None, record: dict[str, list[str]], threads: int, masks: bool
) -> Result:
    from chipsim.emulator import Emulator

    with working("loading the chip"):
        emulator = Emulator(loaded, threads=threads)
    with progress(f"running {loaded.name}") as moved:
        return emulator.run(given, steps, record=record, masks=masks, progress=moved)


def _finish(result: Result, out: Path, page: bool, found: Fidelity | None, as_json: bool) -> None:
    """Save, report, print."""
    from chipsim.report.page import make_folder

    saved = result.save(make_folder(out) / RESULT)
    data: dict[str, Any] = {"result": str(saved), **_summary(result)}
    facts: dict[str, str] = {}
    if found is not None:
        data["against_floats"] = found.to_dict()
        facts["same class as floats"] = f"{found.same} of {found.samples} samples"
        facts |= {f"{x.name} against floats": f"r {x.rate_correlation:.4f}" for x in found.layers}
    if page:
        with working("writing the report"):
            data["report"] = str(result.report(out, facts=facts or None))
    say(data, as_json, *_ran(result, data), *([] if found is None else shown(found)))


def _loaded(path: Path, chip: str, given: dict[str, Any], mapped: dict[str, Any]) -> Program:
    """The program in a file, or of the network in it."""
    from chipsim.program.program import Program
    from chipsim.storage.file import kind_of

    if path.suffix.lower() in HDF5 and kind_of(path) in ("program", "result"):
        if chip:
            raise RunError(f"{path} is mapped onto a chip already; leave --chip out")
        if mapped["quantise"]:
            raise RunError(f"{path} is mapped onto a chip already; give --quantise to `chipsim map`")
        return Program.load(path)
    of = format_of(path)
    if not path.exists():
        raise FileError(f"cannot read {path}: no such file or directory")
    if not chip and not of.mapper:
        raise RunError(f"{path} is a network, not a program: name a chip with --chip, or map it first")
    with working(f"mapping {path.name} onto {chip or 'float'}"):
        program, notes = onto_chip(path, chip or "float", given, **mapped)
    for text in [*(f"warning: {w}" for w in program.warnings), *(f"note: {n}" for n in notes)]:
        typer.echo(text, err=True)
    return program


def _records(wanted: list[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for item in wanted:
        population, dot, variable = item.rpartition(".")
        if not dot or not population or not variable:
            raise RunError(f"--record {item}: write POPULATION.VARIABLE, e.g. hid.v")
        out.setdefault(population, []).append(variable)
    return out


def _summary(result: Result) -> dict[str, Any]:
    from chipsim.report.facts import losses, populations

    totals = result.activity.totals()
    data: dict[str, Any] = {"steps": result.steps, "totals": totals, "populations": populations(result)}
    data["losses"] = losses(result)
    if result.program.chip.costs:
        made = result.estimate()
        data |= {"energy_J": made.total_energy, "latency_s": made.latency, "unknown": list(made.unknown)}
    return data


def _ran(result: Result, data: dict[str, Any]) -> list[Any]:
    from chipsim.report.page import short_count
    from chipsim.text import human

    rows = [
        (p["name"], short_count(p["n"]), short_count(p["spikes"]), f"{p['rate_per_step']:.4f}", p["silent"])
        for p in data["populations"]
    ]
    columns = ("population", ">neurons", ">spikes", ">per neuron and step", ">silent")
    out: list[Any] = [table(f"{result.steps} steps of {result.program.name}", columns, rows)]
    totals = data["totals"]
    out.append(f"synaptic events: {totals['synaptic_events']:,}, packets: {totals['packets_in']:,}")
    if "energy_J" in data:
        bound = "at least " if data["unknown"] else ""
        out.append(
            f"on {result.program.chip.title}: {bound}{human(data['energy_J'], 'J')} in {human(data['latency_s'], 's')}"
        )
    out += [f"note: {x['where']}: {x['count']:,} {x['meaning']}" for x in data["losses"]]
    out += [f"warning: {name}: {text}" for name, r in result.learning.items() for text in r.warnings]
    out.append(f"result written to {data['result']}")
    return [*out, f"report: {data['report']}"] if "report" in data else out


def report(
    folder: Annotated[Path, typer.Argument(help="Folder with result.h5 from `chipsim run`, or a result file.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the report; the same one if left out.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
    cost_set: Annotated[str, typer.Option(help="One of the chip's cost sets; its default if empty.")] = "",
    timing: Annotated[str, typer.Option(help="simple, detailed or noc (the last two need `run --masks`).")] = "simple",
    inference: Annotated[
        int | None, typer.Option("--steps-per-inference", help="Steps that make one inference, at least 1.")
    ] = None,
    waves: Annotated[bool, typer.Option("--waves", help="Also run.vcd, for a waveform viewer.")] = False,
    as_json: Json = False,
) -> None:
    """Write the report of a result: report.html, report.json, steps.csv, cores.csv."""
    from chipsim.results import Result

    source = folder / RESULT if folder.is_dir() else folder
    if not source.exists():
        raise FileError(f"cannot read {source}: no such file; `chipsim run … -o {folder}` writes it")
    options: dict[str, Any] = _earlier(source.parent / "report.json")
    options |= {"title": title} if title else {}
    options |= {"cost_set": cost_set} if cost_set else {}
    options |= {"timing": timing} if timing != "simple" else {}
    options |= {"steps_per_inference": inference} if inference is not None else {}
    result = Result.load(source)
    with working("writing the report"):
        page = result.report(out or source.parent, **options)
    files = [page, *(page.with_name(n) for n in ("report.json", "steps.csv", "cores.csv"))]
    if waves:
        files.append(result.waves(page.with_name("run.vcd")))
    say({"report": str(page), "files": [str(f) for f in files]}, as_json, *(str(f) for f in files))


def _earlier(path: Path) -> dict[str, Any]:
    """Title, facts and accuracy of a report written before into the same folder: a result alone has no labels."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {k: data[k] for k in ("title", "facts", "accuracy") if data.get(k)}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


__all__ = ["ChipsimError", "map_network", "report", "run"]
