"""The figure of XOR by perturbation: cost of every seed, and the spikes with which a solved chip answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from chipsim.mappings.experiments.xor import TARGETS, XorResult, XorRun
from chipsim.mappings.experiments.xor_chip import PATTERNS, XorChip


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
        _raster(axes[1], next((r for r in runs if r.epochs is not None), runs[0]))
    return figure


def _raster(axes: Any, run: XorRun) -> None:
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
