"""Registers of native neurons to the parameter rows, options and initial state that the kernels read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chipsim.chips.arithmetic import Arithmetic
from chipsim.kernels.core.neurons import count as neuron_count
from chipsim.kernels.core.neurons import rate as neuron_rate
from chipsim.kernels.core.neurons import unit as neuron_unit
from chipsim.native.base import NeuronModel
from chipsim.native.loihi import STATE_MAX, VTH_SHIFT

PARAM_ROWS = 11
REAL_ROWS = 1
STATE_ROWS = 4
N_OPTIONS = 8
OVERFLOW = {"once": 0, "wrap": 1, "none": 2}
NOISE = {"none": 0, "current": 1, "voltage": 2}
SENDS = {
    "value": neuron_unit.VALUE,
    "above": neuron_unit.ABOVE,
    "reached": neuron_unit.REACHED,
    "many": neuron_unit.MANY,
}
COUNTS = {"many": neuron_count.MANY, "waits": neuron_count.WAITS}
RESETS = {
    "nothing": neuron_unit.NONE,
    "value": neuron_unit.TO_VALUE,
    "subtract": neuron_unit.SUBTRACT,
    "late_subtract": neuron_unit.LATE_SUBTRACT,
    "late_forget": neuron_unit.LATE_FORGET,
    "late_zero": neuron_unit.LATE_ZERO,
}


class Rows(NamedTuple):
    """`params` row -> (n,) or scalar; `state` row -> initial value; `options` (8,); `reals` as `params`."""

    params: dict[int, np.ndarray]
    state: dict[int, np.ndarray]
    options: list[int]
    reals: dict[int, np.ndarray]


def effective_bias(model: NeuronModel) -> np.ndarray:
    """mantissa << exponent, or >> -exponent (floor) for a negative one; int64."""
    mantissa = model.per_neuron("bias_mant").astype(np.int64)
    exponent = model.per_neuron("bias_exp").astype(np.int64)
    shifted = np.where(exponent >= 0, mantissa << np.maximum(exponent, 0), mantissa >> np.maximum(-exponent, 0))
    return shifted + model.per_neuron("bias") if "bias" in model.values else shifted


def _lif(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    interval = int(v.get("reset_interval", 0))
    options = [0] * N_OPTIONS
    options[0] = int(_is_plain(model, arithmetic, interval))
    options[1] = OVERFLOW[arithmetic.current_overflow]
    options[2] = arithmetic.input_accumulator_bits or 0
    options[3] = NOISE[v["noise"]]
    options[4], options[5] = interval, int(v.get("reset_offset", 0))
    options[6] = model.compartments - 1
    params = {
        0: 4096 - (v["du"] + 1),
        1: 4096 - v["dv"],
        2: v["vth"] << VTH_SHIFT,
        3: effective_bias(model),
        4: v["refractory"],
        5: _unless_free(v["vmin"], arithmetic),
        6: _unless_free(v["vmax"], arithmetic),
        7: taken(model) if v["reset"] == "subtract" else np.asarray(-1),
    }
    return Rows(params, {0: v["u"], 1: v["v"]}, options, {})


def _unless_free(bound: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
    """A clip of v; none at its default where the tool has no current overflow: brian2-loihi clips no voltage either."""
    if arithmetic.current_overflow != "none":
        return bound
    return np.where(np.abs(bound) == STATE_MAX, np.sign(bound) * (1 << 62), bound)


def _is_plain(model: NeuronModel, arithmetic: Arithmetic, interval: int) -> bool:
    """True when the branch-free kernel computes the same: one du, dv, vth and nothing out of the ordinary."""
    v = model.values
    return (
        all(v[name].ndim == 0 for name in ("du", "dv", "vth"))
        and bool(np.all(v["refractory"] == 1))
        and bool(np.all(v["vmin"] == -STATE_MAX) and np.all(v["vmax"] == STATE_MAX))
        and v["reset"] == "zero"
        and v["noise"] == "none"
        and interval == 0
        and arithmetic.current_overflow == "once"
        and arithmetic.input_accumulator_bits is None
    )


def taken(model: NeuronModel) -> np.ndarray:
    """What a spike takes from v when it does not clear it, (n,) or scalar."""
    by, threshold = model.values["reset_by"], model.values["vth"] << VTH_SHIFT
    return np.where(by > 0, by, threshold)


def _count_lif(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    options = [0] * N_OPTIONS
    options[1] = COUNTS[v["spikes"]]
    params = {
        0: 4096 - (v["du"] + 1),
        1: 4096 - v["dv"],
        2: v["vth"] << VTH_SHIFT,
        3: effective_bias(model),
        4: v["most"],
        5: v["vmin"],
        6: v["vmax"],
        7: taken(model),
    }
    return Rows(params, {0: v["u"], 1: v["v"]}, options, {})


def _ternary(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    params = {
        0: 4096 - (v["du"] + 1),
        1: 4096 - v["dv"],
        2: v["vth_hi"] << VTH_SHIFT,
        3: effective_bias(model),
        4: v["vth_lo"] << VTH_SHIFT,
    }
    return Rows(params, {0: v["u"], 1: v["v"]}, [0] * N_OPTIONS, {})


def _atrlif(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    theta_0 = np.asarray(int(64 * v["theta_0"]))
    params = {
        1: np.asarray(int(4096 - 4096 * v["delta_v"])),
        3: effective_bias(model),
        4: np.asarray(int(4096 - 4096 * v["delta_theta"])),
        5: np.asarray(int(4096 - 4096 * v["delta_r"])),
        6: np.asarray(int(64 * v["theta_step"])),
        7: theta_0,
    }
    reals = {0: 4096 - (4096 * v["delta_i"] + 1)}
    return Rows(params, {0: v["i"], 1: v["v"], 2: theta_0}, [0] * N_OPTIONS, reals)


def _sigma_delta(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    scale = int(v["spike_exp"] + v["state_exp"])
    is_delta = model.model == "delta"
    zero = np.asarray(0)
    params = {
        2: v["vth"] << scale,
        3: zero if is_delta else v["bias"] << scale,
        4: v["state_exp"],
        5: v["cum_error"],
        6: np.asarray(int(not is_delta and v["activation"] == "relu")),
        7: np.asarray(scale if is_delta else 0),
    }
    return Rows(params, {}, [0] * N_OPTIONS, {})


def _sigma(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    return Rows({}, {}, [0] * N_OPTIONS, {})


def _cut_lif(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    names = (
        "threshold",
        "reset",
        "leak_decay",
        "input_decay",
        "bias",
        "soft_reset",
        "refractory",
        "force_update",
        "grid",
    )
    return Rows({k: model.values[name] for k, name in enumerate(names)}, {}, [0] * N_OPTIONS, {})


def _lava_float(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    params = {k: v[name] for k, name in enumerate(("vth", "du", "dv", "bias", "refractory"))}
    return Rows(params, {0: v["u"], 1: v["v"]}, [0] * N_OPTIONS, {})


def _unit(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    names = (
        "current_kept", "current_gain", "kept", "gain", "constant", "input_gain", "current_after", "threshold",
        "reset_to", "lowest", "bias",
    )  # fmt: skip
    options = [0] * N_OPTIONS
    options[1:5] = int(v["start"]), SENDS[v["sends"]], RESETS[v["after_spike"]], int(v["at_once"])
    return Rows({k: v[name] for k, name in enumerate(names)}, {0: v["v"], 1: v["i"]}, options, {})


def _float_lsnn(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    names = ("kept", "gain", "threshold", "beta", "adaptation_kept", "refractory", "height", "levels")
    return Rows({k: model.values[name] for k, name in enumerate(names)}, {}, [0] * N_OPTIONS, {})


def _lsnn(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    threshold = v["vth"] << VTH_SHIFT
    params = {0: 4096 - v["dv"], 1: 4096 - v["da"], 2: threshold, 3: v["beta"], 4: v["refractory"], 5: v["levels"]}
    return Rows(params, {}, [0] * N_OPTIONS, {})


def _float_rate(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    form, g, u = neuron_rate.FORMS[v["form"]], neuron_rate.FUNCTIONS[v["g"]], model.per_neuron("u")
    at = np.zeros(model.n) if form == neuron_rate.OUTPUT else u
    y, slope = neuron_rate.curve(g, at)
    options = [0] * N_OPTIONS
    options[1:4] = form, g, int(v["start"])
    state = {0: u, 1: u if form == neuron_rate.OUTPUT else y, 2: slope}
    return Rows({0: v["k"], 1: v["bias"], 2: v["rest"]}, state, options, {})


def _rate(model: NeuronModel, arithmetic: Arithmetic) -> Rows:
    v = model.values
    form, g, u = neuron_rate.FORMS[v["form"]], neuron_rate.FUNCTIONS[v["g"]], model.per_neuron("u").astype(np.int64)
    at = np.zeros(model.n, np.int64) if form == neuron_rate.OUTPUT else u >> 4
    at = np.clip(at + neuron_rate.MIDDLE, 0, neuron_rate.ENTRIES - 1)
    options = [0] * N_OPTIONS
    options[1:5] = form, g, int(v["start"]), int(v["input_exp"])
    state = {0: u, 1: u if form == neuron_rate.OUTPUT else neuron_rate.VALUES[g, at], 2: neuron_rate.SLOPES[g, at]}
    return Rows({0: v["k"], 1: v["bias"], 2: v["rest"]}, state, options, {})


#: Model name -> its translation.
BUILDERS: dict[str, Callable[[NeuronModel, Arithmetic], Rows]] = {
    "lif": _lif,
    "count_lif": _count_lif,
    "ternary": _ternary,
    "atrlif": _atrlif,
    "delta": _sigma_delta,
    "sigma_delta": _sigma_delta,
    "sigma": _sigma,
    "float_lif": _cut_lif,
    "lava_float_lif": _lava_float,
    "unit": _unit,
    "graded_unit": _unit,
    "float_lsnn": _float_lsnn,
    "lsnn": _lsnn,
    "float_rate": _float_rate,
    "rate": _rate,
}

#: State variable -> state row of the kernels, by model; -1 is the input sum of the step, -2 a sent value.
STATE_ROW: dict[str, dict[str, int]] = {
    "lif": {"u": 0, "v": 1, "refractory": 2, "input": 3},
    "count_lif": {"u": 0, "v": 1},
    "ternary": {"u": 0, "v": 1},
    "atrlif": {"i": 0, "v": 1, "theta": 2, "r": 3},
    "delta": {"act": 1, "residue": 2, "error": 3},
    "sigma_delta": {"sigma": 0, "act": 1, "residue": 2, "error": 3},
    "sigma": {"sigma": 0},
    "float_lif": {"v": 0, "u": 1, "refractory": 2},
    "lava_float_lif": {"u": 0, "v": 1, "refractory": 2},
    "unit": {"v": 0, "i": 1, "input": -1},
    "graded_unit": {"v": 0, "i": 1, "input": -1},
    "float_lsnn": {"v": 0, "a": 1, "refractory": 2, "psi": 3},
    "lsnn": {"v": 0, "a": 1, "refractory": 2, "psi": 3},
    "float_rate": {"u": 0, "r": 1, "slope": 2, "a": 3},
    "rate": {"u": 0, "r": 1, "slope": 2, "a": 3},
    "reckon_lif": {"u": 0, "tinp": 1, "trec": 2, "tout": 3},
    "reckon_li": {"o": 0},
    "odin_lif": {"v": 0},
    "odin_izh": {"core": 0},
    "tinyodin_lif": {"v": 0},
    "truenorth_lif": {"v": 0},
    "xylo_lif": {"v": 0, "i": 1},
}
