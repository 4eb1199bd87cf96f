"""Lava in: lava-dl's NetX files as networks of Loihi's integers, with the numbers that NetX itself takes from them.

NetX (lava-dl 0.6.0, lib/dl/netx/hdf5.py) sets du = iDecay - 1, dv = vDecay, vth = vThMant, bias_exp = 6, cuts delays
at 62 and ignores refDelay; weights act as the integers they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import product
from chipsim.errors import FileError
from chipsim.mappings.network.network import Network, Population
from chipsim.native.base import SpikeSource
from chipsim.native.loihi import LIF, bias_registers
from chipsim.native.synapses import Conv, Synapses

from .file import Layer, naming, read_layers

MAX_DELAY = 62
BIAS_EXP = 6
VTH_MAX = 131071  #: of the 17-bit register; lava-dl writes 2**18 - 1 for neurons that never spike
NOT_READ = ("pool", "average", "concat", "unpool", "convT", "dense_comp")
NEURONS = ("CUBA", "LOIHI")


def from_netx(path: str | Path) -> Network:
    """The network of a NetX file: populations "input" and "layer<i>", integers throughout.

    What NetX ignores or cuts is said in ``net.metadata["netx"]["notes"]``.

    Raises
    ------
    FileError
        A file that is damaged, no NetX, or holds what neither NetX nor a Loihi core can run; naming file and layer.
    """
    source, layers = Path(path), read_layers(path)
    net, notes = Network(source.stem), []
    net.metadata["netx"] = {"source": source.name, "notes": notes}
    at: Population | None = None
    flat = False
    with naming(str(source)):
        for layer in layers:
            with naming(layer.where):
                if layer.kind == "flatten":
                    flat = True
                    continue
                at = _add(net, at, layer, flat, notes)
                flat = False
        if not net.projections:
            raise FileError("has no layer that computes")
    return net


def describe(path: str | Path) -> str:
    """Layers of a file, their shapes and integers, and what is ignored, as text."""
    lines = [f"NetX network {Path(path).name}"]
    for layer in read_layers(path):
        arrays = [f"{k} {'x'.join(map(str, v.shape)) or v}" for k, v in layer.arrays.items() if k != "shape"]
        shape = "x".join(map(str, layer.shape)) if "shape" in layer.arrays else "?"
        neuron = ", ".join(f"{k}={v}" for k, v in layer.neuron.items() if k != "type")
        lines.append(f"  {layer.index} {layer.kind}: {shape}" + (f"; {', '.join(arrays)}" if arrays else ""))
        if layer.neuron:
            lines.append(f"      {layer.neuron['type']} neurons: {neuron}")
    lines += [f"  note: {note}" for note in from_netx(path).metadata["netx"]["notes"]]
    return "\n".join(lines)


def _add(net: Network, at: Population | None, layer: Layer, flat: bool, notes: list[str]) -> Population:
    """Add one layer behind `at` and return its population."""
    if layer.kind == "input":
        return _input(net, at, layer, notes)
    if layer.kind in ("dense", "dense_rec"):
        return _dense(net, at, layer, flat, notes)
    if layer.kind == "conv":
        return _conv(net, at, layer, notes)
    known = "NetX does not implement it either" if layer.kind in NOT_READ else "no type of NetX"
    raise FileError(f"is not read ({known}); read are input, dense, dense_rec, conv and flatten")


def _input(net: Network, at: Population | None, layer: Layer, notes: list[str]) -> Population:
    if at is not None:
        raise FileError("an input in the middle of a network")
    _need(layer, "shape")
    source = net.add("input", SpikeSource(layer.shape, graded=int(bool(layer.neuron))))
    if not layer.neuron:
        return source
    neurons = net.add(f"layer{layer.index}", _neurons(layer, layer.shape, notes))
    notes.append(
        f"{layer.where}: neurons of an input; what is sent acts one step later than at NetX's port, and the transform "
        "(weight, bias) is left to the sender, as NetX does"
    )
    one = sp.csc_array(sp.eye_array(source.n, dtype=np.int32))
    net.connect(source, neurons, Synapses(one, sign="excitatory", message_bits=24))
    return neurons


def _dense(net: Network, at: Population | None, layer: Layer, flat: bool, notes: list[str]) -> Population:
    _need(layer, "shape", "weight")
    n = product(layer.shape)
    weight = _matrix(layer, "weight", n)
    pre = at or net.add("input", SpikeSource(weight.shape[1]))
    if len(pre.shape) > 1 and not flat and at is not None:
        raise FileError(f"follows an image of shape {pre.shape} without a flatten layer between")
    if weight.shape[1] != pre.n:
        raise FileError(f"weight has shape {weight.shape}; the layer before has {pre.n} neurons")
    recurrent = layer.kind == "dense_rec"
    delays = _delays(layer, weight.shape, notes)
    if recurrent and np.any(delays):
        raise FileError("a recurrent layer with delays: NetX 0.6 loses its weights' exponent there; not read")
    weight_rec = _matrix(layer, "weight_rec", n) if recurrent else np.zeros((0, 0))
    if recurrent and weight_rec.shape != (n, n):
        raise FileError(f"weight_rec has shape {weight_rec.shape}, not ({n}, {n})")
    post = net.add(f"layer{layer.index}", _neurons(layer, (n,), notes))
    net.connect(pre, post, synapses(weight, delays, "weight"))
    if recurrent:
        net.connect(post, post, synapses(weight_rec, 0, "weight_rec"))
    return post


def _conv(net: Network, at: Population | None, layer: Layer, notes: list[str]) -> Population:
    _need(layer, "shape", "weight", "stride", "padding", "dilation", "groups")
    if at is None:
        raise FileError("is the first layer, and nothing says the shape of its input: add an input layer with a shape")
    if len(at.shape) != 3:
        raise FileError(f"needs an image (channels, height, width), the layer before has shape {at.shape}")
    if np.any(layer.arrays.get("delay", 0)):
        raise FileError("NetX ignores the delays of a convolution, and so runs another network; not read")
    weight = layer.arrays["weight"]
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4:
        raise FileError(f"weight has shape {weight.shape}; needed is (out, in / groups, height, width)")
    geometry: dict[str, Any] = {k: _pair(layer, k) for k in ("stride", "padding", "dilation")}
    groups = layer.arrays["groups"].ravel()
    if groups.size != 1:
        raise FileError(f"groups has shape {groups.shape}; one number is read")
    kernel = weight.transpose(0, 2, 3, 1)
    channels, height, width = at.shape
    conv = Conv(kernel, (channels, height, width), groups=int(groups[0]), channels="first", **geometry)
    if conv.output_shape != layer.shape:
        raise FileError(f"shape is {layer.shape}, the convolution gives {conv.output_shape}")
    post = net.add(f"layer{layer.index}", _neurons(layer, layer.shape, notes))
    net.connect(at, post, conv)
    return post


def _need(layer: Layer, *names: str) -> None:
    for name in names:
        if name not in layer.arrays:
            raise FileError(f"has no {name}")


def _pair(layer: Layer, name: str) -> tuple[int, int]:
    values = layer.arrays[name].ravel()
    if values.size not in (1, 2):
        raise FileError(f"{name} has shape {values.shape}; one or two numbers are read")
    return int(values[0]), int(values[-1])


def _matrix(layer: Layer, name: str, n: int) -> np.ndarray:
    """Weights (post, pre); flat ones are folded as NetX folds them."""
    _need(layer, name)
    weight = layer.arrays[name]
    if weight.ndim == 1 and weight.size % n == 0:
        weight = weight.reshape(n, -1)
    if weight.ndim != 2 or weight.shape[0] != n or not weight.size:
        raise FileError(f"{name} has shape {layer.arrays[name].shape}; the layer has {n} neurons")
    return weight


def _delays(layer: Layer, shape: tuple[int, int], notes: list[str]) -> Any:
    """Steps per synapse from one number, one per neuron, one per input, or one per synapse."""
    given = layer.arrays.get("delay")
    if given is None or not np.any(given):
        return 0
    if given.min() < 0:
        raise FileError(f"delay {given.min()} is negative")
    if given.max() > MAX_DELAY:
        notes.append(f"{layer.where}: delays up to {given.max()} steps are cut at {MAX_DELAY}, as NetX does")
    delay = np.minimum(given, MAX_DELAY)
    if delay.size == 1:
        return int(delay.ravel()[0])
    if delay.shape == shape[:1]:
        return np.repeat(delay[:, None], shape[1], axis=1)
    if delay.shape == shape[1:]:
        return np.repeat(delay[None, :], shape[0], axis=0)
    if delay.shape != shape:
        raise FileError(f"delay has shape {delay.shape}, weight {shape}")
    return delay


def synapses(weight: np.ndarray, delays: Any, name: str) -> Synapses:
    """Integers as synapses of 8 bits that act as exactly these integers.

    Raises
    ------
    FileError
        Values beyond a synapse of Loihi.
    """
    low, high = int(weight.min()), int(weight.max())
    sign = "excitatory" if low >= 0 else "inhibitory" if high <= 0 else "mixed"
    bounds = {"excitatory": (0, 255), "inhibitory": (-255, 0), "mixed": (-256, 255)}[sign]
    if low < bounds[0] or high > bounds[1]:
        raise FileError(f"{name} spans {low}..{high}; {sign} weights are {bounds[0]}..{bounds[1]}")
    if sign != "mixed" or not np.any(weight & 1):
        return Synapses(weight, sign=sign, delays=delays)
    if max(-low, high) > 127:
        odd = weight[(weight & 1).astype(bool) & (np.abs(weight) > 127)]
        worst = odd[0] if odd.size else weight[(weight & 1).astype(bool)][0]
        raise FileError(
            f"{name} holds the odd {worst} and spans {low}..{high}; 8 bits with a sign hold even numbers, or -127..127"
        )
    return Synapses(2 * weight, exponent=-1, sign=sign, delays=delays)


def _neurons(layer: Layer, shape: tuple[int, ...], notes: list[str]) -> LIF:
    """The LIF of a layer."""
    neuron = layer.neuron
    if not neuron:
        raise FileError("has no neuron; write its iDecay, vDecay and vThMant")
    if neuron["type"] not in NEURONS:
        raise FileError(f"has {neuron['type']} neurons; read are {' and '.join(NEURONS)}")
    for name in ("iDecay", "vDecay", "vThMant"):
        if name not in neuron:
            raise FileError(f"has no neuron/{name}")
    if neuron.get("messageBits"):
        raise FileError(f"sends graded spikes of {neuron['messageBits']} bits; LIF neurons of Lava send plain ones")
    if neuron.get("gradedSpike"):
        notes.append(f"{layer.where}: gradedSpike is ignored, as NetX does")
    if neuron.get("refDelay", 1) > 1:
        notes.append(f"{layer.where}: refDelay {neuron['refDelay']} is ignored, as NetX does: no refractory period")
    vth = neuron["vThMant"]
    if vth > VTH_MAX:
        notes.append(f"{layer.where}: vThMant {vth} is beyond 17 bits and becomes {VTH_MAX}, which v hardly reaches")
    mantissa, exponent = _bias(layer, shape)
    return LIF(
        shape,
        du=neuron["iDecay"] - 1,
        dv=neuron["vDecay"],
        vth=min(vth, VTH_MAX),
        bias_mant=mantissa,
        bias_exp=exponent,
    )


def _bias(layer: Layer, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Registers of the bias: mantissas with exponent 6, one per neuron, per channel, or one for all."""
    given = layer.arrays.get("bias")
    if given is None:
        return 0, 0
    n = product(shape)
    if len(shape) == 3:  # per channel, or per neuron as (width, height, channels), the order of NetX's processes
        if given.shape not in (shape[:1], shape[::-1]):
            raise FileError(f"bias has shape {given.shape}; an image of {shape} takes {shape[:1]} or {shape[::-1]}")
        image = given[:, None, None] if given.ndim == 1 else given.transpose(2, 1, 0)
        given = np.broadcast_to(image, shape).ravel()
    if given.size not in (1, n):
        raise FileError(f"bias has shape {given.shape}, the layer {shape}")
    bias = np.broadcast_to(given.ravel(), (n,))
    if np.all((bias >= -4096) & (bias <= 4095)):
        return bias, BIAS_EXP
    if np.any(np.abs(bias) > 2 * 4095):
        raise FileError(f"bias {bias[np.argmax(np.abs(bias))]} * 2**{BIAS_EXP} is beyond 4095 * 2**7")
    mantissa, exponent = bias_registers(bias << BIAS_EXP)
    if np.any(mantissa << exponent != bias << BIAS_EXP):
        raise FileError("bias holds a number that needs more than 13 bits")
    return mantissa, exponent
