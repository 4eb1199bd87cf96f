"""The rooms of the house: what each may import, and that nothing runs up or in a circle.

Every import counts alike, at the top of a file, inside a function or for type checkers only.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "chipsim"

#: Room -> rooms it may import; and what those may, it may as well. A room is a folder, or one of the files named here.
ROOMS: dict[str, str] = {
    "ground": "",
    "kernels": "",
    "kernels.mesh": "kernels",
    "kernels.arithmetic": "kernels",
    "kernels.core": "kernels.arithmetic",
    "kernels.chips": "kernels.arithmetic",
    "kernels.learning": "kernels.core",
    "plots": "ground",
    "chips": "ground",
    "native": "chips kernels.chips kernels.core",
    "rules": "native plots kernels.learning",
    "storage": "native rules",
    "sweep": "chips storage plots",
    "program": "storage",
    "engines": "program",
    "run": "engines",
    "estimate": "run kernels.mesh",
    "report": "estimate plots",
    "top": "report estimate run",
    "mappings.network": "rules storage",
    "mappings.compiler.cores": "mappings.network",
    "mappings.compiler.quantise": "mappings.network",
    "mappings.compiler.lower": "mappings.network engines",
    "mappings.compiler": "mappings.compiler.cores mappings.compiler.quantise mappings.compiler.lower top",
    "mappings.builders": "mappings.compiler",
    "mappings.formats": "mappings.builders",
    "mappings.studies": "mappings.formats sweep",
    "mappings.experiments": "mappings.studies",
    "cli": "mappings.experiments top sweep",
}
FILES = {
    **dict.fromkeys(("errors", "checks", "text", "sparse", "kept", "printed_table"), "ground"),
    **dict.fromkeys(("emulator", "results"), "top"),
    "__main__": "cli",
}
#: They name what is above them, as a door does; `namesake` is what they need to be one.
FACES = {"chipsim", "chipsim.kernels", "chipsim.mappings", "chipsim.namesake"}
#: Most modules of one folder.
MOST = 15
#: Folders that are still fuller, and how full they may be.
FULLER = {"chipsim.rules": 18}


def folders() -> list[Path]:
    """The folders of the package, each by its path without links."""
    found = {path.parent.resolve() for path in PACKAGE.rglob("*.py")}
    for linked in ("kernels", "mappings"):
        found |= {path.parent.resolve() for path in (PACKAGE / linked).rglob("*.py")}
    return sorted(found)


def named(path: Path) -> str:
    """The module that a file is."""
    parts = path.relative_to(ROOT.resolve()).with_suffix("").parts
    full = parts if parts[0] == "chipsim" else ("chipsim", *parts)
    return ".".join(full).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {named(path): path for folder in folders() for path in sorted(folder.glob("*.py"))}


def room(module: str) -> str:
    name = module.removeprefix("chipsim.")
    if name in FILES:
        return FILES[name]
    holding = [r for r in ROOMS if name == r or name.startswith(r + ".")]
    assert holding, f"{module} belongs to no room: move it into one (docs/architecture.md)"
    return max(holding, key=len)


def imports(module: str) -> set[str]:
    """The modules of this package that `module` imports anywhere in its file."""
    path = modules()[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{full}.{alias.name}"
                found.add(inner if inner in modules() else full)
    return {name for name in found if name in modules() and name != module} - FACES


@cache
def reach(name: str) -> frozenset[str]:
    """What a room may import: itself, the rooms named, and what they may."""
    return frozenset({name}.union(*(reach(other) for other in ROOMS[name].split())))


def edges() -> dict[str, set[str]]:
    return {m: imports(m) for m in modules() if m not in FACES}


def test_every_import_goes_where_its_room_may_look() -> None:
    wrong = [
        f"{m} ({room(m)}) imports {other} ({room(other)})"
        for m, others in edges().items()
        for other in sorted(others)
        if room(other) not in reach(room(m))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_room_is_reached_from_below() -> None:
    """The table itself has no circle: no room may import one that may import it."""
    for name in ROOMS:
        for other in reach(name) - {name}:
            assert name not in reach(other), f"{name} and {other} may import each other"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(node: str, into: list[str], along: dict[str, set[str]]) -> None:
        stack = [(node, iter(sorted(along.get(node, ()))))]
        seen.add(node)
        while stack:
            top, rest = stack[-1]
            following = next((n for n in rest if n not in seen), None)
            if following is None:
                into.append(top)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(along.get(following, ())))))

    for node in graph:
        if node not in seen:
            visit(node, order, graph)
    back: dict[str, set[str]] = defaultdict(set)
    for node, others in graph.items():
        for other in others:
            back[other].add(node)
    seen.clear()
    found = []
    for node in reversed(order):
        if node not in seen:
            group: list[str] = []
            visit(node, group, back)
            found.append(sorted(group))
    return [group for group in found if len(group) > 1]


def test_files_import_each_other_in_no_circle() -> None:
    found = circles(edges())
    assert not found, "\n".join(" <-> ".join(group) for group in found)


@pytest.mark.parametrize("folder", folders(), ids=lambda f: named(f / "__init__.py"))
def test_a_folder_is_small_and_says_its_job(folder: Path) -> None:
    files = [path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert len(files) <= FULLER.get(named(folder / "__init__.py"), MOST), (
        f"{folder.name} holds {len(files)} modules: make rooms in it"
    )
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert said, f"{folder.name}/__init__.py does not say what the room is for"
    prefixes = Counter(stem.partition("_")[0] for stem in files if "_" in stem)
    families = [f"{prefix}_*" for prefix, n in prefixes.items() if n > 2]
    assert not families, f"{folder.name}: {families[0]} is a folder that nobody made"


def test_the_check_sees_circles_and_late_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    late = tmp_path / "late.py"
    late.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .results import Result\n"
                    "def f():\n    from chipsim import emulator\n    import chipsim.errors\n")  # fmt: skip
    monkeypatch.setitem(modules(), "chipsim.late", late)
    assert imports("chipsim.late") == {"chipsim.results", "chipsim.emulator", "chipsim.errors"}
