"""Brian2 and NEST: neurons of float time constants, as their users write them; a step is 1 ms in both."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from .case import Case, Values

#: Registers of an ideal LIF that a case may leave out.
DEFAULTS = {"tau_mem": 20e-3, "tau_syn": 0.0, "threshold": 1.0, "v_leak": 0.0, "bias": 0.0, "r": 1.0, "refractory": 0.0}


def registers(case: Case, name: str) -> dict[str, Any]:
    """A population's registers, defaults filled in."""
    return DEFAULTS | case.populations[name].kwargs


def delays(case: Case, name: str) -> np.ndarray:
    """Extra steps of every synapse, (post, pre)."""
    link = case.links[name]
    return np.broadcast_to(np.asarray(link.delay, int), link.weights.shape)


def run_brian2(case: Case) -> Values:
    """Equations integrated exactly; a spike acts after the state update of the next step, before the threshold."""
    import brian2 as b2

    b2.prefs.codegen.target = "numpy"
    logging.getLogger("brian2").setLevel(logging.ERROR)
    b2.start_scope()
    b2.defaultclock.dt = 1 * b2.ms
    groups = {n: _brian_source(case, n) if case.is_input(n) else _brian_neurons(case, n) for n in case.populations}
    parts: list[Any] = []
    for name, link in case.links.items():
        k = registers(case, link.post)
        variable = "current" if k["tau_syn"] else "v"
        made = b2.Synapses(groups[link.pre], groups[link.post], "w : 1", on_pre=f"{variable}_post += w")
        post, pre = np.nonzero(link.weights)
        if not post.size:
            continue
        made.connect(i=pre, j=post)
        made.w = link.weights[post, pre] * (1.0 if k["tau_syn"] else k["r"])
        # a jump of the current made after a step's update acts on v in the next: one step earlier than one of v
        made.delay = delays(case, name)[post, pre] * b2.ms
        parts.append(made)
    watched = {n: b2.StateMonitor(groups[n], "v", record=True, when="end") for n in case.record}
    spikes = {n: b2.SpikeMonitor(groups[n]) for n in case.record}
    net = b2.Network(*groups.values(), *parts, *watched.values(), *spikes.values())
    current = any(registers(case, n)["tau_syn"] for n in case.record)
    order = ["start", "groups", "synapses", "thresholds", "resets", "end"]
    net.schedule = ["start", "synapses", "groups", "thresholds", "resets", "end"] if current else order
    net.run(case.steps * b2.ms)
    out: Values = {(n, "v"): np.array(m.v).T for n, m in watched.items()}
    for n, monitor in spikes.items():
        mask = np.zeros((case.steps, case.size(n)), np.int64)
        mask[np.rint(np.array(monitor.t / b2.ms)).astype(int), np.array(monitor.i)] = 1
        out[n, "spikes"] = mask
    return out


def _brian_source(case: Case, name: str) -> Any:
    import brian2 as b2

    steps, neurons = np.nonzero(case.inputs[name])
    return b2.SpikeGeneratorGroup(case.size(name), neurons, steps * b2.ms)


def _brian_neurons(case: Case, name: str) -> Any:
    import brian2 as b2

    k = registers(case, name)
    drive = "r * current + " if k["tau_syn"] else ""
    equations = f"dv/dt = (v_leak - v + {drive}bias) / tau_mem : 1 (unless refractory)\n"
    equations += "dcurrent/dt = -current / tau_syn : 1\n" if k["tau_syn"] else ""
    constants = {"tau_mem": k["tau_mem"] * b2.second, "tau_syn": (k["tau_syn"] or 1) * b2.second}
    constants |= {n: k[n] for n in ("v_leak", "bias", "r", "threshold")}
    dead = round(k["refractory"] / 1e-3)
    group = b2.NeuronGroup(
        case.size(name), equations, method="exact", threshold="v > threshold", namespace=constants,
        reset="v -= threshold" if k.get("reset") == "subtract" else "v = 0",
        refractory=(dead + 1) * b2.ms if dead else False,  # Brian2 counts the spike's own step
    )  # fmt: skip
    group.v = k["v_leak"]
    return group


def run_nest(case: Case) -> Values:
    """`iaf_psc_delta`, or `iaf_psc_exp` where synapses have time constants."""
    import nest

    nest.set_verbosity("M_ERROR")
    nest.ResetKernel()
    nest.SetKernelStatus({"resolution": 1.0})
    nodes = {n: _nest_source(nest, case, n) if case.is_input(n) else _nest_neurons(nest, case, n)
             for n in case.populations}  # fmt: skip
    for name, link in case.links.items():
        k = registers(case, link.post)
        # NEST's current jumps at the end of the step in which a spike arrives, its potential at once
        late = delays(case, name) + (0 if k["tau_syn"] else 1)
        for post, pre in np.argwhere(link.weights):
            how = {"weight": link.weights[post, pre] * k["r"], "delay": float(late[post, pre])}
            nest.Connect(nodes[link.pre][int(pre)], nodes[link.post][int(post)], syn_spec=how)
    meters = {n: nest.Create("multimeter", params={"record_from": ["V_m"], "interval": 1.0}) for n in case.record}
    recorders = {n: nest.Create("spike_recorder") for n in case.record}
    for n in case.record:
        nest.Connect(meters[n], nodes[n])
        nest.Connect(nodes[n], recorders[n])
    nest.Simulate(case.steps + 1.0)
    out: Values = {}
    for n in case.record:
        ids = {node: k for k, node in enumerate(nodes[n].tolist())}
        for key, device, initial in ((("v"), meters[n], np.nan), ("spikes", recorders[n], 0)):
            seen = device.get("events")
            table = np.full((case.steps, case.size(n)), initial)
            rows = np.rint(seen["times"]).astype(int) - 1
            keep = rows < case.steps
            columns = np.array([ids[s] for s in seen["senders"]], int)
            table[rows[keep], columns[keep]] = seen["V_m"][keep] if key == "v" else 1
            out[n, key] = table
    return out


def _nest_source(nest: Any, case: Case, name: str) -> Any:
    """A generator's spike reaches a parrot a step later, so it is sent at the start of its step."""
    made = nest.Create("spike_generator", case.size(name))
    for k, generator in enumerate(made):
        generator.spike_times = (np.flatnonzero(case.inputs[name][:, k]) + 1.0).tolist()
    return made


def _nest_neurons(nest: Any, case: Case, name: str) -> Any:
    k = registers(case, name)
    tau = k["tau_mem"] * 1e3
    shared = {"C_m": tau, "tau_m": tau, "E_L": k["v_leak"], "V_reset": 0.0, "V_th": k["threshold"], "V_m": k["v_leak"]}
    shared |= {"t_ref": k["refractory"] * 1e3, "I_e": k["bias"]}
    if k["tau_syn"]:
        return nest.Create("iaf_psc_exp", case.size(name), shared | {"tau_syn_ex": k["tau_syn"] * 1e3,
                                                                     "tau_syn_in": k["tau_syn"] * 1e3})  # fmt: skip
    shared |= {"C_m": tau}
    return nest.Create("iaf_psc_delta", case.size(name), shared)
