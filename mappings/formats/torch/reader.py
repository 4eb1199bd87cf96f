"""Torch modules as networks: snnTorch's, Norse's and sinabs' spike for spike, plain ReLU networks by conversion."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.checks import shown
from chipsim.errors import NetworkError
from chipsim.mappings.builders.layers import Dense
from chipsim.mappings.builders.relu import Conversion, convert_relu
from chipsim.mappings.formats.nir.file import Graph
from chipsim.mappings.formats.nir.reader import from_nir
from chipsim.mappings.network.network import Network

from . import norse as torch_norse
from . import sinabs as torch_sinabs
from . import snntorch as torch_snntorch
from .layers import layers_of
from .nodes import Made, graph_of
from .trace import library, run

TOOLS = ("snntorch", "norse", "sinabs")
SCHEMES = {"snntorch": "snntorch", "norse": "norse_box", "sinabs": "sinabs"}
CONTAINERS = ("SequentialState", "RecurrentSequential", "Lift", "Network")  #: of Norse and sinabs: no layers themselves
DEPENDS_ON_TRAINING = ("Dropout", "BatchNorm", "FeatureAlphaDropout", "AlphaDropout")


def from_torch(
    module: Any,
    sample: Any,
    *,
    dt: float | None = None,
    scheme: str | None = None,
    name: str | None = None,
    **options: Any,
) -> Network | Conversion:
    """A network that spikes as a torch module does, or, from one of ReLUs, one whose rates are its activations.

    Parameters
    ----------
    module : torch.nn.Module
        With neurons of snnTorch, Norse or sinabs, or layers of Linear, Conv, ReLU, AvgPool2d and Flatten. Its state is
        left as it is; the network starts from rest.
    sample : tensor or ndarray
        Spiking modules: what the module takes, with its axis of batch (and of time, if it loops over time itself).
        ReLU networks: (m, …) data on which activations are balanced.
    dt : float
        Length of a step. snnTorch has none: left out, the 1e-4 s of its own files. Norse: that of its cells. sinabs:
        1, because it counts steps.
    scheme : {"snntorch", "norse_box", "sinabs"}
        Left out: the library whose neurons the module has.
    name : str
        Of the network; left out: the module's class.
    **options
        ReLU networks: as in `chipsim.mappings.builders.relu.convert_relu`.

    Returns
    -------
    Network or Conversion
        Network: as from `from_nir` (`chipsim.mappings.formats.nir.reader.padded` and `aligned` put it on the module's
        clock), with
        populations named by the path of their module. Conversion: for modules without spiking neurons.

    Raises
    ------
    NetworkError
        Layers or settings that cannot be mapped, by their path; a sample that does not fit; modules that train.
    ChipsimError
        torch is not installed.
    """
    torch = library()
    if not isinstance(module, torch.nn.Module):
        raise NetworkError(f"from_torch takes a torch.nn.Module, not {type(module).__name__}")
    tensor = _sample(torch, module, sample)
    _check_settled(module)
    tool = _tool(module)
    label = name or type(module).__name__
    if tool is None:
        if dt is not None or scheme is not None:
            raise NetworkError("from_torch: dt and scheme belong to spiking modules; this one has no spiking neuron")
        return _converted(module, tensor, {"name": label, **options})
    if options:
        raise NetworkError(
            f"from_torch: {', '.join(options)}: only for networks of ReLUs; a spiking module is taken as it is"
        )
    if scheme not in (None, SCHEMES[tool], tool):
        raise NetworkError(f"from_torch: scheme {shown(scheme)}, but the neurons are {tool}'s; leave it out")
    graph, notes = _spiking_graph(tool, module, tensor, dt)
    net = from_nir(graph, name=label)
    net.metadata["nir"]["notes"] = [*notes, *_worth_telling(net.metadata["nir"]["notes"])]
    return net


def _sample(torch: Any, module: Any, sample: Any) -> Any:
    if isinstance(sample, (tuple, list)) and any(isinstance(part, torch.Tensor) or np.ndim(part) for part in sample):
        shapes = {tuple(np.shape(part)) for part in sample}
        if isinstance(sample, tuple) or len(shapes) > 1:
            raise NetworkError(
                f"from_torch: {len(sample)} samples, but a network is read by one tensor: let the module take its "
                "inputs joined, torch.cat([a, b], dim=-1), and cut them apart by layers of its own (Linear with zeros)"
            )
    try:
        tensor = sample if isinstance(sample, torch.Tensor) else torch.as_tensor(np.asarray(sample))
    except (TypeError, ValueError) as error:
        raise NetworkError(f"from_torch: the sample is no tensor or array of numbers: {error}") from None
    parameters = [*module.parameters(), *module.buffers()]
    if any(torch.nn.parameter.is_lazy(p) for p in parameters):
        raise NetworkError("from_torch: the module has lazy layers without weights; run it once on data first")
    for kind, values in (("the sample", [tensor]), ("a parameter", parameters)):
        if any(v.is_complex() for v in values):
            raise NetworkError(f"from_torch: {kind} is complex; neurons compute with real numbers")
    if not tensor.numel():
        raise NetworkError(f"from_torch: the sample has shape {tuple(tensor.shape)} and holds nothing")
    floats = [p for p in parameters if p.is_floating_point()]
    if not bool(torch.isfinite(tensor).all()):
        raise NetworkError("from_torch: the sample holds NaN or infinity")
    return tensor.detach().to(floats[0]) if floats else tensor.detach().float()


def _check_settled(module: Any) -> None:
    for path, m in module.named_modules():
        kind = type(m).__name__
        if m.training and kind.startswith(DEPENDS_ON_TRAINING):
            raise NetworkError(
                f"from_torch: {path or 'the module'}: {kind} is in training mode, where it depends on chance or on the "
                "batch; call module.eval() first"
            )


def _tool(module: Any) -> str | None:
    found: dict[str, str] = {}
    for path, m in module.named_modules():
        if _root(m) in TOOLS:
            found.setdefault(_root(m), path or "the module")
    if len(found) > 1:
        shown = ", ".join(f"{path}: {tool}" for tool, path in found.items())
        raise NetworkError(f"from_torch: neurons of several libraries ({shown}), which step differently; use one")
    return next(iter(found), None)


def _root(module: Any) -> str:
    return type(module).__module__.split(".")[0]


def _spiking_graph(tool: str, module: Any, tensor: Any, dt: float | None) -> tuple[Graph, list[str]]:
    """The NIR graph of a spiking module, with scheme and dt in its metadata, and notes."""
    own: Any = {"snntorch": torch_snntorch, "norse": torch_norse, "sinabs": torch_sinabs}[tool]
    step = _step(tool, module, dt)
    lead, inside = 1, ()
    if tool == "norse":
        kinds = {p: type(m).__name__ for p, m in module.named_modules()}
        inside = tuple(p for p, kind in kinds.items() if kind == "Lift")
        lead = 2 if inside or any(kind in torch_norse.TIMED for kind in kinds.values()) else 1
        tensor = tensor[:1] if lead == 2 else tensor
    elif tool == "sinabs":
        lead = 2 if any(type(m).__name__ in torch_sinabs.PLAIN for m in module.modules()) else 1
    trace = run(
        module, tensor, lambda m: _root(m) == tool and type(m).__name__ not in CONTAINERS, f"this {tool} module"
    )
    made = Made(trace, lead, step, inside)
    graph = graph_of(made, own.MAKERS, {"scheme": SCHEMES[tool], "dt": step}, "from_torch", own.KNOWN)
    if tool == "norse":
        torch_norse.close_loops(made, module)
        graph = Graph(made.nodes, tuple(made.edges), graph.metadata, graph.source)
    return graph, trace.notes


def _step(tool: str, module: Any, dt: float | None) -> float:
    if tool == "snntorch":
        return torch_snntorch.DT if dt is None else float(dt)
    own = 1.0 if tool == "sinabs" else torch_norse.step_of(module)
    if dt is not None and not np.isclose(dt, own, rtol=1e-6):
        why = "sinabs counts steps" if tool == "sinabs" else "that of Norse's cells"
        raise NetworkError(f"from_torch: dt={dt:g}, but it is {own:g} here ({why}); leave it out")
    return own


def _worth_telling(notes: list[str]) -> list[str]:
    """Without what the graph's metadata leaves to defaults: each node says it for itself."""
    return [n for n in notes if "the default of" not in n]


def _converted(module: Any, tensor: Any, options: dict[str, Any]) -> Conversion:
    """By data; outputs have a sign where the last layer is dense."""
    layers = layers_of(module, tensor)
    data = tensor.cpu().double().numpy().reshape(len(tensor), -1)
    dense = isinstance(layers[0], Dense)
    options = {"readout": "signed" if isinstance(layers[-1], Dense) else "spikes", **options}
    if data.min() < 0:
        options.setdefault("inputs", "each" if dense else "range")
    return convert_relu(layers, data, **options)
