"""Replay of recorded spike-timing rules and surrogates; same contract as `learning_replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import brentq

import chipsim as cs
from chipsim.rules.e_prop.net import EPropNet
from chipsim.rules.e_prop.online import OnlineEProp
from tests.conformance.learning_replay import EXACT, TIGHT, Checks, eprop_rule
from tests.conformance.rate_nets import full
from tests.oracles.rules import memristor, resume, sdsp, span, tempotron

FROM_ZERO = ("stdp_nn_symm_synapse", "stdp_nn_restr_synapse", "stdp_facetshw")
STAMP = 1.0  # NEST stamps a spike one step after the time in the list
VOLUME_DELAY = 2.0  # generator to parrot to volume transmitter, 1 ms each


def paired(rule: Any, pre: list[np.ndarray], post: list[np.ndarray], w0: float, steps: int, **third: np.ndarray):
    """Weights after every step, (steps, synapses): synapse j between sources whose spikes, in steps, are given."""
    n = len(pre)
    inputs = {"pre": np.zeros((steps, n), np.uint8), "post": np.zeros((steps, n), np.uint8)}
    for name, lists in (("pre", pre), ("post", post)):
        for j, times in enumerate(lists):
            inputs[name][times[times < steps], j] = 1
    net = cs.Network("pairs")
    net.add("pre", cs.SpikeSource(n))
    net.add("post", cs.SpikeSource(n))
    net.connect("pre", "post", cs.floats.Synapses(sp.csc_array(w0 * np.eye(n))), rule=rule, name="w")
    emulator = cs.Emulator(cs.compile(net, "float", placement={"post": 0}))
    trace = emulator.run(inputs, steps, third={"w": third} if third else None, record={"w": ["w"]}).learning["w"].trace
    return trace["w"][:, np.arange(n), np.arange(n)]


def pair_names(p: dict) -> dict[str, float]:
    """NEST's names of a pair rule to ours."""
    names = {"tau_plus": "tau_plus", "tau_minus": "tau_minus", "lam": "lambda", "alpha": "alpha", "w_max": "Wmax"}
    return {ours: p[theirs] for ours, theirs in names.items()} | {k: p[k] for k in ("mu_plus", "mu_minus")}


def shipped(name: str, p: dict) -> Any:
    """The rule that `cs.rules` ships for one of NEST's synapses."""
    rules = cs.rules
    if name in ("stdp_synapse", "stdp_additive", "stdp_multiplicative"):
        return rules.stdp(**pair_names(p))
    if name == "stdp_nn_symm_synapse":
        return rules.stdp(**pair_names(p), nearest=True)
    if name == "stdp_nn_pre_centered_synapse":
        return rules.stdp_pre_centered(**pair_names(p))
    if name == "stdp_nn_restr_synapse":
        return rules.stdp_restricted(**pair_names(p))
    if name == "stdp_triplet_synapse":
        times = (p["tau_plus"], p["tau_plus_triplet"], p["tau_minus"], p["tau_minus_triplet"])
        return rules.triplet(*times, p["Aplus"], p["Aplus_triplet"], p["Aminus"], p["Aminus_triplet"], p["Wmax"])
    if name == "jonke_synapse":
        own = {"beta": p["beta"], "mu_plus": p["mu_plus"], "mu_minus": p["mu_minus"], "w_max": p["Wmax"]}
        return rules.jonke(p["tau_plus"], p["tau_minus"], p["lambda"], p["alpha"], **own)
    if name == "vogels_sprekeler_synapse":
        assert p["tau"] == p["tau_minus"], "one time constant for both sides"
        return rules.inhibitory(p["tau"], p["eta"], p["alpha"], p["Wmax"])
    if name == "stdp_dopamine_synapse":
        times = (p["tau_plus"], p["tau_minus"], p["tau_c"], p["tau_n"])
        return rules.dopamine_stdp(*times, p["A_plus"], p["A_minus"], p["b"], (p["Wmin"], p["Wmax"]))
    assert name == "stdp_facetshw", f"no shipped rule for {name}"
    assert [p[f"configbit_{k}"] for k in (0, 1)] == [["0", "0", "1", "0"], ["0", "1", "0", "0"]]
    up, down, none = (np.array(p[f"lookuptable_{k}"], int) for k in range(3))
    assert p["reset_pattern"] == ["1"] * 6 and np.array_equal(none, np.arange(16))
    threshold = 2 * p["a_thresh_th"] - p["a_thresh_tl"]
    return rules.stdp_facets(p["tau_plus"], p["tau_minus_stdp"], threshold, up=up.tolist(), down=down.tolist())


