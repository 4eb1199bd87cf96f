"""Replay of recorded credit assignment on the emulated float chip; same contract as `learning_replay`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import chipsim as cs
from chipsim.mappings.studies.trajectories import Trajectory
from tests.conformance.learning_replay import TIGHT, Checks
from tests.conformance.rate_nets import FREE, adjoint, dense, direct, full, propagated, two_phases

SETTLED = 900  #: steps after which a relaxation has reached its fixed point to the last bits


def replay_contrastive(path: Path, data) -> Checks:
    """Free, clamped and nudged phases of a symmetric net; the contrast and its derivative."""
    w, b, n, inputs, outputs = data["W"], data["b"], len(data["W"]), int(data["nin"]), int(data["nout"])
    assert n == inputs + outputs + int(data["nh"])
    shown, wanted = np.full(n, FREE), np.full(n, FREE)
    shown[:inputs], wanted[n - outputs :] = data["x"], data["y"]
    emulator, run = two_phases(w, cs.rules.contrastive(eta=1.0), b)
    free = run("free", SETTLED, shown)[-1]
    clamped = run("teacher", SETTLED, np.where(np.isnan(wanted), shown, wanted))[-1]
    checks: Checks = {
        "v_free": (free, data["v_free"], TIGHT),
        "v_clamped": (clamped, data["v_clamped"], TIGHT),
        "minus_dC_dW": (dense(emulator, "w") - w, data["minus_dC_dW"], TIGHT),
        "contrast": (energy(clamped, w, b, inputs) - energy(free, w, b, inputs), data["contrast"], TIGHT),
        "loss": (0.5 * float(((free - data["y_full"])[-outputs:] ** 2).sum()) if "y_full" in data else
                 0.5 * float(((free[-outputs:] - data["y"]) ** 2).sum()), data["loss"], TIGHT),
    }  # fmt: skip
    beta = float(data["ep_beta"])
    for name, first, last in (("ep_one_sided", 0.0, beta), ("ep_two_sided", -beta, beta)):
        emulator, run = two_phases(w, cs.rules.contrastive(eta=1.0 / (last - first)), b)
        run("free", SETTLED, shown, (wanted, first))
        run("teacher", SETTLED, shown, (wanted, last))
        checks[name] = (dense(emulator, "w") - w, data[name], TIGHT)
    checks["dL_dW_fd"] = (slopes(data, emulator, run, shown), data["dL_dW_fd"], 1e-6)
    return checks


def energy(v: np.ndarray, w: np.ndarray, b: np.ndarray, inputs: int) -> float:
    """F = -v W v / 2 - b v + sum of the integrals of atanh, of the units that are not inputs."""
    own = np.arange(len(v)) >= inputs
    integral = (v * np.arctanh(np.where(own, v, 0.0)) + 0.5 * np.log(1.0 - np.where(own, v, 0.0) ** 2))[own].sum()
    return float(-0.5 * v @ w @ v - b @ v + integral)


def slopes(data, emulator: cs.Emulator, run, shown: np.ndarray, size: float = 1e-6) -> list[float]:
    """dL/dw of the recorded symmetric pairs, by running the chip with the pair a little heavier and lighter."""
    w, outputs, found = data["W"], int(data["nout"]), []
    for i, j in data["pairs"]:
        losses = []
        for sign in (1.0, -1.0):
            emulator.reset()
            moved = w.copy()
            moved[i, j] += sign * size
            moved[j, i] = moved[i, j]
            emulator.set_weights("w", moved)
            free = run("free", 500, shown)[-1]
            losses.append(0.5 * ((free[-outputs:] - data["y"]) ** 2).sum())
        found.append((losses[0] - losses[1]) / (2.0 * size))
    return found


def replay_mlp_credit(path: Path, data) -> Checks:
    """Every way of sending an error back through two hidden layers of tanh units."""
    w, x, t = [data[f"W{k}"] for k in range(len(data["sizes"]) - 1)], data["x0"], data["target"]
    assert [m.shape[::-1] for m in w] == list(zip(data["sizes"], data["sizes"][1:]))
    rule, forward = cs.rules.feedback_alignment(eta=1.0), [m.T for m in w[1:]]
    last = len(w)
    random = [data[f"B_fa{k}"] for k in range(1, last)]
    changes = {
        "bp{}": propagated(w, forward, rule).run(x, t)[0],
        "fp{}": propagated(w, forward, rule).run(x, t)[0],
        "FA{}": propagated(w, random, rule).run(x, t)[0],
        "DFA{}": direct(w, [data[f"D_dfa{k}"] for k in range(1, last)], rule).run(x, t)[0],
        "DTP{}": targets(w, [data[f"V_dtp{k}"] for k in range(1, last)]).run(x, t)[0],
        "dend{}": microcircuit(w, forward).run(x, t)[0],
    }
    checks: Checks = {}
    steps = int(data["n_relax"])
    for variance in (1, 100):
        net = propagated(w, forward, rule, relax=float(data["dt"]), variance=float(variance))
        record = {f"h{k}": ["u"] for k in range(1, last)} | {"e": ["r"]} | {f"d_h{k}": ["r"] for k in range(2, last)}
        changes[f"pc{variance}_{{}}"], seen = net.run(x, t, steps, record)
        if variance == 1:
            checks |= relaxed(data, seen, x, t, w)
    for name, layers in changes.items():
        for k, change in enumerate(layers):
            checks[name.format(k)] = (change, data[name.format(k)], TIGHT)
    return checks


def relaxed(data, seen, x: np.ndarray, t: np.ndarray, w: list[np.ndarray]) -> Checks:
    """Values and errors of predictive coding where it has settled."""
    last = len(w)
    checks: Checks = {"pc1_x0": (x, data["pc1_x0"], TIGHT), f"pc1_x{last}": (t, data[f"pc1_x{last}"], TIGHT)}
    for k in range(1, last):
        checks[f"pc1_x{k}"] = (seen[f"h{k}"]["u"], data[f"pc1_x{k}"], TIGHT)
    sent = [x, *(np.tanh(seen[f"h{k}"]["u"]) for k in range(1, last))]
    errors = {1: seen["h1"]["u"] - w[0] @ sent[0], last: seen["e"]["r"]}
    errors |= {k: seen[f"d_h{k}"]["r"] for k in range(2, last)}
    return checks | {f"pc1_eps{k}": (value, data[f"pc1_eps{k}"], TIGHT) for k, value in errors.items()}


def targets(w: list[np.ndarray], inverse: list[np.ndarray], step: float = 0.1):
    """Difference target propagation: the target of a layer's potentials is what its inverse makes of those above."""
    net = direct(w, [], cs.rules.target_difference(eta=1.0))
    del net.net.projections["e=>out"]
    sizes = [len(m) for m in w]
    net.teach("out", e=step * np.eye(sizes[-1]))
    above = net.linear("goal", sizes[-1], out=np.eye(sizes[-1]), e=step * np.eye(sizes[-1]))
    below = "out"
    for k in range(len(w) - 2, -1, -1):
        layer, one = f"h{k + 1}", np.eye(sizes[k])
        wanted = net.linear(f"p{k}", sizes[k], g="atanh", **{above: inverse[k]})
        present = net.linear(f"q{k}", sizes[k], g="atanh", **{below: inverse[k]})
        net.teach(layer, **{wanted: one, present: -one})
        if k:
            below = net.linear(f"a{k}", sizes[k], **{f"h{k}": w[k]})
            above = net.linear(f"g{k}", sizes[k], **{below: one, wanted: one, present: -one})
    return net


