"""Speed of ODIN, tinyODIN and the TrueNorth-class grid on one thread, through their engines.

    python benchmarks/bench_odin.py [--json]

Prints emulated clock cycles per second (event-driven cores) and ticks per second (grid). Best of several runs; every
figure has its stimulus beside it. Targets: ODIN 200 M cycles/s on dense spike events with SDSP; grid of 64 cores x
256 neurons x 256 axons 1,000 ticks/s.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.engines.crossbar.odin import OdinEngine, TinyOdinEngine
from chipsim.engines.grid.core import GridEngine

REPEATS = 5


def best(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the fastest of REPEATS runs (after a warm-up), and the last result."""
    job()
    times = []
    result = None
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = job()
        times.append(time.perf_counter() - start)
    return min(times), result


def odin(events: int = 20_000) -> dict[str, Any]:
    """All 65,536 synapses plastic, all neurons learning, a spike event every 518 cycles."""
    rng = np.random.default_rng(0)
    neurons = cs.odin.LIF(256, thr=200, ca_en=1, theta_mem=64, theta1=0, theta2=7, theta3=7, leak_str=4)
    synapses = cs.odin.pack_synapses(rng.integers(0, 8, (256, 256)))
    engine = OdinEngine(cs.odin.OdinProgram(cs.odin.Registers(open_loop=1), cs.odin.pack(neurons), synapses))
    stream = cs.odin.events.spike(rng.integers(0, 256, events))
    seconds, run = best(lambda: engine.run(stream))
    return {
        "name": "ODIN, dense spike events with SDSP", "cycles_per_s": run.cycles / seconds,
        "events_per_s": events / seconds, "sops_per_s": run.activity["sops"] / seconds, "target": 200e6,
        "unit": "cycles_per_s",
    }  # fmt: skip


def odin_izhikevich(events: int = 2_000) -> dict[str, Any]:
    """All 256 neurons of the phenomenological kind with random registers."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 256, (256, 16)).astype(np.uint8)
    words[:, 0] &= 0xFE
    synapses = cs.odin.pack_synapses(rng.integers(0, 8, (256, 256)))
    engine = OdinEngine(cs.odin.OdinProgram(cs.odin.Registers(open_loop=1), words, synapses))
    stream = cs.odin.events.spike(rng.integers(0, 256, events))
    seconds, run = best(lambda: engine.run(stream))
    return {"name": "ODIN, spike events, 256 Izhikevich neurons", "cycles_per_s": run.cycles / seconds,
            "events_per_s": events / seconds}  # fmt: skip


def tiny(events: int = 20_000) -> dict[str, Any]:
    """Dense spike events on the full crossbar."""
    rng = np.random.default_rng(0)
    synapses = cs.tinyodin.pack_synapses(rng.integers(-8, 8, (256, 256)))
    program = cs.tinyodin.TinyOdinProgram(
        cs.tinyodin.Registers(open_loop=1), cs.tinyodin.pack(cs.tinyodin.LIF(256, thr=60, leak_str=3)), synapses
    )
    engine = TinyOdinEngine(program)
    stream = cs.tinyodin.events.spike(rng.integers(0, 256, events))
    seconds, run = best(lambda: engine.run(stream))
    return {"name": "tinyODIN, dense spike events", "cycles_per_s": run.cycles / seconds,
            "events_per_s": events / seconds}  # fmt: skip


def grid(threshold: int, leak: int, ticks: int = 200) -> dict[str, Any]:
    """8 x 8 cores of 256 x 256, a quarter of the crossbar connected, destinations uniform over the grid."""
    rng = np.random.default_rng(0)
    cores, size = 64, (64, 256)
    k = np.arange(cores)[:, None]
    program = cs.truenorth.GridProgram(
        columns=8, rows=8, crossbar=rng.random((cores, 256, 256)) < 0.25, axon_type=rng.integers(0, 4, size),
        weight=rng.integers(-20, 30, (*size, 4)), thr=threshold, negthr=-100, leak=rng.integers(0, leak + 1, size),
        v=rng.integers(0, threshold, size), dx=rng.integers(0, 8, size) - k % 8, dy=rng.integers(0, 8, size) - k // 8,
        axon=rng.integers(0, 256, size), delay=rng.integers(0, 4, size),
    )  # fmt: skip
    engine = GridEngine(program)
    engine.run(ticks=20)
    seconds, run = best(lambda: engine.run(ticks=ticks))
    return {
        "name": f"grid, 64 cores, {len(run.spikes) / ticks / cores / 256:.1%} of the neurons spike per tick",
        "ticks_per_s": ticks / seconds, "cycles_per_s": run.cycles / seconds, "spikes_per_s": len(run.spikes) / seconds,
        "target": 1000, "unit": "ticks_per_s",
    }  # fmt: skip


def main() -> None:
    rows = [odin(), odin_izhikevich(), tiny(), grid(250, 1), grid(200, 1), grid(90, 3)]
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        figures = [f"{v / 1e6:9.1f} M {k}" if v > 1e5 else f"{v:9.0f} {k}" for k, v in row.items()
                   if isinstance(v, float)]  # fmt: skip
        print(f"{row['name']:62s}", "  ".join(figures))


if __name__ == "__main__":
    main()
