"""Shipped pair rules as declarations: power law, two nearest-neighbour schemes, the look-up tables of FACETS.

Times in steps; `weight` takes a `Fixed` format. Listed with the others in `chipsim.rules.library`.
"""

# pyright: reportUndefinedVariable=false
# The rules' bodies are declarations, not code: their constants are bound by `declare`, not by Python.

from __future__ import annotations

from chipsim.checks import finite
from chipsim.rules.declaration import Rule, RuleError, Trace, kept
from chipsim.rules.declaring import declare
from chipsim.rules.fixed_format import Fixed


def dependence(mu_plus: float, mu_minus: float) -> tuple[str, str]:
    """How potentiation and depression depend on the weight, as text over w and w_max; "1.0" for exponent 0."""
    for mu in (mu_plus, mu_minus):
        finite(mu, "stdp: mu", RuleError)
    up = "1.0" if mu_plus == 0 else "(1.0 - w / w_max)" if mu_plus == 1 else "(1.0 - w / w_max) ** mu_plus"
    down = "1.0" if mu_minus == 0 else "(w / w_max)" if mu_minus == 1 else "(w / w_max) ** mu_minus"
    return up, down


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

    def stdp_power_law(w, x, y, pre, post):
        if post:
            w = w + lam * w**mu * x
        if pre:
            w = w - lam * alpha * w * y

    return declare(
        stdp_power_law,
        traces={"x": Trace("pre", tau_plus), "y": Trace("post", tau_minus)},
        constants={"lam": lam, "alpha": alpha, "mu": mu},
        bounds=(0.0, w_max),
        weight=weight,
    )


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
    up, down = dependence(mu_plus, mu_minus)
    body = """
        def stdp_pre_centered(w, x, y, pre, post):
            x = keep * x
            if post:
                w = max(0.0, min(w_max, w + lam * w_max * {up} * x))
                x = 0.0
            if pre:
                w = max(0.0, w - alpha * lam * w_max * {down} * y)
                x = x + 1.0
    """
    constants = {
        "w_max": w_max, "lam": lam, "alpha": alpha, "mu_plus": mu_plus, "mu_minus": mu_minus,
        "keep": kept(tau_plus, "stdp_pre_centered: tau_plus"),
    }  # fmt: skip
    return declare(
        body.replace("{up}", up).replace("{down}", down),
        traces={"y": Trace("post", tau_minus, mode="set")},
        state={"x": 0.0},
        constants=constants,
        bounds=(0.0, w_max),
        weight=weight,
    )


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
    up, down = dependence(mu_plus, mu_minus)
    body = """
        def stdp_restricted(w, fresh, x, y, pre, post):
            if post:
                if fresh < 0.5:
                    w = min(w_max, w + lam * w_max * {up} * x)
                fresh = 1.0
            if pre:
                if fresh > 0.5:
                    w = max(0.0, w - alpha * lam * w_max * {down} * y)
                fresh = 0.0
    """
    return declare(
        body.replace("{up}", up).replace("{down}", down),
        traces={"x": Trace("pre", tau_plus, mode="set"), "y": Trace("post", tau_minus, mode="set")},
        state={"fresh": 0.0},
        constants={"w_max": w_max, "lam": lam, "alpha": alpha, "mu_plus": mu_plus, "mu_minus": mu_minus},
        bounds=(0.0, w_max),
        weight=weight,
    )


def stdp_facets(tau_plus: float = 20.0, tau_minus: float = 20.0, threshold: float = 21.835) -> Rule:
    """4-bit STDP of the FACETS wafer: two charges from reduced nearest pairs, compared when the controller visits.

    The third factor `visit` is 1 in the first step after a visit. Tables: two entries up (to 14 at most), one down,
    none. Source: Schemmel et al. (2006), Pfeil et al. (2012); `tests.oracles.rules.stdp_facets` takes any tables.
    """

    def stdp_facets(w, causal, acausal, due, waiting, first, x, y, pre, post, visit):
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

    return declare(
        stdp_facets,
        traces={"x": Trace("pre", tau_plus, mode="set"), "y": Trace("post", tau_minus, mode="set", seen="after")},
        state={"causal": 0.0, "acausal": 0.0, "due": 0.0, "waiting": 1.0, "first": 0.0},
        constants={"threshold": threshold},
        third=("visit",),
        bounds=(0.0, 15.0),
        weight=Fixed(4, 1.0, signed=False),
    )
