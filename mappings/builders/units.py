"""Networks and programs as float units: one form from which any other tool's is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import NetworkError
from chipsim.mappings.network.network import Network
from chipsim.mappings.network.recurrence import recurrence, scaled_rows
from chipsim.native.base import NeuronModel
from chipsim.native.effective import effective, effective_bias
from chipsim.native.floats import Unit
from chipsim.native.loihi import VTH_SHIFT
from chipsim.native.synapses import Conv, FloatSynapses, Synapses, with_data
from chipsim.program.program import Program

INPUT_SHIFT = 6  #: an integer weight acts as mantissa * 2**(exponent + 6)


def as_units(value: Network | Program, dt: float) -> Network:
    """The same network of `cs.floats.Unit` populations with float synapses.

    Ideal neurons become their recurrence at `dt` (s), the integers of a Loihi program their meaning in ideal units.

    Raises
    ------
    NetworkError
        Neurons that are neither, refractory periods, learning rules.
    """
    if isinstance(value, Program):
        return _from_program(value)
    net = Network(value.name)
    net.metadata = dict(value.metadata)
    gains: dict[str, np.ndarray | None] = {}
    for name, p in value.populations.items():
        if p.model.is_input or isinstance(p.model, Unit):
            net.add(name, p.model)
            gains[name] = None
        else:
            unit, gains[name] = _from_ideal(p.model, dt, name)
            net.add(name, unit)
    for name, p in value.projections.items():
        if p.rule is not None:
            raise NetworkError(f"projection '{name}' learns; other tools take fixed weights")
        net.connect(p.pre.name, p.post.name, _floats(p, gains[p.post.name]), name=name)
    return net


def _from_ideal(model: NeuronModel, dt: float, name: str) -> tuple[Unit, np.ndarray]:
    if model.family != "ideal":
        raise NetworkError(f"population '{name}': {model.family}.{type(model).__name__} has no form in other tools")
    rec = recurrence(model, dt, name)
    if rec.dead.any():
        raise NetworkError(f"population '{name}': a refractory period has no form in NIR; set it to 0")
    if rec.spikes != "one" or (rec.subtract and np.any(rec.drop != rec.threshold)) or np.any(rec.lowest > -1e299):
        raise NetworkError(
            f"population '{name}': several spikes in a step, a lowest potential and resets by another amount than the "
            "threshold have no form in NIR; set spikes='one', reset_by=0, and leave lowest out"
        )
    return _unit(model.shape, rec.alpha, rec.beta, rec.bias, rec.threshold, rec.subtract, rec.v0), rec.gain


def _unit(shape: Any, alpha: Any, beta: Any, bias: Any, threshold: Any, subtract: bool, v0: Any) -> Unit:
    """u <- beta u + x, v <- alpha v + u + bias; without threshold it sends v."""
    silent = bool(np.all(np.isinf(threshold)))
    current = bool(np.any(beta > 0))
    made = dict(current_kept=compact(beta), current_gain=1.0, gain=1.0) if current else dict(input_gain=1.0)
    return Unit(
        shape, kept=compact(alpha), constant=compact(bias), v=compact(v0),
        threshold=1.0 if silent else compact(threshold), sends="value" if silent else "above",
        after_spike="nothing" if silent else "subtract" if subtract else "value", **made,
    )  # fmt: skip


def _floats(p: Any, gain: np.ndarray | None) -> Any:
    if isinstance(p.synapses, Conv):
        c = p.synapses
        if gain is None and not c.exponent:
            return c
        kernel = c.floats if gain is None else scaled_rows(c, gain, p.name)
        return Conv(kernel, c.input_shape, c.stride, c.padding, c.dilation, c.groups, c.channels)
    if isinstance(p.synapses, FloatSynapses):
        return p.synapses
    if gain is None:
        raise NetworkError(f"projection '{p.name}': {type(p.synapses).__name__} into float units")
    return FloatSynapses(scaled_rows(p.synapses, gain, p.name), p.delay)


def _from_program(program: Program) -> Network:
    net = Network(program.name)
    net.metadata = {"nir": dict(program.stages["nir"])} if "nir" in program.stages else {}
    for image in program.populations:
        model = image.model
        if model.is_input or isinstance(model, Unit):
            net.add(image.name, model)
        elif model.model == "lif" and model.family == "loihi":
            net.add(image.name, _from_registers(model, image.unit or 1.0, image.name))
        else:
            raise NetworkError(f"population '{image.name}': {model.family}.{type(model).__name__} has no float form")
    for p in program.projections:
        pre, post = program.populations[p.pre], program.populations[p.post]
        if p.rule is not None:
            raise NetworkError(f"projection '{p.name}' learns; other tools take fixed weights")
        weights = p.synapses
        if isinstance(weights, (Synapses, Conv)) and not isinstance(post.model, Unit):
            weights = _scaled(weights, program.arithmetic, post.unit or 1.0)
        net.connect(pre.name, post.name, weights, name=p.name)
    return net


def _from_registers(model: NeuronModel, unit: float, name: str) -> Unit:
    v: dict[str, Any] = {k: x if isinstance(x, str) else model.per_neuron(k) for k, x in model.values.items()}
    if np.any(v["refractory"] > 1) or v["noise"] != "none" or np.any(v["reset_by"]):
        raise NetworkError(f"population '{name}': refractory periods, noise and reset_by have no form in NIR")
    alpha = (4096 - v["dv"]) / 4096
    beta = (4096 - (v["du"] + 1)) / 4096
    bias = effective_bias(model) * unit
    threshold = (v["vth"].astype(np.int64) << VTH_SHIFT) * unit
    return _unit(model.shape, alpha, beta, bias, threshold, v["reset"] == "subtract", v["v"] * unit)


def _scaled(synapses: Any, arithmetic: Any, unit: float) -> Any:
    """Integer weights times what one unit of the chip's voltage means."""
    if isinstance(synapses, Conv):
        c, made = synapses, effective(synapses, arithmetic)
        kernel = np.asarray(made.matrix, np.float64) * (2.0 ** (made.shift + INPUT_SHIFT) * unit)
        return Conv(kernel, c.input_shape, c.stride, c.padding, c.dilation, c.groups, c.channels)
    made = effective(synapses, arithmetic)
    size = 2.0 ** (made.shift + INPUT_SHIFT) * unit
    matrix = made.matrix
    if sp.issparse(matrix):
        return FloatSynapses(with_data(matrix, matrix.data * size), synapses.delays)
    return FloatSynapses(np.asarray(matrix, np.float64) * size, synapses.delays)


def compact(values: Any) -> Any:
    """One number where all are equal."""
    array = np.ravel(np.asarray(values, np.float64))
    return float(array[0]) if array.size and np.all(array == array[0]) else array
