"""ReckOn learns delayed cue accumulation with its own e-prop; saves a picture and prints the curves.

python examples/reckon_cue.py                         # generated samples
python examples/reckon_cue.py --data FOLDER           # the released data set and initial weights
"""

from __future__ import annotations

import argparse
import sys

from chipsim.mappings.experiments.cue import cue_data, run_cue_experiment
from chipsim.mappings.experiments.cue_figure import plot_cue_experiment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with dataset_cueAcc_*.dat and init_rand_weights_*_cueAcc.dat")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--samples", type=int, default=200, help="generated samples per phase")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="reckon_cue.png")
    args = parser.parse_args()

    def progress(done: int, total: int, text: str) -> None:
        end = "\n" if done == total else ""
        print(f"\r{100 * done // total:3d} %  {text:40s}", end=end, flush=True)

    result = run_cue_experiment(
        args.data,
        epochs=args.epochs,
        samples=args.samples,
        seed=args.seed,
        progress=progress if sys.stdout.isatty() else None,
    )
    (training, _), _ = cue_data(args.data, args.samples, args.seed)
    path = plot_cue_experiment(result, training, args.out)
    for phase, name in enumerate(("training", "test")):
        print(f"{name:9s} correct of {result.samples[phase]}: {result.correct[:, phase].tolist()}")
    cycles = result.cycles
    mean = [cycles[:, p, : result.samples[p]].mean() for p in (0, 1)]
    print(f"clock cycles per sample: training {mean[0]:,.0f}, test {mean[1]:,.0f}")
    energy = result.energy()
    print(
        f"energy at 5.3 pJ per synaptic operation (published; its definition is not, see docs): "
        f"inference {energy['inference'] * 1e6:.2f} uJ, learning {energy['learning'] * 1e6:.2f} uJ per "
        f"sample, "
        f"{energy['update_weight'] * 1e9:.1f} nJ per moved weight"
    )
    print(f"emulation took {result.seconds:.1f} s; picture: {path}")


if __name__ == "__main__":
    main()
