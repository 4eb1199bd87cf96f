"""Delayed-reward choice with a synaptic tag in Loihi's own learning engine; writes delayed_reward.png.

python examples/delayed_reward.py [--trials 200] [--seeds 3] [--out delayed_reward.png]
"""

from __future__ import annotations

import argparse

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from chipsim.mappings.experiments.delayed_reward import control, run
from chipsim.mappings.experiments.delayed_reward_figure import figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default="delayed_reward.png")
    args = parser.parse_args()
    seeds = range(args.seeds)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("right {task.fields[right]:.0%}"))
    with Progress(*columns, TimeRemainingColumn()) as bar:
        outcomes = []
        for name, experiment in (("tag of 1 s", run), ("short tag", control)):
            task = bar.add_task(name, total=args.trials * args.seeds, right=0.0)

            def show(done: int, _total: int, right: float, task: int = task) -> None:
                bar.update(task, completed=done, right=right)  # type: ignore[arg-type]

            outcomes.append(experiment(args.trials, seeds, progress=show))
    for name, outcome in zip(("tag of 1 s", "short tag"), outcomes):
        shares = outcome.accuracy(100)
        print(f"{name}: {shares.mean():.1%} right of the last 100 ({shares.min():.0%}..{shares.max():.0%})")
    figure(*outcomes).savefig(args.out, dpi=150)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
