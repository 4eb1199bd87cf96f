"""Layers of plain weights onto the grid: decomposition into four axon types, copies, and the network that results."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chipsim as cs
from chipsim.engines.grid.core import GridEngine
from chipsim.native.grid.image import by_type, from_outputs, lower_truenorth, to_packets


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, (5, 6), elements=st.integers(-8, 7)))
def test_four_bit_weights_are_sums_over_types(weights):
    mask, table = by_type(weights)
    assert np.array_equal((mask * table[:, None, :]).sum(axis=2), weights) and table.shape == (5, 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-256, 255), min_size=4, max_size=4), min_size=3, max_size=3), st.randoms())
def test_up_to_four_wide_weights_per_neuron_are_exact(values, random):
    weights = np.array([[random.choice([*row, 0]) for _ in range(9)] for row in values])
    mask, table = by_type(weights)
    assert np.array_equal((mask * table[:, None, :]).sum(axis=2), weights)


def layered(weights, thresholds, leaks, spikes, ticks):
    """Output spikes (ticks, outputs) of the synchronous network with one tick per layer."""
    v = [np.zeros(len(w), int) for w in weights]
    s = [np.zeros(len(w), int) for w in weights]
    out = []
    for t in range(ticks):
        new = []
        for k, w in enumerate(weights):
            v[k] += w @ (spikes[t] if k == 0 else s[k - 1]) + leaks[k]
            v[k] = (v[k] + 256) % 512 - 256
            fired = v[k] >= thresholds[k]
            v[k][fired] = 0
            new.append(fired.astype(int))
        s = new
        out.append(s[-1].astype(bool))
    return np.array(out)


@pytest.mark.parametrize("shape", [(40, 70, 30, 10), (100, 12), (60, 300, 5)])
def test_the_grid_runs_the_layers(shape):
    rng = np.random.default_rng(sum(shape))
    weights = [rng.integers(-2, 3, (post, pre)) for pre, post in pairwise(shape)]
    thresholds = [4] * len(weights)
    leaks = [-1] + [0] * (len(weights) - 1)
    image = lower_truenorth(weights, threshold=thresholds, leak=leaks)
    spikes = (rng.random((25, shape[0])) < 0.2).astype(int)
    run = GridEngine(image.program).run(to_packets(spikes, image), 25)
    got = from_outputs(run.outputs, 25, shape[-1])
    expected = layered(weights, thresholds, leaks, spikes, 25)
    assert np.array_equal(got, expected) and expected.sum() > 5


def test_float_weights_keep_their_meaning():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(9, 40))
    image = lower_truenorth([weights], threshold=[2.0])
    core, neuron = image.where[0].T
    p = image.program
    arrived = np.zeros_like(weights)
    for line, x, y, axon in image.inputs:
        here = core == x + y * p.columns
        kind = p.axon_type[core, axon]
        arrived[:, line] += here * p.crossbar[core, neuron, axon] * p.weight[core, neuron, kind]
    assert np.all(np.abs(arrived * image.units[0][:, None] - weights) <= 0.5 * image.units[0][:, None] + 1e-12)
    assert np.allclose(p.thr[core, neuron] * image.units[0], 2.0, atol=image.units[0].max())


@pytest.mark.parametrize(
    ("weights", "resource", "need", "limit"),
    [
        (np.arange(-100, 100).reshape(2, 100), "different weights of a neuron", 100, 4),
        (np.array([[300]]), "weight", 300, 255),
        (np.random.default_rng(0).integers(-8, 8, (3, 200)), "axons of one neuron", None, 256),
        (np.ones((257, 2), int), "output axons", 257, 256),
    ],
)
def test_what_does_not_fit_is_refused_with_its_number(weights, resource, need, limit):
    with pytest.raises(cs.CompileError) as refusal:
        lower_truenorth([weights], threshold=[3], names=["out"])
    assert refusal.value.resource == resource and refusal.value.limit == limit and refusal.value.population == "out"
    assert need is None or refusal.value.need == need


def test_inputs_are_single_spikes():
    image = lower_truenorth([np.ones((2, 3), int)], threshold=[2])
    with pytest.raises(cs.RunError, match="0 or 1"):
        to_packets(np.full((2, 3), 2), image)
    with pytest.raises(cs.RunError, match="at least 3 lines"):
        to_packets(np.zeros((2, 2)), image)
