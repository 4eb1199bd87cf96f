"""Spikes that a user gives, checked and brought into the engine's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chipsim.checks import floats, integers, numbers
from chipsim.engines.contract import SpikeTrain
from chipsim.errors import RunError
from chipsim.native.base import fits

if TYPE_CHECKING:
    from chipsim.program.program import PopulationImage, Program

PAYLOAD_BITS = 31  #: of a value that a spike carries, beside its sign
LATE = 1 << 62  #: steps from here on are all the same: never reached
BLOCK = 1 << 22  #: numbers of an input that are copied at once


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
        values.append(_carried(program, image, value)[~late])
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
    if isinstance(given, np.ndarray) and given.dtype.names:
        if given.ndim != 1:
            raise RunError(f"input '{image.name}': events have shape {given.shape}; give one row of (step, neuron)")
        return given
    array = numbers(given, f"input '{image.name}'", RunError, exact=True)
    if array.ndim < 2 or not fits(array.shape[1:], image.model.shape):
        raise RunError(f"input '{image.name}' has shape {array.shape}; give (steps, {image.n})")
    return array


def _events(image: PopulationImage, given: Any, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    array = as_input(image, given)
    if array.dtype.names:
        return _from_events(image, array)
    if array.shape[0] < steps:
        raise RunError(f"input '{image.name}' covers {array.shape[0]} steps, the run has {steps}; pad it or run fewer")
    at, value = _not_zero(array)
    step, neuron = np.divmod(at, image.n)
    return step, neuron, value


def _not_zero(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where `array`, read flat, is not 0, and its values there; what is no block of memory is read in parts."""
    size = array[0].size
    rows = len(array) if array.flags.c_contiguous else max(BLOCK // size, 1)
    places, values = [], []
    for first in range(0, len(array), max(rows, 1)):
        flat = np.ascontiguousarray(array[first : first + rows]).reshape(-1)
        at = np.flatnonzero(flat if flat.dtype == bool else flat != 0)
        places.append(at + first * size)
        values.append(flat[at])
    return np.concatenate(places), np.concatenate(values)


def _from_events(image: PopulationImage, events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = events.dtype.names or ()
    if "step" not in names or "neuron" not in names:
        raise RunError(f"input '{image.name}': events need the fields step and neuron, not {', '.join(names)}")
    if isinstance(events, np.ma.MaskedArray) and any(np.any(np.ma.getmaskarray(events[name])) for name in names):
        raise RunError(f"input '{image.name}' holds masked events; leave them out: x[~x.mask['step']].data")
    step, neuron = (_field(image, name, events[name]) for name in ("step", "neuron"))
    value = _field(image, "value", events["value"]) if "value" in names else np.ones(step.size, np.int64)
    if np.any(step < 0):
        raise RunError(f"input '{image.name}' has a spike at step {step.min()}; steps start at 0")
    if np.any((neuron < 0) | (neuron >= image.n)):
        raise RunError(
            f"input '{image.name}' has no neuron {neuron[(neuron < 0) | (neuron >= image.n)][0]}; it has {image.n}"
        )
    never = step >= LATE
    step, neuron = np.where(never, 0, step).astype(np.int64), neuron.astype(np.int64)
    step[never] = LATE
    order = np.lexsort((neuron, step))
    step, neuron, value = step[order], neuron[order], value[order]
    twice = (np.diff(step) == 0) & (np.diff(neuron) == 0) & (step[1:] < LATE)
    if np.any(twice):
        at = int(np.flatnonzero(twice)[0])
        raise RunError(f"input '{image.name}' has two spikes of neuron {neuron[at]} in step {step[at]}; merge them")
    sent = value != 0  # a value of 0 is no spike, as in an array
    return step[sent], neuron[sent], value[sent]


def _field(image: PopulationImage, name: str, given: np.ndarray) -> np.ndarray:
    """Steps and neurons are whole numbers, values are numbers."""
    values = numbers(given, f"input '{image.name}': the field {name}", RunError)
    if values.ndim != 1:
        raise RunError(f"input '{image.name}': the field {name} must be numbers, not {given.dtype} {given.shape[1:]}")
    if name != "value" and values.dtype.kind == "f" and not np.all(np.isfinite(values) & (values == np.floor(values))):
        of = "at a fractional step; steps are" if name == "step" else "of a fraction of a neuron; numbers are"
        raise RunError(f"input '{image.name}' has a spike {of} whole numbers from 0")
    return values


def _carried(program: Program, image: PopulationImage, value: np.ndarray) -> np.ndarray:
    """The values of one source's spikes as its synapses take them: exactly these numbers, or refused."""
    what = f"input '{image.name}'"
    if not np.all(np.isfinite(value)):
        raise RunError(f"{what} holds NaN or infinity")
    if bool(image.model.values["graded"]):
        if program.arithmetic.is_float:
            return floats(value, what, RunError)
        most = _most(program, image)
        return integers(value, f"{what}: the value", max(-most, -(2**31)), most, RunError)
    if np.any(value != 1):
        raise RunError(
            f"input '{image.name}' holds the value {value[value != 1][0]}; a plain source sends 0 or 1, "
            "use cs.SpikeSource(n, graded=1) for values"
        )
    return value


def _most(program: Program, image: PopulationImage) -> int:
    """Largest value, without its sign, that the narrowest message from this source carries.

    `message_bits` are those of the amount: recorded runs of Lava send -199..255 through 8.
    """
    number = program.populations.index(image)
    wide = (getattr(p.synapses, "message_bits", 0) for p in program.projections if p.pre == number)
    return (1 << min((bits for bits in wide if 0 < bits < PAYLOAD_BITS), default=PAYLOAD_BITS)) - 1
