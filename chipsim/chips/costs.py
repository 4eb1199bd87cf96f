"""Costs of a chip as data: every constant with unit, source and status, in consistent named sets.

`None` means that nobody published the number; a report then says so instead of inventing one.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chipsim.text import scale

Status = Literal["measured", "published", "fitted", "assumed"]


class Part(BaseModel):
    """A part of a description: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Constant(Part):
    """A number that may end in an estimate, with where it comes from.

    `si` is the value in SI units. `status`: measured on silicon, published by the maker, fitted to data, or
    assumed.
    """

    dimension: ClassVar[str] = "energy"
    value: float = Field(allow_inf_nan=False, ge=0)
    unit: str
    source: str = Field(min_length=1)
    status: Status

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, unit: str) -> str:
        scale(unit, cls.dimension)
        return unit

    @property
    def si(self) -> float:
        """Value in J, s or W."""
        return self.value * scale(self.unit, self.dimension)


class Energy(Constant):
    """A constant in joules."""


class Time(Constant):
    """A constant in seconds."""

    dimension: ClassVar[str] = "time"


class Power(Constant):
    """A constant in watts."""

    dimension: ClassVar[str] = "power"


class Frequency(Constant):
    """A constant in hertz."""

    dimension: ClassVar[str] = "frequency"


class Stage(Part):
    """Cost of one act of one pipeline stage: energy in J and time in s; None is unknown."""

    energy: Energy | None = None
    time: Time | None = None


class Barrier(Part):
    """End-of-step synchronisation. `by_tiles` maps a number of used tiles to a time.

    "step": the entry with the largest key not above the number of tiles with mapped neurons; "linear":
    interpolated.
    """

    by_tiles: dict[int, Time]
    between: Literal["step", "linear"] = "step"
    energy: Energy | None = None

    def time(self, tiles_used: int) -> float:
        """Barrier time in s when neurons are mapped on `tiles_used` tiles."""
        keys = sorted(self.by_tiles)
        times = [self.by_tiles[k].si for k in keys]
        below = [i for i, k in enumerate(keys) if k <= tiles_used]
        i = below[-1] if below else 0
        if self.between == "step" or not below or i + 1 == len(keys):
            return times[i]
        return times[i] + (times[i + 1] - times[i]) * (tiles_used - keys[i]) / (keys[i + 1] - keys[i])

    @field_validator("by_tiles")
    @classmethod
    def _not_empty(cls, table: dict[int, Time]) -> dict[int, Time]:
        if not table or min(table) < 1:
            raise ValueError("a barrier needs at least one entry, with keys from 1 tile on")
        return table


class LearningCosts(Part):
    """Costs of on-chip learning, per act. `synapse_update` is a whole update (read, rule, write) where only
    that is known.
    """

    trace_update: Stage = Stage()
    weight_read: Stage = Stage()
    weight_write: Stage = Stage()
    synapse_update: Stage = Stage()
    third_factor: Stage = Stage()


class CostSet(Part):
    """Energy and time per event, one consistent set of constants.

    `synapse` and `dendrite` are per synaptic event; `soma_access` per neuron and step, `soma_update` added
    for an active neuron, `soma_spike` added for one that fires; `axon_out` and `axon_in` per packet sent
    and received; `hop_*` per link passed, by direction (north = +y, east = +x); `chip_to_chip` per packet
    and chip border crossed; `synop` and `neuron` replace the pipeline where only lumped figures exist.
    """

    title: str
    note: str = ""
    synapse: Stage = Stage()
    dendrite: Stage = Stage()
    soma_access: Stage = Stage()
    soma_update: Stage = Stage()
    soma_spike: Stage = Stage()
    axon_in: Stage = Stage()
    axon_out: Stage = Stage()
    hop_north: Stage = Stage()
    hop_east: Stage = Stage()
    hop_south: Stage = Stage()
    hop_west: Stage = Stage()
    chip_to_chip: Stage = Stage()
    barrier: Barrier | None = None
    cycle: Energy | None = None
    static_power: Power | None = None
    host_power: Power | None = None
    active_core_power: Power | None = None
    learning: LearningCosts = LearningCosts()

    def constants(self) -> dict[str, Constant | None]:
        """Every constant by dotted path, e.g. "synapse.energy"; None where nobody published it."""
        found: dict[str, Constant | None] = {}

        def walk(part: Part, path: str) -> None:
            for name in type(part).model_fields:
                value = getattr(part, name)
                if name == "by_tiles":
                    found.update({f"{path}time[{tiles}]": time for tiles, time in value.items()})
                elif isinstance(value, Part) and not isinstance(value, Constant):
                    walk(value, f"{path}{name}.")
                elif value is None or isinstance(value, Constant):
                    found[path + name] = value

        walk(self, "")
        return found
