"""snnTorch's neurons as NIR nodes that say what its own export leaves out: reset, its delay, whole shapes.

Formulas after the sources of snnTorch 1.0.0 (snntorch/_neurons). Time constants are those of its exporter,
tau = dt / (1 - beta), but any dt may be chosen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.errors import NetworkError

from .nodes import Made, affine, numbers
from .trace import Layer, library

DT = 1e-4  #: seconds per step in files that snnTorch writes
LEAST = 1e-17  #: of 1 - beta, so that a neuron without leak has a time constant; 1 - 1e-17 is 1
KNOWN = "snnTorch's Leaky, Synaptic, RLeaky, RSynaptic and Lapicque, and torch's linear layers, pools and Flatten"
LEAVES = ("Leaky", "Synaptic", "RLeaky", "RSynaptic", "Lapicque")


def neuron(made: Made, layer: Layer) -> tuple[str, str]:
    """Leaky, Synaptic, RLeaky, RSynaptic or Lapicque, with recurrent weights and graded spikes."""
    m, shape = layer.module, made.own(layer, layer.after)
    _check(layer)
    delay = layer.kind in ("Lapicque", "RSynaptic") or bool(m.reset_delay)
    metadata = {"reset": m.reset_mechanism, "reset_delay": delay}
    if layer.kind == "Lapicque" and m.reset_mechanism == "zero":
        raise NetworkError(f"from_torch: {layer.name}: Lapicque zeroes the potential of the next step; use Leaky")
    if layer.kind == "RSynaptic" and not m.reset_delay:
        made.trace.notes.append(
            f"{layer.name}: RSynaptic of snnTorch 1.0 does not act on reset_delay=False; its reset waits a step"
        )
    name = made.add(layer.name, **_dynamics(layer, shape, made.dt), metadata=metadata)
    if layer.kind in ("RLeaky", "RSynaptic"):
        back = _recurrent(made, layer, f"{name}.w_rec")
        made.chain(name, back, name)
    factor = numbers(m.graded_spikes_factor)
    if np.all(factor == 1):
        return name, name
    if layer.kind in ("RLeaky", "RSynaptic"):
        raise NetworkError(f"from_torch: {layer.name}: graded spikes of a recurrent layer; put the factor into weights")
    return made.chain(name, made.add(f"{name}.graded", "Scale", scale=factor))


def _dynamics(layer: Layer, shape: tuple[int, ...], dt: float) -> dict[str, Any]:
    """Kind and parameters, each in the whole shape: tau = dt / (1 - beta) with r that gives the input a gain of 1."""
    m = layer.module
    if layer.kind == "Lapicque":
        step, r, c = (numbers(x) for x in (m.time_step, m.R, m.C))
        leak, gain = step / (r * c), step / c
    else:
        leak, gain = 1 - np.clip(numbers(m.beta), 0, 1), 1.0
    leak = np.maximum(_full(layer, "beta", leak, shape), LEAST)
    zero = np.zeros(shape)
    found: dict[str, Any] = {
        "kind": "LIF", "tau": dt / leak, "r": gain / leak, "v_leak": zero, "v_reset": zero,
        "v_threshold": _full(layer, "threshold", numbers(m.threshold), shape),
    }  # fmt: skip
    if layer.kind in ("Synaptic", "RSynaptic"):
        slow = np.maximum(_full(layer, "alpha", 1 - np.clip(numbers(m.alpha), 0, 1), shape), LEAST)
        found |= {"kind": "CubaLIF", "tau_mem": found.pop("tau"), "tau_syn": dt / slow, "w_in": 1 / slow}
    return found


def _full(layer: Layer, name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.array(np.broadcast_to(values, shape))
    except ValueError:
        raise NetworkError(
            f"from_torch: {layer.name}: {layer.kind}: {name} has shape {values.shape}, its neurons {shape}"
        ) from None


def _recurrent(made: Made, layer: Layer, name: str) -> str:
    """What leads from the spikes of the step before to the input."""
    inner = layer.module.recurrent
    kind = type(inner).__name__
    if kind == "Linear":
        return affine(made, name, numbers(inner.weight), None if inner.bias is None else numbers(inner.bias))
    if kind == "Conv2d":
        bias = np.zeros(inner.out_channels) if inner.bias is None else numbers(inner.bias)
        return made.add(
            name, "Conv2d", weight=numbers(inner.weight), bias=bias, stride=np.array(inner.stride),
            padding=np.array(inner.padding), dilation=np.array(inner.dilation), groups=inner.groups,
        )  # fmt: skip
    if kind == "RecurrentOneToOne":
        shape = made.own(layer, layer.after)
        return made.add(name, "Scale", scale=_full(layer, "V", numbers(inner.V), shape))
    raise NetworkError(f"from_torch: {layer.name}: recurrent {kind} is not known; use Linear, Conv2d or one-to-one V")


def _check(layer: Layer) -> None:
    """What no float unit does: winner-take-all, quantised states, spikes that are not [v > threshold]."""
    torch, m = library(), layer.module
    for setting in ("inhibition", "state_quant"):
        if getattr(m, setting, False):
            raise NetworkError(f"from_torch: {layer.name}: {layer.kind} with {setting}=… cannot be mapped; turn it off")
    probe = torch.tensor([-1.0, -1e-3, 0.0, 1e-3, 1.0], device=m.threshold.device)
    with torch.no_grad():
        got = m.spike_grad(probe).tolist()
    if got != [0, 0, 0, 1, 1]:
        raise NetworkError(
            f"from_torch: {layer.name}: {layer.kind}: its spike_grad gives {got} for {probe.tolist()} above threshold, "
            "not 0 and 1; only surrogates with a step as forward pass can be mapped"
        )


MAKERS = dict.fromkeys(LEAVES, neuron)
