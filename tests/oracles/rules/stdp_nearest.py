"""Pair STDP with nearest-neighbour pairing: symmetric, presynaptic-centred, restricted symmetric.

Source: Morrison, Diesmann and Gerstner (2008), figure 7 A-C. Weight dependence as in
`tests.oracles.rules.stdp_pair`.

- symmetric: a spike pairs with the nearest earlier spike of the other side, always;
- pre_centered: every presynaptic spike pairs with its nearest earlier and its nearest later postsynaptic
  spike; the presynaptic trace is all-to-all until a postsynaptic spike empties it;
- restricted: as symmetric, but a spike joins at most one pair of each kind (the next one of the other side
  only).
"""

from __future__ import annotations

from math import exp

from numba import njit

from chipsim.kernels.learning.flags import FLAGS
from tests.oracles.rules.spike_events import LONG_AGO, merge
from tests.oracles.rules.stdp_pair import depress, facilitate

SCHEMES = {"symmetric": 0, "pre_centered": 1, "restricted": 2}


@njit(**FLAGS)
def replay(par, scheme, pre, post, delay, w, out):
    """Weight after every presynaptic spike. par: `PairStdp`; scheme: see `SCHEMES`; out: (len(pre),), filled.

    Time 0 counts as the first "presynaptic spike" of the symmetric and restricted schemes, as in NEST.
    """
    times, is_pre = merge(pre, post, delay)
    last_pre, last_post, second_post = 0.0, LONG_AGO, LONG_AGO
    x = 0.0 if scheme == 1 else 1.0  # what a postsynaptic spike finds at last_pre
    fresh = False  # whether a postsynaptic spike came since the last presynaptic one
    k = 0
    for e in range(times.shape[0]):
        t = times[e]
        if is_pre[e]:
            nearest = second_post if last_post == t else last_post
            if scheme != 2 or fresh:
                w = depress(par, w, exp((nearest - t) / par.tau_minus))
            x = x * exp((last_pre - t) / par.tau_plus) + 1.0 if scheme == 1 else 1.0
            last_pre, fresh = t, False
            out[k] = w
            k += 1
        else:
            if scheme == 0 or not fresh:
                w = facilitate(par, w, x * exp((last_pre - t) / par.tau_plus))
            if scheme == 1:
                x = 0.0
            second_post, last_post, fresh = last_post, t, True
    return w
