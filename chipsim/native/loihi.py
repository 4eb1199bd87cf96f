"""Loihi-class neurons and synapses in the chip's registers (`cs.loihi`).

Arithmetic, widths and orders follow Lava 0.10.0's bit-accurate models (proc/lif/models.py, proc/sdn/models.py)
unless a program's `arithmetic` option says otherwise; see docs/arithmetic.md. Registers take what any tool takes; what
the arithmetic of a program takes is checked when it is known (`chipsim.native.ranges`).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chipsim.chips.arithmetic import Arithmetic
from chipsim.errors import NetworkError

from .base import NeuronModel, Register, Rows
from .effective import effective_bias
from .floats import FREE, NOWHERE, RATE_FORMS, RATE_FUNCTIONS, RATE_OPTIONS, RATE_ROWS
from .synapses import Synapses as Synapses

VTH_SHIFT = 6  #: thresholds are stored with 17 bits and compared at 2**6 times that value
STATE_MAX = (1 << 23) - 1  #: u and v are signed 24 bit

_DYNAMICS = {
    "du": Register(0, -1, 4095, "current decay: u keeps (4096 - (du + 1)) / 4096 per step; -1 keeps all"),
    "dv": Register(0, 0, 4096, "voltage decay: v keeps (4096 - dv) / 4096 per step"),
    "bias_mant": Register(0, -4096, 4095, "bias mantissa, 13 bit signed; added to v each step"),
    "bias_exp": Register(0, -7, 7, "bias exponent: mantissa << exponent (>> when negative)"),
}
_LIF = {
    **_DYNAMICS,
    "vth": Register(1, 0, 131071, "threshold mantissa, 17 bit; spike when v > vth << 6"),
    "refractory": Register(1, 1, 64, "steps per spike: 1 = none lost, r = v held for r - 1 steps"),
    "vmin": Register(-STATE_MAX, 1 - 2**31, 0, "lower clip of v; below its default in nengo-loihi only"),
    "vmax": Register(STATE_MAX, 1, STATE_MAX, "upper clip of v"),
    "u": Register(0, -(2**31), 2**31 - 1, "initial current"),
    "v": Register(0, -(2**31), 2**31 - 1, "initial voltage"),
    "reset": Register("zero", choices=("zero", "subtract"), doc="v after a spike: 0, or v - (vth << 6)"),
    "reset_by": Register(0, 0, STATE_MAX, "taken from v at a spike with reset='subtract'; 0: vth << 6"),
    "bias": Register(
        0,
        -STATE_MAX,
        STATE_MAX,
        "added to v besides the mantissa's bias: any integer, as nengo-loihi's "
        "emulator takes it; a chip with bias limits refuses it",
    ),
    "noise": Register("none", choices=("none", "current", "voltage"), doc="where noise is added"),
    "noise_exp": Register(0, 0, 23, "noise is (r + 64 offset) * 2**(exp - 7), r uniform in -127..126", shared=True),
    "noise_offset": Register(0, -(2**31), 2**31 - 1, "mean of the noise in units of 64", shared=True),
}

_OVERFLOW = {"once": 0, "wrap": 1, "none": 2}
_NOISE = {"none": 0, "current": 1, "voltage": 2}


def _dynamics(model: NeuronModel) -> dict[str, Any]:
    """The rows that all neurons with current and voltage share."""
    du, dv = model.values["du"], model.values["dv"]
    return {"kept_u": 4096 - (du + 1), "kept_v": 4096 - dv, "bias": effective_bias(model)}


def _taken(model: NeuronModel) -> np.ndarray:
    """What a spike takes from v when it does not clear it, (n,) or scalar."""
    by, threshold = model.values["reset_by"], model.values["vth"] << VTH_SHIFT
    return np.where(by > 0, by, threshold)


class LIF(NeuronModel):
    r"""Current-based leaky integrate-and-fire neuron in fixed point.

    With a = sum of arriving weights, tr12(x) = sign(x) floor(|x| / 4096)::

        u <- tr12(u (4096 - (du + 1))) + (a << 6)           24 bit, overflow as `arithmetic` says
        v <- clip(tr12(v (4096 - dv)) + u + bias)            [vmin, vmax]
        spike if v > vth << 6;  then v <- 0  (or v - (vth << 6), or v - reset_by)

    `refractory` r silences the r - 1 steps after a spike, as `refractory=r*dt` does in Brian2; `cs.LIF` and `cs.floats`
    count the silent steps themselves.

    Source: Lava 0.10.0 proc/lif/models.py (PyLifModelBitAcc); refractory, vmin, vmax and noise as in
    nengo-loihi 1.1.0 emulator/interface.py.
    """

    model = "lif"
    family = "loihi"
    registers = _LIF
    kernel = "lif"
    params = ("kept_u", "kept_v", "vth", "bias", "refractory", "vmin", "vmax", "taken")
    options = ("plain", "overflow", "input_bits", "noise", "reset_interval", "reset_offset", "more_compartments")
    states = ("u", "v", "refractory", "input")
    in_24_bits = ("u", "v")
    threshold = "vth"

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """Thresholds at 2**6, factors of 4096, the bias as a whole number."""
        v = self.values
        params = {
            **_dynamics(self),
            "vth": v["vth"] << VTH_SHIFT,
            "refractory": v["refractory"],
            "vmin": _unless_free(v["vmin"], arithmetic),
            "vmax": _unless_free(v["vmax"], arithmetic),
            "taken": _taken(self) if v["reset"] == "subtract" else np.asarray(-1),
        }
        options = {
            "plain": int(self._is_plain(arithmetic)),
            "overflow": _OVERFLOW[arithmetic.current_overflow],
            "input_bits": arithmetic.input_accumulator_bits or 0,
            "noise": _NOISE[v["noise"]],
            "reset_interval": int(v.get("reset_interval", 0)),
            "reset_offset": int(v.get("reset_offset", 0)),
            "more_compartments": self.compartments - 1,
        }
        return Rows(params, {"u": v["u"], "v": v["v"]}, options)

    def _is_plain(self, arithmetic: Arithmetic) -> bool:
        """True when the branch-free kernel computes the same: one du, dv, vth and nothing out of the ordinary."""
        v = self.values
        return (
            all(v[name].ndim == 0 for name in ("du", "dv", "vth"))
            and bool(np.all(v["refractory"] == 1))
            and bool(np.all(v["vmin"] == -STATE_MAX) and np.all(v["vmax"] == STATE_MAX))
            and v["reset"] == "zero"
            and v["noise"] == "none"
            and int(v.get("reset_interval", 0)) == 0
            and arithmetic.current_overflow == "once"
            and arithmetic.input_accumulator_bits is None
        )


def _unless_free(bound: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
    """A clip of v; none at its default where the tool has no current overflow: brian2-loihi clips no voltage either."""
    if arithmetic.current_overflow != "none":
        return bound
    return np.where(np.abs(bound) == STATE_MAX, np.sign(bound) * (1 << 62), bound)


class LIFReset(LIF):
    """LIF whose u and v are cleared every `reset_interval` steps (Lava: LIFReset); steps count from 1."""

    model = "lif"
    registers: ClassVar[dict[str, Register]] = {
        **_LIF,
        "reset_interval": Register(1, 1, None, "clear u and v every so many steps", shared=True),
        "reset_offset": Register(0, 0, None, "in the step t with t mod interval == offset mod interval", shared=True),
    }


class SoftLIF(LIF):
    r"""LIF of two compartments, so that a spike takes `reset_by` from v on a chip that can only clear it.

    One compartment integrates and never spikes; the other compares, spikes, is cleared, and inhibits the first through
    a synapse, whose weight w arrives in the next step: v <- tr12(v (4096 - dv)) - w is v - reset_by for
    w = reset_by (4096 - dv) / 4096. The quantiser takes values of `reset_by` for which w is a mantissa and exponent.
    It costs two of a core's neurons and two updates per step. Source: soft reset of NxTF (Rueckauer et al. 2022, ACM
    JETC 18(3)); the chip's own joining of compartments is not published in bits, and not claimed.
    """

    compartments = 2
    registers: ClassVar[dict[str, Register]] = {
        **_LIF,
        "reset": Register("subtract", choices=("subtract",), doc="v after a spike: v - reset_by, or v - (vth << 6)"),
    }


class CountLIF(NeuronModel):
    r"""LIF in microcode whose spikes carry how many they are; for networks of tools that count several in a step.

    u and v as in `LIF` (but u stops at 24 bits, and is counted); with th = vth << 6 and v0 the v before the step::

        spikes="many":   z = min(floor(v / th), most), 0 below th            (sinabs MultiSpike, Rockpool)
        spikes="waits":  z = [v > th], or [v > 2 th] where v0 > th            (snnTorch, reset_delay=False)
        v <- v - z reset_by                                                  (reset_by 0: th)

    A projection with `message_bits` multiplies its weights by z. No published chip program is claimed: Loihi 2's
    neurons are programmable and its spikes carry up to 32 bits, which is all that this model needs.
    """

    model = "count_lif"
    family = "loihi"
    registers: ClassVar[dict[str, Register]] = {
        **_DYNAMICS,
        "vth": Register(1, 1, 131071, "threshold mantissa, 17 bit; compared at vth << 6"),
        **{k: _LIF[k] for k in ("vmin", "vmax", "u", "v", "reset_by", "bias")},
        "most": Register(65535, 1, 2**24 - 1, "most spikes in a step; more wait in v and count as clipped"),
        "spikes": Register("many", choices=("many", "waits"), doc="what a step sends"),
    }
    kernel = "count"
    params = ("kept_u", "kept_v", "vth", "bias", "most", "vmin", "vmax", "taken")
    options = ("", "spikes")
    states = ("u", "v")
    in_24_bits = ("u",)
    graded = True

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """As `LIF`; `most` spikes in a step."""
        from chipsim.kernels.core.neurons.count import MANY, WAITS

        v = self.values
        kept = {name: v[name] for name in ("most", "vmin", "vmax")}
        params = {**_dynamics(self), **kept, "vth": v["vth"] << VTH_SHIFT, "taken": _taken(self)}
        return Rows(params, {"u": v["u"], "v": v["v"]}, {"spikes": {"many": MANY, "waits": WAITS}[v["spikes"]]})


class TernaryLIF(NeuronModel):
    """LIF with two thresholds: +1 above `vth_hi` << 6, -1 below `vth_lo` << 6; v is cleared on either."""

    model = "ternary"
    family = "loihi"
    registers: ClassVar[dict[str, Register]] = {
        **_DYNAMICS,
        "vth_hi": Register(1, -131071, 131071, "upper threshold mantissa"),
        "vth_lo": Register(-1, -131071, 131071, "lower threshold mantissa"),
        "u": _LIF["u"],
        "v": _LIF["v"],
    }
    kernel = "lif"
    params = ("kept_u", "kept_v", "vth", "bias", "lower")
    states = ("u", "v")
    in_24_bits = ("u", "v")
    graded = True

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """As `LIF`, with two thresholds."""
        v = self.values
        params = {**_dynamics(self), "vth": v["vth_hi"] << VTH_SHIFT, "lower": v["vth_lo"] << VTH_SHIFT}
        return Rows(params, {"u": v["u"], "v": v["v"]})

    def check(self) -> None:
        """The upper threshold may not lie below the lower one."""
        if np.any(self.per_neuron("vth_hi") < self.per_neuron("vth_lo")):
            raise NetworkError("loihi.TernaryLIF: vth_hi is below vth_lo; swap them")


class ATRLIF(NeuronModel):
    r"""LIF with adaptive threshold and soft refractory state (Lava: ATRLIF).

    Decays are fractions in [0, 1] as in Lava; states are integers::

        i <- tr(i (4096 - (4096 delta_i + 1)) / 4096) + 64 a;   v <- decay(v) + i + bias
        theta decays toward 64 theta_0;  r decays toward 0
        spike if v - r >= theta;  then r += 2 theta, theta += 64 theta_step  (v is kept)
    """

    model = "atrlif"
    family = "loihi"
    registers: ClassVar[dict[str, Register]] = {
        "delta_i": Register(0.4, 0.0, 1.0, "current decay, fraction per step", integer=False, shared=True),
        "delta_v": Register(0.4, 0.0, 1.0, "voltage decay, fraction per step", integer=False, shared=True),
        "delta_theta": Register(0.2, 0.0, 1.0, "threshold decay, fraction per step", integer=False, shared=True),
        "delta_r": Register(0.2, 0.0, 1.0, "refractory decay, fraction per step", integer=False, shared=True),
        "theta_0": Register(5.0, None, None, "resting threshold", integer=False, shared=True),
        "theta_step": Register(0.0, None, None, "threshold increment per spike", integer=False, shared=True),
        "bias_mant": _DYNAMICS["bias_mant"],
        "bias_exp": _DYNAMICS["bias_exp"],
        "i": Register(0, -(2**31), 2**31 - 1, "initial current"),
        "v": _LIF["v"],
    }
    kernel = "adaptive"
    params = ("kept_v", "bias", "kept_theta", "kept_r", "theta_step", "theta_0")
    reals = ("kept_i",)
    states = ("i", "v", "theta", "r")
    in_24_bits = ("i", "v")
    threshold = "theta_0"

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """Decays as factors of 4096, cut to whole numbers as Lava cuts them; thresholds at 64."""
        v = self.values
        theta_0 = np.asarray(int(64 * v["theta_0"]))
        params = {
            "kept_v": np.asarray(int(4096 - 4096 * v["delta_v"])),
            "bias": effective_bias(self),
            "kept_theta": np.asarray(int(4096 - 4096 * v["delta_theta"])),
            "kept_r": np.asarray(int(4096 - 4096 * v["delta_r"])),
            "theta_step": np.asarray(int(64 * v["theta_step"])),
            "theta_0": theta_0,
        }
        reals = {"kept_i": 4096 - (4096 * v["delta_i"] + 1)}
        return Rows(params, {"i": v["i"], "v": v["v"], "theta": theta_0}, reals=reals)

    def check(self) -> None:
        """The threshold must fit the chip's numbers."""
        for name in ("theta_0", "theta_step"):
            _fits_32(self, name, 64 * float(self.values[name]))


