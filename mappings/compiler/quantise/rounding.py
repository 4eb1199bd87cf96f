"""Rounding weights by what their inputs do: the error of one weight is made good by those not yet rounded.

For one neuron with inputs f (what its synapses have brought to it, filtered as its current and membrane filter), the
error of the potential is sum((q - w) f), and its mean square (q - w)^T H (q - w) with H = sum over time of f f^T.
Source after source is rounded, those that bring most first, and each error is spread over the sources still to come
such that the mean square grows least (Frantar et al. 2023, GPTQ, arXiv 2210.17323; Hassibi and Stork 1993).
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

MOST_SOURCES = 4096  #: sources of a projection beyond which weights are rounded one by one
DAMPING = 0.01  #: of the mean of H's diagonal, added to it: for sources that were silent or always together


def moments(trains: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """(pre, pre) float64 H of spike trains (steps, pre), filtered by a current (beta) and a membrane (alpha)."""
    filtered = np.asarray(lfilter([1.0], [1.0, -alpha], trains.astype(np.float64), axis=0))
    if beta > 0:
        filtered = np.asarray(lfilter([1.0], [1.0, -beta], filtered, axis=0))
    return filtered.T @ filtered


def rounded(values: np.ndarray, step: int, top: int, h: np.ndarray) -> np.ndarray:
    """Multiples of `step` within +-top for `values` (post, pre), by the moments `h` (pre, pre) of their sources."""
    n = len(h)
    order = np.argsort(-np.diag(h), kind="stable")
    damped = h[np.ix_(order, order)] + (DAMPING * float(np.trace(h)) / n + 1e-12) * np.eye(n)
    spread = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = np.asarray(values, np.float64)[:, order].copy()
    out = np.zeros_like(left)
    for j in range(n):
        out[:, j] = np.clip(np.round(left[:, j] / step) * step, -top, top)
        error = (left[:, j] - out[:, j]) / spread[j, j]
        left[:, j + 1 :] -= np.outer(error, spread[j, j + 1 :])
    back = np.zeros_like(out)
    back[:, order] = out
    return back
