"""From layers of plain weights to a grid program: four axon types, copied axons, copied neurons, placed cores.

A synapse of the grid is one bit; its weight is the neuron's weight for the axon's type. A line with several weights
therefore arrives on several axons: one per type that some neuron of the core needs. A neuron sends to one axon only,
so a neuron whose spikes are needed on k axons is built k times (the copies do the same in the same cycle).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chipsim.errors import CompileError, RunError
from chipsim.native.crossbar.image import refuse

from .truenorth import AXON_TYPES, GridProgram, packets

NEURONS, AXONS = 256, 256
THRESHOLD_MAX, POTENTIAL_MIN = 255, -256
BITS = np.array([1, 2, 4, -8])  #: type weights of the binary decomposition: every integer in -8..7
CORES = 4096


@dataclass(frozen=True, eq=False)
class GridImage:
    """What a grid loads for a feed-forward network.

    Attributes
    ----------
    program : GridProgram
        With the output bus on the last place.
    inputs : (k, 4) int64
        Input line, x, y, axon: a spike of the line is a packet to each.
    outputs : int
        Neurons of the last layer; neuron j leaves as output axon j.
    units : list of (n,) float64
        Per layer, what one unit of the potential means in the network's own units.
    where : list of (n, 2) int64
        Per layer, core and neuron of each neuron's first copy; -1 for a hidden neuron that nothing listens to.
    may_wrap : list of (n,) bool
        Per layer, neurons whose inputs could carry the potential past 9 bits, where it wraps.
    """

    program: GridProgram
    inputs: np.ndarray
    outputs: int
    units: list[np.ndarray]
    where: list[np.ndarray]
    may_wrap: list[np.ndarray]


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer by types: masks (n, m, 4) of used axons, type weights (n, 4), thresholds and leaks (n,)."""

    mask: np.ndarray
    weight: np.ndarray
    threshold: np.ndarray
    leak: np.ndarray


