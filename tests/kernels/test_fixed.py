"""Fixed-point acts against Python's unbounded integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chipsim.kernels.arithmetic import fixed

INT32 = st.integers(-(2**31) + 1, 2**31 - 1)


@given(INT32, st.integers(0, 4096))
def test_decay12(x: int, factor: int) -> None:
    expected = (abs(x) * factor >> 12) * (1 if x >= 0 else -1)
    assert fixed.decay12(np.int32(x), np.int32(factor)) == expected


@given(INT32, st.integers(1, 30))
def test_wrap_signed(x: int, bits: int) -> None:
    span = 1 << (bits + 1)
    assert fixed.wrap_signed(np.int32(x), np.int32(bits)) == (x + span // 2) % span - span // 2


@given(st.integers(-3 * 2**20, 3 * 2**20))
def test_fold_once(x: int) -> None:
    bound = 1 << 20
    expected = x - 2 * bound if x > bound else x + 2 * bound if x <= -bound else x
    assert fixed.fold_once(np.int32(x), np.int32(bound)) == expected


@given(st.integers(-(2**15), 2**15), st.integers(-16, 15))
def test_shift_by(x: int, exponent: int) -> None:
    expected = x << exponent if exponent >= 0 else x >> -exponent
    assert fixed.shift_by(np.int32(x), np.int32(exponent)) == expected
