"""Torch's stateless layers as NIR nodes, and the graph under construction (torch itself is not imported here)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.errors import NetworkError
from chipsim.mappings.formats.nir.file import Graph, Node

from .trace import INPUT, Layer, Trace

OUTPUT = "output"
IGNORED = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "Identity")


def numbers(value: Any) -> np.ndarray:
    """A tensor or number as float64, detached, on the host."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.array(value, dtype=np.float64)


@dataclass
class Made:
    """Nodes and edges of a graph; `ends` holds where edges enter and leave each layer.

    `lead` axes of batch and time stand before a layer's own (one more than inside `inside`); `dt` is the length of a
    step in the unit of its time constants.
    """

    trace: Trace
    lead: int
    dt: float
    inside: tuple[str, ...] = ()
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)

    def own(self, layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape without the axes of batch and time."""
        lead = self.lead - any(layer.name == p or layer.name.startswith(f"{p}.") for p in self.inside)
        if len(shape) <= lead:
            raise NetworkError(
                f"from_torch: {layer.name}: {layer.kind} receives shape {shape}; give the sample "
                f"{'a batch axis' if lead == 1 else 'axes of batch and time'} in front"
            )
        return shape[lead:]

    def add(self, name: str, kind: str, metadata: dict[str, Any] | None = None, **params: Any) -> str:
        """A node; numbers become arrays."""
        held = {k: v if isinstance(v, str) else np.asarray(v) for k, v in params.items() if v is not None}
        self.nodes[name] = Node(name, kind, held, {k: v for k, v in (metadata or {}).items() if v is not None})
        return name

    def link(self, a: str, b: str) -> None:
        """An edge."""
        self.edges.append((a, b))

    def chain(self, *names: str) -> tuple[str, str]:
        """Edges along `names`; returns where one enters and leaves."""
        for a, b in itertools.pairwise(names):
            self.link(a, b)
        return names[0], names[-1]


Maker = Callable[[Made, Layer], tuple[str, str]]


def graph_of(made: Made, makers: dict[str, Maker], metadata: dict[str, Any], source: str, known: str) -> Graph:
    """The graph of a trace; `makers` knows the tool's neurons by class name.

    Raises
    ------
    NetworkError
        A layer that neither the tool nor NIR knows, with its path; settings that cannot be computed.
    """
    trace = made.trace
    first = next(layer for layer in trace.layers.values() if INPUT in layer.sources)
    made.add(INPUT, "Input", shape=np.array(made.own(first, first.before)))
    made.ends[INPUT] = (INPUT, INPUT)
    for layer in trace.layers.values():
        if layer.kind in IGNORED:
            made.ends[layer.name] = made.chain(made.add(layer.name, "Through"))
            continue
        maker = makers.get(layer.kind) or STATELESS.get(layer.kind)
        if maker is None:
            raise NetworkError(f"from_torch: {layer.name}: {layer.kind} is no layer that is known: {known}")
        made.ends[layer.name] = maker(made, layer)
    for layer in trace.layers.values():
        for source_name in layer.sources:
            made.link(made.ends[source_name][1], made.ends[layer.name][0])
    last = trace.layers.get(trace.outputs[0], first)
    made.add(OUTPUT, "Output", shape=np.array(made.own(last, last.after)))
    for name in trace.outputs:
        made.link(made.ends[name][1], OUTPUT)
    return Graph(made.nodes, tuple(made.edges), metadata, source)


def _linear(made: Made, layer: Layer) -> tuple[str, str]:
    if len(made.own(layer, layer.before)) != 1:
        raise NetworkError(
            f"from_torch: {layer.name}: Linear acts on the last axis of {made.own(layer, layer.before)}; flatten before"
        )
    weight, bias = numbers(layer.module.weight), layer.module.bias
    return made.chain(affine(made, layer.name, weight, None if bias is None else numbers(bias)))


def affine(made: Made, name: str, weight: np.ndarray, bias: np.ndarray | None = None) -> str:
    """A Linear or Affine node."""
    if bias is None:
        return made.add(name, "Linear", weight=weight)
    return made.add(name, "Affine", weight=weight, bias=bias)


def _conv(made: Made, layer: Layer) -> tuple[str, str]:
    m = layer.module
    if m.padding_mode != "zeros":
        raise NetworkError(f"from_torch: {layer.name}: {layer.kind} pads with '{m.padding_mode}'; only zeros are known")
    bias = np.zeros(m.out_channels) if m.bias is None else numbers(m.bias)
    padding = m.padding if isinstance(m.padding, str) else np.array(m.padding)
    name = made.add(
        layer.name, layer.kind, weight=numbers(m.weight), bias=bias, stride=np.array(m.stride), padding=padding,
        dilation=np.array(m.dilation), groups=m.groups,
    )  # fmt: skip
    return made.chain(name)


def pair(value: Any) -> tuple[int, int]:
    """One number for both axes, or two."""
    values = tuple(np.ravel(value).tolist())
    return (int(values[0]), int(values[-1]))


def pool_geometry(layer: Layer, shape: tuple[int, ...]) -> dict[str, Any]:
    """kernel_size, stride, padding and divisor of AvgPool2d, SumPool2d or AdaptiveAvgPool2d on images of `shape`."""
    m = layer.module
    if layer.kind == "AdaptiveAvgPool2d":
        size = [s if o is None else int(o) for s, o in zip(shape[-2:], pair_or_none(m.output_size))]
        if any(s % o for s, o in zip(shape[-2:], size)):
            raise NetworkError(
                f"from_torch: {layer.name}: AdaptiveAvgPool2d to {tuple(size)} has windows of different sizes on "
                f"{shape[-2:]}; use AvgPool2d"
            )
        kernel = (shape[-2] // size[0], shape[-1] // size[1])
        return {"kernel_size": kernel, "stride": kernel, "padding": (0, 0), "divisor": kernel[0] * kernel[1]}
    kernel = pair(m.kernel_size)
    stride = kernel if m.stride is None else pair(m.stride)
    padding = pair(getattr(m, "padding", 0))
    whole = tuple((s + 2 * p - k) // t + 1 for s, p, k, t in zip(shape[-2:], padding, kernel, stride))
    if m.ceil_mode and whole != layer.after[-2:]:
        raise NetworkError(f"from_torch: {layer.name}: {layer.kind} with ceil_mode cuts windows; pad or crop instead")
    if any(padding) and not getattr(m, "count_include_pad", True):
        raise NetworkError(f"from_torch: {layer.name}: {layer.kind} leaves the padding out; set count_include_pad=True")
    divisor = getattr(m, "divisor_override", None) or kernel[0] * kernel[1]
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "divisor": divisor}


def pair_or_none(value: Any) -> tuple[int | None, int | None]:
    """An output size of an adaptive pool: one number or None for both axes, or two."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def _pool(made: Made, layer: Layer) -> tuple[str, str]:
    shape = made.own(layer, layer.before)
    geometry = pool_geometry(layer, shape)
    divisor = geometry.pop("divisor")
    summed = layer.kind == "SumPool2d"
    if summed or divisor == geometry["kernel_size"][0] * geometry["kernel_size"][1]:
        return made.chain(made.add(layer.name, "SumPool2d" if summed else "AvgPool2d", **geometry))
    pool = made.add(layer.name, "SumPool2d", **geometry)
    return made.chain(pool, made.add(f"{layer.name}.scale", "Scale", scale=np.array([1 / divisor])))


def _flatten(made: Made, layer: Layer) -> tuple[str, str]:
    before, after = made.own(layer, layer.before), made.own(layer, layer.after)
    if len(after) != 1 and before != after:
        raise NetworkError(f"from_torch: {layer.name}: Flatten from {before} to {after}; flatten all axes")
    return made.chain(made.add(layer.name, "Flatten", start_dim=0, end_dim=-1))


def batch_norm(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """(channels,) factor and offset of a BatchNorm in evaluation.

    Raises
    ------
    NetworkError
        One that keeps no statistics and so depends on the batch.
    """
    m = layer.module
    if m.running_mean is None:
        raise NetworkError(f"from_torch: {layer.name}: {layer.kind} keeps no running statistics and so has no fixed "
                           "weights; train it with track_running_stats=True")  # fmt: skip
    factor = 1 / np.sqrt(numbers(m.running_var) + m.eps)
    factor = factor if m.weight is None else factor * numbers(m.weight)
    offset = -numbers(m.running_mean) * factor
    return factor, offset if m.bias is None else offset + numbers(m.bias)


def _norm(made: Made, layer: Layer) -> tuple[str, str]:
    """Channel by channel: a convolution of one weight each."""
    factor, offset = batch_norm(layer)
    axes = len(made.own(layer, layer.before)) - 1
    if axes == 0:
        return made.chain(made.add(layer.name, "Affine", weight=np.diag(factor), bias=offset))
    one, none = np.ones(axes, np.int64), np.zeros(axes, np.int64)
    name = made.add(
        layer.name, f"Conv{axes}d", weight=factor.reshape(-1, *[1] * (axes + 1)), bias=offset, stride=one,
        padding=none, dilation=one, groups=len(factor),
    )  # fmt: skip
    return made.chain(name)


STATELESS: dict[str, Maker] = {
    "Linear": _linear, "Conv1d": _conv, "Conv2d": _conv, "AvgPool2d": _pool, "AdaptiveAvgPool2d": _pool,
    "SumPool2d": _pool, "Flatten": _flatten, "BatchNorm1d": _norm, "BatchNorm2d": _norm,
}  # fmt: skip
