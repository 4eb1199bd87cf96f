"""Replay of the recorded truth of the seed gallery on emulated chips; same contract as `learning_replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.kernels.learning import node_perturbation, weight_perturbation
from chipsim.mappings.studies.trajectories import Trajectory
from tests.conformance.learning_replay import EXACT, TIGHT, Checks
from tests.conformance.learning_replay_spikes import plateau_run
from tests.conformance.rate_nets import FREE, Layers, adjoint, dense, full, propagated

SETTLED = 1500  #: steps after which a relaxation has reached its fixed point to the last bits


def replay_trajectories(path: Path, data) -> Checks:
    """Trained limit cycles: float trajectory, gradients, and the last of twenty laps in the chip's integers."""
    assert "dt .25, 64 steps a lap" in json.loads(str(data["params"]))["rule"]
    checks: Checks = {}
    phase = 2 * np.pi * np.arange(129) / 64
    cycles = {"circle": (np.cos(phase), np.sin(phase)), "eight": (np.sin(phase), np.sin(2 * phase))}
    for kind, cycle in cycles.items():
        part = {k.removeprefix(f"{kind}_"): data[k] for k in data if k.startswith(f"{kind}_")}
        k = 0.25 * np.exp(part["lograte"])
        net = Trajectory(part["W"], part["y0"], k=k, bias=part["b"])
        wanted = np.full(part["Y"].shape, FREE)
        wanted[1:, :2] = 0.5 * np.stack(cycle, axis=1)[1:]
        found = net.gradient(wanted, 0.25)
        ours = {"Y": net.run(128), "loss": found.loss, "dW": found.w, "db": found.bias, "dlograte": found.k * k,
                "dy0": found.start}  # fmt: skip
        checks |= {f"{kind}_{name}": (value, part[name], TIGHT) for name, value in ours.items()}
        for chip in ("research", "loihi2", "unlimited"):
            checks[f"{kind}_8bit_last_lap on {chip}"] = (last_lap(part, k, chip), part["8bit_last_lap"], EXACT)
    return checks


def last_lap(part: dict[str, np.ndarray], k: np.ndarray, chip: str) -> np.ndarray:
    """States of the two outputs in the last of twenty laps; a mantissa of 2 is a weight of 1/32."""
    weights = 2 * np.clip(np.rint(32 * part["W"]), -128, 127).astype(int)
    registers = {"k": np.rint(4096 * k), "bias": np.rint(part["b"] * 2**20), "u": np.rint(2**14 * part["y0"])}
    net = cs.Network("lap")
    whole = {name: value.astype(int) for name, value in registers.items()}
    net.add("y", cs.loihi.Rate(len(k), **whole, input_exp=7, start=1))
    net.connect("y", "y", cs.loihi.Synapses(weights, sign="mixed", message_bits=8))
    result = cs.Emulator(cs.compile(net, chip)).run(steps=20 * 64 + 1, record={"y": ["u"]})
    return result.trace["y"]["u"][-65:, :2] / 2**14


def replay_assembly(path: Path, data) -> Checks:
    """STDP with an exponential dependence on the weight, clipped after every change."""
    p = json.loads(str(data["params"]))
    rule = cs.rules.assembly_stdp(p["tau_x"], p["tau_y"], p["eta"], p["mu"], p["beta"], p["dep"], p["wmax"])
    net = cs.Network("assembly")
    net.add("pre", cs.SpikeSource(data["pre"].shape[1]))
    net.add("post", cs.SpikeSource(data["post"].shape[1]))
    net.connect("pre", "post", full(data["w0"]), rule=rule, name="w")
    emulator = cs.Emulator(cs.compile(net, "float", placement={"post": 0}))
    inputs = {"pre": data["pre"], "post": data["post"]}
    ran = emulator.run(inputs, record={"w": ["w"]}, record_every=20).learning["w"].trace["w"]
    return {"w_every20": (ran, data["w_every20"], TIGHT)}


