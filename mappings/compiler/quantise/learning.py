"""Weights that learn in a chip's numbers: the rule's own steps and bounds decide what a mantissa means.

A rule changes its weights in the units in which it was written. So one unit of a mantissa is one step of the rule's
weight format (or its range in all mantissas, where it declares no format), the mantissas span what the rule may reach,
not what the weights start with, and the exponent lets the neuron be driven by the weight that the rule means.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, Projection
from chipsim.native.synapses import MANTISSA_RANGE, Conv, Synapses, stored, with_data
from chipsim.rules.carried import kind_of
from chipsim.rules.declaration import Rule
from chipsim.rules.fixed_format import Fixed

INPUT_SHIFT = 6  #: what arrives is added to the current times 2**6
SPARE = 4.0  #: a rule without bounds may take weights to so many times the largest that it starts with
CLOSE = 1e-9
EXPONENTS = (-7, 7)  #: of weights, where a chip's description says nothing


class Grid(NamedTuple):
    """The weights of one projection that learns: multiples of `step` (ideal units), `low` to `high` of them."""

    step: float
    low: int
    high: int
    sign: str

    @property
    def reach(self) -> float:
        """Largest |weight|."""
        return self.step * max(abs(self.low), abs(self.high))


def plastic(incoming: list[Projection]) -> list[Projection]:
    """Those of the projections that learn."""
    return [p for p in incoming if p.rule is not None]


def grids(incoming: list[Projection], chip: Chip) -> dict[str, Grid]:
    """The grid of every projection that learns into one population; their steps differ by powers of two.

    Raises
    ------
    CompileError
        Rules in a chip's own numbers, convolutions, start weights beyond the rule's range, more bits than a mantissa
        has, steps that no exponent brings together.
    """
    found = {p.name: _grid(p, chip) for p in plastic(incoming)}
    declared = [p for p in plastic(incoming) if p.rule.weight is not None]
    steps = {p.name: found[p.name].step for p in declared}
    base = min(steps.values(), default=0.0) or min((g.step for g in found.values()), default=1.0)
    for name, step in steps.items():
        if abs(np.log2(step / base) - round(np.log2(step / base))) > CLOSE:
            other = min(steps, key=lambda k: steps[k])
            raise CompileError(
                f"projections '{other}' and '{name}' learn in steps of {base:g} and {step:g}: the neuron adds both up, "
                "and a chip's exponents differ by powers of two; give their rules' formats such steps"
            )
    for p in plastic(incoming):
        if p.name not in steps:
            found[p.name] = _coarser(p, found[p.name], base)
    return found


def _grid(p: Projection, chip: Chip) -> Grid:
    rule, what = p.rule, f"projection '{p.name}'"
    _check_kind(p, chip)
    low, high = _reach(p)
    values, form = stored(p.synapses), rule.weight
    half = 0.5 * form.step if form is not None else CLOSE * max(abs(low), abs(high))
    bad = (values < low - half) | (values > high + half)
    if np.any(bad):
        raise CompileError(
            f"{what}: initial weight {values[bad][0]:g} is outside rule {rule.name}'s range {low:g}..{high:g}; change "
            "the weights or the rule's bounds"
        )
    sign = "excitatory" if low >= 0 else "inhibitory" if high <= 0 else "mixed"
    least, most = MANTISSA_RANGE[sign]
    if form is None:
        step = max(high / most if most else 0.0, low / least if least else 0.0)
        span = max(least, round(low / step)), min(most, round(high / step))
        if step * span[0] < low or step * span[1] > high:  # a bound is reached, not passed by rounding
            step = float(np.nextafter(step, 0.0))
        return Grid(step, *span, sign)
    span = int(np.ceil(low / form.step - CLOSE)), int(np.floor(high / form.step + CLOSE))
    if span[0] < least or span[1] > most:
        raise CompileError(
            f"{what}: rule {rule.name} keeps weights of {form.bits} bits, {span[0]}..{span[1]} steps of {form.step:g}; "
            f"chip '{chip.name}' stores {least}..{most}: declare fewer bits, or narrower bounds"
        )
    return Grid(form.step, *span, sign)


def _check_kind(p: Projection, chip: Chip) -> None:
    if isinstance(p.synapses, Conv):
        raise CompileError(convolution_learns(p.name), population=p.post.name, resource="learning")
    if kind_of(p.rule) != "declared":
        raise CompileError(
            f"projection '{p.name}': {p.rule.name if hasattr(p.rule, 'name') else 'PES'} computes in the chip's own "
            f"integers, which weights of ideal neurons on '{chip.name}' do not have before it chooses their scale: "
            "build this part from cs.loihi neurons and synapses, or give a declared rule (cs.rules)",
            population=p.post.name,
            resource="learning",
        )


def convolution_learns(name: str) -> str:
    """Why a convolution cannot carry a rule, and the way out."""
    return (
        f"projection '{name}' is a convolution, whose synapses share their weights, and cannot learn: give its weights "
        "as a matrix, e.g. scipy.sparse from its targets()"
    )


def _reach(p: Projection) -> tuple[float, float]:
    """Lowest and highest weight that the rule may make."""
    rule: Rule = p.rule
    low, high = rule.bounds
    if rule.weight is not None:
        return max(low, rule.weight.low), min(high, rule.weight.high)
    room = SPARE * float(np.abs(stored(p.synapses)).max(initial=0.0))
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    if room == 0:
        raise CompileError(
            f"projection '{p.name}': rule {rule.name} has no bounds and all its weights are 0, so that nothing says "
            "what they may become: give the rule bounds=(lowest, highest) or a weight format"
        )
    return max(low, -room), min(high, room)


def bounded(rule: Rule) -> bool:
    """True if bounds or a format say what weights the rule may make."""
    return rule.weight is not None or bool(np.all(np.isfinite(rule.bounds)))


def open_ended(p: Projection, grid: Grid) -> str:
    """What was assumed of a rule that does not say how far its weights go."""
    return (
        f"projection '{p.name}': rule {p.rule.name} has no bounds; the chip's weights span "
        f"{grid.low * grid.step:.3g}..{grid.high * grid.step:.3g}, {SPARE:g} times the largest start weight: give the "
        "rule bounds=(lowest, highest)"
    )


def _coarser(p: Projection, grid: Grid, base: float) -> Grid:
    """`grid` of a rule without a format, its step the next larger power of two times `base`."""
    step = base * 2.0 ** np.ceil(np.log2(grid.step / base) - CLOSE)
    if abs(step / grid.step - 1) < CLOSE:
        return grid
    low, high = (int(np.ceil(grid.low * grid.step / step)), int(np.floor(grid.high * grid.step / step)))
    return Grid(float(step), low, high, grid.sign)


def filled(p: Projection, value: float) -> Any:
    """The projection's weights, all of them `value`: the most that learning can make of them."""
    if sp.issparse(p.synapses):
        return with_data(p.synapses, np.full(p.synapses.data.size, value))
    return np.full(np.shape(p.synapses), value)


