"""Learning on the emulated chip: against plain Python, and the properties that every learning run must have."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs
from chipsim.engines.learning.learning import Learning
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.pes import Pes
from chipsim.rules.products.rule import SumOfProducts, reward_modulated_stdp
from chipsim.rules.reference import reference_step
from tests.oracles.naive import toward_zero

BYTES = cs.rules.Fixed(8, 1.0, rounding="stochastic")
NAME = "x->a"


@cs.rules.rule(
    traces={"p": cs.rules.Trace("pre", 12), "q": cs.rules.Trace("post", 9)},
    state={"tag": 0.0},
    third="reward",
    bounds=(-120, 120),
    weight=BYTES,
)
def tagged(w, tag, p, q, pre, post, reward, *, a=1.5, b=1.2, keep=0.9):
    """STDP into a tag, reward times tag into the weight."""
    tag = keep * tag + a * p * post - b * q * pre
    w = w + reward * tag


PAIR = {
    "integer": cs.rules.stdp(w_max=120.0, lam=0.02, weight=BYTES),
    "float": cs.rules.stdp(lam=0.02),
}
SOP = SumOfProducts(dw="2*y0*x1 - 2*x0*y1 + u0*2^-6*w", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=8, t_epoch=2)


def network(kind: str, rule, *, n_pre: int = 30, n: int = 20, delay: bool = False, recurrent=None) -> cs.Network:
    rng = np.random.default_rng(3)
    net = cs.Network("learning")
    net.add("x", cs.SpikeSource(n_pre))
    delays = rng.integers(0, 4, (n, n_pre)) if delay else 0
    weights = rng.integers(1, 100, (n, n_pre)) * (rng.random((n, n_pre)) < 0.7)
    if kind == "float":
        net.add("a", cs.floats.LavaLIF(n, vth=6.0, du=0.5, dv=0.1))
        net.connect("x", "a", cs.floats.Synapses(weights / 100, delays=delays), rule=rule)
    else:
        net.add("a", cs.loihi.LIF(n, vth=500, du=2000, dv=400))
        net.connect("x", "a", cs.loihi.Synapses(weights, delays=delays, sign="mixed"), rule=rule)
        if recurrent is not None:
            fixed = rng.integers(-40, 40, (n, n))
            net.connect("a", "a", cs.loihi.Synapses(fixed, sign="mixed"), rule=recurrent)
    return net


def spikes(steps: int = 200, n_pre: int = 30) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(1).random((steps, n_pre)) < 0.15}


def make(kind: str, rule, **options) -> cs.Emulator:
    net = network(kind, rule, **{k: v for k, v in options.items() if k != "placement"})
    chip = "float" if kind == "float" else "unlimited"
    return cs.Emulator(cs.compile(net, chip, placement=options.get("placement")))


def reward(steps: int) -> dict[str, np.ndarray]:
    return {NAME: np.random.default_rng(2).normal(size=steps)}


CASES = {
    "pair": ("integer", PAIR["integer"], {}),
    "pair float": ("float", PAIR["float"], {}),
    "tagged": ("integer", tagged, {"third": reward(200)}),
    "sum of products": ("integer", SOP, {}),
    "sum of products float": ("float", SOP, {}),
    "reward": ("integer", EngineRule(reward_modulated_stdp(0.5, 1, -0.5, 20, 16, 2**-4, t_epoch=2), y1_tau=10,
                                     y1_impulse=16), {"third": {NAME: np.abs(np.round(3 * reward(200)[NAME]))}}),
    "superspike": ("float", cs.rules.superspike(), {"third": {NAME: np.random.default_rng(5).normal(size=(200, 20))}}),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def cut(options: dict, a: int, b: int) -> dict:
    return {"third": {NAME: options["third"][NAME][a:b]}} if options else {}


def test_pair_rule_and_neurons_against_plain_python() -> None:
    """Weights act from the step after the next: spikes of step t carry the weights from before step t learned."""
    rule, steps = cs.rules.stdp(w_max=120.0, lam=0.02, weight=cs.rules.Fixed(8, 1.0)), 150
    emulator = make("integer", rule, delay=True)
    net = network("integer", rule, delay=True)
    given = spikes(steps)
    result = emulator.run(given, steps, record={NAME: ["w", "x"]})
    learned = result.learning[NAME].trace
    expected, sent = in_plain_python(net, given["x"], rule, steps)
    np.testing.assert_array_equal(learned["w"], expected)
    np.testing.assert_array_equal(result.spikes["a"], sent)
    assert not np.array_equal(expected[0], expected[-1]) and sent.sum() > 50


def in_plain_python(net: cs.Network, pre: np.ndarray, rule, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (t, post, pre) and spikes of `network`'s LIF neurons, neuron by neuron and synapse by synapse."""
    synapses, decay = net.projections[NAME].synapses, np.exp(-1 / 20.0)
    w = (synapses.mantissa & ~1).astype(float)
    exists = np.ones(w.shape, bool)  # a dense matrix that learns is all to all
    n = w.shape[0]
    due, u, v = np.zeros((steps + 8, n), int), [0] * n, [0] * n
    x, y = np.zeros(pre.shape[1]), np.zeros(n)
    weights, fired = [], []
    for t in range(steps):
        s = np.zeros(n, bool)
        for j in range(n):
            u[j] = toward_zero(u[j], 4096 - 2001) + 64 * int(due[t, j])
            v[j] = toward_zero(v[j], 4096 - 400) + u[j]
            s[j] = v[j] > 500 << 6
            v[j] = 0 if s[j] else v[j]
        # what leaves now arrives one step later, one more per unit of delay, with the weight before it learns
        for j, i in zip(*np.nonzero(exists & pre[t][None, :])):
            due[t + 1 + synapses.delays[j, i], j] += int(w[j, i])
        x, y = x * decay, y * decay
        for j, i in zip(*np.nonzero(exists & (s[:, None] | pre[t][None, :]))):
            w[j, i] = grid(w[j, i], 2.4 * x[i] if s[j] else 0.0, 1.05 * 2.4 * y[j] if pre[t, i] else 0.0)
        x[pre[t]] += 1
        y[s] += 1
        weights.append(np.where(exists, w, 0).astype(int))
        fired.append(s)
    return np.array(weights), np.array(fired)


