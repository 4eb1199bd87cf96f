"""Synapses of the 256 x 256 crossbars as network parts: whole signed weights of one step, no delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chipsim.errors import NetworkError
from chipsim.native.synapses import Synapses as MatrixSynapses
from chipsim.native.synapses import as_matrix, stored


@dataclass(frozen=True, eq=False)
class CrossbarSynapses(MatrixSynapses):
    """A matrix (post, pre) of whole weights within the chip's range; NetworkError otherwise, and for delays."""

    sign: str | None = "mixed"
    chip: ClassVar[str] = ""
    weight_range: ClassVar[tuple[int, int]] = (0, 0)
    chip_bits: ClassVar[int] = 8  #: bits of a stored weight

    def __post_init__(self) -> None:
        """The chip's own, narrower range, then the common checks."""
        what = f"{self.chip}.Synapses"
        values = stored(as_matrix(self.mantissa, what))
        lo, hi = self.weight_range
        if values.dtype.kind == "f" and np.any(values != np.floor(values)):
            raise NetworkError(f"{what}: weights hold fractions; the chip takes whole numbers in [{lo}, {hi}]")
        if values.size and (values.min() < lo or values.max() > hi):
            raise NetworkError(f"{what}: weights {values.min():g} .. {values.max():g} are outside [{lo}, {hi}]")
        super().__post_init__()
        if self.max_delay or self.exponent:
            raise NetworkError(f"{what}: the chip has no delays and no exponents: leave them at 0")

    def dense(self) -> np.ndarray:
        """(post, pre) int64 weights."""
        matrix = self.mantissa
        return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray(), np.int64)
