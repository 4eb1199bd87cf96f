"""The fixed parts of a script for Lava: what stands around the lines of one program."""

from __future__ import annotations

HEAD = '''"""{title}: written by chipsim; runs in Lava's CPU simulator with the arithmetic of Loihi.

{summary}
Run it with `python THIS_FILE [inputs.npz] [--steps N] [--out out.npz]`: one array (steps, n) per spike source{third},
and `out.npz` gets one array per recorded variable, named "population.variable". `--newer-python` helps lava-nc 0.10 to
be imported on Python 3.11 and later.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import importlib
import inspect
import io
import sys

import numpy as np


def arrays():
    """Weights, biases and initial states by name."""
    with np.load(io.BytesIO(base64.b64decode(DATA))) as data:
        return {{k: data[k] for k in data.files}}


def given(inputs, name, n, steps):
    """What a source sends, (n, steps) int32; a source that is not given is silent."""
    x = np.asarray(inputs[name]) if name in inputs else np.zeros((steps, n), np.int32)
    if x.ndim < 2 or x.shape[0] < steps or x[0].size != n:
        raise ValueError(f"input {{name!r}} has shape {{x.shape}}; give ({{steps}}, {{n}})")
    return np.ascontiguousarray(x[:steps].reshape(steps, n).T.astype(np.int32))


def connect(sources, targets, shape=None, axes=None):
    """Every source port to every target port, by way of `shape` and a permutation of its axes."""
    for source in sources:
        for target in targets:
            port = source if shape is None else source.reshape(shape)
            port = port if axes is None else port.transpose(axes)
            port = port if port.shape == target.shape else port.reshape(target.shape)
            if port is not source and "newshape" not in inspect.signature(np.reshape).parameters:
                raise RuntimeError(f"Lava's reshaped ports fail with numpy {{np.__version__}}; install numpy<2.4")
            port.connect(target)
'''

SPARSE = '''

def csr(a, key, shape):
    """A sparse matrix (post, pre) as Lava takes it."""
    from scipy.sparse import csr_matrix

    data = a[key].astype(int if key[0] == "d" else np.int32)
    return csr_matrix((data, (a[key + "_row"], a[key + "_col"])), shape=shape)
'''

FACTOR = '''

def factor(third, projection, name, n, steps, own=None):
    """A third factor as a source: as given, for all neurons alike or one by one; else `own`, or zeros."""
    from lava.proc.io.source import RingBuffer

    values = (third or {}).get(projection, {})
    if not isinstance(values, dict):
        values = {"y2": values}
    if name not in values and own is not None:
        return own
    x = np.asarray(values.get(name, 0))
    x = x[:, None] if x.ndim == 1 else x
    return RingBuffer(data=np.ascontiguousarray(np.broadcast_to(x[:steps] if x.ndim else x, (steps, n)).T, np.int32))
'''

#: Processes of our own. Lava looks for the model of a process in the module of its class and runs every file beside
#: that module, hence the module made for them.
OWN = '''

def own_processes():
    """Small processes that Lava lacks, in a module of their own, where Lava finds their models."""
    import importlib.machinery
    import types

    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.model.py.model import PyLoihiProcessModel
    from lava.magma.core.model.py.ports import PyInPort, PyOutPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.process.ports.ports import InPort, OutPort
    from lava.magma.core.process.process import AbstractProcess
    from lava.magma.core.resources import CPU
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

    if "chipsim_processes" in sys.modules:
        return sys.modules["chipsim_processes"]
    module = types.ModuleType("chipsim_processes")
    module.__spec__ = importlib.machinery.ModuleSpec("chipsim_processes", None)
    module.__file__ = "chipsim_processes/no_file.py"

    class Take(AbstractProcess):
        """Passes on the neurons `index` of n."""

        def __init__(self, n, index):
            super().__init__(index=np.asarray(index))
            self.s_in, self.s_out = InPort(shape=(n,)), OutPort(shape=(len(index),))

    class Put(AbstractProcess):
        """Passes on its neurons at the places `index` of n; the others are 0."""

        def __init__(self, n, index):
            super().__init__(index=np.asarray(index), n=n)
            self.s_in, self.s_out = InPort(shape=(len(index),)), OutPort(shape=(n,))

    class Trace(AbstractProcess):
        """Sends y = floor(y * exp(-1 / tau) + impulse * (spikes of the step before))."""

        def __init__(self, n, tau, impulse):
            super().__init__(n=n, tau=tau, impulse=impulse)
            self.s_in, self.s_out = InPort(shape=(n,)), OutPort(shape=(n,))

    class Model(PyLoihiProcessModel):
        s_in = LavaPyType(PyInPort.VEC_DENSE, np.int32)
        s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    @implements(proc=Take, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class TakeModel(Model):
        def run_spk(self):
            self.s_out.send(np.ascontiguousarray(self.s_in.recv()[self.proc_params["index"]]))

    @implements(proc=Put, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class PutModel(Model):
        def run_spk(self):
            out = np.zeros(self.proc_params["n"], np.int32)
            out[self.proc_params["index"]] = self.s_in.recv()
            self.s_out.send(out)

    @implements(proc=Trace, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class TraceModel(Model):
        def __init__(self, proc_params):
            super().__init__(proc_params)
            self.y, self.last = (np.zeros(proc_params["n"], np.int64) for _ in range(2))
            self.decay = np.exp(-1 / proc_params["tau"]) if proc_params["tau"] else 0.0

        def run_spk(self):
            self.y = np.floor(self.y * self.decay + self.proc_params["impulse"] * self.last).astype(np.int64)
            self.s_out.send(self.y.astype(np.int32))
            self.last = (self.s_in.recv() != 0).astype(np.int64)

    for made in (Take, Put, Trace, Model, TakeModel, PutModel, TraceModel):
        made.__module__ = module.__name__
        setattr(module, made.__name__, made)
    sys.modules[module.__name__] = module
    return module
'''

