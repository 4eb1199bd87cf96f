"""The slow oracle: a network of fixed-point LIF neurons in plain Python integers, written from the specification.

Nothing here is shared with the package but the description of the network. Python integers do not overflow, so
every wrap and clip of the hardware is written out.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

BOUND = 1 << 23


def toward_zero(x: int, factor: int) -> int:
    """sign(x) * floor(|x| * factor / 4096)."""
    return (abs(x) * factor >> 12) * (1 if x >= 0 else -1)


def int32(x: int) -> int:
    return (x + 2**31) % 2**32 - 2**31


def cut(mantissa: int, bits: int, sign: str) -> int:
    """Lava: low bits cleared by floor; inhibitory weights on their magnitude."""
    step = 1 << (8 - bits + (sign == "mixed"))
    return -(-mantissa // step * step) if sign == "inhibitory" else mantissa // step * step


class NaiveNetwork:
    """Same network, same inputs, one neuron and one synapse at a time (Lava's arithmetic)."""

    def __init__(self, net) -> None:
        self.populations = {name: p.model for name, p in net.populations.items()}
        self.state = {}
        for name, model in self.populations.items():
            if not model.is_input:
                self.state[name] = {
                    "u": [int(x) for x in model.per_neuron("u")],
                    "v": [int(x) for x in model.per_neuron("v")],
                    "rest": [0] * model.n,
                }
        self.projections = [(p.pre.name, p.post.name, p.synapses, {}) for p in net.projections.values()]
        self.sent: list[dict[str, np.ndarray]] = []

    def step(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One step; returns the spikes (or values) of every population."""
        arriving = {name: [0] * model.n for name, model in self.populations.items()}
        for pre, post, synapses, due in self.projections:
            self._send(pre, synapses, due)
            for i, amount in due.pop(len(self.sent), {}).items():
                arriving[post][i] += amount
        spikes = {}
        for name, model in self.populations.items():
            spikes[name] = inputs[name] if model.is_input else self._update(name, model, arriving[name])
        self.sent.append(spikes)
        return spikes

    def _send(self, pre: str, synapses, due: dict) -> None:
        """Put what the spikes of the step before cause into `due`, delay by delay: each sum is shifted by itself."""
        if not self.sent:
            return
        source = self.sent[-1][pre]
        matrix = synapses.mantissa.toarray() if sp.issparse(synapses.mantissa) else synapses.mantissa
        delays = synapses.delays.toarray() if sp.issparse(synapses.delays) else np.broadcast_to(
            synapses.delays, matrix.shape
        )  # fmt: skip
        now = len(self.sent)
        sums: dict[tuple[int, int], int] = {}
        for i in range(matrix.shape[0]):
            for j in range(matrix.shape[1]):
                if source[j]:
                    value = int(source[j]) if synapses.message_bits else 1
                    key = (int(delays[i, j]), i)
                    sums[key] = sums.get(key, 0) + cut(int(matrix[i, j]), synapses.bits, synapses.sign) * value
        for (delay, i), total in sums.items():
            e = synapses.exponent
            slot = due.setdefault(now + delay, {})
            slot[i] = slot.get(i, 0) + (total << e if e >= 0 else total >> -e)

    def _update(self, name: str, model, arriving: list[int]) -> np.ndarray:
        s = self.state[name]
        get = {k: model.per_neuron(k) for k in model.registers if not isinstance(model.values[k], str)}
        t = len(self.sent) + 1
        interval = int(model.values.get("reset_interval", 0))
        out = np.zeros(model.n, np.int64)
        for i in range(model.n):
            if interval and t % interval == int(model.values["reset_offset"]) % interval:
                s["u"][i] = s["v"][i] = 0
            x = int32(int32(arriving[i]) << 6)
            u = int32(toward_zero(s["u"][i], 4096 - (int(get["du"][i]) + 1)) + x)
            u = u - 2 * BOUND if u > BOUND else u + 2 * BOUND if u <= -BOUND else u
            s["u"][i] = u
            if s["rest"][i] > 0:
                s["rest"][i] -= 1
                continue
            mant, exp = int(get["bias_mant"][i]), int(get["bias_exp"][i])
            bias = (mant << exp if exp >= 0 else mant >> -exp) + int(get["bias"][i])
            v = toward_zero(s["v"][i], 4096 - int(get["dv"][i])) + u + bias
            v = min(max(v, int(get["vmin"][i])), int(get["vmax"][i]))
            if v > int(get["vth"][i]) << 6:
                out[i] = 1
                v = v - (int(get["vth"][i]) << 6) if model.values["reset"] == "subtract" else 0
                s["rest"][i] = int(get["refractory"][i]) - 1
            s["v"][i] = v
        return out
