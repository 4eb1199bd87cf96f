"""Learning on the Catalyst N1: microcode by hand, declared rules, what is refused, what the report warns of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chipsim as cs
from chipsim.kernels.chips.n1.state import POWER_UP
from chipsim.native.catalyst import microcode
from chipsim.native.catalyst.microcode import OPCODES, OPERANDS

RNG = np.random.default_rng(0)


def test_the_power_up_programs_read_and_write_as_text() -> None:
    text = cs.catalyst.disassemble(POWER_UP)
    assert cs.catalyst.assemble(text) == POWER_UP
    assert "ltd:\n    skip_nz x1\n    halt\n    shr r11, x1, 3\n    sub w, w, r11\n" in text


REGISTER = st.integers(0, 15)


@given(op=st.integers(0, 15), d=REGISTER, a=REGISTER, b=REGISTER, s=st.integers(0, 7), i=st.integers(-32768, 32767))
def test_any_instruction_survives_text(op, d, a, b, s, i) -> None:
    kinds = OPERANDS.get(OPCODES[op], "")
    word = op << 28
    for kind, value, at in (("d", d, 24), ("a", a, 20), ("b", b, 16), ("s", s, 13)):
        word |= value << at if kind in kinds else 0
    word |= i & 0xFFFF if "i" in kinds else 0
    assert cs.catalyst.assemble(f"ltp:\n {microcode.disassemble_word(word)}") == {64: word}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("add w, w, x1", "line 1: begin with a section"),
        ("ltd:\n jump 3", "line 2: the RTL has no opcode 'jump'"),
        ("ltd:\n add w, w", r"line 2: add takes 3 operands \(register, register, register\), not 2"),
        ("ltd:\n add w, w, q", "line 2: no register 'q'"),
        ("ltd:\n shr w, w, 8", "line 2: shift 8 is outside 0..7"),
        ("ltd:\n loadi r11, 40000", "line 2: immediate 40000 is outside"),
        ("ltd:\n" + " nop\n" * 65, "longer than 64 instructions"),
        ("ltd:\n halt\nltd:\n halt", "given twice"),
        ("sometimes:\n halt", "no section 'sometimes'"),
        ("ltd:\n nop", "does not end in halt"),
        ("ltd:\n skip_z x1\n halt\n nop", "does not end in halt"),
        ("ltd:\n halt\nltp3:\n halt", "not those that run with three_factor"),
        ("", "has no instructions"),
    ],
)
def test_programs_that_the_engine_cannot_take(text, message) -> None:
    with pytest.raises(cs.NetworkError, match=message):
        cs.catalyst.Program(text)


def test_costs_follow_every_path() -> None:
    rule = cs.catalyst.Program("ltd:\n skip_nz x1\n halt\n add w, w, x1\n store_w\n halt")
    assert (rule.costs["ltd"].fewest, rule.costs["ltd"].most) == (2, 4)
    assert rule.cycles() == {"ltd": (10, 14), "ltp": (2, 2)}


def net_with(rule, n: int = 6, sources: int = 12, fixed: bool = False, **registers) -> cs.Network:
    rng = np.random.default_rng(3)
    net = cs.Network("learns")
    x, a = net.add("x", cs.SpikeSource(sources)), net.add("a", cs.catalyst.LIF(n, thr=1500, leak=20, **registers))
    net.connect(x, a, cs.catalyst.Synapses(rng.integers(200, 900, (n, sources))), rule=rule, name="learn")
    if fixed:
        y = net.add("y", cs.SpikeSource(3))
        net.connect(y, a, cs.catalyst.Synapses(rng.integers(-200, 200, (n, 3)), delays=2), name="fixed")
        net.connect(x, a, cs.catalyst.Synapses(rng.integers(-200, 200, (n, sources))), name="fixed too")
    return net


def drive(net: cs.Network, steps: int = 100) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {k: rng.random((steps, p.n)) < 0.15 for k, p in net.populations.items() if p.model.is_input}


def test_microcode_by_hand_does_what_it_says() -> None:
    """Every spike of the target adds 5 (and the timestep's random bit), every spike of the source takes 2."""
    rule = cs.catalyst.Program(
        "ltd:\n loadi r11, 2\n sub w, w, r11\n store_w\n halt\nltp:\n loadi r11, 5\n add w, w, r11\n store_w\n halt"
    )
    net = net_with(rule)
    emulator = cs.Emulator(cs.compile(net, "catalyst_n1_kria"))
    before = emulator.weights("learn")
    got = emulator.run(drive(net))
    moved = emulator.weights("learn") - before
    sums = 5 * got.spikes["a"].sum(axis=0)[:, None] - 2 * got.spikes["x"].sum(axis=0)[None]
    stored = got.spikes["a"].sum(axis=0)[:, None] + got.spikes["x"].sum(axis=0)[None]
    assert got.spikes["a"].sum() > 20
    assert np.all(moved >= sums) and np.all(moved <= sums + stored)  # one random bit a store
    assert got.learning["learn"].changed == got.spikes["a"].sum() * 12 + got.spikes["x"].sum() * 6
    assert got.activity.learning["weight_write"].sum() == got.learning["learn"].changed


def test_what_carries_no_rule_stays_as_it_is() -> None:
    net = net_with(cs.rules.stdp(w_max=2000.0, lam=0.02), fixed=True)
    program = cs.compile(net, "catalyst_n1_kria")
    emulator = cs.Emulator(program)
    before = {name: emulator.weights(name) for name in net.projections}
    emulator.run(drive(net))
    for name in ("fixed", "fixed too"):
        assert np.array_equal(before[name], emulator.weights(name)), name
    assert not np.array_equal(before["learn"], emulator.weights("learn"))


def test_pair_stdp_moves_weights_as_its_declaration_says() -> None:
    """The source fires before the target: up by lam w_max times the trace; after it: down."""
    net = cs.Network("pair")
    x, a = net.add("x", cs.SpikeSource(2)), net.add("a", cs.catalyst.LIF(1, thr=500))
    net.connect(x, a, cs.catalyst.Synapses(np.array([[600, 100]])), rule=cs.rules.stdp(w_max=2000.0, lam=0.05),
                name="learn")  # fmt: skip
    emulator = cs.Emulator(cs.compile(net, "catalyst_n1"))
    emulator.run({"x": np.array([[1, 0], [0, 0], [0, 1], [0, 0]])})  # x0, then the target, then x1
    up, down = (emulator.weights("learn") - [[600, 100]])[0]
    assert 85 <= up <= 101 and -101 <= down <= -85  # 0.05 * 2000 = 100, with traces of up to 100 %


def test_three_factors_learn_when_rewarded_only() -> None:
    rule = cs.rules.reward_stdp(tau_tag=7.5, bounds=(0.0, 2000.0), a_plus=60.0, a_minus=30.0)
    net = net_with(rule)
    program = cs.compile(net, "catalyst_n1_kria")
    assert any("clips all weights" in w for w in program.stages["catalyst"]["warnings"])
    inputs = drive(net)
    still, moved = (cs.Emulator(program) for _ in range(2))
    before = still.weights("learn")
    got = still.run(inputs, third={"learn": 0.0}, record={"learn": ["e", "w"]}, record_every=10)
    assert np.array_equal(still.weights("learn"), before)
    assert got.learning["learn"].trace["e"].shape == (10, 6, 12) and np.any(got.learning["learn"].trace["e"])
    moved.run(inputs, third={"learn": 1.0})
    change = moved.weights("learn") - before
    assert np.abs(change).max() > 20 and moved.weights("learn").max() <= 2000


def test_frozen_learning_leaves_weights() -> None:
    net = net_with(cs.rules.stdp(w_max=2000.0))
    emulator = cs.Emulator(cs.compile(net, "catalyst_n1_kria"))
    before = emulator.weights("learn")
    emulator.run(drive(net), learn=False)
    assert np.array_equal(emulator.weights("learn"), before)
    emulator.set_weights("learn", before + 1)
    assert np.array_equal(emulator.weights("learn"), before + 1)
    for wrong, message in ((before[:2], "shape"), (before + 0.5, "whole numbers"), (before * 1000, "beyond 16 bits")):
        with pytest.raises(cs.RunError, match=message):
            emulator.set_weights("learn", wrong)


@cs.rules.rule(traces={"x": cs.rules.Trace("pre", 8, mode="set", seen="after")}, bounds=(0.0, 1600.0))
def own_rule(w, x, pre, post, *, up=40.0, down=3.0):
    w = w + up * x * post - down * pre


def test_a_rule_of_ones_own_becomes_microcode() -> None:
    found = cs.rules.verdict(own_rule, "microcode")
    assert found.runs == "runs with changes"
    rule = cs.catalyst.Program(found.export["text"])
    assert rule.costs["ltd"].most < 12 and found.export["taus"]["pre"] == {"x1": 3}
    net = net_with(own_rule)
    program = cs.compile(net, "catalyst_n1")
    shown = program.stages["catalyst"]["learning programs"]["learn"]
    assert "store_w" in shown["program"] and shown["cycles per synapse"]["ltd"][1] > 6
    emulator = cs.Emulator(program)
    before = emulator.weights("learn").mean()
    result = emulator.run(drive(net, 300))
    assert result.spikes["a"].sum() > 30 and emulator.weights("learn").mean() != before


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (cs.rules.triplet(), "needs trace r2 of the neuron that spiked"),
        (cs.rules.jonke(), r"calls exp\(\)"),
        (cs.rules.eprop_light(), "reads the postsynaptic membrane"),
        (cs.rules.stdp(lam=1e-6), "never reaches one unit of the weight"),
    ],
)
def test_rules_that_do_not_fit_say_why(rule, message) -> None:
    with pytest.raises(cs.CompileError, match=message):
        cs.compile(net_with(rule), "catalyst_n1")


