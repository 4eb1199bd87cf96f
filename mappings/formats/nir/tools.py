"""What snnTorch's and Norse's importers take for granted, brought about without changing a spike.

snnTorch 1.0 imports every LIF and CubaLIF with dt = 1e-4, one threshold per layer, r = tau / dt, no resting potential,
reset to zero at once, and takes an IF for a neuron with a leak. Norse 1.1 takes r = 1 and a reset to 0 for every IF
and LIF. Neither knows readouts (LI, CubaLI, I), Threshold or Delay. The recurrence of a neuron has one free scale of
its input and one of its potential; here they are moved into the weights until the importer is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import shown
from chipsim.errors import NetworkError
from chipsim.mappings.builders.units import compact
from chipsim.mappings.network.network import Network, Population, Projection
from chipsim.native.floats import Unit
from chipsim.native.synapses import Conv, FloatSynapses, with_data

from .nodes import NO_LEAK

TOOLS = ("snntorch", "norse")
SNNTORCH_DT = 1e-4  #: seconds per step in its importer


def fitted_to(net: Network, tool: str) -> Network:
    """`net` (of units) in the form that `tool` imports as it is.

    Raises
    ------
    NetworkError
        What the importer cannot be brought to, naming the population.
    """
    if tool not in TOOLS:
        raise NetworkError(f"to_nir: tool={shown(tool)} is not one of {', '.join(TOOLS)}")
    out = Network(net.name)
    out.metadata = dict(net.metadata)
    factors: dict[str, np.ndarray | None] = {}
    for name, p in net.populations.items():
        model, factors[name] = p.model, None
        if not p.model.is_input:
            model, factors[name] = _FITS[tool](p, *_values(p, tool))
        out.add(name, model)
    for name, p in net.projections.items():
        _refuse_cycle(p, tool)
        out.connect(p.pre.name, p.post.name, _scaled(p, factors[p.post.name]), name=name)
    return out


def _values(p: Population, tool: str) -> tuple[Unit, dict[str, Any]]:
    unit: Any = p.model
    v: dict[str, Any] = {k: x if isinstance(x, str) else np.array(unit.per_neuron(k)) for k, x in unit.values.items()}
    if v["sends"] != "above":
        raise NetworkError(f"population '{p.name}' sends '{v['sends']}'; {tool} imports neurons of one spike per step")
    if v["after_spike"] not in ("value", "late_zero", "late_forget") or np.any(v["reset_to"] != 0):
        raise NetworkError(f"population '{p.name}': {tool}'s importer resets every neuron to 0; use reset='zero'")
    late = v["after_spike"] != "value"
    if late and (not np.all(v["at_once"]) or np.any(v["threshold"] <= 0)):
        raise NetworkError(f"population '{p.name}': {tool}'s importer resets at once; use reset_delay=False")
    return unit, v


def _for_norse(p: Population, unit: Unit, v: dict[str, Any]) -> tuple[Unit, np.ndarray | None]:
    """r = 1 where there is no current: the input's gain is the leak."""
    if np.any(v["gain"]):
        return Unit(p.shape, **{**unit.values, "after_spike": "value"}), None
    leak = np.where(v["kept"] == 1.0, 1.0, 1 - v["kept"])
    if np.any(v["kept"] == 1.0) and np.any(v["constant"]):
        raise NetworkError(f"population '{p.name}': a bias of a neuron without leak; give it as an input's bias")
    factor = v["input_gain"] / leak
    made = {"input_gain": compact(leak), "bias": compact(v["bias"] * factor), "after_spike": "value"}
    return Unit(p.shape, **{**unit.values, **made}), factor


def _for_snntorch(p: Population, unit: Unit, v: dict[str, Any]) -> tuple[Unit, np.ndarray | None]:
    """Threshold 1, gains 1, no constant, a leak."""
    current = bool(np.any(v["gain"]))
    threshold = v["threshold"]
    if np.any(threshold <= 0) or np.any(v["v"]) or np.any(v["i"]):
        raise NetworkError(f"population '{p.name}': snnTorch's neurons start at 0, below a threshold above 0")
    constant = v["constant"] / threshold
    if current and np.any(constant):
        raise NetworkError(f"population '{p.name}': snnTorch's Synaptic has no bias behind its current; drop it")
    if current and np.any(v["input_gain"]):
        raise NetworkError(f"population '{p.name}': snnTorch's Synaptic takes its input through its current only")
    if np.any(v["current_after"] != 1) and current:
        raise NetworkError(f"population '{p.name}': snnTorch's current decays before it acts")
    factor = (v["current_gain"] * v["gain"] if current else v["input_gain"]) / threshold
    made: dict[str, Any] = {
        "threshold": 1.0, "constant": 0.0, "kept": compact(np.where(v["kept"] == 1.0, 1 - NO_LEAK, v["kept"])),
        "bias": compact(v["bias"] * factor + constant), "after_spike": "value",
    }  # fmt: skip
    made |= {"current_gain": 1.0, "gain": 1.0} if current else {"input_gain": 1.0}
    return Unit(p.shape, **{**unit.values, **made}), factor


_FITS = {"norse": _for_norse, "snntorch": _for_snntorch}


def _refuse_cycle(p: Projection, tool: str) -> None:
    if tool == "snntorch" and p.pre is p.post:
        raise NetworkError(f"projection '{p.name}' is recurrent; snnTorch 1.0 fails to import recurrent graphs")


def _scaled(p: Projection, factor: np.ndarray | None) -> Any:
    """Synapses times a factor per target; a convolution stays one if its channels allow."""
    if factor is None:
        return p.synapses
    if isinstance(p.synapses, Conv):
        c = p.synapses
        channels = np.broadcast_to(factor, (p.post.n,)).reshape(p.post.shape) if len(p.post.shape) == 3 else None
        if channels is not None and c.channels == "first" and np.all(channels == channels[:, :1, :1]):
            kernel = c.floats * channels[:, 0, 0][:, None, None, None]
            return Conv(kernel, c.input_shape, c.stride, c.padding, c.dilation, c.groups, c.channels)
        raise NetworkError(f"projection '{p.name}': thresholds or gains differ within a channel of a convolution")
    matrix = p.synapses.weights
    full = np.broadcast_to(factor, (p.post.n,))
    if sp.issparse(matrix):
        rows = sp.csc_array(matrix).indices
        return FloatSynapses(with_data(matrix, matrix.data * full[rows]), p.synapses.delays)
    return FloatSynapses(np.asarray(matrix, np.float64) * full[:, None], p.synapses.delays)
