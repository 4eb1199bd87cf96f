"""Rows and columns of a rule's kernel: longer than a block, of any length, empty; what each visit counts."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim.rules as rules
from chipsim.kernels.intrinsics import GROUP, SCRATCH, groups
from chipsim.rules import Plastic, State, Trace

TRACES = {"x": Trace("pre", 9.0), "y": Trace("post", 7.0)}
BYTE = rules.Fixed(8, 0.25, rounding="stochastic")
PAIR = "def pair(w, x, y, pre, post):\n    w = w + 0.7 * x * post\n    w = w - 0.8 * y * pre\n"
RULES = {
    "pair": rules.declare(PAIR, traces=TRACES, bounds=(-20.0, 20.0), weight=BYTE),
    "float": rules.declare(PAIR, traces=TRACES),
    "no presynaptic trace": rules.declare(
        "def post_only(w, y, pre, post):\n    w = w + 0.3 * y * pre - 0.2 * post\n",
        traces={"y": TRACES["y"]}, bounds=(-20.0, 20.0), weight=BYTE,
    ),
    "state": rules.declare(
        "def tagged(w, a, b, x, y, pre, post, reward):\n"
        "    a = a + x * post - y * pre\n    if post > pre:\n        b = b + 1\n    w = w + reward * a * post\n",
        traces=TRACES, state={"a": State(0.0, rules.fixed(8, 8.0)), "b": 0.0}, third="reward", bounds=(-20.0, 20.0),
        weight=rules.Fixed(8, 0.3, rounding="nearest"),
    ),
    "all synapses": rules.declare("def leaky(w, x, pre, post, v):\n    w = 0.99 * w + x * v\n", traces=TRACES),
}  # fmt: skip


def projection(rule, n_pre: int, n_post: int, density: float, dtype: str = "float64") -> Plastic:
    rng = np.random.default_rng(5)
    pattern = rng.random((n_post, n_pre)) < density
    pattern[:, n_pre // 2] = pattern[n_post // 3] = False
    low = rng.integers(-60, 60, pattern.shape) * (rule.weight.step if rule.weight else 0.1)
    matrix = sp.csc_array(np.where(pattern, np.clip(low, *rule.bounds), 0.0))
    return Plastic(rule, matrix, seed=3, dtype=dtype)


def inputs(p: Plastic, steps: int):
    n_post, n_pre = p.shape
    rng = np.random.default_rng(6)
    for _ in range(steps):
        third = rng.normal(size=(len(p.rule.third), n_post))
        yield rng.random(n_pre) < 0.2, rng.random(n_post) < 0.2, rng.normal(size=n_post), third


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", [(9, 600), (600, 9), (37, 41), (1, 1), (8, 16)])
def test_kernel_equals_reference_on_rows_and_columns_of_any_length(name: str, shape: tuple[int, int]) -> None:
    rule, n_pre, n_post = RULES[name], *shape
    fast = projection(rule, n_pre, n_post, 0.9)
    slow = copy.copy(fast)
    for array in ("w", "syn", "pre_vars", "post_vars"):
        setattr(slow, array, getattr(fast, array).copy())
    start, level = fast.w.copy(), np.zeros(n_post)
    for pre, post, v, third in inputs(fast, 12):
        fast.step(pre, post, v=v, threshold=0.0, third=dict(zip(rule.third, third)))
        rules.reference_step(rule, slow, pre, post, v, level, third)
        slow.step_index += 1
        for array in ("w", "syn", "pre_vars", "post_vars"):
            np.testing.assert_array_equal(getattr(fast, array), getattr(slow, array), err_msg=array)
    assert fast.w.size < 40 or not np.array_equal(fast.w, start)


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_every_visit_is_counted_once_and_by_what_came_of_it(dtype: str) -> None:
    """The six counters, from the declaration's arithmetic in NumPy: nearest rounding, many weights at the bounds."""
    rule = rules.declare(PAIR, traces=TRACES, bounds=(-15.0, 14.0), weight=rules.Fixed(8, 0.25, rounding="nearest"))
    p = projection(rule, 330, 45, 0.8, dtype)
    wanted = dict.fromkeys(rules.COUNTERS, 0)
    for pre, post, _, _ in inputs(p, 10):
        before = p.weights_now()
        x, y = (np.exp(-1 / t.tau) * p.trace(n) for n, t in TRACES.items())
        p.step(pre, post)
        seen = pre[p.row_of] | post[p.col]
        asked = before + 0.7 * x[p.row_of] * post[p.col]
        asked = (asked - 0.8 * y[p.col] * pre[p.row_of])[seen]
        old, new = before[seen], p.weights_now()[seen]
        counts = (seen.sum(), (new != old).sum(), ((asked != old) & (new == old)).sum())
        counts += ((asked < -15.0).sum(), (asked > 14.0).sum(), 0)
        for name, count in zip(rules.COUNTERS, counts):
            wanted[name] += int(count)
    assert dict(zip(rules.COUNTERS, p.counters.tolist())) == wanted
    assert all(wanted[name] > 100 for name in rules.COUNTERS[:5])


def test_numbers_that_are_not_finite_are_counted() -> None:
    """The exponential overflows at the seven neurons that spike: infinite in their rows, 0 times infinity elsewhere."""
    for bounds in ((-np.inf, np.inf), (-1.0, np.inf), (-1.0, 1.0)):
        rule = rules.declare(
            "def burst(w, x, y, pre, post):\n    w = w + x * pre * exp(1000 * post)\n", traces=TRACES, bounds=bounds
        )
        p = Plastic(rule, np.zeros((20, 3)))
        p.step([1, 1, 1], np.zeros(20))
        p.step([1, 0, 0], np.arange(20) < 7)
        assert p.counters[5] == 7 * 3


def test_groups_never_pass_the_end_of_an_index() -> None:
    for count in range(1, SCRATCH + 1):
        for left in range(count, count + 2 * GROUP):
            taken = groups.py_func(count, left)
            assert count <= taken <= min(left, SCRATCH) and (taken == count or taken % GROUP == 0)
