"""W6 in Brian2's C++ standalone mode, one thread, no monitors: the same network, pair STDP on every synapse.

Brian2's own recommended form: traces of synapses decay event by event, weights are doubles clipped at a spike.
"""

from __future__ import annotations

import tempfile
from typing import Any

from .brian2_cpp import UPDATE
from .layers import layers

NAME = "Brian2 C++"

MODEL = """
w : 1
dx/dt = -x / tau_plus : 1 (event-driven)
dy/dt = -y / tau_minus : 1 (event-driven)
"""
ON_PRE = "a_post += w\nx += 1\nw = clip(w - a_minus * y, wmin, wmax)"
ON_POST = "y += 1\nw = clip(w + a_plus * x, wmin, wmax)"


def build(data: dict[str, Any]):
    """Compiles the network; returns run(steps) -> (seconds, spikes). The number of steps is fixed at compile time."""
    import brian2 as b2

    compiled: dict[int, Any] = {}

    def compile_for(steps: int):
        b2.device.reinit()
        folder = tempfile.mkdtemp(prefix="brian2_stdp_")
        b2.set_device("cpp_standalone", directory=folder, build_on_run=False)
        b2.prefs.devices.cpp_standalone.openmp_threads = 0
        b2.prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-ffast-math", "-march=native", "-std=c++17"]
        b2.defaultclock.dt = 1 * b2.ms
        group = _network(b2, data, steps)
        b2.device.build(directory=folder, compile=True, run=False)
        return b2.device, folder, group

    def run(steps: int) -> tuple[float, int]:
        if steps not in compiled:
            compiled[steps] = compile_for(steps)
        device, folder, group = compiled[steps]
        device.run(folder)
        return device._last_run_time, int(group.count[:].sum())

    return run


def _network(b2: Any, data: dict[str, Any], steps: int):
    layer = layers({**data, "kind": "recurrent"})[0][0]
    space = {"fu": (4096 - (int(data["du"]) + 1)) / 4096, "fv": (4096 - int(data["dv"])) / 4096}
    group = b2.NeuronGroup(
        layer.n, "u:1\nv:1\na:1\ncount:1\nbias:1 (constant)", threshold=f"v > {layer.vth << 6}",
        reset="v = 0\ncount += 1", namespace=space, name="neurons",
    )  # fmt: skip
    group.run_regularly(UPDATE, when="start")
    group.v, group.bias = layer.v0.astype(float), layer.bias.astype(float)
    rule = {"a_plus": float(data["A_plus"]), "a_minus": float(data["A_minus"])}
    rule |= {"wmin": float(data["wmin"]), "wmax": float(data["wmax"])}
    rule |= {"tau_plus": float(data["tau_plus"]) * b2.ms, "tau_minus": float(data["tau_minus"]) * b2.ms}
    synapses = b2.Synapses(group, group, MODEL, on_pre=ON_PRE, on_post=ON_POST, namespace=rule, name="synapses")
    synapses.connect(i=layer.i, j=layer.j)
    synapses.w = layer.w.astype(float)
    network = b2.Network(group, synapses)
    network.run(steps * b2.ms)
    return group
