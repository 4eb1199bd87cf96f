"""Neurons that can never fire and neurons that nothing can stop, from weights and thresholds alone."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from chipsim.mappings.network.network import Network, Projection
from chipsim.mappings.network.recurrence import Recurrence
from chipsim.native.loihi import VTH_SHIFT
from chipsim.native.synapses import Conv, Synapses

from .report import PopulationReport

NO_SPIKE_VTH = 131071  #: highest threshold: neurons that are not meant to fire carry it
PATIENCE = 1e6  #: steps in which a neuron without leak must reach its threshold to count as alive


class _Bounds(NamedTuple):
    """A population's extremes: all excitation and all inhibition at once, per step, (n,) each."""

    push: np.ndarray
    pull: np.ndarray
    lost_u: np.ndarray
    lost_v: np.ndarray
    bias: np.ndarray
    start: np.ndarray
    threshold: np.ndarray

    def dead(self) -> int:
        """Neurons whose voltage stays at or below threshold when every excitatory source fires in every step."""
        drive = self.push / self.lost_u + self.bias
        settled = drive / np.maximum(self.lost_v, 1 / PATIENCE)
        return int(np.count_nonzero(np.maximum(settled, self.start) <= self.threshold))

    def saturated(self) -> int:
        """Neurons that their bias fires in every step against all inhibition."""
        return int(np.count_nonzero(self.bias - self.pull / self.lost_u > self.threshold))


def fates(native: Network, net: Network, name: str, rec: Recurrence, report: PopulationReport) -> PopulationReport:
    """`report` with dead and saturated neurons counted, and those that were dead in the ideal network already."""
    if not np.all(np.isfinite(rec.threshold)):
        return report
    model = native.populations[name].model
    push, pull = _sums(native, name)
    chip = _Bounds(
        push,
        pull,
        (model.per_neuron("du") + 1) / 4096,
        model.per_neuron("dv") / 4096,
        model.per_neuron("bias_mant") * 2.0 ** model.per_neuron("bias_exp"),
        model.per_neuron("v").astype(np.float64),
        model.per_neuron("vth") * 2.0**VTH_SHIFT,
    )
    up, down = _sums(net, name)
    ideal = _Bounds(up * rec.gain, down * rec.gain, 1 - rec.beta, 1 - rec.alpha, rec.bias, rec.v0, rec.threshold)
    return replace(report, dead=chip.dead(), dead_ideal=ideal.dead(), saturated=chip.saturated())


def _sums(net: Network, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Sum of positive and of negative weights (as magnitudes) into each neuron, in units of v."""
    n = net.populations[name].n
    up, down = np.zeros(n), np.zeros(n)
    for p in net.projections.values():
        if p.post.name == name:
            post, values = _entries(p)
            up += np.bincount(post, np.maximum(values, 0), minlength=n)
            down += np.bincount(post, np.maximum(-values, 0), minlength=n)
    return up, down


def _entries(p: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Target and weight of every synapse."""
    if isinstance(p.synapses, Conv):
        kernel = np.asarray(p.synapses.kernel)
        post, _, index = p.synapses.targets()
        return post, p.synapses.floats.ravel()[index] * (64.0 if kernel.dtype.kind == "i" else 1.0)
    if isinstance(p.synapses, Synapses):
        matrix = sp.coo_array(p.synapses.mantissa)
        return matrix.row, matrix.data * 2.0 ** (p.synapses.exponent + 6)
    matrix = sp.coo_array(p.synapses)
    return matrix.row, matrix.data.astype(np.float64)
