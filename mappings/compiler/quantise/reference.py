"""Slow, plain runs of a network: the ideal one in float64, the quantised one in integers. Oracles and
calibration.

A spike of step t acts in step t + 1 + delay in both, so that their rasters can be laid over each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import ask, integers, mapping, numbers, quoted
from chipsim.chips.arithmetic import PRESETS, Arithmetic
from chipsim.errors import NetworkError
from chipsim.mappings.network.network import Network, Projection
from chipsim.mappings.network.recurrence import Recurrence, recurrence
from chipsim.native.effective import effective
from chipsim.native.loihi import LIFReset
from chipsim.native.synapses import Conv, Synapses

BOUND = 1 << 23


@dataclass(eq=False)
class Run:
    """What a reference run left behind.

    `spikes`, `v`: population -> (steps, n); `current`, `voltage`: population -> (n,) largest |u|, |v| seen (of
    neurons that send many spikes: v before its reset). `trains`: `spikes` and the inputs.
    """

    spikes: dict[str, np.ndarray]
    v: dict[str, np.ndarray]
    current: dict[str, np.ndarray] = field(default_factory=dict)
    voltage: dict[str, np.ndarray] = field(default_factory=dict)
    trains: dict[str, np.ndarray] = field(default_factory=dict)

    def rates(self, name: str) -> np.ndarray:
        """Spikes per step of each neuron, (n,)."""
        return self.spikes[name].mean(axis=0)


def run_float(net: Network, inputs: Mapping[str, Any], dt: float, *, keep_v: bool = False) -> Run:
    """The ideal network, exactly at the grid of `dt`, in float64.

    `inputs`: spike source -> (steps, n) array; all of one length.
    """
    parts = {k: recurrence(p.model, dt, k) for k, p in net.populations.items() if not p.model.is_input}
    state = {k: _FloatState(r) for k, r in parts.items()}
    paths = [_Path(p, *_float_parts(p)) for p in net.projections.values()]
    return _run(net, inputs, state, paths, keep_v)


def run_integer(
    net: Network, inputs: Mapping[str, Any], arithmetic: Arithmetic = PRESETS["lava"], *, keep_v: bool = False
) -> Run:
    """A network of `loihi.LIF`, `LIFReset` or `CountLIF` in the chip's integers, without noise; int64, one step
    at a time.
    """
    state = {k: _IntegerState(p.model, arithmetic) for k, p in net.populations.items() if not p.model.is_input}
    paths = [_Path(p, *_integer_parts(p, arithmetic)) for p in net.projections.values()]
    return _run(net, inputs, state, paths, keep_v)


class _Path:
    """A projection as matrices by delay; the sum of each is shifted as the chip does."""

    def __init__(self, projection: Projection, matrix: Any, delays: Any, shift: int, counts: bool = True) -> None:
        self.pre, self.post, self.shift = projection.pre.name, projection.post.name, shift
        self.counts = counts
        self.parts: list[tuple[int, Any]] = []
        if np.ndim(delays) == 0 and not sp.issparse(delays):
            self.parts.append((int(delays), sp.csr_array(matrix) if sp.issparse(matrix) else matrix))
            return
        sparse = sp.coo_array(matrix)
        late = np.asarray(sp.csr_array(delays)[sparse.row, sparse.col]).ravel() if sp.issparse(delays) else None
        late = np.asarray(delays)[sparse.row, sparse.col] if late is None else late
        for d in np.unique(late):
            on = late == d
            part = sp.csr_array((sparse.data[on], (sparse.row[on], sparse.col[on])), shape=sparse.shape)
            self.parts.append((int(d), part))

    def add(self, total: np.ndarray, trains: dict[str, np.ndarray], t: int) -> None:
        """Add what arrives in step t (0-based)."""
        for delay, matrix in self.parts:
            if t - 1 - delay < 0:
                continue
            spikes = trains[self.pre][t - 1 - delay]
            spikes = spikes if self.counts else spikes != 0
            if not np.any(spikes):
                continue
            got = matrix @ spikes
            if total.dtype.kind == "i":
                got = got << self.shift if self.shift >= 0 else got >> -self.shift
            total += got


def _float_parts(projection: Projection) -> tuple[Any, Any, int]:
    weights = projection.synapses
    if projection.is_native:
        raise NetworkError(f"projection '{projection.name}' is native; the float reference runs ideal networks")
    if isinstance(weights, Conv):
        return _conv_matrix(weights, weights.floats), 0, 0
    return weights.astype(np.float64), projection.delay, 0


def _conv_matrix(conv: Conv, kernel: np.ndarray) -> Any:
    post, pre, index = conv.targets()
    return sp.csr_array((kernel.ravel()[index], (post, pre)), shape=conv.shape)


def _integer_parts(projection: Projection, arithmetic: Arithmetic) -> tuple[Any, Any, int, bool]:
    synapses = projection.synapses
    counts = int(getattr(synapses, "message_bits", 0)) > 0
    if isinstance(synapses, Conv):
        acting = effective(synapses, arithmetic)
        return _conv_matrix(synapses, acting.matrix.astype(np.int64)), 0, acting.shift, counts
    if not isinstance(synapses, Synapses):
        raise NetworkError(f"projection '{projection.name}' is not in the chip's integers")
    acting = effective(synapses, arithmetic)
    return acting.matrix.astype(np.int64), synapses.delays, acting.shift, counts


class _FloatState:
    kind: Any = np.float64

    def __init__(self, rec: Recurrence) -> None:
        self.rec = rec
        self.u, self.v = np.zeros(rec.n), rec.v0.astype(np.float64).copy()
        self.held = np.zeros(rec.n, np.int64)

    def step(self, drive: np.ndarray, t: int) -> np.ndarray:
        rec, free, before = self.rec, self.held == 0, self.v
        self.u = rec.beta * self.u + rec.gain * drive
        self.v = np.where(free, np.maximum(rec.alpha * self.v + self.u + rec.bias, rec.lowest), self.v)
        self.held = np.maximum(self.held - 1, 0)
        high = np.abs(self.v)
        fired = free * _sent(self.v, before, rec.threshold, rec.spikes)
        after = self.v - fired * rec.drop if rec.subtract else np.zeros_like(self.v)
        self.v = np.where(fired > 0, after, self.v)
        self.held[fired > 0] = rec.dead[fired > 0]
        self.reach = high if rec.spikes == "many" else np.abs(self.v)
        return fired


class _IntegerState:
    kind: Any = np.int64

    def __init__(self, model: Any, arithmetic: Arithmetic) -> None:
        get: dict[str, Any] = {k: v if isinstance(v, str) else model.per_neuron(k) for k, v in model.values.items()}
        self.keep_u, self.keep_v = 4096 - (get["du"] + 1), 4096 - get["dv"]
        shift = get["bias_exp"]
        up, down = np.maximum(shift, 0), np.maximum(-shift, 0)
        self.bias = (get["bias_mant"] << up) >> down
        self.vth, self.dead = get["vth"] << 6, get.get("refractory", np.ones(model.n, np.int64)) - 1
        self.spikes, self.most = get.get("spikes", "one"), get.get("most", 1)
        self.vmin, self.vmax, self.subtract = get["vmin"], get["vmax"], get.get("reset", "subtract") == "subtract"
        self.drop = np.where(get["reset_by"] > 0, get["reset_by"], self.vth)
        self.u, self.v = get["u"].astype(np.int64).copy(), get["v"].astype(np.int64).copy()
        self.held = np.zeros(model.n, np.int64)
        self.arithmetic = arithmetic
        self.interval = int(model.values["reset_interval"]) if isinstance(model, LIFReset) else 0
        self.offset = int(model.values["reset_offset"]) if self.interval else 0

    def step(self, drive: np.ndarray, t: int) -> np.ndarray:
        if self.interval and (t + 1) % self.interval == self.offset % self.interval:
            self.u[:], self.v[:] = 0, 0
        x, bits = drive << 6, self.arithmetic.input_accumulator_bits
        self.u = self._overflow(_decay(self.u, self.keep_u) + (_wrap(x, bits) if bits else x))
        push = self.u + self.bias
        push = _wrap(push, 23) if self.arithmetic.current_overflow == "wrap" else push
        free, before = self.held == 0, self.v
        v = np.clip(_decay(self.v, self.keep_v) + push, self.vmin, self.vmax)
        self.v = np.where(free, v, self.v)
        self.held = np.maximum(self.held - 1, 0)
        high = np.abs(self.v)
        fired = free * np.minimum(_sent(self.v, before, self.vth, self.spikes), self.most)
        self.v = np.where(fired > 0, self.v - fired * self.drop if self.subtract else 0, self.v)
        self.held[fired > 0] = self.dead[fired > 0]
        self.reach = high if self.spikes == "many" else np.abs(self.v)
        return fired

    def _overflow(self, u: np.ndarray) -> np.ndarray:
        if self.spikes != "one":
            return np.clip(u, 1 - BOUND, BOUND - 1)
        if self.arithmetic.current_overflow == "once":
            return u - 2 * BOUND * ((u > BOUND).astype(np.int64) - (u <= -BOUND))
        return _wrap(u, 23) if self.arithmetic.current_overflow == "wrap" else u


def _sent(v: np.ndarray, before: np.ndarray, threshold: np.ndarray, spikes: str) -> np.ndarray:
    """Spikes of a step, (n,) int64; `before`: v at the step's start."""
    if spikes == "many":
        return np.maximum(np.floor_divide(v, threshold), 0).astype(np.int64)
    bar = threshold * np.where(before > threshold, 2, 1) if spikes == "waits" else threshold
    return (v > bar).astype(np.int64)


