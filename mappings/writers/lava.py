"""Lava out: a Loihi program as live Lava processes, or as a readable script that builds and runs them.

Both come from one source text, so that what the script does is what was tested. lava-nc 0.10 imports on Python 3.10;
`patched_import` makes it import on newer ones (docs/lava.md).
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import io
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.errors import CompileError
from chipsim.native.synapses import Synapses
from chipsim.program import Program
from chipsim.storage_file import replacing

MAX_DELAY = 62  #: steps, of Loihi 1
_HEAD = '''"""{title}: written by chipsim; runs in Lava's CPU simulator with the arithmetic of Loihi.

{summary}
"""

import base64
import io

import numpy as np


def arrays():
    """Weights, biases and initial states by name."""
    with np.load(io.BytesIO(base64.b64decode(DATA))) as data:
        return {{k: data[k] for k in data.files}}


def build(inputs):
    """Processes by population; `inputs`: source -> (steps, n) spikes."""
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF
    from lava.utils.weightutils import SignMode

    a, p = arrays(), {{}}
'''
_TAIL = '''    return p


def run(inputs, steps, record=("s_out", "u", "v")):
    """Run and return {population: {variable: (steps, n) int}}."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi1SimCfg
    from lava.proc.monitor.process import Monitor

    p = build(inputs)
    watched = [(name, what, Monitor()) for name in NEURONS for what in record]
    for name, what, monitor in watched:
        monitor.probe(getattr(p[name], what), steps)
    first = p[NEURONS[0]]
    first.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
    out = {name: {} for name in NEURONS}
    for name, what, monitor in watched:
        (values,) = next(iter(monitor.get_data().values())).values()
        out[name][what] = np.asarray(values).reshape(steps, -1).astype(np.int64)
    first.stop()
    return out


'''
_MAIN = """if __name__ == "__main__":
    rng = np.random.default_rng(0)
    spikes = {name: rng.random((100, n)) < 0.1 for name, n in SOURCES.items()}
    for name, found in run(spikes, 100).items():
        print(name, "spikes:", int(found["s_out"].sum()))
"""


class LavaNetwork(NamedTuple):
    """Live Lava: `build(inputs)` gives the processes, `run(inputs, steps)` runs them and returns u, v and s_out."""

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
    text = lava_source(program)
    names: dict[str, Any] = {"__name__": "lava_network"}
    exec(compile(text, f"<{program.name} for Lava>", "exec"), names)
    return LavaNetwork(names["build"], names["run"], text)


def write_lava_script(program: Program, path: str | Path) -> Path:
    """Write a stand-alone Python script (it needs lava-nc and numpy only); nothing is left behind if it fails."""
    text = lava_source(program)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)


def lava_source(program: Program) -> str:
    """The script's text: one line per process and connection, arrays packed at the end."""
    _check(program)
    packed: dict[str, np.ndarray] = {}
    lines, sources, neurons = [], {}, []
    for k, image in enumerate(program.populations):
        if image.model.is_input:
            sources[image.name] = image.n
            lines.append(f"p[{image.name!r}] = RingBuffer(data=np.asarray(inputs[{image.name!r}], np.int32).T)")
        else:
            neurons.append(image.name)
            lines.append(f"p[{image.name!r}] = LIF({_neurons(k, image, packed)})")
    for k, projection in enumerate(program.projections):
        pre, post = (program.populations[i].name for i in (projection.pre, projection.post))
        lines += [
            f"synapses = {_synapses(k, projection, packed)}",
            f"p[{pre!r}].s_out.connect(synapses.s_in)",
            f"synapses.a_out.connect(p[{post!r}].a_in)",
        ]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **packed)  # type: ignore[arg-type]
    text = base64.b64encode(buffer.getvalue()).decode()
    data = "\n".join(f'    "{text[i : i + 100]}"' for i in range(0, len(text), 100))
    head = _HEAD.format(title=program.name, summary=f"dt = {program.dt:g} s; {len(neurons)} populations of neurons.")
    facts = f"SOURCES = {sources!r}\nNEURONS = {neurons!r}\nDATA = (\n{data}\n)\n\n\n"
    return head + "".join(f"    {line}\n" for line in lines) + _TAIL + facts + _MAIN


def _neurons(k: int, image: Any, packed: dict[str, np.ndarray]) -> str:
    v = image.model.values
    parts = [f"shape=({image.n},)", *(f"{name}={int(np.ravel(v[name])[0])}" for name in ("du", "dv", "vth"))]
    for name in ("u", "v", "bias_mant", "bias_exp"):
        values = image.model.per_neuron(name)
        if np.all(values == values[0]):
            parts.append(f"{name}={int(values[0])}")
        else:
            packed[f"{name}_{k}"] = values.astype(np.int32)
            parts.append(f"{name}=a['{name}_{k}']")
    return ", ".join([*parts, f"name={image.name!r}"])


def _synapses(k: int, projection: Any, packed: dict[str, np.ndarray]) -> str:
    s = projection.synapses
    packed[f"w_{k}"] = _dense(s.mantissa).astype(np.int32)
    options = (
        f"weight_exp={s.exponent}, num_weight_bits={s.bits}, sign_mode=SignMode.{s.sign.upper()}, "
        f"name={projection.name!r}"
    )
    if not s.max_delay:
        return f"Dense(weights=a['w_{k}'], {options})"
    delays = np.full(s.shape, s.delays) if np.ndim(s.delays) == 0 and not sp.issparse(s.delays) else _dense(s.delays)
    packed[f"d_{k}"] = delays.astype(np.int64)  # Lava tells integers by dtype int
    return f"DelayDense(weights=a['w_{k}'], delays=a['d_{k}'], max_delay={s.max_delay}, {options})"


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def _check(program: Program) -> None:
    """Refuse what Lava cannot express."""
    if program.arithmetic.preset != "lava":
        raise CompileError(
            f"Lava has its own arithmetic, the program uses '{program.arithmetic.preset}' (21-bit input wrap, or "
            "weights shifted one by one): compile with arithmetic='lava'"
        )
    for image in program.populations:
        model, where = image.model, f"population '{image.name}'"
        if model.is_input:
            if int(model.values["graded"]):
                raise CompileError(f"{where}: graded inputs are not exported; use plain spikes")
            continue
        if model.family != "loihi" or type(model).__name__ != "LIF":
            raise CompileError(f"{where}: only loihi.LIF is exported, not {model.family}.{type(model).__name__}")
        for name in ("du", "dv", "vth"):
            if np.ptp(model.per_neuron(name)):
                raise CompileError(f"{where}: Lava has one {name} per population; split it by {name}")
        if np.any(model.per_neuron("refractory") > 1):
            raise CompileError(f"{where}: Lava's fixed-point LIF has no refractory period")
        if model.values["noise"] != "none":
            raise CompileError(f"{where}: Lava has no noise")
        if model.values["reset"] != "zero":
            raise CompileError(f"{where}: Lava's LIF resets to zero only")
        if np.any(np.abs(model.per_neuron("vmin")) != (1 << 23) - 1):
            raise CompileError(f"{where}: Lava has no lowest potential (vmin)")
    for p in program.projections:
        where = f"projection '{p.name}'"
        if p.rule is not None:
            raise CompileError(f"{where}: learning projections are not exported")
        if not isinstance(p.synapses, Synapses):
            raise CompileError(f"{where}: {type(p.synapses).__name__} is not exported; give it as a matrix")
        if p.synapses.max_delay > MAX_DELAY:
            raise CompileError(f"{where}: delay {p.synapses.max_delay} exceeds {MAX_DELAY} steps")


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
