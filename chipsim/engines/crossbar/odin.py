"""Engines of ODIN and tinyODIN: a program's memories unpacked for the kernels, and packed again to be read."""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from chipsim.engines.event_engine import EventEngine, EventRun
from chipsim.errors import NetworkError
from chipsim.kept import FOREVER
from chipsim.kernels.chips import aer
from chipsim.kernels.chips import event_core as ec
from chipsim.kernels.chips.odin import core as odin
from chipsim.kernels.chips.odin import izhikevich as odin_izh
from chipsim.kernels.chips.odin import run as odin_run
from chipsim.kernels.chips.odin import tiny as tinyodin
from chipsim.native.bitfields import insert, nibbles, synapse_words
from chipsim.native.crossbar import odin as native
from chipsim.native.crossbar import tinyodin as native_tiny

__all__ = ["EventRun", "OdinEngine", "TinyOdinEngine"]
NO_CALCIUM = 8  #: lower calcium threshold that no calcium reaches
_RENAMED = {name: {"src": "src_ctrl"}.get(name, name) for name in odin.Registers._fields}
UNREACHED = 32767  #: threshold that an Izhikevich neuron's place in the LIF arrays has


def _controller(codes: dict[int, int], wait_low: int, end_of_sweep: int) -> ec.Controller:
    table = np.zeros(ec.N_ACTIONS, np.int64)
    for action, code in codes.items():
        table[action] = code
    return ec.Controller(table, wait_low, end_of_sweep)


class OdinEngine(EventEngine):
    """One ODIN, bit for bit and cycle for cycle.

    >>> import chipsim as cs
    >>> from chipsim.engines.crossbar.odin import OdinEngine
    >>> program = cs.odin.OdinProgram(
    ...     cs.odin.Registers(), cs.odin.pack(cs.odin.LIF(2, thr=5)), cs.odin.pack_synapses([[0, 5]]))
    >>> out = OdinEngine(program).run([cs.odin.events.spike(0)])
    >>> out.out_address.tolist(), out.cycles
    ([1], 1039)
    """

    fifo_entries = native.FIFO
    counters = ("sops", "neuron_updates", "synapse_words", "spikes")
    controller = _controller(
        {ec.TREF_ONE: 5, ec.TREF_ALL: 5, ec.BIST_ROW: 6, ec.BIST_ALL: 6, ec.SYNAPSE: 7, ec.PUSH: 8, ec.POP_SPIKE: 9,
         ec.POP_VIRTUAL: 10}, 12, -1,
    )  # fmt: skip
    _kernel = staticmethod(odin_run.run)
    ranges: ClassVar = {
        "v": (0, 255), "ca": (0, 7), "ca_count": (0, 31), "synapses": (0, 15), "up": (0, 1), "down": (0, 1),
        "izh": (0, np.array([(1 << odin_izh.FIELDS[name][1]) - 1 for name in odin_izh.STATES])),
        "activity": (0, FOREVER),
    }  # fmt: skip

    def __init__(self, program: native.OdinProgram) -> None:
        self.program = program
        super().__init__()

    def configure(self, **changes: Any) -> None:
        """Write configuration registers while the core is at rest (names and ranges: `odin.Registers`)."""
        unknown = sorted(set(changes) - {f.name for f in fields_of(native.Registers)})
        if unknown:
            raise NetworkError(f"odin.Registers has no {unknown[0]}; it has {', '.join(odin.Registers._fields)}, ...")
        self.program = replace(self.program, registers=self.program.registers.with_(**changes))
        self._machine = self._machine._replace(
            registers=kernel_registers(self.program.registers), inhibitory=self.program.registers.syn_sign
        )

    def _decode(self, addresses: Any, earliest: np.ndarray) -> ec.Events:
        return aer.decode_wide(
            native.events.check(addresses) if np.size(addresses) else np.zeros(0, np.int64), earliest
        )

    def _load(self) -> odin.Machine:
        p, r = self.program, self.program.registers
        fields = native.unpack_lif(p.neurons)
        izh = native.unpack_izh(p.neurons)
        is_lif = fields.pop("lif_izh_sel").astype(bool)
        f = {name: np.where(is_lif, values, 0).astype(np.int16) for name, values in fields.items()}
        lif = odin.Lif(
            f["leak_str"] * f["leak_en"], np.where(is_lif, f["thr"], UNREACHED).astype(np.int16), f["ca_en"],
            f["theta_mem"], np.where(f["ca_en"] == 1, f["theta1"], NO_CALCIUM).astype(np.int16), f["theta2"],
            f["theta3"], f["ca_leak"] * f["ca_en"], f["v"], f["ca"], f["ca_count"],
        )  # fmt: skip
        scratch = [np.zeros(256, np.uint8) for _ in range(4)]
        machine = odin.Machine(
            kernel_registers(r), r.syn_sign, lif, np.flatnonzero(~is_lif), is_lif.astype(np.uint8),
            np.stack([izh[name] for name in odin_izh.PARAMETERS], 1),
            np.stack([izh[name] for name in odin_izh.STATES], 1),
            (fields["disable"] == 0).astype(np.uint8), nibbles(p.synapses), scratch[0], scratch[1], scratch[2],
            scratch[3], np.zeros(256, np.int16), np.zeros(1, np.int64), np.zeros(4, np.int64),
        )  # fmt: skip
        flags = programmed_flags(machine) if p.flags is None else p.flags
        machine.up[:] = flags & 1
        machine.down[:] = flags >> 1 & 1
        return machine

    def _arrays(self) -> dict[str, np.ndarray]:
        m = self._machine
        return {"v": m.lif.v, "ca": m.lif.ca, "ca_count": m.lif.ca_count, "izh": m.izh_state, "synapses": m.row,
                "up": m.up, "down": m.down, "activity": m.activity}  # fmt: skip

    @property
    def neurons(self) -> np.ndarray:
        """Neuron memory now, (256, 16) uint8."""
        m = self._machine
        words = self.program.neurons.copy()
        lif = m.is_lif.astype(bool)
        values = {"v": m.lif.v[lif], "ca": m.lif.ca[lif], "ca_count": m.lif.ca_count[lif]}
        words[lif] = insert(words[lif], native.LIF_FIELDS, values)
        states = dict(zip(odin_izh.STATES, m.izh_state[~lif].T))
        words[~lif] = insert(words[~lif], odin_izh.FIELDS, states)
        return words

    @property
    def synapses(self) -> np.ndarray:
        """Synapse memory now, (8192,) uint32."""
        return synapse_words(self._machine.row)

    @property
    def weights(self) -> np.ndarray:
        """Weights now, (256, 256) uint8 0..7 [pre, post]."""
        return self._machine.row & 7

    @property
    def flags(self) -> np.ndarray:
        """SDSP flags now, (256,) uint8: bit 0 UP, bit 1 DOWN."""
        return self._machine.up | self._machine.down << 1

    @property
    def potentials(self) -> np.ndarray:
        """Membrane potentials now, (256,): 0..255 of LIF neurons, -8..7 (core) of Izhikevich neurons."""
        core = self._machine.izh_state[:, odin_izh.CORE]
        return np.where(self._machine.is_lif == 1, self._machine.lif.v, (core ^ 8) - 8)


