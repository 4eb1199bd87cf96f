"""A declared fixed-point format: bits, the value of one bit, and how what does not fit is rounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chipsim.checks import choice, finite, flag, shown, whole
from chipsim.errors import NetworkError
from chipsim.kernels.arithmetic.rounding import MODES


@dataclass(frozen=True)
class Fixed:
    """`bits` wide numbers, multiples of `step`, two's complement if `signed`.

    Parameters
    ----------
    bits
        Width, 1 to 52 (float64 carries every value, and every product of two up to 26 bits each, exactly).
    step
        Value of the least significant bit, > 0.
    signed
        Range [-2^(bits-1), 2^(bits-1) - 1] steps if true, else [0, 2^bits - 1] steps.
    rounding
        "nearest" (halves up), "stochastic" (counter-based bits) or "down" (floor, a plain shift).
    """

    bits: int
    step: float
    signed: bool = True
    rounding: str = "nearest"

    def __post_init__(self) -> None:
        bits = whole(self.bits, "fixed point: bits")
        if not 1 <= bits <= 52:
            raise NetworkError(f"fixed point: {shown(bits)} bits; 1 to 52 can be represented exactly")
        step = finite(self.step, "fixed point: step")
        if not step > 0 or not math.isfinite(2.0**bits * step):
            raise NetworkError(f"fixed point: step must be positive, and 2^bits of them a number, got {step}")
        choice(self.rounding, "fixed point: rounding", MODES, says="is unknown; use one of")
        for name, value in (("bits", bits), ("step", step), ("signed", flag(self.signed, "fixed point: signed"))):
            object.__setattr__(self, name, value)  # Python's own: 2**bits wraps round in a narrow type

    @property
    def low(self) -> float:
        """Smallest value."""
        return -(2 ** (self.bits - 1)) * self.step if self.signed else 0.0

    @property
    def high(self) -> float:
        """Largest value."""
        return (2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1) * self.step


def fixed(bits: int, span: float, signed: bool = True, rounding: str = "stochastic") -> Fixed:
    """A format of `bits` that covers [-span, span) if signed, else [0, span)."""
    return Fixed(bits, span / 2 ** (bits - 1 if signed else bits), signed, rounding)
