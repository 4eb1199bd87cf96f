"""What a DVS-gesture-shaped network costs on Loihi: energy by category, three models of time, a report page.

Four convolutions and a dense layer with the sizes of SANA-FE's DVS-gesture tutorial (18,678 neurons, 3.56 M synapses)
and random weights: the work is that of the real network, the answers are not. A picture drives the first layer as a
constant current. `python examples/gesture_energy.py OUT [--steps 100]` maps it onto as many cores as its
synapses need, runs it, prints what it costs and writes OUT/report.html. It is a network file as well:
`chipsim sweep examples/gesture_energy.py --steps 50 --vary cores_per_tile=1,2,4`.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.native.synapses import Conv

SIDE = 32
CHANNELS = (16, 32, 64, 11)  # of the convolutions, 3 x 3 each, the first one with stride 2
THRESHOLDS = (255, 400, 350, 280, 370, 340)
WEIGHTS = (
    (2, 79),
    (-1, 57),
    (0, 40),
    (-2, 44),
    (-2, 35),
)  # mean and spread, with which a step sees 2 % of the neurons fire


def picture(rng: np.random.Generator) -> np.ndarray:
    """(32, 32) currents 0..255: two blurred bars, zero elsewhere, as where a hand moves."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    bars = np.exp(-(((x - 0.35) / 0.05) ** 2)) + np.exp(-(((y - 0.6 - 0.2 * x) / 0.07) ** 2))
    image = np.round(48 * bars + 12 * rng.random((SIDE, SIDE))).clip(0, 255)
    return np.where(image > 12, image, 0).astype(np.int64)


def even(weights: np.ndarray) -> np.ndarray:
    """Weights of mixed sign are even on Loihi."""
    return 2 * np.round(weights / 2).clip(-128, 127).astype(np.int64)


def neurons(kind: str, n: int, threshold: int, current: Any = 0) -> Any:
    """Neurons that sum up without leak and start again from 0: in Loihi's integers, or the same in floats."""
    if kind == "float":
        return cs.floats.LIF(n, threshold=threshold, bias=np.asarray(current, float))
    return cs.loihi.LIF(n, du=4095, dv=0, vth=threshold, bias_mant=current, bias_exp=6)


def network(kind: str = "loihi", seed: int = 0) -> cs.Network:
    """The network in Loihi's integers ("loihi"), or with the same numbers as floats ("float")."""
    rng = np.random.default_rng(seed)
    net = cs.Network("gesture-shaped")
    number = np.float64 if kind == "float" else np.int64
    last = net.add("pixels", neurons(kind, SIDE * SIDE, THRESHOLDS[0], picture(rng).ravel()))
    shape = (1, SIDE, SIDE)
    for k, channels in enumerate(CHANNELS):
        kernel = even(rng.normal(*WEIGHTS[k], (channels, 3, 3, shape[0]))).astype(number)
        conv = Conv(kernel, shape, stride=2 if k == 0 else 1, channels="first")
        shape = conv.output_shape
        layer = net.add(f"conv{k + 1}", neurons(kind, int(np.prod(shape)), THRESHOLDS[k + 1]))
        net.connect(last, layer, conv)
        last = layer
    out = net.add("gestures", neurons(kind, 11, THRESHOLDS[5]))
    dense = even(rng.normal(*WEIGHTS[4], (11, int(np.prod(shape)))))
    full = cs.floats.Synapses(dense.astype(float)) if kind == "float" else cs.loihi.Synapses(dense, sign="mixed")
    net.connect(last, out, full)
    return net


def times(result: cs.Result) -> dict[str, Any]:
    """Estimates under the three models of time, and what they say of the pace."""
    found = {name: result.estimate(timing=name) for name in ("simple", "detailed", "noc")}
    for name, est in found.items():
        per_step = 1e6 * est.step_time
        print(f"timing {name:9s} {per_step.mean():7.2f} us a step, worst {per_step.max():7.2f} us", end="")
        print(f", slowest: {est.bottleneck[1]} of core {est.bottleneck[0]}")
    spread = found["noc"].network_latency or {}
    print("packets on the mesh: " + ", ".join(f"{name} {1e9 * t:.0f} ns" for name, t in spread.items()))
    return found


def main() -> None:
    """Map, run, price; write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="folder of the report")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    program = cs.compile(network(), "loihi")
    print(program)
    result = cs.Emulator(program).run(steps=args.steps, masks=True)
    found = times(result)
    print(found["noc"])
    facts = {f"time, {name}": f"{1e3 * est.latency:.3g} ms" for name, est in found.items()}
    options = {"timing": "noc", "steps_per_inference": args.steps}
    page = result.report(args.out, title="A gesture-shaped network on Loihi", facts=facts, **options)
    print(f"report: {page}")


if __name__ == "__main__":
    main()
