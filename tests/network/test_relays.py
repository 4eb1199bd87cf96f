"""Relays for neurons with more sources than a core has input axons: the same spikes, some steps later."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs

STEPS = 120


def loihi(axons: int):
    chip = cs.chip("loihi")
    return chip.model_copy(update={"limits": chip.limits.model_copy(update={"input_axons": axons})})


def network(seed: int, n: int, sign: str, exponent: int, dense: bool, bits: int) -> cs.Network:
    """Two inputs into 'a', 'a' and an input into 'b': paths of different length meet in 'b'."""
    rng, net = np.random.default_rng(seed), cs.Network("many")
    low, high = {"mixed": (-100, 120), "excitatory": (0, 200), "inhibitory": (-200, 1)}[sign]
    w = rng.integers(low, high, (4, n))
    w = w if dense else sp.csc_array(w * (rng.random(w.shape) < 0.8))
    net.add("x", cs.SpikeSource(n)), net.add("y", cs.SpikeSource(30))
    net.add("a", cs.loihi.LIF(4, vth=300 << exponent, du=1500, dv=300))
    net.add("b", cs.loihi.LIF(3, vth=150, du=2000, dv=500))
    delays = rng.integers(0, 4, w.shape) if dense else 2
    net.connect("x", "a", cs.loihi.Synapses(w, sign=sign, exponent=exponent, bits=bits, delays=delays))
    net.connect(
        "y", "a", cs.loihi.Synapses(rng.integers(50, 200, (4, 30)), exponent=exponent + 2 * (sign == "inhibitory"))
    )
    net.connect("a", "b", cs.loihi.Synapses(rng.integers(10, 100, (3, 4))))
    net.connect("y", "b", cs.loihi.Synapses(rng.integers(-30, 60, (3, 30)), sign="mixed"))
    return net


@pytest.mark.parametrize(
    "seed, n, sign, exponent, dense, bits",
    [(0, 200, "mixed", 0, True, 8), (1, 160, "mixed", 3, False, 6), (2, 200, "excitatory", 1, True, 8),
     (3, 160, "inhibitory", 0, False, 8), (4, 400, "mixed", 4, True, 8)],
)  # fmt: skip
def test_spikes_are_the_same_some_steps_later(seed, n, sign, exponent, dense, bits) -> None:
    net = network(seed, n, sign, exponent, dense, bits)
    with pytest.raises(cs.CompileError, match=r"for one neuron alone: let relays.*relays=True"):
        cs.compile(net, loihi(150))
    plain, made = cs.compile(net, "loihi"), cs.compile(net, loihi(150), relays=True)
    notes = made.stages["relays"]["notes"]
    late = int(notes[0].split("spikes come ")[1].split()[0])
    assert 0 < late <= 15 and "'x->a'" in notes[0] and "'y->b'" in notes[1]
    rng, on = np.random.default_rng(seed), (np.arange(STEPS) < STEPS - 40)[:, None]
    given = {"x": (rng.random((STEPS, n)) < 0.05) & on, "y": (rng.random((STEPS, 30)) < 0.1) & on}
    expected, found = cs.Emulator(plain).run(given, STEPS), cs.Emulator(made).run(given, STEPS)
    for name in "ab":
        assert expected.spikes[name].sum() > 20
        np.testing.assert_array_equal(found.spikes[name][late:], expected.spikes[name][:-late], err_msg=name)
        assert not found.spikes[name][:late].any()
    assert max(made.stages["allocate"]["table"]["input_axons"]) <= 150


def test_relays_are_left_out_where_none_are_needed() -> None:
    net = network(0, 40, "mixed", 0, True, 8)
    program = cs.compile(net, "loihi", relays=True)
    assert program.stages["relays"] == {"notes": []} and len(program.populations) == 4


def test_relays_that_would_change_the_network_are_refused() -> None:
    def net(rule=None, loop=False, **options):
        made, w = cs.Network(), np.full((3, 200), 20)
        made.add("x", cs.SpikeSource(200)), made.add("a", cs.loihi.LIF(3, vth=900))
        made.connect("x", "a", cs.loihi.Synapses(w, **options), rule=rule)
        if loop:
            made.add("many", cs.loihi.LIF(200, vth=9))
            made.connect("a", "many", cs.loihi.Synapses(np.full((200, 3), 20)))
            made.connect("many", "a", cs.loihi.Synapses(w))
        return made

    from chipsim.rules.products.rule import SumOfProducts

    sop = SumOfProducts(dw="2*y0*x1", x1_impulse=16, x1_tau=10)
    for made, reason in ((net(loop=True), "inside a loop"), (net(sop), "it learns"), (net(exponent=-1), "exponent -1")):
        with pytest.raises(cs.CompileError, match=reason):
            cs.compile(made, loihi(150), relays=True)
    big = cs.Network()
    big.add("x", cs.SpikeSource(400)), big.add("a", cs.loihi.LIF(3, vth=900))
    big.connect("x", "a", cs.loihi.Synapses(np.full((3, 400), 200), exponent=7))
    with pytest.raises(cs.CompileError, match=r"with relays as well.*smaller exponent"):
        cs.compile(big, loihi(150), relays=True)
    with pytest.raises(cs.CompileError, match="use 'lava'"):
        cs.compile(net(), loihi(150), relays=True, arithmetic="nengo_loihi")
