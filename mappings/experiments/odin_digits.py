"""ODIN learns handwritten digits on the emulated chip: 256 pixels, 10 neurons, SDSP and a teacher, sample by sample.

Scikit-learn's 8x8 digits are enlarged to 16x16. An image is one spike of each pixel that is bright enough, the
brightest first (rank order). Each training image is shown twice:

1. As in a test, learning off: each neuron fires as its weights say, and its calcium counts the spikes.
2. Learning on (register UPDATE_UNMAPPED): the teacher speaks in virtual events. It silences all neurons, makes the
   right one fire MARGIN times, and shows a few random pixels of the image, holding the right neuron's potential above
   `theta_mem` and all others' at 0. SDSP does the rest by its own calcium windows: the right neuron's weights go up
   unless it had fired often enough alone, others go down only if they had fired MARGIN times or more.

The answer is the neuron with most spikes, of several the one that got there first. Nothing but input events, output
events and one register passes between host and chip.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.chips.read import load_chip
from chipsim.engines.crossbar.odin import OdinEngine
from chipsim.engines.event_engine import EventRun
from chipsim.errors import RunError
from chipsim.native.crossbar import odin

SIDE, PIXELS, CLASSES = 16, 256, 10
TRAIN = 1347  #: images that are learned; the other 450 are the test
BRIGHT = 0.6  #: pixels from here on spike
THRESHOLD = 120
MARGIN = 3  #: spikes in one image that tell yes from no
STRONGEST = 7  #: largest weight, also of a virtual event
SHARE, DECAY = 0.05, 0.3  #: share of an image's spikes that are taught, in epoch e divided by 1 + DECAY e
EPOCHS = 8
PUBLISHED = 0.845  #: of the silicon on 16x16 MNIST, 10 neurons, rank order (TBioCAS 13(1):145-158, secondary quotation)
PUBLISHED_ENERGY = 15e-9  #: J per inference, same source
CLEAR = 7  #: time references between images: calcium and potential to 0

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Images:
    """Pixels (n, 256) in [0, 1] and labels (n,), the first `TRAIN` to learn."""

    pixels: np.ndarray
    labels: np.ndarray
    train: int = TRAIN


def enlarge(images: np.ndarray) -> np.ndarray:
    """(n, 8, 8) to (n, 16, 16), linear between pixel centres."""
    at = (np.arange(SIDE) + 0.5) / 2 - 0.5
    low = np.clip(np.floor(at).astype(int), 0, 6)
    part = np.clip(at - low, 0, 1)
    rows = images[:, low] * (1 - part)[:, None] + images[:, low + 1] * part[:, None]
    return rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part


def digit_images() -> Images:
    """Scikit-learn's 1,797 digits, enlarged, in one fixed random order."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    pixels = enlarge(digits.images[order] / 16.0).reshape(-1, PIXELS)
    return Images(pixels, digits.target[order].astype(np.int64))


def rank_order(pixels: np.ndarray) -> np.ndarray:
    """Pixels that spike, the brightest first."""
    order = np.argsort(-pixels, kind="stable")
    return order[: np.count_nonzero(pixels >= BRIGHT)]


def decide(run: EventRun) -> int:
    """Neuron with most output spikes, of several the one that got there first; -1 for silence."""
    counts = np.bincount(run.out_address, minlength=CLASSES)
    if not counts.any():
        return -1
    reached = np.array([run.out_edge[run.out_address == j][-1] if counts[j] else 0 for j in range(len(counts))])
    return int(np.lexsort((reached, -counts))[0])


def digits_program(seed: int = 0) -> odin.OdinProgram:
    """ODIN with 10 learning neurons; weights 1..3 at random. All mapping bits are 0, so that one register
    (UPDATE_UNMAPPED) switches learning while PROPAGATE_UNMAPPED lets the weights through.
    """
    neurons = odin.LIF(
        CLASSES, thr=THRESHOLD, leak_str=127, ca_en=1, ca_leak=1, theta_mem=4, theta1=MARGIN, theta2=7,
        theta3=2 * MARGIN,
    )  # fmt: skip
    weights = np.random.default_rng([seed, 0]).integers(1, 4, (PIXELS, CLASSES))
    registers = odin.Registers(open_loop=1, prop_unmapped=1)
    return odin.OdinProgram(registers, odin.pack(neurons), odin.pack_synapses(weights, mapped=0))


