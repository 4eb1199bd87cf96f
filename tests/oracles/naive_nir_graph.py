"""A NIR graph run node by node in plain NumPy, in each tool's own order of operations: the oracle of random graphs.

Written from the recorded tools' step equations, without coefficients, folding, delays of layers or matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles.naive_nir import Late, conv


class Neuron:
    """One spiking or silent node of a tool."""

    def __init__(self, node: Any, scheme: str, options: dict[str, Any], recurrent: bool) -> None:
        self.kind, self.scheme, self.options = type(node).__name__, scheme, options
        self.whole = self.kind == "CubaLIF" or recurrent  # snnTorch: a late reset to 0 takes the input with it
        get = {k: np.asarray(getattr(node, k), float) for k in ("tau", "tau_mem", "tau_syn", "r", "w_in", "v_leak",
                                                                "v_threshold") if hasattr(node, k)}  # fmt: skip
        self.p = get
        self.tau = get.get("tau", get.get("tau_mem"))
        shape = next(iter(get.values())).shape
        leak = get.get("v_leak", np.zeros(shape))
        self.v = leak.copy() if scheme.startswith("norse") and self.kind not in ("IF", "I") else np.zeros(shape)
        self.i, self.leak, self.spiked = np.zeros(shape), leak, np.zeros(shape)

    def step(self, x: np.ndarray) -> np.ndarray:
        """What it sends on input `x` of a step."""
        late = (self.v > self.p["v_threshold"]).astype(float) if self.scheme == "snntorch" and self._spikes() else 0.0
        if self.scheme == "snntorch" and self._spikes() and self.options["reset"] == "zero" and not self.whole:
            self.v = self._integrated(x, self.v * (1 - late))
        else:
            self.v = self._integrated(x, self.v)
        return self._fired(late) if self._spikes() else self.v.copy()

    def _spikes(self) -> bool:
        return "v_threshold" in self.p

    def _integrated(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        dt, p, s = self.options["dt"], self.p, self.scheme
        if self.kind in ("IF", "I"):
            return v + p["r"] * x
        if s == "sinabs":
            a = np.exp(-dt / self.tau)
            return a * v + (1 - a) * (self.leak + p["r"] * x)
        if s == "rockpool":
            a = np.exp(-dt / self.tau)
            if self.kind.startswith("Cuba"):
                self.i = (self.i + x) * np.exp(-dt / p["tau_syn"])
                x = self.i
            return v * a + x + (1 - a) * self.leak
        if self.kind.startswith("Cuba"):
            if s == "norse_box":
                self.i = self.i + p["w_in"] * x
                v = v + dt / self.tau * ((self.leak - v) + p["r"] * self.i)
                self.i = self.i - dt / p["tau_syn"] * self.i
                return v
            self.i = self.i + dt / p["tau_syn"] * (-self.i + p["w_in"] * x)
            x = self.i
        return v + dt / self.tau * ((self.leak - v) + p["r"] * x)

    def _fired(self, late: Any) -> np.ndarray:
        th, reset = self.p["v_threshold"], self.options["reset"]
        if self.scheme == "sinabs" or self.scheme == "rockpool":
            single = self.options.get("spike_fn") == "SingleSpike"
            z = (self.v >= th).astype(float) if single else np.maximum(np.floor(self.v / th), 0)
            self.v = self.v - z * th
            low = self.options.get("min_v_mem")
            self.v = self.v if low is None else np.maximum(self.v, low)
            return z
        if self.scheme == "snntorch":
            if reset == "subtract":
                self.v = self.v - late * th
            elif self.whole:
                self.v = self.v * (1 - late)
            z = (self.v > th).astype(float)
            if not self.options["reset_delay"]:
                self.v = self.v - (z - late) * (th if reset == "subtract" else self.v)
            return z
        z = (self.v > th).astype(float)
        self.v = np.where(z > 0, 0.0, self.v) if reset == "zero" else self.v - z * th
        return z


def through(node: Any, x: np.ndarray) -> np.ndarray:
    """A stateless node on one step's input."""
    kind = type(node).__name__
    if kind in ("Linear", "Affine"):
        return node.weight @ x.ravel() + (node.bias if kind == "Affine" else 0.0)
    if kind == "Scale":
        return node.scale * x
    if kind == "Conv2d":
        return conv(x, node.weight, tuple(node.stride), tuple(node.padding)) + node.bias[:, None, None]
    if kind in ("SumPool2d", "AvgPool2d"):
        k = node.kernel_size[0]
        c, h, w = x.shape[0], x.shape[1] // k, x.shape[2] // k
        parts = x[:, : h * k, : w * k].reshape(c, h, k, w, k)
        return parts.sum(axis=(2, 4)) if kind == "SumPool2d" else parts.mean(axis=(2, 4))
    return x.reshape(-1) if kind == "Flatten" else x


def play(nodes: dict[str, Any], edges: list[tuple[str, str]], order: list[str], scheme: str, options: dict[str, Any],
         rows: np.ndarray) -> dict[str, np.ndarray]:  # fmt: skip
    """Every node's output at every step; an edge from a later node to an earlier one brings the last step's."""
    made: dict[str, Any] = {}
    for name in order:
        node = nodes[name]
        if hasattr(node, "r"):
            made[name] = Neuron(node, scheme, options, f"{name}.back" in nodes)
        elif type(node).__name__ == "Delay":
            made[name] = Late(np.round(np.ravel(node.delay) / options["dt"]).astype(int))
    place = {name: k for k, name in enumerate(order)}
    last: dict[str, np.ndarray] = {}
    out: dict[str, list[np.ndarray]] = {name: [] for name in order}
    for row in rows:
        now: dict[str, np.ndarray] = {"input": row}
        for name in order:
            if name == "input":
                continue
            parts = []
            for a, b in edges:
                if b == name and place[a] < place[b]:
                    parts.append(now[a])
                elif b == name and a in last:
                    parts.append(last[a])
            x = sum(np.asarray(p, float).reshape(np.shape(parts[0])) for p in parts)
            keeper = made.get(name)
            now[name] = through(nodes[name], x) if keeper is None else (
                keeper.step(np.reshape(x, keeper.v.shape)) if isinstance(keeper, Neuron) else keeper(x)
            )  # fmt: skip
        last = now
        for name in order:
            out[name].append(np.asarray(now[name]))
    return {name: np.array(values) for name, values in out.items()}
