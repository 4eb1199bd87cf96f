"""How each kind of learning file is replayed: build from the file, run, return {name: (ours, recorded,
tolerance)}.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.kernels.learning.eprop import traces as eprop_traces
from chipsim.mappings.studies.training import Trainer
from chipsim.rules.e_prop.net import EPropNet
from chipsim.rules.e_prop.online import OnlineEProp
from chipsim.rules.e_prop.rule import Adam, Descent, EProp
from tests.oracles.rules import bptt_lsnn

EXACT = 0.0
TIGHT = 1e-12
Checks = dict[str, tuple[Any, Any, float]]


def bits(data, name: str) -> np.ndarray:
    """A bit-packed array by its README recipe."""
    shape = data[f"{name}_shape"]
    return np.unpackbits(data[f"{name}_bits"])[: np.prod(shape)].reshape(shape)


def eprop_rule(p: dict, n: int) -> EProp:
    """The rule a per-sequence file describes."""
    evidence = p["loss"].startswith("cross") or p["loss"] == "xent"
    beta = np.zeros(n)
    if "n_alif" in p:
        values = np.ravel(p["beta"])
        beta[p["n_lif"] :] = values[-1] if values.size < n else values[p["n_lif"] :]
    adam = str(p.get("optimizer", "")).startswith("adam")
    window = p.get("window", p.get("dims", {}).get("recall"))
    return EProp(
        tau_m=p["tau_m"],
        tau_out=p["tau_out"],
        tau_a=p.get("tau_a", 1.0),
        thr=p["thr"],
        beta=beta,
        gamma=p["gamma"],
        n_ref=p["n_ref"],
        scale_input=p["scale_in"],
        loss="cross_entropy" if evidence else "mse",
        window=window,
        average_gradient="average_gradient" in p,
        c_reg=p["c_reg"],
        f_target=p["f_target"],
        optimizer=Adam(p["eta"]) if adam else Descent(p.get("eta", 0.0)),
    )


def sequences_of(data) -> list[tuple[np.ndarray, Any]]:
    """Inputs and targets of all sequences in their order: one for each of `n_iter` where the input is the same."""
    x = bits(data, "X")
    goals = data["labels"] if "labels" in data else data["Y"]
    one_goal = goals.ndim == x.ndim if "labels" not in data and x.ndim == 2 else goals.ndim == 2
    number = int(data["n_iter"]) if "n_iter" in data else len(x)
    return [(x if x.ndim == 2 else x[i % len(x)], goals if one_goal else goals[i % len(goals)]) for i in range(number)]


def first_gradient(data, gradients, checks: Checks) -> None:
    """The gradient of the first update, averaged over its batch, and the traces of the first sequence."""
    for name in ("in", "rec", "out"):
        ours = np.mean([getattr(g, f"w_{name}") for g in gradients], axis=0)
        checks[f"dW{name}_it1"] = (ours, data[f"dW{name}_it1"], TIGHT)
    run = gradients[0].run
    if "readout_it1" in data:
        checks["readout_it1"] = (run.y, data["readout_it1"], TIGHT)
    for name, ours in (("v_it1", run.v), ("psi_it1", run.psi)):
        if name in data:
            checks[name] = (ours[:, : data[name].shape[1]], data[name], TIGHT)
    if "softmax_seq1" in data:
        length = data["softmax_seq1"].shape[0]
        checks["softmax_seq1"] = (gradients[0].out[-length:], data["softmax_seq1"], TIGHT)
    checks.update(recorded_columns(data, gradients[0]))


def recorded_columns(data, gradient) -> Checks:
    """Traces of a few neurons; the file does not say which, so each recorded column must equal one
    neuron's.
    """
    checks: Checks = {}
    signal = gradient.error @ data["B"].astype(float).T
    for name, ours in (("a_seq1", gradient.run.a), ("L_seq1", signal), ("L_it1", signal)):
        if name in data:
            recorded = data[name]
            ours = ours[-recorded.shape[0] :]
            gaps = np.abs(ours[:, :, None] - recorded[:, None, :]).max(axis=0)
            best = gaps.argmin(axis=0)
            checks[name] = (ours[:, best], recorded, TIGHT)
    return checks


def eprop_sequences(path: Path, data) -> Checks:
    """Regression or evidence: train on the recorded sequences, compare spikes, losses, gradients and weights; the same
    with the network on an emulated float chip.
    """
    p = json.loads(str(data["params"]))
    rule = eprop_rule(p, data["Wrec0"].shape[0])
    net = EPropNet(rule, data["Win0"], data["Wrec0"], data["Wout0"], data["B"])
    trainer = Trainer(rule, data["Win0"], data["Wrec0"], data["Wout0"], data["B"], chip="float")
    spikes, batch = bits(data, "spikes"), int(p["batch"])
    sequences = sequences_of(data)
    checks: Checks = {}
    losses, emulated, fired = [], [], []
    for k in range(0, len(sequences), batch):
        results = net.step(sequences[k : k + batch])
        losses += [r.loss for r in results]
        emulated += [r.loss for r in trainer.step(sequences[k : k + batch])]
        fired += [r.run.z for r in results]
        if k == 0:
            first_gradient(data, results, checks)
    checks["spikes"] = (np.array(fired).reshape(spikes.shape), spikes, EXACT)
    if data["loss_nest"].size * batch == len(sequences):  # one entry per update
        losses, emulated = (np.reshape(x, (-1, batch)).mean(axis=1) for x in (losses, emulated))
    checks["loss"] = (losses, data["loss_nest"], TIGHT)
    checks["loss on the chip"] = (emulated, data["loss_nest"], TIGHT)
    projections = {"in": "in->rec", "rec": "rec->rec", "out": "rec->out"}
    for name, ours in (("in", net.w_in), ("rec", net.w_rec), ("out", net.w_out)):
        checks[f"W{name}_final"] = (ours, data[f"W{name}_final"], TIGHT)
        checks[f"W{name}_final on the chip"] = (trainer.weights[projections[name]], data[f"W{name}_final"], TIGHT)
    if "loss_tf_reference" in data:
        checks["loss_tf_reference"] = (
            losses,
            data["loss_tf_reference"],
            1e-7 if rule.loss == "mse" else 1e-6,
        )
    return checks


def eprop_tiny(path: Path, data) -> Checks:
    """All states, eligibility tensors, gradients and the factorisation of BPTT."""
    p = json.loads(str(data["params"]))
    n = data["Wrec"].shape[0]
    rule = eprop_rule({**p, "c_reg": p["c_reg"]}, n)
    checks: Checks = {}
    for feedback, tag, reg in (("symmetric", "sym", 0.0), ("random", "rnd_reg", p["c_reg"])):
        for form in ("adjoint", "traces"):
            part = EProp(**{**vars(rule), "feedback": feedback, "c_reg": reg, "form": form})
            g = EPropNet(part, data["Win"], data["Wrec"], data["Wout"], data["B"]).gradient(data["x"], data["ystar"])
            checks[f"dWin_{tag} {form}"] = (g.w_in, data[f"dWin_{tag}"], TIGHT)
            checks[f"dWrec_{tag} {form}"] = (g.w_rec, data[f"dWrec_{tag}"], TIGHT)
            checks[f"dWout {form}"] = (g.w_out, data["dWout"], TIGHT)
    net = EPropNet(part, data["Win"], data["Wrec"], data["Wout"], data["B"])
    for name in ("v", "a", "psi", "y"):
        checks[name] = (getattr(g.run, name), data[name], TIGHT)
    checks["z"] = (g.run.z, data["z"], EXACT)
    checks["err"] = (g.error, data["err"], TIGHT)
    checks["out"] = (g.out, data["out"], TIGHT)
    checks["L_sym"] = (g.error @ data["Wout"], data["L_sym"], TIGHT)
    checks["L_rnd"] = (g.error @ data["B"].T, data["L_rnd"], TIGHT)
    total = g.loss * data["ystar"].shape[1] if rule.loss == "mse" else g.loss * p["window"]
    checks["E"] = (total, data["E"], TIGHT)
    if rule.loss != "mse":  # classes: the run takes only which one is largest
        one_hot = np.eye(data["ystar"].shape[1])[data["ystar"].argmax(axis=1)]
        checks["ystar"] = (one_hot, data["ystar"], EXACT)
    tiny_bptt(data, net, g, checks)
    return checks


def tiny_bptt(data, net, g, checks: Checks) -> None:
    """Eligibility tensors and dE/dz, and that their product is the exact gradient."""
    z = g.run.z
    late = np.vstack([np.zeros((1, z.shape[1]), np.uint8), z[:-1]])
    d_spike, d_state = np.empty_like(g.run.psi), np.empty_like(g.run.psi)
    w_rec, w_out = np.ascontiguousarray(net.w_rec.T), np.ascontiguousarray(net.w_out.T)
    bptt_lsnn.total_derivative(net.constants, g.error, w_rec, w_out, g.run, d_spike, d_state)
    checks["dE_dz_total"] = (d_spike, data["dE_dz_total"], TIGHT)
    for name, pre in (("in", data["x"]), ("rec", late)):
        tensor = np.empty((*z.shape, pre.shape[1]))
        eprop_traces.eligibility_tensor(net.constants, np.ascontiguousarray(pre), g.run.psi, tensor)
        if name == "rec":
            tensor[:, np.arange(z.shape[1]), np.arange(z.shape[1])] *= data["e_rec"].diagonal(0, 1, 2).any()
        checks[f"e_{name}"] = (tensor.astype(np.float32), data[f"e_{name}"], EXACT)
        exact = np.einsum("tj,tji->ji", d_spike, tensor)
        if name == "rec":
            np.fill_diagonal(exact, np.diag(data["bptt_dWrec"]))
        checks[f"bptt_dW{name}"] = (exact, data[f"bptt_dW{name}"], TIGHT)


def eprop_online(path: Path, data) -> Checks:
    """Weights that change in every step."""
    rule = OnlineEProp.from_nest(
        str(data["model"]), *(json.loads(str(data[k])) for k in ("neuron", "readout", "optimizer"))
    )
    x, spikes = bits(data, "X"), bits(data, "spikes")
    run = rule.run(
        x,
        data["Y"],
        int(data["n_iter"]),
        data["Win0"],
        data["Wrec0"],
        data["Wout0"],
        data["B"],
        spikes.shape[0] - 1,
    )
    steps = int(data["n_iter"]) * x.shape[0]
    checks: Checks = {
        "spikes": (np.vstack([spikes[:1] * 0, run.z]), spikes, EXACT),
        "readout_nest": (run.y[2 : 2 + steps], data["readout_nest"], TIGHT),
        "loss_nest": (run.loss, data["loss_nest"], TIGHT),
    }
    length = data["V"].shape[0]
    checks["V"] = (run.v[:length, :3], data["V"], TIGHT)
    checks["psi"] = (run.psi[:length, :3], data["psi"], TIGHT)
    checks["L"] = (run.signal[: length - 2, :3], data["L"][2:], TIGHT)
    for name in ("in", "rec", "out"):
        checks[f"W{name}_last"] = (getattr(run, f"w_{name}_last"), data[f"W{name}_last"], TIGHT)
        checks[f"W{name}_end"] = (getattr(run, f"w_{name}"), data[f"W{name}_end"], TIGHT)
    if "loss_nest_test_reference" in data:
        checks["loss_nest_test_reference"] = (run.loss, data["loss_nest_test_reference"], 1e-8)
    return checks


KINDS: dict[str, Callable[[Path, Any], Checks]] = {
    "eprop_online": eprop_online,
    "eprop_tiny": eprop_tiny,
    "eprop_": eprop_sequences,
}
