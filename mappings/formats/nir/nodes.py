"""Float units back to NIR neurons: the inverse of `chipsim.mappings.formats.nir.schemes`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from inspect import signature
from typing import Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import NetworkError
from chipsim.mappings.network.network import Network
from chipsim.native.base import NeuronModel

from .schemes import SCHEMES

NO_LEAK = 1e-9  #: per step, for a membrane without leak behind a synapse with one


def library() -> Any:
    """The nir library, imported when something is written."""
    return import_module("nir")


def untyped_graph(nodes: dict[str, Any], edges: list[tuple[str, str]], metadata: dict[str, Any] | None = None) -> Any:
    """A `nir.NIRGraph` whose shapes nir does not check (1.0.4 never does, newer ones are asked not to)."""
    nir = library()
    unchecked = {"type_check": False} if "type_check" in signature(nir.NIRGraph).parameters else {}
    return nir.NIRGraph(nodes, edges, metadata=metadata or {}, **unchecked)


def options_of(net: Network, scheme: str, dt: float) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """dt, scheme, reset and the like that make `from_nir` read the same network back.

    Returns
    -------
    graph, nodes : dict
        What holds for the whole graph, and for populations that differ from it.

    Raises
    ------
    NetworkError
        Populations that the scheme cannot say.
    """
    if scheme not in SCHEMES:
        raise NetworkError(f"scheme {shown(scheme)} is not one of {', '.join(SCHEMES)}")
    units: dict[str, Any] = {n: p.model for n, p in net.populations.items() if not p.model.is_input}
    own = {n: _own(n, u, scheme) for n, u in units.items() if _spikes(u)}
    found: dict[str, Any] = {
        "dt": dt,
        "scheme": scheme,
        **(next(iter(own.values())) if own else _own("", None, scheme)),
    }
    if any(o.get("min_v_mem") is None for o in own.values()):
        found["min_v_mem"] = None  # a node can name a floor, but not that it has none
    differing = {n: {k: v for k, v in o.items() if v != found[k]} for n, o in own.items()}
    floors = {n: float(np.max(u.values["lowest"])) for n, u in units.items() if n not in own and scheme == "sinabs"}
    differing |= {n: {"min_v_mem": floor} for n, floor in floors.items() if floor > -1e299}
    return found, {n: o for n, o in differing.items() if o}


def _spikes(unit: Any) -> bool:
    """It sends spikes and has a state that they could reset."""
    plain = not np.any(unit.values["kept"]) and not np.any(unit.values["gain"])
    return unit.values["sends"] != "value" and not (unit.values["after_spike"] == "nothing" and plain)


def _own(name: str, unit: Any, scheme: str) -> dict[str, Any]:
    """reset, reset_delay, spike_fn and min_v_mem of a population, as far as the scheme asks for them."""
    sends, after = ("above", "value") if unit is None else (unit.values["sends"], unit.values["after_spike"])
    allowed = {"sinabs": ("reached", "many"), "rockpool": ("many",)}.get(scheme, ("above",))
    if sends not in allowed and unit is not None:
        raise NetworkError(f"'{name}': scheme '{scheme}' has no neurons that send '{sends}'; choose another scheme")
    late = after.startswith("late")
    if late and scheme != "snntorch":
        raise NetworkError(f"'{name}': scheme '{scheme}' has no reset that waits a step; only snntorch does")
    resets = {"subtract": "subtract", "late_subtract": "subtract", "nothing": "none"}
    reset = resets.get(after, "zero")
    if scheme == "rockpool":
        return {}
    if scheme == "sinabs":
        lowest = -1e300 if unit is None else float(np.max(unit.values["lowest"]))
        spike_fn = "SingleSpike" if sends == "reached" else "MultiSpike"
        reset = "subtract" if unit is None else reset
        return {"reset": reset, "spike_fn": spike_fn, "min_v_mem": None if lowest < -1e299 else lowest}
    if scheme != "snntorch":
        return {"reset": reset}
    if not late and unit is not None and reset != "none":
        raise NetworkError(f"'{name}': scheme 'snntorch' resets by the spike of the step before; choose 'norse_import'")
    return {"reset": reset, "reset_delay": unit is None or not bool(unit.values["at_once"])}


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
    _fit_library(kind, parts, name, resets=v["after_spike"] == "value")
    return getattr(nir, kind)(**{k: np.broadcast_to(x, (unit.n,)).reshape(shape).copy() for k, x in parts.items()})


def _fit_library(kind: str, parts: dict[str, np.ndarray], name: str, resets: bool) -> None:
    """Takes `v_reset` away where the installed nir has none (before 1.0.6); its neurons reset to 0."""
    nir = library()
    if not hasattr(nir, kind):
        raise NetworkError(f"population '{name}': nir {version('nir')} has no node {kind}; install nir>=1.0.5")
    if "v_reset" not in parts or "v_reset" in getattr(nir, kind).__dataclass_fields__:
        return
    if resets and np.any(parts["v_reset"]):
        raise NetworkError(
            f"population '{name}': nir {version('nir')} has no v_reset, its neurons reset to 0; "
            "install nir>=1.0.6, or reset to 0"
        )
    del parts["v_reset"]


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
