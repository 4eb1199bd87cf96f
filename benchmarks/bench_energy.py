"""Emulation with energy and time on a gesture-sized network: steps per second and peak memory beside SANA-FE.

The network is that of examples/gesture_energy.py (18,678 neurons, 3.56 M synapses, random weights) on SANA-FE's Loihi
floor plan, its layers on 1, 4, 16, 16, 4 and 1 cores; counters, active neurons, joules and times of every step are
included. SANA-FE's speeds are those of its own DVS-gesture network, whose work per step is given beside ours
(benchmarks/bench_dvs.py runs that one).

    python benchmarks/bench_energy.py [--steps 1000] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from bench_dvs import CORES, GOLDEN, PEER
from gesture_energy import network

import chipsim as cs

TARGET = {"simple": 20, "detailed": 10}  # times SANA-FE
COUNTS = {
    "packets": "packets_out",
    "synaptic_events": "synaptic_events",
    "fired": "spikes",
    "updated": "updates_active",
}


def placement(net: cs.Network) -> dict[str, np.ndarray]:
    """Each layer in order on its cores, one layer after the other."""
    first, found = 0, {}
    for (name, population), cores in zip(net.populations.items(), CORES):
        size = population.n // cores
        found[name] = first + np.minimum(np.arange(population.n) // size, cores - 1)
        first += cores
    return found


def measure(emulator: cs.Emulator, steps: int, timing: str) -> tuple[float, Any]:
    """Processor seconds of a run from rest with its estimate, and the estimate."""
    emulator.reset()
    begin = time.process_time()
    est = emulator.run(steps=steps, masks=timing != "simple").estimate(timing=timing)
    joules, seconds = est.total_energy, est.latency
    assert joules > 0 and seconds > 0
    return time.process_time() - begin, est


def main() -> None:
    """Print one line per timing model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    net = network("float")
    begin = time.process_time()
    program = cs.compile(net, GOLDEN / "arch" / "P_loihi8x4x4.json", placement=placement(net))
    emulator = cs.Emulator(program)
    built = time.process_time() - begin
    rows: dict[str, Any] = {"build_s": built}
    for timing, peer in PEER.items():
        measure(emulator, 2, timing)  # compiles
        spent, est = min((measure(emulator, args.steps, timing) for _ in range(3)), key=lambda pair: pair[0])
        rate = args.steps / spent
        rows[timing] = {"steps_per_s": rate, "times_sanafe": rate / peer, "target": TARGET[timing]}
        rows[timing] |= {"energy_J": est.total_energy, "latency_s": est.latency}
    totals = emulator.run(steps=args.steps).activity.totals()
    with np.load(GOLDEN / "dvs_gesture_1000.npz") as z:
        rows["per_step"] = {n: [totals[c] / args.steps, float(z[n].mean())] for n, c in COUNTS.items()}
    rows["peak_memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(rows, indent=1)) if args.json else show(rows)


def show(rows: dict[str, Any]) -> None:
    """The rows as text."""
    print(f"mapping and loading {rows['build_s']:.1f} s")
    for name, (mine, peers) in rows["per_step"].items():
        print(f"{name.replace('_', ' '):16s} {mine:10,.0f} a step (SANA-FE's network {peers:,.0f})")
    for timing in TARGET:
        r = rows[timing]
        print(
            f"timing {timing:9s} {r['steps_per_s']:8,.0f} steps/s, {r['times_sanafe']:5.1f} x SANA-FE (target "
            f"{r['target']} x); {r['energy_J']:.4g} J, {r['latency_s']:.4g} s"
        )
    print(f"peak memory {rows['peak_memory_MB']:,.0f} MB (target 1,000, SANA-FE 4,400)")


if __name__ == "__main__":
    main()
