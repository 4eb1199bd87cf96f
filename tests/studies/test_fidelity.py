"""From a tool's neurons to a chip's: counts of spikes, late resets, second synapses, each against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import chipsim as cs
from chipsim.errors import CompileError, NetworkError
from chipsim.mappings.compiler.quantise.quantise import quantise
from chipsim.mappings.compiler.quantise.reference import run_float, run_integer
from chipsim.mappings.compiler.quantise.rounding import moments, rounded
from chipsim.mappings.formats.nir.reader import aligned, padded
from chipsim.mappings.network.ideal import IF, LI, LIF
from chipsim.mappings.network.idealise import KEEPS, idealise
from chipsim.mappings.network.substeps import substepped

DT = 1e-3
LOIHI2 = cs.chip("loihi2")


def pair(model, w, source=None):
    net = cs.Network("pair")
    x = net.add("x", source or cs.SpikeSource(np.shape(w)[1]))
    net.connect(x, net.add("h", model), w)
    return net


def rows(steps, n, rate=0.3, seed=0):
    return (np.random.default_rng(seed).random((steps, n)) < rate).astype(int)


# ------------------------------------------------------------------------------------------- counts of spikes


@settings(max_examples=30, deadline=None)
@given(
    seed=some.integers(0, 10**6),
    du=some.sampled_from([4095, 2000, 100]),
    dv=some.sampled_from([0, 300, 4095]),
    kind=some.sampled_from(["many", "waits"]),
    most=some.sampled_from([65535, 3]),
    vmin=some.sampled_from([-(2**23) + 1, -20000]),
)
def test_counting_neurons_in_the_chip_s_integers(seed, du, dv, kind, most, vmin):
    """Two layers of counts against the slow integer run: u, v and every count."""
    rng = np.random.default_rng(seed)
    net = cs.Network("counts")
    x = net.add("x", cs.SpikeSource(6, graded=1))
    registers = dict(bias_mant=rng.integers(-300, 300, 5), reset_by=rng.choice([0, 5000]), most=most, vmin=vmin)
    vth = rng.integers(20, 200, 5)
    a = net.add("a", cs.loihi.CountLIF(5, du=du, dv=dv, vth=vth, spikes=kind, **registers))
    b = net.add("b", cs.loihi.CountLIF(4, du=du, dv=dv, vth=150, spikes="many"))
    net.connect(x, a, cs.loihi.Synapses(rng.integers(-127, 127, (5, 6)) * 2, exponent=1, message_bits=24))
    net.connect(a, b, cs.loihi.Synapses(rng.integers(-60, 127, (4, 5)) * 2, message_bits=24))
    given_rows = rng.integers(0, 5, (40, 6))
    want = run_integer(net, {"x": given_rows}, keep_v=True)
    got = cs.Emulator(cs.compile(net, "loihi2")).run({"x": given_rows}, 40, record={"a": ["v"], "b": ["v"]})
    for name in ("a", "b"):
        np.testing.assert_array_equal(got.trace[name]["v"], want.v[name])
        np.testing.assert_array_equal(got.spikes[name], want.spikes[name])


def test_counts_by_hand():
    """Three thresholds and a half arrive: three spikes, half a threshold stays; the next half gives one more."""
    net = pair(
        cs.loihi.CountLIF(1, du=4095, dv=0, vth=100),
        cs.loihi.Synapses([[70]], message_bits=24),
        cs.SpikeSource(1, graded=1),
    )
    got = cs.Emulator(cs.compile(net, "loihi2")).run({"x": np.array([[5], [1], [0], [0]])}, 4, record={"h": ["v"]})
    np.testing.assert_array_equal(got.spikes["h"][:, 0], [0, 3, 1, 0])
    np.testing.assert_array_equal(got.trace["h"]["v"][:, 0], [0, 50 * 64, 20 * 64, 20 * 64])


def test_ideal_counts_and_floor_quantised():
    """An ideal neuron that counts, with a lowest potential, in floats and on the chip: the same counts."""
    w = np.array([[2.0, -3.0, 0.5], [1.0, 0.25, -1.0]])
    net = pair(IF(2, threshold=1.0, reset="subtract", spikes="many", lowest=-1.0), w)
    inputs = {"x": rows(200, 3, 0.4)}
    floats = run_float(net, inputs, DT)
    assert floats.spikes["h"].max() > 1
    native, _ = quantise(net, LOIHI2, dt=DT)
    chip = cs.Emulator(cs.compile(native, "loihi2", dt=DT)).run(inputs, 200)
    assert np.abs(chip.spikes["h"].sum(0) - floats.spikes["h"].sum(0)).max() <= 1
    own = cs.Emulator(cs.compile(net, "float", dt=DT)).run(inputs, 200)
    np.testing.assert_array_equal(own.spikes["h"], floats.spikes["h"])


def test_chips_without_microcode_refuse_counts():
    w = np.ones((2, 2))
    net = pair(IF(2, reset="subtract", spikes="waits"), w)
    with pytest.raises(CompileError, match=r"'h'.*microcode.*loihi2"):
        quantise(net, cs.chip("unlimited").model_copy(update={"name": "plain", "arithmetic": plain_neurons()}))
    with pytest.raises(CompileError, match=r"no ideal float neuron waits"):
        cs.compile(net, "float")
    for bad in ({"spikes": "many"}, {"spikes": "many", "reset": "subtract", "refractory": 2e-3}, {"lowest": 0.5}):
        with pytest.raises(NetworkError, match=r"IF: (spikes='many' needs|lowest=0.5)"):
            IF(2, **bad)


def plain_neurons():
    return cs.chip("unlimited").arithmetic.model_copy(update={"neuron_models": ("LIF",)})


# ------------------------------------------------------------------------------------------------ late resets


@pytest.mark.parametrize("current", [0.0, 0.7])
@pytest.mark.parametrize("at_once", [0, 1])
@pytest.mark.parametrize("after", ["late_subtract", "late_zero", "late_forget", "subtract", "value"])
def test_resets_keep_their_meaning(after, at_once, current):
    """The ideal neuron that `idealise` makes spikes just when the tool's unit does, potentials over 2 th included."""
    rng = np.random.default_rng(1)
    unit = cs.floats.Unit(8, kept=rng.uniform(0.7, 0.99, 8), current_kept=current, current_gain=1.0 if current else 0.0,
                          gain=1.0 if current else 0.0, input_gain=0.0 if current else 1.0, threshold=1.0,
                          sends="above", after_spike=after, at_once=at_once)  # fmt: skip
    net = cs.Network("late")
    x = net.add("x", cs.SpikeSource(5))
    net.connect(x, net.add("h", unit), cs.floats.Synapses(rng.normal(0.4, 1.0, (8, 5))))
    inputs = {"x": rows(300, 5)}
    tool = cs.Emulator(cs.compile(net, "float")).run(inputs, 300)
    ideal = idealise(net, DT, keeps=KEEPS)
    assert not ideal.metadata["idealised"]
    np.testing.assert_array_equal(run_float(ideal, inputs, DT).spikes["h"], tool.spikes["h"])
    assert tool.spikes["h"].mean() > 0.1


