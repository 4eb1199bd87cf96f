"""Layers of a trained network as plain arrays: what readers make and `chipsim.mappings.builders.relu` turns into
spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.checks import floats
from chipsim.errors import NetworkError
from chipsim.mappings.network.ideal import Conv2d
from chipsim.native.synapses import Conv

ACTIVATIONS = ("relu", "linear")


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected layer: activation(x W^T + b).

    `weights` (out, in), `bias` (out,) or None; `activation` "relu" or "linear".
    """

    weights: np.ndarray
    bias: np.ndarray | None = None
    activation: str = "relu"

    def __post_init__(self) -> None:
        weights = floats(self.weights, "Dense: weights")
        if weights.ndim != 2 or not weights.size:
            raise NetworkError(f"Dense: weights have shape {weights.shape}; give (out, in)")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "bias", _bias(self.bias, len(weights), "Dense"))

    @property
    def n_in(self) -> int:
        """Inputs."""
        return self.weights.shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Layout of the outputs."""
        return (self.weights.shape[0],)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Activations before the nonlinearity, (m, out), for inputs (m, in)."""
        return x @ self.weights.T + self.biases()

    def biases(self) -> np.ndarray:
        """Bias of each output, (out,)."""
        return np.zeros(self.shape[0]) if self.bias is None else np.asarray(self.bias, dtype=np.float64)

    def synapses(self, factor: float, signed: bool = False) -> Any:
        """Weights times `factor`, (post, pre); both signs stacked for signed readouts."""
        scaled = np.asarray(self.weights, dtype=np.float64) * factor
        return np.concatenate([scaled, -scaled]) if signed else scaled


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution on (channels, height, width) images, cross-correlation as in torch.

    `kernel` (out, in / groups, k0, k1), `bias` (out,) or None; geometry as in
    `chipsim.mappings.network.ideal.Conv2d`. Average
    and sum pooling are convolutions with one group per channel: see `pooling`.
    """

    kernel: np.ndarray
    input_shape: tuple[int, int, int]
    bias: np.ndarray | None = None
    activation: str = "relu"
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", floats(self.kernel, "Convolution: kernel"))
        object.__setattr__(self, "bias", _bias(self.bias, self._conv().kernel.shape[0], "Convolution"))

    def _conv(self, factor: float = 1.0) -> Conv:
        return Conv2d(
            np.asarray(self.kernel, dtype=np.float64) * factor, self.input_shape, stride=self.stride,
            padding=self.padding, dilation=self.dilation, groups=self.groups,
        )  # fmt: skip

    @property
    def n_in(self) -> int:
        """Inputs."""
        return int(np.prod(self.input_shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Layout of the outputs (channels, height, width)."""
        return self._conv().output_shape

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Activations before the nonlinearity, (m, out), for flat inputs (m, in)."""
        from scipy.sparse import csr_array

        conv = self._conv()
        post, pre, index = conv.targets()
        matrix = csr_array((conv.kernel.ravel()[index], (post, pre)), shape=conv.shape)
        return (matrix @ x.T).T + self.biases()

    def biases(self) -> np.ndarray:
        """Bias of each output neuron, (out,)."""
        shape = self.shape
        bias = np.zeros(shape[0]) if self.bias is None else np.asarray(self.bias, dtype=np.float64)
        return np.repeat(bias, shape[1] * shape[2])

    def synapses(self, factor: float, signed: bool = False) -> Any:
        """The convolution with its kernel times `factor`."""
        if signed:
            raise NetworkError("a convolution cannot be a signed readout; end the network with a dense layer")
        return self._conv(factor)


Layer = Dense | Convolution


def pooling(input_shape: tuple[int, int, int], size: Any, stride: Any = None, *, average: bool = True) -> Convolution:
    """Average or sum pooling as a linear convolution of one kernel per channel."""
    k0, k1 = (size, size) if np.ndim(size) == 0 else size
    value = 1.0 / (k0 * k1) if average else 1.0
    kernel = np.full((input_shape[0], 1, k0, k1), value)
    return Convolution(
        kernel, input_shape, None, "linear", stride if stride is not None else (k0, k1), groups=input_shape[0]
    )


def _bias(given: Any, n: int, what: str) -> np.ndarray | None:
    if given is None:
        return None
    bias = floats(given, f"{what}: bias")
    if bias.shape != (n,):
        raise NetworkError(f"{what}: bias has shape {bias.shape}; give one for each of {n} outputs")
    return bias


def rows_of(data: Any, what: str) -> np.ndarray:
    """Samples as (m, n) float64, finite; NetworkError for anything else."""
    values = floats(data, what)
    if values.ndim < 2 or not values.size:
        raise NetworkError(f"{what}: samples have shape {values.shape}; give (samples, inputs)")
    return values.reshape(len(values), -1)


def forward(layers: Sequence[Layer], data: np.ndarray) -> list[np.ndarray]:
    """Activations of every layer for `data` (m, n_in), after its ReLU where it has one."""
    x, out = rows_of(data, "data"), []
    for layer in layers:
        x = layer.forward(x)
        if layer.activation == "relu":
            x = np.maximum(x, 0)
        out.append(x)
    return out
