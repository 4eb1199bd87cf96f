"""Norse's neurons as NIR nodes, with the recurrence and the resets that its own export leaves out.

Formulas after the sources of Norse 1.1.0 (norse/torch/functional). Cells compute one step; LIF, LI, IAF and
LIFRecurrent loop over the first axis, which is time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.errors import NetworkError

from .nodes import Made, affine, numbers
from .trace import INPUT, Layer, leaves

TIMED = ("LIF", "LI", "IAF", "LIFRecurrent")  #: loop over time themselves
CELLS = ("LIFBoxCell", "LIFCell", "LIBoxCell", "LICell", "LILinearCell", "IAFCell", "LIFRecurrentCell")
LEAVES = (*TIMED, *CELLS)
KNOWN = f"Norse's {', '.join(LEAVES)}, RecurrentSequential of one of them, and torch's linear layers, pools and Flatten"
TAKES_CURRENT = ("LIF", "LIFCell", "LIFRecurrent", "LIFRecurrentCell", "LI", "LICell", "LILinearCell")
READOUTS = ("LI", "LICell", "LIBoxCell", "LILinearCell")


def step_of(module: Any) -> float:
    """The length of a step in s, which Norse keeps in each cell.

    Raises
    ------
    NetworkError
        No cell has one.
    """
    found = [float(m.dt) for m in module.modules() if type(m).__name__ in LEAVES and hasattr(m, "dt")]
    if not found:
        raise NetworkError("from_torch: this Norse module has no neuron with a dt")
    return found[0]


def neuron(made: Made, layer: Layer) -> tuple[str, str]:
    """A neuron with the weights it brings along."""
    m, name = layer.module, layer.name
    shape = made.own(layer, layer.after)
    kind, params = _dynamics(layer, shape, made.dt)
    metadata = {"reset": _reset(layer)} if layer.kind not in READOUTS else {}
    made.add(name, kind, metadata, **params)
    recurrent = layer.kind in ("LIFRecurrent", "LIFRecurrentCell")
    if recurrent:
        made.chain(name, affine(made, f"{name}.w_rec", numbers(m.recurrent_weights)), name)
    if recurrent or layer.kind == "LILinearCell":
        made.link(affine(made, f"{name}.w_in", numbers(m.input_weights)), name)
        return f"{name}.w_in", name
    return name, name


def _dynamics(layer: Layer, shape: tuple[int, ...], dt: float) -> tuple[str, dict[str, Any]]:
    """NIR kind and parameters; a cell with another dt keeps its ratio of dt to time constant."""
    p, ratio = layer.module.p, dt / float(layer.module.dt)

    def full(value: Any, name: str) -> np.ndarray:
        given = numbers(value)
        try:
            return np.array(np.broadcast_to(given, shape))
        except ValueError:
            raise NetworkError(
                f"from_torch: {layer.name}: {layer.kind}: {name} has shape {given.shape}, its neurons {shape}"
            ) from None

    found: dict[str, Any] = {"r": np.ones(shape)}
    spiking = layer.kind not in READOUTS
    if spiking:
        found |= {"v_threshold": full(p.v_th, "v_th"), "v_reset": full(p.v_reset, "v_reset")}
    if layer.kind in ("IAF", "IAFCell"):
        return "IF", found
    found["v_leak"] = full(p.v_leak, "v_leak")
    tau = ratio / full(p.tau_mem_inv, "tau_mem_inv")
    if layer.kind not in TAKES_CURRENT:
        return ("LIF" if spiking else "LI"), found | {"tau": tau}
    found |= {"tau_mem": tau, "tau_syn": ratio / full(p.tau_syn_inv, "tau_syn_inv"), "w_in": np.ones(shape)}
    return ("CubaLIF" if spiking else "CubaLI"), found


def _reset(layer: Layer) -> str:
    method = getattr(getattr(layer.module.p, "reset_method", None), "__name__", "reset_value")
    if method not in ("reset_value", "reset_subtract"):
        raise NetworkError(
            f"from_torch: {layer.name}: {layer.kind} resets by '{method}'; reset_value and reset_subtract are known"
        )
    return "zero" if method == "reset_value" else "subtract"


def close_loops(made: Made, module: Any) -> None:
    """The edges back of every RecurrentSequential: its output is added to its input one step later.

    Raises
    ------
    NetworkError
        Several outputs, or more than one neuron in a loop, which a step of delay each would change.
    """
    for path, m in module.named_modules():
        if type(m).__name__ != "RecurrentSequential":
            continue
        prefix = f"{path}.module." if path else "module."
        inner = [n for n in made.trace.layers if n.startswith(prefix)]
        names = [n for n, _ in leaves(m.module, lambda c: type(c).__name__ in LEAVES)]
        neurons = [n for n in inner if made.trace.layers[n].kind in LEAVES]
        if not isinstance(m.output_modules, int) or len(neurons) != 1 or len(names) != len(list(m.module)):
            raise NetworkError(
                f"from_torch: {path or 'the module'}: RecurrentSequential with {len(neurons)} neurons and "
                f"output_modules={m.output_modules}; one neuron and one output can be mapped, because each neuron in a "
                "loop takes a step on a chip"
            )
        out = prefix + names[m.output_modules]
        _check_bias(made, inner[inner.index(neurons[0]) + 1 : inner.index(out) + 1])
        for name in inner:
            for source in made.trace.layers[name].sources:
                if source == INPUT or not source.startswith(prefix):
                    made.link(made.ends[out][1], made.ends[name][0])


def _check_bias(made: Made, names: list[str]) -> None:
    """Norse feeds nothing back in its first step, not even a bias."""
    for name in names:
        bias = getattr(made.trace.layers[name].module, "bias", None)
        if bias is not None and np.any(numbers(bias)):
            raise NetworkError(f"from_torch: {name}: a bias on the way back of a loop acts a step late; give it none")


MAKERS = dict.fromkeys(LEAVES, neuron)
