"""The compiled Catalyst N1 against the plain Python one, on random configurations of every register."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import chipsim as cs
from chipsim.engines.catalyst.engine import N1Engine
from tests.oracles.naive_n1 import Chip
from tests.support.catalyst_nets import random_drive, random_operations

BUILD = cs.catalyst.Build(cores=2, neurons=16, pool_bits=8, fan_in=4)
MEMORIES = ("v", "u", "refrac", "acc", "dend", "spike_cnt", "spike_ts", "thr", "traces", "w", "elig", "delay", "tag")


def random_program(rng: np.random.Generator, core: int) -> list[tuple[int, ...]]:
    """Sections of random instructions that end in halt."""
    rows = []
    for start in (0, 64, 128, 192):
        words = rng.integers(0, 1 << 32, 12, dtype=np.int64)
        words[(words >> 28) == 13] = 0
        for k, word in enumerate([*words.tolist(), 13 << 28, 13 << 28]):
            rows.append((6, core, start + k, word >> 16, word & 0xFFFF, 0, 0))
    return rows


@settings(max_examples=12)
@given(seed=st.integers(0, 10**9))
def test_compiled_equals_plain(seed) -> None:
    rng = np.random.default_rng(seed)
    rows = [*random_operations(rng, BUILD).tolist(), *random_program(rng, seed % 2)]
    drive = random_drive(rng, BUILD, 14, share=0.3)
    engine, plain = N1Engine(BUILD, rows), Chip(BUILD, rows)
    for t in range(14):
        mine = drive["stimuli"][drive["stimuli"][:, 0] == t]
        flags, reward, stall = (int(drive[k][t]) for k in ("flags", "reward", "stall"))
        run = engine.run(1, mine * [0, 1, 1, 1], flags=flags, reward=reward, stall=stall)
        cycles, spikes = plain.step(mine[:, 1:].tolist(), flags, reward, stall)
        assert run.cycles[0] == cycles
        assert run.spikes[:, 1:].tolist() == [list(s) for s in spikes]
        for name in MEMORIES:
            assert np.array_equal(engine.memory(name), plain.memory(name)), (t, name)
        assert np.array_equal(engine.memory("core_regs")[:, 0], plain.memory("lfsr"))
