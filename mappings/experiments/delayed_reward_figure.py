"""The figure of the delayed-reward experiment: learning curves, what bridges the delay, what was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .delayed_reward import WINDOW, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNED, CONTROL, GREY = "#1b6ca8", "#c44e52", "#8c8c8c"


def moving_mean(correct: NDArray, window: int = WINDOW) -> NDArray[np.float64]:
    """(seeds, trials) share of right choices over the last `window` trials, fewer at the start."""
    total = np.cumsum(np.pad(correct.astype(float), ((0, 0), (1, 0))), axis=1)
    end = np.arange(1, correct.shape[1] + 1)
    start = np.maximum(end - window, 0)
    return (total[:, end] - total[:, start]) / (end - start)


def figure(outcome: Outcome, control: Outcome | None = None) -> Figure:
    """Share of right choices by trial (mean and range of seeds), tags over one trial, mean weights."""
    import matplotlib.pyplot as plt

    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    _curves(left, outcome, control)
    _tags(middle, outcome)
    _weights(fig, right, outcome)
    return fig


def _curves(ax: Any, outcome: Outcome, control: Outcome | None) -> None:
    runs = [(outcome, LEARNED, "tag lasts 1 s")]
    if control is not None:
        runs.append((control, CONTROL, "tag gone before the reward"))
    for run, colour, label in runs:
        curve = moving_mean(run.correct)
        trials = np.arange(1, curve.shape[1] + 1)
        ax.plot(trials, curve.mean(axis=0), color=colour, label=label)
        ax.fill_between(trials, curve.min(axis=0), curve.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    ax.axhline(1 / outcome.task.actions, color=GREY, linestyle=":", linewidth=1, label="chance")
    seeds = outcome.correct.shape[0]
    ax.set(xlabel="trial", ylabel="right choices", ylim=(0, 1.03), xlim=(1, outcome.correct.shape[1]))
    ax.set_title(f"Choice, mean and range of {seeds} seeds", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.75))


def _tags(ax: Any, outcome: Outcome) -> None:
    task = outcome.task
    time = (np.arange(outcome.tag.size) + 1) / 1000
    ax.axvspan(0, task.cue_steps / 1000, color=GREY, alpha=0.2, linewidth=0)
    reward = (task.cue_steps + task.delay) / 1000
    ax.axvline(reward, color="black", linestyle="--", linewidth=1)
    ax.plot(time, outcome.tag, color=LEARNED, label="shown cue to chosen group")
    ax.plot(time, outcome.other, color=GREY, label="all other synapses")
    top = max(1.0, float(outcome.tag.max())) * 1.1
    ax.annotate("reward", (reward, top * 0.95), xytext=(4, 0), textcoords="offset points", fontsize=8, va="top")
    ax.annotate(
        "cue",
        (task.cue_steps / 1000, top * 0.95),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=8,
        va="top",
    )
    ax.set(xlabel="time in the trial (s)", ylabel="mean tag (chip units)", ylim=(0, top), xlim=(0, time[-1]))
    ax.set_title("The tag remembers who chose", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="center right")


def _weights(fig: Figure, ax: Any, outcome: Outcome) -> None:
    task = outcome.task
    blocks = outcome.weights.reshape(-1, task.actions, task.per_action, task.cues, task.per_cue).mean(axis=(0, 2, 4))
    image = ax.imshow(blocks, cmap="viridis", vmin=0, vmax=255)
    for (row, column), value in np.ndenumerate(blocks):
        ink = "black" if value > 150 else "white"
        ax.text(column, row, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=9)
    ax.set(xlabel="cue", ylabel="group of neurons", xticks=range(task.cues), yticks=range(task.actions))
    ax.set_title("Mean weight after learning", fontsize=10)
    fig.colorbar(image, ax=ax, shrink=0.85, label="weight (0..255)")
