"""ODIN in its own registers (`cs.odin`): neurons, synapses, configuration, and the program that holds them.

Source: ChFrenkel/ODIN doc/README.md and RTL; where they differ, the RTL (docs/chips/odin.md lists the differences).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np

from chipsim.checks import integers, shown
from chipsim.errors import NetworkError
from chipsim.kernels.chips.odin.izhikevich import FIELDS as IZH_FIELDS
from chipsim.native.base import NeuronModel, Register
from chipsim.native.bitfields import check_range, insert, nibbles, synapse_words, unpack

from . import odin_events as events
from .synapses import CrossbarSynapses

NEURONS = 256
FIFO = 32  #: entries of the scheduler's main FIFO
WORD_BYTES = 16

#: name: (lowest bit, bits) in the 128-bit word of a leaky integrate-and-fire neuron; other bits are unused and kept.
LIF_FIELDS: dict[str, tuple[int, int]] = {
    "leak_str": (1, 7), "leak_en": (8, 1), "thr": (9, 8), "ca_en": (17, 1), "theta_mem": (18, 8), "theta1": (26, 3),
    "theta2": (29, 3), "theta3": (32, 3), "ca_leak": (35, 5), "v": (70, 8), "ca": (78, 3), "ca_count": (81, 5),
    "disable": (127, 1),
}  # fmt: skip
_IZH = {**IZH_FIELDS, "disable": (127, 1)}
_SELECT = {"lif_izh_sel": (0, 1)}

_DOCS = {
    "leak_str": "subtracted from the potential (LIF) or accumulator at a time reference",
    "leak_en": "leak at time references", "thr": "fires when the potential reaches it", "ca_en": "calcium, hence SDSP",
    "theta_mem": "potential threshold of SDSP", "theta1": "lowest calcium at which weights change",
    "theta2": "weights go down below this calcium", "theta3": "weights go up below this calcium",
    "ca_leak": "time references per calcium leak step, 0 = none", "v": "membrane potential", "ca": "calcium",
    "ca_count": "calcium leak counter", "disable": "no output event; the state evolves all the same",
}  # fmt: skip
_DEFAULTS = {"leak_en": 1, "thr": 255}


def _registers(table: Mapping[str, tuple[int, int]], defaults: Mapping[str, int]) -> dict[str, Register]:
    return {
        name: Register(defaults.get(name, 0), 0, (1 << width) - 1, _DOCS.get(name, f"{width} bit at bit {low}"))
        for name, (low, width) in table.items()
    }


class LIF(NeuronModel):
    """Leaky integrate-and-fire neuron of ODIN, 8-bit unsigned potential, one synaptic event at a time.

    Excitatory weight w: v <- min(v + w, 255); inhibitory: max(v - w, 0); time reference: max(v - leak_str, 0).
    It fires whenever v >= thr after an event (time references included) and starts again from 0.
    """

    model = "odin_lif"
    family = "odin"
    registers = _registers(LIF_FIELDS, _DEFAULTS)
    states = ("v",)


class Izhikevich(NeuronModel):
    """The phenomenological neuron of ODIN with all its registers and state bits (docs/chips/odin.md)."""

    model = "odin_izh"
    family = "odin"
    registers = _registers(_IZH, {"thr": 7})
    states = ("core",)


class Synapses(CrossbarSynapses):
    """Weights -7..7 (post, pre): 3 bits, the sign belongs to the presynaptic row (the mapper checks it)."""

    chip = "odin"
    weight_range = (-7, 7)
    chip_bits = 3


def pack(*models: NeuronModel) -> np.ndarray:
    """Neuron memory (256, 16) uint8 of the populations one after the other; the rest of the neurons is disabled.

    Raises
    ------
    NetworkError
        For more than 256 neurons, or a model that is not ODIN's.
    """
    total = sum(m.n for m in models)
    if total > NEURONS:
        raise NetworkError(f"odin: {total} neurons; the core has {NEURONS}")
    words = np.zeros((NEURONS, WORD_BYTES), np.uint8)
    start = 0
    for model in models:
        if not isinstance(model, (LIF, Izhikevich)):
            raise NetworkError(f"odin: {shown(model)} is not an ODIN neuron; use cs.odin.LIF or cs.odin.Izhikevich")
        table = LIF_FIELDS if isinstance(model, LIF) else _IZH
        rows = slice(start, start + model.n)
        values = {name: model.per_neuron(name) for name in table}
        words[rows] = insert(words[rows], table, values)
        words[rows, 0] |= isinstance(model, LIF)
        start += model.n
    words[start:] = insert(words[start:], LIF_FIELDS, {"disable": np.ones(NEURONS - start, np.int64)})
    words[start:, 0] |= 1
    return words


def unpack_lif(words: np.ndarray) -> dict[str, np.ndarray]:
    """Registers of LIF words (n, 16), with ``lif_izh_sel`` (1 where the word is one)."""
    return unpack(words, {**_SELECT, **LIF_FIELDS})


def unpack_izh(words: np.ndarray) -> dict[str, np.ndarray]:
    """Registers of Izhikevich words (n, 16), with ``lif_izh_sel`` (0 where the word is one)."""
    return unpack(words, {**_SELECT, **_IZH})


def pack_synapses(weights: Any, mapped: Any = True) -> np.ndarray:
    """Synapse memory (8192,) uint32 from weights 0..7 and mapping bits, both (pre, post) up to 256 x 256."""
    weights = check_range("odin.pack_synapses", "weight", weights, 0, 7)
    mapped = np.broadcast_to(check_range("odin.pack_synapses", "mapped", mapped, 0, 1), weights.shape)
    if weights.ndim != 2 or max(weights.shape) > NEURONS:
        raise NetworkError(f"odin.pack_synapses: weights {weights.shape}; the crossbar is (pre 256, post 256)")
    table = np.zeros((NEURONS, NEURONS), np.uint8)
    table[: weights.shape[0], : weights.shape[1]] = mapped << 3 | weights
    return synapse_words(table)


def unpack_synapses(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (256, 256) 0..7 and mapping bits (256, 256) 0/1 of a synapse memory, both [pre, post]."""
    table = nibbles(words)
    return table & 7, table >> 3


