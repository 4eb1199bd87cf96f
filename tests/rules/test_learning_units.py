"""A rule means its own weights: on every chip, in every format, it drives neurons as the same rule in floats does."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs
from chipsim.rules import Fixed
from chipsim.rules.plastic import Plastic
from chipsim.rules.products.rule import SumOfProducts
from chipsim.rules.reference import reference_step

STEPS = 200


def drive(n: int = 30, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((STEPS, n)) < 0.08


def ideal(rule, weights, neurons=None, delay=0) -> cs.Network:
    net = cs.Network()
    net.add("x", cs.SpikeSource(weights.shape[1]))
    net.add("a", neurons or cs.LIF(weights.shape[0], tau_mem=20e-3, tau_syn=5e-3, threshold=0.3))
    net.connect("x", "a", weights, rule=rule, delay=delay)
    return net


def by_reference(learner, start, spikes) -> np.ndarray:
    """Weights that the NumPy reference of the learner's rule makes of the same spikes, in the rule's units."""
    alone = Plastic(learner.rule, start, seed=learner.plastic.seed)
    none, given = np.zeros(len(start)), drive(start.shape[1])
    for t in range(STEPS):
        reference_step(learner.rule, alone, given[t], spikes[t], none, none, np.zeros((0, len(start))))
        alone.step_index += 1
    return alone.weights


def learned(net: cs.Network, chip: str, **third):
    """Emulator, spikes and weights in the rule's units after `STEPS` steps."""
    emulator = cs.Emulator(cs.compile(net, chip, seed=3))
    spikes = emulator.run({"x": drive(net.populations["x"].n)}, STEPS, **third).spikes["a"]
    image = emulator.program.projections[0]
    return emulator, spikes, emulator.weights("x->a") * (image.unit or 1.0)


# ----------------------------------------------------------------------------------------------- zeros that may grow


@pytest.mark.parametrize("chip, native", [("float", True), ("float", False), ("unlimited", True), ("research", False)])
def test_zeros_of_a_dense_matrix_learn_as_in_plastic(chip: str, native: bool) -> None:
    """Weights of the chip equal those of `Plastic` for the same spikes; a third of them start at 0."""
    rng = np.random.default_rng(2)
    start = rng.integers(1, 20, (8, 30)) * 4 * (rng.random((8, 30)) < 0.67)
    rule = cs.rules.stdp(w_max=120.0, lam=0.05, weight=Fixed(8, 1.0, rounding="nearest"))
    net = ideal(rule, start * 1.0, cs.LIF(8, tau_mem=20e-3, threshold=200.0))
    if native:
        neurons = cs.floats.LavaLIF(8, vth=300.0, dv=0.05) if chip == "float" else cs.loihi.LIF(8, vth=300, dv=200)
        make = cs.floats.Synapses if chip == "float" else cs.loihi.Synapses
        net = cs.Network()
        net.add("x", cs.SpikeSource(30)), net.add("a", neurons)
        net.connect("x", "a", make(start), rule=rule)
    emulator, spikes, weights = learned(net, chip)
    expected = by_reference(emulator._engine.learning.learners["x->a"], start, spikes)
    np.testing.assert_array_equal(weights, expected)
    assert spikes.sum() > 50 and (weights[start == 0] > 0).any()


def test_zeros_count_as_synapses_unless_a_sparse_matrix_keeps_the_pattern() -> None:
    start = np.diag(np.arange(1, 9)) * 4
    rule = SumOfProducts(dw="2*y0*x1", x1_impulse=16, x1_tau=10)

    def made(weights, rule):
        net = cs.Network()
        net.add("x", cs.SpikeSource(8)), net.add("a", cs.loihi.LIF(8, vth=100))
        net.connect("x", "a", cs.loihi.Synapses(weights), rule=rule)
        return net, cs.compile(net, "loihi")

    for weights, r, synapses in ((start, rule, 64), (sp.csc_array(start), rule, 8), (start, None, 8)):
        net, program = made(weights, r)
        assert program.stages["allocate"]["table"]["synapses"] == [synapses] and f"{synapses} synapses" in repr(net)
        assert program.fan_out.events.sum() == synapses
        w = cs.Emulator(program).weights("x->a")
        assert sp.issparse(w) == sp.issparse(weights) and (w.nnz == 8 if sp.issparse(w) else w.shape == (8, 8))


