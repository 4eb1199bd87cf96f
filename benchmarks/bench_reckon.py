"""Speed of the emulated ReckOn on the cue task: one training sample, ten epochs; and of its random streams.

python benchmarks/bench_reckon.py                  # generated samples
python benchmarks/bench_reckon.py --data FOLDER    # the released data set
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numba import njit

from chipsim.engines.reckon.core import ReckonEngine
from chipsim.kernels.arithmetic.lfsr import load_window, make_streams, skip
from chipsim.mappings.experiments.cue import cue_data, cue_registers, present, run_cue_experiment


@njit
def _steps(streams, count):
    for _ in range(count):
        skip(streams, 0, 512)


def random_bits_per_second(steps: int = 200_000) -> float:
    """Bits per second of a 25-bit register that puts out 512 bits a step."""
    streams = make_streams([(3, 25)])
    load_window(streams, 0, 12345)
    _steps(streams, 1)
    start = time.perf_counter()
    _steps(streams, steps)
    return 512 * steps / (time.perf_counter() - start)


def one_sample(data: str | None, learn: bool, repeats: int = 20) -> dict[str, float]:
    """Best and median wall time of one sample."""
    (training, _), memories = cue_data(data, 4, 0)
    engine = ReckonEngine(cue_registers(), memories)
    engine.configure(DO_EPROP=7 if learn else 0)
    present(engine, training, 0, learn)
    seconds, cycles = [], []
    for r in range(repeats):
        start = time.perf_counter()
        run = present(engine, training, r % len(training), learn)
        seconds.append(time.perf_counter() - start)
        cycles.append(int(run.busy_cycles.sum()))
    best = int(np.argmin(seconds))
    return {
        "best_ms": 1e3 * seconds[best],
        "median_ms": 1e3 * float(np.median(seconds)),
        "cycles": cycles[best],
        "cycles_per_second": cycles[best] / seconds[best],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    ten = run_cue_experiment(args.data, epochs=10, samples=50)
    result = {
        "training_sample": one_sample(args.data, True),
        "test_sample": one_sample(args.data, False),
        "ten_epochs_s": ten.seconds,
        "ten_epochs_test_correct": ten.correct[:, 1].tolist(),
        "random_bits_per_second": random_bits_per_second(),
    }
    if args.json:
        print(json.dumps(result, indent=1))
        return
    for name in ("training_sample", "test_sample"):
        r = result[name]
        print(
            f"{name:16s} best {r['best_ms']:.1f} ms, median {r['median_ms']:.1f} ms for {r['cycles']:,} "
            f"clock cycles "
            f"({r['cycles_per_second'] / 1e6:.0f} M cycles/s; 2,250 ticks are 2.25 s of real time)"
        )
    print(f"ten epochs       {ten.seconds:.1f} s for 1,000 samples, test correct {ten.correct[:, 1].tolist()} of 50")
    print(f"random stream    {result['random_bits_per_second'] / 1e9:.1f} G bits/s (512 bits a step)")


if __name__ == "__main__":
    main()
