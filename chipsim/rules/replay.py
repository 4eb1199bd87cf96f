"""Run a rule over recorded spikes in one compiled loop: the kernel enters as a function pointer."""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from chipsim.rules.kernel import signature
from chipsim.rules.plastic import Plastic

_INT, _FLAT, _TABLE = types.int64, types.Array(types.float64, 1, "C"), types.Array(types.float64, 2, "C")
_IDS, _INDEX, _PTR = (types.Array(t, 1, "C") for t in (types.int32, types.uint32, types.int64))


def _loop_signature(weight: str):
    w = types.Array({"float64": types.float64, "int32": types.int32}[weight], 1, "C")
    logs = (_PTR, _IDS, _PTR, _IDS)
    index = types.UniTuple(_INDEX, 5)
    state = (w, _TABLE, _TABLE, _TABLE)
    return types.void(
        types.FunctionType(signature(weight)),
        _INT,
        _INT,
        *logs,
        index,
        *state,
        _TABLE,
        _FLAT,
        _TABLE,
        _FLAT,
        _PTR,
    )


@njit([_loop_signature("float64"), _loop_signature("int32")], cache=True, nogil=True, error_model="numpy")
def replay(
    kernel,
    first,
    seed,
    pre_ptr,
    pre_ids,
    post_ptr,
    post_ids,
    index,
    w,
    syn,
    pre,
    post,
    v,
    level,
    third,
    const,
    counters,
):
    """Steps first, first + 1, ... of `kernel`; step k takes pre_ids[pre_ptr[k]:pre_ptr[k + 1]], post alike,
    v[k] and third[k].
    """
    row_ptr, col, col_ptr, col_syn, col_pre = index
    for k in range(pre_ptr.shape[0] - 1):
        factors = third[k].reshape(-1, post.shape[1]) if third.shape[1] > 0 else third[:0]
        kernel(
            first + k,
            seed,
            pre_ids[pre_ptr[k] : pre_ptr[k + 1]],
            post_ids[post_ptr[k] : post_ptr[k + 1]],
            row_ptr,
            col,
            col_ptr,
            col_syn,
            col_pre,
            w,
            syn,
            pre,
            post,
            v[k % v.shape[0]],
            level,
            factors,
            const,
            counters,
        )


def spike_log(spikes: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Spikes (T, n) as pointers (T + 1,) into ascending ids."""
    steps, ids = np.nonzero(spikes)
    return np.searchsorted(steps, np.arange(len(spikes) + 1)).astype(np.int64), ids.astype(np.int32)


def run_spikes(
    projection: Plastic, pre: NDArray[np.bool_], post: NDArray[np.bool_], v=None, threshold=1.0, third=None
) -> None:
    """Learn from recorded spikes pre (T, n_pre), post (T, n_post); v (T, n_post); third (T, factors,
    n_post).
    """
    n_post = projection.shape[0]
    pre_ptr, pre_ids = spike_log(pre)
    post_ptr, post_ids = spike_log(post)
    index = (projection.row_ptr, projection.col, projection.col_ptr, projection.col_syn, projection.col_pre)
    membrane = np.zeros((1, n_post)) if v is None else np.ascontiguousarray(v, dtype=np.float64)
    factors = (
        np.zeros((len(pre), 0)) if third is None else np.ascontiguousarray(third, np.float64).reshape(len(pre), -1)
    )
    if factors.shape[1] != len(projection.rule.third) * n_post:
        projection.inputs(0.0, 0.0, None)
    level = np.full(n_post, threshold, dtype=np.float64)
    replay(
        projection.kernel,
        projection.step_index,
        projection.seed,
        pre_ptr,
        pre_ids,
        post_ptr,
        post_ids,
        index,
        projection.w,
        projection.syn,
        projection.pre_vars,
        projection.post_vars,
        membrane,
        level,
        factors,
        projection.const,
        projection.counters,
    )
    projection.step_index += len(pre)
