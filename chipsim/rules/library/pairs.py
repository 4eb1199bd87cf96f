"""Shipped pair rules as declarations: power law, two nearest-neighbour schemes, the look-up tables of FACETS.

Times in steps; `weight` takes a `Fixed` format. Listed with the others in `chipsim.rules.library`.
"""

# ruff: noqa: F821
# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
# The rules are declarations, not code: exp, dependence and the like are words of their language, defaults constants.

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from chipsim.rules.declaration import Rule, RuleError, Trace, kept
from chipsim.rules.declaring import rule
from chipsim.rules.fixed_format import Fixed
from chipsim.rules.library.shipped import shipped


@shipped
def stdp_power_law(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    lam: float = 0.1,
    alpha: float = 0.0513,
    mu: float = 0.4,
    w_max: float = 100.0,
    weight: Fixed | None = None,
) -> Rule:
    """Pair STDP with power-law potentiation (Morrison et al. 2007);
    `tests.oracles.rules.stdp_pair.replay_power_law`."""

    @rule(traces={"x": Trace("pre", tau_plus), "y": Trace("post", tau_minus)}, bounds=(0.0, w_max), weight=weight)
    def stdp_power_law(w, x, y, pre, post, *, lam=lam, alpha=alpha, mu=mu):
        if post:
            w = w + lam * w**mu * x
        if pre:
            w = w - lam * alpha * w * y

    return stdp_power_law


@shipped
def stdp_pre_centered(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    lam: float = 0.01,
    alpha: float = 1.05,
    mu_plus: float = 1.0,
    mu_minus: float = 1.0,
    w_max: float = 1.0,
    weight: Fixed | None = None,
) -> Rule:
    """Nearest-neighbour STDP, presynaptic-centred: a postsynaptic spike empties the synapse's own presynaptic trace.

    Source: Morrison, Diesmann and Gerstner (2008), figure 7 B; `tests.oracles.rules.stdp_nearest`.
    """
    keep = kept(tau_plus, "stdp_pre_centered: tau_plus")

    @rule(
        traces={"y": Trace("post", tau_minus, mode="set")}, state={"x": 0.0}, bounds=(0.0, w_max), weight=weight
    )  # fmt: skip
    def stdp_pre_centered(
        w, x, y, pre, post, *, w_max=w_max, lam=lam, alpha=alpha, mu_plus=mu_plus, mu_minus=mu_minus, keep=keep
    ):
        x = keep * x
        if post:
            w = max(0.0, min(w_max, w + lam * w_max * dependence(1.0 - w / w_max, mu_plus) * x))
            x = 0.0
        if pre:
            w = max(0.0, w - alpha * lam * w_max * dependence(w / w_max, mu_minus) * y)
            x = x + 1.0

    return stdp_pre_centered


@shipped
def stdp_restricted(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    lam: float = 0.01,
    alpha: float = 1.05,
    mu_plus: float = 1.0,
    mu_minus: float = 1.0,
    w_max: float = 1.0,
    weight: Fixed | None = None,
) -> Rule:
    """Nearest-neighbour STDP, restricted symmetric: `fresh` says that a postsynaptic spike came since the last pre.

    Source: Morrison, Diesmann and Gerstner (2008), figure 7 C; `tests.oracles.rules.stdp_nearest`.
    """

    @rule(
        traces={"x": Trace("pre", tau_plus, mode="set"), "y": Trace("post", tau_minus, mode="set")},
        state={"fresh": 0.0},
        bounds=(0.0, w_max),
        weight=weight,
    )
    def stdp_restricted(
        w, fresh, x, y, pre, post, *, w_max=w_max, lam=lam, alpha=alpha, mu_plus=mu_plus, mu_minus=mu_minus
    ):
        if post:
            if fresh < 0.5:
                w = min(w_max, w + lam * w_max * dependence(1.0 - w / w_max, mu_plus) * x)
            fresh = 1.0
        if pre:
            if fresh > 0.5:
                w = max(0.0, w - alpha * lam * w_max * dependence(w / w_max, mu_minus) * y)
            fresh = 0.0

    return stdp_restricted


@shipped
def assembly_stdp(
    tau_x: float = 20.0,
    tau_y: float = 20.0,
    eta: float = 0.02,
    mu: float = 2.0,
    beta: float = 0.2,
    dep: float = 0.03,
    w_max: float = 1.5,
    weight: Fixed | None = None,
) -> Rule:
    """STDP that ties assemblies: what a pair adds falls with the weight, exp(-mu w); every change is cut to 0..w_max.

    A presynaptic spike takes eta dep y, a postsynaptic one adds eta (x exp(-mu w) - beta): input that does not help is
    given up. Source: Pokorny, Ison, Rao, Legenstein, Papadimitriou and Maass (2020), with constants of this project.
    """

    @rule(traces={"x": Trace("pre", tau_x), "y": Trace("post", tau_y)}, bounds=(0.0, w_max), weight=weight)
    def assembly_stdp(w, x, y, pre, post, *, eta=eta, mu=mu, beta=beta, dep=dep, w_max=w_max):
        if pre:
            w = max(0.0, w - eta * dep * y)
        if post:
            w = min(w_max, max(0.0, w + eta * (x * exp(-mu * w) - beta)))

    return assembly_stdp


