"""Synapses of the Catalyst N1 as network parts: 16-bit weights, delays of up to 63 timesteps, a compartment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...checks import whole
from ...errors import NetworkError
from ..synapses import Synapses as MatrixSynapses
from ..synapses import as_delays, as_matrix, stored

WEIGHTS = (-32768, 32767)
FORMATS = ("sparse", "dense", "population")  #: in the order of the index entry's numbers


@dataclass(frozen=True, eq=False)
class Synapses(MatrixSynapses):
    """A matrix (post, pre) of pool entries.

    Parameters
    ----------
    mantissa : (post, pre) ndarray or scipy.sparse, whole numbers
        -32768 .. 32767. A zero of an ndarray is no synapse; stored zeros of a sparse matrix are.
    delays : int or (post, pre) array
        0 .. 63 timesteps beyond the first: a spike of step t acts at t + 1 + delay.
    compartment : int
        0 the soma, 1, 2, 3 a dendrite.
    graded : bool
        The weight is multiplied by the spike's payload / 128 (a flag of the chip: all projections must agree).
    format : "sparse", "dense" or "population"
        How the axon of a source is written: an entry a synapse; an entry for every target from the first to the last
        of its core; one entry for all, where weight and delay are the same and the targets lie side by side. Only
        sparse synapses learn.

    Raises
    ------
    NetworkError
        Fractions, weights or delays out of range.
    """

    bits: int = 16
    sign: str | None = "mixed"
    compartment: int = 0
    graded: bool = False
    format: str = "sparse"

    def __post_init__(self) -> None:
        """Check everything once."""
        what = "catalyst.Synapses"
        matrix = as_matrix(self.mantissa, what)
        values = stored(matrix)
        if values.dtype.kind == "f" and np.any(values != np.floor(values)):
            raise NetworkError(f"{what}: weights hold fractions; the chip takes whole numbers in {list(WEIGHTS)}")
        if values.size and (values.min() < WEIGHTS[0] or values.max() > WEIGHTS[1]):
            raise NetworkError(f"{what}: weights {values.min():g} .. {values.max():g} are outside {list(WEIGHTS)}")
        if self.exponent or self.message_bits or self.bits != 16:
            raise NetworkError(f"{what}: weights have 16 bits, no exponents and no message bits here: leave them out")
        if self.format not in FORMATS:
            raise NetworkError(f"{what}: format={self.format!r} is not one of {', '.join(FORMATS)}")
        whole(self.compartment, f"{what}: compartment", 0, 3)
        object.__setattr__(self, "mantissa", matrix.astype(np.int32))
        object.__setattr__(self, "sign", "mixed")
        object.__setattr__(self, "delays", as_delays(self.delays, self.mantissa, what))

    def dense(self) -> np.ndarray:
        """(post, pre) int64 weights."""
        matrix = self.mantissa
        return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray(), np.int64)

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Every synapse as (post, pre, weight, delay), each (s,) int64, ordered by pre, then post."""
        matrix = self.mantissa
        if isinstance(matrix, np.ndarray):
            pre, post = np.nonzero(matrix.T)
            weight = matrix[post, pre]
            delay = self.delays[post, pre] if np.ndim(self.delays) else np.full(pre.size, self.delays)
        else:
            pre = np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))
            post, weight = matrix.indices, matrix.data
            delay = self.delays.data if np.ndim(self.delays) else np.full(pre.size, self.delays)
        return tuple(np.asarray(a, np.int64) for a in (post, pre, weight, delay))  # type: ignore[return-value]


__all__ = ["FORMATS", "WEIGHTS", "Synapses"]