def by_type(weights: np.ndarray, name: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Integer weights (n, m) as masks (n, m, 4) and type weights (n, 4) with weights = sum over types of mask * weight.

    A neuron with at most four different weights gets one type per weight; otherwise all weights must lie in -8..7 and
    are written in two's complement.

    Raises
    ------
    CompileError
        More than four different weights outside -8..7, or a weight beyond 9 bits.
    """
    worst = int(np.abs(weights).max(initial=0))
    if weights.max(initial=0) > THRESHOLD_MAX or weights.min(initial=0) < POTENTIAL_MIN:
        raise refuse(
            "truenorth", name, "weight", worst, THRESHOLD_MAX, "a weight has 9 bits with sign: scale the network"
        )
    levels = [np.unique(row[row != 0])[::-1] for row in weights]
    most = max((len(v) for v in levels), default=0)
    n, m = weights.shape
    mask = np.zeros((n, m, AXON_TYPES), bool)
    if most <= AXON_TYPES:
        table = np.zeros((n, AXON_TYPES), np.int64)
        for j, values in enumerate(levels):
            table[j, : len(values)] = values
            mask[j, :, : len(values)] = weights[j][:, None] == values
        return mask, table
    if weights.max() > 7 or weights.min() < -8:
        raise refuse("truenorth", name, "different weights of a neuron", most, AXON_TYPES,
                     "use at most four per neuron, or weights in -8..7 (four bits, one axon type each)")  # fmt: skip
    mask[:] = (weights[:, :, None] & 15) >> np.arange(AXON_TYPES) & 1
    return mask, np.broadcast_to(BITS, (n, AXON_TYPES)).copy()


def _layer(weights: Any, threshold: Any, leak: Any, name: str | None) -> tuple[_Layer, np.ndarray]:
    weights = np.asarray(weights)
    n = weights.shape[0]
    threshold = np.broadcast_to(np.asarray(threshold, np.float64), (n,))
    leak = np.broadcast_to(np.asarray(leak, np.float64), (n,))
    if np.any(threshold <= 0):
        raise CompileError("truenorth: thresholds must be positive", population=name)
    scale = np.ones(n)
    if weights.dtype.kind == "f":
        reach = np.maximum(weights.max(axis=1, initial=0) / 7, weights.min(axis=1, initial=0) / -8)
        scale = np.minimum(1 / np.where(reach > 0, reach, np.inf), THRESHOLD_MAX / threshold)
        scale = np.where(reach > 0, scale, THRESHOLD_MAX / threshold)
    rounded = np.rint(weights * scale[:, None]).astype(np.int64)
    thr, drift = np.rint(threshold * scale).astype(np.int64), np.rint(leak * scale).astype(np.int64)
    if thr.max() > THRESHOLD_MAX or thr.min() < 1:
        bad = thr.max() if thr.max() > THRESHOLD_MAX else thr.min()
        raise refuse(
            "truenorth", name, "threshold", float(bad), THRESHOLD_MAX, "a potential has 9 bits: scale the network"
        )
    mask, table = by_type(rounded, name)
    return _Layer(mask, table, thr, drift), 1 / scale


def _cores(layer: _Layer, copies: np.ndarray, name: str | None) -> list[list[int]]:
    """Neurons (copies repeated) of each core, filled one after the other within 256 neurons and 256 axons."""
    cores: list[list[int]] = []
    used = np.zeros(layer.mask.shape[1:], bool)
    members: list[int] = []
    for j in np.repeat(np.arange(len(copies)), copies):
        own = layer.mask[j]
        if own.sum() > AXONS:
            raise refuse(
                "truenorth", name, "axons of one neuron", float(own.sum()), AXONS, "use fewer inputs or coarser weights"
            )
        together = used | own
        if members and (len(members) == NEURONS or together.sum() > AXONS):
            cores.append(members)
            members, together = [], own.copy()
        members.append(int(j))
        used = together
    return [*cores, members] if members else cores


def lower_truenorth(
    layers: list[Any], *, threshold: list[Any], leak: list[Any] | None = None, reset: str = "zero",
    floor: int = POTENTIAL_MIN, names: list[str] | None = None,
) -> GridImage:  # fmt: skip
    """A feed-forward network on the grid.

    Parameters
    ----------
    layers : list of (n, m) weights, first layer first
        Integers are taken as they are; floats are scaled per neuron to -8..7.
    threshold, leak : per layer, scalar or (n,)
        The leak is added every tick (negative: toward the floor).
    reset : "zero" or "subtract"
    floor : int
        Potentials below it return to 0 ("zero") or have it subtracted.

    Raises
    ------
    CompileError
        Weights, axons, outputs or cores beyond the grid's.
    """
    names = names or [f"layer {k + 1}" for k in range(len(layers))]
    leak = [0] * len(layers) if leak is None else leak
    built = [_layer(w, t, d, name) for w, t, d, name in zip(layers, threshold, leak, names)]
    outputs = len(built[-1][0].threshold)
    if outputs > AXONS:
        raise refuse("truenorth", names[-1], "output axons", outputs, AXONS, "use fewer output neurons")
    plans: list[list[list[int]]] = []
    copies = np.ones(outputs, np.int64)
    for (layer, _), name in zip(reversed(built), reversed(names)):
        plan = _cores(layer, copies, name)
        plans.insert(0, plan)
        copies = sum(
            (layer.mask[core].any(axis=0).sum(axis=1) for core in plan), np.zeros(layer.mask.shape[1], np.int64)
        )
    total = sum(map(len, plans)) + 1
    if total > CORES:
        raise refuse("truenorth", None, "cores", total, CORES, "use a smaller network")
    return _image(built, plans, total, outputs, int(reset == "subtract"), floor)


def _image(
    built: list[tuple[_Layer, np.ndarray]],
    plans: list[list[list[int]]],
    total: int,
    outputs: int,
    mode: int,
    floor: int,
) -> GridImage:
    columns = int(np.ceil(np.sqrt(total)))
    rows = -(-total // columns)
    places = columns * rows
    bus = places - 1
    arrays = {name: np.zeros((places, NEURONS), np.int64) for name in ("leak", "axon", "target")}
    thr = np.full((places, NEURONS), THRESHOLD_MAX)
    negthr = np.full((places, NEURONS), POTENTIAL_MIN)
    crossbar = np.zeros((places, NEURONS, AXONS), np.uint8)
    axon_type = np.zeros((places, AXONS), np.uint8)
    weight = np.zeros((places, NEURONS, AXON_TYPES), np.int64)
    arrays["target"][:] = np.arange(places)[:, None]
    first = np.concatenate([[0], np.cumsum([len(p) for p in plans])])
    wanted: list[list[tuple[int, int]]] = []  # of the layer before: per line, the (core, axon) pairs it must reach
    where, inputs = [], np.zeros((0, 4), np.int64)
    for k in range(len(built) - 1, -1, -1):
        layer = built[k][0]
        pairs = wanted if wanted else [[(bus, j)] for j in range(outputs)]
        remaining = [list(p) for p in pairs]
        place = np.full((len(layer.threshold), 2), -1, np.int64)
        wanted = [[] for _ in range(layer.mask.shape[1])]
        for c, members in enumerate(plans[k]):
            core = int(first[k]) + c
            line, kind = np.nonzero(layer.mask[members].any(axis=0))
            axon_type[core, : len(line)] = kind
            for axon, source in enumerate(line):
                wanted[source].append((core, axon))
            for i, j in enumerate(members):
                crossbar[core, i, : len(line)] = layer.mask[j, line, kind]
                weight[core, i], thr[core, i], negthr[core, i] = layer.weight[j], layer.threshold[j], floor
                arrays["leak"][core, i] = layer.leak[j]
                arrays["target"][core, i], arrays["axon"][core, i] = remaining[j].pop(0)
                if place[j, 0] < 0:
                    place[j] = core, i
        where.insert(0, place)
        if k == 0:
            inputs = np.array(
                [(s, c % columns, c // columns, a) for s, ps in enumerate(wanted) for c, a in ps], np.int64
            )
    target, here = arrays["target"], np.arange(places)[:, None]
    program = GridProgram(
        columns=columns, rows=rows, output=(bus % columns, bus // columns), crossbar=crossbar, axon_type=axon_type,
        weight=weight, thr=thr, negthr=negthr, leak=arrays["leak"], mode=mode, dx=target % columns - here % columns,
        dy=target // columns - here // columns, axon=arrays["axon"],
    )  # fmt: skip
    return GridImage(
        program, inputs.reshape(-1, 4), outputs, [u for _, u in built], where, [_wraps(b) for b, _ in built]
    )


def _wraps(layer: _Layer) -> np.ndarray:
    values = layer.mask.sum(axis=1) * layer.weight
    up = np.maximum(values, 0).sum(axis=1) + layer.leak + layer.threshold - 1
    down = np.minimum(values, 0).sum(axis=1) + layer.leak + POTENTIAL_MIN
    return (up > THRESHOLD_MAX) | (down < POTENTIAL_MIN)


def to_packets(spikes: Any, image: GridImage) -> np.ndarray:
    """Spikes (t, i) 0/1 as input packets (p, 5): those of step t enter in slot t and are used in tick t + 1.

    Raises
    ------
    RunError
        Another number of lines, or counts beyond 1 (two spikes of a line in a tick are one).
    """
    spikes = np.asarray(spikes)
    lines = int(image.inputs[:, 0].max(initial=-1)) + 1
    if spikes.ndim != 2 or spikes.shape[1] < lines:
        raise RunError(f"input spikes have shape {spikes.shape}; give (steps, at least {lines} lines)")
    if np.any((spikes != 0) & (spikes != 1)):
        raise RunError("input spikes must be 0 or 1: two packets to one axon in one tick are one")
    step, column = np.nonzero(spikes[:, image.inputs[:, 0]])
    _, x, y, axon = image.inputs[column].T
    return packets(step, x, y, axon)


def from_outputs(rows: np.ndarray, ticks: int, outputs: int, first_tick: int = 1) -> np.ndarray:
    """Output rows (tick, axon, cycle) as spikes (ticks, outputs) bool."""
    spikes = np.zeros((ticks, outputs), bool)
    tick = rows[:, 0] - first_tick
    inside = (tick >= 0) & (tick < ticks)
    spikes[tick[inside], rows[inside, 1]] = True
    return spikes
