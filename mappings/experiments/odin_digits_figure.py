"""Picture of ODIN learning digits: curve, weights before and after, confusions, energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .odin_digits import CLASSES, PUBLISHED, PUBLISHED_ENERGY, SIDE, DigitsExperiment

_BEFORE, _AFTER = "#8da0cb", "#d95f02"


def _curves(ax: Any, results: Sequence[DigitsExperiment]) -> None:
    for k, r in enumerate(results):
        epochs = np.arange(1, len(r.test) + 1)
        names = ("training, before each lesson", "test, learning off") if k == 0 else (None, None)
        ax.plot(epochs, 100 * r.train, "-", color=_BEFORE, label=names[0])
        ax.plot(epochs, 100 * r.test, "o-", ms=3, color=_AFTER, label=names[1])
    ax.axhline(100 * PUBLISHED, color="0.4", ls="--", lw=1, label="silicon, 16x16 MNIST (another data set)")
    ax.axhline(10, color="0.7", ls=":", lw=1, label="chance")
    ax.set(xlabel="epoch", ylabel="right answers (%)", ylim=(0, 101), title="Learning on the chip")
    ax.legend(fontsize=7, loc="lower right")


def _weights(figure: Any, spec: Any, weights: np.ndarray, title: str) -> None:
    grid = spec.subgridspec(2, CLASSES // 2, wspace=0.05, hspace=0.05)
    image, axes = None, []
    for j in range(CLASSES):
        ax = figure.add_subplot(grid[j // 5, j % 5])
        image = ax.imshow(weights[:, j].reshape(SIDE, SIDE), cmap="magma", vmin=0, vmax=7, interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.text(0.5, 0.5, str(j), color="white", fontsize=8, va="top")
        axes.append(ax)
    axes[2].set_title(title)
    figure.colorbar(image, ax=axes, label="weight (3 bits)", fraction=0.03)


def _confusion(figure: Any, ax: Any, result: DigitsExperiment, truth: np.ndarray) -> None:
    table = np.zeros((CLASSES, CLASSES + 1), int)
    np.add.at(table, (truth, result.answers), 1)  # silence, -1, is the last column
    image = ax.imshow(table, cmap="Blues")
    for y, x in np.argwhere(table > 0):
        ax.text(x, y, table[y, x], ha="center", va="center", fontsize=6,
                color="white" if table[y, x] > table.max() / 2 else "black")  # fmt: skip
    ax.set_xticks(range(CLASSES + 1), [*map(str, range(CLASSES)), "none"])
    ax.set_yticks(range(CLASSES))
    ax.set(xlabel="answer", ylabel="digit", title=f"Test images, {np.mean(result.answers == truth):.1%} right")
    figure.colorbar(image, ax=ax, label="images", fraction=0.045)


def _energy(ax: Any, result: DigitsExperiment) -> None:
    values = [1e9 * v for v in (
        result.inference["energy"], result.update["energy"], result.update["energy_per_weight"], PUBLISHED_ENERGY,
    )]  # fmt: skip
    names = ["inference", "lesson\n(teacher's part)", "weight moved", "published\ninference"]
    bars = ax.barh(names, values, color=[_BEFORE, _AFTER, _AFTER, "0.7"])
    ax.bar_label(bars, [f"{v:.3g} nJ" for v in values], fontsize=8, padding=2)
    ax.set(xscale="log", xlabel="energy (nJ)", title="Published power law, 0.55 V, 75 MHz")
    ax.set_xlim(min(values) / 3, max(values) * 10)
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=8)


def figure_of(results: Sequence[DigitsExperiment], truth: np.ndarray) -> Any:
    """A matplotlib figure: curves of all seeds; weights, confusions and energy of the first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7.5), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3)
    first = results[0]
    _curves(figure.add_subplot(grid[0, 0]), results)
    _weights(figure, grid[0, 1:], first.weights[-1], "Weights, learned (one picture per neuron)")
    _confusion(figure, figure.add_subplot(grid[1, 0]), first, truth)
    _weights(figure, grid[1, 1], first.weights[0], "Before")
    _energy(figure.add_subplot(grid[1, 2]), first)
    figure.suptitle("ODIN learns 16x16 digits online: 256 pixels, 10 neurons, 3-bit weights, SDSP with a teacher")
    return figure
