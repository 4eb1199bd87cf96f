"""Pre- and postsynaptic spikes of one synapse as one list of events, and traces between events.

Order at equal times: a postsynaptic spike is handled first and pairs with earlier presynaptic spikes only;
the presynaptic spike then pairs with earlier postsynaptic spikes only. Exactly coinciding spikes make no pair
(Morrison, Diesmann and Gerstner 2008, section 4).
"""

from __future__ import annotations

from math import exp

import numpy as np
from numba import njit

from chipsim.kernels.learning.flags import FLAGS

LONG_AGO = -1e300


@njit(**FLAGS)
def merge(pre, post, delay):
    """Sorted events of a synapse.

    pre, post: (k,) float64 ascending times. delay: dendritic delay added to the postsynaptic times.
    Returns times (k,) float64 and is_pre (k,) bool.
    """
    n = pre.shape[0] + post.shape[0]
    times, is_pre = np.empty(n), np.empty(n, np.bool_)
    a = b = 0
    for e in range(n):
        take_post = b < post.shape[0] and (a == pre.shape[0] or post[b] + delay <= pre[a])
        if take_post:
            times[e], is_pre[e] = post[b] + delay, False
            b += 1
        else:
            times[e], is_pre[e] = pre[a], True
            a += 1
    return times, is_pre


@njit(**FLAGS)
def trace_at(before, last, t, tau):
    """All-to-all trace just before a spike at t: `before` is its value just before the last spike at
    `last`.
    """
    if last == t:
        return before
    return (before + 1.0) * exp((last - t) / tau)
