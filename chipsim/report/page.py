"""The report of a run: one self-contained page, the same facts as JSON, and tables as CSV."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.errors import FileError
from chipsim.report.facts import collect, core_table, csv_text, link_loads, step_table
from chipsim.storage.atomic import write_file
from chipsim.text import human

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chipsim.run.record import Run

WINDOW = 200  #: steps that the raster shows, unless asked for others
_HEAVY = 150_000  #: bytes of SVG from which a figure is embedded as PNG
_MEMORIES = ("neurons", "input_axons", "output_axons", "synapses", "synapse_bits", "learning_bits")
_STANDING = ("static", "barrier", "clock", "host")


def write_report(
    result: Run,
    folder: str | Path,
    *,
    title: str | None = None,
    facts: Mapping[str, str] | None = None,
    accuracy: Mapping[str, Any] | None = None,
    figures: Mapping[str, Figure] | None = None,
    window: tuple[int, int] | None = None,
    **estimate_options: Any,
) -> Path:
    """Write report.html, report.json, steps.csv and cores.csv into `folder` and return the page's path.

    Parameters
    ----------
    title
        Heading of the page; the program's name if None.
    facts : dict label -> text
        Shown first, before the figures that every run has.
    accuracy : dict
        For a classifier: "steps" (k,), "curves" label -> (k,) shares, "reference" (label, share) or None.
    figures : dict caption -> matplotlib Figure
        Further pictures, shown last.
    window : (first, last + 1)
        Steps of this run that raster and membrane traces show.
    **estimate_options
        cost_set, timing, steps_per_inference of `Result.estimate`.

    Raises
    ------
    FileError
        The folder cannot be made or written.
    """
    data, estimate = collect(result, **estimate_options)
    data = {"title": title or result.program.name, "facts": dict(facts or {}), **data}
    data["written"] = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    if accuracy is not None:
        curves = {k: np.asarray(v, float).tolist() for k, v in accuracy["curves"].items()}
        steps = np.asarray(accuracy["steps"]).tolist()
        data["accuracy"] = {"steps": steps, "curves": curves, "reference": accuracy.get("reference")}
    shown = _pictures(result, estimate, data, _window(result, window))
    shown |= {f"extra {k}": _picture(f, caption) for k, (caption, f) in enumerate((figures or {}).items())}
    target = make_folder(folder)
    page = _page(data, shown, estimate)
    tables = {"steps.csv": step_table(result, estimate), "cores.csv": core_table(result, estimate)}
    texts = {name: csv_text(table) for name, table in tables.items()}
    texts |= {"report.json": json.dumps(data, indent=1, default=_plain) + "\n", "report.html": page}
    for name, text in texts.items():
        write_file(target / name, text)
    return target / "report.html"


def make_folder(folder: str | Path) -> Path:
    """`folder`, made if it does not exist; raises FileError where that is not possible."""
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {target}: {(error.strerror or str(error)).lower()}") from None
    return target


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return str(value)


def _window(result: Run, window: tuple[int, int] | None) -> tuple[int, int]:
    lo, hi = window or (0, min(result.steps, WINDOW))
    lo = min(max(int(lo), 0), result.steps - 1)
    return lo, min(max(int(hi), lo + 1), result.steps)


def _picture(made: Figure, alt: str) -> dict[str, str]:
    """A figure as a data URI: SVG, or PNG where that would be heavy."""
    from chipsim.plots.figures import render

    content, kind = render(made, "svg"), "svg+xml"
    if len(content) > _HEAVY:
        content, kind = render(made, "png"), "png"
    return {"uri": f"data:image/{kind};base64,{base64.b64encode(content).decode()}", "alt": alt}


def _pictures(result: Run, estimate: Any, data: dict[str, Any], window: tuple[int, int]) -> dict[str, Any]:
    """The figures of the page by place, each {uri, alt}."""
    from chipsim.plots import chip as plots_chip
    from chipsim.plots import figures as plots

    lo, hi = window
    events = {n: (e["step"], e["neuron"]) for n, e in result.events.items()}
    sizes = {p.name: p.n for p in result.program.populations}
    activity = result.activity
    made: dict[str, tuple[Figure, str]] = {
        "raster": (plots.raster(events, sizes, steps=(lo, hi)), "Raster of spikes by population over time"),
        "activity": (plots.activity(_over_time(activity)), "Spikes, packets and synaptic events per step"),
        "map": (_map(result, data), "Map of cores on the mesh with utilisation and traffic"),
    }
    if "accuracy" in data:
        a = data["accuracy"]
        picture = plots.accuracy(a["steps"], a["curves"], reference=a["reference"])
        made["accuracy"] = (picture, "Accuracy against steps")
    if data["mapping"]["utilisation"]:
        shares = {k: np.asarray(v) for k, v in data["mapping"]["utilisation"].items()}
        picture = plots_chip.utilisation(data["mapping"]["table"]["core"], shares)
        made["utilisation"] = (picture, "Share of each resource in use by core")
    for name, variables in result.trace.items():
        if "v" in variables and "trace" not in made:
            made["trace"] = (_trace(result, name, lo, hi), f"Membrane potentials of {name}")
    for name, report in result.learning.items():
        if report.trace and "learning" not in made:
            made["learning"] = (report.plot(title=f"{name}: {report.rule}"), f"What {name} learned over time")
    if estimate is not None:
        made |= _costs(estimate)
    return {place: _picture(*pair) for place, pair in made.items()}


def _over_time(activity: Any) -> dict[str, np.ndarray]:
    return {
        "spikes": activity.spikes.sum(axis=1) + activity.input_spikes,
        "packets": activity.packets_in.sum(axis=1),
        "synaptic\nevents": activity.synaptic_events.sum(axis=1),
    }


def _map(result: Run, data: dict[str, Any]) -> Figure:
    from chipsim.plots import chip as plots_chip

    top, cores = result.program.chip.topology, result.program.cores
    loads = link_loads(result)
    shares = [data["mapping"]["utilisation"].get(name) for name in _MEMORIES]
    known = [share for share in shares if share is not None]
    share, what = np.max(known, axis=0) if known else None, "fullest memory, % of its limit"
    if share is None:
        held = np.asarray(data["mapping"]["table"].get("neurons", np.ones(len(cores))), float)
        share, what = held / max(held.max(initial=1), 1), "neurons, % of the fullest core"
    width = top.width * (1 + int(cores.max(initial=0)) // top.cores)
    return plots_chip.core_map(width, top.height, top.cores_per_tile, cores, share, loads=loads, what=what)


def _trace(result: Run, name: str, lo: int, hi: int) -> Figure:
    from chipsim.plots import figures as plots

    v = result.trace[name]["v"]
    busiest = np.sort(np.argsort(result.rates()[name], kind="stable")[::-1][:4])
    lines = {f"{name} {k}": v[lo:hi, k] for k in busiest}
    return plots.traces(lines, first=lo, title=f"Membrane potential of the busiest neurons of {name}")


def _costs(estimate: Any) -> dict[str, Any]:
    from chipsim.plots import chip as plots_chip

    lines: dict[str, Any] = {item.line: None for item in estimate.items if item.count.sum() > 0}
    lines |= estimate.energy
    summed = plots_chip.merged({k: v for k, v in lines.items() if v is not None})
    summed |= {k: None for k, v in lines.items() if v is None and k not in summed}
    events = {k: v for k, v in summed.items() if k not in _STANDING and (v is None or v > 0)}
    standing = {k: v for k, v in summed.items() if k in _STANDING}
    cores = plots_chip.merged({k: np.asarray(v, float) for k, v in estimate.energy_cores.items()})
    times = plots_chip.step_times(estimate.step_time, barrier=estimate.timing.barrier)
    made = {
        "events": (plots_chip.energy_lines(events, title="Energy of events"), "Energy of events by category"),
        "cores": (plots_chip.energy_cores(estimate.counts.cores, cores), "Energy by core and category"),
        "times": (times, "Distribution of step times"),
    }
    if standing:
        picture = plots_chip.energy_lines(standing, title="Energy that is paid whatever happens")
        made["standing"] = (picture, "Static, barrier and host energy")
    return made


def _page(data: dict[str, Any], pictures: dict[str, Any], estimate: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader("chipsim.report", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    env.filters |= {"si": human, "count": short_count, "percent": lambda v: f"{v:.1%}", "words": _words}
    template = env.get_template("report.html")
    mapped = data["mapping"]
    held = [k for k, v in mapped["table"].items() if k in ("core", *_MEMORIES) or k in mapped["utilisation"]]
    if data["learning"] is None:
        held = [k for k in held if k != "learning_bits"]
    return template.render(
        d=data, pictures=pictures, estimated=estimate is not None, headline=headline(data), columns=held
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def short_count(value: float) -> str:
    """A number for people: 1,234,567 up to nine digits, 1.23e+09 beyond, three figures for fractions."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"


def headline(data: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures at the top of the page: label and text."""
    totals, estimate = data["activity"]["totals"], data["estimate"]
    mapped = data["mapping"]
    out = [*data["facts"].items()]
    out += [
        ("steps", short_count(data["run"]["steps"])),
        ("cores", f"{mapped['cores_used']} of {mapped['cores_of_chip'] * max(mapped['chips_used'], 1)}"),
        ("spikes", short_count(totals["spikes"] + totals["input_spikes"])),
        ("synaptic events", short_count(totals["synaptic_events"])),
    ]
    if "missing" not in estimate:
        bound = "≥ " if estimate["unknown"] else ""
        out += [
            ("energy on the chip", bound + human(estimate["total_energy_J"], "J")),
            ("time on the chip", human(estimate["latency_s"], "s")),
        ]
        if estimate["inference"]:
            out += [
                ("energy per inference", bound + human(estimate["inference"]["energy"], "J")),
                ("time per inference", human(estimate["inference"]["latency"], "s")),
            ]
    return out
