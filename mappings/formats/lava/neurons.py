"""Populations as Lava processes: one process, or one for each set of parameters that Lava has per population."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.native.loihi import bias_registers
from chipsim.program.program import PopulationImage

#: Rows of our kernels that Lava's processes have no variable for ("": a row without a name).
NOT_IN_LAVA = ("", "refractory", "input")
#: Parameters that a Lava process has once: where neurons differ in them, a population becomes several processes.
PER_PROCESS = {
    "LIF": ("du", "dv", "vth"),
    "LIFReset": ("du", "dv", "vth"),
    "TernaryLIF": ("du", "dv", "vth_hi", "vth_lo"),
    "Delta": ("vth",),
    "SigmaDelta": ("vth",),
    "ATRLIF": (),
    "Sigma": (),
}
#: Parameters and start values that Lava takes one by one.
PER_NEURON = {
    "LIF": ("u", "v", "bias_mant", "bias_exp"),
    "LIFReset": ("u", "v", "bias_mant", "bias_exp"),
    "TernaryLIF": ("u", "v", "bias_mant", "bias_exp"),
    "ATRLIF": ("i", "v", "bias_mant", "bias_exp"),
    "SigmaDelta": ("bias",),
}
#: Parameters of the whole population in both.
SHARED = {
    "LIFReset": ("reset_interval", "reset_offset"),
    "ATRLIF": ("delta_i", "delta_v", "delta_theta", "delta_r", "theta_0", "theta_step"),
    "Delta": ("spike_exp", "state_exp", "cum_error"),
    "SigmaDelta": ("spike_exp", "state_exp", "cum_error"),
}
MODULES = {"Delta": "sdn", "SigmaDelta": "sdn", "Sigma": "sdn", "ATRLIF": "atrlif"}  #: the others are in lif
NAMELESS = ("Delta", "SigmaDelta", "Sigma")  #: Lava gives these no name


@dataclass
class Script:
    """A script in the making: lines of `build`, arrays by name, imports and tables."""

    lines: list[str] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    sources: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    record: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    shapes: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    factors: list[str] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)

    def array(self, name: str, values: Any, dtype: type = np.int32) -> str:
        """Keep an array and return the expression that reads it."""
        self.arrays[name] = np.ascontiguousarray(values, dtype)
        return f"a[{name!r}]"


def kind_of(image: PopulationImage) -> str:
    """The class name of a population's model, which is that of Lava's process."""
    return type(image.model).__name__


def groups(image: PopulationImage) -> list[np.ndarray]:
    """Neurons that share what Lava has per process, one (m,) index array for each set of values."""
    names = PER_PROCESS[kind_of(image)]
    if not names:
        return [np.arange(image.n)]
    table = np.stack([image.model.per_neuron(name) for name in names], axis=1)
    _, which = np.unique(table, axis=0, return_inverse=True)
    which = np.ravel(which)
    return [np.flatnonzero(which == k) for k in range(int(which.max()) + 1)]


def bias(image: PopulationImage) -> dict[str, np.ndarray]:
    """Registers bias_mant and bias_exp that stand for the whole bias; those of the model if it has no other part."""
    model = image.model
    mantissa, exponent = model.per_neuron("bias_mant"), model.per_neuron("bias_exp")
    if "bias" in model.values and np.any(model.per_neuron("bias")):
        up, down = np.maximum(exponent, 0), np.maximum(-exponent, 0)
        mantissa, exponent = bias_registers(((mantissa << up) >> down) + model.per_neuron("bias"))
    return {"bias_mant": mantissa, "bias_exp": exponent}


def add_source(script: Script, image: PopulationImage) -> None:
    """A spike source as a ring buffer."""
    name = image.name
    script.imports.add("from lava.proc.io.source import RingBuffer")
    script.sources[name] = image.n
    script.lines += [
        f"# {name!r}: {image.n} input lines",
        f"p[{name!r}] = RingBuffer(data=given(inputs, {name!r}, {image.n}, steps))",
        f"into[{name!r}], out[{name!r}] = [], [p[{name!r}].s_out]",
    ]


def add_neurons(script: Script, k: int, image: PopulationImage) -> None:
    """A population as one process, or as parts whose spikes are put together again."""
    name, kind, found = image.name, kind_of(image), groups(image)
    script.sizes[name] = image.n
    script.record[name] = ("s_out", *(s for s in image.model.states if s not in NOT_IN_LAVA))
    script.imports.add(f"from lava.proc.{MODULES.get(kind, 'lif')}.process import {kind}")
    if len(found) == 1:
        script.lines += [
            f"# {name!r}: {image.n} {kind}",
            f"p[{name!r}] = {_process(script, str(k), image, found[0], name)}",
            f"into[{name!r}], out[{name!r}] = [p[{name!r}].a_in], [p[{name!r}].s_out]",
        ]
        return
    script.helpers.add("own")
    script.lines += [
        f"# {name!r}: {image.n} {kind} in {len(found)} processes, one for each ({', '.join(PER_PROCESS[kind])})",
        f"into[{name!r}], out[{name!r}] = [], []",
    ]
    script.parts[name] = []
    for part, index in enumerate(found):
        key, where = f"{name}/{part}", f"index_{k}_{part}"
        places = script.array(where, index, np.int64)
        script.parts[name].append((key, where))
        script.lines += [
            f"p[{key!r}] = {_process(script, f'{k}_{part}', image, index, key)}",
            f"take, put = own.Take({image.n}, {places}), own.Put({image.n}, {places})",
            f"take.s_out.connect(p[{key!r}].a_in), p[{key!r}].s_out.connect(put.s_in)",
            f"into[{name!r}].append(take.s_in), out[{name!r}].append(put.s_out)",
        ]


def _process(script: Script, key: str, image: PopulationImage, index: np.ndarray, label: str) -> str:
    """The expression that makes the process of the neurons `index`."""
    model, kind = image.model, kind_of(image)
    parts = [f"shape=({len(index)},)"]
    for name in PER_PROCESS[kind]:
        parts.append(f"{name}={int(model.per_neuron(name)[index[0]])}")
    wholes = bias(image) if "bias_mant" in model.values else {}
    for name in PER_NEURON.get(kind, ()):
        values = wholes.get(name, model.per_neuron(name))[index]
        same = bool(np.all(values == values[0]))
        parts.append(f"{name}={int(values[0])}" if same else f"{name}={script.array(f'{name}_{key}', values)}")
    for name in SHARED.get(kind, ()):
        value = model.values[name].item()
        parts.append(f"{name}={bool(value) if name == 'cum_error' else value!r}")
    if kind == "SigmaDelta":
        script.imports.add("from lava.proc.sdn.process import ActivationMode")
        parts.append(f"act_mode=ActivationMode.{str(model.values['activation']).upper()}")
    if kind not in NAMELESS:
        parts.append(f"name={label!r}")
    return f"{kind}({', '.join(parts)})"
