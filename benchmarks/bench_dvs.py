"""SANA-FE's DVS-gesture tutorial, emulated, counted and timed: 18,678 neurons, 3.56 M synapses, 42 cores, 1000 steps.

The network is third-party: `pip install sanafe` brings it as sanafe/examples/dvs_challenge.npz. Every step is compared
with the recorded run in tests/golden/energy; then speed and memory are printed beside SANA-FE's.

    python benchmarks/bench_dvs.py PATH/TO/dvs_challenge.npz
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import chipsim as cs
from chipsim.estimate.costing import GROUPS
from chipsim.native.synapses import Conv

STEPS = 1000
CORES = (1, 4, 16, 16, 4, 1)  # per layer, as in the tutorial
PEER = {"simple": 47.0, "detailed": 43.0}  # steps/s, SANA-FE 2.2.9, one thread, this class of machine
GOLDEN = Path(__file__).parent.parent / "tests" / "golden" / "energy"


def build(path: str) -> tuple[cs.Network, dict[str, np.ndarray]]:
    """The tutorial's network with neurons as (channel, y, x), and the core of each."""
    with np.load(path) as z:
        data = {name: z[name] for name in z.files}
    net = cs.Network("dvs gesture")
    last = net.add("layer0", cs.floats.LIF(1024, threshold=data["thresholds"][0], bias=data["inputs"]))
    shape, sizes = (1, 32, 32), [1024]
    for k in range(1, 5):
        kernel = data[f"conv{k}"].transpose(3, 0, 1, 2).astype(np.float64)
        synapses = Conv(kernel, shape, stride=2 if k == 1 else 1, channels="first")
        shape = synapses.output_shape
        sizes.append(int(np.prod(shape)))
        layer = net.add(f"layer{k}", cs.floats.LIF(sizes[-1], threshold=data["thresholds"][k]))
        net.connect(last, layer, synapses)
        last = layer
    out = net.add("layer5", cs.floats.LIF(11, threshold=data["thresholds"][5]))
    pre, post = np.indices(data["dense1"].shape).reshape(2, -1)
    dense = sp.coo_array((data["dense1"].ravel().astype(np.float64), (post, pre)))  # zeros are synapses there
    net.connect(last, out, cs.floats.Synapses(dense))
    first, placement = 0, {}
    for k, (size, cores) in enumerate(zip([*sizes, 11], CORES)):
        placement[f"layer{k}"] = first + np.minimum(np.arange(size) // (size // cores), cores - 1)
        first += cores
    return net, placement


def compare(result: cs.Result, recorded: dict[str, np.ndarray]) -> None:
    """Print how far counts, joules and times of each step are from the recorded ones."""
    a, est = result.activity, result.estimate()
    pairs = (
        ("fired", a.spikes),
        ("updated", a.updates_active),
        ("packets", a.packets_out),
        ("hops", a.hops),
        ("synaptic_events", a.synaptic_events),
    )
    for name, mine in pairs:
        print(
            f"  {name:16s} {'equal in every step' if np.array_equal(mine.sum(axis=1), recorded[name]) else 'DIFFERS'}"
        )
    lines = est.energy_steps
    lines["network"] = sum(lines[line] for line in GROUPS["network"])
    for name in ("synapse", "soma", "network"):
        real = recorded[f"energy_{name}"]
        worst = np.max(np.abs(lines[name] - real) / np.where(real == 0, 1, real))
        print(f"  energy {name:9s} largest deviation of a step {worst:.1e}")
    simple = np.max(np.abs(est.step_time / recorded["time_simple"] - 1))
    print(f"  time simple      largest deviation of a step {simple:.1e}")
    for timing, name, steps in (("detailed", "time_detailed", STEPS), ("noc", "time_cycle_first20", 20)):
        mine = result.estimate(timing=timing).step_time[:steps].sum()
        print(f"  time {timing:11s} {mine:.6g} s, recorded {recorded[name][:steps].sum():.6g} s, in {steps} steps")


def main(path: str) -> None:
    """Build, run, compare, and print speed and memory."""
    begin = time.process_time()
    net, placement = build(path)
    program = cs.compile(net, GOLDEN / "arch" / "P_loihi8x4x4.json", placement=placement)
    emulator = cs.Emulator(program)
    emulator.run(steps=1, masks=True)
    emulator.reset()
    print(f"building and loading: {time.process_time() - begin:.1f} s")
    with np.load(GOLDEN / "dvs_gesture_1000.npz") as z:
        recorded = {name: z[name] for name in z.files}
    begin = time.process_time()
    result = emulator.run(steps=STEPS, masks=True)
    ran = time.process_time() - begin
    compare(result, recorded)
    for timing, peer in PEER.items():
        begin = time.process_time()
        joules = result.estimate(timing=timing).total_energy
        rate = STEPS / (ran + time.process_time() - begin)
        print(f"emulation with timing {timing:8s} {rate:8,.0f} steps/s, {rate / peer:5.1f} x SANA-FE ({joules:.5g} J)")
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB (SANA-FE 4,400 MB)")


if __name__ == "__main__":
    main(sys.argv[1])
