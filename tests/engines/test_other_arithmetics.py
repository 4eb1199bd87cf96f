"""nengo-loihi's and brian2-loihi's arithmetic against a slow oracle: payloads, delays, several populations, threads.

The oracle is written from nengo-loihi 1.1.0 (emulator/interface.py, builder/discretize.py) and brian2-loihi 0.5.2
(loihi_neuron_group.py, loihi_synapses.py) in Python's integers; Lava's has one of its own in `tests.oracles.naive`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chipsim as cs

RANGES = {"mixed": (-256, 255), "excitatory": (0, 256), "inhibitory": (-255, 1)}


def toward_zero(x: int, factor: int) -> int:
    return (abs(x) * factor >> 12) * (1 if x >= 0 else -1)


def wrapped(x: int, bits: int) -> int:
    """Two's complement of `bits` bits and sign."""
    return (x + 2**bits) % 2 ** (bits + 1) - 2**bits


def weight_in_nengo(w: int, bits: int, sign: str, exponent: int) -> int:
    """Rounded half to even, always in mixed format; bits that the shift would cut are rounded first."""
    lost = 9 - bits
    top = 2 ** (8 - lost) - 1
    steps = max(-top, min(top, round(w / 2**lost)))
    right = -(lost + exponent)
    if right > 0:
        steps = max(-top, min(top, round(steps / 2**right) * 2**right))
    return steps << lost + exponent if lost + exponent >= 0 else (steps << lost) >> -exponent


def weight_in_brian2(w: int, bits: int, sign: str, exponent: int) -> int:
    """Cut toward zero, shifted by itself, clipped."""
    lost = 8 - bits + (sign == "mixed")
    kept = (abs(w) >> lost << lost) * (1 if w >= 0 else -1)
    return max(1 - 2**15, min(2**15 - 1, kept << exponent if exponent >= 0 else kept >> -exponent))


class Oracle:
    """A network step by step; `early`: input spikes act in their own step."""

    def __init__(self, net: cs.Network, arithmetic: str) -> None:
        self.models = {name: p.model for name, p in net.populations.items()}
        self.nengo = arithmetic == "nengo_loihi"
        cut = weight_in_nengo if self.nengo else weight_in_brian2
        self.projections = []
        for p in net.projections.values():
            s: Any = p.synapses
            acting = [[cut(int(w), s.bits, s.sign, s.exponent) for w in row] for row in s.mantissa]
            delays = np.broadcast_to(s.delays, s.shape)
            self.projections.append((p.pre.name, p.post.name, acting, delays, s.message_bits > 0))
        cells = {name: m.n for name, m in self.models.items() if not m.is_input}
        self.state = {name: {k: [0] * n for k in ("u", "v", "rest")} for name, n in cells.items()}
        self.due: dict[tuple[int, str, int], int] = {}
        self.t, self.last = 0, {name: np.zeros(m.n, int) for name, m in self.models.items()}

    def step(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        sent = dict(inputs)
        for pre, post, weights, delays, carries in self.projections:
            at_once = not self.nengo and self.models[pre].is_input
            for j, value in enumerate((inputs if at_once else self.last)[pre]):
                for i in range(len(weights)) if value else ():
                    key = (self.t + int(delays[i, j]), post, i)
                    amount = weights[i][j] * (int(value) if carries else 1)
                    self.due[key] = self.due.get(key, 0) + amount
        for name in self.state:
            sent[name] = np.array([self._neuron(name, i) for i in range(self.models[name].n)])
        self.t, self.last = self.t + 1, sent
        return sent

    def _neuron(self, name: str, i: int) -> int:
        model, s = self.models[name], self.state[name]
        get = {
            k: int(model.per_neuron(k)[i]) for k in ("du", "dv", "vth", "refractory", "vmin", "bias_mant", "bias_exp")
        }
        a = self.due.pop((self.t, name, i), 0)
        if self.nengo:
            s["u"][i] = wrapped(toward_zero(s["u"][i], 4095 - get["du"]) + wrapped(a << 6, 21), 23)
            push = wrapped(s["u"][i] + (get["bias_mant"] << get["bias_exp"]), 23)
        else:
            push = s["u"][i] = toward_zero(s["u"][i], 4095 - get["du"]) + (a << 6)
        if s["rest"][i]:
            s["rest"][i] -= 1
            return 0
        v = toward_zero(s["v"][i], 4096 - get["dv"]) + push
        v = max(min(wrapped(v, 31), 2**23 - 1), get["vmin"]) if self.nengo else v
        fired = v > get["vth"] << 6
        s["v"][i] = 0 if fired else v
        s["rest"][i] = get["refractory"] - 1 if fired else 0
        return int(fired)


def random_network(rng, arithmetic: str) -> cs.Network:
    net = cs.Network("random")
    net.add("x", cs.SpikeSource(int(rng.integers(1, 4)), graded=1))
    net.add("y", cs.SpikeSource(2))
    for name in "ab"[: int(rng.integers(1, 3))]:
        n = int(rng.integers(1, 14))
        given = {"du": int(rng.integers(0, 4096)), "dv": int(rng.integers(0, 4096)), "vth": int(rng.integers(1, 3000))}
        if arithmetic == "nengo_loihi":
            given |= {"bias_mant": int(rng.integers(-90, 90)), "bias_exp": int(rng.integers(0, 5))}
            given |= {"vmin": -int(rng.integers(0, 2**31 - 1))} if rng.random() < 0.4 else {}
        net.add(name, cs.loihi.LIF(n, refractory=rng.integers(1, 5, n), **given))
    names = list(net.populations)
    for k in range(int(rng.integers(1, 6))):
        pre, post = str(rng.choice(names)), str(rng.choice(names[2:]))
        shape = net.populations[post].n, net.populations[pre].n
        sign = str(rng.choice(list(RANGES)))
        made = cs.loihi.Synapses(
            rng.integers(*RANGES[sign], shape) * (rng.random(shape) < 0.6), sign=sign, bits=int(rng.integers(2, 9)),
            exponent=int(rng.integers(-6, 8)), message_bits=16 * int(rng.integers(0, 2)),
            delays=(0, int(rng.integers(0, 6)), rng.integers(0, 6, shape))[int(rng.integers(3))],
        )  # fmt: skip
        net.connect(pre, post, made, name=f"p{k}")
    return net


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("arithmetic", ["nengo_loihi", "brian2_loihi"])
def test_equals_the_oracle(arithmetic: str, threads: int, monkeypatch) -> None:
    monkeypatch.setattr("chipsim.engines.timestep.THREADS_FROM", 0)
    rng = np.random.default_rng(threads)
    for case in range(25):
        net, steps = random_network(rng, arithmetic), int(rng.integers(1, 14))
        n_in = net.populations["x"].n
        inputs = {
            "x": rng.integers(-30, 31, (steps, n_in)) * (rng.random((steps, n_in)) < rng.choice([0.03, 0.4])),
            "y": (rng.random((steps, 2)) < 0.4).astype(int),
        }
        record = {name: ["u", "v"] for name in list(net.populations)[2:]}
        program = cs.compile(net, "unlimited", arithmetic=arithmetic)
        result, oracle = (
            cs.Emulator(program, threads=threads).run(inputs, steps, record=record),
            Oracle(net, arithmetic),
        )
        for t in range(steps):
            sent = oracle.step({k: v[t] for k, v in inputs.items()})
            for name in record:
                assert result.spikes[name][t].tolist() == (sent[name] > 0).tolist(), (case, t, name)
                for variable in record[name]:
                    assert result.trace[name][variable][t].tolist() == oracle.state[name][variable], (case, t, name)
