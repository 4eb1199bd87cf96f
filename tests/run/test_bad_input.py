"""What a hostile but fair user gives: each refused in one or two lines that name the thing, the limit, a way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs

ONES = np.ones((3, 2))
SYNAPSES = np.full((3, 2), 40)


def net(**registers: Any) -> cs.Network:
    """Two inputs on three native neurons."""
    made = cs.Network("small")
    made.add("x", cs.SpikeSource(2))
    made.add("a", cs.loihi.LIF(3, **{"vth": 10, **registers}))
    made.connect("x", "a", cs.loihi.Synapses(SYNAPSES))
    return made


def ideal(**values: Any) -> cs.Network:
    """The same with ideal neurons."""
    made = cs.Network("ideal")
    made.add("x", cs.SpikeSource(2))
    made.add("a", cs.LIF(3, **values))
    made.connect("x", "a", ONES)
    return made


def connect(weights: Any, **options: Any) -> cs.Network:
    made = cs.Network("n")
    made.add("x", cs.SpikeSource(2))
    made.add("a", cs.LIF(3))
    made.connect("x", "a", weights, **options)
    return made


def many(n: int) -> cs.Network:
    """A population of `n` without synapses: nothing is allocated for it before it is compiled."""
    made = cs.Network("many")
    made.add("a", cs.loihi.LIF(n))
    return made


def run(inputs: Any = None, steps: Any = 5, **options: Any) -> Any:
    return cs.Emulator(cs.compile(net(), "loihi")).run(inputs, steps, **options)


def events(step: Any, neuron: Any, kind: str = "i8") -> np.ndarray:
    made = np.empty(len(step), [("step", kind), ("neuron", kind)])
    made["step"], made["neuron"] = step, neuron
    return made


def sparse(value: float) -> sp.csr_array:
    return sp.csr_array(np.array([[0, value], [1, 0], [0, 0]]))


def with_object() -> np.ndarray:
    weights = np.empty((3, 2), object)
    weights[:] = 1.0
    return weights


#: What is done -> words that the error must hold.
NETWORKS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "weights turned round": (lambda: connect(ONES.T), ("x->a", "(3, 2)", "'x'", "'a'")),
    "weights of one dimension": (lambda: connect(np.ones(6)), ("x->a", "(6,)", "(post, pre)")),
    "weights a number": (lambda: connect(1.0), ("x->a", "(post, pre)")),
    "ragged weights": (lambda: connect([[1, 2], [3], [4, 5]]), ("x->a", "(post, pre)")),
    "no weights": (lambda: connect(None), ("x->a", "numbers")),
    "empty weights": (lambda: connect([]), ("x->a", "(0,)")),
    "NaN weights": (lambda: connect(np.where(ONES > 0, np.nan, 0)), ("x->a", "NaN")),
    "infinite weights": (lambda: connect(ONES * np.inf), ("x->a", "infinity")),
    "sparse NaN weights": (lambda: connect(sparse(np.nan)), ("x->a", "NaN")),
    "object weights": (lambda: connect(with_object()), ("x->a", "object")),
    "complex weights": (lambda: connect(ONES * 1j), ("x->a", "complex")),
    "words as weights": (lambda: connect(np.full((3, 2), "w")), ("x->a", "numbers")),
    "negative delay": (lambda: connect(ONES, delay=-1), ("x->a", "-1", "0..63")),
    "long delay": (lambda: connect(ONES, delay=64), ("x->a", "64", "0..63")),
    "fractional delay": (lambda: connect(ONES, delay=1.5), ("x->a", "1.5", "whole")),
    "NaN delay": (lambda: connect(ONES, delay=float("nan")), ("x->a", "delay")),
    "infinite delay": (lambda: connect(ONES, delay=np.full((3, 2), np.inf)), ("x->a", "delay")),
    "delay a word": (lambda: connect(ONES, delay="2"), ("x->a", "delay")),
    "delay None": (lambda: connect(ONES, delay=None), ("x->a", "delay")),
    "delay of wrong shape": (lambda: connect(ONES, delay=[1, 2]), ("x->a", "(2,)", "(3, 2)")),
    "negative delays, native": (lambda: cs.loihi.Synapses(SYNAPSES, delays=-ONES.astype(int)), ("delay -1", "0..63")),
    "delay beside native": (
        lambda: net().connect("x", "a", cs.loihi.Synapses(SYNAPSES), delay=2), ("inside the native synapses",)
    ),
    "unknown population": (lambda: connect(ONES).connect("y", "a", ONES), ("'y'", "x, a")),
    "population by number": (lambda: connect(ONES).connect(0, "a", ONES), ("'0'", "x, a")),
    "population a list": (lambda: connect(ONES).connect(["x"], "a", ONES), ("x, a",)),
    "population of another network": (lambda: connect(ONES).connect(net().populations["x"], "a", ONES), ("'x'",)),
    "into a source": (lambda: connect(ONES).connect("a", "x", ONES.T), ("'x'", "spike source")),
    "duplicate population": (lambda: net().add("a", cs.LIF(3)), ("'a'", "exists already")),
    "duplicate projection": (
        lambda: net().connect("x", "a", cs.loihi.Synapses(SYNAPSES), name="x->a"), ("'x->a'", "exists already")
    ),
    "name a number": (lambda: net().add(3, cs.LIF(3)), ("name 3", "string")),
    "name empty": (lambda: net().add("", cs.LIF(3)), ("non-empty",)),
    "name with slash": (lambda: net().add("a/b", cs.LIF(3)), ("'a/b'", "'/'")),
    "projection name a number": (lambda: connect(ONES, name=3), ("name 3", "string")),
    "projection name with slash": (lambda: connect(ONES, name="a/b"), ("'a/b'", "'/'")),
    "network name a number": (lambda: cs.Network(3), ("name 3", "string")),
    "model a number": (lambda: net().add("b", 128), ("'b'", "cs.LIF")),
    "model a class": (lambda: net().add("b", cs.LIF), ("'b'", "cs.LIF")),
    "empty population": (lambda: cs.LIF(0), ("no neurons", "at least 1")),
    "empty shape": (lambda: cs.LIF(()), ("whole number",)),
    "empty source": (lambda: cs.SpikeSource(0), ("no neurons",)),
    "negative size": (lambda: cs.LIF(-3), ("-3", "at least 1")),
    "fractional size": (lambda: cs.LIF(2.5), ("2.5", "whole number")),
    "size a word": (lambda: cs.LIF("12"), ("'12'", "whole number")),
    "size true": (lambda: cs.LIF(True), ("True", "whole number")),
    "size None": (lambda: cs.LIF(None), ("None", "whole number")),
    "huge population": (lambda: cs.LIF(10**15), ("1000000000000000", "at most")),
    "huge source": (lambda: cs.SpikeSource(10**12), ("1000000000000", "at most")),
    "huge image": (lambda: cs.SpikeSource((10**7, 10**7)), ("at most",)),
    "negative tau_mem": (lambda: cs.LIF(3, tau_mem=-0.02), ("tau_mem", "-0.02")),
    "negative tau_syn": (lambda: cs.LIF(3, tau_syn=[0.01, -0.01, 0.01]), ("tau_syn", "-0.01")),
    "tau_mem zero": (lambda: cs.LIF(3, tau_mem=0), ("tau_mem", "positive")),
    "tau_mem zero, LI": (lambda: cs.LI(3, tau_mem=0), ("tau_mem", "positive")),
    "tau_mem NaN": (lambda: cs.LIF(3, tau_mem=np.nan), ("tau_mem", "NaN")),
    "tau_mem a word": (lambda: cs.LIF(3, tau_mem="20ms"), ("tau_mem", "numbers")),
    "tau_mem ragged": (lambda: cs.LIF(3, tau_mem=[[1], [2, 3]]), ("tau_mem",)),
    "threshold below reset": (lambda: cs.LIF(3, threshold=-1.0), ("threshold", "v_reset")),
    "reset unknown": (lambda: cs.LIF(3, reset="hard"), ("reset='hard'", "subtract")),
    "reset an array": (lambda: cs.LIF(3, reset=np.array(["zero", "zero", "zero"])), ("reset", "subtract")),
    "unknown parameter": (lambda: cs.LIF(3, tau=0.1), ("'tau'", "tau_mem")),
    "wrong parameter shape": (lambda: cs.LIF(3, threshold=[1, 2]), ("threshold", "(2,)", "3")),
    "register beyond its bits": (lambda: cs.loihi.LIF(3, vth=1 << 17), ("vth", "131072", "131071")),
    "register a fraction": (lambda: cs.loihi.LIF(3, vth=0.5), ("vth", "whole")),
    "register too large for int64": (lambda: cs.loihi.LIF(3, vth=10**30), ("vth", "131071")),
    "register a huge float": (lambda: cs.loihi.LIF(3, vth=1e30), ("vth", "131071")),
    "register None": (lambda: cs.loihi.LIF(3, vth=None), ("vth", "numbers")),
    "mantissa beyond the bits": (lambda: cs.loihi.Synapses([[256]]), ("256", "[0, 255]", "saturate=True")),
    "mantissa against its sign": (lambda: cs.loihi.Synapses([[-1]], sign="excitatory"), ("-1", "excitatory")),
    "mantissa a huge float": (lambda: cs.loihi.Synapses([[1e30]]), ("beyond",)),
    "mantissa beyond int32": (lambda: cs.loihi.Synapses([[2**32]]), ("beyond",)),
    "mantissa unsigned": (lambda: cs.loihi.Synapses(np.array([[2**63 + 5]], np.uint64)), ("beyond",)),
    "mantissa fractions": (lambda: cs.loihi.Synapses([[0.5]]), ("fractions",)),
    "nine bits": (lambda: cs.loihi.Synapses([[1]], bits=9), ("bits=9", "1..8")),
    "bits a fraction": (lambda: cs.loihi.Synapses([[1]], bits=2.5), ("bits=2.5",)),
    "bits a word": (lambda: cs.loihi.Synapses([[1]], bits="8"), ("bits='8'",)),
    "exponent a fraction": (lambda: cs.loihi.Synapses([[1]], exponent=0.5), ("exponent=0.5",)),
    "exponent too large": (lambda: cs.loihi.Synapses([[1]], exponent=40), ("exponent=40", "-16..16")),
    "message bits a fraction": (lambda: cs.loihi.Synapses([[1]], message_bits=1.5), ("message_bits=1.5",)),
    "sign unknown": (lambda: cs.loihi.Synapses([[1]], sign="both"), ("'both'", "mixed")),
    "float synapses NaN": (lambda: cs.floats.Synapses([[np.nan]]), ("NaN",)),
    "kernel of two dimensions": (lambda: cs.Conv2d(ONES, (1, 3, 3)), ("(3, 2)", "(out, in / groups, k0, k1)")),
    "kernel NaN": (lambda: cs.Conv2d(np.full((1, 1, 2, 2), np.nan), (1, 3, 3)), ("NaN",)),
    "kernel larger than image": (lambda: cs.Conv2d(np.ones((1, 1, 5, 5)), (1, 3, 3)), ("larger",)),
    "kernel of words": (lambda: cs.Conv2d(np.full((1, 1, 1, 1), "a"), (1, 3, 3)), ("numbers",)),
    "kernel empty": (lambda: cs.Conv2d(np.ones((0, 1, 2, 2)), (1, 3, 3)), ("(0,",)),
    "image of two dimensions": (lambda: cs.Conv2d(np.ones((1, 1, 2, 2)), (3, 3)), ("input_shape",)),
    "image negative": (lambda: cs.Conv2d(np.ones((1, 1, 2, 2)), (1, -3, 3)), ("input_shape",)),
    "stride zero": (lambda: cs.Conv2d(np.ones((1, 1, 2, 2)), (1, 3, 3), stride=0), ("stride=0",)),
    "stride a word": (lambda: cs.Conv2d(np.ones((1, 1, 2, 2)), (1, 3, 3), stride="x"), ("stride",)),
    "stride a fraction": (lambda: cs.Conv2d(np.ones((1, 1, 2, 2)), (1, 3, 3), stride=1.5), ("stride=1.5",)),
    "groups zero": (lambda: cs.Conv2d(np.ones((1, 1, 2, 2)), (1, 3, 3), groups=0), ("groups=0",)),
}  # fmt: skip

COMPILES: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "no network": (lambda: cs.compile(None, "loihi"), ("Network",)),
    "empty network": (lambda: cs.compile(cs.Network(), "loihi"), ("no neurons",)),
    "dt zero": (lambda: cs.compile(net(), "loihi", dt=0), ("dt=0",)),
    "dt negative": (lambda: cs.compile(net(), "loihi", dt=-1e-3), ("dt=-0.001",)),
    "dt NaN": (lambda: cs.compile(net(), "loihi", dt=float("nan")), ("dt=nan",)),
    "dt a word": (lambda: cs.compile(net(), "loihi", dt="1ms"), ("dt='1ms'",)),
    "dt None": (lambda: cs.compile(net(), "loihi", dt=None), ("dt=None",)),
    "seed negative": (lambda: cs.compile(net(), "loihi", seed=-1), ("seed=-1",)),
    "seed a fraction": (lambda: cs.compile(net(), "loihi", seed=0.5), ("seed=0.5",)),
    "seed huge": (lambda: cs.compile(net(), "loihi", seed=2**64), ("seed=18446744073709551616",)),
    "unknown chip": (lambda: cs.compile(net(), "loihy"), ("'loihy'", "loihi")),
    "chip a number": (lambda: cs.compile(net(), 3), ("3", "loihi")),
    "chip None": (lambda: cs.chip(None), ("None", "loihi")),
    "chip of no family": (lambda: cs.compile(net(), "speck"), ("speck", "'none'")),
    "chip of another family": (lambda: cs.compile(net(), "odin"), ("odin",)),
    "unknown arithmetic": (lambda: cs.compile(net(), "loihi", arithmetic="lavva"), ("lavva", "lava")),
    "arithmetic a number": (lambda: cs.compile(net(), "loihi", arithmetic=3), ("arithmetic", "lava")),
    "partition unknown": (lambda: cs.compile(net(), "loihi", partition="best"), ("best", "inorder")),
    "packing unknown": (lambda: cs.compile(net(), "loihi", packing="tight"), ("tight", "indexed")),
    "max_neurons zero": (lambda: cs.compile(net(), "loihi", max_neurons=0), ("max_neurons=0",)),
    "max_neurons a fraction": (lambda: cs.compile(net(), "loihi", max_neurons=1.5), ("max_neurons=1.5",)),
    "rates of nobody": (lambda: cs.compile(net(), "loihi", rates={"y": 1}), ("'y'",)),
    "rates NaN": (lambda: cs.compile(net(), "loihi", rates={"a": np.nan}), ("'a'",)),
    "rates a number": (lambda: cs.compile(net(), "loihi", rates=3), ("rates",)),
    "placement of nobody": (lambda: cs.compile(net(), "loihi", placement={"y": 1}), ("'y'",)),
    "placement beyond": (lambda: cs.compile(net(), "loihi", placement={"a": -5}), ("'a'", "-5")),
    "placement a fraction": (lambda: cs.compile(net(), "loihi", placement={"a": 0.5}), ("'a'", "core")),
    "placement a number": (lambda: cs.compile(net(), "loihi", placement=3), ("placement",)),
    "quantise option unknown": (lambda: cs.compile(ideal(), "loihi", quantise={"bit": 4}), ("'bit'", "bits")),
    "quantise method unknown": (lambda: cs.compile(ideal(), "loihi", quantise={"method": "x"}), ("'x'", "max")),
    "quantise to half a bit": (lambda: cs.compile(ideal(), "loihi", quantise={"bits": 2.5}), ("bits=2.5", "1..8")),
    "calibration a number": (lambda: cs.compile(ideal(), "loihi", quantise={"calibration": 3}), ("calibration",)),
    "calibration of nobody": (
        lambda: cs.compile(ideal(), "loihi", quantise={"calibration": {"y": ONES}}), ("'y'", "x, a")
    ),
    "calibration of no steps": (
        lambda: cs.compile(ideal(), "loihi", quantise={"calibration": {"x": np.ones((0, 2))}}), ("'x'", "no steps")
    ),
    "calibration ragged": (
        lambda: cs.compile(ideal(), "loihi", quantise={"calibration": {"x": [[1], [1, 2]]}}), ("'x'", "equal length")
    ),
    "refractory period too long": (lambda: cs.compile(ideal(refractory=100.0), "loihi"), ("'a'", "63", "dt")),
    "program name a number": (lambda: cs.compile(net(), "loihi", name=3), ("name=3",)),
    "huge network": (lambda: cs.compile(many(2 * 10**9), "loihi"), ("GiB", "'a'", "2000000000")),
    "quantise a word": (lambda: cs.compile(ideal(), "loihi", quantise="mse"), ("quantise",)),
    "time constant below dt": (lambda: cs.compile(ideal(tau_mem=20), "loihi", dt=100), ("tau_mem", "dt")),
}  # fmt: skip

RUNS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "no program": (lambda: cs.Emulator(net()), ("Program", "compile")),
    "threads 0": (lambda: cs.Emulator(cs.compile(net(), "loihi"), threads=0), ("threads=0",)),
    "threads a fraction": (lambda: cs.Emulator(cs.compile(net(), "loihi"), threads=1.5), ("threads=1.5",)),
    "threads a word": (lambda: cs.Emulator(cs.compile(net(), "loihi"), threads="2"), ("threads='2'",)),
    "threads too many": (lambda: cs.Emulator(cs.compile(net(), "loihi"), threads=10**9), ("threads=1000000000",)),
    "0 steps": (lambda: run(steps=0), ("steps=0",)),
    "negative steps": (lambda: run(steps=-4), ("steps=-4",)),
    "steps a float": (lambda: run(steps=5.0), ("steps=5.0", "whole")),
    "steps a word": (lambda: run(steps="5"), ("steps='5'", "whole")),
    "steps true": (lambda: run(steps=True), ("steps=True",)),
    "no steps": (lambda: run(steps=None), ("steps=",)),
    "no steps, no array": (lambda: run({"x": 3}, steps=None), ("'x'",)),
    "no steps, events": (lambda: run({"x": events([1], [1])}, steps=None), ("steps=",)),
    "huge steps": (lambda: run(steps=10**15), ("1000000000000000", "GiB")),
    "huge record": (lambda: run(steps=10**9, record={"a": ["v"]}), ("GiB", "at most")),
    "inputs a list": (lambda: run([[1, 0]] * 5), ("inputs", "population")),
    "input of nobody": (lambda: run({"y": ONES}), ("'y'", "x, a")),
    "input of neurons": (lambda: run({"a": np.ones((5, 3))}), ("'a'", "x")),
    "input of wrong width": (lambda: run({"x": np.ones((5, 3))}), ("'x'", "(5, 3)", "(steps, 2)")),
    "input too short": (lambda: run({"x": np.ones((3, 2))}), ("'x'", "3", "5")),
    "input of objects": (lambda: run({"x": np.full((5, 2), None)}), ("'x'", "object")),
    "input of words": (lambda: run({"x": np.full((5, 2), "1")}), ("'x'", "numbers")),
    "input complex": (lambda: run({"x": np.ones((5, 2)) * 1j}), ("'x'", "complex")),
    "input ragged": (lambda: run({"x": [[1, 0], [1]]}), ("'x'",)),
    "input None": (lambda: run({"x": None}), ("'x'",)),
    "input sparse": (lambda: run({"x": sp.csr_array(np.ones((5, 2)))}), ("'x'", "toarray")),
    "input NaN": (lambda: run({"x": np.full((5, 2), np.nan)}), ("'x'", "NaN")),
    "input 2": (lambda: run({"x": np.full((5, 2), 2)}), ("'x'", "2", "graded")),
    "spike at negative step": (lambda: run({"x": events([-1], [0])}), ("'x'", "-1")),
    "spike at fractional step": (lambda: run({"x": events([0.5], [0], "f8")}), ("'x'", "fractional")),
    "spike at step NaN": (lambda: run({"x": events([np.nan], [0], "f8")}), ("'x'", "step")),
    "spike of fractional neuron": (lambda: run({"x": events([1], [0.5], "f8")}), ("'x'", "fraction")),
    "spike of neuron -1": (lambda: run({"x": events([1], [-1])}), ("'x'", "neuron -1", "2")),
    "spike of neuron 2": (lambda: run({"x": events([1], [2])}), ("'x'", "neuron 2", "2")),
    "spike twice": (lambda: run({"x": events([1, 1], [0, 0])}), ("'x'", "two spikes", "merge")),
    "events of words": (lambda: run({"x": events(["a"], ["b"], "U2")}), ("'x'", "numbers")),
    "events of two dimensions": (lambda: run({"x": events([1], [1]).reshape(1, 1)}), ("'x'",)),
    "events without steps": (lambda: run({"x": np.zeros(2, [("t", "i8"), ("neuron", "i8")])}), ("'x'", "step")),
    "record unknown population": (lambda: run(record={"hid": ["v"]}), ("'hid'", "x, a")),
    "record unknown variable": (lambda: run(record={"a": ["w"]}), ("'w'", "v")),
    "record unknown variable, string": (lambda: run(record={"a": "voltage"}), ("'voltage'", "v")),
    "record a source's v": (lambda: run(record={"x": "v"}), ("'x'", "'v'")),
    "trace not recorded": (lambda: run(record={"a": "v"}).trace["x"], ("'x'", "record")),
    "spikes of nobody": (lambda: run().spikes["y"], ("'y'", "x, a")),
    "volts of native neurons": (lambda: run(record={"a": "v"}).volts["a"], ("'a'",)),
    "weights of nobody": (lambda: cs.Emulator(cs.compile(net(), "loihi")).weights("y"), ("'y'", "x->a")),
    "state of something else": (lambda: cs.Emulator(cs.compile(net(), "loihi")).restore({}), ("state",)),
    "third factor without learning": (lambda: run(third={"x->a": 1}), ("'x->a'", "learning")),
    "record of fixed synapses": (lambda: run(record={"x->a": ["w"]}), ("'x->a'", "learn")),
    "record every half step": (lambda: run(record_every=0.5), ("record_every=0.5",)),
    "unknown timing": (lambda: run().estimate(timing="slow"), ("'slow'", "simple")),
    "timing without masks": (lambda: run().estimate(timing="detailed"), ("masks=True",)),
    "unknown costs": (lambda: run().estimate(cost_set="davis"), ("'davis'", "davies2018")),
    "inference of 0 steps": (lambda: run().estimate(steps_per_inference=0), ("steps_per_inference=0",)),
    "record a list": (lambda: run(record=["a"]), ("record", "population")),
    "record a word": (lambda: run(record="v"), ("record", "population")),
    "record a number": (lambda: run(record={"a": 3}), ("'a'",)),
    "record numbers": (lambda: run(record={"a": [3]}), ("'a'", "3")),
}  # fmt: skip


@pytest.mark.parametrize("table", [NETWORKS, COMPILES, RUNS], ids=["network", "compile", "run"])
def test_tables_are_not_empty(table: dict) -> None:
    assert len(table) > 20


def refused(act: Callable[[], Any], words: tuple[str, ...]) -> None:
    """`act` must raise a ChipsimError of one or two lines that holds all `words`."""
    with pytest.raises(cs.ChipsimError) as caught:
        act()
    text = str(caught.value)
    assert len(text.splitlines()) <= 2 and len(text) < 500, text
    missing = [w for w in words if w not in text]
    assert not missing, f"{text!r} lacks {missing}"


@pytest.mark.parametrize("case", NETWORKS)
def test_network(case: str) -> None:
    refused(*NETWORKS[case])


@pytest.mark.parametrize("case", COMPILES)
def test_compile(case: str) -> None:
    refused(*COMPILES[case])


@pytest.mark.parametrize("case", RUNS)
def test_run(case: str) -> None:
    refused(*RUNS[case])


def test_a_refused_connection_leaves_nothing() -> None:
    made = net()
    before = repr(made)
    with pytest.raises(cs.NetworkError):
        made.connect("x", "a", ONES.T, name="new")
    assert repr(made) == before and list(made.projections) == ["x->a"]


def test_what_looks_odd_but_means_something() -> None:
    assert connect(ONES > 0).projections["x->a"].synapses.shape == (3, 2)
    assert run({"x": np.ones((5, 2), bool)}, np.int64(5), record={"a": "v"}).trace["a"]["v"].shape == (5, 3)
    assert run({"x": events([2.0], [1.0], "f8")}).spikes["x"].sum() == 1
    assert run({"x": np.zeros((9, 2))}, 5).steps == 5
    assert cs.loihi.Synapses(SYNAPSES, bits=np.int64(8)).bits == 8


#: Changes to a shipped description -> words of the error.
YAML = {
    "misspelt key": ("base: loihi\nlimits: {neuron: 4}\n", ("limits.neuron", "neurons")),
    "misspelt part": ("base: loihi\nlimit: {neurons: 4}\n", ("limit", "limits")),
    "wrong unit": (
        "base: loihi\ncosts:\n  davies2018:\n    synapse:\n"
        "      energy: {value: 1, unit: pF, source: me, status: assumed}\n",
        ("pF",),
    ),
    "unit of another kind": (
        "base: loihi\ncosts:\n  davies2018:\n    synapse:\n"
        "      energy: {value: 1, unit: ns, source: me, status: assumed}\n",
        ("ns",),
    ),
    "negative limit": ("base: loihi\nlimits: {cores: 0.5}\n", ("limits.cores", "0.5")),
    "not a mapping": ("- 1\n- 2\n", ("mapping",)),
    "empty": ("", ("mapping",)),
    "cut short": ("base: loihi\nlimits: {neurons: 4", ("YAML",)),
    "not text": (b"\xff\xfe\x00\x81", ("YAML",)),
    "unknown base": ("base: loihy\n", ("loihy", "loihi")),
    "base in a circle": ("base: ./chip.yaml\n", ("itself",)),
    "key twice": ("base: loihi\nbase: loihi2\n", ("twice",)),
    "list as a key": ("base: loihi\n? [1, 2]\n: 3\n", ("chip.yaml",)),
    "a tag of Python": ("base: !!python/object/apply:os.getcwd []\n", ("YAML",)),
}


@pytest.mark.parametrize("case", YAML)
def test_description(case: str, tmp_path: Path) -> None:
    text, words = YAML[case]
    path = tmp_path / "chip.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(lambda: cs.chip(path), words)


@pytest.mark.parametrize("limits", ["neurons: 1, cores: 1", "input_axons: 1", "synapses: 1", "cores: 1"])
def test_a_chip_too_small(limits: str, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(f"base: loihi\nname: small\ntopology: {{chips: 1}}\nlimits: {{{limits}}}\n")
    with pytest.raises(cs.CompileError) as caught:
        cs.compile(net(), path, max_neurons=2)
    error = caught.value
    assert error.need and error.limit and error.need > error.limit and error.resource
    assert len(str(error).splitlines()) == 1 and ":" in str(error)


def test_files_cut_anywhere(tmp_path: Path) -> None:
    program = cs.compile(net(), "loihi")
    whole = program.save(tmp_path / "p.h5").read_bytes()
    for part in (0, 1, 100, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.h5").write_bytes(whole[:part])
        refused(lambda: cs.Program.load(tmp_path / "cut.h5"), ("cut.h5",))
    refused(lambda: cs.Program.load(tmp_path / "none.h5"), ("none.h5",))
    refused(lambda: cs.Program.load(tmp_path), (tmp_path.name,))
    refused(lambda: cs.Result.load(tmp_path / "p.h5"), ("p.h5",))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    refused(lambda: cs.Program.load(tmp_path / "other.h5"), ("other.h5",))


def test_nothing_half_written(tmp_path: Path) -> None:
    program = cs.compile(net(), "loihi")
    refused(lambda: program.save(tmp_path / "no" / "p.h5"), ("no",))
    refused(lambda: program.save(tmp_path), (tmp_path.name,))
    (tmp_path / "taken").write_text("mine")
    refused(lambda: run().report(tmp_path / "taken"), ("taken",))
    assert (tmp_path / "taken").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken"]


def test_checkpoint_of_another_program(tmp_path: Path) -> None:
    emulator = cs.Emulator(cs.compile(net(), "loihi"))
    emulator.save(tmp_path / "s.h5")
    refused(lambda: cs.Emulator(cs.compile(net(vth=11), "loihi")).load(tmp_path / "s.h5"), ("s.h5",))
    refused(lambda: emulator.load(tmp_path / "none.h5"), ("none.h5",))


SCRIPT = """import numpy as np, chipsim as cs
net = cs.Network("n")
net.add("x", cs.SpikeSource(2))
net.add("a", cs.loihi.LIF(3, vth=10))
net.connect("x", "a", cs.loihi.Synapses(np.full((3, 2), 40)))
"""
#: What a script does -> words of the error on the command line.
SCRIPTS = {
    "wrong shape": ("net.connect('x', 'a', np.ones((2, 3)))", ("(2, 3)", "(3, 2)")),
    "NaN": ("net.connect('x', 'a', np.full((3, 2), np.nan))", ("NaN",)),
    "infinite": ("net.connect('x', 'a', np.full((3, 2), np.inf))", ("infinity",)),
    "negative time constant": ("net.add('b', cs.LIF(3, tau_mem=-1))", ("tau_mem=-1",)),
    "beyond the bits": ("net.connect('x', 'a', cs.loihi.Synapses(np.full((3, 2), 300)))", ("300", "255")),
    "duplicate name": ("net.add('a', cs.LIF(3))", ("'a'", "exists already")),
    "empty population": ("net.add('b', cs.LIF(0))", ("no neurons",)),
    "huge": ("net.add('b', cs.loihi.LIF(2 * 10**9))", ("GiB", "'b'")),
    "crash": ("1 / 0", ("net.py, line 6", "ZeroDivisionError")),
    "half a line": ("net.add(", ("net.py", "SyntaxError")),
    "leaves": ("raise SystemExit(3)", ("net.py",)),
    "no network": ("net = 3", ("net.py", "no network")),
}
COMMANDS = {
    "chip unknown": (["map", "net.py", "--chip", "loihy", "-o", "out.h5"], ("loihy", "loihi")),
    "chip of no family": (["map", "net.py", "--chip", "speck", "-o", "out.h5"], ("speck", "family")),
    "chip misspelt": (["map", "net.py", "--chip", "key.yaml", "-o", "out.h5"], ("limits.neuron", "neurons")),
    "chip in a wrong unit": (["map", "net.py", "--chip", "unit.yaml", "-o", "out.h5"], ("parsec",)),
    "chip too small": (["map", "net.py", "--chip", "small.yaml", "-o", "out.h5"], ("small", "core", "1")),
    "dt negative": (["map", "net.py", "--dt", "-1", "-o", "out.h5"], ("dt=-1",)),
    "dt NaN": (["map", "net.py", "--dt", "nan", "-o", "out.h5"], ("dt=nan",)),
    "seed negative": (["map", "net.py", "--seed", "-1", "-o", "out.h5"], ("seed=-1",)),
    "0 steps": (["run", "p.h5", "-n", "0", "-o", "out"], ("steps=0",)),
    "negative steps": (["run", "p.h5", "-n", "-3", "-o", "out"], ("steps=-3",)),
    "huge steps": (["run", "p.h5", "-n", "1000000000000000", "-o", "out"], ("GiB",)),
    "no threads": (["run", "p.h5", "-n", "5", "--threads", "0", "-o", "out"], ("threads=0",)),
    "program cut short": (["run", "cut.h5", "-n", "5", "-o", "out"], ("cut.h5",)),
    "program empty": (["run", "empty.h5", "-n", "5", "-o", "out"], ("empty.h5", "empty")),
    "a folder": (["run", "folder", "-n", "5", "-o", "out"], ("folder",)),
    "input of nobody": (["run", "p.h5", "-i", "nobody.npz", "-o", "out"], ("'y'", "x, a")),
    "input of wrong width": (["run", "p.h5", "-i", "wide.npy", "-o", "out"], ("(5, 3)", "(steps, 2)")),
    "input at step -1": (["run", "p.h5", "-i", "early.npy", "-n", "5", "-o", "out"], ("-1",)),
    "input at step 0.5": (["run", "p.h5", "-i", "between.npy", "-n", "5", "-o", "out"], ("fractional",)),
    "input NaN": (["run", "p.h5", "-i", "nan.npy", "-o", "out"], ("NaN",)),
    "input of objects": (["run", "p.h5", "-i", "objects.npy", "-o", "out"], ("objects.npy",)),
    "input empty": (["run", "p.h5", "-i", "none.npy", "-o", "out"], ("0 steps",)),
    "record of nobody": (["run", "p.h5", "-n", "5", "--record", "hid.v", "-o", "out"], ("'hid'", "x, a")),
    "record of nothing": (["run", "p.h5", "-n", "5", "--record", "a.voltage", "-o", "out"], ("'voltage'", "v")),
    "report of nothing": (["report", "folder"], ("folder",)),
    "report of a program": (["report", "p.h5"], ("p.h5",)),
    "inspect nothing": (["inspect", "none.h5"], ("none.h5",)),
    "inspect a cut file": (["inspect", "cut.h5"], ("cut.h5",)),
    "show no chip": (["chips", "loihy"], ("loihy", "loihi")),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad files."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "net.py").write_text(SCRIPT)
    (folder / "key.yaml").write_text("base: loihi\nlimits: {neuron: 4}\n")
    energy = "energy: {value: 1, unit: parsec, source: me, status: assumed}"
    (folder / "unit.yaml").write_text(f"base: loihi\ncosts:\n  davies2018:\n    synapse: {{{energy}}}\n")
    (folder / "small.yaml").write_text(
        "base: loihi\nname: small\ntopology: {chips: 1}\nlimits: {neurons: 1, cores: 1}\n"
    )
    whole = cs.compile(net(), "loihi").save(folder / "p.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.h5").write_bytes(b"")
    (folder / "folder").mkdir()
    np.savez(folder / "nobody.npz", y=np.ones((5, 2)))
    arrays = {
        "wide": np.ones((5, 3)), "early": events([-1], [0]), "between": events([0.5], [0], "f8"),
        "nan": np.full((5, 2), np.nan), "objects": np.full((5, 2), None), "none": np.ones((0, 2)),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def command(arguments: list[str], words: tuple[str, ...], capsys: Any, monkeypatch: Any) -> None:
    """Exit code 1, one or two lines on stderr with all `words`, nothing on stdout, no new file in the folder."""
    from chipsim.__main__ import main

    before = sorted(Path.cwd().rglob("*"))
    monkeypatch.setattr("sys.argv", ["chipsim", *arguments])
    assert main() == 1
    printed = capsys.readouterr()
    assert not printed.out and 1 <= len(printed.err.splitlines()) <= 2 and "Traceback" not in printed.err
    missing = [w for w in words if w not in printed.err]
    assert not missing, f"{printed.err!r} lacks {missing}"
    assert sorted(Path.cwd().rglob("*")) == before, "something was left behind"


@pytest.mark.parametrize("case", COMMANDS)
def test_command(case: str, files: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(files)
    command(*COMMANDS[case], capsys, monkeypatch)


@pytest.mark.parametrize("case", SCRIPTS)
def test_script(case: str, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    line, words = SCRIPTS[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(SCRIPT + line + "\n")
    command(["map", "net.py", "-o", "out.h5"], words, capsys, monkeypatch)
