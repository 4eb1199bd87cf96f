"""Float neurons and synapses (`cs.floats`): exact discrete-time dynamics in float64, one class per recurrence.

They serve architectures described with float constants (SANA-FE-like studies) and networks from other tools
whose own arithmetic is floating point. What NIR, snnTorch, Norse, sinabs and Rockpool mean by "LIF" differs in
order and reset; `Unit` takes the recurrence's coefficients and named order, so that each is one setting of it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from chipsim.chips.arithmetic import Arithmetic
from chipsim.errors import NetworkError

from .base import NeuronModel, Register, Rows
from .synapses import FloatSynapses as Synapses

#: Non-linearities of a rate unit, as `kernels.core.neurons.rate` numbers them, and what its state is.
RATE_FUNCTIONS = ("tanh", "logistic", "hard_sigmoid", "relu", "leaky_relu", "linear", "atanh")
RATE_FORMS = ("output", "input")
#: Parameter rows and options of the kernels of rate units.
RATE_ROWS = ("k", "bias", "rest", "nudge", "target", "held")
RATE_OPTIONS = ("", "form", "g", "start", "input_exp", "gate", "", "slope")
#: Those that a run and a program's projections fill in: neither held nor nudged, no gate and no slope of another unit.
FREE = {"nudge": np.asarray(0), "target": np.asarray(0), "held": np.asarray(0)}
NOWHERE = {"gate": 0, "slope": 0}

__all__ = ["LIF", "LSNN", "LavaLIF", "Rate", "Synapses", "Unit"]


class LIF(NeuronModel):
    r"""Leaky integrate-and-fire with the potential cut to a grid, as SANA-FE 2.2.9 computes it.

    With c = sum of arriving weights, per step t (no decay in the first)::

        u <- u * input_decay;  v <- v * leak_decay;  v <- trunc(v * grid) / grid   (grid 0: no cut)
        unless refractory: v += bias; u += c; v += u; spike if v > threshold
        then v <- reset ("hard") or v <- v - threshold ("soft")

    Source: specs of SANA-FE's `leaky_integrate_fire` soma. States: v, u, refractory counter.
    """

    model = "float_lif"
    family = "float"
    registers: ClassVar[dict[str, Register]] = {
        "threshold": Register(1.0, None, None, "spike when v > threshold", integer=False),
        "reset": Register(0.0, None, None, "v after a hard reset", integer=False),
        "leak_decay": Register(1.0, 0.0, 1.0, "factor on v per step", integer=False),
        "input_decay": Register(0.0, 0.0, 1.0, "factor on u per step", integer=False),
        "bias": Register(0.0, None, None, "added to v each step", integer=False),
        "soft_reset": Register(0, 0, 1, "1: subtract the threshold instead of setting v to reset"),
        "refractory": Register(0, 0, None, "steps without integration after a spike"),
        "force_update": Register(0, 0, 1, "1: counts as active in every step"),
        "grid": Register(64.0, 0.0, None, "v is cut to multiples of 1/grid; 0: not cut", integer=False, shared=True),
    }
    kernel, prefix = "floats", "CUT_"
    params = tuple(registers)
    states = ("v", "u", "refractory")
    threshold = "threshold"

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """The registers as they are."""
        return Rows(self.values)


class LavaLIF(NeuronModel):
    r"""Lava's floating-point LIF and LIFRefractory (proc/lif/models.py, tag floating_pt).

    ``u <- u (1 - du) + a;  v <- v (1 - dv) + u + bias;  spike if v > vth; then v <- 0``.
    With `refractory` r > 0, v stays 0 through step t + r after a spike at t; u goes on.
    """

    model = "lava_float_lif"
    family = "float"
    registers: ClassVar[dict[str, Register]] = {
        "du": Register(0.0, 0.0, 1.0, "current decay per step", integer=False),
        "dv": Register(0.0, 0.0, 1.0, "voltage decay per step", integer=False),
        "vth": Register(1.0, None, None, "spike when v > vth", integer=False),
        "bias": Register(0.0, None, None, "added to v each step", integer=False),
        "refractory": Register(0, 0, None, "steps during which v is held at 0"),
        "u": Register(0.0, None, None, "initial current", integer=False),
        "v": Register(0.0, None, None, "initial voltage", integer=False),
    }
    kernel, prefix = "floats", "LAVA_"
    params = ("vth", "du", "dv", "bias", "refractory")
    states = ("u", "v", "refractory")
    threshold = "vth"

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """The registers as they are."""
        v = self.values
        return Rows({name: v[name] for name in self.params}, {"u": v["u"], "v": v["v"]})


class LSNN(NeuronModel):
    r"""The neuron of recurrent networks that learn by e-prop (Bellec et al. 2020): adaptation, late reset, psi.

    With z its spike of the step before, x = sum of what arrives::

        v <- kept v + gain x - threshold z;   a <- adaptation_kept a + z;   A = threshold + beta a
        unless refractory: spike if v >= A;   psi = height max(0, 1 - |v - A| / threshold), else 0

    `levels` > 1 rounds psi to so many levels. States: v, a, refractory counter, psi.
    """

    model = "float_lsnn"
    family = "float"
    registers: ClassVar[dict[str, Register]] = {
        "kept": Register(0.0, 0.0, 1.0, "factor on v per step", integer=False),
        "gain": Register(1.0, None, None, "input into v", integer=False),
        "threshold": Register(1.0, 1e-300, None, "of v at rest; what a spike takes from v", integer=False),
        "beta": Register(0.0, None, None, "rise of the threshold per unit of a", integer=False),
        "adaptation_kept": Register(0.0, 0.0, 1.0, "factor on a per step", integer=False),
        "refractory": Register(0, 0, None, "no spike in the refractory - 1 steps after one"),
        "height": Register(0.3, 0.0, None, "largest psi", integer=False),
        "levels": Register(0, 0, 256, "of psi; below 2: continuous", shared=True),
    }
    kernel, prefix = "lsnn", "REAL_"
    params = tuple(registers)
    states = ("v", "a", "refractory", "psi")

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """The registers as they are."""
        return Rows(self.values)


class Unit(NeuronModel):
    r"""A neuron given by the coefficients of one time step; every tool's neuron is a setting of it.

    With x = sum of what arrives + bias, per step t >= start::

        i <- current_kept i + current_gain x
        v <- kept v + gain i + input_gain x + constant
        i <- current_after i
        z  = v ("value"), [v > threshold] ("above"), [v >= threshold] ("reached"), max(floor(v / threshold), 0) ("many")
        if z: v <- reset_to ("value"), or v - z threshold ("subtract");   v <- max(v, lowest)

    The late resets are snnTorch's: with z' = [v > threshold] of the step before, "late_subtract" takes z' threshold
    from the new v, "late_forget" forgets the old v where z', "late_zero" zeroes the new v where z'; with `at_once`
    also z - z' at the end of the step itself. What it sends is a number for "value" and "many". States: v, i, input.
    """

    model = "unit"
    family = "float"
    registers: ClassVar[dict[str, Register]] = {
        "current_kept": Register(0.0, None, None, "factor on the current per step", integer=False),
        "current_gain": Register(0.0, None, None, "input into the current", integer=False),
        "kept": Register(0.0, None, None, "factor on v per step", integer=False),
        "gain": Register(0.0, None, None, "current into v", integer=False),
        "input_gain": Register(0.0, None, None, "input into v directly", integer=False),
        "constant": Register(0.0, None, None, "added to v each step", integer=False),
        "current_after": Register(1.0, None, None, "factor on the current after it acted on v", integer=False),
        "threshold": Register(1.0, None, None, "of v", integer=False),
        "reset_to": Register(0.0, None, None, "v after a spike, for after_spike='value'", integer=False),
        "lowest": Register(-1e300, None, None, "v is not let below it", integer=False),
        "bias": Register(0.0, None, None, "added to the input each step", integer=False),
        "start": Register(0, 0, None, "steps before this one leave it untouched", shared=True),
        "sends": Register("above", choices=("value", "above", "reached", "many"), doc="what a step sends"),
        "after_spike": Register(
            "subtract",
            choices=("nothing", "value", "subtract", "late_subtract", "late_forget", "late_zero"),
            doc="what a spike does to v",
        ),
        "at_once": Register(0, 0, 1, "1: late resets act at the end of the step as well", shared=True),
        "v": Register(0.0, None, None, "initial v", integer=False),
        "i": Register(0.0, None, None, "initial current", integer=False),
    }
    kernel = "unit"
    params = (
        "current_kept", "current_gain", "kept", "gain", "constant", "input_gain", "current_after", "threshold",
        "reset_to", "lowest", "bias",
    )  # fmt: skip
    options = ("", "start", "sends", "after_spike", "at_once")
    states = ("v", "i")
    threshold = "threshold"

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """The registers as they are, words as the kernel's codes."""
        from chipsim.kernels.core.neurons import unit

        v = self.values
        options = {
            "start": int(v["start"]),
            "sends": {"value": unit.VALUE, "above": unit.ABOVE, "reached": unit.REACHED, "many": unit.MANY}[v["sends"]],
            "after_spike": {
                "nothing": unit.NONE,
                "value": unit.TO_VALUE,
                "subtract": unit.SUBTRACT,
                "late_subtract": unit.LATE_SUBTRACT,
                "late_forget": unit.LATE_FORGET,
                "late_zero": unit.LATE_ZERO,
            }[v["after_spike"]],
            "at_once": int(v["at_once"]),
        }
        return Rows({name: v[name] for name in self.params}, {"v": v["v"], "i": v["i"]}, options)

    @property
    def variables(self) -> dict[str, int]:
        """Its state, and the sum that arrives in the step."""
        return {**super().variables, "input": -1}

    @property
    def carries_values(self) -> bool:
        """Where it sends v itself or a count."""
        return self.model == "graded_unit"

    @property
    def threshold_row(self) -> int:
        """None where it sends values."""
        return -1 if self.carries_values else super().threshold_row

    def check(self) -> None:
        """Units that send numbers are another model to the machine; "many" divides by the threshold."""
        if self.values["sends"] in ("value", "many"):
            self.model = "graded_unit"  # type: ignore[misc]
        if self.values["sends"] == "many" and np.any(self.values["threshold"] <= 0):
            raise NetworkError("floats.Unit: sends='many' needs a threshold above 0")


