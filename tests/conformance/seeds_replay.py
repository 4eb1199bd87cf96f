"""Replay of the recorded truth of the seed gallery on emulated chips; same contract as `learning_replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import chipsim as cs
from chipsim.mappings.studies.trajectories import Trajectory
from tests.conformance.learning_replay import EXACT, TIGHT, Checks
from tests.conformance.learning_replay_spikes import plateau_run
from tests.conformance.rate_nets import FREE, Layers, dense, full, propagated

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


SEED_KINDS = {
    "trajectories": replay_trajectories,
    "assembly_stdp": replay_assembly,
    "btsp_track": replay_track,
    "credit_digits": replay_credit_digits,
}
