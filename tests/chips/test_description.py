"""Chip descriptions: shipped files, inheritance, and what a user is told about a bad one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from chipsim.chips.arithmetic import PRESETS, arithmetic
from chipsim.chips.read import SHIPPED, load_chip, shipped
from chipsim.chips.sanafe import chip_from_numbers
from chipsim.chips.schema import Limits
from chipsim.errors import DescriptionError
from chipsim.report.chip_table import markdown
from chipsim.text import human, scale
from tests.oracles.naive_energy import GOLDEN


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", shipped())
def test_shipped_chips_are_complete_and_sourced(name):
    chip = load_chip(name)
    assert chip.name == name and chip.title
    for costs in chip.costs.values():
        for path, constant in costs.constants().items():
            assert constant is None or (constant.source and constant.si >= 0), path
    told = set(chip.limits.sources)
    plain = {"axon_slots", "synapse_packing", "compartment_base_step", "synapse_map_per_axon"}
    for field in Limits.model_fields:
        value = getattr(chip.limits, field)
        is_default = value == Limits.model_fields[field].get_default(call_default_factory=True)
        if name == "loihi" and field != "sources" and not is_default:
            assert field in told, f"{field} has no source"
    assert plain & set(Limits.model_fields) == plain


def test_every_row_of_the_limits_of_loihi():
    limits = load_chip("loihi").limits
    assert (limits.neurons, limits.input_axons, limits.output_axons, limits.cores) == (1024, 4096, 4096, 128)
    assert limits.axon_slots == {"discrete": 1, "pop16": 1, "pop32": 2}
    assert limits.synapse_bits == 16384 * 64
    assert limits.synapse_packing.weight_field_bits == (0, 1, 2, 3, 4, 5, 6, 8)
    assert limits.synapse_packing.index_field_bits == (0, 6, 7, 8, 9, 10, 11, 12)
    assert (limits.synapse_packing.block_synapses, limits.synapse_packing.header_bits) == (64, 10)
    assert (limits.synapse_map_per_axon, limits.synapse_map_per_learning_axon) == (1, 2)
    assert limits.axon_id_bits == {"discrete": 12, "pop16": 10, "pop32": 12}
    assert (limits.population_atoms, limits.compartment_base, limits.compartment_base_step) == (
        32,
        (0, 255),
        4,
    )
    assert limits.spike_fields == {"core": 1024, "axon": 4096, "atom": 1024}
    assert (limits.decay_profiles, limits.threshold_profiles, limits.pre_trace_profiles) == (32, 8, 3)
    assert limits.core_shared == ("vmin", "vmax", "noise_exp", "noise_offset", "noise_target")
    assert not limits.learning_uniform  # fixed axons lie before the first learning one
    assert (limits.vth, limits.vth_exponent) == ((1, 131071), 6)
    assert (limits.bias_mantissa, limits.bias_exponent) == ((-4095, 4095), (0, 7))
    assert (limits.decay, limits.refractory) == ((0, 4095), (1, 63))
    assert (limits.weight_exponent, limits.tag_bits, limits.delay_bits) == ((-7, 7), (0, 3), (0, 7))
    assert (limits.trace_impulse, limits.error) == (127, (-127, 127))


def test_unlimited_has_loihi_arithmetic_and_no_limit():
    chip = load_chip("unlimited")
    assert chip.arithmetic.resolve() == load_chip("loihi").arithmetic.resolve()
    left = [f for f in ("neurons", "input_axons", "synapse_bits", "weight_bits", "vth") if getattr(chip.limits, f)]
    assert left == [] and chip.topology.cores == 1


def test_a_chip_is_returned_as_it_is_and_from_a_path(tmp_path):
    chip = load_chip("loihi")
    assert load_chip(chip) is chip
    assert load_chip(SHIPPED / "loihi.yaml") == chip


def test_inheritance_merges_keys_and_replaces_constants(tmp_path):
    path = write(
        tmp_path,
        "base: loihi\nname: small\nlimits: {neurons: 64}\n"
        "costs:\n  davies2018: null\n  sanafe:\n    synapse:\n"
        "      energy: {value: 1, unit: nJ, source: me, status: assumed}\n",
    )
    chip = load_chip(path)
    assert (chip.name, chip.limits.neurons, chip.limits.input_axons) == ("small", 64, 4096)
    assert list(chip.costs) == ["sanafe"]
    assert chip.costs_named().synapse.energy.si == 1e-9
    assert chip.costs_named().synapse.time == load_chip("loihi").costs_named("sanafe").synapse.time
    child = tmp_path / "child.yaml"
    child.write_text("base: mine.yaml\nlimits: {input_axons: 7}\n")
    assert (load_chip(child).limits.neurons, load_chip(child).limits.input_axons) == (64, 7)


def test_a_changed_file_is_read_again(tmp_path):
    path = write(tmp_path, "base: loihi\nlimits: {neurons: 10}")
    assert load_chip(path).limits.neurons == 10
    path.write_text("base: loihi\nlimits: {neurons: 11}   # longer")
    assert load_chip(path).limits.neurons == 11


def constant(**changes):
    """A description whose one constant is a good one with `changes`."""
    parts = {"value": "3", "unit": "pJ", "source": "x", "status": "fitted", **changes}
    inner = ", ".join(f"{k}: {v}" for k, v in parts.items() if v)
    return "base: loihi\ncosts: {sanafe: {synapse: {energy: {" + inner + "}}}}"


BAD = {
    "base: loihi\nlimits: {nurons: 3}": r"mine.yaml: limits.nurons: unknown key, did you mean 'neurons'\?",
    "base: loihi\ntopology: {width: x}": r"topology.width: .*integer.*'x'",
    "base: loihii": r"no chip 'loihii', did you mean 'loihi'\?",
    "base: other.yaml": "no such file",
    "base: mine.yaml": "base leads back to itself",
    "base: [loihi]": "base: expected a chip name",
    constant(unit="ns"): ("costs.sanafe.synapse.energy.unit: unit 'ns' is a unit of time; energy is given in fJ, pJ"),
    constant(unit="eV"): "unknown",
    constant(unit="", source="", status=""): r"is missing: a constant is \{value, unit",
    constant(value=".nan"): "finite",
    constant(value="-1"): "greater",
    constant(status="sure"): "measured",
    "base: loihi\ncosts: {sanafe: {barrier: {by_tiles: {}}}}": "at least one entry",
    "name: a\nname: b": "key 'name' is given twice",
    "a: [": "line 1: not YAML",
    "- 1": "expected a mapping",
    "": "expected a mapping",
    "base: loihi\ncost_set: foo": "cost_set 'foo' is none of davies2018, sanafe",
    "base: loihi\nlimits: {vth: [3]}": "limits.vth.1: is missing; a range is",
    "base: loihi\nlimits: {vth: [3, 1]}": "lo <= hi",
    "base: loihi\nlimits: {neurons: -3}": "not negative",
    "base: loihi\nlimits: {sources: {nothing: here}}": "'nothing' is no limit",
    "base: loihi\nlimits: {cores: 129}": "exceeds the 128 cores",
    "base: loihi\nlimits: null": "limits: is empty; leave it out",
    "base: loihi\narithmetic: {preset: lavva}": "unknown arithmetic 'lavva', did you mean 'lava'",
    "base: loihi\narithmetic: {options: {weight_rounding: up}}": "allowed are 'floor', 'zero', 'nearest'",
    "base: loihi\nfamily: loihi3": "got 'loihi3'; allowed are 'loihi'",
    "family: loihi": "is missing",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, text):
    with pytest.raises(DescriptionError, match=BAD[text]) as refusal:
        load_chip(write(tmp_path, text))
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


def test_unknown_names():
    with pytest.raises(DescriptionError, match="no chip 'truenort', did you mean 'truenorth'"):
        load_chip("truenort")
    with pytest.raises(DescriptionError, match="no such file"):
        load_chip("somewhere/else.yaml")
    with pytest.raises(DescriptionError, match="has no cost set 'davies', did you mean 'davies2018'"):
        load_chip("loihi").costs_named("davies")
    with pytest.raises(DescriptionError, match="no published costs"):
        load_chip("float").costs_named()


def test_presets_differ_in_the_five_places():
    lava, nengo, brian2 = (PRESETS[name] for name in ("lava", "nengo_loihi", "brian2_loihi"))
    assert [p.negative_exponent for p in (lava, nengo, brian2)] == ["sum", "synapse", "synapse"]
    assert [p.weight_rounding for p in (lava, nengo, brian2)] == ["floor", "nearest", "zero"]
    assert [p.input_accumulator_bits for p in (lava, nengo, brian2)] == [None, 21, None]
    assert [p.current_overflow for p in (lava, nengo, brian2)] == ["once", "wrap", "none"]
    assert [p.trace_decay for p in (lava, nengo, brian2)] == ["exp", "exp", "linear"]
    assert arithmetic("lava", trace_decay="linear").trace_decay == "linear"
    with pytest.raises(DescriptionError, match="did you mean 'trace_decay'"):
        arithmetic("lava", trace_decai="exp")


def test_sanafe_architecture():
    arch = json.loads((GOLDEN / "arch" / "P_small3x2x2.json").read_text())
    chip = chip_from_numbers(arch)
    costs = chip.costs_named()
    assert (chip.topology.width, chip.topology.height, chip.topology.cores_per_tile) == (3, 2, 2)
    assert (costs.hop_west.energy.si, costs.hop_south.time.si) == (3.5e-12, 6e-9)
    assert (costs.soma_spike.energy.si, costs.axon_in.time.si) == (4e-11, 1.2e-8)
    assert costs.barrier.time(6) == 5e-7 and chip.limits.neurons == 128 and chip.limits.input_units == 32
    with pytest.raises(DescriptionError, match="missing or malformed 'soma'"):
        chip_from_numbers({k: v for k, v in arch.items() if k != "soma"})
    with pytest.raises(DescriptionError, match="only 'soma' is modelled"):
        chip_from_numbers({**arch, "buffer_position": "dendrite"})


@pytest.mark.parametrize("name", ["P_small3x2x2", "P_line8x1x1"])
def test_sanafe_yaml_is_read_as_its_numbers(name):
    read, numbers = (load_chip(GOLDEN / "arch" / f"{name}.{kind}") for kind in ("yaml", "json"))
    assert read == numbers


def test_sanafe_yaml_of_another_shape_is_refused(tmp_path):
    text = (GOLDEN / "arch" / "P_line8x1x1.yaml").read_text()
    with pytest.raises(DescriptionError, match="missing or malformed 'energy_message_out'"):
        load_chip(write(tmp_path, text.replace("energy_message_out", "energy_message")))
    data = yaml.safe_load(text)
    data["architecture"]["tile"] *= 2
    with pytest.raises(DescriptionError, match="2 kinds of tile"):
        load_chip(write(tmp_path, yaml.safe_dump(data)))


def test_the_shipped_set_sanafe_is_the_recorded_architecture():
    arch = chip_from_numbers(json.loads((GOLDEN / "arch" / "P_loihi8x4x4.json").read_text()))
    mine, theirs = load_chip("loihi").costs_named("sanafe").constants(), arch.costs_named().constants()
    for path, constant in theirs.items():
        if constant is not None:
            assert mine[path].si == pytest.approx(constant.si), path


def test_yaml_files_say_nothing_twice():
    for path in SHIPPED.glob("*.yaml"):
        assert yaml.safe_load(path.read_text())["name"] == path.stem


def test_units():
    assert scale("pJ", "energy") == 1e-12 and scale("us", "time") == 1e-6
    assert [human(x, "J") for x in (2.36e-11, 1.5e-3, 0, 3)] == ["23.6 pJ", "1.5 mJ", "0 J", "3 J"]


def test_page_of_chips_is_up_to_date():
    page = Path(__file__).parent.parent.parent / "docs" / "chips.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run python docs/make_chips.py"
