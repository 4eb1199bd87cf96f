"""Brian2 in C++ standalone mode, one thread, no monitors (each neuron counts
its own spikes): the fastest widely used simulator on this work.

States are doubles that hold whole numbers, so that the dynamics are exact (checked: same number of spikes).
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from .layers import layers

NAME = "Brian2 C++"

UPDATE = """
u = sign(u)*floor(abs(u)*fu) + 64*a
a = 0
v = clip(sign(v)*floor(abs(v)*fv) + u + bias, -8388607, 8388607)
"""


def build(data: dict[str, Any]):
    """Compiles the network; returns run(steps) -> (seconds, spikes). The number of steps is fixed at compile time."""
    import brian2 as b2

    compiled: dict[int, Any] = {}

    def compile_for(steps: int):
        b2.device.reinit()
        folder = tempfile.mkdtemp(prefix="brian2_")
        b2.set_device("cpp_standalone", directory=folder, build_on_run=False)
        b2.prefs.devices.cpp_standalone.openmp_threads = 0
        b2.prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-ffast-math", "-march=native", "-std=c++17"]
        b2.defaultclock.dt = 1 * b2.ms
        counted = _network(b2, data, steps)
        b2.device.build(directory=folder, compile=True, run=False)
        return b2.device, folder, counted

    def run(steps: int) -> tuple[float, int]:
        if steps not in compiled:
            compiled[steps] = compile_for(steps)
        device, folder, groups = compiled[steps]
        device.run(folder)
        return device._last_run_time, int(sum(group.count[:].sum() for group in groups))

    return run


def _network(b2: Any, data: dict[str, Any], steps: int):
    chain, given = layers(data)
    space = {"fu": (4096 - (int(data["du"]) + 1)) / 4096, "fv": (4096 - int(data["dv"])) / 4096}
    groups, objects = [], []
    for k, layer in enumerate(chain):
        group = b2.NeuronGroup(
            layer.n, "u:1\nv:1\na:1\ncount:1\nbias:1 (constant)", threshold=f"v > {layer.vth << 6}",
            reset="v = 0\ncount += 1",
            namespace=space, name=f"layer{k}",
        )  # fmt: skip
        group.run_regularly(UPDATE, when="start")
        group.v, group.bias = layer.v0.astype(float), layer.bias.astype(float)
        groups.append(group)
    if given is not None:
        step, neuron = np.nonzero(given[:steps])
        groups.append(b2.SpikeGeneratorGroup(given.shape[1], neuron, step * b2.ms, name="inputs"))
    for k, layer in enumerate(chain):
        source = groups[-1] if layer.pre < 0 else groups[layer.pre]
        synapses = b2.Synapses(source, groups[k], "w:1 (constant)", on_pre="a_post += w", name=f"syn{k}")
        synapses.connect(i=layer.i, j=layer.j)
        synapses.w = layer.w.astype(float)
        objects.append(synapses)
    network = b2.Network(groups, objects)
    network.run(steps * b2.ms)
    return groups[: len(chain)]
