"""Time per step on workloads W1-W5 beside the peers that are installed, interleaved, medians, as ratios.

`python benchmarks/bench_core.py [W1 W2 …] [--rounds 5] [--threads 1] [--no-peers] [--json FILE]`
Every round runs chipsim and then each peer once; the ratio is the median over rounds of peer / chipsim. chipsim's
time includes its counters per step and core (`result.activity`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import networks
import workloads
from peers import runner_of

import chipsim as cs

PEERS = {"brian2": "peers.brian2_cpp", "numpy": "peers.numpy_loop"}
FOLDER = Path(__file__).parent / "data"
TARGET = {"W1": 2, "W2": 4, "W3": 5, "W4": 25, "W5": 10}


def chipsim_runner(data: dict[str, Any], threads: int = 1, delays: int = 0):
    """Returns run(steps) -> (seconds with counters, spikes), facts about the build."""
    start = time.perf_counter()
    net, inputs = networks.build(data, delays)
    built = time.perf_counter()
    program = cs.compile(net, "unlimited")
    compiled = time.perf_counter()
    emulator = cs.Emulator(program, threads=threads)
    ready = time.perf_counter()
    facts = {"network s": built - start, "compile s": compiled - built, "load s": ready - compiled}
    arrays = emulator._engine.machine.net
    stored = ("packed", "index", "weight", "wide", "narrow", "indptr")
    held = sum(getattr(arrays, name).nbytes for name in stored)
    facts["weights MB"] = held / 1e6
    facts["bytes per synapse"] = held / sum(_synapses(p.synapses) for p in net.projections.values())
    facts["form"] = "dense rows" if arrays.narrow.size > 1 else "sparse rows" if arrays.packed.size > 1 else "kernels"

    def run(steps: int) -> tuple[float, int]:
        emulator.reset()
        begin = time.perf_counter()
        result = emulator.run(inputs, steps)
        spikes = int(result.activity.spikes.sum())
        return time.perf_counter() - begin, spikes

    run(2)
    return run, facts, emulator, inputs


def _synapses(synapses: Any) -> int:
    from chipsim.mappings.network.network import synapse_count

    return synapse_count(synapses)


def measure(name: str, rounds: int, threads: int, peers: bool) -> dict[str, Any]:
    """One workload: medians in µs per step, ratios, spikes of every tool."""
    data = workloads.load(name, FOLDER)
    steps = int(data["T"])
    run, facts, emulator, inputs = chipsim_runner(data, threads)
    runners = {"chipsim": run}
    if str(data["kind"]) == "recurrent":
        runners["chipsim delays 0-8"] = chipsim_runner(data, threads, 8)[0]
        runners["chipsim delays 0-62"] = chipsim_runner(data, threads, 62)[0]
    if threads == 1:
        runners["chipsim 2 threads"] = chipsim_runner(data, 2)[0]
    for module, path in PEERS.items() if peers else ():
        runners |= runner_of(module, path, data)
    times: dict[str, list[float]] = {label: [] for label in runners}
    spikes: dict[str, int] = {}
    for _ in range(rounds):
        for label, runner in runners.items():
            count = steps if label != "NumPy loop" else min(steps, 100)
            seconds, spikes[label] = runner(count)
            times[label].append(seconds / count * 1e6)
    emulator.reset()
    activity = emulator.run(inputs, steps).activity
    events = int(activity.synaptic_events.sum()) / steps
    mine = median(times["chipsim"])
    rows = {
        label: {
            "us per step": median(values),
            "ratio": median([v / c for v, c in zip(values, times["chipsim"])]),
            "spikes": spikes[label],
        }
        for label, values in times.items()
    }
    facts |= {
        "synaptic events per s": events / mine * 1e6,
        "neuron updates per s": int(activity.updates_active.sum() + activity.updates_idle.sum()) / steps / mine * 1e6,
        "spikes per step": int(activity.spikes.sum()) / steps,
    }
    return {"workload": name, "steps": steps, "rows": rows, "facts": facts, "target": TARGET.get(name)}


def show(result: dict[str, Any]) -> None:
    """Print one workload's table."""
    print(f"\n{result['workload']}  ({result['steps']} steps)")
    print(f"  {'':24s}{'µs/step':>12s}{'ratio':>9s}{'spikes':>12s}")
    for label, row in result["rows"].items():
        print(f"  {label:24s}{row['us per step']:12.2f}{row['ratio']:9.2f}{row['spikes']:12d}")
    facts = result["facts"]
    print(
        f"  {facts['synaptic events per s'] / 1e9:.2f} G synaptic events/s, "
        f"{facts['neuron updates per s'] / 1e9:.2f} G neuron updates/s, {facts['spikes per step']:.0f} spikes/step, "
        f"weights {facts['weights MB']:.2f} MB in {facts['form']} ({facts['bytes per synapse']:.2f} bytes per synapse)"
    )
    print(
        f"  network {facts['network s']:.2f} s, compile {facts['compile s']:.2f} s, load {facts['load s']:.2f} s"
        + (f"; target {result['target']}x Brian2" if result["target"] else "")
    )


def main() -> None:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["W1", "W2", "W3", "W4", "W5"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for name in options.names:
        results.append(measure(name, options.rounds, options.threads, not options.no_peers))
        show(results[-1])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
