"""Random networks, within what each tool takes; corners of every register more often than its middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .case import Call, Case, Link

SIGNS = ("mixed", "excitatory", "inhibitory")
RANGES = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}


class Draw:
    """A seed's random choices."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    def of(self, values: Sequence) -> Any:
        """One of them, as Python's own type."""
        value = values[int(self.rng.integers(len(values)))]
        return value.item() if isinstance(value, np.generic) else value

    def whole(self, low: int, high: int, corners: Sequence[int] = ()) -> int:
        """A whole number in low..high: a corner, a small one, or any."""
        pick = self.rng.random()
        if pick < 0.35 and len(corners):
            return int(self.of(corners))
        if pick < 0.6:
            size = 2.0 ** self.rng.uniform(0, np.log2(max(abs(low), abs(high), 2)))
            return int(np.clip(size * self.of((-1, 1)) if low < 0 < high else np.sign(low + high) * size, low, high))
        return int(self.rng.integers(low, high + 1))

    def some(self, n: int, low: int, high: int, corners: Sequence[int] = ()) -> Any:
        """One number for all, or one for each of n."""
        if self.chance(0.5):
            return self.whole(low, high, corners)
        return np.array([self.whole(low, high, corners) for _ in range(n)])

    def spikes(self, steps: int, n: int) -> np.ndarray:
        """(steps, n) of 0 and 1 at a random rate; now and then silent or saturated."""
        rate = self.of((0.05, 0.2, 0.5, 0.9, 1.0))
        return (self.rng.random((steps, n)) < rate).astype(np.int64)

    def matrix(self, post: int, pre: int, low: int, high: int) -> np.ndarray:
        """(post, pre) whole numbers, with holes, with corners."""
        corners = (low, high, min(1, high), max(-1, low))
        values = np.array([self.whole(low, high, corners) for _ in range(post * pre)]).reshape(post, pre)
        return values * (self.rng.random((post, pre)) < self.of((0.3, 0.8, 1.0)))


def lif_registers(d: Draw, n: int) -> dict[str, Any]:
    """What every LIF of Lava has."""
    registers: dict[str, Any] = {
        "du": d.some(n, 0, 4095, (0, 1, 2047, 4094, 4095)),
        "dv": d.some(n, 0, 4095, (0, 1, 128, 4094, 4095)),
    }
    if d.chance(0.6):
        registers["bias_mant"] = d.some(n, -4096, 4095, (-4096, 4095, 1, -1))
        registers["bias_exp"] = d.some(n, 0, 7, (0, 7)) if d.chance(0.8) else d.whole(-7, 7)
    if d.chance(0.3):
        registers["u"] = d.some(n, -(2**23), 2**23, (2**23, -(2**23), 2**23 - 1, 4095, -4097))
        registers["v"] = d.some(n, -(2**23) + 1, 2**23 - 1, (2**23 - 1, -(2**23) + 1, 4095, -4097))
    return registers


def lava_neurons(d: Draw, n: int) -> tuple[Call, list[str]]:
    """A population in one of Lava's fixed-point models, and its variables."""
    kind = d.of(("LIF",) * 6 + ("LIFReset", "TernaryLIF", "ATRLIF", "Delta", "SigmaDelta", "Sigma"))
    vth = (0, 1, 2, 50, 131071)
    if kind in ("LIF", "LIFReset", "TernaryLIF"):
        registers, seen = lif_registers(d, n), ["u", "v"]
        if kind == "TernaryLIF":
            registers |= {"vth_hi": d.whole(0, 131071, vth), "vth_lo": -d.whole(0, 131071, vth)}
        else:
            registers["vth"] = d.some(n, 0, 131071 if d.chance(0.3) else 500, vth)
        if kind == "LIFReset":
            registers |= {"reset_interval": d.whole(1, 20, (1, 2)), "reset_offset": d.whole(0, 30)}
    elif kind == "ATRLIF":
        names = ("delta_i", "delta_v", "delta_theta", "delta_r")
        registers = {k: float(d.of((0.0, 1.0, 0.4, d.rng.random()))) for k in names}
        registers |= {"theta_0": float(d.rng.uniform(0, 30)), "theta_step": float(d.rng.uniform(0, 9))}
        registers |= {"bias_mant": d.some(n, -200, 4000), "bias_exp": d.whole(0, 5)}
        seen = ["i", "v", "theta", "r"]
    elif kind == "Sigma":
        registers, seen = {}, ["sigma"]
    else:
        registers = {"vth": d.some(n, 0, 50), "spike_exp": d.whole(0, 6), "state_exp": d.whole(0, 6)}
        registers["cum_error"] = d.whole(0, 1)
        seen = ["act", "residue", "error"]
        if kind == "SigmaDelta":
            registers |= {"bias": d.some(n, -50, 50), "activation": d.of(("relu", "unit"))}
            seen = ["sigma", *seen]
    return Call(f"cs.loihi.{kind}", (n,), registers), seen


