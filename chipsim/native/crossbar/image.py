"""From plain arrays to the memories of ODIN and tinyODIN, and from spike arrays to their event streams and back.

A network here is inputs -> neurons (-> themselves): weights (post, pre), floats in any unit or integers of the chip.
Pure functions; what does not fit is refused with the number that is exceeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.errors import CompileError, RunError
from chipsim.native.base import NeuronModel

from . import odin, tinyodin

ROWS = 256  #: presynaptic rows, shared by neurons and input lines
ODIN_WEIGHT, ODIN_THRESHOLD = 7, 255
TINY_WEIGHTS, TINY_THRESHOLD = (-8, 7), 2047
LEAK_MAX = 127


@dataclass(frozen=True, eq=False)
class CrossbarImage:
    """What a crossbar loads for a network, and how to talk to it.

    Attributes
    ----------
    program : OdinProgram or TinyOdinProgram
        Neuron j of the network is neuron j of the chip.
    rows : (k, 2) int64
        (input line, presynaptic row): a spike of the line is a spike event of each of its rows.
    unit : (n,) float64
        What one unit of the chip's potential means in the network's own units; 1 for integers.
    rounding : float
        Largest rounding error of a weight, in units of the neuron's threshold.
    """

    program: Any
    rows: np.ndarray
    unit: np.ndarray
    rounding: float


@dataclass(frozen=True, eq=False)
class _Native:
    """Integer weights (n, m), thresholds and leaks (n,), and the scale that led to them."""

    weights: np.ndarray
    threshold: np.ndarray
    leak: np.ndarray
    unit: np.ndarray
    rounding: float


def refuse(chip: str, name: str | None, resource: str, need: float, limit: float, way_out: str) -> CompileError:
    """The error of something that does not fit."""
    who = f"population '{name}': " if name else ""
    return CompileError(f"{who}{chip}: {resource}: {need:g} exceeds {limit:g}; {way_out}", population=name, core=0,
                        resource=resource, need=need, limit=limit)  # fmt: skip


def to_integers(
    chip: str, weights: np.ndarray, threshold: Any, leak: Any, lo: int, hi: int, thr_max: int, name: str | None
) -> _Native:
    """Integers pass if they fit; floats are scaled per neuron until its largest weight or threshold fills the range.

    Raises
    ------
    CompileError
        Weights, thresholds or leaks outside the chip's range, thresholds that are not positive or round to 0.
    """
    n = weights.shape[0]
    threshold = np.broadcast_to(np.asarray(threshold, np.float64), (n,))
    leak = np.broadcast_to(np.asarray(leak, np.float64), (n,))
    if np.any(threshold <= 0) or np.any(leak < 0) or not np.all(np.isfinite(weights)):
        raise CompileError(f"{chip}: thresholds must be positive, leaks not negative, weights finite", population=name)
    if weights.dtype.kind in "iub":
        scale = np.ones(n)
    else:
        reach = np.maximum(weights.max(axis=1, initial=0) / hi, weights.min(axis=1, initial=0) / lo)
        scale = np.minimum(1 / np.where(reach > 0, reach, np.inf), thr_max / threshold)
        scale = np.where(reach > 0, scale, thr_max / threshold)
    exact = weights * scale[:, None]
    rounded = np.rint(exact).astype(np.int64)
    thr, step = np.rint(threshold * scale).astype(np.int64), np.rint(leak * scale).astype(np.int64)
    for resource, value, low, high in (
        ("weight", rounded, lo, hi),
        ("threshold", thr, 1, thr_max),
        ("leak", step, 0, LEAK_MAX),
    ):
        worst = (
            value[np.unravel_index(np.argmax(np.maximum(value - high, low - value)), value.shape)]
            if value.size
            else low
        )
        if worst > high or worst < low:
            raise refuse(chip, name, resource, float(worst), float(high if worst > high else low),
                         "scale the network's weights, thresholds and leaks")  # fmt: skip
    error = np.abs(rounded - exact).max(axis=1, initial=0) / (threshold * scale)
    return _Native(rounded, thr, step, 1 / scale, float(error.max(initial=0)))


def _blocks(chip: str, inputs: Any, recurrent: Any, name: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    inputs = np.asarray(inputs)
    if inputs.ndim != 2:
        raise CompileError(f"{chip}: input weights have shape {inputs.shape}; give (neurons, input lines)")
    if inputs.shape[0] > ROWS:
        raise refuse(chip, name, "neurons", inputs.shape[0], ROWS, "use fewer neurons")
    if recurrent is None or not np.any(recurrent):
        return inputs, None
    recurrent = np.asarray(recurrent)
    if recurrent.shape != (inputs.shape[0], inputs.shape[0]):
        raise CompileError(f"{chip}: recurrent weights have shape {recurrent.shape}; give (neurons, neurons)")
    return inputs, recurrent


def _row_table(chip: str, name: str | None, lines: list[tuple[int, np.ndarray]], first: int) -> np.ndarray:
    if first + len(lines) > ROWS:
        raise refuse(chip, name, "presynaptic rows", first + len(lines), ROWS,
                     "use fewer input lines (a line with weights of both signs takes two rows of ODIN)")  # fmt: skip
    return np.array([(line, first + k) for k, (line, _) in enumerate(lines)], np.int64).reshape(-1, 2)


def lower_odin(
    inputs: Any, recurrent: Any = None, *, threshold: Any = 1, leak: Any = 0, sdsp: dict[str, Any] | None = None,
    models: list[NeuronModel] | None = None, population: str | None = None,
) -> CrossbarImage:  # fmt: skip
    """A network on ODIN: 3-bit weights whose sign belongs to the presynaptic row.

    Parameters
    ----------
    inputs : (n, i) weights of the input lines; recurrent : (n, n) or None
        A line with weights of both signs is given two rows; a neuron cannot be (its row has one sign).
    threshold, leak : scalar or (n,)
        Leak per time reference, in units of the weights.
    sdsp : dict or None
        Registers of `odin.LIF` that switch learning on for all neurons (ca_en, theta_mem, theta1, theta2, theta3,
        ca_leak); synapses with a weight in the network (and all of a learning one) are mapped, hence plastic.

    models : list of odin.LIF or odin.Izhikevich, or None
        The neurons in registers instead of `threshold`, `leak` and `sdsp`; weights must be integers then.

    Raises
    ------
    CompileError
        Neurons, rows, weights, thresholds or leaks beyond the chip's; neurons that excite and inhibit.
    """
    inputs, recurrent = _blocks("odin", inputs, recurrent, population)
    n = inputs.shape[0]
    both = inputs if recurrent is None else np.concatenate([inputs, recurrent], axis=1)
    native = to_integers("odin", both, threshold, leak, -ODIN_WEIGHT, ODIN_WEIGHT, ODIN_THRESHOLD, population)
    lines = []
    for line in range(inputs.shape[1]):
        column = native.weights[:, line]
        parts = [np.maximum(column, 0), np.minimum(column, 0)]
        kept = [p for p in parts if p.any()]
        lines += [(line, p) for p in (kept or parts[:1])]
    rows = _row_table("odin", population, lines, 0 if recurrent is None else n)
    table = np.zeros((ROWS, ROWS), np.int64)
    for (_, row), (_, column) in zip(rows, lines):
        table[row, :n] = column
    if recurrent is not None:
        own = native.weights[:, inputs.shape[1] :]
        mixed = np.any(own > 0, axis=0) & np.any(own < 0, axis=0)
        if mixed.any():
            raise CompileError(
                f"odin: neuron {np.flatnonzero(mixed)[0]} has outgoing weights of both signs; the sign belongs to the "
                "presynaptic row: split it into an excitatory and an inhibitory neuron",
                population=population, core=0, resource="signs per row", need=2, limit=1,
            )  # fmt: skip
        table[:n, :n] = own.T
    used = np.zeros((ROWS, ROWS), np.int64)
    used[rows[:, 1], :n] = 1
    mapped = used if sdsp else (table != 0).astype(np.int64)
    neurons = models or [odin.LIF(n, thr=native.threshold, leak_str=native.leak, leak_en=1, **(sdsp or {}))]
    signs = (table.min(axis=1) < 0).astype(np.uint8)
    registers = odin.Registers(open_loop=int(recurrent is None), syn_sign=signs)
    program = odin.OdinProgram(registers, odin.pack(*neurons), odin.pack_synapses(np.abs(table), mapped))
    return CrossbarImage(program, rows, native.unit, native.rounding)


def lower_tinyodin(
    inputs: Any, recurrent: Any = None, *, threshold: Any = 1, leak: Any = 0,
    models: list[NeuronModel] | None = None, population: str | None = None,
) -> CrossbarImage:  # fmt: skip
    """A network on tinyODIN: signed 4-bit weights; parameters and errors as `lower_odin`, signs are free."""
    inputs, recurrent = _blocks("tinyodin", inputs, recurrent, population)
    n = inputs.shape[0]
    both = inputs if recurrent is None else np.concatenate([inputs, recurrent], axis=1)
    native = to_integers("tinyodin", both, threshold, leak, *TINY_WEIGHTS, TINY_THRESHOLD, population)
    lines = [(line, native.weights[:, line]) for line in range(inputs.shape[1])]
    rows = _row_table("tinyodin", population, lines, 0 if recurrent is None else n)
    table = np.zeros((ROWS, ROWS), np.int64)
    table[rows[:, 1], :n] = native.weights[:, : inputs.shape[1]].T
    if recurrent is not None:
        table[:n, :n] = native.weights[:, inputs.shape[1] :].T
    neurons = models or [tinyodin.LIF(n, thr=native.threshold, leak_str=native.leak)]
    registers = tinyodin.Registers(open_loop=int(recurrent is None), max_neur=n - 1)
    program = tinyodin.TinyOdinProgram(registers, tinyodin.pack(*neurons), tinyodin.pack_synapses(table))
    return CrossbarImage(program, rows, native.unit, native.rounding)


def to_stream(spikes: Any, image: CrossbarImage) -> tuple[np.ndarray, np.ndarray]:
    """Spike counts (t, i) as an event stream: in each step the spike events by line, then one time reference to all.

    Returns
    -------
    addresses, step : (k,) int64
        Input words and the step each belongs to; a count of 2 is two events.

    Raises
    ------
    RunError
        Negative or fractional counts, or another number of lines than the network's.
    """
    spikes = np.asarray(spikes)
    lines = int(image.rows[:, 0].max(initial=-1)) + 1
    if spikes.ndim != 2 or spikes.shape[1] != lines:
        raise RunError(f"input spikes have shape {spikes.shape}; give (steps, {lines} lines)")
    if np.any(spikes < 0) or np.any(spikes != np.floor(spikes)):
        raise RunError("input spikes are counts: whole numbers, not negative")
    events = odin.events if isinstance(image.program, odin.OdinProgram) else tinyodin.events
    step, column = np.nonzero(spikes[:, image.rows[:, 0]])
    times = spikes[step, image.rows[column, 0]].astype(np.int64)
    steps = len(spikes)
    addresses = np.repeat(events.spike(image.rows[column, 1]), times)
    addresses = np.concatenate([addresses, np.full(steps, int(events.time_reference()))])
    step = np.concatenate([np.repeat(step, times), np.arange(steps)])
    order = np.argsort(step, kind="stable")
    return addresses[order], step[order]


def from_packets(address: np.ndarray, edge: np.ndarray, ends: np.ndarray, n: int) -> np.ndarray:
    """Output packets as spike counts (t, n) int64; a packet belongs to the first step ending on its edge or later."""
    step = np.searchsorted(ends, edge)
    counts = np.zeros((len(ends), n), np.int64)
    inside = (step < len(ends)) & (address < n)
    np.add.at(counts, (step[inside], address[inside]), 1)
    return counts