def grid(w: float, up: float, down: float) -> float:
    return min(120.0, max(0.0, np.floor(w + up - down + 0.5)))


def test_compiled_loop_equals_the_loop_over_steps(case, monkeypatch) -> None:
    kind, rule, options = case
    fast = make(kind, rule).run(spikes(), 200, **options)
    slow = make(kind, rule)
    monkeypatch.setattr(
        Learning, "advance", lambda self, s, v, g, t, n, o, c, learn, row: self._stepwise(s, v, g, t, n, o, c, row)
    )
    again = slow.run(spikes(), 200, **options)
    np.testing.assert_array_equal(fast.spikes["a"], again.spikes["a"])
    assert str(fast.learning[NAME]) == str(again.learning[NAME])
    for act, values in fast.activity.learning.items():
        np.testing.assert_array_equal(values, again.activity.learning[act], err_msg=act)


@pytest.mark.parametrize("kind", ["integer", "float"])
def test_several_declared_rules_run_in_the_compiled_loop(kind: str, monkeypatch) -> None:
    """Three rules at once, two on one population: the bits of the loop over steps, which must not be needed."""
    net = network(kind, tagged if kind == "integer" else PAIR["float"])
    weights = np.random.default_rng(8).integers(1, 60, (20, 20))
    synapses = cs.loihi.Synapses(weights, sign="mixed") if kind == "integer" else cs.floats.Synapses(weights / 500)
    net.connect("a", "a", synapses, rule=PAIR[kind])
    net.add("b", cs.loihi.LIF(20, vth=400, du=2000, dv=400) if kind == "integer" else cs.floats.LavaLIF(20, vth=6.0))
    net.connect(
        "a",
        "b",
        synapses,
        rule=cs.rules.homeostatic(target=0.3, eta=0.1, w_max=100.0, every=7, weight=BYTES)
        if kind == "integer"
        else PAIR["float"],
    )
    program = cs.compile(net, "unlimited" if kind == "integer" else "float")
    slow = cs.Emulator(program)
    options = {"third": reward(200)} if kind == "integer" else {}
    with monkeypatch.context() as patch:
        patch.setattr(Learning, "_compiled", Learning._stepwise)
        wanted = slow.run(spikes(), 200, **options)
    monkeypatch.setattr(Learning, "_stepwise", None)
    fast = cs.Emulator(program)
    result = fast.run(spikes(), 200, **options)
    assert len(result.learning) == 3 and all(r.changed > 0 for r in result.learning.values())
    for name in result.learning:
        np.testing.assert_array_equal(fast.weights(name), slow.weights(name))
        assert str(result.learning[name]) == str(wanted.learning[name])
    for act, values in result.activity.learning.items():
        np.testing.assert_array_equal(values, wanted.activity.learning[act], err_msg=act)