_REGISTER_MAX = {"burst_timeref": (1 << 20) - 1, "mon_neur": 255, "mon_syn": 255}


@dataclass(frozen=True)
class Registers:
    """Configuration registers (SPI address in brackets; 0 and 1 gate activity and the loop)."""

    open_loop: int = 0  #: [1] neurons do not push their spikes into the scheduler
    syn_sign: np.ndarray = field(default_factory=lambda: np.zeros(NEURONS, np.uint8))  #: [2-17] 1 = inhibitory row
    burst_timeref: int = 0  #: [18] cycles - 1 between services of the burst scheduler, 0 = no bursts
    src_ctrl: int = 0  #: [19] AER_SRC_CTRL_nNEUR: 1 = output packets when a spike leaves the scheduler
    mon_en: int = 0  #: [20] monitor packets instead of spikes
    mon_neur: int = 0  #: [21] monitored neuron; with src_ctrl also when packets are sent
    mon_syn: int = 0  #: [22] presynaptic side of the monitored synapse
    upd_unmapped: int = 0  #: [23] SDSP and bistability act on synapses with mapping bit 0 too
    prop_unmapped: int = 0  #: [24] synapses with mapping bit 0 carry their weight too
    sdsp_syn: int = 0  #: [25] SDSP on single-synapse events

    def __post_init__(self) -> None:
        """Check every register's range; the error names it."""
        for item in fields(self):
            hi = _REGISTER_MAX.get(item.name, 1)
            value = check_range("odin.Registers", item.name, getattr(self, item.name), 0, hi)
            if item.name == "syn_sign":
                if value.shape != (NEURONS,):
                    raise NetworkError(f"odin.Registers: syn_sign has shape {value.shape}; it takes {NEURONS} signs")
                object.__setattr__(self, "syn_sign", value.astype(np.uint8))
            elif value.ndim:
                raise NetworkError(f"odin.Registers: {item.name} takes one number, not shape {value.shape}")
            else:
                object.__setattr__(self, item.name, int(value))

    _AT: ClassVar[tuple[tuple[int, str], ...]] = (
        (1, "open_loop"), (18, "burst_timeref"), (19, "src_ctrl"), (20, "mon_en"), (21, "mon_neur"), (22, "mon_syn"),
        (23, "upd_unmapped"), (24, "prop_unmapped"), (25, "sdsp_syn"),
    )  # fmt: skip

    @classmethod
    def from_spi(cls, writes: Sequence[tuple[int, int]]) -> Registers:
        """From SPI configuration writes (address, data); the last write of an address counts.

        Raises
        ------
        NetworkError
            For an address that is no register, or data outside it.
        """
        names = dict(cls._AT)
        values: dict[str, Any] = {}
        signs = np.zeros(NEURONS, np.uint8)
        for address, data in writes:
            if 2 <= address <= 17:
                word = int(check_range("odin.Registers", f"SYN_SIGN[{address - 2}]", data, 0, 0xFFFF))
                signs[16 * (address - 2) : 16 * (address - 1)] = word >> np.arange(16) & 1
            elif address in names:
                values[names[address]] = int(data)
            elif address != 0:
                raise NetworkError(f"odin.Registers: no register at SPI address {address}; addresses are 0 to 25")
        return cls(syn_sign=signs, **values)

    def to_spi(self) -> list[tuple[int, int]]:
        """SPI writes (address, data) of all registers but the gate."""
        groups = self.syn_sign.reshape(16, 16).astype(np.int64) @ (1 << np.arange(16))
        writes = [(address, int(getattr(self, name))) for address, name in self._AT]
        return sorted([*writes, *((2 + i, int(word)) for i, word in enumerate(groups))])

    def with_(self, **changes: Any) -> Registers:
        """The same registers with some replaced."""
        return replace(self, **changes)


