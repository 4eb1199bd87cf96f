"""A rule's kernel: generated source, one explicit signature, compiled and cached on disk.

Every rule compiles to the same signature (see `chipsim.rules`), so a compiled run loop can take any rule as a
function pointer without being compiled again. The source is written to a cache folder and imported from
there, because Numba can only cache functions that come from files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba import types

from chipsim.errors import RunError
from chipsim.kernels import intrinsics, jit
from chipsim.kernels.arithmetic import rounding, surrogates
from chipsim.kernels.cache import scratch
from chipsim.rules.declaration import Rule
from chipsim.rules.source import generate

WEIGHT_TYPES = {"float64": types.float64, "int32": types.int32}


def signature(weight: str = "float64") -> Any:
    """The Numba signature of every rule kernel with weights of this dtype."""
    i64, f64 = types.int64, types.float64
    ids, index = types.Array(types.int32, 1, "C"), types.Array(types.uint32, 1, "C")
    flat, table = types.Array(f64, 1, "C"), types.Array(f64, 2, "C")
    w = types.Array(WEIGHT_TYPES[weight], 1, "C")
    counts = types.Array(i64, 1, "C")
    return types.void(
        i64,
        i64,
        ids,
        ids,
        index,
        index,
        index,
        index,
        index,
        w,
        table,
        table,
        table,
        flat,
        flat,
        table,
        flat,
        counts,
    )


def cache_folder() -> Path:
    """Where generated kernels live: $CHIPSIM_CACHE, else the user's cache folder, else a temporary one."""
    chosen = os.environ.get("CHIPSIM_CACHE")
    try:
        base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chipsim"
        (base / "rules").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base / "rules"):
            return base / "rules"
    except (OSError, RuntimeError):  # nothing can be written there, or there is no home
        return Path(scratch())


@lru_cache(maxsize=1)
def inlined_source() -> str:
    """Source of what Numba compiles into every rule: when it changes, cached rules are stale."""
    return "".join(Path(str(module.__file__)).read_text() for module in (rounding, surrogates, intrinsics, jit))


@lru_cache(maxsize=256)
def load(source: str, stem: str) -> Any:
    """The compiled kernel of this source; written to the cache folder first if it is not there."""
    digest = hashlib.sha256((source + inlined_source()).encode()).hexdigest()[:16]
    path = _written(cache_folder() / f"{stem}_{digest}.py", source)
    name = f"chipsim_rule_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba's cache finds the globals of a function by its module's name
    spec.loader.exec_module(module)
    return module.kernel


def _written(path: Path, source: str) -> Path:
    """The file of a kernel's source: `path`, or one in a folder of this process if that cannot be written."""
    if _holds(path, source) or _write(path, source) is None:
        return path
    other = Path(scratch()) / path.name
    problem = _write(other, source)
    if problem is not None:
        raise RunError(f"rule kernels have nowhere to go ({problem}); set CHIPSIM_CACHE to a folder with room")
    return other


def _write(path: Path, source: str) -> str | None:
    """Write a file at once; what is in the way, or None."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as file:
            file.write(source)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        return error.strerror or str(error)
    return None


def _holds(path: Path, source: str) -> bool:
    try:
        return path.read_text() == source
    except (OSError, UnicodeDecodeError):
        return False


def compile_rule(rule: Rule, weight: str = "float64") -> Any:
    """The rule as a compiled function of the common signature; weights as float64 or as int32 multiples of
    the step."""
    if weight == "int32" and rule.weight is None:
        raise ValueError(f"rule {rule.name}: integer weights need a declared weight format")
    return load(generate(rule, weight), rule.name)


def address_of(kernel: Any, weight: str = "float64") -> int:
    """Where the C entry of a compiled rule lies in memory: valid as long as `kernel` lives."""
    compiled = kernel.get_compile_result(signature(weight))
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
