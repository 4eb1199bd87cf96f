"""compile(): stages kept, hand-made placements, refusals in one line, dumps, and splitting without consequences.

`python -m tests.compiler.test_pipeline` writes the texts in tests/text anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from chipsim.chips.arithmetic import arithmetic
from chipsim.chips.read import load_chip
from chipsim.emulator import Emulator
from chipsim.errors import CompileError
from chipsim.mappings.compiler.compile import FAMILY_LOWERING, compile
from chipsim.mappings.compiler.cores.allocate import allocate
from chipsim.mappings.compiler.cores.partition import partition
from chipsim.mappings.compiler.cores.place import place
from chipsim.mappings.compiler.cores.traffic import traffic
from chipsim.mappings.compiler.dump import dump
from chipsim.mappings.network.ideal import LIF
from chipsim.mappings.network.network import Network
from chipsim.native import floats, loihi
from chipsim.native.base import SpikeSource
from chipsim.native.synapses import Conv, Synapses
from chipsim.rules.products.rule import SumOfProducts
from tests.support.mapping_nets import chip_with, networks

TEXTS = Path(__file__).parent.parent / "text"


def layered():
    """A population larger than a core, a small one, dense, sparse and delayed synapses."""
    rng = np.random.default_rng(7)
    net = Network("layered")
    source = net.add("in", SpikeSource(16))
    hidden = net.add("hidden", loihi.LIF(1200, vth=50, du=1000))
    out = net.add("out", loihi.LIF(8, vth=50))
    net.connect(source, hidden, Synapses(rng.integers(-90, 90, (1200, 16))))
    net.connect(hidden, out, Synapses(rng.integers(-90, 90, (8, 1200)), bits=4, delays=3))
    near = sp.diags_array([np.full(1199, 8)], offsets=[1], dtype=np.int64)
    net.connect(hidden, hidden, Synapses(sp.csc_array(near)))
    return net


def convolution():
    """An image through a strided convolution on four cores."""
    net = Network("convolution")
    conv = Conv(np.arange(-8, 8).reshape(2, 2, 2, 2), (8, 8, 2), stride=2)
    image = net.add("image", SpikeSource((8, 8, 2)))
    net.connect(image, net.add("maps", loihi.LIF(conv.output_shape, vth=4)), conv)
    return net


def texts():
    """File name -> text of every stage of two small mappings."""
    out = {}
    for net, chip in ((layered(), load_chip("loihi")), (convolution(), chip_with("loihi", neurons=10))):
        parts = partition(net, chip)
        flow = traffic(net, parts.core)
        spot = place(parts, chip, flow)
        stages = (net, parts, flow, spot, allocate(net, spot.core, chip), compile(net, chip))
        out[f"{net.name}.txt"] = "\n".join(dump(stage) for stage in stages)
    return out


@pytest.mark.parametrize("name", ["layered.txt", "convolution.txt"])
def test_dumps_read_as_written(name):
    assert texts()[name] == (TEXTS / name).read_text()


def test_stages_are_plain_and_complete():
    program = compile(layered(), "loihi", dt=2e-3, seed=5)
    assert list(program.stages) == ["partition", "place", "allocate"]
    assert (program.dt, program.seed, program.name) == (2e-3, 5, "layered")
    assert [p.start for p in program.populations] == [0, 16, 1216]
    assert [(p.pre, p.post) for p in program.projections] == [(0, 1), (1, 2), (1, 1)]
    table = program.stages["allocate"]["table"]
    assert table["core"] == program.cores.tolist()
    assert sum(table["neurons"]) == 1208

    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(k, str) and plain(v) for k, v in value.items())
        if isinstance(value, (list, tuple)):
            return all(map(plain, value))
        return value is None or type(value) in (int, float, str, bool)

    assert plain(program.stages)


def test_ideal_networks_are_quantised_and_keep_their_units():
    rng = np.random.default_rng(0)
    net = Network("ideal")
    source, out = net.add("in", SpikeSource(10)), net.add("out", LIF(5))
    net.connect(source, out, rng.random((5, 10)))
    program = compile(net, "loihi", quantise={"bits": 6})
    assert isinstance(program.populations[1].model, loihi.LIF)
    assert program.populations[1].unit and program.projections[0].unit
    assert program.projections[0].synapses.bits == 6
    assert "quantise" in program.stages
    with pytest.raises(CompileError, match="native already"):
        compile(layered(), "loihi", quantise={"bits": 6})


def test_placement_by_hand():
    net = layered()
    hidden = np.arange(1200) // 700 * 4 + 1
    program = compile(net, "loihi", placement={"hidden": hidden, "out": 9, "in": 2})
    assert np.array_equal(program.core, np.r_[np.full(16, 2), hidden, np.full(8, 9)])
    assert program.cores.tolist() == [1, 2, 5, 9]
    assert program.stages["place"]["method"] == "by hand"
    assert np.all(compile(net, "loihi", placement={"hidden": hidden, "out": 9}).core[:16] == -1)


BY_HAND = {
    "unknown": ({"hiden": 0}, "no population 'hiden'"),
    "missing": ({"out": 0}, "says nothing about population 'hidden'"),
    "shape": ({"hidden": [0, 1], "out": 0}, "one core number or 1200 of them"),
    "fraction": ({"hidden": 0.5, "out": 0}, "one core number or 1200 of them"),
    "negative": ({"hidden": -1, "out": 0}, "has no core -1"),
    "beyond": ({"hidden": 0, "out": 128}, "has no core 128: it has 0..127"),
    "too many": ({"hidden": 3, "out": 0}, "population 'hidden' needs 1200 neurons on core 3; loihi allows 1024"),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_bad_placement(name):
    placement, message = BY_HAND[name]
    with pytest.raises(CompileError, match=message):
        compile(layered(), chip_with("loihi", chips=1), placement=placement)


def one(model, n_in=3, **options):
    net = Network("one")
    source, target = net.add("in", SpikeSource(n_in, graded=options.pop("graded", 0))), net.add("p", model)
    net.connect(source, target, Synapses(np.full((model.n, n_in), 8), **options))
    return net


REFUSED = {
    "model": (one(loihi.TernaryLIF(2)), {}, "has no TernaryLIF neurons"),
    "reset": (one(loihi.LIF(2, reset="subtract")), {}, "resets by 'subtract'; chip loihi allows zero"),
    "threshold": (one(loihi.LIF(2, vth=[5, 0])), {}, "vth = 0 is outside loihi's"),
    "decay": (one(loihi.LIF(2, dv=4096)), {}, "dv = 4096 is outside loihi's"),
    "bias": (one(loihi.LIF(2, bias_mant=-4096)), {}, "bias_mant = -4096 is outside loihi's"),
    "bias_exp": (one(loihi.LIF(2, bias_exp=-1)), {}, "bias_exp = -1 is outside loihi's"),
    "refractory": (one(loihi.LIF(2, refractory=64)), {}, "refractory = 64 is outside loihi's"),
    "delay": (one(loihi.LIF(2), delays=63), {}, "needs delay 63, loihi allows 0..62"),
    "exponent": (one(loihi.LIF(2), exponent=8), {}, "needs weight_exponent 8, loihi allows -7..7"),
    "graded": (one(loihi.LIF(2), graded=1, message_bits=8), {}, "needs spikes of 8 bits, loihi's carry 0"),
    "float model": (one(floats.LIF(2)), {}, "has float neurons"),
    "arithmetic": (one(loihi.LIF(2)), {"arithmetic": "float"}, "does not belong on chip loihi"),
    "dt": (one(loihi.LIF(2)), {"dt": 0}, "dt=0 must be a positive number"),
    "seed": (one(loihi.LIF(2)), {"seed": 1.5}, "seed=1.5 is not a whole number"),
    "partition": (one(loihi.LIF(2)), {"partition": "magic"}, "'magic' is not one of auto, inorder, graph"),
    "packing": (one(loihi.LIF(2)), {"packing": "zip"}, "packing='zip' is not one of"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name):
    net, options, message = REFUSED[name]
    with pytest.raises(CompileError, match=message) as found:
        compile(net, "loihi", **options)
    assert "\n" not in str(found.value) and len(str(found.value)) < 220


def test_what_one_chip_refuses_another_takes():
    names = list(REFUSED)
    for name in names[: names.index("float model")]:
        compile(REFUSED[name][0], "unlimited")


def test_narrow_limits_of_weights():
    net = one(loihi.LIF(2), bits=8, delays=7)
    for limit, need in (("weight_bits", 8), ("weight", 8), ("delay_bits", 3), ("delay", 7)):
        with pytest.raises(CompileError, match=f"needs {limit} {need}, unlimited allows 0..2"):
            compile(net, chip_with(**{limit: (0, 2)}))


def test_learning_needs_an_engine():
    net = Network("learns")
    source, target = net.add("in", SpikeSource(2)), net.add("p", loihi.LIF(2))
    rule = SumOfProducts(dw="2^-2*x1*y0", x1_impulse=120, x1_tau=10)
    net.connect(source, target, Synapses(np.full((2, 2), 8)), rule=rule)
    chip = load_chip("loihi")
    compile(net, chip)
    deaf = chip.model_copy(update={"learning": chip.learning.model_copy(update={"rules": ()})})
    with pytest.raises(CompileError, match="learns, chip loihi cannot"):
        compile(net, deaf)
    with pytest.raises(CompileError, match="needs trace_impulse 120"):
        compile(net, chip_with("loihi", trace_impulse=100))


def test_other_families_need_a_lowering(monkeypatch):
    chip = load_chip("loihi").model_copy(update={"family": "none"})
    with pytest.raises(CompileError, match="family 'none'"):
        compile(layered(), chip)
    made = compile(layered(), "loihi")
    seen = {}
    monkeypatch.setitem(FAMILY_LOWERING, "none", lambda net, chip, **options: (seen.update(options), made)[1])
    assert compile(layered(), chip, dt=1e-3) is made and seen["dt"] == 1e-3


def test_arithmetic_by_name_or_by_value():
    net = one(loihi.LIF(2))
    assert compile(net, "loihi").arithmetic.preset == "lava"
    assert compile(net, "loihi", arithmetic="nengo_loihi").arithmetic == arithmetic("nengo_loihi")
    mixed = arithmetic("lava", weight_rounding="zero")
    assert compile(net, "loihi", arithmetic=mixed).arithmetic == mixed


def test_only_inputs():
    net = Network("inputs")
    net.add("in", SpikeSource(3))
    with pytest.raises(CompileError, match="has no neurons"):
        compile(net, "loihi")


@settings(deadline=None, max_examples=15)
@given(networks(max_neurons=40), st.integers(0, 1000))
def test_splitting_changes_no_spike(net, seed):
    """One core, the mapper's cut at 7 neurons a core, and a scattered placement by hand: the same spikes."""
    rng = np.random.default_rng(seed)
    source = net.populations["in"]
    spikes = {"in": rng.random((30, source.n)) < 0.3}
    scattered = {name: rng.integers(0, 128, p.n) for name, p in net.populations.items() if not p.model.is_input}
    programs = (
        compile(net, "unlimited"),
        compile(net, "unlimited", max_neurons=7, partition="graph"),
        compile(net, "unlimited", placement=scattered),
    )
    runs = [Emulator(program).run(spikes, steps=30) for program in programs]
    for name in net.populations:
        for other in runs[1:]:
            np.testing.assert_array_equal(other.spikes[name], runs[0].spikes[name])


if __name__ == "__main__":
    for file, text in texts().items():
        (TEXTS / file).write_text(text)
