"""Whatever array or number enters, wherever: its very numbers are used, or it is refused in one or two lines.

A catalogue of array-likes is thrown at a table of entries. Each pair must end in one of two ways: a `ChipsimError` of
at most two lines; or values inside that equal, number for number, those of the plain float64 or integer array that the
array-like stands for. A crash of the interpreter, any other exception and any other number is a failure.
"""

from __future__ import annotations

import array
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp

import chipsim as cs
from chipsim.errors import ChipsimError


class Holder:
    """An object of another library: it says its array through `__array__`."""

    def __init__(self, values: Any, problem: Exception | None = None) -> None:
        self.values, self.problem = values, problem

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if self.problem is not None:
            raise self.problem
        return np.array(self.values, dtype)


class Unit(np.ndarray):
    """Numbers with a unit, as some packages have them."""

    unit = "ms"


class Refused(NamedTuple):
    """What an array-like stands for when no entry may take it."""

    why: str


def bad_sparse(shape: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    """Matrices whose indices lead out of them, of every format."""
    full = np.ones(shape)
    for fmt in ("csr", "csc", "bsr", "coo"):
        for name, value in (("far", 1 << 30), ("negative", -1)):
            broken = sp.coo_array(full).asformat(fmt)
            index = broken.coords[1] if fmt == "coo" else broken.indices
            index.setflags(write=True)
            index[0] = value
            yield f"{fmt} with an index {name}", broken
    for fmt in ("csr", "csc"):
        broken = sp.coo_array(full).asformat(fmt)
        broken.indptr[1] = 1 << 20
        yield f"{fmt} with a pointer beyond", broken
        broken = sp.coo_array(full).asformat(fmt)
        broken.indptr = broken.indptr[:-1]
        yield f"{fmt} with a pointer missing", broken
        broken = sp.coo_array(full).asformat(fmt)
        broken.indices = broken.indices[:1]
        yield f"{fmt} with indices missing", broken
        broken = sp.coo_array(full).asformat(fmt)
        broken.indices = broken.indices.astype(float) + 0.25
        yield f"{fmt} with fractional indices", broken
    broken = sp.lil_array(full)
    broken.rows[0] = [9999] * shape[1]
    yield "lil with a column beyond", broken
    broken = sp.dok_array(full)
    broken._dict[(9999, 0)] = 1.0
    yield "dok with a key beyond", broken
    broken = sp.dia_array(full)
    broken.offsets = broken.offsets[:-1]
    yield "dia with an offset missing", broken


def catalogue(base: np.ndarray) -> Iterator[tuple[str, Any, Any]]:
    """(name, array-like, the plain array it stands for, or `Refused`) made of whole numbers `base`."""
    plain, size = base.astype(np.float64), base.size
    nested = base.tolist()
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i2", ">i4", ">i8", ">f4", ">f8"):
        yield kind, base.astype(kind), plain
    yield "longdouble", base.astype(np.longdouble), plain
    yield "lists", nested, plain
    yield "Python floats", plain.tolist(), plain
    yield "Fortran order", np.array(base, order="F"), plain
    yield "negative strides", np.flip(np.flip(base).copy()), plain
    yield "read-only", _read_only(base), plain
    yield "__array__", Holder(base), plain
    yield "nothing masked", np.ma.array(base, mask=np.zeros(base.shape, bool)), plain
    yield "object of ints", base.astype(object), plain
    yield "strided view", np.repeat(base, 2, axis=-1)[..., ::2] if base.ndim else base, plain
    if base.ndim == 1:
        yield "array.array", array.array("h", nested), plain
        yield "memoryview", memoryview(base.astype("i4")), plain
        yield "tuple", tuple(nested), plain
    if base.ndim == 2:
        yield "matrix", np.matrix(base), plain
        for fmt in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia"):
            yield f"sparse {fmt}", sp.coo_array(base).asformat(fmt), plain
            yield f"spmatrix {fmt}", sp.coo_matrix(base).asformat(fmt), plain
        half = sp.coo_array(base.astype(np.int8))
        twice = sp.coo_array((np.tile(half.data, 2), tuple(np.tile(c, 2) for c in half.coords)), shape=base.shape)
        yield "coo of doubles", twice, 2 * plain
        yield from ((name, broken, Refused("broken")) for name, broken in bad_sparse(base.shape))
    one = (0,) * base.ndim
    for name, wrong in (
        ("NaN", np.nan), ("infinity", np.inf), ("minus infinity", -np.inf), ("1e300", 1e300), ("2**31 + 7", 2**31 + 7),
        ("2**53 + 1", 2**53 + 1), ("2**63", 2**63), ("10**30", 10**30), ("10**5000", 10**5000), ("half", 0.5),
    ):  # fmt: skip
        made = base.astype(object)
        made[one] = wrong
        yield f"with {name}", made.tolist() if base.ndim else wrong, made
        if wrong in (2**53 + 1, 2**63):
            yield f"with {name} in uint64", made.astype(np.uint64), made
        if wrong == 2**53 + 1:
            mixed = np.array(base + 0.5).astype(object)
            mixed[one] = wrong
            yield "2**53 + 1 beside floats", mixed.tolist() if base.ndim else wrong, mixed
    third = base.astype(np.longdouble) + np.longdouble(1) / 3
    yield "longdouble thirds", third, third.astype(object)
    mask = np.zeros(base.shape, bool)
    mask[one] = True
    for name, wrong in (
        ("masked", np.ma.array(base, mask=mask)), ("complex", base + 0j), ("text", base.astype(str)),
        ("bytes", base.astype("S")), ("dates", base.astype("M8[s]")), ("durations", base.astype("m8[s]")),
        ("records", np.zeros(base.shape, [("a", "i4"), ("b", "f4")])), ("objects", np.full(base.shape, None)),
        ("decimals", np.vectorize(Decimal, otypes=[object])(base.astype(str))),
        ("fractions", np.vectorize(Fraction, otypes=[object])(base.astype(str))),
        ("with a unit", base.astype(float).view(Unit)), ("a generator", (x for x in (1, 2))), ("a set", {1, 2}),
        ("a dict", {"a": 1}), ("a function", len), ("a class", int), ("a text", "1"), ("ragged", [[1, 2], [3]]),
        ("itself", _cycle()), ("raising", Holder(base, RuntimeError("no\nway"))),
        ("raising MemoryError", Holder(base, MemoryError())), ("another axis", np.ones((*base.shape, 2, 3))),
        ("one too many", np.ones((size + 1,))), ("empty", np.ones((0, *base.shape[1:])) if base.ndim else np.ones(0)),
        ("a view of 10**10", np.broadcast_to(np.int8(1), (10**5, 10**5))),
        ("a view of (10**9, 12)", np.broadcast_to(1.0, (10**9, 12))), ("lone surrogate", "\ud800"),
        ("a list of masks", [np.ma.masked] * max(size, 1)),
    ):  # fmt: skip
        yield name, wrong, Refused(name)


def _read_only(base: np.ndarray) -> np.ndarray:
    made = base.copy()
    made.setflags(write=False)
    return made


def _cycle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


class Entry(NamedTuple):
    """A place where arrays come in: its plain numbers, and what stands inside after they were given."""

    base: np.ndarray
    enter: Callable[[Any], Any]
    whole: bool = False
    integers_only: bool = False  #: arrays of an integer type, no lists and no whole floats


WEIGHTS = np.array([[1, 2], [3, 4], [5, 6]])
RAMP = np.array([3, 5, 7])
SPIKES = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])