@shipped
def stdp_facets(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    threshold: float = 21.835,
    up: Sequence[int] | None = None,
    down: Sequence[int] | None = None,
) -> Rule:
    """4-bit STDP of the FACETS wafer: two charges from reduced nearest pairs, compared when the controller visits.

    The third factor `visit` is 1 in the first step after a visit. up, down: tables of 16 entries, the new weight for
    each; without them two entries up (to 14 at most), one down. Source: Schemmel et al. (2006), Pfeil et al. (2012).

    Raises
    ------
    RuleError
        Tables that are not 16 whole numbers from 0 to 15.
    """
    traces = {"x": Trace("pre", tau_plus, mode="set"), "y": Trace("post", tau_minus, mode="set", seen="after")}
    state = {"causal": 0.0, "acausal": 0.0, "due": 0.0, "waiting": 1.0, "first": 0.0}
    kept = {"traces": traces, "state": state, "third": ("visit",), "bounds": (0.0, 15.0)}
    u = _rises(up if up is not None else [*range(2, 15), 14, 14, 15], "up")
    d = _rises(down if down is not None else [0, *range(15)], "down")

    @rule(**kept, weight=Fixed(4, 1.0, signed=False))
    def stdp_facets(w, causal, acausal, due, waiting, first, x, y, pre, post, visit, *, threshold=threshold):
        due = max(due, visit)
        if post:
            first = x if waiting > 0.5 else first
            waiting = 0.0
        if pre:
            if due > 0.5:
                if causal > threshold:
                    if acausal <= threshold:
                        w = max(w, min(14.0, w + 2.0))
                else:
                    if acausal > threshold:
                        w = max(0.0, w - 1.0)
                if causal > threshold or acausal > threshold:
                    causal = 0.0
                    acausal = 0.0
                due = 0.0
            if waiting < 0.5:
                causal = causal + first
                acausal = acausal + y
            waiting = 1.0

    # fmt: off
    @rule(**kept, weight=Fixed(4, 1.0, signed=False))
    def stdp_facets_tables(
        w, causal, acausal, due, waiting, first, x, y, pre, post, visit, *, threshold=threshold,
        u0=u[0], u1=u[1], u2=u[2], u3=u[3], u4=u[4], u5=u[5], u6=u[6], u7=u[7], u8=u[8], u9=u[9], u10=u[10], u11=u[11],
        u12=u[12], u13=u[13], u14=u[14], u15=u[15], d0=d[0], d1=d[1], d2=d[2], d3=d[3], d4=d[4], d5=d[5], d6=d[6],
        d7=d[7], d8=d[8], d9=d[9], d10=d[10], d11=d[11], d12=d[12], d13=d[13], d14=d[14], d15=d[15],
    ):
        due = max(due, visit)
        if post:
            first = x if waiting > 0.5 else first
            waiting = 0.0
        if pre:
            if due > 0.5:
                raised = u0 + (u1 if w > 0.5 else 0.0) + (u2 if w > 1.5 else 0.0) + (u3 if w > 2.5 else 0.0)
                raised = raised + (u4 if w > 3.5 else 0.0) + (u5 if w > 4.5 else 0.0) + (u6 if w > 5.5 else 0.0)
                raised = raised + (u7 if w > 6.5 else 0.0) + (u8 if w > 7.5 else 0.0) + (u9 if w > 8.5 else 0.0)
                raised = raised + (u10 if w > 9.5 else 0.0) + (u11 if w > 10.5 else 0.0) + (u12 if w > 11.5 else 0.0)
                raised = raised + (u13 if w > 12.5 else 0.0) + (u14 if w > 13.5 else 0.0) + (u15 if w > 14.5 else 0.0)
                fallen = d0 + (d1 if w > 0.5 else 0.0) + (d2 if w > 1.5 else 0.0) + (d3 if w > 2.5 else 0.0)
                fallen = fallen + (d4 if w > 3.5 else 0.0) + (d5 if w > 4.5 else 0.0) + (d6 if w > 5.5 else 0.0)
                fallen = fallen + (d7 if w > 6.5 else 0.0) + (d8 if w > 7.5 else 0.0) + (d9 if w > 8.5 else 0.0)
                fallen = fallen + (d10 if w > 9.5 else 0.0) + (d11 if w > 10.5 else 0.0) + (d12 if w > 11.5 else 0.0)
                fallen = fallen + (d13 if w > 12.5 else 0.0) + (d14 if w > 13.5 else 0.0) + (d15 if w > 14.5 else 0.0)
                if causal > threshold:
                    if acausal <= threshold:
                        w = raised
                else:
                    if acausal > threshold:
                        w = fallen
                if causal > threshold or acausal > threshold:
                    causal = 0.0
                    acausal = 0.0
                due = 0.0
            if waiting < 0.5:
                causal = causal + first
                acausal = acausal + y
            waiting = 1.0
    # fmt: on

    return stdp_facets if up is None and down is None else stdp_facets_tables


def _rises(table: Sequence[int], name: str) -> list[float]:
    """First entry of a table and what every later one adds."""
    if len(table) != 16 or any(int(v) != v or not 0 <= v <= 15 for v in table):
        raise RuleError(f"stdp_facets: {name} must be 16 whole numbers from 0 to 15")
    return [float(table[0]), *(float(b - a) for a, b in pairwise(table))]
