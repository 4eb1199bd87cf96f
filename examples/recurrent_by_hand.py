"""A recurrent network in the chip's own registers: two thousand neurons that keep each other busy.

Nothing is converted here: decays, thresholds and weights are the integers that the chip holds. Run it with
`python examples/recurrent_by_hand.py`; it writes a picture beside itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp

import chipsim as cs


def build(seed: int = 0) -> cs.Network:
    """1,600 excitatory and 400 inhibitory neurons, 5 % connected, delays of 0-7 steps."""
    rng = np.random.default_rng(seed)
    net = cs.Network("balanced")
    registers = {"du": 1023, "dv": 205, "vth": 1024, "bias_exp": 1}
    # A neuron just fires when its bias reaches vth * 2**6 * dv / 4096 = 3280; the biases lie around that.
    e = net.add("exc", cs.loihi.LIF(1600, bias_mant=rng.integers(1560, 2200, 1600), **registers))
    i = net.add("inh", cs.loihi.LIF(400, bias_mant=rng.integers(1560, 2000, 400), **registers))
    for pre, post, weight in ((e, e, 8), (e, i, 8), (i, e, -40), (i, i, -40)):
        weights = sp.random_array((post.n, pre.n), density=0.05, random_state=rng, format="csc")
        weights.data = 2 * np.round(weight * rng.uniform(0.25, 0.75, weights.nnz))
        delays = weights.copy()
        delays.data = rng.integers(0, 8, weights.nnz)
        net.connect(pre, post, cs.loihi.Synapses(weights, delays=delays, sign="mixed"))
    return net


def main() -> None:
    """Map, run, print, plot."""
    program = cs.compile(build(), "loihi", seed=1)
    print(program)
    result = cs.Emulator(program).run(steps=500, record={"exc": ["v"]})
    totals = result.activity.totals()
    rate = totals["spikes"] / result.steps / program.core[program.core >= 0].size
    print(f"{totals['spikes']} spikes ({rate:.1%} of the neurons per step)")
    print(f"{totals['synaptic_events']} synaptic events")
    print(f"{totals['packets_out']} packets between {len(program.cores)} cores, clipped {totals['clipped']} times")
    plot(result, Path(__file__).with_suffix(".png"))


def plot(result: cs.Result, path: Path) -> None:
    """Raster of both populations and one membrane."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, height_ratios=(3, 1), layout="constrained")
    for name, colour, offset in (("exc", "#0072B2", 0), ("inh", "#D55E00", 1600)):
        events = result.events[name]
        top.plot(events["step"], events["neuron"] + offset, ".", ms=1, color=colour, label=name, rasterized=True)
    top.set(ylabel="neuron", title="Spikes of a balanced network on emulated Loihi cores", xlim=(0, result.steps))
    top.legend(loc="upper right", markerscale=8)
    bottom.plot(result.trace["exc"]["v"][:, 0], color="#0072B2", lw=0.8)
    bottom.axhline(1024 << 6, color="k", lw=0.8, ls="--", label="threshold")
    bottom.set(xlabel="step", ylabel="v of exc[0]\n(chip units)")
    bottom.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    print(f"picture: {path.name}")


if __name__ == "__main__":
    main()
