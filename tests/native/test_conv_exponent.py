"""A convolution is its synapses: the same bits as the dense matrix of them, under every arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.chips.arithmetic import PRESETS
from chipsim.errors import CompileError
from chipsim.mappings.formats.lava.synapses import kernel_in_lava
from chipsim.native.synapses import Conv

ARITHMETICS = ("lava", "nengo_loihi", "brian2_loihi")
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SIGNS = {"mixed": (-127, 128), "excitatory": (0, 128), "inhibitory": (-127, 1)}


def currents(synapses, arithmetic: str, values: np.ndarray, graded: int, du: int = 4095) -> np.ndarray:
    net = cs.Network()
    net.add("x", cs.SpikeSource(values.shape[1], graded=graded))
    net.add("a", cs.loihi.LIF(synapses.shape[0], du=du, dv=100, vth=131071))
    net.connect("x", "a", synapses)
    program = cs.compile(net, "unlimited", arithmetic=arithmetic)
    return cs.Emulator(program).run({"x": values}, record={"a": ["u"]}).trace["a"]["u"]


@pytest.mark.parametrize(("exponent", "u"), [(0, 640), (3, 5120), (7, 81920), (-1, 320), (-2, 128)])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_kernel_of_ten(arithmetic: str, exponent: int, u: int) -> None:
    conv = Conv(np.full((1, 1, 1, 1), 10), (1, 1, 1), exponent=exponent)
    assert currents(conv, arithmetic, np.array([[1], [0]]), 0).max() == u


def test_on_floats_the_exponent_is_a_factor() -> None:
    net = cs.Network()
    net.add("x", cs.SpikeSource(1))
    net.add("a", cs.floats.LIF(1, threshold=1e9))
    net.connect("x", "a", Conv(np.full((1, 1, 1, 1), 2.5), (1, 1, 1), exponent=3))
    got = cs.Emulator(cs.compile(net, "float")).run({"x": [[1], [0]]}, record={"a": ["u"]}).trace["a"]["u"]
    assert got.max() == 20.0


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sign = draw(st.sampled_from(list(SIGNS)))
    groups = draw(st.sampled_from([1, 2]))
    kernel = rng.integers(*SIGNS[sign], (2, draw(st.integers(1, 3)), draw(st.integers(1, 2)), 2 // groups)) * 2
    geometry = {"stride": draw(st.integers(1, 2)), "padding": draw(st.integers(0, 1)), "groups": groups}
    bits = draw(st.sampled_from([0, 8]))
    channels = draw(st.sampled_from(["first", "last"]))
    shape = (2, 4, 3) if channels == "first" else (4, 3, 2)
    exponent = draw(st.integers(-5, 7))
    conv = Conv(kernel, shape, channels=channels, exponent=exponent, message_bits=bits, **geometry)
    values = rng.integers(-20, 21, (draw(st.integers(1, 4)), 24)) if bits else rng.random((3, 24)) < 0.3
    return conv, sign, values, draw(st.sampled_from(ARITHMETICS)), int(rng.integers(0, 4096))


@SETTINGS
@given(cases())
def test_equals_the_matrix_of_its_synapses(case) -> None:
    conv, sign, values, arithmetic, du = case
    post, pre, index = conv.targets()
    matrix = np.zeros(conv.shape, np.int64)
    matrix[post, pre] = conv.kernel.ravel()[index]
    dense = cs.loihi.Synapses(matrix, exponent=conv.exponent, sign=sign, message_bits=conv.message_bits)
    graded = int(conv.message_bits > 0)
    # the sign of a kernel of zeros, or of one sign, follows from its values
    assert np.array_equal(
        currents(conv, arithmetic, values, graded, du), currents(dense, arithmetic, values, graded, du)
    )


@pytest.mark.parametrize("arithmetic", ["nengo_loihi", "brian2_loihi"])
def test_tools_without_convolutions_cut_kernels_as_weights(arithmetic: str) -> None:
    kernel = np.array([[[[-7, 5]]], [[[3, 251]]]])
    conv = Conv(kernel, (1, 1, 2), exponent=-1)
    dense = cs.loihi.Synapses(kernel[:, 0, 0, :], exponent=-1, sign="mixed")
    values = np.eye(2, dtype=int)[[0, 1, 0]]
    assert np.array_equal(currents(conv, arithmetic, values, 0), currents(dense, arithmetic, values, 0))


def test_lava_gets_the_kernel_that_acts() -> None:
    """Lava's convolutions have no exponent: it is multiplied in, or refused where it cuts bits of a sum."""
    kernel = np.array([[[[6, -4]]]])
    for exponent, want in ((0, kernel), (3, kernel * 8), (-1, kernel // 2)):
        conv = Conv(kernel, (1, 1, 2), exponent=exponent)
        assert np.array_equal(kernel_in_lava(conv, PRESETS["lava"], "p"), want)
    with pytest.raises(CompileError, match="exponent -2 cuts bits of a sum"):
        kernel_in_lava(Conv(kernel, (1, 1, 2), exponent=-2), PRESETS["lava"], "p")
    rounded = kernel_in_lava(Conv(np.array([[[[5, -3]]]]), (1, 1, 2), exponent=2), PRESETS["nengo_loihi"], "p")
    assert rounded.tolist() == [[[[16, -16]]]], "halves to even: 4 and -4, times 4"