def test_kernel_equals_the_reference_of_its_declaration() -> None:
    """The learner's numbers are those of the rule's NumPy reference, step by step, stochastic rounding included."""
    from chipsim.rules.plastic import Plastic

    emulator, steps = make("integer", tagged), 60
    start = emulator.weights(NAME)
    given, third = spikes(steps), reward(steps)
    result = emulator.run(given, steps, record={NAME: ["w", "tag"]}, third=third)
    learner = emulator._engine.learning.learners[NAME]
    plain = Plastic(learner.rule, start, seed=learner.plastic.seed, dtype="float64")
    none = np.zeros(20)
    for t in range(steps):
        factor = np.full((1, 20), third[NAME][t])
        reference_step(learner.rule, plain, given["x"][t], result.spikes["a"][t], none, none, factor)
        plain.step_index += 1
    np.testing.assert_array_equal(plain.weights, result.learning[NAME].trace["w"][-1])
    np.testing.assert_array_equal(plain.state("tag"), result.learning[NAME].trace["tag"][-1])


@pytest.mark.parametrize("at", [1, 77, 100])
def test_two_runs_equal_one(case, at: int) -> None:
    kind, rule, options = case
    whole = make(kind, rule)
    one = whole.run(spikes(), 200, **options)
    parts = make(kind, rule)
    first = parts.run({"x": spikes()["x"][:at]}, at, **cut(options, 0, at))
    second = parts.run({"x": spikes()["x"][at:]}, 200 - at, **cut(options, at, 200))
    np.testing.assert_array_equal(np.concatenate([first.spikes["a"], second.spikes["a"]]), one.spikes["a"])
    np.testing.assert_array_equal(parts.weights(NAME), whole.weights(NAME))
    assert one.learning[NAME].updates == first.learning[NAME].updates + second.learning[NAME].updates
    assert one.learning[NAME].changed > 0


def test_checkpoint_continues_bit_for_bit(case, tmp_path) -> None:
    kind, rule, options = case
    emulator = make(kind, rule)
    emulator.run({"x": spikes()["x"][:90]}, 90, **cut(options, 0, 90))
    path = emulator.save(tmp_path / "half.h5")
    rest = ({"x": spikes()["x"][90:]}, 110)
    expected = emulator.run(*rest, **cut(options, 90, 200))
    other = cs.Emulator(emulator.program)
    other.load(path)
    found = other.run(*rest, **cut(options, 90, 200))
    np.testing.assert_array_equal(found.spikes["a"], expected.spikes["a"])
    np.testing.assert_array_equal(other.weights(NAME), emulator.weights(NAME))
    for name, array in emulator.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)


def test_threads_and_placement_change_no_bit(case, monkeypatch) -> None:
    monkeypatch.setattr("chipsim.engines.timestep.THREADS_FROM", 0)
    kind, rule, options = case
    one = make(kind, rule)
    expected = one.run(spikes(), 200, **options)
    placed = make(kind, rule, placement={"a": np.arange(20) % 7})
    threaded = cs.Emulator(one.program, threads=2)
    for other in (placed, threaded):
        np.testing.assert_array_equal(other.run(spikes(), 200, **options).spikes["a"], expected.spikes["a"])
        np.testing.assert_array_equal(other.weights(NAME), one.weights(NAME))


def test_frozen_learning_changes_nothing(case) -> None:
    kind, rule, _ = case
    emulator = make(kind, rule)
    before = emulator.state()
    frozen = emulator.run(spikes(), 200, learn=False)
    after = emulator.state()
    for name in before:
        if name.startswith(("learn/", "weight")):
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert frozen.activity.totals()["synapse_update"] == 0
    plain = make(kind, None).run(spikes(), 200)
    np.testing.assert_array_equal(frozen.spikes["a"], plain.spikes["a"])


def test_reset_gives_the_initial_weights(case) -> None:
    kind, rule, options = case
    emulator = make(kind, rule)
    start = emulator.weights(NAME)
    first = emulator.run(spikes(), 200, **options)
    assert not np.array_equal(emulator.weights(NAME), start)
    emulator.reset()
    np.testing.assert_array_equal(emulator.weights(NAME), start)
    np.testing.assert_array_equal(emulator.run(spikes(), 200, **options).spikes["a"], first.spikes["a"])


