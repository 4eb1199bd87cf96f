"""sinabs' neurons as NIR nodes, with what its own export leaves out: spikes per step, floor, synapses, input scale.

Formulas after the sources of sinabs 2.0.3 (sinabs/layers). Its time constants count steps, so that dt is 1. The
scheme's step is v = a v + (1 - a) r x with a = exp(-1 / tau); where sinabs does not scale the input, r undoes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.errors import NetworkError

from .nodes import Made, affine, numbers
from .trace import Layer

PLAIN = ("IAF", "LIF", "ExpLeak", "IAFRecurrent", "LIFRecurrent")  #: take (batch, time, …)
SQUEEZED = ("IAFSqueeze", "LIFSqueeze", "ExpLeakSqueeze")  #: take (batch times time, …)
LEAVES = (*PLAIN, *SQUEEZED)
KNOWN = f"sinabs' {', '.join(LEAVES)} and SumPool2d, and torch's linear layers, pools and Flatten"


def neuron(made: Made, layer: Layer) -> tuple[str, str]:
    """IAF, LIF or ExpLeak, with recurrent weights."""
    m, name, shape = layer.module, layer.name, made.own(layer, layer.after)
    silent = m.spike_fn is None
    integrates = layer.kind.startswith("IAF")
    params: dict[str, Any] = {"v_leak": np.zeros(shape), "r": np.ones(shape)}
    if not silent:
        params["v_threshold"] = _full(layer, "spike_threshold", m.spike_threshold, shape)
        params["v_reset"] = np.zeros(shape)
    tau_syn = m.tau_syn_calculated
    if integrates:
        kind = "I" if silent else "IF"
        del params["v_leak"]
    else:
        tau = _full(layer, "tau_mem", m.tau_mem_calculated, shape)
        if not m.norm_input:
            params["r"] = 1 / -np.expm1(-1 / tau)
        params["tau" if tau_syn is None else "tau_mem"] = tau
        kind = "LI" if silent else "LIF"
    if tau_syn is not None:
        kind, params = _with_synapse(layer, kind, params, _full(layer, "tau_syn", tau_syn, shape))
    made.add(name, kind, _options(layer), **params)
    if "Recurrent" in layer.kind:
        made.chain(name, _recurrent(made, layer), name)
    return name, name


def _with_synapse(
    layer: Layer, kind: str, params: dict[str, Any], tau: np.ndarray
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """i = b (i + x), which in the scheme's terms i = b i + (1 - b) w x is w = b / (1 - b)."""
    if kind in ("IF", "I"):
        raise NetworkError(f"from_torch: {layer.name}: {layer.kind} with tau_syn; use LIF with a long tau_mem")
    return f"Cuba{kind}", params | {"tau_syn": tau, "w_in": 1 / np.expm1(1 / tau)}


def _full(layer: Layer, name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    given = numbers(value)
    try:
        return np.array(np.broadcast_to(given, shape))
    except ValueError:
        raise NetworkError(
            f"from_torch: {layer.name}: {layer.kind}: {name} has shape {given.shape}, its neurons {shape}"
        ) from None


def _options(layer: Layer) -> dict[str, Any]:
    """Spikes per step, reset and floor, as the layer has them."""
    m = layer.module
    lowest = None if m.min_v_mem is None else numbers(m.min_v_mem)
    if lowest is not None and np.ptp(lowest):
        raise NetworkError(f"from_torch: {layer.name}: {layer.kind}: min_v_mem differs among neurons; give one number")
    floor = None if lowest is None else float(lowest.flat[0])
    if m.spike_fn is None:
        return {"min_v_mem": floor}
    spikes = getattr(m.spike_fn, "__name__", type(m.spike_fn).__name__)
    if spikes not in ("SingleSpike", "MultiSpike"):
        raise NetworkError(
            f"from_torch: {layer.name}: {layer.kind} with spike_fn={spikes}; SingleSpike and MultiSpike are known"
        )
    reset = type(m.reset_fn).__name__
    other = getattr(m.reset_fn, "subtract_value", None) if reset == "MembraneSubtract" else None
    to = getattr(m.reset_fn, "reset_value", 0.0)
    if reset not in ("MembraneSubtract", "MembraneReset") or other is not None or to != 0:
        raise NetworkError(
            f"from_torch: {layer.name}: {layer.kind} with reset_fn={m.reset_fn}; MembraneSubtract() of the threshold "
            "and MembraneReset() to 0 are known"
        )
    return {"spike_fn": spikes, "reset": "subtract" if reset == "MembraneSubtract" else "zero", "min_v_mem": floor}


def _recurrent(made: Made, layer: Layer) -> str:
    """The weights from a layer's spikes to itself; sinabs starts with none, so that a bias would come a step late."""
    inner = layer.module.rec_connect
    parts = list(inner) if type(inner).__name__ == "Sequential" else [inner]
    parts = [p for p in parts if type(p).__name__ not in ("Flatten", "Unflatten", "Identity")]
    if len(parts) != 1 or type(parts[0]).__name__ != "Linear":
        raise NetworkError(f"from_torch: {layer.name}: rec_connect is no single Linear; {layer.kind} needs one")
    bias = parts[0].bias
    if bias is not None and np.any(numbers(bias)):
        raise NetworkError(
            f"from_torch: {layer.name}: rec_connect has a bias, which starts a step late; set bias=False"
        )
    if len(made.own(layer, layer.after)) != 1:
        raise NetworkError(f"from_torch: {layer.name}: {layer.kind} on {made.own(layer, layer.after)}; flatten before")
    return affine(made, f"{layer.name}.w_rec", numbers(parts[0].weight))


MAKERS = dict.fromkeys(LEAVES, neuron)