def dense(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.toarray() if sp.issparse(matrix) else matrix)


def ideal(weights: Any = WEIGHTS, **options: Any) -> cs.Network:
    net = cs.Network("n")
    net.add("x", cs.SpikeSource(2))
    net.add("a", cs.LIF(3))
    net.connect("x", "a", weights, **options)
    return net


def native(graded: int = 0, **options: Any) -> cs.Network:
    net = cs.Network("n")
    net.add("x", cs.SpikeSource(2, graded=graded))
    net.add("a", cs.loihi.LIF(3, vth=4, du=4095, dv=0))
    net.connect("x", "a", cs.loihi.Synapses(WEIGHTS, sign="mixed", message_bits=16 * graded), **options)
    return net


def floating(graded: int = 0, rule: Any = None) -> cs.Network:
    net = cs.Network("n")
    net.add("x", cs.SpikeSource(2, graded=graded))
    net.add("a", cs.floats.LIF(3, threshold=1e6))
    net.connect("x", "a", cs.floats.Synapses(WEIGHTS / 8.0), rule=rule)
    return net


STEPS = 1 << 10

_EMULATORS: dict[str, cs.Emulator] = {}


def emulator(kind: str) -> cs.Emulator:
    """One compiled machine of each kind, reset."""
    if kind not in _EMULATORS:
        net, chip = {
            "native": (native, "loihi"), "graded": (lambda: native(1), "loihi2"), "floats": (floating, "float"),
            "graded floats": (lambda: floating(1), "float"), "third": (lambda: floating(rule=_rule()), "float"),
            "plastic": (lambda: floating(rule=cs.rules.stdp(w_max=1e9)), "float"),
            "eprop": (_eprop, "float"),
        }[kind]  # fmt: skip
        _EMULATORS[kind] = cs.Emulator(cs.compile(net(), chip))
    _EMULATORS[kind].reset()
    return _EMULATORS[kind]


