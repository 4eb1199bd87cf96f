"""Compiler options of the kernels, in one place.

`ENTRY`: callable from Python. `INNER`: called by kernels only; without Python entry, a fifth less to compile.
`INLINE`: acts of a step that are called from one place and take whole records: compiled where they are called,
because a record's sixty arrays are copied for every call (W1: 0.5 us per step). All do without reference counts,
because every array outlives the call: counting them cost 4x on small networks (W1: 11 -> 2.7 us per step).
"""

from __future__ import annotations

from typing import Any

ENTRY: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
INNER: dict[str, Any] = {**ENTRY, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INLINE: dict[str, Any] = {**INNER, "inline": "always"}
