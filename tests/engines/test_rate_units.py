"""Rate units in float and in integers: dynamics, phases, gates, slopes, feedback, refusals, cuts, cores and files."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.kernels.core.neurons import rate
from chipsim.native import floats

FUNCTIONS = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "hard_sigmoid": (lambda x: np.clip(x, 0, 1), lambda x: ((x > 0) & (x < 1)) * 1.0),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.1 * x), lambda x: np.where(x > 0, 1.0, 0.1)),
    "linear": (lambda x: x, lambda x: np.ones_like(x)),
    "atanh": (lambda x: np.arctanh(np.clip(x, -rate.EDGE, rate.EDGE)),
              lambda x: np.where(np.abs(x) < rate.EDGE, 1 / (1 - np.clip(x, -rate.EDGE, rate.EDGE) ** 2), 0.0)),
}  # fmt: skip


def test_names_are_those_of_the_kernel() -> None:
    assert tuple(rate.FUNCTIONS) == floats.RATE_FUNCTIONS == tuple(FUNCTIONS) and tuple(rate.FORMS) == floats.RATE_FORMS


@pytest.mark.parametrize("form", ["output", "input"])
@pytest.mark.parametrize("g", list(FUNCTIONS))
def test_float_units_are_their_equations(g: str, form: str) -> None:
    rng, n, steps = np.random.default_rng(3), 6, 12
    w, k = 0.3 * rng.normal(size=(n, n)), rng.uniform(0.1, 1.0, n)
    bias, rest, u = rng.normal(size=(3, n)) * 0.2
    net = cs.Network()
    net.add("r", cs.floats.Rate(n, k=k, bias=bias, rest=rest, u=u, g=g, form=form, start=1))
    net.connect("r", "r", cs.floats.Synapses(w))
    seen = cs.Emulator(cs.compile(net, "float")).run(steps=steps, record={"r": ["u", "r", "slope", "a"]}).trace["r"]
    f, slope = FUNCTIONS[g]
    r = u if form == "output" else f(u)
    for t in range(1, steps):
        a = w @ r + bias
        u = u + k * ((f(a) if form == "output" else a) + rest - u)
        r, s = (u, slope(a)) if form == "output" else (f(u), slope(u))
        for name, value in (("u", u), ("r", r), ("slope", s), ("a", a)):
            np.testing.assert_allclose(seen[name][t], value, rtol=1e-12, atol=1e-14, err_msg=f"{name}, step {t}")


def whole_steps(w, k, bias, rest, u, g: str, form: str, steps: int) -> list[np.ndarray]:
    """The integer unit again, in Python's whole numbers."""
    at = (np.arange(2048) - 1024) / 256
    table = [int(np.clip(np.rint(16384 * v), -32767, 32767)) for v in FUNCTIONS[g][0](at)]
    u, out = [int(v) for v in u], []

    def look(x: int) -> int:
        return table[min(max(x, 0), 2047)]

    r = u if form == "output" else [look((v >> 4) + 1024) for v in u]
    for _ in range(steps):
        sent = [min(max(round(v / 128), -128), 127) for v in r]  # Python rounds half to even
        a = [256 * sum(int(x) * s for x, s in zip(row, sent)) + int(b) for row, b in zip(w, bias)]
        goal = [
            look((x >> 12) + 1024) + int(c) if form == "output" else (x >> 8) + (int(c) >> 2) for x, c in zip(a, rest)
        ]
        u = [min(max(v + ((int(p) * (q - v) + 2048) >> 12), -32767), 32767) for v, p, q in zip(u, k, goal)]
        r = u if form == "output" else [look((v >> 4) + 1024) for v in u]
        out.append(np.array(u))
    return out


@pytest.mark.parametrize("form", ["output", "input"])
@pytest.mark.parametrize("g", list(FUNCTIONS))
def test_integer_units_are_whole_number_arithmetic(g: str, form: str) -> None:
    rng, n, steps = np.random.default_rng(4), 5, 30
    w, k = rng.integers(-100, 100, (n, n)), rng.integers(1, 4097, n)
    bias, rest = rng.integers(-(2**20), 2**20, n), rng.integers(-3000, 3000, n)
    u = rng.integers(-20000, 20000, n)
    net = cs.Network()
    net.add("r", cs.loihi.Rate(n, k=k, bias=bias, rest=rest, u=u, g=g, form=form, start=1, input_exp=7))
    net.connect("r", "r", cs.loihi.Synapses(2 * w, sign="mixed", message_bits=8))
    program = cs.compile(net, "loihi2")
    seen = cs.Emulator(program).run(steps=steps + 1, record={"r": ["u"]}).trace["r"]["u"]
    np.testing.assert_array_equal(seen[1:], whole_steps(w, k, bias, rest, u, g, form, steps))


