"""What is refused in learning, before anything runs: in one or two lines that name the thing, the limit, a way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chipsim as cs
from chipsim import rules
from chipsim.rules import Fixed, Plastic, State, Surrogate, Trace
from chipsim.rules.pes import Pes
from chipsim.rules.products.rule import SumOfProducts

NAN, INF = float("nan"), float("inf")
XY = {"x": Trace("pre", 20.0), "y": Trace("post", 20.0)}
PLAIN = "def r(w, x):\n    w = w + x"
BYTE = Fixed(8, 1.0, rounding="stochastic")
REWARD = rules.reward_stdp(bounds=(0, 100), weight=BYTE)
NAME = "x->a"


def declared(text: Any = PLAIN, **changes: Any) -> Any:
    return rules.declare(text, **{"traces": XY, **changes})


def body(line: str, **changes: Any) -> Any:
    return declared(f"def r(w, x, y):\n    {line}", **changes)


def network(rule: Any, weights: Any = None) -> cs.Network:
    made = cs.Network()
    made.add("x", cs.SpikeSource(4))
    made.add("a", cs.loihi.LIF(5, vth=100))
    made.connect(
        "x", "a", cs.loihi.Synapses(np.full((5, 4), 40) if weights is None else weights, sign="mixed"), rule=rule
    )
    return made


def emulator(rule: Any = REWARD, chip: str = "unlimited", weights: Any = None) -> cs.Emulator:
    return cs.Emulator(cs.compile(network(rule, weights), chip))


def run(third: Any = None, rule: Any = REWARD, **options: Any) -> Any:
    return emulator(rule).run({"x": np.ones((10, 4))}, 10, third=third, **options)


def reward(value: Any) -> Any:
    return run({NAME: value})


def plastic(rule: Any = REWARD, weights: Any = None) -> Plastic:
    return Plastic(rule, np.full((2, 3), 3.0) if weights is None else weights)


#: what is not local or not a synapse's arithmetic, and what could divide by zero
TEXTS: dict[str, tuple[Callable[[], Any], str]] = {
    "another synapse": (lambda: body("w = w + w_other[3]"), "element of an array"),
    "another neuron": (lambda: body("w = w + v_pre"), "only spikes travel"),
    "a name from nowhere": (lambda: body("w = w + q"), "not local to the synapse"),
    "an attribute": (lambda: body("w = w + net.hidden"), "outside the synapse"),
    "undeclared constant": (lambda: body("w = w + eta * x"), "not local.*eta|eta.*not local"),
    "divides by a trace": (lambda: body("w = w + 1 / x"), r"divides by x, which can be zero.*positive constant"),
    "divides by a difference": (lambda: body("w = w + 1 / (x - y)"), "can be zero"),
    "divides in one branch": (lambda: body("w = w + (1 / x if x > 0 else 0)"), "can be zero"),
    "divides by a constant 0": (lambda: body("w = w + x / c", constants={"c": 0.0}), "can be zero"),
    "negative power of a trace": (lambda: body("w = w + x ** (-1)"), "negative power divides by x"),
    "root of a difference": (lambda: body("w = w + (x - y) ** 0.5"), "fraction of x - y, which can be negative"),
    "logarithm of a trace": (lambda: body("w = w + log(x)"), "zero or negative"),
    "unknown function": (lambda: body("w = w + sin(x)"), "it has exp, sqrt"),
    "a loop": (lambda: body("while x > 0: w = w + x"), "not possible in a synapse"),
    "assigns a trace": (lambda: body("x = 0.0"), "may only read"),
    "changes nothing": (lambda: body("q = x"), "assign w or a declared state"),
    "returns a value": (lambda: body("return w + x"), "assign the new value"),
    "no Python": (lambda: declared("def r(w, x)\n    w = w + x"), r"rule, line 1: expected ':'"),
    "nested too deeply": (lambda: body("w = w + " + "(" * 300 + "x" + ")" * 300), "too many nested"),
    "a lambda": (lambda: rules.declare(lambda w, x: w + x, traces=XY), "lambda cannot assign"),
    "a built-in": (lambda: rules.declare(print, traces=XY), "pass the function as text"),
    "no function": (lambda: declared("x = 1"), "expected one function"),
    "*args": (lambda: declared("def r(w, *x):\n    w = w + 1"), "one by one"),
    "a default": (lambda: declared("def r(w, x=3):\n    w = w + x"), "after a star"),
    "psi undeclared": (lambda: body("w = w + psi"), "surrogate="),
}

#: what stands beside the text
DECLARATIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "constant NaN": (lambda: body("w = w + c * x", constants={"c": NAN}), "constant c must be a finite number"),
    "constant array": (lambda: body("w = w + c * x", constants={"c": np.ones(2)}), "finite number"),
    "constant huge": (lambda: body("w = w + c * x", constants={"c": 10**400}), "finite number, got inf"),
    "constant named as trace": (lambda: declared(constants={"x": 1.0}), "'x' is taken"),
    "state a keyword": (lambda: declared(state={"lambda": 0.0}), "no usable name"),
    "third twice": (lambda: declared(third=("L", "L")), "'L' is taken"),
    "third a number": (lambda: declared(third=3), "a name or a tuple of names"),
    "traces a list": (lambda: declared(traces=[1]), "traces must be a dict"),
    "trace a number": (lambda: declared(traces={"x": 20}), r"Trace\('pre', 20\)"),
    "trace tau 0": (lambda: Trace("pre", 0), "positive steps"),
    "trace tau text": (lambda: Trace("pre", "20"), "tau must be a finite number"),
    "trace impulse NaN": (lambda: Trace("pre", 20, impulse=NAN), "impulse must be a finite number"),
    "trace side": (lambda: Trace("left", 20), "use one of pre, post"),
    "trace format": (lambda: Trace("pre", 20, format=8), "must be a cs.rules.Fixed"),
    "state NaN": (lambda: State(NAN), "start value must be a finite number"),
    "state beyond its format": (lambda: State(99.0, Fixed(4, 1.0)), r"beyond its format, -8..7"),
    "state a list": (lambda: declared(state=["a"]), "state must be a dict"),
    "weight a number": (lambda: declared(weight=8), "must be a cs.rules.Fixed"),
    "bounds a number": (lambda: declared(bounds=1.0), "lowest, highest"),
    "bounds NaN": (lambda: declared(bounds=(0, NAN)), "hold no weight"),
    "bounds texts": (lambda: declared(bounds=("a", "b")), "must be numbers"),
    "every 0": (lambda: declared(every=0), "outside 1"),
    "every a fraction": (lambda: declared(every=1.5), "whole number"),
    "surrogate a text": (lambda: declared(surrogate="steps"), "must be a cs.rules.Surrogate"),
    "surrogate unknown": (lambda: Surrogate("hat"), "use one of piecewise_linear"),
    "surrogate width 0": (lambda: Surrogate("arctan", 1.0, 0.0), "psi divides by it"),
    "surrogate NaN": (lambda: Surrogate("arctan", NAN, 1.0), "height must be a finite number"),
    "format bits": (lambda: Fixed(99, 1.0), "1 to 52"),
    "format bits text": (lambda: Fixed("8", 1.0), "not a whole number"),
    "format step": (lambda: Fixed(8, 0.0), "step must be positive"),
    "format rounding": (lambda: Fixed(8, 1.0, rounding="up"), "use one of nearest"),
    "library tau": (lambda: rules.eprop_synapse(tau_out=0), "tau_out must be positive steps"),
    "library tau of dopamine": (lambda: rules.dopamine_stdp(tau_n=-1), "tau_n must be positive steps"),
    "library order of tau": (lambda: rules.tempotron(15.0, 15.0), "must be longer than tau_s"),
    "library bounds": (lambda: rules.stdp(w_max=0), "hold no weight"),
    "library constant": (lambda: rules.stdp(lam="a"), "constant lam must be a finite number"),
    "check of no rule": (lambda: rules.check("stdp"), "takes a declared rule"),
    "cost of no rule": (lambda: rules.cost(3), "takes a declared rule"),
    "unknown engine": (lambda: rules.verdict(REWARD, "loihi"), "no learning engine is called 'loihi'; there are local"),
    "plastic of no rule": (lambda: plastic("stdp"), "takes a declared rule"),
    "plastic weights NaN": (lambda: plastic(weights=np.full((2, 3), NAN)), "NaN or infinity"),
    "plastic factor NaN": (lambda: plastic().step([1, 0, 0], [0, 1], third={"reward": NAN}), "finite number"),
    "plastic factor short": (lambda: plastic().step([1, 0, 0], [0, 1], third={"reward": [1.0] * 3}), "2 numbers"),
    "plastic spikes": (lambda: plastic().step([1, 0], [0, 1], third={"reward": 1.0}), r"expected \(3,\)"),
}

#: engines: exponents, registers, state, and what chips cannot do
ENGINES: dict[str, tuple[Callable[[], Any], str]] = {
    "exponent too small": (lambda: SumOfProducts(dw="2^-12*x0*y1", y1_impulse=1, y1_tau=2), r"exponent in -7..8"),
    "exponent too large": (lambda: SumOfProducts(dw="2^12*x0*y1", y1_impulse=1, y1_tau=2), r"exponent in -7..8"),
    "unknown factor": (lambda: SumOfProducts(dw="x0*z3"), "'z3' is not understood; allowed are"),
    "text is a number": (lambda: SumOfProducts(dw=3), "must be a text such as"),
    "no dependency": (lambda: SumOfProducts(dw="x1*y1"), "no dependency"),
    "impulse beyond 7 bits": (lambda: SumOfProducts(dw="x0*y1", y1_impulse=999), r"must be in 0..127"),
    "impulse text": (lambda: SumOfProducts(dw="x0*y1", y1_impulse="a"), "y1_impulse must be a number"),
    "tau negative": (lambda: SumOfProducts(dw="x0*y1", y1_impulse=1, y1_tau=-2), "steps >= 0"),
    "epoch": (lambda: SumOfProducts(dw="x0*y1", y1_impulse=1, y1_tau=2, t_epoch=0), r"in 1..63"),
    "more traces than the engine has": (
        lambda: emulator(declared("def r(w, x, y, z):\n    w = w + post * (x + y + z)",
                                  traces={k: Trace("pre", 9.0 + i) for i, k in enumerate("xyz")}), "loihi"),
        r"needs 3 presynaptic traces \(x, y, z\); the engine has 2",
    ),
    "more state than the engine has": (
        lambda: emulator(declared("def r(w, s, t, u, x):\n    s = s + x\n    t = t + s\n    u = u + t\n    w = w + u",
                                  state={"s": 0.0, "t": 0.0, "u": 0.0}), "loihi"),
        r"needs 3 synaptic states \(s, t, u\); the engine has 2",
    ),
    "membrane on loihi": (lambda: emulator(rules.eprop_light(), "loihi"), "the engine does not see"),
    "rule on a chip without engine": (lambda: emulator(REWARD, "truenorth"), "truenorth"),
    "rule is a text": (lambda: emulator("stdp"), "cannot learn by a str"),
    "rule is a function": (lambda: emulator(lambda w: w), "cannot learn by a function"),
    "PES in Lava's arithmetic": (lambda: emulator(Pes(tau=5.0, magnitude=10), "loihi"), "nengo_loihi"),
    "initial weight beyond the bounds": (lambda: emulator(rules.stdp(w_max=10.0, weight=BYTE)), "initial weight 40"),
    "initial weight negative": (
        lambda: emulator(rules.stdp(w_max=100.0, weight=BYTE), weights=np.full((5, 4), -4)), "initial weight -4"),
}  # fmt: skip

#: third factors and what is asked of a run
RUNS: dict[str, tuple[Callable[[], Any], str]] = {
    "no reward": (lambda: run(None), "needs its third factor 'reward'"),
    "reward NaN": (lambda: reward(NAN), "NaN or infinity"),
    "reward infinite": (lambda: reward(INF), "NaN or infinity"),
    "rewards hold NaN": (lambda: reward([0.0] * 9 + [NAN]), "NaN or infinity"),
    "reward a text": (lambda: reward("good"), "must be numbers"),
    "reward complex": (lambda: reward(1j), "must be numbers"),
    "reward objects": (lambda: reward(np.array([object()] * 10)), "must be numbers"),
    "rewards ragged": (lambda: reward([[1], [1, 2]]), "rows of equal length"),
    "rewards too few": (lambda: reward(np.ones(9)), r"shape \(9,\); the run needs \(10,\)"),
    "rewards too many": (lambda: reward(np.ones(11)), r"shape \(11,\)"),
    "rewards of other neurons": (lambda: reward(np.ones((10, 3))), r"or \(10, 5\)"),
    "rewards in 3 dimensions": (lambda: reward(np.ones((10, 5, 1))), "shape"),
    "another factor": (lambda: reward({"rew": 1.0}), "no third factor 'rew'; it has reward"),
    "another projection": (lambda: run({"b->a": 1.0}), "no learning projection; those are: x->a"),
    "third a list": (lambda: run([1, 2]), "must be a dict"),
    "third without a rule": (lambda: run({NAME: 1.0}, rule=None), "no learning projection; those are: none"),
    "third without need": (lambda: run({NAME: 1.0}, rule=rules.stdp(w_max=100.0, weight=BYTE)), "leave it out"),
    "targets without a rule": (lambda: run(rule=None, targets={"a": np.ones((10, 5))}), "no projection learns"),
    "targets a text": (lambda: run({NAME: 1.0}, targets="a"), "must be a dict"),
    "recorded weights without a rule": (lambda: run(rule=None, record={NAME: ["w"]}), "give it a rule"),
    "recorded variable": (lambda: run({NAME: 1.0}, record={NAME: ["z"]}), "it has w, tag, x, y"),
    "record_every": (lambda: run({NAME: 1.0}, record={NAME: ["w"]}, record_every=0), "outside 1"),
    "learn a text": (lambda: run({NAME: 1.0}, learn="no"), "give True or False"),
}

ALL = {f"{kind}: {name}": case for kind, cases in (
    ("text", TEXTS), ("declaration", DECLARATIONS), ("engine", ENGINES), ("run", RUNS)
) for name, case in cases.items()}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_refused(name: str) -> None:
    make, reason = ALL[name]
    with pytest.raises(cs.ChipsimError, match=reason) as caught:
        make()
    text = str(caught.value)
    assert len(text) < 700 and text.count("\n") < 2


def test_a_refused_run_leaves_the_emulator_as_it_was() -> None:
    machine = emulator()
    before = machine.state()
    for wrong in ({NAME: NAN}, {NAME: np.ones(3)}, None):
        with pytest.raises(cs.RunError):
            machine.run({"x": np.ones((10, 4))}, 10, third=wrong)
    after = machine.state()
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name)


def test_numbers_of_numpy_are_numbers() -> None:
    rule = body("w = w + c * x", constants={"c": np.float32(0.5)})
    assert rule.constants["c"] == 0.5
    assert body("w = w + c * x ** 2", constants={"c": np.int64(2)}).constants["c"] == 2.0
    assert rules.check(body("w = w + (x - y) ** 2")).passed, "even powers of what can be negative are fine"
