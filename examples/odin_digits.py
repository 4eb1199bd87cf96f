"""ODIN learns digits online with SDSP and a teacher; prints the curve and what it costs, saves a picture.

python examples/odin_digits.py --seeds 0,1,2 --epochs 8 --out odin_digits.png
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from chipsim.mappings.experiments.figures import digits_figure
from chipsim.mappings.experiments.odin_digits import (
    EPOCHS,
    PUBLISHED,
    PUBLISHED_ENERGY,
    consolidated_accuracy,
    digit_images,
    run,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0", help="e.g. 0,1,2")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", default="odin_digits.png")
    args = parser.parse_args()

    def progress(done: int, total: int, text: str) -> None:
        print(f"\r{100 * done // total:3d} %  {text:50s}", end="\n" if done == total else "", flush=True)

    images = digit_images()
    seeds = [int(s) for s in args.seeds.split(",")]
    show = progress if sys.stdout.isatty() else None
    results = [run(seed, args.epochs, progress=show, images=images) for seed in seeds]
    for r in results:
        print(f"seed {r.seed}: test after each epoch {np.round(100 * r.test, 1).tolist()} %, {r.seconds:.0f} s")
    last = np.array([r.test[-1] for r in results])
    spread = f"{last.mean():.1%} ({last.min():.1%} to {last.max():.1%}, {len(last)} seeds)"
    print(f"after the last epoch {spread}; the silicon's {PUBLISHED:.1%} were on MNIST, a larger and harder set")
    r = results[0]
    print(f"with weights driven to 0 and 7 by bistability: {consolidated_accuracy(r, images):.1%}")
    i, u = r.inference, r.update
    print(f"inference: {i['cycles']:,.0f} cycles, {i['sops']:,.0f} SOP, {i['energy'] * 1e9:.0f} nJ at 75 MHz "
          f"(published: {PUBLISHED_ENERGY * 1e9:.0f} nJ)")  # fmt: skip
    print(f"lesson: {u['cycles']:,.0f} cycles, {u['energy'] * 1e9:.1f} nJ for {u['moved']:.2f} weights moved, "
          f"{u['energy_per_weight'] * 1e9:.1f} nJ each")  # fmt: skip
    digits_figure(results, images.labels[images.train :]).savefig(args.out)
    print(f"picture: {args.out}")


if __name__ == "__main__":
    main()
