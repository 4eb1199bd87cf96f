"""Pair STDP of random trains beside Brian2 (delay before the synapse) and NEST (behind it), weight by weight."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import chipsim as cs

FEW = {"test_brian2": 4, "test_nest": 8}
LAM, ALPHA, TAU, STEPS = 0.02, 1.05, 20.0, 120


def trains(seed: int, late_pre: int, late_post: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of 5 and 4 neurons, (STEPS, n) bool, of which no two meet at a synapse: tools differ in who goes first."""
    rng = np.random.default_rng(seed)
    pre, post = rng.random((STEPS, 5)) < 0.12, rng.random((STEPS, 4)) < 0.12
    pre[STEPS - 10 :] = post[STEPS - 10 :] = False  # all arrive in time
    for t in range(STEPS):  # a step belongs to one side
        at = t - late_pre + late_post
        if 0 <= at < STEPS and pre[at].any():
            post[t] = False
    return pre, post


def shifted(spikes: np.ndarray, steps: int) -> np.ndarray:
    """The same spikes so many steps later."""
    return np.vstack([np.zeros((steps, spikes.shape[1]), bool), spikes[: len(spikes) - steps]])


def learned(pre: np.ndarray, post: np.ndarray, delay: int, rule: object) -> np.ndarray:
    """Weights (post, pre) after the shipped rule saw the trains on an emulated chip of floats."""
    net = cs.Network()
    net.add("x", cs.SpikeSource(pre.shape[1])), net.add("y", cs.SpikeSource(post.shape[1]))
    start = np.full((post.shape[1], pre.shape[1]), 0.5)
    net.connect("x", "y", cs.floats.Synapses(start, delays=delay), rule=rule)
    emulator = cs.Emulator(cs.compile(net, "float", placement={"y": 0}))
    emulator.run({"x": pre, "y": post})
    return np.asarray(emulator.weights("x->y"))


def test_brian2(seed: int) -> None:
    b2 = pytest.importorskip("brian2", reason="Brian2 is not installed: see .ci/lava", exc_type=Exception)
    b2.prefs.codegen.target = "numpy"
    logging.getLogger("brian2").setLevel(logging.ERROR)
    b2.start_scope()
    b2.defaultclock.dt = 1 * b2.ms
    delay = (0, 3, 1, 5)[seed % 4]
    pre, post = trains(seed, delay, 0)
    sides = [b2.SpikeGeneratorGroup(s.shape[1], np.nonzero(s)[1], np.nonzero(s)[0] * b2.ms) for s in (pre, post)]
    made = b2.Synapses(
        *sides,
        f"w : 1\ndx/dt = -x / ({TAU}*ms) : 1 (event-driven)\ndy/dt = -y / ({TAU}*ms) : 1 (event-driven)",
        on_pre=f"x += 1; w = clip(w - {ALPHA * LAM} * y, 0, 1)",
        on_post=f"y += 1; w = clip(w + {LAM} * x, 0, 1)",
    )
    made.connect()
    made.w = 0.5
    made.pre.delay = delay * b2.ms
    b2.Network(*sides, made).run(STEPS * b2.ms)
    theirs = np.zeros((4, 5))
    theirs[np.asarray(made.j), np.asarray(made.i)] = np.asarray(made.w)
    rule = cs.rules.stdp(lam=LAM, alpha=ALPHA, tau_plus=TAU, tau_minus=TAU)
    ours = learned(pre, post, delay, cs.rules.axonal(rule))
    assert np.ptp(ours) > 0.01
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_nest(seed: int) -> None:
    nest = pytest.importorskip("nest", reason="NEST is not installed: see .ci/lava", exc_type=Exception)
    nest.set_verbosity("M_ERROR")
    nest.ResetKernel()
    nest.resolution = 1.0
    delay = (1, 2, 3, 6)[seed % 4]
    pre, post = trains(seed, 0, delay)
    pre[STEPS - 1] = True  # NEST brings a weight up to date when its source fires
    neurons = []
    for spikes in (pre, post):
        parrots = nest.Create("parrot_neuron", spikes.shape[1])
        for k, parrot in enumerate(parrots):
            times = [float(t + 1) for t in np.flatnonzero(spikes[:, k])]
            nest.Connect(nest.Create("spike_generator", params={"spike_times": times}), parrot, syn_spec={"delay": 1.0})
        neurons.append(parrots)
    synapse = dict(
        synapse_model="stdp_synapse", weight=0.5, delay=float(delay), receptor_type=1,
        lambda_=LAM, alpha=ALPHA, tau_plus=TAU, mu_plus=0.0, mu_minus=0.0, Wmax=1.0,
    )  # fmt: skip
    synapse["lambda"] = synapse.pop("lambda_")
    neurons[1].tau_minus = TAU
    nest.Connect(*neurons, "all_to_all", synapse)
    nest.Simulate(float(STEPS + 20))
    found = nest.GetConnections(*neurons)
    theirs = np.zeros((4, 5))
    first = [n[0].global_id for n in neurons]
    for source, target, w in zip(found.source, found.target, found.weight):
        theirs[target - first[1], source - first[0]] = w
    rule = cs.rules.stdp(lam=LAM, alpha=ALPHA, tau_plus=TAU, tau_minus=TAU)
    ours = learned(pre, shifted(post, delay), 0, rule)  # a dendritic delay holds the way back, too
    assert np.ptp(ours) > 0.01
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
