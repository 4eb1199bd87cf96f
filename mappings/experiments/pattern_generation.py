"""Pattern generation by e-prop: a recurrent spiking network learns one second of a sum of four sines.

Set-up of Bellec et al. (2020), figure 3, as in the authors' code and in NEST's test: 100 inputs of frozen
Poisson-like spikes (50 Hz), 100 LIF neurons, one readout, 1000 steps of 1 ms, random feedback, plain descent.
Seed 1 is NEST's test to the bit. It runs on an emulated chip: "float", or an integer chip with the bits of `precision`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipsim.errors import RunError
from chipsim.mappings.studies.training import Trainer
from chipsim.rules.e_prop.rule import Descent, EProp, Precision
from chipsim.rules.fixed_format import fixed

Array = NDArray[np.float64]
STEPS, N_IN, N, N_OUT = 1000, 100, 100, 1
PERIODS = (1000, 500, 333, 200)
INPUT_PROBABILITY = 0.05
WEIGHT_SPAN, TRACE_SPAN, SIGNAL_SPAN = 1.0, 16.0, 16.0
FLOAT, CHIP = "float", "research"  # where it runs without and with a declared precision
LAST = 20  # iterations averaged for the final error


@dataclass(frozen=True)
class Task:
    """Weights (post, pre), feedback (n, m), input spikes (T, n_in), target (T, m)."""

    w_in: Array
    w_rec: Array
    w_out: Array
    feedback: Array
    x: NDArray[np.uint8]
    target: Array


@dataclass(frozen=True)
class PatternResult:
    """losses: 0.5 sum (y - y*)^2 per iteration. nmse: that over 0.5 sum y*^2, mean of the last 20 iterations.

    y: last readout (T, m); trainer: the trained network on its chip.
    """

    seed: int
    losses: Array
    nmse: float
    y: Array
    target: Array
    trainer: Trainer

    @property
    def state(self) -> dict[str, Any]:
        """A checkpoint: give it as `resume` to continue bit for bit."""
        return {**self.trainer.state, "losses": self.losses}


def task(seed: int) -> Task:
    """The reference task of a seed, drawn in the order of the authors' code."""
    rng = np.random.RandomState(seed)

    def draw(rows: int, columns: int) -> Array:
        return rng.randn(rows, columns).T / np.sqrt(rows)

    w_in, w_rec = draw(N_IN, N), draw(N, N)
    np.fill_diagonal(w_rec, 0.0)
    w_out = draw(N, N_OUT)
    feedback = rng.randn(N_OUT, N).T / np.sqrt(N)
    x = rng.rand(STEPS, N_IN) < INPUT_PROBABILITY
    x[0] = False
    amplitudes = rng.uniform(0.5, 2.0, len(PERIODS))
    phases = rng.uniform(0.0, 2 * np.pi, len(PERIODS))
    turns = [2 * np.pi * (STEPS // p) for p in PERIODS]
    parts = [a * np.sin(np.linspace(f, turn + f, STEPS)) for a, turn, f in zip(amplitudes, turns, phases)]
    waves = np.sum(parts, axis=0)
    waves = waves - waves[0]
    target = (waves / np.abs(waves).max())[:, None]
    a, b, c, d = (w.astype(np.float32).astype(np.float64) for w in (w_in, w_rec, w_out, feedback))
    return Task(a, b, c, d, x.astype(np.uint8), target)


def rule(precision: Precision | None = None, **changes: Any) -> EProp:
    """The reference constants; keywords override fields of `EProp`."""
    settings: dict[str, Any] = {
        "tau_m": 30.0,
        "tau_out": 30.0,
        "thr": 0.03,
        "gamma": 0.3,
        "c_reg": 300.0,
        "f_target": 0.01,
        "optimizer": Descent(1e-4),
        "precision": precision,
    }
    return EProp(**{**settings, **changes})


def chip_precision(
    weight_bits: int = 8,
    trace_bits: int = 8,
    rounding: str = "stochastic",
    signal_bits: int = 8,
    psi_levels: int = 5,
) -> Precision:
    """Formats of a digital core: weights in +-1, traces of 0 to 16 spikes, signals in +-16."""
    return Precision(
        weights=fixed(weight_bits, WEIGHT_SPAN, rounding=rounding),
        trace=fixed(trace_bits, TRACE_SPAN, signed=False, rounding=rounding),
        signal=fixed(signal_bits, SIGNAL_SPAN, rounding=rounding),
        psi_levels=psi_levels,
    )


def run(
    seed: int = 1,
    iterations: int = 2000,
    precision: Precision | None = None,
    progress: Callable[[int, float], None] | None = None,
    resume: dict[str, Any] | None = None,
    chip: Any = None,
    **changes: Any,
) -> PatternResult:
    """Train for `iterations` in all (a resumed run does the rest).

    precision: few bits on the chip "research"; None is float64 on the chip "float". chip: another one.

    progress: called with (iteration, loss). resume: `PatternResult.state` of an earlier run of the same
    settings. changes: fields of `EProp`, for example feedback="symmetric", form="traces", kappa_filter=False.
    """
    if iterations < 1:
        raise RunError(f"pattern generation: iterations must be 1 or more, got {iterations}")
    t = task(seed)
    where = chip or (FLOAT if precision is None else CHIP)
    trainer = Trainer(rule(precision, **changes), t.w_in, t.w_rec, t.w_out, t.feedback, chip=where, seed=seed)
    losses: list[float] = []
    if resume is not None:
        trainer.restore(resume)
        losses = list(resume["losses"])
    y = None
    for k in range(len(losses), iterations):
        result = trainer.step([(t.x, t.target)])[0]
        losses.append(result.loss)
        y = result.output
        if progress is not None:
            progress(k + 1, result.loss)
    if y is None:  # nothing was left to do
        y = trainer.output(t.x)
    power = 0.5 * float((t.target**2).sum())
    curve = np.array(losses)
    return PatternResult(seed, curve, float(curve[-LAST:].mean() / power), y, t.target, trainer)
