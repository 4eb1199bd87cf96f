"""lava-dl's network exchange files (NetX, `.net`) as plain layers, from an HDF5 file that nobody vouches for.

Layout of lava-dl 0.6.0: `/layer/<i>/` with type, shape, weight, … and `/layer/<i>/neuron/` with the neurons' integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.checks import ask
from chipsim.errors import ChipsimError, FileError
from chipsim.storage.file import DAMAGE, open_hdf5, reason
from chipsim.storage.file import naming as naming_file
from chipsim.storage.reader import MAX_NEURONS, array_of

MAX_LAYERS = 10_000
LARGE = 1 << 20  #: numbers from which an array is read in parts
_EACH = 6  #: bytes that a number of a large array takes here and in the synapses made of it
MAX_DIMS = 4  #: of a layer's shape
ARRAYS = ("shape", "weight", "weight_rec", "bias", "delay", "stride", "padding", "dilation", "groups")
NUMBERS = ("iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike", "messageBits")


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: its place, kind (type in the file), arrays by name, and its neurons' kind and numbers."""

    index: int
    kind: str
    arrays: dict[str, np.ndarray]
    neuron: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"layer {self.index} ({self.kind})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes as the file gives them: (n,), or (channels, height, width)."""
        return tuple(int(d) for d in np.ravel(self.arrays["shape"]))


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Errors inside say `what`, once, in front; damage becomes a FileError."""
    try:
        yield
    except FileError as error:
        raise naming_file(what, error) from None
    except ChipsimError as error:
        raise naming_file(what, error) from None
    except DAMAGE as error:
        raise FileError(f"{what} is damaged: {reason(error)}") from error


def read_layers(path: str | Path) -> list[Layer]:
    """All layers in order.

    Raises
    ------
    FileError
        A file that is missing, cut short, no NetX, that lacks a layer or declares more than it holds; naming file,
        layer and dataset.
    """
    source = Path(path)
    file = open_hdf5(source, attributes=False, label=_label)
    try:
        with naming(str(source)):
            group = _member(file, "layer")
            if group is None or not hasattr(group, "keys"):
                raise FileError("holds no NetX network: it has no group 'layer'")
            if not 0 < len(group) <= MAX_LAYERS:
                raise FileError(f"has {len(group)} layers; 1 to {MAX_LAYERS} are read")
            return [_layer(group, k) for k in range(len(group))]
    finally:
        file.close()


def _label(file: Any, text: str) -> str:
    """A refusal that names a place, `/layer/3/weight …`, in words: `layer 3 (dense): weight …`."""
    found = re.match(r"/layer/(\d+)/(.*)", text, re.DOTALL)
    if found is None:
        return text
    kind = ""
    try:
        node = file[f"layer/{found[1]}/type"]
        plain = node.dtype.kind == "S" and node.size == 1 and node.chunks is None and not node.is_virtual
        kind = f" ({node[0].decode('ascii', 'replace')})" if plain and not node.external else ""
    except (*DAMAGE,):
        pass
    return f"layer {found[1]}{kind}: {found[2]}"


def _member(group: Any, name: str) -> Any:
    """What a hard link leads to; other links lead out of the file, or nowhere."""
    import h5py

    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise FileError(f"{name} is a link to elsewhere")
    return None if link is None else group[name]


def _layer(group: Any, index: int) -> Layer:
    with naming(f"layer {index}"):
        found = _member(group, str(index))
        if found is None:
            raise FileError(f"is missing; there are {', '.join(sorted(group)[:8])}")
        kind = _text(found, "type")
    with naming(f"layer {index} ({kind})"):
        arrays = {}
        for name in ARRAYS:
            node = _member(found, name)
            if node is None:
                continue
            if hasattr(node, "keys"):
                raise FileError(f"{name} is complex (real and imag), for resonate-and-fire neurons; not read")
            arrays[name] = _numbers(array_of(node), name) if (node.size or 0) < LARGE else _narrow(node, name)
        if "shape" in arrays:
            _check_shape(arrays["shape"])
        return Layer(index, kind, arrays, _neuron(_member(found, "neuron")))


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Whole numbers as int64: NetX cuts fractions off silently, here they are refused."""
    if array.dtype.kind not in "iufb":
        raise FileError(f"{name} holds {array.dtype}, not numbers")
    if array.dtype.kind == "f":
        if not np.all(np.isfinite(array)):
            raise FileError(f"{name} holds NaN or infinity")
        if np.any(array != np.floor(array)):
            raise FileError(f"{name} holds fractions ({array[array != np.floor(array)].ravel()[0]:g}); quantise first")
        if np.any(np.abs(array) > 2**53):
            raise FileError(f"{name} holds numbers beyond 2**53")
    return array.astype(np.int64)


def _narrow(node: Any, name: str) -> np.ndarray:
    """A large array as int16, read and checked a few rows at a time: weights have 9 bits, whatever holds them."""
    ask(_EACH * node.size, f"{name} of shape {node.shape}", "split the layer", FileError)
    made = np.empty(node.shape, np.int16)
    rows = max(1, LARGE // max(node.size // node.shape[0], 1))
    for first in range(0, node.shape[0], rows):
        part = _numbers(np.asarray(node[first : first + rows]), name)
        if part.min() < -(1 << 15) or part.max() >= 1 << 15:
            raise FileError(f"{name} spans {part.min()}..{part.max()}, beyond 16 bits")
        made[first : first + rows] = part
    return made


def _check_shape(shape: np.ndarray) -> None:
    sizes = [int(d) for d in np.ravel(shape)]
    if not 1 <= len(sizes) <= MAX_DIMS or min(sizes) < 1:
        raise FileError(f"shape {sizes} is no layer of neurons")
    total = int(np.prod(np.array(sizes, object)))
    if total > MAX_NEURONS:
        raise FileError(f"shape {sizes} declares {total} neurons; at most {MAX_NEURONS} are read")


def _neuron(group: Any) -> dict[str, Any]:
    if group is None:
        return {}
    if not hasattr(group, "keys"):
        raise FileError("neuron is no group")
    found: dict[str, Any] = {"type": _text(group, "type")}
    for name in NUMBERS:
        node = _member(group, name)
        if node is None:
            continue
        value = _numbers(array_of(node), f"neuron/{name}")
        if value.size != 1:
            raise FileError(f"neuron/{name} has shape {value.shape}; one number is read")
        found[name] = int(value.ravel()[0])
    return found


def _text(group: Any, name: str) -> str:
    """A text, as one string or an array of one."""
    import h5py

    node = _member(group, name)
    if not isinstance(node, h5py.Dataset) or h5py.check_string_dtype(node.dtype) is None or node.size != 1:
        raise FileError(f"{name} is no text")
    value = np.ravel(node[()])[0]
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
