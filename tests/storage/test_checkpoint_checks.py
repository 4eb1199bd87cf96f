"""What engines keep, as `restore` and `load` take it: every array of every family, shape, dtype and range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import chipsim as cs
from chipsim.kept import Kept, checked, like, number, same
from tests.fuzz.nets import NETS, emulator_of, inputs_of, teaching

#: Arrays of which any value is one that the engine may hold.
FREE = ("noise/keys", "scheduler", "streams.words", "net/", "sum/", "log/", "syn", "state/rows", "state/value",
        "state/drive", "state/acc", "last/value", "weight", "state.", "learning.reg", "sent", "rng", "/pre", "/post",
        "/y",        "net_data", "net_out", "net_hand", "current", "izh")  # fmt: skip


def described(engine: Any, state: dict[str, Any]) -> dict[str, Kept]:
    """What the engine says of its state."""
    from chipsim.engines.reckon.program import ReckonProgramEngine

    if hasattr(engine, "kept"):
        return engine.kept(state)
    inner = getattr(engine, "steps_engine", None)
    if inner is not None:
        return {"step": number(), **inner.core.kept()}
    if isinstance(engine, ReckonProgramEngine):
        return {"step": number(), **engine.chip.kept()}
    return engine.grid.kept() if hasattr(engine, "grid") else {}


@pytest.mark.parametrize("name", [n for n in NETS if n not in ("declared", "engine", "pes")])
def test_every_array_is_checked(name: str) -> None:
    emulator, state = emulator_of(name)
    emulator.restore(state)
    for key, value in state.items():
        array = np.asarray(value)
        wrong: list[Any] = [np.zeros((3, 1, 4)), array.astype(complex), "words", None]
        if array.ndim:
            wrong.append(np.concatenate([array.reshape(-1), np.zeros(5, array.dtype)]).reshape(1, -1))
        if array.size and array.dtype.kind in "iu" and not any(part in key for part in FREE):
            for extreme in (np.iinfo(array.dtype).min, np.iinfo(array.dtype).max):
                if extreme:
                    changed = array.copy()
                    changed.reshape(-1)[0] = extreme
                    wrong.append(changed)
        for bad in wrong:
            with pytest.raises(cs.RunError, match="state") as caught:
                emulator.restore({**state, key: bad})
            assert len(str(caught.value).splitlines()) == 1
        if key not in ("weight", "tail/ptr", "tail/ids"):
            with pytest.raises(cs.RunError, match="lacks"):
                emulator.restore({k: v for k, v in state.items() if k != key})
    with pytest.raises(cs.RunError, match="nothing that this program keeps"):
        emulator.restore({**state, "more": np.zeros(2)})
    assert_same(emulator.state(), state)  # a refused state changes nothing


def assert_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        np.testing.assert_array_equal(value, b[key], err_msg=key)


@pytest.mark.parametrize("name", [n for n in NETS if n not in ("declared", "engine", "pes")])
def test_what_the_emulator_keeps_is_what_it_takes(name: str, tmp_path: Path) -> None:
    emulator, state = emulator_of(name)
    emulator.restore(state)
    emulator.run(inputs_of(emulator.program, 9), 9, **teaching(name, 9))
    later = emulator.state()
    emulator.save(tmp_path / "c.h5")
    emulator.restore(state)
    emulator.load(tmp_path / "c.h5")
    assert_same(emulator.state(), later)
    emulator.restore(state)


#: Entries of checkpoints that went into kernels unchecked -> (program, where, what).
ATTACKS = {
    "id beyond all neurons": ("loihi", "last/ids", lambda a: np.full(max(a.size, 1), 2**31, a.dtype)),
    "flags of 255": ("loihi", "state/fired", lambda a: np.full_like(a, 255)),
    "ends that go back": ("loihi", "state/last_ptr", lambda a: a[::-1] + 1),
    "began after step": ("loihi", "began", lambda a: a * 0 + 10**6),
    "step negative": ("loihi", "step", lambda a: a * 0 - 5),
    "noise position": ("noisy", "noise/position", lambda a: a * 0 + 10**9),
    "fifo head": ("odin", "clock", lambda a: np.where(np.arange(a.size) == 3, 10**6, a)),
    "fifo count": ("tinyodin", "clock", lambda a: np.where(np.arange(a.size) == 4, 10**6, a)),
    "wiring": ("truenorth", "net_sources", lambda a: a + 10**6),
    "buffers": ("truenorth", "net_first", lambda a: a + 10**6),
    "list of merges": ("truenorth", "net_counters", lambda a: a + 50),
    "stream position": ("reckon", "streams.pos", lambda a: a + 10**9),
    "stream length": ("reckon", "streams.length", lambda a: a + 1000),
    "counts": ("xylo", "counts", lambda a: a + 2**30),
    "times of spikes": ("linear", "learn/0/traces", lambda a: a + 2**20),
    "log of another width": ("eprop", "learn/2/log/z", lambda a: np.zeros((5, 1), np.uint8)),
}


@pytest.mark.parametrize("case", ATTACKS)
def test_values_out_of_range_reach_no_kernel(case: str, tmp_path: Path) -> None:
    name, key, change = ATTACKS[case]
    emulator, state = emulator_of(name)
    assert key in state, sorted(state)
    bad = change(np.asarray(state[key]))
    with pytest.raises(cs.RunError):
        emulator.restore({**state, key: bad})
    path = emulator.save(tmp_path / "c.h5")
    with h5py.File(path, "r+") as file:
        del file[f"state/{key}"]
        file[f"state/{key}"] = bad
    with pytest.raises(cs.FileError, match=r"c\.h5") as caught:
        emulator.load(path)
    assert len(str(caught.value).splitlines()) == 1
    assert_same(emulator.state(), state)


def test_a_description_says_what_is_wrong() -> None:
    wanted = {"a": like(np.zeros((2, 3), np.int32), -1, 5), "n": number(0, 9), "w": same(np.arange(3))}
    good = {"a": np.zeros((2, 3), np.int32), "n": 4, "w": np.arange(3)}
    assert checked(good, wanted)["n"] == 4
    for key, bad, said in (
        ("a", np.zeros((2, 3)), "float64"), ("a", np.zeros((3, 2), np.int32), r"\(3, 2\)"),
        ("a", np.full((2, 3), 6, np.int32), "holds 6; it must be in -1..5"), ("n", 10, "holds 10"),
        ("n", 0.5, "float64"),
        ("w", np.arange(1, 4), "wired"), ("a", [[1], [1, 2]], "no array"), ("n", 2**80, "state"),
    ):  # fmt: skip
        with pytest.raises(cs.RunError, match=said):
            checked({**good, key: bad}, wanted)
    with pytest.raises(cs.RunError, match="NaN"):
        checked({"x": np.array([np.nan])}, {"x": like(np.zeros(1), finite=True)})