def lava_synapses(d: Draw, post: int, pre: int, payload_bits: int) -> Call:
    """Synapses in Lava's terms, with or without delays, dense or sparse, in or out of the mantissas' range."""
    sign = d.of((*SIGNS, None))
    low, high = RANGES[sign] if sign else (-255, 255)
    clip = d.chance(0.1)
    weights = d.matrix(post, pre, low * (2 if clip else 1), high * (2 if clip else 1))
    given: dict[str, Any] = {"exponent": d.whole(-8, 7, (0, 0, -1, 1)), "bits": d.whole(1, 8, (8, 8, 1))}
    if sign:
        given["sign"] = sign
    if clip:
        given["saturate"] = True
    if payload_bits:
        given["message_bits"] = payload_bits
    if payload_bits == 32:
        # NumPy's 32 bits overflow inside Lava's product before an exponent below 0 shifts it
        given["exponent"] = max(given["exponent"], 0)
    if d.chance(0.4):
        given["delays"] = d.rng.integers(0, d.of((2, 6, 64)), (post, pre))
    elif d.chance(0.2):
        given["delays"] = d.whole(0, 63, (0, 1, 63))
    handed = Call("sp.csc_array", (weights,)) if d.chance(0.3) else weights
    return Call("cs.loihi.Synapses", (handed,), given)


#: Bits of the values that spikes carry, sign included, by model.
PAYLOAD = {"TernaryLIF": 8, "Delta": 32, "SigmaDelta": 32, "Sigma": 32}


def lava_case(seed: int) -> Case:
    """One to three populations, recurrent or not, with a spike source; values on spikes now and then."""
    d = Draw(seed)
    steps, sources = d.whole(5, 40), d.whole(1, 5)
    graded_source = d.chance(0.25)
    populations = {"x": Call("cs.SpikeSource", (sources,), {"graded": 1} if graded_source else {})}
    record: dict[str, list[str]] = {}
    for k in range(d.whole(1, 3)):
        populations[f"p{k}"], record[f"p{k}"] = lava_neurons(d, d.whole(1, 6))
    inputs = d.spikes(steps, sources)
    source_bits = d.of((8, 8, 16)) * graded_source
    if graded_source:
        inputs = inputs * d.rng.integers(1 - 2 ** (source_bits - 1), 2 ** (source_bits - 1), inputs.shape)
    links: dict[str, Link] = {}
    names = list(populations)
    for k in range(d.whole(1, 5)):
        pre, post = (names[0], names[1]) if not k else (d.of(names), d.of(names[1:]))
        bits = source_bits if pre == "x" else PAYLOAD.get(populations[pre].name.split(".")[-1], 0)
        sizes = (populations[post].args[0], populations[pre].args[0])
        links[f"c{k}"] = Link(pre, post, lava_synapses(d, *sizes, bits if d.chance(0.8) else 0))
    return Case(populations, links, {"x": inputs}, steps, record, seed=seed)


