"""NIR nodes one step at a time in plain NumPy: the oracle of the importer, which folds and delays."""

from __future__ import annotations

import numpy as np


def conv(
    x: np.ndarray, weight: np.ndarray, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups: int = 1
) -> np.ndarray:
    """Cross-correlation of (C, H, W) with (O, C / groups, k0, k1), written out."""
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    out, per_in, k0, k1 = weight.shape
    size = [(x.shape[1 + a] - dilation[a] * (k - 1) - 1) // stride[a] + 1 for a, k in enumerate((k0, k1))]
    y = np.zeros((out, *size))
    for o in range(out):
        first = o // (out // groups) * per_in
        for c in range(per_in):
            for a in range(k0):
                for b in range(k1):
                    rows = slice(a * dilation[0], a * dilation[0] + stride[0] * size[0], stride[0])
                    columns = slice(b * dilation[1], b * dilation[1] + stride[1] * size[1], stride[1])
                    y[o] += weight[o, c, a, b] * x[first + c, rows, columns]
    return y


class Euler:
    """LIF or CubaLIF stepped by Euler, spike above threshold, reset to zero (Norse's importer)."""

    def __init__(self, shape, dt, tau, threshold=1.0, r=1.0, tau_syn=None, w_in=1.0) -> None:
        self.v, self.i = np.zeros(shape), np.zeros(shape)
        self.dt, self.tau, self.threshold, self.r, self.tau_syn, self.w_in = dt, tau, threshold, r, tau_syn, w_in

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self.tau_syn is not None:
            self.i += self.dt / self.tau_syn * (-self.i + self.w_in * x)
            x = self.i
        self.v += self.dt / self.tau * (-self.v + self.r * x)
        z = self.v > self.threshold
        self.v[z] = 0
        return z.astype(float)


class Late:
    """A delay line of whole steps."""

    def __init__(self, steps) -> None:
        self.steps, self.past = np.asarray(steps), []

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.past.append(np.array(x))
        now = len(self.past) - 1
        flat = [self.past[now - d].ravel()[k] if now >= d else 0.0 for k, d in enumerate(self.steps.ravel())]
        return np.array(flat).reshape(np.shape(x))
