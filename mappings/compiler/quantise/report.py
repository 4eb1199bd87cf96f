"""What quantisation did, per population and projection, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ProjectionReport:
    """One projection in the chip's integers.

    Attributes
    ----------
    unit : float or None
        Ideal weight of one unit of the mantissa; None where it differs between neurons.
    exponent, sign
        As in the chip's synapse format.
    bits_used : float
        log2 of the largest step in use, plus 1 for the sign of mixed weights.
    error_max, error_rms : float
        Error of the weights relative to the largest weight, and rms relative to their rms.
    clipped, lost : int
        Weights beyond the range, and weights that became 0.
    """

    name: str
    population: str
    unit: float | None
    exponent: int
    sign: str
    bits_used: float
    error_max: float
    error_rms: float
    clipped: int
    lost: int
    synapses: int


@dataclass(frozen=True)
class PopulationReport:
    """One population in the chip's integers.

    Attributes
    ----------
    scale : float or None
        Integers per ideal unit of potential; None where it differs between neurons.
    unit, offset : float or None
        Ideal potential = integer * unit + offset.
    threshold_error, reset_error, decay_error, bias_error : float
        Largest relative error of thresholds, of what a reset subtracts, of the fraction lost per step, and of
        biases against the threshold.
    dead, dead_ideal, saturated : int
        Neurons that no input can make fire, on the chip and in the ideal network; neurons that nothing can stop.
    predicted, achieved : float or None
        Spikes per neuron and step of the float network and of the chip, on the calibration input.
    correlation : float or None
        Between the two, over neurons.
    silenced : int or None
        Neurons that fire in the float network and never on the chip.
    """

    name: str
    scale: float | None
    unit: float | None
    offset: float | None
    vth: tuple[int, int]
    exponent: int
    threshold_error: float
    decay_error: float
    bias_error: float
    dead: int
    saturated: int
    n: int
    predicted: float | None = None
    achieved: float | None = None
    correlation: float | None = None
    silenced: int | None = None
    dead_ideal: int = 0
    reset_error: float = 0.0


@dataclass(frozen=True)
class QuantiseReport:
    """Everything that quantisation decided and lost.

    `units` and `offsets` map populations to the ideal meaning of one integer unit of v and of v = 0;
    `weight_units` maps projections to the ideal weight of mantissa 1. Native parts are not in them.
    """

    method: str
    dt: float
    populations: dict[str, PopulationReport] = field(default_factory=dict)
    projections: dict[str, ProjectionReport] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def units(self) -> dict[str, float | None]:
        """Population -> ideal potential of one integer unit."""
        return {name: p.unit for name, p in self.populations.items()}

    @property
    def offsets(self) -> dict[str, float | None]:
        """Population -> ideal potential of integer 0."""
        return {name: p.offset for name, p in self.populations.items()}

    @property
    def weight_units(self) -> dict[str, float | None]:
        """Projection -> ideal weight of mantissa 1."""
        return {name: p.unit for name, p in self.projections.items()}

    def report(self) -> dict[str, Any]:
        """Plain data for a file or a report."""
        return {
            "method": self.method,
            "dt": self.dt,
            "populations": [asdict(p) for p in self.populations.values()],
            "projections": [asdict(p) for p in self.projections.values()],
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        """A table for people."""
        lines = [f"quantised by '{self.method}' at dt = {self.dt:g} s"]
        for p in self.populations.values():
            rates = "" if p.predicted is None else f", rate {p.predicted:.4f} -> {p.achieved:.4f} per step"
            lines.append(
                f"  {p.name}: {p.n} neurons, scale {_number(p.scale)}, vth {_span(p.vth)}, decay error "
                f"{p.decay_error:.2%}, {p.dead} dead, {p.saturated} saturated{rates}"
            )
        for q in self.projections.values():
            lines.append(
                f"  {q.name}: exponent {q.exponent}, {q.sign}, {q.bits_used:.1f} bits used, error max "
                f"{q.error_max:.2%} rms {q.error_rms:.2%}, {q.clipped} clipped, {q.lost} lost of {q.synapses}"
            )
        return "\n".join([*lines, *(f"  warning: {w}" for w in self.warnings)])


def _number(value: float | None) -> str:
    return "per neuron" if value is None else f"{value:.5g}"


def _span(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}..{pair[1]}"


def population_warnings(report: PopulationReport) -> list[str]:
    """What a user should know about one population, in words."""
    found = []
    if report.dead > report.dead_ideal:
        before = f" ({report.dead_ideal} could not before)" if report.dead_ideal else ""
        found.append(f"population '{report.name}': {report.dead} of {report.n} neurons can never fire{before}")
    if report.saturated:
        found.append(f"population '{report.name}': {report.saturated} of {report.n} neurons fire whatever the input")
    if report.threshold_error > 0.02:
        found.append(f"population '{report.name}': thresholds are off by up to {report.threshold_error:.1%}")
    if report.decay_error > 0.25:
        found.append(
            f"population '{report.name}': a decay per step is off by {report.decay_error:.0%}; raise dt to resolve it"
        )
    if report.silenced:
        found.append(
            f"population '{report.name}': {report.silenced} neurons that fire in floats are silent on the chip"
        )
    return found


def projection_warnings(report: ProjectionReport) -> list[str]:
    """What a user should know about one projection, in words."""
    if report.synapses and report.lost == report.synapses:
        return [f"projection '{report.name}': every weight became 0 beside larger ones; scale it up"]
    if report.clipped:
        return [f"projection '{report.name}': {report.clipped} of {report.synapses} weights are clipped"]
    return []


def with_rates(report: PopulationReport, predicted: np.ndarray, achieved: np.ndarray) -> PopulationReport:
    """`report` with rates per step, (n,) each, of the float network and of the chip."""
    varies = predicted.std() > 0 and achieved.std() > 0
    return replace(
        report,
        predicted=float(predicted.mean()),
        achieved=float(achieved.mean()),
        correlation=float(np.corrcoef(predicted, achieved)[0, 1]) if varies else None,
        silenced=int(np.count_nonzero((predicted > 0) & (achieved == 0))),
    )