def microcircuit(w: list[np.ndarray], forward: list[np.ndarray], strength: float = 0.1):
    """Dendritic error: what comes from above less what interneurons predict of it, over the strength of the nudge."""
    net = direct(w, [], cs.rules.feedback_alignment(eta=1.0))
    n = len(w[-1])
    nudged = net.linear("nudged", n, out=np.eye(n), e=strength * np.eye(n))
    inter = net.linear("inter", n, **{f"h{len(w) - 1}": w[-1]})
    sources = {nudged: 1.0 / strength, inter: -1.0 / strength}
    for k in range(len(w) - 2, -1, -1):
        back = {name: scale * forward[k] for name, scale in sources.items()}
        net.teach(f"h{k + 1}", **back)
        if k:
            sources = {net.delta(f"h{k + 1}", **back): 1.0}
    return net


def replay_pearlmutter(path: Path, data) -> Checks:
    """A trajectory on the chip and its adjoint."""
    dt, taus = float(data["dt"]), data["T"]
    net = Trajectory(data["W"], data["y0"], k=dt / taus, rest=data["I"], g="logistic")
    steps, width = data["d"].shape
    wanted = np.full((steps, len(taus)), FREE)
    wanted[:, :width] = data["d"]
    found = net.gradient(wanted, dt)
    return {
        "y": (net.run(steps - 1), data["y"], TIGHT),
        "E": (found.loss, data["E"], TIGHT),
        "dE_dW": (found.w, data["dE_dW"], TIGHT),
        "dE_dT": (-found.k * dt / taus**2, data["dE_dT"], TIGHT),
    }


def rflo_net(data, late: int) -> cs.Network:
    """The recorded net; it starts at h0 and reads its input one step later than the source sends it."""
    steps, tau = len(data["x"]), float(data["tau"])
    net = cs.Network("rflo")
    net.add("x", cs.SpikeSource(data["x"].shape[1], graded=1))
    net.add("h", cs.floats.Rate(len(data["h0"]), k=1.0 / tau, u=data["h0"], start=1))
    net.add("y", cs.floats.Rate(len(data["Wout"]), k=1.0, g="linear"))
    rule = cs.rules.rflo(tau=tau, eta=1.0 / steps, late=late)
    net.connect("x", "h", full(data["Win"]), rule=rule, name="in")
    net.connect("h", "h", full(data["Wrec"]), rule=rule, name="rec")
    readout = cs.rules.target_difference(eta=1.0 / steps, every=1)
    net.connect("h", "y", full(data["Wout"]), rule=readout if not late else None, name="out")
    return net


