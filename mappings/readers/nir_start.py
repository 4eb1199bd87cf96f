"""What a chip's registers can do about a late start and a lowest potential, after quantising a NIR graph.

A population at depth d runs d steps before its first input can arrive. Its bias acts from the first step on a
chip; it starts at the potential from which these d steps lead to the tool's initial one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.engines.registers import effective_bias
from chipsim.native.loihi import LIF as ChipLIF
from chipsim.native.loihi import STATE_MAX, VTH_SHIFT

from ..network import Network


def started(native: Network, source: Network, units: dict[str, float | None]) -> Network:
    """`native` with initial and lowest potentials that fit the depths and units of `source` (from `from_nir`)."""
    depth = source.metadata.get("nir", {}).get("depth", {})
    out = Network(native.name)
    out.metadata = dict(native.metadata)
    for name, p in native.populations.items():
        model = p.model
        if type(model) is ChipLIF:
            model = _started(model, int(depth.get(name, 0)), _lowest(source, name, units.get(name)))
        out.add(name, model)
    for name, p in native.projections.items():
        out.connect(p.pre.name, p.post.name, p.synapses, rule=p.rule, name=name)
    return out


def _lowest(source: Network, name: str, unit: float | None) -> int | None:
    model: Any = source.populations[name].model
    lowest = model.values.get("lowest")
    if unit is None or lowest is None or np.any(lowest < -1e299):
        return None
    return -min(round(-float(np.max(lowest)) / unit), STATE_MAX)


def _started(model: ChipLIF, steps: int, lowest: int | None) -> ChipLIF:
    bias, kept = effective_bias(model), 4096 - model.per_neuron("dv")
    top = model.per_neuron("vth").astype(np.int64) << VTH_SHIFT
    v = model.per_neuron("v").astype(np.int64)
    values = dict(model.values)
    if steps and np.any(bias):
        floor = -STATE_MAX if lowest is None else lowest
        for _ in range(steps):
            v = np.clip(_before(v - bias, kept), floor, top)
        values["v"] = v
    if lowest is not None:
        values["vmin"] = lowest
    return type(model)(model.shape, **values)


def _before(v: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The smallest potential whose decay, cut toward zero, is v."""
    size = -(-np.abs(v) * 4096 // np.maximum(kept, 1))
    return np.sign(v) * size
