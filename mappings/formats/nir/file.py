"""A NIR graph as plain data: from an HDF5 file that nobody vouches for, or from a graph of the nir library.

Files are read without the nir library, which refuses some that other tools write and takes memory for whatever
shape a file declares. Here every array is checked against what the file holds before it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import FileError, NetworkError
from chipsim.storage.file import DAMAGE, naming, open_hdf5, reason
from chipsim.storage.reader import array_of

DEPTH = 16  #: graphs inside graphs
MAX_NODES = 10_000
KEPT_ASIDE = ("type", "metadata", "nodes", "edges", "input_type", "output_type")
READS = ("0.", "1.")  #: versions whose layout is known


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its kind (NIR's class name) and parameters by name (arrays, or str)."""

    name: str
    kind: str
    params: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes by name (nodes or graphs) and directed edges; `source` is what messages name."""

    nodes: dict[str, Any]
    edges: tuple[tuple[str, str], ...]
    metadata: dict[str, Any]
    source: str
    version: str = ""


def read_graph(given: Any) -> Graph:
    """The graph of a path, or of a `nir.NIRGraph`; one that was read already stays as it is.

    Raises
    ------
    FileError
        A file that is missing, damaged, no NIR, of an unknown version, or declares more than it holds.
    NetworkError
        Something that is neither, None instead of a node.
    """
    if isinstance(given, Graph):
        return given
    if isinstance(given, (str, Path)):
        return _from_file(Path(given))
    if hasattr(given, "nodes") and hasattr(given, "edges"):
        return _from_library(given, "the NIR graph", 0)
    raise NetworkError(f"from_nir takes a path or a nir.NIRGraph, not {type(given).__name__}")


def _from_file(path: Path) -> Graph:
    file = open_hdf5(path, attributes=False)
    try:
        if "node" not in file or "version" not in file:
            raise FileError("holds no NIR graph: it has no 'node' and 'version'")
        version = _text(file["version"])
        if not version.startswith(READS):
            raise FileError(f"has NIR version {version}; versions 0 and 1 are known")
        return _graph(file["node"], str(path), version, 0)
    except FileError as error:
        raise naming(path, error) from None
    except DAMAGE as error:
        if isinstance(error, NetworkError):
            raise
        raise FileError(f"{path} is damaged: {reason(error)}") from error
    finally:
        file.close()


def _text(node: Any) -> str:
    import h5py

    if not isinstance(node, h5py.Dataset):
        raise FileError(f"{node.name} is a group, not a text")
    if h5py.check_string_dtype(node.dtype) is None:
        raise FileError(f"{node.name} holds no text")
    value = node[()] if node.shape == () else node[0] if node.size else b""
    return _printable(value.decode() if isinstance(value, bytes) else str(value), node.name)


def _printable(text: str, where: str) -> str:
    """The text, if it can be shown on a terminal as it is; a name with control characters in it is refused."""
    if not text.isprintable():
        raise FileError(f"{where}: {text[:80]!r} holds characters that cannot be printed")
    return text


def _own(group: Any) -> None:
    """Refuse links, which lead out of the file or back to where they came from."""
    import h5py

    for name in group:
        _printable(name if isinstance(name, str) else repr(name) + "\0", group.name)
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise FileError(f"{group.name}/{name} is a link; a graph's data must lie in its own file")


def _graph(group: Any, source: str, version: str, depth: int) -> Graph:
    import h5py

    if depth > DEPTH:
        raise FileError(f"{group.name}: graphs lead back into themselves")
    if _text(group["type"]) != "NIRGraph":
        raise FileError(f"{group.name} is a {_text(group['type'])}, not a graph")
    if len(group["nodes"]) > MAX_NODES:
        raise FileError(f"{group.name} declares {len(group['nodes'])} nodes; at most {MAX_NODES} are read")
    _own(group)
    _own(group["nodes"])
    nodes = {name: _node(group["nodes"][name], name, source, version, depth) for name in group["nodes"]}
    edges: list[tuple[str, str]] = []
    if "edges" in group and group["edges"].size:
        table = group["edges"]
        if table.ndim != 2 or table.shape[1] != 2:
            raise FileError(f"{group.name}: edges have shape {table.shape}, not (n, 2)")
        if table.shape[0] > MAX_NODES * 100:
            raise FileError(f"{group.name} declares {table.shape[0]} edges")
        if h5py.check_string_dtype(table.dtype) is None:
            raise FileError(f"{table.name} holds no text")
        names = [[s.decode() if isinstance(s, bytes) else str(s) for s in row] for row in table[()]]
        edges = [(_printable(a, table.name), _printable(b, table.name)) for a, b in names]
    return Graph(nodes, tuple(edges), _metadata(group), source, version)


def _node(group: Any, name: str, source: str, version: str, depth: int) -> Any:
    import h5py

    if not isinstance(group, h5py.Group) or "type" not in group:
        raise NetworkError(f"{source}: node '{name}' is None: its exporter did not know the module; export it again")
    _own(group)
    kind = _text(group["type"])
    if kind == "NIRGraph":
        return _graph(group, source, version, depth + 1)
    params = {k: _value(v) for k, v in group.items() if k not in KEPT_ASIDE}
    _check_whole(name, kind, params)
    return Node(name, kind, params, _metadata(group))


#: Parameters that are whole numbers, and how many at most.
WHOLE = {"stride": 2, "padding": 2, "dilation": 2, "kernel_size": 2, "groups": 1, "start_dim": 1, "end_dim": 1,
         "input_shape": 8, "shape": 8}  # fmt: skip


def _check_whole(name: str, kind: str, params: Mapping[str, Any]) -> None:
    """Refuse sizes and counts that are no whole numbers, or more of them than a node can have."""
    for key, most in WHOLE.items():
        if key not in params or (key == "padding" and isinstance(params[key], str)):
            continue
        value = np.asarray(params[key])
        sound = value.dtype.kind in "iuf" and value.size <= most and bool(np.all(np.abs(value.astype(float)) < 2**62))
        if not sound or np.any(value != np.floor(value)):
            found = "text" if value.dtype.kind in "USO" else f"{value.dtype} {value.shape}"
            raise NetworkError(f"node '{name}' ({kind}): {key} must be at most {most} whole numbers, it is {found}")


def _value(node: Any) -> Any:
    import h5py

    if isinstance(node, h5py.Dataset) and h5py.check_string_dtype(node.dtype) is not None:
        return _text(node)
    return array_of(node)


def _metadata(group: Any) -> dict[str, Any]:
    import h5py

    if "metadata" not in group or not isinstance(group["metadata"], h5py.Group):
        return {}
    _own(group["metadata"])
    found = {k: _value(v) for k, v in group["metadata"].items() if isinstance(v, h5py.Dataset)}
    return {k: v.item() if isinstance(v, np.ndarray) and v.shape == () else v for k, v in found.items()}


def _from_library(graph: Any, source: str, depth: int) -> Graph:
    if depth > DEPTH:
        raise NetworkError(f"{source}: graphs lead back into themselves")
    nodes = {str(name): _library_node(str(name), node, source, depth) for name, node in graph.nodes.items()}
    try:
        pairs = [(a, b) for a, b in graph.edges]
    except (TypeError, ValueError):
        raise NetworkError(f"{source}: edges are pairs (source, target) of nodes, not {shown(graph.edges)}") from None
    edges = tuple(dict.fromkeys((_end(a, source), _end(b, source)) for a, b in pairs))
    return Graph(nodes, edges, dict(getattr(graph, "metadata", None) or {}), source)


def _end(name: Any, source: str) -> str:
    if not isinstance(name, str):
        raise NetworkError(f"{source}: an edge ends at {shown(name)}; nodes have names")
    return name


def _array(value: Any, what: str) -> np.ndarray:
    """A field as an array of any type, which the nodes' own checks judge; what numpy cannot read is refused."""
    try:
        array = np.asanyarray(value)
    except Exception:
        raise NetworkError(f"{what} is {shown(value)}, which is no array") from None
    if isinstance(array, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(array)):
        raise NetworkError(f"{what} holds masked values; fill them first, e.g. x.filled(0)")
    return np.asarray(array)


def _library_node(name: str, node: Any, source: str, depth: int) -> Any:
    if node is None:
        raise NetworkError(f"{source}: node '{name}' is None: its exporter did not know the module")
    if hasattr(node, "nodes") and hasattr(node, "edges"):
        return _from_library(node, source, depth + 1)
    if not is_dataclass(node):
        raise NetworkError(f"{source}: node '{name}' is a {type(node).__name__}, no NIR node")
    kind = type(node).__name__
    values = {f.name: getattr(node, f.name) for f in fields(node) if f.name not in KEPT_ASIDE}
    where = f"node '{name}' ({kind})"
    params = {k: v if isinstance(v, str) else _array(v, f"{where}: {k}") for k, v in values.items() if v is not None}
    if kind in ("Input", "Output"):
        types = getattr(node, f"{kind.lower()}_type", None)
        shape = next(iter(types.values()), None) if isinstance(types, Mapping) else None
        if shape is not None:
            params["shape"] = _array(shape, f"{where}: shape")
    _check_whole(name, kind, params)
    return Node(name, kind, params, dict(getattr(node, "metadata", None) or {}))
