"""What a user probably did not mean reaches Python: warnings of the compiler, of learning, the chip's own bits."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

import chipsim as cs
from chipsim.cli.app import app
from chipsim.mappings.compiler.cautions import ideal_cautions
from chipsim.rules import Fixed
from chipsim.rules.carried import EngineRule, LearningReport
from chipsim.rules.products.rule import SumOfProducts


def network(neurons=None, weights=0.4, **others) -> cs.Network:
    net = cs.Network("net")
    net.add("x", cs.SpikeSource(4)), net.add("a", neurons or cs.LIF(3))
    net.connect("x", "a", np.full((3, 4), weights))
    for name, model in others.items():
        net.add(name, model)
    return net


def silent_chain() -> cs.Network:
    net = network(b=cs.LIF(2), c=cs.LIF(2), d=cs.LIF(2, bias=2.0), e=cs.LIF(1))
    net.connect("b", "c", np.ones((2, 2)))
    net.connect("a", "e", -np.ones((1, 3)))
    return net


CAUTIONS = {
    "tau_mem=20 s": (lambda: network(cs.LIF(3, tau_mem=20)), r"tau_mem=20 s is 20,000 steps.*write 20e-3 for 20 ms"),
    "tau_syn=5 s": (lambda: network(cs.LIF(3, tau_syn=[5, 5e-3, 5e-3])), r"tau_syn=5 s"),
    "refractory=2 s": (lambda: network(cs.LIF(3, refractory=2), chip="float"), r"refractory=2 s"),
    "refractory below dt": (lambda: network(cs.LIF(3, refractory=4e-4)), r"refractory=0.0004 s.*rounds to none"),
    "leak": (lambda: network(cs.LIF(3, tau_mem=15)), r"leak rounds away"),
    "no projection": (silent_chain, r"'b' stays silent: no projection reaches it"),
    "silent source": (silent_chain, r"'c' stays silent: nothing excites it: 'b' is silent too"),
    "inhibited": (silent_chain, r"'e' stays silent: all weights into it are 0 or below"),
}


@pytest.mark.parametrize("case", CAUTIONS)
def test_warnings_reach_python_and_the_program(case: str, tmp_path) -> None:
    make, text = CAUTIONS[case]
    chip = "float" if case == "refractory=2 s" else "loihi"
    net = network(cs.LIF(3, refractory=2)) if case == "refractory=2 s" else make()
    with pytest.warns(cs.ChipsimWarning, match=text) as told:
        program = cs.compile(net, chip)
    assert all(w.filename == __file__ for w in told)
    assert [str(w.message) for w in told] == list(program.warnings)
    assert cs.Program.load(program.save(tmp_path / "p.h5")).warnings == program.warnings


def test_sound_networks_and_native_ones_are_left_in_peace() -> None:
    native = cs.Network()
    (
        native.add("x", cs.SpikeSource(4)),
        native.add("a", cs.loihi.LIF(3, vth=9)),
        native.add("b", cs.loihi.LIF(1, bias_mant=9)),
    )
    native.connect("x", "a", cs.loihi.Synapses(np.full((3, 4), 8)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for chip in ("loihi", "loihi2", "float"):
            assert cs.compile(network(), chip).warnings == ()
        cs.compile(native, "loihi")


def test_a_rule_on_synapses_of_one_sign_is_told_of() -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(4)), net.add("a", cs.loihi.LIF(3, vth=9))
    rule = cs.rules.declare("def r(w, pre):\n    w = w - pre", bounds=(-100, 100))
    net.connect("x", "a", cs.loihi.Synapses(np.full((3, 4), 8)), rule=rule)
    with pytest.warns(cs.ChipsimWarning, match=r"rule r may take weights to -100..100.*excitatory.*sign='mixed'"):
        cs.compile(net, "research")


@pytest.mark.parametrize("stalled, said", [(40, False), (50, True), (87, True), (99, True)])
def test_stalling_is_said_from_half_the_updates_on(stalled: int, said: bool) -> None:
    report = LearningReport("r", 10, 100, 100 - stalled, stalled, 0, 0, 0.0, (0.0, 0.0), (0.0, 0.0))
    assert any("stalls" in w and f"{stalled}%" in w for w in report.warnings) == said
    lost = LearningReport("r", 10, 100, 100 - stalled, stalled, 0, 0, 0.0, (0.0, 0.0), (0.0, 0.0), stochastic=True)
    assert bool(lost.warnings) == (stalled >= 99)  # stochastic rounding keeps the mean of what it loses


def test_a_run_knows_its_rounding() -> None:
    for rounding in ("nearest", "stochastic"):
        net = cs.Network()
        net.add("x", cs.SpikeSource(20)), net.add("a", cs.loihi.LIF(5, vth=200))
        rule = cs.rules.stdp(w_max=100.0, lam=0.0004, weight=Fixed(8, 1.0, rounding=rounding))
        net.connect("x", "a", cs.loihi.Synapses(np.full((5, 20), 40), sign="mixed"), rule=rule)
        spikes = np.random.default_rng(0).random((100, 20)) < 0.2
        report = cs.Emulator(cs.compile(net, "unlimited")).run({"x": spikes}).learning["x->a"]
        assert report.stochastic == (rounding == "stochastic") and report.stalled > 0
        assert ("stalls" in str(report)) == (rounding == "nearest")


# ------------------------------------------------------------------------------------------------ the chip's own bits


def few_bits(bits: tuple[int, int]):
    chip = cs.chip("loihi")
    return chip.model_copy(update={"limits": chip.limits.model_copy(update={"weight_bits": bits})})


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_quantiser_takes_the_chips_bits(bits: int) -> None:
    net = network(weights=0.3)
    program = cs.compile(net, few_bits((1, bits)))
    assert program.projections[0].synapses.bits == bits
    assert cs.compile(net, few_bits((1, bits)), quantise={"bits": 1}).projections[0].synapses.bits == 1
    if bits < 8:
        with pytest.raises(cs.CompileError, match=rf"bits=8, but synapses of chip 'loihi' have 1..{bits} bits"):
            cs.compile(net, few_bits((1, bits)), quantise={"bits": 8})


@pytest.mark.parametrize(("most", "options"), [(6, {}), (8, {"bits": 5})])
def test_a_quantiser_of_8_bits_says_so(most: int, options: dict) -> None:
    with pytest.raises(cs.CompileError, match=r"'nengo_loihi' writes 8 bits.*use method='max'"):
        cs.compile(network(), few_bits((1, most)), quantise={"method": "nengo_loihi", **options})


def test_commands_take_options_of_the_quantiser_for_every_network(tmp_path) -> None:
    (tmp_path / "net.py").write_text(
        "import numpy as np, chipsim as cs\nnet = cs.Network('n')\nx = net.add('x', cs.SpikeSource(4))\n"
        "a = net.add('a', cs.LIF(3))\nnet.connect(x, a, np.full((3, 4), 0.3))\n"
    )
    source, run = str(tmp_path / "net.py"), CliRunner()

    def call(*words: str):
        return run.invoke(app, list(words))

    made = call("map", source, "--chip", "loihi", "-o", str(tmp_path / "p.h5"), "--quantise", "bits=5")
    assert made.exit_code == 0, made.output
    assert cs.Program.load(tmp_path / "p.h5").projections[0].synapses.bits == 5
    out = str(tmp_path / "out")
    made = call("run", source, "--chip", "loihi", "-o", out, "-n", "5", "--quantise", "bits=4", "--json")
    assert made.exit_code == 0, made.output
    assert cs.Result.load(tmp_path / "out" / "result.h5").program.projections[0].synapses.bits == 4
    made = call("sweep", source, "--vary", "quantise.bits=3,6", "-o", str(tmp_path / "s"), "-n", "5", "--quantise",
                "method=mse", "--workers", "1", "--json")  # fmt: skip
    assert made.exit_code == 0 and json.loads(made.stdout)["points"] == 2, made.output
    made = call("report", out, "--steps-per-inference", "0")
    assert made.exit_code != 0 and "steps_per_inference" in str(made.exception or made.output)
    made = call("run", str(tmp_path / "p.h5"), "-o", out, "-n", "5", "--quantise", "bits=4")
    assert made.exit_code != 0


# ------------------------------------------------------------------------------------------------ ways out that exist


def test_a_convolution_with_a_delay_is_its_synapses_later() -> None:
    rng = np.random.default_rng(3)
    kernel = rng.normal(0.3, 0.3, (2, 1, 3, 3))
    given = {"x": rng.random((60, 36)) < 0.2}
    for chip in ("float", "loihi"):
        runs = []
        for delay in (0, 3):
            net = cs.Network()
            net.add("x", cs.SpikeSource((1, 6, 6))), net.add("a", cs.LIF((2, 4, 4), tau_mem=20e-3))
            conv = cs.Conv2d(kernel, (1, 6, 6))
            post, pre, index = conv.targets()
            dense = np.zeros(conv.shape)
            dense[post, pre] = conv.kernel.ravel()[index]
            net.connect("x", "a", conv if delay else dense, delay=delay)
            runs.append(cs.Emulator(cs.compile(net, chip)).run(given, 60).spikes["a"].reshape(60, -1))
        np.testing.assert_array_equal(runs[1][3:], runs[0][:-3])
        assert runs[0].sum() > 50
    net = cs.Network()
    net.add("x", cs.SpikeSource((1, 6, 6))), net.add("a", cs.loihi.LIF((2, 4, 4)))
    with pytest.raises(cs.NetworkError, match=r"cs.loihi.Synapses\(matrix, delays=...\)"):
        net.connect("x", "a", cs.Conv2d(np.ones((2, 1, 3, 3), int), (1, 6, 6)), delay=1)


def test_teachers_and_plastic_synapses_share_a_neuron_on_loihi() -> None:
    """Supervised STDP: the teacher's fixed synapses make the neuron fire, which then learns."""
    from chipsim.rules.products.rule import SumOfProducts

    net = cs.Network()
    net.add("x", cs.SpikeSource(10)), net.add("teacher", cs.SpikeSource(2)), net.add("a", cs.loihi.LIF(2, vth=100))
    rule = SumOfProducts(dw="2*y0*x1", x1_impulse=16, x1_tau=10)
    net.connect("x", "a", cs.loihi.Synapses(np.zeros((2, 10), int), sign="mixed"), rule=rule)
    net.connect("teacher", "a", cs.loihi.Synapses(np.eye(2, dtype=int) * 200))
    program = cs.compile(net, "loihi")
    table = program.stages["allocate"]["table"]
    assert table["formats"] == [2] and table["synapse_map"] == [10 * 2 + 2]
    given = {"x": np.zeros((30, 10), bool), "teacher": np.zeros((30, 2), bool)}
    given["x"][5:20:5, :5], given["teacher"][6:21:5, 0] = True, True
    emulator = cs.Emulator(program)
    emulator.run(given, 30)
    w = emulator.weights("x->a")
    assert (w[0, :5] > 0).all() and not w[1].any() and not w[:, 5:].any()


