"""tinyODIN in its own registers (`cs.tinyodin`): neurons, synapses, configuration, events, program.

Source: ChFrenkel/tinyODIN doc/README.md and RTL; where they differ, the RTL (docs/chips/tinyodin.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from chipsim.checks import shown
from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel, Register
from chipsim.native.bitfields import check_range, insert, nibbles, synapse_words, unpack

from . import tinyodin_events as events
from .synapses import CrossbarSynapses

NEURONS = 256
FIFO = 128  #: entries of the scheduler's FIFO
WORD_BYTES = 4

#: name: (lowest bit, bits) in the 32-bit neuron word.
LIF_FIELDS: dict[str, tuple[int, int]] = {"v": (0, 12), "thr": (12, 12), "leak_str": (24, 7), "disable": (31, 1)}


class LIF(NeuronModel):
    """Leaky integrate-and-fire neuron with a signed 12-bit potential.

    A weight -8..7 is added with saturation at -2048 and 2047; a time reference moves v toward 0 by leak_str. It fires
    when v >= 0 and v >= thr after an event and starts again from 0; a threshold above 2047 is never reached.
    """

    model = "tinyodin_lif"
    family = "tinyodin"
    registers: ClassVar[dict[str, Register]] = {
        "v": Register(0, -2048, 2047, "membrane potential"),
        "thr": Register(2047, 0, 4095, "fires when the potential is not negative and reaches it"),
        "leak_str": Register(0, 0, 127, "step toward 0 at a time reference; 0 = no leak"),
        "disable": Register(0, 0, 1, "no output event; the state evolves all the same"),
    }
    states = ("v",)


class Synapses(CrossbarSynapses):
    """Weights -8..7 (post, pre), 4 bits in two's complement."""

    chip = "tinyodin"
    weight_range = (-8, 7)
    chip_bits = 4


def pack(*models: NeuronModel) -> np.ndarray:
    """Neuron memory (256, 4) uint8 of the populations one after the other; the rest of the neurons is disabled."""
    total = sum(m.n for m in models)
    if total > NEURONS:
        raise NetworkError(f"tinyodin: {total} neurons; the core has {NEURONS}")
    words = np.zeros((NEURONS, WORD_BYTES), np.uint8)
    start = 0
    for model in models:
        if not isinstance(model, LIF):
            raise NetworkError(f"tinyodin: {shown(model)} is not a tinyODIN neuron; use cs.tinyodin.LIF")
        rows = slice(start, start + model.n)
        words[rows] = insert(words[rows], LIF_FIELDS, {name: model.per_neuron(name) for name in LIF_FIELDS})
        start += model.n
    words[start:, 3] = 0x80
    return words


def unpack_lif(words: np.ndarray) -> dict[str, np.ndarray]:
    """Registers of neuron words (n, 4); `v` is signed."""
    values = unpack(words, LIF_FIELDS)
    values["v"] = (values["v"] ^ 2048) - 2048
    return values


def pack_synapses(weights: Any) -> np.ndarray:
    """Synapse memory (8192,) uint32 from signed weights -8..7 (pre, post), up to 256 x 256."""
    weights = check_range("tinyodin.pack_synapses", "weight", weights, -8, 7)
    if weights.ndim != 2 or max(weights.shape) > NEURONS:
        raise NetworkError(f"tinyodin.pack_synapses: weights {weights.shape}; the crossbar is (pre 256, post 256)")
    table = np.zeros((NEURONS, NEURONS), np.uint8)
    table[: weights.shape[0], : weights.shape[1]] = weights & 15
    return synapse_words(table)


def unpack_synapses(words: np.ndarray) -> np.ndarray:
    """Signed weights (256, 256) int8 [pre, post] of a synapse memory."""
    return ((nibbles(words).astype(np.int8) ^ 8) - 8).astype(np.int8)


@dataclass(frozen=True)
class Registers:
    """Configuration registers (SPI address in brackets)."""

    open_loop: int = 0  #: [1] neurons do not push their spikes into the scheduler
    src_ctrl: int = 0  #: [2] AER_SRC_CTRL_nNEUR: 1 = output packets when a spike leaves the scheduler
    max_neur: int = 255  #: [3] last neuron of sweeps

    def __post_init__(self) -> None:
        """Check every register's range; the error names it."""
        for item in fields(self):
            hi = 255 if item.name == "max_neur" else 1
            value = check_range("tinyodin.Registers", item.name, getattr(self, item.name), 0, hi)
            if value.ndim:
                raise NetworkError(f"tinyodin.Registers: {item.name} takes one number, not shape {value.shape}")
            object.__setattr__(self, item.name, int(value))

    @classmethod
    def from_spi(cls, writes: Sequence[tuple[int, int]]) -> Registers:
        """From SPI configuration writes (address, data)."""
        names = {1: "open_loop", 2: "src_ctrl", 3: "max_neur"}
        for address, _ in writes:
            if address not in names and address != 0:
                raise NetworkError(f"tinyodin.Registers: no register at SPI address {address}; addresses are 0 to 3")
        return cls(**{names[address]: int(data) for address, data in writes if address})


@dataclass(frozen=True, eq=False)
class TinyOdinProgram:
    """What a tinyODIN loads before a run.

    Attributes
    ----------
    registers : Registers
    neurons : (256, 4) uint8
        Neuron memory, byte k = bits 8k+7 .. 8k (`pack`).
    synapses : (8192,) uint32
        Synapse memory, word pre * 32 + (post >> 3), nibble post & 7, two's complement (`pack_synapses`).
    """

    registers: Registers
    neurons: np.ndarray
    synapses: np.ndarray
    family: ClassVar[str] = "tinyodin"

    def __post_init__(self) -> None:
        """Check the shapes of the memories."""
        for name, shape in (("neurons", (NEURONS, WORD_BYTES)), ("synapses", (8192,))):
            if np.shape(getattr(self, name)) != shape:
                raise NetworkError(
                    f"tinyodin.TinyOdinProgram: {name} has shape {np.shape(getattr(self, name))}, not {shape}"
                )


__all__ = [
    "FIFO", "LIF", "LIF_FIELDS", "NEURONS", "Registers", "Synapses", "TinyOdinProgram", "events", "pack",
    "pack_synapses",
    "unpack_lif", "unpack_synapses",
]  # fmt: skip
