"""Placement: never worse than in order, best where that can be enumerated, chips in a row."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from chipsim.chips.read import load_chip
from chipsim.errors import CompileError
from chipsim.mappings.compiler.cores.partition import Partition
from chipsim.mappings.compiler.cores.place import distances, hops_of, place, slots
from chipsim.mappings.compiler.cores.traffic import Traffic
from tests.support.mapping_nets import chip_with


def flow(matrix):
    return Traffic(sp.csr_array(np.asarray(matrix, float)), np.zeros(len(matrix)))


def parts(count):
    return Partition(np.arange(count, dtype=np.int32), count, "inorder")


def naive_hops(matrix, chip, physical):
    """Hop by hop: east or west, then north or south."""
    total = 0.0
    for a in range(len(matrix)):
        for b in range(len(matrix)):
            tile = [int(physical[k]) // chip.topology.cores_per_tile for k in (a, b)]
            (xa, ya), (xb, yb) = ((t // chip.topology.height, t % chip.topology.height) for t in tile)
            total += matrix[a][b] * (abs(xa - xb) + abs(ya - yb))
    return total


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 24), st.floats(0.05, 1.0), st.integers(0, 10**6))
def test_never_worse_than_in_order(count, density, seed):
    chip = load_chip("loihi")
    rng = np.random.default_rng(seed)
    matrix = rng.random((count, count)) * (rng.random((count, count)) < density)
    spot = place(parts(count), chip, flow(matrix))
    assert np.unique(spot.physical).size == count
    assert spot.hops == pytest.approx(naive_hops(matrix, chip, spot.physical))
    assert spot.inorder_hops == pytest.approx(naive_hops(matrix, chip, np.arange(count)))
    assert spot.hops <= spot.inorder_hops + 1e-9
    assert np.array_equal(spot.physical, place(parts(count), chip, flow(matrix)).physical)
    tiles = -(-count // chip.topology.cores_per_tile)
    assert spot.physical.max() < tiles * chip.topology.cores_per_tile


@pytest.mark.parametrize("seed", range(5))
def test_best_of_all_permutations(seed):
    """One core per tile on a 3 x 2 mesh: all 720 placements are tried."""
    chip = load_chip("loihi")
    mesh = chip.topology.model_copy(update=dict(width=3, height=2, cores_per_tile=1, chips=1))
    chip = chip.model_copy(update={"topology": mesh, "limits": chip.limits.model_copy(update={"cores": 6})})
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 9, (6, 6)) * (rng.random((6, 6)) < 0.5)
    best = min(naive_hops(matrix, chip, p) for p in permutations(range(6)))
    assert place(parts(6), chip, flow(matrix)).hops <= 1.05 * best


def test_a_shuffled_chain_is_found_again():
    chip = load_chip("loihi")
    order = np.random.default_rng(3).permutation(32)
    matrix = np.zeros((32, 32))
    matrix[order[:-1], order[1:]] = 1
    spot = place(parts(32), chip, flow(matrix))
    assert spot.hops <= 12 < 40 < spot.inorder_hops


def test_several_chips_continue_eastwards():
    chip = load_chip("loihi")
    assert slots(chip, 130).tolist() == list(range(130))
    distance = distances(chip, np.array([0, 127, 128]))
    assert distance[0, 1] == 7 + 3 and distance[0, 2] == 8 and distance[1, 2] == 1 + 3
    fewer = chip_with("loihi", cores=100)
    assert slots(fewer, 102).tolist() == [*range(100), 128, 129]
    spot = place(parts(130), chip, None)
    assert spot.physical.max() == 129


def test_too_few_cores():
    with pytest.raises(CompileError, match=r"needs 129 cores; loihi has 128 \(1 chips of 128\)") as found:
        place(parts(129), chip_with("loihi", chips=1), None)
    assert (found.value.resource, found.value.need, found.value.limit) == ("cores", 129, 128)


def test_hops_of_pairs_equal_the_matrix():
    chip = load_chip("loihi")
    rng = np.random.default_rng(0)
    matrix, physical = rng.random((9, 9)), rng.permutation(128)[:9]
    assert hops_of(flow(matrix), chip, physical) == pytest.approx(naive_hops(matrix, chip, physical))
