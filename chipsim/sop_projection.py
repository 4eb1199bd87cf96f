"""One plastic projection under a sum-of-products rule: all that a run loop needs, and its checkpoint.

    p = SopProjection(rule, weights, seed=1)
    draws = p.draw(steps)                                     # numbers of the next steps
    sop_step(t, row, payload, spikes, traces, draws, p.tables, p.params, p.state)

Order within a step (Lava): the spikes of step t are delivered with the weights as they stand before step t learns, and
act at t + 1. A loop that delivers at the beginning of t + 1 keeps a second weight array for delivery and copies
`state.w` into it just before each `sop_step`.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from chipsim.sop_state import WEIGHT_SEED, SopStreams, dense, sop_state
from chipsim.sum_of_products import SumOfProducts
from kernels.sop_records import Draws, State


class SopProjection:
    """Rule, tables, state and random numbers of one projection.

    Parameters
    ----------
    rule
        The learning rule.
    weights, tags, delays, sign_mode, num_weight_bits
        As in `chipsim.sop_state.sop_state`.
    seed, weight_seed
        Of Lava's streams: traces, and the rounding of weights (Lava always takes 2).
    """

    def __init__(
        self,
        rule: SumOfProducts,
        weights: Any,
        tags: ArrayLike | None = None,
        delays: ArrayLike | None = None,
        *,
        sign_mode: str = "mixed",
        num_weight_bits: int = 8,
        seed: int = 0,
        weight_seed: int = WEIGHT_SEED,
    ) -> None:
        self.rule = rule
        self.state: State = sop_state(rule, weights, tags, delays, sign_mode=sign_mode, num_weight_bits=num_weight_bits)
        self.tables, self.params = rule.tables(sign_mode), rule.trace_params()
        self.streams = SopStreams(seed, weight_seed)

    def draw(self, steps: int) -> Draws:
        """Random numbers of the next `steps` steps that learn."""
        return self.streams.draw(steps, self.rule.t_epoch)

    def matrix(self, name: str = "w") -> NDArray:
        """w, t or d as an (n_post, n_pre) array, zero where there is no synapse."""
        return dense(self.state, getattr(self.state, name))

    def get_state(self) -> dict[str, Any]:
        """Everything that changes: arrays by name, and the random streams."""
        return {"streams": self.streams.get_state(), "arrays": {k: v.copy() for k, v in self.state._asdict().items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from `get_state`, bit for bit."""
        self.streams.set_state(state["streams"])
        for name, value in state["arrays"].items():
            getattr(self.state, name)[...] = value
