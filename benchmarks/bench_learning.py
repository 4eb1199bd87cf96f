"""Time per step of W6 (W1 with pair STDP on every synapse) beside Brian2, interleaved, medians, as ratios.

`python benchmarks/bench_learning.py [--rounds 5] [--steps 2000] [--no-peers] [--json FILE]`
chipsim runs the rule in three forms: 8-bit weights rounded stochastically (what a chip does), 8-bit weights rounded to
nearest, and float64 weights on the float chip. Its time includes the counters per step and core. "fixed weights" is
the same network without learning. All times are CPU time of one thread: that is what Brian2's standalone mode reports
of its own run (`std::clock`), and on a shared machine the two would not compare otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).parent))
import workloads
from peers import runner_of

import chipsim as cs

FOLDER = Path(__file__).parent / "data"
TARGET = 5
RULE = """
def pair(w, x, y, pre, post):
    w = w + a_plus * x * post
    w = w - a_minus * y * pre
"""


def pair_rule(data: dict[str, Any], weight: Any) -> Any:
    """Additive pair STDP with the workload's constants."""
    return cs.rules.declare(
        RULE,
        traces={
            "x": cs.rules.Trace("pre", float(data["tau_plus"])),
            "y": cs.rules.Trace("post", float(data["tau_minus"])),
        },
        constants={"a_plus": float(data["A_plus"]), "a_minus": float(data["A_minus"])},
        bounds=(float(data["wmin"]), float(data["wmax"])),
        weight=weight,
    )


def emulator_of(data: dict[str, Any], form: str) -> cs.Emulator:
    """W6 on a chip: `form` is "fixed", "stochastic", "nearest" or "float"."""
    n = int(data["N"])
    weights = sp.csc_array((data["weights"], data["indices"], data["indptr"]), shape=(n, n))
    net = cs.Network("W6")
    if form == "float":
        bias = data["bias_mant"].astype(float) * 2.0 ** int(data["bias_exp"]) / 64
        decays = {"du": (int(data["du"]) + 1) / 4096, "dv": int(data["dv"]) / 4096}
        a = net.add("a", cs.floats.LavaLIF(n, vth=float(data["vth"]), bias=bias, v=data["v0"] / 64, **decays))
        net.connect(a, a, cs.floats.Synapses(weights), rule=pair_rule(data, None))
        return cs.Emulator(cs.compile(net, "float"))
    registers = {name: int(data[name]) for name in ("du", "dv", "vth", "bias_exp")}
    a = net.add("a", cs.loihi.LIF(n, bias_mant=data["bias_mant"], v=data["v0"], **registers))
    rule = None if form == "fixed" else pair_rule(data, cs.rules.Fixed(8, 1.0, rounding=form))
    net.connect(a, a, cs.loihi.Synapses(weights, sign="mixed"), rule=rule)
    return cs.Emulator(cs.compile(net, "unlimited"))


def runner(emulator: cs.Emulator):
    """run(steps) -> (CPU seconds with counters, spikes), from the initial weights."""

    def run(steps: int) -> tuple[float, int]:
        emulator.reset()
        begin = time.process_time()
        spikes = int(emulator.run(steps=steps).activity.spikes.sum())
        return time.process_time() - begin, spikes

    run(2)
    return run


def measure(rounds: int, steps: int, peers: bool) -> dict[str, dict[str, float]]:
    """Rows by label: µs per step (median and least), ratio of each to chipsim's stochastic form, spikes."""
    data = workloads.load("W6", FOLDER)
    labels = {f"chipsim 8 bits {rounding}": rounding for rounding in ("stochastic", "nearest")}
    labels["chipsim float64"] = "float"
    runners = {label: runner(emulator_of(data, form)) for label, form in labels.items()}
    runners["chipsim fixed weights"] = runner(emulator_of(data, "fixed"))
    if peers:
        runners |= runner_of("brian2", "peers.brian2_stdp", data)
    times: dict[str, list[float]] = {label: [] for label in runners}
    spikes: dict[str, int] = {}
    for _ in range(rounds):
        for label, run in runners.items():
            seconds, spikes[label] = run(steps)
            times[label].append(seconds / steps * 1e6)
    first = times["chipsim 8 bits stochastic"]
    return {
        label: {
            "us per step": median(values),
            "least": min(values),
            "ratio": median([v / c for v, c in zip(values, first)]),
            "spikes": spikes[label],
        }
        for label, values in times.items()
    }


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(options.rounds, options.steps, not options.no_peers)
    print(f"W6, pair STDP on every synapse ({options.steps} steps); target {TARGET}x Brian2")
    print(f"  {'':28s}{'µs/step':>10s}{'least':>10s}{'ratio':>8s}{'spikes':>10s}")
    for label, row in rows.items():
        print(f"  {label:28s}{row['us per step']:10.2f}{row['least']:10.2f}{row['ratio']:8.2f}{row['spikes']:10d}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
