"""from_torch without torch, and without loading it before it is called."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import chipsim as cs


def test_an_absent_torch_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(cs.ChipsimError, match=r"torch, which is not installed: pip install 'chipsim\[torch\]'"):
        cs.from_torch(object(), np.zeros((1, 4)))


def test_readers_load_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, chipsim as cs; cs.from_torch, cs.from_sklearn, cs.from_nir, cs.to_nir; "
    code += "print({'torch', 'sklearn', 'snntorch', 'norse', 'sinabs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
