"""The arrays of a time-step machine, grouped: what a program loads (`Net`), its state, and a run's outputs.

Letters: n neurons and input lines, g segments, p populations, q ports, j projections, k tiles, t steps, c cores.
An integer machine has int32 parameters, states and accumulators, one whose sums may not overflow int64 ones
("wide"), a float machine float64 ones; the same run loop is compiled for each. Weights stay int32 in both of the first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Segments(NamedTuple):
    """Runs of neighbouring neurons of one population on one core, int32 (g,)."""

    model: np.ndarray  # which update kernel
    pop: np.ndarray
    core: np.ndarray
    lo: np.ndarray  # first neuron
    hi: np.ndarray  # one past the last
    options: np.ndarray  # (g, N_OPTIONS) switches of the update kernel


class Ports(NamedTuple):
    """Accumulators: a population's inputs that share a shift, as a ring over the steps ahead, int64 (q,)."""

    offset: np.ndarray  # first element in the accumulator array
    depth: np.ndarray  # slots of the ring: largest delay + 1
    lo: np.ndarray  # neurons [lo, hi) that it feeds
    hi: np.ndarray
    shift: np.ndarray  # of the SUM, towards the left when positive
    wrap: np.ndarray  # magnitude bits kept of the sum, 0 = all


class Fans(NamedTuple):
    """Projections split by target tile, int64 (j,)."""

    kind: np.ndarray
    pop: np.ndarray  # source population
    source: np.ndarray  # first neuron of the source population
    port: np.ndarray
    pointer: np.ndarray  # first row pointer in `indptr` (sparse kinds), first element (dense, conv)
    graded: np.ndarray  # 1: the value of a spike multiplies the weight
    early: np.ndarray  # 1: input lines of the same step act at once (brian2-loihi); 2: it learns, see machine_plastic
    geometry: np.ndarray  # (j, 16) of a convolution; [0] of a dense projection: its delay


class Net(NamedTuple):
    """All that a program loads and a run does not change (but plastic weights)."""

    params: np.ndarray  # (rows, n) int32, int64 or float64
    reals: np.ndarray  # (rows, n) float64 parameters of integer models that Lava keeps as floats
    segments: Segments
    segment_ptr: np.ndarray  # (k + 1,) segments of each tile
    port_ptr: np.ndarray  # (k + 1,) ports of each tile
    fan_ptr: np.ndarray  # (k + 1,) projections of each tile
    ports: Ports
    fans: Fans
    indptr: np.ndarray  # uint32 row pointers of all sparse projections
    packed: np.ndarray  # uint32: weight int8 << 24 | ring position
    index: np.ndarray  # uint32 ring positions of wide sparse projections
    weight: np.ndarray  # int32 or float64 weights of wide sparse projections, beside `index`
    wide: np.ndarray  # int32 or float64 weights of wide dense and conv projections
    narrow: np.ndarray  # int8 weights of dense projections
    is_input: np.ndarray  # (p,) uint8
    is_graded: np.ndarray  # (p,) uint8: spikes of this population carry values
    pop_ptr: np.ndarray  # (p + 1,) first neuron of each population


class State(NamedTuple):
    """What a machine remembers from one step to the next."""

    rows: np.ndarray  # (rows, n) int32, int64 or float64
    acc: np.ndarray  # accumulators of all ports
    drive: np.ndarray  # (n,) input of the step
    value: np.ndarray  # (n,) what a graded neuron sends
    fired: np.ndarray  # (n padded,) uint8
    active: np.ndarray  # (n padded,) uint8
    last_ptr: np.ndarray  # (p + 1,) int64: spikes of the last step by population, as offsets into the log's row


class Inputs(NamedTuple):
    """Spikes of input populations, ascending in step, then neuron."""

    ptr: np.ndarray  # (t + 1,) int64
    ids: np.ndarray  # uint32
    value: np.ndarray  # the machine's numbers, as long as ids where `graded`, else unused
    noise: np.ndarray  # (t, n) int32, or (1, 1) when no neuron is noisy
    graded: bool  # a source of the program sends values: a property of the program, not of what it sends now


class Log(NamedTuple):
    """What a run writes."""

    ptr: np.ndarray  # (t + 1,) int64: spikes of step i are ids[ptr[i]:ptr[i + 1]]
    ids: np.ndarray  # uint32, by population and ascending within a step
    value: np.ndarray  # values, as long as ids where `graded`, else unused
    updates: np.ndarray  # (k, t, c) int32: active neuron updates
    saturated: np.ndarray  # (k, p, 2) int64: clips of the state, overflows of the current
    active: np.ndarray  # (t, n padded / 8) uint8 bit masks, or (1, 1)
    probes: np.ndarray  # (m, 4) int64: state row (-1: drive, -2: value), lo, hi, column
    trace: np.ndarray  # (t, columns) what the probes saw
    graded: bool  # a population of the program sends values
