"""Shipped rules over numbers: synapses between rate units, which send a value instead of a spike.

`r_pre` and `r_post` are what the two units send in a step, `slope` is the derivative of the postsynaptic one. Times in
steps; `weight` takes a `Fixed` format. Listed with the others in `chipsim.rule_library`.
"""

# pyright: reportUndefinedVariable=false
# The rules are declarations, not code: exp and held are words of their language.

from __future__ import annotations

import math

from chipsim.rules.declaration import Rule, RuleError, Trace
from chipsim.rules.declaring import rule
from chipsim.rules.fixed_format import Fixed
from chipsim.rules.library.shipped import shipped

UNBOUNDED = (-math.inf, math.inf)
FEEDBACK = 2  #: steps from a unit's value to the error that it causes: unit, error unit, unit


@shipped
def feedback_alignment(
    eta: float = 0.01,
    every: int | str = "phase",
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """The error that comes back, times the unit's own slope, times what the synapse was sent.

    The third factor L is what feedback brings (``net.connect(error, hidden, B, role="third", factor="L")``): through
    fixed random weights it is feedback alignment, from the output's error directly direct feedback alignment, through
    the sign of the forward weights sign-symmetric, through their transpose backpropagation. Sources: Lillicrap,
    Cownden, Tweed and Akerman (2016); Nokland (2016); Liao, Leibo and Poggio (2016).
    """

    @rule(third="L", every=every, bounds=bounds, weight=weight, follows_gradient=True)
    def feedback_alignment(w, r_pre, slope, L, *, eta=eta):
        w = w + eta * L * slope * r_pre

    return feedback_alignment


@shipped
def target_difference(
    eta: float = 0.01,
    every: int | str = "phase",
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """The difference between a unit's target and its value, times what the synapse was sent: difference target
    propagation, the dendritic error of a microcircuit, or the delta rule of a readout.

    Sources: Lee, Zhang, Fischer and Bengio (2015); Sacramento, Ponte Costa, Bengio and Senn (2018).
    """

    @rule(third="L", every=every, bounds=bounds, weight=weight, follows_gradient=True)
    def target_difference(w, r_pre, L, *, eta=eta):
        w = w + eta * L * r_pre

    return target_difference


@shipped
def contrastive(
    eta: float = 0.1,
    memory: str = "values",
    phases: tuple[str, str] = ("free", "teacher"),
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """Hebb at the end of the taught phase, anti-Hebb at the end of the free one.

    With clamped outputs it is contrastive Hebbian learning, with nudged ones (eta = 1 / beta) equilibrium propagation.
    memory: "values" keeps one value per unit from phase to phase and changes the weight once; "weight" changes it at
    the end of both phases, so that it holds the difference itself (rounding then acts twice). Sources: Baldi and
    Pineda (1991); Scellier and Bengio (2017).
    """

    @rule(phases=phases, every="phase", bounds=bounds, weight=weight)
    def contrastive(w, r_pre, r_post, *, eta=eta):
        w = w + eta * (r_pre * r_post - held("r_pre") * held("r_post"))  # noqa: F821 - of the language

    @rule(phases=phases, every="phase", bounds=bounds, weight=weight)
    def contrastive_weight(w, r_pre, r_post, phase, *, eta=eta):
        w = w + eta * phase * r_pre * r_post

    if memory not in ("values", "weight"):
        raise RuleError(f"contrastive: memory={memory!r} is not one of 'values', 'weight'")
    return contrastive if memory == "values" else contrastive_weight


@shipped
def continuous_contrastive(
    eta: float = 0.1,
    gather: bool = False,
    phases: tuple[str, ...] = ("nudged",),
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """The contrast taken while the values move: their change of each step, times the mean of the other side's.

    Summed over a phase it is the contrast of its ends, without a value kept from phase to phase. gather: the sum waits
    in the synapse until the third factor `apply` is 1, so that the values move with the weights of the phase's start.
    Source: Whittington and Bogacz (2019), continuous update.
    """
    before = {
        "x": Trace("pre", math.inf, mode="set", of="value"),
        "y": Trace("post", math.inf, mode="set", of="value"),
    }

    @rule(traces=before, state={"total": 0.0}, third="apply", phases=phases, bounds=bounds, weight=weight)
    def gathered_contrastive(w, total, x, y, r_pre, r_post, apply, *, eta=0.5 * eta):
        total = total + (r_post - y) * (r_pre + x) + (r_post + y) * (r_pre - x)
        w = w + eta * apply * total
        total = total - apply * total

    @rule(traces=before, phases=phases, bounds=bounds, weight=weight)
    def continuous_contrastive(w, x, y, r_pre, r_post, *, eta=0.5 * eta):
        w = w + eta * ((r_post - y) * (r_pre + x) + (r_post + y) * (r_pre - x))

    return gathered_contrastive if gather else continuous_contrastive


@shipped
def rflo(
    tau: float = 10.0,
    eta: float = 0.03,
    late: int = 0,
    bounds: tuple[float, float] = UNBOUNDED,
    weight: Fixed | None = None,
) -> Rule:
    """Random feedback local online learning of a recurrent net of rate units with k = 1 / tau (form "output").

    The synapse low-passes slope times input as its unit does, and sums the third factor L times that; where the third
    factor `apply` is 1 (the end of a trial) the weight takes the sum. late: steps by which L follows the values that
    caused it, 0 (given by the host for the same step) or 2 (an error unit on the chip, whose feedback arrives through a
    projection with role="third"). Source: Murray (2019).
    """

    if late not in (0, FEEDBACK):
        raise RuleError(
            f"rflo: late={late!r} is not 0 (error of the same step) or {FEEDBACK} (error units on the chip)"
        )
    if not tau >= 1:
        raise RuleError(f"rflo: tau={tau!r} must be at least one step: its units move by 1 / tau")
    arriving = {"x": Trace("pre", math.inf, mode="set", of="value")}
    keep, gain = 1.0 - 1.0 / tau, 1.0 / tau

    @rule(traces=arriving, state={"p": 0.0, "total": 0.0}, third=("L", "apply"), bounds=bounds, weight=weight)
    def rflo(w, p, total, x, slope, L, apply, *, eta=eta, keep=keep, gain=gain):
        p = keep * p + gain * slope * x
        total = total + L * p
        w = w + eta * apply * total
        total = total - apply * total

    @rule(
        traces=arriving,
        state={"p": 0.0, "one": 0.0, "two": 0.0, "total": 0.0},
        third=("L", "apply"),
        bounds=bounds,
        weight=weight,
    )
    def rflo_late(w, p, one, two, total, x, slope, L, apply, *, eta=eta, keep=keep, gain=gain):
        two = one
        one = p
        p = keep * p + gain * slope * x
        total = total + L * two
        w = w + eta * apply * total
        total = total - apply * total

    return rflo_late if late else rflo


@shipped
def btsp_gated(
    tau_et: float = 1500.0,
    tau_is: float = 500.0,
    k_plus: float = 1.1,
    k_minus: float = 0.4,
    half_plus: float = 0.5,
    slope_plus: float = 4.0,
    half_minus: float = 0.01,
    slope_minus: float = 44.0,
    w_max: float = 3.0,
    dt: float = 10.0,
    weight: Fixed | None = None,
) -> Rule:
    """Behavioural-timescale plasticity with sigmoid gates; times in ms, `dt` of one step, k per second.

    The source sends the drive of the eligibility trace per ms, the third factor `plateau` is that of the instructive
    one. Per step, by Euler: ``et += dt (r_pre - et / tau_et)``, the other likewise, then the weight moves to w_max by
    k_plus and to 0 by k_minus, each gated by a sigmoid of et times instructive that is 0 at 0 and 1 at 1.
    Source: Milstein, Li, Bittner, Grienberger, Soltesz, Magee and Romani (2021).
    """

    def ends(half: float, slope: float) -> tuple[float, float]:
        low, high = (1.0 / (1.0 + math.exp(-slope * (x - half))) for x in (0.0, 1.0))
        return low, high - low

    (low_plus, span_plus), (low_minus, span_minus) = ends(half_plus, slope_plus), ends(half_minus, slope_minus)

    @rule(
        state={"et": 0.0, "instructive": 0.0},
        third="plateau",
        bounds=(0.0, w_max),
        weight=weight,
    )
    def btsp_gated(
        w, et, instructive, r_pre, plateau, *, k_plus=k_plus, k_minus=k_minus, half_plus=half_plus,
        half_minus=half_minus, slope_plus=slope_plus, slope_minus=slope_minus, low_plus=low_plus, low_minus=low_minus,
        span_plus=span_plus, span_minus=span_minus, tau_et=tau_et, tau_is=tau_is, w_max=w_max, dt=dt, gain=dt / 1000.0,
    ):  # fmt: skip
        et = et + dt * (r_pre - et / tau_et)
        instructive = instructive + dt * (plateau - instructive / tau_is)
        both = et * instructive
        up = (1.0 / (1.0 + exp(-slope_plus * (both - half_plus))) - low_plus) / span_plus  # noqa: F821
        down = (1.0 / (1.0 + exp(-slope_minus * (both - half_minus))) - low_minus) / span_minus  # noqa: F821
        w = w + gain * ((w_max - w) * k_plus * up - w * k_minus * down)

    return btsp_gated