class LSNN(NeuronModel):
    r"""The neuron of networks that learn by e-prop in fixed point: adaptive threshold, late reset, pseudo-derivative.

    A microcode neuron of the Loihi 2 kind, not one of Loihi 1's. With z its spike of the step before, a = sum of
    arriving weights, tr12 as in `LIF`::

        v <- clip(tr12(v (4096 - dv)) + (a << 6) - z (vth << 6));   b <- tr12(b (4096 - da)) + z 2**16
        A = (vth << 6) + (beta b >> 16);   unless refractory: spike if v >= A
        psi = levels - 1 at v = A, falling to 0 at a distance of vth << 6; 0 while refractory

    Equations: Bellec et al. (2020); `chipsim.kernels.core.neurons.lsnn`. States: v, a (b above), refractory counter,
    psi.
    """

    model = "lsnn"
    family = "loihi"
    registers: ClassVar[dict[str, Register]] = {
        "dv": _DYNAMICS["dv"],
        "vth": Register(1, 1, 131071, "threshold mantissa, 17 bit; compared at vth << 6"),
        "da": Register(4096, 0, 4096, "decay of the adaptation: it keeps (4096 - da) / 4096 per step"),
        "beta": Register(0, -STATE_MAX, STATE_MAX, "rise of the threshold per spike in the adaptation, in units of v"),
        "refractory": Register(1, 1, 64, "no spike in the refractory - 1 steps after one"),
        "levels": Register(256, 2, 256, "of the pseudo-derivative", shared=True),
    }
    kernel = "lsnn"
    params = ("kept", "adaptation_kept", "threshold", "beta", "refractory", "levels")
    states = ("v", "a", "refractory", "psi")
    in_24_bits = ("v",)

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """Factors of 4096, the threshold at 2**6."""
        v = self.values
        kept = {"kept": 4096 - v["dv"], "adaptation_kept": 4096 - v["da"], "threshold": v["vth"] << VTH_SHIFT}
        return Rows({**kept, **{name: v[name] for name in ("beta", "refractory", "levels")}})


