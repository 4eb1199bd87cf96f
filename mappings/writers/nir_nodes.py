"""Float units back to NIR neurons: the inverse of `mappings.readers.nir_schemes`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from chipsim.errors import NetworkError
from chipsim.native.base import NeuronModel

from ..network import Network
from ..readers.nir_schemes import SCHEMES

NO_LEAK = 1e-9  #: per step, for a membrane without leak behind a synapse with one


def library() -> Any:
    """The nir library, imported when something is written."""
    return import_module("nir")


def options_of(net: Network, scheme: str, dt: float) -> dict[str, Any]:
    """dt, scheme, reset and the like that make `from_nir` read the same network back.

    Raises
    ------
    NetworkError
        Populations that differ in what holds for a whole graph, or that the scheme cannot say.
    """
    if scheme not in SCHEMES:
        raise NetworkError(f"scheme {scheme!r} is not one of {', '.join(SCHEMES)}")
    units = {n: p.model for n, p in net.populations.items() if not p.model.is_input}
    found: dict[str, Any] = {"dt": dt, "scheme": scheme}
    spiking = {n: u for n, u in units.items() if u.values["sends"] != "value" and u.values["after_spike"] != "nothing"}
    after = _one(spiking, "after_spike", lambda a: "subtract" if a in ("subtract", "late_subtract") else "zero")
    late = _one(spiking, "after_spike", lambda a: a.startswith("late"))
    sends = _one(spiking, "sends", lambda s: s)
    allowed = {"sinabs": ("reached", "many"), "rockpool": ("many",)}.get(scheme, ("above",))
    if sends is not None and sends not in allowed:
        raise NetworkError(f"scheme '{scheme}' has no neurons that send '{sends}'; choose another scheme")
    if late and scheme != "snntorch":
        raise NetworkError(f"scheme '{scheme}' has no reset that waits a step; only snntorch does")
    if scheme not in ("sinabs", "rockpool"):
        found["reset"] = after or "zero"
    if scheme == "snntorch":
        if spiking and not late:
            raise NetworkError("scheme 'snntorch' resets by the spike of the step before; choose 'norse_import'")
        found["reset_delay"] = not bool(_one(spiking, "at_once", int))
    if scheme == "sinabs":
        found["spike_fn"] = "SingleSpike" if sends == "reached" else "MultiSpike"
        lowest = _one(spiking, "lowest", lambda v: float(np.max(v)))
        found["min_v_mem"] = None if lowest is None or lowest < -1e299 else lowest
    return found


def _one(units: dict[str, Any], register: str, meaning: Any) -> Any:
    values = {n: meaning(u.values[register]) for n, u in units.items()}
    if len(set(values.values())) > 1:
        shown = ", ".join(f"{n}: {v}" for n, v in values.items())
        raise NetworkError(f"a NIR graph has one {register} for all neurons, but they differ: {shown}")
    return next(iter(values.values()), None)


def node_of(unit: NeuronModel, name: str, shape: tuple[int, ...], options: dict[str, Any], alone: bool) -> Any:
    """The NIR node of a population; `alone`: nothing arrives, so that its bias must be its leak's target."""
    nir = library()
    v: dict[str, Any] = {k: x if isinstance(x, str) else np.array(unit.per_neuron(k)) for k, x in unit.values.items()}
    if alone and np.any(v["bias"]):
        v["constant"] = v["constant"] + v["input_gain"] * v["bias"]
    sends = v["sends"] != "value"
    plain = not np.any(v["kept"]) and not np.any(v["gain"])
    if plain and not np.any(v["constant"]):
        if not sends:
            return nir.Scale(v["input_gain"].reshape(shape))
        return nir.Threshold((v["threshold"] / _nonzero(v["input_gain"], name)).reshape(shape))
    parts = _inverse(v, name, options)
    if sends:
        parts["v_threshold"], parts["v_reset"] = v["threshold"], v["reset_to"]
    kinds = {(False, False): "I", (True, False): "LI", (True, True): "CubaLI"}
    if sends:
        kinds = {(False, False): "IF", (True, False): "LIF", (True, True): "CubaLIF"}
    kind = kinds[any(k.startswith("tau") for k in parts), "tau_syn" in parts]
    if kind in ("IF", "I") and np.any(v["constant"]):
        raise NetworkError(f"population '{name}': a bias without input has no form in NIR for a neuron without leak")
    return getattr(nir, kind)(**{k: np.broadcast_to(x, (unit.n,)).reshape(shape).copy() for k, x in parts.items()})


def _nonzero(values: np.ndarray, name: str) -> np.ndarray:
    if np.any(values == 0):
        raise NetworkError(f"population '{name}': a threshold of no input has no form in NIR")
    return values


def _inverse(v: dict[str, Any], name: str, options: dict[str, Any]) -> dict[str, np.ndarray]:
    """Time constants and gains at which the scheme gives the unit's coefficients."""
    scheme, dt = options["scheme"], options["dt"]
    current = bool(np.any(v["gain"]))
    if not current and np.all(v["kept"] == 1.0):
        ratio = dt if scheme == "exact" else 1.0
        return {"r": v["input_gain"] / ratio}
    kept = np.where(v["kept"] == 1.0, 1 - NO_LEAK, v["kept"])
    if np.any(kept < 0) or np.any(kept > 1):
        raise NetworkError(f"population '{name}': a decay outside 0..1 has no time constant")
    euler = scheme in ("snntorch", "norse_box", "norse_import")
    leak = 1 - kept
    tau = dt / leak if euler else -dt / np.log(np.maximum(kept, 1e-300))
    low = {"v_leak": v["constant"] / leak}
    if not current:
        r = tau * kept / dt if scheme == "rockpool" else v["input_gain"] / leak
        return {"tau": tau, "r": r, **low}
    decay = v["current_kept"] * v["current_after"]
    if np.any(decay <= 0) and not euler:
        raise NetworkError(f"population '{name}': a current that does not last has no time constant in '{scheme}'")
    tau_syn = dt / (1 - decay) if euler else -dt / np.log(decay)
    made = {"tau_mem": tau, "tau_syn": tau_syn, **low}
    if scheme == "rockpool":
        return made | {"r": tau * kept / dt, "w_in": np.ones(1)}
    if scheme == "norse_box":
        return made | {"r": v["gain"] / leak, "w_in": v["current_gain"]}
    made["w_in"] = v["current_gain"] / (1 - decay)
    if scheme != "exact":
        return made | {"r": v["gain"] / leak}
    apart = 1 - tau / tau_syn
    same = np.abs(apart) < 1e-9
    carried = np.where(same, dt / tau * kept, (decay - kept) / np.where(same, 1.0, apart))
    return made | {"r": v["gain"] * decay / carried}
