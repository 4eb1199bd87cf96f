"""What a core holds, counted neuron by neuron and synapse by synapse in plain Python: the mapper's oracle."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import scipy.sparse as sp

from chipsim.native.synapses import Conv, FloatSynapses


def synapses(net):
    """(projection name, pre number, post number) of every synapse, numbers in program order."""
    start, at = {}, 0
    for name, population in net.populations.items():
        start[name] = at
        at += population.n
    for name, projection in net.projections.items():
        held = projection.synapses
        if isinstance(held, Conv):
            pairs = [(j, i) for i, j in zip(*(a.tolist() for a in held.targets()[:2]))]
        else:
            matrix = held.weights if isinstance(held, FloatSynapses) else held.mantissa
            coo = sp.coo_array(matrix)
            pairs = list(zip(coo.col.tolist(), coo.row.tolist()))
        for pre, post in pairs:
            yield name, start[projection.pre.name] + pre, start[projection.post.name] + post


def axon_bits(count: int, bits: int, block: int = 64, header: int = 10, word: int = 64) -> int:
    """nengo-loihi's bits_per_axon, block by block."""
    total = 0
    while count > 0:
        total += math.ceil((min(count, block) * bits + header) / word) * word
        count -= block
    return total


def naive_table(net, core, chip):
    """core -> dict of counts, as `Allocation.table` has them."""
    inputs = np.concatenate([np.full(p.n, p.model.is_input) for p in net.populations.values()])
    local, seen = {}, defaultdict(int)
    for k, c in enumerate(core.tolist()):
        if c >= 0 and not inputs[k]:
            local[k] = seen[c]
            seen[c] += 1
    table = {c: defaultdict(int) for c in sorted({c for c in core.tolist() if c >= 0})}
    for k in local:
        table[core[k]]["neurons"] += 1
    axons, fan_in, rows = defaultdict(int), defaultdict(int), defaultdict(list)
    learning = set()
    for name, pre, post in synapses(net):
        c = int(core[post])
        axons[pre, c] += 1
        fan_in[post] += 1
        rows[name, c, pre].append(local[post])
        table[c]["synapses"] += 1
        if net.projections[name].rule is not None:
            learning.add((pre, c))
    for (pre, c), count in axons.items():
        table[c]["input_axons"] += 1
        table[c]["synapse_map"] += 2 if (pre, c) in learning else 1
        table[c]["axon_fanout"] = max(table[c]["axon_fanout"], count)
        if core[pre] >= 0:
            table[int(core[pre])]["output_axons"] += 1
        else:
            table[c]["input_lines"] += 1
    for post, count in fan_in.items():
        table[int(core[post])]["fan_in"] = max(table[int(core[post])]["fan_in"], count)
    for (_, c), bits in memory(net, rows, chip).items():
        table[c]["synapse_bits"] += bits
    return table


def memory(net, rows, chip):
    """(projection, core) -> bits, the cheaper of dense runs and rows with an index."""
    limits = chip.limits
    highest = limits.compartment_base[1] if limits.compartment_base else math.inf
    grouped = defaultdict(list)
    for (name, c, _), targets in rows.items():
        grouped[name, c].append((min(targets), max(targets), len(targets)))
    out = {}
    for (name, c), axons in grouped.items():
        held = net.projections[name].synapses
        bits = {7: 8}.get(getattr(held, "bits", 8), getattr(held, "bits", 8)) + held.max_delay.bit_length()
        reach = [last - min(first, highest) for first, last, _ in axons]
        index = next(f for f in (6, 7, 8, 9, 10, 11, 12) if 2**f > max(reach))
        dense = sum(axon_bits(int(r) + 1, bits) for r in reach)
        sparse = sum(axon_bits(n, bits + index) for _, _, n in axons)
        out[name, c] = min(dense, sparse)
    return out
