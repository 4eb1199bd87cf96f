"""nengo-loihi's emulator, its blocks filled with integers directly, so that its own quantiser has no part in it."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Case, Link, Values

BITS = (0, 1, 2, 3, 4, 5, 6, 8)  #: by weight_bits field
NOISE = {"current": 0, "voltage": 1}
SEEN = {"u": "current", "v": "voltage", "input": "input"}


def block(case: Case, name: str) -> Any:
    """A population's compartments."""
    from nengo_loihi.block import LoihiBlock

    n, k = case.size(name), case.populations[name].kwargs
    made = LoihiBlock(n, label=name)
    c = made.compartment

    def all_of(register: str, default: int) -> np.ndarray:
        return np.broadcast_to(np.asarray(k.get(register, default), np.int32), n).copy()

    c.decay_u, c.decay_v, c.vth = all_of("du", 0), all_of("dv", 0), all_of("vth", 1) << 6
    c.bias = all_of("bias", 0)
    c.refract_delay = all_of("refractory", 1)
    c.vmin, c.vmax = k.get("vmin", -(2**23) + 1), k.get("vmax", 2**23 - 1)
    c.enable_noise[:] = k.get("noise", "none") != "none"
    c.noise_at_membrane = NOISE.get(k.get("noise", "none"), 0)
    c.noise_exp, c.noise_offset = k.get("noise_exp", 0), k.get("noise_offset", 0)
    c.scale_u = c.scale_v = False
    return made


def synapse(case: Case, name: str, link: Link) -> Any:
    """A link's synapses, cut to their bits by the tool's own function."""
    from nengo_loihi.block import Synapse
    from nengo_loihi.builder.discretize import discretize_weights

    k = link.synapses.kwargs
    made = Synapse(link.weights.shape[1], label=name)
    made.set_weights(link.weights.T.astype(np.float32))
    made.format(weight_exp=k.get("exponent", 0), weight_bits=BITS.index(k.get("bits", 8)))
    made.weights = [discretize_weights(made.synapse_cfg, w, check_result=False) for w in made.weights]
    if link.rule is not None:
        r = link.rule.kwargs
        made.set_learning(tracing_tau=int(r["tau"]), tracing_mag=r["magnitude"])
        made.train_epoch, made.learn_epoch = r.get("train_epoch", 2), r.get("learn_epoch", 4)
        made.tracing_mag, made._lr_int, made._lr_exp = r["magnitude"], r.get("rate", 1), r.get("rate_exp", -3)
    return made


def model(case: Case) -> tuple[Any, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the emulator takes; blocks, inputs and synapses by name."""
    from nengo_loihi.block import Axon
    from nengo_loihi.inputs import SpikeInput

    blocks = {name: block(case, name) for name in case.populations if not case.is_input(name)}
    inputs = {name: SpikeInput(case.size(name), label=name) for name in case.populations if case.is_input(name)}
    synapses = {}
    for name, link in case.links.items():
        synapses[name] = synapse(case, name, link)
        blocks[link.post].add_synapse(synapses[name])
        axon = Axon(case.size(link.pre), label=name)
        axon.target = synapses[name]
        axon.set_compartment_axon_map(np.arange(case.size(link.pre)))
        (inputs | blocks)[link.pre].add_axon(axon)
    made = SimpleNamespace(
        blocks=list(blocks.values()), inputs=list(inputs.values()), probes=[], dt=0.001, pes_error_scale=1.0
    )
    return made, blocks, inputs, synapses


def run_emulator(case: Case) -> Values:
    """Every compartment's state after every step."""
    from nengo_loihi.emulator.interface import EmulatorInterface

    made, blocks, inputs, synapses = model(case)
    for name, source in inputs.items():
        for t in range(case.steps):
            source.add_spikes(t + 1, np.flatnonzero(case.inputs[name][t]))
    rows: dict[tuple[str, str], list[np.ndarray]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        emulator = EmulatorInterface(made, seed=case.seed)
        slices = {name: emulator.block_info.slices[b] for name, b in blocks.items()}
        for name, where in slices.items():
            for register, variable in (("u", "current"), ("v", "voltage")):
                getattr(emulator.compartment, variable)[where] = case.populations[name].kwargs.get(register, 0)
        for t in range(case.steps):
            emulator.host2chip([], [(synapses[k], t, np.asarray(e[t])) for k, e in case.third.items()])
            emulator.step()
            _note(case, emulator, slices, synapses, rows)
    return {key: np.array(values) for key, values in rows.items()}


def _note(case: Case, emulator: Any, slices: dict, synapses: dict, rows: dict) -> None:
    state = emulator.compartment
    for name, where in slices.items():
        rows.setdefault((name, "spikes"), []).append(state.spiked[where].copy())
    for name, variables in case.record.items():
        for variable in variables:
            if variable == "w":
                value = np.concatenate(synapses[name].weights).T >> 6  # as the emulator has it
            elif variable == "x1":
                value = emulator.synapses.traces[synapses[name]]
            else:
                value = getattr(state, SEEN[variable])
                value = (value[0] if value.ndim == 2 else value)[slices[name]]
            rows.setdefault((name, variable), []).append(np.array(value))
