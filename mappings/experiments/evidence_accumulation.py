"""Evidence accumulation by e-prop: count cues on two sides, wait a second, say which side had more.

Set-up of Bellec et al. (2020), figure 4: seven cues of 100 ms every 150 ms, each left or right with
probability 0.7 for the side of the answer, 1050 ms of delay, 150 ms of recall. 50 LIF and 50 adaptive LIF
neurons (time constant 2 s), softmax error in the recall window only, Adam. Fresh data in every batch.
`SMALL` is the same in miniature.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipsim.mappings.studies.training import Trainer
from chipsim.rules.e_prop.rule import Adam, EProp, Precision
from chipsim.rules.fixed_format import fixed

Array = NDArray[np.float64]
ETA, DECAY_EVERY = 5e-3, 100  # Adam's step, times eta_decay every so many iterations
CUE_PROBABILITY, NOISE_PROBABILITY = 0.04, 0.01
SOLVED, WINDOW = 0.07, 20  # mean error over so many iterations that counts as solved
WEIGHT_SPAN, TRACE_SPAN, SIGNAL_SPAN = 1.0, 16.0, 4.0
FLOAT, CHIP = "float", "research"  # where it runs without and with a declared precision


@dataclass(frozen=True)
class Size:
    """Lengths in steps of 1 ms, population sizes, and training."""

    n_in: int = 40
    n_lif: int = 50
    n_alif: int = 50
    cues: int = 7
    cue: int = 100
    spacing: int = 50
    delay: int = 1050
    recall: int = 150
    tau_a: float = 2000.0
    batch: int = 32
    iterations: int = 900
    eta_decay: float = 0.8

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return self.cues * (self.cue + self.spacing) + self.delay + self.recall


FULL = Size()
SMALL = Size(n_in=20, n_lif=25, n_alif=25, cues=5, cue=50, spacing=20, delay=200, recall=100, tau_a=600.0, batch=16)


@dataclass(frozen=True)
class EvidenceResult:
    """errors, losses: per iteration (fraction of wrong answers, mean cross-entropy). solved_at: iteration
    or None.
    """

    seed: int
    errors: Array
    losses: Array
    solved_at: int | None
    test_error: float
    trainer: Trainer
    draws: str

    @property
    def state(self) -> dict[str, Any]:
        """A checkpoint: give it as `resume`."""
        return {**self.trainer.state, "errors": self.errors, "losses": self.losses, "draws": self.draws}


def sequence(size: Size, rng: np.random.Generator) -> tuple[NDArray[np.uint8], int]:
    """One trial: spikes (T, n_in) and the side, 0 or 1, that had more cues."""
    group = size.n_in // 4
    favoured = int(rng.integers(2))
    sides = np.where(rng.random(size.cues) < 0.7, favoured, 1 - favoured)
    rates = np.zeros((size.steps, size.n_in))
    for k, side in enumerate(sides):
        begin = k * (size.cue + size.spacing) + size.spacing
        rates[begin : begin + size.cue, side * group : (side + 1) * group] = CUE_PROBABILITY
    rates[-size.recall :, 2 * group : 3 * group] = CUE_PROBABILITY
    rates[:, 3 * group :] = NOISE_PROBABILITY
    x = rng.random(rates.shape) < rates
    x[0] = False
    return x.astype(np.uint8), int(sides.sum() * 2 > size.cues)


def rule(size: Size, precision: Precision | None = None, **changes: Any) -> EProp:
    """The reference constants; keywords override fields of `EProp`."""
    n = size.n_lif + size.n_alif
    beta = np.zeros(n)
    beta[size.n_lif :] = 1.7 * (1 - np.exp(-1 / size.tau_a)) / (1 - np.exp(-1 / 20.0))
    settings: dict[str, Any] = {
        "tau_m": 20.0,
        "tau_out": 20.0,
        "tau_a": size.tau_a,
        "thr": 0.6,
        "beta": beta,
        "n_ref": 5,
        "scale_input": False,
        "loss": "cross_entropy",
        "window": size.recall,
        "average_gradient": True,
        "c_reg": 300.0,
        "f_target": 0.01,
        "optimizer": Adam(ETA),
        "precision": precision,
    }
    return EProp(**{**settings, **changes})


def weights(size: Size, seed: int) -> tuple[Array, Array, Array, Array]:
    """Random w_in (n, n_in), w_rec (n, n), w_out (2, n) and feedback (n, 2)."""
    rng = np.random.default_rng(seed)
    n = size.n_lif + size.n_alif
    w_rec = rng.normal(0, 1, (n, n)) / np.sqrt(n)
    np.fill_diagonal(w_rec, 0.0)
    limit = np.sqrt(6.0 / (n + 2))
    w_in = rng.normal(0, 1, (n, size.n_in)) / np.sqrt(size.n_in)
    w_out, feedback = rng.uniform(-limit, limit, (2, n)), rng.normal(0, 1, (n, 2))
    return w_in, w_rec, w_out, feedback


def chip_precision(weight_bits: int, trace_bits: int, rounding: str = "stochastic") -> Precision:
    """Formats for this task: weights in +-1, traces of 0 to 16 spikes, signals in +-4, psi in five levels."""
    return Precision(
        weights=fixed(weight_bits, WEIGHT_SPAN, rounding=rounding),
        trace=fixed(trace_bits, TRACE_SPAN, signed=False, rounding=rounding),
        signal=fixed(8, SIGNAL_SPAN, rounding=rounding),
        psi_levels=5,
    )


def wrong(out: Array, label: int, recall: int) -> bool:
    """Whether the mean output over the recall window names the other side."""
    return int(out[-recall:].mean(axis=0).argmax()) != label


def test(trainer: Trainer, size: Size, trials: int, seed: int) -> float:
    """Fraction of wrong answers on fresh trials, learning off."""
    rng = np.random.default_rng(seed)
    errors = 0
    for _ in range(trials):
        x, label = sequence(size, rng)
        errors += wrong(trainer.output(x), label, size.recall)
    return errors / trials


def run(
    seed: int = 1,
    size: Size = FULL,
    iterations: int | None = None,
    precision: Precision | None = None,
    progress: Callable[[int, float], None] | None = None,
    resume: dict[str, Any] | None = None,
    stop_when_solved: bool = True,
    test_trials: int = 128,
    chip: Any = None,
    **changes: Any,
) -> EvidenceResult:
    """Train until the error of the last 20 iterations is under 7 % on average, or for `iterations`.

    precision: few bits on the chip "research"; None is float64 on the chip "float". chip: another one. progress: called
    with (iteration, mean error of the last 20). resume: `EvidenceResult.state`.
    """
    where = chip or (FLOAT if precision is None else CHIP)
    trainer = Trainer(rule(size, precision, **changes), *weights(size, seed), chip=where, seed=seed)
    rng = np.random.default_rng([seed, 1])
    errors: list[float] = []
    losses: list[float] = []
    if resume is not None:
        trainer.restore(resume)
        errors, losses = list(resume["errors"]), list(resume["losses"])
        rng.bit_generator.state = json.loads(str(resume["draws"]))
    solved_at = None
    for k in range(len(errors), iterations or size.iterations):
        batch = [sequence(size, rng) for _ in range(size.batch)]
        results = trainer.step(batch, rate=size.eta_decay ** (k // DECAY_EVERY))
        errors.append(float(np.mean([wrong(r.output, label, size.recall) for r, (_, label) in zip(results, batch)])))
        losses.append(float(np.mean([r.loss for r in results])))
        recent = float(np.mean(errors[-WINDOW:]))
        if progress is not None:
            progress(k + 1, recent)
        if len(errors) >= WINDOW and recent < SOLVED:
            solved_at = k + 1
            if stop_when_solved:
                break
    draws = json.dumps(rng.bit_generator.state)
    test_error = test(trainer, size, test_trials, seed + 10_000) if test_trials else float("nan")
    return EvidenceResult(seed, np.array(errors), np.array(losses), solved_at, test_error, trainer, draws)


def precision_table(
    weight_bits: tuple[int, ...] = (8, 6, 4),
    trace_bits: tuple[int, ...] = (8, 4),
    roundings: tuple[str, ...] = ("stochastic", "nearest"),
    seed: int = 1,
    size: Size = SMALL,
    iterations: int = 800,
    progress: Callable[[int, float], None] | None = None,
) -> list[dict[str, Any]]:
    """Test error against bits and rounding; the first row is float64."""
    rows: list[dict[str, Any]] = []
    settings: list[tuple[Any, Any, str]] = [(None, None, "float64")]
    settings += [(w, t, r) for r in roundings for w in weight_bits for t in trace_bits]
    for w, t, rounding in settings:
        formats = None if w is None else chip_precision(w, t, rounding)
        r = run(seed, size, iterations, formats, stop_when_solved=False)
        rows.append({"weight_bits": w, "trace_bits": t, "rounding": rounding, "test_error": r.test_error})
        if progress is not None:
            progress(len(rows), r.test_error)
    return rows