def lava_images(seed: int) -> Case:
    """One or two convolutions."""
    d = Draw(seed)
    steps, shape = d.whole(3, 8), (d.whole(2, 7), d.whole(2, 7), d.of((1, 2, 4)))
    graded = d.chance(0.3)
    populations = {"x": Call("cs.SpikeSource", (shape,), {"graded": 1} if graded else {})}
    links, record = {}, {}
    before = shape
    for k in range(d.whole(1, 2)):
        groups = d.of([g for g in (1, 2, 4) if before[2] % g == 0])
        size = [min(d.whole(1, 3), before[0]), min(d.whole(1, 3), before[1])]
        kernel = d.rng.integers(-256, 256, (groups * d.whole(1, 2), *size, before[2] // groups))
        geometry = {"stride": (d.whole(1, 3), d.whole(1, 3)), "padding": (d.whole(0, 2), d.whole(0, 2))}
        geometry |= {"dilation": (1, d.whole(1, 2) if size[1] == 1 or before[1] >= 2 * size[1] - 1 else 1)}
        geometry |= {"groups": groups, "message_bits": 8 if graded and not k else 0}
        call = Call("Conv", (kernel, before), geometry)
        after = call.value().output_shape
        populations[f"p{k}"] = Call("cs.loihi.LIF", (after,), lif_registers(d, 1) | {"vth": d.whole(0, 2000)})
        links[f"c{k}"] = Link("x" if not k else f"p{k - 1}", f"p{k}", call)
        record[f"p{k}"], before = ["u", "v"], after
    inputs = d.spikes(steps, int(np.prod(shape)))
    if graded:
        inputs = inputs * d.rng.integers(-99, 99, inputs.shape)
    registers = {k: {r: np.ravel(v)[0].item() for r, v in m.kwargs.items()} for k, m in populations.items()}
    populations = {k: Call(m.name, m.args, registers[k]) for k, m in populations.items()}
    return Case(populations, links, {"x": inputs.reshape(steps, *shape)}, steps, record, seed=seed)


def nengo_neurons(d: Draw, n: int) -> Call:
    """A population with everything that nengo-loihi's emulator has for one."""
    registers: dict[str, Any] = {
        "du": d.some(n, 0, 4095, (0, 1, 2047, 4094, 4095)),
        "dv": d.some(n, 0, 4095, (0, 1, 128, 4094, 4095)),
        "vth": d.some(n, 1, 131071 if d.chance(0.4) else 2000, (1, 2, 131071)),
    }
    if d.chance(0.6):
        registers["bias"] = d.some(n, -4095 << 7, 4095 << 7, (-4095 << 7, 4095 << 7, 1, -1))
    if d.chance(0.5):
        registers["refractory"] = d.some(n, 1, 63, (1, 2, 63))
    if d.chance(0.5):
        registers |= {"vmin": 1 - 2 ** d.whole(0, 31, (0, 23, 31)), "vmax": 2 ** (9 + 2 * d.whole(0, 7)) - 1}
    if d.chance(0.3):
        registers["u"] = d.some(n, -(2**23), 2**23 - 1, (2**23 - 1, -(2**23), 4095, -4097))
        registers["v"] = d.some(n, -(2**23) + 1, 2**23 - 1, (2**23 - 1, -(2**23) + 1, 4095))
    return Call("cs.loihi.LIF", (n,), registers)


def nengo_case(seed: int) -> Case:
    """One to three blocks, noise of one kind for all of one now and then."""
    d = Draw(seed)
    steps, sources = d.whole(5, 60), d.whole(1, 6)
    populations = {"x": Call("cs.SpikeSource", (sources,))}
    for k in range(d.whole(1, 3)):
        populations[f"p{k}"] = nengo_neurons(d, d.whole(1, 6))
        if d.chance(0.4):
            noise = {"noise": d.of(("current", "voltage")), "noise_exp": d.whole(1, 23, (1, 7, 12))}
            noise["noise_offset"] = d.whole(-300, 300, (0, 1, -1))
            populations[f"p{k}"] = populations[f"p{k}"].changed(**noise)
    links: dict[str, Link] = {}
    names = list(populations)
    for k in range(d.whole(1, 5)):
        pre, post = (names[0], names[1]) if not k else (d.of(names), d.of(names[1:]))
        weights = d.matrix(populations[post].args[0], populations[pre].args[0], -255, 255)
        given = {"exponent": d.whole(-7, 7, (0, 0, 6, 7)), "bits": d.of((1, 2, 3, 4, 5, 6, 8, 8)), "sign": "mixed"}
        links[f"c{k}"] = Link(pre, post, Call("cs.loihi.Synapses", (weights,), given))
    record = {name: ["input", "u", "v"] for name in names[1:]}
    inputs = {"x": d.spikes(steps, sources)}
    return Case(populations, links, inputs, steps, record, arithmetic="nengo_loihi", seed=seed)


#: Mantissas that brian2-loihi's setters take.
BRIAN_RANGES = {"mixed": (-256, 254), "excitatory": (0, 255), "inhibitory": (-256, 0)}


def brian2_loihi_case(seed: int) -> Case:
    """One or two groups, every register of theirs, each projection with one delay."""
    d = Draw(seed)
    steps, sources = d.whole(5, 40), d.whole(1, 5)
    populations = {"x": Call("cs.SpikeSource", (sources,))}
    for k in range(d.whole(1, 2)):
        registers = {
            "du": d.whole(-1, 4095, (-1, 0, 2047, 4095)),
            "dv": d.whole(0, 4096, (0, 1, 128, 4095, 4096)),
            "vth": d.whole(0, 131071 if d.chance(0.4) else 2000, (0, 1, 131071)),
            "refractory": d.whole(1, 64, (1, 2, 64)),
        }
        populations[f"p{k}"] = Call("cs.loihi.LIF", (d.whole(1, 6),), registers)
    links: dict[str, Link] = {}
    names = list(populations)
    for k in range(d.whole(1, 4)):
        pre, post = (names[0], names[1]) if not k else (d.of(names), d.of(names[1:]))
        sign = d.of(SIGNS)
        weights = d.matrix(populations[post].args[0], populations[pre].args[0], *BRIAN_RANGES[sign])
        given = {"exponent": d.whole(-8, 7, (0, 0, 7)), "bits": d.whole(1, 8, (8, 8)), "sign": sign}
        given["delays"] = d.whole(0, 62, (0, 0, 1, 62)) if d.chance(0.5) else 0
        links[f"c{k}"] = Link(pre, post, Call("cs.loihi.Synapses", (weights,), given))
    record = {name: ["u", "v"] for name in names[1:]}
    inputs = {"x": d.spikes(steps, sources)}
    return Case(populations, links, inputs, steps, record, arithmetic="brian2_loihi", seed=seed)
