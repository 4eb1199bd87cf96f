"""Pattern generation by e-prop: float64, eight bits with stochastic rounding, eight bits with nearest
rounding.

python examples/pattern_generation.py [--iterations 2000] [--seeds 3] [--out pattern_generation.png]
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.progress import Progress

from chipsim.mappings.experiments.figures import pattern_figure
from chipsim.mappings.experiments.pattern_generation import chip_precision, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default="pattern_generation.png")
    args = parser.parse_args()
    settings = {
        "float64": None,
        "8 bits, stochastic rounding": chip_precision(),
        "8 bits, nearest rounding": chip_precision(rounding="nearest"),
    }
    groups = {}
    with Progress() as bar:
        for name, precision in settings.items():
            task = bar.add_task(name, total=args.iterations * args.seeds)
            groups[name] = [
                run(seed, args.iterations, precision, progress=lambda *_, task=task: bar.advance(task))
                for seed in range(1, args.seeds + 1)
            ]
    for name, results in groups.items():
        errors = np.array([r.nmse for r in results])
        print(f"{name:30} normalised error {errors.mean():.4f} +- {errors.std():.4f}  {errors.round(4).tolist()}")
    pattern_figure(groups).savefig(args.out, dpi=150)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
