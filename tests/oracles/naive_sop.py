"""The sum-of-products engine as a slow oracle: matrices over (post, pre), Python integers, no tables."""

from __future__ import annotations

import numpy as np

from chipsim.kernels.learning.sum_of_products.records import Draws
from chipsim.rules.products.grammar import Factor
from chipsim.rules.products.rule import SumOfProducts
from chipsim.rules.products.state import truncate_weights

WIDTH = {"x0": 1, "y0": 1, "w": 9, "t": 9, "d": 9}


class Naive:
    """The engine as matrices over (post, pre) and Python integers, one product after another; no tables."""

    def __init__(self, rule: SumOfProducts, w: np.ndarray, sign: str = "mixed") -> None:
        self.rule, self.sign = rule, sign
        self.v = {"w": truncate_weights(w, sign).astype(object)}
        self.v |= {k: np.zeros(w.shape, object) for k in "td"}
        self.x, self.y = np.zeros((2, w.shape[1]), object), np.zeros((3, w.shape[0]), object)
        self.tx, self.ty = np.zeros(w.shape[1], int), np.zeros(w.shape[0], int)
        values = np.array([getattr(rule, f"{k}_impulse") for k in ("x1", "x2", "y1", "y2", "y3")])
        self.impulse = [(int(v), round((v - int(v)) * 256)) for v in values]
        self.tau = [getattr(rule, f"{k}_tau") for k in ("x1", "x2", "y1", "y2", "y3")]

    def add(self, value: int, k: int, r: int) -> int:
        whole, fraction = self.impulse[k]
        return min(max(value + whole + (r < fraction), 0), 127)

    def decay(self, value: int, k: int, r: float) -> int:
        if self.tau[k] == 0:
            return 0
        exact = float(np.exp(-1 / np.array([self.tau[k]]))[0]) * value
        return int(np.floor(exact)) + (r < exact % 1)

    def spikes(self, now: int, which: np.ndarray, trace: np.ndarray, last: np.ndarray, first: int, r: int) -> None:
        for n in np.flatnonzero(which):
            if last[n]:
                for k in range(trace.shape[0]):
                    trace[k, n] = self.add(trace[k, n], first + k, r)
            last[n] = now

    def history(self, trace: np.ndarray, last: np.ndarray, first: int, rd: float, ri: int) -> list[np.ndarray]:
        rows = [trace.copy()]
        for q in range(1, self.rule.t_epoch + 1):
            h = rows[-1].copy()
            for k in range(h.shape[0]):
                for n in range(h.shape[1]):
                    h[k, n] = self.decay(h[k, n], first + k, rd)
                    if last[n] == q:
                        h[k, n] = self.add(h[k, n], first + k, ri)
            rows.append(h)
        return rows

    def factor(self, f: Factor, i: int, j: int, x: np.ndarray, y: np.ndarray) -> int:
        values = {"x0": int(self.tx[i] > 0), "y0": int(self.ty[j] > 0)}
        values |= {"x1": x[0, i], "x2": x[1, i], "y1": y[0, j], "y2": y[1, j], "y3": y[2, j]}
        values |= {k: self.v[k][j, i] for k in "wtd"}
        value = values[f.variable] + f.constant
        value = np.sign(value) if f.sgn else value
        width = WIDTH.get(f.variable, 7)
        return int(min(max(value, -(2**width)), 2**width - 1))

    def synapse(self, name: str, i: int, j: int, u: bool, hx: list, hy: list, r: float) -> int:
        acc = int(self.v[name][j, i]) << 7
        for p in self.rule.products:
            if p.target != f"d{name}":
                continue
            q = {"x0": self.tx[i], "y0": self.ty[j], "u": self.rule.t_epoch if u else 0}[p.dependency]
            product = int(q > 0)
            for f in p.factors:
                product = wrap32(product * self.factor(f, i, j, hx[q], hy[q]))
            product = wrap32(product * p.mantissa)
            product >>= max(0, 4 - 15 + sum(WIDTH.get(f.variable, 7) for f in p.factors))
            acc += min(max(product << (p.exponent + 7), -32769), 32767)
            acc = min(max(acc, -32769), 32767)
        if name == "d" or (name == "w" and self.sign == "excitatory"):
            acc = max(acc, 0)
        if name == "w" and self.sign == "inhibitory":
            acc = min(acc, 0)
        value = int(np.floor(acc / 128)) + (r < acc / 128 % 1)
        low, high = {"t": (-257, 255), "d": (0, 255)}.get(
            name, {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[self.sign]
        )
        return min(max(value, low), high)

    def step(self, t: int, pre: np.ndarray, post: np.ndarray, draws: Draws) -> None:
        epoch = self.rule.t_epoch
        now = (t - 1) % epoch + 1
        self.spikes(now, pre, self.x, self.tx, 0, 0)
        self.spikes(now, post, self.y, self.ty, 2, int(draws.y_again[t - 1]))
        if t % epoch:
            return
        hx = self.history(self.x, self.tx, 0, draws.x_decay[t - 1], int(draws.x_impulse[t - 1]))
        hy = self.history(self.y, self.ty, 2, draws.y_decay[t - 1], int(draws.y_impulse[t - 1]))
        ks = [p.k for p in self.rule.products if p.k is not None]
        u = bool(ks) and (t // epoch) % 2 ** ks[0] == 0
        new = {}
        for name, text in (("w", self.rule.dw), ("t", self.rule.dt), ("d", self.rule.dd)):
            new[name] = self.v[name].copy()
            if text is not None:
                for j, i in np.ndindex(new[name].shape):
                    new[name][j, i] = self.synapse(name, i, j, u, hx, hy, draws.w_round[t - 1])
        self.v = new
        self.x, self.y = hx[-1], hy[-1]
        self.tx[:], self.ty[:] = 0, 0


def wrap32(x: int) -> int:
    return (int(x) + 2**31) % 2**32 - 2**31
