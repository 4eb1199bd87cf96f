"""Weights, synaptic state and traces of a projection that learns, over time; plain data in, a finished figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.errors import RunError

from .figures import INK, colour, figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 5  #: single synapses or neurons drawn besides the mean
LABELS = {"w": "weight"}


@styled
def learned(
    step: np.ndarray,
    values: Mapping[str, np.ndarray],
    *,
    chosen: Sequence[tuple[int, int]] | None = None,
    pattern: np.ndarray | None = None,
    title: str = "Learning",
) -> Figure:
    """One panel for each variable, and the distribution of the weights at the first and the last step.

    Parameters
    ----------
    step : (k,) int
        Steps after which the values were taken.
    values : dict variable -> (k, post, pre) or (k, n)
        Synaptic variables (weight, tag, eligibility) and traces of neurons. "w" names the weight.
    chosen : list of (post, pre)
        Synapses drawn as lines of their own; by default those whose weight (or first variable) moves most. Traces are
        drawn for their neurons where the number of neurons says which side they are on, else for the first ones.
    pattern : (post, pre) bool
        Which synapses exist; those that ever held anything but 0 if None.

    Raises
    ------
    RunError
        Nothing was recorded, or a chosen synapse does not exist.
    """
    if not values or not len(step):
        raise RunError('nothing was recorded: run with record={"in->out": ["w", ...]}')
    tables = {name: np.asarray(v, float) for name, v in values.items()}
    synaptic = [v for v in tables.values() if v.ndim == 3]
    exists = None if not synaptic else _existing(synaptic) if pattern is None else pattern
    picked = _picked(tables, exists, chosen)
    made, axes = figure(0.7 + 1.55 * len(tables), len(tables), 2 if "w" in tables else 1, squeeze=False,
                        sharex="col", gridspec_kw={"width_ratios": [3.2, 1]} if "w" in tables else None)  # fmt: skip
    for row, (name, table) in enumerate(tables.items()):
        ax = axes[row, 0]
        if table.ndim == 3:
            _synapses(ax, step, table, exists, picked)
        else:
            _neurons(ax, step, table, picked, exists)
        ax.set_ylabel(LABELS.get(name, name))
        ax.grid(axis="y")
        if "w" in tables and name != "w":
            axes[row, 1].axis("off")
    axes[0, 0].set_title(title)
    axes[-1, 0].set_xlabel("time (steps)")
    names = next((ax.get_legend_handles_labels() for ax in axes[:, 0] if ax.get_legend_handles_labels()[0]), ([], []))
    free = [axes[row, 1] for row, name in enumerate(tables) if "w" in tables and name != "w"]
    if free:
        free[0].legend(*names, loc="upper left", fontsize=7)
    elif names[0]:
        axes[0, -1].legend(*names, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    if "w" in tables:
        row = list(tables).index("w")
        _distribution(axes[row, 1], step, tables["w"], exists, inside=bool(free))
    return made


def _existing(tables: list[np.ndarray]) -> np.ndarray:
    """Synapses (post, pre) with a value other than 0 in any variable at any time; all of them if there is none."""
    found = np.any([np.any(t != 0, axis=0) for t in tables], axis=0)
    return found if found.any() else np.ones_like(found)


def _picked(tables: Mapping[str, np.ndarray], exists: Any, chosen: Any) -> list[tuple[int, int]]:
    """Synapses to draw: the chosen ones, or those that move most, of different presynaptic neurons."""
    if exists is None:
        return []
    if chosen is not None:
        for pair in chosen:
            inside = len(tuple(pair)) == 2 and all(0 <= int(k) < n for k, n in zip(pair, exists.shape, strict=True))
            if not inside or not exists[tuple(pair)]:
                raise RunError(f"there is no synapse {tuple(pair)}; give (post, pre) below {exists.shape}")
        return [(int(i), int(j)) for i, j in chosen]
    table = tables["w"] if "w" in tables else next(v for v in tables.values() if v.ndim == 3)
    moved = np.where(exists, np.ptp(table, axis=0), -1.0)
    best: dict[int, int] = {}
    for pre in np.argsort(moved.max(axis=0), kind="stable")[::-1][: min(MOST, int(exists.any(axis=0).sum()))]:
        best[int(pre)] = int(np.argmax(moved[:, pre]))
    return sorted((post, pre) for pre, post in best.items())


def _synapses(ax: Axes, step: np.ndarray, table: np.ndarray, exists: Any, picked: list[tuple[int, int]]) -> None:
    every = table[:, exists]
    low, high = np.quantile(every, (0.1, 0.9), axis=1)
    ax.fill_between(step, low, high, color="0.85", lw=0, label="80 % of the synapses")
    ax.plot(step, every.mean(axis=1), color=INK, lw=1.4, label="mean")
    for k, (i, j) in enumerate(picked):
        ax.plot(step, table[:, i, j], color=colour(k), lw=1.0, label=f"{j} to {i}")


def _neurons(ax: Axes, step: np.ndarray, table: np.ndarray, picked: list[tuple[int, int]], exists: Any) -> None:
    """A trace belongs to the side that has as many neurons; where both have, it is drawn in grey for the first ones."""
    n = table.shape[1]
    side = (
        None
        if exists is None or exists.shape[0] == exists.shape[1]
        else {exists.shape[0]: 0, exists.shape[1]: 1}.get(n)
    )
    ax.plot(step, table.mean(axis=1), color=INK, lw=1.4)
    if side is None:
        ax.plot(step, table[:, :MOST], color="0.6", lw=0.8)
        return
    for k, pair in enumerate(picked):
        ax.plot(step, table[:, pair[side]], color=colour(k), lw=1.0)


def _distribution(ax: Axes, step: np.ndarray, weights: np.ndarray, exists: Any, *, inside: bool) -> None:
    first, last = weights[0][exists], weights[-1][exists]
    edges = np.histogram_bin_edges(np.concatenate([first, last]), bins=min(30, max(5, first.size // 8)))
    for values, shade, at in ((first, "0.7", step[0]), (last, colour(0), step[-1])):
        ax.hist(
            values,
            bins=edges.tolist(),
            histtype="step",
            color=shade,
            lw=1.3,
            orientation="horizontal",
            label=f"step {at}",
        )
    ax.set_xlabel("synapses")
    if inside:
        ax.legend(fontsize=7)
    else:
        ax.set_title(f"grey: step {step[0]}, blue: {step[-1]}", fontsize=7, fontweight="normal")
    ax.tick_params(labelbottom=True)
