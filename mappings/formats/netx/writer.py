"""Lava out as a file: a chain of layers in Loihi's integers as NetX HDF5 (`.net`), which lava-dl loads into Lava."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chipsim.chips.arithmetic import PRESETS
from chipsim.errors import CompileError
from chipsim.mappings.formats.lava.check import check_arithmetic, check_lif
from chipsim.mappings.formats.netx.reader import BIAS_EXP, MAX_DELAY
from chipsim.mappings.formats.netx.reader import synapses as as_read
from chipsim.mappings.network.network import Network
from chipsim.native.base import NeuronModel
from chipsim.native.effective import effective
from chipsim.native.loihi import LIF
from chipsim.native.synapses import Conv, Synapses
from chipsim.program.program import Program
from chipsim.storage.file import new_hdf5

BIAS_MAX = 2 * 4095  #: a mantissa of 12 bits and sign with the largest exponent, 7, in units of 2**6
Fields = dict[str, Any]  #: of a layer: name -> array, text, or a dict of such


class View(NamedTuple):
    """Populations by name, and (name, pre, post, synapses, rule) of each projection."""

    populations: dict[str, NeuronModel]
    projections: list[tuple[str, str, str, Any, Any]]


def write_netx(value: Program | Network, path: str | Path) -> Path:
    """Write a program of Loihi, or a network of native Loihi neurons, for `lava.lib.dl.netx.hdf5.Network`.

    The network must be a chain: a spike source, then layers of LIF neurons with one projection from the layer before
    and at most one onto themselves. Nothing is written if anything is refused.

    Raises
    ------
    CompileError
        What the format or NetX cannot express, with the reason.
    """
    view = _view(value)
    layers = _layers(view)
    with new_hdf5(path, ("earliest", "v110")) as file:
        for k, layer in enumerate(layers):
            _put(file.create_group(f"layer/{k}"), layer)
    return Path(path)


def _put(group: Any, fields: Fields) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            _put(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, (1,), "S10", [value.encode("ascii")])
        else:
            group.create_dataset(name, data=value)


def _view(value: Any) -> View:
    if isinstance(value, Program):
        check_arithmetic(value)
        names = [p.name for p in value.populations]
        projections = [(p.name, names[p.pre], names[p.post], p.synapses, p.rule) for p in value.projections]
        return View({p.name: p.model for p in value.populations}, projections)
    if isinstance(value, Network):
        populations = {name: p.model for name, p in value.populations.items()}
        projections = [(k, p.pre.name, p.post.name, p.synapses, p.rule) for k, p in value.projections.items()]
        return View(populations, projections)
    raise CompileError(f"write_netx takes a Program or a Network, not {type(value).__name__}")


def _layers(view: View) -> list[Fields]:
    """Every layer of the chain as the file holds it."""
    sources = [name for name, model in view.populations.items() if model.is_input]
    if len(sources) != 1:
        raise CompileError(f"NetX networks have one input; there are {len(sources)} spike sources")
    at = sources[0]
    source = view.populations[at]
    if int(source.values.get("graded", 0)):
        raise CompileError(f"population '{at}': message bits of an input are no part of a NetX file; send plain spikes")
    layers: list[Fields] = [{"type": "input", "shape": np.array(source.shape)}]
    left = [p for p in view.projections]
    image = len(source.shape) == 3
    while True:
        onward = [p for p in left if p[1] == at and p[2] != at]
        if not onward:
            break
        if len(onward) > 1:
            raise CompileError(f"population '{at}' feeds {onward[0][2]} and {onward[1][2]}; NetX runs chains of layers")
        left.remove(onward[0])
        name = onward[0][2]
        loops = [p for p in left if p[1] == p[2] == name]
        for p in loops:
            left.remove(p)
        if image and not isinstance(onward[0][3], Conv):
            layers.append({"type": "flatten", "shape": np.array([view.populations[at].n])})
        layers.append(_layer(view, onward[0], loops))
        at, image = name, isinstance(onward[0][3], Conv)
    if left:
        raise CompileError(f"projection '{left[0][0]}' leads out of the chain of layers; NetX runs chains")
    if len(layers) == 1:
        raise CompileError("the network has no layer behind its input")
    return layers


def _layer(view: View, projection: tuple, loops: list[tuple]) -> Fields:
    """A dense, recurrent or convolutional layer with its neurons."""
    name, _, post, s, _ = projection
    for other in (projection, *loops):
        _check(other)
    model = view.populations[post]
    neuron = _neuron(post, model)
    bias = _bias(post, model)
    if len(loops) > 1:
        raise CompileError(
            f"population '{post}' has {len(loops)} projections onto itself; a NetX layer has one: add them"
        )
    if isinstance(s, Conv):
        if loops:
            raise CompileError(f"population '{post}': a convolutional layer of NetX has no recurrent weights")
        return _conv(name, s, model, neuron, bias)
    fields: Fields = {"type": "dense_rec" if loops else "dense", "shape": np.array([model.n])}
    fields["weight"] = _weights(name, s)
    if loops:
        fields["weight_rec"] = _weights(loops[0][0], loops[0][3])
    if s.max_delay:
        if loops:
            raise CompileError(f"projection '{name}': NetX 0.6 loses the exponent of recurrent layers with delays")
        held = s.delays.toarray() if hasattr(s.delays, "toarray") else s.delays
        fields["delay"] = np.broadcast_to(np.asarray(held, np.int64), s.shape).copy()
    if np.any(bias):
        fields["bias"] = bias
    return {**fields, "neuron": neuron}


def _check(projection: tuple) -> None:
    name, pre, post, s, rule = projection
    where = f"projection '{name}'"
    if rule is not None:
        raise CompileError(f"{where}: NetX files hold no learning rules; use to_lava")
    if not isinstance(s, (Synapses, Conv)) or (isinstance(s, Conv) and np.any(s.kernel != np.floor(s.kernel))):
        raise CompileError(f"{where}: NetX holds integers of Loihi; compile the network onto a chip first")
    if s.message_bits:
        raise CompileError(f"{where}: message bits are no part of a NetX file; send plain spikes")
    if s.max_delay > MAX_DELAY:
        raise CompileError(f"{where}: delay {s.max_delay} exceeds the {MAX_DELAY} steps of NetX")
    if pre == post and s.max_delay:
        raise CompileError(f"{where}: NetX has no delays of recurrent weights of their own")


def _conv(name: str, s: Conv, model: NeuronModel, neuron: Fields, bias: np.ndarray) -> Fields:
    if s.exponent:
        raise CompileError(f"projection '{name}': Lava ignores the exponent of a convolution; multiply the kernel")
    if s.channels != "first":
        raise CompileError(f"projection '{name}': NetX counts (channels, height, width); give Conv(channels='first')")
    if tuple(model.shape) != s.output_shape:
        raise CompileError(f"projection '{name}' gives {s.output_shape}, its target has shape {model.shape}")
    fields: Fields = {"type": "conv", "shape": np.array(model.shape)}
    fields |= {k: np.array(getattr(s, k)) for k in ("stride", "padding", "dilation")}
    fields |= {"groups": s.groups, "weight": np.asarray(s.kernel).transpose(0, 3, 1, 2).astype(np.int32)}
    if np.any(bias):
        image = bias.reshape(model.shape)
        same = np.all(image == image[:, :1, :1])
        fields["bias"] = image[:, 0, 0] if same else image.transpose(2, 1, 0)
    return {**fields, "neuron": neuron}


def _weights(name: str, s: Synapses) -> np.ndarray:
    """The integers that act, (post, pre) int32."""
    where = f"projection '{name}'"
    found = effective(s, PRESETS["lava"])
    matrix = np.asarray(found.matrix.toarray() if hasattr(found.matrix, "toarray") else found.matrix).astype(np.int64)
    if found.shift < 0 and np.any(matrix & ((1 << -found.shift) - 1)):
        raise CompileError(
            f"{where}: exponent {found.shift} cuts bits of a sum, and NetX files hold whole weights without an exponent"
        )
    matrix = matrix << found.shift if found.shift >= 0 else matrix >> -found.shift
    if not np.any(matrix):
        raise CompileError(f"{where}: all weights are zero, where NetX fails; leave the layer out")
    try:
        as_read(matrix, 0, "weights")
    except ValueError as error:
        raise CompileError(f"{where}: {error}; NetX files hold weights of 8 bits without an exponent") from None
    return matrix.astype(np.int32)


def _neuron(name: str, model: NeuronModel) -> Fields:
    where = f"population '{name}'"
    if type(model) is not LIF:
        raise CompileError(f"{where}: {model.family}.{type(model).__name__}; NetX layers hold loihi.LIF")
    check_lif(model, where)
    for register in ("du", "dv", "vth"):
        values = model.per_neuron(register)
        if np.any(values != values[0]):
            raise CompileError(f"{where}: a NetX layer has one {register}, here are {values.min()}..{values.max()}")
    if np.any(model.per_neuron("u")) or np.any(model.per_neuron("v")):
        raise CompileError(f"{where}: a NetX file holds no start values of u and v; set them to 0")
    first = {r: int(model.per_neuron(r)[0]) for r in ("du", "dv", "vth")}
    return {
        "type": "CUBA",
        "iDecay": first["du"] + 1,
        "vDecay": first["dv"],
        "vThMant": first["vth"],
        "refDelay": 1,
        "gradedSpike": False,
    }


def _bias(name: str, model: NeuronModel) -> np.ndarray:
    """Bias in units of 2**6, (n,) int64."""
    shift = model.per_neuron("bias_exp")
    whole = (model.per_neuron("bias_mant") << np.maximum(shift, 0)) >> np.maximum(-shift, 0)
    whole = whole + model.per_neuron("bias")
    off = whole & ((1 << BIAS_EXP) - 1)
    if np.any(off):
        raise CompileError(
            f"population '{name}': bias {whole[off != 0][0]} is no multiple of {1 << BIAS_EXP}, the unit of NetX's bias"
        )
    if np.any(np.abs(whole >> BIAS_EXP) > BIAS_MAX):
        raise CompileError(f"population '{name}': a bias is beyond {BIAS_MAX} * {1 << BIAS_EXP}, the registers' range")
    return whole >> BIAS_EXP