# ------------------------------------------------------------------------------------------- second synapses


def test_second_synapses_hold_the_low_bits():
    """Both synapses of a weight together: its value to half a step of the second, finer by their exponents."""
    w = np.random.default_rng(2).normal(0, 0.4, (30, 40))
    one, coarse = quantise(pair(LIF(30, tau_mem=10e-3), w), LOIHI2, dt=DT)
    both, fine = quantise(pair(LIF(30, tau_mem=10e-3), w), LOIHI2, dt=DT, low_bits=8)
    assert list(both.projections) == ["x->h", "x->h (low bits)"]
    scale = fine.populations["h"].scale
    got = sum(p.synapses.mantissa * 2.0 ** (p.synapses.exponent + 6) for p in both.projections.values()) / scale
    gain = np.median(got / w)
    step = 2.0 ** (both.projections["x->h (low bits)"].synapses.exponent + 6) * 2 / scale
    assert np.abs(got - gain * w).max() <= step
    first, second = (p.synapses.exponent for p in both.projections.values())
    ratio = coarse.projections["x->h"].error_max / fine.projections["x->h (low bits)"].error_max
    assert ratio == pytest.approx(2.0 ** (first - second), rel=0.1) and ratio > 50
    assert fine.projections["x->h (low bits)"].clipped == 0
    np.testing.assert_array_equal(one.projections["x->h"].synapses.mantissa, both.projections["x->h"].synapses.mantissa)


