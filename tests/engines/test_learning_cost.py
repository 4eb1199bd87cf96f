"""What learning costs: memory, acts, operations, energy and time against figures worked out by hand."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import chipsim as cs
from chipsim.report.facts import collect
from chipsim.report.learning import operations_of
from chipsim.rules.products.rule import SumOfProducts

STEPS = 50
NAME = "x->a"


@cs.rules.rule(
    traces={
        "p": cs.rules.Trace("pre", 12, format=cs.rules.fixed(7, 16.0, signed=False)),
        "q": cs.rules.Trace("post", 9),
    },
    state={"tag": cs.rules.State(0.0, cs.rules.fixed(10, 8.0))},
    third="reward",
    bounds=(-120, 120),
    weight=cs.rules.Fixed(8, 1.0, rounding="stochastic"),
)
def tagged(w, tag, p, q, pre, post, reward):
    tag = 0.9 * tag + p * post - q * pre
    w = w + reward * tag


def compiled(rule, chip: str = "unlimited", n: int = 6, n_pre: int = 8, **options) -> cs.Program:
    net = cs.Network("cost")
    net.add("x", cs.SpikeSource(n_pre))
    net.add("a", cs.loihi.LIF(n, vth=200, du=2000, dv=400))
    net.connect("x", "a", cs.loihi.Synapses(np.full((n, n_pre), 40), sign="mixed"), rule=rule)
    return cs.compile(net, chip, **options)


def run(program: cs.Program, **options) -> cs.Result:
    spikes = np.random.default_rng(1).random((STEPS, 8)) < 0.2
    return cs.Emulator(program).run({"x": spikes}, STEPS, **options)


@pytest.fixture(scope="module")
def learned() -> cs.Result:
    return run(compiled(tagged, max_neurons=2), third={NAME: np.arange(STEPS) % 2})


def test_memory_of_three_cores_by_hand(learned: cs.Result) -> None:
    """2 neurons x 8 synapses of 9 + 10 bits, 8 axons of 7 bits, 2 neurons of 64 bits, on each of three cores."""
    each = 2 * 8 * 19 + 8 * 7 + 2 * 64
    assert learned.program.stages["allocate"]["table"]["learning_bits"] == [each] * 3
    section = collect(learned)[0]["learning"]
    assert section["memory_bits"] == section["projections"][0]["memory_bits"] == 3 * each


def test_acts_energy_and_time_by_hand(learned: cs.Result) -> None:
    """The rule's tag fades in every step, so that all 48 synapses are evaluated; rewards come in every other step."""
    acts = learned.activity.learning
    assert acts["synapse_update"].sum() == STEPS * 48 and acts["trace_update"].sum() == STEPS * (8 + 6)
    assert acts["third_factor"].sum() == STEPS // 2
    assert acts["weight_read"].sum() == 2 * STEPS * 48, "weight and tag"
    changed = learned.learning[NAME].changed
    assert acts["weight_write"].sum() == changed + STEPS * 48, "weights that changed, and every tag"
    estimate = learned.estimate(cost_set="davies2018")
    section = collect(learned, cost_set="davies2018")[0]["learning"]
    assert section["energy_J"] == pytest.approx(STEPS * 48 * 120e-12)
    assert section["time_s"] == pytest.approx(STEPS * 48 * 6.1e-9)
    assert section["energy_per_update_J"] == pytest.approx(120e-12)
    assert section["time_per_update_s"] == pytest.approx(6.1e-9)
    assert section["inference_J"] == pytest.approx(estimate.energy["synapse"] + estimate.energy["soma"])
    frozen = run(learned.program, learn=False).estimate(cost_set="davies2018")
    assert frozen.energy.get("learning_synapse_update", 0.0) == 0.0
    assert [u.split(":")[0] for u in section["unknown"]] == [
        "learning.trace_update.energy",
        "learning.third_factor.energy",
    ]


def test_learning_takes_its_time_on_the_core_that_has_the_synapses() -> None:
    """One core holds 4 neurons, the other 2: of 48 evaluations 32 are the first one's, which sets the pace."""
    place = {"a": [0, 0, 0, 0, 1, 1]}
    result = run(compiled(tagged, placement=place), third={NAME: 1.0})
    estimate = result.estimate(cost_set="davies2018")
    updates = estimate.counts.learning["synapse_update"]
    np.testing.assert_allclose(updates, np.broadcast_to([32, 16], (STEPS, 2)))
    still = run(result.program, learn=False, third={NAME: 1.0}).estimate(cost_set="davies2018")
    np.testing.assert_allclose(
        estimate.timing.generation - still.timing.generation, updates * 6.1e-9, rtol=1e-6, atol=2e-7
    )


