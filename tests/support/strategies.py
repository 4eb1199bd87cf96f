"""Random networks for property tests: small, but with every kind of projection and register."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

import chipsim as cs


@st.composite
def lif_models(draw, n: int):
    """LIF neurons: shared or per-neuron registers, plain or with every option."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    each = draw(st.booleans())
    pick = (lambda lo, hi: rng.integers(lo, hi, n)) if each else (lambda lo, hi: int(rng.integers(lo, hi)))
    given = {
        "du": pick(0, 4096), "dv": pick(0, 2000), "vth": pick(1, 400), "bias_mant": rng.integers(-300, 900, n),
        "bias_exp": int(rng.integers(-2, 4)),
    }  # fmt: skip
    if draw(st.booleans()):
        given |= {"refractory": rng.integers(1, 5, n), "reset": draw(st.sampled_from(["zero", "subtract"]))}
    if draw(st.booleans()):
        given |= {"vmin": -int(rng.integers(0, 50_000)), "v": rng.integers(-5000, 5000, n)}
    if draw(st.booleans()):
        return cs.loihi.LIFReset(n, reset_interval=draw(st.integers(1, 9)), reset_offset=3, **given)
    return cs.loihi.LIF(n, **given)


@st.composite
def synapse_arrays(draw, post: int, pre: int):
    """Dense or sparse mantissas of any sign mode, exponent, bits and delays."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sign = draw(st.sampled_from(["mixed", "excitatory", "inhibitory"]))
    lo, hi = {"mixed": (-256, 256), "excitatory": (0, 256), "inhibitory": (-255, 1)}[sign]
    density = draw(st.sampled_from([0.02, 0.3, 1.0]))
    matrix = rng.integers(lo, hi, (post, pre)) * (rng.random((post, pre)) < density)
    delays: object = draw(st.sampled_from([0, 0, 3]))
    if draw(st.booleans()):
        delays = rng.integers(0, draw(st.sampled_from([2, 9, 63])), (post, pre))
    if draw(st.booleans()):
        matrix = sp.csr_array(matrix)
    exponent = draw(st.integers(-4, 4))
    return cs.loihi.Synapses(matrix, exponent=exponent, bits=draw(st.integers(1, 8)), sign=sign, delays=delays)


@st.composite
def networks(draw, largest: int = 20):
    """(network, inputs, steps): one source, one to three populations, recurrent and parallel projections."""
    net = cs.Network("random")
    steps = draw(st.integers(1, 30))
    n_in = draw(st.integers(1, largest))
    net.add("x", cs.SpikeSource(n_in))
    sizes = draw(st.lists(st.integers(1, largest), min_size=1, max_size=3))
    for k, n in enumerate(sizes):
        net.add(f"p{k}", draw(lif_models(n)))
    names = list(net.populations)
    for _ in range(draw(st.integers(1, 5))):
        pre = draw(st.sampled_from(names))
        post = draw(st.sampled_from(names[1:]))
        net.connect(pre, post, draw(synapse_arrays(net.populations[post].n, net.populations[pre].n)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return net, {"x": rng.random((steps, n_in)) < draw(st.sampled_from([0.05, 0.5]))}, steps
