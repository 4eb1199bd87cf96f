"""Loihi's learning engine for users: rules as text, their limits, and the state of a plastic projection.

    rule = SumOfProducts(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=10)
    tab, par = rule.tables(), rule.trace_params()
    state = sop_state(rule, weights)                      # (post, pre)
    draws = SopStreams(seed=1).draw(steps, rule.t_epoch)
    sop_step(t, t - 1, pre, post, no_traces, draws, tab, par, state)      # once per step, t = 1, 2, ...

The arithmetic is that of Lava's "bit approximate" model (lava-nc 0.10.0), bit for bit, with its random streams; see
`kernels.sum_of_products`. Symbols: x1, x2 presynaptic traces, y1..y3 postsynaptic traces, w weight, t tag, d delay
(a stored number; it does not act as a delay).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from chipsim.errors import NetworkError
from chipsim.sop_grammar import Product, float_to_literal, parse
from kernels.sum_of_products import VARIABLES, Draws, State, Tables, TraceParams
from kernels.trace import TRACE_MAX, decay_factor, split_impulse

SIGN_MODES = ("mixed", "excitatory", "inhibitory")
WEIGHT_RANGE = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}
TAG_RANGE, DELAY_RANGE = (-257, 255), (0, 255)
#: Bits of a factor, one per variable of VARIABLES: spikes 1, traces 7, synaptic variables 9.
WIDTHS = (1, 1, 7, 7, 7, 7, 7, 9, 9, 9)
MANTISSA_BITS, ACC_BITS = 4, 15
#: The spike time within an epoch is a 6-bit field.
MAX_EPOCH = 63
#: y1..y3 of a three-factor rule hardly decay between two steps: Lava's 2**16 - 1 steps.
TAU_EXTERNAL = 65535
#: Seed of the weights' random numbers in Lava, whatever the rule's seed.
WEIGHT_SEED = 2
_TRACES = ("x1", "x2", "y1", "y2", "y3")


@dataclass(frozen=True)
class SumOfProducts:
    """A learning rule in the chip's own form.

    Parameters
    ----------
    dw, dd, dt
        Rules of weight, delay and tag as text (see `chipsim.sop_grammar`); at least one.
    x1_impulse … y3_tau
        Impulse of a trace per spike, 0..127 with 8 bits of fraction; time constant in steps, 0 clears it every step.
    t_epoch
        Steps between two updates, 1..63.
    three_factor
        y1, y2, y3 come from the postsynaptic neurons at every step (for instance a reward on y2); their impulses
        and time constants are then not yours to set.
    graded
        How payloads of presynaptic spikes enter x1: 0 not at all, 1 overwrite with payload/2, 2 add payload/2 and
        saturate, 3 add payload/2, keep what exceeds 127, and only then count as a spike. Not 0: x1_impulse is 0.
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
        if not (isinstance(self.t_epoch, (int, np.integer)) and 1 <= self.t_epoch <= MAX_EPOCH):
            raise NetworkError(
                f"{self.name}: t_epoch = {self.t_epoch}, must be a whole number of steps in 1..{MAX_EPOCH} (6 bits)"
            )
        if self.graded not in (0, 1, 2, 3):
            raise NetworkError(f"{self.name}: graded = {self.graded}, must be 0, 1, 2 or 3")
        for trace in _TRACES:
            self._check_trace(trace)
        ks = {p.k for p in self.products if p.k is not None}
        if len(ks) > 1:
            raise NetworkError(
                f"{self.name}: u{min(ks)} and u{max(ks)} in one rule; the engine has one K for dw, dd and dt"
            )

    def _check_trace(self, trace: str) -> None:
        impulse, tau = getattr(self, f"{trace}_impulse"), getattr(self, f"{trace}_tau")
        if not 0 <= impulse <= TRACE_MAX:
            raise NetworkError(
                f"{self.name}: {trace}_impulse = {impulse}, must be in 0..{TRACE_MAX} (traces have 7 bits); "
                "scale the product instead"
            )
        if not (tau >= 0 and math.isfinite(tau)):
            raise NetworkError(f"{self.name}: {trace}_tau = {tau}, must be a number of steps >= 0")
        if self.three_factor and trace[0] == "y" and (impulse or tau):
            raise NetworkError(
                f"{self.name}: {trace} of a three-factor rule comes from the neuron; leave {trace}_impulse and "
                f"{trace}_tau at 0, or set three_factor=False"
            )

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """All products, those of w first, then t, then d."""
        rules = (("dw", self.dw), ("dt", self.dt), ("dd", self.dd))
        return tuple(p for target, text in rules if text is not None for p in parse(target, text))

    @property
    def reads(self) -> frozenset[str]:
        """Names of all variables that the rule reads or writes: the state it needs."""
        read = {f.variable for p in self.products for f in p.factors}
        written = {n for n, text in (("w", self.dw), ("t", self.dt), ("d", self.dd)) if text is not None}
        return frozenset(read | written | {p.dependency for p in self.products if p.dependency != "u"})

    def state_bits(self) -> dict[str, int]:
        """Memory the rule needs: bits per synapse, per presynaptic and per postsynaptic neuron (spike time 6 bits)."""
        reads = self.reads
        synapse = 9 + 9 * ("t" in reads) + 8 * ("d" in reads)
        pre = 7 * len(reads & {"x1", "x2"}) + 6
        post = 7 * len(reads & {"y1", "y2", "y3"}) + 6
        return {"synapse": synapse, "pre": pre, "post": post}

    def operations(self) -> dict[str, int]:
        """Multiplies, adds, shifts of one synapse whose dependencies are all met in an epoch."""
        factors = [f for p in self.products for f in p.factors]
        return {
            "multiply": len(factors) + len(self.products),
            "add": len(self.products) + sum(f.constant != 0 for f in factors),
            "shift": 2 * len(self.products),
        }

    def tables(self, sign_mode: str = "mixed") -> Tables:
        """The rule as numbers for `sop_step`; sign_mode: "mixed", "excitatory" or "inhibitory" weights."""
        if sign_mode not in SIGN_MODES:
            raise NetworkError(f"{self.name}: sign_mode '{sign_mode}', must be one of {', '.join(SIGN_MODES)}")
        ps = self.products
        fs = [f for p in ps for f in p.factors]
        code = [VARIABLES.index(f.variable) for f in fs]
        ks = [p.k for p in ps if p.k is not None]
        width = [WIDTHS[c] for c in code]
        right = [sum(WIDTHS[VARIABLES.index(f.variable)] for f in p.factors) + MANTISSA_BITS - ACC_BITS for p in ps]
        deps = [("x0", "y0", "u").index(p.dependency) for p in ps]
        i32 = lambda values: np.array(values, dtype=np.int32)  # noqa: E731
        return Tables(
            target_ptr=i32(np.cumsum([0] + [sum(p.target == k for p in ps) for k in ("dw", "dt", "dd")])),
            dep=i32(deps),
            mantissa=i32([p.mantissa for p in ps]),
            exponent=i32([p.exponent for p in ps]),
            right=i32(np.maximum(right, 0)),
            factor_ptr=i32(np.cumsum([0] + [len(p.factors) for p in ps])),
            variable=i32(code),
            constant=i32([math.floor(f.constant) for f in fs]),
            half=i32([f.constant != math.floor(f.constant) for f in fs]),
            sign=i32([f.sgn for f in fs]),
            low=i32([-(2**b) for b in width]),
            high=i32([2**b - 1 for b in width]),
            uses=i32([k in deps for k in range(3)]),
            bounds=i32([WEIGHT_RANGE[sign_mode], TAG_RANGE, DELAY_RANGE]),
            k_mask=2 ** ks[0] - 1 if ks else -1,
            sign_mode=SIGN_MODES.index(sign_mode),
            t_epoch=int(self.t_epoch),
            three=int(self.three_factor),
            graded=int(self.graded),
        )

    def trace_params(self) -> TraceParams:
        """Constants of the traces for `sop_step`."""
        impulse = np.array([getattr(self, f"{k}_impulse") for k in _TRACES], dtype=np.float64)
        tau = np.array([getattr(self, f"{k}_tau") for k in _TRACES], dtype=np.float64)
        if self.graded:
            impulse[0] = 0
        if self.three_factor:
            tau[2:] = TAU_EXTERNAL
        decay = decay_factor(tau)
        whole, fraction = split_impulse(impulse)
        return TraceParams(decay[:2], whole[:2], fraction[:2], decay[2:], whole[2:], fraction[2:])

    def changed(self, **values: object) -> SumOfProducts:
        """A copy with some fields replaced."""
        return SumOfProducts(**{**{f.name: getattr(self, f.name) for f in fields(self)}, **values})  # type: ignore[arg-type]


