"""Small programs of every engine family, learning ones too, for the readers under attack."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse as sp

import chipsim as cs


def _two(x: Any, a: Any, synapses: Any, **options: Any) -> cs.Network:
    net = cs.Network("n")
    net.add("x", x)
    net.add("a", a)
    net.connect("x", "a", synapses, **options)
    return net


def _loihi() -> cs.Network:
    net = _two(cs.SpikeSource(3), cs.loihi.LIF(4, vth=20),
               cs.loihi.Synapses(np.arange(12).reshape(4, 3) * 3, delays=np.arange(12).reshape(4, 3) % 4))  # fmt: skip
    net.add("b", cs.loihi.LIF(2, vth=9))
    net.connect("a", "b", cs.loihi.Synapses(sp.csc_array(np.array([[5, 0, 7, 0], [0, 40, 0, 2]]))))
    return net


def _noisy() -> cs.Network:
    noise = {"noise": "current", "noise_exp": 7, "noise_offset": 2}
    return _two(cs.SpikeSource(3), cs.loihi.LIF(4, vth=20, **noise), cs.loihi.Synapses(np.full((4, 3), 30)))


def _conv() -> cs.Network:
    kernel = cs.Conv2d(np.ones((1, 1, 2, 2)), (1, 3, 3))
    return _two(cs.SpikeSource((1, 3, 3)), cs.LIF((1, 2, 2)), kernel)


def _graded() -> cs.Network:
    return _two(cs.SpikeSource(3, graded=1), cs.loihi.LIF(4, vth=90), cs.loihi.Synapses(np.full((4, 3), 3)))


def _ideal(outputs: Any) -> cs.Network:
    random = np.random.default_rng(0)
    net = _two(cs.SpikeSource(4), cs.LIF(6, tau_mem=20e-3, threshold=1.0), random.normal(0.4, 0.5, (6, 4)))
    net.add("o", outputs)
    net.connect("a", "o", np.abs(random.normal(size=(outputs.n, 6))))
    return net


def _float() -> cs.Network:
    neurons = cs.floats.LavaLIF(4, vth=2.0, du=0.5, dv=0.1)
    return _two(cs.SpikeSource(3), neurons, cs.floats.Synapses(np.full((4, 3), 0.7), delays=2))


def _xylo() -> cs.Network:
    return _two(cs.SpikeSource(3, graded=1), cs.xylo.LIF(4, threshold=90), cs.xylo.Synapses(np.full((4, 3), 40)))


def _learning(rule: Any, synapses: Any = None) -> cs.Network:
    synapses = cs.loihi.Synapses(np.full((4, 3), 40), sign="mixed") if synapses is None else synapses
    return _two(cs.SpikeSource(3), cs.loihi.LIF(4, vth=60, du=2000, dv=400), synapses, rule=rule)


def _declared() -> cs.Network:
    return _learning(cs.rules.stdp(w_max=120.0, lam=0.02, weight=cs.rules.Fixed(8, 1.0, rounding="stochastic")))


def _engine() -> cs.Network:
    from chipsim.rules.products.rule import SumOfProducts

    rule = "2*y0*x1 - 2*x0*y1 + u0*2^-6*w"
    return _learning(SumOfProducts(dw=rule, x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=8, t_epoch=2))


def _linear() -> cs.Network:
    from chipsim.rules.products.rule import SumOfProducts

    rule = SumOfProducts(dw="2*y0*x1 - 2*x0*y1", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=8)
    return _learning(rule, cs.loihi.Synapses(np.full((4, 3), 40), sign="excitatory"))


def _pes() -> cs.Network:
    from chipsim.rules.carried import all_to_all
    from chipsim.rules.pes import Pes

    return _learning(Pes(tau=20, magnitude=10.0), cs.loihi.Synapses(all_to_all(np.full((4, 3), 40)), sign="mixed"))


def _eprop() -> cs.Network:
    from chipsim.mappings.builders.lsnn import eprop_network
    from chipsim.rules.e_prop.rule import EProp

    random = np.random.default_rng(0)
    rule = EProp(tau_m=12.0, tau_out=9.0, tau_a=60.0, thr=0.6, n_ref=2, scale_input=False, beta=np.zeros(4))
    loop = random.normal(size=(4, 4)) * 0.3
    np.fill_diagonal(loop, 0)
    weights = random.normal(size=(4, 3)) * 0.6, loop, random.normal(size=(2, 4))
    return eprop_network(rule, *weights, random.normal(size=(4, 2)))


#: Name -> (network, chip, options of the compiler).
NETS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "loihi": (_loihi, "loihi", {}),
    "noisy": (_noisy, "loihi", {"arithmetic": "nengo_loihi"}),
    "graded": (_graded, "loihi", {}),
    "conv": (_conv, "loihi2", {}),
    "float": (_float, "float", {}),
    "odin": (lambda: _ideal(cs.LIF(2, tau_mem=20e-3)), "odin", {}),
    "tinyodin": (lambda: _ideal(cs.LIF(2, tau_mem=20e-3)), "tinyodin", {}),
    "reckon": (lambda: _ideal(cs.LI(2, tau_mem=30e-3)), "reckon", {}),
    "truenorth": (lambda: _ideal(cs.LIF(2, tau_mem=20e-3)), "truenorth", {}),
    "xylo": (_xylo, "xylo", {}),
    "declared": (_declared, "unlimited", {}),
    "engine": (_engine, "unlimited", {}),
    "linear": (_linear, "unlimited", {"arithmetic": "brian2_loihi"}),
    "pes": (_pes, "unlimited", {"arithmetic": "nengo_loihi"}),
    "eprop": (_eprop, "float", {}),
}
LEARNING = ("declared", "engine", "linear", "pes", "eprop")


@cache
def program_of(name: str) -> Any:
    """The program of that name, without what passes reported: nobody reads it, and small files are read quickly."""
    net, chip, options = NETS[name]
    return replace(cs.compile(net(), chip, **options), stages={})


def inputs_of(program: Any, steps: int) -> dict[str, np.ndarray]:
    """Spikes on every line in every other step."""
    spikes = np.arange(steps)[:, None] % 2 == 0
    return {p.name: np.broadcast_to(spikes, (steps, p.n)) for p in program.populations if p.model.is_input}


def teaching(name: str, steps: int) -> dict[str, Any]:
    """Third factors and targets that a learning program needs."""
    if name == "pes":
        return {"third": {"x->a": np.full((steps, 2), 5)}}
    if name == "eprop":
        readout = program_of(name).populations[-1]
        return {"targets": {readout.name: np.ones((steps, readout.n))}}
    return {}


@cache
def emulator_of(name: str) -> tuple[Any, dict[str, Any]]:
    """An emulator that has run a few steps, and its state then."""
    emulator = cs.Emulator(program_of(name))
    emulator.run(inputs_of(emulator.program, 6), 6, **teaching(name, 6))
    return emulator, emulator.state()
