"""Catalyst N1 timesteps per CPU second, beside its RTL in Verilator and its own simulator.

    python benchmarks/bench_catalyst.py [recorded workload]

Workload: 1 core of 1,024 neurons, 16 random synapses each, 200 timesteps with stimuli to 2 % of the neurons (5,011
spikes; with STDP 11,362). With the recorded file (bench_lif1k.npz) its own network and stimuli are run and compared;
without, a network of the same statistics. Where the reference figures come from: docs/chips/catalyst_n1.md.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import chipsim as cs
from chipsim.engines.catalyst.engine import N1Engine

BUILD = cs.catalyst.Build(cores=1, neurons=1024, pool_bits=15)
#: Timesteps per CPU second of one core: RTL in Verilator 5.006, its SDK's simulator.
REFERENCES = {"lif": (180.0, 475.0), "stdp": (28.5, 3.3)}


def own_workload(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Operations and stimuli with the workload's statistics."""
    rng = np.random.default_rng(seed)
    rows = [(2, 0, n, 16 * n, 16, 0, 0) for n in range(1024)]
    for n in range(1024):
        targets, weights = rng.choice(1024, 16, replace=False), rng.integers(-200, 301, 16)
        rows += [(1, 0, 16 * n + k, n, int(t), int(w), 0) for k, (t, w) in enumerate(zip(targets, weights))]
    t, n = np.nonzero(rng.random((200, 1024)) < 0.02)
    return np.array(rows), np.column_stack([t, 0 * t, n, rng.integers(0, 1501, t.size)])


def measure(
    operations: np.ndarray, stimuli: np.ndarray, flags: int, repeats: int = 5
) -> tuple[float, N1Engine, object]:
    """Timesteps per CPU second (the best of some runs), the engine and its last run."""
    engine = N1Engine(BUILD, operations)
    engine.run(1)  # compiled before anything is measured
    best = 0.0
    for _ in range(repeats):
        engine.reset()
        begun = time.process_time()
        run = engine.run(200, stimuli, flags=flags)
        best = max(best, 200 / (time.process_time() - begun))
    return best, engine, run


def main() -> None:
    """Print one line per workload."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recorded", nargs="?", help="bench_lif1k.npz")
    path = parser.parse_args().recorded
    recorded = dict(np.load(path)) if path else None
    operations, stimuli = (recorded["prog"], recorded["stim"]) if recorded else own_workload()
    for name, flags in (("lif", 0), ("stdp", 1)):
        rate, engine, run = measure(operations, stimuli, flags)
        verilator, sdk = REFERENCES[name]
        line = f"{name:5} {rate:9,.0f} timesteps per CPU second"
        line += f", {rate / verilator:5.0f} x Verilator, {rate / sdk:5.0f} x SDK"
        line += f"; {len(run.spikes):,} spikes, {run.cycles.sum():,} cycles"
        if recorded:
            equal = np.array_equal(run.cycles, recorded[f"cycles_{name}"]) and np.array_equal(
                engine.memory("v")[0], recorded[f"v_final_{name}"]
            )
            line += f"; recorded run {'equal' if equal else 'DIFFERS'}"
        print(line)


if __name__ == "__main__":
    main()
