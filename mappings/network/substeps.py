"""Several steps of the chip for one step of the tool, for neurons that send several spikes in a step.

A chip whose spikes carry no number sends one spike per step. With k of its steps to one of the tool's, a neuron sends
up to k; its input arrives in the first of them. Decays become k-th roots and a bias is spread over the k steps; what
an input adds to v in all stays as it is (keeping the response to a constant input instead makes neurons that often
spike several times 2 to 10 % faster: a leak acts on what a reset leaves, not on what a step adds). Neurons without leak
count exactly what the tool counts once all input has arrived; where inhibition follows excitation by some of the k
steps, or with leaks, counts are close.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import whole
from chipsim.errors import NetworkError
from chipsim.native.floats import Unit
from chipsim.native.synapses import MAX_DELAY, Conv, FloatSynapses, with_data

from .network import Network

MOST = 64  #: steps of the chip in one of the tool


def substepped(net: Network, substeps: int) -> Network:
    """A network from `from_nir` with `substeps` steps of the chip in each of the tool; 1 returns it as it is.

    Raises
    ------
    NetworkError
        Neurons that send one spike per step (they could send more), delays that become too long.
    """
    whole(substeps, "substeps", 1, MOST)
    if substeps == 1:
        return net
    out = Network(net.name)
    out.metadata = {**net.metadata, "nir": {**net.metadata.get("nir", {}), "substeps": substeps}}
    depth = net.metadata.get("nir", {}).get("depth", {})
    for name, p in net.populations.items():
        out.add(name, _unit(name, p.model, substeps) if isinstance(p.model, Unit) else p.model)
    for name, p in net.projections.items():
        if p.rule is not None:
            raise NetworkError(
                f"projection '{name}' learns, and its rule's time constants count steps: with substeps={substeps} they "
                "would be others; use substeps=1"
            )
        ahead = depth.get(p.post.name, 1) - depth.get(p.pre.name, 0)
        out.connect(p.pre.name, p.post.name, _delayed(name, p.synapses, ahead, substeps), name=name)
    return out


def spread(inputs: np.ndarray, substeps: int) -> np.ndarray:
    """(steps, ...) inputs of the tool as (steps * substeps, ...): each in the first of its substeps."""
    out = np.zeros((len(inputs) * substeps, *inputs.shape[1:]), inputs.dtype)
    out[::substeps] = inputs
    return out


def gathered(record: np.ndarray, substeps: int, *, last: bool = False) -> np.ndarray:
    """(steps * substeps, ...) of the chip as (steps, ...) of the tool: sums of spikes, or the last value."""
    parts = record.reshape(len(record) // substeps, substeps, *record.shape[1:])
    return parts[:, -1] if last else parts.sum(axis=1, dtype=np.int64)


def _unit(name: str, unit: Unit, k: int) -> Unit:
    v: dict[str, Any] = dict(unit.values)
    if v["sends"] not in ("many", "value"):
        raise NetworkError(
            f"population '{name}' sends one spike per step; in {k} substeps it could send {k}: leave substeps at 1"
        )
    alpha, beta = v["kept"], v["current_kept"] * v["current_after"]
    root, slow = _root(beta, k), beta > 0
    v["current_gain"] = np.where(slow, v["current_gain"] * _lost(beta, root, k), v["current_gain"])
    v |= {"kept": _root(alpha, k), "current_kept": np.where(slow, root, v["current_kept"])}
    v |= {"current_after": np.where(slow, 1.0, v["current_after"])}
    v |= {"bias": v["bias"] / k, "constant": v["constant"] / k}
    if v["sends"] == "many":
        v["sends"] = "reached"
    return Unit(unit.shape, **v)


def _root(decay: np.ndarray, k: int) -> np.ndarray:
    if np.any(decay < 0):
        raise NetworkError(f"a decay of {decay.min():g} per step has no {k}-th root")
    return decay ** (1.0 / k)


def _lost(decay: np.ndarray, root: np.ndarray, k: int) -> np.ndarray:
    """What a substep loses, as a share of what a step loses: 1 / k without leak."""
    leaky = decay < 1
    return np.where(leaky, (1 - root) / np.where(leaky, 1 - decay, 1.0), 1.0 / k)


def _delayed(name: str, synapses: Any, ahead: int, k: int) -> Any:
    """Delays of the tool times k; layers follow each other in a substep, a cycle takes the tool's whole step."""
    if isinstance(synapses, Conv):
        if ahead < 1:
            raise NetworkError(f"projection '{name}': a recurrent convolution cannot be delayed by {k} substeps")
        return synapses

    def late(delays: Any) -> Any:
        return (delays + 1) * k - 1 if ahead < 1 else (delays - (ahead - 1)) * k + ahead - 1

    longest = int(late(synapses.max_delay))
    if longest > MAX_DELAY:
        raise NetworkError(
            f"projection '{name}': a delay of {longest} substeps; at most {MAX_DELAY} are possible: use fewer substeps"
        )
    if sp.issparse(synapses.delays):
        return FloatSynapses(synapses.weights, with_data(synapses.delays, late(synapses.delays.data)))
    return FloatSynapses(synapses.weights, late(synapses.delays))
