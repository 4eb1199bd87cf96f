"""ReckOn in its own registers (`cs.reckon`): neurons and synapses of the network, and the chip's register
file.

`LIF`, `LI` and `Synapses` describe a network; `Registers` and `Memories` are what the chip loads (lowered
from a
network by `chipsim.native.reckon.image`, or written by hand).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chipsim.checks import whole
from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel, Register
from chipsim.native.reckon.registers import INPUTS as INPUTS
from chipsim.native.reckon.registers import NEURONS as NEURONS
from chipsim.native.reckon.registers import OUTPUTS as OUTPUTS
from chipsim.native.reckon.registers import Memories as Memories
from chipsim.native.reckon.registers import Registers as Registers
from chipsim.native.reckon.registers import leak_factor as leak_factor
from chipsim.native.synapses import Synapses as MatrixSynapses
from chipsim.native.synapses import as_matrix, stored

ALPHA_MIN, ALPHA_MAX = 0x7000, 0x8FFF  #: leak factors the chip can hold, 15 fraction bits: [0.875, 1.125)


class LIF(NeuronModel):
    r"""Leaky integrate-and-fire neuron of the recurrent layer, 16-bit membrane.

    With I = sum of arriving weights << shift, once per tick::

        spike if u >= thr
        u <- floor(u alpha / 2**15)    (EN_STOCH_ROUND: up with the probability of the cropped fraction)
        u <- u - thr on a spike        (or 0), wrapped to 16 bits
        u <- saturate16(u + I)

    `thr` and `alpha` are shared by the neurons 2p and 2p + 1. Source: src/srnn.v of the released chip.
    """

    model = "reckon_lif"
    family = "reckon"
    registers: ClassVar[dict[str, Register]] = {
        "thr": Register(32767, -32768, 32767, "firing threshold, 16 bit signed"),
        "alpha": Register(0x7FEF, ALPHA_MIN, ALPHA_MAX, "leak factor in 1/32768: 0x8000 keeps all"),
        "reset": Register("subtract", choices=("subtract", "zero"), doc="u after a spike: u - thr, or 0"),
    }
    states = ("u", "tinp", "trec", "tout")

    def check(self) -> None:
        """Both neurons of a pair share one word."""
        for name in ("thr", "alpha"):
            values = self.per_neuron(name)
            bad = np.flatnonzero(values[: self.n // 2 * 2 : 2] != values[1::2])
            if bad.size:
                p = 2 * int(bad[0])
                raise NetworkError(
                    f"reckon.LIF: neurons {p} and {p + 1} share one {name}, but {values[p]} and "
                    f"{values[p + 1]} are "
                    "given; give both the same or reorder the neurons"
                )


class LI(NeuronModel):
    """Leaky integrator of the output layer: o <- floor(o kappa / 128) + arriving weights << shift, 16
    bits."""

    model = "reckon_li"
    family = "reckon"
    registers: ClassVar[dict[str, Register]] = {
        "kappa": Register(122, 0, 255, "leak factor in 1/128: 128 keeps all", shared=True),
    }
    states = ("o",)


@dataclass(frozen=True, eq=False)
class Synapses(MatrixSynapses):
    """Synapses of one of the three weight memories: added as ``mantissa << exponent``, one tick after the
    spike.

    Parameters
    ----------
    mantissa : (post, pre) ndarray or scipy.sparse, whole numbers
        -128 .. 127.
    exponent : int
        0 .. 7; one for all synapses of a memory (FP_LOC_WINP, FP_LOC_WREC, FP_LOC_WOUT).

    Raises
    ------
    NetworkError
        Fractions, a weight or exponent outside its range, a delay.
    """

    sign: str | None = "mixed"

    def __post_init__(self) -> None:
        """The chip's own, narrower ranges, then the common checks."""
        matrix = as_matrix(self.mantissa, "reckon.Synapses")
        values = stored(matrix)
        if values.dtype.kind == "f" and np.any(values != np.floor(values)):
            raise NetworkError("reckon.Synapses: weights hold fractions; the chip takes whole numbers")
        if values.size and (values.min() < -128 or values.max() > 127):
            raise NetworkError(
                f"reckon.Synapses: weights {values.min():g} .. {values.max():g} are outside -128 .. 127 (8 bits)"
            )
        whole(self.exponent, "reckon.Synapses: exponent", 0, 7)
        super().__post_init__()
        if self.max_delay:
            raise NetworkError(f"reckon.Synapses: delay {self.max_delay}, but the chip has none: use 0")

    def dense(self) -> np.ndarray:
        """(post, pre) int64 weights."""
        matrix = self.mantissa
        return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray(), np.int64)
