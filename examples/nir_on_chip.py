"""Networks of other tools on a chip: the same spikes, rates and classes as in floats?

    python examples/nir_on_chip.py FOLDER [--out DIR] [--samples 50] [--chips loihi,loihi2] [--only NAME]

FOLDER holds one folder per network: `model.nir`, `meta.json` (dt, scheme, reset of the tool that wrote it) and
`run.npz` with a recorded `input` (steps, ...). Each network runs in floats, which is what its tool computes, and on the
chips: with 8-bit weights; with 8-bit weights rounded by two other samples; with two synapses per weight. Its samples
are the recorded input and random spikes at its rate, line by line; a network that sees 34 x 34 pixels of two
polarities (N-MNIST) also gets scikit-learn's digits as events of a moving sensor, near to what it was trained for.
Where the tool counts spikes and the chip's carry no number, the chip takes a step for each spike counted at once.
Prints one line per network, chip and setting; DIR/nir_on_chip.png shows them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import chipsim as cs
from chipsim.mappings.formats.nir.onto_chip import compile_nir, features
from chipsim.mappings.formats.nir.reader import from_nir
from chipsim.mappings.network.substeps import MOST
from chipsim.mappings.studies.fidelity import Fidelity, calibration, compare, most_spikes, samples_of

OPTIONS = ("dt", "scheme", "reset", "reset_delay", "spike_fn", "min_v_mem")
SETTINGS = {"8 bits": {}, "8 bits, data": {"method": "data"}, "8 + 8 bits": {"method": "data", "low_bits": 8}}
SIDE, SEEN = 34, 20  #: pixels of N-MNIST, and of the digit in it


class Case(NamedTuple):
    """A network with its samples."""

    name: str
    graph: Path
    options: dict[str, Any]
    samples: np.ndarray
    labels: np.ndarray | None = None


def tool_options(folder: Path) -> dict[str, Any]:
    """What `from_nir` must be told, from meta.json."""
    meta = json.loads((folder / "meta.json").read_text())
    given = {k: meta[k] for k in OPTIONS if k in meta}
    if given["scheme"] in ("sinabs", "rockpool"):
        given.pop("reset", None)
    return given


def cases(folder: Path, count: int, only: str) -> Iterator[Case]:
    """All networks of a folder, with `count` random samples beside the recorded one."""
    for run in sorted(folder.rglob("run.npz")):
        graph = run.with_name("model.nir")
        if not graph.exists() or only not in graph.parent.name:
            continue
        options = tool_options(graph.parent)
        with np.load(run) as arrays:
            recorded = arrays["input"]
        rate, rng = recorded.mean(axis=0), np.random.default_rng(0)
        random = [rng.random(recorded.shape) < rate for _ in range(count + 2)]
        yield Case(graph.parent.name, graph, options, np.array([recorded, *random], np.int64))
        if recorded.shape[1:] == (2, SIDE, SIDE):
            images, labels = digits(count + 3)
            events = np.array([moving(image) for image in images], np.int64)
            yield Case(f"{graph.parent.name}, moving digits", graph, options, events, labels)


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of scikit-learn's digits, grey values 0..1, and their labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images[:count].reshape(-1, 8, 8) / 16, labels[:count]


def moving(image: np.ndarray, steps: int = 60, contrast: float = 0.3) -> np.ndarray:
    """(steps, 2, 34, 34) events of a sensor that sees `image` (8, 8) while it moves along a triangle.

    A pixel sends one event, of polarity 1 if it became brighter, when its log intensity has changed by `contrast` (as
    N-MNIST was recorded: Orchard et al. 2015, Front. Neurosci. 9:437).
    """
    from scipy.ndimage import gaussian_filter, shift, zoom

    canvas, edge = np.zeros((SIDE, SIDE)), (SIDE - SEEN) // 2
    canvas[edge : edge + SEEN, edge : edge + SEEN] = np.clip(zoom(image, SEEN / 8, order=3), 0, 1)
    light = np.log(0.9 * gaussian_filter(canvas, 0.7) + 0.1)
    corners = np.array([[0, 0], [2.5, 5], [5, 0], [0, 0]]) - 1.75
    events, seen = np.zeros((steps, 2, SIDE, SIDE)), None
    for k, t in enumerate(np.linspace(0, 3, steps + 1)):
        side = min(int(t), 2)
        frame = shift(light, corners[side] + (corners[side + 1] - corners[side]) * (t - side), order=1, mode="nearest")
        if seen is None:
            seen = frame
            continue
        change = np.trunc((frame - seen) / contrast)
        seen = seen + change * contrast
        events[k - 1] = change < 0, change > 0
    return events


def measured(case: Case, chip: str, setting: dict[str, Any]) -> tuple[Fidelity, int]:
    """A network on a chip against itself in floats, and the substeps it took; the last two samples size numbers."""
    net = from_nir(case.graph, **case.options)
    every = samples_of(net, case.samples)
    shown, spare = ({k: part[cut] for k, part in every.items()} for cut in (slice(None, -2), slice(-2, None)))
    substeps = 1 if "counts" in features(cs.chip(chip)) else min(most_spikes(net, spare), MOST)
    chosen = dict(setting)
    if setting:
        chosen["calibration"] = calibration(spare, 2, substeps)
    program = compile_nir(case.graph, chip, quantise=chosen, substeps=substeps, **case.options)
    labels = None if case.labels is None else case.labels[:-2]
    return compare(net, program, shown, labels=labels, substeps=substeps, quantise=setting), substeps


def line(name: str, setting: str, found: Fidelity, substeps: int) -> str:
    """One line of the table."""
    rates = [x.rate_correlation for x in found.layers if np.isfinite(x.rate_correlation)]
    rasters = [x.raster_similarity for x in found.layers if np.isfinite(x.raster_similarity)]
    right = "" if found.accuracy_float is None else f"  correct {found.accuracy_float:.3f} -> {found.accuracy_chip:.3f}"
    return (
        f"{name:<42} {found.chip:<7} {setting:<12} {substeps:>2}  {found.same:>3} of {found.samples:<3} "
        f"{min(rates, default=np.nan):>7.4f} {min(rasters, default=np.nan):>6.3f} "
        f"{sum(x.silenced for x in found.layers):>4}{right}"
    )


def figure(rows: list[tuple[str, str, Fidelity]], path: Path) -> None:
    """Share of equal classes, and raster similarity of the worst layer, for each network."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for name, _, _ in rows))
    kinds = list(dict.fromkeys((found.chip, setting) for _, setting, found in rows))
    drawn = Figure(figsize=(9.5, 1.8 + 0.3 * len(names)), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True)
    colours = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#E69F00", "#CC79A7")
    for k, kind in enumerate(kinds):
        mine = [(names.index(name), f) for name, setting, f in rows if (f.chip, setting) == kind]
        y = [row + 0.13 * (k - (len(kinds) - 1) / 2) for row, _ in mine]
        look = dict(ls="", ms=4.5, color=colours[k % 6], marker="os^DvP"[k % 6], label=f"{kind[0]}, {kind[1]}")
        left.plot([100 * f.share for _, f in mine], y, **look)
        right.plot([min(x.raster_similarity for x in f.layers) for _, f in mine], y, **look)
    left.axvline(98, color="#7F7F7F", lw=0.8, ls=":")
    left.set(xlabel="samples with the same class as in floats (%)", yticks=range(len(names)), yticklabels=names)
    left.set(xlim=(None, 101), ylim=(len(names) - 0.4, -0.6), title="Predicted class (dotted: 98 %)")
    right.set(xlabel="cosine of the rasters, worst layer", xlim=(None, 1.02), title="Spike rasters")
    for axes in (left, right):
        axes.grid(axis="x", color="#dddddd", lw=0.6)
        axes.tick_params(labelsize=8)
    drawn.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    drawn.savefig(path, dpi=150)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=50, help="random samples beside the recorded one")
    parser.add_argument("--chips", default="loihi,loihi2")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    given = parser.parse_args(arguments)
    print(f"{'network':<42} {'chip':<7} {'weights':<12} sub  same class  r rates raster silenced")
    rows, totals = [], {}
    for case in cases(given.folder, given.samples, given.only):
        for chip in given.chips.split(","):
            for name, setting in SETTINGS.items():
                found, substeps = measured(case, chip, setting)
                print(line(case.name, name, found, substeps), flush=True)
                rows.append((case.name, name, found))
                same, of = totals.get((chip, name), (0, 0))
                totals[chip, name] = same + found.same, of + found.samples
    for (chip, name), (same, of) in totals.items():
        print(f"{chip}, {name}: same class on {same} of {of} samples, {same / of:.1%}")
    if given.out is not None and rows:
        given.out.mkdir(parents=True, exist_ok=True)
        figure(rows, given.out / "nir_on_chip.png")


if __name__ == "__main__":
    main()
