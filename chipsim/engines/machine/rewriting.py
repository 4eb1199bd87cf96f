"""Weights of fixed projections that the host has overwritten: what a run is loaded with instead of the program's own.

A projection keeps its synapses: their number and place, delays, sign, bits and exponent; only the values change. They
are the state of an emulator, not of its program, so a reset gives the program's weights back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import ask, dims_of, numbers, product
from chipsim.errors import NetworkError, RunError
from chipsim.kept import Kept, checked, like
from chipsim.native.ranges import synapse_problems
from chipsim.native.synapses import Conv, FloatSynapses, stored, with_data
from chipsim.program.program import Program
from chipsim.sparse import sparse_matrix

KEY = "rewritten/"  #: in the names of a checkpoint


def matrix_of(synapses: Any) -> Any:
    """The weights that synapses hold, as they were given: a matrix or a kernel."""
    for name in ("mantissa", "weights", "kernel"):
        if hasattr(synapses, name):
            return getattr(synapses, name)
    raise RunError(f"{type(synapses).__name__} has no weights to read")


class Rewritten:
    """Synapses by the number of their projection, for those that differ from the program's."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.synapses: dict[int, Any] = {}

    def weights(self, number: int) -> Any:
        """Weights of projection `number` now; a copy."""
        return matrix_of(self.synapses.get(number, self.program.projections[number].synapses)).copy()

    def set(self, number: int, given: Any) -> None:
        """Take other weights for projection `number`; raises RunError where they do not fit its synapses."""
        image = self.program.projections[number]
        old, what = image.synapses, f"projection '{image.name}'"
        if isinstance(old, Conv):
            raise RunError(f"{what} is a convolution, whose kernel is loaded once; give its weights as a matrix")
        matrix = matrix_of(old)
        dense = dense_weights(given, matrix.shape, what)
        kept = _on_pattern(matrix, dense)
        if np.count_nonzero(stored(kept)) != np.count_nonzero(dense):
            raise RunError(f"{what}: weights are given where it has no synapse")
        try:
            made = self._other(old, kept)
        except NetworkError as problem:
            raise RunError(f"{what}: {problem}") from None
        for found in synapse_problems(made, self.program.arithmetic):
            raise RunError(f"{what}: {found.text}")
        self.synapses[number] = made

    @staticmethod
    def _other(old: Any, matrix: Any) -> Any:
        if isinstance(old, FloatSynapses):
            return replace(old, weights=matrix)  # float64 of the same values, or refused
        return replace(old, mantissa=matrix, saturate=False)

    def loaded(self) -> Program:
        """The program with these weights."""
        images = (
            replace(image, synapses=self.synapses.get(k, image.synapses))
            for k, image in enumerate(self.program.projections)
        )
        return replace(self.program, projections=tuple(images)) if self.synapses else self.program

    def state(self) -> dict[str, np.ndarray]:
        """The weights as arrays of a checkpoint."""
        return {f"{KEY}{k}": stored(matrix_of(s)).copy() for k, s in self.synapses.items()}

    def kept(self, state: Mapping[str, Any]) -> dict[str, Kept]:
        """Those of `state`, which `restored` has taken already."""
        return {f"{KEY}{k}": like(stored(matrix_of(s))) for k, s in self.synapses.items()}

    def restored(self, state: Mapping[str, Any]) -> bool:
        """Take the weights of a checkpoint; True if these differ from before."""
        found = {name: values for name, values in state.items() if str(name).startswith(KEY)}
        taken = {self._fixed(name): (name, values) for name, values in found.items()}
        before, synapses = self.synapses, {}
        for place, (name, values) in taken.items():
            old = self.program.projections[place].synapses
            array = checked({name: values}, {name: like(stored(matrix_of(old)), finite=True)})[name]
            try:
                synapses[place] = self._other(old, _like(matrix_of(old), array))
            except NetworkError as problem:
                raise RunError(f"the state's '{name}': {problem}") from None
        self.synapses = synapses
        return bool(before or self.synapses)

    def _fixed(self, name: str) -> int:
        """The fixed projection whose weights a checkpoint keeps under `name`; RunError if there is none."""
        number = name.removeprefix(KEY)
        images = self.program.projections
        place = int(number) if number.isdecimal() and len(number) < 9 else len(images)
        if place >= len(images) or images[place].rule is not None or isinstance(images[place].synapses, Conv):
            raise RunError(f"the state has '{name[:80]}', which is no fixed projection of this program")
        return place


def dense_weights(given: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    """New weights of a projection as an array (post, pre) of finite numbers; RunError for anything else."""
    dims = dims_of(given)
    if sp.issparse(given):
        if dims != tuple(shape):
            raise RunError(f"{what}: weights have shape {dims}; give (post, pre) = {tuple(shape)}")
        given = sparse_matrix(given, what, RunError)
        ask(8 * product(dims), f"{what}: overwriting its weights", "", RunError)
        given = given.toarray()
    dense = numbers(given, f"{what}: weights", RunError, exact=True)
    if dense.shape != tuple(shape):
        raise RunError(f"{what}: weights have shape {dense.shape}; give (post, pre) = {tuple(shape)}")
    if not np.all(np.isfinite(dense)):
        raise RunError(f"{what}: weights must be finite numbers")
    return dense


def _like(matrix: Any, values: np.ndarray) -> Any:
    return with_data(matrix, values) if sp.issparse(matrix) else values.reshape(matrix.shape)


def _on_pattern(matrix: Any, dense: np.ndarray) -> Any:
    """The values of `dense` where `matrix` has synapses: its stored entries, or those of a dense one that are not 0."""
    if not sp.issparse(matrix):
        return np.where(np.asarray(matrix) != 0, dense, 0)
    return with_data(matrix, dense[matrix.indices, np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))])
