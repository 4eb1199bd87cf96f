"""Lava out: a Loihi program as live Lava processes, or as a readable script that builds and runs them.

Both come from one source text, so that what the script does is what was tested. lava-nc 0.10 imports on Python 3.10;
`patched_import` makes it import on newer ones (docs/lava.md).
"""

from __future__ import annotations

import base64
import inspect
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chipsim.errors import RunError
from chipsim.mappings.network.network import Network
from chipsim.program.program import Program
from chipsim.storage.atomic import write_file

from . import text
from .check import check
from .importing import patched_import as patched_import
from .neurons import Script, add_neurons, add_source
from .synapses import add_projection


class LavaNetwork(NamedTuple):
    """Live Lava: `build(inputs, steps, third)` makes the processes, `run(inputs, steps, third, record)` runs them.

    `run` returns {population: {variable: (steps, n) int64}} with s_out and the states, and for a projection that
    learns {projection: {"w": (steps, post, pre), ...}}; `third` and `record` as the emulator takes them.
    """

    build: Any
    run: Any
    source: str


def to_lava(program: Program) -> LavaNetwork:
    """Lava processes of a program (lava-nc is imported when they are built).

    Raises
    ------
    CompileError
        What Lava cannot express, with the reason.
    """
    source = lava_source(program)
    names: dict[str, Any] = {"__name__": "lava_network"}
    exec(compile(source, f"<{program.name} for Lava>", "exec"), names)
    return LavaNetwork(names["build"], names["run"], source)


def write_lava_script(program: Program, path: str | Path) -> Path:
    """Write a stand-alone Python script (it needs lava-nc and numpy only); nothing is left behind if it fails."""
    source = lava_source(program)
    return write_file(path, source)


def write_script_of(value: Network | Program, path: str | Path) -> Path:
    """`write_lava_script` for whatever is to be written; raises RunError for a network that no chip was named for."""
    if not isinstance(value, Program):
        raise RunError(f"{path}: Lava takes the integers of a chip; name one with --chip loihi")
    return write_lava_script(value, path)


def lava_source(program: Program) -> str:
    """The script's text: a few lines per process, arrays packed at the end; raises CompileError."""
    check(program)
    script = Script()
    for k, image in enumerate(program.populations):
        if image.model.is_input:
            add_source(script, image)
        else:
            add_neurons(script, k, image)
    for k, projection in enumerate(program.projections):
        add_projection(script, k, program, projection)
    return _assembled(program, script)


def _assembled(program: Program, script: Script) -> str:
    """All parts of the text in order; helpers only where a line calls them."""
    neurons = [p for p in program.populations if not p.model.is_input]
    summary = (
        f"dt = {program.dt:g} s; {sum(p.n for p in neurons)} neurons in {len(neurons)} populations, "
        f"{len(program.projections)} projections."
    )
    third = ', "PROJECTION.y2" per third factor' if script.factors else ""
    helpers = {"sparse": text.SPARSE, "factor": text.FACTOR, "own": text.OWN}
    first = [*sorted(script.imports), ""]
    if "own" in script.helpers:
        first.append("own = own_processes()")
    lines = [*first, "a, p, into, out = arrays(), {}, {}, {}", *script.lines]
    return "".join(
        [
            text.HEAD.format(title=_plain(program.name), summary=summary, third=third),
            f"\n\n{inspect.getsource(patched_import).rstrip()}\n",
            *(helpers[k] for k in helpers if k in script.helpers),
            text.BUILD,
            *(f"    {line}\n" if line else "\n" for line in lines),
            text.TAIL.format(
                sources=script.sources,
                sizes=script.sizes,
                record=script.record,
                parts=script.parts,
                shapes=script.shapes,
                factors=script.factors,
                data=_packed(script.arrays),
            ),
        ]
    )


def _plain(name: str) -> str:
    """A name that cannot end the text it stands in."""
    return name.replace("\\", "/").replace('"', "'").replace("\n", " ")


def _packed(arrays: dict[str, np.ndarray]) -> str:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    code = base64.b64encode(buffer.getvalue()).decode()
    return "\n".join(f'    "{code[i : i + 100]}"' for i in range(0, len(code), 100))
