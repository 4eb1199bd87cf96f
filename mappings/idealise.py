"""Float units of another tool as ideal neurons, so that the quantiser can bring them to a chip's integers.

A unit's recurrence u <- beta u + gain x, v <- alpha v + u + bias is kept exactly: time constants are those whose
decay in one step is alpha or beta. What a chip has no word for is changed with a note: several spikes in one step
become one, resets that wait for the next step act at once, a constant input to the current becomes the bias it
settles to, and layers start together (a population's `start` is dropped).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel, SpikeSource
from chipsim.native.floats import Unit
from chipsim.native.synapses import Conv, FloatSynapses, with_data

from .ideal import IF, LI, LIF
from .network import Network
from .quantise_ideal import _current_gain

NEVER_LEAKS = 1e9  #: steps, for a membrane without leak behind a synapse with one


def idealise(net: Network, dt: float, *, reset: str | None = None, graded: bool = False) -> Network:
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
            ideal.add(name, _neuron(name, p.model, dt, reset, notes))
        else:
            raise NetworkError(f"population '{name}': {type(p.model).__name__} is no cs.floats.Unit")
    for name, p in net.projections.items():
        weights, delay = _weights(p.synapses)
        ideal.connect(p.pre.name, p.post.name, weights, delay=delay, name=name, rule=p.rule)
    ideal.metadata["idealised"] = notes
    return ideal


def _per_neuron(unit: NeuronModel) -> dict[str, Any]:
    return {k: v if isinstance(v, str) else unit.per_neuron(k) for k, v in unit.values.items()}


def _response(unit: NeuronModel) -> tuple[np.ndarray, np.ndarray]:
    """(n,) decay of the current and what an input of 1 adds to it, a direct input spread over the current."""
    v = _per_neuron(unit)
    beta = v["current_kept"] * v["current_after"]
    gain = v["gain"] * v["current_gain"]
    slow = (beta > 0) & (gain != 0)
    total = np.where(slow, gain / np.where(slow, 1 - beta, 1.0), gain) + v["input_gain"]
    beta = np.where(slow, beta, 0.0)
    return beta, total * (1 - beta)


def _neuron(name: str, unit: Unit, dt: float, reset: str | None, notes: list[str]) -> NeuronModel:
    v = _per_neuron(unit)
    alpha, (beta, gain) = v["kept"], _response(unit)
    if np.any(alpha <= 0) or np.any(alpha > 1):
        raise NetworkError(
            f"population '{name}': keeps {alpha.min():g} of its potential per step, so that no ideal neuron (decay "
            "between 0 and 1) is like it; remove the node or run it on chip 'float'"
        )
    drive = gain / (1 - beta) * v["bias"]
    if np.any(drive != 0) and np.any(beta > 0):
        notes.append(f"{name}: bias into the synaptic current taken as the potential it settles to")
    leaky = bool(np.any(alpha < 1)) or bool(np.any(beta > 0))
    made: dict[str, Any] = _spiking(name, unit, v, reset, notes)
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


def _spiking(name: str, unit: Unit, v: dict[str, Any], reset: str | None, notes: list[str]) -> dict[str, Any]:
    """Threshold and reset of an ideal neuron; nothing for one that sends its value."""
    sends, after = unit.values["sends"], unit.values["after_spike"]
    if sends == "value":
        return {}
    own = "subtract" if after in ("subtract", "late_subtract") else "zero"
    if sends == "many":
        notes.append(f"{name}: several spikes in one step become one")
    if after.startswith("late") and not unit.values["at_once"]:
        notes.append(f"{name}: the reset acts at once instead of in the next step")
    if np.any(v["lowest"] > -1e299):
        notes.append(f"{name}: the lowest potential {v['lowest'].max():g} is dropped")
    if reset is not None and reset != own:
        notes.append(f"{name}: reset '{reset}' instead of '{own}'")
    threshold = np.nextafter(v["threshold"], -np.inf) if sends in ("reached", "many") else v["threshold"]
    chosen = reset or own
    low = v["reset_to"] if after == "value" and chosen == "zero" else np.zeros(1)
    return {"threshold": threshold, "reset": chosen, "v_reset": low}


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
