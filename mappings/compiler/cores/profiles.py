"""What neurons of a core must share: decay and threshold profiles, core-wide registers, learning or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.native.base import NeuronModel
from chipsim.native.synapses import Conv, Synapses

from .axons import pattern, starts, total
from .packing import SynapseWidth

#: Registers of a decay (compartment) profile and of a threshold profile: nengo-loihi nxsdk_objects.py.
DECAYS = ("du", "dv", "refractory", "delta_i", "delta_v", "delta_theta", "delta_r")
THRESHOLDS = ("vth", "vth_hi", "vth_lo", "theta_0")
#: What describes the traces of a presynaptic axon in a learning rule.
PRE_TRACE = ("x1_impulse", "x1_tau", "x2_impulse", "x2_tau", "magnitude", "tau")
ANY = -1  #: a neuron that does not mind the value of a shared register

Key = Callable[[NeuronModel], dict[str, Any]]


def decay_key(model: NeuronModel) -> dict[str, Any]:
    """Registers of the decay profile; whether there is noise belongs to it."""
    return {k: model.values[k] for k in DECAYS if k in model.values} | {"noise": _noisy(model)}


def threshold_key(model: NeuronModel) -> dict[str, Any]:
    """Registers of the threshold profile."""
    return {k: model.values[k] for k in THRESHOLDS if k in model.values}


def _noisy(model: NeuronModel) -> bool:
    return model.values.get("noise", "none") != "none"


def profile_ids(net: Network, key: Key) -> np.ndarray:
    """(n,) int64: neurons with equal `key` registers have equal numbers >= 0; input lines have -1."""
    known: dict[tuple, int] = {}
    out = np.full(total(net), -1, np.int64)
    start = starts(net)
    for name, population in net.populations.items():
        if population.model.is_input:
            continue
        part = slice(start[name], start[name] + population.n)
        out[part] = _ids(population, key(population.model), known)
    return out


def _ids(population: Population, values: dict[str, Any], known: dict[tuple, int]) -> np.ndarray:
    names = tuple(values)
    columns = [np.broadcast_to(np.asarray(v, np.float64), (population.n,)) for v in values.values()]
    if all(np.ndim(v) == 0 for v in values.values()):
        distinct, inverse = [tuple(float(c[0]) for c in columns)], np.zeros(population.n, np.int64)
    else:
        rows, inverse = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        distinct = [tuple(row) for row in rows.tolist()]
    numbers = [known.setdefault((names, row), len(known)) for row in distinct]
    return np.asarray(numbers, np.int64)[inverse.reshape(-1)]


def shared_ids(net: Network, register: str) -> np.ndarray:
    """(n,) int64: number of each neuron's value of a core-wide register, `ANY` where it does not matter.

    ``noise_target`` is the ``noise`` register; noise registers matter only to neurons with noise.
    """
    name = "noise" if register == "noise_target" else register
    words: dict[Any, int] = {}

    def values(model: NeuronModel) -> Any:
        if name not in model.values or (name.startswith("noise") and not _noisy(model)):
            return None
        value = model.values[name]
        return words.setdefault(value, len(words)) if isinstance(value, str) else value

    known: dict[tuple, int] = {}
    out = np.full(total(net), ANY, np.int64)
    start = starts(net)
    for label, population in net.populations.items():
        value = values(population.model)
        if value is not None and not population.model.is_input:
            part = slice(start[label], start[label] + population.n)
            out[part] = _ids(population, {name: value}, known)
    return out


def taught(net: Network) -> tuple[np.ndarray, np.ndarray]:
    """Two (n,) bool arrays: neurons with learning synapses, and neurons with fixed ones."""
    learns, fixed = np.zeros(total(net), bool), np.zeros(total(net), bool)
    start = starts(net)
    for projection in net.projections.values():
        flags = learns if projection.rule is not None else fixed
        flags[start[projection.post.name] :][pattern(projection).indices] = True
    return learns, fixed


def learns_at_all(net: Network) -> bool:
    """True if some projection has a rule."""
    return any(p.rule is not None for p in net.projections.values())


def pre_trace_setting(rule: Any) -> tuple:
    """What must be equal for two learning projections to share a presynaptic trace profile."""
    values = tuple(getattr(rule, name, None) for name in PRE_TRACE)
    return values if any(v is not None for v in values) else (id(rule),)


def synapse_format(projection: Projection, width: SynapseWidth, index: int) -> tuple:
    """What the synapse format of a memory block says: sign mode, fields, exponent, index field, learning."""
    synapses = projection.synapses
    sign = synapses.sign if isinstance(synapses, Synapses) else "mixed"
    exponent = synapses.exponent if isinstance(synapses, (Synapses, Conv)) else 0
    return (sign, exponent, *width, index, projection.rule is not None)
