"""Ideal neuron models: SI units and floats, before any chip is chosen."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chipsim.checks import numbers, shown
from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel, Register


class LIF(NeuronModel):
    r"""Leaky integrate-and-fire neuron with optional exponential synapse, in SI units.

    ::

        tau_syn di/dt = -i + tau_syn * sum(w s)        (tau_syn = 0: each spike adds r w to v at once)
        tau_mem dv/dt = -(v - v_leak) + r i + bias      spike if v > threshold; then v_reset or v - threshold

    Parameters: `tau_mem`, `tau_syn`, `refractory` in s; `threshold`, `v_leak`, `v_reset`, `lowest`, `bias` in
    the (arbitrary) unit of v; each one number or (n,). ``reset``: "zero" (to `v_reset`) or "subtract" (`reset_by`).
    ``spikes`` in one step: "one"; "many", floor(v / threshold), each of which resets; "waits", one, but a potential
    that a reset has left above threshold must reach twice the threshold. The last two need a chip with microcode.

    v starts at `v_leak`. `refractory` is rounded to whole steps, round(refractory / dt) of them without a spike after
    one: r steps here are what Brian2 calls refractory=(r + 1) * dt.
    """

    model = "ideal_lif"
    family = "ideal"
    registers: ClassVar[dict[str, Register]] = {
        "tau_mem": Register(20e-3, 0.0, None, "membrane time constant, s", integer=False),
        "tau_syn": Register(0.0, 0.0, None, "synaptic time constant, s; 0: delta synapse", integer=False),
        "threshold": Register(1.0, None, None, "spike when v exceeds it", integer=False),
        "v_leak": Register(0.0, None, None, "resting potential", integer=False),
        "v_reset": Register(0.0, None, None, "potential after a spike (reset='zero')", integer=False),
        "bias": Register(
            0.0, None, None, "constant drive: v settles at v_leak + bias (IF: added per step)", integer=False
        ),
        "r": Register(1.0, None, None, "input resistance", integer=False),
        "refractory": Register(0.0, 0.0, None, "dead time after a spike, s: its steps are silent", integer=False),
        "reset": Register("zero", choices=("zero", "subtract"), doc="what a spike does to v"),
        "reset_by": Register(0.0, 0.0, None, "taken from v at a spike (reset='subtract'); 0: threshold", integer=False),
        "lowest": Register(-1e300, None, None, "v is not let below it", integer=False),
        "spikes": Register("one", choices=("one", "many", "waits"), doc="spikes in one step"),
    }
    states = ("i", "v")

    def check(self) -> None:
        """Time constants must be positive; thresholds must lie above rest and reset."""
        _leaks(self)
        if np.any(self.values["threshold"] <= self.values["v_reset"]):
            raise NetworkError("LIF: threshold must lie above v_reset, or the neuron never stops firing")
        _counts(self)


class IF(NeuronModel):
    """Integrate-and-fire without leak: dv = r * sum(w s) + bias per step; spike if v > threshold."""

    model = "ideal_if"
    family = "ideal"
    registers: ClassVar[dict[str, Register]] = {
        k: LIF.registers[k]
        for k in ("threshold", "v_reset", "bias", "r", "refractory", "reset", "reset_by", "lowest", "spikes")
    }
    states = ("v",)

    def check(self) -> None:
        """Neurons that count must subtract; no lowest potential above the reset."""
        _counts(self)


class LI(NeuronModel):
    """Leaky integrator without spikes, for readouts: records v, sends nothing."""

    model = "ideal_li"
    family = "ideal"
    registers: ClassVar[dict[str, Register]] = {
        k: LIF.registers[k] for k in ("tau_mem", "tau_syn", "v_leak", "bias", "r")
    }
    states = ("i", "v")

    def check(self) -> None:
        """The membrane's time constant must be positive."""
        _leaks(self)


class LSNN(NeuronModel):
    r"""Neuron of a recurrent network that learns by e-prop: leaky, with an adaptive threshold and a late reset.

    Per step of dt, with alpha = exp(-dt / tau_mem), rho = exp(-dt / tau_adapt), z its spike of the step before::

        v <- alpha v + g sum(w s) - threshold z;   a <- rho a + z;   spike if v >= threshold + beta a

    g is 1 - alpha if `normalised`, else 1. `beta` = 0 makes it a LIF. After a spike there is none for `refractory`
    seconds less one step. Source: Bellec et al. (2020), Nat. Commun. 11:3625, and the authors' code.
    `chipsim.mappings.eprop_network` builds a whole network from a rule.
    """

    model = "ideal_lsnn"
    family = "ideal"
    registers: ClassVar[dict[str, Register]] = {
        "tau_mem": LIF.registers["tau_mem"],
        "tau_adapt": Register(1.0, 0.0, None, "time constant of the adaptation, s", integer=False),
        "threshold": Register(1.0, 0.0, None, "spike when v reaches it (raised by beta a)", integer=False),
        "beta": Register(0.0, 0.0, None, "rise of the threshold per spike", integer=False),
        "refractory": LIF.registers["refractory"],
        "normalised": Register(1, 0, 1, "1: inputs are multiplied by 1 - alpha", shared=True),
    }
    states = ("v", "a", "refractory", "psi")

    def check(self) -> None:
        """Time constants and thresholds must be positive."""
        _leaks(self)
        if np.any(self.values["threshold"] <= 0) or np.any(self.values["tau_adapt"] <= 0):
            raise NetworkError("LSNN: threshold and tau_adapt must be positive")


def _counts(model: NeuronModel) -> None:
    v, name = model.values, type(model).__name__
    if np.any(v["lowest"] > np.minimum(v["v_reset"], 0.0)):
        raise NetworkError(f"{name}: lowest={v['lowest'].max():g} lies above the potential after a reset; lower it")
    if v["spikes"] == "one":
        return
    if v["reset"] != "subtract" or np.any(v["threshold"] <= 0) or np.any(v["refractory"] > 0):
        raise NetworkError(
            f"{name}: spikes={shown(v['spikes'])} needs reset='subtract', a threshold above 0 and no refractory period"
        )


def _leaks(model: NeuronModel) -> None:
    if np.any(model.values["tau_mem"] <= 0):
        raise NetworkError(
            f"{type(model).__name__}: tau_mem must be positive (seconds); use IF for a neuron without leak"
        )


def Conv2d(kernel: Any, input_shape: tuple[int, int, int], **geometry: Any) -> Any:
    """A convolution in the layout of the ecosystem: kernel (out, in / groups, k0, k1), images (channels, a0, a1).

    Parameters
    ----------
    kernel : (C_out, C_in / groups, k0, k1) ndarray
        Cross-correlation weights, as torch and NIR keep them.
    input_shape : (C_in, a0, a1)
    **geometry
        stride, padding, dilation, groups as in `chipsim.native.synapses.Conv`.

    Returns
    -------
    chipsim.native.synapses.Conv
        To be passed as `weights` to `Network.connect`.
    """
    from chipsim.native.synapses import Conv

    array = numbers(kernel, "Conv2d: kernel", exact=True)
    if array.ndim != 4:
        raise NetworkError(f"Conv2d: kernel has shape {array.shape}; give (out, in / groups, k0, k1)")
    return Conv(array.transpose(0, 2, 3, 1), input_shape, channels="first", **geometry)
