"""Catalyst N1 configurations and networks for tests: random registers, all interconnects, two small layers."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

import chipsim as cs

BARRIER = cs.catalyst.Build(cores=4, neurons=32, pool_bits=9, fan_in=8)
MESH = BARRIER.with_(interconnect="xy", mesh_columns=2, mesh_rows=2)
LINK = BARRIER.with_(chip_link=True)
WIDE = cs.catalyst.Build(cores=8, neurons=256, pool_bits=11)


def random_operations(rng: np.random.Generator, build: cs.catalyst.Build, *, async_safe: bool = False) -> np.ndarray:
    """Programming operations of a busy random network."""
    rows, n = [], build.neurons
    for c in range(build.cores):
        for k in range(n):
            cuba = rng.random() < 0.4
            values = {
                "thr": rng.integers(200, 900), "leak": rng.integers(0, 20), "rest": rng.integers(-20, 20),
                "refractory": rng.integers(0, 4) | rng.integers(0, 2) << 9, "noise": rng.integers(0, 1 << 8),
                "tau_x1": rng.integers(0, 9), "tau_y1": rng.integers(0, 9), "tau_x2": rng.integers(0, 9),
                "tau_y2": rng.integers(0, 9), "tau_y3": rng.integers(0, 9), "tree": rng.integers(0, 64),
                "h1": rng.integers(-50, 50), "h2": rng.integers(-50, 50), "rate_target": rng.integers(0, 3),
                "rate_eta": rng.integers(0, 60), "noise_target": rng.integers(0, 4), "vmin": -2000, "vmax": 3000,
                "parent": rng.integers(0, n), "join": rng.integers(0, 16), "root": rng.random() < 0.9,
                "axon_type": rng.integers(0, 4),
            }  # fmt: skip
            if cuba:
                values |= {"decay_v": rng.integers(0, 900), "decay_u": rng.integers(1, 3000), "bias": 8}
            rows += [cs.catalyst.parameter(c, k, name, int(v)) for name, v in values.items()]
        for kind in range(1, 4):
            rows.append(cs.catalyst.parameter(c, kind, "axon_config", int(rng.integers(0, 4096))))
        rows.append(cs.catalyst.parameter(c, 0, "epoch", int(rng.integers(1, 3)) << 12 | int(rng.integers(1, 4))))
        at = 0
        for k in range(n):
            count = int(rng.integers(0, 9))
            form = int(rng.choice([0, 0, 0, 1, 2, 3]))
            rows.append((2, c, k, at, count, form, 0))
            for _ in range(count):
                weight = int(rng.integers(-100, 500))
                rows.append((1, c, at, k, int(rng.integers(n)), weight, int(rng.choice([0, 0, 1, 2, 3]))))
                if rng.random() < 0.3:
                    rows.append((5, c, at, int(rng.integers(1, 6)), 0, 0, 0))
                at += 1
            if rng.random() < 0.3:
                weight = int(rng.integers(-300, 20 if async_safe else 900))
                slot = int(rng.integers(4))
                to = (int(rng.integers(build.cores)), int(rng.integers(n)))
                rows.append((int(rng.integers(3, 5)), c, k, slot, *to, weight))
    return np.array(rows, np.int64)


def random_drive(rng: np.random.Generator, build: cs.catalyst.Build, steps: int, share: float = 0.2) -> dict:
    """Stimuli, flags and rewards of a run."""
    t, c, n = np.nonzero(rng.random((steps, build.cores, build.neurons)) < share)
    flags = rng.choice([0, 1, 1 | 16, 2, 4, 32, 255 - 8, 128 | 1 | 64], steps)
    link = np.zeros((0, 4), np.int64)
    if build.chip_link:
        link = np.column_stack([np.sort(rng.integers(0, steps, 20)), rng.integers(0, build.cores, 20),
                                rng.integers(0, build.neurons, 20), rng.integers(0, 256, 20)])  # fmt: skip
    return {
        "stimuli": np.column_stack([t, c, n, rng.integers(-200, 1500, t.size)]), "flags": flags,
        "reward": rng.integers(-300, 300, steps), "stall": rng.integers(0, 5, steps), "link": link,
    }  # fmt: skip


def part(drive: dict, lo: int, hi: int) -> dict:
    """The timesteps lo .. hi - 1 of a drive."""
    out = {}
    for name, values in drive.items():
        if name in ("stimuli", "link"):
            mine = values[(values[:, 0] >= lo) & (values[:, 0] < hi)].copy()
            mine[:, 0] -= lo
            out[name] = mine
        else:
            out[name] = values[lo:hi]
    return out


def two_layers(seed: int = 1, delay: int = 2, **registers) -> cs.Network:
    """Sources, LIF neurons with delayed recurrence, CUBA neurons behind them."""
    rng = np.random.default_rng(seed)
    net = cs.Network("two layers")
    x = net.add("x", cs.SpikeSource(5))
    a = net.add("a", cs.catalyst.LIF(8, thr=100, leak=2, refractory=1, **registers))
    b = net.add("b", cs.catalyst.CUBA(6, thr=300, decay_v=200, decay_u=800))
    net.connect(x, a, cs.catalyst.Synapses(rng.integers(-20, 90, (8, 5))))
    net.connect(a, b, cs.catalyst.Synapses(sp.csc_array(rng.integers(-20, 90, (6, 8))), delays=delay))
    net.connect(a, a, cs.catalyst.Synapses(rng.integers(-30, 20, (8, 8)), delays=rng.integers(1, 4, (8, 8))))
    return net


def drive(steps: int = 60, n: int = 5, rate: float = 0.4, seed: int = 0) -> np.ndarray:
    """Random input spikes (steps, n)."""
    return (np.random.default_rng(seed).random((steps, n)) < rate).astype(int)
