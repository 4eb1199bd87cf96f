"""A build of the parameterised Catalyst N1 RTL: how many cores, neurons, synapses, and which interconnect."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...errors import NetworkError

BARRIER, XY = "barrier", "xy"
MAX_CORES = 1 << 8  #: the host's core byte
#: Fields and the largest value of each.
_LIMITS = {
    "cores": MAX_CORES, "neurons": 1 << 14, "neuron_bits": 14, "pool_bits": 20, "count_bits": 14, "fan_in": 64,
    "mesh_columns": 16, "mesh_rows": 16, "clock": 10**10,
}  # fmt: skip


@dataclass(frozen=True)
class Build:
    """Parameters of the RTL's top level.

    Attributes
    ----------
    cores, neurons : int
        NUM_CORES and NUM_NEURONS (per core).
    neuron_bits : int or None
        Neuron numbers wrap at 2^neuron_bits; all ones means "no parent". None: the fewest that hold `neurons`.
    pool_bits : int
        Synapse pool addresses of a core wrap at 2^pool_bits.
    count_bits : int
        Width of an axon's connection count.
    fan_in : int
        REV_FANIN, reverse slots per neuron (what LTP can reach); a power of two.
    interconnect : "barrier" or "xy"
        The table walk of all shipped builds (event-driven with the async flag), or the XY mesh.
    mesh_columns, mesh_rows : int
        Of the XY mesh.
    chip_link : bool
        CHIP_LINK_EN.
    clock : int
        Hz.
    """

    cores: int = 128
    neurons: int = 1024
    neuron_bits: int | None = None
    pool_bits: int = 17
    count_bits: int = 12
    fan_in: int = 32
    interconnect: str = BARRIER
    mesh_columns: int = 0
    mesh_rows: int = 0
    chip_link: bool = False
    clock: int = 100_000_000

    def __post_init__(self) -> None:
        """Check ranges; NetworkError names the parameter and its limit."""
        if self.neuron_bits is None:
            object.__setattr__(self, "neuron_bits", max(1, (int(self.neurons) - 1).bit_length()))
        for name, top in _LIMITS.items():
            value, lowest = getattr(self, name), 0 if name.startswith("mesh") else 1
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not lowest <= value <= top:
                raise NetworkError(f"catalyst build: {name}={value!r} is not a whole number in {lowest}..{top}")
        if self.neurons > self.places:
            raise NetworkError(
                f"catalyst build: {self.neurons} neurons need neuron_bits={(self.neurons - 1).bit_length()}, "
                f"not {self.neuron_bits}"
            )
        if self.fan_in & (self.fan_in - 1):
            raise NetworkError(f"catalyst build: fan_in={self.fan_in} is not a power of two (REV_SLOT_BITS)")
        if self.interconnect not in (BARRIER, XY):
            raise NetworkError(f"catalyst build: interconnect={self.interconnect!r} is neither 'barrier' nor 'xy'")
        if self.interconnect == XY and (self.chip_link or self.mesh_columns * self.mesh_rows < self.cores):
            why = "the XY mesh has no chip link" if self.chip_link else "the mesh has fewer places than cores"
            raise NetworkError(
                f"catalyst build: {self.cores} cores on a {self.mesh_columns} x {self.mesh_rows} mesh: {why}"
            )

    @property
    def places(self) -> int:
        """2^neuron_bits."""
        return 1 << int(self.neuron_bits or 0)

    @property
    def pool(self) -> int:
        """Synapse pool addresses per core."""
        return 1 << self.pool_bits

    @property
    def core_bits(self) -> int:
        """CORE_ID_BITS."""
        return max(1, (self.cores - 1).bit_length())

    def with_(self, **changes: Any) -> Build:
        """The same build with some parameters changed."""
        return replace(self, **changes)

    @staticmethod
    def from_mapping(values: dict[str, Any]) -> Build:
        """A build from field names; unknown ones are refused."""
        known = [f.name for f in fields(Build)]
        for name in values:
            if name not in known:
                raise NetworkError(f"catalyst build has no parameter {name!r}; it has {', '.join(known)}")
        return Build(**values)


#: The RTL's defaults and the three shipped FPGA builds.
DEFAULT = Build()
F2 = Build(cores=16, neurons=1024, pool_bits=12, clock=62_500_000)
ARTY = Build(cores=4, neurons=256, neuron_bits=10, pool_bits=13)
KRIA = Build(cores=2, neurons=256, neuron_bits=10, pool_bits=12)