def stdp_loihi(
    learning_rate: float, A_plus: float, A_minus: float, tau_plus: float, tau_minus: float, **settings: object
) -> SumOfProducts:
    """Pair STDP: dw = rate*A_minus*x0*y1 + rate*A_plus*y0*x1, impulses 16 unless set (Lava's STDPLoihi)."""
    rate, plus, minus = (float_to_literal(v) for v in (learning_rate, A_plus, A_minus))
    values: dict[str, object] = {
        "dw": f"{rate} * {minus} * x0 * y1 + {rate} * {plus} * y0 * x1",
        "x1_impulse": 16.0,
        "y1_impulse": 16.0,
        "x1_tau": tau_plus,
        "y1_tau": tau_minus,
        "name": "STDPLoihi",
    }
    return SumOfProducts(**{**values, **settings})  # type: ignore[arg-type]


def reward_modulated_stdp(
    learning_rate: float,
    A_plus: float,
    A_minus: float,
    pre_trace_decay_tau: float,
    pre_trace_kernel_magnitude: float,
    eligibility_decay: float,
    **settings: object,
) -> SumOfProducts:
    """STDP into the tag, tag times reward into the weight (Lava's RewardModulatedSTDP).

    dt = rate*A_minus*x0*y1 + rate*A_plus*y0*x1 - u0*t*eligibility_decay and dw = u0*t*y2, with y1 the neuron's spike
    trace and y2 the reward, both sent by the postsynaptic neurons. `eligibility_decay` is the fraction that the tag
    loses per epoch (Lava calls it eligibility_trace_decay_tau).
    """
    rate, plus, minus, loss = (float_to_literal(v) for v in (learning_rate, A_plus, A_minus, eligibility_decay))
    values: dict[str, object] = {
        "dt": f"{rate} * {minus} * x0 * y1 + {rate} * {plus} * y0 * x1 - u0 * t * {loss}",
        "dw": "u0 * t * y2",
        "x1_impulse": pre_trace_kernel_magnitude,
        "x1_tau": pre_trace_decay_tau,
        "three_factor": True,
        "name": "RewardModulatedSTDP",
    }
    return SumOfProducts(**{**values, **settings})  # type: ignore[arg-type]


