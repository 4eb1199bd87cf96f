"""A lower floor never imports a higher one; importing the door costs neither a compiler nor a plot library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: The roof sees everything.
ROOF = {"chipsim/__main__.py", "chipsim/__init__.py"}
FORBIDDEN = {"kernels": ("chipsim", "mappings"), "chipsim": ("mappings",), "mappings": ()}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_down(package: str) -> None:
    for path in modules(package):
        name = path.relative_to(ROOT).as_posix()
        if name in ROOF or path.name.startswith("cli"):
            continue
        wrong = imported(path) & set(FORBIDDEN[package])
        assert not wrong, f"{name} imports {', '.join(wrong)} from a higher floor"


def test_kernels_import_only_numba_and_numpy() -> None:
    standard = {"math", "typing", "__future__", "os", "hashlib", "pathlib", "functools", "re"}
    allowed = standard | {"numpy", "numba", "llvmlite", "kernels"}
    for path in modules("kernels"):
        assert imported(path) <= allowed, f"{path.name}: {imported(path) - allowed}"


def test_the_door_is_light() -> None:
    code = "import sys, chipsim; print(*(m for m in ('numba', 'scipy', 'matplotlib', 'numpy') if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