def concentration(spikes: np.ndarray, tau: float, steps: int) -> np.ndarray:
    """Dopamine at the start of each step, that of the step before in it."""
    n, out = 0.0, np.zeros(steps)
    for t in range(1, steps):
        n = n * np.exp(-1.0 / tau) + np.count_nonzero(spikes == t - 1) / tau
        out[t] = n
    return out


def visited(p: dict, pre: list[np.ndarray], steps: int) -> np.ndarray:
    """1 in the first step after the controller read a synapse's row; rows are numbered by their first spike."""
    order = np.argsort([spikes[0] if len(spikes) else np.inf for spikes in pre], kind="stable")
    number = np.empty(len(pre), int)
    number[order] = np.arange(len(pre))
    first = number // p["synapses_per_driver"] * p["driver_readout_time"]
    since = np.arange(steps)[:, None] - 1 - first
    return ((since >= 0) & (since % p["readout_cycle_duration"] == 0)).astype(float)


def replay_stdp(path: Path, data) -> Checks:
    """Weight after every presynaptic spike, for every recorded rule: the shipped one, on the emulated float chip."""
    params = json.loads(str(data["params"]))
    cuts = {k: np.cumsum(data[f"{k}_n"])[:-1] for k in ("pre", "post")}
    pre, post = (np.split(data[k].astype(int) + int(STAMP), cuts[k]) for k in ("pre", "post"))
    steps = int(data["T"]) + 2
    checks: Checks = {"T": (max(t.max(initial=0) for t in (*pre, *post)) < steps, True, EXACT)}
    for name, p in params.items():
        assert float(p.get("delay", 1.0)).is_integer(), f"{name}: a delay between steps"
        late = [times + int(p.get("delay", 1.0)) for times in post]  # dendritic: a spike reaches the synapse later
        unit, third = 1.0, {}
        if name == "stdp_dopamine_synapse":
            third = {"dopamine": concentration(data["dopa"].astype(int) + int(VOLUME_DELAY), p["tau_n"], steps)}
        elif name == "stdp_facetshw":
            unit, third = p["weight_per_lut_entry"], {"visit": visited(p, pre, steps)}
        start = p["w0"] if unit == 1.0 else float(np.floor(p["w0"] / unit + 0.5))
        # to NEST's nearest-neighbour synapses the time at which all begins is that of a presynaptic spike
        began = [np.concatenate([[0], times]) for times in pre] if name in FROM_ZERO else pre
        w = paired(shipped(name, p), began, late, start, steps, **third)
        ours = np.concatenate([w[times, j] for j, times in enumerate(pre)])
        checks[f"{name}_w"] = (unit * ours, data[f"{name}_w"], TIGHT)
    return checks


def replay_spike_rules(path: Path, data) -> Checks:
    """Tempotron, ReSuMe, SPAN, BTSP, SDSP, memristor tables."""
    times, counts, w = data["spikes"], data["spikes_n"], data["w"]
    assert len(data["V_trace"]) == round(float(data["T"] / data["dt"]))
    inputs = np.split(times, np.cumsum(counts)[:-1])
    tau_m, tau_s, v0 = float(data["tau_m"]), float(data["tau_s"]), float(data["V0"])
    v, slopes = np.empty(len(data["V_trace"])), np.empty(len(w))
    best = tempotron.potential(times, counts, w, tau_m, tau_s, v0, float(data["dt"]), v)
    tempotron.gradient(times, counts, best * float(data["dt"]), tau_m, tau_s, v0, slopes)
    a, _, tau = data["resume_params"]
    lam, tau_span = data["span_params"]
    desired, actual = data["td"], data["to"]
    checks: Checks = {
        "V0": (tempotron.kernel_scale(tau_m, tau_s), v0, TIGHT),
        "V_trace": (v, data["V_trace"], TIGHT),
        "t_max": (best * float(data["dt"]), data["t_max"], TIGHT),
        "tempotron_dVmax_dw": (slopes, data["tempotron_dVmax_dw"], TIGHT),
        "span_dw": ([span.update(s, desired, actual, lam, tau_span) for s in inputs], data["span_dw"], TIGHT),
    }
    # The recorded amplitude is another rule's constant (128, memristor); the data fix the true one.
    shape = np.array([resume.update(s, desired, actual, 0.0, 1.0, tau) for s in inputs])
    rest = data["resume_dw"] - a * (len(desired) - len(actual))
    amplitude = float(shape @ rest / (shape @ shape))
    ours = [resume.update(s, desired, actual, a, amplitude, tau) for s in inputs]
    checks["resume_dw"] = (ours, data["resume_dw"], TIGHT)
    checks |= spikeprop(data)
    integer_and_slow_rules(data, checks)
    return checks