# ------------------------------------------------------------------------------------- steps that reach the neuron


@pytest.mark.parametrize("bits, step", [(8, 1.0), (6, 4.0), (4, 16.0)])
def test_native_weights_act_in_steps_of_their_format(bits: int, step: float) -> None:
    """Frozen, to the bit: k steps drive the neuron as one mantissa of k times the step does; learning, nearly."""
    k = np.random.default_rng(4).integers(0, 7, (6, 30)) * int(16 / step)
    rule = cs.rules.stdp(w_max=112.0, lam=0.02, weight=Fixed(bits, step, rounding="stochastic"))

    def run(weights, rule, learn, exponent=0):
        net = cs.Network()
        net.add("x", cs.SpikeSource(30)), net.add("a", cs.loihi.LIF(6, vth=500, du=2000, dv=400))
        net.connect("x", "a", cs.loihi.Synapses(weights, sign="mixed", exponent=exponent), rule=rule)
        emulator = cs.Emulator(cs.compile(net, "unlimited"))
        return emulator.run({"x": drive()}, STEPS, learn=learn).spikes["a"]

    plain = run((k * step).astype(int), None, False)
    np.testing.assert_array_equal(run(k, rule, False), plain)
    assert plain.sum() > 200
    one = cs.rules.stdp(w_max=112.0, lam=0.02, weight=Fixed(8, 1.0, rounding="stochastic"))
    expected = run((k * step).astype(int), one, True).sum()
    assert run(k, rule, True).sum() == pytest.approx(expected, rel=0.15)
    knowing = run(k, rule, True, exponent=int(np.log2(step)))  # who gives the exponent gets the same
    np.testing.assert_array_equal(knowing, run(k, rule, True))


@pytest.mark.parametrize(
    "step, exponent, reason",
    [(3.0, 0, "power of two"), (4.0, 3, "exponent 2, but its synapses have 3"), (2.0**-9, 0, "needs weight exponent")],
)
def test_steps_without_an_exponent_are_refused(step: float, exponent: int, reason: str) -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(3)), net.add("a", cs.loihi.LIF(2))
    rule = cs.rules.stdp(w_max=30 * step, weight=Fixed(6, step))
    net.connect("x", "a", cs.loihi.Synapses(np.ones((2, 3), int), exponent=exponent), rule=rule)
    with pytest.raises(cs.CompileError, match=reason):
        cs.compile(net, "unlimited")


# -------------------------------------------------------------------------------------------------- ideal neurons

RULES = {
    "stdp": lambda form: cs.rules.stdp(w_max=1.0, lam=0.02, weight=form),
    "inhibitory": lambda form: cs.rules.inhibitory(weight=form),
}
FORMATS = {
    "9 bits": None,
    "8": Fixed(8, 1 / 256, False, "stochastic"),
    "odd step": Fixed(6, 0.017, False, "nearest"),
}


@pytest.mark.parametrize(
    "rule, form, chip",
    [
        ("stdp", "9 bits", "unlimited"),
        ("stdp", "8", "research"),
        ("stdp", "odd step", "research"),
        ("inhibitory", "9 bits", "research"),
    ],
)
def test_a_rule_on_ideal_neurons_does_on_a_chip_what_it_does_in_floats(rule: str, form: str, chip: str) -> None:
    """Given the chip's spikes, the reference in the rule's own units makes the very weights that the chip has."""
    made = RULES[rule](FORMATS[form])
    start = np.random.default_rng(5).uniform(0.02, 0.25, (6, 30))
    emulator, spikes, weights = learned(ideal(made, start), chip)
    learner = emulator._engine.learning.learners["x->a"]
    step = learner.rule.weight.step
    grid = np.clip(np.floor(start / step + 0.5) * step, *learner.rule.bounds)
    np.testing.assert_allclose(weights, by_reference(learner, grid, spikes), rtol=0, atol=1e-9)
    assert not np.array_equal(weights, grid)
    form_given = FORMATS[form]
    if form_given is not None:
        assert step == form_given.step
    _, floats, _ = learned(ideal(made, start), "float")
    frozen = cs.Emulator(emulator.program).run({"x": drive()}, STEPS, learn=False).spikes["a"].sum()
    plain = cs.Emulator(cs.compile(ideal(None, grid), "float")).run({"x": drive()}, STEPS).spikes["a"].sum()
    assert frozen == pytest.approx(plain, rel=0.05) and plain > 50
    assert spikes.sum() == pytest.approx(floats.sum(), rel=0.15)


