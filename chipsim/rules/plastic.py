"""A plastic projection: the arrays a rule's kernel works on, in the layout an engine holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from chipsim.checks import choice, floats, integers, numbers, shown, whole
from chipsim.errors import RunError
from chipsim.rules.carried import ALMOST_ALL, STALLED
from chipsim.rules.declaration import VALUES, Rule
from chipsim.rules.kernel import address_of, compile_rule
from chipsim.rules.source import COUNTERS, constant_values, post_rows, pre_rows
from chipsim.sparse import sparse_matrix

Array = NDArray[np.float64]


def finite_numbers(given: Any, what: str, size: int) -> Array:
    """Numbers of `size` neurons, or one for all; raises RunError."""
    array = numbers(given, what, RunError).astype(np.float64)
    if array.shape not in ((), (size,)) or not np.all(np.isfinite(array)):
        raise RunError(f"{what}: give a finite number or {size} of them, not {array.shape}")
    return array


class Plastic:
    """Weights, traces and state of one projection that learns by `rule`.

    Parameters
    ----------
    rule
        A declared rule.
    weights
        (post, pre) array or scipy sparse matrix, in the units of the rule; stored entries of a sparse matrix
        are synapses
        even if 0, entries of a dense array are synapses if `mask` (post, pre) is true (default: all).
    seed
        Of the random bits of stochastic rounding.
    dtype
        "float64", or "int32" to keep weights as multiples of the declared step (as an integer engine does).
    """

    def __init__(
        self,
        rule: Rule,
        weights: Any,
        *,
        mask: ArrayLike | None = None,
        seed: int = 0,
        dtype: str = "float64",
    ):
        if not isinstance(rule, Rule):
            raise RunError(f"Plastic takes a declared rule (cs.rules), not {type(rule).__name__}")
        by_pre: Any = self._by_pre(weights, mask)
        choice(dtype, "dtype", ("float64", "int32"), RunError)
        self.rule, self.dtype, self.step_index = rule, dtype, 0
        self.seed = whole(seed, "seed", 0, 2**63 - 1, RunError)
        self.shape = (by_pre.shape[1], by_pre.shape[0])
        n_post, n_pre = self.shape
        self.row_ptr, self.col = by_pre.indptr.astype(np.uint32), by_pre.indices.astype(np.uint32)
        self.row_of = np.repeat(np.arange(n_pre, dtype=np.uint32), np.diff(by_pre.indptr))
        order = np.argsort(self.col, kind="stable")
        self.col_syn, self.col_pre = order.astype(np.uint32), self.row_of[order]
        counts = np.bincount(self.col, minlength=n_post)
        self.col_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)
        self.pre_rows, self.post_rows = pre_rows(rule), post_rows(rule)
        self.pre_vars = np.zeros((len(self.pre_rows), n_pre))
        self.post_vars = np.zeros((len(self.post_rows), n_post))
        size = self.col.size
        self.syn = np.array([np.full(size, s.start) for s in rule.state.values()]).reshape(len(rule.state), size)
        self.const = np.array(constant_values(rule) + [np.exp(-1.0 / t.tau) for t in rule.traces.values()])
        self.counters = np.zeros(len(COUNTERS), np.int64)
        self.w = np.zeros(size, np.int32 if dtype == "int32" else np.float64)
        low, high = rule.bounds
        if size and (by_pre.data.min() < low or by_pre.data.max() > high):
            worst = by_pre.data.max() if by_pre.data.max() > high else by_pre.data.min()
            raise RunError(
                f"initial weight {worst:g} does not fit rule {rule.name}, whose weights are in {low:g}..{high:g}; "
                "change the weights or the rule's bounds"
            )
        self.store_weights(self._to_format(by_pre.data.astype(np.float64)))
        self.kernel = compile_rule(rule, dtype)
        self.address = address_of(self.kernel, dtype)

    @staticmethod
    def _by_pre(weights: Any, mask: ArrayLike | None) -> Any:
        """Weights as (pre, post) CSR with sorted indices."""
        if sparse.issparse(weights):
            result = sparse.csr_matrix(sparse_matrix(weights, "plastic weights", RunError).T)
            result.data = floats(result.data, "plastic weights", RunError)
        else:
            dense = floats(weights, "plastic weights", RunError)
            if dense.ndim != 2 or not dense.size:
                raise RunError(f"plastic weights have shape {dense.shape}, expected (post, pre)")
            kept = np.ones(dense.shape, bool) if mask is None else integers(mask, "mask", 0, 1, RunError).astype(bool)
            if kept.shape != dense.shape:
                raise RunError(f"mask has shape {kept.shape}, weights {dense.shape}")
            pre, post = np.nonzero(kept.T)
            result = sparse.csr_matrix((dense.T[pre, post], (pre, post)), shape=dense.T.shape)
        result.sort_indices()
        return result

    def _to_format(self, values: Array) -> Array:
        low, high = self.rule.bounds
        form = self.rule.weight
        if form is not None:
            low, high = max(low, form.low), min(high, form.high)
            values = np.floor(values / form.step + 0.5) * form.step
        return np.clip(values, low, high)

    def weights_now(self) -> Array:
        """Weights (s,) in the units of the rule."""
        step = self.rule.weight.step if self.dtype == "int32" and self.rule.weight is not None else 1.0
        return np.asarray(self.w * step, dtype=np.float64)

    def store_weights(self, values: Array) -> None:
        """Overwrite all weights, given in the units of the rule and already on the grid."""
        if self.dtype == "int32" and self.rule.weight is not None:
            self.w[:] = np.rint(values / self.rule.weight.step).astype(np.int32)
        else:
            self.w[:] = values

    def attach(self, storage: NDArray[Any]) -> None:
        """Keep the weights in `storage` (s,) from now on, presynaptic neuron by neuron, ascending
        postsynaptic ones.

        An engine that delivers spikes from the same array then sees every change without a copy. The
        present weights are written into it; dtype and size must be those of `w`.
        """
        if storage.shape != self.w.shape or storage.dtype != self.w.dtype or not storage.flags.c_contiguous:
            raise RunError(
                f"rule {self.rule.name}: storage of {storage.dtype} {storage.shape} for weights of {self.w.dtype} "
                f"{self.w.shape}; they must agree and be contiguous"
            )
        storage[:] = self.w
        self.w = storage

    @property
    def weights(self) -> Array:
        """(post, pre) weights; 0 where there is no synapse."""
        dense = np.zeros(self.shape)
        dense[self.col, self.row_of] = self.weights_now()
        return dense

    def state(self, name: str) -> Array:
        """(post, pre) values of a synaptic state."""
        dense = np.zeros(self.shape)
        dense[self.col, self.row_of] = self.syn[list(self.rule.state).index(name)]
        return dense

    def trace(self, name: str) -> Array:
        """Values of a trace, one per neuron of its side."""
        table, rows = (self.pre_vars, self.pre_rows) if name in self.pre_rows else (self.post_vars, self.post_rows)
        return table[rows[name]]

    def _per_neuron(self, given: Any, name: str) -> Array:
        """One number for all postsynaptic neurons or one for each, as (n_post,) float64."""
        what = f"{name} of rule {self.rule.name}"
        values, n_post = floats(given, what, RunError), self.shape[0]
        if values.shape not in ((), (1,), (n_post,)):
            raise RunError(f"{what}: expected a number or {n_post} numbers, got {values.shape}")
        return np.array(np.broadcast_to(values, (n_post,)))

    def inputs(self, v: Any, threshold: Any, third: Any) -> tuple[Array, Array, Array]:
        """Membrane, threshold and third factors as the kernel wants them; checked."""
        n_post = self.shape[0]
        needs_v = "v" in self.rule.reads or self.rule.surrogate is not None
        if needs_v and v is None:
            raise RunError(f"rule {self.rule.name} reads the membrane of the postsynaptic neuron: pass v")
        membrane = np.zeros(n_post) if v is None else self._per_neuron(v, "v")
        level = np.zeros(n_post) if threshold is None else self._per_neuron(threshold, "threshold")
        factors = np.zeros((len(self.rule.factors), n_post))
        given: dict[str, Any] = third if isinstance(third, dict) else dict.fromkeys(self.rule.third, third)
        for k, name in enumerate(self.rule.third):
            if given.get(name) is None:
                raise RunError(f"rule {self.rule.name} needs its third factor {shown(name)} in every step")
            factors[k] = self._per_neuron(given[name], f"third factor {name!r}")
        return membrane, level, factors

    def step(
        self, pre: ArrayLike, post: ArrayLike, *, v: Any = None, threshold: Any = None, third: Any = None,
        slope: Any = None, u: Any = None, phase: float = 0.0, when: int = 0,
    ) -> None:  # fmt: skip
        """One step after the neurons were updated.

        pre (n_pre,), post (n_post,): spikes of this step, 0 or 1, or the numbers sent, if the rule reads those. v,
        threshold, slope, u: scalars or (n_post,). third: value, array (n_post,), or a dict by name. phase: -1 or 1;
        when: bits `HOLDS` and `EVALUATES`, for rules of phases.
        """
        ids = []
        for side, given, size in (("pre", pre, self.shape[1]), ("post", post, self.shape[0])):
            if f"r_{side}" in self.rule.values:
                spikes = finite_numbers(given, f"{side} values", size)
            else:
                spikes = integers(given, f"{side} spikes", 0, 1, RunError)
            if spikes.shape != (size,):
                raise RunError(f"{side} spikes have shape {spikes.shape}, expected ({size},)")
            ids.append(np.flatnonzero(spikes).astype(np.int32))
        membrane, level, factors = self.inputs(v, threshold, third)
        given_rows = {"phase": phase, "when": when}
        for name in set(self.rule.factors) - set(self.rule.third):
            factors[self.rule.factors.index(name)] = given_rows[name]
        self.take_values({"r_pre": pre, "r_post": post, "slope": slope, "u": u})
        self.step_ids(ids[0], ids[1], membrane, level, factors)

    def take_values(self, given: dict[str, Any]) -> None:
        """The numbers of this step that the rule reads, by name: arrays of one per neuron, or one for all."""
        for name, side in VALUES.items():
            if name not in self.rule.values:
                continue
            if given[name] is None:
                raise RunError(f"rule {self.rule.name} reads {name}: pass {name}")
            table, rows = (self.pre_vars, self.pre_rows) if side == "pre" else (self.post_vars, self.post_rows)
            table[rows[name]] = finite_numbers(given[name], name, table.shape[1])

    def step_ids(
        self,
        pre_ids: NDArray[np.int32],
        post_ids: NDArray[np.int32],
        v: Array,
        threshold: Array,
        third: Array,
    ) -> None:
        """One step from spike lists and ready arrays: what an engine calls."""
        self.kernel(
            self.step_index,
            self.seed,
            pre_ids,
            post_ids,
            self.row_ptr,
            self.col,
            self.col_ptr,
            self.col_syn,
            self.col_pre,
            self.w,
            self.syn,
            self.pre_vars,
            self.post_vars,
            v,
            threshold,
            third,
            self.const,
            self.counters,
        )
        self.step_index += 1

    def checkpoint(self) -> dict[str, Any]:
        """Everything that changes, for `restore`."""
        names = ("w", "syn", "pre_vars", "post_vars", "counters")
        return {
            **{n: getattr(self, n).copy() for n in names},
            "step_index": self.step_index,
            "seed": self.seed,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from a checkpoint, bit for bit."""
        for name in ("w", "syn", "pre_vars", "post_vars", "counters"):
            getattr(self, name)[:] = saved[name]
        self.step_index, self.seed = int(saved["step_index"]), int(saved["seed"])

    @property
    def _stochastic(self) -> bool:
        return self.rule.weight is not None and self.rule.weight.rounding == "stochastic"

    def diagnosis(self) -> list[str]:
        """What went wrong, in words: stalled, saturated, drifted to a bound, not finite. Empty if nothing
        did."""
        counts: dict[str, int] = {str(n): int(c) for n, c in zip(COUNTERS, self.counters)}
        wanted = counts["changed"] + counts["stalled"]
        found = []
        if wanted and counts["stalled"] >= (ALMOST_ALL if self._stochastic else STALLED) * wanted:
            found.append(
                f"{self.rule.name} stalls: {counts['stalled']} of {wanted} updates round to zero; use "
                f"stochastic "
                "rounding, a larger step or more bits"
            )
        for side, name in (("lower", "at_low"), ("upper", "at_high")):
            if wanted and counts[name] > 0.1 * wanted:
                found.append(f"{self.rule.name} saturates: {counts[name]} of {wanted} updates pass the {side} bound")
        now = self.weights_now()
        low, high = self.rule.bounds
        form = self.rule.weight
        if form is not None:
            low, high = max(low, form.low), min(high, form.high)
        for side, bound in (("lower", low), ("upper", high)):
            share = float((now == bound).mean()) if now.size and np.isfinite(bound) else 0.0
            if share > 0.5:
                found.append(f"{self.rule.name} drifted: {100 * share:.0f} % of the weights sit at the {side} bound")
        if counts["not_finite"]:
            found.append(f"{self.rule.name}: {counts['not_finite']} updates were not finite numbers")
        return found
