"""Bytes and texts for the Catalyst N1 from nowhere: answered or refused in words, never a crash."""

from __future__ import annotations

import contextlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.engines.catalyst.host import Host
from chipsim.native.catalyst.stream import COMMANDS

BUILD = cs.catalyst.Build(cores=2, neurons=16, pool_bits=6, fan_in=4)


def commands(seed: int, count: int) -> bytes:
    """Whole commands with random payloads; runs of at most two timesteps."""
    rng = np.random.default_rng(seed)
    out = bytearray()
    for code in rng.choice(list(COMMANDS), count):
        size = COMMANDS[int(code)][1]
        payload = rng.integers(0, 256, size, dtype=np.uint8) * rng.integers(0, 2, size, dtype=np.uint8)
        out += bytes([int(code)]) + (bytes([0, int(rng.integers(3))]) if code == 4 else payload.tobytes())
    return bytes(out)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**9))
def test_any_commands_are_answered(seed) -> None:
    host = Host(BUILD, hardware=bool(seed % 2))
    try:
        for command in cs.catalyst.read_commands(commands(seed, 120)):
            host.execute(command)
    except cs.RunError as error:  # a program without halt, or a network that never rests
        assert "HALT" in str(error) or "for ever" in str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data) -> None:
    try:
        found = cs.catalyst.read_commands(data)
    except cs.NetworkError:
        return
    assert cs.catalyst.write_commands(found) == data


@given(st.text(alphabet="ltdp3:\n adw,xr1-0;#hskiznmu", max_size=120))
def test_any_text_is_assembled_or_refused(text) -> None:
    with contextlib.suppress(cs.NetworkError):
        cs.catalyst.Program(text)