_UNIT_ROWS = ("vth", "bias", "state_exp", "cum_error", "rectify", "input_shift")


def _fits_32(model: NeuronModel, name: str, scaled: Any) -> None:
    if np.any(np.abs(scaled) > 2**31 - 1):
        raise NetworkError(
            f"loihi.{type(model).__name__}: {name} as the chip holds it, {np.abs(scaled).max():.15g}, exceeds 32 bits; "
            "give a smaller value or smaller exponents"
        )


class Delta(NeuronModel):
    """Sends the change of its input when it exceeds a threshold (Lava: Delta); graded spikes."""

    model = "delta"
    family = "loihi"
    registers: ClassVar[dict[str, Register]] = {
        "vth": Register(0, 0, None, "threshold of the change, before scaling by 2**(spike_exp + state_exp)"),
        "spike_exp": Register(0, 0, 15, "scaling of a sent value", shared=True),
        "state_exp": Register(0, 0, 15, "extra fraction bits of the state", shared=True),
        "cum_error": Register(0, 0, 1, "1: accumulate the error and compare it with vth", shared=True),
    }
    kernel = "sigma_delta"
    params = _UNIT_ROWS
    states = ("", "act", "residue", "error")
    graded = True

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """The threshold at its scale; the input is brought there by a shift."""
        v, zero = self.values, np.asarray(0)
        scale = int(v["spike_exp"] + v["state_exp"])
        shared = {"state_exp": v["state_exp"], "cum_error": v["cum_error"], "input_shift": np.asarray(scale)}
        return Rows({**shared, "vth": v["vth"] << scale, "bias": zero, "rectify": zero})

    def check(self) -> None:
        """Threshold and bias, scaled, must fit the chip's numbers."""
        scale = 2.0 ** float(self.values["spike_exp"] + self.values["state_exp"])
        for name in ("vth", "bias"):
            if name in self.values:
                _fits_32(self, name, scale * self.values[name].astype(np.float64))