@pytest.mark.parametrize("chip", ["truenorth", "odin", "tinyodin", "reckon", "catalyst_n1"])
def test_chips_of_every_family_warn(chip: str) -> None:
    net = network(cs.LIF(3, tau_mem=20), weights=-0.4)
    with pytest.warns(cs.ChipsimWarning) as told:
        program = cs.compile(net, chip)
    assert [str(w.message) for w in told] == list(program.warnings)
    assert any("tau_mem=20 s is 20,000 steps of dt=0.001 s" in w for w in program.warnings)
    assert any("'a' stays silent: all weights into it are 0 or below" in w for w in program.warnings)
    assert all(w.filename == __file__ for w in told)


@pytest.mark.parametrize("more", [{"v_leak": 2.0}, {"bias": 0.1}, {"r": -1.0}])
def test_ideal_neurons_that_may_fire_are_not_called_silent(more: dict) -> None:
    assert ideal_cautions(network(cs.LIF(3, **more), weights=-0.4), 1e-3) == []
    assert "silent" in ideal_cautions(network(weights=-0.4), 1e-3)[0]


@pytest.mark.parametrize("most", [6, 3])
def test_kernels_have_the_bits_of_the_chip_too(most: int, tmp_path) -> None:
    (tmp_path / "few.yaml").write_text(f"name: few\nbase: loihi\nlimits:\n  weight_bits: [1, {most}]\n")
    kernel = np.random.default_rng(0).normal(0, 0.5, (1, 1, 3, 3))
    net = cs.Network()
    net.add("x", cs.SpikeSource((1, 4, 4))), net.add("a", cs.LIF((1, 4, 4)))
    net.connect("x", "a", cs.Conv2d(kernel, (1, 4, 4), padding=1))
    made = {chip: cs.compile(net, chip).projections[0].synapses.kernel for chip in ("loihi", tmp_path / "few.yaml")}
    assert np.any(made["loihi"] % 2)
    few = made[tmp_path / "few.yaml"]
    assert not np.any(few % (1 << (9 - most))) and np.abs(few).max() == 256 - (1 << (9 - most))


@pytest.mark.parametrize("wrapped", [False, True])
def test_numbers_that_a_sum_of_products_counts_as_spikes_are_told_of(wrapped: bool) -> None:
    def told(graded: int, bits: int, source: int = 1) -> list[str]:
        rule = SumOfProducts(dw="2^-2*x1*y0", x1_impulse=0 if graded else 16, x1_tau=10, graded=graded)
        net = cs.Network()
        net.add("x", cs.SpikeSource(2, graded=source)), net.add("a", cs.loihi.LIF(1, vth=3))
        synapses = cs.loihi.Synapses([[2, 4]], message_bits=bits)
        net.connect("x", "a", synapses, rule=EngineRule(rule) if wrapped else rule)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            cs.compile(net, "loihi2")
        return [str(w.message) for w in found]

    (text,) = told(0, 8)
    assert "'x' sends numbers" in text and "graded=0" in text
    assert told(2, 8) == told(0, 0) == told(0, 0, source=0) == []
