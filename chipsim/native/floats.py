"""Float neurons and synapses (`cs.floats`): exact discrete-time dynamics in float64, one class per recurrence.

They serve architectures described with float constants (SANA-FE-like studies) and networks from other tools
whose own arithmetic is floating point. What NIR, snnTorch, Norse, sinabs and Rockpool mean by "LIF" differs in
order and reset; `Unit` takes the recurrence's coefficients and named order, so that each is one setting of it.
"""

from __future__ import annotations

from typing import ClassVar

from .base import NeuronModel, Register
from .synapses import FloatSynapses as Synapses

__all__ = ["LIF", "LavaLIF", "Synapses"]


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
    states = ("v", "u", "refractory")


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
    states = ("u", "v", "refractory")
