"""The parts of a program: populations and projections as loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chipsim.native.base import NeuronModel

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