def replay_track(path: Path, data) -> Checks:
    """A place field that a plateau makes, and another that moves it."""
    p = json.loads(str(data["params"]))
    laps, lap = int(p["laps"]), len(data["drive_pre"])
    assert lap == round(p["L"] / p["vel"] * 1000 / p["dt"]) and len(data["plateau"]) == laps * lap
    seen = plateau_run(p, np.tile(data["drive_pre"], (laps, 1)), data["plateau"], data["w0"])
    after = seen["w"][lap - 1 :: lap, 0]
    slow = every20(seen["instructive"][:, 0, 0], data["IS_every20"])
    checks: Checks = {
        "w_after_lap": (after, data["w_after_lap"], TIGHT),
        "IS_every20": (slow, data["IS_every20"], TIGHT),
    }
    shown = every20(seen["et"][:, 0], data["ET_every20"])
    best = [int(np.abs(shown - column[:, None]).max(axis=0).argmin()) for column in data["ET_every20"].T]
    checks["ET_every20"] = (shown[:, best], data["ET_every20"], TIGHT)
    checks["ramp"] = (after @ tuning(p, len(data["w0"])).T, data["ramp"], TIGHT)
    on = np.flatnonzero(np.diff(np.concatenate([[0.0], data["plateau"]])) > 0)
    recorded = data["onset"]  # where in its lap a plateau was asked for; it begins in the next step
    late = (on % lap) * p["dt"] / 1000 * p["vel"] - recorded[:, 1]
    step = p["dt"] / 1000 * p["vel"]
    checks["onset"] = ([*(on // lap), *((late >= 0) & (late < step))], [*recorded[:, 0], 1, 1], EXACT)
    return checks


def every20(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Every twentieth value, from the first or from the twentieth on, whichever is recorded."""
    forms = values[::20], values[19::20]
    return min(forms, key=lambda rows: float(np.abs(np.ravel(rows[:, ..., None] if rows.ndim == 1 else rows).mean()
                                                    - like.mean())))  # fmt: skip


def tuning(p: dict, n: int) -> np.ndarray:
    """Response of n place inputs on the ring at every two centimetres, (places, n)."""
    at, centres = np.arange(0, p["L"], 2.0), np.arange(n) * p["L"] / n
    away = np.abs(at[:, None] - centres)
    away = np.minimum(away, p["L"] - away)
    return np.exp(-0.5 * (away / p["width"]) ** 2)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits divided by 16, and their classes one hot."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x / 16.0, np.eye(10)[y]


def replay_credit_digits(path: Path, data) -> Checks:
    """Eight ways of sending an error back, one image after the other on the chip, changes summed."""
    p = json.loads(str(data["params"]))
    x, y = (a[data["index"]] for a in digits())
    w, rule = [data["W1"], data["W2"]], cs.rules.feedback_alignment(eta=1.0)
    changes: dict[str, list[list[np.ndarray]]] = {}
    for name, back in (("bp", w[1].T), ("fa", data["B"]), ("sign", np.sign(w[1]).T), ("fp", w[1].T), ("pc", w[1].T)):
        net = propagated(w, [back], rule, relax=0.1 if name == "pc" else None)
        changes[name] = [net.run(xi, yi, SETTLED if name == "pc" else 12)[0] for xi, yi in zip(x, y)]
    changes["dtp"] = [inverted(w, data["V"], data["c"], p["dtp_step"]).run(xi, yi, 12)[0] for xi, yi in zip(x, y)]
    beta = p["beta"]
    for name, first, last in (("ep", 0.0, beta), ("ep2s", -beta, beta), ("chl", 0.0, None)):
        eta = 1.0 if last is None else 1.0 / (last - first)
        changes[name] = [settled(w, xi, yi, first, last, eta, p["clamp"]) for xi, yi in zip(x, y)]
    changes["cont"] = [moving(w, xi, yi, p["cont"]) for xi, yi in zip(x, y)]
    checks: Checks = {}
    for name, rows in changes.items():
        for layer in (0, 1):
            whole, part = f"{name}{layer + 1}", f"{name}{layer + 1}_img0_rows"
            if whole in data:
                checks[whole] = (sum(r[layer] for r in rows), data[whole], TIGHT)
            if part in data:
                checks[part] = (rows[0][layer][: len(data[part])], data[part], TIGHT)
    return checks


def inverted(w: list[np.ndarray], inverse: np.ndarray, c: np.ndarray, step: float) -> Layers:
    """Targets of the hidden units: what tanh units make of the output moved towards its target, less of the output."""
    net, n, hidden = Layers(w, cs.rules.target_difference(eta=1.0)), len(w[1]), len(w[0])
    net.teach("out", e=np.eye(n))
    goal = net.linear("goal", n, out=np.eye(n), e=step * np.eye(n))
    for name, source in (("p", goal), ("q", "out")):
        net.net.add(name, cs.floats.Rate(hidden, k=1.0, g="tanh", bias=c))
        net.net.connect(source, name, cs.floats.Synapses(inverse))
    net.teach("h1", p=np.eye(hidden), q=-np.eye(hidden))
    return net


def symmetric(w: list[np.ndarray], rule: Any, k: float, **start: np.ndarray) -> cs.Emulator:
    """Potentials h and o with a symmetric connection between them; the input enters h."""
    net = cs.Network("equilibrium")
    net.add("x", cs.SpikeSource(w[0].shape[1], graded=1))
    for name, m in (("h", w[0]), ("o", w[1])):
        net.add(name, cs.floats.Rate(len(m), k=k, form="input", u=start.get(name, 0.0), start=int(name in start)))
    net.connect("x", "h", full(w[0]), rule=rule, name="W0")
    net.connect("h", "o", full(w[1]), rule=rule, name="W1")
    net.connect("o", "h", full(w[1].T), name="back")
    return cs.Emulator(cs.compile(net, "float"))


def settled(w, x, y, first: float, last: float | None, eta: float, clamp: float) -> list[np.ndarray]:
    """Two equilibria: nudged by `first` and by `last`, or free and clamped."""
    emulator = symmetric(w, cs.rules.contrastive(eta=eta), 0.3)
    given = {"x": np.tile(x, (SETTLED, 1))}
    emulator.run(given, SETTLED, phase="free", nudge={"o": (y, first)} if first else None)
    if last is None:
        emulator.run(given, SETTLED, phase="teacher", hold={"o": clamp * (2 * y - 1)})
    else:
        emulator.run(given, SETTLED, phase="teacher", nudge={"o": (y, last)})
    return [dense(emulator, f"W{k}") - m for k, m in enumerate(w)]


def moving(w, x, y, how: dict) -> list[np.ndarray]:
    """The continuous update of the steps after the nudge begins, from the free equilibrium."""
    rule, steps = cs.rules.continuous_contrastive(eta=1.0, gather=True), int(how["steps"])
    emulator = symmetric(w, rule, how["dt"])
    emulator.run({"x": np.tile(x, (SETTLED, 1))}, SETTLED, phase="free", third={"W0": 0.0, "W1": 0.0})
    third = dict.fromkeys(("W0", "W1"), np.arange(steps) == steps - 1)
    emulator.run({"x": np.tile(x, (steps, 1))}, steps, phase="nudged", nudge={"o": (y, how["beta"])}, third=third)
    return [dense(emulator, f"W{k}") - m for k, m in enumerate(w)]


class LinearChip:
    """M linear units on the float chip, read and perturbed from outside: y = W r (+ noise) for every column of r."""

    def __init__(self, outputs: int, inputs: int) -> None:
        net = cs.Network("linear")
        net.add("r", cs.SpikeSource(inputs, graded=1))
        net.add("xi", cs.SpikeSource(outputs, graded=1))
        net.add("y", cs.floats.Rate(outputs, g="linear"))
        net.connect("r", "y", full(np.zeros((outputs, inputs))), name="w")
        net.connect("xi", "y", cs.floats.Synapses(np.eye(outputs)))
        self.emulator, self.outputs = cs.Emulator(cs.compile(net, "float")), outputs

    def __call__(self, w: np.ndarray, r: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        self.emulator.reset()
        self.emulator.set_weights("w", w)
        steps = r.shape[1]
        inputs = {"r": np.vstack([r.T, np.zeros((1, len(r)))])}
        if noise is not None:
            inputs["xi"] = np.vstack([noise.T, np.zeros((1, self.outputs))])
        return self.emulator.run(inputs, steps + 1, record={"y": ["r"]}).trace["y"]["r"][1:].T


def replay_curves(path: Path, data) -> Checks:
    """Weight and node perturbation of a linear readout, trial after trial with the recorded noise."""
    seed = int(json.loads(str(data["params"]))["set_seed"])
    checks: Checks = {}
    for tag in ("a", "b"):
        m, n, _, steps, size, amp, fresh, _ = data[f"{tag}_cfg"]
        r, goal = data[f"{tag}_R"], data[f"{tag}_Wt"]
        assert r.shape[1:] == (int(n), int(steps)) and (len(r) > 1) == bool(fresh) and len(goal) == int(m)
        for rule, code in (("wp", 7), ("np", 8)):
            recorded, curves = data[f"{tag}_{rule}_curve"], []
            for s in range(len(recorded)):
                noise = np.random.default_rng([seed, ord(tag), code, s])
                w, curve = descend(data, tag, rule, noise, recorded.shape[1], float(size), float(amp))
                curves.append(curve)
                if s == 0:
                    checks[f"{tag}_{rule}_W_end_seed0"] = (w, data[f"{tag}_{rule}_W_end_seed0"], 1e-9)
            checks[f"{tag}_{rule}_curve"] = (curves, recorded, 1e-9)
    return checks


def descend(data, tag: str, rule: str, noise: Any, trials: int, size: float, amp: float) -> tuple[np.ndarray, list]:
    """Weights and the error that can be reduced, before each trial's update."""
    inputs, goal, rest = data[f"{tag}_R"], data[f"{tag}_Wt"], data[f"{tag}_U"]
    chip, w, curve, eta = LinearChip(*goal.shape), np.zeros_like(goal), [], float(data[f"{tag}_cfg"][7])
    for k in range(trials):
        r = inputs[k % len(inputs)]
        wanted = goal @ r + amp * rest
        y = chip(w, r)
        curve.append(((y - goal @ r) ** 2).sum() / ((goal @ r) ** 2).sum())
        xi = noise.standard_normal(w.shape if rule == "wp" else wanted.shape) * size
        moved = chip(w + xi, r) if rule == "wp" else chip(w, r, xi)
        change = (((moved - wanted) ** 2).sum() - ((y - wanted) ** 2).sum()) / (2 * r.shape[1])
        if rule == "wp":
            gradient = np.empty(xi.size)
            weight_perturbation.project(change, xi.reshape(-1), size, gradient)
            w = w - eta * gradient.reshape(w.shape)
        else:
            trace, d_w = np.zeros_like(w), np.zeros_like(w)
            node_perturbation.eligibility(np.ascontiguousarray(xi.T), np.ascontiguousarray(r.T), trace)
            node_perturbation.update(change, size, trace, d_w)
            w = w + eta * d_w
    return w, curve


def replay_table(path: Path, data) -> Checks:
    """Bias, variance, cosine and gain of five ways to a gradient, each change made by a run of the chip."""
    p = json.loads(str(data["params"]))
    x, y = (a[data["index"]] for a in digits())
    w = [data["W1"], data["W2"]]
    changes = {name: image_changes(w, back, x, y) for name, back in
               (("bp", w[1].T), ("fa", data["B"]), ("sign", np.sign(w[1]).T))}  # fmt: skip
    noise = np.random.default_rng([int(p["set_seed"]), 99])
    chip = forward(w)
    draws = [perturbed(w, x, y, float(p["sigma"]), noise, chip) for _ in range(int(p["draws"]))]
    changes |= {"wp": np.array([d[0] for d in draws]), "np": np.array([d[1] for d in draws])}
    g = changes["bp"].mean(axis=0)
    checks: Checks = {"g": (g, data["g"], TIGHT)}
    for name, found in changes.items():
        checks[f"row_{name}"] = (table_row(found, g), data[f"row_{name}"], 1e-9)
        if name in ("wp", "np"):
            checks[f"{name}_mean"] = (found.mean(axis=0), data[f"{name}_mean"], 1e-9)
            checks[f"{name}_first3"] = (found[:3], data[f"{name}_first3"], 1e-9)
    return checks


def table_row(found: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Bias, variance, cosine and gain of changes (draws, post, pre) against the gradient."""
    mean, size = found.mean(axis=0), np.linalg.norm(g)
    variance = ((found - mean) ** 2).sum(axis=(1, 2)).mean() / size**2
    along = float((mean * g).sum())
    cosine = along / np.linalg.norm(mean) / size
    return np.array([np.linalg.norm(mean - g) / size, variance, cosine, along / size**2])


def image_changes(w: list[np.ndarray], back: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What every image changes of the first layer, (images, post, pre)."""
    net = propagated(w, [back], cs.rules.feedback_alignment(eta=1.0)).net
    emulator, out = cs.Emulator(cs.compile(net, "float")), []
    for xi, yi in zip(x, y):
        emulator.reset()
        emulator.run({"x": np.tile(xi, (8, 1)), "t": np.tile(yi, (8, 1))}, 8, phase="shown")
        out.append(dense(emulator, "W0") - w[0])
    return np.array(out)


def forward(w: list[np.ndarray]) -> cs.Emulator:
    """Hidden and output units; "xi" adds to the sums of the hidden ones. An image takes one step, results two."""
    net = cs.Network("forward")
    net.add("x", cs.SpikeSource(w[0].shape[1], graded=1))
    net.add("xi", cs.SpikeSource(len(w[0]), graded=1))
    net.add("h", cs.floats.Rate(len(w[0])))
    net.add("o", cs.floats.Rate(len(w[1]), g="linear"))
    net.connect("x", "h", full(w[0]), name="W0")
    net.connect("xi", "h", cs.floats.Synapses(np.eye(len(w[0]))))
    net.connect("h", "o", cs.floats.Synapses(w[1]))
    return cs.Emulator(cs.compile(net, "float"))


def costs(emulator: cs.Emulator, x: np.ndarray, y: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
    """Half the squared error of every image."""
    steps, more = len(x) + 2, {} if noise is None else {"xi": np.vstack([noise, np.zeros((2, noise.shape[1]))])}
    inputs = {"x": np.vstack([x, np.zeros((2, x.shape[1]))]), **more}
    out = emulator.run(inputs, steps, record={"o": ["r"]}).trace["o"]["r"][2:]
    return 0.5 * ((y - out) ** 2).sum(axis=1)


def perturbed(w, x, y, sigma: float, noise: Any, emulator: cs.Emulator) -> tuple[np.ndarray, np.ndarray]:
    """One draw of weight perturbation (all images at once) and of node perturbation (image by image)."""
    xi, nu = noise.standard_normal(w[0].shape), noise.standard_normal((len(x), len(w[0])))
    emulator.reset()
    plain = costs(emulator, x, y)
    emulator.reset()
    nodes = costs(emulator, x, y, sigma * nu) - plain
    by_node = -np.einsum("b,bi,bj->ij", nodes / sigma, nu, x) / len(x)
    emulator.reset()
    emulator.set_weights("W0", w[0] + sigma * xi)
    by_weight = -(costs(emulator, x, y).mean() - plain.mean()) / sigma * xi
    return by_weight, by_node


def replay_daphne(path: Path, data) -> Checks:
    """Two linked modules of logistic units, one gradient per sequence: forward on the chip, back by the adjoint."""
    w, w_in, out, n = data["W"], data["U"], data["O"], len(data["W"])
    assert "E = sum_{t >= T/2} .5|y - y*|^2, y* = .8 onehot + .1" in json.loads(str(data["params"]))["rule"]
    assert not w[data["M"] == 0].any(), "links that no module has"
    net = cs.Network("modules")
    net.add("x", cs.SpikeSource(w_in.shape[1], graded=1))
    net.add("h", cs.floats.Rate(n, g="logistic", bias=data["b"], start=1))
    net.add("y", cs.floats.Rate(len(out), g="logistic", bias=data["c"]))
    net.connect("x", "h", cs.floats.Synapses(w_in))
    net.connect("h", "h", cs.floats.Synapses(w))
    net.connect("h", "y", cs.floats.Synapses(out))
    emulator = cs.Emulator(cs.compile(net, "float"))
    found: dict[str, list] = {name: [] for name in ("loss", "dW", "dU", "db", "dO", "dc")}
    for x, label in zip(data["X"], data["labels"]):
        emulator.reset()
        steps = len(x)
        seen = emulator.run({"x": np.vstack([x, np.zeros((2, x.shape[1]))])}, record={"h": ["u"], "y": ["r"]}).trace
        h, y = seen["h"]["u"][: steps + 1], seen["y"]["r"][1 : steps + 2]
        error = np.where(np.arange(steps + 1)[:, None] > steps // 2, y - (0.8 * np.eye(len(out))[label] + 0.1), 0.0)
        back = error * y * (1 - y)
        gradients = adjoint(w, w_in, data["b"], 1.0, "logistic", h, x, back @ out)
        values = (0.5 * (error**2).sum(), gradients[0] * data["M"], gradients[1], gradients[2], back.T @ h, back.sum(0))
        for rows, value in zip(found.values(), values):
            rows.append(value)
    return {name: (rows, data[name], TIGHT) for name, rows in found.items()}


SEED_KINDS = {
    "daphne": replay_daphne,
    "gradient_table": replay_table,
    "wp_np_curves": replay_curves,
    "trajectories": replay_trajectories,
    "assembly_stdp": replay_assembly,
    "btsp_track": replay_track,
    "credit_digits": replay_credit_digits,
}
