"""Export to Lava: what is written and refused, on any Python; tests/formats/test_lava_run.py runs it in Lava."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs
from chipsim.mappings.formats.lava.writer import lava_source, patched_import, write_lava_script
from chipsim.native.synapses import Conv
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.pes import Pes
from chipsim.rules.products.rule import SumOfProducts
from tests.support.lava_nets import CASES


def network(**changed):
    rng = np.random.default_rng(0)
    net = cs.Network("two layers")
    x = net.add("x", cs.SpikeSource(12))
    a = net.add(
        "a",
        cs.loihi.LIF(
            20, **({"du": 1000, "dv": 300, "vth": 90, "bias_mant": rng.integers(-9, 20, 20), "bias_exp": 4} | changed)
        ),
    )
    b = net.add("b", cs.loihi.LIF(5, du=4095, dv=128, vth=300))
    net.connect(
        x, a, cs.loihi.Synapses(rng.integers(-120, 120, (20, 12)) * 2, exponent=1, delays=rng.integers(0, 5, (20, 12)))
    )
    net.connect(a, a, cs.loihi.Synapses(rng.integers(-60, 60, (20, 20)) * 2, exponent=-2, sign="mixed"))
    net.connect(a, b, cs.loihi.Synapses(rng.integers(0, 255, (5, 20)), sign="excitatory"))
    return net


def test_script_is_python_and_names_all(tmp_path) -> None:
    program = cs.compile(network(), "unlimited")
    path = write_lava_script(program, tmp_path / "two.py")
    text = path.read_text()
    names: dict = {"__name__": "script"}
    exec(compile(text, str(path), "exec"), names)
    held = names["arrays"]()
    np.testing.assert_array_equal(held["w_0"], program.projections[0].synapses.mantissa)
    assert list(names["SIZES"]) == ["a", "b"] and "DelayDense" in text and "weight_exp=-2" in text


@pytest.mark.parametrize("name", CASES)
def test_all_sources_are_python(name) -> None:
    net, _, _ = CASES[name](10)
    teaching = {"placement": {"teach": 0, "a": 0}} if name == "reward" else {}
    ast.parse(lava_source(cs.compile(net, "unlimited", **teaching)))


def test_neurons_are_split_by_what_lava_has_per_process() -> None:
    text = lava_source(cs.compile(network(vth=np.repeat([50, 70], 10), du=np.tile([1000, 7], 10)), "unlimited"))
    names: dict = {"__name__": "script"}
    exec(compile(text, "script", "exec"), names)
    held = names["arrays"]()
    places = [held[index].tolist() for _, index in names["PARTS"]["a"]]
    assert sorted(places) == [list(range(k, m, 2)) for k, m in ((0, 10), (1, 10), (10, 20), (11, 20))]
    for part, index in names["PARTS"]["a"]:
        line = next(x for x in text.splitlines() if x.lstrip().startswith(f"p['{part}']"))
        first = held[index][0]
        assert f"du={1000 if first % 2 == 0 else 7}, " in line and f"vth={50 if first < 10 else 70}, " in line


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"refractory": 3}, "no refractory"),
        ({"noise": "voltage"}, "no noise"),
        ({"reset": "subtract"}, "resets to zero only"),
        ({"vmin": -100}, "no lowest potential"),
        ({"vmax": 100000}, "no highest potential"),
        ({"bias": 4097 * 3}, "bias 12291|bias 12147|no mantissa"),
    ],
)
def test_refuses_what_lava_lacks(changed, said) -> None:
    with pytest.raises(cs.CompileError, match=said):
        lava_source(cs.compile(network(**changed), "unlimited"))


def test_a_projection_may_have_the_name_of_a_population() -> None:
    net = network()
    net.connect("x", "b", cs.loihi.Synapses(np.ones((5, 12), int)), name="a")
    assert "p['a (synapses)'] = Dense" in lava_source(cs.compile(net, "unlimited"))
    net.add("c", cs.loihi.LIF(2))
    net.connect("x", "c", cs.loihi.Synapses(np.ones((2, 12), int)), rule=STDP, name="b")
    with pytest.raises(cs.CompileError, match="'b' names a population and a projection that learns"):
        lava_source(cs.compile(net, "unlimited"))


def test_refuses_more_processes_than_a_machine_likes() -> None:
    net = cs.Network("many")
    net.add("a", cs.loihi.LIF(65, vth=np.arange(65)))
    with pytest.raises(cs.CompileError, match="65 different"):
        lava_source(cs.compile(net, "unlimited"))


def one(synapses, rule=None, post=None, **options):
    net = cs.Network("one")
    n = synapses.shape
    net.add("x", cs.SpikeSource(n[1]))
    net.add("a", post or cs.loihi.LIF(n[0], du=4095, vth=100))
    net.connect("x", "a", synapses, rule=rule)
    return lava_source(cs.compile(net, "unlimited", **options))


STDP = SumOfProducts(dw="x1*y0", x1_impulse=16, x1_tau=4)


@pytest.mark.parametrize(
    ("synapses", "rule", "said"),
    [
        (Conv(np.ones((1, 1, 1, 1)), (2, 2, 1), exponent=1), None, "ignores the exponent"),
        (cs.loihi.Synapses(sp.csc_array(np.eye(3, dtype=int))), STDP, "learns 3 synapses of 9"),
        (cs.loihi.Synapses(np.ones((3, 3), int), delays=2), STDP, "no delays"),
        (cs.loihi.Synapses(np.ones((3, 3), int)), EngineRule(STDP, weight_seed=7), "weight_seed=2"),
        (cs.loihi.Synapses(np.ones((3, 3), int)), cs.rules.stdp(), r"give SumOfProducts\(dw="),
    ],
)
def test_refuses_synapses_and_rules(synapses, rule, said) -> None:
    with pytest.raises(cs.CompileError, match=said):
        one(synapses, rule)


def test_refuses_payloads_that_lava_drops() -> None:
    net = cs.Network("payloads")
    net.add("x", cs.SpikeSource(3, graded=1))
    net.add("a", cs.loihi.LIF(3))
    rule = SumOfProducts(dw="x1*y0", x1_tau=4, graded=1)
    for bits, said in ((8, None), (0, "drops with message_bits=0")):
        label = f"of {bits} bits"
        net.connect("x", "a", cs.loihi.Synapses(np.ones((3, 3), int), message_bits=bits), rule=rule, name=label)
        program = cs.compile(net, "unlimited")
        if said is None:
            assert "GradedSpikeCfg.OVERWRITE" in lava_source(program)
            continue
        with pytest.raises(cs.CompileError, match=f"'{label}'.*{said}"):
            lava_source(program)


def test_refuses_pes() -> None:
    weights = cs.loihi.Synapses(all_to_all(np.ones((3, 3), int)), sign="mixed")
    with pytest.raises(cs.CompileError, match="no PES"):
        one(weights, Pes(tau=2.0, magnitude=10, rate=1, rate_exp=0), arithmetic="nengo_loihi")


def test_another_arithmetic_only_where_nothing_tells_it_apart() -> None:
    with pytest.raises(cs.CompileError, match=r"sum of the weights by exponent -2; the program has.*arithmetic='lava'"):
        lava_source(cs.compile(network(), "unlimited", arithmetic="nengo_loihi"))
    even, odd = np.full((2, 3), 200), np.full((2, 3), 203)
    for arithmetic in ("nengo_loihi", "brian2_loihi"):
        assert "Dense(" in one(cs.loihi.Synapses(even, sign="mixed"), arithmetic=arithmetic)
    with pytest.raises(cs.CompileError, match="cuts weights by floor"):
        one(cs.loihi.Synapses(odd, sign="mixed"), arithmetic="nengo_loihi")
    with pytest.raises(cs.CompileError, match="no 21-bit accumulator"):
        one(cs.loihi.Synapses(np.full((1, 200), 254), sign="mixed"), arithmetic="nengo_loihi")
    with pytest.raises(cs.CompileError, match="current may overflow"):
        one(cs.loihi.Synapses(even, sign="mixed"), post=cs.loihi.LIF(2, du=1), arithmetic="brian2_loihi")


def test_patched_import_leaves_dataclasses_alone() -> None:
    before = dataclasses.dataclass
    with contextlib.suppress(ImportError):
        patched_import()
    assert dataclasses.dataclass is before


VAR_MODEL = """
from dataclasses import dataclass
@dataclass
class ByteEncoder:
    bits: int = 8
@dataclass
class Encoders:
    encoder: ByteEncoder = ByteEncoder()
"""


def test_patched_import_helps_where_a_plain_one_fails(tmp_path, monkeypatch) -> None:
    """On a module with the pattern of lava-nc's, which Python 3.11 and later refuse."""
    folder = tmp_path / "lava" / "magma" / "compiler"
    folder.mkdir(parents=True)
    (folder / "var_model.py").write_text(VAR_MODEL)
    for name in [n for n in sys.modules if n.partition(".")[0] == "lava"]:
        monkeypatch.delitem(sys.modules, name)
    for package in (folder.parent.parent, folder.parent, folder):
        (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    name = "lava.magma.compiler.var_model"
    if sys.version_info >= (3, 11):
        with pytest.raises(ValueError, match="mutable default"):
            importlib.import_module(name)
        patched_import()
    assert importlib.import_module(name).Encoders().encoder.bits == 8
    for found in [n for n in sys.modules if n.partition(".")[0] == "lava"]:
        del sys.modules[found]
