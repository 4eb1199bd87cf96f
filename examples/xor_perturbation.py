"""XOR by perturbation: float64 sigmoid units, and spiking neurons of an emulated chip, every run counted.

python examples/xor_perturbation.py [--seeds 12] [--only NAME,...] [--out xor_perturbation.png]
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.progress import Progress

from chipsim.mappings.experiments.figures import xor_figure
from chipsim.mappings.experiments.xor import CHIP, FLOAT, NODES, PARALLEL, run
from chipsim.mappings.experiments.xor_chip import XorChip

WAYS = {
    "float": ("float64, weight after weight", FLOAT),
    "serial": ("chip, 8 bits, weight after weight", CHIP),
    "parallel": ("chip, 8 bits, all weights at once", PARALLEL),
    "nodes": ("chip, 8 bits, all nodes at once", NODES),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--only", default="float,serial", help=f"of {','.join(WAYS)}")
    parser.add_argument("--out", default="xor_perturbation.png")
    args = parser.parse_args()
    chosen = [WAYS[name] for name in args.only.split(",")]
    groups = {}
    with Progress() as bar:
        for name, how in chosen:
            task = bar.add_task(name, total=args.seeds)
            groups[name] = run(range(args.seeds), how, progress=lambda *_, task=task: bar.advance(task))
    for name, result in groups.items():
        runs = np.median([r.chip_runs for r in result.runs])
        print(
            f"{name:34} solved {result.solved} of {args.seeds}, median {result.median_epochs:g} epochs, "
            f"{runs:g} runs of the box"
        )
    on_chip = [result for (_, how), result in zip(chosen, groups.values(), strict=True) if how.format is not None]
    if on_chip:
        box = XorChip()
        box(on_chip[0].runs[0].weights)
        estimate = box.last.estimate()
        print(
            f"a run of the chip (four patterns): at least {1e9 * estimate.dynamic_energy:.0f} nJ of events, "
            f"{1e6 * estimate.latency:.0f} us on {estimate.chip.title}, cost set {estimate.cost_set}"
        )
    xor_figure(groups, on_chip=chosen[-1][1].format is not None).savefig(args.out, dpi=150)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