def test_the_rule_reads_ideal_weights_on_a_float_chip() -> None:
    """Whatever gain the neuron's filters have: weights of 0.1 stay 0.1, and spikes are those of unlearned weights."""
    start = np.random.default_rng(6).uniform(0.02, 0.3, (4, 30))
    for neurons in (
        cs.LIF(4, tau_mem=20e-3, tau_syn=5e-3, threshold=0.3, r=2.0, refractory=2e-3),
        cs.LIF(4, tau_mem=np.linspace(10, 40, 4) * 1e-3, tau_syn=3e-3, threshold=0.3, bias=0.1, v_leak=0.05),
        cs.LIF(4, tau_mem=20e-3, tau_syn=5e-3, threshold=0.3, reset="subtract", lowest=-0.4),
    ):
        rule = cs.rules.stdp(lam=0.01)
        emulator = cs.Emulator(cs.compile(ideal(rule, start, neurons), "float"))
        np.testing.assert_array_equal(emulator.weights("x->a"), start)
        still = emulator.run({"x": drive()}, STEPS, learn=False).spikes["a"]
        plain = cs.Emulator(cs.compile(ideal(None, start, neurons), "float")).run({"x": drive()}, STEPS).spikes["a"]
        assert np.count_nonzero(still != plain) <= 2 and plain.sum() > 20


def test_weights_can_grow_and_change_sign() -> None:
    """The range of the mantissas is that of the rule, not of what the weights start with."""
    rule = cs.rules.declare(
        "def signed(w, pre, go):\n    w = w + go * pre",
        third="go",
        bounds=(-1.0, 1.0),
        weight=Fixed(8, 1 / 128, rounding="nearest"),
    )
    start = np.full((3, 30), 0.1)
    for go, end in ((0.5, 127 / 128), (-0.5, -1.0)):
        _, _, weights = learned(ideal(rule, start), "research", third={"x->a": go})
        np.testing.assert_allclose(weights, end)


def test_rules_read_potentials_in_ideal_units() -> None:
    """v with its offset, on integer and float chips: with v_leak = v_reset = -0.5 it rests there, not at 0."""
    text = "def watch(m, v, pre):\n    m = m + v * pre"
    rule = cs.rules.declare(text, state={"m": 0.0}, bounds=(-1.0, 1.0))
    neurons = cs.LIF(2, tau_mem=20e-3, tau_syn=5e-3, threshold=0.3, v_leak=-0.5, v_reset=-0.5)
    for chip in ("float", "research"):
        emulator = cs.Emulator(cs.compile(ideal(rule, np.zeros((2, 30)), neurons), chip))
        found = emulator.run({"x": drive()}, STEPS, record={"x->a": "m"}).learning["x->a"].trace["m"][-1]
        np.testing.assert_allclose(found, np.tile(-0.5 * drive().sum(axis=0), (2, 1)), rtol=0.01)


