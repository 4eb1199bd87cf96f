"""E-prop on emulated cores: a plain NumPy neuron and gradient, episodes, checkpoints, refusals.

Recorded runs go through the emulator in `tests/conformance/learning_replay.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.mappings.builders.lsnn import eprop_network
from chipsim.mappings.studies.training import Trainer
from chipsim.rules.e_prop.rule import Adam, EProp, Precision
from chipsim.rules.fixed_format import fixed

N_IN, N, M, T = 6, 9, 2, 40
BYTES = Precision(weights=fixed(8, 2.0), trace=fixed(8, 16.0, signed=False), signal=fixed(8, 16.0), psi_levels=5)
RULE = EProp(tau_m=12.0, tau_out=9.0, tau_a=60.0, thr=0.6, n_ref=2, scale_input=False, c_reg=5.0,
             beta=np.r_[np.zeros(5), np.full(4, 0.15)])  # fmt: skip


def problem(seed: int = 0):
    rng = np.random.default_rng(seed)
    w_rec = rng.normal(size=(N, N)) * 0.3
    np.fill_diagonal(w_rec, 0)
    weights = rng.normal(size=(N, N_IN)) * 0.6, w_rec, rng.normal(size=(M, N)) * 0.5, rng.normal(size=(N, M))
    return weights, (rng.random((T, N_IN)) < 0.2).astype(np.uint8), rng.normal(size=(T, M))


def kept(x: np.ndarray, factor: int) -> np.ndarray:
    """sign(x) floor(|x| factor / 4096)."""
    return np.sign(x) * (np.abs(x) * factor // 4096)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), beta=st.integers(0, 4000), refractory=st.integers(1, 4), da=st.integers(0, 4096))
def test_integer_neurons_are_the_printed_equations(seed: int, beta: int, refractory: int, da: int) -> None:
    rng = np.random.default_rng(seed)
    n, steps, vth, dv, levels = 5, 60, 90, 300, int(rng.integers(2, 257))
    net = cs.Network()
    net.add("x", cs.SpikeSource(8))
    net.add("a", cs.loihi.LSNN(n, dv=dv, vth=vth, da=da, beta=beta, refractory=refractory, levels=levels))
    weights = rng.integers(-60, 128, (n, 8)) * 2
    net.connect("x", "a", cs.loihi.Synapses(weights, sign="mixed"))
    spikes = rng.random((steps, 8)) < 0.3
    result = cs.Emulator(cs.compile(net, "research")).run({"x": spikes}, record={"a": ["v", "a", "psi"]})
    v, a, count, z = (np.zeros(n, int) for _ in range(4))
    for t in range(steps):
        drive = weights @ spikes[t - 1] if t else np.zeros(n, int)
        v = np.clip(kept(v, 4096 - dv) + 64 * drive - 64 * vth * z, -(2**23) + 1, 2**23 - 1)
        a = kept(a, 4096 - da) + 65536 * z
        level = 64 * vth + ((beta * (a >> 8)) >> 8)
        count = np.maximum(count - 1, 0)
        psi = np.floor((64 * vth - np.abs(v - level)) * (levels - 1) / (64 * vth) + 0.5)
        psi = np.where((count == 0) & (psi > 0), psi, 0)
        z = ((v >= level) & (count == 0)).astype(int)
        count[z > 0] = refractory
        for name, wanted in (("v", v), ("a", a), ("psi", psi)):
            np.testing.assert_array_equal(result.trace["a"][name][t], wanted, err_msg=f"{name} in step {t}")
        np.testing.assert_array_equal(result.spikes["a"][t], z)


def test_update_is_the_gradient_of_the_kernel_on_what_the_chip_did() -> None:
    """On an integer chip: psi, spikes and readout of the run, through a naive sum over eligibilities."""
    weights, x, target = problem()
    rule = replace(RULE, precision=Precision(weights=fixed(8, 2.0), psi_levels=200), optimizer=cs.rules.Descent(0.05))
    trainer = Trainer(rule, *weights, chip="research")
    before = trainer.weights
    episode = trainer.step([(x, target)])[0]
    fresh = Trainer(rule, *weights, chip="research")
    record = {"rec": ["psi", "v"], "out": ["v"]}
    padded = np.vstack([x, np.zeros((2, N_IN), np.uint8)])
    run = fresh.emulator.run({"in": padded}, record=record, learn=False)
    program = fresh.emulator.program
    v = program.population("rec").model.values
    thr = float(v["vth"]) * 64 * program.population("rec").unit
    psi = run.trace["rec"]["psi"][1:-1] / (200 - 1) * rule.gamma / thr
    z, y = run.spikes["rec"][1:-1].astype(float), run.trace["out"]["v"][2:] * program.population("out").unit
    np.testing.assert_array_equal(episode.output, y)
    beta = np.broadcast_to(v["beta"], (N,)) * program.population("rec").unit
    alpha, rho = 1 - float(v["dv"]) / 4096, 1 - float(v["da"]) / 4096
    kappa = 1 - float(program.population("out").model.values["dv"]) / 4096
    error, gradient = y - target, np.zeros((N, N_IN))
    zbar, eps, ebar, total = np.zeros(N_IN), np.zeros((N, N_IN)), np.zeros((N, N_IN)), np.zeros((N, N_IN))
    for t in range(T):
        zbar = alpha * zbar + x[t]
        e = psi[t][:, None] * (zbar[None] - beta[:, None] * eps)
        eps, ebar, total = rho * eps + e, kappa * ebar + (1 - kappa) * e, total + e
        gradient += (weights[3] @ error[t])[:, None] * ebar
    gradient += rule.c_reg * (z.mean(axis=0) - rule.f_target)[:, None] / T * total
    moved = trainer.weights["in->rec"] - before["in->rec"]
    assert np.abs(moved).max() > 0
    wanted = before["in->rec"] - 0.05 * gradient
    step = rule.precision.weights.step
    inside = np.abs(wanted) < 2.0 - 2 * step
    assert np.all(np.abs(trainer.weights["in->rec"] - wanted)[inside] < step * 1.001)  # stochastic: floor or ceiling


@pytest.mark.parametrize("chip", ["float", "research"])
def test_cut_runs_checkpoints_and_placement_change_no_bit(chip: str, tmp_path) -> None:
    weights, x, target = problem()
    rule = replace(RULE, precision=BYTES if chip == "research" else None, optimizer=Adam(0.02))
    network = eprop_network(rule, *weights)
    whole = cs.Emulator(cs.compile(network, chip, seed=3))
    spread = cs.Emulator(cs.compile(network, chip, seed=3, placement={"rec": np.arange(N) % 3, "out": 3}))
    cut = cs.Emulator(cs.Program.load(cs.compile(network, chip, seed=3).save(tmp_path / "p.h5")))
    for k in range(3):
        for emulator in (whole, spread):
            emulator.run({"in": x}, targets={"out": target})
            emulator.end_episode(update=k != 0)
        cut.run({"in": x[:15]}, targets={"out": target[:15]})
        cut.save(tmp_path / "state.h5")
        cut = cs.Emulator(cut.program)
        cut.load(tmp_path / "state.h5")
        cut.run({"in": x[15:]}, targets={"out": target[15:]})
        cut.end_episode(update=k != 0)
    for name in ("in->rec", "rec->rec", "rec->out"):
        now = _dense(whole.weights(name))
        assert not np.array_equal(now, _dense(cs.Emulator(whole.program).weights(name))), name
        np.testing.assert_array_equal(now, _dense(spread.weights(name)), err_msg=name)
        np.testing.assert_array_equal(now, _dense(cut.weights(name)), err_msg=name)


def _dense(weights):
    return weights.toarray() if hasattr(weights, "toarray") else weights


def test_frozen_runs_and_episodes_leave_weights_alone_and_forget_the_run() -> None:
    weights, x, target = problem()
    trainer = Trainer(replace(RULE, precision=BYTES), *weights, chip="research")
    first, before = trainer.output(x), trainer.weights
    np.testing.assert_array_equal(first, trainer.output(x))
    assert all(np.array_equal(before[k], v) for k, v in trainer.weights.items())
    assert trainer.emulator.end_episode() == {}
    trainer.step([(x, target)])
    assert not np.array_equal(first, trainer.output(x))


def test_what_learning_costs_is_counted() -> None:
    weights, x, target = problem()
    trainer = Trainer(replace(RULE, precision=BYTES), *weights, chip="research")
    result = trainer.emulator.run({"in": x}, targets={"out": target})
    synapses = sum(np.count_nonzero(w) for w in weights[:3])
    acts = result.activity.totals()
    assert acts["synapse_update"] == T * synapses
    assert acts["trace_update"] == T * (N_IN + 2 * N)
    assert acts["third_factor"] == T * (2 * N + M) and acts["weight_write"] == 0
    trainer.emulator.end_episode()
    assert trainer.emulator.run({"in": x}, learn=True).activity.totals()["weight_write"] == synapses
    light = replace(RULE, beta=0.0, kappa_filter=False, precision=BYTES)
    sparse = Trainer(light, *weights, chip="research").emulator.run(
        {"in": x}, targets={"out": target}, record={"rec": ["psi"]}
    )
    fan_in = np.count_nonzero(weights[0], axis=1) + np.count_nonzero(weights[1], axis=1)
    found = ((sparse.trace["rec"]["psi"] != 0) @ fan_in).sum() + T * np.count_nonzero(weights[2])
    assert sparse.activity.totals()["synapse_update"] == found < T * synapses
    bits_of = RULE.state_bits()["synapse"]
    assert bits_of > replace(RULE, precision=BYTES).state_bits()["synapse"] == 8 + 32 + 2 * 8


def test_reports_say_what_the_update_did_and_what_went_wrong() -> None:
    weights, x, target = problem()
    for eta, rounding, word in ((1e-9, "nearest", "stalls"), (1e3, "stochastic", "saturates")):
        formats = replace(BYTES, weights=fixed(8, 2.0, rounding=rounding))
        trainer = Trainer(replace(RULE, precision=formats, optimizer=cs.rules.Descent(eta)), *weights, chip="research")
        before = {k: np.array(v) for k, v in trainer.weights.items()}
        episode = trainer.step([(x, target)])[0]
        changed = {k: int(np.count_nonzero(before[k] != v)) for k, v in trainer.weights.items()}
        assert episode.changed == sum(changed.values()) and any(word in w for w in episode.warnings)
        first = trainer.emulator.run({"in": x}, targets={"out": target}).learning
        for name in ("in->rec", "rec->rec", "rec->out"):
            assert first[name].changed == changed[name] and first[name].updates > 0
        assert sum(r.stalled for r in first.values()) == episode.stalled
        assert sum(r.saturated for r in first.values()) == episode.saturated
        assert any(word in w for r in first.values() for w in r.warnings)
        again = trainer.emulator.run({"in": x}, targets={"out": target}).learning
        assert all(r.changed == 0 for r in again.values())


def test_a_core_that_cannot_hold_the_learning_state_is_refused() -> None:
    rng = np.random.default_rng(0)
    rule = EProp(thr=0.6, precision=BYTES, optimizer=Adam(1e-3))
    n = 250
    network = eprop_network(rule, rng.normal(size=(n, 40)), rng.normal(size=(n, n)) / 16, rng.normal(size=(2, n)))
    program = cs.compile(network, "research")
    assert len(program.cores) > 4  # 184 bits a synapse: the mapper spreads it
    with pytest.raises(cs.CompileError, match=r"core 0.*research allows"):
        cs.compile(network, "research", placement={"rec": 0, "out": 0})


def test_on_synapses_of_other_neurons_it_is_the_declared_rule() -> None:
    """The same weights as `Plastic` gives for the recorded spikes and membranes."""
    rng = np.random.default_rng(1)
    rule = cs.rules.eprop(tau_m=15, tau_out=10, thr=1.0, optimizer=cs.rules.Descent(0.05))
    net = cs.Network()
    net.add("h", cs.SpikeSource(12))
    net.add("o", cs.LIF(4, tau_mem=0.015, threshold=1.0))
    w = rng.normal(0.2, 0.2, (4, 12))
    net.connect("h", "o", w, delay=2, rule=rule)
    emulator = cs.Emulator(cs.compile(net, "float"))
    spikes, signal = rng.random((80, 12)) < 0.2, rng.normal(size=(80, 4))
    result = emulator.run({"h": spikes}, third={"h->o": signal}, record={"o": ["v"]})
    surrogate = cs.rules.Surrogate("piecewise_linear", rule.gamma, 1.0)
    alone = cs.rules.Plastic(cs.rules.SHIPPED["eprop_synapse"](15, 10, 0.05, surrogate), w)
    for t in range(80):
        alone.step(spikes[t], result.spikes["o"][t], v=result.trace["o"]["v"][t], threshold=1.0, third=signal[t])
    np.testing.assert_array_equal(emulator.weights("h->o"), alone.weights)
    assert not np.array_equal(alone.weights, w)
    with pytest.raises(cs.NetworkError, match="descends plainly"):
        net.connect("h", "o", w, rule=replace(rule, optimizer=Adam()))


def _compiled(change=None, chip="float", **rule):
    weights, _, _ = problem()
    network = eprop_network(replace(RULE, **rule), *weights)
    if change is not None:
        change(network)
    return cs.compile(network, chip)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _compiled(chip="loihi"), "cannot run e-prop.*'research'"),
        (lambda: _compiled(precision=replace(BYTES, membrane=fixed(16, 8.0)), chip="research"), "membrane"),
        (lambda: _compiled(precision=Precision(weights=fixed(12, 1.0)), chip="research"), "12 signed bits.*2 to 8"),
        (lambda: _compiled(tau_m=12.0, thr=1e6, precision=BYTES, chip="research"), "threshold of mantissa"),
    ],
)
def test_bad_rules_are_refused(make, message: str) -> None:
    with pytest.raises(cs.CompileError, match=message):
        make()


def test_bad_feedback_and_endless_episodes_are_refused(monkeypatch) -> None:
    weights, x, _ = problem()
    network = eprop_network(replace(RULE, feedback_weights=np.ones((2, 2))), *weights[:3])
    with pytest.raises(cs.RunError, match=r"feedback_weights have shape \(2, 2\).*\(9, 2\)"):
        cs.Emulator(cs.compile(network, "float"))
    emulator = cs.Emulator(cs.compile(eprop_network(RULE, *weights), "float"))
    monkeypatch.setattr("chipsim.engines.learning.eprop_network.EPISODE_LIMIT", 70 * (N_IN + 17 * N + 24 * M))
    emulator.run({"in": x})
    with pytest.raises(cs.RunError, match=r"more than 70 steps does not fit memory.*end_episode"):
        emulator.run({"in": x})
    assert emulator.step == T
    emulator.end_episode()
    emulator.run({"in": x})


def test_an_episode_too_short_is_refused_and_nothing_is_lost() -> None:
    weights, x, target = problem()
    whole, cut = (cs.Emulator(cs.compile(eprop_network(RULE, *weights), "float")) for _ in range(2))
    cut.run({"in": x[:2]}, targets={"out": target[:2]})
    with pytest.raises(cs.RunError, match="2 steps teaches nothing"):
        cut.end_episode()
    cut.run({"in": x[2:]}, targets={"out": target[2:]})
    whole.run({"in": x}, targets={"out": target})
    assert cut.end_episode()["out"].loss == whole.end_episode()["out"].loss


def test_networks_that_do_not_fit_the_rule_are_refused() -> None:
    rng = np.random.default_rng(0)

    def network(target, readout, w_out_rule=True, tau=0.03):
        net = cs.Network()
        net.add("in", cs.SpikeSource(4))
        net.add("h", target)
        net.add("y", readout)
        rule = cs.rules.eprop(thr=0.5)
        net.connect("in", "h", rng.normal(size=(3, 4)), rule=rule)
        net.connect("h", "y", rng.normal(size=(1, 3)), rule=rule if w_out_rule else None)
        return net

    lsnn = cs.LSNN(3, tau_mem=0.03, threshold=0.5)
    readout = cs.LI(1, tau_mem=0.03, r=-np.expm1(-1 / 30))
    cs.compile(network(lsnn, readout), "float")
    for net, message in (
        (network(cs.LSNN(3, tau_mem=0.02, threshold=0.5), readout), "tau_m=20.*learns for 30"),
        (network(lsnn, cs.LI(1, tau_mem=0.03)), "r=1-exp"),
        (network(lsnn, readout, w_out_rule=False), "0 readouts"),
    ):
        with pytest.raises(cs.CompileError, match=message):
            cs.compile(net, "float")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"out": np.zeros((T - 1, M))}, rf"run needs \({T}, {M}\)"),
        ({"out": np.full((T, M), np.inf)}, "infinity"),
        ({"out": np.array([["a"] * M] * T)}, "must be numbers"),
        ({"out": np.r_["0,2", np.zeros((T - 1, M)), [[np.nan, 1.0]]]}, "NaN in part"),
        ({"rec": np.zeros((T, N))}, "no readout"),
    ],
)
def test_bad_targets_are_refused_before_anything_runs(targets, message: str) -> None:
    weights, x, _ = problem()
    emulator = cs.Emulator(cs.compile(eprop_network(RULE, *weights), "float"))
    with pytest.raises(cs.RunError, match=message):
        emulator.run({"in": x}, targets=targets)
    assert emulator.step == 0


def test_classes_are_targets_of_cross_entropy() -> None:
    weights, x, _ = problem()
    rule = replace(RULE, loss="cross_entropy")
    goal = np.full(T, -1)
    goal[-10:] = 1
    rows = np.full((T, M), np.nan)
    rows[-10:] = [0.0, 1.0]
    losses = []
    for given_ in (goal, rows):
        emulator = cs.Emulator(cs.compile(eprop_network(rule, *weights), "float"))
        emulator.run({"in": x}, targets={"out": given_})
        losses.append(emulator.end_episode()["out"].loss)
    assert losses[0] == losses[1] > 0
    with pytest.raises(cs.RunError, match="class 2"):
        emulator.run({"in": x}, targets={"out": np.full(T, 2)})
