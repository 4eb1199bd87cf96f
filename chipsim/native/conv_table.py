"""A convolution written out synapse by synapse, for counting, packing and export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..checks import ask

if TYPE_CHECKING:
    from .synapses import Conv


def flat_index(a0: np.ndarray, a1: np.ndarray, c: np.ndarray, image: tuple[int, int, int], channels: str) -> np.ndarray:
    """Index of pixel (a0, a1), channel c in a population of layout `channels`."""
    n0, n1, nc = image
    return (a0 * n1 + a1) * nc + c if channels == "last" else (c * n0 + a0) * n1 + a1


def taps(conv: Conv, axis: int) -> int:
    """Pairs of an output coordinate and a kernel offset along `axis` that fall into the image."""
    offsets = np.arange(conv.kernel.shape[1 + axis]) * conv.dilation[axis] - conv.padding[axis]
    # Outputs o in 0..m-1 with 0 <= o * stride + offset < n, counted for each offset.
    n, m, stride = conv.in_image[axis], conv.out_image[axis], conv.stride[axis]
    first = np.maximum(-(offsets // stride), 0)
    last = np.minimum((n - 1 - offsets) // stride, m - 1)
    return int(np.maximum(last - first + 1, 0).sum())


def ask_for(conv: Conv, what: str) -> None:
    """Refuse a convolution whose synapses are too many to be written out; NetworkError before memory is taken."""
    # Three indices and a sort key of each synapse; and of those outside the image, whether they are.
    need = f"{what} written out as {conv.count} synapses"
    ask(100 * conv.count, need, "give a smaller image or kernel")


def conv_table(conv: Conv) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every synapse of `conv` as (post, pre, index into kernel.ravel()), each (s,) int64, ordered by pre, then post."""
    n0, n1, _ = conv.in_image
    m0, m1, c_out = conv.out_image
    _, k0, k1, per_group = conv.kernel.shape
    ask_for(conv, "a convolution")
    o0, o1, co, a, b, ci = np.meshgrid(
        np.arange(m0),
        np.arange(m1),
        np.arange(c_out),
        np.arange(k0),
        np.arange(k1),
        np.arange(per_group),
        indexing="ij",
        copy=False,
    )
    i0 = o0 * conv.stride[0] - conv.padding[0] + a * conv.dilation[0]
    i1 = o1 * conv.stride[1] - conv.padding[1] + b * conv.dilation[1]
    inside = (i0 >= 0) & (i0 < n0) & (i1 >= 0) & (i1 < n1)
    channel_in = (co // (c_out // conv.groups)) * per_group + ci
    post = flat_index(o0, o1, co, conv.out_image, conv.channels)[inside]
    pre = flat_index(i0, i1, channel_in, conv.in_image, conv.channels)[inside]
    kernel = (((co * k0 + a) * k1 + b) * per_group + ci)[inside]
    order = np.lexsort((post, pre))
    return post[order], pre[order], kernel[order]