class SigmaDelta(NeuronModel):
    """Sums its graded input, applies an activation and sends thresholded changes (Lava: SigmaDelta)."""

    model = "sigma_delta"
    family = "loihi"
    registers: ClassVar[dict[str, Register]] = {
        **Delta.registers,
        "bias": Register(0, None, None, "added to sigma, before scaling by 2**(spike_exp + state_exp)"),
        "activation": Register("relu", choices=("relu", "unit"), doc="activation function"),
    }
    kernel = "sigma_delta"
    params = _UNIT_ROWS
    states = ("sigma", "act", "residue", "error")
    graded = True

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """Threshold and bias at their scale."""
        v = self.values
        scale = int(v["spike_exp"] + v["state_exp"])
        shared = {"state_exp": v["state_exp"], "cum_error": v["cum_error"], "input_shift": np.asarray(0)}
        relu = np.asarray(int(v["activation"] == "relu"))
        return Rows({**shared, "vth": v["vth"] << scale, "bias": v["bias"] << scale, "rectify": relu})

    check = Delta.check


class Sigma(NeuronModel):
    """Sums its graded input and sends the sum each step (Lava: Sigma)."""

    model = "sigma"
    family = "loihi"
    kernel = "sigma_delta"
    states = ("sigma",)
    graded = True

    def rows(self, arithmetic: Arithmetic) -> Rows:
        """It has no parameters."""
        return Rows({})


