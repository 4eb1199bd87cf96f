"""From a NIR graph to populations and paths: nested graphs flattened, stateless nodes folded, depths counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipsim.errors import NetworkError

from .file import Graph, Node
from .linear import KINDS as STATELESS
from .linear import Linear, Shape, fitted, linear_of, volume
from .schemes import NEURONS, PARAMETERS

MAX_NEURONS = 1 << 24  #: of one node
MAX_PATHS = 256  #: into one node
THROUGH = "Through"  #: Input and Output of a nested graph: what arrives leaves
KNOWN = {*NEURONS, *STATELESS, "Input", "Output", "Delay", THROUGH}


@dataclass(frozen=True, eq=False)
class Path:
    """From a population through stateless maps; `delay` (n_source,) in steps, or None."""

    source: str
    maps: tuple[Linear, ...] = ()
    delay: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Arriving:
    """All that reaches a node: the paths and the constant that biases on the way add up to."""

    paths: tuple[Path, ...]
    bias: np.ndarray | None


@dataclass
class Flat:
    """A graph without graphs inside; `before` holds the predecessors of each node, in the file's order."""

    nodes: dict[str, Node]
    before: dict[str, list[str]]
    source: str
    notes: list[str]
    shapes: dict[str, Shape] = field(default_factory=dict)


def flatten(graph: Graph, notes: list[str]) -> Flat:
    """Nested graphs become nodes named "graph.node"; edges are checked, and repaired where only one way is possible.

    Raises
    ------
    NetworkError
        Unknown node types, edges to nodes that do not exist, no input or no neuron.
    """
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    ends = _collect(graph, "", nodes, edges, notes)
    del ends
    for node in nodes.values():
        if node.kind not in KNOWN:
            raise NetworkError(
                f"{graph.source}: node '{node.name}' has type '{node.kind}', which is not known; "
                f"known are {', '.join(sorted(KNOWN - {THROUGH}))}"
            )
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in dict.fromkeys(edges):
        before[b].append(a)
    if not any(n.kind == "Input" for n in nodes.values()):
        raise NetworkError(f"{graph.source}: the graph has no Input node")
    if not any(n.kind in NEURONS for n in nodes.values()):
        raise NetworkError(
            f"{graph.source}: the graph has no neurons, only {', '.join(n.kind for n in nodes.values())}"
        )
    return Flat(nodes, before, graph.source, notes)


def _collect(
    graph: Graph, prefix: str, nodes: dict[str, Node], edges: list[tuple[str, str]], notes: list[str]
) -> dict[str, tuple[str, str]]:
    """Add a graph's nodes under `prefix`; returns for each inner name where edges enter and leave."""
    ends: dict[str, tuple[str, str]] = {}
    for name, node in graph.nodes.items():
        full = prefix + name
        if isinstance(node, Graph):
            inner = _collect(node, f"{full}.", nodes, edges, notes)
            ends[name] = (_port(node, "Input", inner, full), _port(node, "Output", inner, full))
            continue
        kind = THROUGH if prefix and node.kind in ("Input", "Output") else node.kind
        nodes[full] = Node(full, kind, node.params, node.metadata)
        ends[name] = (full, full)
    renamed = _repaired(graph, prefix, notes)
    for a, b in graph.edges:
        a, b = renamed.get(a, a), renamed.get(b, b)
        for end in (a, b):
            if end not in ends:
                raise NetworkError(
                    f"{graph.source}: edge '{prefix}{a}' -> '{prefix}{b}': there is no node '{end}'; there are "
                    f"{', '.join(graph.nodes)}"
                )
        edges.append((ends[a][1], ends[b][0]))
    return ends


def _port(graph: Graph, kind: str, ends: dict[str, tuple[str, str]], name: str) -> str:
    found = [k for k, n in graph.nodes.items() if isinstance(n, Node) and n.kind == kind]
    if len(found) != 1:
        raise NetworkError(f"{graph.source}: graph '{name}' has {len(found)} {kind} nodes; edges need exactly one")
    return ends[found[0]][0]


def _repaired(graph: Graph, prefix: str, notes: list[str]) -> dict[str, str]:
    """One missing name and one node without edges can only be the same node."""
    named = {end for edge in graph.edges for end in edge}
    missing, lonely = sorted(named - set(graph.nodes)), sorted(set(graph.nodes) - named)
    if len(missing) == 1 and len(lonely) == 1 and _fits(graph, missing[0], lonely[0]):
        notes.append(
            f"edges name '{prefix}{missing[0]}', which is missing: taken as '{prefix}{lonely[0]}', "
            "the only node without edges"
        )
        return {missing[0]: lonely[0]}
    return {}


def _fits(graph: Graph, name: str, lonely: str) -> bool:
    """An Input can only be where edges begin, an Output where they end."""
    kind = getattr(graph.nodes[lonely], "kind", "")
    ends = {b for _, b in graph.edges} if kind == "Input" else {a for a, _ in graph.edges} if kind == "Output" else ()
    return name not in ends