def snapped(scale: np.ndarray, gain: np.ndarray, found: dict[str, Grid], exponents: tuple[int, int], name: str) -> int:
    """Exponent of the finest grid: the largest at which no neuron's scale exceeds `scale`; the scale follows from it.

    A weight of a step then acts as 2**(exponent + 6) units, so that the scale is 2**(exponent + 6) / (gain step).
    """
    if np.any(gain <= 0):
        raise CompileError(
            f"population '{name}': a resistance r of 0 or below turns what a rule learns around; give r > 0"
        )
    base = min(g.step for g in found.values())
    shifts = [shift_of(g.step, base) for g in found.values()]
    wanted = int(np.floor(np.min(np.log2(scale * gain * base)) - INPUT_SHIFT + CLOSE))
    low, high = exponents[0], exponents[1] - max(shifts)
    if wanted < low or high < low:
        raise CompileError(
            f"population '{name}': with the steps of its rules (from {base:g} on) its threshold does not fit the "
            "chip's registers; take coarser steps, narrower bounds, or scale threshold and weights down"
        )
    return min(wanted, high)


def shift_of(step: float, base: float) -> int:
    """log2 of a ratio of steps that is a power of two."""
    return round(float(np.log2(step / base)))


def start_steps(p: Projection, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Start weights in steps, flat: wanted (rounded to the nearest) and kept within the grid."""
    wanted = np.floor(stored(p.synapses) / grid.step + 0.5)
    return wanted, np.clip(wanted, grid.low, grid.high)


def in_format(p: Projection) -> Any:
    """Start weights of a rule with a format, brought to the nearest of its values; others as they are."""
    form: Fixed | None = getattr(p.rule, "weight", None)
    if form is None or isinstance(p.synapses, Conv):
        return p.synapses
    values = np.floor(stored(p.synapses) / form.step + 0.5) * form.step
    return with_data(p.synapses, values) if sp.issparse(p.synapses) else values.reshape(np.shape(p.synapses))


def reads_membrane(incoming: list[Projection]) -> str | None:
    """The first projection whose rule reads v or psi, None if there is none."""
    rules = {p.name: p.rule for p in plastic(incoming) if isinstance(p.rule, Rule)}
    return next((k for k, r in rules.items() if "v" in r.reads or r.surrogate is not None), None)


def check_membrane(incoming: list[Projection], unit: float | None, offset: float | None, name: str) -> None:
    """A rule that reads v needs one meaning of it for all neurons."""
    reader = reads_membrane(incoming)
    if reader is not None and (unit is None or offset is None):
        raise CompileError(
            f"projection '{reader}' learns by the membrane of '{name}', whose neurons differ in resistance, time "
            "constants or reset so that their potentials have no unit in common: give them one population each"
        )


def in_rule_steps(net: Network, chip: Chip, but: Collection[str] = ()) -> Network:
    """Native synapses that learn, with the exponent that their rule's step asks for.

    A mantissa of k stands for k steps of the rule's format. That a weight of k steps acts as such, the exponent must
    be log2(step): it is set so, or may be given so. Projections in `but` have their exponents already.

    Raises
    ------
    CompileError
        A step that is no power of two, an exponent that the chip does not have or that contradicts the step.
    """
    changed = {
        name: replace(p.synapses, exponent=_own_exponent(p, chip))
        for name, p in net.projections.items()
        if name not in but
        and isinstance(p.synapses, Synapses)
        and p.post.model.model != "rate"
        and step_of(p.rule) != 1.0
    }
    if all(s.exponent == net.projections[k].synapses.exponent for k, s in changed.items()):
        return net
    out = Network(net.name)
    out.metadata = dict(net.metadata)
    for name, population in net.populations.items():
        out.add(name, population.model)
    for name, p in net.projections.items():
        out.connect(
            p.pre.name, p.post.name, changed.get(name, p.synapses), delay=_delay(p), rule=p.rule, name=name, **p.use
        )
    return out


def _delay(p: Projection) -> Any:
    return 0 if p.is_native or isinstance(p.synapses, Conv) else p.delay


def step_of(rule: Any) -> float:
    """Step of a declared rule's weight format; 1 where it has none."""
    return rule.weight.step if isinstance(rule, Rule) and rule.weight is not None else 1.0


def _own_exponent(p: Projection, chip: Chip) -> int:
    step, given = step_of(p.rule), p.synapses.exponent
    wanted = float(np.log2(step))
    what = f"projection '{p.name}': rule {p.rule.name} keeps its weights in steps of {step:g}"
    if abs(wanted - round(wanted)) > CLOSE:
        raise CompileError(f"{what}, which no exponent of the chip stands for: take a power of two")
    exponent, (low, high) = round(wanted), chip.limits.weight_exponent or EXPONENTS
    if not low <= exponent <= high:
        raise CompileError(f"{what}: that needs weight exponent {exponent}, {chip.name} has {low}..{high}")
    if given not in (0, exponent):
        raise CompileError(
            f"{what}, so that they act with exponent {exponent}, but its synapses have {given}: leave exponent=0, or "
            "give the format the step that you mean"
        )
    return exponent
