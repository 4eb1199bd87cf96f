"""What a chip's registers can do about a late start and a bias into the current, after quantising a NIR graph.

A population at depth d runs d steps before its first input can arrive. Its bias acts from the first step on a
chip; it starts at the potential from which these d steps lead to the tool's initial one. A bias that the tool puts
into the synaptic current reaches the potential slowly: with B where it settles, a chip's constant bias B and an
initial current -B that decays come to the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.mappings.network.idealise import response
from chipsim.mappings.network.network import Network
from chipsim.native.effective import effective_bias
from chipsim.native.floats import Unit
from chipsim.native.loihi import LIF as ChipLIF
from chipsim.native.loihi import STATE_MAX, VTH_SHIFT, CountLIF, SoftLIF

STARTED = (ChipLIF, CountLIF, SoftLIF)  #: neurons whose v and u are set here


def started(native: Network, source: Network, units: dict[str, float | None]) -> Network:
    """`native` with initial values that fit the depths and units of `source` (from `from_nir`)."""
    depth = source.metadata.get("nir", {}).get("depth", {})
    out = Network(native.name)
    out.metadata = dict(native.metadata)
    for name, p in native.populations.items():
        model, unit = p.model, units.get(name)
        if type(model) in STARTED and isinstance(source.populations[name].model, Unit):
            tool: Any = source.populations[name].model
            model = _started(model, int(depth.get(name, 0)), _transient(tool, unit))
        out.add(name, model)
    for name, p in native.projections.items():
        out.connect(p.pre.name, p.post.name, p.synapses, rule=p.rule, name=name)
    return out


def _transient(tool: Unit, unit: float | None) -> np.ndarray | None:
    """(n,) current at the tool's first step that makes up for a bias into the current; None if there is none."""
    if unit is None or not np.any(tool.values["bias"]):
        return None
    beta, gain = response(tool)
    settled = np.where(beta > 0, gain / (1 - beta) * tool.per_neuron("bias"), 0.0)
    return np.round(-settled / unit).astype(np.int64) if np.any(settled) else None


def _started(model: Any, steps: int, current: np.ndarray | None) -> Any:
    bias, kept = effective_bias(model), 4096 - model.per_neuron("dv")
    top = model.per_neuron("vth").astype(np.int64) << VTH_SHIFT
    v = model.per_neuron("v").astype(np.int64)
    u = np.zeros(model.n, np.int64) if current is None else np.clip(current, -STATE_MAX, STATE_MAX)
    values = dict(model.values)
    if np.any(bias) or np.any(u):
        for _ in range(steps):
            v = np.clip(_before(v - u - bias, kept), model.per_neuron("vmin"), top)
            u = np.clip(_before(u, 4096 - (model.per_neuron("du") + 1)), -STATE_MAX, STATE_MAX)
        values["v"] = v
        if np.any(u):
            values["u"] = u
    return type(model)(model.shape, **values)


def _before(v: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The smallest potential whose decay, cut toward zero, is v."""
    size = -(-np.abs(v) * 4096 // np.maximum(kept, 1))
    return np.sign(v) * size
