"""Speed of estimates on traffic of the size of SANA-FE's DVS-gesture network (18,678 neurons on 42 cores, 1000 steps).

The network itself belongs to SANA-FE; its counts per step are recorded in tests/golden/energy. Random spikes of
the same number, with as many packets and synaptic events per spike, cost the same to time. CPU time, one thread.

    python benchmarks/bench_estimate.py
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

import chipsim as cs
from chipsim.estimate.estimate import estimate
from chipsim.estimate.traffic import Spikes, count, pack

NEURONS, CORES, STEPS = 18_678, 42, 1000
PEER = {"simple": 47.0, "detailed": 43.0, "noc": 1.3}  # steps/s of SANA-FE 2.2.9 on this class of machine


def gesture_like() -> Spikes:
    """Random spikes with 365 of them, 2,480 packets and 51,500 synaptic events a step."""
    golden = Path(__file__).parent.parent / "tests" / "golden" / "energy" / "dvs_gesture_1000.npz"
    with np.load(golden) as z:
        fired, packets, events = (int(z[k].sum()) for k in ("fired", "packets", "synaptic_events"))
    rng = np.random.default_rng(0)
    spread = rng.poisson(packets / fired, NEURONS).clip(1, CORES)
    start = np.concatenate([[0], np.cumsum(spread)])
    cores = np.concatenate([np.sort(rng.choice(CORES, k, replace=False)) for k in spread])
    synapses = rng.poisson(events / packets, len(cores)).clip(1)
    spikes = rng.random((STEPS, NEURONS)) < fired / STEPS / NEURONS
    step, neuron = np.nonzero(spikes)
    active = pack(spikes | (rng.random((STEPS, NEURONS)) < 0.83))
    core = np.sort(rng.integers(0, CORES, NEURONS))
    bounds = np.searchsorted(step, np.arange(STEPS + 1))
    return Spikes(bounds, neuron, active, core, np.zeros(NEURONS, bool), start, cores, synapses)


def main() -> None:
    """Print steps per second of counting and of each timing model, and the ratio to the peer."""
    spikes, chip = gesture_like(), cs.chip("loihi")
    counts = count(chip, spikes)
    print(f"{counts.packets_out.sum():,} packets, {counts.events.sum():,} events, {counts.hops.sum():,} hops")
    begin = time.process_time()
    count(chip, spikes)
    print(f"counting           {STEPS / (time.process_time() - begin):12,.0f} steps/s")
    for timing, peer in PEER.items():
        estimate(chip, counts, timing=timing, spikes=spikes)  # compile
        begin = time.process_time()
        est = estimate(chip, counts, timing=timing, spikes=spikes)
        joules = est.total_energy
        rate = STEPS / (time.process_time() - begin)
        print(
            f"timing {timing:10s}  {rate:12,.0f} steps/s, {rate / peer:8,.0f} x SANA-FE; "
            f"{est.latency:.5g} s, {joules:.4g} J"
        )
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB", file=sys.stdout)


if __name__ == "__main__":
    main()