def test_convolutions_get_second_synapses_unrolled():
    kernel = np.random.default_rng(3).normal(0, 0.4, (2, 1, 3, 3))
    net = cs.Network("conv")
    x = net.add("x", cs.SpikeSource((1, 6, 6)))
    net.connect(x, net.add("h", IF((2, 4, 4))), cs.Conv2d(kernel, (1, 6, 6)))
    native, report = quantise(net, LOIHI2, dt=DT, low_bits=8)
    inputs = {"x": rows(100, 36)}
    floats, chip = run_float(net, inputs, DT), cs.Emulator(cs.compile(native, "loihi2")).run(inputs, 100)
    assert floats.spikes["h"].any() and report.projections["x->h (low bits)"].error_max < 1e-4
    assert (floats.spikes["h"] == chip.spikes["h"].reshape(100, -1)).mean() > 0.999


def test_a_learning_projection_keeps_one_synapse():
    net = cs.Network("learns")
    x = net.add("x", cs.SpikeSource(2))
    net.connect(x, net.add("h", LIF(2)), np.ones((2, 2)), rule=cs.rules.stdp())
    with pytest.raises(CompileError, match=r"'x->h' learns.*low_bits=0"):
        quantise(net, LOIHI2, low_bits=8)


# -------------------------------------------------------------------------------------- a second compartment


def test_soft_reset_through_a_second_compartment():
    """What the second compartment sends back is a synapse's weight, and acts like subtraction at the spike."""
    w = np.random.default_rng(4).normal(0.2, 0.4, (20, 30))
    net = pair(LIF(20, tau_mem=8e-3, reset="subtract"), w)
    with pytest.raises(CompileError, match=r"'h'.*resets to zero only.*'compartments': 2"):
        quantise(net, cs.chip("loihi"), dt=DT)
    native, report = quantise(net, cs.chip("loihi"), dt=DT, compartments=2)
    model = native.populations["h"].model
    assert type(model) is cs.loihi.SoftLIF and report.populations["h"].reset_error < 1e-4
    keep = 4096 - int(model.values["dv"])
    back = round(int(model.values["reset_by"]) * keep / 4096)
    weight = back >> 6
    assert back == weight << 6 and any(weight % 2**e == 0 and weight >> e <= 255 for e in range(8))
    inputs = {"x": rows(300, 30)}
    result = cs.Emulator(cs.compile(native, "loihi", dt=DT)).run(inputs, 300)
    np.testing.assert_array_equal(result.spikes["h"], two_compartments(native, inputs["x"], back))
    floats = run_float(net, inputs, DT).spikes["h"]
    assert np.abs(result.spikes["h"].mean(0) - floats.mean(0)).max() < 0.01
    updates = result.activity.updates_active + result.activity.updates_idle
    np.testing.assert_array_equal(updates.sum(axis=1), 2 * 20)


def two_compartments(native, x, back):
    """The integrating compartment is never cleared; the other's spike inhibits it in the next step."""
    model, synapses = native.populations["h"].model, native.projections["x->h"].synapses
    du, dv, vth = (int(model.values[k]) for k in ("du", "dv", "vth"))
    u, v, spike = np.zeros(20, np.int64), np.zeros(20, np.int64), np.zeros(20, bool)
    out = []
    for row in np.concatenate([np.zeros((1, 30), int), x[:-1]]):
        u = tr(u * (4096 - du - 1)) + ((synapses.mantissa.astype(np.int64) @ row << synapses.exponent) << 6)
        v = tr(v * (4096 - dv)) - np.where(spike, back, 0) + u
        spike = v > vth << 6
        out.append(spike)
    return np.array(out)


def tr(x):
    return np.sign(x) * (np.abs(x) >> 12)


