"""State and random streams of a plastic projection under a sum-of-products rule.

Builders for the three engines: `sop_state` (Lava's integers), `float_state` (Lava's floats), `linear_state`
(brian2-loihi). Synapses are flat arrays in rows of their presynaptic neuron; `dense` turns one back into a
matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.trace import LINEAR, decay_factor
from chipsim.kernels.learning.sum_of_products.floats import LinearState
from chipsim.kernels.learning.sum_of_products.records import BATCH, LOW_TAGS, VAR_MIN, Draws, State
from chipsim.rules.products.rule import DELAY_RANGE, SIGN_MODES, TAG_RANGE, TRACES, WEIGHT_RANGE, SumOfProducts

#: Seed of the weights' random numbers in Lava, whatever the rule's seed.
WEIGHT_SEED = 2
#: Weights of brian2-loihi by sign mode.
LINEAR_RANGE = {"mixed": (-256, 254), "excitatory": (0, 255), "inhibitory": (-256, 0)}
#: Numbers of a second post spike, of the traces' decay and impulse are drawn twice per step.
_DRAWS_PER_STEP = 2


def truncate_weights(w: ArrayLike, sign_mode: str = "mixed", num_weight_bits: int = 8) -> NDArray[np.int32]:
    """Weights as the synapse format holds them: the low bits that it lacks are cleared.

    Floor for mixed and excitatory, toward zero for inhibitory weights (Lava). Mixed weights lose one bit
    more.
    """
    if not 1 <= num_weight_bits <= 8:
        raise NetworkError(f"num_weight_bits = {num_weight_bits}, must be in 1..8")
    values = np.asarray(w).astype(np.int32)
    cut = 8 - num_weight_bits + (sign_mode == "mixed")
    if sign_mode == "inhibitory":
        return -((-values >> cut) << cut)
    return (values >> cut) << cut


def synapse_rows(weights: Any) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray]:
    """row_ptr (n_pre + 1,), post (s,) and values (s,) of an (n_post, n_pre) ndarray or scipy.sparse array."""
    if sp.issparse(weights):
        columns = sp.csc_array(weights)
        columns.sort_indices()
        return columns.indptr.astype(np.int32), columns.indices.astype(np.int32), columns.data
    matrix = np.asarray(weights)
    if matrix.ndim != 2:
        raise NetworkError(f"weights of a plastic projection have shape {matrix.shape}, must be (n_post, n_pre)")
    n_post, n_pre = matrix.shape
    ptr = np.arange(n_pre + 1, dtype=np.int32) * np.int32(n_post)
    post = np.tile(np.arange(n_post, dtype=np.int32), n_pre)
    return ptr, post, np.ascontiguousarray(matrix.T).ravel()


def _registers(values: NDArray, low: int, high: int, what: str) -> NDArray[np.int32]:
    """Values as int32, refused unless whole and within a register."""
    if not np.array_equal(values, np.floor(values)):
        raise NetworkError(f"{what} must be whole numbers (registers); quantise them first")
    if values.size and (values.min() < low or values.max() > high):
        raise NetworkError(
            f"{what} span {values.min():g}..{values.max():g}, outside {low}..{high}; scale them, or choose "
            "another sign_mode"
        )
    return values.astype(np.int32)


def _at_synapses(values: Any, post: NDArray, ptr: NDArray, shape: tuple[int, int]) -> NDArray:
    """Values (s,) of a scalar or (n_post, n_pre) array at each synapse; None is 0."""
    if values is None:
        return np.zeros(post.size)
    matrix = values.toarray() if sp.issparse(values) else values
    pre = np.repeat(np.arange(shape[1]), np.diff(ptr))
    return np.broadcast_to(np.asarray(matrix), shape)[post, pre]


def _check_sign_mode(rule: SumOfProducts, sign_mode: str) -> None:
    if sign_mode not in SIGN_MODES:
        raise NetworkError(f"{rule.name}: sign_mode '{sign_mode}', must be one of {', '.join(SIGN_MODES)}")


def _zeros(dtype: Any, *shape: int) -> NDArray:
    return np.zeros(shape, dtype=dtype)


def sop_state(
    rule: SumOfProducts,
    weights: Any,
    tags: ArrayLike | None = None,
    delays: ArrayLike | None = None,
    *,
    sign_mode: str = "mixed",
    num_weight_bits: int = 8,
) -> State:
    """State of a plastic projection at rest, in integers.

    Parameters
    ----------
    weights
        (n_post, n_pre) ndarray (every pair is a synapse) or scipy.sparse (its stored entries are). Whole
        numbers.
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
    _check_sign_mode(rule, sign_mode)
    ptr, post, stored = synapse_rows(weights)
    shape = np.shape(weights) if not sp.issparse(weights) else weights.shape
    w = _registers(stored, *WEIGHT_RANGE[sign_mode], what=f"{rule.name}: {sign_mode} weights")
    t = _registers(_at_synapses(tags, post, ptr, shape), *TAG_RANGE, what=f"{rule.name}: tags")
    d = _registers(_at_synapses(delays, post, ptr, shape), *DELAY_RANGE, what=f"{rule.name}: delays")
    return rows_state(rule, ptr, post, truncate_weights(w, sign_mode, num_weight_bits), shape[0], t, d)


