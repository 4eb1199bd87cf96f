"""Random native networks for the mapper's property tests."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from chipsim.chips.read import load_chip
from chipsim.mappings.network.network import Network
from chipsim.native import loihi
from chipsim.native.base import SpikeSource
from chipsim.native.synapses import Conv, Synapses


def chip_with(base: str = "unlimited", **limits):
    """A shipped chip with some limits replaced; `chips` sets how many there are."""
    chip = load_chip(base)
    chips = limits.pop("chips", chip.topology.chips)
    return chip.model_copy(
        update={
            "limits": chip.limits.model_copy(update=limits),
            "topology": chip.topology.model_copy(update={"chips": chips}),
        }
    )


def synapses(rng, post, pre, density, *, sparse=True, bits=8, delay=0, low=-100):
    values = rng.integers(low, 100, (post, pre)) * (rng.random((post, pre)) < density)
    delays = rng.integers(0, delay + 1, (post, pre)) if delay else 0
    if sparse:
        matrix = sp.csc_array(values)
        return Synapses(matrix, bits=bits, delays=sp.csc_array(delays * (values != 0)) if delay else 0)
    return Synapses(values, bits=bits, delays=delays)


@st.composite
def networks(draw, max_neurons=60):
    """One to four populations, an input, random projections: sparse, dense, delayed, recurrent, convolutional."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    net = Network("random")
    image = draw(st.booleans())
    source = net.add("in", SpikeSource((6, 6, 2) if image else draw(st.integers(1, 40))))
    names = []
    for k in range(draw(st.integers(1, 4))):
        n = draw(st.integers(1, max_neurons))
        names.append(net.add(f"p{k}", loihi.LIF(n, vth=int(rng.integers(1, 4)))))
    if image:
        conv = Conv(rng.integers(-50, 50, (3, 3, 3, 2)), (6, 6, 2), padding=1)
        target = net.add("image", loihi.LIF(conv.output_shape, vth=2))
        net.connect(source, target, conv)
        names.append(target)
    for _ in range(draw(st.integers(0, 5))):
        pre, post = draw(st.sampled_from([source, *names])), draw(st.sampled_from(names))
        held = synapses(
            rng, post.n, pre.n, draw(st.sampled_from([0.05, 0.4, 1.0])), sparse=draw(st.booleans()),
            bits=draw(st.integers(1, 8)), delay=draw(st.sampled_from([0, 0, 5])),
        )  # fmt: skip
        net.connect(pre, post, held)
    return net
