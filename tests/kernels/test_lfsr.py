"""The word-wise streams against their bit-serial definition."""

from __future__ import annotations

import numpy as np
import pytest

from chipsim.kernels.arithmetic import lfsr

TAPS = [(3, 25), (1, 22), (1, 15), (3, 17), (7, 63), (5, 33)]


def serial(window: int, tap: int, length: int, count: int) -> np.ndarray:
    """s[t] = s[t-tap] ^ s[t-length], bit by bit, from the first `length` bits on."""
    s = [(window >> i) & 1 for i in range(length)]
    while len(s) < count:
        s.append(s[-tap] ^ s[-length])
    return np.array(s[:count], dtype=np.int64)


def as_int(bits: np.ndarray) -> int:
    return int(sum(int(b) << i for i, b in enumerate(bits)))


@pytest.mark.parametrize(("tap", "length"), TAPS)
def test_draws_follow_the_bit_serial_definition(tap: int, length: int) -> None:
    rng = np.random.default_rng(length)
    seed = int(rng.integers(1, 2**length, dtype=np.uint64))
    streams = lfsr.make_streams([(1, 2), (tap, length)], words=1024)
    lfsr.load_window(streams, 1, seed)
    bits = serial(seed, tap, length, 40_000)
    at = 0
    out = np.zeros(64, np.int64)
    while at < 30_000:
        kind = rng.integers(3)
        width = int(rng.integers(1, 33))
        if kind == 0:
            assert lfsr.draw(streams, 1, width) == as_int(bits[at : at + width])
            at += width
        elif kind == 1:
            off = int(rng.integers(0, 512))
            assert lfsr.peek(streams, 1, width, off) == as_int(bits[at + off : at + off + width])
        else:
            count = int(rng.integers(1, 32))
            lfsr.draw_block(streams, 1, width, count, out, 1, 2)
            want = [as_int(bits[at + i * width : at + (i + 1) * width]) for i in range(count)]
            assert out[1 : 1 + 2 * count : 2].tolist() == want
            at += width * count
    assert int(lfsr.window(streams, 1)) == as_int(bits[at : at + length])
    assert not streams.words[0].any()


def test_output_words_and_copy() -> None:
    streams = lfsr.make_streams([(3, 25)])
    lfsr.load_window(streams, 0, 12345)
    bits = serial(12345, 3, 25, 1024)
    other = lfsr.copy_streams(streams)
    lfsr.draw(other, 0, 17)
    words = lfsr.output_words(other, 0, 448)
    assert words.size == 14
    assert words.tolist() == [as_int(bits[17 + 32 * i : 49 + 32 * i]) for i in range(14)]
    assert int(lfsr.window(streams, 0)) == 12345


def test_maximal_period_of_the_fifteen_bit_register() -> None:
    streams = lfsr.make_streams([(1, 15)])
    lfsr.load_window(streams, 0, 1)
    out = np.zeros(2**15 - 1, np.int64)
    for i in range(out.size):
        out[i] = lfsr.draw(streams, 0, 15)
    assert int(lfsr.window(streams, 0)) == 1
    assert np.unique(out).size == out.size and out.min() == 1


def test_bad_taps_are_refused() -> None:
    with pytest.raises(ValueError, match="taps"):
        lfsr.make_streams([(3, 3)])
    with pytest.raises(ValueError, match="taps"):
        lfsr.make_streams([(3, 64)])
