"""Replay of recorded spike-timing rules and surrogates; same contract as `learning_replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq

from chipsim.rules.e_prop.online import OnlineEProp
from tests.conformance.learning_replay import EXACT, TIGHT, Checks, eprop_rule
from tests.oracles.rules import (
    btsp,
    memristor,
    resume,
    sdsp,
    span,
    stdp_dopamine,
    stdp_facets,
    stdp_jonke,
    stdp_nearest,
    stdp_pair,
    stdp_triplet,
    tempotron,
    vogels_sprekeler,
)

STAMP = 1.0  # NEST stamps a spike one step after the time in the list
VOLUME_DELAY = 2.0  # generator to parrot to volume transmitter, 1 ms each


def pair_parameters(p: dict) -> stdp_pair.PairStdp:
    """NEST names to ours."""
    return stdp_pair.PairStdp(
        p["tau_plus"], p["tau_minus"], p["lambda"], p["alpha"], p["mu_plus"], p["mu_minus"], p["Wmax"]
    )


def stdp_replays(params: dict, dopamine: np.ndarray) -> dict[str, Any]:
    """Rule name -> function(pre, post, delay, w0, out)."""
    rules: dict[str, Any] = {}
    for name in ("stdp_synapse", "stdp_additive", "stdp_multiplicative"):
        par = pair_parameters(params[name])
        rules[name] = lambda *a, par=par: stdp_pair.replay(par, *a)
    for scheme, tag in (("symmetric", "symm"), ("pre_centered", "pre_centered"), ("restricted", "restr")):
        name = f"stdp_nn_{tag}_synapse"
        par, code = pair_parameters(params[name]), stdp_nearest.SCHEMES[scheme]
        rules[name] = lambda *a, par=par, code=code: stdp_nearest.replay(par, code, *a)
    p = params["stdp_triplet_synapse"]
    triplet = stdp_triplet.TripletStdp(
        p["tau_plus"], p["tau_plus_triplet"], p["tau_minus"], p["tau_minus_triplet"],
        p["Aplus"], p["Aplus_triplet"], p["Aminus"], p["Aminus_triplet"], p["Wmax"],
    )  # fmt: skip
    rules["stdp_triplet_synapse"] = lambda *a: stdp_triplet.replay(triplet, *a)
    p = params["jonke_synapse"]
    jonke = stdp_jonke.JonkeStdp(
        p["tau_plus"],
        p["tau_minus"],
        p["lambda"],
        p["alpha"],
        p["beta"],
        p["mu_plus"],
        p["mu_minus"],
        p["Wmax"],
    )
    rules["jonke_synapse"] = lambda *a: stdp_jonke.replay(jonke, *a)
    p = params["vogels_sprekeler_synapse"]
    vogels = vogels_sprekeler.VogelsSprekeler(p["tau"], p["tau_minus"], p["eta"], p["alpha"], p["Wmax"])
    rules["vogels_sprekeler_synapse"] = lambda *a: vogels_sprekeler.replay(vogels, *a)
    p = params["stdp_dopamine_synapse"]
    reward = stdp_dopamine.DopamineStdp(
        p["tau_plus"],
        p["tau_minus"],
        p["tau_c"],
        p["tau_n"],
        p["A_plus"],
        p["A_minus"],
        p["b"],
        p["Wmin"],
        p["Wmax"],
    )
    rules["stdp_dopamine_synapse"] = lambda pre, post, *a: stdp_dopamine.replay(reward, pre, post, dopamine, *a)
    return rules


def facets_parameters(p: dict) -> stdp_facets.Facets:
    """NEST names to ours."""

    def numbers(name: str) -> np.ndarray:
        return np.array(p[name], dtype=np.int64)

    return stdp_facets.Facets(
        p["tau_plus"], p["tau_minus_stdp"], p["a_thresh_th"], p["a_thresh_tl"],
        np.stack([numbers("configbit_0"), numbers("configbit_1")]),
        np.stack([numbers(f"lookuptable_{k}") for k in range(3)]),
        numbers("reset_pattern").reshape(3, 2), p["weight_per_lut_entry"], p["readout_cycle_duration"],
    )  # fmt: skip


def first_visits(p: dict, pre: list[np.ndarray]) -> np.ndarray:
    """When the controller first reads each synapse: rows are numbered by their first presynaptic spike."""
    order = np.argsort([spikes[0] if len(spikes) else np.inf for spikes in pre], kind="stable")
    number = np.empty(len(pre), int)
    number[order] = np.arange(len(pre))
    return number // p["synapses_per_driver"] * p["driver_readout_time"]


def replay_stdp(path: Path, data) -> Checks:
    """Weight after every presynaptic spike, for every recorded rule."""
    params = json.loads(str(data["params"]))
    cuts = {k: np.cumsum(data[f"{k}_n"])[:-1] for k in ("pre", "post")}
    pre, post = (np.split(data[k] + STAMP, cuts[k]) for k in ("pre", "post"))
    rules = stdp_replays(params, data["dopa"] + VOLUME_DELAY)
    last = max(times.max(initial=0) for times in (*pre, *post))
    checks: Checks = {"T": (last <= data["T"] + STAMP, True, EXACT)}
    for name, p in params.items():
        ours = []
        facets = facets_parameters(p) if name == "stdp_facetshw" else None
        visits = first_visits(p, pre) if facets is not None else np.zeros(len(pre))
        for before, after, visit in zip(pre, post, visits):
            out = np.empty(len(before))
            if facets is not None:
                stdp_facets.replay(facets, before, after, float(visit), p.get("delay", 1.0), p["w0"], out)
            else:
                rules[name](before, after, p["delay"], p["w0"], out)
            ours.append(out)
        checks[f"{name}_w"] = (np.concatenate(ours), data[f"{name}_w"], TIGHT)
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
    slow = btsp.Btsp(
        p["tau_ET"], p["tau_IS"], p["k_plus"], p["k_minus"], p["alpha_plus"], p["beta_plus"],
        p["alpha_minus"], p["beta_minus"], p["Wmax"], p["dt"],
    )  # fmt: skip
    t = np.arange(0, p["T"], p["dt"])
    drive = (np.abs(t[:, None] - data["btsp_act"]) < 50.0) * (0.8 / 100)
    plateau = ((t >= p["plateau"][0]) & (t < p["plateau"][1])) * (0.8 / 300)
    w = data["btsp_w0"].copy()
    btsp.run(slow, drive, plateau, w)
    checks["btsp_w"] = (w, data["btsp_w"], TIGHT)
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
    net = rule.net(start["Win0"], start["Wrec0"], start["Wout0"], start["B"])
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