def test_several_projections_learn() -> None:
    """Two rules of two kinds at once: each learns as it does beside a frozen other, where their spikes agree."""
    net = network("integer", PAIR["integer"], recurrent=SOP)
    emulator = cs.Emulator(cs.compile(net, "unlimited"))
    result = emulator.run(spikes(), 200)
    assert all(r.changed > 0 for r in result.learning.values()) and len(result.learning) == 2
    again = cs.Emulator(emulator.program)
    again.run({"x": spikes()["x"][:50]}, 50)
    state = again.state()
    again = cs.Emulator(emulator.program)
    again.restore(state)
    again.run({"x": spikes()["x"][50:]}, 150)
    for name in result.learning:
        np.testing.assert_array_equal(again.weights(name), emulator.weights(name))


def test_set_weights_acts_and_is_checked() -> None:
    emulator = make("integer", PAIR["integer"])
    w = emulator.weights(NAME)
    emulator.set_weights(NAME, np.where(w != 0, 7, 0))
    np.testing.assert_array_equal(emulator.weights(NAME), np.where(w != 0, 7, 0))
    for wrong, reason in ((w[:, 1:], "shape"), (w / 4, "whole"), (w * 5, "beyond")):
        with pytest.raises(cs.RunError, match=reason):
            emulator.set_weights(NAME, wrong)
    kept = cs.Network()
    kept.add("x", cs.SpikeSource(30)), kept.add("a", cs.loihi.LIF(20))
    kept.connect("x", "a", cs.loihi.Synapses(sp.csc_array(w), sign="mixed"), rule=PAIR["integer"])
    with pytest.raises(cs.RunError, match="no synapse"):
        cs.Emulator(cs.compile(kept, "unlimited")).set_weights(NAME, w + 1)


def fixed(delay: bool, kind: str = "dense", weights=None) -> cs.Emulator:
    """A plastic projection beside a fixed one, which is kept in the form that suits it."""
    rng, net = np.random.default_rng(6), cs.Network("fixed")
    net.add("x", cs.SpikeSource(30))
    for name in ("a", "b"):
        net.add(name, cs.loihi.LIF(20, vth=500, du=2000, dv=400))
    start = rng.integers(1, 100, (20, 30)) * 2 * (rng.random((20, 30)) < (0.03 if kind == "sparse" else 0.8))
    start = start if weights is None else weights
    given = sp.csc_array(start) if kind == "sparse" else start
    delays = rng.integers(0, 4, (20, 30)) if delay else 0
    net.connect("x", "a", cs.loihi.Synapses(given, sign="mixed", delays=delays))
    net.connect("x", "b", cs.loihi.Synapses(np.full((20, 30), 20), sign="mixed"), rule=PAIR["integer"])
    net.connect("a", "b", cs.loihi.Synapses(np.full((20, 20), 9)))
    return cs.Emulator(cs.compile(net, "unlimited"))


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("delay", [False, True])
def test_fixed_weights_are_overwritten_as_if_compiled_so(kind: str, delay: bool, tmp_path) -> None:
    emulator = fixed(delay, kind)
    old = emulator.weights(NAME)
    dense = old.toarray() if sp.issparse(old) else old
    new = np.where(dense != 0, np.random.default_rng(8).integers(-250, 250, dense.shape), 0)
    new[np.nonzero(dense)[0][0], np.nonzero(dense)[1][0]] = 33
    expected = fixed(delay, kind, new if kind == "dense" else None)
    if kind == "sparse":  # zeros stay synapses of a sparse matrix: compile with the pattern of the old one
        expected = fixed(delay, kind, sp.csc_array((new[old.indices, np.repeat(np.arange(30), np.diff(old.indptr))],
                                                    old.indices, old.indptr), shape=old.shape))  # fmt: skip
    emulator.set_weights(NAME, new)
    read = emulator.weights(NAME)
    np.testing.assert_array_equal(read.toarray() if sp.issparse(read) else read, new)
    first = {"x": spikes()["x"][:90]}
    before, wanted = emulator.run(first, 90), expected.run(first, 90)
    for name in "ab":
        np.testing.assert_array_equal(before.spikes[name], wanted.spikes[name])
    assert before.spikes["a"].any()
    again = cs.Emulator(emulator.program)
    again.load(emulator.save(tmp_path / "s.h5"))
    rest = {"x": spikes()["x"][90:]}
    for run in (emulator, again):
        np.testing.assert_array_equal(run.run(rest, 110).spikes["b"], expected.run(rest, 110).spikes["b"])
        np.testing.assert_array_equal(run.weights("x->b"), expected.weights("x->b"))
        expected.reset()
        expected.set_weights(NAME, new if kind == "dense" else expected.weights(NAME))
        expected.run(first, 90)
    for run in (emulator, again):
        run.reset()
        np.testing.assert_array_equal(run.run(first, 90).spikes["b"], fixed(delay, kind).run(first, 90).spikes["b"])


