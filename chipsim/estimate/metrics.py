"""Other people's measures of a spiking network, by their names and definitions.

NeuroBench 2.3 (footprint, sparsities, synaptic operations, membrane updates), operation energies in 45 nm
CMOS (Horowitz 2014), the layer accounting of Yin et al. 2021, energy complexity (Uchizawa, Douglas and
Maass 2006: how many neurons fire at once), and the two-constant model of keras-spiking. They ignore mapping
and traffic; `chipsim.estimate.estimate` does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import RunError

#: Joules per operation in 45 nm (Horowitz 2014, ISSCC), as syops and SpikingJelly use them.
OPERATIONS_45NM: dict[str, dict[str, float]] = {
    "fp32": {"AC": 0.9e-12, "MAC": 4.6e-12},
    "fp16": {"AC": 0.4e-12, "MAC": 1.5e-12},
    "int8": {"AC": 0.03e-12, "MAC": 0.23e-12},
}
#: Joules per synaptic operation and per neuron and step, as nengo's keras-spiking 0.3 publishes them.
KERAS_SPIKING: dict[str, tuple[float, float]] = {
    "cpu": (8.6e-9, 8.6e-9),
    "gpu": (0.3e-9, 0.3e-9),
    "arm": (0.9e-9, 0.9e-9),
    "loihi": (27.1e-12, 81e-12),
    "spinnaker": (13.3e-9, 26e-9),
    "spinnaker2": (450e-12, 2.19e-9),
}
#: Operations per neuron update that NeuroBench books for snnTorch's models.
NEURON_OPERATIONS: dict[str, int] = {
    "leaky": 4,
    "synaptic_subtract": 6,
    "synaptic_zero": 8,
    "lapicque": 11,
    "alpha_subtract": 18,
    "alpha_zero": 24,
}


@dataclass(frozen=True, eq=False)
class LayerRun:
    """A layer and what went through it in b samples of t steps.

    Attributes
    ----------
    weights : (post, pre)
    inputs : (b, t, pre)
        Binary inputs cost an accumulate per nonzero weight, others a multiply-accumulate.
    outputs : (b, t, post) or None
        What the activation layer sent; None for a layer without one.
    membranes : (b, t, post) or None
        Stored membrane after each step, for MembraneUpdates.
    model : str
        Key of `NEURON_OPERATIONS`.
    """

    weights: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray | None = None
    membranes: np.ndarray | None = None
    model: str = "leaky"

    def __post_init__(self) -> None:
        post, pre = np.shape(self.weights)
        for name, size in (("inputs", pre), ("outputs", post), ("membranes", post)):
            array = getattr(self, name)
            if array is not None and (np.ndim(array) != 3 or np.shape(array)[2] != size):
                got = np.shape(array)
                raise RunError(f"{name} of a layer of weights {(post, pre)} must be (b, t, {size}), not {got}")
        if self.model not in NEURON_OPERATIONS:
            raise RunError(f"unknown neuron model {shown(self.model)}: one of {', '.join(NEURON_OPERATIONS)}")


def footprint(arrays: Sequence[np.ndarray], buffers: int = 0) -> int:
    """Bytes of all parameters, zeros included, and of `buffers`."""
    return int(sum(np.asarray(a).nbytes for a in arrays)) + buffers


def connection_sparsity(weights: Sequence[np.ndarray]) -> float:
    """Share of weights that are zero, rounded to 4 decimals as NeuroBench does."""
    total = sum(np.size(w) for w in weights)
    zero = total - sum(int(np.count_nonzero(w)) for w in weights)
    return round(zero / total, 4) if total else 0.0


def activation_sparsity(outputs: Sequence[np.ndarray]) -> float:
    """Share of outputs that are zero, over all layers, samples and steps."""
    total = sum(np.size(o) for o in outputs)
    return 1.0 - sum(int(np.count_nonzero(o)) for o in outputs) / total if total else 0.0


def synaptic_operations(layers: Sequence[LayerRun]) -> dict[str, float]:
    """NeuroBench's SynapticOperations per sample: "Effective_MACs", "Effective_ACs", "Dense"."""
    counts = {"Effective_MACs": 0.0, "Effective_ACs": 0.0, "Dense": 0.0}
    for layer in layers:
        samples, steps, _ = layer.inputs.shape
        used = np.count_nonzero(layer.inputs, axis=(0, 1)) @ np.count_nonzero(layer.weights, axis=0)
        values = np.unique(layer.inputs)
        binary = np.isin(values, (0, 1)).all() or np.isin(values, (0, -1)).all()
        counts["Effective_ACs" if binary else "Effective_MACs"] += float(used) / samples
        counts["Dense"] += float(layer.weights.size * steps)
    return counts


def membrane_updates(layers: Sequence[LayerRun]) -> float:
    """Neuron-steps per sample in which the stored membrane changed; the first step counts in full."""
    total, samples = 0, 1
    for layer in layers:
        if layer.membranes is None:
            raise RunError("membrane updates need the membranes of every layer: record 'v'")
        samples, _, neurons = layer.membranes.shape
        total += samples * neurons + int(np.count_nonzero(np.diff(layer.membranes, axis=1)))
    return total / samples


