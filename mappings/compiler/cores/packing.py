"""How synapses of an axon fill a core's memory: bits per synapse, blocks, headers, words.

Source of blocks and fields: nengo-loihi 1.1.0 block.py (`SynapseConfig.bits_per_axon`). There compression 3
stores no index, even of sparse rows; here ("indexed") each projection takes, core by core, the cheaper of

* **dense runs**: no index; an axon stores every weight, zeros too, from its base to its last target;
* **indexed**: an axon stores its synapses only, each with an index field wide enough for the largest distance
  from an axon's base to one of its targets.

An axon's base is its first target, or the highest base that the chip can write if that is lower.
``packing="nengo_loihi"`` counts as that tool does: synapses only, no index.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chipsim.checks import choice
from chipsim.chips.schema import Limits, SynapsePacking
from chipsim.errors import CompileError
from chipsim.native.synapses import Conv, FloatSynapses, Synapses
from chipsim.rules.carried import WEIGHT_BITS_OF_RULE, rule_state

from .axons import AxonRows

METHODS = ("indexed", "nengo_loihi")


class SynapseWidth(NamedTuple):
    """Bits of one synapse without its index: weight field, delay, and state that a learning rule adds."""

    weight: int
    delay: int
    state: int

    @property
    def bits(self) -> int:
        """All of them."""
        return self.weight + self.delay + self.state


class Packed(NamedTuple):
    """One projection's synapse memory: bits (c,) and index field (c,) by core; index 0 means dense runs."""

    bits: np.ndarray
    index: np.ndarray


def field(need: int, fields: tuple[int, ...]) -> int:
    """The narrowest field of at least `need` bits; `need` itself where no field is wide enough."""
    return min((f for f in fields if f >= need), default=need)


def synapse_width(synapses: Any, rule: Any, packing: SynapsePacking) -> SynapseWidth:
    """Bits of a synapse of a projection; float weights count 64."""
    if isinstance(synapses, FloatSynapses):
        weight = 64
    else:
        bits = synapses.bits if isinstance(synapses, Synapses) else 8
        weight = field(int(bits), packing.weight_field_bits)
    state = max(0, rule_state(rule)["synapse"] - WEIGHT_BITS_OF_RULE)
    delay = 0 if isinstance(synapses, Conv) else int(synapses.max_delay).bit_length()
    return SynapseWidth(weight, delay, state)


def bits_per_axon(n: Any, bits: Any, packing: SynapsePacking) -> np.ndarray:
    """Memory of axons with `n` synapses of `bits` each, header and rounding to words included.

    Parameters
    ----------
    n, bits : int or array, broadcast together
    packing
        The chip's blocks, header and word.

    Returns
    -------
    int64 array of the broadcast shape
    """
    n, bits = np.asarray(n, np.int64), np.asarray(bits, np.int64)
    block, header, word = packing.block_synapses, packing.header_bits, packing.word_bits
    full, rest = np.divmod(n, block)
    whole = -(-(block * bits + header) // word) * word
    partial = -(-(rest * bits + header) // word) * word
    return full * whole + np.where(rest > 0, partial, 0)


def base_limit(limits: Limits) -> int | None:
    """Highest core-local index at which an axon may start, None if any."""
    return None if limits.compartment_base is None else limits.compartment_base[1]


def pack(
    rows: AxonRows,
    cores: int,
    width: SynapseWidth,
    limits: Limits,
    method: str = "indexed",
) -> Packed:
    """Synapse memory of one projection on every core.

    Parameters
    ----------
    rows
        From `axons.axon_rows`, with cores counted from 0.
    cores
        How many there are.
    width
        Bits of a synapse without its index.
    method
        One of `METHODS`.
    """
    choice(method, "packing", METHODS, CompileError)
    packing, column = limits.synapse_packing, rows.core
    if method == "nengo_loihi":
        bits = _sum(_looked_up(rows.count, np.full(cores, width.bits), column, packing), column, cores)
        return Packed(bits, np.zeros(cores, np.int64))
    highest = base_limit(limits)
    base = rows.first if highest is None else np.minimum(rows.first, highest)
    reach = rows.last - base
    furthest = np.zeros(cores, np.int64)
    np.maximum.at(furthest, column, reach)
    need = np.ceil(np.log2(np.maximum(furthest, 1) + 1.0)).astype(np.int64)
    index = np.array([field(int(k), packing.index_field_bits[1:]) for k in need], np.int64)
    sparse = _sum(_looked_up(rows.count, width.bits + index, column, packing), column, cores)
    dense = _sum(_looked_up(reach + 1, np.full(cores, width.bits), column, packing), column, cores)
    too_wide = need > max(packing.index_field_bits)
    if limits.synapse_bits is not None:
        sparse = np.where(too_wide, dense, sparse)
    runs = dense <= sparse
    return Packed(np.where(runs, dense, sparse), np.where(runs, 0, index))


def _looked_up(n: np.ndarray, bits: np.ndarray, column: np.ndarray, packing: SynapsePacking) -> np.ndarray:
    """`bits_per_axon` of rows with n synapses on cores with `bits` each, from a table of all n that occur."""
    widths = np.unique(bits)
    counts = np.arange(int(n.max(initial=0)) + 1)
    table = bits_per_axon(counts, widths[:, None], packing)
    return table[np.searchsorted(widths, bits)[column], n]


def _sum(bits: np.ndarray, column: np.ndarray, cores: int) -> np.ndarray:
    return np.rint(np.bincount(column, weights=bits, minlength=cores)).astype(np.int64)
