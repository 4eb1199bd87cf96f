"""Handwritten digits on a Loihi-class chip: train, convert, quantise, map, run, look.

Run with:  python examples/digits.py [folder for the report]
"""

from __future__ import annotations

import sys

import chipsim as cs
from chipsim.mappings.compiler.quantise.quantise import quantise
from chipsim.mappings.experiments.digits import STEPS, evaluate, train_digits
from chipsim.mappings.experiments.digits import digits_network as on_chip
from chipsim.mappings.formats.sklearn import from_sklearn
from chipsim.mappings.network.presentation import present


def by_hand() -> None:
    """The same road step by step; every value can be looked at."""
    digits = train_digits(seed=0)  # 64-128-64-10 perceptron of scikit-learn, 25 % of 1,797 images held back
    chip = cs.chip("loihi")
    conversion = from_sklearn(
        digits.model, digits.train_images, reset="zero", max_rate=0.25, input_rate=0.5, balance_zero_reset=True
    )
    native, report = quantise(conversion.network, chip, dt=1e-3, undershoot=0.5 * STEPS)
    print(report)
    program = cs.compile(present(native, STEPS), chip, max_neurons=32)
    print(program)

    image, label = digits.test_images[:1], digits.test_labels[0]
    result = cs.Emulator(program).run({"in": conversion.encode(image, STEPS)})
    counts = conversion.window(result.spikes["out"], "out", STEPS).sum(axis=1)[0]
    print(f"image 0 shows a {label}; output spikes 0..9: {counts.tolist()}")


def whole_test_set(folder: str | None) -> None:
    """All 450 test images in one run, and what they cost."""
    demo = on_chip(train_digits(seed=0), "loihi")
    outcome = evaluate(demo)
    print(outcome)
    for steps in (16, 32, 64, STEPS):
        print(f"read after {steps:3d} steps: {outcome.accuracy_by_step[steps - 1]:.2%}")
    print(outcome.result.estimate(steps_per_inference=STEPS))
    if folder:
        print("report:", outcome.result.report(folder))


if __name__ == "__main__":
    by_hand()
    whole_test_set(sys.argv[1] if len(sys.argv) > 1 else None)