def shape_of(flat: Flat, name: str, open_: tuple[str, ...] = ()) -> Shape | None:
    """Output shape of a node, from what arrives or from its own parameters; None inside an unfinished cycle."""
    if name in flat.shapes:
        return flat.shapes[name]
    if name in open_:
        return None
    if len(open_) > 900:
        raise NetworkError(f"{flat.source}: node '{name}' lies deeper than 900 nodes")
    node = flat.nodes[name]
    if node.kind == "Input":
        found: Shape | None = _stated(flat, node)
    else:
        arriving = [shape_of(flat, b, (*open_, name)) for b in flat.before[name]]
        known = [s for s in arriving if s is not None]
        if len({volume(s) for s in known}) > 1:
            raise NetworkError(
                f"{flat.source}: node '{name}' ({node.kind}) receives shapes {' and '.join(map(str, known))}, "
                f"from {', '.join(flat.before[name])}; they must agree"
            )
        own = _own_shape(node)
        if known and node.kind in STATELESS:
            found = linear_of(node, known[0], []).shape
        else:
            fits = own is not None and (not known or volume(own) == volume(known[0]))
            found = own if fits else known[0] if known else own
    if found is None:
        if open_:
            return None
        raise NetworkError(f"{flat.source}: node '{name}' ({node.kind}) receives nothing: its shape is unknown")
    if volume(found) > MAX_NEURONS or min(found, default=1) < 1:
        raise NetworkError(
            f"{flat.source}: node '{name}' ({node.kind}) has shape {found}; 1 to {MAX_NEURONS} are possible"
        )
    flat.shapes[name] = found
    return found


def _stated(flat: Flat, node: Node) -> Shape:
    given = np.ravel(node.params["shape"]) if "shape" in node.params else np.zeros(0)
    if not given.size or given.dtype.kind not in "iu" or given.size > 8:
        raise NetworkError(f"{flat.source}: Input node '{node.name}' states no shape")
    shape = tuple(int(d) for d in given)
    if len(shape) > 1 and shape[0] == 1 and len(shape) in (2, 4):
        flat.notes.append(f"node '{node.name}': batch axis of shape {shape} taken off")
        shape = shape[1:]
    return shape


def _own_shape(node: Node) -> Shape | None:
    """Shape of the largest per-neuron parameter."""
    shapes = [np.shape(node.params[k]) for k in PARAMETERS.get(node.kind, ()) if k in node.params]
    best = max(shapes, key=volume, default=())
    return best if best and volume(best) > 1 else None


class Folder:
    """Collects what arrives at each population; delays that cannot be moved to a source become populations."""

    def __init__(self, flat: Flat, dt: float) -> None:
        self.flat, self.dt = flat, dt
        self.relays: dict[str, Arriving] = {}
        self._kept: dict[str, Arriving] = {}

    def arriving(self, name: str, open_: tuple[str, ...] = ()) -> Arriving:
        """The sum of what the predecessors of `name` send."""
        parts = [self._sent(b, (*open_, name)) for b in self.flat.before[name]]
        paths = tuple(p for part in parts for p in part.paths)
        if len(paths) > MAX_PATHS:
            raise NetworkError(f"{self.flat.source}: node '{name}' is reached by more than {MAX_PATHS} paths")
        biases = [part.bias for part in parts if part.bias is not None]
        return Arriving(paths, sum(biases[1:], biases[0]) if biases else None)

    def _sent(self, name: str, open_: tuple[str, ...]) -> Arriving:
        """What node `name` sends, as a function of populations."""
        node = self.flat.nodes[name]
        if node.kind in NEURONS or node.kind == "Input":
            return Arriving((Path(name),), None)
        if name in open_:
            ring = " -> ".join((*open_[open_.index(name) :], name))
            raise NetworkError(f"{self.flat.source}: the cycle {ring} has no neuron in it: nothing holds its state")
        if name not in self._kept:
            self._kept[name] = self._through(node, self.arriving(name, open_))
        return self._kept[name]

    def _through(self, node: Node, got: Arriving) -> Arriving:
        if node.kind in (THROUGH, "Output"):
            return got
        before = shape_of(self.flat, self.flat.before[node.name][0]) if self.flat.before[node.name] else None
        if before is None:
            raise NetworkError(f"{self.flat.source}: node '{node.name}' ({node.kind}) receives nothing")
        if node.kind == "Delay":
            return self._delayed(node, got, before)
        made = linear_of(node, before, self.flat.notes)
        bias = made.bias
        if got.bias is not None:
            moved = got.bias if made.weights is None else made.matrix() @ got.bias
            bias = moved if bias is None else bias + moved
        if made.weights is None:
            return Arriving(got.paths, bias)
        return Arriving(tuple(Path(p.source, (*p.maps, made), p.delay) for p in got.paths), bias)

    def _delayed(self, node: Node, got: Arriving, shape: Shape) -> Arriving:
        seconds = fitted(node, "delay", shape, self.flat.notes).ravel()
        steps = np.round(seconds / self.dt).astype(np.int64)
        if np.any(seconds < 0):
            raise NetworkError(f"node '{node.name}' (Delay): delay {seconds.min():g} is negative")
        if np.any(np.abs(steps * self.dt - seconds) > 1e-6 * np.maximum(seconds, self.dt)):
            self.flat.notes.append(f"node '{node.name}': delays rounded to whole steps of {self.dt:g}")
        if got.bias is None and all(not p.maps for p in got.paths):
            return Arriving(
                tuple(Path(p.source, (), steps + (0 if p.delay is None else p.delay)) for p in got.paths), None
            )
        self.relays[node.name] = got
        return Arriving((Path(node.name, (), steps),), None)


def components(targets: dict[str, Any]) -> Iterator[list[str]]:
    """Strongly connected sets of a graph {node: its predecessors}, predecessors first (Tarjan, iterative)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    inside: set[str] = set()
    for root in targets:
        if root in index:
            continue
        work = [(root, iter(targets[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        inside.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    inside.add(other)
                    work.append((other, iter(targets[other])))
                    break
                if other in inside:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = []
                    while True:
                        member = stack.pop()
                        inside.discard(member)
                        group.append(member)
                        if member == node:
                            break
                    yield group
