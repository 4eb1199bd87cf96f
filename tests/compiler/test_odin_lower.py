"""Networks as plain arrays onto ODIN and tinyODIN: weights that arrive, steps that run, sizes that are refused."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.crossbar.steps import StepEngine
from chipsim.native.crossbar.image import from_packets, lower_odin, lower_tinyodin, to_stream


def signed_odin(image):
    """Signed weights (rows, neurons) as the chip sees them."""
    w, mapped = cs.odin.unpack_synapses(image.program.synapses)
    return w.astype(int) * mapped * np.where(image.program.registers.syn_sign[:, None], -1, 1)


def test_integer_weights_arrive_unchanged():
    rng = np.random.default_rng(0)
    weights = rng.integers(-7, 8, (30, 40))
    image = lower_odin(weights, threshold=100, leak=3)
    table = signed_odin(image)
    arrived = np.zeros_like(weights)
    for line, row in image.rows:
        arrived[:, line] += table[row, :30]
    assert np.array_equal(arrived, weights) and np.all(image.unit == 1) and image.rounding == 0
    tiny = lower_tinyodin(weights, threshold=100, leak=3)
    assert np.array_equal(cs.tinyodin.unpack_synapses(tiny.program.synapses)[:40, :30], weights.T)
    assert tiny.program.registers.max_neur == 29 and tiny.program.registers.open_loop == 1


@pytest.mark.parametrize(("lower", "levels"), [(lower_odin, 7), (lower_tinyodin, 8)])
def test_float_weights_are_rounded_to_the_unit(lower, levels):
    rng = np.random.default_rng(1)
    weights, threshold = rng.normal(size=(20, 50)), rng.uniform(3, 6, 20)
    image = lower(weights, threshold=threshold, leak=0.1)
    words = image.program.neurons
    thr = (cs.odin.unpack_lif if lower is lower_odin else cs.tinyodin.unpack_lif)(words)["thr"][:20]
    assert np.allclose(thr * image.unit, threshold, atol=0.5 * image.unit.max())
    table = signed_odin(image) if lower is lower_odin else cs.tinyodin.unpack_synapses(image.program.synapses)
    arrived = np.zeros_like(weights)
    for line, row in image.rows:
        arrived[:, line] += table[row, :20]
    assert np.all(np.abs(arrived * image.unit[:, None] - weights) <= 0.5 * image.unit[:, None] + 1e-12)
    assert np.all(np.abs(arrived).max(axis=1) <= levels)
    assert image.rounding == pytest.approx(
        (np.abs(arrived * image.unit[:, None] - weights) / threshold[:, None]).max(), rel=0.2
    )


def test_recurrent_networks_close_the_loop():
    rng = np.random.default_rng(2)
    inputs, own = rng.integers(0, 8, (40, 10)), rng.integers(0, 8, (40, 40)) * (rng.random((40, 40)) < 0.1)
    own[:, 20:] *= -1  # the second half inhibits
    image = lower_odin(inputs, own, threshold=30)
    assert image.program.registers.open_loop == 0 and image.rows[:, 1].min() == 40
    assert np.array_equal(signed_odin(image)[:40, :40], own.T)


@pytest.mark.parametrize(
    ("make", "resource", "need", "limit"),
    [
        (lambda: lower_odin(np.ones((257, 3), int), threshold=9, population="hid"), "neurons", 257, 256),
        (lambda: lower_odin(np.full((3, 3), 8), threshold=9), "weight", 8, 7),
        (lambda: lower_tinyodin(np.full((3, 3), -9), threshold=9), "weight", -9, -8),
        (lambda: lower_odin(np.ones((3, 3), int), threshold=256), "threshold", 256, 255),
        (lambda: lower_odin(np.ones((3, 3), int), threshold=9, leak=128), "leak", 128, 127),
        (lambda: lower_odin(np.ones((200, 99), int), np.eye(200), threshold=9), "presynaptic rows", 299, 256),
        (lambda: lower_odin(np.tile([[1], [-1]], (2, 130)), threshold=9), "presynaptic rows", 260, 256),
        (lambda: lower_odin(np.ones((2, 1), int), np.array([[1, 0], [-1, 0]]), threshold=9), "signs per row", 2, 1),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_number(make, resource, need, limit):
    with pytest.raises(cs.CompileError) as refusal:
        make()
    assert (refusal.value.resource, refusal.value.need, refusal.value.limit) == (resource, need, limit)


def test_streams_hold_every_spike_and_one_time_reference_per_step():
    image = lower_odin(np.array([[1, -2, 3]]), threshold=9)
    addresses, step = to_stream([[1, 0, 2], [0, 0, 0], [0, 1, 0]], image)
    read = [cs.odin.events.describe(int(a)) for a in addresses]
    every = "time reference of all neurons"
    assert read == [
        "spike of neuron 0",
        "spike of neuron 2",
        "spike of neuron 2",
        every,
        every,
        "spike of neuron 1",
        every,
    ]
    assert step.tolist() == [0, 0, 0, 0, 1, 2, 2]
    back = from_packets(np.array([1, 0, 1, 7]), np.array([3, 10, 11, 12]), np.array([10, 20]), 2)
    assert back.tolist() == [[1, 1], [0, 1]]
    with pytest.raises(cs.RunError, match="3 lines"):
        to_stream(np.zeros((4, 2)), image)


@pytest.mark.parametrize("lower", [lower_odin, lower_tinyodin])
def test_steps_do_what_the_arrays_say(lower):
    """Open loop, excitatory weights: in every step the potential rises by the weights, fires, then leaks."""
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 8, (12, 20))
    spikes = (rng.random((40, 20)) < 0.2).astype(int)
    engine = StepEngine(lower(weights, threshold=25, leak=4))
    run = engine.run(spikes, potentials=True)
    v, counts = np.zeros(12, int), np.zeros((40, 12), int)
    for t in range(40):
        for line in np.flatnonzero(spikes[t]):
            v += weights[:, line]
            counts[t] += v >= 25
            v[v >= 25] = 0
        v = np.maximum(v - 4, 0)
        assert np.array_equal(run.potentials[t], v)
    assert np.array_equal(run.spikes, counts) and counts.sum() > 50
    assert run.sops.sum() == spikes.sum() * (256 if lower is lower_odin else 12) and np.all(run.drops == 0)
    engine.reset()
    first, state = engine.run(spikes[:15]), engine.state()
    engine.reset()
    engine.restore(state)
    second = engine.run(spikes[15:])
    assert np.array_equal(np.vstack([first.spikes, second.spikes]), counts) and engine.step == 40
    assert np.array_equal(np.concatenate([first.cycles, second.cycles]), run.cycles)
