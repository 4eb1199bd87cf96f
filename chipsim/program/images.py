"""The parts of a program: populations and projections as loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.chips.arithmetic import Arithmetic
from chipsim.native.base import NeuronModel

if TYPE_CHECKING:
    from chipsim.chips.schema import Chip

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
class ProgramData:
    """The fields of a `Program`, which says what they mean and adds what follows from them."""

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