def spikeprop(data) -> Checks:
    """The spike where the potential crosses the threshold, and how each weight moves it (Bohte et al. 2002)."""
    tau = float(data["sp_tau"])

    def potentials(t: float) -> np.ndarray:
        since = np.maximum(t - data["sp_ti"][:, None] - data["sp_delays"], 0.0)
        return since / tau * np.exp(1.0 - since / tau)

    def above(t: float) -> float:
        return float((data["sp_w"] * potentials(t)).sum() - data["sp_theta"])

    t = float(brentq(above, float(data["sp_t"]) - 0.5, float(data["sp_t"]) + 0.5, xtol=1e-13))
    since = np.maximum(t - data["sp_ti"][:, None] - data["sp_delays"], 0.0)
    rise = np.where(since > 0.0, (1.0 - since / tau) / tau * np.exp(1.0 - since / tau), 0.0)
    moved = -potentials(t) / (data["sp_w"] * rise).sum()
    return {
        "sp_t": (t, data["sp_t"], TIGHT),
        "sp_dt_dw": (moved, data["sp_dt_dw"], 1e-10),
        "sp_dE_dw": ((t - float(data["sp_td"])) * moved, data["sp_dE_dw"], 1e-10),
    }


def plateau_run(p: dict, drive: np.ndarray, plateau: np.ndarray, w0: np.ndarray) -> dict[str, np.ndarray]:
    """What is recorded of the synapses (steps, 1, inputs) of one neuron whose inputs send `drive` (steps, inputs)."""
    names = {"tau_et": "tau_ET", "tau_is": "tau_IS", "half_plus": "alpha_plus", "slope_plus": "beta_plus",
             "half_minus": "alpha_minus", "slope_minus": "beta_minus", "w_max": "Wmax"}  # fmt: skip
    rule = cs.rules.btsp_gated(
        **{k: p[v] for k, v in names.items()}, k_plus=p["k_plus"], k_minus=p["k_minus"], dt=p["dt"]
    )
    net = cs.Network("place cell")
    net.add("places", cs.SpikeSource(len(w0), graded=1))
    net.add("cell", cs.SpikeSource(1))
    net.connect("places", "cell", full(w0[None]), rule=rule, name="w")
    emulator = cs.Emulator(cs.compile(net, "float", placement={"cell": 0}))
    record = {"w": ["w", "et", "instructive"]}
    return emulator.run({"places": drive}, len(drive), third={"w": plateau}, record=record).learning["w"].trace


def integer_and_slow_rules(data, checks: Checks) -> None:
    """SDSP in integers, BTSP by Euler steps, memristor tables."""
    p = json.loads(str(data["sdsp_params"]))
    par = sdsp.Sdsp(p["theta_m"], p["t1"], p["t2"], p["t3"], 7, 7, p["ca_leak_every"])
    n_steps, k = len(data["sdsp_dv"]), len(data["sdsp_w0"])
    pre = np.unpackbits(data["sdsp_pre"])[: n_steps * k].reshape(n_steps, k)
    history, weights = np.empty((n_steps, 5), np.int64), np.empty((n_steps, k), np.int64)
    start = data["sdsp_w0"].astype(np.int64)
    sdsp.replay(par, pre, data["sdsp_dv"], p["thr"], p["reset"], p["vmax"], start, history, weights)
    checks["sdsp_hist"], checks["sdsp_w"] = (
        (history, data["sdsp_hist"], EXACT),
        (weights, data["sdsp_w"], EXACT),
    )
    p = json.loads(str(data["btsp_params"]))
    t = np.arange(0, p["T"], p["dt"])
    drive = (np.abs(t[:, None] - data["btsp_act"]) < 50.0) * (0.8 / 100)
    plateau = ((t >= p["plateau"][0]) & (t < p["plateau"][1])) * (0.8 / 300)
    checks["btsp_w"] = (plateau_run(p, drive, plateau, data["btsp_w0"])["w"][-1, 0], data["btsp_w"], TIGHT)
    for name in [f for f in data.files if f.startswith("memristor_A")]:
        table = np.empty_like(data[name])
        memristor.tables(float(name.removeprefix("memristor_A")), 0.0, 1.0, table[0], table[1])
        checks[name] = (table, data[name], TIGHT)


