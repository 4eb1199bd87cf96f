"""E-prop: its forms agree with each other, with a naive network, and with training that is cut and
resumed.
"""

from __future__ import annotations

import numpy as np
import pytest

import chipsim.rules as rules
from chipsim.kernels.arithmetic.surrogates import KINDS, evaluate
from chipsim.mappings.experiments import evidence_accumulation, pattern_generation
from chipsim.rules.e_prop.net import EPropNet
from chipsim.rules.e_prop.online import OnlineEProp
from chipsim.rules.e_prop.rule import Adam, Descent, EProp, Precision
from chipsim.rules.fixed_format import Fixed, fixed
from chipsim.rules.library.three_factor import eprop_synapse

N_IN, N, M, T = 6, 9, 2, 80
BETA = np.r_[np.zeros(5), np.full(4, 0.15)]
BASE = {
    "tau_m": 12.0,
    "tau_out": 9.0,
    "tau_a": 60.0,
    "thr": 0.6,
    "n_ref": 2,
    "scale_input": False,
    "c_reg": 5.0,
}


def problem(seed: int = 0):
    rng = np.random.default_rng(seed)
    w_rec = rng.normal(size=(N, N)) * 0.3
    np.fill_diagonal(w_rec, 0)
    weights = rng.normal(size=(N, N_IN)) * 0.6, w_rec, rng.normal(size=(M, N)), rng.normal(size=(N, M))
    return weights, (rng.random((T, N_IN)) < 0.2).astype(np.uint8), rng.normal(size=(T, M))


def naive_gradient(rule: EProp, weights, x, target):
    """The equations as printed, arrays of all synapses, one step after the other."""
    w_in, w_rec, w_out, feedback = weights
    alpha, kappa, rho = (np.exp(-1 / t) for t in (rule.tau_m, rule.tau_out, rule.tau_a))
    v, a, z, y, zo = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(M), np.zeros(N)
    refractory = np.zeros(N, int)
    state = [{k: np.zeros((N, w.shape[1])) for k in ("eps", "ebar", "sum", "g")} for w in (w_in, w_rec)]
    zbar = [np.zeros(N_IN), np.zeros(N)]
    g_out, spikes, loss = np.zeros((M, N)), np.zeros(N), 0.0
    for t in range(T):
        pre = (x[t].astype(float), z.copy())
        v = alpha * v + w_in @ pre[0] + w_rec @ pre[1] - rule.thr * z
        a = rho * a + z
        refractory = np.maximum(refractory - 1, 0)
        gap = v - rule.thr - rule.beta * a
        psi = np.where(refractory == 0, rule.gamma / rule.thr * np.maximum(0, 1 - np.abs(gap) / rule.thr), 0)
        z = ((gap >= 0) & (refractory == 0)).astype(float)
        refractory[z > 0] = rule.n_ref
        y = kappa * y + (1 - kappa) * w_out @ z
        error = y - target[t]
        loss += 0.5 * (error**2).sum() / M
        zo = kappa * zo + (1 - kappa) * z
        g_out += np.outer(error, zo)
        spikes += z
        for k, s in enumerate(state):
            zbar[k] = alpha * zbar[k] + pre[k]
            e = psi[:, None] * (zbar[k][None] - rule.beta[:, None] * s["eps"])
            s["eps"] = rho * s["eps"] + e
            s["ebar"] = kappa * s["ebar"] + (1 - kappa) * e
            s["sum"] += e
            s["g"] += (feedback @ error)[:, None] * s["ebar"]
    rate = rule.c_reg * (spikes / T - rule.f_target)[:, None] / T
    grads = [s["g"] + rate * s["sum"] for s in state]
    np.fill_diagonal(grads[1], 0)
    return *grads, g_out, loss, spikes


@pytest.mark.parametrize("form", ["adjoint", "traces"])
def test_both_forms_equal_the_printed_equations(form: str) -> None:
    weights, x, target = problem()
    rule = EProp(**BASE, beta=BETA, form=form)
    got = EPropNet(rule, *weights).gradient(x, target)
    g_in, g_rec, g_out, loss, spikes = naive_gradient(rule, weights, x, target)
    assert spikes.sum() > 30 and np.array_equal(got.run.z.sum(0), spikes)
    for ours, naive in ((got.w_in, g_in), (got.w_rec, g_rec), (got.w_out, g_out)):
        np.testing.assert_allclose(ours, naive, rtol=0, atol=1e-12 * np.abs(naive).max())
    assert got.loss == pytest.approx(loss, rel=1e-12)


def test_a_wide_fixed_point_core_equals_float() -> None:
    weights, x, target = problem()
    wide = Fixed(44, 2.0**-40)
    near = EProp(**BASE, beta=BETA, precision=Precision(trace=wide, signal=wide, membrane=wide))
    exact = EPropNet(EProp(**BASE, beta=BETA), *weights).gradient(x, target)
    ours = EPropNet(near, *weights).gradient(x, target)
    np.testing.assert_allclose(ours.w_rec, exact.w_rec, rtol=0, atol=1e-9 * np.abs(exact.w_rec).max())
    np.testing.assert_allclose(ours.w_out, exact.w_out, rtol=0, atol=1e-9 * np.abs(exact.w_out).max())


