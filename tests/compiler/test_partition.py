"""Partitions: every neuron once, all limits kept, errors only where a neuron alone is too much."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from chipsim.chips.read import load_chip
from chipsim.errors import CompileError
from chipsim.mappings.compiler.cores.allocate import usage
from chipsim.mappings.compiler.cores.axons import is_input
from chipsim.mappings.compiler.cores.core_rules import core_limits
from chipsim.mappings.compiler.cores.incoming import Incoming
from chipsim.mappings.compiler.cores.partition import partition
from chipsim.mappings.network.network import Network
from chipsim.native import loihi
from chipsim.native.base import SpikeSource
from chipsim.native.synapses import Synapses
from tests.oracles.naive_allocate import naive_table
from tests.oracles.naive_allocate import synapses as every_synapse
from tests.support.mapping_nets import chip_with, networks, synapses

COLUMNS = ("neurons", "input_axons", "output_axons", "synapses", "synapse_bits")


def runs(core):
    return 1 + np.count_nonzero(core[1:] != core[:-1])


def naive_cut(net, core, rate=1.0):
    """Packets between cores per step, counted one by one."""
    pairs = {(pre, int(core[post])) for _, pre, post in every_synapse(net)}
    return sum(rate for pre, target in pairs if core[pre] >= 0 and core[pre] != target)


@settings(deadline=None, max_examples=60)
@given(networks(), st.data())
def test_all_neurons_on_one_core_within_limits(net, data):
    limits = dict(
        neurons=data.draw(st.sampled_from([None, 1, 7, 40])),
        input_axons=data.draw(st.sampled_from([None, 5, 60])),
        output_axons=data.draw(st.sampled_from([None, 9, 80])),
        synapses=data.draw(st.sampled_from([None, 300])),
        synapse_bits=data.draw(st.sampled_from([None, 2048, 20_000])),
        threshold_profiles=data.draw(st.sampled_from([None, 1])),
        compartment_base=data.draw(st.sampled_from([None, (0, 3), (0, 255)])),
    )
    chip = chip_with(**limits)
    method = data.draw(st.sampled_from(["auto", "inorder", "graph"]))
    try:
        parts = partition(net, chip, method=method)
    except CompileError as error:
        assert_one_neuron_is_too_much(net, chip, error)
        return
    inputs = is_input(net)
    assert np.array_equal(parts.core >= 0, ~inputs) and np.all(parts.core[inputs] == -1)
    assert np.array_equal(np.unique(parts.core[~inputs]), np.arange(parts.cores))
    counted = naive_table(net, parts.core, chip)
    for name in COLUMNS:
        limit = limits[name]
        assert limit is None or all(row[name] <= limit for row in counted.values()), name
    assert parts.cut_packets == pytest.approx(naive_cut(net, parts.core))
    if parts.method in ("inorder", "aligned", "balanced"):
        assert runs(parts.core[~inputs]) == parts.cores


def assert_one_neuron_is_too_much(net, chip, error):
    """With every neuron on a core of its own, the resource that was refused is still exceeded."""
    inputs = is_input(net)
    alone = np.where(inputs, -1, np.cumsum(~inputs) - 1)
    table = usage(net, alone, chip).table[error.resource]
    assert table.max() > core_limits(chip)[error.resource]
    assert error.need > error.limit and error.population in net.populations
    assert "one neuron alone" in str(error) and "\n" not in str(error)


@settings(deadline=None, max_examples=60)
@given(networks(), st.data())
def test_needs_while_cutting_bound_the_finished_core(net, data):
    """Prefix needs equal the exact table, memory never below it (its index field may be wider)."""
    chip = chip_with(synapse_bits=10**9, compartment_base=data.draw(st.sampled_from([None, (0, 3), (0, 255)])))
    neurons = np.flatnonzero(~is_input(net))
    packing = data.draw(st.sampled_from(["indexed", "nengo_loihi"]))
    incoming = Incoming.of(net, neurons, chip, packing)
    a = data.draw(st.integers(0, neurons.size - 1))
    incoming.take(0, a)
    needs = incoming.needs(a, neurons.size)
    for k in sorted({1, (neurons.size - a) // 2 + 1, neurons.size - a}):
        core = np.full(is_input(net).size, -1)
        core[neurons] = 1
        core[neurons[a : a + k]] = 0
        exact = usage(net, core, chip, packing=packing).table[0]
        assert needs["input_axons"][k - 1] == exact["input_axons"]
        assert needs["synapses"][k - 1] == exact["synapses"]
        assert needs["synapse_bits"][k - 1] >= exact["synapse_bits"]
        if packing == "nengo_loihi":
            assert needs["synapse_bits"][k - 1] == exact["synapse_bits"]


def clusters(count=4, size=30, seed=0, interleaved=True):
    """Groups that talk only among themselves; interleaved, neuron k belongs to group k modulo `count`."""
    n = count * size
    rng = np.random.default_rng(seed)
    group = np.arange(n) % count if interleaved else np.arange(n) // size
    linked = (group[:, None] == group[None, :]) & (rng.random((n, n)) < 0.3)
    net = Network("clusters")
    pop = net.add("p", loihi.LIF(n))
    net.connect(pop, pop, Synapses(sp.csc_array(linked * 2)))
    return net, group


@pytest.mark.parametrize("metis", [True, False])
def test_graph_finds_interleaved_clusters(metis, monkeypatch):
    if metis:
        pytest.importorskip("pymetis")
    else:
        monkeypatch.setitem(sys.modules, "pymetis", None)
    net, group = clusters()
    parts = partition(net, chip_with(neurons=30))
    assert parts.method == "graph"
    assert parts.cut_packets == 0 < parts.inorder_packets
    assert all(np.unique(group[parts.core == k]).size == 1 for k in range(4))
    again = partition(net, chip_with(neurons=30))
    assert np.array_equal(parts.core, again.core)


def test_auto_keeps_neighbours_where_order_is_good():
    net, _ = clusters(interleaved=False)
    parts = partition(net, chip_with(neurons=30))
    assert runs(parts.core) == parts.cores == 4 and parts.cut_packets == 0


def test_rates_decide_what_is_cut():
    """Two pairs that want to be together; the busy one wins."""
    net = Network("pairs")
    a, b = net.add("a", loihi.LIF(4)), net.add("b", loihi.LIF(4))
    ring = np.roll(np.eye(4, dtype=int), 1, axis=0) * 2
    net.connect(a, a, Synapses(ring))
    net.connect(b, b, Synapses(ring))
    chip = chip_with(neurons=6)
    quiet = partition(net, chip, rates={"a": 1.0, "b": 0.001})
    assert np.unique(quiet.core[:4]).size == 1


def test_balanced_split_of_a_large_population():
    net = Network("large")
    net.add("p", loihi.LIF(1100))
    assert np.bincount(partition(net, load_chip("loihi")).core).tolist() == [550, 550]
    assert np.bincount(partition(net, load_chip("loihi"), method="inorder").core).tolist() == [1024, 76]
    assert partition(net, load_chip("loihi"), max_neurons=100).cores == 11


def test_populations_with_other_shared_registers_are_grouped():
    net = Network("shared")
    for k in range(6):
        net.add(f"p{k}", loihi.LIF(5, noise="voltage", noise_exp=3 + k % 2))
    parts = partition(net, load_chip("loihi"))
    assert parts.cores == 2
    assert parts.core.reshape(6, 5)[:, 0].tolist() == [0, 1, 0, 1, 0, 1]


def test_one_neuron_too_large():
    rng = np.random.default_rng(0)
    net = Network("fan-in")
    source, target = net.add("in", SpikeSource(5120)), net.add("hidden", loihi.LIF(3))
    net.connect(source, target, synapses(rng, 3, 5120, 1.0, low=1))
    with pytest.raises(CompileError) as found:
        partition(net, load_chip("loihi"))
    error = found.value
    assert str(error) == (
        "population 'hidden' needs 5120 input axons on core 0; loihi allows 4096, for one neuron alone: "
        "let relays add up its inputs (compile(relays=True), map --relays), prune its synapses, or use a chip with "
        "larger cores"
    )
    assert (error.population, error.core, error.resource, error.need, error.limit) == (
        "hidden", 0, "input_axons", 5120, 4096,
    )  # fmt: skip


def test_output_axons_are_spread():
    """One population that reaches many cores: its neurons are spread until the slots of each core suffice."""
    net = Network("out")
    a, b = net.add("a", loihi.LIF(40)), net.add("b", loihi.LIF(40))
    net.connect(a, b, Synapses(np.full((40, 40), 2)))
    chip = chip_with(neurons=8, output_axons=30)
    parts = partition(net, chip)
    table = usage(net, parts.core, chip).table
    assert table["output_axons"].max() <= 30
    assert parts.cores <= 13


@pytest.mark.parametrize("bad", [dict(method="best"), dict(max_neurons=0), dict(rates={"q": 1}), dict(rates={"p": -1})])
def test_bad_arguments(bad):
    net = Network("bad")
    net.add("p", loihi.LIF(3))
    with pytest.raises(CompileError):
        partition(net, load_chip("loihi"), **bad)
