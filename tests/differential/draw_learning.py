"""Random plastic networks: Lava's sums of products, nengo-loihi's PES."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .case import Call, Case, Link
from .draw import RANGES, SIGNS, Draw, lava_case, nengo_neurons

TRACES = ("x1", "x2", "y1", "y2", "y3")
FACTORS = (*TRACES, "w", "t", "d", "(w-100)", "(3-y1)", "sgn(t+2)", "(d+2^-1)", "sgn(w)")


def random_rule(rng: np.random.Generator) -> str:
    """Up to three products of random factors, in Lava's grammar."""
    products = []
    for _ in range(rng.integers(1, 4)):
        chosen = rng.choice(FACTORS, rng.integers(0, 5)).tolist()
        dependency = str(rng.choice(("x0", "y0", "u1")))
        products.append("*".join([f"({rng.integers(-7, 8)})*2^{rng.integers(-7, 9)}", dependency, *chosen]))
    return " + ".join(products)


def engine_rule(d: Draw, post: int, pre: int, three: bool, graded: int) -> Call:
    """A rule with its traces and start values; `three`: its post traces are handed in."""
    given: dict[str, Any] = {"dw": random_rule(d.rng), "t_epoch": d.whole(1, 6)}
    given |= {k: random_rule(d.rng) for k in ("dt", "dd") if d.chance(0.5)}
    for k in TRACES[:2] if three else TRACES:
        given |= {f"{k}_impulse": d.rng.integers(0, 1016) / 8, f"{k}_tau": float(d.of((0, 1, 3, 10, 27.5)))}
    given |= {"three_factor": True} if three else {}
    if graded:
        given |= {"graded": graded, "x1_impulse": 0.0}
    start: dict[str, Any] = {"tags": d.rng.integers(-256, 256, (post, pre)), "seed": d.whole(0, 999)}
    return Call(
        "EngineRule", (Call("SumOfProducts", (), given),), start | {"delays": d.rng.integers(0, 256, (post, pre))}
    )


def lava_learning_case(seed: int) -> Case:
    """A network of LIF neurons with one projection that learns by a random rule."""
    case = lava_case(seed)
    d = Draw(seed + 10**6)
    names = [k for k, m in case.populations.items() if m.name in ("cs.loihi.LIF", "cs.loihi.LIFReset")]
    if not names:
        return lava_learning_case(seed + 10**5)
    post = d.of(names)
    pre = "x" if d.chance(0.7) else d.of(names)
    values = pre == "x" and "graded" in case.populations["x"].kwargs
    if values:
        case = replace(case, inputs={"x": np.minimum(np.abs(case.inputs["x"]), 255)})
    n, m = case.size(post), case.size(pre)
    three = d.chance(0.3)
    graded = d.whole(1, 3) if values and d.chance(0.7) else 0
    sign = d.of(SIGNS)
    matrix = d.rng.integers(RANGES[sign][0], RANGES[sign][1] + 1, (n, m))
    given = {"sign": sign, "bits": d.whole(1, 8), "exponent": d.whole(-3, 3), "message_bits": 8 if graded else 0}
    link = Link(pre, post, Call("cs.loihi.Synapses", (Call("all_to_all", (matrix,)),), given),
                engine_rule(d, n, m, three, graded))  # fmt: skip
    third = {}
    if three:
        third["learns"] = {k: d.rng.integers(-50, 200, (case.steps, n)) for k in ("y1", "y2", "y3")}
    record = case.record | {"learns": ["w", "t", "d", "x1", "x2", "y1", "y2", "y3"]}
    return replace(case, links=case.links | {"learns": link}, record=record, third=third)


def pes_case(seed: int) -> Case:
    """A source, a hidden block and a block of pairs whose weights learn from errors; noise now and then."""
    d = Draw(seed)
    steps, sources, pairs = 4 * d.whole(2, 15), d.whole(1, 6), d.whole(1, 3)
    populations = {"x": Call("cs.SpikeSource", (sources,)), "pairs": nengo_neurons(d, 2 * pairs)}
    links: dict[str, Link] = {}
    if d.chance(0.4):
        populations["hid"] = nengo_neurons(d, d.whole(1, 5))
        links["in"] = Link("x", "hid", _mixed(d, populations["hid"].args[0], sources))
    pre = d.of([n for n in populations if n != "pairs"])
    exponent = d.whole(0, 6)
    matrix = d.rng.integers(-127, 128, (2 * pairs, populations[pre].args[0]))
    synapses = Call("cs.loihi.Synapses", (Call("all_to_all", (matrix * 2,)),), {"exponent": exponent, "sign": "mixed"})
    rule = Call("Pes", (), {"tau": d.whole(1, 40), "magnitude": d.rng.integers(0, 127 * 128) / 128,
                            "rate": d.whole(1, 3), "rate_exp": d.whole(-7, 0)})  # fmt: skip
    links["learns"] = Link(pre, "pairs", synapses, rule)
    if d.chance(0.4):
        links["fixed"] = Link("x", "pairs", _mixed(d, 2 * pairs, sources))
    record = {n: ["input", "u", "v"] for n in populations if n != "x"} | {"learns": ["w", "x1"]}
    errors = d.rng.integers(-127, 128, (steps, pairs)) * (d.rng.random((steps, pairs)) < 0.5)
    return Case(populations, links, {"x": d.spikes(steps, sources)}, steps, record, arithmetic="nengo_loihi",
                seed=seed, third={"learns": errors})  # fmt: skip


def _mixed(d: Draw, post: int, pre: int) -> Call:
    return Call("cs.loihi.Synapses", (d.matrix(post, pre, -255, 255),), {"exponent": d.whole(-6, 6), "sign": "mixed"})
