"""Values to HDF5 groups and back: arrays as datasets, plain values as JSON, objects by class and fields.

Loading imports nothing but chipsim's own modules (and those a caller names), constructs every object
through its own checks, follows no link out of the file, and takes no memory for an array that the file
does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np

from .errors import ChipsimError, FileError

PLAIN = "plain"  #: dataset that holds an object's plain fields as JSON
DEPTH = 24  #: groups inside groups; a file that goes deeper leads back into itself
SHIPPED = ("chipsim.", "kernels.rules.")
_SQUEEZE_FROM = 1 << 16  #: bytes from which a dataset is compressed and checksummed
_CHUNK = 1 << 20  #: bytes of one compressed chunk
_DEFLATE = 1100  #: no deflate stream grows by more than 1032:1


# ---------------------------------------------------------------- writing


def write(group: h5py.Group, name: str, value: Any) -> None:
    """Write `value` under `name`.

    Raises
    ------
    FileError
        For a value that could not be read back: an object of a class that is not chipsim's.
    """
    if is_plain(value):
        group.create_dataset(name, data=json.dumps(_tagged(value)), dtype=h5py.string_dtype())
    elif isinstance(value, (np.ndarray, np.generic)):
        _write_array(group, name, np.asarray(value))
    else:
        _write_object(group.create_group(name), value)


def _write_array(group: h5py.Group, name: str, array: np.ndarray) -> None:
    if array.dtype.kind in "OUSVmM" and array.dtype.names is None:
        raise FileError(f"cannot save {group.name}/{name}: it holds {array.dtype}, not numbers")
    if array.nbytes < _SQUEEZE_FROM:
        group.create_dataset(name, data=array)
        return
    row = max(array.nbytes // array.shape[0], 1)
    chunk = (max(1, min(array.shape[0], _CHUNK // row)), *array.shape[1:])
    if row > _CHUNK:
        chunk = None
    group.create_dataset(name, data=array, chunks=chunk or True, compression=1, shuffle=True, fletcher32=True)


def _write_object(group: h5py.Group, value: Any) -> None:
    if _is_sparse(value):
        group.attrs["class"] = "csc"
        _write_fields(group, {"shape": tuple(int(d) for d in value.shape)})
        for part in ("data", "indices", "indptr"):
            _write_array(group, part, getattr(value, part))
    elif isinstance(value, dict):
        group.attrs["class"] = "dict"
        _write_items(group, list(value), list(value.values()))
    elif type(value) in (list, tuple):
        group.attrs["class"] = type(value).__name__
        _write_items(group, list(range(len(value))), list(value))
    else:
        group.attrs["class"] = class_name(value)
        _write_fields(group, object_fields(value))


def _write_items(group: h5py.Group, keys: list[Any], values: list[Any]) -> None:
    names = [quote(str(key), safe=" ()[]>-_.,#:") or "%" for key in keys]
    names = [f"{n}%{k}" if n in names[:k] or n in (PLAIN, ".", "..") else n for k, n in enumerate(names)]
    if not is_plain(keys):
        raise FileError(f"cannot save {group.name}: its keys are no plain values")
    plain = {"keys": [_tagged(k) for k in keys], "names": names}
    group.create_dataset(PLAIN, data=json.dumps(plain), dtype=h5py.string_dtype())
    for name, value in zip(names, values):
        write(group, name, value)


def _write_fields(group: h5py.Group, values: dict[str, Any]) -> None:
    plain = {k: v for k, v in values.items() if is_plain(v)}
    group.create_dataset(
        PLAIN, data=json.dumps({k: _tagged(v) for k, v in plain.items()}), dtype=h5py.string_dtype()
    )
    for name, value in values.items():
        if name not in plain:
            write(group, name, value)


def object_fields(value: Any) -> dict[str, Any]:
    """What an object is made of, by name; raises FileError for one that cannot be saved."""
    from .native.base import NeuronModel

    if isinstance(value, NeuronModel):
        return {"shape": value.shape, **value.values}
    if hasattr(value, "model_dump_json"):
        return {"json": value.model_dump_json()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(value._asdict())  # type: ignore[attr-defined]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    raise FileError(
        f"cannot save a {type(value).__module__}.{type(value).__qualname__}: only numbers, arrays, lists, "
        "dicts and chipsim's own objects can be saved"
    )


def class_name(value: Any) -> str:
    """`module:Class` of an object that can be found again."""
    kind = type(value)
    if "<" in kind.__qualname__ or "." in kind.__qualname__:
        raise FileError(f"cannot save a {kind.__qualname__}: define the class at the top of its module")
    return f"{kind.__module__}:{kind.__qualname__}"


def is_plain(value: Any) -> bool:
    """True for what JSON can say: None, bool, int, float, str and lists, tuples, dicts of them."""
    if value is None or type(value) in (bool, int, float, str):
        return True
    if type(value) in (list, tuple):
        return all(is_plain(v) for v in value)
    return type(value) is dict and all(is_plain(k) and is_plain(v) for k, v in value.items())


def _tagged(value: Any) -> Any:
    """`value` for JSON, with what JSON has no form for marked: tuples, dicts with other keys than words."""
    if type(value) is tuple:
        return {"$tuple": [_tagged(v) for v in value]}
    if type(value) is list:
        return [_tagged(v) for v in value]
    if type(value) is dict:
        if all(type(k) is str and not k.startswith("$") for k in value):
            return {k: _tagged(v) for k, v in value.items()}
        return {"$dict": [[_tagged(k), _tagged(v)] for k, v in value.items()]}
    return value


def _is_sparse(value: Any) -> bool:
    return getattr(value, "format", None) == "csc" and hasattr(value, "indptr")


# ---------------------------------------------------------------- reading


class Reader:
    """Reads values of one open file.

    Parameters
    ----------
    modules
        Module names, besides chipsim's own, whose classes the file may name.
    """

    def __init__(self, modules: tuple[str, ...] = ()) -> None:
        self.modules = modules

    def read(self, group: h5py.Group, name: str, depth: int = 0) -> Any:
        """The value under `name`; raises FileError, or whatever h5py and constructors raise for damage."""
        where = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise FileError(f"{where} is missing")
        if depth > DEPTH:
            raise FileError(f"{where}: groups lead back into themselves")
        node = group[name]
        if isinstance(node, h5py.Dataset):
            return _untagged(json.loads(_string(node))) if _is_string(node) else array_of(node)
        kind = node.attrs.get("class")
        if kind == "csc":
            return self._sparse(node)
        if kind in ("dict", "list", "tuple"):
            return self._items(node, str(kind), depth)
        return self._object(node, str(kind), depth)

    def _fields(self, node: h5py.Group, depth: int) -> dict[str, Any]:
        values = {k: _untagged(v) for k, v in json.loads(_string(node[PLAIN])).items()}
        return values | {k: self.read(node, k, depth + 1) for k in node if k != PLAIN}

    def _items(self, node: h5py.Group, kind: str, depth: int) -> Any:
        plain = json.loads(_string(node[PLAIN]))
        keys = [_untagged(k) for k in plain["keys"]]
        values = [self.read(node, n, depth + 1) for n in plain["names"]]
        return (
            dict(zip(keys, values, strict=True))
            if kind == "dict"
            else (tuple if kind == "tuple" else list)(values)
        )

    def _sparse(self, node: h5py.Group) -> Any:
        import scipy.sparse as sp

        rows, columns = _untagged(json.loads(_string(node[PLAIN]))["shape"])
        data, indices, indptr = (array_of(node[k]) for k in ("data", "indices", "indptr"))
        sound = (
            indptr.shape == (columns + 1,)
            and indices.shape == data.shape == (int(indptr[-1]),)
            and indptr[0] == 0
            and bool(np.all(indptr[1:] >= indptr[:-1]))
            and (not indices.size or (indices.min() >= 0 and indices.max() < rows))
        )
        if not sound:
            raise FileError(f"{node.name}: its rows, columns and pointers contradict each other")
        matrix = sp.csc_array((data, indices, indptr), shape=(rows, columns))
        # scipy narrows index types by content; the saved ones come back.
        if matrix.indices.dtype != indices.dtype or matrix.indptr.dtype != indptr.dtype:
            matrix.indices, matrix.indptr = indices, indptr
        return matrix

    def _object(self, node: h5py.Group, kind: str, depth: int) -> Any:
        found = self._class(kind, node.name)
        values = self._fields(node, depth)
        try:
            return construct(found, values)
        except ChipsimError as error:
            raise FileError(f"{node.name}: {error}") from None

    def _class(self, kind: str, where: str) -> type:
        module, _, name = kind.partition(":")
        if not (module.startswith(SHIPPED) or module in self.modules) or not name.isidentifier():
            raise FileError(f"{where} holds a '{kind}', which this chipsim does not know")
        try:
            found = getattr(import_module(module), name, None)
        except ImportError:
            found = None
        if not isinstance(found, type) or found.__module__ != module or not _is_record(found):
            raise FileError(f"{where} holds a '{kind}', which this chipsim does not have")
        return found


def _is_record(kind: type) -> bool:
    from .native.base import NeuronModel

    known = is_dataclass(kind) or hasattr(kind, "_fields") or hasattr(kind, "model_validate_json")
    return known or issubclass(kind, NeuronModel)


def construct(kind: Any, values: dict[str, Any]) -> Any:
    """An object of class `kind` from its saved fields, through its own constructor."""
    from .native.base import NeuronModel

    if issubclass(kind, NeuronModel):
        shape = values.pop("shape")
        if int(np.prod(np.asarray(shape, object))) > MAX_NEURONS:
            raise FileError(f"shape {shape} declares more neurons than any run can hold")
        return kind(shape, **values)
    if hasattr(kind, "model_validate_json"):
        return kind.model_validate_json(values["json"])
    if not is_dataclass(kind):
        return kind(**values)
    given = {f.name: values[f.name] for f in fields(kind) if f.init and f.name in values}
    made = kind(**given)
    for field in fields(kind):
        if not field.init and field.name in values:
            object.__setattr__(made, field.name, values[field.name])
    return made


MAX_NEURONS = 1 << 27  #: of one population read from a file


def array_of(node: Any) -> np.ndarray:
    """The whole array of a dataset, once the file is seen to hold it.

    Raises
    ------
    FileError
        The declared shape needs more bytes than are stored, or the values lie outside the file.
    """
    if not isinstance(node, h5py.Dataset) or node.shape is None:
        raise FileError(f"{getattr(node, 'name', '?')} holds no array")
    _refuse_hollow(node)
    return np.asarray(node[()])


def _refuse_hollow(node: h5py.Dataset) -> None:
    if node.external or node.is_virtual:
        raise FileError(f"{node.name} keeps its values in another file")
    size = int(np.prod(np.asarray(node.shape, object), initial=1)) * node.dtype.itemsize
    held = node.id.get_storage_size()
    limit = held if node.chunks is None or node.compression is None else held * _DEFLATE
    if size > max(limit, 1 << 12):
        raise FileError(f"{node.name} declares {size} bytes in shape {node.shape}, but the file holds {held}")


def _is_string(node: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(node.dtype) is not None


def _string(node: Any) -> str:
    if not isinstance(node, h5py.Dataset) or not _is_string(node) or node.shape != ():
        raise FileError(f"{getattr(node, 'name', '?')} holds no text")
    return node.asstr()[()]  # type: ignore[no-any-return]


def _untagged(value: Any) -> Any:
    """The inverse of `_tagged`."""
    if isinstance(value, list):
        return [_untagged(v) for v in value]
    if isinstance(value, dict):
        if "$tuple" in value:
            return tuple(_untagged(v) for v in value["$tuple"])
        if "$dict" in value:
            return {_untagged(k): _untagged(v) for k, v in value["$dict"]}
        return {k: _untagged(v) for k, v in value.items()}
    return value


def walk(value: Any, visit: Callable[[bytes], Any]) -> None:
    """Hand everything that `write` would store of `value` to `visit`, as bytes, in a fixed order."""
    if is_plain(value):
        visit(json.dumps(_tagged(value)).encode())
    elif isinstance(value, (np.ndarray, np.generic)):
        array = np.ascontiguousarray(value)
        visit(f"{array.dtype.str}{array.shape}".encode())
        visit(array.tobytes() if array.dtype.hasobject else memoryview(array.reshape(-1).view(np.uint8)))  # type: ignore[arg-type]
    elif _is_sparse(value):
        for part in (tuple(value.shape), value.data, value.indices, value.indptr):
            walk(part, visit)
    else:
        parts = (
            value
            if isinstance(value, dict)
            else (dict(enumerate(value)) if type(value) in (list, tuple) else object_fields(value))
        )
        visit(type(value).__name__.encode())
        for key, part in parts.items():
            visit(str(key).encode())
            walk(part, visit)
