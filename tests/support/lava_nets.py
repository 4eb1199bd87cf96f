"""Networks for Lava: small ones that together use everything that is exported."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

import chipsim as cs
from chipsim.native.synapses import Conv
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.products.rule import SumOfProducts, reward_modulated_stdp, stdp_loihi

Case = tuple[cs.Network, dict, dict]  #: network, inputs, third factors


def spikes(rng, steps: int, n: int, rate: float = 0.3) -> np.ndarray:
    return (rng.random((steps, n)) < rate).astype(np.int64)


def split(steps: int) -> Case:
    """Neurons that differ in what Lava has per process; every form of matrix; a part on its own."""
    rng = np.random.default_rng(1)
    net = cs.Network("split")
    net.add("x", cs.SpikeSource(12))
    registers = {"du": rng.choice([-1, 1000, 4095], 20), "dv": rng.choice([128, 4096], 20), "bias_exp": 4}
    net.add("a", cs.loihi.LIF(20, vth=rng.choice([60, 90], 20), bias_mant=rng.integers(-9, 20, 20), **registers))
    net.add("b", cs.loihi.LIFReset(5, du=4095, dv=128, vth=60, reset_interval=7, reset_offset=9, u=300, v=-200))
    net.add("alone", cs.loihi.LIF(3, dv=200, vth=40, bias=3 << 7))
    delays = rng.integers(0, 5, (20, 12))
    net.connect("x", "a", cs.loihi.Synapses(rng.integers(-120, 120, (20, 12)) * 2, exponent=1, delays=delays))
    net.connect("a", "a", cs.loihi.Synapses(rng.integers(-60, 60, (20, 20)) * 2, exponent=-2, sign="mixed"))
    thin = sp.random_array((20, 20), density=0.2, random_state=rng, format="csc")
    thin.data = rng.integers(-200, 200, thin.nnz)
    later = thin.copy()
    later.data = rng.integers(0, 63, thin.nnz)
    net.connect("a", "a", cs.loihi.Synapses(thin, bits=6, sign="mixed", delays=later, exponent=-1), name="late")
    net.connect("a", "b", cs.loihi.Synapses(rng.integers(0, 255, (5, 20)), sign="excitatory", delays=3))
    inhibitory = sp.csc_array(rng.integers(-255, 0, (5, 12)) * (rng.random((5, 12)) < 0.3))
    net.connect("x", "b", cs.loihi.Synapses(inhibitory, bits=4, sign="inhibitory", exponent=-1))
    return net, {"x": spikes(rng, steps, 12)}, {}


def graded(steps: int) -> Case:
    """Payloads, ternary spikes, sigma-delta neurons, adaptive thresholds."""
    rng = np.random.default_rng(2)
    net = cs.Network("graded")
    net.add("x", cs.SpikeSource(6, graded=1))
    kind = {"sign": "mixed", "message_bits": 16}
    net.add("t", cs.loihi.TernaryLIF(7, du=2000, dv=500, vth_hi=rng.choice([100, 300], 7), vth_lo=-200))
    net.add("delta", cs.loihi.Delta(6, vth=rng.choice([2, 5], 6), spike_exp=2, state_exp=1, cum_error=1))
    net.add("sd", cs.loihi.SigmaDelta(5, vth=3, bias=rng.integers(-5, 6, 5), spike_exp=1, state_exp=1))
    net.add("sigma", cs.loihi.Sigma(4))
    net.add("at", cs.loihi.ATRLIF(4, theta_step=3.75, bias_mant=rng.integers(0, 40, 4), bias_exp=3))
    for pre, post in (("x", "t"), ("x", "delta"), ("delta", "sd"), ("sd", "sigma"), ("t", "at")):
        m, n = net.populations[post].n, net.populations[pre].n
        net.connect(pre, post, cs.loihi.Synapses(rng.integers(-40, 41, (m, n)) * 2, **kind))
    net.connect("t", "at", cs.loihi.Synapses(rng.integers(0, 255, (4, 7)), sign="excitatory"), name="plain")
    return net, {"x": rng.integers(-30, 31, (steps, 6)) * spikes(rng, steps, 6)}, {}


def images(steps: int, channels: str = "last") -> Case:
    """Convolutions: stride, padding, dilation, groups, two layers, a target that is split."""
    rng = np.random.default_rng(3)
    net = cs.Network("images")
    shape = (9, 8, 2) if channels == "last" else (2, 9, 8)
    geometry = {"stride": (2, 1), "padding": (1, 2), "channels": channels}
    first = Conv(rng.integers(-90, 120, (4, 3, 2, 1)), shape, dilation=(1, 2), groups=2, **geometry)
    second = Conv(rng.integers(-300, 400, (3, 2, 3, 4)), first.output_shape, channels=channels)
    net.add("x", cs.SpikeSource(shape))
    net.add("c1", cs.loihi.LIF(first.output_shape, du=4095, dv=400, vth=150))
    n = int(np.prod(second.output_shape))
    net.add("c2", cs.loihi.LIF(second.output_shape, du=3000, dv=400, vth=rng.choice([300, 500], n)))
    net.connect("x", "c1", first)
    net.connect("c1", "c2", second)
    return net, {"x": spikes(rng, steps, 144).reshape(steps, *shape)}, {}


def stdp(steps: int) -> Case:
    """Two-factor learning that feeds back, beside a second rule with tags and delays on payloads."""
    rng = np.random.default_rng(4)
    net = cs.Network("stdp")
    net.add("x", cs.SpikeSource(6))
    net.add("g", cs.SpikeSource(4, graded=1))
    net.add("a", cs.loihi.LIF(5, du=2000, dv=400, vth=rng.choice([90, 130], 5)))
    first = stdp_loihi(1, 1, -1, 8, 6, t_epoch=3)
    start = all_to_all(rng.integers(0, 90, (5, 6)))
    net.connect("x", "a", cs.loihi.Synapses(start, sign="excitatory", exponent=-1), rule=first)
    trace = {"x2_impulse": 40.5, "x2_tau": 9.0, "y1_impulse": 30.0, "y1_tau": 4.0}
    text = {"dw": "2^-3*x1*y0 - 2^-2*y1*x0 + u1*t", "dt": "x0*x2*2^-2 - u1*sgn(t)", "dd": "2*y0 - u1*(d-3)"}
    second = SumOfProducts(**text, **trace, x1_tau=12.0, graded=2, t_epoch=2)
    settings = {"tags": rng.integers(-9, 9, (5, 4)), "delays": rng.integers(0, 9, (5, 4)), "seed": 11}
    mixed = cs.loihi.Synapses(all_to_all(rng.integers(-60, 61, (5, 4))), sign="mixed", bits=7, message_bits=8)
    net.connect("g", "a", mixed, rule=EngineRule(second, **settings))
    net.connect("a", "a", cs.loihi.Synapses(rng.integers(-30, 20, (5, 5)) * 2, sign="mixed"))
    payload = spikes(rng, steps, 4) * rng.integers(1, 255, (steps, 4))
    return net, {"x": spikes(rng, steps, 6), "g": payload}, {}


def reward(steps: int) -> Case:
    """Three-factor learning: the neurons' own trace and a reward; all three factors given; a source that teaches."""
    rng = np.random.default_rng(5)
    net = cs.Network("reward")
    net.add("x", cs.SpikeSource(6))
    net.add("teach", cs.SpikeSource(3))
    net.add("a", cs.loihi.LIF(4, du=2000, dv=400, vth=rng.choice([90, 130], 4)))
    tag = reward_modulated_stdp(0.5, 1, -0.5, 10, 16, 2**-3, t_epoch=4)
    rule = EngineRule(tag, y1_tau=10, y1_impulse=16)
    mixed = {"sign": "mixed"}
    net.connect("x", "a", cs.loihi.Synapses(all_to_all(rng.integers(-20, 90, (4, 6))), **mixed), rule=rule)
    given = SumOfProducts(dw="x0*y1*2^-2 - y0*y3*2^-1", dt="u0*y2", x1_tau=3, three_factor=True, t_epoch=3)
    net.connect("x", "teach", cs.loihi.Synapses(all_to_all(rng.integers(-20, 90, (3, 6))), **mixed), rule=given)
    third = {
        "x->a": rng.integers(-5, 30, steps),
        "x->teach": {"y1": rng.integers(0, 60, (steps, 3)), "y2": 2, "y3": rng.integers(0, 9, (steps, 3))},
    }
    return net, {"x": spikes(rng, steps, 6), "teach": spikes(rng, steps, 3)}, third


