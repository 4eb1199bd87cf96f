"""Random networks of float neurons: Lava's floating-point LIF, and LIF neurons with time constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Call, Case, Link
from .draw import Draw


def dyadic(d: Draw, *shape: int) -> np.ndarray:
    """Multiples of 1/64 below 4: sums of them are exact in any order."""
    return d.rng.integers(-200, 257, shape) / 64.0 * (d.rng.random(shape) < 0.8)


def lava_float_case(seed: int) -> Case:
    """Lava's LIF and LIFRefractory in floating point."""
    d = Draw(seed)
    steps, sources = d.whole(5, 40), d.whole(1, 5)
    populations = {"x": Call("cs.SpikeSource", (sources,))}
    for k in range(d.whole(1, 3)):
        n = d.whole(1, 6)
        decay = [float(d.of((0.0, 1.0, 0.5, d.rng.random()))) for _ in range(2)]
        registers: dict[str, Any] = {"du": decay[0], "dv": decay[1], "vth": float(d.of((0.5, 2.0, 11.0)))}
        registers |= {"bias": d.rng.uniform(-0.5, 1, n)} if d.chance(0.5) else {}
        registers |= {"refractory": d.whole(1, 9)} if d.chance(0.4) else {}
        registers |= {"u": dyadic(d, n), "v": dyadic(d, n)} if d.chance(0.3) else {}
        populations[f"p{k}"] = Call("cs.floats.LavaLIF", (n,), registers)
    links: dict[str, Link] = {}
    names = list(populations)
    for k in range(d.whole(1, 4)):
        pre, post = (names[0], names[1]) if not k else (d.of(names), d.of(names[1:]))
        shape = (populations[post].args[0], populations[pre].args[0])
        given = {"delays": d.rng.integers(0, 6, shape)} if d.chance(0.4) else {}
        links[f"c{k}"] = Link(pre, post, Call("cs.floats.Synapses", (dyadic(d, *shape),), given))
    record = {n: ["u", "v"] for n in names[1:]}
    return Case(populations, links, {"x": d.spikes(steps, sources)}, steps, record, chip="float", seed=seed)


def ideal_case(seed: int, subtract: bool = True) -> Case:
    """LIF neurons in seconds, all with current synapses or all without, recurrent, delayed, refractory, biased."""
    d = Draw(seed)
    steps, sources = d.whole(10, 80), d.whole(1, 6)
    populations = {"x": Call("cs.SpikeSource", (sources,))}
    current = d.chance(0.5)
    for k in range(d.whole(1, 2)):
        registers: dict[str, Any] = {"tau_mem": d.rng.uniform(2e-3, 50e-3), "threshold": d.rng.uniform(0.3, 2)}
        registers |= {"tau_syn": d.rng.uniform(1.5e-3, 30e-3)} if current else {}
        registers |= {"bias": d.rng.uniform(-0.5, 1.5)} if d.chance(0.5) else {}
        registers |= {"v_leak": d.rng.uniform(-0.3, 0.25)} if d.chance(0.4) else {}
        registers |= {"r": d.rng.uniform(0.3, 3)} if d.chance(0.4) else {}
        if subtract and d.chance(0.4):
            registers |= {"reset": "subtract"}
            registers.pop("v_leak", None)
        elif d.chance(0.5):
            registers["refractory"] = d.whole(1, 9) * 1e-3
        populations[f"p{k}"] = Call("cs.LIF", (d.whole(1, 5),), registers)
    links: dict[str, Link] = {}
    names = list(populations)
    for k in range(d.whole(1, 4)):
        pre, post = (names[0], names[1]) if not k else (d.of(names), d.of(names[1:]))
        shape = (populations[post].args[0], populations[pre].args[0])
        weights = d.rng.normal(0.3, 0.7, shape) * (d.rng.random(shape) < 0.8)
        least = int(current)  # the tools' currents act a step later
        delay = d.rng.integers(least, 7, shape) if d.chance(0.4) else least
        links[f"c{k}"] = Link(pre, post, Call("np.array", (weights,)), delay=delay)
    record = {n: ["v"] for n in names[1:]}
    return Case(populations, links, {"x": d.spikes(steps, sources)}, steps, record, chip="float", seed=seed)
