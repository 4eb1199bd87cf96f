"""Which delay a pair of spikes sees: none (dendritic), or the projection's (axonal, as Brian2 by default)."""

from __future__ import annotations

import numpy as np
import pytest

import chipsim as cs
from chipsim.engines.learning.learning import Learning


def taught(pre: np.ndarray, post: np.ndarray, delay: int, rule, **options) -> tuple[cs.Emulator, dict]:
    """Given spikes on both sides of plastic synapses: the targets are a spike source, which teaches."""
    net = cs.Network()
    (
        net.add("x", cs.SpikeSource(pre.shape[1])),
        net.add("y", cs.SpikeSource(post.shape[1])),
        net.add("n", cs.floats.LIF(1)),
    )
    w = np.full((post.shape[1], pre.shape[1]), 0.5)
    net.connect("x", "y", cs.floats.Synapses(w, delays=delay), rule=rule)
    return cs.Emulator(cs.compile(net, "float", placement={"y": 0, "n": 0})), {"x": pre, "y": post}


@pytest.mark.parametrize("axonal, change", [(False, 0.01 * np.exp(-2 / 20)), (True, -1.05 * 0.01 * np.exp(-1 / 20))])
def test_one_pair(axonal: bool, change: float) -> None:
    """Delay 3, pre at 5, post at 7: +0.009048 by when they are sent, -0.009988 by when the first arrives."""
    assert round(change, 6) in (0.009048, -0.009988)
    rule = cs.rules.axonal(cs.rules.stdp()) if axonal else cs.rules.stdp()
    pre, post = np.zeros((15, 1), bool), np.zeros((15, 1), bool)
    pre[5], post[7] = True, True
    emulator, given = taught(pre, post, 3, rule)
    emulator.run(given)
    np.testing.assert_allclose(emulator.weights("x->y"), 0.5 + change, rtol=0, atol=1e-12)


@pytest.mark.parametrize("delay", [0, 1, 4])
@pytest.mark.parametrize("stepwise", [False, True])
def test_axonal_is_dendritic_of_later_spikes(delay: int, stepwise: bool, monkeypatch, tmp_path) -> None:
    """Random trains, cut in two by a checkpoint: the weights of presynaptic spikes `delay` steps later."""
    if stepwise:
        monkeypatch.setattr(Learning, "_compiled", Learning._stepwise)
    rng, steps = np.random.default_rng(delay), 80
    pre, post = rng.random((steps, 6)) < 0.15, rng.random((steps, 4)) < 0.15
    rule = cs.rules.axonal(cs.rules.stdp(lam=0.02))
    late = np.vstack([np.zeros((delay, 6), bool), pre[: steps - delay]])
    plain, given = taught(late, post, 0, cs.rules.stdp(lam=0.02))
    plain.run(given)
    emulator, given = taught(pre, post, delay, rule)
    emulator.run({k: v[:33] for k, v in given.items()})
    program = cs.Program.load(emulator.program.save(tmp_path / "p.h5"))
    assert program.projections[0].rule.sees == "arrived"
    again = cs.Emulator(program)
    again.load(emulator.save(tmp_path / "s.h5"))
    again.run({k: v[33:] for k, v in given.items()})
    np.testing.assert_array_equal(again.weights("x->y"), plain.weights("x->y"))
    assert not np.array_equal(plain.weights("x->y"), np.full((4, 6), 0.5))


def test_an_episodes_end_empties_the_way() -> None:
    pre, post = np.zeros((4, 1), bool), np.zeros((4, 1), bool)
    pre[3] = True
    emulator, given = taught(pre, post, 3, cs.rules.axonal(cs.rules.stdp()))
    emulator.run(given)
    emulator.end_episode()
    emulator.run({"x": post, "y": np.ones((4, 1), bool)})
    np.testing.assert_array_equal(emulator.weights("x->y"), 0.5)


def test_several_delays_and_other_rules_are_refused() -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(2)), net.add("a", cs.floats.LavaLIF(2))
    weights = cs.floats.Synapses(np.ones((2, 2)), delays=np.array([[0, 1], [1, 0]]))
    net.connect("x", "a", weights, rule=cs.rules.axonal(cs.rules.stdp()))
    with pytest.raises(cs.CompileError, match="2 different delays"):
        cs.compile(net, "float")
    with pytest.raises(cs.rules.RuleError, match="declared rule"):
        cs.rules.axonal(cs.rules.eprop())
    with pytest.raises(cs.rules.RuleError, match="sees='late'"):
        cs.rules.declare("def r(w, pre):\n    w = w + pre", sees="late")
