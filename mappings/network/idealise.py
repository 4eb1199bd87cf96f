"""Float units of another tool as ideal neurons, so that the quantiser can bring them to a chip's integers.

A unit's recurrence u <- beta u + gain x, v <- alpha v + u + bias is kept exactly: time constants are those whose
decay in one step is alpha or beta. snnTorch's late resets are kept as well, in the form that a chip has:

- a threshold that is taken from the next potential is threshold / alpha taken at once;
- a potential that is set to 0 in the next step, whatever arrives, is a reset to 0 with a step of refractoriness;
- a potential that is forgotten in the next step is a reset to 0.

What a chip has no word for is changed with a note: several spikes in one step become one, a constant input to the
current becomes the bias it settles to, and layers start together (a population's `start` is dropped).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel, SpikeSource
from chipsim.native.floats import Unit
from chipsim.native.synapses import Conv, FloatSynapses, with_data

from .ideal import IF, LI, LIF
from .network import Network
from .recurrence import _current_gain

NEVER_LEAKS = 1e9  #: steps, for a membrane without leak behind a synapse with one


ONE_SPIKE = "several spikes in one step become one"
#: What a target can have beyond an ideal neuron of one spike per step; see `idealise`.
KEEPS = ("counts", "waits", "drive")


def idealise(
    net: Network, dt: float, *, reset: str | None = None, graded: bool = False, keeps: Collection[str] = ()
) -> Network:
    """The same network of ideal neurons, for `cs.compile(…, "loihi", dt=dt)`.

    Parameters
    ----------
    net : Network
        Of `cs.floats.Unit` populations, as `from_nir` makes them.
    dt : float
        Seconds per step on the chip.
    reset : {"zero", "subtract"} or None
        Instead of the unit's own reset; Loihi only has "zero".
    graded : bool
        Keep input populations that send numbers (chips with graded spikes).
    keeps : of {"counts", "waits", "drive"}
        What the target has beyond one spike per step: several spikes in a step; neurons that wait while a reset
        leaves them above threshold; and, set by the caller afterwards, the transient of a constant input to the
        current.

    Returns
    -------
    Network
        With all changes in `metadata["idealised"]` (list of str), and `metadata["nir"]` as before.

    Raises
    ------
    NetworkError
        Populations that are no units, or whose recurrence no ideal neuron has.
    """
    notes: list[str] = []
    ideal = Network(net.name)
    ideal.metadata = dict(net.metadata)
    for name, p in net.populations.items():
        if p.model.is_input:
            ideal.add(name, p.model if graded else SpikeSource(p.shape))
        elif isinstance(p.model, Unit):
            ideal.add(name, _neuron(name, p.model, dt, reset, frozenset(keeps), notes))
        else:
            raise NetworkError(f"population '{name}': {type(p.model).__name__} is no cs.floats.Unit")
    for name, p in net.projections.items():
        weights, delay = _weights(p.synapses)
        ideal.connect(p.pre.name, p.post.name, weights, delay=delay, name=name, rule=p.rule)
    ideal.metadata["idealised"] = notes
    return ideal


def _per_neuron(unit: NeuronModel) -> dict[str, Any]:
    return {k: v if isinstance(v, str) else unit.per_neuron(k) for k, v in unit.values.items()}


def response(unit: NeuronModel) -> tuple[np.ndarray, np.ndarray]:
    """(n,) decay of the current and what an input of 1 adds to it, a direct input spread over the current."""
    v = _per_neuron(unit)
    beta = v["current_kept"] * v["current_after"]
    gain = v["gain"] * v["current_gain"]
    slow = (beta > 0) & (gain != 0)
    total = np.where(slow, gain / np.where(slow, 1 - beta, 1.0), gain) + v["input_gain"]
    beta = np.where(slow, beta, 0.0)
    return beta, total * (1 - beta)


def _neuron(
    name: str, unit: Unit, dt: float, reset: str | None, keeps: frozenset[str], notes: list[str]
) -> NeuronModel:
    v = _per_neuron(unit)
    alpha, (beta, gain) = v["kept"], response(unit)
    if np.any(alpha <= 0) or np.any(alpha > 1):
        raise NetworkError(
            f"population '{name}': keeps {alpha.min():g} of its potential per step, so that no ideal neuron (decay "
            "between 0 and 1) is like it; remove the node or run it on chip 'float'"
        )
    drive = gain / (1 - beta) * v["bias"]
    if np.any((v["input_gain"] != 0) & (beta > 0)):
        notes.append(f"{name}: what an input adds to the potential at once comes through the current")
    if np.any(drive != 0) and np.any(beta > 0) and "drive" not in keeps:
        notes.append(f"{name}: bias into the synaptic current taken as the potential it settles to")
    leaky = bool(np.any(alpha < 1)) or bool(np.any(beta > 0))
    made: dict[str, Any] = _spiking(name, unit, v, dt, reset, keeps, notes)
    if not leaky:
        if unit.values["sends"] == "value":
            raise NetworkError(f"population '{name}': an integrator that sends its value runs on chip 'float' only")
        return IF(unit.shape, r=gain, bias=drive + v["constant"], **made)
    with np.errstate(divide="ignore"):
        tau_mem = np.where(alpha < 1, -dt / np.log(alpha), NEVER_LEAKS * dt)
        tau_syn = np.where(beta > 0, -dt / np.log(np.where(beta > 0, beta, 0.5)), 0.0)
    slow = beta > 0
    per_jump = np.where(slow, _current_gain(tau_mem, np.where(slow, tau_syn, dt), dt), 1.0)
    per_step = -np.expm1(-dt / tau_mem)
    shared = dict(tau_mem=tau_mem, tau_syn=tau_syn, r=gain / per_jump, bias=drive / per_step)
    shared["v_leak"] = v["constant"] / per_step
    return (LI if unit.values["sends"] == "value" else LIF)(unit.shape, **shared, **made)


def _spiking(
    name: str, unit: Unit, v: dict[str, Any], dt: float, reset: str | None, keeps: frozenset[str], notes: list[str]
) -> dict[str, Any]:
    """Threshold, spikes and reset of an ideal neuron; nothing for one that sends its value."""
    sends, after = unit.values["sends"], unit.values["after_spike"]
    if sends == "value":
        return {}
    own = "subtract" if after in ("subtract", "late_subtract") else "zero"
    chosen = reset or own
    if chosen != own:
        notes.append(f"{name}: reset '{chosen}' instead of '{own}'")
    made: dict[str, Any] = {"threshold": v["threshold"], "reset": chosen, "lowest": v["lowest"]}
    if sends == "reached" or (sends == "many" and "counts" not in keeps):
        made["threshold"] = np.nextafter(v["threshold"], -np.inf)
    if sends == "many" and "counts" in keeps and chosen == "subtract":
        made["spikes"] = "many"
    elif sends == "many":
        notes.append(f"{name}: {ONE_SPIKE}")
    if after == "value" and chosen == "zero":
        made["v_reset"] = v["reset_to"]
    return made | _late(name, unit, v, dt, chosen == own, keeps, notes)


def _late(
    name: str, unit: Unit, v: dict[str, Any], dt: float, own: bool, keeps: frozenset[str], notes: list[str]
) -> dict[str, Any]:
    """snnTorch's resets, which act through the potential of the step before."""
    after, at_once = unit.values["after_spike"], bool(unit.values["at_once"])
    if not own:
        if after.startswith("late") and not at_once:
            notes.append(f"{name}: the reset acts at once instead of in the next step")
        return {}
    if after == "late_subtract" and not at_once:
        return {"reset_by": v["threshold"] / v["kept"]}
    if after == "late_subtract" and "waits" in keeps:
        return {"spikes": "waits"}
    if after == "late_subtract":
        notes.append(f"{name}: a potential that a reset leaves above threshold spikes again in the next step")
    if after == "late_zero" and not at_once:
        return {"refractory": dt}
    return {}


def _weights(synapses: Any) -> tuple[Any, Any]:
    """Plain weights and delays of float synapses; convolutions as they are."""
    if isinstance(synapses, Conv):
        return synapses, 0
    if not isinstance(synapses, FloatSynapses):
        raise NetworkError(f"{type(synapses).__name__}: idealise takes float synapses")
    weights, delays = synapses.weights, synapses.delays
    if sp.issparse(weights) and not np.all(weights.data):
        keep = weights.data != 0
        counts = np.concatenate(([0], np.cumsum(keep)))
        pointer = counts[weights.indptr]
        lean = sp.csc_array((weights.data[keep], weights.indices[keep], pointer), shape=weights.shape)
        delays = delays if np.ndim(delays) == 0 and not sp.issparse(delays) else with_data(lean, delays.data[keep])
        weights = lean
    return weights, delays
