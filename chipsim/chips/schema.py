"""What a chip description may say: the pydantic schema behind the YAML files in `chips/`.

Everything that differs between chips is here and nowhere else. `None` means "no limit" for a limit and
"nobody published it" for a cost; a report then says so instead of inventing a number.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from chipsim.checks import shown, text_of
from chipsim.chips.arithmetic import Arithmetic, arithmetic
from chipsim.chips.costs import CostSet, Frequency, Part, Time
from chipsim.errors import DescriptionError
from chipsim.text import nearest

Family = Literal["loihi", "float", "odin", "tinyodin", "reckon", "truenorth", "xylo", "catalyst", "none"]
Count = int | None
MOST = (1 << 53) - 1  #: of any limit: numbers that a double holds exactly
MOST_CORES = 1 << 20  #: of a chip
MOST_CHIPS = 1 << 20  #: that are wired together


#: Fields that version 0.1.0 did not have: left out of files where they say nothing, so that checkpoints stay valid.
LATER = ("interconnect", "spikes", "local_routes", "global_routes", "reverse_slots", "delay_entries", "neuron_bits")


class Grown(Part):
    """A part with fields of later versions (`LATER`), which are not written while they are None."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if v is not None or k not in LATER}


class Noc(Part):
    """Routers as `chipsim.kernels.mesh.noc` runs them: cycles per act, packets per input buffer and waiting at a core.

    `end` of a step: cores finish their neurons and their packets in "parallel", or one after the other ("serial").
    """

    clock: Time
    subnets: int = Field(default=2, ge=1, le=1 << 16)
    wire: int = Field(default=2, ge=1, le=1 << 16)
    switch: int = Field(default=1, ge=1, le=1 << 16)
    crossbar: int = Field(default=1, ge=0, le=1 << 16)
    buffer: int = Field(default=8, ge=1, le=1 << 16)
    slots: int = Field(default=8, ge=1, le=1 << 16)
    end: Literal["parallel", "serial"] = "parallel"
    source: str = Field(min_length=1)


class Topology(Grown):
    """Chips, a mesh of tiles, cores on tiles.

    Core c sits on tile c // cores_per_tile; tile t at x = t // height, y = t % height. Further chips
    continue the mesh eastwards, so that a core's number grows past `cores_per_chip`. `chips` is how many a
    mapper may use (None: any). `interconnect` (Catalyst N1): a table walk ("barrier"), the same with its
    event-driven mode ("events"), or routers on a mesh ("xy").
    """

    chips: Count = Field(default=1, ge=1, le=MOST_CHIPS)
    width: int = Field(ge=1, le=MOST_CORES)
    height: int = Field(ge=1, le=MOST_CORES)
    cores_per_tile: int = Field(ge=1, le=MOST_CORES)
    link_buffer: int = Field(default=16, ge=1, le=MOST)
    interconnect: Literal["barrier", "events", "xy"] | None = None
    noc: Noc | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Topology:
        if self.cores > MOST_CORES:
            raise ValueError(f"width * height * cores_per_tile are {self.cores} cores; a chip has at most {MOST_CORES}")
        return self

    @property
    def cores(self) -> int:
        """Cores on one chip."""
        return self.width * self.height * self.cores_per_tile


class SynapsePacking(Part):
    """How synapses of one axon fill memory words (nengo-loihi block.py, `bits_per_axon`)."""

    block_synapses: int = Field(default=64, ge=1)
    header_bits: int = Field(default=10, ge=0)
    word_bits: int = Field(default=64, ge=1)
    weight_field_bits: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 8)
    index_field_bits: tuple[int, ...] = (0, 6, 7, 8, 9, 10, 11, 12)


class CoreMemory(Part):
    """Words of kernel and neuron memory of one core, where cores differ."""

    kernel: int = Field(ge=0)
    neuron: int = Field(ge=0)


