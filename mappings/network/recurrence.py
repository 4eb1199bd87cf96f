"""Ideal neurons as recurrences of one time step: what every lowering starts from, exact at the grid of dt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import shown
from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel
from chipsim.native.synapses import Conv, stored, with_data


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A population per time step, shifted so that a reset leads to 0.

    ::

        u[t] = beta u[t-1] + gain * sum(w s[t-1])
        v[t] = alpha v[t-1] + u[t] + bias;   spike if v > threshold;   then 0, or v - drop

    Attributes
    ----------
    alpha, beta, gain, bias, threshold : (n,) float64
        `threshold` is infinite for neurons that never spike.
    shift : (n,) float64
        The ideal potential is v + shift.
    v0 : (n,) float64
        Potential before the first step.
    dead : (n,) int64
        Steps during which v is held after a spike.
    subtract : bool
        Reset by subtraction.
    drop, lowest : (n,) float64
        What a spike takes from v (subtract); v is not let below `lowest`.
    spikes : str
        "one" in a step, "many" (floor(v / threshold)), or "waits"; see `chipsim.mappings.network.ideal.LIF`.
    """

    alpha: np.ndarray
    beta: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    shift: np.ndarray
    v0: np.ndarray
    dead: np.ndarray
    subtract: bool
    drop: np.ndarray
    lowest: np.ndarray
    spikes: str = "one"

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.alpha.size


def recurrence(model: NeuronModel, dt: float, name: str = "population") -> Recurrence:
    """The recurrence of an ideal `LIF`, `IF` or `LI` at time step `dt` (s).

    The response to a spike is that of the differential equations, exactly, at the end of each step: a jump
    w of the current leads to v(k dt) = (r w / tau_mem) (alpha**k - beta**k) / (1 / tau_syn - 1 / tau_mem).
    A constant bias is exact as well.

    Raises
    ------
    NetworkError
        If dt is not positive, a time constant is below it, or the model is none of the three.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise NetworkError(f"dt={shown(dt)} is not a positive number of seconds")
    value: dict[str, Any] = {k: v if isinstance(v, str) else model.per_neuron(k) for k, v in model.values.items()}
    one = np.ones(model.n)
    if model.model == "ideal_if":
        return _reset(value, one, 0 * one, value["r"] * one, value["bias"] * one, 0 * one, dt, name)
    if model.model not in ("ideal_lif", "ideal_li"):
        raise NetworkError(
            f"'{name}': {type(model).__name__} is not an ideal model; build it from LIF, IF or LI, or from chip neurons"
        )
    tau_mem, tau_syn = value["tau_mem"], value["tau_syn"]
    _check_times(name, "tau_mem", tau_mem, dt)
    _check_times(name, "tau_syn", tau_syn[tau_syn > 0], dt)
    alpha = np.exp(-dt / tau_mem)
    slow = tau_syn > 0
    beta = np.where(slow, np.exp(-dt / np.where(slow, tau_syn, 1.0)), 0.0)
    gain = np.where(slow, _current_gain(tau_mem, np.where(slow, tau_syn, 1.0), dt), 1.0) * value["r"]
    bias = -np.expm1(-dt / tau_mem) * value["bias"]
    return _reset(value, alpha, beta, gain, bias, value["v_leak"] * one, dt, name)


def _check_times(name: str, what: str, tau: np.ndarray, dt: float) -> None:
    if np.any(tau < dt):
        raise NetworkError(
            f"population '{name}': {what}={tau.min():g} s is below dt={dt:g} s; give seconds, or lower dt"
        )


def _current_gain(tau_mem: np.ndarray, tau_syn: np.ndarray, dt: float) -> np.ndarray:
    """What a current of 1 at the start of a step has done to v at its end, for r = 1."""
    difference = 1 / tau_syn - 1 / tau_mem
    same = np.abs(difference) * dt < 1e-9
    apart = np.where(same, 1.0, difference)
    exact = (np.exp(-dt / tau_mem) - np.exp(-dt / tau_syn)) / apart
    return np.where(same, dt * np.exp(-dt / tau_mem), exact) / tau_mem


def _reset(
    value: dict[str, Any],
    alpha: np.ndarray,
    beta: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    rest: np.ndarray,
    dt: float,
    name: str,
) -> Recurrence:
    """Shift the potential so that a reset to `v_reset` leads to 0; without reset, so that it rests at 0."""
    zero = np.zeros_like(alpha)
    subtract = value.get("reset") == "subtract"
    spiking = "threshold" in value
    if spiking and not subtract and np.any(value["threshold"] <= value["v_reset"]):
        raise NetworkError(f"population '{name}': threshold must lie above v_reset, or the neuron never stops firing")
    if subtract and np.any(value["threshold"] <= 0):
        raise NetworkError(f"population '{name}': reset='subtract' needs a threshold above 0")
    shift = zero if subtract else (value["v_reset"] * 1.0 if spiking else rest)
    return Recurrence(
        alpha=alpha,
        beta=beta,
        gain=gain,
        bias=bias + (1 - alpha) * (rest - shift),
        threshold=value["threshold"] - shift if spiking else zero + np.inf,
        shift=shift,
        v0=rest - shift if np.any(alpha < 1) else zero,
        dead=np.round(value["refractory"] / dt).astype(np.int64) if spiking else zero.astype(np.int64),
        subtract=subtract,
        drop=_drop(value, alpha) if spiking else zero,
        lowest=value["lowest"] - shift if spiking else zero - np.inf,
        spikes=value["spikes"] if spiking else "one",
    )


def _drop(value: dict[str, Any], like: np.ndarray) -> np.ndarray:
    """What a spike takes from v: `reset_by`, or the threshold where that is 0."""
    return np.where(value["reset_by"] > 0, value["reset_by"], value["threshold"]) + 0 * like


def scaled_rows(weights: Any, factor: np.ndarray, name: str) -> Any:
    """Weights with row i (neuron i) multiplied by ``factor[i]``: (post, pre) ndarray, CSC, or Conv with one
    factor.
    """
    if isinstance(weights, Conv):
        if np.ptp(factor) > 0:
            raise NetworkError(
                f"projection '{name}': the neurons behind a convolution must share time constants and resistance"
            )
        return weights.floats * factor[0]
    if sp.issparse(weights):
        return with_data(weights, weights.data * factor[weights.indices])
    return np.asarray(weights, dtype=np.float64) * factor[:, None]


def magnitudes(weights: Any) -> np.ndarray:
    """|w| of every stored weight that is not zero, flat."""
    values = np.abs(stored(weights) if not isinstance(weights, Conv) else weights.floats.ravel())
    return values[values > 0]
