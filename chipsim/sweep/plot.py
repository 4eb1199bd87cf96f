"""The figure of a sweep: energy against latency, and the points that no other one beats in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chipsim.plots.chip import unit_for
from chipsim.plots.figures import FAINT, INK, colour, figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .grid import Sweep

MARKERS = "osD^vPX*"
MOST_LABELS = 12


@styled
def energy_latency(made: Sweep, *, title: str = "Energy against latency") -> Figure:
    """All points of a sweep; the first axis is the colour, the second the marker, the Pareto front a line."""
    plot, ax = figure(3.8)
    good, front = made.good(), made.front()
    to_s, seconds = unit_for([row["latency_s"] for row in good], "s")
    to_j, joules = unit_for([row["energy_J"] for row in good], "J")
    names = [name for name, values in made.axes.items() if len(values) > 1] or list(made.axes)
    hue, shape = names[0], (names[1:2] or [None])[0]
    line = [(row["latency_s"] * to_s, row["energy_J"] * to_j) for row in front]
    if line:
        shown = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "linewidth": 1, "zorder": 3}
        ax.plot(*zip(*line), color=INK, label="no other point beats these", **shown)
    for row in good:
        ax.scatter(
            row["latency_s"] * to_s,
            row["energy_J"] * to_j,
            color=colour(made.axes[hue].index(row[hue])),
            marker=MARKERS[made.axes[shape].index(row[shape]) % len(MARKERS)] if shape else "o",
            s=34,
            alpha=0.85,
            linewidths=0,
            zorder=2,
        )
    for row, at in list(zip(front, line))[:MOST_LABELS] if len(front) <= MOST_LABELS else []:
        said = ", ".join(str(row[name]) for name in names)
        ax.annotate(said, at, (8, 6), textcoords="offset points", size=7)
    _legend(ax, made.axes, hue, shape)
    ax.set(xlabel=f"latency of the run ({seconds})", ylabel=f"energy of the run ({joules})", title=title)
    for scale, name in ((ax.set_xscale, "latency_s"), (ax.set_yscale, "energy_J")):
        values = [row[name] for row in good]
        if values and min(values) > 0 and max(values) > 10 * min(values):
            scale("log")
    ax.margins(0.12)
    ax.grid(color=FAINT, linewidth=0.4)
    return plot


def _legend(ax: Any, axes: Mapping[str, Sequence[Any]], hue: str, shape: str | None) -> None:
    """What colours and markers mean, beside the data."""
    for k, value in enumerate(axes[hue]):
        ax.scatter([], [], color=colour(k), label=f"{hue} = {value}", s=34, linewidths=0)
    for k, value in enumerate(axes[shape] if shape else ()):
        ax.scatter([], [], color=FAINT, marker=MARKERS[k % len(MARKERS)], label=f"{shape} = {value}", s=34)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
