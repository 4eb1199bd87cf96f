"""tinyODIN's 10-bit input events (`cs.tinyodin.events`): builders that check ranges, and a decoder into words."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.errors import NetworkError
from chipsim.kernels.chips.aer import NARROW_BITS
from chipsim.native.bitfields import check_range


def spike(neuron: Any) -> np.ndarray:
    """A spike of presynaptic neuron 0..255."""
    return check_range("tinyodin spike event", "neuron", neuron, 0, 255)


def virtual(neuron: Any, weight: Any) -> np.ndarray:
    """A weight -8..7 (not 0) straight to neuron 0..15; (weight 0 would be decoded as a spike event)."""
    neuron = check_range("tinyodin virtual event", "neuron", neuron, 0, 15)
    weight = check_range("tinyodin virtual event", "weight", weight, -8, 7)
    if np.any(weight == 0):
        raise NetworkError("tinyodin virtual event: weight 0 is a spike event to the chip; give -8..-1 or 1..7")
    return 1 << 9 | (weight & 15) << 4 | neuron


def time_reference(neuron: Any = None) -> np.ndarray:
    """A time reference: leak of one neuron 0..254, or of neurons 0..MAX_NEUR (None)."""
    if neuron is None:
        return np.int64(1 << 8 | 255) * np.ones((), np.int64)
    return 1 << 8 | check_range("tinyodin time reference", "neuron", neuron, 0, 254)


def check(addresses: Any) -> np.ndarray:
    """`addresses` as int64 words of 10 bits; NetworkError otherwise."""
    return np.atleast_1d(check_range("tinyodin input event", "address", addresses, 0, (1 << NARROW_BITS) - 1))


def describe(address: int) -> str:
    """What the chip makes of an address, in words."""
    word = int(check(address)[0])
    if word >> 8 & 1:
        return "time reference of all neurons" if word & 255 == 255 else f"time reference of neuron {word & 255}"
    if word >> 9 and word >> 4 & 15:
        return f"virtual event of weight {((word >> 4 & 15) ^ 8) - 8} on neuron {word & 15}"
    return f"spike of neuron {word & (15 if word >> 9 else 255)}"
