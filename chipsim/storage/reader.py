"""HDF5 groups back to values, from files that nobody vouches for.

Nothing is imported but chipsim's own modules (and those a caller names), every object goes through its own checks,
no link leads out of the file, and no memory is taken for an array that the file does not hold.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import h5py
import numpy as np

from chipsim.errors import ChipsimError, FileError
from chipsim.rules.files import rule_from

from .codec import PLAIN, is_rule, untagged
from .names import class_of, current, is_own

DEPTH = 24  #: groups inside groups; a file that goes deeper leads back into itself
MAX_NEURONS = 1 << 27  #: of one population read from a file


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
            return untagged(json.loads(_string(node))) if _is_string(node) else array_of(node)
        kind = node.attrs.get("class")
        if kind == "csc":
            return self._sparse(node)
        if kind in ("dict", "list", "tuple"):
            return self._items(node, str(kind), depth)
        return self._object(node, str(kind), depth)

    def _fields(self, node: h5py.Group, depth: int) -> dict[str, Any]:
        values = {k: untagged(v) for k, v in json.loads(_string(node[PLAIN])).items()}
        return values | {k: self.read(node, k, depth + 1) for k in node if k != PLAIN}

    def _items(self, node: h5py.Group, kind: str, depth: int) -> Any:
        plain = json.loads(_string(node[PLAIN]))
        keys = [untagged(k) for k in plain["keys"]]
        values = [self.read(node, n, depth + 1) for n in plain["names"]]
        return dict(zip(keys, values, strict=True)) if kind == "dict" else (tuple if kind == "tuple" else list)(values)

    def _sparse(self, node: h5py.Group) -> Any:
        import scipy.sparse as sp

        rows, columns = untagged(json.loads(_string(node[PLAIN]))["shape"])
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
        name, renamed = current(kind)
        found = self._class(name, node.name)
        values = {renamed.get(k, k): v for k, v in self._fields(node, depth).items()}
        try:
            return construct(found, values)
        except ChipsimError as error:
            raise FileError(f"{node.name}: {error}") from None

    def _class(self, kind: str, where: str) -> type:
        try:
            found = class_of(kind, self.modules)
        except ImportError:
            found = None
        if found is None or not _is_record(found):
            verb = "have" if is_own(kind) else "know"
            raise FileError(f"{where} holds a '{kind}', which this chipsim does not {verb}")
        return found


def _is_record(kind: type) -> bool:
    from chipsim.native.base import NeuronModel

    known = is_dataclass(kind) or hasattr(kind, "_fields") or hasattr(kind, "model_validate_json")
    return known or issubclass(kind, NeuronModel)


def construct(kind: Any, values: dict[str, Any]) -> Any:
    """An object of class `kind` from its saved fields, through its own constructor."""
    from chipsim.native.base import NeuronModel

    if issubclass(kind, NeuronModel):
        shape = values.pop("shape")
        if int(np.prod(np.asarray(shape, object))) > MAX_NEURONS:
            raise FileError(f"shape {shape} declares more neurons than any run can hold")
        return kind(shape, **values)
    if is_rule(kind):
        return rule_from(values)
    if hasattr(kind, "model_validate_json"):
        return kind.model_validate_json(values["json"])
    if not is_dataclass(kind):
        return kind(**values)
    given = {f.name: values[f.name] for f in fields(kind) if f.init and f.name in values}
    make: Any = kind
    made = make(**given)
    for field in fields(kind):
        if not field.init and field.name in values:
            object.__setattr__(made, field.name, values[field.name])
    return made


def array_of(node: Any) -> np.ndarray:
    """The whole array of a dataset of a file opened by `open_hdf5`, which has seen that the file holds it.

    Raises
    ------
    FileError
        No data set, one without values, or one of texts.
    """
    if not isinstance(node, h5py.Dataset) or node.shape is None:
        raise FileError(f"{getattr(node, 'name', '?')} holds no array")
    if node.dtype.kind in "OSUV" and node.dtype.names is None:
        raise FileError(f"{node.name} holds {'text' if _is_string(node) else 'objects'}, not numbers")
    return np.asarray(node[()])


def _is_string(node: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(node.dtype) is not None


def _string(node: Any) -> str:
    if not isinstance(node, h5py.Dataset) or not _is_string(node) or node.shape != ():
        raise FileError(f"{getattr(node, 'name', '?')} holds no text")
    return node.asstr()[()]  # type: ignore[no-any-return]
