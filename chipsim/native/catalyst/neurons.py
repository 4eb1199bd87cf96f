"""Neurons of the Catalyst N1 in its own registers: LIF and CUBA, traces, noise, homeostasis, dendrites, parents."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...errors import NetworkError
from ..base import NeuronModel, Register
from .operations import bias_value

_S16 = (-32768, 32767)
NO_PARENT = -1
#: Registers that both kinds have; those marked "of the core" must agree among the populations of a core.
_COMMON: dict[str, Register] = {
    "thr": Register(1000, *_S16, "fires at or above; homeostasis moves it"),
    "leak": Register(0, *_S16, "subtracted every timestep (LIF)"),
    "rest": Register(0, *_S16, "potential after a spike, and below which an LIF neuron does not fall"),
    "refractory": Register(0, 0, 255, "timesteps at rest after a spike"),
    "vmin": Register(-32768, *_S16, "floor of the potential"),
    "vmax": Register(32767, *_S16, "ceiling of the potential"),
    "noise_mantissa": Register(0, 0, 15, "noise mask = mantissa << exponent, at most 0xFFFF"),
    "noise_exponent": Register(0, 0, 31, "of the noise mask"),
    "noise_target": Register(0, 0, 3, "0 threshold, 1 V, 2 u, 3 none"),
    "tau_x1": Register(3, 0, 15, "trace x1 loses about x1 >> tau a timestep; 0 clears it"),
    "tau_y1": Register(4, 0, 15, "of trace y1"),
    "tau_x2": Register(0, 0, 15, "of trace x2"),
    "tau_y2": Register(0, 0, 15, "of trace y2"),
    "tau_y3": Register(0, 0, 15, "of trace y3"),
    "h1": Register(0, *_S16, "threshold of dendrite 1"),
    "h2": Register(0, *_S16, "threshold of dendrite 2"),
    "h3": Register(0, *_S16, "threshold of dendrite 3"),
    "tree": Register(0, 0, 63, "where dendrites lead: p1 | p2 << 2 | p3 << 4; 0 soma, else a dendrite below"),
    "rate_target": Register(0, 0, 255, "spikes per epoch that homeostasis aims at; 0: off"),
    "rate_eta": Register(0, 0, 255, "step of the threshold per epoch"),
    "parent": Register(NO_PARENT, -1, 1 << 14, "neuron of the same population that a spike is joined into; -1 none"),
    "join": Register(0, 0, 3, "how: 0 add, 1 larger magnitude, 2 bitwise or, 3 nothing"),
    "root": Register(1, 0, 1, "0: spikes stay inside (traces, learning, parent)"),
    "epoch": Register(1, 0, 255, "timesteps of a learning epoch, of the core", shared=True),
    "passes": Register(1, 1, 15, "neuron updates per timestep, of the core", shared=True),
    "reward_tau": Register(4, 0, 15, "decay of the reward trace, of the core", shared=True),
}
STATES = ("v", "u", "refractory", "acc", "thr", "x1", "x2", "y1", "y2", "y3")


class _Neuron(NeuronModel):
    family = "catalyst"
    states = STATES

    def check(self) -> None:
        """Parents must be neurons of the population; dendrites must lead to the soma."""
        what = f"catalyst.{type(self).__name__}"
        parent = self.per_neuron("parent")
        if np.any(parent >= self.n):
            raise NetworkError(f"{what}: parent={parent.max()} is outside the population of {self.n}; -1 is none")
        if np.any(self.values["vmin"] > self.values["vmax"]):
            raise NetworkError(f"{what}: vmin={self.values['vmin'].max()} lies above vmax; the potential would stand")
        tree = self.per_neuron("tree")
        to = np.stack([tree & 3, tree >> 2 & 3, tree >> 4 & 3])
        bad = (to[0] != 0) | (to[1] > 1) | (to[2] > 2)
        if np.any(bad):
            k = int(np.argmax(bad))
            raise NetworkError(
                f"{what}: tree={tree[k]} leads dendrites 1, 2, 3 to {to[0, k]}, {to[1, k]}, {to[2, k]}; the hardware "
                "joins 1 to the soma (0), 2 to 0 or 1, 3 to 0, 1 or 2, or loses what arrives"
            )


class LIF(_Neuron):
    """Leaky integrate-and-fire, 24 bits inside, clamped to [vmin, vmax] after each update.

    ::

        x <- v + input;  refractory: v <- rest
        x - leak >= thr: spike, v <- rest, refractory <- period;  x > leak: v <- x - leak;  else v <- rest

    Source: behavioural specification of the released RTL, section 3.3.
    """

    model = "catalyst_lif"
    registers: ClassVar[dict[str, Register]] = _COMMON


class CUBA(_Neuron):
    """Leaky integrator of a leaky current, in 1/4096 per timestep; input acts on v one timestep later.

    ::

        v <- v - raz(v decay_v) + u + bias;  v >= thr: spike, v <- rest
        u <- u - raz(u decay_u) + input      raz(p): p / 4096 rounded away from zero

    `relative`: in the refractory period v goes on without u and with the bias subtracted. `scale_u`: input times
    decay_u / 4096 (a flag of the chip: all CUBA populations must agree). A neuron with decay_v = decay_u = bias = 0 is
    a LIF neuron to the hardware.
    """

    model = "catalyst_cuba"
    registers: ClassVar[dict[str, Register]] = {
        **_COMMON,
        "decay_v": Register(128, 0, 4095, "share of v lost a timestep, in 1/4096"),
        "decay_u": Register(1024, 0, 4095, "share of u lost a timestep, in 1/4096"),
        "bias": Register(0, -4096 << 7, 4095 << 7, "added to v; 13 bits times a power of two up to 2^7"),
        "relative": Register(0, 0, 1, "1: v integrates in the refractory period"),
        "stack": Register(0, 0, 3, "what a parent gets: 0 threshold, 1 v, 2 u, 3 input"),
        "scale_u": Register(0, 0, 1, "1: input is multiplied by decay_u / 4096", shared=True),
    }

    def check(self) -> None:
        """The bias must fit its register; one of the three must make it a CUBA neuron."""
        super().check()
        for bias in np.unique(self.values["bias"]):
            bias_value(int(bias))
        plain = (self.per_neuron("decay_v") == 0) & (self.per_neuron("decay_u") == 0) & (self.per_neuron("bias") == 0)
        if np.any(plain):
            raise NetworkError(
                f"catalyst.CUBA: neuron {int(np.argmax(plain))} has decay_v, decay_u and bias 0, which makes it a LIF "
                "neuron on the chip: use cs.catalyst.LIF, or decay_u=1"
            )


__all__ = ["CUBA", "LIF", "NO_PARENT", "STATES"]
