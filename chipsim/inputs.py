"""Spikes that a user gives, checked and brought into the engine's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import numbers, product
from .engines.timestep import SpikeTrain
from .errors import RunError

if TYPE_CHECKING:
    from .program import PopulationImage, Program


def gather(program: Program, inputs: Mapping[str, Any], steps: int) -> tuple[SpikeTrain, int]:
    """All input spikes of a run as one train, and how many lie beyond the last step.

    Parameters
    ----------
    inputs : dict population -> spikes
        (steps, n) or (steps, *shape) array of 0/1 or, for graded sources, whole numbers; or a structured array
        with fields ``step``, ``neuron`` (and ``value``), steps from 0.

    Raises
    ------
    RunError
        Unknown or non-source population, wrong shape, negative or fractional steps, values a source cannot send.
    """
    number = program.arithmetic.number
    rows, ids, values, dropped = [], [], [], 0
    for name, given in inputs.items():
        image = program.population(name)
        if not image.model.is_input:
            sources = ", ".join(p.name for p in program.populations if p.model.is_input) or "none"
            raise RunError(f"population '{name}' computes its own spikes; spike sources are: {sources}")
        step, neuron, value = _events(image, given, steps)
        late = step >= steps
        dropped += int(np.count_nonzero(late))
        rows.append(step[~late])
        ids.append(neuron[~late] + image.start)
        values.append(value[~late])
    step = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    neuron = np.concatenate(ids) if ids else np.zeros(0, np.int64)
    value = np.concatenate(values) if values else np.zeros(0)
    if len(rows) > 1 or np.any(np.diff(step) < 0):
        order = np.lexsort((neuron, step))
        step, neuron, value = step[order], neuron[order], value[order]
    ptr = np.searchsorted(step, np.arange(steps + 1)).astype(np.int64)
    graded = any(p.model.is_input and bool(p.model.values["graded"]) for p in program.populations)
    carried = value.astype(number) if graded else np.zeros(0, number)
    return SpikeTrain(ptr, neuron.astype(np.uint32), carried), dropped


def as_input(image: PopulationImage, given: Any) -> np.ndarray:
    """What is given for one population as an array: numbers of at least two dimensions, or structured events."""
    if hasattr(given, "toarray"):
        raise RunError(f"input '{image.name}' is a sparse matrix; give x.toarray(), or events (step, neuron)")
    names = getattr(getattr(given, "dtype", None), "names", None)
    array = np.asarray(given) if names else numbers(given, f"input '{image.name}'", RunError)
    if names and array.ndim != 1:
        raise RunError(f"input '{image.name}': events have shape {array.shape}; give one row of (step, neuron)")
    if not names and (array.ndim < 2 or product(array.shape[1:]) != image.n):
        raise RunError(f"input '{image.name}' has shape {array.shape}; give (steps, {image.n})")
    return array


def _events(image: PopulationImage, given: Any, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    array = as_input(image, given)
    if array.dtype.names:
        return _from_events(image, array)
    if array.shape[0] < steps:
        raise RunError(f"input '{image.name}' covers {array.shape[0]} steps, the run has {steps}; pad it or run fewer")
    flat = np.ascontiguousarray(array).reshape(-1)
    at = np.flatnonzero(flat if flat.dtype == bool else flat != 0)
    step, neuron = np.divmod(at, image.n)
    value = flat[at]
    _check_values(image, value)
    return step, neuron, value


def _from_events(image: PopulationImage, events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = events.dtype.names or ()
    if "step" not in names or "neuron" not in names:
        raise RunError(f"input '{image.name}': events need the fields step and neuron, not {', '.join(names)}")
    for name in set(names) & {"step", "neuron", "value"}:
        _check_field(image, name, events[name])
    step, neuron = events["step"], events["neuron"]
    order = np.lexsort((neuron, step))
    events, step, neuron = events[order], step[order].astype(np.int64), neuron[order].astype(np.int64)
    twice = (np.diff(step) == 0) & (np.diff(neuron) == 0)
    if np.any(twice):
        at = int(np.flatnonzero(twice)[0])
        raise RunError(f"input '{image.name}' has two spikes of neuron {neuron[at]} in step {step[at]}; merge them")
    if np.any(step < 0):
        raise RunError(f"input '{image.name}' has a spike at step {step.min()}; steps start at 0")
    if np.any((neuron < 0) | (neuron >= image.n)):
        raise RunError(
            f"input '{image.name}' has no neuron {neuron[(neuron < 0) | (neuron >= image.n)][0]}; it has {image.n}"
        )
    value = events["value"] if "value" in names else np.ones(step.size, np.int64)
    _check_values(image, value)
    return step, neuron, value


def _check_field(image: PopulationImage, name: str, values: np.ndarray) -> None:
    """Steps and neurons are whole numbers, values are numbers."""
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise RunError(f"input '{image.name}': the field {name} must be numbers, not {values.dtype}")
    if name != "value" and values.dtype.kind == "f" and not np.all(values == np.floor(values)):
        of = "at a fractional step; steps are" if name == "step" else "of a fraction of a neuron; numbers are"
        raise RunError(f"input '{image.name}' has a spike {of} whole numbers from 0")


def _check_values(image: PopulationImage, value: np.ndarray) -> None:
    if not value.size:
        return
    if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
        raise RunError(f"input '{image.name}' holds NaN or infinity")
    if bool(image.model.values["graded"]):
        return
    if np.any(value != 1):
        raise RunError(
            f"input '{image.name}' holds the value {value[value != 1][0]}; a plain source sends 0 or 1, "
            "use cs.SpikeSource(n, graded=1) for values"
        )