def test_second_compartments_take_room():
    net = pair(IF(1000, reset="subtract"), np.full((1000, 2), 0.3))
    program = cs.compile(net, "loihi", quantise={"compartments": 2})
    assert len(program.cores) == 2
    assert len(cs.compile(net, "loihi2").cores) == 1
    with pytest.raises(CompileError, match=r"'h' resets by 'subtract'"):
        cs.compile(pair(cs.loihi.LIF(2, reset="subtract"), cs.loihi.Synapses([[1, 1], [1, 1]])), "loihi")


def test_feedback_of_neurons_with_decays_of_their_own():
    """Each takes the nearest weight: within half of the last bit of 8."""
    w = np.random.default_rng(5).normal(0.2, 0.4, (20, 30))
    net = pair(LIF(20, tau_mem=np.linspace(3e-3, 40e-3, 20), reset="subtract"), w)
    _, report = quantise(net, cs.chip("loihi"), dt=DT, compartments=2)
    assert 0 < report.populations["h"].reset_error < 1 / 256


# ------------------------------------------------------------------------------------------------- substeps


def counting(k, bias=0.0, current=0.0):
    """Neurons that send several spikes in a step, as sinabs has them, with a recurrent and a delayed connection."""
    rng = np.random.default_rng(6)
    kept = 1.0 if not current else 0.9
    kind = dict(sends="many", after_spike="subtract", kept=kept, threshold=1.0, bias=bias)
    kind |= dict(current_kept=current, current_gain=1.0, gain=0.3) if current else dict(input_gain=1.0)
    net = cs.Network("counting")
    x, h = net.add("x", cs.SpikeSource(6)), net.add("h", cs.floats.Unit(5, **kind))
    o = net.add("o", cs.floats.Unit(4, **kind))
    net.connect(x, h, cs.floats.Synapses(rng.uniform(0, 1.5, (5, 6))))
    net.connect(h, o, cs.floats.Synapses(rng.uniform(0, 0.4, (4, 5)), 2))
    net.connect(o, o, cs.floats.Synapses(rng.uniform(0, 0.05, (4, 4))))
    net.metadata["nir"] = {"depth": {"x": 0, "h": 1, "o": 2}}
    return net if k == 1 else substepped(net, k)


def counted(net, x, k):
    inputs, steps = padded(net, {"x": x}, k)
    result = cs.Emulator(cs.compile(net, "float")).run(inputs, steps)
    result.program.stages["nir"] = {"substeps": k}
    return aligned(net, result)


@pytest.mark.parametrize("bias", [0.0, 0.35])
def test_substeps_of_neurons_without_leak_lose_no_spike(bias):
    """Excitation only: the spikes of the whole run are the tool's, up to what is under way at its end."""
    x = rows(120, 6, 0.4)
    tool, chip = counted(counting(1, bias), x, 1), counted(counting(8, bias), x, 8)
    assert tool["h"].max() > 2 and chip["h"].max() <= 8
    for name in ("h", "o"):
        late = np.abs(np.cumsum(tool[name], axis=0) - np.cumsum(chip[name], axis=0))
        assert late.max() <= 4, name
        assert np.abs(tool[name].sum(0) - chip[name].sum(0)).max() <= 4
        assert np.corrcoef(tool[name].ravel(), chip[name].ravel())[0, 1] > 0.7


def test_substeps_keep_the_response_of_leaky_neurons():
    """With a synaptic current and a leak: the rates of the tool within 2 %."""
    x = rows(600, 6, 0.4)
    tool, chip = counted(counting(1, 0.1, 0.8), x, 1), counted(counting(10, 0.1, 0.8), x, 10)
    for name in ("h", "o"):
        assert tool[name].mean() > 0.5
        np.testing.assert_allclose(chip[name].mean(0), tool[name].mean(0), rtol=0.02)


