"""Rules of the library against the kernels of the same rules that replay recorded runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chipsim.rules as rules
from chipsim.kernels.learning.eprop import traces as eprop_traces
from chipsim.rules import Plastic, library
from tests.oracles.rules import resume, span, stdp_dopamine, stdp_facets, stdp_nearest, stdp_pair, tempotron

T = 500


def spike_steps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of both sides; the first presynaptic one is in step 0, where the event kernels begin."""
    rng = np.random.default_rng(seed)
    pre, post = np.flatnonzero(rng.random(T) < 0.08), np.flatnonzero(rng.random(T) < 0.08)
    assert np.intersect1d(pre, post).size, "coinciding spikes are the hard case"
    return np.union1d([0], pre), post[post > 0]


def stepped(rule, pre, post, w0: float, third=None, v=None) -> tuple[Plastic, np.ndarray]:
    """The declared rule through time: the projection, and its weight after every presynaptic spike."""
    p, out = Plastic(rule, np.array([[w0]])), []
    for t in range(T):
        factors = {name: values[t] for name, values in (third or {}).items()}
        p.step(np.array([t in pre]), np.array([t in post]), third=factors, **({} if v is None else {"v": v[t]}))
        if t in pre:
            out.append(p.weights[0, 0])
    return p, np.array(out)


@pytest.mark.parametrize("scheme", ["symmetric", "pre_centered", "restricted"])
@pytest.mark.parametrize("mu", [1.0, 0.4])
def test_nearest_neighbour_schemes(scheme: str, mu: float) -> None:
    pre, post = spike_steps(3)
    settings = {"tau_plus": 16.0, "tau_minus": 22.0, "lam": 0.02, "alpha": 1.05, "mu_plus": mu, "mu_minus": mu}
    make = {"symmetric": rules.stdp, "pre_centered": rules.stdp_pre_centered, "restricted": rules.stdp_restricted}
    nearest = {"nearest": True} if scheme == "symmetric" else {}
    _, ours = stepped(make[scheme](**settings, w_max=2.0, **nearest), pre, post, 1.0)
    out = np.empty(len(pre))
    par = stdp_pair.PairStdp(16.0, 22.0, 0.02, 1.05, mu, mu, 2.0)
    stdp_nearest.replay(par, stdp_nearest.SCHEMES[scheme], pre * 1.0, post * 1.0, 0.0, 1.0, out)
    np.testing.assert_allclose(ours, out, rtol=1e-12)
    assert np.ptp(out) > 0.02


def test_power_law() -> None:
    pre, post = spike_steps(4)
    _, ours = stepped(rules.stdp_power_law(18.0, 24.0, 0.05, 0.3, 0.4, 9.0), pre, post, 0.7)
    out = np.empty(len(pre))
    par = stdp_pair.PairStdp(18.0, 24.0, 0.05, 0.3, 0.4, 1.0, 9.0)
    stdp_pair.replay_power_law(par, pre * 1.0, post * 1.0, 0.0, 0.7, out)
    np.testing.assert_allclose(ours, out, rtol=1e-12)


@pytest.mark.parametrize(("tau_plus", "tau_minus", "entries"), [(15.0, 25.0, {5, 6, 7}), (30.0, 6.0, {7, 9, 11})])
def test_facets_with_its_own_tables(tau_plus: float, tau_minus: float, entries: set[int]) -> None:
    pre, post = spike_steps(5)
    up = np.array([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 14, 15])
    tables = np.stack([up, np.maximum(np.arange(16) - 1, 0), np.arange(16)])
    config = np.array([[0, 0, 1, 0], [0, 1, 0, 0]])
    high, low, cycle, first = 1.2, 1.1, 30.0, 12.0
    par = stdp_facets.Facets(tau_plus, tau_minus, high, low, config, tables, np.ones((3, 2), int), 1.0, cycle)
    out = np.empty(len(pre))
    stdp_facets.replay(par, pre * 1.0, post * 1.0, first, 0.0, 7.0, out)
    visit = np.isin(np.arange(T), np.arange(first + 1, T, cycle)).astype(float)
    _, ours = stepped(rules.stdp_facets(tau_plus, tau_minus, 2 * high - low), pre, post, 7.0, {"visit": visit})
    np.testing.assert_array_equal(ours, out)
    assert set(out) >= entries


def test_dopamine_between_events_is_exact() -> None:
    pre, post = spike_steps(6)
    rewards = np.array([40, 41, 170, 300, 420])
    dopamine, n = np.zeros(T), 0.0  # at the start of each step, the rewards of the step before in it
    for t in range(1, T):
        n = n * np.exp(-1 / 30.0) if t > 1 else 0.0
        n += np.count_nonzero(rewards == t - 1) / 30.0
        dopamine[t] = n
    rule = rules.dopamine_stdp(16.0, 22.0, 120.0, 30.0, 0.1, 0.12, 0.001, (-50.0, 50.0))
    _, ours = stepped(rule, pre, post, 1.0, {"dopamine": dopamine})
    out = np.empty(len(pre))
    par = stdp_dopamine.DopamineStdp(16.0, 22.0, 120.0, 30.0, 0.1, 0.12, 0.001, -50.0, 50.0)
    stdp_dopamine.replay(par, pre * 1.0, post * 1.0, rewards * 1.0, 0.0, 1.0, out)
    np.testing.assert_allclose(ours, out, rtol=1e-12)
    assert np.ptp(out) > 0.01


