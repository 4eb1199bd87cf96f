"""Workloads W1-W6 as plain arrays: `python benchmarks/workloads.py FOLDER [W1 W2 …]` writes them as .npz.

One step, all integers: a = sum of weights of spikes of step t - delay (delay 1 unless the file's `delays` are used);
u = tr12(u (4096 - (du + 1))) + (a << 6);  v = clip(tr12(v (4096 - dv)) + u + bias, +-(2^23 - 1));
spike = v > (vth << 6), then v = 0. Weights are even int8 (mixed sign), bias = bias_mant << bias_exp.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("W1", "W2", "W3", "W4", "W5", "W6")


def even(x: Any) -> np.ndarray:
    """Nearest even number."""
    return np.round(np.asarray(x) / 2) * 2


def _targets(rng: np.random.Generator, n: int, degree: int) -> np.ndarray:
    """`degree` different targets of n, ascending."""
    if degree > n // 20:
        return np.sort(rng.permutation(n)[:degree])
    found = np.unique(rng.integers(0, n, size=degree))
    while len(found) < degree:
        found = np.unique(np.concatenate([found, rng.integers(0, n, size=degree - len(found))]))
    return np.sort(found)


def recurrent(
    n: int, k: int, seed: int, bernoulli: bool, steps: int, bias_lo: float = 0.95, bias_hi: float = 1.35
) -> dict[str, Any]:
    """n neurons, k synapses each, 80 % excitatory; every bias lies near the value at which a neuron just fires."""
    rng = np.random.default_rng(seed)
    excitatory, du, dv, vth, bias_exp = int(n * 0.8), 1023, 205, 1024, 1
    degree = rng.binomial(n, k / n, size=n) if bernoulli else np.full(n, k)
    indptr = np.concatenate(([0], np.cumsum(degree))).astype(np.int64)
    indices = np.concatenate([_targets(rng, n, int(d)) for d in degree]).astype(np.int32)
    pre = np.repeat(np.arange(n), degree)
    up = even(rng.uniform(2, 14, size=len(indices)))
    down = even(rng.uniform(20, 60, size=len(indices)))
    weights = np.where(pre < excitatory, up, -down).astype(np.int8)
    threshold = (vth << 6) * dv / 4096
    bias_mant = np.round(threshold * rng.uniform(bias_lo, bias_hi, size=n) / 2**bias_exp).astype(np.int16)
    v0 = rng.integers(0, vth << 6, size=n).astype(np.int32)
    delays = rng.integers(1, 9, size=len(indices)).astype(np.uint8)
    return {
        "kind": "recurrent", "N": n, "indptr": indptr, "indices": indices, "weights": weights, "delays": delays,
        "vth": vth, "du": du, "dv": dv, "bias_mant": bias_mant, "bias_exp": bias_exp, "v0": v0, "T": steps,
    }  # fmt: skip


def dense() -> dict[str, Any]:
    """1024-1024-1024, fully connected, 5 % of the inputs fire in a step."""
    rng = np.random.default_rng(4)
    shape, steps = (1024, 1024), 2000
    weights = [np.clip(even(rng.normal(m, 24, size=shape)), -126, 126).astype(np.int8) for m in (0.0, -0.6)]
    inputs = np.packbits(rng.random((steps, 1024)) < 0.05, axis=1)
    return {
        "kind": "dense", "T": steps, "W0": weights[0], "W1": weights[1], "inp": inputs, "vth": 1024, "du": 1023,
        "dv": 205,
    }  # fmt: skip


def convolutional() -> dict[str, Any]:
    """32x32x2, three 3x3 convolutions to 16, 32 (stride 2) and 64 (stride 2) channels, dense readout of 11."""
    rng = np.random.default_rng(5)
    steps, out = 300, {}
    for i, (c_in, c_out) in enumerate(((2, 16), (16, 32), (32, 64))):
        mean, spread = [9, 1, 0.2][i], [24, 18, 14][i]
        out[f"K{i}"] = np.clip(even(rng.normal(mean, spread, size=(c_out, c_in, 3, 3))), -126, 126).astype(np.int8)
    out["F"] = np.clip(even(rng.normal(0, 8, size=(8 * 8 * 64, 11))), -126, 126).astype(np.int8)
    inputs = rng.random((steps, 2, 32, 32)) < 0.03
    return {
        "kind": "conv", "T": steps, "strides": np.array([1, 2, 2]), "vths": np.array([256, 384, 512, 512]),
        "inp": np.packbits(inputs.reshape(steps, -1), axis=1), "du": 1023, "dv": 205, **out,
    }  # fmt: skip


def make(name: str) -> dict[str, Any]:
    """The arrays of one workload."""
    if name == "W1":
        return recurrent(1_000, 100, 1, True, 10_000)
    if name == "W2":
        return recurrent(10_000, 100, 2, True, 2_000)
    if name == "W3":
        return recurrent(100_000, 100, 3, False, 500, bias_lo=0.9, bias_hi=1.17)
    if name == "W4":
        return dense()
    if name == "W5":
        return convolutional()
    if name == "W6":
        plastic = {"tau_plus": 20.0, "tau_minus": 20.0, "A_plus": 0.5, "A_minus": 0.55, "wmin": -126, "wmax": 126}
        return recurrent(1_000, 100, 6, True, 2_000) | {"kind": "stdp", **plastic}
    raise SystemExit(f"no workload {name}; there are {', '.join(NAMES)}")


def load(name: str, folder: Path) -> dict[str, Any]:
    """A workload, made once and kept in `folder`."""
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make(name))
    with np.load(path) as data:
        return {key: data[key] for key in data.files}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    for wanted in sys.argv[2:] or NAMES:
        load(wanted, Path(sys.argv[1]))
