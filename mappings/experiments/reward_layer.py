"""A plastic layer with reward, run in pieces: what the delayed-reward experiment asks of a chip.

`RewardLayer` runs the sum-of-products engine with the layer loop of `kernels.sop_layer`; anything with the
same `run`, `weights`, `get_state` and `set_state` (for instance a thin wrapper of the emulator) can take its
place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chipsim.errors import RunError
from chipsim.sop_projection import SopProjection
from chipsim.sop_state import dense
from chipsim.sum_of_products import SumOfProducts
from kernels.sop_layer import LayerParams, LayerState, run_layer


class Machine(Protocol):
    """What an experiment with reward needs from a chip."""

    @property
    def weights(self) -> NDArray[np.int32]:
        """(n_out, n_in) integer weights as they stand."""
        ...

    @property
    def tags(self) -> NDArray[np.int32]:
        """(t, n_out, n_in) tags after each step of the last run that recorded them, else t = 0."""
        ...

    def run(
        self,
        inputs: NDArray,
        background: NDArray,
        reward: NDArray,
        *,
        learn: bool = True,
        record_tag: bool = False,
    ) -> NDArray[np.uint8]:
        """Run; returns output spikes (t, n_out)."""
        ...


@dataclass(frozen=True)
class NeuronSettings:
    """Registers of the output neurons: decays (of 4096), threshold mantissa, spike trace y1."""

    du: int = 409
    dv: int = 205
    vth: int = 9000
    y_tau: float = 20.0
    y_impulse: float = 16.0

    def params(self, lateral: NDArray) -> LayerParams:
        """Constants for the kernel; a threshold mantissa stands 6 bits up."""
        keep_u, keep_v = 4095 - self.du, 4096 - self.dv
        decay = float(np.exp(-1 / self.y_tau))
        return LayerParams(keep_u, keep_v, self.vth << 6, decay, self.y_impulse, lateral.astype(np.int32))


class RewardLayer:
    """Inputs, plastic synapses, LIF neurons with lateral inhibition, reward.

    Parameters
    ----------
    rule
        A three-factor sum-of-products rule: y1 is the neuron's spike trace, y2 the reward.
    weights
        (n_out, n_in) initial integer weights, 0..255 (excitatory).
    lateral
        (n_out, n_out) fixed weights between the outputs, column to row.
    neurons
        Registers of the outputs.
    seed
        Of the learning engine's random numbers.
    """

    def __init__(
        self,
        rule: SumOfProducts,
        weights: NDArray,
        lateral: NDArray,
        neurons: NeuronSettings | None = None,
        seed: int = 0,
    ) -> None:
        if not rule.three_factor:
            raise RunError(f"{rule.name}: reward needs a three-factor rule; set three_factor=True")
        n = weights.shape[0]
        self.rule, self.t = rule, 0
        self.projection = SopProjection(rule, weights, sign_mode="excitatory", seed=seed)
        self.params = (neurons or NeuronSettings()).params(lateral)
        i32 = np.int32
        self.layer = LayerState(
            np.zeros(n, i32),
            np.zeros(n, i32),
            np.zeros(n, np.int64),
            np.zeros((3, n), i32),
            np.zeros(n, np.uint8),
            np.zeros(n, i32),
        )
        self._tag: NDArray[np.int32] = np.zeros((0, self.projection.state.w.size), i32)

    @property
    def weights(self) -> NDArray[np.int32]:
        """(n_out, n_in) weights as they stand."""
        return self.projection.matrix()

    @property
    def tags(self) -> NDArray[np.int32]:
        """(t, n_out, n_in) tags after each step of the last run that recorded them, else t = 0."""
        n_out, n_in = self.layer.u.size, self.projection.state.tx.size
        return np.array([dense(self.projection.state, row) for row in self._tag], np.int32).reshape(-1, n_out, n_in)

    def run(
        self,
        inputs: NDArray,
        background: NDArray,
        reward: NDArray,
        *,
        learn: bool = True,
        record_tag: bool = False,
    ) -> NDArray[np.uint8]:
        """Run inputs.shape[0] steps, going on from where the last run ended.

        Parameters
        ----------
        inputs, background, reward
            (t, n_in) 0/1; (t, n_out) integers added to the input; (t,) integers, -128..127.
        learn
            False freezes synapses and their traces.
        record_tag
            Keep the tag of every synapse after every step, for `tags`.

        Returns
        -------
        (t, n_out) uint8 output spikes.
        """
        steps = inputs.shape[0]
        if background.shape[0] != steps or np.shape(reward) != (steps,):
            raise RunError(
                f"inputs have {steps} steps, background {background.shape[0]}, reward "
                f"{np.shape(reward)}; give one row per step"
            )
        reward = np.asarray(reward)
        if not np.issubdtype(reward.dtype, np.integer) or (steps and np.abs(reward).max() > 127):
            raise RunError("rewards must be integers in -127..127 (a 7-bit trace); scale and round them")
        spikes = np.zeros((steps, self.layer.u.size), np.uint8)
        self._tag = np.zeros((steps if record_tag else 0, self.projection.state.w.size), np.int32)
        p = self.projection
        draws = p.draw(steps if learn else 0)
        run_layer(
            self.t,
            np.ascontiguousarray(inputs, dtype=np.uint8),
            np.ascontiguousarray(background, dtype=np.int32),
            reward.astype(np.int32),
            self.params,
            self.layer,
            draws,
            p.tables,
            p.params,
            p.state,
            int(learn),
            spikes,
            self._tag,
        )
        if learn:
            self.t += steps
        return spikes

    def get_state(self) -> dict[str, Any]:
        """Everything that changes, as arrays and plain values."""
        layer = {k: v.copy() for k, v in self.layer._asdict().items()}
        return {"t": self.t, "projection": self.projection.get_state(), "layer": layer}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from `get_state`, bit for bit."""
        self.t = int(state["t"])
        self.projection.set_state(state["projection"])
        for name, value in state["layer"].items():
            getattr(self.layer, name)[...] = value
