"""The recurrence of an ideal neuron against its differential equations, solved numerically."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from chipsim.errors import NetworkError
from chipsim.mappings.compiler.quantise.reference import run_float
from chipsim.mappings.network.ideal import IF, LI, LIF
from chipsim.mappings.network.network import Network
from chipsim.mappings.network.recurrence import recurrence
from chipsim.native import loihi
from chipsim.native.base import SpikeSource

DT = 1e-3


def solved(tau_mem: float, tau_syn: float, r: float, bias: float, rest: float, w: float, spikes: np.ndarray):
    """v at the end of each step; a spike of step t jumps the current at the start of step t + 1."""
    i, v, out = 0.0, rest, []
    for t in range(len(spikes)):
        if t and spikes[t - 1]:
            i += w
        slope = lambda _, y: [-y[0] / tau_syn, (-(y[1] - rest) + r * y[0] + bias) / tau_mem]  # noqa: E731
        i, v = solve_ivp(slope, (0, DT), [i, v], rtol=1e-10, atol=1e-12).y[:, -1]
        out.append(v)
    return np.array(out)


@pytest.mark.parametrize("tau_syn", [3e-3, 20e-3, 40e-3])
def test_membrane_is_exact(tau_syn: float) -> None:
    """Also where both time constants agree, the limit of the closed form."""
    net = Network()
    h = net.add("h", LIF(1, tau_mem=20e-3, tau_syn=tau_syn, threshold=1e6, bias=0.7, r=1.5, v_leak=0.4, v_reset=-1.0))
    net.connect(net.add("x", SpikeSource(1)), h, np.array([[0.8]]))
    spikes = np.random.default_rng(0).random((60, 1)) < 0.3
    got = run_float(net, {"x": spikes}, DT, keep_v=True).v["h"][:, 0] + recurrence(h.model, DT).shift[0]
    np.testing.assert_allclose(got, solved(20e-3, tau_syn, 1.5, 0.7, 0.4, 0.8, spikes[:, 0]), rtol=1e-7)


def test_delta_synapse_adds_at_once() -> None:
    rec = recurrence(LIF(1, tau_mem=10e-3, r=3.0), DT)
    assert (rec.beta[0], rec.gain[0]) == (0.0, 3.0)
    assert rec.alpha[0] == pytest.approx(np.exp(-0.1))


def test_spike_times_of_a_driven_neuron() -> None:
    """A constant bias b > threshold: the interval is the closed form tau ln(b / (b - 1)) plus the
    refractory time.
    """
    tau, b, dead = 20e-3, 1.6, 4e-3
    net = Network()
    net.add("x", SpikeSource(1))
    net.add("h", LIF(1, tau_mem=tau, bias=b, refractory=dead))
    spikes = run_float(net, {"x": np.zeros((400, 1), int)}, DT).spikes["h"][:, 0]
    interval = np.diff(np.flatnonzero(spikes))
    closed = tau * np.log(b / (b - 1)) / DT
    assert set(interval) == {int(np.ceil(closed)) + 4}


def test_resets() -> None:
    """Subtraction keeps what is left over: 0.7 per step at threshold 1 fires 7 times in 10 steps, zero
    every second.
    """
    for reset, count in (("subtract", 69), ("zero", 50)):
        net = Network()
        net.add("x", SpikeSource(1))
        net.add("h", IF(1, bias=0.7, reset=reset))
        assert run_float(net, {"x": np.zeros((100, 1), int)}, DT).spikes["h"].sum() == count


def test_readout_has_no_threshold() -> None:
    rec = recurrence(LI(2, tau_mem=20e-3, v_leak=0.3), DT)
    assert np.all(np.isinf(rec.threshold)) and np.all(rec.shift == 0.3) and not rec.v0.any()


def test_native_models_are_refused() -> None:
    with pytest.raises(NetworkError, match="not an ideal model"):
        recurrence(loihi.LIF(3), DT, "h")