def _rule() -> Any:
    return cs.rules.declare("def taught(w, pre, reward):\n    w = w + reward * pre\n", third="reward")


def _eprop() -> cs.Network:
    from chipsim.mappings import eprop_network

    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s) for s in ((3, 2), (3, 3), (2, 3))]
    return eprop_network(cs.rules.eprop(tau_m=20, thr=0.5), *weights, dt=1e-3)


def inputs(kind: str) -> Callable[[Any], Any]:
    """What the machine's sources sent, as (steps, 2) of values."""

    def enter(given: Any) -> np.ndarray:
        result = emulator(kind).run({"x": given}, 4)
        train, sent = result.raw.spikes, np.zeros((4, 2))
        for t in range(4):
            ids = train.ids[train.ptr[t] : train.ptr[t + 1]]
            for k, n in enumerate(ids):
                if n < 2:
                    sent[t, n] = train.value[train.ptr[t] + k] if train.value.size else 1
        return sent

    return enter


def events(field: str) -> Callable[[Any], Any]:
    """The same for one field of structured events; the array-like becomes that field if it can."""

    def enter(given: Any) -> np.ndarray:
        from chipsim.run.inputs import gather

        if type(given) is not np.ndarray or given.shape != (3,) or given.dtype.kind == "V":
            raise cs.RunError("no field of an array")
        made = np.zeros(3, [(field, given.dtype)] + [(f, "i4") for f in ("step", "neuron", "value") if f != field])
        made[field] = given
        for other in {"step", "neuron", "value"} - {field}:
            made[other] = {"step": [0, 1, 2], "neuron": [0, 1, 0], "value": [1, 2, 3]}[other]
        train, dropped = gather(emulator("graded").program, {"x": made}, STEPS)
        step = np.repeat(np.arange(STEPS), np.diff(train.ptr))
        found = {"step": step, "neuron": train.ids, "value": train.value}[field]
        if field != "step":
            return found
        late = [v for v in given.tolist() if v >= STEPS]  # not changed: counted as dropped
        assert dropped == len(late)
        back = dict(zip(train.value.tolist(), step.tolist()))
        return np.array([back.get(k + 1, given[k]) for k in range(3)], object)

    return enter


def register(model: Callable[..., Any], name: str) -> Callable[[Any], Any]:
    return lambda given: model(3, **{name: given}).per_neuron(name)


def set_weights(kind: str) -> Callable[[Any], Any]:
    def enter(given: Any) -> np.ndarray:
        machine = emulator(kind)
        machine.set_weights("x->a", given)
        return dense(machine.weights("x->a"))

    return enter


def third(given: Any) -> np.ndarray:
    from chipsim.engines.learning.third import third_array

    return np.asarray(third_array("x->a", "taught", ("reward",), given, 4, 2))[:, 0, :]


def target(given: Any) -> np.ndarray:
    from chipsim.engines.learning.targets import target_rows

    rows = target_rows(emulator("eprop").program.population("out"), given, 4, "mse")
    if np.isnan(rows).any():  # which says that nothing is asked
        raise cs.RunError("no target")
    return rows


def placement(given: Any) -> np.ndarray:
    return cs.compile(native(), "loihi", placement={"a": given}).core[2:]


def rates(given: Any) -> np.ndarray:
    from chipsim.mappings.compiler.cores.traffic import spike_rates

    return spike_rates(native(), {"a": given})[2:]


