"""Networks W1-W5 from workload files, built through the public interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp

import chipsim as cs


def recurrent(data: dict, delays: bool = False) -> tuple[cs.Network, dict]:
    """W1-W3: one population, sparse recurrent weights, per-neuron bias and initial voltage."""
    n = int(data["N"])
    shape = {"shape": (n, n)}
    # rows of the file are sources: their CSR is the CSC of (post, pre)
    weights = sp.csc_array((data["weights"], data["indices"], data["indptr"]), **shape)
    extra = sp.csc_array((data["delays"] - 1, data["indices"], data["indptr"]), **shape) if delays else 0
    net = cs.Network("recurrent")
    a = net.add(
        "a",
        cs.loihi.LIF(
            n, du=int(data["du"]), dv=int(data["dv"]), vth=int(data["vth"]), bias_mant=data["bias_mant"],
            bias_exp=int(data["bias_exp"]), v=data["v0"],
        ),  # fmt: skip
    )
    net.connect(a, a, cs.loihi.Synapses(weights, delays=extra, sign="mixed"))
    return net, {}


def dense(data: dict) -> tuple[cs.Network, dict]:
    """W4: two dense layers."""
    net = cs.Network("dense")
    lif = {k: int(data[k]) for k in ("du", "dv", "vth")}
    before = net.add("in", cs.SpikeSource(data["W0"].shape[0]))
    for k in (0, 1):
        layer = net.add(f"layer{k}", cs.loihi.LIF(data[f"W{k}"].shape[1], **lif))
        net.connect(before, layer, cs.loihi.Synapses(data[f"W{k}"].T, sign="mixed"))
        before = layer
    inputs = np.unpackbits(data["inp"], axis=1)[:, : data["W0"].shape[0]]
    return net, {"in": inputs}


def convolutional(data: dict) -> tuple[cs.Network, dict]:
    """W5: three convolutions and a dense readout, channels last."""
    from chipsim.native.synapses import Conv

    net = cs.Network("convolutional")
    shape = (32, 32, 2)
    before = net.add("in", cs.SpikeSource(shape))
    steps = int(data["T"])
    images = np.unpackbits(data["inp"], axis=1)[:, :2048].reshape(steps, 2, 32, 32).transpose(0, 2, 3, 1)
    dynamics = {k: int(data[k]) for k in ("du", "dv")}
    for k in range(3):
        kernel = data[f"K{k}"].transpose(0, 2, 3, 1)
        conv = Conv(kernel, shape, stride=int(data["strides"][k]), padding=1)
        shape = conv.output_shape
        layer = net.add(f"conv{k}", cs.loihi.LIF(shape, vth=int(data["vths"][k]), **dynamics))
        net.connect(before, layer, conv)
        before = layer
    flat = data["F"].reshape(64, 8, 8, 11).transpose(1, 2, 0, 3).reshape(-1, 11)
    out = net.add("out", cs.loihi.LIF(11, vth=int(data["vths"][3]), **dynamics))
    net.connect(before, out, cs.loihi.Synapses(flat.T, sign="mixed"))
    return net, {"in": images}


def build(path: Path, delays: bool = False) -> tuple[cs.Network, dict, int]:
    """Network, inputs and number of steps of a workload file."""
    with np.load(path) as file:
        data = {name: file[name] for name in file.files}
    kind = str(data["kind"])
    if kind == "recurrent":
        return (*recurrent(data, delays), int(data["T"]))
    net, inputs = dense(data) if kind == "dense" else convolutional(data)
    return net, inputs, int(data["T"])