def test_fixed_weights_change_between_runs_and_learning_goes_on() -> None:
    """Two runs with a rewriting between them: the plastic projection keeps its weights, traces and random numbers."""
    plain, touched = fixed(False), fixed(False)
    first, rest = {"x": spikes()["x"][:90]}, {"x": spikes()["x"][90:]}
    plain.run(first, 90)
    touched.run(first, 90)
    for _ in range(6):  # until the sums under way have arrived
        plain.run(None, 1)
        touched.run(None, 1)
    touched.set_weights(NAME, 0 * touched.weights(NAME))
    touched.set_weights(NAME, fixed(False).weights(NAME))
    np.testing.assert_array_equal(plain.run(rest, 110).spikes["b"], touched.run(rest, 110).spikes["b"])
    np.testing.assert_array_equal(plain.weights("x->b"), touched.weights("x->b"))


def test_wrong_weights_for_a_fixed_projection_are_refused() -> None:
    emulator = fixed(True)
    w = emulator.weights(NAME)
    for wrong, reason in ((w[:, 1:], "shape"), (w + 1, "no synapse"), (w / 4, "fractions"), (w * 5, "beyond"),
                          (w * np.nan, "finite"), (np.full(w.shape, "a"), "numbers")):  # fmt: skip
        with pytest.raises(cs.RunError, match=reason):
            emulator.set_weights(NAME, wrong)
    with pytest.raises(cs.RunError, match="no projection 'y'"):
        emulator.set_weights("y", w)
    np.testing.assert_array_equal(emulator.weights(NAME), w)
    emulator.run(spikes(), 200)
    with pytest.raises(cs.RunError, match="on their way"):
        emulator.set_weights(NAME, w)


def test_report_names_stalling_saturation_and_drift() -> None:
    small = cs.rules.stdp(w_max=120.0, lam=1e-4, weight=cs.rules.Fixed(8, 1.0))
    report = make("integer", small).run(spikes(), 200).learning[NAME]
    assert report.changed == 0 and report.stalled > 0 and "stalls" in str(report)
    large = cs.rules.stdp(w_max=120.0, lam=0.9, alpha=3.0, weight=BYTES)
    report = make("integer", large).run(spikes(), 200).learning[NAME]
    assert report.saturated > 0 and "saturates" in str(report) and "drifts" in str(report)


def test_recording_every_so_many_steps() -> None:
    emulator = make("float", PAIR["float"])
    report = emulator.run(spikes(), 200, record={NAME: ["w", "x"], "a": "v"}, record_every=60).learning[NAME]
    np.testing.assert_array_equal(report.step, [60, 120, 180])
    assert report.trace["w"].shape == (3, 20, 30) and report.trace["x"].shape == (3, 30)
    other = make("float", PAIR["float"])
    other.run({"x": spikes()["x"][:120]}, 120)
    np.testing.assert_array_equal(other.weights(NAME), report.trace["w"][1])


def test_acts_are_counted() -> None:
    """Pair STDP visits the synapses of neurons that fire, once each."""
    emulator = make("float", PAIR["float"])
    exists, given = np.ones((20, 30), bool), spikes()["x"]  # zeros of a dense matrix learn
    result = emulator.run(spikes(), 200)
    post = result.spikes["a"]
    visited = [(exists & (given[t][None, :] | post[t][:, None])).sum() for t in range(200)]
    np.testing.assert_array_equal(result.activity.learning["synapse_update"], visited)
    np.testing.assert_array_equal(result.activity.learning["trace_update"], 50)
    third = make("integer", tagged).run(spikes(), 200, third={NAME: np.arange(200) % 2}).activity.learning
    assert third["third_factor"].sum() == 100


