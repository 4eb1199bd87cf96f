"""From floats to a chip's numbers: ideal populations and weights become native ones, with a report of what
it cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chipsim.checks import finite, shown, whole
from chipsim.chips.arithmetic import PRESETS
from chipsim.chips.schema import Chip
from chipsim.errors import CompileError, NetworkError
from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.mappings.network.recurrence import recurrence
from chipsim.native.synapses import Conv
from chipsim.rules.e_prop.rule import EProp

from .eprop import learns_by_eprop, lower_eprop, resolved
from .fate import fates
from .floats import lower_float
from .loihi import Lowered, lower
from .nengo_network import lower_nengo
from .reference import Run, run_float, run_integer
from .report import PopulationReport, QuantiseReport, population_warnings, projection_warnings, with_rates
from .weights import Options, second_name

METHODS = ("max", "percentile", "mse", "data", "nengo_loihi")
GRANULARITIES = ("population", "neuron")
MOST_BITS = 8  #: of a mantissa


def quantise(
    net: Network,
    chip: Chip,
    *,
    dt: float = 1e-3,
    method: str = "max",
    percentile: float = 99.9,
    granularity: str = "population",
    bits: int | None = None,
    calibration: Mapping[str, Any] | None = None,
    headroom: float = 1.5,
    undershoot: float = 4.0,
    compensate: bool | str = True,
    low_bits: int = 0,
    compartments: int = 1,
) -> tuple[Network, QuantiseReport]:
    """Lower every ideal population of `net` to `chip`'s neurons; native ones pass through untouched.

    Parameters
    ----------
    dt : float
        Seconds per step; decays are exp(-dt / tau).
    method : {"max", "percentile", "mse", "data", "nengo_loihi"}
        What takes the largest mantissa: the largest weight; the `percentile` of |w| (larger ones are
        clipped); the clip of least squared error; the largest, with dense weights of both signs rounded together
        by what their sources do in `calibration` (`chipsim.mappings.compiler.quantise.rounding`); or nengo-loihi's
        own quantiser,
        bit for bit.
    granularity : {"population", "neuron"}
        One scale for all neurons of a population, or one per neuron (no more different ones than the chip has
        threshold profiles).
    bits : int or None
        Weight bits, 1..8; None takes as many as the chip's synapses have (`limits.weight_bits`), at most 8.
    low_bits : int
        0, or 2..8: each weight takes a second synapse of so many bits and an exponent of its own for what the first
        leaves over. Twice the synapses; convolutions are stored synapse by synapse.
    calibration : dict spike source -> (steps, n) spikes
        Runs the float network and the quantised one on them: sizes the current's range by what happens, and
        reports predicted against achieved rates.
    headroom : float
        Factor on the largest current seen in the calibration.
    undershoot : float
        How many thresholds below its reset a voltage should be able to sink before it is clipped.
    compensate : bool or "readouts"
        Scale weights and biases so that rounded decays keep the response to a constant input; "readouts": only of
        neurons that never spike. A neuron that spikes within its time constant is nearer to the ideal one without.

    compartments : int
        Compartments that a neuron may take: with 2, a chip that only clears v (Loihi 1) subtracts through a second
        one (`cs.loihi.SoftLIF`), at twice the neurons; with 1 such a reset is refused.

    Returns
    -------
    network, report
        A network of native parts with the same names in the same order, and what was decided and lost.

    Raises
    ------
    NetworkError
        Ideal weights between native neurons or the reverse; models or arguments that do not fit.
    CompileError
        What the chip cannot hold: a reset, a refractory period, weights without any exponent that fits.
    """
    bits = _bits(bits, chip)
    options = _options(method, percentile, granularity, bits, headroom, undershoot, compensate, low_bits, compartments)
    ideal = {k for k, p in net.populations.items() if p.model.family == "ideal"}
    _check_mixture(net, ideal)
    if ideal and method == "nengo_loihi" and bits < MOST_BITS:
        raise CompileError(
            f"quantise: method='nengo_loihi' writes {MOST_BITS} bits as that tool does, not the {bits} asked for "
            f"or held by chip '{chip.name}'; use method='max'"
        )
    if ideal and chip.family not in ("loihi", "float"):
        raise CompileError(
            f"chip '{chip.name}' (family {chip.family}) has no general lowering of ideal neurons; build the "
            "network from its own neurons, or choose a chip of family loihi or float"
        )
    taught = {k for k in ideal if learns_by_eprop(_into(net, k))}
    rules = resolved({k: p.rule for k, p in net.projections.items() if p.post.name in taught}, net, chip, options.bits)
    runs_whole = not taught and ideal == _neurons(net)
    floats = run_float(net, calibration, dt) if calibration is not None and runs_whole else None
    if method == "data" and floats is None:
        raise NetworkError("quantise: method='data' needs calibration inputs, and a network of ideal neurons only")
    lowered = {
        name: _lower(net.populations[name], _into(net, name), chip, dt, options, floats, rules)
        for name in net.populations
        if name in ideal
    }
    native = _rebuild(net, lowered, rules)
    populations = {k: low.report for k, low in lowered.items()}
    if chip.family == "loihi":
        populations = {
            k: report if k in taught else fates(native, net, k, recurrence(net.populations[k].model, dt, k), report)
            for k, report in populations.items()
        }
    if chip.family == "loihi" and floats is not None:
        chosen = PRESETS["nengo_loihi"] if method == "nengo_loihi" else chip.arithmetic.resolve()
        populations = _rates(populations, floats, run_integer(native, calibration or {}, chosen))
    return native, _report(method, dt, lowered, populations)


def _bits(asked: int | None, chip: Chip) -> int:
    """Weight bits asked for, or those of the chip; refuses what its synapses do not have."""
    low, high = chip.limits.weight_bits or (1, MOST_BITS)
    if asked is None:
        return max(1, min(high, MOST_BITS))
    asked = whole(asked, "quantise: bits", 1, MOST_BITS)
    if not low <= asked <= high and chip.family != "float":
        raise CompileError(f"quantise: bits={asked}, but synapses of chip '{chip.name}' have {low}..{high} bits")
    return asked


def _options(
    method: str,
    percentile: float,
    granularity: str,
    bits: int,
    headroom: float,
    undershoot: float,
    compensate: bool | str,
    low_bits: int,
    compartments: int,
) -> Options:
    for what, word, allowed in (("method", method, METHODS), ("granularity", granularity, GRANULARITIES)):
        if not isinstance(word, str) or word not in allowed:
            raise NetworkError(f"quantise: {what} {shown(word)} is not one of {', '.join(allowed)}")
    percentile = finite(percentile, "quantise: percentile")
    if not 0 < percentile <= 100:
        raise NetworkError(f"quantise: percentile={percentile} is outside (0, 100]")
    low_bits = whole(low_bits, "quantise: low_bits", 0, 8)
    if not isinstance(compensate, (bool, np.bool_)) and not (isinstance(compensate, str) and compensate == "readouts"):
        raise NetworkError(f"quantise: compensate={shown(compensate)} is not True, False or 'readouts'")
    compensate = compensate if isinstance(compensate, str) else bool(compensate)
    compartments = whole(compartments, "quantise: compartments", 1, 2)
    headroom, undershoot = finite(headroom, "quantise: headroom"), finite(undershoot, "quantise: undershoot")
    if low_bits == 1:
        raise NetworkError("quantise: low_bits=1 has no value above 0; give 0, or 2 to 8")
    if not headroom >= 1:
        raise NetworkError(f"quantise: headroom={headroom} is below 1")
    if not undershoot >= 0:
        raise NetworkError(f"quantise: undershoot={undershoot} is negative")
    return Options(method, percentile, granularity, bits, headroom, undershoot, compensate, low_bits, compartments)


def _neurons(net: Network) -> set[str]:
    return {k for k, p in net.populations.items() if not p.model.is_input}


def _into(net: Network, name: str) -> list[Projection]:
    return [p for p in net.projections.values() if p.post.name == name]


def _check_mixture(net: Network, ideal: set[str]) -> None:
    """Ideal weights need an ideal target, whose scale they share; native weights a native one."""
    for p in net.projections.values():
        floating = not p.is_native and not isinstance(p.synapses, Conv)
        if p.post.name in ideal and p.is_native:
            raise NetworkError(
                f"projection '{p.name}': native synapses into the ideal population '{p.post.name}' have no scale; "
                "give float weights, or a native population"
            )
        if p.post.name not in ideal and floating:
            raise NetworkError(
                f"projection '{p.name}': float weights into the native population '{p.post.name}' have no scale; "
                "give the chip's own synapses (such as cs.loihi.Synapses), or an ideal population"
            )


def _lower(
    population: Population,
    incoming: list[Projection],
    chip: Chip,
    dt: float,
    options: Options,
    floats: Run | None,
    rules: Mapping[str, EProp],
) -> Lowered:
    if population.model.model == "ideal_lsnn" or any(p.name in rules for p in incoming):
        return lower_eprop(population, incoming, chip, dt, rules)
    if chip.family == "float":
        return lower_float(population, incoming, dt)
    if options.method == "nengo_loihi":
        return lower_nengo(population, incoming, chip, dt)
    seen = None if floats is None else (floats.current[population.name], floats.voltage[population.name])
    trains = None if options.method != "data" or floats is None else floats.trains
    return lower(population, incoming, chip, dt, options, seen, trains)


def _rebuild(net: Network, lowered: dict[str, Lowered], rules: Mapping[str, EProp]) -> Network:
    native = Network(net.name)
    native.metadata = dict(net.metadata)
    for name, population in net.populations.items():
        native.add(name, lowered[name].model if name in lowered else population.model)
    for name, p in net.projections.items():
        weights = lowered[p.post.name].synapses[name] if p.post.name in lowered else p.synapses
        native.connect(p.pre.name, p.post.name, weights, rule=rules.get(name, p.rule), name=name, **p.use)
        low = lowered[p.post.name].seconds.get(name) if p.post.name in lowered else None
        if low is not None:
            native.connect(p.pre.name, p.post.name, low, name=second_name(name), **p.use)
    return native


def _rates(populations: dict[str, PopulationReport], floats: Run, chip: Run) -> dict[str, PopulationReport]:
    return {
        k: with_rates(r, floats.rates(k), chip.rates(k))
        if np.any(chip.spikes[k]) or np.any(floats.spikes[k])
        else replace(r, predicted=0.0, achieved=0.0, silenced=0)
        for k, r in populations.items()
    }


def _report(
    method: str, dt: float, lowered: dict[str, Lowered], populations: dict[str, PopulationReport]
) -> QuantiseReport:
    projections = {k: r for low in lowered.values() for k, r in low.projections.items()}
    notes = [n for low in lowered.values() for n in low.notes]
    notes += [w for r in populations.values() for w in population_warnings(r)]
    notes += [w for r in projections.values() for w in projection_warnings(r)]
    return QuantiseReport(method, dt, populations, projections, tuple(notes))
