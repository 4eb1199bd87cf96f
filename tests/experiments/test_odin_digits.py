"""ODIN learns digits: what the teacher does to the chip, learning, repeatability, resuming."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.errors import RunError
from chipsim.mappings.experiments import odin_digits as od
from chipsim.native.crossbar import odin


@pytest.fixture(scope="module")
def few() -> od.Images:
    images = od.digit_images()
    return od.Images(images.pixels[:460], images.labels[:460], 360)


def test_enlarged_images_keep_their_mean_and_ends() -> None:
    small = np.zeros((1, 8, 8))
    small[0, 2:6, 3:5] = 1.0
    big = od.enlarge(small)
    assert big.shape == (1, 16, 16) and big.max() == 1.0 and big.mean() == pytest.approx(small.mean())
    assert np.array_equal(od.rank_order(np.array([0.7, 0.1, 0.9, 0.6, 0.9])), [2, 4, 0, 3])


def plain_counts(weights: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """Spikes of each neuron when pixels arrive one after the other."""
    v, counts = np.zeros(od.CLASSES, int), np.zeros(od.CLASSES, int)
    for pixel in spikes:
        v += weights[pixel]
        counts += v >= od.THRESHOLD
        v[v >= od.THRESHOLD] = 0
    return counts


def test_a_lesson_is_a_perceptron_with_a_margin(few: od.Images) -> None:
    """Against plain NumPy: who fires, whose weights move and which way; nothing moves while learning is off."""
    chip = od.DigitsChip(seed=1)
    weights = np.random.default_rng(2).integers(0, 8, (od.PIXELS, od.CLASSES))
    weights[:, 3] = 0  # will stay silent
    program = od.digits_program()
    chip.engine.program = odin.OdinProgram(program.registers, program.neurons, odin.pack_synapses(weights, mapped=0))
    chip.engine.reset()
    moved = 0
    for k in range(12):
        label = 3 if k == 0 else int(few.labels[k])
        spikes = od.rank_order(few.pixels[k])
        run = chip.show(few.pixels[k])
        counts = plain_counts(weights, spikes)
        assert np.array_equal(np.bincount(run.out_address, minlength=od.CLASSES), counts)
        assert np.array_equal(chip.weights, weights), "learning was off"
        part = spikes[::3]
        chip.teach(part, label)
        for j in range(od.CLASSES):
            if j == label and min(7, counts[j] + od.MARGIN) < 2 * od.MARGIN:
                weights[part, j] = np.minimum(weights[part, j] + 1, 7)
            elif j != label and od.MARGIN <= min(counts[j], 7) < 7:
                weights[part, j] = np.maximum(weights[part, j] - 1, 0)
        moved += np.count_nonzero(chip.weights != weights)
        assert np.array_equal(chip.weights, weights), k
    assert moved == 0 and (weights[:, 3] > 0).any()
    chip.consolidate()
    assert set(np.unique(chip.weights)) <= {0, 7}
    assert np.array_equal(chip.weights > 0, weights >= 4)


def test_it_learns_and_goes_on_to_the_same_bits(few: od.Images) -> None:
    seen = []
    whole = od.run(0, 2, images=few, progress=lambda *a: seen.append(a))
    assert whole.test[-1] > 0.45 and seen[-1][:2] == (720, 720)
    assert whole.inference["energy"] > whole.update["energy"] > 0 and whole.update["moved"] > 0
    part = od.run(0, 1, images=few)
    again = od.run(0, 2, images=few, resume=part.state)
    assert np.array_equal(again.weights, whole.weights) and np.array_equal(again.answers, whole.answers)
    assert not np.array_equal(od.run(1, 1, images=few).weights[1], whole.weights[1])
    assert 0 <= od.consolidated_accuracy(whole, few) <= 1


def test_bad_samples_are_refused(few: od.Images) -> None:
    unlabelled = od.Images(few.pixels, np.where(np.arange(460) == 5, -1, few.labels), few.train)
    with pytest.raises(RunError, match=r"label -1: a sample that is learned needs a label in 0 \.\. 9"):
        od.run(0, 1, images=unlabelled)
    with pytest.raises(RunError, match="epochs = 0"):
        od.run(epochs=0, images=few)


def test_energy_follows_the_published_law() -> None:
    assert od.energy(75e6, 37.5e6) == pytest.approx(477e-6, rel=1e-3), "one second at 75 MHz and 37.5 MSOP/s"
