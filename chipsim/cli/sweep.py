"""`chipsim sweep`: a grid over chip fields and compiler options, resumed after an interruption, with a Pareto plot."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipsim.cli.common import Json, progress, say, table
from chipsim.cli.fidelity import Quantise, quantise_options
from chipsim.errors import FileError, RunError, Stopped

if TYPE_CHECKING:
    from chipsim.sweep.grid import Sweep

MOST_ROWS = 40
STEPS = 100  #: of a run without a file of inputs, unless said otherwise


def sweep(
    net: Annotated[Path, typer.Argument(help="A network, as for `chipsim map`.")],
    vary: Annotated[list[str], typer.Option("--vary", help="NAME=V1,V2,…; repeat it for a grid.")],
    chip: Annotated[str, typer.Option("--chip", help="A shipped chip (see `chipsim chips`) or a YAML file.")] = "loihi",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the points, table and plot.")] = Path("sweep"),
    inputs: Annotated[Path | None, typer.Option("--input", "-i", help="Spikes: .npz, .npy or .h5.")] = None,
    rate: Annotated[float, typer.Option(help="Random input spikes per step and line, if there is no file.")] = 0.05,
    steps: Annotated[int | None, typer.Option("--steps", "-n", help="Steps; the inputs' length, or 100.")] = None,
    timing: Annotated[str, typer.Option(help="simple, detailed or noc.")] = "simple",
    cost_set: Annotated[str, typer.Option(help="One of the chip's cost sets; its default if empty.")] = "",
    dt: Annotated[float, typer.Option(help="Seconds per step.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes side by side.")] = 2,
    quantise: Quantise = None,
    dask: Annotated[str, typer.Option(help="Address of a dask scheduler, or local.")] = "",
    as_json: Json = False,
) -> None:
    """Map, run and price a network on every combination of the varied values; go on where the last run stopped."""
    from chipsim.mappings.studies.point import Study, evaluate
    from chipsim.sweep.grid import sweep as run_sweep
    from chipsim.sweep.vary import parse_axes

    axes = parse_axes(vary)
    steps = STEPS if steps is None and inputs is None else steps
    fixed = {"rate": rate, "steps": steps, "timing": timing, "cost_set": cost_set or None, "dt": dt, "seed": seed}
    chosen = tuple(sorted(quantise_options(quantise).items()))
    options = tuple((k, v) for k, v in fixed.items() if v is not None) + ((("quantise", chosen),) if chosen else ())
    study = Study(str(net), chip, None if inputs is None else str(inputs), options)
    study.check(axes)
    _check_files(net, inputs)
    try:
        with progress("sweeping") as moved:
            made = run_sweep(
                evaluate, study, axes, out, key=study.key, workers=workers, cluster=dask or None, progress=moved
            )
    except (KeyboardInterrupt, Stopped):
        kept = len(list((out / "points").glob("*.json")))
        raise Stopped(f"{kept} points are kept in {out}: the same command goes on from there") from None
    files = write(made, out, f"{net.stem} on {chip}")
    good = made.good()
    if not good:
        raise RunError(f"none of {len(made.rows)} points could be computed: {made.rows[0]['error']}")
    data = {
        "points": len(made.rows),
        "computed": made.computed,
        "refused": len(made.rows) - len(good),
        "rows": made.rows,
        "front": made.front(),
        "files": [str(f) for f in files],
    }
    shown = _shown(made)
    if inputs is None and any(row["input_spikes"] for row in good):
        shown.append("inputs were random spikes (--rate); --input FILE gives real ones")
    say(data, as_json, *shown, *(str(f) for f in files))


def _check_files(net: Path, inputs: Path | None) -> None:
    for path in (net, inputs):
        if path is not None and not path.is_file():
            raise FileError(f"cannot read {path}: no such file")


def write(made: Sweep, folder: Path, title: str) -> list[Path]:
    """sweep.json, sweep.csv and pareto.svg and .png (if any point could be computed) in `folder`; their paths."""
    from chipsim.storage.atomic import write_file

    front = [id(row) for row in made.front()]
    rows = [{**row, "front": id(row) in front} for row in made.rows]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    files = {
        "sweep.json": json.dumps({"title": title, "axes": made.axes, "rows": rows}, indent=1, default=str).encode(),
        "sweep.csv": text.getvalue().encode(),
    }
    if made.good():
        from chipsim.plots.figures import render
        from chipsim.sweep.plot import energy_latency

        plot = energy_latency(made, title=f"Energy against latency: {title}")
        files |= {f"pareto.{kind}": render(plot, kind) for kind in ("svg", "png")}
    for name, content in files.items():
        write_file(folder / name, content)
    return [folder / name for name in files]


def _shown(made: Sweep) -> list[Any]:
    from chipsim.text import human

    front = [id(row) for row in made.front()]
    names = list(made.axes)
    heads = [*names, ">energy", ">latency", ">cores", ">hops", "front"]
    rows = []
    for row in made.rows[:MOST_ROWS]:
        point = [str(row[name]) for name in names]
        if row["status"] != "ok":
            rows.append([*point, "refused", "", "", "", ""])
            continue
        figures = [human(row["energy_J"], "J"), human(row["latency_s"], "s"), row["cores"], f"{row['hops']:,}"]
        rows.append([*point, *figures, "*" if id(row) in front else ""])
    more = len(made.rows) - len(rows)
    title = f"{len(made.rows)} points, {made.computed} of them new"
    shown: list[Any] = [table(title, heads, rows, f"and {more} more" if more else None)]
    errors = list(dict.fromkeys(row["error"] for row in made.rows if row["status"] != "ok"))
    shown += [f"refused: {error}" for error in errors[:3]]
    unknown = max((row["unknown"] for row in made.good()), default=0)
    if unknown:
        shown.append(f"energies are lower bounds: up to {unknown} constants that were needed are not published")
    return shown