def test_operations_by_hand() -> None:
    assert operations_of(tagged) == {"multiplies": 4.0, "adds": 3.0}
    rule = SumOfProducts(dw="2*y0*x1 - x0*y1", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=8)
    assert operations_of(rule)["multiplies"] == rule.operations()["multiply"] / 2
    assert operations_of(object()) is None


def test_report_holds_learning_beside_inference(learned: cs.Result, tmp_path) -> None:
    learned.report(tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="learning"' in page and "No rule stalled, saturated or drifted" in page
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert data["learning"]["projections"][0]["updates"] == STEPS * 48
    steps = list(csv.DictReader((tmp_path / "steps.csv").open(encoding="utf-8")))
    assert sum(int(r["learning_synapse_update"]) for r in steps) == STEPS * 48
    cores = list(csv.DictReader((tmp_path / "cores.csv").open(encoding="utf-8")))
    assert [int(r["learning_bits"]) for r in cores] == [488, 488, 488]


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        (cs.rules.stdp(w_max=120.0, lam=1e-4, weight=cs.rules.Fixed(8, 1.0)), "stalls"),
        (cs.rules.stdp(w_max=120.0, lam=0.9, alpha=3.0, weight=cs.rules.Fixed(8, 1.0)), "saturates"),
        (cs.rules.stdp(w_max=41.0, lam=0.9, alpha=0.0, weight=cs.rules.Fixed(8, 1.0)), "drifts"),
    ],
)
def test_page_says_when_a_rule_stalls_saturates_or_drifts(rule, word: str, tmp_path) -> None:
    result = run(compiled(rule))
    assert any(word in w for w in result.learning[NAME].warnings)
    result.report(tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"{NAME.replace('>', '&gt;')}: stdp {word}" in page


def test_what_was_recorded_is_drawn(tmp_path) -> None:
    result = run(compiled(tagged), third={NAME: 1.0}, record={NAME: ["w", "tag", "p", "q"]}, record_every=5)
    made = result.learning[NAME].plot(chosen=[(0, 3)])
    lines = {ax.get_ylabel(): ax.get_lines() for ax in made.axes if ax.get_ylabel()}
    assert set(lines) == {"weight", "tag", "p", "q"} and made.axes[-2].get_xlabel() == "time (steps)"
    trace = result.learning[NAME].trace
    np.testing.assert_array_equal(lines["weight"][1].get_ydata(), trace["w"][:, 0, 3])
    np.testing.assert_array_equal(lines["p"][1].get_ydata(), trace["p"][:, 3], err_msg="of the presynaptic neuron")
    np.testing.assert_array_equal(lines["q"][1].get_ydata(), trace["q"][:, 0], err_msg="of the postsynaptic neuron")
    np.testing.assert_allclose(lines["tag"][0].get_ydata(), trace["tag"].mean(axis=(1, 2)))
    result.report(tmp_path)
    assert "learned over time" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(cs.RunError, match="no synapse"):
        result.learning[NAME].plot(chosen=[(0, 99)])
    with pytest.raises(cs.RunError, match="nothing was recorded"):
        run(compiled(tagged), third={NAME: 1.0}).learning[NAME].plot()


def test_recording_every_step_of_a_long_run_ends() -> None:
    """The size of a call follows from what the last one took, not from what it might have taken."""
    spikes = np.zeros((900, 8))
    result = cs.Emulator(compiled(tagged)).run({"x": spikes}, 900, third={NAME: 0.0}, record={NAME: ["w"]})
    assert result.learning[NAME].trace["w"].shape == (900, 6, 8)


def test_without_learning_the_page_has_no_section(tmp_path) -> None:
    run(compiled(None)).report(tmp_path)
    assert 'id="learning"' not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "learning" not in (tmp_path / "steps.csv").read_text(encoding="utf-8")


@cs.rules.rule(traces={"x": cs.rules.Trace("pre", 20)}, state={"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0})
def heavy(w, a, b, c, d, x, post):
    a = 0.9 * a + x
    b = 0.9 * b + a
    c = 0.9 * c + b
    d = 0.9 * d + c
    w = w + 0.01 * d * post


def test_state_that_does_not_fit_is_refused_by_name() -> None:
    """64 x 100 synapses of 9 + 4 x 64 bits are 1.7 Mbit, where a core has 1 Mbit; 8-bit weights alone fit."""
    compiled(None, "research", 64, 100, placement={"a": 0})
    with pytest.raises(cs.CompileError, match=r"core 0; research allows 1048576.*'x->a' learns.* 1696000 bits.*fewer"):
        compiled(heavy, "research", 64, 100, placement={"a": 0})
    assert len(compiled(heavy, "research", 64, 100).cores) == 2, "the mapper spreads it by itself"
    with pytest.raises(cs.CompileError, match=r"one neuron alone.*'x->a' learns: store the state"):
        compiled(heavy, "research", 2, 4090)
