"""A workload as a chain of layers with explicit synapses, for peers that know neither dense nor conv."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Layer(NamedTuple):
    """One population and the synapses onto it: `pre` -1 is the input, otherwise a layer's index."""

    n: int
    pre: int
    i: np.ndarray  # source of each synapse
    j: np.ndarray  # target
    w: np.ndarray
    vth: int
    bias: np.ndarray
    v0: np.ndarray


def layers(data: dict[str, Any]) -> tuple[list[Layer], np.ndarray | None]:
    """Layers and the (steps, n) input, or None for recurrent workloads."""
    from networks import build

    if str(data["kind"]) in ("recurrent", "stdp"):
        n = int(data["N"])
        i = np.repeat(np.arange(n), np.diff(data["indptr"]))
        bias = data["bias_mant"].astype(np.int64) << int(data["bias_exp"])
        w = data["weights"].astype(np.int32)
        return [Layer(n, 0, i, data["indices"], w, int(data["vth"]), bias, data["v0"])], None
    net, inputs = build(data)
    out = []
    for k, projection in enumerate(net.projections.values()):
        synapses, post = projection.synapses, projection.post
        if hasattr(synapses, "kernel"):
            j, i, index = synapses.targets()
            w = synapses.kernel.ravel()[index].astype(np.int32)
        else:
            matrix = np.asarray(synapses.mantissa)
            j, i = np.nonzero(matrix)
            w = matrix[j, i].astype(np.int32)
        vth = int(post.model.values["vth"])
        zero = np.zeros(post.n, np.int64)
        out.append(Layer(post.n, k - 1, i, j, w, vth, zero, zero))
    given = inputs["in"]
    return out, given.reshape(given.shape[0], -1)
