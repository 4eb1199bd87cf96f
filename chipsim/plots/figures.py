"""Figures of a run: plain data in, a finished matplotlib `Figure` out; nothing global is touched.

All figures share one look: axes with units, legends beside the data, the Okabe-Ito colours, which people with
any colour vision can tell apart. Save one with `figure.savefig("raster.png", dpi=150)`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's palette: blue, vermillion, green, orange, purple, sky, yellow, grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#B8A600", "#7F7F7F")
WIDTH = 7.6  #: inches, of every figure
INK, FAINT = "#2b2f36", "#c9ced6"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "grid.color": "#e6e9ee",
    "svg.fonttype": "none",
    "svg.hashsalt": "chipsim",
    "figure.dpi": 100,
}


def styled(make: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make a figure in the common style, whatever the user's own settings are."""

    @wraps(make)
    def in_style(*args: Any, **options: Any) -> Figure:
        from matplotlib import rc_context

        with rc_context(STYLE):
            return make(*args, **options)

    return in_style


def figure(height: float = 2.6, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """An empty figure of the common width, with its axes; `height` in inches."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDTH, height), layout="constrained")
    return made, made.subplots(rows, columns, **options)


def render(made: Figure, kind: str = "svg", dpi: int = 130) -> bytes:
    """The figure as a file of `kind` ("svg", "png", "pdf")."""
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context(STYLE):
        made.savefig(out, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()


def colour(k: int) -> str:
    """Colour of the k-th series."""
    return COLOURS[k % len(COLOURS)]


@styled
def raster(
    events: Mapping[str, tuple[np.ndarray, np.ndarray]],
    sizes: Mapping[str, int],
    *,
    steps: tuple[int, int],
    dots: int = 60_000,
) -> Figure:
    """Spikes over time, one band of neurons for each population, the first at the bottom.

    Parameters
    ----------
    events : dict population -> (step, neuron)
        (s,) integer arrays each.
    sizes : dict population -> neurons
    steps : (first, last + 1)
        Window shown.
    dots
        Of larger populations only every k-th neuron is drawn, so that no more dots than this appear.
    """
    heights = [max(sizes[name] ** 0.4, 3.0) for name in events]
    made, axes = figure(
        float(np.clip(0.6 + 0.22 * sum(heights), 1.8, 9.0)), len(heights), 1, sharex=True, squeeze=False,
        gridspec_kw={"height_ratios": heights[::-1]},
    )  # fmt: skip
    total = sum(int(np.count_nonzero((s >= steps[0]) & (s < steps[1]))) for s, _ in events.values())
    stride = max(1, -(-total // dots))
    for k, (name, (step, neuron)) in enumerate(events.items()):
        ax = axes[len(heights) - 1 - k, 0]
        shown = (step >= steps[0]) & (step < steps[1]) & (neuron % stride == 0)
        size = float(np.clip(900 / max(sizes[name], 1) + 150 / max(steps[1] - steps[0], 1), 0.4, 9))
        ax.scatter(step[shown], neuron[shown], s=size, c=colour(k), marker="s", linewidths=0, rasterized=True)
        ax.set_ylim(-0.7, sizes[name] - 0.3)
        ax.set_ylabel(f"{name}\n(neuron)", rotation=0, ha="right", va="center")
        _whole(ax.yaxis, 3 if sizes[name] > 40 else 1)
    axes[-1, 0].set_xlim(steps[0] - 0.5, steps[1] - 0.5)
    axes[-1, 0].set_xlabel("time (steps)")
    axes[0, 0].set_title("Spikes" + (f" (every {_ordinal(stride)} neuron)" if stride > 1 else ""))
    return made


def _ordinal(k: int) -> str:
    return f"{k}{'th' if 10 <= k % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(k % 10, 'th')}"


def _whole(axis: Any, bins: int = 8) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(bins, integer=True, min_n_ticks=1))


@styled
def traces(
    values: Mapping[str, np.ndarray],
    *,
    first: int = 0,
    unit: str = "chip units",
    thresholds: Mapping[str, float] | None = None,
    title: str = "Membrane potential",
) -> Figure:
    """State variables over time: label -> (t,), one line each; `thresholds` by the same labels are dashed."""
    made, ax = figure(2.6)
    for k, (label, trace) in enumerate(values.items()):
        ax.plot(first + np.arange(len(trace)), trace, color=colour(k), lw=1.1, label=label)
        if thresholds and label in thresholds:
            ax.axhline(thresholds[label], color=colour(k), lw=0.9, ls=(0, (4, 3)))
    if thresholds:
        ax.plot([], [], color=INK, lw=0.9, ls=(0, (4, 3)), label="threshold")
    ax.set(xlabel="time (steps)", ylabel=f"v ({unit})", title=title)
    _whole(ax.xaxis)
    ax.grid(axis="y")
    _legend(ax)
    return made


def _legend(ax: Axes) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


@styled
def rates(values: Mapping[str, np.ndarray], *, bins: int = 30) -> Figure:
    """Distribution of firing rates: population -> (n,) spikes per neuron and step."""
    made, ax = figure(2.4)
    top = max((float(np.max(v, initial=0)) for v in values.values()), default=0.0) or 1.0
    edges = np.linspace(0, top, bins + 1)
    for k, (name, v) in enumerate(values.items()):
        share = np.histogram(v, edges)[0] / max(len(v), 1)
        ax.stairs(share, edges, color=colour(k), lw=1.4, label=f"{name}: mean {np.mean(v):.3g}")
    ax.set(xlabel="firing rate (spikes per neuron and step)", ylabel="share of neurons", title="Firing rates")
    ax.set_xlim(0, top)
    ax.set_ylim(bottom=0)
    ax.grid(axis="y")
    _legend(ax)
    return made


@styled
def activity(counters: Mapping[str, np.ndarray], *, most: int = 400) -> Figure:
    """Counters over time, label -> (t,), a panel each; long runs are averaged to `most` points."""
    made, axes = figure(0.6 + 0.85 * len(counters), len(counters), 1, sharex=True, squeeze=False)
    width = 1
    for k, (label, count) in enumerate(counters.items()):
        ax = axes[k, 0]
        width = max(1, -(-len(count) // most))
        starts = np.arange(0, len(count), width)
        mean = np.add.reduceat(np.asarray(count, float), starts) / np.diff(np.append(starts, len(count)))
        ax.fill_between(starts, mean, step="post", color=colour(k), alpha=0.25, lw=0)
        ax.step(starts, mean, where="post", color=colour(k), lw=0.9)
        ax.set_ylabel(label, rotation=0, ha="right", va="center")
        ax.set_ylim(bottom=0)
        ax.set_xlim(0, max(len(count) - 1, 1))
        ax.grid(axis="y")
        _few(ax)
    said = f", means of {width} steps" if width > 1 else ""
    axes[0, 0].set_title(f"Activity of the chip per step{said}")
    axes[-1, 0].set_xlabel("time (steps)")
    return made


def _few(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.yaxis.set_major_locator(MaxNLocator(3))


@styled
def accuracy(
    steps: Sequence[int] | np.ndarray,
    curves: Mapping[str, Sequence[float] | np.ndarray],
    *,
    reference: tuple[str, float] | None = None,
) -> Figure:
    """Accuracy against the number of steps that an input is shown: label -> (k,) shares in 0..1.

    `reference` is a label and a share drawn as a level, such as the float network's accuracy.
    """
    made, ax = figure(2.7)
    if reference is not None:
        label = f"{reference[0]}: {reference[1]:.2%}"
        ax.axhline(100 * reference[1], color=INK, lw=1, ls=(0, (4, 3)), label=label)
    for k, (label, share) in enumerate(curves.items()):
        percent = 100 * np.asarray(share, float)
        said = f"{label}: {percent[-1]:.2f}%"
        ax.plot(steps, percent, color=colour(k), lw=1.6, marker="o" if len(percent) < 40 else "", ms=3, label=said)
    ax.set(xlabel="time (steps per image)", ylabel="correct (%)", title="Accuracy against time")
    ax.set_ylim(top=101)
    _whole(ax.xaxis)
    ax.grid()
    _legend(ax)
    return made


@styled
def weights(matrix: Any, *, title: str = "Weights", unit: str = "mantissa", most: int = 800) -> Figure:
    """A weight matrix (post, pre), dense or sparse, as an image; 0 is white; large ones are thinned out."""
    made, ax = figure(3.2)
    rows, columns = (max(1, -(-d // most)) for d in matrix.shape)
    shown = matrix[::rows, ::columns]
    shown = np.asarray(shown.toarray() if hasattr(shown, "toarray") else shown, float)
    peak = float(np.abs(shown).max(initial=0)) or 1.0
    extent = (-0.5, matrix.shape[1] - 0.5, -0.5, matrix.shape[0] - 0.5)
    scale = {"cmap": "RdBu_r", "vmin": -peak, "vmax": peak}
    image = ax.imshow(shown, aspect="auto", origin="lower", extent=extent, interpolation="nearest", **scale)
    made.colorbar(image, ax=ax, label=f"weight ({unit})", shrink=0.9)
    ax.set(xlabel="from neuron", ylabel="to neuron", title=title)
    return made
