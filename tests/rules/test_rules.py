"""The declaration of local rules: what is refused, and that kernel, reference, cost and verdict agree with
the text.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from numba import njit, types

import chipsim.rules as rules
from chipsim.report.rule_table import OTHERS, chips_that_run, rule_table, shipped_rules, table_text
from chipsim.rules import Fixed, Plastic, RuleError, Surrogate, Trace
from chipsim.rules import library as rule_library
from chipsim.rules.products.rule import SumOfProducts
from chipsim.rules.replay import run_spikes
from tests.support.rule_files import from_json, to_json

XY = {"x": Trace("pre", 20.0), "y": Trace("post", 20.0)}


def pair(**changes):
    text = """
        def pair(w, x, y, pre, post, *, a=0.01, b=0.012):
            w = w + a * x * post - b * y * pre
    """
    return rules.declare(text, **{"traces": XY, "bounds": (0.0, 1.0), **changes})


REFUSED = [
    ("def r(w, x):\n    w = w + w_other[3]", "element of an array"),
    ("def r(w, x):\n    w[0] = x", "element of an array"),
    ("def r(w, x):\n    w = w + net.hidden", "outside the synapse"),
    ("def r(w, x):\n    w = w + v_pre", "only spikes travel"),
    ("def r(w, x):\n    w = w + other_weight", "not local"),
    ("def r(w, x):\n    w = w + sin(x)", "does not have"),
    ("def r(w, x):\n    for k in x:\n        w = w + 1", "not possible in a synapse"),
    ("def r(w, x):\n    w = w + 1 / x", "can be zero"),
    ("def r(w, x):\n    w = w + 1 / (x - y)", "can be zero"),
    ("def r(w, x):\n    w = w + log(x)", "zero or negative"),
    ("def r(w, x):\n    x = 0.0", "may only read"),
    ("def r(w, x):\n    w = w + psi", "declare how it follows"),
    ("def r(w, x):\n    q = x", "changes nothing"),
    ("def r(w, x):\n    if x > 1:\n        q = x\n    w = w + q", "not local"),
    ("def r(w, x):\n    w = w + 'a'", "not a number"),
    ("def r(w, x, *, eta='a'):\n    w = w + eta", "finite number"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_refusals_name_the_reason(text: str, reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        rules.declare(text, traces=XY)


ETA = 0.25


def test_undeclared_constant_is_named_with_its_value() -> None:
    def uses_outside(w, x):
        w = w + ETA * x

    with pytest.raises(RuleError, match=r"undeclared constant ETA.*0\.25"):
        rules.declare(uses_outside, traces=XY)


def test_safe_divisions_pass() -> None:
    text = "def r(w, x, *, c=0.5):\n    w = w + x / (x + c) / exp(y) / 2"
    assert rules.check(rules.declare(text, traces=XY)).passed


@pytest.mark.parametrize("name", list(rule_library.SHIPPED))
def test_shipped_rules_pass_their_check(name: str) -> None:
    make = getattr(rules, name)
    rule = make(theta_m=1.0, t1=0.5, t2=2.0, t3=3.0) if name == "sdsp" else make()
    report = rules.check(rule)
    assert report.passed, str(report)


FORMATS = [
    {"weight": Fixed(8, 1 / 256, signed=False, rounding="stochastic")},
    {"weight": Fixed(8, 1 / 256, signed=False, rounding="nearest")},
    {"weight": Fixed(6, 1 / 64, signed=False, rounding="down")},
    {"traces": {"x": Trace("pre", 20.0, format=Fixed(7, 1 / 16, False, "stochastic")), "y": XY["y"]}},
    {"traces": {"x": Trace("pre", 5.0, mode="set"), "y": Trace("post", 9.0, seen="after")}},
]


@pytest.mark.parametrize("changes", FORMATS)
def test_kernel_equals_reference_in_declared_formats(changes) -> None:
    assert rules.check(pair(**changes)).difference == 0.0


def run(p: Plastic, steps: int, seed: int = 3, **third) -> Plastic:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        p.step(rng.random(p.shape[1]) < 0.2, rng.random(p.shape[0]) < 0.2, **third)
    return p


def test_fixed_weights_stay_on_their_grid_and_integers_are_the_same() -> None:
    rule = pair(weight=Fixed(8, 1 / 256, signed=False, rounding="stochastic"))
    start = np.random.default_rng(0).random((6, 9))
    as_float, as_int = (run(Plastic(rule, start, seed=5, dtype=d), 100) for d in ("float64", "int32"))
    codes = as_float.weights * 256
    assert np.array_equal(codes, np.rint(codes)) and codes.min() >= 0 and codes.max() <= 255
    assert np.array_equal(as_float.weights, as_int.weights)
    assert as_int.w.dtype == np.int32


def test_stochastic_rounding_keeps_the_mean() -> None:
    text = "def creep(w, pre):\n    w = w + 0.1 * pre"
    rule = rules.declare(text, weight=Fixed(12, 1.0, signed=False, rounding="stochastic"))
    p = Plastic(rule, np.zeros((1, 4000)))
    for _ in range(20):
        p.step(np.ones(4000), np.zeros(1))
    assert abs(p.weights.mean() - 2.0) < 5 * np.sqrt(20 * 0.1 * 0.9 / 4000)


def test_event_driven_and_dense_visits_agree() -> None:
    rule = pair()
    assert rule.event_driven
    dense = copy.copy(rule)
    object.__setattr__(dense, "event_driven", False)
    start = np.random.default_rng(0).random((6, 9))
    sparse_run, dense_run = run(Plastic(rule, start), 80), run(Plastic(dense, start), 80)
    assert np.array_equal(sparse_run.weights, dense_run.weights)
    assert sparse_run.counters[0] < dense_run.counters[0]


@pytest.mark.parametrize(
    ("text", "driven"),
    [
        ("def r(w, x, post):\n    d = x * post\n    w = w + d", True),
        ("def r(w, x, post):\n    if post:\n        w = w + x", True),
        ("def r(w, x, post):\n    w = w + x", False),
        ("def r(w, x, post):\n    w = 0.9 * w", False),
        ("def r(w, x, pre, post):\n    if pre or post:\n        w = 0.9 * w", True),
        ("def r(w, x, post):\n    if x > 1:\n        w = w + 1", False),
    ],
)
def test_idle_rules_are_recognised(text: str, driven: bool) -> None:
    assert rules.declare(text, traces=XY).event_driven is driven


def test_masked_and_sparse_weights() -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((6, 9)) < 0.4
    start = np.where(mask, rng.random((6, 9)), 0.0)
    full, part = run(Plastic(pair(), start), 50), run(Plastic(pair(), start, mask=mask), 50)
    assert part.w.size == mask.sum()
    assert np.array_equal(part.weights[mask], full.weights[mask]) and not part.weights[~mask].any()


def test_third_factor_is_checked() -> None:
    p = Plastic(rules.reward_stdp(), np.full((3, 4), 0.5))
    for value, reason in (
        (None, "needs its third factor"),
        (np.ones(5), "expected a number or 3"),
        (np.nan, "finite"),
    ):
        with pytest.raises(ValueError, match=reason):
            p.step(np.ones(4), np.ones(3), third=value)
    with pytest.raises(ValueError, match="pass v"):
        Plastic(rules.eprop_light(), np.ones((2, 2))).step(np.ones(2), np.ones(2), third=1.0)


def test_stall_saturation_and_drift_are_reported() -> None:
    start = np.full((5, 5), 0.5)
    quiet = Fixed(8, 1 / 256, signed=False, rounding="nearest")
    tiny = pair(weight=quiet, constants={"a": 1e-5, "b": 1e-5})
    assert any("stalls" in line for line in run(Plastic(tiny, start), 60).diagnosis())
    strong = pair(constants={"a": 0.5, "b": 0.0})
    lines = run(Plastic(strong, start), 60).diagnosis()
    assert any("saturates" in line for line in lines) and any("drifted" in line for line in lines)
    assert run(Plastic(pair(), start), 20).diagnosis() == []


def test_cost_counts_the_text() -> None:
    c = rules.cost(pair(weight=Fixed(8, 1 / 256, False, "stochastic")))
    assert (c.multiplies, c.adds, c.reads, c.writes, c.neuron_reads) == (4, 2, 1, 1, 2)
    assert (c.bits_per_synapse, c.random_numbers, c.event_driven) == (8, 1, True)
    assert c.memory_bits(10, 20, 200) == 8 * 200 + 64 * 10 + 64 * 20
    assert pair().state_bits == {"synapse": 9, "pre": 64, "post": 64}


def test_export_is_accepted_by_the_engine_and_learns_alike() -> None:
    verdict = rules.sum_of_products(rules.reward_stdp())
    assert verdict.runs == "runs with changes"
    engine = SumOfProducts(**verdict.export)
    assert {p.target for p in engine.products} == {"dw", "dt"}
    exact = rules.sum_of_products(pair(constants={"a": 0.03125, "b": 0.0625}))
    assert exact.export["dw"] == "2^-3*y0*x1 - 2^-2*x0*y1" and exact.runs == "runs"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (rules.declare("def r(w, x, post):\n    w = w + post * x**0.4", traces=XY), "power"),
        (rules.jonke(), "min()"),
        (rules.eprop_light(), "membrane"),
        (rules.declare("def r(w, x, y, pre):\n    if x > y:\n        w = w + pre", traces=XY), "decides on"),
        (
            rules.declare(
                "def r(w, a, b, c, post):\n    w = w + post * (a + b + c)",
                traces={n: Trace("pre", 5.0) for n in "abc"},
            ),
            "needs 3 presynaptic traces",
        ),
        (pair(constants={"a": 1e6, "b": 0.1}), "engine's units"),
    ],
)
def test_engine_refuses_with_reasons(rule, reason: str) -> None:
    verdict = rules.sum_of_products(rule)
    assert verdict.runs == "cannot" and reason in str(verdict)


@njit
def through_pointer(kernel, step, seed, ids, ptr, w, table, vars_, v, const, counters):
    kernel(step, seed, ids, ids, ptr, ptr, ptr, ptr, ptr, w, table, vars_, vars_, v, v, table, const, counters)


def test_kernels_share_one_function_type() -> None:
    one, two = rules.compile_rule(pair()), rules.compile_rule(rules.triplet())
    kind = types.FunctionType(rules.kernel_signature())
    signature = through_pointer.py_func.__code__.co_argcount
    assert signature == 11
    i64, f64 = types.int64, types.float64
    flat, table = types.Array(f64, 1, "C"), types.Array(f64, 2, "C")
    ids, index = types.Array(types.int32, 1, "C"), types.Array(types.uint32, 1, "C")
    loop = njit(types.void(kind, i64, i64, ids, index, flat, table, table, flat, flat, types.Array(i64, 1, "C")))(
        through_pointer.py_func
    )
    counters = np.zeros(6, np.int64)
    for kernel in (one, two):
        empty, ids = np.zeros(0), np.zeros(0, np.int32)
        pointer, table, neurons = np.zeros(1, np.uint32), np.zeros((0, 1)), np.zeros((3, 0))
        loop(kernel, 0, 0, ids, pointer, empty, table, neurons, empty, np.zeros(12), counters)
    assert len(loop.signatures) == 1


def test_names_of_a_rule_do_not_collide_with_generated_code() -> None:
    text = "def r(w, s, k, step, pre, *, seed=0.5, col=2.0):\n    i = s + k\n    w = w + pre * (i * seed + col * step)"
    rule = rules.declare(
        text,
        traces={n: Trace("pre", 5.0 + j) for j, n in enumerate(("s", "k", "step"))},
        surrogate=Surrogate(),
    )
    assert rules.check(rule).passed


@pytest.mark.parametrize("name", ["stdp", "reward_stdp", "eprop_light", "homeostatic"])
def test_a_rule_survives_being_saved(name: str) -> None:
    rule = getattr(rules, name)(weight=Fixed(8, 1 / 128, rounding="stochastic"))
    again = from_json(to_json(rule))
    assert again.constants == rule.constants and again.event_driven == rule.event_driven
    assert rules.compile_rule(again) is rules.compile_rule(rule)
    with pytest.raises(ValueError, match="not a saved declaration"):
        from_json("{}")


def test_kernels_are_cached_where_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHIPSIM_CACHE", str(tmp_path))
    text = "def only_here(w, pre, *, a=0.015625):\n    w = w + a * pre"
    p = Plastic(rules.declare(text), np.zeros((1, 1)))
    p.step(np.ones(1), np.zeros(1))
    assert p.weights[0, 0] == 0.015625
    assert [f.name.split("_")[0] for f in (tmp_path / "rules").glob("*.py")] == ["only"]


def test_recorded_spikes_give_the_same_as_single_steps() -> None:
    rng = np.random.default_rng(2)
    pre, post, third = rng.random((40, 9)) < 0.2, rng.random((40, 6)) < 0.2, rng.normal(size=(40, 1, 6))
    one, all_at_once = (Plastic(rules.reward_stdp(), np.full((6, 9), 0.5)) for _ in range(2))
    for t in range(40):
        one.step(pre[t], post[t], third=third[t, 0])
    run_spikes(all_at_once, pre, post, third=third)
    assert np.array_equal(one.weights, all_at_once.weights) and all_at_once.step_index == 40


def test_table_of_rules_and_chips() -> None:
    chips = chips_that_run()
    assert "loihi" in chips and "spinnaker1" not in chips, "energy presets run nothing"
    table = rule_table(chips)
    runs = {key: v.runs for key, v in table.items()}
    for name in shipped_rules():
        assert runs[name, "float"] == runs[name, "unlimited"] == "runs" and runs[name, "xylo"] == "cannot"
    assert runs["stdp", "loihi"] == "runs with changes" and runs["jonke", "loihi"] == "cannot"
    assert runs["sdsp", "odin"] == "runs with changes" and runs["stdp", "odin"] == "cannot"
    assert runs["weight_perturbation_serial", "loihi"] == "runs"
    assert runs["node_perturbation", "odin"] == "runs with changes"
    assert runs["rflo", "loihi"] == runs["feedback_alignment", "reckon"] == "cannot"
    assert all(v.reasons for v in table.values() if v.runs != "runs")


def test_every_rule_file_has_a_row() -> None:
    """tests/oracles/rules holds rules, parts of them, and what serves as a control or a device model."""
    parts = {"spike_events", "bptt_lsnn", "memristor", "__init__"}
    rows = {
        "stdp_pair": "stdp", "stdp_nearest": "stdp_restricted", "stdp_triplet": "triplet", "stdp_jonke": "jonke",
        "stdp_dopamine": "dopamine_stdp", "vogels_sprekeler": "inhibitory",
    }  # fmt: skip
    named = {*shipped_rules(), *(other.kernel for other in OTHERS.values())}
    files = {p.stem for p in (Path(__file__).parent.parent / "oracles" / "rules").glob("*.py")} - parts
    assert {f for f in files if rows.get(f, f) not in named} == set()


def test_a_term_that_matters_is_not_left_out_silently() -> None:
    """Multiplicative depression is as large as potentiation: with a step too small for the engine, it cannot run."""
    small, large = (rules.verdict(rules.stdp(mu_plus=1.0, mu_minus=1.0, lam=s), "sum_of_products") for s in (0.01, 0.5))
    assert small.runs == "cannot" and "larger learning rate" in small.reasons[0]
    assert large.runs == "runs with changes" and "w" in large.export["dw"]


def test_page_shows_the_table_of_the_code() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "learning.md").read_text(encoding="utf-8")
    assert table_text(chips_that_run()) in page, (
        "run `python -c 'from chipsim.report.rule_table import *; ...'` of the page"
    )


def test_weights_can_live_in_an_engines_array() -> None:
    start = np.random.default_rng(0).random((3, 4))
    alone, shared = Plastic(pair(), start), Plastic(pair(), start)
    table = np.zeros(20)
    shared.attach(table[5:17])
    assert np.array_equal(table[5:17].reshape(4, 3).T, start) and not table[:5].any()
    assert np.array_equal(run(alone, 30).weights, run(shared, 30).weights)
    assert np.array_equal(table[5:17], alone.w) and not table[17:].any()
    with pytest.raises(ValueError, match="must agree"):
        shared.attach(np.zeros(12, np.int32))
