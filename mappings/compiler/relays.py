"""Relays: neurons with more sources than a core has input axons, their inputs added up by a layer in between.

Spikes carry no numbers, so a relay that only passed spikes on would merge none of them. Here relays count in binary.
The sources of a projection are cut into parts whose weights into one neuron sum up to less than 2**b. For each part and
sign of weights, b neurons without memory find the bits of that step's sum, the highest first: bit k sees the part's
spikes b - 1 - k steps late, and -2**l from every higher bit l that was found; it fires if 2**k or more is left. It acts
on the target with weight 2**k, k steps late, so that all bits of a step arrive together, b steps after the spikes
would have. The sums are the same to the last bit.

What else reaches the target, or what lies behind it, is delayed by as much, so that spikes meet as they did. That has
an end in loops, under learning rules (they would see other times), and where delays exceed the chip's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from chipsim.chips.arithmetic import Arithmetic
from chipsim.chips.schema import Chip
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network, Projection
from chipsim.native import loihi
from chipsim.native.effective import effective
from chipsim.native.synapses import Synapses, with_data

from .cores.axons import pattern
from .cores.core_rules import axon_limit

BITS = 15  #: of a part's sum: u holds twice the sum times 2**6, and -2**14 twice is a mantissa of -256 << 7
LOW, HIGH = 7, 7  #: weights of bits up to 2**LOW take the exponent as it is, others one of HIGH at most
TOP = 17  #: highest bit times the exponent: from there on u overflows whatever is done
SPARE = 64  #: axons of a core that a part leaves for the bits of its own sum


class Relay(NamedTuple):
    """A projection that relays take: the parts of its sources (lists of sources, ascending)."""

    projection: Projection
    matrix: sp.csc_array  # (post, pre) whole numbers as they act
    delays: np.ndarray  # of the stored entries
    parts: list[np.ndarray]


def relayed(net: Network, chip: Chip, arithmetic: Arithmetic) -> tuple[Network, list[str]]:
    """The network with relays where a neuron has more sources than a core of `chip` has input axons, and notes.

    Raises
    ------
    CompileError
        Where relays cannot keep what the network computes: loops, rules, numbers in spikes, exponents below 0.
    """
    limit = axon_limit(chip)
    chosen: dict[str, list[Projection]] = {} if limit is None else _chosen(net, limit)
    if not chosen:
        return net, []
    if arithmetic.weight_rounding != "floor":
        raise CompileError(f"relays count in Lava's weights, not in those of '{arithmetic.preset}': use 'lava'")
    assert limit is not None
    relays = {name: [_relay(p, arithmetic, limit) for p in group] for name, group in chosen.items()}
    bits = {name: max(_bits(r) for r in group) for name, group in relays.items()}
    extra = _delays(net, {p.name: bits[name] for name, group in chosen.items() for p in group})
    made = _rebuilt(net, relays, bits, extra)
    for name in chosen:
        _check_lines(made, name, limit, chip)
    return made, _notes(net, relays, bits, extra, made)


def _chosen(net: Network, limit: int) -> dict[str, list[Projection]]:
    """Target -> its projections that take relays, those of most sources first, until the rest fits."""
    out: dict[str, list[Projection]] = {}
    for name, population in net.populations.items():
        into = [p for p in net.projections.values() if p.post is population]
        counts = {p.name: np.bincount(pattern(p).indices, minlength=population.n) for p in into}
        left = sum(counts.values(), np.zeros(population.n, np.int64))
        for p in sorted(into, key=lambda p: -int(counts[p.name].max(initial=0))):
            if left.max(initial=0) <= limit - SPARE * len(out.get(name, ())):  # what relays send needs axons as well
                break
            out.setdefault(name, []).append(p)
            left = left - counts[p.name]
    return out


def _relay(p: Projection, arithmetic: Arithmetic, limit: int) -> Relay:
    _check(p)
    s: Synapses = p.synapses
    matrix = sp.csc_array(effective(s, arithmetic).matrix).astype(np.int64)
    matrix.sort_indices()
    columns = np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))
    if np.ndim(s.delays) == 0:
        delays = np.full(matrix.nnz, int(s.delays))
    else:
        dense = s.delays.toarray() if sp.issparse(s.delays) else np.asarray(s.delays)
        delays = dense[matrix.indices, columns].astype(np.int64)
    most = (1 << min(BITS, TOP + 1 - s.exponent)) - 1
    return Relay(p, matrix, delays, _parts(matrix, limit - SPARE, most))


def _check_lines(made: Network, name: str, limit: int, chip: Chip) -> None:
    """Relays help where the weights into a neuron are small beside what a part may sum up to."""
    into = [p for p in made.projections.values() if p.post.name == name]
    n, met = made.populations[name].n, {}
    for p in into:
        found = pattern(p)
        ones = sp.csc_array((np.ones(len(found.indices), np.int64), found.indices, found.indptr), shape=(n, p.pre.n))
        met[p.pre.name] = ones + met[p.pre.name] if p.pre.name in met else ones
    need = int(sum(np.bincount(m.indices, minlength=n) for m in met.values()).max())
    if need > limit:
        raise CompileError(
            f"population '{name}' needs {need} input axons for one neuron with relays as well; "
            f"{chip.name} allows {limit}: "
            "give its synapses a smaller exponent (smaller weights and threshold), or prune them",
            population=name,
            resource="input_axons",
            need=need,
            limit=limit,
        )


def _check(p: Projection) -> None:
    what = f"projection '{p.name}' has too many sources for a core, and relays cannot take it: "
    if not isinstance(p.synapses, Synapses):
        why = "it is a convolution or float; give cs.loihi.Synapses"
    elif p.rule is not None:
        why = "it learns, and a rule changes the synapses of its own sources; prune it"
    elif p.synapses.message_bits and p.pre.model.carries_values:
        why = "its spikes carry numbers; send plain spikes"
    elif p.synapses.exponent < 0:
        why = f"exponent {p.synapses.exponent} cuts its sum; scale its target up"
    else:
        return
    raise CompileError(what + why, population=p.post.name, resource="input_axons")


def _parts(matrix: sp.csc_array, sources: int, most: int) -> list[np.ndarray]:
    """Sources in runs of at most `sources`, whose weights of one sign sum up to at most `most` in every neuron."""
    parts: list[list[int]] = [[]]
    sums = np.zeros((2, matrix.shape[0]), np.int64)
    for j in range(matrix.shape[1]):
        part = slice(matrix.indptr[j], matrix.indptr[j + 1])
        if part.start == part.stop:
            continue
        more = np.zeros_like(sums)
        more[0, matrix.indices[part]] = np.maximum(matrix.data[part], 0)
        more[1, matrix.indices[part]] = np.maximum(-matrix.data[part], 0)
        if parts[-1] and (len(parts[-1]) == sources or (sums + more).max() > most):
            parts.append([])
            sums[:] = 0
        parts[-1].append(j)
        sums += more
    return [np.array(part) for part in parts if part]


def _signed(relay: Relay, sign: int, part: np.ndarray) -> sp.csc_array:
    """The part's weights of one sign as (post, part) numbers above 0; the data index the relay's entries, plus 1."""
    numbered = with_data(relay.matrix, np.arange(1, relay.matrix.nnz + 1) * (sign * relay.matrix.data > 0))
    found = sp.csc_array(numbered[:, part])
    found.eliminate_zeros()
    return found


def _bits(relay: Relay) -> int:
    """Bits of the largest sum of a part."""
    largest = 1
    for part in relay.parts:
        weights = relay.matrix[:, part]
        for sign in (1, -1):
            sums = np.asarray((weights.multiply(sign) > 0).multiply(weights).multiply(sign).sum(axis=1)).ravel()
            largest = max(largest, int(sums.max(initial=0)))
    return largest.bit_length()


def _delays(net: Network, added: dict[str, int]) -> dict[str, int]:
    """Projection -> further steps of delay that let spikes meet as before, `added` ones on relayed projections."""
    names = list(net.populations)
    number = {name: k for k, name in enumerate(names)}
    edges = [(number[p.pre.name], number[p.post.name], added.get(p.name, 0), p) for p in net.projections.values()]
    graph = sp.csr_array(
        (np.ones(len(edges)), ([a for a, *_ in edges], [b for _, b, *_ in edges])), (len(names), len(names))
    )
    _, loop = connected_components(graph, directed=True, connection="strong")
    late = np.zeros(len(names), np.int64)
    for _ in range(len(names) + 1):  # as many rounds as the longest path has populations
        before = late.copy()
        for a, b, steps, p in edges:
            if loop[a] == loop[b] and steps:
                raise CompileError(
                    f"projection '{p.name}' needs relays, which act {steps} steps late, inside a loop: that would "
                    "change what the network computes; prune its sources",
                    population=p.post.name,
                    resource="input_axons",
                )
            if loop[a] != loop[b]:
                members = loop == loop[b]
                late[members] = np.maximum(late[members], late[a] + steps)
        if np.array_equal(before, late):
            break
    return {p.name: int(late[b] - late[a] - steps) for a, b, steps, p in edges}


def _rebuilt(net: Network, relays: dict[str, list[Relay]], bits: dict[str, int], extra: dict[str, int]) -> Network:
    out = Network(net.name)
    out.metadata = dict(net.metadata)
    for name, population in net.populations.items():
        out.add(name, population.model)
    taken = {r.projection.name: (name, r) for name, group in relays.items() for r in group}
    for name, p in net.projections.items():
        if name in taken:
            target, relay = taken[name]
            _add(out, relay, bits[target], extra[name])
        else:
            out.connect(p.pre.name, p.post.name, later(p, extra[name]), rule=p.rule, name=name, **p.use)
    return out


def later(p: Projection, steps: int) -> Any:
    """The projection's synapses with so many more steps of delay."""
    if not steps:
        return p.synapses
    if p.rule is not None or not isinstance(p.synapses, Synapses):
        why = "it learns, and its rule would see other times" if p.rule is not None else "a convolution has no delays"
        raise CompileError(
            f"projection '{p.name}' would have to wait {steps} steps for relays elsewhere, but {why}: prune the "
            "sources of the population that needs relays",
            population=p.post.name,
            resource="input_axons",
        )
    delays = p.synapses.delays
    more = with_data(delays, delays.data + steps) if sp.issparse(delays) else np.asarray(delays) + steps
    return replace(p.synapses, delays=more)