def calibration(given: Any) -> np.ndarray:
    from chipsim.mappings.compiler.quantise.reference import checked_inputs

    return checked_inputs(ideal(), {"x": given})["x"]


def beta(given: Any) -> np.ndarray:
    net = cs.rules.EPropNet(cs.rules.eprop(beta=given), np.ones((3, 2)), np.ones((3, 3)), np.ones((2, 3)), WEIGHTS)
    return net.constants.beta


def feedback(given: Any) -> np.ndarray:
    return np.asarray(cs.rules.eprop(feedback_weights=given).feedback_weights)


def plastic(given: Any) -> np.ndarray:
    return cs.rules.Plastic(cs.rules.stdp(w_max=1e9), given).weights


def eprop_net(place: int) -> Callable[[Any], Any]:
    def enter(given: Any) -> np.ndarray:
        parts = [np.zeros((3, 2)), np.zeros((3, 3)), np.zeros((2, 3)), np.zeros((3, 2))]
        parts[place] = given
        net = cs.rules.EPropNet(cs.rules.eprop(), *parts)
        return np.array((net.w_in, net.w_rec, net.w_out, net.feedback)[place])

    return enter


def packets(given: Any) -> np.ndarray:
    found = cs.truenorth.packets(given, 0, 0, 0)[:, 0]
    if found.shape != (3,):  # any number of packets may be given
        raise cs.NetworkError("other packets")
    return found


def layer(given: Any) -> np.ndarray:
    from chipsim.mappings.builders.layers import Dense

    return np.asarray(Dense(given).weights)


ENTRIES: dict[str, Entry] = {
    "weights": Entry(WEIGHTS, lambda a: dense(ideal(a).projections["x->a"].synapses)),
    "delays": Entry(WEIGHTS, lambda a: dense(ideal(delay=a).projections["x->a"].delay), whole=True),
    "delay": Entry(np.array(3), lambda a: ideal(delay=a).projections["x->a"].delay, whole=True),
    "mantissas": Entry(WEIGHTS, lambda a: dense(cs.loihi.Synapses(a).mantissa), whole=True),
    "native delays": Entry(WEIGHTS, lambda a: dense(cs.loihi.Synapses(WEIGHTS, delays=a).delays), whole=True),
    "float synapses": Entry(WEIGHTS, lambda a: dense(cs.floats.Synapses(a).weights)),
    "odin": Entry(WEIGHTS, lambda a: cs.odin.Synapses(a).dense(), whole=True),
    "tinyodin": Entry(WEIGHTS, lambda a: cs.tinyodin.Synapses(a).dense(), whole=True),
    "reckon": Entry(WEIGHTS, lambda a: cs.reckon.Synapses(a).dense(), whole=True),
    "truenorth": Entry(WEIGHTS, lambda a: cs.truenorth.Synapses(a).dense(), whole=True),
    "catalyst": Entry(WEIGHTS, lambda a: cs.catalyst.Synapses(a).dense(), whole=True),
    "xylo": Entry(WEIGHTS, lambda a: dense(cs.xylo.Synapses(a).mantissa), whole=True),
    "kernel": Entry(WEIGHTS.reshape(1, 1, 3, 2), lambda a: cs.Conv2d(a, (1, 5, 5)).kernel.transpose(0, 3, 1, 2)),
    "ideal register": Entry(RAMP, register(cs.LIF, "threshold")),
    "loihi register": Entry(RAMP, register(cs.loihi.LIF, "vth"), whole=True),
    "loihi state": Entry(RAMP, register(cs.loihi.LIF, "u"), whole=True),
    "float register": Entry(RAMP, register(cs.floats.Unit, "bias")),
    "refractory": Entry(RAMP, register(cs.floats.LIF, "refractory"), whole=True),
    "odin register": Entry(RAMP, register(cs.odin.LIF, "thr"), whole=True),
    "reckon register": Entry(np.array([3, 3, 5]), register(cs.reckon.LIF, "thr"), whole=True),
    "truenorth register": Entry(RAMP, register(cs.truenorth.LIF, "thr"), whole=True),
    "catalyst register": Entry(RAMP, register(cs.catalyst.LIF, "thr"), whole=True),
    "xylo register": Entry(RAMP, register(cs.xylo.LIF, "threshold"), whole=True),
    "shared register": Entry(np.array(3), lambda a: cs.floats.LIF(3, grid=a).values["grid"]),
    "inputs": Entry(SPIKES, inputs("native"), whole=True),
    "graded inputs": Entry(SPIKES * [[7, 9]], inputs("graded"), whole=True),
    "float inputs": Entry(SPIKES, inputs("floats"), whole=True),
    "graded float inputs": Entry(SPIKES * [[7, 9]], inputs("graded floats")),
    "event steps": Entry(RAMP, events("step"), whole=True, integers_only=True),
    "event neurons": Entry(np.array([0, 1, 1]), events("neuron"), whole=True, integers_only=True),
    "event values": Entry(RAMP, events("value"), whole=True, integers_only=True),
    "set_weights, fixed": Entry(WEIGHTS, set_weights("floats")),
    "set_weights, integers": Entry(WEIGHTS, set_weights("native"), whole=True),
    "set_weights, learned": Entry(WEIGHTS, set_weights("plastic")),
    "third factor": Entry(SPIKES * [[7, 9]], third),
    "third factor, one": Entry(np.array([3, 5, 7, 9]), lambda a: third(a)[:, 0]),
    "targets": Entry(SPIKES * [[7, 9]], target),
    "placement": Entry(np.array([3, 3, 3]), placement, whole=True, integers_only=True),
    "rates": Entry(RAMP, rates),
    "calibration": Entry(SPIKES, calibration, whole=True),
    "beta": Entry(RAMP, beta),
    "feedback": Entry(WEIGHTS, feedback),
    "plastic weights": Entry(WEIGHTS, plastic),
    "e-prop w_in": Entry(WEIGHTS, eprop_net(0)),
    "e-prop w_out": Entry(WEIGHTS.T.copy(), eprop_net(2)),
    "e-prop feedback": Entry(WEIGHTS, eprop_net(3)),
    "dense layer": Entry(WEIGHTS, layer),
    "odin registers": Entry(np.array(1), lambda a: cs.odin.Registers(open_loop=a).open_loop, whole=True),
    "reckon memory": Entry(WEIGHTS, lambda a: cs.reckon.Memories(winp=a).winp[:3, :2], whole=True, integers_only=True),
    "truenorth packets": Entry(RAMP, packets, whole=True),
}  # fmt: skip


