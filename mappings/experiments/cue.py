"""Delayed cue accumulation on ReckOn: the network, and learning with the chip's own e-prop.

The label is given, and the network learns, only in the recall window at the end of a sample. Registers are
those of
the released test bench of the chip (C. Frenkel, G. Indiveri, ISSCC 2022): 40-100-2 neurons with 8-bit
weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.engines.reckon.core import ReckonEngine, ReckonRun, stimulus
from chipsim.errors import FileError, RunError
from chipsim.native.reckon.neurons import Memories, Registers

from .cue_data import INPUTS, RECALL, TICKS, CueSet, make_cues, read_cues, read_lines

NEURONS, CLASSES = 100, 2
PJ_PER_SOP = 5.3  # published at 0.5 V; what counts as one synaptic operation was not published

Progress = Callable[[int, int, str], None]


def cue_registers() -> Registers:
    """Registers of the released test bench for this task (learning on)."""
    return Registers(
        NUM_INP_NEUR=INPUTS - 1,
        NUM_REC_NEUR=NEURONS - 1,
        NUM_OUT_NEUR=CLASSES - 1,
        DO_EPROP=7,
        KAPPA=121,
        EN_STOCH_ROUND=1,
        FP_LOC_WINP=3,
        FP_LOC_WREC=3,
        FP_LOC_WOUT=3,
        FP_LOC_TINP=3,
        FP_LOC_TREC=4,
        FP_LOC_TOUT=6,
        LEARN_SIG_SCALE=5,
        THR_H_0=205,
        THR_H_1=205,
        THR_H_2=205,
        THR_H_3=205,
        H_4=1,
        LR_P_WINP=8,
        LR_P_WREC=8,
        LR_P_WOUT=14,
        REGUL_MODE=2,
        REGUL_W=3,
        REGUL_F0=160,
        REGUL_K_INP_P=10,
        REGUL_K_REC_P=10,
        SEED_INP=0xF0F0,
        SEED_REC=0xF1F1,
        SEED_OUT=0xF2F2,
        SEED_STRND_NEUR=0x3F3FF3F3,
        SEED_STRND_ONEUR=0x74F4,
        SEED_STRND_TINP=0x3F5FF5F5,
        SEED_STRND_TREC=0x3F6FF6F6,
        SEED_STRND_TOUT=0x3F7FF7F7,
        SEED_NOISE_NEUR=0xFF0,
    )


def _memories(winp: np.ndarray, wrec: np.ndarray, wout: np.ndarray) -> Memories:
    """Leak exp(-1 ms / 2 s) in 15 bits, threshold 614 (0.6 in 1/1024)."""
    return Memories(thr=614, alpha_lsb=0xFEF, winp=winp, wrec=wrec, wout=wout)


def random_memories(seed: int = 0) -> Memories:
    """Initial weights of our own: normal, with the spread of the released ones (14.2, 1.83, 9.4)."""
    rng = np.random.default_rng([seed, 1])

    def draw(shape: tuple[int, int], std: float) -> np.ndarray:
        return np.clip(np.rint(rng.normal(0.0, std, shape)), -128, 127).astype(np.int8)

    wrec = draw((NEURONS, NEURONS), 1.83)
    np.fill_diagonal(wrec, 0)
    return _memories(draw((INPUTS, NEURONS), 14.2), wrec, draw((NEURONS, CLASSES), 9.4))


def read_memories(folder: str | Path) -> Memories:
    """Initial weights of the released test bench: three text files, one weight a line, [pre, post] row by
    row."""
    arrays = []
    for name, shape in (("inp", (INPUTS, NEURONS)), ("rec", (NEURONS, NEURONS)), ("out", (NEURONS, CLASSES))):
        path = Path(folder) / f"init_rand_weights_{name}_cueAcc.dat"
        try:
            values = np.array([int(line) for line in read_lines(path)])
        except ValueError:
            raise FileError(f"{path}: expected one whole number a line") from None
        if values.size != shape[0] * shape[1]:
            raise FileError(f"{path}: {values.size} weights instead of {shape[0]} x {shape[1]}")
        arrays.append(values.reshape(shape))
    return _memories(*arrays)


@dataclass(frozen=True)
class CueExperiment:
    """What was learned. Arrays over e epochs, phase 0 = training (learning on), 1 = test (off), s samples
    each.

    Attributes
    ----------
    correct
        (e, 2) int64, samples answered correctly.
    samples
        (2,) int64, samples per phase.
    inferences, cycles, passes, evaluated, moved
        (e, 2, max s) int64 per sample: answer (-1 beyond the phase), clock cycles, event passes, synapses
        whose
        update was evaluated, weights moved.
    weights
        List of (winp, wrec, wout), [pre, post] int8: before the first and after every epoch.
    seconds
        Wall time of the emulation.
    """

    correct: np.ndarray
    samples: np.ndarray
    inferences: np.ndarray
    cycles: np.ndarray
    passes: np.ndarray
    evaluated: np.ndarray
    moved: np.ndarray
    weights: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    seconds: float
    state: dict[str, Any] = field(default_factory=dict)  #: for `run_cue_experiment(resume=)`

    @property
    def accuracy(self) -> np.ndarray:
        """(e, 2) float64, share of correct answers."""
        return self.correct / self.samples

    def energy(self) -> dict[str, float]:
        """Energy in J at 5.3 pJ per synaptic operation (published; its definition is not).

        Assumed: one operation per event pass and recurrent neuron; learning adds one per synapse whose update
        is
        evaluated. Keys: inference (per test sample), training (per training sample), learning (the part of it
        that
        is learning), update_tick (learning per supervised tick), update_weight (learning per weight moved).
        """
        per_sop = PJ_PER_SOP * 1e-12
        train, test = self.samples
        learning = float(self.evaluated[:, 0, :train].mean()) * per_sop
        training = float(self.passes[:, 0, :train].mean()) * NEURONS * per_sop + learning
        moved = float(self.moved[:, 0, :train].mean())
        return {
            "inference": float(self.passes[:, 1, :test].mean()) * NEURONS * per_sop,
            "training": training,
            "learning": learning,
            "update_tick": learning / (TICKS - RECALL - 1),
            "update_weight": learning / moved if moved else float("nan"),
        }


def present(engine: ReckonEngine, cues: CueSet, sample: int, learn: bool) -> ReckonRun:
    """One sample on the chip; with `learn` the label is sent and the target pin raised in the recall
    window."""
    times = cues.events[sample][:, 1]
    ticks = np.arange(cues.ticks)
    recall = ticks >= cues.recall
    label = np.where((ticks == cues.recall) & learn, cues.labels[sample], -1)
    events = (np.searchsorted(times, np.arange(cues.ticks + 1)), cues.events[sample][:, 0])
    return engine.run(stimulus(events, target_valid=recall & learn, infer_acc=recall, label=label))


def cue_data(data: str | Path | None, samples: int, seed: int) -> tuple[tuple[CueSet, CueSet], Memories]:
    """((training, test), initial memories): from the folder `data`, or generated."""
    if data is None:
        return (make_cues(samples, 2 * seed), make_cues(samples, 2 * seed + 1)), random_memories(seed)
    folder = Path(data)
    sets = tuple(read_cues(folder / f"dataset_cueAcc_{kind}.dat") for kind in ("train", "test"))
    return (sets[0], sets[1]), read_memories(folder)


def run_cue_experiment(
    data: str | Path | None = None,
    *,
    epochs: int | None = None,
    samples: int = 200,
    seed: int = 0,
    progress: Progress | None = None,
    resume: Mapping[str, Any] | None = None,
) -> CueExperiment:
    """Learn the task on the emulated chip with its own e-prop: per epoch all training, then all test samples.

    Parameters
    ----------
    data
        Folder with the released data set and weights; None generates `samples` training and test samples.
    epochs
        Default: 10 for the released data (50 + 50 samples), 5 for generated ones.
    samples, seed
        Matter only for generated data.
    progress
        Called as ``progress(done, total, text)`` after every sample.
    resume
        The `state` of an earlier result with the same data: its epochs are kept, `epochs` counts them too.

    Raises
    ------
    RunError
        Fewer than one epoch or sample.
    FileError
        A folder without the data set.
    """
    epochs = (5 if data is None else 10) if epochs is None else epochs
    if epochs < 1 or samples < 1:
        raise RunError(f"epochs = {epochs}, samples = {samples}: both must be at least 1")
    sets, memories = cue_data(data, samples, seed)
    engine = ReckonEngine(cue_registers(), memories)
    sizes = np.array([len(s) for s in sets], np.int64)
    log = np.full((5, epochs, 2, sizes.max()), -1, np.int64)
    correct = np.zeros((epochs, 2), np.int64)
    weights = [engine.weights]
    first = 0
    if resume is not None:
        first = min(len(resume["correct"]), epochs)
        engine.restore(resume["chip"])
        log[:, :first], correct[:first] = resume["log"][:, :first], resume["correct"][:first]
        weights = [tuple(w) for w in resume["weights"]]
    start = time.perf_counter()
    done, total = int(first * sizes.sum()), int(epochs * sizes.sum())
    for epoch in range(first, epochs):
        for phase, cues in enumerate(sets):
            engine.configure(DO_EPROP=7 if phase == 0 else 0)
            for s in range(len(cues)):
                log[:, epoch, phase, s] = _summary(present(engine, cues, s, phase == 0))
                correct[epoch, phase] += log[0, epoch, phase, s] == cues.labels[s]
                done += 1
                if progress is not None:
                    kind = ("training", "test")[phase]
                    progress(done, total, f"epoch {epoch + 1} {kind} {correct[epoch, phase]}/{s + 1}")
        weights.append(engine.weights)
    state = {"chip": engine.state(), "log": log, "correct": correct, "weights": weights}
    return CueExperiment(correct, sizes, *log, weights=weights, seconds=time.perf_counter() - start, state=state)


def _summary(run: ReckonRun) -> tuple[int, int, int, int, int]:
    """Answer, cycles, passes, evaluated synapses and moved weights of one sample."""
    words = int(run.access["winp_write"].sum() + run.access["wrec_write"].sum())
    evaluated = 16 * words + CLASSES * int(run.access["wout_write"].sum())
    moved = sum(run.effects[f"updates_{kind}"] for kind in ("input", "recurrent", "output"))
    return int(run.inferences[-1]), int(run.busy_cycles.sum()), int(run.passes.sum()), evaluated, moved