def _add(out: Network, relay: Relay, bits: int, wait: int) -> None:
    """Relays of one projection: populations of (post x bit) neurons per part and sign, the highest bit first."""
    p, n = relay.projection, relay.matrix.shape[0]
    for k, part in enumerate(relay.parts):
        for sign, mark in ((1, "+"), (-1, "-")):
            found = _signed(relay, sign, part)
            used = np.flatnonzero(np.bincount(found.indices, minlength=n))
            if not used.size:
                continue
            name = f"{p.name} relay {k}{mark}"
            order = np.arange(bits - 1, -1, -1)  # bit of each row of relays
            vth = np.repeat((2 << order) - 1, used.size)
            out.add(name, loihi.LIFReset((bits * used.size,), vth=vth, du=4095, dv=0, reset_interval=1))
            out.connect(p.pre.name, name, _inputs(relay, found, part, used, bits), name=f"{name} in")
            for high, synapses in _inhibition(used.size, bits):
                out.connect(name, name, synapses, name=f"{name} {'high' if high else 'low'} bits")
            for bit, synapses in _outputs(n, used, bits, sign, p.synapses.exponent, wait):
                out.connect(name, p.post.name, synapses, name=f"{name} {bit} out")


def _inputs(relay: Relay, found: sp.csc_array, part: np.ndarray, used: np.ndarray, bits: int) -> Synapses:
    """From the sources to all bits: bit k sees them bits - 1 - k steps late, twice, so that thresholds are odd."""
    place = np.zeros(relay.matrix.shape[0], np.int64)
    place[used] = np.arange(used.size)
    entry = found.data - 1
    post, pre = place[found.indices], part[np.repeat(np.arange(part.size), np.diff(found.indptr))]
    row = np.arange(bits)
    rows = (row[:, None] * used.size + post).ravel()
    columns, values = np.tile(pre, bits), np.tile(np.abs(relay.matrix.data[entry]), bits)
    delays = (row[:, None] + relay.delays[entry]).ravel()
    shape = (bits * used.size, relay.matrix.shape[1])
    weights = sp.csc_array((values, (rows, columns)), shape=shape)
    # stored with 1 added, so that a delay of 0 is an entry too
    late = sp.csc_array((delays + 1, (rows, columns)), shape=shape)
    weights.sort_indices(), late.sort_indices()
    return Synapses(weights, exponent=1, sign="excitatory", delays=with_data(late, late.data - 1))


