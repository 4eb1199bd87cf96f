"""Every public name is known to a type checker, and means there what it is at run time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import chipsim as cs

ROOT = Path(__file__).parent.parent.parent

WELL_TYPED = """
import chipsim as cs

net = cs.Network("typed")
net.add("in", cs.SpikeSource(2))
net.add("out", cs.loihi.LIF(2, vth=100))
program: cs.Program = cs.compile(net, "loihi")
result: cs.Result = cs.Emulator(program).run({"in": [[1, 0]]}, steps=1)
steps: int = result.activity.steps
"""
#: Lines that a checker must refuse.
ILL_TYPED = [
    "cs.LIFF(3)",
    "cs.Emulator(program).run({}, steps=1).sikes",
    "number: int = cs.Emulator(program)",
    "cs.loihi.Lif(2)",
]


def errors(tmp_path: Path, text: str) -> str:
    """What pyright says of a user's file in `standard` mode."""
    (tmp_path / "user.py").write_text(text)
    settings = f'{{"typeCheckingMode": "standard", "extraPaths": ["{ROOT.as_posix()}"]}}'
    (tmp_path / "pyrightconfig.json").write_text(settings)
    out = subprocess.run([sys.executable, "-m", "pyright", "-p", str(tmp_path)], capture_output=True, text=True)
    return out.stdout


def test_a_checker_knows_every_public_name(tmp_path: Path) -> None:
    assert set(cs.__all__) == set(cs._DOORS)
    text = WELL_TYPED + "".join(f"{line}\n" for line in ILL_TYPED)
    text += "".join(f"reveal_type(cs.{name})\n" for name in cs.__all__)
    said = errors(tmp_path, text)
    first = WELL_TYPED.count("\n")
    wrong = {int(line.split(":")[1]) for line in said.splitlines() if " error: " in line}
    assert wrong == {first + k for k in range(1, 1 + len(ILL_TYPED))}, said
    unknown = [
        line for line in said.splitlines() if " information: " in line and "Unknown" in line.split("is")[-1][:12]
    ]
    assert not unknown, unknown


@pytest.mark.parametrize("name", cs.__all__)
def test_a_name_is_what_it_is_called(name: str) -> None:
    value = getattr(cs, name)
    if isinstance(value, type):
        assert value.__name__ == name
