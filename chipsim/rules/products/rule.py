"""Loihi's learning engine for users: rules as text, and their limits.

    rule = SumOfProducts(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=10)
    tab, par = rule.tables(), rule.trace_params()
    state = sop_state(rule, weights)                      # (post, pre); chipsim.rules.products.state
    draws = SopStreams(seed=1).draw(steps, rule.t_epoch)
    sop_step(t, t - 1, pre, post, no_traces, draws, tab, par, state)      # once per step, t = 1, 2, ...

The arithmetic is that of Lava's "bit approximate" model (lava-nc 0.10.0), bit for bit, with its random
streams; see `chipsim.kernels.learning.sum_of_products.integers`. Symbols: x1, x2 presynaptic traces, y1..y3
postsynaptic traces, w
weight, t tag, d delay (a stored number; it does not act as a delay).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from chipsim.checks import finite, flag, shown, whole
from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.trace import TRACE_MAX, decay_factor, split_impulse
from chipsim.kernels.learning.sum_of_products.floats import FloatTraces
from chipsim.kernels.learning.sum_of_products.records import FACTOR, PRODUCT, VARIABLES, Tables, TraceParams
from chipsim.rules.products.grammar import Factor, Product, float_to_literal, parse

SIGN_MODES = ("mixed", "excitatory", "inhibitory")
WEIGHT_RANGE = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}
TAG_RANGE, DELAY_RANGE = (-257, 255), (0, 255)
#: Bits of a factor, one per variable of VARIABLES: spikes 1, traces 7, synaptic variables 9.
WIDTHS = (1, 1, 7, 7, 7, 7, 7, 9, 9, 9)
MANTISSA_BITS, ACC_BITS = 4, 15
#: The spike time within an epoch is a 6-bit field.
MAX_EPOCH, SPIKE_TIME_BITS = 63, 6
#: y1..y3 of a three-factor rule hardly decay between two steps: Lava's 2**16 - 1 steps.
TAU_EXTERNAL = 65535
TRACES = ("x1", "x2", "y1", "y2", "y3")


@dataclass(frozen=True)
class SumOfProducts:
    """A learning rule in the chip's own form.

    Parameters
    ----------
    dw, dd, dt
        Rules of weight, delay and tag as text (see `chipsim.rules.products.grammar`); at least one.
    x1_impulse … y3_tau
        Impulse of a trace per spike, 0..127 with 8 bits of fraction; time constant in steps, 0 clears the
        trace at every step.
    t_epoch
        Steps between two updates, 1..63.
    three_factor
        y1, y2, y3 come from the postsynaptic neurons at every step (for instance a reward on y2); their
        impulses and time constants are then not yours to set.
    graded
        How payloads of presynaptic spikes enter x1: 0 not at all, 1 overwrite with payload/2, 2 add payload/2
        and saturate, 3 add payload/2, keep what exceeds 127, and only then count as a spike. Unless 0,
        x1_impulse does not act.

    Raises
    ------
    NetworkError
        Naming the product or parameter, the limit and the way out.
    """

    dw: str | None = None
    dd: str | None = None
    dt: str | None = None
    x1_impulse: float = 0.0
    x1_tau: float = 0.0
    x2_impulse: float = 0.0
    x2_tau: float = 0.0
    y1_impulse: float = 0.0
    y1_tau: float = 0.0
    y2_impulse: float = 0.0
    y2_tau: float = 0.0
    y3_impulse: float = 0.0
    y3_tau: float = 0.0
    t_epoch: int = 1
    three_factor: bool = False
    graded: int = 0
    name: str = field(default="sum of products", compare=False)

    def __post_init__(self) -> None:
        if self.dw is None and self.dd is None and self.dt is None:
            raise NetworkError(f"{self.name}: no rule; give at least one of dw, dd, dt")
        for target in ("dw", "dd", "dt"):
            text = getattr(self, target)
            if text is not None and not isinstance(text, str):
                raise NetworkError(f"{self.name}: {target} must be a text such as '2^-2*x1*y0', not {shown(text)}")
        whole(self.t_epoch, f"{self.name}: t_epoch")
        flag(self.three_factor, f"{self.name}: three_factor")
        if not 1 <= self.t_epoch <= MAX_EPOCH:
            raise NetworkError(
                f"{self.name}: t_epoch = {shown(self.t_epoch)}, must be a whole number of steps in 1..{MAX_EPOCH}"
                f" ({SPIKE_TIME_BITS} bits); use uK to update less often"
            )
        if not 0 <= whole(self.graded, f"{self.name}: graded") <= 3:
            raise NetworkError(f"{self.name}: graded = {shown(self.graded)}, must be 0, 1, 2 or 3")
        for trace in TRACES:
            self._check_trace(trace)
        ks = {p.k for p in self.products if p.k is not None}
        if len(ks) > 1:
            raise NetworkError(
                f"{self.name}: u{min(ks)} and u{max(ks)} in one rule; the engine has one K for dw, dd and dt"
            )

    def _check_trace(self, trace: str) -> None:
        impulse, tau = getattr(self, f"{trace}_impulse"), getattr(self, f"{trace}_tau")
        for what, value in (("impulse", impulse), ("tau", tau)):
            if not (isinstance(value, (float, np.floating)) and np.isnan(value)):
                finite(value, f"{self.name}: {trace}_{what} must be a number;")
        if not 0 <= impulse <= TRACE_MAX:
            raise NetworkError(
                f"{self.name}: {trace}_impulse = {shown(impulse)}, must be in 0..{TRACE_MAX} (traces have 7 bits); "
                "scale the product instead"
            )
        if not (tau >= 0 and math.isfinite(tau)):
            raise NetworkError(f"{self.name}: {trace}_tau = {tau}, must be a number of steps >= 0")
        if self.three_factor and trace[0] == "y" and (impulse or tau):
            raise NetworkError(
                f"{self.name}: {trace} of a three-factor rule comes from the neuron; leave {trace}_impulse "
                f"and {trace}_tau at 0, or set three_factor=False"
            )

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """All products: those of w first, then t, then d."""
        rules = (("dw", self.dw), ("dt", self.dt), ("dd", self.dd))
        return tuple(p for target, text in rules if text is not None for p in parse(target, text))

    @property
    def reads(self) -> frozenset[str]:
        """Names of all variables that the rule reads or writes: the state it needs."""
        read = {f.variable for p in self.products for f in p.factors}
        written = {n for n, text in (("w", self.dw), ("t", self.dt), ("d", self.dd)) if text is not None}
        return frozenset(read | written | {p.dependency for p in self.products if p.dependency != "u"})

    def state_bits(self) -> dict[str, int]:
        """Memory the rule needs: bits per synapse, presynaptic neuron and postsynaptic neuron."""
        reads = self.reads
        return {
            "synapse": 9 + 9 * ("t" in reads) + 8 * ("d" in reads),
            "pre": 7 * len(reads & {"x1", "x2"}) + SPIKE_TIME_BITS,
            "post": 7 * len(reads & {"y1", "y2", "y3"}) + SPIKE_TIME_BITS,
        }

    def operations(self) -> dict[str, int]:
        """Multiplies, adds, shifts of one synapse whose dependencies are all met in an epoch."""
        factors = [f for p in self.products for f in p.factors]
        return {
            "multiply": len(factors) + len(self.products),
            "add": len(self.products) + sum(f.constant != 0 for f in factors),
            "shift": 2 * len(self.products),
        }

    def tables(self, sign_mode: str = "mixed") -> Tables:
        """The rule as numbers for the kernels; sign_mode: "mixed", "excitatory" or "inhibitory" weights."""
        if sign_mode not in SIGN_MODES:
            raise NetworkError(f"{self.name}: sign_mode '{sign_mode}', must be one of {', '.join(SIGN_MODES)}")
        products = self.products
        factors = np.array([_factor_record(f) for p in products for f in p.factors], dtype=FACTOR)
        ends = np.cumsum([len(p.factors) for p in products])
        records = [_product_record(p, int(end)) for p, end in zip(products, ends)]
        ks = [p.k for p in products if p.k is not None]
        deps = {p.dependency for p in products}
        per_target = [sum(p.target == k for p in products) for k in ("dw", "dt", "dd")]
        return Tables(
            product=np.array(records, dtype=PRODUCT),
            factor=factors,
            target_ptr=np.cumsum([0, *per_target]).astype(np.int32),
            bounds=np.array([WEIGHT_RANGE[sign_mode], TAG_RANGE, DELAY_RANGE], dtype=np.int32),
            k_mask=2 ** ks[0] - 1 if ks else -1,
            uses_x0=int("x0" in deps),
            uses_y0=int("y0" in deps),
            sign_mode=SIGN_MODES.index(sign_mode),
            t_epoch=int(self.t_epoch),
            three=int(self.three_factor),
            graded=int(self.graded),
        )

    def _impulses_and_taus(self) -> tuple[np.ndarray, np.ndarray]:
        impulse = np.array([getattr(self, f"{k}_impulse") for k in TRACES], dtype=np.float64)
        tau = np.array([getattr(self, f"{k}_tau") for k in TRACES], dtype=np.float64)
        if self.graded:
            impulse[0] = 0
        if self.three_factor:
            tau[2:] = TAU_EXTERNAL
        return impulse, tau

    def trace_params(self) -> TraceParams:
        """Constants of the traces for the integer engine."""
        impulse, tau = self._impulses_and_taus()
        rows = np.array([decay_factor(tau), *split_impulse(impulse)], dtype=np.float64)
        return TraceParams(np.ascontiguousarray(rows[:, :2]), np.ascontiguousarray(rows[:, 2:]))

    def float_traces(self) -> FloatTraces:
        """Constants of the traces for the floating-point engine."""
        impulse, tau = self._impulses_and_taus()
        decay = decay_factor(tau)
        return FloatTraces(decay[:2], impulse[:2], decay[2:], impulse[2:])

    def changed(self, **values: Any) -> SumOfProducts:
        """A copy with some fields replaced."""
        return SumOfProducts(**{**{f.name: getattr(self, f.name) for f in fields(self)}, **values})


def _width(factor: Factor) -> int:
    return WIDTHS[VARIABLES.index(factor.variable)]


def _factor_record(f: Factor) -> tuple[float, ...]:
    """A row of Tables.factor."""
    whole, width = math.floor(f.constant), _width(f)
    return VARIABLES.index(f.variable), whole, f.sgn, -(2**width), 2**width - 1, f.constant - whole


def _product_record(p: Product, end: int) -> tuple[int, ...]:
    """A row of Tables.product, whose factors end before `end`."""
    right = max(0, sum(_width(f) for f in p.factors) + MANTISSA_BITS - ACC_BITS)
    dep = ("x0", "y0", "u").index(p.dependency)
    return dep, p.mantissa, p.exponent, right, end - len(p.factors), end


def stdp_loihi(
    learning_rate: float, A_plus: float, A_minus: float, tau_plus: float, tau_minus: float, **settings: Any
) -> SumOfProducts:
    """Pair STDP: dw = rate*A_minus*x0*y1 + rate*A_plus*y0*x1, impulses 16 unless set (Lava's STDPLoihi).

    Rates and amplitudes pass through `float_to_literal`; `settings` are fields of SumOfProducts.
    """
    rate, plus, minus = (float_to_literal(v) for v in (learning_rate, A_plus, A_minus))
    values: dict[str, Any] = {
        "dw": f"{rate} * {minus} * x0 * y1 + {rate} * {plus} * y0 * x1",
        "x1_impulse": 16.0,
        "y1_impulse": 16.0,
        "x1_tau": tau_plus,
        "y1_tau": tau_minus,
        "name": "STDPLoihi",
    }
    return SumOfProducts(**{**values, **settings})


def reward_modulated_stdp(
    learning_rate: float,
    A_plus: float,
    A_minus: float,
    pre_trace_decay_tau: float,
    pre_trace_kernel_magnitude: float,
    eligibility_decay: float,
    **settings: Any,
) -> SumOfProducts:
    """STDP into the tag, tag times reward into the weight (Lava's RewardModulatedSTDP).

    dt = rate*A_minus*x0*y1 + rate*A_plus*y0*x1 - u0*t*eligibility_decay and dw = u0*t*y2, with y1 the
    neuron's spike trace and y2 the reward, both sent by the postsynaptic neurons. `eligibility_decay` is the
    fraction that the tag loses per epoch (Lava calls it eligibility_trace_decay_tau).
    """
    rate, plus, minus, loss = (float_to_literal(v) for v in (learning_rate, A_plus, A_minus, eligibility_decay))
    values: dict[str, Any] = {
        "dt": f"{rate} * {minus} * x0 * y1 + {rate} * {plus} * y0 * x1 - u0 * t * {loss}",
        "dw": "u0 * t * y2",
        "x1_impulse": pre_trace_kernel_magnitude,
        "x1_tau": pre_trace_decay_tau,
        "three_factor": True,
        "name": "RewardModulatedSTDP",
    }
    return SumOfProducts(**{**values, **settings})