class DigitsChip:
    """The chip and its host: shows images, teaches, adds up what it cost."""

    def __init__(self, seed: int = 0) -> None:
        self.engine = OdinEngine(digits_program(seed))
        self._clear = np.full(CLEAR, int(odin.events.time_reference()))
        everyone = np.arange(CLASSES)
        self._down = odin.events.virtual(everyone, STRONGEST, 1)
        self._up = odin.events.virtual(everyone, STRONGEST)
        self._firing = -(-THRESHOLD // STRONGEST)  # events that carry a potential across the threshold, or back to 0

    @property
    def weights(self) -> np.ndarray:
        """(256, 10) uint8, [pixel, neuron]."""
        return self.engine.weights[:, :CLASSES].copy()

    def show(self, pixels: np.ndarray) -> EventRun:
        """Clear the neurons and show an image, learning off."""
        self.engine.configure(upd_unmapped=0)
        return self.engine.run(np.concatenate([self._clear, odin.events.spike(rank_order(pixels))]))

    def teach(self, spikes: np.ndarray, label: int) -> EventRun:
        """Teach pixels `spikes` of an image that has just been shown.

        Raises
        ------
        RunError
            For a sample without a label, or a label that no neuron stands for.
        """
        if not 0 <= label < CLASSES:
            raise RunError(f"label {label}: a sample that is learned needs a label in 0 .. {CLASSES - 1}")
        self.engine.configure(upd_unmapped=1)
        others = np.delete(self._down, label)
        hold = np.concatenate([others, [self._down[label], self._down[label], self._up[label]]])
        silence = np.repeat(self._down, self._firing)
        fire = np.full(self._firing * MARGIN + 1, self._up[label])
        lesson = np.column_stack([odin.events.spike(spikes), np.tile(hold, (len(spikes), 1))])
        return self.engine.run(np.concatenate([silence, fire, lesson.reshape(-1)]))

    def consolidate(self) -> EventRun:
        """Four bistability events to all rows: every weight ends at 0 or 7."""
        self.engine.configure(upd_unmapped=1)
        return self.engine.run(np.repeat(odin.events.bistability(), 4))


@dataclass(frozen=True, eq=False)
class DigitsExperiment:
    """What was learned; e epochs.

    Attributes
    ----------
    train, test : (e,) float64
        Share of right answers: on training images just before each was taught, on the test images after the epoch.
    weights : (e + 1, 256, 10) uint8
        Before the first and after every epoch.
    answers : (450,) int64
        On the test images after the last epoch (-1: silence).
    inference, update : dict
        Per image: cycles, sops, spikes (out), energy (J, published law at the description's clock), seconds.
        `update` is the teacher's part of a training image, with `moved`, weights changed, and `energy_per_weight`.
    seconds : float
        Wall time of this call.
    state : dict
        For `run(resume=)`.
    """

    seed: int
    train: np.ndarray
    test: np.ndarray
    weights: np.ndarray
    answers: np.ndarray
    inference: dict[str, float]
    update: dict[str, float]
    seconds: float
    state: dict[str, Any]


def energy(cycles: float, sops: float) -> float:
    """Joules by the published law with the constants and the clock of the description."""
    chip = load_chip("odin")
    costs, clock = chip.costs_named("measured"), chip.clock
    synapse = costs.synapse.energy
    assert clock is not None and costs.static_power is not None and costs.cycle is not None and synapse is not None
    law = odin.power_law_energy(cycles, sops, clock.si, costs.static_power.si, costs.cycle.si, synapse.si)
    return law["total"]


def _mean(total: np.ndarray, images: int) -> dict[str, float]:
    cycles, sops, spikes = (float(v) / images for v in total[:3])
    clock = load_chip("odin").clock
    assert clock is not None
    return {"cycles": cycles, "sops": sops, "spikes": spikes, "energy": energy(cycles, sops),
            "seconds": cycles / clock.si}  # fmt: skip


def _cost(run: EventRun) -> np.ndarray:
    return np.array([run.cycles, run.activity["sops"], run.out_address.size], np.int64)


def _epoch(chip: DigitsChip, images: Images, epoch: int, seed: int, tell: Callable[[int, int], None]) -> np.ndarray:
    """Learn every training image once; (right answers, then cycles, sops, spikes and moved weights of teaching)."""
    rng = np.random.default_rng([seed, 1, epoch])
    total = np.zeros(5, np.int64)
    share = SHARE / (1 + DECAY * epoch)
    for done, k in enumerate(rng.permutation(images.train)):
        total[0] += decide(chip.show(images.pixels[k])) == images.labels[k]
        spikes = rank_order(images.pixels[k])
        part = rng.permutation(spikes)[: max(1, round(share * len(spikes)))]
        before = chip.engine.weights[part, :CLASSES]
        total[1:4] += _cost(chip.teach(part, int(images.labels[k])))
        total[4] += np.count_nonzero(chip.engine.weights[part, :CLASSES] != before)
        tell(done + 1, int(total[0]))
    return total


def _test(chip: DigitsChip, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Answers on the test images, and cycles, sops, spikes of all."""
    answers, total = [], np.zeros(3, np.int64)
    for k in range(images.train, len(images.labels)):
        run = chip.show(images.pixels[k])
        answers.append(decide(run))
        total += _cost(run)
    return np.array(answers, np.int64), total


def run(
    seed: int = 0,
    epochs: int = EPOCHS,
    progress: Progress | None = None,
    resume: Mapping[str, Any] | None = None,
    images: Images | None = None,
) -> DigitsExperiment:
    """Learn for `epochs` epochs in all; the same seed gives the same bits, also when cut and resumed.

    Parameters
    ----------
    progress
        Called as ``progress(images done, of all, text)``.
    resume
        The `state` of an earlier result with the same seed and images.
    images
        Default: scikit-learn's digits.

    Raises
    ------
    RunError
        Fewer than one epoch, or a sample without a label.
    """
    if epochs < 1:
        raise RunError(f"epochs = {epochs}: at least 1")
    images = digit_images() if images is None else images
    begin = time.perf_counter()
    chip = DigitsChip(seed)
    rows: list[np.ndarray] = []
    weights = [chip.weights]
    if resume is not None:
        chip.engine.restore({k: np.asarray(v) for k, v in resume["chip"].items()})
        rows, weights = list(np.asarray(resume["rows"])), list(np.asarray(resume["weights"]))
    answers, shown = np.zeros(0, np.int64), np.zeros(3, np.int64)
    truth = images.labels[images.train :]
    for epoch in range(len(rows), epochs):

        def tell(done: int, right: int, epoch: int = epoch) -> None:
            if progress is not None:
                text = f"epoch {epoch + 1}, {right / done:.1%} of training images right"
                progress(epoch * images.train + done, epochs * images.train, text)

        learned = _epoch(chip, images, epoch, seed, tell)
        answers, shown = _test(chip, images)
        rows.append(np.concatenate([learned, [np.count_nonzero(answers == truth)], shown, answers]))
        weights.append(chip.weights)
    state = {"chip": chip.engine.state(), "rows": np.array(rows), "weights": np.array(weights)}
    return _result(seed, state, images, time.perf_counter() - begin)


def consolidated_accuracy(result: DigitsExperiment, images: Images | None = None) -> float:
    """Share of right test answers after bistability has driven every weight to 0 or 7."""
    images = digit_images() if images is None else images
    chip = DigitsChip(result.seed)
    chip.engine.restore(result.state["chip"])
    chip.consolidate()
    return float(np.mean(_test(chip, images)[0] == images.labels[images.train :]))


def _result(seed: int, state: dict[str, Any], images: Images, seconds: float) -> DigitsExperiment:
    rows = state["rows"]
    tests = len(images.labels) - images.train
    update = _mean(rows[:, 1:4].sum(axis=0), images.train * len(rows))
    moved = float(rows[:, 4].sum()) / (images.train * len(rows))
    update |= {"moved": moved, "energy_per_weight": update["energy"] / moved if moved else float("nan")}
    return DigitsExperiment(
        seed=seed, train=rows[:, 0] / images.train, test=rows[:, 5] / tests, weights=state["weights"],
        answers=rows[-1, 9:], inference=_mean(rows[-1, 6:9], tests), update=update,
        seconds=seconds, state=state,
    )  # fmt: skip
