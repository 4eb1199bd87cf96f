"""What a NIR graph holds, as text: nodes in the order of the flow, shapes, parameters with units, what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.errors import ChipsimError

from .file import Graph, Node, read_graph
from .graph import components, flatten, shape_of
from .linear import KINDS
from .schemes import NEURONS, TAUS

#: NIR's units: seconds for time constants and delays (sinabs: steps), the neuron's own for the rest.
UNITS = {
    "tau": "s",
    "tau_mem": "s",
    "tau_syn": "s",
    "delay": "s",
    "r": "Ohm",
    "v_threshold": "V",
    "v_leak": "V",
    "v_reset": "V",
}
KNOWN = (*NEURONS, *KINDS, "Input", "Output", "Delay")


def describe(graph: Any) -> str:
    """What a graph holds: nodes with parameters, ranges and units, edges, and what it does not say or cannot be."""
    read = read_graph(graph)
    shapes, problem, notes = _shapes(read)
    lines = [f"NIR graph {read.source}" + (f", version {read.version}" if read.version else "")]
    lines += _lines(read, "  ", "", shapes)
    lines += [f"  says {k} = {v}" for k, v in read.metadata.items() if np.ndim(v) == 0]
    missing = [k for k in ("dt", "scheme") if k not in read.metadata]
    if missing:
        lines.append(f"  does not say {' and '.join(missing)}: give --dt and --scheme")
    taus = [np.min(n.params[t]) for n in _nodes(read) for t in TAUS.get(n.kind, ()) if _numeric(n.params.get(t))]
    if taus and "dt" in missing:
        lines.append(f"  shortest time constant {min(taus):g} s (steps, if sinabs wrote it): dt must not be longer")
    lines += [f"  would be repaired: {note}" for note in dict.fromkeys(notes)]
    if problem:
        lines.append(f"  cannot be run: {problem}")
    return "\n".join(lines)


def _shapes(graph: Graph) -> tuple[dict[str, Any], str, list[str]]:
    """Output shape of every node by its full name, why there are none, and repairs."""
    notes: list[str] = []
    try:
        flat = flatten(graph, notes)
        for name in flat.nodes:
            shape_of(flat, name)
    except ChipsimError as error:
        return {}, str(error).removeprefix(f"{graph.source}: "), notes
    return flat.shapes, "", [*notes, *flat.notes]


def _nodes(graph: Graph) -> list[Node]:
    return [n for x in graph.nodes.values() for n in (_nodes(x) if isinstance(x, Graph) else [x])]


def _ordered(graph: Graph) -> list[str]:
    """Names from the inputs on; nodes of a cycle together, in the file's order."""
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        if a in before and b in before:
            before[b].append(a)
    found = [name for group in components(before) for name in sorted(group, key=list(graph.nodes).index)]
    kinds = {name: getattr(node, "kind", "") for name, node in graph.nodes.items()}
    return sorted(found, key=lambda name: (kinds[name] == "Output") - (kinds[name] == "Input"))


def _lines(graph: Graph, indent: str, prefix: str, shapes: dict[str, Any]) -> list[str]:
    out = []
    for name in _ordered(graph):
        node = graph.nodes[name]
        if isinstance(node, Graph):
            out += [f"{indent}{name}: graph", *_lines(node, indent + "  ", f"{prefix}{name}.", shapes)]
            continue
        shape = shapes.get(prefix + name)
        out.append(
            f"{indent}{name}: {node.kind}"
            + ("" if shape is None or node.kind == "Input" else f" -> {shape}")
            + ("" if node.kind in KNOWN else "  (unknown type: cannot be run)")
        )
        out += [f"{indent}  {k}: {_shown(k, v)}" for k, v in node.params.items()]
        if node.kind in NEURONS and not any(b == name for _, b in graph.edges):
            out.append(f"{indent}  (nothing arrives here)")
    gone = sorted({end for edge in graph.edges for end in edge} - set(graph.nodes))
    edges = ", ".join(f"{a} -> {b}" for a, b in sorted(graph.edges))
    return [*out, f"{indent}edges: {edges}", *(f"{indent}  (there is no node '{name}')" for name in gone)]


def _numeric(value: Any) -> bool:
    return value is not None and np.size(value) > 0 and np.asarray(value).dtype.kind in "biuf"


def _shown(name: str, value: Any) -> str:
    unit = f" {UNITS[name]}" if name in UNITS else ""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.size == 0 or array.dtype.kind not in "biuf":
        return f"{array.shape} {array.dtype}"
    if array.size <= 4:
        return f"{', '.join(f'{v:g}' for v in array.ravel())}{unit}"
    span = f"{array.min():g}" if array.min() == array.max() else f"{array.min():g} .. {array.max():g}"
    return f"{array.shape} {span}{unit}"
