"""Floats to the chip's integers: scales, registers, errors, reports and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from chipsim.chips.read import load_chip
from chipsim.errors import CompileError, NetworkError
from chipsim.mappings.compiler.quantise.quantise import quantise
from chipsim.mappings.compiler.quantise.reference import run_float, run_integer
from chipsim.mappings.network.ideal import IF, LI, LIF, Conv2d
from chipsim.mappings.network.network import Network
from chipsim.native import floats, loihi
from chipsim.native.base import SpikeSource

LOIHI, LOIHI2, UNLIMITED, FLOAT = (load_chip(c) for c in ("loihi", "loihi2", "unlimited", "float"))


def pair(model, weights, n_in=None, delay=0) -> Network:
    net = Network()
    x = net.add("x", SpikeSource(n_in or weights.shape[1]))
    net.connect(x, net.add("h", model), weights, delay=delay)
    return net


def recurrent(seed: int, n: int = 20) -> Network:
    rng = np.random.default_rng(seed)
    net = Network()
    x = net.add("x", SpikeSource(15))
    tau = rng.uniform(5e-3, 50e-3, n)
    h = net.add("h", LIF(n, tau_mem=tau, tau_syn=5e-3, bias=rng.uniform(0, 0.5, n), refractory=2e-3))
    o = net.add("o", IF(5, threshold=2.0))
    net.connect(x, h, rng.normal(0.2, 0.4, (n, 15)), delay=rng.integers(0, 5, (n, 15)))
    net.connect(h, h, sp.random_array((n, n), density=0.3, random_state=rng) * 0.2)
    net.connect(h, o, rng.normal(0.1, 0.3, (5, n)), delay=3)
    return net


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.floats(1e-4, 1e4),
    threshold=st.floats(1e-3, 1e3),
    bias=st.floats(-2, 2, width=16),
    tau=st.floats(2e-3, 0.5),
    bits=st.integers(1, 8),
    method=st.sampled_from(["max", "percentile", "mse"]),
    granularity=st.sampled_from(["population", "neuron"]),
    sign=st.sampled_from([1, -1, 0]),
)
def test_registers_stay_in_range_and_weights_within_half_a_step(
    seed, size, threshold, bias, tau, bits, method, granularity, sign
) -> None:
    rng = np.random.default_rng(seed)
    w = rng.normal(0, size, (12, 9))
    w = w if sign == 0 else sign * np.abs(w)
    net = pair(LIF(12, tau_mem=tau, tau_syn=tau / 2, threshold=threshold, bias=bias * threshold), w)
    if bits == 1 and sign == 0:
        with pytest.raises(CompileError, match="no positive value"):
            quantise(net, LOIHI, bits=bits)
        return
    native, report = quantise(net, LOIHI, method=method, granularity=granularity, bits=bits)
    model, synapses = native.populations["h"].model, native.projections["x->h"].synapses
    limits = LOIHI.limits
    vth = model.per_neuron("vth")
    assert vth.min() >= limits.vth[0] and vth.max() <= limits.vth[1]
    assert np.unique(vth).size <= limits.threshold_profiles
    assert np.abs(model.per_neuron("bias_mant")).max() <= limits.bias_mantissa[1]
    assert limits.weight_exponent[0] <= synapses.exponent <= limits.weight_exponent[1]
    step = 1 << (8 - bits + (synapses.sign == "mixed"))
    assert np.all(synapses.mantissa % step == 0) and np.abs(synapses.mantissa).max() <= 255 // step * step
    found = report.projections["x->h"]
    if granularity == "population" and method == "max":
        # No weight is clipped and each is nearest: |w - m unit| is at most half a step.
        assert found.clipped == 0
        assert np.all(np.abs(synapses.mantissa * found.unit - w) <= step * found.unit * 0.5 * (1 + 1e-9))


def test_largest_weight_takes_the_full_mantissa() -> None:
    rng = np.random.default_rng(1)
    for w, top in ((rng.normal(size=(6, 8)), 254), (rng.random((6, 8)), 255), (-rng.random((6, 8)), 255)):
        native, report = quantise(pair(LIF(6), w), LOIHI)
        assert np.abs(native.projections["x->h"].synapses.mantissa).max() == top
        assert report.projections["x->h"].bits_used == pytest.approx(8, abs=0.01)


def test_projections_into_a_population_share_its_scale() -> None:
    """A weight of 0.01 beside one of 1: the exponent absorbs the range, the ratio of what is added stays."""
    net = Network()
    x, y, h = net.add("x", SpikeSource(1)), net.add("y", SpikeSource(1)), net.add("h", LIF(1))
    net.connect(x, h, np.array([[1.0]]))
    net.connect(y, h, np.array([[0.01]]))
    native, report = quantise(net, LOIHI)
    big, small = (native.projections[k].synapses for k in ("x->h", "y->h"))
    added = [int(s.mantissa[0, 0]) * 2.0**s.exponent for s in (big, small)]
    assert small.exponent < big.exponent
    assert added[1] / added[0] == pytest.approx(0.01, rel=1 / 128)
    assert report.projections["x->h"].unit / 2.0**big.exponent == report.projections["y->h"].unit / 2.0**small.exponent


def test_voltages_in_ideal_units() -> None:
    """Recorded integers times unit plus offset follow the float membrane below threshold."""
    rng = np.random.default_rng(2)
    w = rng.normal(0.3, 0.2, (8, 10))
    model = LIF(8, tau_mem=30e-3, tau_syn=8e-3, threshold=50.0, v_leak=-3.0, v_reset=-3.0, bias=1.5, r=2.0)
    net = pair(model, w)
    spikes = {"x": rng.random((300, 10)) < 0.2}
    native, report = quantise(net, LOIHI)
    want = run_float(net, spikes, 1e-3, keep_v=True).v["h"] - 3.0
    got = run_integer(native, spikes, keep_v=True).v["h"] * report.units["h"] + report.offsets["h"]
    assert np.ptp(want) > 1
    assert np.abs(got - want).max() < 0.02 * np.ptp(want)


def test_compensation_keeps_the_response_to_a_constant_input() -> None:
    """A leak of 1/900 per step rounds to 5/4096, 10 % too fast; the mean voltage stays where it was."""
    net = pair(LIF(1, tau_mem=0.9, bias=0.3), np.array([[0.3]]))
    spikes = {"x": np.arange(9000)[:, None] % 900 == 0}
    want = run_float(net, spikes, 1e-3, keep_v=True).v["h"][-2700:, 0].mean()
    off = []
    for compensate in (True, False):
        native, report = quantise(net, LOIHI, compensate=compensate)
        got = run_integer(native, spikes, keep_v=True).v["h"][-2700:, 0].mean() * report.units["h"]
        off.append(abs(got / want - 1))
    assert off[0] < 0.01 < 0.05 < off[1]


@pytest.mark.parametrize("method", ["max", "percentile", "mse", "nengo_loihi"])
@pytest.mark.parametrize("granularity", ["population", "neuron"])
def test_rates_follow_the_float_network(method: str, granularity: str) -> None:
    net, rng = recurrent(3), np.random.default_rng(3)
    inputs = {"x": rng.random((600, 15)) < 0.1}
    _, report = quantise(net, LOIHI, method=method, granularity=granularity, calibration=inputs)
    for p in report.populations.values():
        assert p.predicted > 0.01
        assert p.achieved == pytest.approx(p.predicted, rel=0.08)
        assert p.correlation > 0.97


def test_sparse_and_dense_weights_agree() -> None:
    rng = np.random.default_rng(4)
    w = sp.random_array((9, 7), density=0.5, random_state=rng, data_sampler=lambda size: rng.normal(size=size))
    dense, one = quantise(pair(LIF(9), w.toarray()), LOIHI)
    sparse, two = quantise(pair(LIF(9), sp.csc_array(w)), LOIHI)
    np.testing.assert_array_equal(
        sparse.projections["x->h"].synapses.mantissa.toarray(), dense.projections["x->h"].synapses.mantissa
    )
    assert one.units == two.units


def test_convolution_equals_its_matrix() -> None:
    """A convolution has no exponent: its integers are those of the matrix at exponent 0, to a rounding
    step.
    """
    rng = np.random.default_rng(5)
    conv = Conv2d(rng.normal(size=(3, 2, 3, 3)), (2, 6, 6), padding=1)
    net = Network()
    net.connect(net.add("x", SpikeSource((2, 6, 6))), net.add("h", IF((3, 6, 6), threshold=3.0)), conv)
    spikes = {"x": rng.random((200, 72)) < 0.1}
    native, report = quantise(net, LOIHI, calibration=spikes)
    kernel = native.projections["x->h"].synapses.kernel
    assert kernel.dtype.kind == "i" and np.abs(kernel).max() >= 254
    unit = report.projections["x->h"].unit
    np.testing.assert_allclose(kernel * unit, conv.kernel, atol=unit / 2 * 1.001)
    assert report.populations["h"].correlation > 0.99


def test_few_thresholds_per_neuron_scale() -> None:
    """Rows of very different size: a scale per neuron cuts the error, with no more thresholds than
    profiles.
    """
    rng = np.random.default_rng(6)
    w = rng.normal(size=(40, 30)) * np.geomspace(0.05, 1, 40)[:, None]
    _, one = quantise(pair(LIF(40), w), LOIHI)
    native, many = quantise(pair(LIF(40), w), LOIHI, granularity="neuron")
    assert 1 < np.unique(native.populations["h"].model.per_neuron("vth")).size <= LOIHI.limits.threshold_profiles
    assert many.projections["x->h"].lost < 0.6 * one.projections["x->h"].lost
    assert many.projections["x->h"].error_rms < one.projections["x->h"].error_rms
    free, _ = quantise(pair(LIF(40), w), LOIHI2, granularity="neuron")
    assert np.unique(free.populations["h"].model.per_neuron("vth")).size > 8


def test_percentile_clips_and_counts() -> None:
    w = np.full((4, 25), 0.1)
    w[0, 0] = 10.0
    _, by_max = quantise(pair(LIF(4), w), LOIHI)
    _, clipped = quantise(pair(LIF(4), w), LOIHI, method="percentile", percentile=95)
    assert by_max.projections["x->h"].clipped == 0 and clipped.projections["x->h"].clipped == 1
    assert any("1 of 100 weights are clipped" in note for note in clipped.warnings)


def test_dead_and_saturated_neurons_are_named() -> None:
    """Neuron 0 is too weak in floats already, neuron 1 loses its only weight to the bits, neuron 3 never stops."""
    w = np.array([[0.001, 0], [0.0015, 0], [0.9, 0.9], [0, 0.1]])
    bias = np.array([0.0, 0.99, 0.0, 300.0])
    net = pair(LIF(4, threshold=[1.0, 0.995, 1.0, 1.0], bias=bias), w)
    _, report = quantise(net, UNLIMITED)
    found = report.populations["h"]
    assert (found.dead, found.dead_ideal, found.saturated) == (2, 1, 1)
    assert any("2 of 4 neurons can never fire (1 could not before)" in note for note in report.warnings)
    assert any("1 of 4 neurons fire whatever the input" in note for note in report.warnings)


def test_a_layer_silenced_by_the_bits_is_reported() -> None:
    """Weights of 0.001 beside one of 1e5 vanish in 1 bit: their neurons fire in floats and are silent on
    the chip.
    """
    w = np.full((4, 6), 0.3)
    w[0, 0] = 1e3
    inputs = {"x": np.ones((200, 6), int)}
    _, report = quantise(pair(IF(4), w), LOIHI, bits=4, calibration=inputs)
    assert report.populations["h"].silenced == 3
    assert any("silent on the chip" in note for note in report.warnings)


def test_reset_by_subtraction_only_where_the_chip_can() -> None:
    net = pair(IF(2, reset="subtract"), np.ones((2, 2)))
    with pytest.raises(CompileError, match=r"'h'.*'loihi' resets to zero only"):
        quantise(net, LOIHI)
    native, _ = quantise(net, LOIHI2)
    assert native.populations["h"].model.values["reset"] == "subtract"


def test_refusals_name_the_thing() -> None:
    w = np.ones((2, 2))
    bad = [
        (pair(LIF(2, refractory=0.1), w), {}, "refractory period of 100 steps"),
        (pair(LIF(2, tau_mem=1e-4), w), {}, "tau_mem=0.0001 s is below dt"),
        (pair(LIF(2, tau_syn=1e-4), w), {}, "tau_syn=0.0001 s is below dt"),
        (pair(IF(2, threshold=0.0), w), {}, "'h': threshold must lie above v_reset"),
        (pair(LIF(2), w), {"undershoot": -1}, "undershoot=-1"),
        (pair(LIF(2), w), {"dt": -1.0}, "dt=-1.0"),
        (pair(LIF(2), w), {"method": "best"}, "method 'best'"),
        (pair(LIF(2), w), {"granularity": "layer"}, "granularity 'layer'"),
        (pair(LIF(2), w), {"bits": 9}, "bits=9"),
        (pair(LIF(2), w), {"compensate": "all"}, "compensate='all'"),
        (pair(LIF(2), w), {"low_bits": 9}, "low_bits=9"),
        (pair(LIF(2), w), {"low_bits": 1}, "low_bits=1"),
        (pair(IF(2, reset="subtract", spikes="many"), w), {}, "'h': reset='subtract'"),
        (pair(LIF(2), w), {"calibration": {"y": np.ones((3, 2))}}, "no population 'y'"),
        (pair(LIF(2), w), {"calibration": {"x": np.ones((3, 5))}}, "input 'x' has shape"),
        (pair(loihi.LIF(2), w), {}, "float weights into the native population 'h'"),
        (
            pair(LIF(2), loihi.Synapses(np.ones((2, 2), int))),
            {},
            "native synapses into the ideal population 'h'",
        ),
    ]
    for net, options, words in bad:
        with pytest.raises((NetworkError, CompileError), match=words):
            quantise(net, LOIHI, **options)


def test_native_parts_pass_untouched() -> None:
    net = pair(loihi.LIF(3, vth=7), loihi.Synapses(np.ones((3, 2), int)))
    h = net.population("h")
    o = net.add("o", LI(2, tau_mem=10e-3))
    net.connect(h, o, np.ones((2, 3)), delay=4)
    native, report = quantise(net, LOIHI)
    assert native.populations["h"].model is h.model
    assert native.projections["x->h"].synapses is net.projections["x->h"].synapses
    assert native.projections["h->o"].synapses.delays == 4
    assert set(report.units) == {"o"}


def test_readout_never_fires() -> None:
    rng = np.random.default_rng(8)
    net = pair(LI(3, tau_mem=20e-3, bias=0.2), rng.normal(0.5, 0.3, (3, 5)))
    inputs = {"x": np.ones((500, 5), int)}
    native, report = quantise(net, LOIHI, calibration=inputs)
    got, want = run_integer(native, inputs, keep_v=True), run_float(net, inputs, 1e-3, keep_v=True)
    assert not got.spikes["h"].any()
    np.testing.assert_allclose(got.v["h"][-1] * report.units["h"], want.v["h"][-1], rtol=0.02)


def test_report_is_plain_and_readable() -> None:
    import json

    _, report = quantise(recurrent(9), LOIHI)
    assert json.loads(json.dumps(report.report()))["method"] == "max"
    text = str(report)
    assert "h: 20 neurons" in text and "x->h: exponent" in text


def test_float_chip_keeps_everything() -> None:
    rng = np.random.default_rng(10)
    net = pair(LIF(4, tau_mem=20e-3, tau_syn=5e-3, refractory=3e-3, v_leak=0.1), rng.normal(size=(4, 3)), delay=2)
    native, report = quantise(net, FLOAT)
    model = native.populations["h"].model
    assert isinstance(model, floats.LavaLIF) and model.values["dv"] == pytest.approx(-np.expm1(-1 / 20), rel=1e-15)
    assert model.values["refractory"] == 3 and report.units == {"h": 1.0}
    soft, _ = quantise(pair(IF(4, reset="subtract"), np.ones((4, 3))), FLOAT)
    assert isinstance(soft.populations["h"].model, floats.LIF)
    with pytest.raises(CompileError, match="refractory"):
        quantise(pair(IF(4, reset="subtract", refractory=5e-3), np.ones((4, 3))), FLOAT)
