"""Figures of the chip: what each core holds and costs, where packets travel, how long steps take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.text import human

from .figures import COLOURS, FAINT, INK, colour, figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PREFIXES = (("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9), ("p", 1e-12))
#: One colour for each line of an energy estimate, the same in all figures.
LINE_COLOURS = {
    "synapse": COLOURS[0],
    "dendrite": COLOURS[5],
    "soma": COLOURS[1],
    "axon_out": COLOURS[3],
    "axon_in": COLOURS[6],
    "hops": COLOURS[2],
    "chip_to_chip": "#005f45",
    "learning": COLOURS[4],
    "barrier": "#9aa1ab",
    "clock": "#5b6470",
    "static": "#b9bfc8",
    "host": "#dde1e7",
}


def unit_for(values: Any, symbol: str) -> tuple[float, str]:
    """Factor and unit in which the largest of `values` (SI) reads well: (1e9, "nJ") for [2e-9] J."""
    peak = float(np.max(np.abs(np.asarray(values, float)), initial=0.0))
    for prefix, factor in _PREFIXES:
        if peak >= factor:
            return 1 / factor, prefix + symbol
    return (1e12, "p" + symbol) if peak else (1.0, symbol)


def merged(lines: Mapping[str, Any]) -> dict[str, Any]:
    """Energy lines in the order of a spike's way; hop directions and learning acts are added up."""
    out: dict[str, Any] = {}
    for name, value in lines.items():
        group = "hops" if name.startswith("hop_") else "learning" if name.startswith("learning_") else name
        out[group] = out[group] + value if group in out else value
    order = list(LINE_COLOURS)
    return dict(sorted(out.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


@styled
def energy_lines(energy: Mapping[str, float | None], *, title: str = "Energy by category") -> Figure:
    """Joules by category as bars with their shares; None is a category whose constant nobody published."""
    made, ax = figure(0.9 + 0.27 * len(energy))
    known = [v or 0.0 for v in energy.values()]
    factor, unit = unit_for(known, "J")
    total = sum(known) or 1.0
    for k, (name, joules) in enumerate(energy.items()):
        ax.barh(k, (joules or 0.0) * factor, color=LINE_COLOURS.get(name, COLOURS[7]), height=0.7)
        said = "not published" if joules is None else f"{human(joules, 'J')}  ({joules / total:.1%})"
        ax.annotate(said, ((joules or 0.0) * factor, k), (4, 0), textcoords="offset points", va="center", size=8)
    ax.set_yticks(range(len(energy)), [name.replace("_", " ") for name in energy])
    ax.invert_yaxis()
    ax.set(xlabel=f"energy of the run ({unit})", title=title)
    ax.margins(x=0.24)
    ax.set_xlim(left=0)
    ax.grid(axis="x")
    return made


@styled
def energy_cores(cores: Sequence[int] | np.ndarray, lines: Mapping[str, np.ndarray]) -> Figure:
    """Joules by core, stacked by category: `lines` category -> (c,)."""
    made, ax = figure(2.8)
    factor, unit = unit_for(sum(np.asarray(v, float) for v in lines.values()) if lines else 0, "J")
    x, base = np.arange(len(cores)), np.zeros(len(cores))
    for name, joules in lines.items():
        if np.any(joules):
            tall = np.asarray(joules, float) * factor
            ax.bar(x, tall, 0.8, base, color=LINE_COLOURS.get(name, COLOURS[7]), label=name.replace("_", " "))
            base = base + tall
    _core_axis(ax, cores)
    ax.set(ylabel=f"energy of events ({unit})", title="Energy by core")
    ax.grid(axis="y")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
    return made


def _core_axis(ax: Axes, cores: Sequence[int] | np.ndarray) -> None:
    every = max(1, -(-len(cores) // 32))
    shown = np.arange(0, len(cores), every)
    ax.set_xticks(shown, [str(int(c)) for c in np.asarray(cores)[shown]])
    ax.set_xlim(-0.6, max(len(cores), 1) - 0.4)
    ax.set_xlabel("core")


@styled
def step_times(seconds: np.ndarray, *, barrier: float = 0.0, bins: int = 40) -> Figure:
    """How long steps take on the chip: distribution of (t,) seconds, with mean, worst and barrier."""
    made, ax = figure(2.3)
    factor, unit = unit_for(seconds, "s")
    values = np.asarray(seconds, float) * factor
    ax.hist(values, bins=bins if np.ptp(values) > 1e-9 * values.max(initial=0) else 1, color=COLOURS[5])
    marks = [("mean", values.mean(), COLOURS[0]), ("worst", values.max(), COLOURS[1])]
    for label, at, ink in [*marks, ("barrier alone", barrier * factor, INK)] if barrier else marks:
        ax.axvline(at, color=ink, lw=1.4, ls=(0, (4, 2)), label=f"{label} {at:.3g} {unit}")
    ax.set(xlabel=f"time of a step ({unit})", ylabel="steps", title="Time of a step on the chip")
    ax.set_xlim(left=0)
    ax.grid(axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return made


@styled
def utilisation(cores: Sequence[int] | np.ndarray, shares: Mapping[str, np.ndarray]) -> Figure:
    """How full each core is: resource -> (c,) shares of its limit, 1 is full."""
    made, ax = figure(1.2 + 0.24 * len(shares))
    table = np.array([np.asarray(v, float) for v in shares.values()]).reshape(len(shares), len(cores))
    image = ax.imshow(100 * table, cmap="YlGnBu", vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    if len(cores) <= 24:
        for (row, column), share in np.ndenumerate(table):
            ink = "white" if share > 0.6 else INK
            ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7, color=ink)
    ax.set_yticks(range(len(shares)), [name.replace("_", " ") for name in shares])
    _core_axis(ax, cores)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_title("Resources in use by core")
    made.colorbar(image, ax=ax, label="share of the limit (%)", shrink=0.95)
    return made


@styled
def core_map(
    width: int,
    height: int,
    cores_per_tile: int,
    cores: Sequence[int] | np.ndarray,
    share: Sequence[float] | np.ndarray,
    *,
    loads: np.ndarray | None = None,
    what: str = "neurons, % of a core",
) -> Figure:
    """The mesh seen from above: tiles, their cores coloured by `share`, links drawn by the packets over them.

    Parameters
    ----------
    width, height, cores_per_tile
        Of the mesh; core c sits on tile c // cores_per_tile, tile t at x = t // height, y = t % height.
    cores, share : (c,)
        Cores in use and the share (0..1) to colour them by.
    loads : (tiles, 4) or None
        Packets over the links that leave each tile east, west, north (+y), south.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    box = _window(width, height, cores_per_tile, np.asarray(cores, int), loads)
    columns, rows = box[1] - box[0], box[3] - box[2]
    made, ax = figure(float(np.clip(0.9 + 5.8 * rows / max(columns, 3), 1.9, 6.5)))
    top = float(np.clip(5 * np.ceil(20 * np.max(share, initial=0.0)), 5, 100))
    paint = ScalarMappable(Normalize(0, top), "YlGnBu")
    full = dict(zip(np.asarray(cores).tolist(), np.asarray(share, float)))
    _tiles(ax, height, cores_per_tile, full, box, paint)
    if loads is not None:
        _links(ax, np.asarray(loads, float), height, box)
    made.colorbar(paint, ax=ax, label=what, shrink=0.9)
    ax.set_xlim(box[0] - 0.55, box[1] - 0.45)
    ax.set_ylim(box[2] - 0.55, box[3] - 0.45)
    ax.set_aspect("equal")
    ax.set_xticks(range(box[0], box[1]))
    ax.set_yticks(range(box[2], box[3]))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    cut = "" if (columns, rows) == (width, height) else f", {columns} × {rows} of {width} × {height} tiles"
    ax.set(xlabel="tile, x", ylabel="tile, y", title=f"Cores on the mesh{cut}")
    return made


def _window(width: int, height: int, per_tile: int, cores: np.ndarray, loads: Any) -> tuple[int, ...]:
    """Tiles [x0, x1) × [y0, y1) to draw: the whole mesh if it is small, else what is in use with a margin."""
    if width <= 8 and height <= 8:
        return 0, width, 0, height
    busy = cores // per_tile
    if loads is not None:
        busy = np.concatenate([busy, np.flatnonzero(np.asarray(loads).sum(axis=1))])
    x, y = busy // height, busy % height
    if not busy.size:
        return 0, min(width, 8), 0, min(height, 8)
    x0, x1 = max(int(x.min()) - 1, 0), min(int(x.max()) + 2, width)
    y0, y1 = max(int(y.min()) - 1, 0), min(int(y.max()) + 2, height)
    return x0, x1, y0, y1


def _tiles(ax: Axes, height: int, per_tile: int, share: dict[int, float], box: Any, paint: Any) -> None:
    from matplotlib.patches import Rectangle

    side = int(np.ceil(np.sqrt(per_tile)))
    cell = 0.6 / side
    label = (box[1] - box[0]) * (box[3] - box[2]) * per_tile <= 160
    for x in range(box[0], box[1]):
        for y in range(box[2], box[3]):
            tile = Rectangle((x - 0.34, y - 0.34), 0.68, 0.68, fc="#f6f7f9", ec=FAINT, lw=0.8, zorder=2)
            ax.add_patch(tile)
            for k in range(per_tile):
                core = (x * height + y) * per_tile + k
                left, low = x - 0.3 + cell * (k % side), y + 0.3 - cell * (1 + k // side)
                full = share.get(core)
                fill = "#eceff3" if full is None else paint.to_rgba(100 * full)
                ax.add_patch(Rectangle((left, low), 0.9 * cell, 0.9 * cell, fc=fill, lw=0, zorder=3))
                if full is not None and label:
                    ink = "white" if 100 * full > 0.6 * paint.norm.vmax else INK
                    spot = left + 0.45 * cell, low + 0.45 * cell
                    ax.text(*spot, str(core), ha="center", va="center", fontsize=6, color=ink, zorder=4)


def _links(ax: Axes, loads: np.ndarray, height: int, box: Any) -> None:
    peak = loads.max(initial=0.0)
    if not peak:
        return
    ways = ((1, 0), (-1, 0), (0, 1), (0, -1))
    for tile, way in zip(*np.nonzero(loads)):
        x, y = divmod(int(tile), height)
        if not (box[0] <= x < box[1] and box[2] <= y < box[3]):
            continue
        dx, dy = ways[way]
        side = 0.07
        ax.annotate(
            "",
            (x + 0.66 * dx - side * dy, y + 0.66 * dy + side * dx),
            (x + 0.34 * dx - side * dy, y + 0.34 * dy + side * dx),
            arrowprops={
                "arrowstyle": "-|>,head_length=0.25,head_width=0.15",
                "color": COLOURS[1],
                "lw": 0.6 + 3.2 * loads[tile, way] / peak,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            zorder=1,
        )
    ax.plot([], [], color=COLOURS[1], lw=3.8, label=f"busiest link: {int(peak):,} packets")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)


@styled
def learning_curve(
    iterations: Sequence[float] | np.ndarray,
    curves: Mapping[str, np.ndarray],
    *,
    ylabel: str = "loss",
    log: bool = False,
) -> Figure:
    """Loss or accuracy against iterations: label -> (k,) or (seeds, k), the latter as mean and range."""
    made, ax = figure(2.7)
    for k, (label, values) in enumerate(curves.items()):
        runs = np.atleast_2d(np.asarray(values, float))
        ax.plot(iterations, runs.mean(axis=0), color=colour(k), lw=1.4, label=label)
        if len(runs) > 1:
            ax.fill_between(iterations, runs.min(axis=0), runs.max(axis=0), color=colour(k), alpha=0.2, lw=0)
    if log:
        ax.set_yscale("log")
    ax.set(xlabel="iteration", ylabel=ylabel, title=f"Learning: {ylabel}")
    ax.grid()
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return made