def taught(eta: float = 0.5) -> cs.Network:
    """Two inputs, three hidden units, one output, an error unit and its way back."""
    rng, net = np.random.default_rng(5), cs.Network()
    net.add("x", cs.SpikeSource(2, graded=1))
    net.add("t", cs.SpikeSource(1, graded=1))
    net.add("h", cs.floats.Rate(3))
    net.add("e", cs.floats.Rate(1, g="linear"))
    w = rng.normal(size=(3, 2))
    net.connect("x", "h", cs.floats.Synapses(w), rule=cs.rules.feedback_alignment(eta=eta), name="w")
    net.connect("h", "e", cs.floats.Synapses(-np.ones((1, 3))))
    net.connect("t", "e", cs.floats.Synapses(np.ones((1, 1))))
    net.connect("e", "h", cs.floats.Synapses(np.ones((3, 1))), role="third", factor="L")
    return net


GIVEN = {"x": np.tile([0.3, -0.7], (9, 1)), "t": np.full((9, 1), 0.4)}


def test_feedback_is_the_third_factor_and_no_input() -> None:
    net = taught()
    emulator = cs.Emulator(cs.compile(net, "float"))
    w = np.asarray(net.projections["w"].synapses.weights)
    emulator.run(GIVEN, phase="shown")
    h = np.tanh(w @ GIVEN["x"][0])
    error = 0.4 - h.sum()
    expected = 0.5 * np.outer(error * (1 - h**2), GIVEN["x"][0])
    np.testing.assert_allclose(np.asarray(emulator.weights("w")) - w, expected, rtol=1e-12)


def test_a_run_in_pieces_and_from_a_checkpoint_is_the_same(tmp_path) -> None:
    net = taught()
    whole = cs.Emulator(cs.compile(net, "float"))
    whole.run(GIVEN, phase="shown")
    program = cs.compile(net, "float")
    program.save(tmp_path / "p.h5")
    program = cs.Program.load(tmp_path / "p.h5")
    first = cs.Emulator(program)
    first.run({k: v[:4] for k, v in GIVEN.items()}, 4, phase="shown", phase_ends=False)
    first.save(tmp_path / "s.h5")
    second = cs.Emulator(program)
    second.load(tmp_path / "s.h5")
    second.run({k: v[4:] for k, v in GIVEN.items()}, 5, phase="shown")
    np.testing.assert_array_equal(np.asarray(second.weights("w")), np.asarray(whole.weights("w")))


def test_values_are_held_over_a_checkpoint_between_phases() -> None:
    def fresh() -> cs.Emulator:
        net = cs.Network()
        net.add("v", cs.floats.Rate(3, k=0.3, form="input", bias=[0.1, -0.2, 0.3]))
        weights = np.array([[0.0, 0.4, 0.1], [0.4, 0.0, -0.3], [0.1, -0.3, 0.0]])
        net.connect("v", "v", cs.floats.Synapses(weights), rule=cs.rules.contrastive(), name="w")
        return cs.Emulator(cs.compile(net, "float"))

    hold = {"v": [0.5, np.nan, np.nan]}
    one, two = fresh(), fresh()
    one.run(steps=50, phase="free")
    two.restore(one.state())
    for emulator in (one, two):
        emulator.run(steps=50, phase="teacher", hold=hold)
    np.testing.assert_array_equal(np.asarray(one.weights("w")), np.asarray(two.weights("w")))
    by_weight = fresh()
    assert np.any(np.asarray(one.weights("w")) != np.asarray(by_weight.weights("w")))


def test_two_ways_of_keeping_the_contrast_agree() -> None:
    ends = []
    for memory in ("values", "weight"):
        net = cs.Network()
        net.add("v", cs.floats.Rate(2, k=0.5, form="input", bias=[0.3, -0.1]))
        net.connect("v", "v", cs.floats.Synapses(np.array([[0.0, 0.2], [0.2, 0.0]])),
                    rule=cs.rules.contrastive(eta=1e-6, memory=memory), name="w")  # fmt: skip
        emulator = cs.Emulator(cs.compile(net, "float"))
        emulator.run(steps=60, phase="free")
        emulator.run(steps=60, phase="teacher", nudge={"v": ([0.9, np.nan], 0.5)})
        ends.append(np.asarray(emulator.weights("w"))[0, 1] - 0.2)
    assert ends[0] == pytest.approx(ends[1], rel=1e-4) and ends[0] != 0


