"""The workloads as networks, built through the public interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

import chipsim as cs
from chipsim.native.synapses import Conv

Built = tuple[cs.Network, dict[str, Any]]


def recurrent(data: dict[str, Any], delays: int = 0) -> Built:
    """W1-W3: one population, sparse recurrent weights; `delays` > 0: extra delays up to that many steps."""
    n = int(data["N"])
    # rows of the file are sources: its CSR is the CSC of (post, pre)
    weights = sp.csc_array((data["weights"], data["indices"], data["indptr"]), shape=(n, n))
    extra: Any = 0
    if delays:
        steps = np.random.default_rng(0).integers(0, delays + 1, weights.nnz).astype(np.uint8)
        extra = sp.csc_array((steps, data["indices"], data["indptr"]), shape=(n, n))
    net = cs.Network("recurrent")
    registers = {name: int(data[name]) for name in ("du", "dv", "vth", "bias_exp")}
    a = net.add("a", cs.loihi.LIF(n, bias_mant=data["bias_mant"], v=data["v0"], **registers))
    net.connect(a, a, cs.loihi.Synapses(weights, delays=extra, sign="mixed"))
    return net, {}


def dense(data: dict[str, Any]) -> Built:
    """W4: two dense layers."""
    net = cs.Network("dense")
    registers = {name: int(data[name]) for name in ("du", "dv", "vth")}
    before = net.add("in", cs.SpikeSource(data["W0"].shape[0]))
    for k in (0, 1):
        layer = net.add(f"layer{k}", cs.loihi.LIF(data[f"W{k}"].shape[1], **registers))
        net.connect(before, layer, cs.loihi.Synapses(data[f"W{k}"].T, sign="mixed"))
        before = layer
    inputs = np.unpackbits(data["inp"], axis=1)[:, : data["W0"].shape[0]]
    return net, {"in": np.ascontiguousarray(inputs.astype(bool))}


def convolutional(data: dict[str, Any]) -> Built:
    """W5: three convolutions and a dense readout, channels last."""
    net = cs.Network("convolutional")
    shape: tuple[int, int, int] = (32, 32, 2)
    before = net.add("in", cs.SpikeSource(shape))
    bits = np.unpackbits(data["inp"], axis=1)[:, :2048].reshape(int(data["T"]), 2, 32, 32)
    registers = {name: int(data[name]) for name in ("du", "dv")}
    for k in range(3):
        conv = Conv(data[f"K{k}"].transpose(0, 2, 3, 1), shape, stride=int(data["strides"][k]), padding=1)
        shape = conv.output_shape
        layer = net.add(f"conv{k}", cs.loihi.LIF(shape, vth=int(data["vths"][k]), **registers))
        net.connect(before, layer, conv)
        before = layer
    flat = data["F"].reshape(64, 8, 8, 11).transpose(1, 2, 0, 3).reshape(-1, 11)
    out = net.add("out", cs.loihi.LIF(11, vth=int(data["vths"][3]), **registers))
    net.connect(before, out, cs.loihi.Synapses(flat.T, sign="mixed"))
    return net, {"in": np.ascontiguousarray(bits.transpose(0, 2, 3, 1).astype(bool))}


def build(data: dict[str, Any], delays: int = 0) -> Built:
    """Network and inputs of a workload."""
    kind = str(data["kind"])
    if kind == "recurrent":
        return recurrent(data, delays)
    return dense(data) if kind == "dense" else convolutional(data)