def settle(entry: Entry, given: Any, means: Any) -> str:
    """What went wrong when `given` entered; empty if nothing did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = np.asarray(entry.enter(given))
        except ChipsimError as refusal:
            text = str(refusal)
            return "" if len(text.splitlines()) <= 2 and len(text) <= 500 and text.strip() else f"says {text[:200]!r}"
        except Exception as problem:
            return f"raises {type(problem).__name__}: {str(problem)[:120]}"
    if isinstance(means, Refused):
        return "is taken"
    wanted = np.broadcast_to(means, entry.base.shape).astype(object)
    same = found.shape == wanted.shape and all(int(a) == b if entry.whole else a == b for a, b in _pairs(found, wanted))
    return "" if same else f"becomes {np.ravel(found)[:6]}, not {wanted.ravel()[:6]}"


def _pairs(found: np.ndarray, wanted: np.ndarray) -> Iterator[tuple[Any, Any]]:
    return zip(found.ravel().tolist(), wanted.ravel().tolist())


@pytest.mark.parametrize("name", ENTRIES)
def test_numbers_are_used_exactly_or_refused(name: str) -> None:
    entry, wrong = ENTRIES[name], []
    for what, given, means in catalogue(entry.base):
        if what == "empty" and not isinstance(means, Refused):
            continue
        problem = settle(entry, given, means)
        if problem:
            wrong.append(f"{what}: {problem}")
    assert not wrong, f"{len(wrong)} of {name}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", ENTRIES)
def test_plain_numbers_are_taken(name: str) -> None:
    """Refusing everything would pass the test above."""
    entry = ENTRIES[name]
    more = () if entry.integers_only else (entry.base.astype(float), entry.base.tolist())
    for given in (entry.base, entry.base.astype("u1"), np.array(entry.base, order="F"), *more):
        assert np.array_equal(np.asarray(entry.enter(given)), entry.base)