def test_integers_learn_over_values_on_several_cores() -> None:
    """8-bit weights, stochastic: the same bits wherever the units lie, and near the float rule on average."""
    rng = np.random.default_rng(6)
    start, x = 2 * rng.integers(-20, 20, (4, 3)), rng.integers(-100, 100, 3)
    found = []
    for most in (None, 2):
        net = cs.Network()
        net.add("x", cs.SpikeSource(3, graded=1))
        net.add("h", cs.loihi.Rate(4, input_exp=7))
        rule = cs.rules.feedback_alignment(eta=0.5, weight=cs.rules.fixed(8, 1 / 32))
        net.connect("x", "h", cs.loihi.Synapses(start, sign="mixed", message_bits=8), rule=rule, name="w")
        emulator = cs.Emulator(cs.compile(net, "research", max_neurons=most, seed=3))
        result = emulator.run({"x": np.tile(x, (4, 1))}, third={"w": 1.0}, phase="shown")
        found.append(np.asarray(emulator.weights("w")))
        assert result.learning["w"].updates == start.size
    np.testing.assert_array_equal(found[0], found[1])
    assert np.any(found[0] != start)


BAD = [
    ("loihi", lambda: (cs.loihi.Rate(2), cs.loihi.Synapses(np.full((2, 2), 4))), "has no Rate neurons"),
    ("loihi2", lambda: (cs.loihi.Rate(2), cs.loihi.Synapses(np.full((2, 2), 4))), "message_bits=8"),
]


@pytest.mark.parametrize(("chip", "make", "message"), BAD, ids=["loihi", "no payload"])
def test_chips_that_cannot_say_so(chip: str, make, message: str) -> None:
    model, synapses = make()
    net = cs.Network()
    net.add("r", model)
    net.connect("r", "r", synapses)
    with pytest.raises(cs.CompileError, match=message):
        cs.compile(net, chip)


def test_wrong_use_is_refused_by_name() -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(2))
    net.add("a", cs.floats.Unit(2))
    eye = cs.floats.Synapses(np.eye(2))
    for keywords, message in (
        ({"role": "fourth"}, "is not one of"),
        ({"role": "third"}, "must name the third factor"),
        ({"role": "gate"}, "only rate units"),
        ({"role": "slope"}, "only rate units"),
        ({"factor": "L"}, "goes with role='third'"),
    ):
        with pytest.raises(cs.NetworkError, match=message):
            net.connect("x", "a", eye, **keywords)
    net.connect("x", "a", eye, rule=cs.rules.target_difference(), name="w")
    with pytest.raises(cs.CompileError, match="reads the numbers that 'x' sends"):
        cs.compile(net, "float")
    net = cs.Network()
    net.add("x", cs.SpikeSource(2, graded=1))
    net.add("a", cs.floats.Unit(2))
    net.connect("x", "a", eye, rule=cs.rules.stdp())
    with pytest.raises(cs.CompileError, match="reads spikes of 'x', whose neurons send numbers"):
        cs.compile(net, "float")
    emulator = cs.Emulator(cs.compile(taught(), "float"))
    for keywords, message in (
        ({}, "say which one this run is"),
        ({"phase": "p", "hold": {"x": 1.0}}, "no rate units"),
        ({"phase": "p", "hold": {"h": [1.0]}}, "values have shape"),
        ({"phase": "p", "hold": {"h": np.inf}}, "hold infinity"),
        ({"phase": "p", "nudge": {"h": (-np.inf, 0.5)}}, "hold infinity"),
        ({"phase": "p", "hold": {"h": 0.5}, "nudge": {"h": (0.1, 0.5)}}, "held and nudged"),
        ({"phase": "p", "nudge": {"h": 0.5}}, "give \\(target, beta\\)"),
        ({"phase": "p", "third": {"w": {"L": 1.0}}}, "arrives through a projection"),
        ({"phase": 3}, "must be a name"),
    ):
        with pytest.raises(cs.RunError, match=message):
            emulator.run(GIVEN, **keywords)


@pytest.mark.parametrize("beta", [1e9, -6e5, 1e-5])
def test_strengths_that_integers_cannot_keep_are_refused(beta: float) -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(2, graded=1)), net.add("h", cs.loihi.Rate(2))
    net.connect("x", "h", cs.loihi.Synapses(64 * np.eye(2), message_bits=8))
    emulator = cs.Emulator(cs.compile(net, "loihi2"))
    with pytest.raises(cs.RunError, match=r"nudge of 'h': beta=.*4096ths"):
        emulator.run(steps=2, nudge={"h": (0.5, beta)})
    assert emulator.run(steps=2, nudge={"h": (0.5, 0.5)}).spikes["h"].any()


def test_costs_and_verdicts_know_values_and_phases() -> None:
    values, weight = cs.rules.contrastive(), cs.rules.contrastive(memory="weight")
    assert cs.rules.cost(values).bits_per_pre == 8 and cs.rules.cost(weight).bits_per_pre == 0
    found = cs.rules.verdict(values, "sum_of_products")
    assert found.runs == "cannot" and "reads numbers" in " ".join(found.reasons)