def test_feedback_kinds() -> None:
    weights, x, target = problem()
    symmetric = EPropNet(EProp(**BASE, beta=BETA, feedback="symmetric"), *weights).gradient(x, target)
    as_random = EPropNet(EProp(**BASE, beta=BETA), *weights[:3], weights[2].T).gradient(x, target)
    np.testing.assert_array_equal(symmetric.w_rec, as_random.w_rec)
    net = EPropNet(EProp(**BASE, beta=BETA, feedback="adaptive", optimizer=Descent(1e-2)), *weights)
    gap = net.feedback - net.w_out.T
    net.step([(x, target)])
    np.testing.assert_allclose(net.feedback - net.w_out.T, gap, atol=1e-15)
    assert np.abs(net.feedback - weights[3]).max() > 0


@pytest.mark.parametrize("threads", [2, 3])
def test_batches_do_not_depend_on_threads(threads: int) -> None:
    weights, x, target = problem()
    batch = [(np.roll(x, k, axis=0), target) for k in range(5)]
    rule = EProp(**BASE, beta=BETA, optimizer=Adam(1e-2), precision=Precision(weights=fixed(8, 4.0)))
    one, many = EPropNet(rule, *weights), EPropNet(rule, *weights)
    for _ in range(3):
        one.step(batch)
        many.step(batch, threads=threads)
    assert np.array_equal(one.w_rec, many.w_rec) and np.array_equal(one.w_in, many.w_in)


def same_weights(one, other) -> bool:
    a, b = one.trainer.weights, other.trainer.weights
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_checkpoint_continues_bit_for_bit() -> None:
    formats = pattern_generation.chip_precision()
    whole = pattern_generation.run(1, 6, formats)
    half = pattern_generation.run(1, 3, formats)
    rest = pattern_generation.run(1, 6, formats, resume=half.state)
    assert np.array_equal(whole.losses, rest.losses) and same_weights(whole, rest)
    size = evidence_accumulation.Size(
        n_in=8, n_lif=4, n_alif=4, cues=3, cue=10, spacing=5, delay=20, recall=20, batch=4
    )
    whole = evidence_accumulation.run(2, size, 6, stop_when_solved=False, test_trials=0)
    half = evidence_accumulation.run(2, size, 3, stop_when_solved=False, test_trials=0)
    rest = evidence_accumulation.run(2, size, 6, stop_when_solved=False, test_trials=0, resume=half.state)
    assert np.array_equal(whole.losses, rest.losses) and same_weights(whole, rest)


def test_pattern_generation_starts_as_nest_does_and_learns() -> None:
    result = pattern_generation.run(1, 60)
    recorded = [
        101.96435699904157,
        103.46673112620579,
        103.34060707477168,
        103.68024403768638,
        104.41277574875247,
    ]
    np.testing.assert_allclose(result.losses[:5], recorded, rtol=1e-12)
    assert result.losses[-5:].mean() < 0.95 * result.losses[:20].mean()


def test_nearest_rounding_stalls_where_stochastic_learns() -> None:
    nearest = pattern_generation.run(1, 40, pattern_generation.chip_precision(rounding="nearest"))
    stochastic = pattern_generation.run(1, 40, pattern_generation.chip_precision())
    start = pattern_generation.task(1).w_rec

    def moved(result) -> float:
        return float((result.trainer.weights["rec->rec"] != np.floor(start * 128 + 0.5) / 128).mean())

    assert moved(nearest) < 0.5 * moved(stochastic)
    report = nearest.trainer.emulator.run({"in": np.zeros((3, 100), bool)}, 3).learning["rec->out"]
    assert report.rule == "eprop"


def test_the_declared_synapse_is_eprop() -> None:
    """The ten-line rule on a plastic projection gives the gradient of the kernel, kept weights aside."""
    weights, x, target = problem()
    rule = EProp(**{**BASE, "c_reg": 0.0, "n_ref": 0})
    got = EPropNet(rule, *weights).gradient(x, target)
    declared = eprop_synapse(
        rule.tau_m,
        rule.tau_out,
        eta=1e-7,
        surrogate=rules.Surrogate("piecewise_linear", rule.gamma / rule.thr, rule.thr),
    )
    late = np.vstack([np.zeros((1, N), np.uint8), got.run.z[:-1]])
    for pre, start, gradient in ((x, weights[0], got.w_in), (late, weights[1], got.w_rec)):
        p = rules.Plastic(declared, np.zeros_like(start))
        for t in range(T):
            p.step(pre[t], got.run.z[t], v=got.run.v[t], threshold=rule.thr, third=weights[3] @ got.error[t])
        change = -p.weights / 1e-7
        if pre is late:
            np.fill_diagonal(change, 0)
        np.testing.assert_allclose(change, gradient, rtol=0, atol=1e-9 * np.abs(gradient).max())


