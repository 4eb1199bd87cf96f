"""The plain-NumPy loop that one would write first: sparse rows gathered with scipy, vectors updated with numpy."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse as sp

from .layers import layers

NAME = "NumPy loop"


def build(data: dict[str, Any]):
    """Returns run(steps) -> (seconds, spikes)."""
    chain, given = layers(data)
    fu, fv = 4096 - (int(data["du"]) + 1), 4096 - int(data["dv"])
    sizes = [given.shape[1] if given is not None else chain[0].n]
    rows = []
    for k, layer in enumerate(chain):
        n_pre = sizes[0] if layer.pre < 0 else chain[layer.pre].n
        rows.append(sp.csr_array((layer.w, (layer.i, layer.j)), shape=(n_pre, layer.n)))
        del k

    def run(steps: int) -> tuple[float, int]:
        u = [np.zeros(layer.n, np.int64) for layer in chain]
        v = [layer.v0.astype(np.int64) for layer in chain]
        last = [np.zeros(0, np.int64) for _ in chain]
        before = np.zeros(0, np.int64)
        count = 0
        start = time.perf_counter()
        for t in range(steps):
            fired = []
            for k, layer in enumerate(chain):
                source = before if layer.pre < 0 else last[layer.pre]
                a = np.asarray(rows[k][source].sum(axis=0)).ravel() if source.size else 0
                u[k] = np.sign(u[k]) * ((np.abs(u[k]) * fu) >> 12) + (a << 6 if source.size else 0)
                v[k] = np.sign(v[k]) * ((np.abs(v[k]) * fv) >> 12) + u[k] + layer.bias
                np.clip(v[k], 1 - (1 << 23), (1 << 23) - 1, out=v[k])
                spikes = np.flatnonzero(v[k] > layer.vth << 6)
                v[k][spikes] = 0
                fired.append(spikes)
                count += spikes.size
            last = fired
            if given is not None:
                before = np.flatnonzero(given[t])
        return time.perf_counter() - start, count

    return run
