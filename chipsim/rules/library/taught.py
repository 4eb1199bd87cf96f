"""Shipped rules with a teacher as declarations: dopamine, ReSuMe, SPAN, Tempotron, e-prop of adaptive neurons.

Times in steps; `weight` takes a `Fixed` format. Listed with the others in `chipsim.rules.library`.
"""

# ruff: noqa: B008
# pyright: reportUndefinedVariable=false
# The rules are declarations, not code: exp, dependence and the like are words of their language, defaults constants.

from __future__ import annotations

import math

from chipsim.rules.declaration import Rule, RuleError, State, Surrogate, Trace, kept
from chipsim.rules.declaring import rule
from chipsim.rules.fixed_format import Fixed
from chipsim.rules.library.shipped import shipped

UNBOUNDED = (-math.inf, math.inf)


@shipped
def dopamine_stdp(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    tau_c: float = 1000.0,
    tau_n: float = 200.0,
    a_plus: float = 1.0,
    a_minus: float = 1.5,
    baseline: float = 0.0,
    bounds: tuple[float, float] = (0.0, 200.0),
    weight: Fixed | None = None,
) -> Rule:
    """Dopamine-modulated STDP; the third factor is the concentration at the start of the step, n' = -n / tau_n.

    Exact over a step, in which eligibility c and dopamine decay. Source: Izhikevich (2007), Potjans, Morrison and
    Diesmann (2010); `tests.oracles.rules.stdp_dopamine`.
    """

    left = kept(tau_c, "dopamine_stdp: tau_c")
    kept(tau_n, "dopamine_stdp: tau_n")
    rate = 1 / tau_c + 1 / tau_n

    @rule(
        traces={"x": Trace("pre", tau_plus), "y": Trace("post", tau_minus)},
        state={"c": 0.0},
        third=("dopamine",),
        bounds=bounds,
        weight=weight,
    )
    def dopamine_stdp(
        w,
        c,
        x,
        y,
        pre,
        post,
        dopamine,
        *,
        keep=left,
        gain=-math.expm1(-rate) / rate,
        loss=-baseline * tau_c * math.expm1(-1 / tau_c),
        a_plus=a_plus,
        a_minus=a_minus,
    ):
        w = w + c * (gain * dopamine - loss)
        c = keep * c + a_plus * x * post - a_minus * y * pre

    return dopamine_stdp


@shipped
def resume(
    tau: float = 10.0,
    a: float = 0.05,
    amplitude: float = 1.0,
    eta: float = 0.01,
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """ReSuMe: the third factor is 1 where a spike is desired (Ponulak and Kasinski 2010);
    `tests.oracles.rules.resume`."""

    @rule(traces={"x": Trace("pre", tau, seen="after")}, third=("desired",), bounds=bounds, weight=weight)
    def resume(w, x, post, desired, *, eta=eta, a=a, amplitude=amplitude):
        w = w + eta * (desired - post) * (a + amplitude * x)

    return resume


@shipped
def span(
    tau: float = 10.0, eta: float = 0.01, bounds: tuple[float, float] = UNBOUNDED, weight: Fixed | None = None
) -> Rule:
    """SPAN: the third factor is the desired less the actual spike train, each through the neuron's alpha kernel.

    The presynaptic alpha kernel (e t / tau) exp(-t / tau) is a trace of the trace x, kept by the synapse.
    Source: Mohemmed et al. (2012), the integral as a sum over steps; `tests.oracles.rules.span` has it in closed form.
    """

    @rule(traces={"x": Trace("pre", tau)}, state={"alpha": 0.0}, third=("error",), bounds=bounds, weight=weight)
    def span(w, alpha, x, error, *, keep=kept(tau, "span: tau"), rise=math.e / tau, eta=eta):
        alpha = keep * alpha + rise * x
        w = w + eta * error * alpha

    return span


def kernel_scale(tau_m: float, tau_s: float) -> float:
    """v0: the factor that brings the maximum of K to 1."""
    peak = tau_m * tau_s / (tau_m - tau_s)
    ratio = tau_m / tau_s
    return 1.0 / (ratio ** (-peak / tau_m) - ratio ** (-peak / tau_s))


@shipped
def tempotron(
    tau_m: float = 15.0,
    tau_s: float = 3.75,
    eta: float = 0.01,
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """Tempotron: the synapse keeps its potential of the moment at which the membrane was highest.

    The third factors come at the end of a pattern: `verdict` +1 for a missed spike, -1 for one too many, else 0; and
    `end` 1, which forgets the moment. Source: Guetig and Sompolinsky (2006); `tests.oracles.rules.tempotron`.
    """

    if not kept(tau_m, "tempotron: tau_m") > kept(tau_s, "tempotron: tau_s"):
        raise RuleError(f"tempotron: tau_m = {tau_m} must be longer than tau_s = {tau_s}")

    @rule(
        traces={"fast": Trace("pre", tau_s), "slow": Trace("pre", tau_m)},
        state={"highest": State(-1000000000.0), "then": 0.0},
        third=("verdict", "end"),
        bounds=bounds,
        weight=weight,
    )
    def tempotron(
        w, highest, then, fast, slow, v, verdict, end, *, v0=kernel_scale(tau_m, tau_s), eta=eta, lowest=-1000000000.0
    ):
        psp = v0 * (slow - fast)
        if v > highest:
            highest = v
            then = psp
        w = w + eta * verdict * then
        if end > 0.5:
            highest = lowest
            then = 0.0

    return tempotron


@shipped
def eprop_alif(
    tau_m: float = 20.0,
    tau_out: float = 20.0,
    tau_a: float = 2000.0,
    beta: float = 0.0174,
    eta: float = 1e-3,
    surrogate: Surrogate | None = None,
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """E-prop for adaptive neurons, online: a second, slow eligibility `slow` follows the adapting threshold.

    Source: Bellec et al. (2020), equations 24 and 25; `chipsim.kernels.learning.eprop.traces`. Traces as in
    `eprop_synapse`.
    """

    @rule(
        traces={"zbar": Trace("pre", tau_m, seen="after")},
        state={"slow": 0.0, "ebar": 0.0},
        third=("L",),
        bounds=bounds,
        weight=weight,
        surrogate=surrogate or Surrogate(),
    )
    def eprop_alif(
        w,
        slow,
        ebar,
        zbar,
        psi,
        L,
        *,
        kappa=kept(tau_out, "eprop_alif: tau_out"),
        rho=kept(tau_a, "eprop_alif: tau_a"),
        beta=beta,
        eta=eta,
    ):
        e = psi * (zbar - beta * slow)
        slow = rho * slow + e
        ebar = kappa * ebar + (1.0 - kappa) * e
        w = w - eta * L * ebar

    return eprop_alif