def float_state(
    rule: SumOfProducts, weights: Any, tags: ArrayLike | None = None, delays: ArrayLike | None = None
) -> State:
    """State at rest for the floating-point engine: arguments as `sop_state`, any finite numbers."""
    ptr, post, stored = synapse_rows(weights)
    shape = np.shape(weights) if not sp.issparse(weights) else weights.shape
    w = stored.astype(np.float64)
    t, d = (_at_synapses(v, post, ptr, shape).astype(np.float64) for v in (tags, delays))
    if not all(np.isfinite(v).all() for v in (w, t, d)):
        raise NetworkError(f"{rule.name}: weights, tags and delays must be finite numbers")
    return rows_state(rule, ptr, post, w, shape[0], t, d)


def _columns(rule: SumOfProducts, row_ptr: Any, post: Any, n_post: int) -> dict[str, NDArray[np.int32]]:
    """The synapses by postsynaptic neuron, if the rule ever goes through them that way."""
    by_post = any(p.dependency == "y0" for p in rule.products)
    order = np.argsort(post, kind="stable") if by_post else np.zeros(0, np.intp)
    pre = np.repeat(np.arange(len(row_ptr) - 1), np.diff(row_ptr))
    ends = np.cumsum(np.bincount(post, minlength=n_post)) if by_post else np.zeros(n_post)
    ptr = np.concatenate([[0], ends]).astype(np.int32)
    return {"col_ptr": ptr, "col_synapse": order.astype(np.int32), "col_pre": pre[order].astype(np.int32)}


def rows_state(
    rule: SumOfProducts, row_ptr: Any, post: Any, w: Any, n_post: int, t: Any = None, d: Any = None
) -> State:
    """State at rest from synapses that are already in rows of their presynaptic neuron, unchecked.

    Parameters
    ----------
    row_ptr, post
        (n_pre + 1,) and (s,) int32: row i is row_ptr[i]..row_ptr[i + 1], `post` names the target.
    w, t, d
        (s,) int32 for the integer engine, float64 for the floating-point one; used in place, so that
        delivery can read the weights where they are learned. t and d default to 0.
    """
    n_pre, dtype = len(row_ptr) - 1, w.dtype
    counts = _zeros(np.int64, 6)
    if t is not None:
        counts[LOW_TAGS] = np.count_nonzero(t < VAR_MIN)
    return State(
        w=w,
        t=_zeros(dtype, w.size) if t is None else t,
        d=_zeros(dtype, w.size) if d is None else d,
        x=_zeros(dtype, 2, n_pre),
        y=_zeros(dtype, 3, n_post),
        tx=_zeros(np.int32, n_pre),
        ty=_zeros(np.int32, n_post),
        hx=_zeros(dtype, rule.t_epoch + 1, 2, n_pre),
        hy=_zeros(dtype, rule.t_epoch + 1, 3, n_post),
        row_ptr=row_ptr,
        post=post,
        **_columns(rule, row_ptr, post, n_post),
        due=_zeros(np.int32, 2, w.size),
        counts=counts,
        batch=_zeros(np.int32, 9, BATCH),
        acc=_zeros(np.int64, BATCH),
    )


