"""Figures of the e-prop experiments; each returns a matplotlib figure that is not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from chipsim.mappings.experiments.evidence_accumulation import EvidenceResult
from chipsim.mappings.experiments.pattern_generation import PatternResult


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
    result: EvidenceResult | Sequence[EvidenceResult], rows: Sequence[Mapping[str, Any]] = ()
) -> Figure:
    """Error over iterations, a line for each seed; with rows of the precision table also a bar for each setting."""
    results = result if isinstance(result, Sequence) else [result]
    figure = Figure(figsize=(10 if rows else 5, 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 2 if rows else 1))
    for r in results:
        axes[0].plot(*smooth(r.errors), color="C0", lw=1, label="training" if r is results[0] else None)
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
