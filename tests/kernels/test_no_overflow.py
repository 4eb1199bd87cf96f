"""brian2-loihi's numbers: no overflow of sums, currents or voltages, and traces in the digits of its code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.chips.arithmetic import arithmetic
from chipsim.kernels.learning.sum_of_products.floats import linear_update
from chipsim.rules.products.rule import SumOfProducts
from chipsim.rules.products.state import as_written, linear_state


def decayed(x: int, factor: int) -> int:
    return (abs(x) * factor >> 12) * (1 if x >= 0 else -1)


def naive(weights, exponent: int, spikes, du: int, dv: int, vth: int, refractory: int):
    """In Python's integers, from brian2-loihi 0.5.2 loihi_neuron_group.py: inputs act at once, nothing wraps."""
    acting = np.clip(np.asarray(weights) * 2**exponent, 1 - 2**15, 2**15 - 1) * 64
    n = len(acting)
    u, v, rest, out = [0] * n, [0] * n, [0] * n, []
    for row in spikes:
        fired = []
        for i in range(n):
            u[i] = decayed(u[i], 4095 - du) + int(acting[i][row].sum())
            if rest[i]:
                rest[i] -= 1
                fired.append(False)
                continue
            v[i] = decayed(v[i], 4096 - dv) + u[i]
            fired.append(v[i] > vth << 6)
            if fired[-1]:
                v[i], rest[i] = 0, refractory - 1
        out.append((list(u), list(v), fired))
    return [np.array(x) for x in zip(*out)]


def emulated(weights, exponent, spikes, chosen="brian2_loihi", **registers):
    net = cs.Network()
    net.add("x", cs.SpikeSource(spikes.shape[1]))
    net.add("a", cs.loihi.LIF(len(weights), **registers))
    net.connect("x", "a", cs.loihi.Synapses(weights, exponent=exponent))
    program = cs.compile(net, "unlimited", arithmetic=chosen)
    return cs.Emulator(program).run({"x": spikes}, record={"a": ["u", "v"]})


def test_an_inhibited_neuron_goes_on_falling() -> None:
    result = emulated([[-255]], 7, np.ones((60, 1), int), du=-1, dv=0, vth=131071)
    assert result.trace["a"]["v"][44, 0] == -2_162_073_600
    assert not result.spikes["a"].any() and result.activity.totals()["overflowed"] == 0


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([-1, 0, 3, 900, 4095]), st.sampled_from([0, 1, 200, 4095, 4096]),
    st.integers(0, 7), st.integers(1, 4),
)  # fmt: skip
def test_equals_whole_numbers_without_end(seed: int, du: int, dv: int, exponent: int, refractory: int) -> None:
    rng = np.random.default_rng(seed)
    weights = -rng.integers(0, 256, (3, 40)) * rng.choice([1, 1, -1])
    spikes = rng.random((80, 40)) < 0.9
    vth = int(rng.integers(0, 131072))
    u, v, fired = naive(weights, exponent, spikes, du, dv, vth, refractory)
    result = emulated(weights, exponent, spikes, du=du, dv=dv, vth=vth, refractory=refractory)
    assert np.array_equal(result.trace["a"]["u"], u) and np.array_equal(result.trace["a"]["v"], v)
    assert np.array_equal(result.spikes["a"], fired)


def test_an_arithmetic_made_without_overflow_has_none_either() -> None:
    chosen = arithmetic("lava", current_overflow="none")
    u = emulated([[255]], 7, np.ones((1100, 1), int), chosen, du=-1, dv=4096, vth=0).trace["a"]["u"]
    assert u[-1, 0] == 255 * 128 * 64 * 1099 > 2**31


@pytest.mark.parametrize("tau", [2, 3, 7, 17, 20, 33, 127])
def test_traces_decay_by_fifteen_digits(tau: int) -> None:
    names = {f"{t}_{k}": v for t in ("x1", "y1") for k, v in (("impulse", 1), ("tau", tau))}
    rule = SumOfProducts(dw="0*x0*x1", **names)
    n = 127
    state = linear_state(rule, np.zeros((n, 1)))
    state.traces[0] = np.arange(n)
    state.up[:] = 0
    linear_update(0, rule.tables("excitatory"), state)
    decay = float(f"{1 - 1.0 / tau:.15g}")
    assert state.traces[0].tolist() == [int(x * decay) for x in range(n)]
    assert state.decay[0] == 1 - 1.0 / tau, "the draw uses the whole number"


def test_the_trace_of_the_report() -> None:
    assert int(as_written(1 - 1 / 17)[0] * 119) == 111 and as_written(1 - 1 / 17)[0] == 0.941176470588235