@pytest.mark.parametrize(
    ("third", "message"),
    [
        (np.ones((100, 6)) * np.arange(6), "one reward for all"),
        (np.ones(3), "give a number, or 100 of them"),
        (1000.0, "beyond the register's 32767"),
    ],
)
def test_rewards_that_do_not_fit(third, message) -> None:
    net = net_with(cs.rules.reward_stdp(tau_tag=7.5, bounds=(0.0, 2000.0), a_plus=60.0, a_minus=30.0))
    with pytest.raises(cs.RunError, match=message):
        cs.Emulator(cs.compile(net, "catalyst_n1_kria")).run(drive(net), third={"learn": third})


def test_learning_cuts_checkpoints_and_files(tmp_path) -> None:
    net = net_with(cs.rules.stdp(w_max=2000.0, lam=0.03), fixed=True)
    program = cs.compile(net, "catalyst_n1_kria")
    inputs = drive(net)
    whole = cs.Emulator(program)
    whole.run(inputs)
    first = cs.Emulator(program)
    first.run({k: v[:37] for k, v in inputs.items()})
    first.save(tmp_path / "state.h5")
    program.save(tmp_path / "program.h5")
    other = cs.Emulator(cs.Program.load(tmp_path / "program.h5"))
    other.load(tmp_path / "state.h5")
    other.run({k: v[37:] for k, v in inputs.items()})
    assert np.array_equal(whole.weights("learn"), other.weights("learn"))


