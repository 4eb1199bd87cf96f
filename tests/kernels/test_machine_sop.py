"""The compiled loop of sum-of-products engines against one step after the other in Python: the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.products.rule import SumOfProducts, reward_modulated_stdp, stdp_loihi

TWO = stdp_loihi(learning_rate=1, A_plus=1, A_minus=-1, tau_plus=8, tau_minus=8, t_epoch=2)
THREE = EngineRule(reward_modulated_stdp(0.5, 1, -0.5, 20, 16, 2**-5, t_epoch=4), y1_tau=20, y1_impulse=16)
GRADED = SumOfProducts(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1_impulse=0, x1_tau=9, y1_impulse=16, y1_tau=9, graded=2)
DECLARED = cs.rules.stdp(w_max=100.0, lam=0.02, weight=cs.rules.Fixed(8, 1.0, rounding="stochastic"))
STEPS = 150


def network(first, second, graded: int = 0) -> cs.Network:
    rng = np.random.default_rng(1)
    net = cs.Network("engines")
    net.add("x", cs.SpikeSource(12, graded=graded))
    net.add("a", cs.loihi.LIF(9, vth=200, du=1500, dv=300))
    net.add("b", cs.loihi.LIF(4, vth=150, du=1500, dv=300))
    for pre, post, rule in (("x", "a", first), ("a", "b", second)):
        shape = net.population(post).n, net.population(pre).n
        net.connect(pre, post, cs.loihi.Synapses(all_to_all(rng.integers(5, 90, shape)), sign="excitatory"), rule=rule)
    return net


@pytest.mark.parametrize(
    ("first", "second"),
    [(TWO, None), (THREE, TWO), (TWO, THREE), (THREE, THREE), (DECLARED, THREE), (GRADED, TWO)],
)
def test_compiled_loop_is_the_loop_in_python(first, second) -> None:
    rng = np.random.default_rng(2)
    graded = int(first is GRADED)
    spikes = (rng.random((STEPS, 12)) < 0.2) * (rng.integers(1, 200, (STEPS, 12)) if graded else 1)
    reward = {"x->a": rng.integers(-20, 20, STEPS), "a->b": rng.integers(-9, 9, (STEPS, 4))}
    third = {name: reward[name] for name, rule in (("x->a", first), ("a->b", second)) if rule is THREE}
    found = []
    for stepwise in (False, True):
        emulator = cs.Emulator(cs.compile(network(first, second, graded), "unlimited", seed=3))
        if stepwise:
            learning = emulator._engine.learning
            learning._compiled = learning._stepwise
        parts = []
        for cut in (slice(0, 61), slice(61, STEPS)):
            given = {k: v[cut] for k, v in third.items()}
            parts.append(emulator.run({"x": spikes[cut]}, third=given, record={"x->a": ["w"]}, record_every=7))
        found.append((emulator.state(), [p.activity.totals() for p in parts], parts))
    (compiled, acts, runs), (plain, acts_too, runs_too) = found
    assert set(compiled) == set(plain) and acts == acts_too and acts[0]["synapse_update"] > 0
    for name in plain:
        np.testing.assert_array_equal(compiled[name], plain[name], err_msg=name)
    for one, other in zip(runs, runs_too):
        assert str(one.learning["x->a"]) == str(other.learning["x->a"])
        for name, values in one.learning["x->a"].trace.items():
            np.testing.assert_array_equal(values, other.learning["x->a"].trace[name])
