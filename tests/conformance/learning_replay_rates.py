"""Replay of recorded SuperSpike and perturbation rules; same contract as `learning_replay`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from chipsim.kernels.learning import node_perturbation as np_rule
from chipsim.kernels.learning import weight_perturbation as wp_rule
from tests.conformance.learning_replay import EXACT, TIGHT, Checks
from tests.oracles.rules import superspike


def replay_superspike(path: Path, data) -> Checks:
    """Two layers, output and hidden updates with symmetric and random feedback."""
    p = json.loads(str(data["params"]))
    par = superspike.SuperSpike(p["dc"], p["dm"], p["theta_mV"], p["beta_per_mV"], p["n_ref"])
    source = np.unpackbits(data["S_in"])[: np.prod(data["S_shape"])].reshape(data["S_shape"])
    layers, spikes = {}, source
    for k, w in ((1, data["W1"]), (2, data["W2"])):
        u, slope = np.empty((len(source), len(w))), np.empty((len(source), len(w)))
        out = np.empty((len(source), len(w)), np.uint8)
        superspike.layer(par, spikes, w, u, out, slope)
        layers[k], spikes = (spikes, u, out, slope), out
    error = np.empty((len(source), len(data["W2"])))
    superspike.filtered_error(par, data["S_target"], spikes, error)
    checks: Checks = {
        "S1": (layers[1][2], data["S1"], EXACT),
        "S2": (layers[2][2], data["S2"], EXACT),
        "U2": (layers[2][1][:, : data["U2"].shape[1]], data["U2"], TIGHT),
        "U1": (layers[1][1][:, : data["U1"].shape[1]], data["U1"], TIGHT),
        "err": (error, data["err"], TIGHT),
        "loss": (0.5 * (error**2).sum(), data["loss"], TIGHT),
    }
    signals = {"dW2": (2, error), "dW1_sym": (1, error @ data["W2"]), "dW1_random": (1, error @ data["B"].T)}
    for name, (k, signal) in signals.items():
        pre, _, _, slope = layers[k]
        d_w, eligibility = np.zeros_like(data[name]), np.zeros_like(data[name])
        superspike.updates(par, pre, slope, np.ascontiguousarray(signal), eligibility, d_w)
        checks[name] = (d_w, data[name], TIGHT)
        which = "elig_out_final" if k == 2 else "elig_hidden_final"
        checks[which] = (eligibility, data[which], TIGHT)
    return checks


def xor_cost(w: np.ndarray, data) -> float:
    """Half the mean squared error of the recorded sigmoid net with flat weights W1|b1|W2|b2."""
    x, target, n = data["xor_X"], data["xor_Y"], int(data["n_hidden"])
    w1, b1, w2, b2 = np.split(w, np.cumsum([n * x.shape[1], n, n]))
    hidden = 1 / (1 + np.exp(-(x @ w1.reshape(n, -1).T + b1)))
    out = 1 / (1 + np.exp(-(hidden @ w2[:, None] + b2)))
    return 0.5 * float(((out - target) ** 2).mean())


def replay_perturbation(path: Path, data) -> Checks:
    """Serial differences on XOR; weight and node perturbation on the linear task."""
    w = data["xor_w"]
    checks: Checks = {"xor_E": (xor_cost(w, data), data["xor_E"], TIGHT)}
    for size in (0.1, 0.01, 0.001):
        e0 = xor_cost(w, data)
        ours = [wp_rule.difference(xor_cost(w + size * unit, data), e0, size) for unit in np.eye(len(w))]
        checks[f"xor_fd_{size}"] = (ours, data[f"xor_fd_{size}"], 1e-10)
    centred = [
        wp_rule.difference(xor_cost(w + 1e-5 * unit, data), xor_cost(w - 1e-5 * unit, data), 2e-5)
        for unit in np.eye(len(w))
    ]
    checks["xor_grad"] = (centred, data["xor_grad"], 1e-8)
    linear_perturbation(data, checks)
    return checks


def linear_perturbation(data, checks: Checks) -> None:
    """The first recorded draws exactly; the mean over all recorded draws is the descent direction."""
    r, target, weights, sigma = data["R"], data["Ystar"], data["W"], float(data["sigma"])

    def cost(y: np.ndarray) -> float:
        return 0.5 * float(((y - target) ** 2).sum()) / len(r)

    e0 = cost(r @ weights.T)
    residual = (r @ weights.T - target).T @ r / len(r)
    checks["E0"], checks["grad"] = (e0, data["E0"], TIGHT), (residual, data["grad"], TIGHT)
    changes, energies = [], []
    for xi in data["xi_wp"]:
        energies.append(cost(r @ (weights + xi).T))
        gradient = np.empty(xi.size)
        wp_rule.project(energies[-1] - e0, xi.reshape(-1), sigma, gradient)
        changes.append(-gradient.reshape(xi.shape))
    checks["E_wp"] = (energies, data["E_wp"][: len(energies)], TIGHT)
    checks["dW_wp_first20"] = (changes, data["dW_wp_first20"], 1e-10)
    changes, energies = [], []
    for seed in data["np_seeds"]:
        xi = np.random.default_rng(int(seed)).standard_normal(target.shape) * sigma
        energies.append(cost(r @ weights.T + xi))
        trace, d_w = np.zeros_like(weights), np.zeros_like(weights)
        np_rule.eligibility(xi, r, trace)
        np_rule.update(energies[-1] - e0, sigma, trace, d_w)
        changes.append(d_w)
    checks["E_np"] = (energies, data["E_np"][: len(energies)], TIGHT)
    checks["dW_np_first20"] = (changes, data["dW_np_first20"], 1e-10)
    power = {"wp": float((r**2).sum()) * len(weights) / len(r), "np": float(len(weights))}
    for kind in ("wp", "np"):
        mean, draws, costs = data[f"dW_{kind}_mean"], data[f"dW_{kind}_first20"], data[f"E_{kind}"]
        cosine = -(mean * residual).sum() / np.linalg.norm(mean) / np.linalg.norm(residual)
        checks[f"dW_{kind}_mean against -gradient"] = (cosine, 1.0, 0.01)
        error = np.sqrt((draws**2).mean() / len(costs))  # of a mean over all draws; their noise is recorded for 20 only
        checks[f"dW_{kind}_mean is -gradient"] = (np.abs(mean + residual).max() < 6 * error, True, EXACT)
        far = abs(costs.mean() - e0 - 0.5 * sigma**2 * power[kind]) / (costs.std() / np.sqrt(len(costs)))
        checks[f"E_{kind} on average"] = (far < 5, True, EXACT)


RATE_KINDS = {"superspike": replay_superspike, "perturbation": replay_perturbation}