def test_learning_costs_energy() -> None:
    result = cs.Emulator(cs.compile(network("integer", SOP), "loihi")).run(spikes(), 200)
    frozen = cs.Emulator(cs.compile(network("integer", SOP), "loihi")).run(spikes(), 200, learn=False)
    constant = 120e-12  # J per update, the chip's description
    updates = result.activity.totals()["synapse_update"]
    assert updates > 0
    assert result.estimate().energy["learning"] == pytest.approx(updates * constant)
    assert frozen.estimate().energy["learning"] == 0


def test_the_mapper_counts_the_rule_and_refuses() -> None:
    with_tag = SumOfProducts(dw="u0*t", dt="2*y0*x1", x1_impulse=16, x1_tau=10)
    plain = cs.compile(network("integer", SOP), "loihi").stages["allocate"]["table"]["synapse_bits"][0]
    assert cs.compile(network("integer", with_tag), "loihi").stages["allocate"]["table"]["synapse_bits"][0] > plain
    rng = np.random.default_rng(0)
    wide = cs.Network("wide")
    wide.add("x", cs.SpikeSource(4000))
    wide.add("a", cs.loihi.LIF(25, vth=100))
    synapses = cs.loihi.Synapses(rng.integers(1, 100, (25, 4000)), sign="mixed")
    wide.connect("x", "a", synapses, rule=with_tag)
    with pytest.raises(cs.CompileError, match="synapse"):
        cs.compile(wide, "loihi", placement={"a": 0})


def test_bad_requests_are_refused_before_anything_runs() -> None:
    emulator, steps = make("integer", tagged), 20
    given = spikes(steps)
    wrong = {
        "needs its third factor": {},
        "holds NaN": {NAME: np.full(steps, np.nan)},
        "has shape": {NAME: np.ones(steps - 1)},
        "has shape ": {NAME: np.ones((steps, 3))},
        "must be numbers": {NAME: np.array(["a"] * steps)},
        "no learning projection": {"a->x": 1.0},
        "no third factor 'x'": {NAME: {"x": 1.0}},
    }
    for reason, third in wrong.items():
        with pytest.raises(cs.RunError, match=reason.strip()):
            emulator.run(given, steps, third=third)
    assert emulator.step == 0
    with pytest.raises(cs.RunError, match="has no third factor"):
        make("float", PAIR["float"]).run(given, steps, third={NAME: 1.0})
    with pytest.raises(cs.RunError, match="does not learn"):
        make("integer", None).run(given, steps, record={NAME: ["w"]})
    with pytest.raises(cs.RunError, match="has no variable 'z'"):
        emulator.run(given, steps, record={NAME: ["z"]}, third={NAME: 1.0})


def test_rules_that_a_chip_cannot_run_are_refused() -> None:
    for rule, reason in ((PAIR["integer"], "SumOfProducts"), (cs.rules.superspike(), "membrane")):
        with pytest.raises(cs.CompileError, match=reason):
            cs.compile(network("integer", rule), "loihi")
    with pytest.raises(cs.NetworkError, match="cannot learn by a int"):
        cs.compile(network("integer", 3), "loihi")
    with pytest.raises(cs.RunError, match="bounds"):
        make("integer", cs.rules.stdp(w_max=20.0, weight=BYTES))
    with pytest.raises(cs.RunError, match="arithmetic='nengo_loihi'"):
        make("integer", Pes(tau=20, magnitude=10.0))
    net = cs.Network("taught")
    net.add("x", cs.SpikeSource(3))
    net.add("y", cs.SpikeSource(2))
    net.connect("x", "y", cs.loihi.Synapses(all_to_all(np.ones((2, 3), int))), rule=SOP)
    with pytest.raises(cs.CompileError, match="placement="):
        cs.compile(net, "loihi")


def test_program_and_result_come_back_from_files(tmp_path) -> None:
    emulator = make("integer", tagged)
    result = emulator.run(spikes(), 200, third=reward(200), record={NAME: "w"}, record_every=100)
    loaded = cs.Program.load(emulator.program.save(tmp_path / "p.h5"))
    np.testing.assert_array_equal(
        cs.Emulator(loaded).run(spikes(), 200, third=reward(200)).spikes["a"], result.spikes["a"]
    )
    back = cs.Result.load(result.save(tmp_path / "r.h5"))
    assert str(back.learning[NAME]) == str(result.learning[NAME])
    np.testing.assert_array_equal(back.learning[NAME].trace["w"], result.learning[NAME].trace["w"])
    assert back.activity.totals() == result.activity.totals()
