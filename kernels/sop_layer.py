"""One plastic layer as a compiled loop: inputs -> learning synapses -> integer LIF neurons -> back to the
synapses.

Neurons inhibit one another through fixed weights. Each keeps the spike trace y1 = floor(y1 * decay + impulse
* s) of its last step's spike s and receives a broadcast reward as y2, as a three-factor rule needs. Spikes
act one step later.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .fixed import decay12
from .jit import ENTRY, INNER
from .sop_records import Draws, State, Tables, TraceParams
from .sum_of_products import neuron_traces, sop_step


class LayerParams(NamedTuple):
    """Constants: what of 4096 is left of u and v per step, threshold (in v), y1's decay factor and impulse.

    lateral (n, n) int32: weight from neuron k (column) to neuron j (row).
    """

    keep_u: int
    keep_v: int
    vth: int
    y_decay: float
    y_impulse: float
    lateral: np.ndarray


class LayerState(NamedTuple):
    """u, v (n,) int32, drive (n,) int64 for the next step, y (3, n) int32, spike (n,) uint8, reward (n,) int32."""

    u: np.ndarray
    v: np.ndarray
    drive: np.ndarray
    y: np.ndarray
    spike: np.ndarray
    reward: np.ndarray


@njit(**INNER)
def update_neurons(reward: Any, par: LayerParams, st: LayerState) -> None:
    """Traces from the last step's spikes, then current, voltage, spikes; drive is used up."""
    for j in range(st.u.size):
        st.reward[j] = reward
    neuron_traces(st.y, st.spike, st.reward, par.y_decay, par.y_impulse)
    for j in range(st.u.size):
        u = decay12(st.u[j], np.int32(par.keep_u)) + np.int32(st.drive[j] * 64)
        v = decay12(st.v[j], np.int32(par.keep_v)) + u
        st.u[j] = u
        st.spike[j] = v > par.vth
        st.v[j] = 0 if v > par.vth else max(v, -par.vth)
        st.drive[j] = 0


@njit(**INNER)
def deliver(payload: Any, par: LayerParams, layer: LayerState, synapses: State) -> None:
    """What the spikes of this step add to the next step's drive, with the weights before they learn."""
    for i in range(payload.size):
        if payload[i] != 0:
            for s in range(synapses.row_ptr[i], synapses.row_ptr[i + 1]):
                layer.drive[synapses.post[s]] += synapses.w[s]
    for k in range(layer.spike.size):
        if layer.spike[k]:
            for j in range(layer.spike.size):
                layer.drive[j] += par.lateral[j, k]


@njit(**ENTRY)
def run_layer(
    t0: Any,
    inputs: Any,
    background: Any,
    reward: Any,
    par: LayerParams,
    layer: LayerState,
    draws: Draws,
    tab: Tables,
    traces: TraceParams,
    synapses: State,
    learn: Any,
    spikes: Any,
    tag: Any,
) -> None:
    """Run inputs.shape[0] steps.

    Parameters
    ----------
    t0
        Steps already run since reset.
    inputs, background, reward
        (t, i) uint8 spikes; (t, n) int32 added to the drive; (t,) int32 third factor of each step.
    learn
        0 freezes the synapses, and their traces.
    spikes, tag
        (t, n) uint8, written; (t, s) int32, written if its first axis is as long, tags after each step.
    """
    for r in range(inputs.shape[0]):
        for j in range(layer.u.size):
            layer.drive[j] += background[r, j]
        update_neurons(reward[r], par, layer)
        deliver(inputs[r], par, layer, synapses)
        if learn:
            sop_step(t0 + r + 1, r, inputs[r], layer.spike, layer.y, draws, tab, traces, synapses)
        for j in range(layer.u.size):
            spikes[r, j] = layer.spike[j]
        if tag.shape[0] == inputs.shape[0]:
            for s in range(tag.shape[1]):
                tag[r, s] = synapses.t[s]
