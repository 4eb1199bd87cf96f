"""Exact gradients of trajectories of rate units (form "output"), by the adjoint equations of Pearlmutter (1989).

Forward, as `kernels.core.neurons.rate` computes it::

    a[t] = W y[t] + b;  y[t + 1] = y[t] + k (g(a[t]) + rest - y[t])

and backward, with e[t] = dE/dy[t] as the loss gives it directly::

    z[T] = e[T];  s = z[t + 1] k g'(a[t]);  z[t] = e[t] + (1 - k) z[t + 1] + W^T s
"""

from __future__ import annotations

from numba import njit

from chipsim.kernels.core.neurons.rate import rate_of, slope_of
from chipsim.kernels.jit import ENTRY


@njit(**ENTRY)
def backward(w, bias, k, rest, g, y, error, d_w, d_bias, d_k, d_rest, z, later):
    """Add the gradients of one trajectory; z (n,) ends as dE/dy[0]; later (n,) is scratch.

    w (n, n); bias, k, rest (n,); y, error (T + 1, n): states and dE/dy directly; d_w (n, n), d_bias, d_k, d_rest (n,).
    """
    n = k.size
    for i in range(n):
        z[i] = error[error.shape[0] - 1, i]
    for t in range(y.shape[0] - 2, -1, -1):
        for i in range(n):
            later[i] = error[t, i] + (1.0 - k[i]) * z[i]
        for i in range(n):
            a = bias[i]
            for j in range(n):
                a += w[i, j] * y[t, j]
            value = rate_of(g, a)
            d_rest[i] += z[i] * k[i]
            d_k[i] += z[i] * (value + rest[i] - y[t, i])
            s = z[i] * k[i] * slope_of(g, a, value)
            d_bias[i] += s
            for j in range(n):
                d_w[i, j] += s * y[t, j]
                later[j] += w[i, j] * s
        for i in range(n):
            z[i] = later[i]
