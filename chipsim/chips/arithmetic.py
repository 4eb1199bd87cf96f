"""The five places in which the models of one fixed-point chip disagree, as named options with their owners'
presets.

`PRESETS["lava"]`, `["nengo_loihi"]` and
`["brian2_loihi"]` are what Lava 0.10, nengo-loihi 1.1 and brian2-loihi 0.5 compute, each checked against
recorded runs of its owner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from chipsim.checks import MAX_NAME, shown
from chipsim.errors import DescriptionError

CHOICES: dict[str, tuple[Any, ...]] = {
    "negative_exponent": ("sum", "synapse"),
    "weight_rounding": ("floor", "zero", "nearest"),
    "input_accumulator_bits": (None, 21),
    "current_overflow": ("once", "wrap", "none"),
    "trace_decay": ("exp", "linear"),
}


@dataclass(frozen=True)
class Arithmetic:
    """How integers round, wrap and saturate.

    Attributes
    ----------
    preset
        Owner of the combination: "lava", "nengo_loihi", "brian2_loihi", or "float" (double precision, no
        rounding).
    negative_exponent
        A negative weight exponent shifts the "sum" of a destination's weights, or the weight of each
        "synapse".
    weight_rounding
        Cutting a weight to its bits: "floor", toward "zero", or to the "nearest" (half to even).
    input_accumulator_bits
        Bits, without sign, of the accumulator in front of the current; it wraps. None: no limit.
    current_overflow
        A current beyond 23 bits and sign: 2**24 is subtracted "once", it is "wrap"ped in two's complement,
        or "none": currents, voltages and sums are then kept in 64 bits (brian2-loihi's are whole float64 numbers).
    trace_decay
        A trace decays by "exp"(-1/tau) or by the "linear" factor 1 - 1/tau.
    """

    preset: str = "lava"
    negative_exponent: str = "sum"
    weight_rounding: str = "floor"
    input_accumulator_bits: int | None = None
    current_overflow: str = "once"
    trace_decay: str = "exp"

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise DescriptionError(
                    f"arithmetic option {name} = {shown(value)}: allowed are {', '.join(repr(a) for a in allowed)}"
                )

    @property
    def is_float(self) -> bool:
        """True for the double-precision preset."""
        return self.preset == "float"

    @property
    def number(self) -> type:
        """What states and sums are kept in: float64, int32, or int64 where a current has no overflow."""
        if self.is_float:
            return np.float64
        return np.int64 if self.current_overflow == "none" and self.preset != "native" else np.int32


PRESETS: dict[str, Arithmetic] = {
    "lava": Arithmetic(),
    "nengo_loihi": Arithmetic("nengo_loihi", "synapse", "nearest", 21, "wrap", "exp"),
    "brian2_loihi": Arithmetic("brian2_loihi", "synapse", "zero", None, "none", "linear"),
    "float": Arithmetic("float", "synapse", "nearest", None, "none", "exp"),
    "native": Arithmetic("native", "synapse", "nearest", None, "none", "exp"),
}


def arithmetic(preset: str = "lava", /, **options: Any) -> Arithmetic:
    """The named preset with single options replaced; an unknown name is refused with the nearest spelling."""
    for name, known in ((preset, PRESETS), *((option, CHOICES) for option in options)):
        if not isinstance(name, str) or name not in known:
            near = get_close_matches(str(name)[:MAX_NAME], list(known), n=1) if isinstance(name, str) else []
            hint = f", did you mean {near[0]!r}?" if near else ","
            raise DescriptionError(f"unknown arithmetic {shown(name)}{hint} allowed are {', '.join(known)}")
    return replace(PRESETS[preset], **options)
