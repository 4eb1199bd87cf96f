"""The program: what a chip loads. Everything is native, placed and frozen; it can be saved, loaded and run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.checks import quoted
from chipsim.chips.arithmetic import Arithmetic
from chipsim.errors import RunError
from chipsim.native.base import NeuronModel

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip

    from .fan_out import FanOut


#: Of a field that files of older versions lack: it is not written (and not hashed) while it holds its default.
ADDED = {"added": True}


@dataclass(frozen=True, eq=False)
class PopulationImage:
    """One population as loaded.

    Attributes
    ----------
    name, model
        Its name and native neurons.
    start : int
        Its first neuron in the program's order (population by population).
    unit : float or None
        What one unit of the chip's voltage means in the ideal network, None if that has no meaning.
    offset : float
        Ideal voltage where the chip's is 0: v_ideal = unit * v + offset.
    """

    name: str
    model: NeuronModel
    start: int
    unit: float | None = None
    offset: float = 0.0

    @property
    def n(self) -> int:
        """Number of neurons (or input lines)."""
        return self.model.n

    @property
    def stop(self) -> int:
        """One past its last neuron."""
        return self.start + self.model.n


@dataclass(frozen=True, eq=False)
class ProjectionImage:
    """One projection as loaded: `pre` and `post` index the program's populations; `unit` is the ideal weight of 1.

    `role`: "" for input of the neurons; "gate" for input that acts through their slope (rate units); else the name of
    the third factor of their learning synapses that the sums are.
    """

    name: str
    pre: int
    post: int
    synapses: Any
    rule: Any = None
    unit: float | None = None
    role: str = field(default="", metadata=ADDED)


@dataclass(frozen=True, eq=False)
class Program:
    """A network on a chip.

    Attributes
    ----------
    chip : Chip
        Description of the chip it was compiled for.
    populations, projections : tuples of PopulationImage and ProjectionImage
    core : (n,) int32
        Physical core of each neuron, -1 for input lines.
    arithmetic : Arithmetic
        The named integer options in force.
    dt : float
        Seconds per step.
    seed : int
        Of everything random in a run.
    stages : dict
        What each compiler pass reported, by pass name (plain data, for people and reports).
    """

    chip: Chip
    populations: tuple[PopulationImage, ...]
    projections: tuple[ProjectionImage, ...]
    core: np.ndarray
    arithmetic: Arithmetic
    dt: float = 1e-3
    seed: int = 0
    name: str = "program"
    stages: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the placement."""
        self.core.setflags(write=False)

    @property
    def n(self) -> int:
        """Neurons and input lines."""
        return self.populations[-1].stop if self.populations else 0

    @cached_property
    def cores(self) -> np.ndarray:
        """Physical cores in use, ascending, (c,) int32. Counters have one column for each."""
        return np.unique(self.core[self.core >= 0]).astype(np.int32)

    @cached_property
    def column(self) -> np.ndarray:
        """Column of each neuron's core in the counters, (n,) int32, -1 for input lines."""
        if not self.cores.size:
            return np.full(self.n, -1, np.int32)
        found = np.searchsorted(self.cores, self.core).astype(np.int32)
        return np.where(self.core >= 0, found, -1).astype(np.int32)

    @cached_property
    def fan_out(self) -> FanOut:
        """Where each neuron's spikes go (counted when first asked for)."""
        from .fan_out import fan_out

        return fan_out(self)

    def population(self, name: str) -> PopulationImage:
        """The population of that name; raises RunError naming those that exist."""
        for image in self.populations:
            if image.name == name:
                return image
        known = ", ".join(p.name for p in self.populations)
        raise RunError(f"program '{self.name}' has no population '{name}'; it has {known}")

    def projection(self, name: str) -> int:
        """The number of the projection of that name; raises RunError naming those that exist."""
        names = [p.name for p in self.projections]
        if not isinstance(name, str) or name not in names:
            known = ", ".join(names) or "none"
            raise RunError(f"program '{self.name}' has no projection {quoted(name)}; it has {known}")
        return names.index(name)

    def save(self, path: str | Path) -> Path:
        """Write the program to one HDF5 file (docs/formats.md); nothing is left behind if it fails."""
        from chipsim.storage.documents import save_program

        return save_program(self, path)

    @staticmethod
    def load(path: str | Path) -> Program:
        """Read a saved program; raises FileError for a file that is missing, cut short or not a program."""
        from chipsim.storage.documents import load_program

        return load_program(path)

    def __repr__(self) -> str:
        """Name, chip and size."""
        neurons = int(np.count_nonzero(self.core >= 0))
        return f"Program({self.name!r} on {self.chip.name}: {neurons} neurons on {len(self.cores)} cores)"