def replay_surrogates(path: Path, data) -> Checks:
    """Four surrogates on one neuron driven by one generator through one weight."""
    p = json.loads(str(data["params"]))
    checks: Checks = {}
    names = {"fast_sigmoid_derivative": "fast_sigmoid", "arctan_derivative": "arctan"}
    length = len(data["times"])
    checks["times"] = (np.arange(1, length + 1), data["times"], EXACT)
    x = np.zeros((length + 5, 1), np.uint8)
    x[np.asarray(p["generator_spikes"], int) - 1] = 1
    for recorded in ("piecewise_linear", "exponential", "fast_sigmoid_derivative", "arctan_derivative"):
        rule = OnlineEProp(
            tau_m=p["tau_m"], thr=p["V_th"], n_ref=round(p["t_ref"]), surrogate=names.get(recorded, recorded),
            height=p["height"], width=p["width"], eta=0.0,
        )  # fmt: skip
        run = rule.run(x, np.zeros((len(x), 1)), 1, [[p["weight"]]], [[0.0]], [[0.0]], [[0.0]])
        checks[f"{recorded}_psi"] = (run.psi[:length, 0], data[f"{recorded}_psi"], TIGHT)
        checks[f"{recorded}_V"] = (run.v[:length, 0], data[f"{recorded}_V"], TIGHT)
    return checks


def replay_curves(path: Path, data) -> Checks:
    """NEST's 200 iterations of pattern generation, from the weights and input of `eprop_tf_regression`.

    The recorder updates some input weights 3 steps early (README): after a few iterations one spike flips
    and the curve drifts around the exact one.
    """
    start = np.load(next(path.parent.parent.rglob("eprop_tf_regression.npz")))
    rule = eprop_rule(json.loads(str(start["params"])), start["Wrec0"].shape[0])
    net = EPropNet(rule, start["Win0"], start["Wrec0"], start["Wout0"], start["B"])
    x = np.unpackbits(start["X_bits"])[: np.prod(start["X_shape"])].reshape(start["X_shape"])
    recorded = data["nest_sine_bsshslm_200it_loss"]
    ours = np.array([net.step([(x, start["Y"])])[0].loss for _ in recorded])
    return {"loss, first eight": (ours[:8], recorded[:8], 1e-6), "loss": (ours, recorded, 0.05), **pictures(data)}


def pictures(data) -> Checks:
    """Curves of runs whose inputs the file does not hold: they can be looked at, not run again. Finite, never negative;
    every curve of a run that learns ends below its start.
    """
    checks: Checks = {}
    for name in [n for n in data if n not in ("meta", "nest_evidence_label", "nest_evidence_iteration")]:
        curve = np.asarray(data[name], np.float64)
        checks[f"{name} is a curve"] = (bool(np.all(np.isfinite(curve)) and curve.min() >= 0.0), True, EXACT)
        falls = "nearest" in name or curve[-5:].mean() < curve[:5].mean()
        checks[f"{name} falls"] = (falls, True, EXACT)
    steps = np.diff(data["nest_evidence_iteration"])
    assert len(data["nest_evidence_label"]) == len(steps) + 1
    return checks | {"nest_evidence_iteration grows": (bool((steps >= 0).all()), True, EXACT)}


SPIKE_KINDS = {
    "stdp_nest": replay_stdp,
    "spike_rules": replay_spike_rules,
    "surrogates": replay_surrogates,
    "loss_curves": replay_curves,
}
