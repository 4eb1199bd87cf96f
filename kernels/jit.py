"""Compiler options of the kernels, in one place.

`ENTRY`: callable from Python. `INNER`: called by kernels only; without Python entry, a fifth less to compile.
Both do without reference counts, because every array outlives the call: counting them cost 4x on small
networks (W1: 11 -> 2.7 us per step).
"""

from __future__ import annotations

from typing import Any

ENTRY: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
INNER: dict[str, Any] = {**ENTRY, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
