"""Synapse arrays in native form: matrices and convolutions, integer (a chip's mantissas) or float."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import ask, dims_of, floats, integers, numbers, product, shown, whole
from chipsim.errors import NetworkError
from chipsim.sparse import sparse_matrix

SIGNS = ("mixed", "excitatory", "inhibitory")
MAX_SIZE = (1 << 31) - 1  #: of an image, a step of a kernel, a number of groups
MAX_DELAY = 63  #: what the delay field can hold; a chip's own limit (62 on Loihi) is checked by the mapper
#: Inclusive mantissa range by sign mode (Lava 0.10.0), to which `saturate` clips.
MANTISSA_RANGE = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}
#: The lowest mantissa of any tool (brian2-loihi's inhibitory ones): see `chipsim.native.ranges`.
LOWEST_MANTISSA = -256


def as_matrix(weights: Any, what: str, *, exact: bool = False) -> Any:
    """`weights` as a 2-D ndarray or CSC array (post, pre), rows sorted; refuses other shapes, NaN and infinity.

    CSC because a spike needs the synapses of one source together; no copy when it is given so.
    """
    if sp.issparse(weights):
        matrix = sparse_matrix(weights, what)
        values = matrix.data
    else:
        # Its zeros are looked for, and what is not zero goes on as a sparse matrix.
        ask(2 * 8 * product(dims_of(weights)), f"{what}: a dense matrix {dims_of(weights)}", "give a scipy.sparse one")
        matrix = values = numbers(weights, f"{what}: weights of a matrix (post, pre)", exact=exact)
        if matrix.ndim != 2:
            raise NetworkError(f"{what}: weights have shape {matrix.shape}; give a matrix (post, pre)")
    if 0 in matrix.shape:
        raise NetworkError(f"{what}: weights have shape {matrix.shape}; give a matrix (post, pre) of neurons")
    if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
        raise NetworkError(f"{what}: weights hold NaN or infinity; give finite numbers")
    return matrix


def stored(matrix: Any) -> np.ndarray:
    """The stored values of a dense or sparse matrix, flat."""
    return matrix.data if sp.issparse(matrix) else np.asarray(matrix).ravel()


def _as_integers(matrix: Any, what: str, name: str) -> Any:
    values = stored(matrix)
    if values.dtype.kind == "f" and np.any(values != np.floor(values)):
        raise NetworkError(f"{what}: {name} holds fractions; the chip takes whole numbers")
    if values.size and (values.dtype.kind in "fu" or values.dtype.itemsize > 4):
        largest = values.max() if values.max() >= 2**31 else values.min()
        if not -(2**31) <= largest < 2**31:
            raise NetworkError(f"{what}: {name} {largest} is beyond any register of the chip; raise exponent instead")
    if sp.issparse(matrix):
        return with_data(matrix, values if values.dtype == np.int8 else values.astype(np.int32))
    return matrix if matrix.dtype == np.int8 else matrix.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Synapses:
    """A matrix of synapses in the chip's integers.

    Parameters
    ----------
    mantissa : (post, pre) ndarray or scipy.sparse, whole numbers
        Range by `sign`: mixed -256..255, excitatory 0..255, inhibitory -255..0 (-256 in brian2-loihi's arithmetic).
        The program's arithmetic clears low bits as the chip does (8 - bits, one more in mixed mode).
    exponent : int
        Weights act as mantissa * 2**exponent * 2**6.
    bits : int
        Weight bits, 1..8.
    sign : {"mixed", "excitatory", "inhibitory"} or None
        None takes it from the values, as Lava does (all zero counts as excitatory).
    delays : int or (post, pre) array, in steps, 0..63
        A spike of step t acts at step t + 1 + delay.
    message_bits : int
        0: a spike counts once whatever it carries; more: its value multiplies the weight. Of a given input, values
        of more bits (beside the sign) are refused; what neurons send is not cut, as in Lava.
    saturate : bool
        Clip mantissas beyond the range (counted as `clipped`) instead of refusing them.

    Raises
    ------
    NetworkError
        Wrong shapes, fractions, NaN, values beyond the bits.
    """

    mantissa: Any
    exponent: int = 0
    bits: int = 8
    sign: str | None = None
    delays: Any = 0
    message_bits: int = 0
    saturate: bool = False
    clipped: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Check everything once, here."""
        what = "loihi.Synapses"
        matrix = _as_integers(as_matrix(self.mantissa, what), what, "mantissa")
        for name, (lo, hi) in {"bits": (1, 8), "exponent": (-16, 16), "message_bits": (0, 32)}.items():
            # Python's own int: a narrow one of numpy would wrap round in 2**exponent.
            object.__setattr__(self, name, whole(getattr(self, name), f"{what}: {name}", lo, hi))
        if not isinstance(self.saturate, (bool, np.bool_)):
            raise NetworkError(f"{what}: saturate={shown(self.saturate)}: give True or False")
        sign = derive_sign(stored(matrix)) if self.sign is None else self.sign
        if not isinstance(sign, str) or sign not in SIGNS:
            raise NetworkError(f"{what}: sign={shown(sign)} is not one of {', '.join(SIGNS)}")
        object.__setattr__(self, "sign", sign)
        object.__setattr__(self, "mantissa", self._in_range(matrix, sign, what))
        object.__setattr__(self, "delays", as_delays(self.delays, self.mantissa, what))

    def _in_range(self, matrix: Any, sign: str, what: str) -> Any:
        lo, hi = MANTISSA_RANGE[sign]
        values = stored(matrix)
        if not values.size or (values.min() >= lo and values.max() <= hi):
            return matrix
        bad = (values < lo) | (values > hi)
        if not self.saturate:
            if sign == "inhibitory" and values.min() >= LOWEST_MANTISSA and values.max() <= hi:
                return matrix
            raise NetworkError(
                f"{what}: weight {values[bad][0]} is beyond {sign} mantissas [{lo}, {hi}]; raise exponent, "
                "or pass saturate=True to clip and count"
            )
        object.__setattr__(self, "clipped", int(bad.sum()))
        clipped = np.clip(values, lo, hi)
        if sp.issparse(matrix):
            return with_data(matrix, clipped)
        return clipped.reshape(matrix.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""
        return self.mantissa.shape

    @property
    def max_delay(self) -> int:
        """Largest delay in steps."""
        return _longest(self.delays)


@dataclass(frozen=True, eq=False)
class FloatSynapses:
    """A matrix of synapses with float64 weights (`cs.floats.Synapses`).

    Parameters
    ----------
    weights : (post, pre) ndarray or scipy.sparse
        In a scipy.sparse matrix every stored entry is a synapse, zeros included.
    delays : int or (post, pre) array, in steps, 0..63
    """

    weights: Any
    delays: Any = 0

    def __post_init__(self) -> None:
        """Check shapes and values."""
        matrix = as_floats(self.weights, "floats.Synapses")
        object.__setattr__(self, "weights", matrix)
        object.__setattr__(self, "delays", as_delays(self.delays, matrix, "floats.Synapses"))

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""
        return self.weights.shape

    @property
    def max_delay(self) -> int:
        """Largest delay in steps."""
        return _longest(self.delays)


@dataclass(frozen=True, eq=False)
class AllToAll(Synapses):
    """Synapses of a dense matrix all of whose entries exist: weights of 0 may grow. As a program holds what learns."""


@dataclass(frozen=True, eq=False)
class FloatAllToAll(FloatSynapses):
    """`AllToAll` in float64."""


def all_pairs(synapses: Synapses | FloatSynapses) -> Synapses | FloatSynapses:
    """Dense synapses as such where every pair is one."""
    kind = FloatAllToAll if isinstance(synapses, FloatSynapses) else AllToAll
    return kind(**{f.name: getattr(synapses, f.name) for f in fields(synapses) if f.init})


@dataclass(frozen=True, eq=False)
class Conv:
    """A two-dimensional convolution between two image-shaped populations.

    Parameters
    ----------
    kernel : (out_channels, k0, k1, in_channels / groups) ndarray
        Cross-correlation form: out[o] += kernel[k] * in[o * stride - padding + k * dilation].
        Integer mantissas on integer chips, floats on float chips.
    input_shape : (a0, a1, channels) for ``channels="last"``, (channels, a0, a1) for ``"first"``
    stride, padding, dilation : int or pair
    groups : int
    channels : {"last", "first"}
        Layout of both populations.
    exponent, message_bits
        As in `Synapses`; on float chips weights are kernel * 2**exponent.
    """

    kernel: Any
    input_shape: tuple[int, int, int]
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    channels: str = "last"
    exponent: int = 0
    message_bits: int = 0

    def __post_init__(self) -> None:
        """Check geometry and values."""
        kernel = numbers(self.kernel, "Conv: kernel", exact=True).copy()
        if kernel.ndim != 4 or not kernel.size:
            raise NetworkError(
                f"Conv: kernel has shape {kernel.shape}; give (out_channels, k0, k1, in_channels / groups)"
            )
        if kernel.dtype.kind == "f" and not np.all(np.isfinite(kernel)):
            raise NetworkError("Conv: kernel holds NaN or infinity; give finite numbers")
        if kernel.dtype.kind in "iu" and (int(kernel.min()) < -(2**31) or int(kernel.max()) >= 2**31):
            raise NetworkError(f"Conv: kernel {kernel.min()} .. {kernel.max()} is beyond any register; give floats")
        if not isinstance(self.channels, str) or self.channels not in ("last", "first"):
            raise NetworkError(f"Conv: channels={shown(self.channels)} is not 'last' or 'first'")
        for name in ("stride", "padding", "dilation"):
            object.__setattr__(self, name, _pair(getattr(self, name), name, 0 if name == "padding" else 1))
        for name, (lo, hi) in {"groups": (1, MAX_SIZE), "exponent": (-16, 16), "message_bits": (0, 32)}.items():
            object.__setattr__(self, name, whole(getattr(self, name), f"Conv: {name}", lo, hi))
        object.__setattr__(self, "kernel", kernel)
        object.__setattr__(self, "input_shape", _image(self.input_shape))
        c_in = self.in_image[2]
        if c_in % self.groups or kernel.shape[0] % self.groups or kernel.shape[3] * self.groups != c_in:
            raise NetworkError(
                f"Conv: kernel {kernel.shape} with groups={self.groups} does not fit {c_in} input channels"
            )
        if min(self.out_image) < 1:
            raise NetworkError(f"Conv: kernel {kernel.shape[1:3]} is larger than the padded input {self.input_shape}")

    @property
    def in_image(self) -> tuple[int, int, int]:
        """(a0, a1, channels) of the input, whatever the layout."""
        a, b, c = self.input_shape
        return (a, b, c) if self.channels == "last" else (b, c, a)

    @property
    def out_image(self) -> tuple[int, int, int]:
        """(a0, a1, channels) of the output, whatever the layout."""
        size = [
            (self.in_image[i] + 2 * self.padding[i] - self.dilation[i] * (self.kernel.shape[1 + i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in (0, 1)
        ]
        return (size[0], size[1], self.kernel.shape[0])

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape of the target population in its own layout."""
        a, b, c = self.out_image
        return (a, b, c) if self.channels == "last" else (c, a, b)

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre) as if it were a matrix."""
        return product(self.out_image), product(self.in_image)

    @property
    def count(self) -> int:
        """Number of synapses, without writing them out."""
        return taps(self, 0) * taps(self, 1) * self.kernel.shape[0] * self.kernel.shape[3]

    @property
    def floats(self) -> np.ndarray:
        """kernel * 2**exponent, float64."""
        return np.asarray(self.kernel, np.float64) * 2.0**self.exponent

    max_delay = 0
    delays = 0

    def targets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every synapse as (post, pre, index into kernel.ravel()), each (s,) int64, ordered by pre."""
        return conv_table(self)


def _pair(value: Any, name: str, low: int) -> tuple[int, int]:
    """One whole number for both directions, or two."""
    several = isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1)
    pair = value if several else (value, value)
    if len(pair) != 2:
        raise NetworkError(f"Conv: {name}={shown(value)} is not a whole number >= {low}, or a pair of them")
    return whole(pair[0], f"Conv: {name}", low, MAX_SIZE), whole(pair[1], f"Conv: {name}", low, MAX_SIZE)


def _image(shape: Any) -> tuple[int, int, int]:
    """Three sizes of an image, each at least 1."""
    several = isinstance(shape, (tuple, list)) or (isinstance(shape, np.ndarray) and shape.ndim == 1)
    dims = shape if several else (shape,)
    if len(dims) != 3:
        raise NetworkError(f"Conv: input_shape={shown(shape)} must be three sizes: two of the image, and its channels")
    a, b, c = (whole(d, "Conv: input_shape", 1, MAX_SIZE) for d in dims)
    return a, b, c


def _longest(delays: Any) -> int:
    """The largest of one delay, or of those of a dense or sparse matrix."""
    return int(np.asarray(stored(delays)).max(initial=0))


def derive_sign(values: np.ndarray) -> str:
    """Sign mode that Lava takes when none is given: excitatory if min >= 0, inhibitory if max <= 0."""
    if not values.size or values.min() >= 0:
        return "excitatory"
    return "inhibitory" if values.max() <= 0 else "mixed"


def as_floats(weights: Any, what: str) -> Any:
    """`weights` as `as_matrix` gives them, in float64 of the same values; never the user's own array."""
    matrix = as_matrix(weights, what, exact=True)
    if not sp.issparse(matrix):
        return np.array(floats(matrix, f"{what}: weights"))
    return with_data(matrix, np.array(floats(matrix.data, f"{what}: weights")))


def as_delays(delays: Any, matrix: Any, what: str) -> Any:
    """`delays` as an int, a (post, pre) int array, or for sparse weights a CSC array aligned with them."""
    if sp.issparse(delays):
        if delays.shape != matrix.shape:
            raise NetworkError(f"{what}: delays have shape {delays.shape}, weights {matrix.shape}; they must agree")
        delays = sparse_matrix(delays, f"{what}: delays")
        if not sp.issparse(matrix):
            delays = delays.toarray()
    if not sp.issparse(delays):
        delays = numbers(delays, f"{what}: delay")
        if delays.ndim == 0:
            return int(integers(delays, f"{what}: delay", 0, MAX_DELAY))
        if delays.shape != matrix.shape:
            raise NetworkError(f"{what}: delays have shape {delays.shape}, weights {matrix.shape}; they must agree")
    value = _aligned(delays, matrix) if sp.issparse(matrix) else delays
    value = integers(value, f"{what}: delay", 0, MAX_DELAY).astype(np.uint8)
    return with_data(matrix, value) if sp.issparse(matrix) else value


def with_data(matrix: Any, data: np.ndarray) -> sp.csc_array:
    """A sparse matrix of the same pattern with other values; the pattern is shared, not copied."""
    return sp.csc_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _aligned(delays: Any, matrix: Any) -> np.ndarray:
    """The delays of the stored entries of `matrix`, in its order; where `delays` stores none it is 0."""
    if sp.issparse(delays):
        if np.array_equal(delays.indptr, matrix.indptr) and np.array_equal(delays.indices, matrix.indices):
            return delays.data
        delays = delays.tocsr()
    columns = np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))
    if not columns.size:
        return np.zeros(0, np.int64)
    found = delays[matrix.indices, columns]
    return np.asarray(found.toarray() if sp.issparse(found) else found).ravel()


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
