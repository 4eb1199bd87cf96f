"""Single numbers and words, wherever they enter: used as they are, or refused in one or two lines.

As `tests.run.test_arrays_in`, for arguments that are one number: a catalogue of objects is thrown at each.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import chipsim as cs
from chipsim.errors import ChipsimError
from chipsim.mappings.network.ideal import LIF
from chipsim.native.synapses import Conv
from chipsim.rules.pes import Pes


class Odd:
    """An object whose every conversion raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __float__ = __int__ = __index__ = __lt__ = __gt__ = __bool__ = __repr__  # type: ignore[assignment]


class Text(str):
    """A text of another type."""


#: What is thrown; numbers among them may be taken, and must then be used as they are.
THINGS: dict[str, Any] = {
    "True": True, "np.True_": np.True_, "None": None, "text": "1", "Text": Text("x"), "empty text": "", "bytes": b"1",
    "escape": "\x1b[31m\n\n\n", "surrogate": "\ud800", "long text": "x" * 5000, "nan": float("nan"),
    "inf": float("inf"), "-inf": float("-inf"), "zero": 0, "minus zero": -0.0, "-1": -1, "one": 1, "two": 2,
    "half": 0.5, "1e300": 1e300,
    "1e-300": 1e-300, "2**31": 2**31, "2**33": 2**33, "2**53+1": 2**53 + 1, "2**63": 2**63, "2**64": 2**64,
    "10**30": 10**30, "10**400": 10**400, "10**5000": 10**5000, "-10**5000": -(10**5000), "complex": 1j,
    "int8": np.int8(7), "uint8": np.uint8(8), "int16": np.int16(-3), "uint64": np.uint64(2**64 - 1),
    "float16": np.float16(0.5), "float32": np.float32(0.1), "longdouble": np.longdouble(1) / 3, "0-d": np.array(3),
    "1-d": np.array([1]), "2-d": np.ones((2, 2)), "masked": np.ma.masked, "object": np.array(1, object),
    "date": np.datetime64("2020"), "duration": np.timedelta64(1, "s"), "decimal": Decimal(1),
    "fraction": Fraction(1, 2), "list": [1], "deep list": [[[[[[1]]]]]], "tuple": (1,), "dict": {"a": 1}, "set": {1},
    "class": int, "function": len,
    "generator": (x for x in (1,)), "odd": Odd(), "ellipsis": ..., "a net": cs.Network(),
}  # fmt: skip


def net() -> cs.Network:
    made = cs.Network("n")
    made.add("x", cs.SpikeSource(2))
    made.add("a", cs.loihi.LIF(3, vth=40))
    made.connect("x", "a", cs.loihi.Synapses(np.full((3, 2), 40)))
    return made


def ideal() -> cs.Network:
    made = cs.Network("n")
    made.add("x", cs.SpikeSource(2))
    made.add("a", LIF(3))
    made.connect("x", "a", np.ones((3, 2)))
    return made


TAUGHT = "def r(w, pre):\n    w = w + c * pre\n"
_MACHINE: list[cs.Emulator] = []


def machine() -> cs.Emulator:
    if not _MACHINE:
        _MACHINE.append(cs.Emulator(cs.compile(net(), "loihi")))
    return _MACHINE[0]


def ran(**options: Any) -> Any:
    machine().reset()
    return machine().run(**options)


def declared(**options: Any) -> Any:
    return cs.rules.declare("def r(w, pre):\n    w = w + 0.1 * pre\n", **options)


def quantised(**options: Any) -> Any:
    return cs.compile(ideal(), "loihi", quantise=options)


def automaton(**options: Any) -> Any:
    from chipsim.mappings.builders.automata.automata import from_automaton

    ends = {"o": {"a": "e"}, "e": {"a": "o"}}
    return from_automaton((["o", "e"], "a", ends, "o", ["e"]), "sqrt", **options)


def presented(steps: Any) -> Any:
    from chipsim.mappings.network.presentation import present

    return present(net(), steps)


def field(make: Callable[..., Any], name: str) -> Callable[[Any], Any]:
    """Gives an argument, and returns what the object says it is."""
    return lambda value: getattr(make(**{name: value}), name)


def fields(what: str, make: Callable[..., Any], *names: str) -> dict[str, Callable[[Any], Any]]:
    return {f"{what}.{name}": field(make, name) for name in names}


def options(what: str, make: Callable[..., Any], *names: str) -> dict[str, Callable[[Any], Any]]:
    """The same for arguments that leave no trace under their name."""
    return {f"{what}.{name}": _option(make, name) for name in names}


