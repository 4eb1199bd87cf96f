"""Random NIR graphs, every tool: what chipsim makes of them against nodes stepped one by one in plain NumPy."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import chipsim as cs
from chipsim.mappings.formats.nir.nodes import untyped_graph
from chipsim.mappings.formats.nir.reader import aligned, from_nir, padded
from tests.oracles.naive_nir_graph import play

SCHEMES = {
    "snntorch": [dict(reset=r, reset_delay=d) for r in ("zero", "subtract") for d in (True, False)],
    "norse_box": [dict(reset=r) for r in ("zero", "subtract")],
    "norse_import": [dict(reset=r) for r in ("zero", "subtract")],
    "sinabs": [dict(spike_fn=f, min_v_mem=m) for f in ("SingleSpike", "MultiSpike") for m in (None, -0.7)],
    "rockpool": [{}],
}
SPIKING = ("IF", "LIF", "CubaLIF")
RESETS = "v_reset" in nir.LIF.__dataclass_fields__  #: not before nir 1.0.6


def neuron(kind, shape, dt, rng):
    """A node of `kind` with parameters of its own for every neuron."""
    tau = [dt * rng.uniform(1.6, 12, shape) for _ in range(2)]
    one, r, leak = np.ones(shape), rng.uniform(1.0, 3.0, shape), rng.uniform(-0.1, 0.1, shape)
    threshold = rng.uniform(0.3, 0.9, shape)
    fires = {"v_threshold": threshold} | ({"v_reset": 0 * one} if RESETS else {})
    return {
        "IF": lambda: nir.IF(r, **fires), "I": lambda: nir.I(r),
        "LIF": lambda: nir.LIF(tau[0], r, leak, **fires), "LI": lambda: nir.LI(tau[0], r, leak),
        "CubaLIF": lambda: nir.CubaLIF(tau[1], tau[0], r, leak, w_in=1.5 * one, **fires),
        "CubaLI": lambda: nir.CubaLI(tau[1], tau[0], r, leak, 1.5 * one),
    }[kind]()  # fmt: skip


class Builder:
    """Grows a graph from the input to the output, keeping the order in which a tool would run it."""

    def __init__(self, seed, scheme, dt, image):
        self.rng, self.scheme, self.dt = np.random.default_rng(seed), scheme, dt
        self.shape = (2, 6, 6) if image else (5,)
        self.nodes, self.edges, self.last = {"input": nir.Input(np.array(self.shape))}, [], "input"

    def add(self, node, shape):
        name = f"n{len(self.nodes)}"
        self.nodes[name], self.shape = node, shape
        self.edges.append((self.last, name))
        self.last = name
        return name

    def weights(self):
        """One or two stateless nodes."""
        rng, shape = self.rng, self.shape
        if len(shape) == 3 and rng.random() < 0.7 and shape[1] >= 3:
            weight = rng.normal(0.1, 0.5, (3, shape[0], 3, 3))
            stride, pad = int(rng.integers(1, 3)), int(rng.integers(0, 2))
            side = [(s + 2 * pad - 3) // stride + 1 for s in shape[1:]]
            self.add(nir.Conv2d(shape[1:], weight, stride, pad, 1, 1, rng.normal(0, 0.2, 3)), (3, *side))
        elif len(shape) == 3:
            if rng.random() < 0.6 and shape[1] >= 2:
                pool = nir.SumPool2d if rng.random() < 0.5 else nir.AvgPool2d
                k = np.array([2, 2])
                self.add(pool(k, k, 0 * k), (shape[0], shape[1] // 2, shape[2] // 2))
            self.add(nir.Flatten({"input": np.array(self.shape)}, 0, -1), (int(np.prod(self.shape)),))
            self.dense()
        else:
            self.dense()
        if rng.random() < 0.3:
            self.add(nir.Scale(rng.uniform(0.5, 1.5, self.shape)), self.shape)

    def dense(self):
        rng, n = self.rng, int(rng_size(self.rng))
        weight = rng.normal(0.15, 0.6, (n, int(np.prod(self.shape))))
        node = nir.Linear(weight) if rng.random() < 0.4 else nir.Affine(weight, rng.normal(0, 0.3, n))
        self.add(node, (n,))

    def layer(self, kind):
        before = self.last
        self.weights()
        if self.rng.random() < 0.25 and len(self.shape) == 1 and before == "input":
            self.add(nir.Delay(self.dt * self.rng.integers(0, 4, self.shape)), self.shape)
        name = self.add(neuron(kind, self.shape, self.dt, self.rng), self.shape)
        if self.rng.random() < 0.3 and len(self.shape) == 1 and kind in SPIKING:
            n = self.shape[0]
            loop = f"{name}.back"
            self.nodes[loop] = nir.Linear(self.rng.normal(0, 0.4, (n, n)))
            self.edges += [(name, loop), (loop, name)]
            self.loops.append((name, loop))

    loops: list


def rng_size(rng):
    return rng.integers(2, 6)


def grown(seed, scheme, dt, layers, readout, image):
    made = Builder(seed, scheme, dt, image)
    made.loops = []
    allowed = [k for k in SPIKING if not (scheme == "sinabs" and k == "CubaLIF")]
    for _ in range(layers):
        made.layer(str(made.rng.choice(allowed)))
    if readout:
        made.weights()
        silent = ["LI", "I"] if scheme == "sinabs" or not hasattr(nir, "CubaLI") else ["LI", "I", "CubaLI"]
        made.add(neuron(str(made.rng.choice(silent)), made.shape, dt, made.rng), made.shape)
    made.nodes["output"] = nir.Output(np.array(made.shape))
    made.edges.append((made.last, "output"))
    order = [n for n in made.nodes if not n.endswith(".back") and n != "output"]
    for name, loop in made.loops:
        order.insert(order.index(name) + 1, loop)
    return made.nodes, made.edges, [*order, "output"]


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=30, deadline=None)
@given(seed=some.integers(0, 10**6), layers=some.integers(1, 3), readout=some.booleans(), image=some.booleans(),
       which=some.integers(0, 3))  # fmt: skip
def test_random_graph(scheme, seed, layers, readout, image, which):
    dt = 1.0 if scheme == "sinabs" else 1e-3
    options = SCHEMES[scheme][which % len(SCHEMES[scheme])]
    nodes, edges, order = grown(seed, scheme, dt, layers, readout, image)
    rng = np.random.default_rng(seed + 1)
    rows = (rng.random((30, *nodes["input"].input_type["input"])) < 0.3).astype(float)
    shuffled = dict(sorted(nodes.items(), key=lambda _: rng.random()))
    graph = untyped_graph(shuffled, [edges[k] for k in rng.permutation(len(edges))])
    net = from_nir(graph, dt=dt, scheme=scheme, **options)
    given_rows, steps = padded(net, {"input": rows})
    got = aligned(net, cs.Emulator(cs.compile(net, "float")).run(given_rows, steps))
    full = {"reset": "subtract", "reset_delay": True, "spike_fn": "MultiSpike", **options, "dt": dt}
    if scheme.startswith("norse"):
        full["reset"] = options["reset"]
    want = play(nodes, edges, order, scheme, full, rows)
    for name, node in nodes.items():
        if hasattr(node, "r") or name == "output":
            np.testing.assert_allclose(got[name].reshape(30, -1), want[name].reshape(30, -1), atol=1e-9, err_msg=name)