def test_substeps_refuse_what_they_cannot_keep():
    one = cs.Network("one")
    x = one.add("x", cs.SpikeSource(2))
    one.connect(x, one.add("h", cs.floats.Unit(2)), cs.floats.Synapses(np.ones((2, 2))))
    with pytest.raises(NetworkError, match=r"'h' sends one spike per step"):
        substepped(one, 4)
    with pytest.raises(NetworkError, match=r"'h->o': a delay of 64 substeps"):
        counting(32)
    with pytest.raises(NetworkError, match="substeps"):
        substepped(one, 0)


# ---------------------------------------------------------------------------------- rounding by what sources do


def slow_rounding(values, step, top, h):
    """The same greedily and plainly: fix a weight, minimise over those still free, go on (no Cholesky factor)."""
    n, out = len(h), values.astype(float).copy()
    order = np.argsort(-np.diag(h), kind="stable")
    h = h + (0.01 * np.trace(h) / n + 1e-12) * np.eye(n)
    for k, j in enumerate(order):
        free = order[k + 1 :]
        fixed = np.clip(np.round(out[:, j] / step) * step, -top, top)
        error = fixed - out[:, j]
        out[:, j] = fixed
        if free.size:
            out[:, free] -= np.outer(error, np.linalg.solve(h[np.ix_(free, free)], h[free, j]))
    return out


@pytest.mark.parametrize("seed", range(4))
def test_rounding_by_moments(seed):
    """Against the plain form; and what it is for: less error of what arrives, with inputs that come together."""
    rng = np.random.default_rng(seed)
    common = rng.random((400, 1)) < 0.3
    h = moments((rng.random((400, 12)) < 0.1) | (common & (rng.random((400, 12)) < 0.6)), 0.9, 0.5)
    values = rng.normal(0, 3, (7, 12))
    got = rounded(values, 2, 8, h)
    np.testing.assert_allclose(got, slow_rounding(values, 2, 8, h), atol=1e-9)
    plain = np.clip(np.round(values / 2) * 2, -8, 8)
    loss = [np.einsum("ij,jk,ik->", q - values, h, q - values) for q in (got, plain)]
    assert loss[0] < 0.8 * loss[1]


def test_rounding_by_data_on_the_chip():
    """Rates nearer to the floats' than with weights rounded one by one; refused without data."""
    rng = np.random.default_rng(8)
    w, inputs = rng.normal(0.05, 0.3, (40, 60)), {"x": rows(400, 60, 0.2)}
    net = pair(LIF(40, tau_mem=10e-3), w)
    far = []
    for method in ("max", "data"):
        _, report = quantise(net, LOIHI2, dt=DT, method=method, bits=4, calibration=inputs)
        native, _ = quantise(net, LOIHI2, dt=DT, method=method, bits=4, calibration=inputs)
        fresh = {"x": rows(400, 60, 0.2, seed=9)}
        rates = [r.spikes["h"].mean(0) for r in (run_float(net, fresh, DT), run_integer(native, fresh))]
        far.append(np.abs(rates[0] - rates[1]).mean())
        assert report.method == method
    assert far[1] < 0.6 * far[0]
    with pytest.raises(NetworkError, match="method='data' needs calibration"):
        quantise(net, LOIHI2, method="data")


def test_readouts_alone_are_compensated():
    """Their response to a constant input stays; a spiking neuron's weights are left as they are."""
    w = np.full((1, 1), 0.7)
    net = cs.Network("both")
    x = net.add("x", cs.SpikeSource(1))
    net.connect(x, net.add("h", LIF(1, tau_mem=901e-3)), w)
    net.connect(x, net.add("o", LI(1, tau_mem=901e-3)), w)
    got = {}
    for compensate in (True, False, "readouts"):
        native, report = quantise(net, LOIHI2, dt=DT, compensate=compensate)
        for p in ("h", "o"):
            s = native.projections[f"x->{p}"].synapses
            got[compensate, p] = float(s.mantissa[0, 0] * 2.0 ** (s.exponent + 6) / report.populations[p].scale / 0.7)
    off = 5 / 4096 * 901  # of the leak, which is rounded from 4.54 to 5
    assert got["readouts", "h"] == got[False, "h"] == pytest.approx(1.0, rel=0.01)
    assert got["readouts", "o"] == got[True, "o"] == got[True, "h"] == pytest.approx(off, rel=0.01)