def naive_online(rule: OnlineEProp, x, target, w_in, w_rec, w_out, feedback, steps):
    """One synapse matrix, one step at a time, no cut-off reached: weights at the end of the run."""
    alpha, k_out = np.exp(-1 / rule.tau_m), np.exp(-1 / rule.tau_out)
    w_in, w_rec, w_out = (w.copy() for w in (w_in, w_rec, w_out))
    v, y, rate = np.zeros(N), np.zeros(M), np.zeros(N)
    hist: list[dict] = []
    s = [{k: np.zeros(w.shape) for k in ("zbar", "ebar", "ereg")} for w in (w_in, w_rec)]
    zout, seen = np.zeros(N), [np.zeros(N_IN, bool), np.zeros(N, bool)]
    z = np.zeros(N)
    for n in range(steps):
        arrive = (x[n - 2] if 2 <= n < 2 + len(x) else np.zeros(N_IN), z)
        if n >= 2:
            now, after = hist[n - 2], hist[n - 1]
            for k, w in enumerate((w_in, w_rec)):
                d = s[k]
                d["zbar"] = alpha * d["zbar"] + now["arrive"][k][None]
                e = now["psi"][:, None] * d["zbar"]
                d["ebar"] = rule.kappa * d["ebar"] + e
                d["ereg"] = rule.kappa_reg * d["ereg"] + (1 - rule.kappa_reg) * e
                regular = rule.c_reg * (now["rate"] - rule.f_target)
                w -= rule.eta * ((feedback @ after["error"])[:, None] * d["ebar"] + regular[:, None] * d["ereg"])
            np.fill_diagonal(w_rec, 0)
            zout = k_out * zout + now["arrive"][1]
            w_out -= rule.eta * np.outer(now["error"], zout)
        v = alpha * v + w_in @ arrive[0] + w_rec @ arrive[1]
        psi = rule.height * np.maximum(0, 1 - np.abs(v - rule.thr) / rule.width)
        y = k_out * y + w_out @ z
        z = (v >= rule.thr).astype(float)
        v = v - rule.thr * z
        rate = rule.kappa_reg * rate + (1 - rule.kappa_reg) * z
        goal = target[min(n - 3, len(x) - 1)] if n >= 3 else y
        hist.append({"arrive": arrive, "psi": psi, "rate": rate, "error": y - goal})
    assert not seen[0].any()
    return w_in, w_rec, w_out


def test_online_kernel_equals_a_naive_network() -> None:
    weights, x, target = problem()
    rule = OnlineEProp(tau_m=12, tau_out=9, thr=0.6, height=0.5, width=0.6, c_reg=0.1, cutoff=10**6, eta=1e-3)
    run = rule.run(x, target, 1, *weights[:3], weights[3])
    naive = naive_online(rule, x, target, *weights[:3], weights[3], T + 5)
    assert run.z.sum() > 30
    for ours, theirs in zip((run.w_in, run.w_rec, run.w_out), naive):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["piecewise_linear", "exponential", "fast_sigmoid", "arctan"])
def test_surrogates_peak_at_threshold(kind: str) -> None:
    code = KINDS[kind]
    assert evaluate(code, 0.0, 0.4, 0.5) == pytest.approx(0.4)
    values = [evaluate(code, x, 0.4, 0.5) for x in (0.0, 0.1, 0.3, 0.6)]
    assert values == sorted(values, reverse=True) and evaluate(code, -0.3, 0.4, 0.5) == values[2]


def test_multi_gaussian_and_steps() -> None:
    x = np.linspace(-30, 30, 60001)
    area = np.mean([evaluate(KINDS["multi_gaussian"], v, 0.5, 0.5) for v in x]) * 60
    assert area == pytest.approx(0.5 * (1.15 - 0.30), rel=1e-3)  # gamma (1 + h - 2h)
    levels = {round(evaluate(KINDS["steps"], v, 1.0, 1.0), 6) for v in x}
    assert levels == {0.0, 0.25, 0.5, 0.75, 1.0}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"loss": "l1"}, "loss"),
        ({"feedback": "none"}, "feedback"),
        ({"tau_m": 0.0}, "tau_m"),
        ({"form": "x"}, "form"),
    ],
)
def test_bad_constants(settings, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        EProp(**settings)


def test_bad_shapes() -> None:
    weights, x, target = problem()
    net = EPropNet(EProp(**BASE), *weights)
    with pytest.raises(ValueError, match="target has shape"):
        net.gradient(x, target[:-1])
    with pytest.raises(ValueError, match="input has shape"):
        net.gradient(x[:, :-1], target)
    with pytest.raises(ValueError, match="feedback has shape"):
        EPropNet(EProp(**BASE), *weights[:3], weights[3].T)
