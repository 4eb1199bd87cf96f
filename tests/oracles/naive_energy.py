"""Oracles for energy and timing: recorded cases, a plain float LIF, counts written as loops."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from chipsim.chips.sanafe import chip_from_numbers
from chipsim.chips.schema import Chip
from chipsim.estimate.traffic import Spikes, fan_out, pack

GOLDEN = Path(__file__).parent.parent / "golden" / "energy"
CASES = sorted(path.stem for path in GOLDEN.glob("p*.npz"))


def case(name: str) -> tuple[dict[str, np.ndarray], dict, Chip]:
    """Arrays, architecture and chip of a recorded case."""
    records = {record["case"]: record for record in json.loads((GOLDEN / "cases.json").read_text())}
    arch = json.loads((GOLDEN / "arch" / f"{records[name]['arch']}.json").read_text())
    with np.load(GOLDEN / f"{name}.npz") as data:
        return dict(data), arch, chip_from_numbers(arch)


def run_lif(z: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Spikes and active neurons (t, n) of a recorded network, by the equations beside the recordings."""
    n, steps = len(z["core"]), len(z["fired"])
    given = np.unpackbits(z["input_spikes"], axis=1)[:, :n].astype(bool)
    weights, wired = np.zeros((n, n)), np.zeros((n, n), bool)
    np.add.at(weights, (z["post"], z["pre"]), z["weight"].astype(float))
    wired[z["post"], z["pre"]] = True
    v, u, rest, last = np.zeros(n), np.zeros(n), np.zeros(n, int), np.zeros(n, bool)
    spikes, active = np.zeros((steps, n), bool), np.zeros((steps, n), bool)
    for t in range(steps):
        active[t] = (v != 0) | (wired & last).any(axis=1) | (z["bias"] != 0) | z["force_update"]
        if t > 0:
            u, v = u * z["input_decay"], v * z["leak_decay"]
        v = np.trunc(v * 64) / 64
        awake = rest <= 0
        u = np.where(awake, u + weights @ last, u)
        v = np.where(awake, v + z["bias"] + u, v)
        fire = awake & (v > z["threshold"]) & ~z["is_input"]
        v = np.where(fire, np.where(z["reset_mode"] == 2, z["reset"], v - z["threshold"]), v)
        rest = np.maximum(0, np.where(fire, z["refractory"], rest) - 1)
        v[z["is_input"]], u[z["is_input"]], active[t, z["is_input"]] = 0, 0, False
        spikes[t] = last = np.where(z["is_input"], given[t], fire)
    return spikes, active


def spikes_of(z: dict[str, np.ndarray], spikes: np.ndarray, active: np.ndarray) -> Spikes:
    """The `Spikes` of a simulated network."""
    step, neuron = np.nonzero(spikes)
    core = z["core"].astype(np.int64)
    start = np.searchsorted(step, np.arange(len(spikes) + 1))
    return Spikes(start, neuron, pack(active), core, z["is_input"], *fan_out(z["pre"], z["post"], core))


def random_spikes(rng: np.random.Generator, n: int, cores: int, steps: int, rate: float, fan: int) -> Spikes:
    """A random network of n neurons on `cores` cores, with random spikes: traffic without dynamics."""
    core = np.sort(rng.integers(0, cores, n))
    pre, post = rng.integers(0, n, n * fan), rng.integers(0, n, n * fan)
    spikes = rng.random((steps, n)) < rate
    step, neuron = np.nonzero(spikes)
    start = np.searchsorted(step, np.arange(steps + 1))
    active = spikes | (rng.random((steps, n)) < 0.3)
    return Spikes(start, neuron, pack(active), core, np.zeros(n, bool), *fan_out(pre, post, core))


def loop_counts(spikes: Spikes, chip: Chip) -> dict[str, np.ndarray]:
    """Packets, events, hops and border crossings of each step, one packet at a time."""
    steps, top = len(spikes.start) - 1, chip.topology
    out = {name: np.zeros(steps, int) for name in ("packets", "events", "east", "west", "north", "south", "border")}
    for t in range(steps):
        for i in spikes.neuron[spikes.start[t] : spikes.start[t + 1]]:
            for k in range(spikes.fan_start[i], spikes.fan_start[i + 1]):
                a, b = spikes.core[i] // top.cores_per_tile, spikes.fan_core[k] // top.cores_per_tile
                (x0, y0), (x1, y1) = divmod(a, top.height), divmod(b, top.height)
                out["packets"][t] += 1
                out["events"][t] += spikes.fan_synapses[k]
                out["east"][t] += max(x1 - x0, 0)
                out["west"][t] += max(x0 - x1, 0)
                out["north"][t] += max(y1 - y0, 0)
                out["south"][t] += max(y0 - y1, 0)
                out["border"][t] += abs(x1 // top.width - x0 // top.width)
    return out
