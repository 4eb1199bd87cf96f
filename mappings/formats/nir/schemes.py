"""What each tool computes in one time step for a NIR neuron: the coefficients of `cs.floats.Unit`.

A NIR file holds differential equations; how they are stepped, what counts as a spike and how it resets is known
only to the tool. Each scheme below reproduces its tool's recorded runs exactly (tests/conformance/test_nir.py);
"exact" is the solution of the equations for an input that is constant within each step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from chipsim.checks import NO_NUMBERS, finite, shown
from chipsim.errors import NetworkError
from chipsim.mappings.builders.units import compact
from chipsim.native.floats import Unit

from .file import Node
from .linear import Shape, fitted

SCHEMES = ("snntorch", "norse_box", "norse_import", "sinabs", "rockpool", "exact")
ALIASES = {"norse": "norse_box"}
RESETS = ("zero", "subtract", "none")
SPIKES = ("SingleSpike", "MultiSpike")
#: What a caller, a graph or one of its nodes may choose.
CHOICES: dict[str, Callable[[Any], Any]] = {"reset": str, "reset_delay": bool, "spike_fn": str, "min_v_mem": float}
#: What a tool does unless told otherwise: reset, reset_delay, spike_fn.
DEFAULTS: dict[str, tuple[str, bool, str]] = {
    "snntorch": ("subtract", True, "SingleSpike"),
    "norse_box": ("zero", False, "SingleSpike"),
    "norse_import": ("zero", False, "SingleSpike"),
    "sinabs": ("subtract", False, "MultiSpike"),
    "rockpool": ("subtract", False, "MultiSpike"),
    "exact": ("zero", False, "SingleSpike"),
}
NEURONS = ("IF", "LIF", "LI", "I", "CubaLI", "CubaLIF", "Threshold")
SILENT = ("LI", "I", "CubaLI")
TAUS = {"LIF": ("tau",), "LI": ("tau",), "CubaLIF": ("tau_mem", "tau_syn"), "CubaLI": ("tau_mem", "tau_syn")}
LONG = 1e4  #: a time constant of more steps than this deserves a look at its unit


@dataclass(frozen=True)
class Scheme:
    """How a tool steps its neurons.

    `dt` is in the unit of the file's time constants (seconds; sinabs: 1, because it counts steps);
    `reset_delay` only matters to snnTorch, `spike_fn` and `min_v_mem` only to sinabs.
    """

    name: str
    dt: float
    reset: str
    reset_delay: bool = False
    spike_fn: str = "SingleSpike"
    min_v_mem: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as kept in metadata and written into files."""
        found = asdict(self)
        return {"scheme": found.pop("name"), **found}


def scheme_of(given: dict[str, Any], metadata: dict[str, Any], notes: list[str], source: str) -> Scheme:
    """The scheme from the caller's arguments or a graph's metadata; defaults of the tool are noted.

    Raises
    ------
    NetworkError
        dt or scheme stated by neither, unknown names, dt not positive.
    """
    stated = {
        k: v if v is not None else _plain(metadata.get(f"chipsim_{k}", metadata.get(k))) for k, v in given.items()
    }
    name = stated["scheme"]
    name = ALIASES.get(name, name) if isinstance(name, str) else name
    if name is None or stated["dt"] is None:
        missing = " and ".join(k for k in ("dt", "scheme") if stated[k] is None)
        raise NetworkError(
            f"{source}: the file does not say {missing}, and results depend on it; "
            f"give dt= (the unit of its time constants) and scheme= one of {', '.join(SCHEMES)}"
        )
    if not isinstance(name, str) or name not in SCHEMES:
        raise NetworkError(f"scheme {shown(name)} is not one of {', '.join(SCHEMES)}")
    dt = stated["dt"]
    if isinstance(dt, NO_NUMBERS) or not isinstance(dt, (int, float, np.integer, np.floating)) or not dt > 0:
        raise NetworkError(f"dt={shown(stated['dt'])} is not a positive number")
    dt = finite(dt, "dt")
    chosen: dict[str, Any] = dict(zip(CHOICES, DEFAULTS[name]))
    relevant = {"snntorch": ("reset", "reset_delay"), "sinabs": ("spike_fn",), "rockpool": ()}.get(name, ("reset",))
    for key in chosen:
        if stated[key] is not None:
            chosen[key] = stated[key]
        elif key in relevant:
            notes.append(f"{key}={chosen[key]!r} taken: the default of {name}, because a NIR file does not say")
    return _options(Scheme(name, dt, "zero"), {**chosen, "min_v_mem": stated["min_v_mem"]})


