"""The digits demo as functions: train, convert, map, run on the chip, and what the report shows.

    digits = train_digits(seed=0)
    demo = digits_network(digits, chip="loihi")
    outcome = evaluate(demo)
    print(outcome)

64 pixels, two hidden layers, 10 outputs; 8-bit weights, several cores, all test images in one run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.chips.read import load_chip
from chipsim.emulator import Emulator
from chipsim.errors import ChipsimError
from chipsim.mappings.builders.relu import Conversion
from chipsim.mappings.compiler.compile import compile
from chipsim.mappings.compiler.quantise.quantise import quantise
from chipsim.mappings.compiler.quantise.report import QuantiseReport
from chipsim.mappings.formats.sklearn import from_sklearn
from chipsim.mappings.network.network import Network
from chipsim.mappings.network.presentation import present
from chipsim.program.program import Program

if TYPE_CHECKING:
    from chipsim.results import Result

HIDDEN = (128, 64)
PIXEL_MAX = 16.0
TEST_SHARE = 0.25
STEPS = 128  #: steps per image
#: Full rate of a neuron, spikes per step, by reset: what a reset to zero loses is less at lower rates.
MAX_RATE = {"zero": 0.25, "subtract": 1.0}
#: Room below zero, thresholds per step: neurons without leak that are inhibited sink through a whole presentation.
UNDERSHOOT = 0.5
INPUT_RATE = 0.5  #: rate of a white pixel
NEURONS_PER_CORE = 32  #: the net would fit one core; spread out, it shows traffic
DT = 1e-3

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Digits:
    """A trained classifier and its data.

    `train_images` (m, 64), `test_images` (k, 64): grey values in [0, 1]; labels (m,), (k,) int; `accuracy`
    of the float network on the test images.
    """

    model: Any
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    accuracy: float


@dataclass(frozen=True, eq=False)
class DigitsDemo:
    """A compiled demo, ready to run.

    Attributes
    ----------
    program : Program
    network : Network
        The native network that was compiled.
    conversion : Conversion
        Encodes images and reads the outputs.
    quantised : QuantiseReport
    inputs : dict
        "in" -> (images * steps + depth, 64) bool.
    labels : (images,) int
    steps : int
        Steps per image.
    """

    digits: Digits
    program: Program
    network: Network
    conversion: Conversion
    quantised: QuantiseReport
    inputs: dict[str, np.ndarray]
    images: np.ndarray
    labels: np.ndarray
    steps: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the demo measured.

    Attributes
    ----------
    float_accuracy, chip_accuracy : float
        Share of test images, of the trained network and of the chip.
    accuracy_by_step : (steps,) float64
        Accuracy if the chip is read after 1, 2, ... steps.
    predictions, labels : (images,) int
    spikes_per_image, synops_per_image : float
        Spikes of neurons and of inputs, and synaptic events.
    layers : dict
        Population -> correlation and rms error of its rates against the float network's activations.
    raster : dict
        Population -> (steps, n) bool for image 0.
    result : Result
        Of the whole run.
    """

    float_accuracy: float
    chip_accuracy: float
    accuracy_by_step: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray
    spikes_per_image: float
    synops_per_image: float
    layers: dict[str, dict[str, float]]
    raster: dict[str, np.ndarray]
    result: Result
    steps: int

    @property
    def loss(self) -> float:
        """Percentage points that the chip loses."""
        return 100 * (self.float_accuracy - self.chip_accuracy)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a report."""
        return {
            "images": len(self.labels),
            "steps_per_image": self.steps,
            "float_accuracy": self.float_accuracy,
            "chip_accuracy": self.chip_accuracy,
            "loss_percentage_points": self.loss,
            "spikes_per_image": self.spikes_per_image,
            "synops_per_image": self.synops_per_image,
            "accuracy_by_step": [float(a) for a in self.accuracy_by_step],
            "layers": self.layers,
        }

    def __str__(self) -> str:
        """The main figures."""
        return (
            f"{len(self.labels)} test images, {self.steps} steps each\n"
            f"accuracy: float {self.float_accuracy:.2%}, chip {self.chip_accuracy:.2%} ({-self.loss:+.2f} points)\n"
            f"per image: {self.spikes_per_image:.0f} spikes, {self.synops_per_image:.0f} synaptic operations"
        )


def train_digits(seed: int = 0, hidden: tuple[int, ...] = HIDDEN) -> Digits:
    """Train a small multilayer perceptron on scikit-learn's digits (1,797 real images of 8 x 8, 25 % for
    testing).

    Raises
    ------
    ChipsimError
        scikit-learn is not installed.
    """
    import warnings

    try:
        from sklearn.datasets import load_digits
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.model_selection import train_test_split
        from sklearn.neural_network import MLPClassifier
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise ChipsimError(
            "the demo trains with scikit-learn, which is not installed: pip install 'chipsim[demo]'"
        ) from error
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / PIXEL_MAX, labels, test_size=TEST_SHARE, random_state=seed, stratify=labels)
    model = MLPClassifier(hidden, alpha=0.1, batch_size=64, learning_rate_init=3e-3, max_iter=40, random_state=seed)
    # One thread: on matrices this small, threads wait for each other, on a busy machine for half a minute.
    with warnings.catch_warnings(), threadpool_limits(1):
        # 40 passes are the plan; that the loss still falls a little is no news.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(parts[0], parts[2])
    return Digits(model, parts[0], parts[2], parts[1], parts[3], float(model.score(parts[1], parts[3])))


def digits_network(
    digits: Digits,
    chip: Any = "loihi",
    *,
    steps: int = STEPS,
    images: int | None = None,
    max_neurons: int | None = NEURONS_PER_CORE,
    bits: int = 8,
    seed: int = 0,
) -> DigitsDemo:
    """Convert, quantise and compile the trained network, and encode the test images (the first `images` of
    them).

    Neurons reset by subtraction where the chip's description allows it, else to zero.
    """
    description = load_chip(chip)
    reset = "subtract" if "subtract" in description.arithmetic.reset_modes else "zero"
    conversion = from_sklearn(
        digits.model,
        digits.train_images,
        reset=reset,
        max_rate=MAX_RATE[reset],
        input_rate=INPUT_RATE,
        balance_zero_reset=True,
        name="digits",
    )
    native, report = quantise(conversion.network, description, dt=DT, bits=bits, undershoot=UNDERSHOOT * steps)
    native = present(native, steps)
    program = compile(native, description, dt=DT, seed=seed, max_neurons=max_neurons, name="digits")
    program.stages["quantise"] = report.report()
    shown = digits.test_images[:images]
    inputs = {"in": conversion.encode(shown, steps)}
    return DigitsDemo(digits, program, native, conversion, report, inputs, shown, digits.test_labels[:images], steps)


def evaluate(demo: DigitsDemo, *, threads: int = 1, progress: Progress | None = None) -> Outcome:
    """Run all images on the emulated chip and measure; `progress(steps done, steps)`."""
    result = Emulator(demo.program, threads=threads).run(demo.inputs, progress=progress)
    spikes = {name: result.spikes[name] for name in demo.conversion.populations}
    counts = demo.conversion.window(spikes["out"], "out", demo.steps).cumsum(axis=1)
    guesses = counts.argmax(axis=2)
    by_step = (guesses == demo.labels[:, None]).mean(axis=0)
    shown = demo.images
    scored = demo.digits.model.predict(shown) == demo.labels
    images = len(demo.labels)
    return Outcome(
        float_accuracy=float(scored.mean()),
        chip_accuracy=float(by_step[-1]),
        accuracy_by_step=by_step,
        predictions=guesses[:, -1],
        labels=demo.labels,
        spikes_per_image=float(sum(s.sum() for s in spikes.values()) / images),
        synops_per_image=float(result.activity.synaptic_events.sum() / images),
        layers=demo.conversion.errors(shown, spikes, demo.steps),
        raster={k: demo.conversion.window(s, k, demo.steps)[0] for k, s in spikes.items()},
        result=result,
        steps=demo.steps,
    )