@dataclass(frozen=True, eq=False)
class OdinProgram:
    """What an ODIN loads before a run.

    Attributes
    ----------
    registers : Registers
    neurons : (256, 16) uint8
        Neuron memory, byte k = bits 8k+7 .. 8k (`pack`).
    synapses : (8192,) uint32
        Synapse memory, word pre * 32 + (post >> 3), nibble post & 7 = {map, weight} (`pack_synapses`).
    flags : (256,) uint8 or None
        SDSP flags (bit 0 UP, bit 1 DOWN); None: as programming the neurons over SPI leaves them.
    """

    registers: Registers
    neurons: np.ndarray
    synapses: np.ndarray
    flags: np.ndarray | None = None
    family: ClassVar[str] = "odin"

    def __post_init__(self) -> None:
        """Check shapes, and that nothing needs the burst scheduler, which is not modelled."""
        object.__setattr__(self, "neurons", _words("neurons", self.neurons, (NEURONS, WORD_BYTES), 8))
        object.__setattr__(self, "synapses", _words("synapses", self.synapses, (8192,), 32))
        if self.flags is not None:
            object.__setattr__(self, "flags", _words("flags", self.flags, (NEURONS,), 8))
        if self.registers.burst_timeref and not self.registers.open_loop:
            izh = unpack_izh(self.neurons)
            bursting = (izh["lif_izh_sel"] == 0) & (izh["spk_ref"] > 0) & (izh["disable"] == 0)
            if bursting.any():
                raise NetworkError(
                    f"odin: neuron {np.flatnonzero(bursting)[0]} has spk_ref > 0 and BURST_TIMEREF is not 0; the burst "
                    "scheduler is not modelled. Set BURST_TIMEREF = 0, OPEN_LOOP = 1 or spk_ref = 0"
                )


def _words(name: str, given: Any, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Memory words of so many bits, in an unsigned type; NetworkError for other shapes and values."""
    words = integers(given, f"odin.OdinProgram: {name}", 0, (1 << bits) - 1)
    if words.shape != shape:
        raise NetworkError(f"odin.OdinProgram: {name} has shape {words.shape}, not {shape}")
    return words.astype(np.uint8 if bits <= 8 else np.uint32)


def power_law_energy(
    cycles: float, sops: float, clock: float, leak: float, idle: float, sop: float
) -> dict[str, float]:
    """Energy in J by the published law P = leak + idle * f + sop * rate.

    Parameters
    ----------
    cycles, sops
        Of the run; one SOP is one synapse of a neuron spike event.
    clock : Hz
    leak : W; idle : J per cycle (W per Hz); sop : J
    """
    seconds = cycles / clock
    parts = {"leak": leak * seconds, "idle": idle * cycles, "synapse": sop * sops}
    return {**parts, "total": sum(parts.values())}


__all__ = [
    "FIFO", "LIF", "LIF_FIELDS", "NEURONS", "Izhikevich", "OdinProgram", "Registers", "Synapses", "events",
    "pack",
    "pack_synapses", "power_law_energy", "unpack_izh", "unpack_lif", "unpack_synapses",
]  # fmt: skip
