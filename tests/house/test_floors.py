"""A lower floor never imports a higher one; importing the door costs neither a compiler nor a plot library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
#: The roof sees everything.
ROOF = {"chipsim/__main__.py", "chipsim/__init__.py", "kernels/__init__.py"}
FORBIDDEN = {"kernels": ("chipsim", "mappings"), "chipsim": ("mappings",), "mappings": ()}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {floor(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(floor(node.module))
            if node.module == "chipsim":
                names |= {alias.name for alias in node.names if alias.name in FORBIDDEN}
    return names


def floor(module: str) -> str:
    """`kernels` for chipsim.kernels.x, `mappings` for chipsim.mappings.x, else the first part."""
    parts = module.split(".")
    return parts[1] if parts[0] == "chipsim" and len(parts) > 1 and parts[1] in FORBIDDEN else parts[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_down(package: str) -> None:
    for path in modules(package):
        name = path.relative_to(ROOT).as_posix()
        if name in ROOF or name.startswith("chipsim/cli/"):
            continue
        wrong = imported(path) & set(FORBIDDEN[package])
        assert not wrong, f"{name} imports {', '.join(wrong)} from a higher floor"


def test_kernels_import_only_numba_and_numpy() -> None:
    standard = {"math", "typing", "__future__", "os", "hashlib", "pathlib", "functools", "re"}
    standard |= {"atexit", "shutil", "tempfile", "warnings"}  # of the cache of compiled kernels
    allowed = standard | {"numpy", "numba", "llvmlite", "kernels"}
    for path in modules("kernels"):
        if path == ROOT / "kernels" / "__init__.py":
            continue
        assert imported(path) <= allowed, f"{path.name}: {imported(path) - allowed}"


def test_the_door_is_light() -> None:
    code = "import sys, chipsim; print(*(m for m in ('numba', 'scipy', 'matplotlib', 'numpy') if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
