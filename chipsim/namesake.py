"""`kernels` and `mappings` are general names: installed, they are `chipsim.kernels` and `chipsim.mappings` only.

In a checkout their folders lie at the top, where Python may find them under the bare name. Then another distribution of
that name goes first; without one the bare name stands for chipsim's package, module by module, never for a second copy.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any


def give_way(name: str, file: str) -> None:
    """Put the right package into `sys.modules` for bare `name`, which Python found in a checkout at `file`."""
    here = Path(file).resolve().parent
    spec = PathFinder.find_spec(name, [p for p in sys.path if not _is_checkout(Path(p or "."), name, here)])
    if spec is not None and spec.loader is not None and spec.origin:
        other = module_from_spec(spec)
        sys.modules[name] = other
        spec.loader.exec_module(other)
        return
    sys.modules[name] = import_module(f"chipsim.{name}")
    sys.meta_path.insert(0, _Finder(name))


def _is_checkout(folder: Path, name: str, here: Path) -> bool:
    """True for a folder on the path whose package `name` is chipsim's, of this checkout or of another one."""
    found = (folder / name).resolve()
    return found == here or found == (folder / "chipsim" / name).resolve()


class _Finder(MetaPathFinder):
    """Finds `name.x` as `chipsim.name.x`."""

    def __init__(self, name: str) -> None:
        self.prefix = f"{name}."

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """A spec whose loader hands out the module that chipsim has."""
        if not fullname.startswith(self.prefix):
            return None
        return ModuleSpec(fullname, _Same())


class _Same(Loader):
    """Loads nothing: the module is there under its real name."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of chipsim."""
        module = import_module(f"chipsim.{spec.name}")
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which the import system has replaced."""
        module.__spec__ = self.spec
