"""A torch network of ReLUs as plain layers: batch norms folded, pools joined, dropout left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from chipsim.errors import NetworkError
from chipsim.mappings.builders.layers import Convolution, Dense, Layer

from .nodes import IGNORED, Made, batch_norm, numbers, pair, pool_geometry
from .trace import INPUT, Trace, run
from .trace import Layer as Traced

KNOWN = (
    "Linear, Conv1d, Conv2d, ReLU, AvgPool2d, AdaptiveAvgPool2d, Flatten, BatchNorm1d, BatchNorm2d, Dropout, Identity"
)
ORDERED = ("Softmax", "LogSoftmax", "Softmin")  #: at the end: the largest output stays the largest
WAY_OUT = {
    "MaxPool1d": "a maximum of spikes is no sum; train with AvgPool2d",
    "MaxPool2d": "a maximum of spikes is no sum; train with AvgPool2d",
    "AdaptiveMaxPool2d": "a maximum of spikes is no sum; train with AdaptiveAvgPool2d",
    "Sigmoid": "its values are no rates of spikes; train with ReLU",
    "Tanh": "its values are no rates of spikes; train with ReLU",
    "GELU": "it goes below zero; train with ReLU",
    "SiLU": "it goes below zero; train with ReLU",
    "ELU": "it goes below zero; train with ReLU",
    "LeakyReLU": "it goes below zero; train with ReLU",
}


def layers_of(module: Any, sample: Any) -> list[Layer]:
    """The layers of a module without spiking neurons, in order.

    Parameters
    ----------
    module : torch.nn.Module
        A chain of layers: nn.Sequential, or a module that calls one after the other.
    sample : (m, …) tensor

    Raises
    ------
    NetworkError
        A layer that has no spiking form, by its path, with what to do instead; branches; a linear layer whose values
        can be negative before another layer that it cannot be joined with.
    """
    trace = run(module, sample[:1], lambda m: False, "this module")
    made = Made(trace, 1, 1.0)
    found: list[tuple[str, Layer]] = []
    for k, traced in enumerate(_chain(trace)):
        if traced.kind in (*IGNORED, "Flatten"):
            continue
        if traced.kind in ORDERED and k == len(trace.layers) - 1:
            continue
        maker = MAKERS.get(traced.kind)
        if maker is None:
            why = WAY_OUT.get(traced.kind, f"known are {KNOWN}")
            raise NetworkError(f"from_torch: {traced.name}: {traced.kind} has no spiking form: {why}")
        maker(made, traced, found)
    if not found:
        raise NetworkError("from_torch: this module has no layer with weights")
    positive = bool((sample >= 0).all()) or found[0][1].activation == "relu"
    for (name, layer), (after, _) in itertools.pairwise(found):
        if layer.activation == "linear" and not (positive and _never_negative(layer)):
            raise NetworkError(
                f"from_torch: {name} has no ReLU before {after}, so that its values can be negative, which "
                "spikes cannot say; put a ReLU between them"
            )
    return [layer for _, layer in found]


def _chain(trace: Trace) -> list[Traced]:
    """The layers one after the other."""
    before = INPUT
    for layer in trace.layers.values():
        if layer.sources != (before,):
            raise NetworkError(
                f"from_torch: {layer.name}: {layer.kind} reads {' + '.join(layer.sources)}, not the layer before it "
                f"('{before}'); only a chain of layers can be converted"
            )
        before = layer.name
    return list(trace.layers.values())


def _never_negative(layer: Layer) -> bool:
    """An average of what is not negative; biases below zero can make it so."""
    weights = layer.kernel if isinstance(layer, Convolution) else layer.weights
    return bool(np.all(weights >= 0)) and bool(np.all(layer.biases() >= 0))


Found = list[tuple[str, Layer]]


def _dense(made: Made, traced: Traced, found: Found) -> None:
    if len(made.own(traced, traced.before)) != 1:
        raise NetworkError(
            f"from_torch: {traced.name}: Linear on shape {made.own(traced, traced.before)}; flatten before it"
        )
    m = traced.module
    weight, bias = numbers(m.weight), None if m.bias is None else numbers(m.bias)
    if found and isinstance(found[-1][1], Dense) and found[-1][1].activation == "linear":
        first = found.pop()[1]
        assert isinstance(first, Dense)
        bias = (np.zeros(len(weight)) if bias is None else bias) + weight @ first.biases()
        weight = weight @ first.weights
    found.append((traced.name, Dense(weight, bias, "linear")))


def _conv(made: Made, traced: Traced, found: Found) -> None:
    m, shape = traced.module, made.own(traced, traced.before)
    flat = traced.kind == "Conv1d"
    if m.padding_mode != "zeros" or (
        m.padding == "same" and np.any(np.multiply(m.dilation, np.array(m.kernel_size) - 1) % 2)
    ):
        raise NetworkError(
            f"from_torch: {traced.name}: {traced.kind} pads with {m.padding_mode} and {m.padding}; give zeros"
        )
    reach = tuple(d * (k - 1) // 2 for d, k in zip(m.dilation, m.kernel_size))
    padding = {"same": reach, "valid": (0,)}.get(m.padding, m.padding) if isinstance(m.padding, str) else m.padding
    kernel = numbers(m.weight)
    geometry = {"stride": pair(m.stride), "padding": pair(padding), "dilation": pair(m.dilation)}
    if flat:
        kernel = kernel[:, :, None, :]
        geometry = {k: (0 if k == "padding" else 1, v[0]) for k, v in geometry.items()}
    image = (shape[0], 1, shape[1]) if flat else (shape[0], shape[1], shape[2])
    bias = None if m.bias is None else numbers(m.bias)
    found.append((traced.name, Convolution(kernel, image, bias, "linear", groups=m.groups, **geometry)))


def _relu(made: Made, traced: Traced, found: Found) -> None:
    if not found:
        raise NetworkError(f"from_torch: {traced.name}: ReLU before any weights; begin with Linear or Conv")
    name, layer = found[-1]
    found[-1] = (name, replace(layer, activation="relu"))


def _norm(made: Made, traced: Traced, found: Found) -> None:
    """Into the weights of the layer before it."""
    factor, offset = batch_norm(traced)
    if not found or found[-1][1].activation == "relu" or len(factor) != found[-1][1].shape[0]:
        raise NetworkError(
            f"from_torch: {traced.name}: {traced.kind} does not follow a Linear or Conv directly; put it between the "
            "layer and its ReLU"
        )
    name, layer = found[-1]
    own = np.zeros(len(factor)) if layer.bias is None else np.asarray(layer.bias)
    bias = own * factor + offset
    if isinstance(layer, Dense):
        found[-1] = (name, replace(layer, weights=layer.weights * factor[:, None], bias=bias))
    else:
        found[-1] = (name, replace(layer, kernel=layer.kernel * factor[:, None, None, None], bias=bias))


def _pool(made: Made, traced: Traced, found: Found) -> None:
    """A layer of its own; behind a convolution without ReLU, part of that."""
    shape = made.own(traced, traced.before)
    geometry = pool_geometry(traced, shape)
    size, stride, padding = geometry["kernel_size"], geometry["stride"], geometry["padding"]
    value = 1.0 / geometry["divisor"]
    last = found[-1][1] if found else None
    if isinstance(last, Convolution) and last.activation == "linear" and not any(padding):
        found[-1] = (found[-1][0], _joined(last, size, stride, value))
        return
    kernel = np.full((shape[0], 1, *size), value)
    image = (shape[0], shape[1], shape[2])
    found.append((traced.name, Convolution(kernel, image, None, "linear", stride, padding, groups=shape[0])))


def _joined(conv: Convolution, size: tuple[int, int], stride: tuple[int, int], value: float) -> Convolution:
    """A convolution and the pool behind it as one convolution: its kernel added up at the places that are pooled."""
    step, dilation = pair(conv.stride), pair(conv.dilation)
    spread = _spread(np.asarray(conv.kernel, dtype=np.float64), dilation)
    height, width = spread.shape[2:]
    kernel = np.zeros((*spread.shape[:2], height + (size[0] - 1) * step[0], width + (size[1] - 1) * step[1]))
    for i in range(size[0]):
        for j in range(size[1]):
            kernel[:, :, i * step[0] : i * step[0] + height, j * step[1] : j * step[1] + width] += spread * value
    bias = None if conv.bias is None else conv.bias * value * size[0] * size[1]
    return replace(conv, kernel=kernel, bias=bias, dilation=1, stride=(step[0] * stride[0], step[1] * stride[1]))


def _spread(kernel: np.ndarray, dilation: tuple[int, int]) -> np.ndarray:
    """A dilated kernel with its holes as zeros."""
    rows, columns = ((n - 1) * d + 1 for n, d in zip(kernel.shape[2:], dilation))
    out = np.zeros((*kernel.shape[:2], rows, columns))
    out[:, :, :: dilation[0], :: dilation[1]] = kernel
    return out


MAKERS: dict[str, Callable[[Made, Traced, Found], None]] = {
    "Linear": _dense, "Conv1d": _conv, "Conv2d": _conv, "ReLU": _relu, "BatchNorm1d": _norm, "BatchNorm2d": _norm,
    "AvgPool2d": _pool, "AdaptiveAvgPool2d": _pool,
}  # fmt: skip
