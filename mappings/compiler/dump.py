"""Any stage of the compiler as readable text."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from chipsim.mappings.compiler.cores.allocate import Allocation
from chipsim.mappings.compiler.cores.counting import COLUMNS
from chipsim.mappings.compiler.cores.partition import Partition
from chipsim.mappings.compiler.cores.place import Placement
from chipsim.mappings.compiler.cores.traffic import Traffic
from chipsim.mappings.network.network import Network, synapse_count
from chipsim.native.synapses import Conv, FloatSynapses, Synapses
from chipsim.program.fan_out import pattern
from chipsim.program.program import Program


@singledispatch
def dump(value: Any) -> str:
    """`value` as text: a Network, Partition, Traffic, Placement, Allocation or Program."""
    raise TypeError(f"dump knows no {type(value).__name__}")


@dump.register
def _(net: Network) -> str:
    lines = [f"network {net.name}"]
    lines += [f"  population {p.name}: {p.model!r}" for p in net.populations.values()]
    for p in net.projections.values():
        rule = f", learns ({getattr(p.rule, 'name', type(p.rule).__name__)})" if p.rule is not None else ""
        kind = "convolution" if isinstance(p.synapses, Conv) else type(p.synapses).__name__
        count = synapse_count(p.synapses, p.rule, p.pre == p.post)
        lines.append(f"  projection {p.name}: {count} synapses, {kind}, delays to {p.max_delay}{rule}")
    return "\n".join(lines) + "\n"


@dump.register
def _(parts: Partition) -> str:
    lines = [f"partition {parts.method}: {parts.cores} cores"]
    for name, (cores, cut) in parts.notes.items():
        lines.append(f"  tried {name}: {cores} cores, {cut:g} packets per step between cores")
    return "\n".join(lines + _core_lines(parts.core)) + "\n"


@dump.register
def _(spot: Placement) -> str:
    lines = [f"placement {spot.method}: {spot.hops:g} hops x packets per step, {spot.inorder_hops:g} in order"]
    lines += [f"  logical {k} -> core {core}" for k, core in enumerate(spot.physical.tolist())]
    return "\n".join(lines) + "\n"


@dump.register
def _(flow: Traffic) -> str:
    lines = [f"traffic: {flow.cut:g} packets per step between cores, {flow.host.sum():g} from the host"]
    pairs = flow.packets.tocoo()
    lines += [
        f"  core {a} -> core {b}: {packets:g}"
        for a, b, packets in zip(pairs.row.tolist(), pairs.col.tolist(), pairs.data.tolist())
    ]
    return "\n".join(lines) + "\n"


@dump.register
def _(allocation: Allocation) -> str:
    """Columns that say something: those with a limit, and those that are not all zero."""
    table = allocation.table
    shown = [
        name for name in COLUMNS
        if name == "core" or (np.any(table[name] > 0) and name not in ("shared", "mixed_learning"))
    ]  # fmt: skip
    limits = ["limit"] + ["-" if allocation.limits.get(k) is None else str(allocation.limits[k]) for k in shown[1:]]
    rows = [shown, limits] + [[str(int(row[k])) for k in shown] for row in table]
    widths = [max(len(row[k]) for row in rows) for k in range(len(shown))]
    body = ["  ".join(text.rjust(width) for text, width in zip(row, widths)) for row in rows]
    return "\n".join([f"allocation on {allocation.chip}: {table.size} cores", *body]) + "\n"


@dump.register
def _(program: Program) -> str:
    lines = [f"program {program.name} on {program.chip.name}: dt {program.dt:g} s, seed {program.seed}"]
    lines[0] += f", arithmetic {program.arithmetic.preset}"
    for image in program.populations:
        lines.append(f"  population {image.name}: {image.model!r}")
        lines += ["  " + line for line in _core_lines(program.core[image.start : image.stop], image.start)]
    for p in program.projections:
        ends = f"{program.populations[p.pre].name} -> {program.populations[p.post].name}"
        lines.append(f"  projection {p.name}: {ends}, {_count(p)} synapses")
    return "\n".join(lines) + "\n"


def _core_lines(core: np.ndarray, start: int = 0) -> list[str]:
    """Runs of neighbours on one core, one line each, at most 40."""
    if not core.size:
        return []
    begin = np.flatnonzero(np.r_[True, core[1:] != core[:-1]])
    end = np.r_[begin[1:], core.size]
    lines = [
        f"  neurons {a + start}..{b + start - 1}: " + (f"core {c}" if c >= 0 else "host")
        for a, b, c in zip(begin.tolist(), end.tolist(), core[begin].tolist())
    ]
    return lines if len(lines) <= 40 else [*lines[:39], f"  and {len(lines) - 39} runs more"]


def _count(p: Any) -> int:
    """Synapses of a program's projection; of families that keep no matrix as their networks count them."""
    shaped = isinstance(p.synapses, (Synapses, FloatSynapses, Conv))
    return int(pattern(p).nnz) if shaped else synapse_count(p.synapses)
