"""Neurons that can never fire and neurons that nothing can stop, from the quantised integers alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from chipsim.native.loihi import VTH_SHIFT
from chipsim.native.synapses import Conv, Synapses

from .network import Network, Projection
from .quantise_report import PopulationReport

NO_SPIKE_VTH = 131071  #: highest threshold: neurons that are not meant to fire carry it


def fates(net: Network, name: str, report: PopulationReport) -> PopulationReport:
    """`report` with its `dead` and `saturated` neurons counted.

    Dead: all excitatory sources firing in every step settle v at or below the threshold. Saturated: the bias
    fires the neuron in every step against all inhibition.
    """
    model = net.populations[name].model
    reads_out = report.vth == (NO_SPIKE_VTH, NO_SPIKE_VTH)
    if reads_out:
        return report
    push, pull = np.zeros(model.n), np.zeros(model.n)
    for p in net.projections.values():
        if p.post.name == name:
            up, down = _sums(p)
            push, pull = push + up, pull + down
    lost_u = (model.per_neuron("du") + 1) / 4096
    lost_v = model.per_neuron("dv") / 4096
    bias = model.per_neuron("bias_mant") * 2.0 ** model.per_neuron("bias_exp")
    threshold = model.per_neuron("vth") * 2.0**VTH_SHIFT
    drive = push / lost_u + bias
    ceiling = np.where(lost_v > 0, drive / np.where(lost_v > 0, lost_v, 1.0), np.where(drive > 0, np.inf, 0.0))
    return replace(
        report,
        dead=int(np.count_nonzero(np.maximum(ceiling, model.per_neuron("v")) <= threshold)),
        saturated=int(np.count_nonzero(bias - pull / lost_u > threshold)),
    )


def _sums(p: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Sum of positive and of negative weights (as magnitudes) into each neuron, in units of v."""
    n = p.post.n
    if isinstance(p.synapses, Conv):
        post, _, index = p.synapses.targets()
        values, size = np.asarray(p.synapses.kernel).ravel()[index].astype(np.float64), 64.0
    else:
        assert isinstance(p.synapses, Synapses)
        matrix = sp.coo_array(p.synapses.mantissa)
        post, values, size = matrix.row, matrix.data.astype(np.float64), 2.0 ** (p.synapses.exponent + 6)
    up = np.bincount(post, np.maximum(values, 0), minlength=n)
    down = np.bincount(post, np.maximum(-values, 0), minlength=n)
    return up * size, down * size