def neurobench(layers: Sequence[LayerRun], buffers: int = 0) -> dict[str, Any]:
    """All of NeuroBench's static and workload metrics of a feed-forward stack, under its names."""
    weights = [layer.weights for layer in layers]
    outputs = [layer.outputs for layer in layers if layer.outputs is not None]
    result: dict[str, Any] = {
        "Footprint": footprint(weights, buffers),
        "ParameterCount": int(sum(w.size for w in weights)),
        "ConnectionSparsity": connection_sparsity(weights),
        "ActivationSparsity": activation_sparsity(outputs),
        "SynapticOperations": synaptic_operations(layers),
    }
    if all(layer.membranes is not None for layer in layers):
        updates = membrane_updates(layers)
        each = [membrane_updates([layer]) * NEURON_OPERATIONS[layer.model] for layer in layers]
        dense = [layer.inputs.shape[1] * len(layer.weights) * NEURON_OPERATIONS[layer.model] for layer in layers]
        result["MembraneUpdates"] = updates
        result["NeuronOperations"] = {
            "Effective Neuron Ops": float(sum(each)),
            "Neuron Dense Ops": float(sum(dense)),
        }
    return result


def energy_45nm(acs: float, macs: float = 0.0, precision: str = "fp32") -> float:
    """Joules of accumulates and multiply-accumulates in 45 nm CMOS."""
    if precision not in OPERATIONS_45NM:
        raise RunError(f"unknown precision {shown(precision)}: one of {', '.join(OPERATIONS_45NM)}")
    cost = OPERATIONS_45NM[precision]
    return acs * cost["AC"] + macs * cost["MAC"]


def yin_operations(kind: str, inputs: int, neurons: int, rate_in: float, rate_out: float) -> tuple[float, float]:
    """(ACs, MACs) of a recurrent layer per step as Yin, Corradi and Bohte 2021 count them.

    `kind`: "lif" (m n Fr_in + n n Fr_out accumulates, n multiply-accumulates), "alif" (2 n Fr_out and 2 n
    more), "lstm" (4 (m n + n n) + 17 n multiply-accumulates, rates unused).
    """
    m, n = inputs, neurons
    if kind == "lstm":
        return 0.0, 4.0 * (m * n + n * n) + 17.0 * n
    acs = m * n * rate_in + n * n * rate_out
    if kind == "lif":
        return acs, float(n)
    if kind == "alif":
        return acs + 2 * n * rate_out, 3.0 * n
    raise RunError(f"unknown kind of layer {shown(kind)}: one of lif, alif, lstm")


def max_active(start: np.ndarray) -> int:
    """Energy complexity of a run: the most neurons that fire in one step, from the bounds (t+1,) of a spike
    log.
    """
    return int(np.diff(start).max(initial=0))


def keras_spiking(synops: float, neuron_steps: float, device: str = "loihi") -> float:
    """Joules in the model of keras-spiking: synaptic operations and neuron updates, nothing else."""
    if device not in KERAS_SPIKING:
        raise RunError(f"unknown device {shown(device)}: one of {', '.join(KERAS_SPIKING)}")
    synop, neuron = KERAS_SPIKING[device]
    return synops * synop + neuron_steps * neuron


def of_result(result: Any, steps_per_inference: int | None = None) -> dict[str, Any]:
    """NeuroBench's names for a run of the emulator, per inference (the whole run if no length is given).

    Effective operations are synaptic events, dense ones every synapse of a dense matrix in every step;
    MembraneUpdates is the number of neurons that had something to do (the emulator skips the others because
    nothing in them would change).
    """
    activity, program = result.activity, result.program
    inferences = activity.steps / (steps_per_inference or activity.steps)
    own = [p for p in program.populations if not p.model.is_input]
    fired = np.bincount(result.raw.spikes.ids, minlength=program.n)
    spikes = sum(int(fired[p.start : p.stop].sum()) for p in own)
    neurons = sum(p.n for p in own)
    sizes = [(program.populations[p.pre].n, program.populations[p.post].n) for p in program.projections]
    dense = sum(pre * post for pre, post in sizes)
    nonzero = int(program.fan_out.events.sum())
    events = float(activity.synaptic_events.sum())
    return {
        "ParameterCount": dense,
        "ConnectionSparsity": round(1.0 - nonzero / dense, 4) if dense else 0.0,
        "ActivationSparsity": 1.0 - spikes / (neurons * activity.steps) if neurons else 0.0,
        "SynapticOperations": {
            "Effective_MACs": 0.0,
            "Effective_ACs": events / inferences,
            "Dense": dense * activity.steps / inferences,
        },
        "MembraneUpdates": float(activity.updates_active.sum()) / inferences,
        "MaxActive": max_active(result.raw.spikes.ptr),
        "Energy45nm_fp32_J": energy_45nm(events) / inferences,
    }
