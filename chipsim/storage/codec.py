"""Values to HDF5 groups: arrays as datasets, plain values as JSON, objects by class and fields (docs/formats.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np

from chipsim.errors import FileError
from chipsim.rules.files import rule_fields

from .names import name_of

PLAIN = "plain"  #: dataset that holds an object's plain fields as JSON
_SQUEEZE_FROM = 1 << 16  #: bytes from which a dataset is compressed and checksummed
_CHUNK = 1 << 20  #: bytes of one compressed chunk


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
        group.attrs["class"] = name_of(type(value))
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
    group.create_dataset(PLAIN, data=json.dumps({k: _tagged(v) for k, v in plain.items()}), dtype=h5py.string_dtype())
    for name, value in values.items():
        if name not in plain:
            write(group, name, value)


def object_fields(value: Any) -> dict[str, Any]:
    """What an object is made of, by name; raises FileError for one that cannot be saved."""
    from chipsim.native.base import NeuronModel

    if isinstance(value, NeuronModel):
        return {"shape": value.shape, **value.values}
    if is_rule(type(value)):
        return rule_fields(value)
    if hasattr(value, "model_dump_json"):
        return {"json": value.model_dump_json()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(value._asdict())  # type: ignore[attr-defined]
    if is_dataclass(value) and not isinstance(value, type):
        kept = {f.name: getattr(value, f.name) for f in fields(value)}
        # a field that came later is left out while it says nothing: files and fingerprints stay as they were
        return {k: v for k, v in kept.items() if k not in _later(type(value)) or v != _later(type(value))[k]}
    raise FileError(
        f"cannot save a {type(value).__module__}.{type(value).__qualname__}: only numbers, arrays, lists, "
        "dicts and chipsim's own objects can be saved"
    )


def _later(kind: type) -> dict[str, Any]:
    """Fields of a dataclass that older files lack, with their defaults."""
    return {f.name: f.default for f in fields(kind) if f.metadata.get("added")}


def is_rule(kind: type) -> bool:
    """True for declared rules, whose parsed body is not saved but made again from their text."""
    return kind.__name__ == "Rule" and kind.__module__ == "chipsim.rules.declaration"


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


def untagged(value: Any) -> Any:
    """The inverse of `_tagged`."""
    if isinstance(value, list):
        return [untagged(v) for v in value]
    if isinstance(value, dict):
        if "$tuple" in value:
            return tuple(untagged(v) for v in value["$tuple"])
        if "$dict" in value:
            return {untagged(k): untagged(v) for k, v in value["$dict"]}
        return {k: untagged(v) for k, v in value.items()}
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
