"""NIR graphs as networks that reproduce, spike for spike, the tool that wrote them (docs/nir.md).

In these tools a layer's spikes act on the next layer in the same step; on a chip they act one step later. So a
population at depth d (d layers behind the input) runs d steps later than in the tool: it starts at step d, and
`aligned` shifts its record back. A connection that skips layers is delayed by as many steps as it skips, and a
recurrent one has the step of delay that it has in the tool as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import numbers
from chipsim.errors import NetworkError
from chipsim.mappings.builders.units import compact
from chipsim.mappings.network.network import Network
from chipsim.mappings.network.substeps import gathered, spread
from chipsim.native.base import SpikeSource
from chipsim.native.floats import Unit
from chipsim.native.synapses import MAX_DELAY, Conv, FloatSynapses, with_data

from .file import read_graph
from .graph import Arriving, Flat, Folder, Path, components, flatten, shape_of
from .linear import volume
from .schemes import NEURONS, Scheme, scheme_of, unit_of


@dataclass(frozen=True, eq=False)
class Plan:
    """Populations by name with what arrives at them, their depth, and which population each Output shows."""

    flat: Flat
    arriving: dict[str, Arriving]
    depth: dict[str, int]
    together: dict[str, int]
    outputs: dict[str, str]


def from_nir(
    graph: Any,
    dt: float | None = None,
    scheme: str | None = None,
    *,
    reset: str | None = None,
    reset_delay: bool | None = None,
    spike_fn: str | None = None,
    min_v_mem: float | None = None,
    recurrent: Iterable[str] = (),
    name: str | None = None,
) -> Network:
    """A network of float neurons that computes what the tool computes.

    Parameters
    ----------
    graph : path or nir.NIRGraph
    dt : float
        Length of a step in the unit of the graph's time constants: seconds (snnTorch 1e-4), or 1 where they count
        steps (sinabs). Taken from the graph's metadata if it has it; never guessed.
    scheme : {"snntorch", "norse_box", "norse_import", "sinabs", "rockpool", "exact"}
        Potentials start at 0 in all of them, as the tools do, also where v_leak is not 0 (an ideal `cs.LIF` starts at
        v_leak).
        Whose arithmetic: see `chipsim.mappings.formats.nir.schemes`.
    reset : {"zero", "subtract", "none"}
        snnTorch, Norse and exact; left out: the tool's default, with a note. A node whose own metadata says reset,
        reset_delay, spike_fn or min_v_mem keeps to that.
    reset_delay : bool
        snnTorch: the reset waits for the next step.
    spike_fn : {"SingleSpike", "MultiSpike"}, min_v_mem : float
        sinabs.
    recurrent : names of nodes
        That were recurrent in the tool. If the graph has no recurrent edge at one of them, its exporter has lost the
        weights (Rockpool 3.1 does) and the graph is refused.

    Returns
    -------
    Network
        `metadata["nir"]`: source, scheme with dt, depth of each population, outputs, and notes of all that was
        repaired or assumed. Input populations take numbers, not only 0 and 1.

    Raises
    ------
    FileError, NetworkError
        Naming file and node.
    """
    read = read_graph(graph)
    notes: list[str] = []
    given = dict(dt=dt, scheme=scheme, reset=reset, reset_delay=reset_delay, spike_fn=spike_fn, min_v_mem=min_v_mem)
    stepped = scheme_of(given, read.metadata, notes, read.source)
    try:
        plan = _plan(flatten(read, notes), stepped)
        _check_recurrent(plan, [*recurrent, *_stated_recurrent(read.metadata)], stepped, notes)
        net = _build(plan, stepped, notes, name or str(read.metadata.get("name", "nir")))
    except NetworkError as error:
        known = str(error).startswith(read.source)
        raise error if known else NetworkError(f"{read.source}: {error}") from None
    net.metadata["nir"] = {
        "source": read.source, "version": read.version, **stepped.to_dict(), "depth": dict(plan.depth),
        "outputs": dict(plan.outputs), "notes": list(dict.fromkeys(notes)),
    }  # fmt: skip
    return net


def _plan(flat: Flat, scheme: Scheme) -> Plan:
    folder = Folder(flat, scheme.dt)
    for name in flat.nodes:
        shape_of(flat, name)
    arriving = {name: folder.arriving(name) for name, node in flat.nodes.items() if node.kind in NEURONS}
    outputs: dict[str, str] = {}
    for name, node in flat.nodes.items():
        if node.kind != "Output":
            continue
        got = folder.arriving(name)
        plain = len(got.paths) == 1 and not got.paths[0].maps and got.paths[0].delay is None and got.bias is None
        if plain and flat.nodes[got.paths[0].source].kind in NEURONS:
            outputs[name] = got.paths[0].source
        elif got.paths:
            arriving[name], outputs[name] = got, name
    pending = list(folder.relays)
    for name in pending:
        arriving[name] = folder.relays[name]
    inputs = [n for n, node in flat.nodes.items() if node.kind == "Input"]
    graph: dict[str, list[str]] = {n: [] for n in inputs}
    graph |= {n: [p.source for p in got.paths] for n, got in arriving.items()}
    depth: dict[str, int] = {}
    together: dict[str, int] = {}
    for k, group in enumerate(components(graph)):
        before = [depth[s] for n in group for s in graph[n] if s in depth]
        level = 0 if group[0] in inputs else 1 + max(before, default=0)
        depth |= {n: level for n in group}
        together |= {n: k for n in group}
        if len(group) > 1:
            names = ", ".join(sorted(group))
            flat.notes.append(f"the cycle through {names} has one step of delay for each of them")
    return Plan(flat, arriving, depth, together, outputs)


def _stated_recurrent(metadata: dict[str, Any]) -> list[str]:
    stated = metadata.get("recurrent", [])
    stated = stated.decode() if isinstance(stated, bytes) else stated
    found = stated.split(",") if isinstance(stated, str) else [str(s) for s in np.ravel(stated)]
    return [s.strip() for s in found if s.strip()]


def _check_recurrent(plan: Plan, wanted: list[str], scheme: Scheme, notes: list[str]) -> None:
    for name in wanted:
        if name not in plan.arriving:
            raise NetworkError(f"recurrent: there is no neuron node '{name}'; there are {', '.join(plan.arriving)}")
        group = [n for n in plan.together if plan.together[n] == plan.together[name]]
        if not any(p.source in group for p in plan.arriving[name].paths):
            raise NetworkError(
                f"node '{name}' was recurrent, but no edge leads back to it: its exporter has dropped the recurrent "
                "weights (Rockpool 3.1 does so silently); export them yourself"
            )
    if scheme.name == "rockpool" and not wanted:
        notes.append(
            "Rockpool 3.1 drops recurrent weights on export and the file cannot show it: name such nodes in recurrent="
        )


def _build(plan: Plan, scheme: Scheme, notes: list[str], name: str) -> Network:
    net = Network(name)
    flat = plan.flat
    for node in flat.nodes.values():
        if node.kind == "Input":
            net.add(node.name, SpikeSource(_shape(flat, node.name), graded=1))
    for pop in sorted(plan.arriving, key=lambda n: plan.depth[n]):
        got, node, shape = plan.arriving[pop], flat.nodes[pop], _shape(flat, pop)
        bias = np.zeros(1) if got.bias is None else got.bias
        start = plan.depth[pop]
        if node.kind in NEURONS:
            recurrent = any(path.source == pop for path in got.paths)
            net.add(pop, unit_of(node, shape, scheme, start, bias, notes, recurrent))
        else:
            net.add(
                pop, Unit(shape, input_gain=1.0, sends="value", after_spike="nothing", start=start, bias=compact(bias))
            )
    for pop, got in plan.arriving.items():
        for path in got.paths:
            net.connect(path.source, pop, _synapses(plan, path, pop))
    return net


def _shape(flat: Flat, name: str) -> tuple[int, ...]:
    shape = shape_of(flat, name)
    if shape is None:
        raise NetworkError(f"node '{name}' receives nothing: its shape is unknown")
    return shape


def _synapses(plan: Plan, path: Path, pop: str) -> Conv | FloatSynapses:
    """A convolution where it is one without delays, else the product of the maps on the way."""
    extra = 0
    recurrent = plan.together[path.source] == plan.together[pop]
    if not recurrent:
        extra = plan.depth[pop] - plan.depth[path.source] - 1
    delay = None if path.delay is None else np.maximum(path.delay - int(recurrent), 0) + extra
    longest = extra if delay is None else int(delay.max())
    if longest > MAX_DELAY:
        raise NetworkError(
            f"edge '{path.source}' -> '{pop}': delay of {longest} steps; at most {MAX_DELAY} are possible"
        )
    if longest == 0 and len(path.maps) == 1 and isinstance(path.maps[0].weights, Conv):
        return path.maps[0].weights
    matrix = _product(plan, path)
    if delay is None or np.ptp(delay) == 0:
        return FloatSynapses(matrix, longest)
    sparse = sp.csc_array(matrix)
    return FloatSynapses(sparse, with_data(sparse, np.repeat(delay, np.diff(sparse.indptr))))


def _product(plan: Plan, path: Path) -> Any:
    if not path.maps:
        return sp.csc_array(sp.eye_array(volume(_shape(plan.flat, path.source))))
    matrix = path.maps[0].matrix()
    for step in path.maps[1:]:
        matrix = step.matrix() @ matrix
    return sp.csc_array(matrix) if sp.issparse(matrix) else matrix


def depths(net: Network) -> dict[str, int]:
    """How many steps later than in the tool each population runs; 0 for a network that is not from NIR."""
    return dict(net.metadata.get("nir", {}).get("depth", {}))


def padded(net: Network, inputs: dict[str, Any], substeps: int = 1) -> tuple[dict[str, np.ndarray], int]:
    """Inputs with as many empty steps appended as the deepest population is late, and the steps to run.

    `substeps`: steps of the chip in one of the tool, where `compile_nir` was given some.
    """
    late = max(depths(net).values(), default=0)
    steps = max(len(v) for v in inputs.values()) * substeps
    out = {}
    for name, values in inputs.items():
        array = spread(numbers(values, f"input '{name}'"), substeps)
        out[name] = np.concatenate([array, np.zeros((steps + late - len(array), *array.shape[1:]), array.dtype)])
    return out, steps + late


def aligned(net: Network, result: Any, variable: str = "spikes") -> dict[str, np.ndarray]:
    """What each population (and each Output node) did, on the tool's clock: (steps, *shape) by name.

    Parameters
    ----------
    net : Network
        From `from_nir`.
    result : Result
        Of a run over `padded` inputs.
    variable
        "spikes", or a recorded one such as "v". Where the program has several steps to one of the tool, their
        spikes are summed, and of other variables the last is taken.
    """
    late = depths(net)
    substeps = int(result.program.stages.get("nir", {}).get("substeps", 1))
    steps = result.steps - max(late.values(), default=0)
    out: dict[str, np.ndarray] = {}
    for name, p in net.populations.items():
        if variable != "spikes" and variable not in result.trace.get(name, {}):
            continue
        record = result.spikes[name] if variable == "spikes" else result.trace[name][variable]
        first = late.get(name, 0)
        rows = np.asarray(record[first : first + steps])
        rows = rows if substeps == 1 else gathered(rows, substeps, last=variable != "spikes")
        out[name] = rows.reshape(steps // substeps, *p.shape)
    for output, name in net.metadata.get("nir", {}).get("outputs", {}).items():
        if name in out:
            out[output] = out[name]
    return out
