"""Stateless NIR nodes as linear maps on flat vectors: x -> A x + b, with the shapes on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import NetworkError
from chipsim.native.synapses import Conv

from .file import Node

Shape = tuple[int, ...]
MAX_ENTRIES = 1 << 29  #: entries of one matrix


@dataclass(frozen=True, eq=False)
class Linear:
    """A map of flat vectors: a matrix, a convolution, or the identity (`weights` None), then `bias`.

    `shape` is that of its output.
    """

    shape: Shape
    weights: Any = None
    bias: np.ndarray | None = None

    def matrix(self) -> Any:
        """(out, in) ndarray or CSC array."""
        if not isinstance(self.weights, Conv):
            return self.weights
        conv = self.weights
        post, pre, index = conv.targets()
        values = np.asarray(conv.kernel).ravel()[index]
        return sp.csc_array((values, (post, pre)), shape=conv.shape)


def volume(shape: Shape) -> int:
    """Number of elements, without overflow."""
    return int(np.prod(np.asarray(shape, object), initial=1))


def linear_of(node: Node, shape: Shape, notes: list[str]) -> Linear:
    """The map of a stateless node on an input of `shape`; repairs are appended to `notes`.

    Raises
    ------
    NetworkError
        Parameters that do not fit the input, naming the node.
    """
    return KINDS[node.kind](node, shape, notes)


def parameter(node: Node, name: str) -> np.ndarray:
    """A numeric parameter as float64 (integers as they are); refuses missing ones, NaN and infinity."""
    if name not in node.params:
        raise NetworkError(f"node '{node.name}' ({node.kind}) has no parameter '{name}'")
    value = np.asarray(node.params[name])
    if value.dtype.kind not in "biuf":
        raise NetworkError(f"node '{node.name}' ({node.kind}): {name} is not numeric")
    if value.dtype.kind == "f":
        value = value.astype(np.float64)
        if not np.all(np.isfinite(value)):
            raise NetworkError(f"node '{node.name}' ({node.kind}): {name} holds NaN or infinity")
    return value


def _affine(node: Node, shape: Shape, notes: list[str]) -> Linear:
    weight = parameter(node, "weight")
    if weight.ndim != 2:
        raise NetworkError(f"node '{node.name}' ({node.kind}): weight has shape {weight.shape}, not (out, in)")
    if weight.shape[1] != volume(shape):
        raise NetworkError(
            f"node '{node.name}' ({node.kind}) takes {weight.shape[1]} values, but {shape} arrive: check its edges"
        )
    if len(shape) > 1:
        notes.append(f"node '{node.name}': input of shape {shape} flattened")
    bias = None
    if node.kind == "Affine":
        bias = parameter(node, "bias").astype(np.float64)
        if bias.size not in (1, weight.shape[0]):
            raise NetworkError(f"node '{node.name}' (Affine): bias has shape {bias.shape}, weight {weight.shape}")
        bias = np.broadcast_to(bias.ravel(), (weight.shape[0],))
    return Linear((weight.shape[0],), weight.astype(np.float64), bias)


def _scale(node: Node, shape: Shape, notes: list[str]) -> Linear:
    factor = fitted(node, "scale", shape, notes)
    return Linear(shape, sp.csc_array(sp.diags_array(factor.ravel())))


def _flatten(node: Node, shape: Shape, notes: list[str]) -> Linear:
    first = int(node.params.get("start_dim", 0))
    last = int(node.params.get("end_dim", -1))
    last = last + len(shape) if last < 0 else last
    if not 0 <= first <= last < len(shape):
        if first == 1 and last == len(shape):  # counted with a batch axis
            notes.append(f"node '{node.name}': Flatten counts a batch axis; taken off")
            first, last = 0, last - 1
        elif not (first == 1 and len(shape) == 1):
            raise NetworkError(f"node '{node.name}' (Flatten): axes {first}..{last} are not in shape {shape}")
        else:
            return Linear(shape)
    return Linear((*shape[:first], volume(shape[first : last + 1]), *shape[last + 1 :]))


def _conv(node: Node, shape: Shape, notes: list[str]) -> Linear:
    """Conv1d is a convolution of images of height 1."""
    flat = node.kind == "Conv1d"
    weight = parameter(node, "weight").astype(np.float64)
    axes = 1 if flat else 2
    if weight.ndim != 2 + axes:
        raise NetworkError(f"node '{node.name}' ({node.kind}): weight has shape {weight.shape}")
    shape = _image(node, shape, axes, notes)
    kernel = weight[:, :, None, :] if flat else weight
    stride, dilation = _pair(node, "stride", 1, flat, 1), _pair(node, "dilation", 1, flat, 1)
    padding = _padding(node, flat, kernel.shape[2:], dilation, stride)
    image = (shape[0], 1, shape[1]) if flat else shape
    geometry = dict(stride=stride, padding=padding, dilation=dilation, groups=int(node.params.get("groups", 1)))
    conv = _checked(node, kernel.transpose(0, 2, 3, 1), image, geometry)
    out = conv.output_shape
    bias = parameter(node, "bias").astype(np.float64).ravel() if "bias" in node.params else np.zeros(out[0])
    if bias.size not in (1, out[0]):
        raise NetworkError(f"node '{node.name}' ({node.kind}): bias has {bias.size} values for {out[0]} channels")
    per_neuron = np.repeat(np.broadcast_to(bias, (out[0],)), out[1] * out[2])
    return Linear((out[0], out[2]) if flat else out, conv, per_neuron if np.any(per_neuron) else None)


def _pool(node: Node, shape: Shape, notes: list[str]) -> Linear:
    shape = _image(node, shape, 2, notes)
    size = _pair(node, "kernel_size", None, False, 1)
    stride = _pair(node, "stride", size, False, 1)
    value = 1.0 / (size[0] * size[1]) if node.kind == "AvgPool2d" else 1.0
    kernel = np.full((shape[0], *size, 1), value)
    geometry = dict(stride=stride, padding=_pair(node, "padding", 0, False, 0), groups=shape[0])
    conv = _checked(node, kernel, shape, geometry)
    return Linear(conv.output_shape, conv)


def _image(node: Node, shape: Shape, axes: int, notes: list[str]) -> Shape:
    if len(shape) == axes + 2 and shape[0] == 1:
        notes.append(f"node '{node.name}': batch axis of its input {shape} taken off")
        shape = shape[1:]
    if len(shape) != axes + 1:
        wanted = "(channels, height, width)" if axes == 2 else "(channels, length)"
        raise NetworkError(f"node '{node.name}' ({node.kind}) takes {wanted}, but shape {shape} arrives")
    stated = node.params.get("input_shape")
    if stated is not None and tuple(np.ravel(stated).tolist()) not in (shape[1:], shape):
        raise NetworkError(
            f"node '{node.name}' ({node.kind}): its input_shape {tuple(np.ravel(stated).tolist())} contradicts "
            f"the shape {shape} that arrives"
        )
    return shape


def _pair(node: Node, name: str, default: Any, flat: bool, low: int) -> tuple[int, int]:
    if name not in node.params and default is None:
        raise NetworkError(f"node '{node.name}' ({node.kind}) has no parameter '{name}'")
    values = np.ravel(node.params.get(name, default)).astype(np.int64).tolist()
    if len(values) not in (1, 2) or min(values) < low or (flat and len(values) != 1):
        raise NetworkError(
            f"node '{node.name}' ({node.kind}): {name}={values} is not one whole number per axis >= {low}"
        )
    if flat:
        return (0 if low == 0 else 1), values[0]
    return values[0], values[-1]


def _padding(node: Node, flat: bool, size: Any, dilation: Any, stride: Any) -> tuple[int, int]:
    given = node.params.get("padding", 0)
    if isinstance(given, str):
        if given == "valid":
            return 0, 0
        reach = [d * (k - 1) for d, k in zip(dilation, size)]
        if given != "same" or any(r % 2 for r in reach) or max(stride) > 1:
            raise NetworkError(
                f"node '{node.name}' ({node.kind}): padding '{given}' is not symmetric here; give numbers"
            )
        return reach[0] // 2, reach[1] // 2
    return _pair(node, "padding", 0, flat, 0)


def _checked(node: Node, kernel: Any, image: Shape, geometry: dict[str, Any]) -> Conv:
    try:
        conv = Conv(kernel, (image[0], image[1], image[2]), channels="first", **geometry)
    except NetworkError as error:
        raise NetworkError(f"node '{node.name}' ({node.kind}): {error}") from None
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise NetworkError(f"node '{node.name}' ({node.kind}): geometry {geometry} means nothing: {error}") from None
    if volume(conv.output_shape) * kernel[0].size > MAX_ENTRIES:
        raise NetworkError(f"node '{node.name}' ({node.kind}): {conv.output_shape} outputs are more than can be held")
    return conv


def fitted(node: Node, name: str, shape: Shape, notes: list[str]) -> np.ndarray:
    """A per-neuron parameter in `shape`: numbers are broadcast and batch axes taken off, with a note.

    Raises
    ------
    NetworkError
        Another size.
    """
    value = parameter(node, name).astype(np.float64)
    if value.shape == shape:
        return value
    if value.size == 1:
        if value.shape == ():
            notes.append(f"node '{node.name}': one {name} for all {shape} neurons")
        return np.broadcast_to(value.ravel()[0], shape)
    if value.size == volume(shape):
        notes.append(f"node '{node.name}': {name} of shape {value.shape} taken as {shape}")
        return value.reshape(shape)
    if value.ndim == 1 and len(shape) == 3 and value.size == shape[0]:
        notes.append(f"node '{node.name}': {name} has one value per channel")
        return np.broadcast_to(value[:, None, None], shape)
    raise NetworkError(f"node '{node.name}' ({node.kind}): {name} has shape {value.shape}, its input {shape}")


KINDS = {
    "Affine": _affine,
    "Linear": _affine,
    "Scale": _scale,
    "Flatten": _flatten,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
}