def kernel_registers(r: native.Registers) -> odin.Registers:
    """The registers that act while the chip runs."""
    return odin.Registers(*(getattr(r, name) for name in _RENAMED.values()))


def programmed_flags(machine: odin.Machine) -> np.ndarray:
    """SDSP flags that SPI programming leaves, (256,) uint8: those of an update without an event, not stored."""
    trial = machine._replace(
        lif=odin.Lif(*(a.copy() for a in machine.lif)), izh_state=machine.izh_state.copy(), up=machine.up.copy(),
        down=machine.down.copy(),
    )  # fmt: skip
    for j in range(256):
        if trial.is_lif[j]:
            odin.lif_synaptic(trial, j, np.int16(0))
        else:
            _, up, down = odin_izh.update(trial.izh_param[j], trial.izh_state[j], odin_izh.EXC, 0)
            trial.up[j], trial.down[j] = up, down
    return trial.up | trial.down << 1


class TinyOdinEngine(EventEngine):
    """One tinyODIN, bit for bit and cycle for cycle."""

    fifo_entries = native_tiny.FIFO
    counters = ("sops", "neuron_updates", "spikes")
    controller = _controller({ec.TREF_ONE: 5, ec.TREF_ALL: 5, ec.PUSH: 6, ec.POP_SPIKE: 7, ec.POP_VIRTUAL: 8}, 11, 9)
    _kernel = staticmethod(tinyodin.run)
    ranges: ClassVar = {"v": (tinyodin.V_MIN, tinyodin.V_MAX), "activity": (0, FOREVER)}

    def __init__(self, program: native_tiny.TinyOdinProgram) -> None:
        self.program = program
        super().__init__()

    def _decode(self, addresses: Any, earliest: np.ndarray) -> ec.Events:
        words = native_tiny.events.check(addresses) if np.size(addresses) else np.zeros(0, np.int64)
        return aer.decode_narrow(words, earliest)

    def _load(self) -> tinyodin.Machine:
        p, r = self.program, self.program.registers
        f = native_tiny.unpack_lif(p.neurons)
        i16 = {name: f[name].astype(np.int16) for name in ("thr", "leak_str", "v")}
        return tinyodin.Machine(
            r.open_loop, r.src_ctrl, r.max_neur, i16["thr"], i16["leak_str"], (f["disable"] == 0).astype(np.uint8),
            native_tiny.unpack_synapses(p.synapses), i16["v"], np.zeros(256, np.uint8), np.zeros(3, np.int64),
        )  # fmt: skip

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"v": self._machine.v, "activity": self._machine.activity}

    @property
    def neurons(self) -> np.ndarray:
        """Neuron memory now, (256, 4) uint8."""
        return insert(self.program.neurons, native_tiny.LIF_FIELDS, {"v": self._machine.v})

    @property
    def synapses(self) -> np.ndarray:
        """Synapse memory, (8192,) uint32; it never changes."""
        return self.program.synapses

    @property
    def potentials(self) -> np.ndarray:
        """Membrane potentials now, (256,) int16, -2048..2047."""
        return self._machine.v.copy()