def test_what_cannot_be_converted_is_refused() -> None:
    start = np.full((2, 3), 0.1)
    stdp = cs.rules.stdp()
    unbounded = cs.rules.declare("def free(w, pre):\n    w = w + pre")
    reads = cs.rules.declare("def reads(w, v):\n    w = w + v", bounds=(-1, 1))
    mixed = ideal(cs.rules.stdp(weight=Fixed(4, 1 / 16, False)), start)
    mixed.add("y", cs.SpikeSource(3))
    mixed.connect("y", "a", start, rule=cs.rules.stdp(weight=Fixed(4, 1 / 20, False)))
    cases = {
        "cs.loihi neurons": ideal(SumOfProducts(dw="2*y0*x1", x1_impulse=16, x1_tau=10), start),
        "no bounds": ideal(unbounded, 0 * start),
        "outside rule stdp's range": ideal(stdp, 20 * start),
        "declare fewer bits": ideal(cs.rules.stdp(weight=Fixed(12, 2.0**-12, False)), start),
        "r > 0": ideal(stdp, start, cs.LIF(2, r=-1.0)),
        "no unit in common": ideal(reads, start, cs.LIF(2, tau_mem=[0.01, 0.02], tau_syn=5e-3)),
        "powers? of two": mixed,
    }
    for reason, net in cases.items():
        with pytest.raises(cs.CompileError, match=reason):
            cs.compile(net, "research")


# ------------------------------------------------------------------------------------- numbers, convolutions, delays


def test_rules_on_units_that_send_numbers_are_refused() -> None:
    def net(pre, post, synapses, rule=None):
        made = cs.Network()
        made.add("x", pre), made.add("a", post)
        made.connect("x", "a", synapses, rule=rule or cs.rules.stdp(w_max=90.0))
        return made

    w, floats = np.full((2, 3), 8), cs.floats.Synapses(np.ones((2, 3)))
    graded, unit = cs.SpikeSource(3, graded=1), cs.floats.Unit(2, sends="value")
    sop = SumOfProducts(dw="2*y0*x1", x1_impulse=16, x1_tau=10)
    refused = {
        "'x'.*send.? numbers": (graded, cs.loihi.LIF(2), cs.loihi.Synapses(w, message_bits=8)),
        "'x'.*send.? numbers ": (graded, cs.floats.LavaLIF(2), floats),
        "'a'.*send.? numbers": (cs.SpikeSource(3), unit, floats),
        "'a'.*send.? numbers ": (cs.SpikeSource(3), cs.loihi.CountLIF(2, spikes="many"), cs.loihi.Synapses(w)),
    }
    for reason, (pre, post, synapses) in refused.items():
        chip = "float" if synapses is floats else "unlimited"
        with pytest.raises(cs.CompileError, match=reason.strip()):
            cs.compile(net(pre, post, synapses), chip)
    cs.compile(net(graded, cs.loihi.LIF(2), cs.loihi.Synapses(w, message_bits=8), sop), "unlimited")


@pytest.mark.parametrize("chip", ["float", "research"])
def test_a_convolution_that_learns_is_refused_by_compile(chip: str) -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource((1, 6, 6))), net.add("a", cs.LIF((2, 4, 4)))
    net.connect("x", "a", cs.Conv2d(np.full((2, 1, 3, 3), 0.1), (1, 6, 6)), rule=cs.rules.stdp())
    with pytest.raises(cs.CompileError, match=r"'x->a' is a convolution.*as a matrix"):
        cs.compile(net, chip)


def test_delays_and_arithmetic_that_a_rule_cannot_use_are_refused_by_compile() -> None:
    def net(rule, **options):
        made = cs.Network()
        made.add("x", cs.SpikeSource(3)), made.add("a", cs.loihi.LIF(2))
        made.connect("x", "a", cs.loihi.Synapses(np.ones((2, 3), int), **options), rule=rule)
        return made

    fine = cs.rules.stdp(w_max=30.0, weight=Fixed(6, 0.5))
    with pytest.raises(cs.CompileError, match="several delays and exponent -1"):
        cs.compile(net(fine, delays=np.array([[0, 1, 2], [0, 1, 2]])), "unlimited")
    with pytest.raises(cs.CompileError, match="'nengo_loihi' shifts by -1 one by one"):
        cs.compile(net(fine), "unlimited", arithmetic="nengo_loihi")
