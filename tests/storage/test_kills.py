"""A few kills of what writes files, in a process of its own (`tests.support.kills`; many by hand)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kills import KINDS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nothing_is_lost_when_processes_are_killed() -> None:
    root = Path(__file__).parent.parent.parent
    call = [sys.executable, "-m", "tests.support.kills", "--many", "3"]
    done = subprocess.run(call, cwd=root, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)})
    assert done.returncode == 0 and done.stdout.count("nothing lost") == len(KINDS), done.stderr[-2000:]