def at_end(steps: int) -> np.ndarray:
    """1 in the last step: a trial's sum goes into the weights."""
    return np.arange(steps) == steps - 1


def replay_rflo(path: Path, data) -> Checks:
    """RFLO with random and symmetric feedback, its error given by the host and made by units on the chip."""
    steps = len(data["x"])
    shown = np.vstack([data["x"][1:], np.zeros((1, data["x"].shape[1]))])
    emulator = cs.Emulator(cs.compile(rflo_net(data, 0), "float"))
    more = np.vstack([shown, np.zeros((1, shown.shape[1]))])
    seen = emulator.run({"x": more}, learn=False, record={"h": ["u", "a"], "y": ["r"]}).trace
    y = seen["y"]["r"][1:]
    y[0] = 0.0  # the recording has no output of the start state
    error = data["ystar"] - y
    error[0] = 0.0
    checks: Checks = {
        "h": (seen["h"]["u"][:steps], data["h"], TIGHT),
        "u": (seen["h"]["a"][:steps], data["u"], TIGHT),
        "y": (y, data["y"], TIGHT),
        "loss": (0.5 * (error**2).sum() / steps, data["loss"], TIGHT),
    }
    for tag, feedback in (("rflo", data["B"]), ("rflosym", data["Wout"].T)):
        emulator.reset()
        third = {"L": error @ feedback.T, "apply": at_end(steps)}
        ran = emulator.run(
            {"x": shown}, third={"in": third, "rec": third, "out": error}, record={"in": "p", "rec": "p"}
        )
        traces = ran.learning
        checks["p_final"] = (traces["rec"].trace["p"][-1], data["p_final"], TIGHT)
        checks["q_final"] = (traces["in"].trace["p"][-1], data["q_final"], TIGHT)
        changes = {f"{tag}_dWin": ("in", "Win"), f"{tag}_dWrec": ("rec", "Wrec"), "dWout": ("out", "Wout")}
        for name, (projection, start) in changes.items():
            checks[name] = (dense(emulator, projection) - data[start], data[name], TIGHT)
        for name, (projection, start) in fed_back(data, shown, feedback, tag).items():
            checks[f"{name} with error units"] = (projection - data[start], data[name], TIGHT)
    checks |= exact(data, error)
    return checks


def fed_back(data, shown: np.ndarray, feedback: np.ndarray, tag: str) -> dict[str, tuple[np.ndarray, str]]:
    """The same with the error computed by units on the chip, two steps later."""
    net, outputs = rflo_net(data, 2), len(data["Wout"])
    net.add("t", cs.SpikeSource(outputs, graded=1))
    net.add("e", cs.floats.Rate(outputs, k=1.0, g="linear"))
    net.connect("t", "e", cs.floats.Synapses(np.eye(outputs)))
    net.connect("h", "e", cs.floats.Synapses(-data["Wout"]))
    net.connect("e", "h", cs.floats.Synapses(np.asarray(feedback, np.float64)), role="third", factor="L")
    emulator = cs.Emulator(cs.compile(net, "float"))
    wanted = np.vstack([data["Wout"] @ data["h0"], data["ystar"][1:], np.zeros((2, outputs))])
    late = np.vstack([shown, np.zeros((2, shown.shape[1]))])
    apply = {"apply": at_end(len(late))}
    emulator.run({"x": late, "t": wanted}, third={"in": apply, "rec": apply})
    return {f"{tag}_dWin": (dense(emulator, "in"), "Win"), f"{tag}_dWrec": (dense(emulator, "rec"), "Wrec")}


def exact(data, error: np.ndarray) -> Checks:
    """Backpropagation through time of the same net by the adjoint of its trajectory, inputs as units that are given."""
    direct_part = -error @ data["Wout"] / len(error)
    none, k = np.zeros(len(data["h0"])), 1.0 / float(data["tau"])
    d_rec, d_in, _ = adjoint(data["Wrec"], data["Win"], none, k, "tanh", data["h"], data["x"][1:], direct_part)
    return {"bptt_dWrec": (-d_rec, data["bptt_dWrec"], TIGHT), "bptt_dWin": (-d_in, data["bptt_dWin"], TIGHT)}


CREDIT_KINDS = {
    "contrastive": replay_contrastive,
    "mlp_credit": replay_mlp_credit,
    "pearlmutter": replay_pearlmutter,
    "rflo": replay_rflo,
}
