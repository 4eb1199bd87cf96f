"""Memory words as rows of bytes, and the named bit fields in them: pack, unpack, round trip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chipsim.errors import NetworkError

from ..checks import numbers

Fields = Mapping[str, tuple[int, int]]  #: name -> (lowest bit, bits)


def unpack(words: np.ndarray, fields: Fields) -> dict[str, np.ndarray]:
    """Fields of `words` (n, bytes) uint8 (byte k = bits 8k+7 .. 8k), each (n,) int64."""
    bits = np.unpackbits(words, axis=1, bitorder="little")
    return {
        name: bits[:, low : low + width].astype(np.int64) @ (1 << np.arange(width, dtype=np.int64))
        for name, (low, width) in fields.items()
    }


def insert(words: np.ndarray, fields: Fields, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """`words` (n, bytes) with the fields in `values` (n,) replaced and all other bits kept."""
    bits = np.unpackbits(words, axis=1, bitorder="little")
    for name, value in values.items():
        low, width = fields[name]
        bits[:, low : low + width] = np.asarray(value, np.int64)[:, None] >> np.arange(width) & 1
    return np.packbits(bits, axis=1, bitorder="little")


def check_range(what: str, name: str, value: object, lo: int, hi: int) -> np.ndarray:
    """`value` as int64 array within [lo, hi]; otherwise NetworkError naming the register and the range."""
    array = numbers(value, f"{what}: {name}")
    if array.dtype.kind == "f" and np.any(array != np.floor(array)):
        raise NetworkError(f"{what}: {name} holds fractions; it takes whole numbers in [{lo}, {hi}]")
    bad = ~((array >= lo) & (array <= hi))
    if np.any(bad):
        raise NetworkError(f"{what}: {name}={np.extract(bad, array)[0]} is outside [{lo}, {hi}]")
    return array.astype(np.int64)


def nibbles(words: np.ndarray) -> np.ndarray:
    """Synapse words (8192,) uint32, index pre * 32 + (post >> 3), as nibbles (256, 256) uint8 [pre, post]."""
    table = np.asarray(words, np.uint32).reshape(256, 32, 1)
    return (table >> (4 * np.arange(8, dtype=np.uint32)) & 15).astype(np.uint8).reshape(256, 256)


def synapse_words(table: np.ndarray) -> np.ndarray:
    """Nibbles (256, 256) uint8 [pre, post] as synapse words (8192,) uint32."""
    parts = (table.reshape(256, 32, 8).astype(np.uint32) & 15) << (4 * np.arange(8, dtype=np.uint32))
    return np.bitwise_or.reduce(parts, axis=2).reshape(-1)
