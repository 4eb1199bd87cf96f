"""brian2-loihi: its groups, synapses and monitors as its users write them."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from .case import Case, Values

SIGN = {"mixed": 1, "excitatory": 2, "inhibitory": 3}
STATE = {"u": "I", "v": "v"}


def run_brian2_loihi(case: Case) -> Values:
    """Every neuron's I and v, and its spikes, by step."""
    import brian2
    import brian2_loihi as loihi

    brian2.prefs.codegen.target = "numpy"
    logging.getLogger("brian2").setLevel(logging.ERROR)
    brian2.start_scope()
    groups: dict[str, Any] = {}
    parts: list[Any] = []
    for name, call in case.populations.items():
        groups[name] = _source(case, name) if case.is_input(name) else _neurons(case.size(name), call.kwargs)
    for link in case.links.values():
        k = link.synapses.kwargs
        made = loihi.LoihiSynapses(
            groups[link.pre],
            groups[link.post],
            delay=k.get("delays", 0),
            w_exp=k.get("exponent", 0),
            sign_mode=SIGN[k["sign"]],
            num_weight_bits=k.get("bits", 8),
        )
        post, pre = np.indices(link.weights.shape)
        made.connect(i=pre.ravel(), j=post.ravel())
        made.w = link.weights.ravel()
        parts.append(made)
    seen: dict[tuple[str, str], Any] = {}
    for name, variables in case.record.items():
        for variable in variables:
            seen[name, variable] = loihi.LoihiStateMonitor(groups[name], STATE[variable])
    spikes = {name: loihi.LoihiSpikeMonitor(groups[name]) for name in groups if not case.is_input(name)}
    net = loihi.LoihiNetwork(*groups.values(), *parts, *seen.values(), *spikes.values())
    net.run(case.steps)
    out: Values = {key: np.array(getattr(m, STATE[key[1]])).T for key, m in seen.items()}
    for name, monitor in spikes.items():
        mask = np.zeros((case.steps, case.size(name)), np.int64)
        mask[np.rint(np.array(monitor.t_) * 1000).astype(int), np.array(monitor.i)] = 1
        out[name, "spikes"] = mask
    return out


def _source(case: Case, name: str) -> Any:
    import brian2_loihi as loihi

    steps, neurons = np.nonzero(case.inputs[name])
    return loihi.LoihiSpikeGeneratorGroup(case.size(name), neurons, steps.tolist() if len(steps) else np.zeros(0))


def _neurons(n: int, k: dict) -> Any:
    import brian2_loihi as loihi

    return loihi.LoihiNeuronGroup(
        n,
        refractory=k.get("refractory", 1),
        threshold_v_mant=k.get("vth", 1),
        decay_v=k.get("dv", 0),
        decay_I=k.get("du", 0) + 1,  # chipsim's register is the chip's: one less
    )
