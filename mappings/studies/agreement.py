"""How well a network on a chip agrees with the same network in floats: rates, rasters, predicted classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LayerAgreement:
    """One population in floats and on the chip.

    Attributes
    ----------
    rate_float, rate_chip : float
        Spikes per neuron and step.
    rate_correlation : float
        Pearson's r of the neurons' rates; NaN where one side does not vary.
    raster_similarity : float
        Cosine of the two rasters (steps, n), 1 for equal ones; NaN where one is empty.
    silenced : int
        Neurons that spike in floats and never on the chip.
    """

    name: str
    neurons: int
    rate_float: float
    rate_chip: float
    rate_correlation: float
    raster_similarity: float
    silenced: int


class Tally:
    """Sums over samples from which one population's agreement follows; records need not be kept."""

    def __init__(self) -> None:
        self.steps, self.dot = 0, 0.0
        self.sums: np.ndarray = np.zeros((2, 0))
        self.squares = np.zeros(2)

    def add(self, reference: np.ndarray, chip: np.ndarray) -> None:
        """Count in one sample: two records (steps, ...) of the same size."""
        a = np.asarray(reference, np.float64).reshape(len(reference), -1)
        b = np.asarray(chip, np.float64).reshape(len(chip), -1)
        sums = np.stack([a.sum(axis=0), b.sum(axis=0)])
        self.sums = self.sums + sums if self.steps else sums
        self.steps += len(a)
        self.dot += float((a * b).sum())
        self.squares += [float((a * a).sum()), float((b * b).sum())]

    def result(self, name: str) -> LayerAgreement:
        """What the samples come to."""
        mean_a, mean_b = self.sums / max(self.steps, 1)
        norm = float(np.sqrt(self.squares.prod()))
        varies = mean_a.size > 1 and np.ptp(mean_a) > 0 and np.ptp(mean_b) > 0
        return LayerAgreement(
            name=name,
            neurons=mean_a.size,
            rate_float=float(mean_a.mean()),
            rate_chip=float(mean_b.mean()),
            rate_correlation=float(np.corrcoef(mean_a, mean_b)[0, 1]) if varies else float("nan"),
            raster_similarity=self.dot / norm if norm else float("nan"),
            silenced=int(np.count_nonzero((mean_a != 0) & (mean_b == 0))),
        )


def layer_agreement(name: str, reference: np.ndarray, chip: np.ndarray) -> LayerAgreement:
    """Compare two records (steps, …) of one population."""
    tally = Tally()
    tally.add(reference, chip)
    return tally.result(name)


def agreement(reference: Mapping[str, Any], chip: Mapping[str, Any], names: Any = None) -> list[LayerAgreement]:
    """One `LayerAgreement` for each of `names` (all that both have)."""
    chosen = [n for n in reference if n in chip] if names is None else list(names)
    return [layer_agreement(n, reference[n], chip[n]) for n in chosen]


def warnings(layers: list[LayerAgreement]) -> list[str]:
    """What deserves a look: silent layers and silenced neurons."""
    out = []
    for layer in layers:
        if layer.rate_float > 0 and layer.rate_chip == 0:
            out.append(f"{layer.name}: silent on the chip, {layer.rate_float:.3g} spikes per step in floats")
        elif layer.silenced:
            out.append(f"{layer.name}: {layer.silenced} of {layer.neurons} neurons never spike on the chip")
    return out


def predicted(outputs: Any) -> np.ndarray:
    """(m,) class of each sample: the output with the largest sum; `outputs` (m, steps, classes)."""
    return np.asarray(outputs).sum(axis=1).argmax(axis=-1)


def same_class(reference: np.ndarray, chip: np.ndarray) -> bool:
    """True if the chip's largest output is a largest one of the reference; (classes,) sums of one sample.

    Where several outputs of the reference are equal and largest, each of them is its class.
    """
    a, b = np.ravel(reference), np.ravel(chip)
    return bool(a[int(b.argmax())] >= a.max() - 1e-9 * max(1.0, float(np.abs(a).max())))


def as_text(layers: list[LayerAgreement]) -> str:
    """A table, one line per population."""
    lines = [
        f"{'population':<20} {'neurons':>8} {'float':>8} {'chip':>8} {'r(rates)':>9} {'raster':>7} {'silenced':>9}"
    ]
    lines += [
        f"{x.name:<20} {x.neurons:>8} {x.rate_float:>8.4f} {x.rate_chip:>8.4f} {x.rate_correlation:>9.3f} "
        f"{x.raster_similarity:>7.3f} {x.silenced:>9}"
        for x in layers
    ]
    return "\n".join(lines)


def as_dicts(layers: list[LayerAgreement]) -> list[dict[str, Any]]:
    """Plain data."""
    return [asdict(layer) for layer in layers]