BUILD = '''

def build(inputs, steps, third=None):
    """The processes: p by name, `into` and `out` the ports of each population."""
'''

TAIL = '''    return p


def run(inputs, steps, third=None, record=None):
    """Run and return {{population: {{variable: (steps, n) int}}}}, and what learns under its projection's name.

    `third`: {{projection: reward (steps,) or (steps, n), or {{"y1": …, "y2": …, "y3": …}}}}; `record` as RECORD.
    """
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi1SimCfg
    from lava.proc.monitor.process import Monitor

    p, watched = build(inputs, steps, third), []
    for name, variables in (RECORD if record is None else record).items():
        for variable in variables:
            for part, index in PARTS.get(name, [(name, None)]):
                watched.append((name, variable, index, Monitor()))
                watched[-1][-1].probe(getattr(p[part], LAVA_NAMES.get(variable, variable)), steps)
    started, out, a = [], {{}}, arrays()
    for process in p.values():
        if not process.is_compiled:  # a run takes along what is connected, so each separate part is started
            started.append(process)
            process.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
    for name, variable, index, monitor in watched:
        (values,) = next(iter(monitor.get_data().values())).values()
        values = np.asarray(values).reshape(steps, *SHAPES.get((name, variable), (-1,))).astype(np.int64)
        if index is None:
            out.setdefault(name, {{}})[variable] = values
        else:
            whole = out.setdefault(name, {{}}).setdefault(variable, np.zeros((steps, SIZES[name]), np.int64))
            whole[:, a[index]] = values
    for process in started:
        process.stop()
    return out


def main():
    """Run on the arrays of a file, or on random spikes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", nargs="?", help=".npz with one array (steps, n) per source")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", help=".npz to write")
    parser.add_argument("--newer-python", action="store_true", help="import lava-nc on Python 3.11 and later")
    chosen = parser.parse_args()
    if chosen.newer_python:
        patched_import()
    steps = chosen.steps or 100
    if chosen.inputs:
        with np.load(chosen.inputs) as data:
            held = {{k: data[k] for k in data.files}}
        unknown = sorted(k for k in held if k not in SOURCES and k.rpartition(".")[0] not in FACTORS)
        if unknown:
            known = ", ".join(SOURCES) or "none"
            raise SystemExit(f"{{chosen.inputs}}: no source {{unknown[0]!r}}; there are {{known}}")
        steps = chosen.steps or max((x.shape[0] for x in held.values()), default=100)
    else:
        rng = np.random.default_rng(0)
        held = {{name: rng.random((steps, n)) < 0.1 for name, n in SOURCES.items()}}
    third = {{}}
    for key in [k for k in held if k not in SOURCES]:
        projection, _, name = key.rpartition(".")
        third.setdefault(projection, {{}})[name] = held.pop(key)
    found = run(held, steps, third)
    for name, variables in found.items():
        if "s_out" in variables:
            print(name, "spikes:", int(np.count_nonzero(variables["s_out"])))
    if chosen.out:
        np.savez_compressed(chosen.out, **{{f"{{n}}.{{v}}": x for n, vs in found.items() for v, x in vs.items()}})


SOURCES = {sources!r}
SIZES = {sizes!r}
#: What is recorded, and where: a population of several processes by (process, name of its neurons' places in arrays()).
RECORD = {record!r}
PARTS = {parts!r}
SHAPES = {shapes!r}
FACTORS = {factors!r}
LAVA_NAMES = {{"w": "weights", "t": "tag_1", "d": "tag_2"}}
DATA = (
{data}
)


if __name__ == "__main__":
    main()
'''