class Limits(Grown):
    """What one core holds (unless said otherwise); None is "no limit". `sources` maps a field to where it
    comes from.
    """

    cores: Count = Field(default=None, description="cores per chip")
    neurons: Count = Field(default=None, description="neurons (compartments) per core")
    input_axons: Count = Field(default=None, description="input axons per core")
    output_axons: Count = Field(default=None, description="output axon slots per core")
    axon_slots: dict[str, int] = Field(
        default={"discrete": 1, "pop16": 1, "pop32": 2},
        description="output slots that one axon of a kind costs",
    )
    axon_id_bits: dict[str, int] | None = Field(default=None, description="bits of an axon id, by kind of axon")
    axon_fanout: Count = Field(default=None, description="synapses of one input axon")
    fan_in: Count = Field(default=None, description="synapses of one neuron")
    synapses: Count = Field(default=None, description="synapses per core")
    synapse_bits: Count = Field(default=None, description="synapse memory, bits per core")
    synapse_packing: SynapsePacking = Field(default=SynapsePacking(), description="packing of synapses into words")
    synapse_formats: Count = Field(default=None, description="different synapse formats per core")
    synapse_map_entries: Count = Field(default=None, description="synapse map entries per core")
    synapse_map_per_axon: int = Field(default=1, description="synapse map entries of an input axon")
    synapse_map_per_learning_axon: int = Field(default=2, description="the same if its synapses learn")
    population_atoms: Count = Field(default=None, description="neurons sharing a population axon")
    compartment_base: tuple[int, int] | None = Field(
        default=None, description="[lo, hi] of an axon's first compartment"
    )
    compartment_base_step: int = Field(default=1, description="the base of a pop16 axon is a multiple of this")
    spike_fields: dict[str, int] | None = Field(default=None, description="values per field of a spike packet")
    decay_profiles: Count = Field(default=None, description="different decay pairs (compartment profiles)")
    threshold_profiles: Count = Field(default=None, description="different thresholds")
    pre_trace_profiles: Count = Field(default=None, description="different presynaptic trace settings")
    core_shared: tuple[str, ...] = Field(default=(), description="registers equal for all neurons of a core")
    learning_uniform: bool = Field(default=False, description="all synapses of a core learn, or none")
    vth: tuple[int, int] | None = Field(default=None, description="[lo, hi] of the threshold mantissa")
    vth_exponent: Count = Field(default=None, description="fixed exponent of the threshold")
    bias_mantissa: tuple[int, int] | None = Field(default=None, description="[lo, hi]")
    bias_exponent: tuple[int, int] | None = Field(default=None, description="[lo, hi]")
    decay: tuple[int, int] | None = Field(default=None, description="[lo, hi] of both decays")
    refractory: tuple[int, int] | None = Field(default=None, description="[lo, hi] in steps")
    weight_bits: tuple[int, int] | None = Field(default=None, description="[lo, hi]")
    weight: tuple[int, int] | None = Field(default=None, description="[lo, hi] of a signed weight mantissa")
    weight_exponent: tuple[int, int] | None = Field(default=None, description="[lo, hi]")
    tag_bits: tuple[int, int] | None = Field(default=None, description="[lo, hi]")
    delay_bits: tuple[int, int] | None = Field(default=None, description="[lo, hi]")
    delay: tuple[int, int] | None = Field(default=None, description="[lo, hi] in steps")
    trace_impulse: Count = Field(default=None, description="largest trace impulse")
    error: tuple[int, int] | None = Field(default=None, description="[lo, hi] of a learning error message")
    input_units: Count = Field(default=None, description="spike inputs per core")
    outputs: Count = Field(default=None, description="output (readout) neurons per core")
    soft_reset_compartments: Count = Field(
        default=None, description="neurons of a core that one with reset by subtraction takes, if it is no reset mode"
    )
    spike_bits: Count = Field(default=None, description="bits of a graded spike's payload")
    membrane_bits: Count = Field(default=None, description="bits of the membrane potential")
    axon_types: Count = Field(default=None, description="types of axon, each with its own weight per neuron")
    spikes: Count = Field(default=None, description="spikes that leave a core in one step; the rest is lost")
    local_routes: Count = Field(default=None, description="destinations on other cores of a neuron, local slots")
    global_routes: Count = Field(default=None, description="the same, global slots")
    reverse_slots: Count = Field(default=None, description="synapses of a neuron that its spikes can teach")
    delay_entries: Count = Field(default=None, description="delayed synaptic events of a core that arrive in one step")
    neuron_bits: Count = Field(default=None, description="bits of a neuron's number within its core")
    core_memories: tuple[CoreMemory, ...] = Field(default=(), description="memory of each core, where they differ")
    sources: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _checked(self) -> Limits:
        for name in self.sources:
            if name not in type(self).model_fields:
                raise ValueError(f"sources: {shown(name)} is no limit")
        for name, value in self:
            if isinstance(value, tuple) and name not in ("core_shared", "core_memories") and value[0] > value[1]:
                raise ValueError(f"{name}: a range is [lo, hi] with lo <= hi, got {list(value)}")
            if isinstance(value, int) and value < 0:
                raise ValueError(f"{name}: a limit is not negative, got {shown(value)}")
            if isinstance(value, int) and value > MOST:
                raise ValueError(f"{name}: a limit is at most {MOST}, got {shown(value)}")
            inside = value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else ()
            if any(isinstance(v, int) and abs(v) > MOST for v in inside):
                raise ValueError(f"{name}: holds numbers beyond {MOST}")
        return self


