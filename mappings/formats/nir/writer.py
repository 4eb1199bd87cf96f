"""NIR out: any network of ideal neurons or float units, and a quantised program with its integers' float meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.errors import NetworkError
from chipsim.mappings.builders.units import as_units
from chipsim.mappings.formats.nir.graph import components
from chipsim.mappings.formats.nir.nodes import library, node_of, options_of, untyped_graph
from chipsim.mappings.formats.nir.tools import SNNTORCH_DT, fitted_to
from chipsim.mappings.network.network import Network, Projection
from chipsim.native.floats import Unit
from chipsim.native.synapses import Conv, FloatSynapses
from chipsim.program.program import Program
from chipsim.storage.atomic import replacing

OWN_SCHEME = "norse_import"  #: steps like chipsim's own recurrence: Euler, the current first, reset at once


def to_nir(
    value: Network | Program, path: str | Path, *, dt: float | None = None, scheme: str | None = None,
    tool: str | None = None,
) -> Path:  # fmt: skip
    """Write a NIR graph that other tools load; dt, scheme and reset stand in its metadata.

    Parameters
    ----------
    value : Network or Program
        From `from_nir`, of ideal neurons, or a program of a Loihi or float chip.
    dt : float
        Seconds per step; left out: the one it was read with, a program's own, else 1 ms.
    scheme
        Whose arithmetic the time constants are meant for; left out: the one it was read with, else
        "norse_import" (Euler steps, which snnTorch's importer takes as well), at which the recurrence is the same.
    tool : {"snntorch", "norse"}
        Write what this tool's importer takes for granted (see `chipsim.mappings.formats.nir.tools`): gains move into
        weights,
        for snnTorch time constants are in units of its 1e-4 s per step, and what it would misread is refused.

    Returns
    -------
    pathlib.Path
        Of the file, which only exists if all went well.

    Raises
    ------
    NetworkError
        What NIR cannot say: refractory periods, delays of single synapses, learning rules, mixed resets.
    FileError
        The file cannot be written.
    """
    nir = library()

    graph = nir_graph(value, dt=dt, scheme=scheme, tool=tool)
    with replacing(path) as part:
        nir.write(part, graph)
    return Path(path)


def nir_graph(
    value: Network | Program, *, dt: float | None = None, scheme: str | None = None, tool: str | None = None
) -> Any:
    """The `nir.NIRGraph` that `to_nir` writes."""
    stated = value.stages.get("nir", {}) if isinstance(value, Program) else value.metadata.get("nir", {})
    own = value.dt if isinstance(value, Program) else stated.get("dt", 1e-3)
    step = float(own if dt is None else dt)
    net = as_units(value, step)
    read_as_is = any(isinstance(p.model, Unit) for p in _neurons(value))
    chosen = scheme or (stated.get("scheme") if read_as_is and tool is None else None) or OWN_SCHEME
    if tool is not None:
        net = fitted_to(net, tool)
        step = SNNTORCH_DT if tool == "snntorch" else step
    options, differing = options_of(net, chosen, step)
    late = stated["depth"] if read_as_is and "depth" in stated else _latency(net)
    outputs = stated.get("outputs") or {"output": _last(net)}
    made = _Made(net, options, late, {k: v for k, v in outputs.items() if v in net.populations})
    metadata = {"name": net.name, "written_by": "chipsim", **{k: v for k, v in options.items() if v is not None}}
    nodes, edges = made.build()
    for population, own in differing.items():
        nodes[population].metadata = {k: v for k, v in own.items() if v is not None}
    _check_known(nodes, tool)
    return untyped_graph(nodes, edges, metadata)


def _check_known(nodes: dict[str, Any], tool: str | None) -> None:
    """Nodes that a tool's importer has no module for."""
    for name, node in nodes.items():
        if tool is not None and type(node).__name__ in ("LI", "CubaLI", "I", "Threshold", "Delay", "Scale"):
            raise NetworkError(f"node '{name}': {tool} imports no {type(node).__name__}")
        if tool == "snntorch" and np.any(getattr(node, "v_leak", 0)):
            raise NetworkError(f"population '{name}' has a bias but no input, which snnTorch imports no neuron for")


def _neurons(value: Network | Program) -> list[Any]:
    populations = value.populations if isinstance(value, Program) else list(value.populations.values())
    return [p for p in populations if not p.model.is_input]


def _last(net: Network) -> str:
    """The population nothing reads; the last of them."""
    senders = {p.pre.name for p in net.projections.values() if p.pre is not p.post}
    silent = [n for n, p in net.populations.items() if n not in senders and not p.model.is_input]
    return (silent or list(net.populations))[-1]


def _latency(net: Network) -> dict[str, int]:
    """Steps by which a spike's effect reaches each population, at the least."""
    before: dict[str, list[Projection]] = {n: [] for n in net.populations}
    for p in net.projections.values():
        before[p.post.name].append(p)
    late: dict[str, int] = {}
    for group in components({n: [p.pre.name for p in ps] for n, ps in before.items()}):
        arriving = [late[p.pre.name] + 1 + _least(p) for n in group for p in before[n] if p.pre.name in late]
        late |= dict.fromkeys(group, min(arriving, default=0))
    return late


def _least(p: Projection) -> int:
    delays = p.synapses.delays
    values = delays.data if sp.issparse(delays) else np.asarray(delays)
    return int(values.min()) if values.size else 0


class _Made:
    """Collects nodes and edges of one graph."""

    def __init__(self, net: Network, options: dict[str, Any], late: dict[str, int], outputs: dict[str, str]) -> None:
        self.net, self.options, self.late, self.outputs = net, options, late, outputs
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.flat = self._flat()
        before = {n: [p.pre.name for p in net.projections.values() if p.post.name == n] for n in net.populations}
        self.group = {n: k for k, members in enumerate(components(before)) for n in members}

    def _flat(self) -> set[str]:
        """Populations whose neurons are written in one row, because a matrix leads to them."""
        flat = {n for n, p in self.net.populations.items() if len(p.shape) != 3}
        while True:
            more = {p.post.name for p in self.net.projections.values() if not self._is_image(p, flat)}
            if more <= flat:
                return flat
            flat |= more

    def _is_image(self, p: Projection, flat: set[str]) -> bool:
        return isinstance(p.synapses, Conv) and p.synapses.channels == "first" and not {p.pre.name, p.post.name} & flat

    def build(self) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """All nodes and edges."""
        nir = library()

        readouts = {v: k for k, v in self.outputs.items() if k == v}
        for name, p in self.net.populations.items():
            if p.model.is_input:
                self.nodes[name] = nir.Input(np.array(p.shape))
            elif name in readouts:
                self.nodes[name] = nir.Output(np.array([p.n]))
            else:
                shape = (p.n,) if name in self.flat else p.shape
                alone = not any(q.post.name == name for q in self.net.projections.values())
                self.nodes[name] = node_of(p.model, name, shape, self.options, alone)
        for name in self.net.populations:
            incoming = [p for p in self.net.projections.values() if p.post.name == name]
            for k, p in enumerate(incoming):
                self._connect(p, k == 0)
        for output, name in self.outputs.items():
            if output != name:
                free = output if output not in self.nodes else f"{output}_out"
                p = self.net.populations[name]
                self.nodes[free] = nir.Output(np.array((p.n,) if name in self.flat else p.shape))
                self.edges.append((name, free))
        return self.nodes, self.edges

    def _connect(self, p: Projection, takes_bias: bool) -> None:
        """pre -> (delay) -> (flatten) -> weights -> post."""
        nir = library()

        bias = np.array(p.post.model.per_neuron("bias")) if takes_bias else np.zeros(p.post.n)
        at = self._delay(p, p.pre.name)
        label = f"w_{p.name.replace('->', '_')}"
        if self._is_image(p, self.flat):
            at = self._step(at, label, _conv(p, bias))
            self.edges.append((at, p.post.name))
            return
        if len(p.pre.shape) > 1 and (p.pre.name not in self.flat or p.pre.model.is_input):
            kind = {"input": np.array(p.pre.shape)}
            at = self._step(at, f"flatten_{label}", nir.Flatten(kind, start_dim=0, end_dim=-1))
        matrix = _matrix(p.synapses)
        if np.any(bias):
            at = self._step(at, label, nir.Affine(matrix, bias))
        elif not _is_identity(matrix):
            at = self._step(at, label, nir.Linear(matrix))
        self.edges.append((at, p.post.name))

    def _step(self, at: str, label: str, node: Any) -> str:
        while label in self.nodes:
            label += "_"
        self.nodes[label] = node
        self.edges.append((at, label))
        return label

    def _delay(self, p: Projection, at: str) -> str:
        """A Delay node for what is beyond the step that a hop, or a recurrent edge, takes anyway."""
        nir = library()

        steps = _per_source(p)
        if self.group[p.pre.name] == self.group[p.post.name]:
            steps = np.where(steps > 0, steps + 1, 0)
        else:
            steps = steps + 1 - (self.late[p.post.name] - self.late[p.pre.name])
        if not np.any(steps):
            return at
        if np.any(steps < 0):
            raise NetworkError(f"projection '{p.name}' is faster than its layers; it has no form in NIR")
        flat = p.pre.name in self.flat and not p.pre.model.is_input
        seconds = (steps * self.options["dt"]).reshape((p.pre.n,) if flat else p.pre.shape)
        return self._step(at, f"delay_{p.name.replace('->', '_')}", nir.Delay(seconds))


def _per_source(p: Projection) -> np.ndarray:
    """(n_pre,) extra steps; raises where the synapses of one source differ."""
    delays = p.synapses.delays
    if np.ndim(delays) == 0 and not sp.issparse(delays):
        return np.full(p.pre.n, int(delays))
    table = delays.toarray() if sp.issparse(delays) else np.asarray(delays)
    weights = _matrix(p.synapses) != 0
    top = np.where(weights, table, 0).max(axis=0)
    if np.any(weights & (table != top)):
        raise NetworkError(f"projection '{p.name}': delays differ among the synapses of one source; NIR delays sources")
    return top.astype(np.int64)


def _matrix(synapses: Any) -> np.ndarray:
    if isinstance(synapses, Conv):
        post, pre, index = synapses.targets()
        values = synapses.floats.ravel()[index]
        return sp.csc_array((values, (post, pre)), shape=synapses.shape).toarray()
    weights = synapses.weights if isinstance(synapses, FloatSynapses) else synapses
    return weights.toarray() if sp.issparse(weights) else np.asarray(weights, np.float64)


def _is_identity(matrix: np.ndarray) -> bool:
    return matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix)))


def _conv(p: Projection, bias: np.ndarray) -> Any:
    nir = library()

    conv: Conv = p.synapses
    channels = bias.reshape(p.post.shape)
    if np.any(channels != channels[:, :1, :1]):
        raise NetworkError(f"population '{p.post.name}': biases differ within a channel; a convolution has one each")
    return nir.Conv2d(
        input_shape=conv.in_image[:2], weight=conv.floats.transpose(0, 3, 1, 2),
        stride=conv.stride, padding=conv.padding, dilation=conv.dilation, groups=conv.groups,
        bias=channels[:, 0, 0].copy(),
    )  # fmt: skip
