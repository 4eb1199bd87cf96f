"""Figures of the e-prop experiments, of XOR and of ODIN's digits; each is a matplotlib figure that is not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .evidence_accumulation import EvidenceResult
from .odin_digits import CLASSES, PUBLISHED, PUBLISHED_ENERGY, SIDE, DigitsExperiment
from .pattern_generation import PatternResult
from .xor import TARGETS, XorResult, XorRun
from .xor_chip import PATTERNS, XorChip

_BEFORE, _AFTER = "#8da0cb", "#d95f02"


def smooth(values: np.ndarray, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Iterations (from 1) and the mean over the `width` values that end there, over fewer where there are few."""
    width = max(1, min(width, len(values) // 5))
    return np.arange(width, len(values) + 1), np.convolve(values, np.ones(width) / width, mode="valid")


def pattern_figure(groups: Mapping[str, Sequence[PatternResult]]) -> Figure:
    """Error over iterations for each group of seeds, and the last readout of its first seed beside the
    target.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (name, results) in enumerate(groups.items()):
        for r in results:
            power = 0.5 * float((r.target**2).sum())
            left.semilogy(*smooth(r.losses / power), color=f"C{k}", lw=1, label=name if r is results[0] else None)
        right.plot(results[0].y[:, 0], color=f"C{k}", lw=1, label=name)
    first = next(iter(groups.values()))[0]
    right.plot(first.target[:, 0], "k--", lw=1, label="target")
    left.set(xlabel="iteration", ylabel="squared error / power of target", title="pattern generation by e-prop")
    right.set(xlabel="step (ms)", ylabel="readout", title=f"seed {first.seed}, last iteration")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def evidence_figure(
    result: EvidenceResult | Sequence[EvidenceResult] | Mapping[str, Sequence[EvidenceResult]],
    rows: Sequence[Mapping[str, Any]] = (),
) -> Figure:
    """Error over iterations, a line for each seed, a colour for each of several groups; with rows of the precision
    table also a bar for each setting.
    """
    if isinstance(result, Mapping):
        groups = dict(result) if len(result) > 1 else {"training": next(iter(result.values()))}
    else:
        groups = {"training": result if isinstance(result, Sequence) else [result]}
    figure = Figure(figsize=(10 if rows else 5, 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 2 if rows else 1))
    for k, (name, results) in enumerate(groups.items()):
        for r in results:
            axes[0].plot(*smooth(r.errors), color=f"C{k}", lw=1, label=name if r is results[0] else None)
    axes[0].axhline(0.5, color="0.6", ls="--", lw=0.8, label="chance")
    axes[0].axhline(0.07, color="0.6", ls=":", label="learned: 7 %")
    axes[0].legend(frameon=False, fontsize=8, loc="upper right")
    axes[0].set(xlabel="iteration", ylabel="wrong answers", ylim=(0, 1), title="evidence accumulation by e-prop")
    if rows:
        names = [
            r["rounding"] if r["weight_bits"] is None else f"w{r['weight_bits']} t{r['trace_bits']} {r['rounding']}"
            for r in rows
        ]
        axes[1].barh(names, [r["test_error"] for r in rows], color="C1")
        axes[1].invert_yaxis()
        axes[1].set(xlabel="wrong answers, fresh trials", title="precision")
    return figure


def xor_figure(groups: Mapping[str, XorResult], on_chip: bool = False) -> Figure:
    """Cost over epochs of every seed; with `on_chip` also the spikes of the last group's first solved seed."""
    figure = Figure(figsize=(10 if on_chip else 5, 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 2 if on_chip else 1))
    for k, (name, result) in enumerate(groups.items()):
        for r in result.runs:
            label = f"{name}: {result.solved} of {len(result.runs)} seeds solved" if r is result.runs[0] else None
            axes[0].semilogy(r.costs, color=f"C{k}", lw=0.8, alpha=0.8, label=label)
            if r.epochs is not None:
                axes[0].plot(r.epochs, r.costs[-1], ".", color=f"C{k}", ms=5)
    axes[0].set(xlabel="epoch", ylabel="half the summed squared error", title="XOR by perturbation; dots: solved")
    axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    if on_chip:
        runs = list(groups.values())[-1].runs
        _xor_raster(axes[1], next((r for r in runs if r.epochs is not None), runs[0]))
    return figure


def _xor_raster(axes: Any, run: XorRun) -> None:
    """Spikes of the hidden units and, while it is swept, of the output unit, pattern after pattern."""
    chip = XorChip((run.weights.size - 1) // 4)
    answers = chip(run.weights)
    turn = chip.levels + 1
    steps = np.arange(8 * turn)
    hidden, out = chip.last.spikes["hidden"], chip.last.spikes["out"][:, 0] & (steps % (2 * turn) > turn)
    rows = [np.flatnonzero(spikes) for spikes in (*hidden.T, out)]
    n = len(rows) - 1
    axes.eventplot(rows, colors=["C2"] * n + ["C3"], linelengths=0.8, linewidths=0.8)
    axes.set_yticks(range(n + 1), [*(f"hidden {k}" for k in range(n)), "output"])
    for k, (pattern, answer) in enumerate(zip(PATTERNS, answers, strict=True)):
        axes.axvline(2 * turn * k, color="0.8", lw=0.8, zorder=0)
        text = f"{pattern[0]} {pattern[1]}\n{answer:.2f} for {TARGETS[k]:.0f}"
        axes.text(2 * turn * (k + 0.5), n + 0.6, text, ha="center", va="bottom", fontsize=8)
    axes.set(xlabel="step", xlim=(0, 8 * turn), ylim=(-0.6, n + 1.6))
    axes.set_title(f"seed {run.seed} after {len(run.costs) - 1} epochs: pattern, answer, target", fontsize=10)


def _digits_curves(ax: Any, results: Sequence[DigitsExperiment]) -> None:
    for k, r in enumerate(results):
        epochs = np.arange(1, len(r.test) + 1)
        names = ("training, before each lesson", "test, learning off") if k == 0 else (None, None)
        ax.plot(epochs, 100 * r.train, "-", color=_BEFORE, label=names[0])
        ax.plot(epochs, 100 * r.test, "o-", ms=3, color=_AFTER, label=names[1])
    ax.axhline(100 * PUBLISHED, color="0.4", ls="--", lw=1, label="silicon, 16x16 MNIST (another data set)")
    ax.axhline(10, color="0.7", ls=":", lw=1, label="chance")
    ax.set(xlabel="epoch", ylabel="right answers (%)", ylim=(0, 101), title="Learning on the chip")
    ax.legend(fontsize=7, loc="lower right")


def _digits_weights(figure: Any, spec: Any, weights: np.ndarray, title: str) -> None:
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


def _digits_confusion(figure: Any, ax: Any, result: DigitsExperiment, truth: np.ndarray) -> None:
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


def _digits_energy(ax: Any, result: DigitsExperiment) -> None:
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


def digits_figure(results: Sequence[DigitsExperiment], truth: np.ndarray) -> Any:
    """A matplotlib figure: curves of all seeds; weights, confusions and energy of the first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = Figure(figsize=(15, 7.5), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3)
    first = results[0]
    _digits_curves(figure.add_subplot(grid[0, 0]), results)
    _digits_weights(figure, grid[0, 1:], first.weights[-1], "Weights, learned (one picture per neuron)")
    _digits_confusion(figure, figure.add_subplot(grid[1, 0]), first, truth)
    _digits_weights(figure, grid[1, 1], first.weights[0], "Before")
    _digits_energy(figure.add_subplot(grid[1, 2]), first)
    figure.suptitle("ODIN learns 16x16 digits online: 256 pixels, 10 neurons, 3-bit weights, SDSP with a teacher")
    return figure