CASES = {"split": split, "graded": graded, "images": images, "stdp": stdp, "reward": reward}


def images_first(steps: int) -> Case:
    """The convolutions with the channels first."""
    return images(steps, "first")


CASES["images_first"] = images_first


def random_case(seed: int, steps: int) -> Case:
    """A random program of two to four populations in what Lava can express."""
    rng = np.random.default_rng(seed)
    net = cs.Network(f"random {seed}")
    net.add("x", cs.SpikeSource(int(rng.integers(1, 9))))
    for k in range(rng.integers(1, 4)):
        n = int(rng.integers(1, 9))

        def some(values, n=n):
            return rng.choice(values, n) if rng.random() < 0.5 else int(rng.choice(values))

        common = {"du": some([0, 7, 1500, 4095]), "dv": some([0, 100, 4000]), "bias_exp": some([-2, 0, 5])}
        common |= {
            "bias_mant": rng.integers(-40, 60, n),
            "u": rng.integers(-9000, 9000, n),
            "v": rng.integers(-90, 90, n),
        }
        net.add(f"p{k}", cs.loihi.LIF(n, vth=some([5, 80, 400]), **common))
    names = list(net.populations)
    for j in range(rng.integers(2, 6)):
        pre, post = str(rng.choice(names)), str(rng.choice(names[1:]))
        sign = str(rng.choice(["mixed", "excitatory", "inhibitory"]))
        low, high = {"mixed": (-256, 256), "excitatory": (0, 256), "inhibitory": (-255, 1)}[sign]
        shape = (net.populations[post].n, net.populations[pre].n)
        weights = rng.integers(low, high, shape) * (rng.random(shape) < 0.7)
        delays = rng.integers(0, 9, shape) if rng.random() < 0.4 else int(rng.integers(0, 2))
        kind = {"exponent": int(rng.integers(-3, 3)), "bits": int(rng.integers(1, 9)), "sign": sign}
        given = sp.csc_array(weights) if rng.random() < 0.5 else weights
        net.connect(pre, post, cs.loihi.Synapses(given, delays=delays, **kind), name=f"c{j}")
    if rng.random() < 0.6:
        _learning(rng, net, str(rng.choice(names[1:])))
    return net, {"x": spikes(rng, steps, net.populations["x"].n)}, {}