def test_resume_sums_over_desired_and_actual_spikes() -> None:
    pre, post = spike_steps(7)
    desired = np.flatnonzero(np.random.default_rng(1).random(T) < 0.03)
    teacher = np.isin(np.arange(T), desired).astype(float)
    p, _ = stepped(rules.resume(9.0, 0.05, 0.8, eta=1.0), pre, post, 0.3, {"desired": teacher})
    exact = resume.update(pre * 1.0, desired * 1.0, post * 1.0, 0.05, 0.8, 9.0)
    assert p.weights[0, 0] - 0.3 == pytest.approx(exact, rel=1e-12)


def test_span_is_the_integral_of_alpha_kernels() -> None:
    """A sum over steps of products of smooth kernels: the trapezoidal rule, second order in a step over tau."""
    tau, inside = 20.0, 250
    pre, post = (s[s < inside] for s in spike_steps(8))
    desired = np.flatnonzero(np.random.default_rng(2).random(inside) < 0.03)
    since = np.arange(T)[:, None] - np.arange(T)
    kernel = np.where(since >= 0, since * np.exp(1 - since / tau) / tau, 0.0)
    sign = np.isin(np.arange(T), desired) * 1.0 - np.isin(np.arange(T), post)
    p, _ = stepped(rules.span(tau, eta=1.0), pre, post, 0.0, {"error": kernel @ sign})
    exact = span.update(pre * 1.0, desired * 1.0, post * 1.0, 1.0, tau)
    assert p.weights[0, 0] == pytest.approx(exact, rel=1e-3)


def test_tempotron_follows_the_gradient_of_the_highest_potential() -> None:
    """Two patterns, one spike missed, one too many; the membrane given is that of the kernel."""
    rng = np.random.default_rng(9)
    n, steps = 6, 120
    rule = rules.tempotron(15.0, 3.75, eta=0.5)
    v0 = tempotron.kernel_scale(15.0, 3.75)
    w = rng.normal(size=n)
    p = Plastic(rule, w[None].copy())
    expected = w.copy()
    for verdict in (1.0, -1.0):
        spikes = rng.random((steps, n)) < 0.05
        times = [np.flatnonzero(s) * 1.0 for s in spikes.T]
        counts, flat = np.array([len(s) for s in times]), np.concatenate(times)
        v, slope = np.empty(steps), np.empty(n)
        best = tempotron.potential(flat, counts, expected, 15.0, 3.75, v0, 1.0, v)
        tempotron.gradient(flat, counts, float(best), 15.0, 3.75, v0, slope)
        expected = expected + verdict * 0.5 * slope
        p.pre_vars[:] = 0.0  # silence between patterns, long enough
        for t in range(steps):
            last = t == steps - 1
            p.step(spikes[t], np.zeros(1), v=v[t], third={"verdict": verdict * last, "end": float(last)})
        np.testing.assert_allclose(p.weights[0], expected, rtol=1e-12)


def test_eprop_of_adaptive_neurons_carries_both_eligibilities() -> None:
    rng = np.random.default_rng(10)
    n, beta = 5, 0.3
    rule = rules.eprop_alif(20.0, 15.0, 200.0, beta, eta=1.0)
    p = Plastic(rule, np.zeros((1, n)))
    spikes, v, signal = rng.random((T, n)) < 0.1, rng.normal(1.0, 0.5, T), rng.normal(size=T)
    surrogate = rule.surrogate
    psi = surrogate.height * np.maximum(0.0, 1.0 - np.abs(v - 1.0) / surrogate.width)
    zbar, state = np.empty((T, n)), np.zeros((4, n))
    eprop_traces.filter_tile(spikes.astype(np.uint8), np.exp(-1 / 20.0), 1.0, np.zeros(n), zbar)
    kappa, rho = np.exp(-1 / 15.0), np.exp(-1 / 200.0)
    eprop_traces.alif_row(zbar, psi, signal, kappa, rho, beta, *state)
    for t in range(T):
        p.step(spikes[t], np.zeros(1), v=v[t], threshold=1.0, third={"L": signal[t]})
    np.testing.assert_allclose(-p.weights[0], state[3], rtol=1e-12)
    np.testing.assert_allclose(p.state("slow")[0], state[0], rtol=1e-12)


def test_a_rule_is_one_new_file(tmp_path: Path) -> None:
    """A module in the library's folder that marks a function with @shipped: `cs.rules` has it, nothing else changes."""
    package = Path(library.__file__).parent
    (tmp_path / "oja.py").write_text(
        "from chipsim.rules.declaring import rule\n"
        "from chipsim.rules.library.shipped import shipped\n\n\n"
        "@shipped\ndef oja(eta=0.1):\n    @rule()\n    def oja(w, r_pre, r_post, *, eta=eta):\n"
        "        w = w + eta * r_post * (r_pre - r_post * w)\n\n    return oja\n"
    )
    code = f"""
import importlib.util, sys
places = [{str(package)!r}, {str(tmp_path)!r}]
file = {str(package / "__init__.py")!r}
spec = importlib.util.spec_from_file_location("chipsim.rules.library", file, submodule_search_locations=places)
module = sys.modules["chipsim.rules.library"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import chipsim as cs
assert cs.rules.check(cs.rules.oja()).passed
"""
    subprocess.run([sys.executable, "-c", code], check=True)
