"""scipy's sparse matrices, checked before compiled code follows their indices, as canonical CSC arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .checks import ask, numbers
from .errors import ChipsimError, NetworkError

_POINTED = {"csr": sp.csr_array, "csc": sp.csc_array, "bsr": sp.bsr_array}


def sparse_matrix(value: Any, what: str, error: type[ChipsimError] = NetworkError) -> sp.csc_array:
    """`value`, of any sparse format, as a canonical CSC array of the same numbers; see `checks.sparse_matrix`."""
    if value.ndim != 2:
        raise error(f"{what}: the sparse array has {value.ndim} dimensions; give a matrix (post, pre)")
    try:
        entries = int(value.nnz)
    except Exception:  # the walk below says what is wrong with it
        entries = 0
    # Pointers of all columns, and per entry a few indices while it is turned round.
    ask(8 * (max(value.shape) + 1) + 40 * max(entries, 0), what, "give a smaller matrix", error)
    try:
        matrix = _by_column(value, what, error)
    except ChipsimError:
        raise
    except Exception as problem:
        said = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise error(f"{what}: the sparse matrix is broken: {said[:160]}") from None
    return _added(matrix, what, error)


def _by_column(value: Any, what: str, error: type[ChipsimError]) -> sp.csc_array:
    """`value` as CSC with sorted rows, doubles side by side, after every index of it was seen to lie inside."""
    if value.format in _POINTED:
        data = numbers(value.data, f"{what}: weights", error)
        indices, indptr = (_whole(part) for part in (value.indices, value.indptr))
        same = _POINTED[value.format]((data, indices, indptr), shape=value.shape)  # its arrays, not its own claims
        same.check_format(full_check=True)
        if value.format == "csc":
            return same if np.all(_steps(same) >= 0) else same.sorted_indices()
        return (same.tocsr() if value.format == "bsr" else same).tocsc()
    if value.format == "coo":
        return _from_places(value, what, error)
    if value.format == "dia" and (np.ndim(value.data) != 2 or len(value.offsets) != len(value.data)):
        raise ValueError(f"it has {len(value.offsets)} offsets for {np.shape(value.data)} diagonals")
    if value.format == "lil":
        _check_rows(value)
    keys = value.keys() if value.format == "dok" else ()
    if not all(type(k) is tuple and len(k) == 2 for k in keys):
        raise ValueError("its keys are no pairs (row, column)")
    return _from_places(value.tocoo(), what, error)


def _whole(index: Any) -> np.ndarray:
    index = np.asarray(index)
    if index.dtype.kind not in "iu":
        raise ValueError(f"its indices are {index.dtype}, not whole numbers")
    return index if index.dtype.isnative else index.astype(index.dtype.newbyteorder("="))


def _from_places(coo: Any, what: str, error: type[ChipsimError]) -> sp.csc_array:
    data = numbers(coo.data, f"{what}: weights", error)
    row, col = _whole(coo.row), _whole(coo.col)
    for index, size in ((row, coo.shape[0]), (col, coo.shape[1])):
        if index.shape != data.shape:
            raise ValueError(f"it has {index.shape} indices for {data.shape} values")
        if index.size and (index.min() < 0 or index.max() >= size):
            raise ValueError(f"it has an index outside 0..{size - 1}")
    order = np.lexsort((row, col))
    kind = np.int32 if max(*coo.shape, row.size) < 2**31 else np.int64
    indptr = np.zeros(coo.shape[1] + 1, kind)
    np.cumsum(np.bincount(col, minlength=coo.shape[1]), out=indptr[1:])
    return sp.csc_array((data[order], row[order].astype(kind), indptr), shape=coo.shape)


def _check_rows(value: Any) -> None:
    """A list of lists: as many rows as it says, as many values as columns, all of them inside."""
    if len(value.rows) != value.shape[0] or len(value.data) != value.shape[0]:
        raise ValueError(f"it holds {len(value.rows)} rows for the shape {value.shape}")
    for columns, values in zip(value.rows, value.data):
        if len(columns) != len(values) or not all(isinstance(c, (int, np.integer)) for c in columns):
            raise ValueError("a row has not as many values as columns")
        if columns and (min(columns) < 0 or max(columns) >= value.shape[1]):
            raise ValueError(f"it has an index outside 0..{value.shape[1] - 1}")


def _steps(matrix: Any) -> np.ndarray:
    """Differences of neighbouring rows inside each column; 1 where a column begins."""
    steps = np.diff(matrix.indices.astype(np.int64))
    begins = np.asarray(matrix.indptr[1:-1], np.int64)
    steps[begins[(begins > 0) & (begins <= steps.size)] - 1] = 1
    return steps


def _added(matrix: sp.csc_array, what: str, error: type[ChipsimError]) -> sp.csc_array:
    """`matrix` with the values of each place added up, in a type that holds the sum."""
    twice = _steps(matrix) == 0
    if twice.any():
        first = np.flatnonzero(np.concatenate([[True], ~twice]))
        indptr = np.searchsorted(first, matrix.indptr).astype(matrix.indptr.dtype)
        data = _sum(np.asarray(matrix.data), first, what, error)
        matrix = sp.csc_array((data, matrix.indices[first], indptr), shape=matrix.shape)
    matrix.has_canonical_format = True
    return matrix


def _sum(data: np.ndarray, starts: np.ndarray, what: str, error: type[ChipsimError]) -> np.ndarray:
    if data.dtype.kind == "b":
        return np.logical_or.reduceat(data, starts)
    if data.dtype.kind == "f":
        return np.add.reduceat(data.astype(np.float64), starts)
    if np.abs(data.astype(np.float64)).max() * data.size >= 2.0**62:
        raise error(f"{what}: the sparse matrix gives places twice, and their sum may leave 64 bits; add them first")
    return np.add.reduceat(data.astype(np.int64), starts)