class Rate(NeuronModel):
    r"""A leaky unit that sends the value of a non-linearity in every step (Pearlmutter 1989, Hopfield 1984).

    With a = sum of what arrives + bias, per step t > start::

        form "output":  u <- u + k (g(a) + rest - u);  r = u;     slope = g'(a)
        form "input":   u <- u + k (a + rest - u);     r = g(u);  slope = g'(u)

    Before that it sends the value it starts with. Held and nudged by `Emulator.run(hold=..., nudge=...)`; projections
    with the role "gate" add their sum times the slope of the step before. States: u, r (sent), slope, a.
    """

    model = "float_rate"
    family = "float"
    registers: ClassVar[dict[str, Register]] = {
        "k": Register(1.0, 0.0, 1.0, "share of the way to its goal that u makes in a step", integer=False),
        "bias": Register(0.0, None, None, "added to the input each step", integer=False),
        "rest": Register(
            0.0, None, None, "added outside the non-linearity (form output), or to the goal", integer=False
        ),
        "u": Register(0.0, None, None, "initial state", integer=False),
        "g": Register("tanh", choices=RATE_FUNCTIONS, doc="non-linearity"),
        "form": Register("output", choices=RATE_FORMS, doc="whether the state is the rate or the potential"),
        "start": Register(0, 0, None, "steps in which it only sends its first value", shared=True),
    }
    states = ("u", "r", "slope", "a")
    kernel = "rate"
    params = RATE_ROWS
    options = RATE_OPTIONS
    graded = True

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """The registers as they are; first values and slopes from the non-linearity."""
        from chipsim.kernels.core.neurons import rate

        v, u, output = self.values, self.per_neuron("u"), self.values["form"] == "output"
        g = rate.FUNCTIONS[v["g"]]
        y, slope = rate.curve(g, np.zeros(self.n) if output else u)
        options = {"form": rate.FORMS[v["form"]], "g": g, "start": int(v["start"]), "input_exp": 0, **NOWHERE}
        params = {name: v[name] for name in ("k", "bias", "rest")} | FREE
        return Rows(params, {"u": u, "r": u if output else y, "slope": slope}, options)