def _options(scheme: Scheme, chosen: dict[str, Any]) -> Scheme:
    """`scheme` with these options, checked; None keeps what it has."""
    given = {k: v for k, v in chosen.items() if v is not None}
    for name, value in given.items():
        kind = CHOICES[name]
        fits = isinstance(value, str) if kind is str else isinstance(value, (bool, int, float, np.number, np.bool_))
        if not fits or (kind is bool and value not in (0, 1)):
            raise NetworkError(f"{name}={shown(value)}: give {'a word' if kind is str else f'a {kind.__name__}'}")
        if kind is float and value == value:  # NaN stands for "not stated"
            finite(value, name)
    made = replace(scheme, **{k: CHOICES[k](v) for k, v in given.items()})
    if made.reset not in RESETS or made.spike_fn not in SPIKES:
        raise NetworkError(f"reset must be one of {', '.join(RESETS)}, spike_fn one of {', '.join(SPIKES)}")
    if (made.name == "rockpool" and made.reset != "subtract") or (made.name == "sinabs" and made.reset == "none"):
        raise NetworkError(f"scheme '{made.name}' resets by subtraction; leave reset out")
    return made


def own_scheme(scheme: Scheme, node: Node) -> Scheme:
    """The scheme of one node: its own metadata goes before the graph's (layers may reset differently)."""
    try:
        return _options(scheme, {k: _plain(node.metadata.get(k)) for k in CHOICES})
    except (NetworkError, TypeError, ValueError) as error:
        raise NetworkError(f"node '{node.name}' ({node.kind}): its metadata: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else None
    value = value.item() if isinstance(value, np.generic) else value
    return value.decode() if isinstance(value, bytes) else value


def unit_of(
    node: Node, shape: Shape, scheme: Scheme, start: int, bias: Any, notes: list[str], recurrent: bool = False
) -> Unit:
    """The neurons of `node`; raises NetworkError for time constants below dt and parameters that do not fit.

    `recurrent`: an edge leads from the node back to it, which makes a LIF an RLeaky to snnTorch: reset to zero acts
    on the new potential there, on the old one in Leaky.
    """
    scheme = own_scheme(scheme, node)
    optional = {"v_reset", "v_leak"} - set(node.params)
    names = [n for n in PARAMETERS[node.kind] if n not in optional]
    p = {name: fitted(node, name, shape, notes).ravel() for name in names}
    p |= {name: np.zeros(1) for name in optional & set(PARAMETERS[node.kind])}
    for name in TAUS.get(node.kind, ()):
        _check_tau(node, name, p[name], scheme.dt, notes)
    made = COEFFICIENTS[scheme.name](node.kind, p, scheme.dt)
    made |= _spike(node.kind, p, scheme, recurrent)
    made |= {"start": start, "bias": compact(bias)}
    if scheme.name.startswith("norse") and ("v_leak" in p or "v_reset" in p):
        made["v"] = p["v_leak"] if "v_leak" in p else p["v_reset"]
    floored = node.kind not in SILENT or "min_v_mem" in node.metadata  # a graph's floor is one of spiking neurons
    if scheme.min_v_mem is not None and scheme.name == "sinabs" and floored:
        made["lowest"] = scheme.min_v_mem
    return Unit(shape, **{k: compact(v) if isinstance(v, np.ndarray) else v for k, v in made.items()})


PARAMETERS = {
    "IF": ("r", "v_threshold", "v_reset"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "I": ("r",),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "Threshold": ("threshold",),
}


def _check_tau(node: Node, name: str, tau: np.ndarray, dt: float, notes: list[str]) -> None:
    if np.any(tau < dt * (1 - 1e-5)):
        raise NetworkError(
            f"node '{node.name}' ({node.kind}): {name}={tau.min():g} is below dt={dt:g}: one is in another unit "
            "(seconds or steps; Norse 1.1 multiplies by its dt when it exports)"
        )
    if tau.max() > LONG * dt:
        notes.append(f"node '{node.name}': {name}={tau.max():g} is {tau.max() / dt:.0f} steps; is dt in the same unit?")


def _spike(kind: str, p: dict[str, np.ndarray], scheme: Scheme, recurrent: bool) -> dict[str, Any]:
    """What is sent and what a spike resets."""
    if kind in SILENT:
        return {"sends": "value", "after_spike": "nothing"}
    if kind == "Threshold":
        return {"sends": "above", "after_spike": "nothing", "threshold": p["threshold"]}
    made: dict[str, Any] = {"threshold": p["v_threshold"], "sends": "above"}
    if scheme.name in ("sinabs", "rockpool"):
        single = scheme.name == "sinabs" and scheme.spike_fn == "SingleSpike"
        made |= {"sends": "reached" if single else "many"}
        return made | ({"after_spike": "subtract"} if scheme.reset == "subtract" else {"after_spike": "value"})
    if scheme.reset == "none":
        return made | {"after_spike": "nothing"}
    if scheme.name == "snntorch":
        zero = "late_zero" if kind == "CubaLIF" or recurrent else "late_forget"
        late = "late_subtract" if scheme.reset == "subtract" else zero
        return made | {"after_spike": late, "at_once": int(not scheme.reset_delay)}
    if scheme.reset == "subtract":
        return made | {"after_spike": "subtract"}
    return made | {"after_spike": "value", "reset_to": p["v_reset"]}


def _euler(kind: str, p: dict[str, np.ndarray], dt: float, ratio: float = 1.0) -> dict[str, Any]:
    """v += dt / tau (v_leak - v + r x), the current likewise; without leak v += ratio r x."""
    if kind == "Threshold":
        return {"input_gain": 1.0}
    if kind in ("IF", "I"):
        return {"kept": 1.0, "input_gain": ratio * p["r"]}
    tau = p["tau" if "tau" in p else "tau_mem"]
    k = dt / tau
    made = {"kept": 1 - k, "constant": k * p["v_leak"]}
    if "tau_syn" not in p:
        return made | {"input_gain": k * p["r"]}
    s = dt / p["tau_syn"]
    return made | {"current_kept": 1 - s, "current_gain": s * p["w_in"], "gain": k * p["r"]}


def _norse_box(kind: str, p: dict[str, np.ndarray], dt: float) -> dict[str, Any]:
    """LIFCell: the current jumps by the input, acts, then decays."""
    made = _euler(kind, p, dt)
    if "tau_syn" in p:
        made |= {"current_kept": 1.0, "current_gain": p["w_in"], "current_after": 1 - dt / p["tau_syn"]}
    return made


def _sinabs(kind: str, p: dict[str, np.ndarray], dt: float) -> dict[str, Any]:
    """Exponential decay, the input scaled by what decays."""
    made = _euler(kind, p, dt)
    if "tau" in p or "tau_mem" in p:
        decay = np.exp(-dt / p["tau" if "tau" in p else "tau_mem"])
        made |= {"kept": decay, "constant": (1 - decay) * p["v_leak"]}
        made["gain" if "tau_syn" in p else "input_gain"] = (1 - decay) * p["r"]
    if "tau_syn" in p:
        decay = np.exp(-dt / p["tau_syn"])
        made |= {"current_kept": decay, "current_gain": (1 - decay) * p["w_in"]}
    return made


def _rockpool(kind: str, p: dict[str, np.ndarray], dt: float) -> dict[str, Any]:
    """Bit-shift-like decays; the file's r is not used."""
    if kind in ("IF", "I", "Threshold"):
        return _euler(kind, p, dt)
    decay = np.exp(-dt / p["tau" if "tau" in p else "tau_mem"])
    made: dict[str, Any] = {"kept": decay, "constant": (1 - decay) * p["v_leak"]}
    if "tau_syn" not in p:
        return made | {"input_gain": 1.0}
    decay = np.exp(-dt / p["tau_syn"])
    return made | {"current_kept": decay, "current_gain": decay, "gain": 1.0}


def _exact(kind: str, p: dict[str, np.ndarray], dt: float) -> dict[str, Any]:
    """The solution of the equations at the end of a step during which the input is constant."""
    if "tau_syn" not in p:
        return _euler(kind, p, dt, dt) if kind in ("IF", "I", "Threshold") else _sinabs(kind, p, dt)
    a, b = np.exp(-dt / p["tau_mem"]), np.exp(-dt / p["tau_syn"])
    apart = 1 - p["tau_mem"] / p["tau_syn"]
    same = np.abs(apart) < 1e-9
    carried = np.where(same, dt / p["tau_mem"] * a, (b - a) / np.where(same, 1.0, apart))
    direct = (1 - a) - carried - carried * (1 - b) / b
    return {
        "kept": a, "constant": (1 - a) * p["v_leak"], "current_kept": b, "current_gain": (1 - b) * p["w_in"],
        "gain": p["r"] * carried / b, "input_gain": p["r"] * p["w_in"] * direct,
    }  # fmt: skip


COEFFICIENTS: dict[str, Callable[[str, dict[str, np.ndarray], float], dict[str, Any]]] = {
    "snntorch": _euler,
    "norse_box": _norse_box,
    "norse_import": _euler,
    "sinabs": _sinabs,
    "rockpool": _rockpool,
    "exact": _exact,
}
