"""What is imported and installed is `chipsim` alone: `kernels` and `mappings` are names that others use as well."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def python(code: str, *path: Path, cwd: Path) -> str:
    """What a fresh interpreter prints that finds modules in `path` only, and in site-packages."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def somebody_elses(folder: Path, name: str = "kernels") -> Path:
    """A folder with another distribution's package of that name."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("def get_kernel(): return 'theirs'\n")
    return folder


def test_a_bare_import_makes_no_second_copy(tmp_path: Path) -> None:
    code = """
import mappings.network.network as bare, kernels.jit, sys
import chipsim.mappings.network.network as full, chipsim as cs, chipsim.kernels.jit
assert bare is full and bare.Network is cs.Network and kernels.jit is chipsim.kernels.jit
assert full.__spec__.name == full.__name__ == 'chipsim.mappings.network.network'
from mappings import eprop_network
print(len({id(m) for n, m in sys.modules.items() if n.endswith('mappings.network.network')}))
"""
    assert python(code, ROOT, cwd=tmp_path) == "1"


@pytest.mark.parametrize("first", [True, False])
def test_another_package_of_the_name_goes_first(tmp_path: Path, first: bool) -> None:
    theirs = somebody_elses(tmp_path / "site")
    path = (theirs, ROOT) if first else (ROOT, theirs)
    code = "import kernels, chipsim.kernels.jit; print(kernels.get_kernel())"
    assert python(code, *path, cwd=tmp_path) == "theirs"


def test_the_wheel_holds_chipsim_alone_and_lives_beside_another_kernels(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
        ours = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in ours if not name.endswith(".dist-info")} == {"chipsim"}
    for package in ("kernels/core/machine.py", "mappings/network/network.py", "report/templates", "chips/loihi.yaml"):
        assert (site / "chipsim" / package).exists()
    somebody_elses(site)
    here = "import os, chipsim as cs, chipsim.kernels.jit; cs.Network(); print(os.path.dirname(cs.__file__))"
    both = f"import kernels; assert kernels.get_kernel() == 'theirs'; {here}"
    assert python(both, site, cwd=tmp_path) == str(site / "chipsim")
    shutil.move(site / "kernels", tmp_path / "gone")
    assert python(here, site, cwd=tmp_path) == str(site / "chipsim")
    shutil.move(tmp_path / "gone", site / "kernels")
    for name in ours:
        shutil.rmtree(site / name)
    assert python("import kernels; print(kernels.get_kernel())", site, cwd=tmp_path) == "theirs"
