"""AER words of an event-driven core, decoded into the actions of event_core: integers in, arrays out."""

from __future__ import annotations

import numpy as np

from chipsim.kernels.chips.event_core import BIST_ALL, BIST_ROW, PUSH, SYNAPSE, TREF_ALL, TREF_ONE, Events

WIDE_BITS = 17  #: two neuron addresses and a synapse flag
NARROW_BITS = 10  #: one neuron address, a time-reference and a virtual flag


def decode_wide(address: np.ndarray, earliest: np.ndarray) -> Events:
    """17-bit words, decoded in the controller's order: synapse, time reference, bistability, everything else is pushed.

    A pushed word is the FIFO entry (v << 8 | n) with v = bits 7..3 (0: spike of n) and n = bits 15..8.
    """
    word = np.asarray(address, np.int64)
    high, low, tail = word >> 8 & 255, word & 255, word & 127
    single = (word >> 7 & 1) == 1
    kind = np.full(word.shape, PUSH, np.int64)
    a = (low >> 3) << 8 | high
    b = np.zeros_like(word)
    synapse = word >> 16 == 1
    timeref = ~synapse & (tail == 0x7F)
    bist = ~synapse & (tail == 0)
    kind[timeref] = np.where(single, TREF_ONE, TREF_ALL)[timeref]
    kind[bist] = np.where(single, BIST_ROW, BIST_ALL)[bist]
    kind[synapse] = SYNAPSE
    operand = synapse | timeref | bist
    a[operand] = high[operand]
    b[synapse] = low[synapse]
    return Events(kind, a, b, np.ascontiguousarray(earliest, np.int64))


def decode_narrow(address: np.ndarray, earliest: np.ndarray) -> Events:
    """10-bit words: bit 8 time reference (255: all neurons), else bit 9 virtual (weight, neuron), else spike.

    A virtual word carries a signed 4-bit weight and a 4-bit neuron; it is pushed as weight << 8 | neuron.
    """
    word = np.asarray(address, np.int64)
    low = word & 255
    timeref = (word >> 8 & 1) == 1
    virtual = ~timeref & ((word >> 9 & 1) == 1)
    kind = np.full(word.shape, PUSH, np.int64)
    kind[timeref] = np.where(low == 255, TREF_ALL, TREF_ONE)[timeref]
    a = np.where(virtual, (low >> 4) << 8 | (low & 15), low)
    return Events(kind, a, np.zeros_like(word), np.ascontiguousarray(earliest, np.int64))