class ArithmeticPart(Part):
    """Preset and named options of `chipsim.chips.arithmetic`, and what the neurons can do."""

    preset: str = "lava"
    options: dict[str, Any] = Field(default_factory=dict)
    reset_modes: tuple[Literal["zero", "subtract"], ...] = ("zero",)
    neuron_models: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _known(self) -> ArithmeticPart:
        self.resolve()
        return self

    def resolve(self) -> Arithmetic:
        """The frozen options that an engine reads."""
        return arithmetic(self.preset, **self.options)


class LearningEngine(Part):
    """What on-chip learning can compute; `rules` is empty on a chip that cannot learn."""

    rules: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    pre_traces: int = 0
    post_traces: int = 0
    trace_bits: Count = None
    trace_fraction_bits: Count = None
    weight_bits: Count = None
    tag_bits: Count = None
    third_factor: Literal["none", "global", "per_neuron"] = "none"
    stochastic_rounding: bool = False
    source: str = ""


class Chip(Part):
    """A chip: topology, limits, arithmetic, costs, learning engine."""

    name: str = Field(min_length=1)
    title: str
    family: Family
    note: str = ""
    topology: Topology
    limits: Limits = Limits()
    arithmetic: ArithmeticPart = ArithmeticPart()
    learning: LearningEngine = LearningEngine()
    clock: Frequency | None = None
    tick: Time | None = None
    cycles: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    cost_set: str | None = None
    costs: dict[str, CostSet] = Field(default_factory=dict)

    @field_validator("name", "title")
    @classmethod
    def _printable(cls, text: str) -> str:
        return text_of(text, "text", DescriptionError)

    @model_validator(mode="after")
    def _default_set(self) -> Chip:
        if self.cost_set is not None and self.cost_set not in self.costs:
            raise ValueError(f"cost_set {shown(self.cost_set)} is none of {', '.join(self.costs) or '(no cost sets)'}")
        if self.family in ("loihi", "float") and self.arithmetic.resolve().is_float != (self.family == "float"):
            raise ValueError(
                f"arithmetic.preset {shown(self.arithmetic.preset)} is not one of family {shown(self.family)}"
            )
        if self.limits.cores is not None and self.limits.cores > self.topology.cores:
            raise ValueError(
                f"limits.cores {self.limits.cores} exceeds the {self.topology.cores} cores of the topology"
            )
        return self

    def costs_named(self, name: str | None = None) -> CostSet:
        """The cost set `name`, or the default one; `DescriptionError` if the chip has none of that name."""
        chosen = name or self.cost_set
        if chosen is None or chosen not in self.costs:
            raise no_such_cost_set(self, chosen)
        return self.costs[chosen]


def no_such_cost_set(chip: Chip, name: str | None) -> DescriptionError:
    """The error for a cost set that `chip` does not have."""
    if not chip.costs:
        return DescriptionError(f"chip {chip.name!r} has no published costs: no energy or time can be estimated")
    near = nearest(str(name), list(chip.costs))
    return DescriptionError(
        f"chip {chip.name!r} has no cost set {shown(name)}{near or ','} it has {', '.join(chip.costs)}"
    )
