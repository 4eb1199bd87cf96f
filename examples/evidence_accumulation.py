"""Evidence accumulation by e-prop with LIF and adaptive LIF neurons; resumable.

python examples/evidence_accumulation.py [--small] [--iterations N] [--seed 1] [--checkpoint run.npz]
[--table]

A run takes a few minutes; with --checkpoint it is saved every ten iterations and continued when started
again. --table adds the test error against weight bits, trace bits and rounding, on the small task.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.progress import Progress, TextColumn

from chipsim.mappings.experiments.evidence_accumulation import FULL, SMALL, precision_table, run
from chipsim.mappings.experiments.figures import evidence_figure


def load(path: Path) -> dict | None:
    """A checkpoint, or None."""
    if not path.exists():
        return None
    with np.load(path) as data:
        return {k: data[k] for k in data.files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--iterations", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=None)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--out", default="evidence_accumulation.png")
    args = parser.parse_args()
    size = SMALL if args.small else FULL
    total = args.iterations or size.iterations
    saved = load(args.checkpoint) if args.checkpoint else None
    done = 0 if saved is None else len(saved["errors"])
    with Progress(*Progress.get_default_columns(), TextColumn("wrong {task.fields[wrong]:.1%}")) as bar:
        task = bar.add_task("training", total=total, completed=done, wrong=1.0)

        def show(k: int, wrong: float) -> None:
            bar.update(task, completed=k, wrong=wrong)

        while True:
            part = total if args.checkpoint is None else min(total, done + 10)
            result = run(args.seed, size, part, progress=show, resume=saved, test_trials=0)
            saved, done = result.state, len(result.errors)
            if args.checkpoint is not None:
                np.savez(args.checkpoint, **saved)
            if done >= total or result.solved_at is not None:
                break
    result = run(args.seed, size, done, resume=saved, test_trials=512)
    solved = f"solved at iteration {done}" if result.errors[-20:].mean() < 0.07 else "not solved yet"
    print(f"{solved}; wrong on 512 fresh trials: {result.test_error:.1%}")
    rows = precision_table() if args.table else []
    for r in rows:
        print(
            f"weights {r['weight_bits']!s:>5} traces {r['trace_bits']!s:>5} {r['rounding']:>11}: "
            f"{r['test_error']:.1%} wrong"
        )
    evidence_figure(result, rows).savefig(args.out, dpi=150)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