def _inhibition(n: int, bits: int) -> list[tuple[bool, Synapses]]:
    """-2**l from every bit l to all lower bits k, at delay l - k - 1, in weights of two exponents."""
    made = []
    for high in (False, True):
        weights = np.zeros((bits, bits), np.int64)
        delays = np.zeros((bits, bits), np.int64)
        for a, l in enumerate(range(bits - 1, -1, -1)):
            if (l >= LOW) == high:
                weights[a + 1 :, a] = -(1 << (l - LOW + 1 if high else l + 1))
                delays[a + 1 :, a] = np.arange(bits - a - 1)
        if weights.any():
            eye = np.eye(n, dtype=np.int64)
            full, late = np.kron(weights, eye), np.kron(delays, eye)
            made.append((high, Synapses(sp.csc_array(full), HIGH if high else 0, sign="mixed", delays=late)))
    return made


def _outputs(n: int, used: np.ndarray, bits: int, sign: int, exponent: int, wait: int) -> list[tuple[str, Synapses]]:
    """sign 2**k from every bit k to its neuron, at delay k + wait; what no synapse holds in several, of one axon."""
    rows = [(a, k) for a, k in enumerate(range(bits - 1, -1, -1))]
    groups = [("low", exponent, [(a, k, 1 << k) for a, k in rows if k <= LOW])]
    higher = min(HIGH, exponent + HIGH)
    copies = [(a, k, 1 << max(0, k + exponent - higher - LOW)) for a, k in rows if k > LOW]
    for copy in range(max((many for *_, many in copies), default=0)):
        found = [(a, k, (1 << (k + exponent - higher)) // many) for a, k, many in copies if many > copy]
        groups.append((f"high {copy}", higher, found))
    return [(name, _output(n, used, bits, sign, e, found, wait)) for name, e, found in groups if found]


def _output(
    n: int, used: np.ndarray, bits: int, sign: int, exponent: int, rows: list[tuple[int, int, int]], wait: int
) -> Synapses:
    """Synapses from rows (row of relays, bit, mantissa)."""
    columns = np.concatenate([a * used.size + np.arange(used.size) for a, *_ in rows])
    shape, where = (n, bits * used.size), (np.tile(used, len(rows)), columns)
    weights = sp.csc_array((np.repeat([sign * m for *_, m in rows], used.size), where), shape=shape)
    delays = sp.csc_array((np.repeat([k + wait for _, k, _ in rows], used.size) + 1, where), shape=shape)
    kind = "excitatory" if sign > 0 else "inhibitory"
    return Synapses(weights, exponent, sign=kind, delays=with_data(delays, delays.data - 1))


def _notes(
    net: Network, relays: dict[str, list[Relay]], bits: dict[str, int], extra: dict[str, int], made: Network
) -> list[str]:
    found = []
    for name, group in relays.items():
        which = ", ".join(f"'{r.projection.name}'" for r in group)
        count = made.n - net.n
        found.append(
            f"population '{name}': relays add up {which}: its spikes come {bits[name]} steps later than without, all "
            f"else the same; {count} neurons of relays in all"
        )
        values = net.populations[name].model.values
        if any(np.any(np.asarray(values.get(k, 0))) for k in ("bias", "bias_mant", "v", "u")):
            found.append(f"population '{name}' has a bias or start value, which acts in the added steps as well")
    waiting = [f"'{k}' {steps}" for k, steps in extra.items() if steps]
    if waiting:
        found.append(f"further delay, so that spikes meet as before, in steps: {', '.join(waiting[:8])}")
    return found