class Rate(NeuronModel):
    r"""A rate unit in 16-bit integers, for chips whose spikes carry numbers and whose neurons are programs.

    1.0 is 2**14 in rates (and in u of the form "output"), 2**12 in u of the form "input", 2**20 in a and in `bias`.
    With g a table of 2048 entries over [-4, 4), per step t > start::

        a = (sum of what arrives << input_exp) + bias
        form "output":  u <- u + (k (g(a) + rest - u) + 2048) div 4096;                       r = u
        form "input":   u <- u + (k ((a >> 8) + (rest >> 2) - u) + 2048) div 4096;            r = g(u)

    and the rate in 128ths, rounded half to even, is sent as 8 bits with sign. With `input_exp` 8 a weight of 1 is 1/32.
    No public chip has this unit: Loihi 2's microcode could compute it, which is assumed here. States: u, r, slope, a.
    """

    model = "rate"
    family = "loihi"
    registers: ClassVar[dict[str, Register]] = {
        "k": Register(4096, 0, 4096, "share of the way to its goal that u makes in a step, in 4096ths"),
        "bias": Register(0, -(2**31) + 1, 2**31 - 1, "added to the input each step, in 2**-20"),
        "rest": Register(0, -(2**15), 2**15 - 1, "added outside the non-linearity, in 2**-14"),
        "u": Register(0, -(2**15) + 1, 2**15 - 1, "initial state"),
        "input_exp": Register(8, 0, 16, "shift of the input", shared=True),
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
        """The registers as they are; first values and slopes from the tables."""
        from chipsim.kernels.core.neurons import rate

        v, u, output = self.values, self.per_neuron("u").astype(np.int64), self.values["form"] == "output"
        g = rate.FUNCTIONS[v["g"]]
        at = np.clip((np.zeros_like(u) if output else u >> 4) + rate.MIDDLE, 0, rate.ENTRIES - 1)
        options = {"form": rate.FORMS[v["form"]], "g": g, "start": int(v["start"]), "input_exp": int(v["input_exp"])}
        options |= NOWHERE
        state = {"u": u, "r": u if output else rate.VALUES[g, at], "slope": rate.SLOPES[g, at]}
        return Rows({name: v[name] for name in ("k", "bias", "rest")} | FREE, state, options)


def bias_registers(bias: Any, mantissa_bits: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Mantissa and exponent of the largest representable bias not beyond `bias` in magnitude.

    Parameters
    ----------
    bias : (n,) array_like of int
        Wanted bias, up to 4095 * 2**7 in magnitude.
    mantissa_bits
        Magnitude bits of the mantissa (12 on Loihi).

    Returns
    -------
    mantissa, exponent : (n,) int64
        ``mantissa << exponent`` rounded to nearest (half to even) from `bias`.

    Raises
    ------
    NetworkError
        If a bias needs an exponent above 7. Source: nengo-loihi 1.1.0 builder/discretize.py.
    """
    value = np.atleast_1d(np.asarray(bias, dtype=np.int64))
    limit = (1 << mantissa_bits) - 1
    magnitude = np.abs(value).astype(np.float64)
    with np.errstate(divide="ignore"):
        exponent = np.clip(np.ceil(np.log2(np.maximum(magnitude, 1) / limit)), 0, None).astype(np.int64)
    if np.any(exponent > 7):
        worst = value[np.argmax(magnitude)]
        raise NetworkError(f"bias {worst} needs more than {limit} * 2**7; scale the network down")
    mantissa = np.round(value / 2.0**exponent).astype(np.int64)
    return mantissa, exponent
