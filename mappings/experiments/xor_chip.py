"""XOR's 2-h-1 network as spiking neurons of a Loihi-class chip, to be run as a black box.

A unit holds its drive a as a current (du = 0: it fades by 1/4096 a step) while a sweep of T spikes, the same for all,
lowers its threshold through the T quantiles of the logistic distribution. It fires once for each threshold below the
drive, so that it fires T / (1 + exp(-a)) times, to the nearest count. An answer takes 2 (T + 1) steps: hidden units
fire while their sweep runs, the output unit adds up what they send, then it is swept. Neurons are cleared at the
start of their turn (LIFReset), hence the four patterns follow each other in one run, and runs follow each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chipsim.emulator import Emulator
from chipsim.errors import RunError
from chipsim.mappings.compiler.compile import compile as compiled
from chipsim.mappings.network.network import Network
from chipsim.native import loihi
from chipsim.native.base import SpikeSource
from chipsim.program.program import Program
from chipsim.rules.fixed_format import Fixed

Array = NDArray[np.float64]
PATTERNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
LEVELS = 64  #: thresholds of a sweep
CHOICES = (8, 16, 32, 64)  #: with more, the sum of the output could pass 23 bits
CHIP_WEIGHTS = Fixed(8, 0.125, rounding="stochastic")  # +-16 in eighths
MANTISSA_PER_STEP = 2  #: mixed-sign mantissas of 8 bits are even
SHIFT_IN = 3  #: exponent of the weights onto hidden units
UNIT = MANTISSA_PER_STEP * 8 << SHIFT_IN  #: of the hidden drive per weight of 1
START_SHIFT = 2  #: exponent of the spike that starts a sweep


class Sweep(NamedTuple):
    """Mantissas of a sweep: `start` << START_SHIFT goes with the first of the `rises` (T,); thresholds (T,) fall."""

    start: int
    rises: NDArray[np.int64]
    thresholds: NDArray[np.int64]


def sweep(levels: int = LEVELS) -> Sweep:
    """Thresholds at the logistic quantiles (k + 1/2) / T in units of the drive, highest first."""
    share = (np.arange(levels) + 0.5) / levels
    thresholds = np.rint(UNIT * np.log(share / (1 - share))).astype(np.int64)[::-1]
    start = (1 - int(thresholds[0])) // (1 << START_SHIFT)  # a neuron fires above one unit
    return Sweep(start, np.diff(1 - thresholds, prepend=start << START_SHIFT), thresholds)


def split(weights: Array) -> tuple[Array, Array]:
    """Flat weights W1 | b1 | W2 | b2 as ([W1 b1] (h, 3), [W2 b2] (1, h + 1))."""
    hidden = (weights.size - 1) // 4
    if weights.ndim != 1 or hidden < 1 or weights.size != 4 * hidden + 1:
        raise RunError(f"xor: {weights.shape} weights; a 2-h-1 network has 4 h + 1")
    w1, b1, rest = np.split(weights, [2 * hidden, 3 * hidden])
    return np.column_stack([w1.reshape(hidden, 2), b1]), rest[None]


def network(hidden: int = 3, levels: int = LEVELS) -> Network:
    """The network in registers; its weights are all one step and wait to be written."""
    slope, turn = sweep(levels), levels + 1
    shift = levels.bit_length() - CHOICES[0].bit_length()  # T spikes of weight 1: T / 8 hidden units
    net = Network("xor")
    for name, n in (("in", 3), ("one", 1), ("sweep_hidden", levels), ("sweep_out", levels)):
        net.add(name, SpikeSource(n))
    common = {"du": 0, "dv": 4095, "reset_offset": 1}
    net.add("hidden", loihi.LIFReset(hidden, vth=1, reset_interval=turn, **common))
    net.add("out", loihi.LIFReset(1, vth=1 << shift, reset_interval=2 * turn, **common))
    for pre, post, shape, exponent in (
        ("in", "hidden", (hidden, 3), SHIFT_IN), ("hidden", "out", (1, hidden), 0), ("one", "out", (1, 1), 0),
    ):  # fmt: skip
        blank = np.full(shape, MANTISSA_PER_STEP)
        net.connect(pre, post, loihi.Synapses(blank, exponent=exponent, sign="mixed"))
    start = np.zeros(levels, np.int64)
    start[0] = slope.start
    for post, n, exponent in (("hidden", hidden, 0), ("out", 1, shift)):
        rises, first = (np.repeat(row[None], n, axis=0) for row in (slope.rises, start))
        rise = loihi.Synapses(rises, exponent=exponent, sign="excitatory")
        fall = loihi.Synapses(first, exponent=exponent + START_SHIFT, sign="inhibitory")
        net.connect(f"sweep_{post}", post, rise, name=f"rise_{post}")
        net.connect(f"sweep_{post}", post, fall, name=f"start_{post}")
    return net


def inputs(levels: int = LEVELS) -> dict[str, NDArray[np.uint8]]:
    """Spikes of the four patterns, one after the other, (4 * 2 (T + 1), n) for each source."""
    turn = levels + 1
    given = {n: np.zeros((4, 2 * turn, k), np.uint8) for n, k in (("in", 3), ("one", 1))}
    given["in"][:, 0] = np.column_stack([PATTERNS, np.ones(4)])
    given["one"][:, 1:turn] = 1  # the bias of the output is a unit that always fires
    for name, first in (("sweep_hidden", 0), ("sweep_out", turn)):
        given[name] = np.zeros((4, 2 * turn, levels), np.uint8)
        given[name][:, first : first + levels] = np.eye(levels)
    return {name: array.reshape(8 * turn, -1) for name, array in given.items()}


class XorChip:
    """The chip as a black box: called with weights, it writes them, runs the four patterns and reads the spikes.

    Parameters
    ----------
    hidden : int
        Hidden units.
    chip : str or Chip
        A description of family loihi.
    levels : int
        Thresholds of a sweep, one of `CHOICES`: an output is a multiple of 1 / levels.

    Attributes
    ----------
    runs : int
        Chip runs so far, each with the four patterns.
    """

    def __init__(self, hidden: int = 3, chip: Any = "loihi", levels: int = LEVELS) -> None:
        if hidden < 1:
            raise RunError(f"xor: {hidden} hidden units; 1 or more")
        if levels not in CHOICES:
            raise RunError(f"xor: sweeps of {levels} levels; there are {', '.join(map(str, CHOICES))}")
        self.program: Program = compiled(network(hidden, levels), chip)
        self.levels, self.runs = levels, 0
        self._emulator = Emulator(self.program)
        self._inputs = inputs(levels)
        self.last: Any = None  #: result of the last run

    def __call__(self, weights: Array) -> Array:
        """Outputs (4,) in [0, 1] for flat weights W1 | b1 | W2 | b2, multiples of 1/8 in -16..15.875."""
        self.fire(*split(weights))
        return self.rates("out")[:, 0]

    def fire(self, first: Array, second: Array) -> None:
        """Write weights (h, 3) and (1, h + 1), biases last, and run."""
        onto_hidden, onto_out = _mantissas(first), _mantissas(second)
        self._emulator.set_weights("in->hidden", onto_hidden)
        self._emulator.set_weights("hidden->out", onto_out[:, :-1])
        self._emulator.set_weights("one->out", onto_out[:, -1:])
        self.last = self._emulator.run(self._inputs, len(self._inputs["in"]))
        self.runs += 1

    def rates(self, population: str) -> Array:
        """Share of the levels at which units fired in the last run, (4, n)."""
        turn = self.levels + 1
        first = turn + 1 if population == "out" else 1
        spikes = self.last.spikes[population].reshape(4, 2 * turn, -1)
        return spikes[:, first : first + self.levels].sum(axis=1) / self.levels


def _mantissas(weights: Array) -> NDArray[np.int64]:
    steps = np.asarray(weights) / CHIP_WEIGHTS.step
    if np.any(steps != np.rint(steps)) or np.any((weights < CHIP_WEIGHTS.low) | (weights > CHIP_WEIGHTS.high)):
        raise RunError(
            f"xor: the chip's weights are multiples of {CHIP_WEIGHTS.step} in {CHIP_WEIGHTS.low:g}.."
            f"{CHIP_WEIGHTS.high:g}; learn in the format CHIP_WEIGHTS"
        )
    return np.rint(steps).astype(np.int64) * MANTISSA_PER_STEP
