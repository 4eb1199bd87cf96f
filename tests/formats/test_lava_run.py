"""Exported programs in Lava's own CPU simulator, step by step against the emulator (Python 3.10 with lava-nc)."""

from __future__ import annotations

import contextlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chipsim as cs
from chipsim.mappings.formats.lava.writer import patched_import, to_lava, write_lava_script
from tests.support.lava_nets import CASES, random_case

with contextlib.suppress(ImportError):
    patched_import()
pytest.importorskip("lava.proc.lif.process", reason="lava-nc", exc_type=Exception)

STEPS = 60


def emulated(program: cs.Program, inputs: dict, third: dict, record: dict, steps: int) -> dict:
    """What the emulator gives for Lava's record."""
    wanted = {name: [v for v in variables if v != "s_out"] for name, variables in record.items()}
    wanted = {name: variables for name, variables in wanted.items() if variables}
    result = cs.Emulator(program).run(inputs, steps, record=wanted, third=third or None)
    out: dict = {}
    for name, variables in record.items():
        kept = result.learning[name].trace if name in result.learning else result.trace.get(name, {})
        out[name] = {v: result.spikes[name] if v == "s_out" else kept[v] for v in variables}
    return out


def compare(found: dict, expected: dict, must_spike: bool = True) -> None:
    assert found.keys() == expected.keys()
    for name, variables in expected.items():
        for variable, values in variables.items():
            got = found[name][variable]
            np.testing.assert_array_equal(got.reshape(values.shape), values, err_msg=f"{name}.{variable}")
            assert not must_spike or variable not in ("s_out", "w") or np.any(values != values.flat[0]), (
                f"{name}.{variable} is constant"
            )


def compiled(net: cs.Network) -> cs.Program:
    """On one core, which a spike source that teaches must be told."""
    teaching = any(p.post.model.is_input for p in net.projections.values())
    held = [name for name, p in net.populations.items() if not p.model.is_input or name == "teach"]
    return cs.compile(net, "unlimited", seed=3, placement=dict.fromkeys(held, 0) if teaching else None)


def record_of(source: str) -> dict:
    names: dict = {"__name__": "read"}
    exec(compile(source, "script", "exec"), names)
    return names["RECORD"]


#: Convolutions need reshaped ports, which Lava 0.10 makes with an argument that newer numpy lacks.
RESHAPES = "newshape" in inspect.signature(np.reshape).parameters


@pytest.mark.parametrize("name", CASES)
def test_equals_the_emulator(name: str) -> None:
    net, inputs, third = CASES[name](STEPS)
    program = compiled(net)
    lava = to_lava(program)
    if name.startswith("images") and not RESHAPES:
        with pytest.raises(RuntimeError, match="install numpy<2"):
            lava.run(inputs, STEPS, third)
        return
    found = lava.run(inputs, STEPS, third)
    compare(found, emulated(program, inputs, third, record_of(lava.source), STEPS))


@pytest.mark.parametrize("seed", range(4))
def test_random_programs(seed: int) -> None:
    """Slow: Lava starts a process of the operating system for each of its own."""
    net, inputs, third = random_case(seed, 25)
    program = cs.compile(net, "unlimited")
    lava = to_lava(program)
    compare(lava.run(inputs, 25), emulated(program, inputs, third, record_of(lava.source), 25), must_spike=False)


def test_script_runs_alone(tmp_path: Path) -> None:
    """In a fresh interpreter, without chipsim on its path, from files to files."""
    net, inputs, third = CASES["reward"](STEPS)
    program = compiled(net)
    path = write_lava_script(program, tmp_path / "net_lava.py")
    flat = {}
    for projection, given in third.items():
        for factor, values in (given if isinstance(given, dict) else {"y2": given}).items():
            flat[f"{projection}.{factor}"] = np.full(STEPS, values) if np.ndim(values) == 0 else values
    np.savez(tmp_path / "in.npz", **inputs, **flat)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    call = [sys.executable, path.name, "in.npz", "--out", "out.npz"]
    call += ["--newer-python"] * (sys.version_info >= (3, 11))
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "a spikes:" in done.stdout
    expected = emulated(program, inputs, third, record_of(path.read_text()), STEPS)
    with np.load(tmp_path / "out.npz") as data:
        found = {name: {v: data[f"{name}.{v}"] for v in variables} for name, variables in expected.items()}
    compare(found, expected)


def test_given_factors_take_the_place_of_the_neurons_own_trace() -> None:
    net, inputs, third = CASES["reward"](20)
    third["x->a"] = {"y1": np.arange(20) * 3, "y2": third["x->a"]}
    program = compiled(net)
    lava = to_lava(program)
    record = {"x->a": ("w", "t", "y1")}
    compare(lava.run(inputs, 20, third, record), emulated(program, inputs, third, record, 20))


def test_record_and_several_runs() -> None:
    """Only what is asked for; a second run starts anew."""
    net, inputs, _ = CASES["graded"](20)
    lava = to_lava(cs.compile(net, "unlimited"))
    first, second = (lava.run(inputs, 20, record={"t": ("v",)}) for _ in range(2))
    assert {name: list(v) for name, v in first.items()} == {"t": ["v"]}
    np.testing.assert_array_equal(first["t"]["v"], second["t"]["v"])
    with pytest.raises(ValueError, match=r"input 'x' has shape \(20, 5\); give \(20, 6\)"):
        lava.run({"x": np.zeros((20, 5))}, 20)