def _decay(x: np.ndarray, keep: np.ndarray) -> np.ndarray:
    return np.sign(x) * (np.abs(x) * keep >> 12)


def _wrap(x: np.ndarray, bits: int) -> np.ndarray:
    return (x + (1 << bits)) % (2 << bits) - (1 << bits)


def checked_inputs(net: Network, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Spikes of every population, (steps, n) int64: those given for sources, 0 for what is computed or left out.

    Raises NetworkError for unknown populations, other shapes, and what is no whole number.
    """
    mapping(inputs, "calibration inputs", "spike source -> (steps, n) spikes", NetworkError)
    unknown = [k for k in inputs if k not in net.populations]
    if unknown:
        raise NetworkError(f"the network has no population {quoted(unknown[0])}; it has {', '.join(net.populations)}")
    given = {k: numbers(v, f"input '{k}'") for k, v in inputs.items()}
    steps = max((len(v) for v in given.values() if v.ndim), default=0)
    if given and not steps:
        raise NetworkError(f"input '{next(iter(given))}' has no steps; give (steps, n) spikes")
    ask(8 * steps * sum(p.n for p in net.populations.values()), "the calibration", "give fewer steps")
    trains = {}
    for name, population in net.populations.items():
        rows = given.get(name)
        if not population.model.is_input or rows is None:
            trains[name] = np.zeros((steps, population.n), np.int64)
        elif rows.shape != (steps, population.n):
            raise NetworkError(f"input '{name}' has shape {rows.shape}; give ({steps}, {population.n})")
        else:
            trains[name] = integers(rows, f"input '{name}': the value", -(2**31), 2**31 - 1).copy()
    return trains


def _run(net: Network, inputs: Mapping[str, Any], state: dict[str, Any], paths: list[_Path], keep_v: bool) -> Run:
    trains = checked_inputs(net, inputs)
    steps = max((len(v) for v in trains.values()), default=0)
    v = {k: np.zeros((steps if keep_v else 0, s.v.size)) for k, s in state.items()}
    current = {k: np.zeros(s.v.size) for k, s in state.items()}
    voltage = {k: np.zeros(s.v.size) for k, s in state.items()}
    into = {k: [p for p in paths if p.post == k] for k in state}
    for t in range(steps):
        for name, s in state.items():
            drive = np.zeros(s.v.size, s.kind)
            for path in into[name]:
                path.add(drive, trains, t)
            trains[name][t] = s.step(drive, t)
            np.maximum(current[name], np.abs(s.u), out=current[name])
            np.maximum(voltage[name], s.reach, out=voltage[name])
            if keep_v:
                v[name][t] = s.v
    return Run({k: trains[k] for k in state}, v, current, voltage, trains)
