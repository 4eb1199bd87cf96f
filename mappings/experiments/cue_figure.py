"""Picture of a learned cue accumulation: one sample, learning curves, weights before and after, energy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from chipsim.plots.figures import render
from chipsim.storage.atomic import write_file

from .cue import NEURONS, PJ_PER_SOP, CueExperiment
from .cue_data import GROUP, CueSet

_BEFORE, _AFTER = "#8da0cb", "#d95f02"
_GROUPS = ("left", "right", "recall", "noise")


def _sample(ax: Any, cues: CueSet, index: int) -> None:
    """Input spikes of one sample, coloured by group."""
    for g, (name, colour) in enumerate(zip(_GROUPS, ("#1b9e77", "#d95f02", "#7570b3", "#999999"))):
        own = cues.events[index][cues.events[index][:, 0] // GROUP == g]
        ax.plot(own[:, 1] / 1000, own[:, 0], "|", ms=3, color=colour, label=name)
    ax.axvspan(cues.recall / 1000, cues.ticks / 1000, color="0.92", label="label given")
    ax.set(xlabel="time (s)", ylabel="input neuron", title=f"One sample (label {cues.labels[index]})")
    ax.legend(fontsize=7, loc="center", bbox_to_anchor=(0.7, 0.33))


def _curves(ax: Any, result: CueExperiment) -> None:
    epochs = np.arange(1, len(result.correct) + 1)
    for phase, (name, colour) in enumerate((("training, learning on", _BEFORE), ("test, learning off", _AFTER))):
        ax.plot(epochs, 100 * result.accuracy[:, phase], "o-", color=colour, label=name)
    ax.axhline(50, color="0.6", ls=":", label="chance")
    ax.set(xlabel="epoch", ylabel="correct (%)", ylim=(40, 101), title="Learning on the chip", xticks=epochs)
    ax.legend(fontsize=8, loc="lower right")


def _engineering(joule: float) -> str:
    """Energy with a readable unit."""
    for unit, scale in (("uJ", 1e-6), ("nJ", 1e-9), ("pJ", 1e-12)):
        if joule >= scale:
            return f"{joule / scale:.3g} {unit}"
    return f"{joule:.3g} J"


def _energy(ax: Any, result: CueExperiment) -> None:
    energy = result.energy()
    names = [
        "inference,\nper sample",
        "learning,\nper sample",
        "learning,\nper tick",
        "learning, per\nmoved weight",
    ]
    values = [energy[k] for k in ("inference", "learning", "update_tick", "update_weight")]
    bars = ax.barh(names, values, color=[_BEFORE, _AFTER, _AFTER, _AFTER])
    ax.bar_label(bars, [_engineering(v) for v in values], fontsize=8, padding=2)
    ax.set(xscale="log", xlabel="energy (J)", title=f"At {PJ_PER_SOP} pJ per synaptic operation*")
    ax.set_xlim(min(values) / 5, max(values) * 20)
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=8)


def _weights(figure: Any, ax: Any, weights: np.ndarray, title: str, pre: str, post: str) -> None:
    top = max(1, int(np.abs(weights.astype(int)).max()))
    image = ax.imshow(weights, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto", interpolation="nearest")
    ax.set(title=title, xlabel=post, ylabel=pre)
    figure.colorbar(image, ax=ax, label="weight (LSB)", fraction=0.08)


def _spread(ax: Any, before: tuple[np.ndarray, ...], after: tuple[np.ndarray, ...]) -> None:
    names = ("input", "recurrent", "output")
    at = np.arange(3)
    for shift, arrays, colour, name in ((-0.2, before, _BEFORE, "before"), (0.2, after, _AFTER, "after")):
        values = [float(a.astype(float).std()) for a in arrays]
        bars = ax.bar(at + shift, values, 0.38, color=colour, label=name)
        ax.bar_label(bars, [f"{v:.1f}" for v in values], fontsize=7)
    ax.set_xticks(at, names)
    ax.set(ylabel="standard deviation (LSB)", title="Spread of the weights")
    ax.legend(fontsize=8)


def plot_cue_experiment(result: CueExperiment, cues: CueSet, path: str | Path, sample: int = 0) -> Path:
    """Save the picture of `result` (any format matplotlib knows by its suffix); `cues` shows one sample."""
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    return write_file(path, render(cue_experiment_figure(result, cues, sample), kind, dpi=100))


def cue_experiment_figure(result: CueExperiment, cues: CueSet, sample: int = 0) -> Any:
    """The picture of `result` as a matplotlib figure; `cues` shows one sample."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 8), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 4)
    winp, wrec, wout = result.weights[-1]
    _sample(axes[0, 0], cues, sample)
    _curves(axes[0, 1], result)
    _energy(axes[0, 2], result)
    _spread(axes[0, 3], result.weights[0], result.weights[-1])
    _weights(figure, axes[1, 0], winp, "Input weights, learned", "input neuron", "recurrent neuron")
    _weights(figure, axes[1, 1], wrec, "Recurrent weights, learned", "recurrent neuron", "recurrent neuron")
    change = wrec.astype(int) - result.weights[0][1].astype(int)
    _weights(figure, axes[1, 2], change, "Change of recurrent weights", "recurrent neuron", "recurrent neuron")
    _weights(figure, axes[1, 3], wout, "Output weights, learned", "recurrent neuron", "output neuron")
    axes[1, 3].set_xticks(range(wout.shape[1]))
    figure.suptitle(f"ReckOn learns delayed cue accumulation, 40-{NEURONS}-2, 8-bit weights, e-prop on the chip")
    figure.supxlabel(
        "* 0.5 V, published; what counts as an operation is not: here one per event and recurrent neuron, "
        "and one "
        "per synapse whose update is evaluated",
        fontsize=8,
    )
    return figure
