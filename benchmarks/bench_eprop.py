"""Milliseconds per iteration of e-prop, and microseconds per step of a declared rule.

    python benchmarks/bench_eprop.py [--repeats 20]

Work: pattern generation (100-100-1, 1000 steps), evidence accumulation (40-(50+50)-2, 2250 steps, per
sequence), online e-prop with an update in every step, pair STDP on 1000 neurons with fan-out 100. NEST 3.10
took 77 to 180 ms, 170 ms and 411 ms on the first three; it is not run here. Set OPENBLAS_NUM_THREADS=1 for
one core throughout.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import chipsim.rules as rules
from chipsim.mappings.experiments import evidence_accumulation, pattern_generation
from chipsim.mappings.studies.training import Trainer
from chipsim.rules.e_prop.net import EPropNet
from chipsim.rules.e_prop.online import OnlineEProp
from chipsim.rules.replay import run_spikes


def measure(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall and mean CPU milliseconds of one call, after one call that compiles."""
    work()
    walls, cpu = [], time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        walls.append(time.perf_counter() - start)
    return 1e3 * float(np.median(walls)), 1e3 * (time.process_time() - cpu) / repeats


def pattern(**changes) -> Callable[[], object]:
    task = pattern_generation.task(1)
    rule = pattern_generation.rule(**changes)
    net = EPropNet(rule, task.w_in, task.w_rec, task.w_out, task.feedback)
    return lambda: net.step([(task.x, task.target)])


def emulated(**changes) -> Callable[[], object]:
    """The same on an emulated chip: neurons, spikes and counters on its cores."""
    task = pattern_generation.task(1)
    rule = pattern_generation.rule(**changes)
    where = pattern_generation.CHIP if rule.precision else pattern_generation.FLOAT
    trainer = Trainer(rule, task.w_in, task.w_rec, task.w_out, task.feedback, chip=where)
    return lambda: trainer.step([(task.x, task.target)])


def evidence() -> Callable[[], object]:
    size = evidence_accumulation.FULL
    net = EPropNet(evidence_accumulation.rule(size), *evidence_accumulation.weights(size, 1))
    x, label = evidence_accumulation.sequence(size, np.random.default_rng(0))
    return lambda: net.step([(x, label)])


def online() -> Callable[[], object]:
    task = pattern_generation.task(1)
    rule = OnlineEProp(c_reg=3.0, eta=9e-8)
    weights = [0.03 * w for w in (task.w_in, task.w_rec, task.w_out, task.feedback)]
    return lambda: rule.run(task.x, task.target, 1, *weights)


def stdp() -> Callable[[], object]:
    rng = np.random.default_rng(0)
    text = "def pair(w, x, y, pre, post, *, a=0.5, b=0.55):\n    w = w + a * x * post - b * y * pre"
    traces = {"x": rules.Trace("pre", 20), "y": rules.Trace("post", 20)}
    rule = rules.declare(text, traces=traces, bounds=(-126.0, 126.0))
    p = rules.Plastic(rule, rng.uniform(-50, 50, (1000, 1000)), mask=rng.random((1000, 1000)) < 0.1)
    spikes = rng.random((1000, 1000)) < 0.01
    return lambda: run_spikes(p, spikes, spikes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    chip = pattern_generation.chip_precision()
    cases = {
        "pattern generation, adjoint form, float64": (pattern(), 6.0, "ms / iteration"),
        "pattern generation, traces carried forward": (pattern(form="traces"), 15.0, "ms / iteration"),
        "pattern generation, 8-bit weights and traces": (pattern(precision=chip), None, "ms / iteration"),
        "the same on the emulated chip, float64": (emulated(), 6.0, "ms / iteration"),
        "the same on the emulated chip, 8 bits": (emulated(precision=chip), None, "ms / iteration"),
        "evidence accumulation, LIF + ALIF": (evidence(), None, "ms / sequence"),
        "online e-prop, update in every step": (online(), None, "ms / 1000 steps"),
        "declared pair STDP, 2000 updates a step": (stdp(), None, "us / step"),
    }
    print(f"{'':46}{'wall':>8}{'CPU':>8}  {'goal':>6}")
    for name, (work, goal, unit) in cases.items():
        wall, cpu = measure(work, repeats)
        print(f"{name:46}{wall:8.2f}{cpu:8.2f}  {goal if goal is not None else '':>6}  {unit}")
    print("NEST 3.10 on this work, measured elsewhere: 77 to 180 ms, 170 ms a sequence, online 411 ms")


if __name__ == "__main__":
    main()
