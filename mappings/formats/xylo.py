"""Rockpool's Xylo specification (the integers a chip would hold) as a network of `cs.xylo` neurons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chipsim.errors import NetworkError
from chipsim.mappings.network.network import Network
from chipsim.native import xylo
from chipsim.native.base import SpikeSource
from chipsim.storage.arrays import read_npz

NEEDED = (
    "weights_in", "weights_out", "weights_rec", "dash_mem", "dash_mem_out", "dash_syn", "dash_syn_out", "threshold",
    "threshold_out",
)  # fmt: skip


def from_xylo_spec(spec: Mapping[str, Any] | str | Path, name: str = "xylo") -> Network:
    """A network with populations "in", "hidden" and "out".

    Parameters
    ----------
    spec : dict or .npz
        As Rockpool's mapper and quantisers return it: weights_in (inputs, hidden, 1), weights_rec (hidden, hidden,
        1), weights_out (hidden, outputs), dash_mem, dash_syn, threshold (and _out, bias, weight_shift_*).

    Raises
    ------
    FileError, NetworkError
        Missing entries, weights of a second synapse, aliases.
    """
    if isinstance(spec, (str, Path)):
        spec = read_npz(spec)
    missing = [k for k in NEEDED if k not in spec]
    if missing:
        raise NetworkError(f"Xylo specification without {', '.join(missing)}")
    net = Network(name)
    w_in, w_rec = _first(spec, "weights_in"), _first(spec, "weights_rec")
    w_out = np.asarray(spec["weights_out"])
    if any(len(a) for a in np.asarray(spec.get("aliases", []), object).ravel() if hasattr(a, "__len__")):
        raise NetworkError("Xylo specification with aliases: neurons that fire for others are not modelled")
    net.add("in", SpikeSource(w_in.shape[0], graded=1))
    net.add("hidden", xylo.LIF(w_in.shape[1], **_registers(spec, ""), most=xylo.HIDDEN_MOST))
    net.add("out", xylo.LIF(w_out.shape[1], **_registers(spec, "_out"), most=xylo.OUTPUT_MOST))
    blocks = (("in", "hidden", w_in, "in"), ("hidden", "hidden", w_rec, "rec"), ("hidden", "out", w_out, "out"))
    for pre, post, weights, key in blocks:
        if np.any(weights):
            net.connect(pre, post, xylo.Synapses(weights.T, exponent=int(spec.get(f"weight_shift_{key}", 0))))
    net.metadata["xylo"] = {"dt": float(spec["dt"])} if "dt" in spec else {}
    return net


def _first(spec: Mapping[str, Any], name: str) -> np.ndarray:
    weights = np.asarray(spec[name])
    if weights.ndim == 3:
        if np.any(weights[:, :, 1:]):
            raise NetworkError(f"Xylo specification: {name} has weights of a second synapse, which is not modelled")
        weights = weights[:, :, 0]
    return weights


def _registers(spec: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    names = ("threshold", "dash_mem", "dash_syn", "bias")
    return {n: np.asarray(spec[n + suffix]) for n in names if n + suffix in spec}