def linear_state(
    rule: SumOfProducts,
    weights: Any,
    *,
    sign_mode: str = "excitatory",
    num_weight_bits: int = 8,
    seed: int = 0,
) -> LinearState:
    """State at rest in brian2-loihi's arithmetic (traces decay by 1 - 1/tau).

    Only dw, t_epoch 1 and two-factor rules exist there; a trace needs both its impulse (a whole number) and
    its time constant. Arguments as `sop_state`; `seed` selects the random numbers.
    """
    _check_sign_mode(rule, sign_mode)
    if rule.dd or rule.dt or rule.t_epoch != 1 or rule.three_factor or rule.graded or rule.reads & {"t", "d"}:
        raise NetworkError(
            f"{rule.name}: brian2_loihi's arithmetic has dw of w, x and y only, t_epoch 1, no third factor, "
            "no payloads; use arithmetic 'lava'"
        )
    impulse = np.array([getattr(rule, f"{k}_impulse") for k in TRACES])
    tau = np.array([getattr(rule, f"{k}_tau") for k in TRACES], dtype=np.float64)
    impulse = _registers(np.where(tau > 0, impulse, 0), 0, 127, f"{rule.name}: trace impulses of brian2_loihi")
    ptr, post, stored = synapse_rows(weights)
    low, high = LINEAR_RANGE[sign_mode]
    n_post, n_pre = np.shape(weights) if not sp.issparse(weights) else weights.shape
    decay = decay_factor(tau, LINEAR)
    return LinearState(
        w=_registers(stored, low, high, what=f"{rule.name}: {sign_mode} weights"),
        traces=_zeros(np.int32, 5, post.size),
        up=_zeros(np.int8, 6, post.size),
        x0=_zeros(np.uint8, n_pre),
        y0=_zeros(np.uint8, n_post),
        row_ptr=ptr,
        post=post,
        impulse=impulse,
        decay=decay,
        written=as_written(decay),
        precision=2 ** (8 - num_weight_bits + (sign_mode == "mixed")),
        low=low,
        high=high,
        seed=seed,
    )


def as_written(values: ArrayLike) -> NDArray[np.float64]:
    """Numbers as code generators print them, in 15 significant digits: Brian2's state updates see these."""
    return np.array([float(f"{value:.15g}") for value in np.ravel(values)])


def dense(state: State | LinearState, values: NDArray) -> NDArray:
    """Synaptic values (s,) of a state as an (n_post, n_pre) array, zero where there is no synapse."""
    n_pre = state.row_ptr.size - 1
    n_post = state.ty.size if isinstance(state, State) else state.y0.size
    out = np.zeros((n_post, n_pre), dtype=values.dtype)
    out[state.post, np.repeat(np.arange(n_pre), np.diff(state.row_ptr))] = values
    return out


class SopStreams:
    """Lava's random numbers: four generators for the traces (seed, seed + 1, + 2, + 3), one for the weights
    (2).

    Each is drawn once at the start, the traces' twice per step, the weights' once per epoch, so that a run in
    two parts sees the numbers of one run. numpy's PCG64.
    """

    def __init__(self, seed: int = 0, weight_seed: int = WEIGHT_SEED) -> None:
        seeds = (seed, seed + 1, seed + 2, seed + 3, weight_seed)
        self._rng = [np.random.default_rng(s) for s in seeds]
        self.t = 0
        self._trace_numbers(1)
        self._rng[4].random(1)

    def _trace_numbers(self, n: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        xd, xi, yd, yi, _ = self._rng
        return xd.random(n), xi.integers(0, 128, n), yd.random(n), yi.integers(0, 128, n)

    def draw(self, steps: int, t_epoch: int) -> Draws:
        """Numbers of the next `steps` steps, (steps,) each."""
        numbers = self._trace_numbers(_DRAWS_PER_STEP * steps)
        ends = (self.t + np.arange(1, steps + 1)) % t_epoch == 0
        w = np.zeros(steps)
        w[ends] = self._rng[4].random(int(ends.sum()))
        self.t += steps
        xd, xi, yd, yi = (np.ascontiguousarray(n[1::2]) for n in numbers)
        return Draws(xd, xi, yd, yi, np.ascontiguousarray(numbers[3][0::2]), w)

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on later: plain dictionaries and integers."""
        return {"t": self.t, "rng": [g.bit_generator.state for g in self._rng]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from `get_state`."""
        self.t = int(state["t"])
        for g, s in zip(self._rng, state["rng"]):
            g.bit_generator.state = s


def recorded_draws(
    x_decay: NDArray, x_impulse: NDArray, y_decay: NDArray, y_impulse: NDArray, w_round: NDArray, t_epoch: int
) -> Draws:
    """Draws from Lava's sequences: traces (2T + 1,), weights >= (T // t_epoch + 1,), first unused."""
    steps = (np.size(x_decay) - 1) // _DRAWS_PER_STEP
    epoch = np.arange(1, steps + 1) // t_epoch
    parts = (x_decay[2::2], x_impulse[2::2], y_decay[2::2], y_impulse[2::2], y_impulse[1::2])
    kinds = (np.float64, np.int64, np.float64, np.int64, np.int64)
    numbers = (np.ascontiguousarray(p, dtype=k) for p, k in zip(parts, kinds))
    return Draws(*numbers, w_round=np.asarray(w_round, dtype=np.float64)[epoch])
