"""ODIN's 17-bit input events (`cs.odin.events`): builders, a decoder into words, and spike arrays to streams and back.

Every builder takes numbers or arrays and returns int64 addresses; ranges are checked, the error names the event.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.kernels.chips.aer import WIDE_BITS
from chipsim.native.bitfields import check_range

ALL_TIME_REFERENCE = 0x7F
ALL_BISTABILITY = 0x00


def spike(neuron: Any) -> np.ndarray:
    """A spike of presynaptic neuron 0..255: all its synapses, 518 cycles."""
    return check_range("odin spike event", "neuron", neuron, 0, 255) << 8 | 0x07


def virtual(neuron: Any, weight: Any, inhibitory: Any = 0) -> np.ndarray:
    """A weight 1..7 straight to one neuron, past the synapses; (weight 0 would be decoded as a spike event)."""
    neuron = check_range("odin virtual event", "neuron", neuron, 0, 255)
    weight = check_range("odin virtual event", "weight", weight, 1, 7)
    sign = check_range("odin virtual event", "inhibitory", inhibitory, 0, 1)
    return neuron << 8 | weight << 5 | sign << 4 | 1


def queued_time_reference(neuron: Any) -> np.ndarray:
    """A time reference for one neuron that waits its turn in the FIFO (a virtual event with its leak bit set)."""
    return check_range("odin virtual time reference", "neuron", neuron, 0, 255) << 8 | 1 << 3 | 1


def time_reference(neuron: Any = None) -> np.ndarray:
    """A time reference: leak of one neuron 0..255, or of all (None)."""
    if neuron is None:
        return np.int64(ALL_TIME_REFERENCE) * np.ones((), np.int64)
    return check_range("odin time reference", "neuron", neuron, 0, 255) << 8 | 1 << 7 | 0x7F


def bistability(row: Any = None) -> np.ndarray:
    """Weights of one row (all synapses leaving a neuron) or of all rows (None) drift to the nearer end of 0..7."""
    if row is None:
        return np.int64(ALL_BISTABILITY) * np.ones((), np.int64)
    return check_range("odin bistability event", "row", row, 0, 255) << 8 | 1 << 7


def synapse(pre: Any, post: Any) -> np.ndarray:
    """A single synapse stimulated."""
    pre = check_range("odin synapse event", "pre", pre, 0, 255)
    return 1 << 16 | pre << 8 | check_range("odin synapse event", "post", post, 0, 255)


def check(addresses: Any) -> np.ndarray:
    """`addresses` as int64 words of 17 bits; NetworkError otherwise."""
    return np.atleast_1d(check_range("odin input event", "address", addresses, 0, (1 << WIDE_BITS) - 1))


def describe(address: int) -> str:
    """What the chip makes of an address, in words, e.g. ``spike of neuron 5``."""
    word = int(check(address)[0])
    high, low, tail = word >> 8 & 255, word & 255, word & 127
    if word >> 16:
        return f"synapse {high} -> {low}"
    if tail == 0x7F:
        return f"time reference of neuron {high}" if low >> 7 else "time reference of all neurons"
    if tail == 0:
        return f"bistability of row {high}" if low >> 7 else "bistability of all rows"
    v = low >> 3
    if v == 0:
        return f"spike of neuron {high}"
    if v & 1:
        return f"queued time reference of neuron {high}"
    return f"{'inhibitory' if v & 2 else 'excitatory'} virtual event of weight {v >> 2} on neuron {high}"
