"""One recurrent network on chipsim, in Lava and in nengo-loihi's emulator: the same spikes, bit for bit, and the times.

The network stays where the three arithmetics agree: even weights, exponent 0, no refractory period, no overflow. Each
tool runs if it is installed (`pip install "chipsim[lava]" "nengo>=4" nengo-loihi "numpy<2"` on Python 3.10), else the
table says so. Run it with `python examples/three_tools.py`; it writes a picture beside itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

import chipsim as cs

DU, DV, VTH, BIAS = 1800, 200, 600, 1500
VMAX = (1 << 23) - 1


class Net(NamedTuple):
    """Weights (post, pre) from the input and among the neurons, even integers; input spikes (steps, lines)."""

    given: sp.csc_array
    among: sp.csc_array
    spikes: np.ndarray

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.among.shape[0]


class Run(NamedTuple):
    """What a tool gave: spikes (steps, n) bool, seconds to build and run one step, seconds per further step."""

    spikes: np.ndarray
    start: float
    step: float


def network(n: int, steps: int, lines: int = 50, seed: int = 0) -> Net:
    """`n` neurons, 10 % recurrent, a fifth of them inhibitory, and an input of `lines` lines."""
    rng = np.random.default_rng(seed)

    def weights(pre: int, low: np.ndarray, high: np.ndarray) -> sp.csc_array:
        made = sp.random_array((n, pre), density=0.1, random_state=rng, format="csc")
        column = np.repeat(np.arange(pre), np.diff(made.indptr))
        made.data = 2 * rng.integers(low[column], high[column])
        return made.astype(np.int32)

    inhibitory = np.arange(n) % 5 == 0
    among = weights(n, np.where(inhibitory, -100, 1), np.where(inhibitory, -40, 24))
    given = weights(lines, np.full(lines, 10), np.full(lines, 100))
    return Net(given, among, rng.random((steps, lines)) < 0.05)


def program(net: Net) -> cs.Program:
    """The network compiled for emulated Loihi cores."""
    made = cs.Network("three tools")
    made.add("in", cs.SpikeSource(net.given.shape[1]))
    made.add("a", cs.loihi.LIF(net.n, du=DU, dv=DV, vth=VTH, bias_mant=BIAS))
    made.connect("in", "a", cs.loihi.Synapses(net.given, sign="excitatory"))
    made.connect("a", "a", cs.loihi.Synapses(net.among, sign="mixed"))
    return cs.compile(made, "loihi")


def on_chipsim(net: Net, steps: int) -> np.ndarray:
    """chipsim: compile, load, run."""
    return cs.Emulator(program(net)).run({"in": net.spikes}, steps).spikes["a"]


def in_lava(net: Net, steps: int) -> np.ndarray:
    """Lava: the same program as live processes, in its CPU simulator."""
    from chipsim.mappings.formats.lava.writer import patched_import, to_lava

    patched_import()
    import lava.proc.lif.process  # noqa: F401

    return to_lava(program(net)).run({"in": net.spikes}, steps, record={"a": ("s_out",)})["a"]["s_out"] != 0


def in_nengo_loihi(net: Net, steps: int) -> np.ndarray:
    """nengo-loihi: its emulator, with integers put straight into its blocks (no quantiser in between)."""
    if int(np.__version__.partition(".")[0]) > 1:
        raise ImportError("nengo-loihi 1.1 needs numpy<2")
    from nengo_loihi.block import Axon, LoihiBlock, Synapse
    from nengo_loihi.emulator import EmulatorInterface
    from nengo_loihi.inputs import SpikeInput

    block, source = LoihiBlock(net.n), SpikeInput(net.given.shape[1])
    c = block.compartment
    for name, value in (("decay_u", DU), ("decay_v", DV), ("vth", VTH << 6), ("bias", BIAS), ("refract_delay", 1)):
        setattr(c, name, np.full(net.n, value, np.int32))
    c.scale_u = c.scale_v = False
    c.vmin, c.vmax = -VMAX, VMAX
    for sender, matrix in ((source, net.given), (block, net.among)):
        synapse, axon = Synapse(matrix.shape[1]), Axon(matrix.shape[1])
        rows = list(zip(matrix.indptr[:-1], matrix.indptr[1:]))
        synapse.weights = [matrix.data[None, i:j].astype(np.int32) << 6 for i, j in rows]
        synapse.indices = [matrix.indices[None, i:j].astype(np.int32) for i, j in rows]
        block.add_synapse(synapse)
        axon.target = synapse
        axon.set_compartment_axon_map(np.arange(matrix.shape[1]))
        sender.add_axon(axon)
    for t in range(steps):
        source.add_spikes(t + 1, np.flatnonzero(net.spikes[t]))
    emulator = EmulatorInterface(SimpleNamespace(blocks=[block], inputs=[source], probes=[], dt=1e-3), seed=0)
    spikes = np.zeros((steps, net.n), bool)
    for t in range(steps):
        emulator.step()
        spikes[t] = emulator.compartment.spiked
    return spikes


TOOLS: dict[str, Callable[[Net, int], np.ndarray]] = {
    "chipsim": on_chipsim,
    "Lava": in_lava,
    "nengo-loihi": in_nengo_loihi,
}


def timed(tool: Callable[[Net, int], np.ndarray], net: Net) -> Run:
    """Two runs from scratch: of one step, whose time is the start-up, and of all steps."""
    steps, seconds, spikes = net.spikes.shape[0], [], np.zeros((0, net.n), bool)
    for length in (1, steps):
        before = time.perf_counter()
        spikes = tool(net, length)
        seconds.append(time.perf_counter() - before)
    return Run(spikes, seconds[0], max(seconds[1] - seconds[0], 0.0) / max(steps - 1, 1))


def run_all(net: Net) -> tuple[dict[str, Run], dict[str, str]]:
    """Runs by tool, and why the others did not run."""
    runs, missing = {}, {}
    on_chipsim(net, 1)  # compiles chipsim's kernels, or loads them, once per installation
    for name, tool in TOOLS.items():
        try:
            runs[name] = timed(tool, net)
        except (ImportError, ValueError) as error:
            if isinstance(error, cs.ChipsimError):
                raise
            missing[name] = str(error).splitlines()[0]
    return runs, missing


def table(runs: dict[str, Run], missing: dict[str, str]) -> str:
    """One line per tool: spikes, whether they are chipsim's, start-up and time per step."""
    first = next(iter(runs.values())).spikes
    lines = [f"{'':12} {'spikes':>8}  {'as chipsim':10}  {'start-up':>9}  {'per step':>10}"]
    for name, run in runs.items():
        same = "every bit" if np.array_equal(run.spikes, first) else f"{np.count_nonzero(run.spikes != first)} differ"
        lines.append(f"{name:12} {int(run.spikes.sum()):8,}  {same:10}  {run.start:7.2f} s  {micros(run.step):>7} µs")
    return "\n".join([*lines, *(f"{name:12} not run: {why}" for name, why in missing.items())])


