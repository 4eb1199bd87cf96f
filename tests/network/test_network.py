"""Networks and native models: shapes, names, order, registers at and beyond their bounds."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import chipsim as cs
from chipsim.mappings.network.network import synapse_count
from chipsim.native.base import NeuronModel, Register
from chipsim.native.loihi import bias_registers


def models() -> list[type[NeuronModel]]:
    """Every neuron model of the native families and the ideal ones."""
    import chipsim.mappings.network.ideal as ideal

    rooms = (cs.loihi, cs.floats, cs.odin, cs.tinyodin, cs.reckon, cs.truenorth, cs.xylo, ideal)
    found = {m for room in rooms for m in vars(room).values() if inspect.isclass(m) and issubclass(m, NeuronModel)}
    return sorted((m for m in found if m.model), key=lambda m: (m.family, m.__name__))


def bounds() -> list[tuple[type[NeuronModel], str, Register]]:
    return [
        (m, k, r)
        for m in models()
        for k, r in m.registers.items()
        if not r.choices and (r.lo is not None or r.hi is not None)
    ]


BOUNDS = bounds()


def name_of(case: tuple[type[NeuronModel], str, Register]) -> str:
    return f"{case[0].family}.{case[0].__name__}.{case[1]}"


@pytest.mark.parametrize("model", models(), ids=lambda m: f"{m.family}.{m.__name__}")
def test_a_model_made_of_nothing_but_its_size(model: type[NeuronModel]) -> None:
    made = model((2, 3))
    assert made.n == 6 and made.shape == (2, 3)
    assert list(inspect.signature(model).parameters)[1:] == list(model.registers)
    assert repr(made).startswith(f"{model.family}.{model.__name__}(")
    for name, register in model.registers.items():
        values = made.values[name]
        assert isinstance(values, str) if register.choices else made.per_neuron(name).shape == (6,)


@pytest.mark.parametrize("case", BOUNDS, ids=name_of)
def test_a_register_refuses_what_it_cannot_hold(case: tuple[type[NeuronModel], str, Register]) -> None:
    model, name, register = case
    for bound, beyond in ((register.lo, -1), (register.hi, 1)):
        if bound is None:
            continue
        with pytest.raises(cs.NetworkError, match=name):
            model(3, **{name: bound + beyond})
        if not register.shared:
            with pytest.raises(cs.NetworkError, match=name):
                model(3, **{name: [register.default, bound + beyond, register.default]})


@pytest.mark.parametrize("model", [cs.loihi.LIF, cs.loihi.LIFReset])
def test_bounds_themselves_are_held(model: type[NeuronModel]) -> None:
    for name, register in model.registers.items():
        for bound in (register.lo, register.hi):
            if not register.choices and bound is not None:
                assert model(2, **{name: bound}).per_neuron(name).tolist() == [bound] * 2


def test_values_are_frozen_and_broadcast() -> None:
    given_values = np.array([1, 2, 3])
    made = cs.loihi.LIF(3, vth=given_values, du=[7])
    given_values[:] = 9
    assert made.per_neuron("vth").tolist() == [1, 2, 3] and made.per_neuron("du").tolist() == [7, 7, 7]
    with pytest.raises(ValueError):
        made.values["vth"][0] = 5
    assert "vth=[1..3]" in repr(made) and "du=7" in repr(made) and "dv" not in repr(made)


@given(st.lists(st.integers(-4095 * 128, 4095 * 128), min_size=1, max_size=20))
def test_bias_registers_are_the_nearest(bias: list[int]) -> None:
    mantissa, exponent = bias_registers(bias)
    assert (np.abs(mantissa) <= 4095).all() and (exponent >= 0).all() and (exponent <= 7).all()
    for wanted, m, e in zip(bias, mantissa.tolist(), exponent.tolist()):
        assert abs((m << e) - wanted) <= (1 << e) / 2
        assert e == 0 or abs(wanted) > 4095 << (e - 1), "a smaller exponent would have kept more bits"


def test_populations_and_projections_keep_their_order() -> None:
    net = cs.Network("order")
    for name in ("z", "a", "m"):
        net.add(name, cs.LIF(2))
    for pre, post in itertools.product("zam", repeat=2):
        net.connect(pre, post, np.eye(2))
    assert list(net.populations) == ["z", "a", "m"] and net.n == 6
    assert list(net.projections)[:4] == ["z->z", "z->a", "z->m", "a->z"]
    assert net.connect("z", "a", np.eye(2)).name == "z->a#2" and net.connect("z", "a", np.eye(2)).name == "z->a#3"


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_synapses_are_counted_alike(post: int, pre: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(-1, 2, (post, pre))
    nonzero = np.count_nonzero(matrix)
    assert synapse_count(matrix) == synapse_count(sp.csc_array(matrix)) == nonzero
    assert (
        synapse_count(cs.loihi.Synapses(matrix)) == synapse_count(cs.floats.Synapses(sp.coo_array(matrix))) == nonzero
    )
    stored = sp.csc_array(np.ones((post, pre)))
    stored.data[:] = 0
    assert synapse_count(cs.loihi.Synapses(stored)) == post * pre


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_delays_of_sparse_synapses_follow_their_weights(post: int, pre: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 9, (post, pre)) * (rng.random((post, pre)) < 0.6)
    delays = rng.integers(0, 64, (post, pre))
    for given_as in (delays, sp.csr_array(delays)):
        made = cs.loihi.Synapses(sp.coo_array(weights), delays=given_as)
        assert np.array_equal(made.delays.toarray() * (weights > 0), delays * (weights > 0))
        assert made.delays.nnz == np.count_nonzero(weights)
        assert made.max_delay == np.max(delays[weights > 0], initial=0)


def test_doubled_entries_of_a_sparse_matrix_add_up() -> None:
    twice = sp.coo_array(([3, 4, 5], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert cs.loihi.Synapses(twice).mantissa.toarray().tolist() == [[0, 7], [5, 0]]


def test_clipped_mantissas_are_counted() -> None:
    made = cs.loihi.Synapses([[300, -300], [5, 255]], sign="mixed", saturate=True)
    assert made.clipped == 2 and made.mantissa.tolist() == [[255, -256], [5, 255]]


@pytest.mark.parametrize(
    ("values", "sign"),
    [([[0, 0]], "excitatory"), ([[0, 3]], "excitatory"), ([[0, -3]], "inhibitory"), ([[1, -1]], "mixed")],
)
def test_the_sign_follows_from_the_values(values: list, sign: str) -> None:
    assert cs.loihi.Synapses(values).sign == sign


def test_conv2d_is_a_convolution_in_torchs_layout() -> None:
    rng = np.random.default_rng(0)
    kernel, image = rng.normal(size=(4, 3, 2, 3)), rng.normal(size=(3, 6, 7))
    conv = cs.Conv2d(kernel, image.shape, stride=(2, 1), padding=1)
    assert conv.output_shape == (4, 4, 7) and conv.shape == (4 * 4 * 7, 3 * 6 * 7)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    expected = np.zeros(conv.output_shape)
    for o, a, b in np.ndindex(*conv.output_shape):
        expected[o, a, b] = (kernel[o] * padded[:, 2 * a : 2 * a + 2, b : b + 3]).sum()
    post, pre, index = conv.targets()
    found = np.zeros(conv.shape[0])
    np.add.at(found, post, np.asarray(conv.kernel).ravel()[index] * image.ravel()[pre])
    np.testing.assert_allclose(found.reshape(conv.output_shape), expected)
