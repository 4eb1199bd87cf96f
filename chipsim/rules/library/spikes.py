"""Shipped rules of spike pairs, triplets and windows.

Times in steps; `weight` takes a `Fixed` format. The kernels of the same rules by events are in `tests.oracles.rules`.
"""

# ruff: noqa: F821
# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
# The rules are declarations, not code: exp, dependence and the like are words of their language, defaults constants.

from __future__ import annotations

from typing import Any

from chipsim.rules.declaration import Rule, Trace, kept
from chipsim.rules.declaring import rule
from chipsim.rules.fixed_format import Fixed
from chipsim.rules.library.shipped import shipped


@shipped
def stdp(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    lam: float = 0.01,
    alpha: float = 1.05,
    mu_plus: float = 0.0,
    mu_minus: float = 0.0,
    w_max: float = 1.0,
    weight: Fixed | None = None,
    nearest: bool = False,
) -> Rule:
    """Pair STDP; mu = 0 additive, 1 multiplicative, between Guetig; mu_plus 0 with mu_minus 1 van Rossum.

    Source: `tests.oracles.rules.stdp_pair`. nearest: only the nearest spike of the other side counts. As in every rule,
    a presynaptic spike counts in the step that sent it, whatever the projection's delay (dendritic, as NEST); Brian2's
    default counts it on arrival: `cs.rules.axonal(stdp())`.
    """
    mode = "set" if nearest else "add"
    declared = {
        "traces": {"x": Trace("pre", tau_plus, mode=mode), "y": Trace("post", tau_minus, mode=mode)},
        "bounds": (0.0, w_max),
        "weight": weight,
    }

    @rule(**declared)
    def stdp(w, x, y, pre, post, *, w_max=w_max, lam=lam, alpha=alpha, mu_plus=mu_plus, mu_minus=mu_minus):
        if post:
            w = w + lam * w_max * dependence(1.0 - w / w_max, mu_plus) * x
        if pre:
            w = w - alpha * lam * w_max * dependence(w / w_max, mu_minus) * y

    if mu_plus in (0, 1) and mu_minus in (0, 1):  # no power of a number below 0 can arise: the bounds cut once
        return stdp
    return _stdp_of_powers(declared, w_max, lam, alpha, mu_plus, mu_minus)


def _stdp_of_powers(
    declared: dict[str, Any], w_max: float, lam: float, alpha: float, mu_plus: float, mu_minus: float
) -> Rule:
    """Pair STDP with powers of the weight: it is cut to its bounds after either change, as the next may take a root."""

    @rule(**declared)
    def stdp(w, x, y, pre, post, *, w_max=w_max, lam=lam, alpha=alpha, mu_plus=mu_plus, mu_minus=mu_minus):
        if post:
            w = min(w_max, w + lam * w_max * dependence(1.0 - w / w_max, mu_plus) * x)
        if pre:
            w = max(0.0, w - alpha * lam * w_max * dependence(w / w_max, mu_minus) * y)

    return stdp


@shipped
def triplet(
    tau_plus: float = 16.8,
    tau_x: float = 101.0,
    tau_minus: float = 33.7,
    tau_y: float = 125.0,
    a_plus: float = 0.005,
    a_plus_triplet: float = 0.0062,
    a_minus: float = 0.007,
    a_minus_triplet: float = 0.00023,
    w_max: float = 1.0,
    weight: Fixed | None = None,
) -> Rule:
    """Triplet STDP (Pfister and Gerstner 2006); `tests.oracles.rules.stdp_triplet`."""

    @rule(
        traces={
            "r1": Trace("pre", tau_plus),
            "r2": Trace("pre", tau_x),
            "o1": Trace("post", tau_minus),
            "o2": Trace("post", tau_y),
        },
        bounds=(0.0, w_max),
        weight=weight,
    )
    def triplet(
        w,
        r1,
        r2,
        o1,
        o2,
        pre,
        post,
        *,
        a_plus=a_plus,
        a_plus_triplet=a_plus_triplet,
        a_minus=a_minus,
        a_minus_triplet=a_minus_triplet,
    ):
        w = w + post * r1 * (a_plus + a_plus_triplet * o2)
        w = w - pre * o1 * (a_minus + a_minus_triplet * r2)

    return triplet


@shipped
def inhibitory(
    tau: float = 20.0, eta: float = 0.01, alpha: float = 0.12, w_max: float = 1.0, weight: Fixed | None = None
) -> Rule:
    """Balancing inhibition (Vogels, Sprekeler et al. 2011); `tests.oracles.rules.vogels_sprekeler`."""

    @rule(traces={"x": Trace("pre", tau), "y": Trace("post", tau)}, bounds=(0.0, w_max), weight=weight)
    def inhibitory(w, x, y, pre, post, *, eta=eta, alpha=alpha):
        w = w + eta * x * post
        w = w + eta * pre * (y - alpha)

    return inhibitory


@shipped
def jonke(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    lam: float = 0.02,
    alpha: float = 0.3,
    beta: float = 0.05,
    mu_plus: float = -1.0,
    mu_minus: float = 0.0,
    w_max: float = 3.0,
    weight: Fixed | None = None,
) -> Rule:
    """STDP with exponential weight dependence (Jonke et al. 2018); `tests.oracles.rules.stdp_jonke`."""

    @rule(traces={"x": Trace("pre", tau_plus), "y": Trace("post", tau_minus)}, bounds=(0.0, w_max), weight=weight)
    def jonke(w, x, y, pre, post, *, lam=lam, alpha=alpha, beta=beta, mu_plus=mu_plus, mu_minus=mu_minus, w_max=w_max):
        if post:
            w = min(w_max, w + lam * (exp(mu_plus * w) * x - beta))
        if pre:
            w = max(0.0, w + lam * (-alpha * exp(mu_minus * w) * y - beta))

    return jonke


@shipped
def sdsp(theta_m: float, t1: float, t2: float, t3: float, tau_ca: float = 60.0, w_max: int = 7) -> Rule:
    """Spike-driven plasticity with a calcium window (Brader et al. 2007); weights are integers 0 to w_max."""

    @rule(
        traces={"ca": Trace("post", tau_ca, seen="after")},
        bounds=(0.0, float(w_max)),
        weight=Fixed(max(1, int(w_max).bit_length()), 1.0, signed=False),
    )
    def sdsp(w, ca, pre, v, *, theta_m=theta_m, t1=t1, t2=t2, t3=t3):
        if pre:
            if v >= theta_m:
                if ca >= t1 and ca < t3:
                    w = w + 1.0
            else:
                if ca >= t1 and ca < t2:
                    w = w - 1.0

    return sdsp


@shipped
def homeostatic(
    tau_rate: float = 1000.0,
    target: float = 0.01,
    eta: float = 1e-4,
    w_max: float = 1.0,
    every: int = 100,
    weight: Fixed | None = None,
) -> Rule:
    """Synaptic scaling to a target rate in spikes per step (Turrigiano et al. 1998), every so many steps."""

    kept(tau_rate, "homeostatic: tau_rate")

    @rule(
        traces={"rate": Trace("post", tau_rate, impulse=1.0 / tau_rate, seen="after")},
        bounds=(0.0, w_max),
        every=every,
        weight=weight,
    )
    def homeostatic(w, rate, *, target=target, eta=eta):
        w = w * (1.0 + eta * (target - rate))

    return homeostatic