def micros(seconds: float) -> str:
    """Microseconds with one decimal below ten."""
    return f"{1e6 * seconds:,.{1 if seconds < 1e-5 else 0}f}"


def plot(runs: dict[str, Run], path: Path) -> None:
    """Rasters one above the other, and the time per step."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = dict(zip(TOOLS, ("#0072B2", "#D55E00", "#009E73")))
    shape = [[name, "time"] for name in runs]
    figure, axes = plt.subplot_mosaic(
        shape, figsize=(10, 1.2 + 1.8 * len(runs)), width_ratios=(3, 1), layout="constrained"
    )
    for name, run in runs.items():
        step, neuron = np.nonzero(run.spikes)
        axes[name].plot(step, neuron, ".", ms=1.5, color=colours[name], rasterized=True)
        axes[name].set(ylabel="neuron", title=f"{name}: {step.size:,} spikes", xlim=(0, run.spikes.shape[0]))
    axes[list(runs)[-1]].set_xlabel("step")
    bars = axes["time"].bar(list(runs), [1e6 * r.step for r in runs.values()], color=[colours[n] for n in runs])
    axes["time"].bar_label(bars, [micros(r.step) for r in runs.values()], padding=2)
    axes["time"].set(yscale="log", ylabel="time per step (µs)", title="Time per step")
    axes["time"].margins(y=0.1)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run, compare, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=400)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_suffix(".png"))
    chosen = parser.parse_args()
    net = network(chosen.neurons, chosen.steps)
    print(f"{net.n} neurons, {net.among.nnz + net.given.nnz:,} synapses, {chosen.steps} steps")
    runs, missing = run_all(net)
    print(table(runs, missing))
    plot(runs, chosen.picture)
    print(f"picture: {chosen.picture.name}")


if __name__ == "__main__":
    main()
