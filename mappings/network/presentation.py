"""Samples one after another on the chip: a feed-forward network that forgets between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.checks import shown, whole
from chipsim.errors import NetworkError
from chipsim.native.loihi import LIF, LIFReset

from .network import Network


def present(native: Network, steps: int) -> Network:
    """A quantised feed-forward network that forgets between presentations of `steps` steps.

    Every `loihi.LIF` becomes a `loihi.LIFReset`: u and v are cleared every `steps` steps, each layer one step
    later than the one before, when the first spikes of the next sample arrive. So samples follow each other
    without a gap and each is computed as if it were alone.

    Raises
    ------
    NetworkError
        Recurrent networks, delays, neurons other than LIF, or neurons that do not start at 0.
    """
    if whole(steps, "present: steps") < 1:
        raise NetworkError(f"present: steps={shown(steps)}; a presentation takes at least one step")
    depths = _depths(native)
    out = Network(native.name)
    out.metadata = dict(native.metadata)
    for name, population in native.populations.items():
        model = population.model
        if not model.is_input:
            if type(model) is not LIF or np.any(model.values["v"]) or np.any(model.values["u"]):
                raise NetworkError(f"present: population '{name}' is not a loihi.LIF that starts at rest")
            registers: dict[str, Any] = dict(model.values)
            model = LIFReset(model.shape, **registers, reset_interval=steps, reset_offset=(depths[name] + 1) % steps)
        out.add(name, model)
    for name, p in native.projections.items():
        out.connect(p.pre.name, p.post.name, p.synapses, rule=p.rule, name=name)
    return out


def _depths(net: Network) -> dict[str, int]:
    """Steps from the input to each population, by the projections into it; all paths must agree."""
    depth = {k: 0 for k, p in net.populations.items() if p.model.is_input}
    waiting = [k for k in net.populations if k not in depth]
    while waiting:
        ready = [k for k in waiting if all(p.pre.name in depth for p in net.projections.values() if p.post.name == k)]
        if not ready:
            raise NetworkError(f"present: population '{waiting[0]}' is in a loop; only feed-forward networks are cut")
        for k in ready:
            found = {depth[p.pre.name] + 1 + p.max_delay for p in net.projections.values() if p.post.name == k}
            if len(found) > 1:
                raise NetworkError(f"present: population '{k}' is reached after different numbers of steps")
            depth[k] = found.pop() if found else 1
            waiting.remove(k)
    return depth