def truncate_weights(w: ArrayLike, sign_mode: str = "mixed", num_weight_bits: int = 8) -> NDArray[np.int32]:
    """Weights as the synapse format holds them: the low bits that it lacks are cleared (toward -inf in magnitude)."""
    if not 1 <= num_weight_bits <= 8:
        raise NetworkError(f"num_weight_bits = {num_weight_bits}, must be in 1..8")
    values = np.asarray(w).astype(np.int32)
    cut = 8 - num_weight_bits + (sign_mode == "mixed")
    if sign_mode == "inhibitory":
        return -((-values >> cut) << cut)
    return (values >> cut) << cut


def _edge_values(values: object, rows: NDArray, cols: NDArray, shape: tuple[int, int], what: str) -> NDArray[np.int32]:
    """Values of an (n_post, n_pre) array or scalar at the synapses (rows post, cols pre)."""
    if values is None:
        return np.zeros(rows.size, dtype=np.int32)
    a = np.broadcast_to(np.asarray(values.toarray() if sp.issparse(values) else values), shape)  # type: ignore[attr-defined]
    out = a[rows, cols]
    if not np.array_equal(out, np.floor(out)):
        raise NetworkError(f"{what}: values must be whole numbers (registers); quantise them first")
    return out.astype(np.int32)


def _in_range(values: NDArray, low: int, high: int, what: str) -> None:
    if values.size and (values.min() < low or values.max() > high):
        raise NetworkError(
            f"{what}: values {values.min()}..{values.max()} outside {low}..{high}; scale them, or choose another "
            "sign_mode"
        )