def _learning(rng, net: cs.Network, post: str) -> None:
    """A projection from the input that learns by a random sum of products, with random traces and start values."""
    shape = (net.populations[post].n, net.populations["x"].n)
    products = ["2^-2*x1*y0", "x2*x0", "2^-3*y1*x0*w", "u1*t", "u0*sgn(w-9)", "2^-1*y3*y0", "3*x0*(5-y2)", "u1*2^-4*d"]

    def text() -> str:
        return " - ".join(rng.choice(products, 3, replace=False)).replace("u0", "u1")

    traces = {f"{k}_impulse": rng.integers(0, 500) / 8 for k in ("x1", "x2", "y1", "y2", "y3")}
    traces |= {f"{k}_tau": float(rng.choice([0, 2, 11.5])) for k in ("x1", "x2", "y1", "y2", "y3")}
    rule = SumOfProducts(dw=text(), dt=text(), t_epoch=int(rng.integers(1, 6)), **traces)
    start = {
        "tags": rng.integers(-200, 200, shape),
        "delays": rng.integers(0, 200, shape),
        "seed": int(rng.integers(99)),
    }
    sign = str(rng.choice(["mixed", "excitatory", "inhibitory"]))
    low, high = {"mixed": (-256, 256), "excitatory": (0, 256), "inhibitory": (-255, 1)}[sign]
    kind = {"sign": sign, "bits": int(rng.integers(2, 9)), "exponent": int(rng.integers(-2, 2))}
    weights = cs.loihi.Synapses(all_to_all(rng.integers(low, high, shape)), **kind)
    net.connect("x", post, weights, rule=EngineRule(rule, **start), name="learns")
