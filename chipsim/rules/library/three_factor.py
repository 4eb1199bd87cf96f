"""Shipped three-factor rules as declarations: reward, e-prop, error-driven, SuperSpike, plateau.

Times in steps; `weight` takes a `Fixed` format. Listed with the others in `chipsim.rules.library`.
"""

# ruff: noqa: B008
# pyright: reportUndefinedVariable=false
# The rules are declarations, not code: exp, dependence and the like are words of their language, defaults constants.

from __future__ import annotations

import math

from chipsim.errors import NetworkError
from chipsim.rules.declaration import Rule, State, Surrogate, Trace, kept
from chipsim.rules.declaring import rule
from chipsim.rules.e_prop.rule import Descent, EProp, Precision
from chipsim.rules.fixed_format import Fixed
from chipsim.rules.library.shipped import shipped


@shipped
def reward_stdp(
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    tau_tag: float = 400.0,
    a_plus: float = 0.1,
    a_minus: float = 0.12,
    eta: float = 1.0,
    bounds: tuple[float, float] = (0.0, 1.0),
    weight: Fixed | None = None,
    tag: Fixed | None = None,
) -> Rule:
    """Reward-modulated STDP with a synaptic tag: pairs write the tag, a broadcast reward turns it into
    weight.

    Source: Izhikevich (2007); `tests.oracles.rules.stdp_dopamine` integrates the same in continuous time.
    """

    @rule(
        traces={"x": Trace("pre", tau_plus), "y": Trace("post", tau_minus)},
        state={"tag": State(0.0, tag)},
        third=("reward",),
        bounds=bounds,
        weight=weight,
    )
    def reward_stdp(
        w,
        tag,
        x,
        y,
        pre,
        post,
        reward,
        *,
        keep=kept(tau_tag, "reward_stdp: tau_tag"),
        a_plus=a_plus,
        a_minus=a_minus,
        eta=eta,
    ):
        tag = keep * tag + a_plus * x * post - a_minus * y * pre
        w = w + eta * reward * tag

    return reward_stdp


@shipped
def eprop_synapse(
    tau_m: float = 20.0,
    tau_out: float = 20.0,
    eta: float = 1e-3,
    surrogate: Surrogate | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    weight: Fixed | None = None,
    ebar: Fixed | None = None,
) -> Rule:
    """E-prop for LIF neurons, online: ebar is the filtered eligibility, L the learning signal of the neuron.

    Source: Bellec et al. (2020). The traces sum spikes (impulse 1) and see those of their own step: for
    recurrent synapses pass the spikes of the step before, as they arrive.
    """

    @rule(
        traces={"zbar": Trace("pre", tau_m, seen="after")},
        state={"ebar": State(0.0, ebar)},
        third=("L",),
        bounds=bounds,
        weight=weight,
        surrogate=surrogate or Surrogate(),
    )
    def eprop_synapse(w, ebar, zbar, psi, L, *, kappa=kept(tau_out, "eprop_synapse: tau_out"), eta=eta):
        ebar = kappa * ebar + (1.0 - kappa) * psi * zbar
        w = w - eta * L * ebar

    return eprop_synapse


def synapse_of(rule: EProp) -> Rule:
    """`eprop_synapse` with the constants of an `EProp`: e-prop on one projection, the learning signal given as third
    factor "L" (one value per postsynaptic neuron), the weight changed in every step.

    Raises
    ------
    NetworkError
        An optimiser other than plain descent, which a single synapse cannot hold.
    """
    if not isinstance(rule.optimizer, Descent):
        raise NetworkError(
            f"rule eprop on single synapses descends plainly, not by {type(rule.optimizer).__name__}: give "
            "optimizer=cs.rules.Descent(eta), or learn a network of cs.LSNN neurons with a cs.LI readout"
        )
    formats = rule.precision or Precision()
    return eprop_synapse(
        rule.tau_m,
        rule.tau_out,
        rule.optimizer.eta,
        Surrogate("piecewise_linear", rule.gamma / rule.thr, rule.thr),
        weight=formats.weights,
        ebar=formats.trace,
    )


@shipped
def eprop_light(
    tau_m: float = 20.0,
    eta: float = 1e-3,
    surrogate: Surrogate | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    weight: Fixed | None = None,
    trace: Fixed | None = None,
) -> Rule:
    """E-prop without the eligibility filter: traces per neuron only (Frenkel and Indiveri 2022, ReckOn)."""

    @rule(
        traces={"zbar": Trace("pre", tau_m, seen="after", format=trace)},
        third=("L",),
        bounds=bounds,
        weight=weight,
        surrogate=surrogate or Surrogate(),
    )
    def eprop_light(w, zbar, psi, L, *, eta=eta):
        w = w - eta * L * psi * zbar

    return eprop_light


@shipped
def delta(tau: float = 20.0, eta: float = 1e-3, weight: Fixed | None = None) -> Rule:
    """Prescribed error sensitivity: dw = eta E x, E the error sent to the neuron (MacNeil and Eliasmith
    2011).
    """

    @rule(traces={"x": Trace("pre", tau, seen="after")}, third=("E",), weight=weight, follows_gradient=True)
    def delta(w, x, E, *, eta=eta):
        w = w + eta * E * x

    return delta


@shipped
def superspike(
    tau_mem: float = 20.0,
    tau_syn: float = 10.0,
    eta: float = 1e-3,
    surrogate: Surrogate | None = None,
    weight: Fixed | None = None,
) -> Rule:
    """SuperSpike, online: the eligibility passes two filters, the third factor is the fed-back error.

    Source: Zenke and Ganguli (2018); `tests.oracles.rules.superspike`. The presynaptic potential is approximated
    by one trace.
    """

    @rule(
        traces={"x": Trace("pre", tau_mem, seen="after")},
        state={"fast": 0.0, "slow": 0.0},
        third=("error",),
        weight=weight,
        surrogate=surrogate or Surrogate("fast_sigmoid", 1.0, 1.0),
    )
    def superspike(
        w,
        fast,
        slow,
        x,
        psi,
        error,
        *,
        dc=kept(tau_syn, "superspike: tau_syn"),
        dm=kept(tau_mem, "superspike: tau_mem"),
        eta=eta,
    ):
        fast = dc * fast + psi * x
        slow = dm * slow + (1.0 - dm) * fast
        w = w + eta * error * slow

    return superspike


@shipped
def btsp(
    tau_et: float = 1500.0,
    tau_is: float = 500.0,
    k_plus: float = 1e-3,
    k_minus: float = 3e-4,
    w_max: float = 1.0,
    weight: Fixed | None = None,
) -> Rule:
    """Behavioural-timescale plasticity; the plateau is the third factor.

    Source: Milstein et al. (2021), with linear gates; `tests.oracles.rules.btsp` has the sigmoid ones.
    """

    @rule(
        traces={"et": Trace("pre", tau_et, seen="after")},
        state={"instructive": 0.0},
        third=("plateau",),
        bounds=(0.0, w_max),
        weight=weight,
    )
    def btsp(
        w, instructive, et, plateau, *, keep=kept(tau_is, "btsp: tau_is"), k_plus=k_plus, k_minus=k_minus, w_max=w_max
    ):
        instructive = keep * instructive + plateau
        w = w + et * instructive * (k_plus * (w_max - w) - k_minus * w)

    return btsp
