"""XOR by weight perturbation: float64 and eight-bit weights, every run of the black box counted.

python examples/xor_perturbation.py [--seeds 12] [--out xor_perturbation.png]
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.progress import Progress

from mappings.experiments.learning_figures import xor_figure
from mappings.experiments.xor_perturbation import CHIP, FLOAT, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--out", default="xor_perturbation.png")
    args = parser.parse_args()
    groups = {}
    with Progress() as bar:
        for name, how in (("float64", FLOAT), ("8 bits, stochastic rounding", CHIP)):
            task = bar.add_task(name, total=args.seeds)
            groups[name] = run(range(args.seeds), how, progress=lambda *_, task=task: bar.advance(task))
    for name, result in groups.items():
        runs = np.median([r.chip_runs for r in result.runs])
        print(
            f"{name:28} solved {result.solved} of {args.seeds}, median {result.median_epochs:g} epochs, "
            f"{runs:g} chip runs"
        )
    xor_figure(groups).savefig(args.out, dpi=150)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
