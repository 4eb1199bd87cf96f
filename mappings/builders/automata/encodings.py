"""Three threshold networks that run one finite automaton: one-hot, binary, and a table of square-root size.

Every neuron is a threshold gate without memory, y(t) = [sum_i w_i y_i(t - 1 - d_i) > h]: weights are even, thresholds
odd, so that nothing depends on a tie. Populations and projections carry names; "symbols" and "start" are the inputs,
"accept" fires when the word so far is accepted. With tau steps per symbol, the i-th prefix is answered at step
1 + i tau, the empty one at step 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import ask, choice
from chipsim.errors import NetworkError
from chipsim.mappings.network.network import Network
from chipsim.native import floats, loihi
from chipsim.native.base import SpikeSource

from .dfa import DFA

#: A transition table of more entries than this becomes no network.
MAX_PAIRS = 1 << 22
SYNAPSE_BYTES = 80  #: while a synapse is written out: its places and weight, thrice


@dataclass(frozen=True, eq=False)
class Wiring:
    """A network and when it takes symbols.

    `steps` per symbol; the first symbol spikes at step `first`; `planes` of the table are read at once (0: no table).
    """

    network: Network
    steps: int
    first: int
    planes: int = 0


class Gates:
    """Memoryless threshold gates as neurons of a chip family ("loihi" or "float") in a growing network."""

    def __init__(self, name: str, family: str, symbols: int) -> None:
        self.network, self.family = Network(name), family
        self.network.add("symbols", SpikeSource(symbols))
        self.network.add("start", SpikeSource(1))

    def add(self, name: str, n: int, threshold: int) -> None:
        """Population of `n` gates that fire above the odd `threshold`.

        On Loihi u keeps nothing and v 1/4096 (the register's most), which stays below one unit of weight for sums
        under 4096.
        """
        if self.family == "float":
            self.network.add(name, floats.LavaLIF(n, du=1.0, dv=1.0, vth=float(threshold)))
        else:
            self.network.add(name, loihi.LIF(n, du=4095, dv=4095, vth=threshold))

    def connect(self, pre: str, post: str, posts: Any, pres: Any, weights: Any, delay: int = 0) -> None:
        """Synapses by (post, pre) index; a list without entries makes no projection."""
        posts, pres, weights = np.broadcast_arrays(posts, pres, weights)
        if not posts.size:
            return
        net = self.network
        shape = (net.population(post).n, net.population(pre).n)
        kind = np.float64 if self.family == "float" else np.int32
        matrix = sp.csc_array((weights.ravel().astype(kind), (posts.ravel(), pres.ravel())), shape=shape)
        synapses: Any = floats.Synapses if self.family == "float" else loihi.Synapses
        net.connect(pre, post, synapses(matrix, delays=delay))


def one_hot(dfa: DFA, family: str) -> Wiring:
    """One gate per state and symbol, which fires when that symbol is read in that state: m k + 1 neurons, one step.

    The gate (p, b) drives every gate (q, a) with q the state that p and b lead to; with symbol a, two of two inputs.
    """
    m, k = dfa.transitions.shape
    ask(SYNAPSE_BYTES * m * k * k, f"from_automaton: a one-hot network of {m * k * k} synapses", "give fewer symbols")
    net = Gates("one-hot automaton", family, k)
    net.add("transition", m * k, 3)
    net.add("accept", 1, 1)
    pair, target = np.arange(m * k), dfa.transitions.ravel()
    a = np.arange(k)
    net.connect("symbols", "transition", pair, pair % k, 2)
    net.connect("transition", "transition", target[:, None] * k + a, pair[:, None], 2)
    net.connect("start", "transition", dfa.start_index * k + a, 0, 2)
    net.connect("transition", "accept", 0, pair[dfa.accepts_state[target]], 2)
    if dfa.accepts_state[dfa.start_index]:
        net.connect("start", "accept", [0], 0, 2)
    return Wiring(net.network, 1, 0)


def binary(dfa: DFA, family: str) -> Wiring:
    """The state as L = ceil(log2 m) bits, behind one gate per state and symbol: m k + L + 1 neurons, two steps.

    The gate of (q, a) counts the bits that agree with q. Symbol a adds what makes the sum of a full agreement equal
    for all q; the bits are the disjunctions of the gates whose next state has them.
    """
    m, k = dfa.transitions.shape
    bits = max((m - 1).bit_length(), 1)
    ask(SYNAPSE_BYTES * m * k * bits, f"from_automaton: a binary network of {m * k * bits} synapses", "split it")
    net = Gates("binary automaton", family, k)
    net.add("bits", bits, 1)
    net.add("transition", m * k, 2 * bits + 1)
    net.add("accept", 1, 1)
    pair, target = np.arange(m * k), dfa.transitions.ravel()
    code = _bits(np.arange(m), bits)
    ones = code.sum(axis=1)
    net.connect("symbols", "transition", pair, pair % k, 2 * (bits - ones[pair // k]) + 2)
    net.connect("bits", "transition", pair[:, None], np.arange(bits), 4 * code[pair // k] - 2)
    gate, bit = np.nonzero(code[target])
    net.connect("transition", "bits", bit, gate, 2)
    net.connect("start", "bits", np.flatnonzero(code[dfa.start_index]), 0, 2)
    net.connect("transition", "accept", 0, pair[dfa.accepts_state[target]], 2)
    if dfa.accepts_state[dfa.start_index]:
        net.connect("start", "accept", [0], 0, 2)
    return Wiring(net.network, 2, 1)


@dataclass(frozen=True)
class Layout:
    """How a table of m k entries of `bits` bits is cut: state q = (q // columns, q % columns).

    `at_once` planes are read in each of `phases` steps by columns * k * at_once gates.
    """

    rows: int
    columns: int
    row_bits: int
    column_bits: int
    at_once: int
    phases: int
    symbols: int

    @property
    def bits(self) -> int:
        """Bits of an entry: row and column of the next state, and whether it accepts."""
        return self.row_bits + self.column_bits + 1

    @property
    def neurons(self) -> int:
        """Rows, columns, table gates, the clock and the answer."""
        return self.rows + self.columns + self.columns * self.symbols * self.at_once + 2


def layout(m: int, k: int, planes: int | None = None) -> Layout:
    """The cut of the table with the fewest phases, among those with the fewest neurons, then with the fewest bits.

    Without a limit the gates of all bits stand side by side: rows and columns near sqrt(m k log m) and
    sqrt(m / (k log m)), about 2 sqrt(m k log2 m) neurons. One plane at once needs about 2 sqrt(m (k + 1)).
    """

    def rank(cut: Layout) -> tuple[int, int, int]:
        return cut.phases, cut.neurons, cut.bits

    # More columns than neurons of the square cut cannot be fewer neurons; a power of two of them has fewest bits.
    most = min(m, layout_of(m, k, planes, 1 << (m.bit_length() // 2)).neurons)
    return min((layout_of(m, k, planes, columns) for columns in range(1, most + 1)), key=rank)


def layout_of(m: int, k: int, planes: int | None, columns: int) -> Layout:
    """The cut into so many columns."""
    rows = -(-m // columns)
    row_bits, column_bits = (rows - 1).bit_length(), (columns - 1).bit_length()
    bits = row_bits + column_bits + 1
    phases = -(-bits // min(planes or bits, bits))
    return Layout(rows, columns, row_bits, column_bits, -(-bits // phases), phases, k)


def table(dfa: DFA, family: str, planes: int | None = None) -> Wiring:
    """The transition table as a memory of about sqrt(m) words, read bit plane by bit plane.

    One row and one column neuron hold the state. In phase f the gate (i, a, c) fires if column c and symbol a are
    active and bit plane f * at_once + i holds a 1 at the active row: the table is the matrix from rows to gates. The
    rows and columns decode what was read. A phase is a step; the delays of synapses align phases, so that one
    row spike serves all of them. All planes at once: no delays, two steps per symbol.

    Source: Horne and Hush 1994 (NIPS 6) for the size, optimal for weights of one bit; the trade of active neurons for
    time after Sima 2014 (Neural Computation 26), whose networks have no delay lines to wait in.
    """
    m, k = dfa.transitions.shape
    cut = layout(m, k, planes)
    count = m * k * cut.bits + (cut.rows + cut.columns) * cut.columns * k * cut.bits
    ask(SYNAPSE_BYTES * count, f"from_automaton: a table of {count} synapses", "split the automaton")
    net = Gates("sqrt automaton", family, k)
    net.add("row", cut.rows, 2 * cut.row_bits + 1)
    net.add("column", cut.columns, 2 * cut.column_bits + 1)
    net.add("table", cut.at_once * k * cut.columns, 5)
    net.add("clock", 1, 1)
    net.add("accept", 1, 3)
    entry = _entries(dfa, cut)
    net.connect("symbols", "clock", 0, np.arange(k), 2)
    for phase in range(cut.phases):
        _read_phase(net, cut, entry, phase)
    codes = (_bits(np.arange(cut.rows), cut.row_bits), _bits(np.arange(cut.columns), cut.column_bits))
    for name, code, offset in (("row", codes[0], 0), ("column", codes[1], cut.row_bits)):
        _decode(net, cut, name, code, offset)
    _answer(net, cut)
    for name, index, bits in zip(
        ("row", "column"), divmod(dfa.start_index, cut.columns), (cut.row_bits, cut.column_bits)
    ):
        net.connect("start", name, [index], 0, 2 * bits + 2)
    if dfa.accepts_state[dfa.start_index]:
        net.connect("start", "accept", [0], 0, 4)
    return Wiring(net.network, cut.phases + 1, 1, cut.at_once)


def _entries(dfa: DFA, cut: Layout) -> np.ndarray:
    """(m, k, bits) bool: row bits, column bits and acceptance of the next state."""
    row, column = np.divmod(dfa.transitions, cut.columns)
    accepts = dfa.accepts_state[dfa.transitions]
    return np.concatenate(
        [_bits(row, cut.row_bits), _bits(column, cut.column_bits), accepts[..., None]], axis=-1, dtype=np.int64
    )


def _gates(cut: Layout, plane: int) -> np.ndarray:
    """(k, columns) indices of the gates that read `plane`, in the phase plane // at_once."""
    size = cut.symbols * cut.columns
    return (plane % cut.at_once) * size + np.arange(size).reshape(cut.symbols, cut.columns)


def _read_phase(net: Gates, cut: Layout, entry: np.ndarray, phase: int) -> None:
    """Row, column and symbol reach the gates of one phase."""
    posts, rows, gates = [], [], []
    for plane in range(phase * cut.at_once, min((phase + 1) * cut.at_once, cut.bits)):
        gate = _gates(cut, plane)
        q, a = np.nonzero(entry[:, :, plane])
        posts.append(gate[a, q % cut.columns])
        rows.append(q // cut.columns)
        gates.append(gate)
    gate = np.stack(gates)
    net.connect("row", "table", np.concatenate(posts), np.concatenate(rows), 2, phase)
    net.connect("column", "table", gate, np.arange(cut.columns), 2, phase)
    net.connect("symbols", "table", gate, np.arange(cut.symbols)[:, None], 2, phase)


def _decode(net: Gates, cut: Layout, name: str, code: np.ndarray, offset: int) -> None:
    """The neuron of a row or column fires when all bits agree with its code and the clock says that they are read."""
    n, bits = code.shape
    for phase in range(cut.phases):
        mine = [p for p in range(offset, offset + bits) if p // cut.at_once == phase]
        if not mine:
            continue
        gates = np.stack([_gates(cut, p).ravel() for p in mine])  # (planes, gates of a plane)
        weights = 4 * code[:, [p - offset for p in mine]] - 2
        posts = np.arange(n)[:, None, None]
        net.connect("table", name, posts, gates[None], weights[:, :, None], cut.phases - 1 - phase)
    net.connect("clock", name, np.arange(n), 0, 2 * (bits - code.sum(axis=1)) + 2, cut.phases - 1)


def _answer(net: Gates, cut: Layout) -> None:
    """The last plane is whether the next state accepts; the clock keeps other planes of its gates out."""
    plane = cut.bits - 1
    net.connect("table", "accept", 0, _gates(cut, plane), 2, cut.phases - 1 - plane // cut.at_once)
    net.connect("clock", "accept", [0], 0, 2, cut.phases - 1)


def _bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Binary digits of `values`, lowest first, in a new last axis."""
    return (np.asarray(values)[..., None] >> np.arange(bits)) & 1


ENCODINGS: dict[str, Callable[[DFA, str, int | None], Wiring]] = {
    "one-hot": lambda dfa, family, planes: one_hot(dfa, family),
    "binary": lambda dfa, family, planes: binary(dfa, family),
    "sqrt": table,
}


def encode(dfa: DFA, encoding: str, family: str, planes: int | None) -> Wiring:
    """The network of the named encoding; refuses an unknown one and tables beyond `MAX_PAIRS` entries."""
    choice(encoding, "from_automaton: encoding", ENCODINGS)
    if dfa.transitions.size > MAX_PAIRS:
        raise NetworkError(
            f"from_automaton: {len(dfa.states)} states times {len(dfa.alphabet)} symbols are "
            f"{dfa.transitions.size} transitions, more than {MAX_PAIRS}; minimise the automaton or split the alphabet"
        )
    return ENCODINGS[encoding](dfa, family, planes)
