"""The counts of a core against a plain recount, the packing against nengo-loihi's table, every limit refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipsim.chips.read import load_chip
from chipsim.chips.schema import SynapsePacking
from chipsim.errors import CompileError
from chipsim.mappings.compiler.cores.allocate import allocate, usage
from chipsim.mappings.compiler.cores.axons import is_input, total
from chipsim.mappings.compiler.cores.core_rules import CORE_RULES
from chipsim.mappings.compiler.cores.packing import bits_per_axon
from chipsim.mappings.network.network import Network
from chipsim.native import loihi
from chipsim.native.base import SpikeSource
from chipsim.native.synapses import Synapses
from chipsim.rules.products.rule import SumOfProducts
from tests.oracles.naive_allocate import axon_bits, naive_table
from tests.support.mapping_nets import chip_with, networks, synapses

GOLDEN = Path(__file__).parent.parent / "golden" / "lava" / "nengo_loihi" / "functions.npz"
#: Every resource that can be counted is counted, so that the table can be compared with the recount.
COUNTED = dict(
    neurons=10**6, input_axons=10**6, output_axons=10**6, synapses=10**9, synapse_bits=10**9,
    synapse_map_entries=10**6, axon_fanout=10**6, fan_in=10**6, input_units=10**6,
)  # fmt: skip


def test_packing_equals_nengo_loihi():
    table = np.load(GOLDEN)["mem_table"].astype(np.int64)
    packing = SynapsePacking()
    weight = np.array(packing.weight_field_bits)[table[:, 3]]
    index = np.where(table[:, 1] == 0, np.array(packing.index_field_bits)[table[:, 2]], 0)
    assert np.all(table[:, 5] + 1 == packing.block_synapses)
    assert len(table) == 1200
    np.testing.assert_array_equal(bits_per_axon(table[:, 0], weight + table[:, 4] + index, packing), table[:, 6])


@given(st.integers(0, 500), st.integers(1, 40), st.integers(1, 70), st.integers(0, 20), st.sampled_from([8, 32, 64]))
def test_packing_equals_blocks_one_by_one(n, bits, block, header, word):
    packing = SynapsePacking(block_synapses=block, header_bits=header, word_bits=word)
    assert bits_per_axon(n, bits, packing) == axon_bits(n, bits, block, header, word)


def test_nengo_loihi_counts_its_published_example():
    """1,000 neurons with 10 % recurrence: 900,032 bits counted without an index (specification, section 1c)."""
    rng = np.random.default_rng(0)
    net = Network("example")
    pop = net.add("p", loihi.LIF(1000))
    net.connect(pop, pop, Synapses((rng.random((1000, 1000)) < 0.1) * 2))
    chip, core = chip_with("loihi"), np.zeros(1000, int)
    free = usage(net, core, chip, packing="nengo_loihi").table["synapse_bits"][0]
    honest = usage(net, core, chip).table["synapse_bits"][0]
    assert free == pytest.approx(900_032, rel=0.02)
    assert honest > 1.8 * free


@settings(deadline=None, max_examples=60)
@given(networks(), st.data())
def test_table_equals_recount(net, data):
    cores = data.draw(st.integers(1, 5))
    runs = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    core = rng.integers(0, cores, total(net)) * 3
    core = np.sort(core) if runs else core
    core = np.where(is_input(net) & (rng.random() < 0.5), -1, core)
    base = data.draw(st.sampled_from([(0, 3), (0, 255), None]))
    chip = chip_with(**COUNTED, compartment_base=base)
    table = allocate(net, core, chip).table
    expected = naive_table(net, core, chip)
    assert table["core"].tolist() == list(expected)
    for row in table:
        for name in ("neurons", "input_axons", "output_axons", "synapses", "synapse_bits", "synapse_map",
                     "axon_fanout", "fan_in", "input_lines"):  # fmt: skip
            assert row[name] == expected[int(row["core"])][name], name


def small(rule=None):
    """An input of 8, two populations of 6 and 4 on cores 0 and 0, all connected."""
    rng = np.random.default_rng(1)
    net = Network("small")
    source = net.add("in", SpikeSource(8))
    a = net.add("a", loihi.LIF(6, vth=np.arange(1, 7), du=np.arange(6)))
    b = net.add("b", loihi.LIF(4, noise="voltage", noise_exp=3))
    net.connect(source, a, synapses(rng, 6, 8, 1.0, sparse=False, low=1), rule=rule)
    net.connect(a, b, synapses(rng, 4, 6, 1.0, sparse=False, bits=4, low=1))
    return net


#: limit of the schema -> (value that is too small, resource named, population named, amount needed)
TOO_SMALL = {
    "neurons": (9, "neurons", "a", 10),
    "input_axons": (13, "input_axons", "a", 14),
    "output_axons": (5, "output_axons", "a", 6),
    "synapses": (71, "synapses", "a", 72),
    "synapse_bits": (8 * 64, "synapse_bits", "a", 14 * 64),
    "synapse_map_entries": (13, "synapse_map", "a", 14),
    "synapse_formats": (1, "formats", "a", 2),
    "decay_profiles": (6, "decay_profiles", "a", 7),
    "threshold_profiles": (5, "threshold_profiles", "a", 6),
    "axon_fanout": (5, "axon_fanout", "a", 6),
    "fan_in": (7, "fan_in", "a", 8),
    "input_units": (7, "input_lines", "a", 8),
    "axon_id_bits": ({"discrete": 3}, "input_axons", "a", 14),
    "spike_fields": ({"core": 1024, "axon": 8, "atom": 1}, "input_axons", "a", 14),
}


@pytest.mark.parametrize("limit", TOO_SMALL)
def test_every_limit_is_refused_by_name(limit):
    value, resource, population, need = TOO_SMALL[limit]
    net, core = small(), np.r_[np.full(8, -1), np.zeros(10, int)]
    allocate(net, core, chip_with())
    with pytest.raises(CompileError) as found:
        allocate(net, core, chip_with(**{limit: value}))
    error = found.value
    assert (error.resource, error.population, error.core, error.need) == (resource, population, 0, need)
    assert f"'{population}'" in str(error) and str(need) in str(error) and "unlimited allows" in str(error)
    assert ": " in str(error) and len(str(error)) < 220 and "\n" not in str(error)


def test_a_limit_just_met_is_no_error():
    net, core = small(), np.r_[np.full(8, -1), np.zeros(10, int)]
    for limit, (_, _, _, need) in TOO_SMALL.items():
        if limit not in ("axon_id_bits", "spike_fields"):
            allocate(net, core, chip_with(**{limit: need}))


def test_registers_that_a_core_shares():
    net = Network("shared")
    net.add("quiet", loihi.LIF(3))
    net.add("a", loihi.LIF(3, noise="voltage", noise_exp=3))
    net.add("b", loihi.LIF(3, noise="current", noise_exp=3))
    chip = load_chip("loihi")
    allocate(net, np.array([0, 0, 0, 0, 0, 0, 1, 1, 1]), chip)
    with pytest.raises(CompileError, match="register that loihi shares") as found:
        allocate(net, np.zeros(9, int), chip)
    assert found.value.resource == "shared"
    with pytest.raises(CompileError, match="register"):
        net = Network("vmin")
        net.add("a", loihi.LIF(2, vmin=[-5, -6]))
        allocate(net, np.zeros(2, int), chip)


def test_learning_and_fixed_synapses_share_a_core_of_loihi():
    """Fixed axons come before the first learning one; a chip that says `learning_uniform` keeps them apart."""
    rule = SumOfProducts(dw="2^-2*x1*y0", x1_impulse=16, x1_tau=10)
    net, chip = small(rule), load_chip("loihi")
    apart = np.r_[np.full(8, -1), np.zeros(6, int), np.ones(4, int)]
    table = allocate(net, apart, chip).table
    assert table["synapse_map"].tolist() == [16, 6]
    state = rule.state_bits()
    assert table["learning_bits"].tolist() == [state["synapse"] * 48 + state["pre"] * 8 + state["post"] * 6, 0]
    together = allocate(net, np.where(apart >= 0, 0, -1), chip).table
    assert together["synapse_map"].tolist() == [2 * 8 + 6] and together["formats"] == [2]
    chip = chip.model_copy(update={"limits": chip.limits.model_copy(update={"learning_uniform": True})})
    with pytest.raises(CompileError, match=r"one kind per core.*or use a chip whose cores hold both") as found:
        allocate(net, np.where(apart >= 0, 0, -1), chip)
    assert found.value.resource == "mixed_learning"


def test_pre_trace_profiles():
    net = Network("traces")
    source, target = net.add("in", SpikeSource(2)), net.add("p", loihi.LIF(2))
    for tau in (5, 10, 15, 20):
        rule = SumOfProducts(dw="2^-2*x1*y0", x1_impulse=16, x1_tau=tau)
        net.connect(source, target, Synapses(np.full((2, 2), 4)), rule=rule)
    with pytest.raises(CompileError, match="4 pre-trace profiles on core 0; loihi allows 3"):
        allocate(net, np.array([-1, -1, 0, 0]), load_chip("loihi"))


def test_every_rule_has_a_limit_of_the_schema():
    names = {rule.column for rule in CORE_RULES}
    assert {row[1] for row in TOO_SMALL.values()} | {"shared", "mixed_learning", "pre_traces"} == names
