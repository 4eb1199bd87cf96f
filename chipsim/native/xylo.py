"""Xylo in its own registers (`cs.xylo`): 16-bit neurons with bit-shift decays, 8-bit weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chipsim.errors import NetworkError

from ..checks import numbers, whole
from .base import NeuronModel, Register
from .synapses import Synapses as MatrixSynapses
from .synapses import as_matrix, stored

INPUT_MOST, HIDDEN_MOST, OUTPUT_MOST = 15, 31, 1  #: spikes in one step


class LIF(NeuronModel):
    r"""Xylo's neuron; every addition saturates at 16 bits by itself.

    With leak(x, k) = x >> k, but at least one step towards zero, per step::

        i <- i + w once per arriving spike: inputs by channel, then last step's neurons by number
        i <- i - leak(i, dash_syn)
        v <- v + ((-leak(v, dash_mem) + i) + bias)
        while v >= threshold and fewer than `most` spikes: v <- v - threshold, one spike

    `most` is 31 for hidden and 1 for output neurons. Source: XyloSim 0.1.3 (SYNS61201).
    """

    model = "xylo_lif"
    family = "xylo"
    registers: ClassVar[dict[str, Register]] = {
        "threshold": Register(1024, 1, 32767, "spike when v >= threshold"),
        "dash_mem": Register(4, 0, 15, "bit shift of the membrane's decay"),
        "dash_syn": Register(4, 0, 15, "bit shift of the current's decay"),
        "bias": Register(0, -32768, 32767, "added to v each step"),
        "most": Register(HIDDEN_MOST, 1, HIDDEN_MOST, "spikes in one step: 31 hidden, 1 output"),
    }
    states = ("v", "i")
    graded = True


@dataclass(frozen=True, eq=False)
class Synapses(MatrixSynapses):
    """8-bit weights (post, pre), -128..127, added as ``mantissa << exponent`` (exponent 0..7); no delays."""

    def __post_init__(self) -> None:
        """Check values, once."""
        matrix: Any = as_matrix(self.mantissa, "xylo.Synapses")
        values = stored(matrix)
        if values.dtype.kind == "f" and np.any(values != np.floor(values)):
            raise NetworkError("xylo.Synapses: weights hold fractions; the chip takes whole numbers")
        if values.size and (values.min() < -128 or values.max() > 127):
            raise NetworkError("xylo.Synapses: weights are 8 bits, -128..127; scale them or use exponent=")
        object.__setattr__(self, "exponent", whole(self.exponent, "xylo.Synapses: exponent", 0, 7))
        if np.any(numbers(self.delays, "xylo.Synapses: delays") != 0):
            raise NetworkError("xylo.Synapses: the chip has no delays")
        object.__setattr__(self, "mantissa", matrix.astype(np.int32))
        object.__setattr__(self, "sign", "mixed")
