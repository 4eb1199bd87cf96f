"""A TrueNorth-class grid in its own registers (`cs.truenorth`): cores, neurons, packets, program.

Widths and arithmetic are those of the open emulator RANC (UA-RCL/RANC): 9-bit potentials that wrap, four axon types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chipsim.checks import numbers, shown, whole
from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel, Register
from chipsim.native.bitfields import check_range
from chipsim.native.crossbar.synapses import CrossbarSynapses

AXON_TYPES = 4
LAST_DELAY = 14  #: delivery tick 15 would hit the scheduler word in use; the RTL raises an error flag
CLEAR_CYCLES = 3  #: cycles from the last neuron's write until a core can take the next tick
_V = (-256, 255)


class Neurons(NeuronModel):
    """Neurons of the grid, nine-bit potentials: integrate, leak, fire at or above `thr`, floor below `negthr`.

    v <- wrap9(v + sum of w[type of axon] over active connected axons), v <- wrap9(v + leak); if v >= thr: spike and
    v <- reset (mode 0) or v - thr (mode 1); else if v < negthr: v <- -reset (mode 0) or v - negthr (mode 1).
    """

    model = "truenorth"
    family = "truenorth"
    registers: ClassVar[dict[str, Register]] = {
        **{f"w{t}": Register(0, *_V, f"weight of axons of type {t}") for t in range(AXON_TYPES)},
        "leak": Register(0, *_V, "added every tick"),
        "thr": Register(255, *_V, "fires at or above"),
        "negthr": Register(-256, *_V, "floor"),
        "reset": Register(0, *_V, "potential after a spike (mode 0)"),
        "mode": Register(0, 0, 1, "0: reset to a value, 1: subtract the threshold"),
        "v": Register(0, *_V, "membrane potential"),
    }
    states = ("v",)


class LIF(NeuronModel):
    """A neuron of a layered network (`chipsim.native.grid.image` finds the axon types): see `Neurons`."""

    model = "truenorth_lif"
    family = "truenorth"
    registers: ClassVar[dict[str, Register]] = {
        "thr": Register(1, 1, 255, "fires at or above"),
        "leak": Register(0, *_V, "added every tick"),
        "negthr": Register(-256, *_V, "potentials below it are reset", shared=True),
        "mode": Register(0, 0, 1, "0: to 0, 1: subtract the threshold", shared=True),
    }
    states = ("v",)


class Synapses(CrossbarSynapses):
    """Whole weights -256..255 (post, pre); at most four different ones per neuron, or all in -8..7."""

    chip = "truenorth"
    weight_range = (-256, 255)
    chip_bits = 9


#: Array fields of a program: range, and shape in letters (c cores, n neurons, a axons, 4 types).
_ARRAYS: dict[str, tuple[int, int, str]] = {
    "crossbar": (0, 1, "cna"), "axon_type": (0, AXON_TYPES - 1, "ca"), "weight": (*_V, "cn4"), "v": (*_V, "cn"),
    "reset": (*_V, "cn"), "leak": (*_V, "cn"), "thr": (*_V, "cn"), "negthr": (*_V, "cn"), "mode": (0, 1, "cn"),
    "dx": (*_V, "cn"), "dy": (*_V, "cn"), "axon": (0, 1 << 16, "cn"), "delay": (0, LAST_DELAY, "cn"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class GridProgram:
    """What a grid of cores loads. Core k is at column k % columns, row k // columns.

    Attributes
    ----------
    columns, rows : int
    output : (x, y) or None
        Place of the output bus; its entries in the arrays are not used.
    crossbar : (c, n, a) 0/1
        Whether neuron n of core c listens to axon a.
    axon_type : (c, a) 0..3
    weight : (c, n, 4) -256..255
        Weight per axon type.
    v, reset, leak, thr, negthr : (c, n) -256..255; mode : (c, n) 0/1
        See `Neurons`.
    dx, dy : (c, n)
        Where a spike goes, in hops: east and north positive.
    axon : (c, n)
        Axon that it arrives on.
    delay : (c, n) 0..14
        A spike of tick t is used in tick t + 1 + delay.
    period : int or None
        Clock cycles between ticks; None: the shortest one in which every core and packet surely finishes.
    """

    columns: int
    rows: int
    crossbar: np.ndarray
    axon_type: np.ndarray
    weight: np.ndarray
    thr: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    axon: np.ndarray
    v: Any = 0
    reset: Any = 0
    leak: Any = 0
    negthr: Any = -256
    mode: Any = 0
    delay: Any = 0
    output: tuple[int, int] | None = None
    period: int | None = None
    family: ClassVar[str] = "truenorth"

    def __post_init__(self) -> None:
        """Check shapes, ranges and destinations; the error names the register and the core."""
        for name in ("columns", "rows"):
            object.__setattr__(self, name, whole(getattr(self, name), f"truenorth: {name}", 1, 256))
        if self.period is not None:
            object.__setattr__(self, "period", whole(self.period, "truenorth: period", 1, 2**31 - 1))
        crossbar = numbers(self.crossbar, "truenorth: crossbar")
        cores = self.columns * self.rows
        self._check_output()
        if crossbar.ndim != 3 or crossbar.shape[0] != cores:
            raise NetworkError(
                f"truenorth: crossbar has shape {crossbar.shape}; it takes ({cores} cores, neurons, axons)"
            )
        sizes = {"c": cores, "n": crossbar.shape[1], "a": crossbar.shape[2], "4": AXON_TYPES}
        for name, (lo, hi, letters) in _ARRAYS.items():
            shape = tuple(sizes[s] for s in letters)
            value = check_range("truenorth", name, getattr(self, name), lo, hi)
            if value.ndim and value.shape != shape:
                raise NetworkError(f"truenorth: {name} has shape {value.shape}, not {shape}")
            kind = np.uint8 if name in ("crossbar", "axon_type", "mode") else np.int16 if hi < 1 << 15 else np.int32
            object.__setattr__(self, name, np.broadcast_to(value, shape).astype(kind))
        self._check_destinations()
        shortest = self.neurons * (self.axons + 2) + CLEAR_CYCLES
        if self.period is None:
            object.__setattr__(self, "period", shortest + 64 + 8 * (self.columns + self.rows))
        elif self.period < shortest:
            raise NetworkError(f"truenorth: period={self.period}; a core needs {shortest} cycles per tick")

    def _check_output(self) -> None:
        if self.output is None:
            return
        if not isinstance(self.output, (tuple, list)) or len(self.output) != 2:
            raise NetworkError(f"truenorth: output={shown(self.output)} is no place (x, y) of the grid, nor None")
        x = whole(self.output[0], "truenorth: output x", 0, self.columns - 1)
        y = whole(self.output[1], "truenorth: output y", 0, self.rows - 1)
        object.__setattr__(self, "output", (x, y))

    def _check_destinations(self) -> None:
        k = np.arange(self.columns * self.rows)[:, None]
        x, y = k % self.columns + self.dx, k // self.columns + self.dy
        outside = ((x < 0) | (x >= self.columns) | (y < 0) | (y >= self.rows)) & self.is_core[:, None]
        if outside.any():
            c, n = np.argwhere(outside)[0]
            raise NetworkError(
                f"truenorth: neuron {n} of core {c} sends to ({x[c, n]}, {y[c, n]}); "
                f"the grid is {self.columns} x {self.rows}"
            )
        to_core = self.is_core[np.where(outside, 0, y * self.columns + x)] & self.is_core[:, None]
        if np.any(self.axon[to_core] >= self.axons):
            raise NetworkError(f"truenorth: axon={self.axon[to_core].max()}; a core has axons 0 to {self.axons - 1}")

    @property
    def cores(self) -> int:
        """Cores of the grid, the output bus included."""
        return self.columns * self.rows

    @property
    def neurons(self) -> int:
        """Neurons per core."""
        return self.crossbar.shape[1]

    @property
    def axons(self) -> int:
        """Axons per core."""
        return self.crossbar.shape[2]

    @property
    def is_core(self) -> np.ndarray:
        """(c,) bool, False for the output bus."""
        mask = np.ones(self.cores, bool)
        if self.output is not None:
            mask[self.output[0] + self.output[1] * self.columns] = False
        return mask


def packets(tick: Any, x: Any, y: Any, axon: Any, delay: Any = 0) -> np.ndarray:
    """Input packets (p, 5) int64: slot, x, y, axon, delivery tick.

    Slot 0 enters before tick 1, slot t during tick t; a packet of slot t is used in tick t + 1 + delay.
    """
    named = {"tick": tick, "x": x, "y": y, "axon": axon}
    columns = [check_range("truenorth packet", name, c, -(2**31), 2**31 - 1) for name, c in named.items()]
    columns.append(check_range("truenorth packet", "delay", delay, 0, LAST_DELAY))
    try:
        return np.stack(np.broadcast_arrays(*(np.atleast_1d(c) for c in columns)), axis=1)
    except ValueError:
        shapes = ", ".join(str(c.shape) for c in columns)
        raise NetworkError(f"truenorth packet: columns of shapes {shapes} do not go together") from None


__all__ = ["AXON_TYPES", "LAST_DELAY", "LIF", "GridProgram", "Neurons", "Synapses", "packets"]
