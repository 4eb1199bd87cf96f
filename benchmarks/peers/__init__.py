"""Other simulators on the same workloads: each module builds one and returns a function that runs it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def runner_of(library: str, module: str, data: dict[str, Any]) -> dict[str, Callable[[int], tuple[float, int]]]:
    """{name: run(steps)} of the peer in `module`; empty, with a line that says why, if `library` does not import."""
    if find_spec(library) is None:
        return {}
    peer = import_module(module)
    try:
        import_module(library)
    except (ImportError, AttributeError) as error:  # Brian2 2.9 asks numpy 2.4 for names that are gone
        print(f"{peer.NAME}: left out, {library} does not import here ({error})")
        return {}
    return {peer.NAME: peer.build(data)}