def _option(make: Callable[..., Any], name: str) -> Callable[[Any], Any]:
    return lambda value: make(**{name: value}) and value


def _given(**fixed: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return lambda make: lambda **changes: make(**{**fixed, **changes})


def _perturbations() -> tuple[Any, Any]:
    from chipsim.rules.perturbation import NodePerturbation, Perturbation

    return Perturbation, NodePerturbation


def _engine_rule(**options: Any) -> Any:
    from chipsim.rules.carried import EngineRule
    from chipsim.rules.products.rule import SumOfProducts

    return EngineRule(SumOfProducts(dw="2^-2*x1*y2", three_factor=True), **options)


def _products(**options: Any) -> Any:
    from chipsim.rules.products.rule import SumOfProducts

    return SumOfProducts(**{"dw": "2^-2*x1*y0", **options})


ENTRIES: dict[str, Callable[[Any], Any]] = {
    "size": lambda v: cs.loihi.LIF(v).n,
    "register": lambda v: cs.loihi.LIF(3, vth=v).values["vth"],
    "float register": lambda v: cs.floats.Unit(3, bias=v).values["bias"],
    "choice": lambda v: cs.floats.Unit(3, sends=v).values["sends"],
    "ideal": lambda v: cs.LIF(3, tau_mem=v).values["tau_mem"],
    **fields("Synapses", _given(mantissa=[[1]])(cs.loihi.Synapses), "exponent", "bits", "message_bits", "sign",
             "saturate"),
    **fields("Conv", _given(kernel=np.ones((1, 1, 1, 1)), input_shape=(1, 3, 3))(cs.Conv2d), "groups", "exponent"),
    "Conv.stride": lambda v: cs.Conv2d(np.ones((1, 1, 1, 1)), (1, 3, 3), stride=v).stride[0],
    "Conv.padding": lambda v: cs.Conv2d(np.ones((1, 1, 1, 1)), (1, 3, 3), padding=v).padding[0],
    "Conv.size": lambda v: cs.Conv2d(np.ones((1, 1, 1, 1)), (1, v, 3)).input_shape[1],
    "Conv.channels": lambda v: Conv(np.ones((1, 1, 1, 1)), (1, 3, 3), channels=v).channels,
    "network name": lambda v: cs.Network(v).name,
    "population name": lambda v: net().add(v, cs.SpikeSource(2)).name,
    "projection name": lambda v: net().connect("x", "a", cs.loihi.Synapses(np.ones((3, 2), int)), name=v).name,
    "population": lambda v: net().population(v).name,
    "delay": lambda v: int(np.max(ideal().connect("x", "a", np.ones((3, 2)), delay=v).delay)),
    "native delay": lambda v: net().connect("x", "a", cs.loihi.Synapses(np.ones((3, 2), int)), delay=v).delay,
    "chip": lambda v: cs.chip(v).name,
    "dt": lambda v: cs.compile(net(), "loihi", dt=v).dt,
    "seed": lambda v: cs.compile(net(), "loihi", seed=v).seed,
    "program name": lambda v: cs.compile(net(), "loihi", name=v).name if v is not None else None,
    "arithmetic": lambda v: cs.compile(net(), "loihi", arithmetic=v).arithmetic.preset if v is not None else None,
    "partition": lambda v: cs.compile(net(), "loihi", partition=v) and v,
    "packing": lambda v: cs.compile(net(), "loihi", packing=v) and v,
    "max_neurons": lambda v: cs.compile(net(), "loihi", max_neurons=v) and v,
    "placement": lambda v: int(cs.compile(net(), "loihi", placement={"a": v}).core[-1]),
    "placements": lambda v: cs.compile(net(), "loihi", placement=v) and v,
    "rate": lambda v: cs.compile(net(), "loihi", rates={"a": v}) and v,
    "rates": lambda v: cs.compile(net(), "loihi", rates=v) and v,
    "quantise": lambda v: cs.compile(ideal(), "loihi", quantise=v) and v,
    **options("quantise", quantised, "method", "percentile", "granularity", "bits", "headroom", "undershoot",
              "compensate", "low_bits", "compartments", "calibration"),
    "steps": lambda v: ran(steps=v, inputs={"x": np.ones((3, 2), int)}).steps if v is not None else None,
    "record": lambda v: ran(steps=2, record={"a": v}) and v,
    "record_every": lambda v: ran(steps=2, record_every=v) and v,
    "learn": lambda v: ran(steps=2, learn=v) and v,
    "masks": lambda v: ran(steps=2, masks=v) and v,
    "inputs": lambda v: ran(steps=2, inputs=v) and v,
    "input": lambda v: ran(steps=2, inputs={"x": v}) and v,
    "third": lambda v: ran(steps=2, third=v) and v,
    "targets": lambda v: ran(steps=2, targets=v) and v,
    "threads": lambda v: cs.Emulator(machine().program, threads=v).threads,
    "program": lambda v: cs.Emulator(v).program,
    "end_episode": lambda v: machine().end_episode(rate=v) or v,
    "weights": lambda v: machine().weights(v),
    "restore": lambda v: machine().restore(v),
    "set_weights": lambda v: machine().set_weights("x->a", v),
    **fields("Trace", _given(side="pre", tau=20)(cs.rules.Trace), "side", "tau", "impulse", "mode", "seen", "format"),
    **fields("State", cs.rules.State, "start", "format"),
    **fields("Surrogate", cs.rules.Surrogate, "kind", "height", "width"),
    **fields("Fixed", _given(bits=8, step=1.0)(cs.rules.Fixed), "bits", "step", "rounding", "signed"),
    "rule text": lambda v: cs.rules.declare(v).source,
    "rule.constant": lambda v: cs.rules.declare(TAUGHT, constants={"c": v}).constants["c"],
    "rule.bound": lambda v: declared(bounds=(v, 100.0)).bounds[0],
    **options("rule", declared, "traces", "state", "constants", "third", "bounds", "weight", "surrogate",
              "follows_gradient"),
    "rule.every": lambda v: declared(every=v).every,
    "stdp.lam": lambda v: cs.rules.stdp(lam=v).constants["lam"],
    "stdp.tau": lambda v: cs.rules.stdp(tau_plus=v).traces["x"].tau,
    "stdp.mu": lambda v: cs.rules.stdp(mu_plus=v) and v,
    "stdp.w_max": lambda v: cs.rules.stdp(w_max=v).bounds[1],
    **fields("eprop", cs.rules.eprop, "tau_m", "tau_out", "tau_a", "thr", "beta", "gamma", "n_ref", "scale_input",
             "loss", "window", "average_gradient", "feedback", "c_reg", "f_target", "optimizer", "form", "kappa_filter",
             "precision", "feedback_weights"),
    **fields("Descent", cs.rules.Descent, "eta"),
    **fields("Adam", cs.rules.Adam, "eta", "beta_1", "beta_2", "epsilon"),
    **fields("Precision", cs.rules.Precision, "weights", "psi_levels"),
    **fields("Pes", _given(tau=20.0, magnitude=10.0)(Pes), "tau", "magnitude", "rate", "rate_exp", "train_epoch",
             "learn_epoch", "weight_bits"),
    **fields("products", _products, "dw", "dt", "x1_impulse", "x1_tau", "y3_tau", "t_epoch", "three_factor", "graded"),
    **fields("engine rule", _engine_rule, "seed", "weight_seed", "y1_tau", "y1_impulse"),
    **fields("perturbation", _perturbations()[0], "eta", "size", "serial", "central", "format"),
    **fields("node perturbation", _perturbations()[1], "eta", "size"),
    "planes": lambda v: automaton(planes=v) and v,
    "family": lambda v: automaton(family=v) and v,
    "presentation": lambda v: presented(v) and v,
}  # fmt: skip


def problem(enter: Callable[[Any], Any], given: Any) -> str:
    """What went wrong; empty if `given` was used as it is, or refused well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = enter(given)
        except ChipsimError as refusal:
            text = str(refusal)
            fits = text.strip() and len(text.splitlines()) <= 2 and len(text) <= 500
            return "" if fits and all(line.isprintable() for line in text.splitlines()) else f"says {text[:200]!r}"
        except Exception as error:
            return f"raises {type(error).__name__}: {str(error)[:100]}"
    if found is given or given is None:
        return ""
    try:
        same = bool(np.all(np.asarray(found) == np.asarray(given)))
    except Exception as error:
        return f"becomes what cannot be compared: {type(error).__name__}"
    return "" if same else f"becomes {str(found)[:60]}"


@pytest.mark.parametrize("name", ENTRIES)
def test_numbers_and_words(name: str) -> None:
    wrong = [f"{thing}: {said}" for thing, given in THINGS.items() if (said := problem(ENTRIES[name], given))]
    assert not wrong, f"{len(wrong)} of {name}:\n" + "\n".join(wrong)
