"""Fibonacci shift registers over GF(2): many bits per step, many registers side by side.

A register of length ``n`` with one inner tap ``a`` is the bit stream ``s[t] = s[t-a] ^ s[t-n]``. Squaring
that
recurrence five times (over GF(2), ``(x + y)**2 = x**2 + y**2``) gives ``s[t] = s[t-32a] ^ s[t-32n]``: the
same two
taps, counted in 32-bit words. So the streams are produced word by word, ahead of time, and a hardware
register
that steps ``K`` bits at once is a read position that moves by ``K``; reading ``width`` bits is an unaligned
load.
The state of a register is its *window*: the next ``n`` bits, bit ``i`` = ``s[T + i]``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

WORD = 32
_OPT: dict[str, Any] = dict(cache=True, nogil=True, error_model="numpy", _nrt=False)
_INNER: dict[str, Any] = dict(
    _OPT, no_cpython_wrapper=True, no_cfunc_wrapper=True
)  # called from kernels only: compiles faster


class Streams(NamedTuple):
    """Several registers side by side (k of them).

    Attributes
    ----------
    words
        (k, W) uint32, the stream from some earlier word boundary on, least significant bit first.
    pos
        (k,) int64, read position of each register in bits, counted from bit 0 of its row of `words`.
    tap
        (k,) int64, the inner tap ``a``.
    length
        (k,) int64, the register length ``n`` (at most 63).
    """

    words: np.ndarray
    pos: np.ndarray
    tap: np.ndarray
    length: np.ndarray


def make_streams(taps: list[tuple[int, int]], words: int = 1024) -> Streams:
    """Registers with taps ``[(a, n), ...]``, all zero (a zero register stays zero for ever).

    `words` is the number of 32-bit words produced ahead: room for 32 ``n`` words of history and the longest
    draw.
    """
    k = len(taps)
    if any(not 0 < a < n < 64 for a, n in taps):
        raise ValueError(f"taps must satisfy 0 < a < n < 64, got {taps}")
    pairs = np.array(taps, dtype=np.int64).reshape(k, 2)
    return Streams(
        np.zeros((k, words), np.uint32),
        np.zeros(k, np.int64),
        np.ascontiguousarray(pairs[:, 0]),
        np.ascontiguousarray(pairs[:, 1]),
    )


@njit(**_INNER)
def _reach(tap, length):
    """Words of history with which at least sixteen words can be produced at once."""
    while tap < 16:
        tap *= 2
        length *= 2
    return length


@njit(**_INNER)
def _xor(out, a, b):
    for i in range(out.shape[0]):
        out[i] = a[i] ^ b[i]


@njit(**_INNER)
def _fill(words, first, tap, length):
    """Continue one stream from word `first` on; with more history the recurrence is squared: longer
    strides."""
    size = words.shape[0]
    while first < size:
        while tap < 16 and 2 * length <= first:
            tap *= 2
            length *= 2
        count = min(tap, size - first)
        near, far = first - tap, first - length
        _xor(words[first : first + count], words[near : near + count], words[far : far + count])
        first += count


@njit(**_OPT)
def load_window(streams, k, window):
    """Put register `k` into the state whose next ``n`` bits are `window` (bit ``i`` = ``s[T+i]``)."""
    words = streams.words[k]
    tap, length = streams.tap[k], streams.length[k]
    mask = (np.uint64(1) << np.uint64(length)) - np.uint64(1)
    reg = np.uint64(window) & mask
    for i in range(length):
        word = np.uint32(0)
        for b in range(WORD):
            word |= np.uint32((reg & np.uint64(1)) << np.uint64(b))
            new = (reg ^ (reg >> np.uint64(length - tap))) & np.uint64(1)
            reg = (reg >> np.uint64(1)) | (new << np.uint64(length - 1))
        words[i] = word
    _fill(words, length, tap, length)
    streams.pos[k] = 0


@njit(**_INNER)
def reserve(streams, k, bits):
    """Make sure that the next `bits` bits of register `k` are produced (one 64-bit read beyond included)."""
    words = streams.words[k]
    first = streams.pos[k] // WORD
    if (streams.pos[k] + bits) // WORD + 3 <= words.shape[0]:
        return
    keep = words.shape[0] - first
    keep = max(keep, _reach(streams.tap[k], streams.length[k]))
    shift = words.shape[0] - keep
    for i in range(keep):
        words[i] = words[i + shift]
    streams.pos[k] -= shift * WORD
    _fill(words, keep, streams.tap[k], streams.length[k])


@njit(**_INNER)
def bits_at(words, pos, width):
    """`width` (at most 32) bits of a packed stream from bit `pos` on, as an int64."""
    bit = np.uint64(pos)
    i = bit >> np.uint64(5)
    pair = np.uint64(words[i]) | (np.uint64(words[i + np.uint64(1)]) << np.uint64(WORD))
    return np.int64((pair >> (bit & np.uint64(31))) & ((np.uint64(1) << np.uint64(width)) - np.uint64(1)))


@njit(**_OPT)
def peek(streams, k, width, offset):
    """`width` (at most 32) bits of register `k`, from `offset` bits after the read position; no step."""
    reserve(streams, k, offset + width)
    return bits_at(streams.words[k], streams.pos[k] + offset, width)


@njit(**_INNER)
def skip(streams, k, bits):
    """One step of `bits` bits whose output nobody looks at."""
    reserve(streams, k, bits)
    streams.pos[k] += bits


@njit(**_OPT)
def draw(streams, k, width):
    """`width` bits, then one step of `width` bits."""
    value = peek(streams, k, width, 0)
    streams.pos[k] += width
    return value


@njit(**_OPT)
def draw_block(streams, k, width, count, out, start, stride):
    """`count` steps of `width` (at most 32) bits each into ``out[start::stride]``."""
    reserve(streams, k, width * count)
    words = streams.words[k]
    pos = np.uint64(streams.pos[k])
    mask = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    at = np.uint64(start)
    for _ in range(count):
        word = pos >> np.uint64(5)
        pair = np.uint64(words[word]) | (np.uint64(words[word + np.uint64(1)]) << np.uint64(WORD))
        out[at] = (pair >> (pos & np.uint64(31))) & mask
        pos += np.uint64(width)
        at += np.uint64(stride)
    streams.pos[k] += width * count


@njit(**_OPT)
def window(streams, k):
    """State of register `k`: its next ``n`` bits as an integer (inverse of `load_window`)."""
    n = streams.length[k]
    low = min(n, np.int64(WORD))
    value = np.uint64(peek(streams, k, low, 0))
    if n > WORD:
        value |= np.uint64(peek(streams, k, n - WORD, WORD)) << np.uint64(WORD)
    return value


def output_words(streams: Streams, k: int, bits: int) -> np.ndarray:
    """The next `bits` bits of register `k` packed into uint32 words, least significant first; no step."""
    count = -(-bits // WORD)
    out = np.empty(count, np.uint32)
    for i in range(count):
        out[i] = peek(streams, k, min(WORD, bits - i * WORD), i * WORD)
    return out


def copy_streams(streams: Streams) -> Streams:
    """An independent copy (a checkpoint)."""
    return Streams(*(array.copy() for array in streams))
