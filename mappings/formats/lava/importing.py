"""The way to import lava-nc on Pythons that it was not written for."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from typing import Any


def patched_import() -> None:
    """Import lava-nc 0.10 on Python 3.11 and newer, where one of its dataclass defaults counts as mutable.

    Only while `lava.magma.compiler.var_model` is imported, dataclasses are made hashable; nothing installed is touched.
    """
    if sys.version_info < (3, 11) or "lava.magma.compiler.var_model" in sys.modules:
        return
    plain = dataclasses.dataclass

    def hashable(cls: Any = None, /, **options: Any) -> Any:
        if not options.get("frozen") and options.get("eq", True):
            options.setdefault("unsafe_hash", True)
        return plain(cls, **options) if cls is not None else plain(**options)

    dataclasses.dataclass = hashable  # type: ignore[assignment]
    try:
        importlib.import_module("lava.magma.compiler.var_model")
    finally:
        dataclasses.dataclass = plain
