"""A plastic layer with reward on an emulated chip: cues, learning synapses, competing neurons, noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipsim.emulator import Emulator
from chipsim.errors import RunError
from chipsim.mappings.compiler.compile import compile
from chipsim.mappings.network.network import Network
from chipsim.native import loihi
from chipsim.native.base import SpikeSource
from chipsim.native.loihi import VTH_SHIFT, Synapses
from chipsim.rules.carried import EngineRule, all_to_all
from chipsim.rules.products.rule import SumOfProducts

CHIP = "research"  #: Loihi's arithmetic and learning engine; fixed and learning synapses share a core
PLASTIC = "cue->out"


@dataclass(frozen=True)
class NeuronSettings:
    """Registers of the output neurons: decays (of 4096), threshold mantissa, spike trace y1."""

    du: int = 409
    dv: int = 205
    vth: int = 9000
    y_tau: float = 20.0
    y_impulse: float = 16.0


class RewardLayer:
    """Inputs, plastic synapses, LIF neurons with lateral inhibition, reward; one emulator, run in pieces.

    Parameters
    ----------
    rule
        A three-factor sum-of-products rule: y1 is the neuron's spike trace, y2 the reward.
    weights
        (n_out, n_in) initial integer weights, 0..255 (excitatory).
    lateral
        (n_out, n_out) fixed weights between the outputs, -255..0.
    kick
        Weight of a spike of noise, one line for each output.
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
        kick: int,
        neurons: NeuronSettings | None = None,
        seed: int = 0,
    ) -> None:
        if not rule.three_factor:
            raise RunError(f"{rule.name}: reward needs a three-factor rule; set three_factor=True")
        n_out, n_in = np.shape(weights)
        s = neurons or NeuronSettings()
        net = Network("reward")
        net.add("cue", SpikeSource(n_in))
        net.add("noise", SpikeSource(n_out))
        net.add("out", loihi.LIF(n_out, du=s.du, dv=s.dv, vth=s.vth, vmin=-(s.vth << VTH_SHIFT)))
        taught = EngineRule(rule, y1_tau=s.y_tau, y1_impulse=s.y_impulse, seed=seed)
        net.connect("cue", "out", Synapses(all_to_all(weights), sign="excitatory"), rule=taught)
        net.connect("noise", "out", Synapses(kick * np.eye(n_out, dtype=np.int64), sign="excitatory"))
        net.connect("out", "out", Synapses(lateral, sign="inhibitory"))
        self.emulator = Emulator(compile(net, CHIP, seed=seed))
        self._tags = np.zeros((0, n_out, n_in), np.int32)

    @property
    def weights(self) -> NDArray[np.int32]:
        """(n_out, n_in) integer weights as they stand."""
        return self.emulator.weights(PLASTIC).toarray()

    @property
    def tags(self) -> NDArray[np.int32]:
        """(t, n_out, n_in) tags after each step of the last run that recorded them, else t = 0."""
        return self._tags

    def run(
        self, inputs: NDArray, noise: NDArray, reward: NDArray, *, learn: bool = True, record_tag: bool = False
    ) -> NDArray[np.bool_]:
        """Run inputs.shape[0] steps, going on from where the last run ended.

        Parameters
        ----------
        inputs, noise, reward
            (t, n_in) and (t, n_out) spikes; (t,) integers, -127..127.
        learn
            False freezes synapses and their traces.
        record_tag
            Keep the tag of every synapse after every step, for `tags`.

        Returns
        -------
        (t, n_out) bool output spikes.
        """
        steps, reward = len(inputs), np.asarray(reward)
        if len(noise) != steps or reward.shape != (steps,):
            raise RunError(
                f"inputs have {steps} steps, noise {len(noise)}, reward {reward.shape}; give one row per step"
            )
        if not np.issubdtype(reward.dtype, np.integer) or (steps and np.abs(reward).max() > 127):
            raise RunError("rewards must be integers in -127..127 (a 7-bit trace); scale and round them")
        third = {PLASTIC: {"y2": reward}} if learn else {}
        record = {PLASTIC: ["t"]} if record_tag and learn else {}
        result = self.emulator.run({"cue": inputs, "noise": noise}, steps, record=record, learn=learn, third=third)
        self._tags = result.learning[PLASTIC].trace["t"] if record else self._tags[:0]
        return result.spikes["out"]

    def get_state(self) -> dict[str, Any]:
        """Everything that changes, as arrays."""
        return self.emulator.state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `get_state`, bit for bit."""
        self.emulator.restore(state)