def sop_state(
    rule: SumOfProducts,
    weights: object,
    tags: ArrayLike | None = None,
    delays: ArrayLike | None = None,
    *,
    sign_mode: str = "mixed",
    num_weight_bits: int = 8,
) -> State:
    """State of a plastic projection at rest.

    Parameters
    ----------
    weights
        (n_post, n_pre) ndarray (every pair is a synapse) or scipy.sparse (its stored entries are). Whole numbers.
    tags, delays
        (n_post, n_pre) or scalar start values of t and d; default 0.
    sign_mode
        "mixed" (-256..255), "excitatory" (0..255) or "inhibitory" (-255..0).
    num_weight_bits
        Bits of the synapse format; initial weights lose the low bits it lacks, learned ones keep all.

    Raises
    ------
    NetworkError
        If values are not whole numbers or do not fit their registers.
    """
    n_post, n_pre = np.shape(weights) if not sp.issparse(weights) else weights.shape  # type: ignore[attr-defined]
    if sp.issparse(weights):
        csc = sp.csc_array(weights)
        csc.sort_indices()
        ptr, post = csc.indptr.astype(np.int32), csc.indices.astype(np.int32)
        stored = csc.data
    else:
        ptr = np.arange(n_pre + 1, dtype=np.int32) * n_post
        post = np.tile(np.arange(n_post, dtype=np.int32), n_pre)
        stored = np.ascontiguousarray(np.asarray(weights).T).ravel()
    if not np.array_equal(stored, np.floor(stored)):
        raise NetworkError(f"{rule.name}: weights must be whole numbers (registers); quantise them first")
    if sign_mode not in SIGN_MODES:
        raise NetworkError(f"{rule.name}: sign_mode '{sign_mode}', must be one of {', '.join(SIGN_MODES)}")
    _in_range(stored, *WEIGHT_RANGE[sign_mode], what=f"{rule.name}: {sign_mode} weights")
    pre = np.repeat(np.arange(n_pre), np.diff(ptr))
    t = _edge_values(tags, post, pre, (n_post, n_pre), f"{rule.name}: tags")
    d = _edge_values(delays, post, pre, (n_post, n_pre), f"{rule.name}: delays")
    _in_range(t, *TAG_RANGE, what=f"{rule.name}: tags")
    _in_range(d, *DELAY_RANGE, what=f"{rule.name}: delays")
    zeros = lambda *shape: np.zeros(shape, dtype=np.int32)  # noqa: E731
    return State(
        w=truncate_weights(stored, sign_mode, num_weight_bits),
        t=t,
        d=d,
        x=zeros(2, n_pre),
        y=zeros(3, n_post),
        tx=zeros(n_pre),
        ty=zeros(n_post),
        hx=zeros(rule.t_epoch + 1, 2, n_pre),
        hy=zeros(rule.t_epoch + 1, 3, n_post),
        row_ptr=ptr,
        post=post,
        counts=np.zeros(5, dtype=np.int64),
    )


def dense(state: State, values: NDArray) -> NDArray:
    """Synaptic values (s,) of a state as an (n_post, n_pre) array, zero where there is no synapse."""
    n_pre, n_post = state.tx.size, state.ty.size
    out = np.zeros((n_post, n_pre), dtype=values.dtype)
    out[state.post, np.repeat(np.arange(n_pre), np.diff(state.row_ptr))] = values
    return out


class SopStreams:
    """Lava's random numbers: four generators for the traces (seed, seed + 1, + 2, + 3), one for the weights (2).

    Each is drawn once at the start, the traces' twice per step, the weights' once per epoch, so that a run in two
    parts sees the numbers of one run. numpy's PCG64.
    """

    def __init__(self, seed: int = 0, weight_seed: int = WEIGHT_SEED) -> None:
        seeds = (seed, seed + 1, seed + 2, seed + 3, weight_seed)
        self._rng = [np.random.default_rng(s) for s in seeds]
        self.t = 0
        self._numbers(1, first=True)

    def _numbers(self, n: int, first: bool = False) -> list[NDArray]:
        xd, xi, yd, yi, w = self._rng
        traces = [xd.random(n), xi.integers(0, 128, n), yd.random(n), yi.integers(0, 128, n)]
        return [*traces, w.random(1)] if first else traces

    def draw(self, steps: int, t_epoch: int) -> Draws:
        """Numbers of the next `steps` steps, (steps,) each."""
        xd, xi, yd, yi = self._numbers(2 * steps)
        t = self.t + np.arange(1, steps + 1)
        ends = t % t_epoch == 0
        w = np.zeros(steps)
        w[ends] = self._rng[4].random(int(ends.sum()))
        self.t += steps
        return Draws(xd[1::2], xi[1::2], yd[1::2], yi[1::2], np.ascontiguousarray(yi[0::2]), w)

    def get_state(self) -> dict[str, object]:
        """Everything needed to go on later: plain dictionaries and integers."""
        return {"t": self.t, "rng": [g.bit_generator.state for g in self._rng]}

    def set_state(self, state: dict) -> None:
        """Undo everything since `get_state`."""
        self.t = int(state["t"])
        for g, s in zip(self._rng, state["rng"]):
            g.bit_generator.state = s


def recorded_draws(
    x_decay: NDArray, x_impulse: NDArray, y_decay: NDArray, y_impulse: NDArray, w_round: NDArray, t_epoch: int
) -> Draws:
    """Draws from Lava's sequences: traces (2T + 1,), weights (at least T // t_epoch + 1,), first entry unused."""
    steps = (x_decay.size - 1) // 2
    t = np.arange(1, steps + 1)
    end = slice(2, None, 2)
    w = np.asarray(w_round, dtype=np.float64)[t // t_epoch]
    parts = (x_decay[end], x_impulse[end], y_decay[end], y_impulse[end], y_impulse[1::2])
    kinds = (np.float64, np.int64, np.float64, np.int64, np.int64)
    return Draws(*(np.ascontiguousarray(p, dtype=k) for p, k in zip(parts, kinds)), w)