def test_two_rules_do_not_share_a_core() -> None:
    net = net_with(cs.rules.stdp(w_max=2000.0))
    b = net.add("b", cs.catalyst.LIF(2))
    net.connect("x", b, cs.catalyst.Synapses(np.full((2, 12), 300)), rule=own_rule)
    assert len(cs.compile(net, "catalyst_n1").cores) == 2
    with pytest.raises(cs.CompileError, match="two learning programs"):
        cs.compile(net, "catalyst_n1", placement={"a": 0, "b": 0})


def test_ideal_networks_learn_within_their_bounds() -> None:
    rng = np.random.default_rng(2)
    net = cs.Network("ideal")
    x, h = net.add("x", cs.SpikeSource(12)), net.add("h", cs.LIF(5, tau_mem=10e-3))
    net.connect(x, h, rng.uniform(0.1, 0.6, (5, 12)), rule=cs.rules.stdp(w_max=0.8, lam=0.03), delay=1, name="learn")
    program = cs.compile(net, "catalyst_n1")
    emulator = cs.Emulator(program)
    before, unit = emulator.weights("learn"), program.projections[0].unit
    assert np.allclose(before * unit, net.projections["learn"].synapses, atol=unit)
    got = emulator.run({"x": rng.random((300, 12)) < 0.1})
    after = emulator.weights("learn")
    assert got.spikes["h"].sum() > 20 and not np.array_equal(before, after)
    assert after.min() >= 0 and after.max() * unit <= 0.8 * 1.001
    free = cs.Network("unbounded")
    x, h = free.add("x", cs.SpikeSource(1)), free.add("h", cs.LIF(1))
    free.connect(x, h, np.ones((1, 1)), rule=cs.rules.declare("def r(w, pre): w = w + 0.1 * pre"))
    with pytest.raises(cs.CompileError, match="needs finite bounds="):
        cs.compile(free, "catalyst_n1")


def test_other_chips_take_no_microcode() -> None:
    net = cs.Network()
    x, a = net.add("x", cs.SpikeSource(1)), net.add("a", cs.loihi.LIF(1))
    net.connect(x, a, cs.loihi.Synapses(np.array([[1]])), rule=cs.catalyst.Program("ltp:\n halt"))
    with pytest.raises(cs.CompileError, match="runs no microcode of the Catalyst N1"):
        cs.compile(net, "unlimited")
