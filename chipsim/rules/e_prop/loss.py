"""Loss and readout error of a sequence that e-prop learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def loss_and_error(kind: str, y: Array, goal: Array, wanted: NDArray[np.bool_]) -> tuple[float, Array, Array]:
    """Loss, output (after the softmax if any) and error, (T, m), of a readout y (T, m).

    kind: "mse" is 0.5 sum (y - y*)^2 / m over the steps that are `wanted` (T,), "cross_entropy" the mean over them of
    -sum y* log softmax(y). The error is zero in other steps.
    """
    error = np.zeros_like(y)
    if kind == "mse":
        error[wanted] = y[wanted] - goal[wanted]
        return 0.5 * float((error**2).sum()) / y.shape[1], y, error
    shifted = np.exp(y - y.max(axis=1, keepdims=True))
    out = shifted / shifted.sum(axis=1, keepdims=True)
    error[wanted] = out[wanted] - goal[wanted]
    count = int(np.count_nonzero(wanted))
    return -float((goal[wanted] * np.log(out[wanted])).sum()) / max(count, 1), out, error
