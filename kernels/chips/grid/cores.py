"""A grid of cores with binary crossbars and four axon types: one tick of all neurons, by population count.

Core k = x + y * columns. A core's axons are bits of uint64 words; a synapse is one bit of the crossbar, its
weight the neuron's weight for the axon's type. All potentials wrap modulo 512 (9 bit two's complement).
A tick costs the same cycles whatever happens: neuron i is written on cycle (i + 1)(axons + 2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

TYPES = 4  #: axon types, hence weights per neuron
SLOTS = 16  #: words of a core's scheduler: delivery ticks ahead
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Cores(NamedTuple):
    """What a program loads. c cores, n neurons per core, a axon words."""

    crossbar: np.ndarray  # uint64 (c, n, a), bit = axon connected
    of_type: np.ndarray  # uint64 (c, 4, a), bit = axon is of that type
    weight: np.ndarray  # int16 (c, n, 4)
    reset: np.ndarray  # int16 (c, n)
    leak: np.ndarray  # int16 (c, n), added every tick
    thr: np.ndarray  # int16 (c, n), fires at or above
    negthr: np.ndarray  # int16 (c, n), floor
    mode: np.ndarray  # uint8 (c, n): 0 reset to a value, 1 subtract the threshold
    packet: np.ndarray  # int64 (c, n), what a spike sends (grid_router)
    is_core: np.ndarray  # uint8 (c,), 0 for the output bus


class State(NamedTuple):
    """What a tick changes."""

    v: np.ndarray  # int16 (c, n)
    scheduler: np.ndarray  # uint64 (c, 16, a)


@intrinsic
def popcount(typingctx, word):
    """Number of set bits of a uint64, as int64."""
    del typingctx
    signature = types.int64(types.uint64)

    def codegen(context, builder, sig, args):
        del context, sig
        function = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(function, [args[0]])

    return signature, codegen


@njit(**_JIT)
def wrap9(x):
    """Two's complement wrap to -256 .. 255."""
    return ((x + 256) & 511) - 256


@njit(**_JIT)
def tick_core(cores, state, k, slot, spikes):
    """One tick of core k with scheduler word `slot`, which is cleared; returns how many fired, indices in `spikes`."""
    words = state.scheduler[k, slot]
    size = words.size
    crossbar, weight = cores.crossbar[k], cores.weight[k]
    driven = np.zeros(256, np.int32) if weight.shape[0] <= 256 else np.zeros(weight.shape[0], np.int32)
    for kind in range(TYPES):
        live = np.uint64(0)
        for q in range(size):
            live |= words[q] & cores.of_type[k, kind, q]
        if live == 0:
            continue
        for i in range(weight.shape[0]):
            count = np.int64(0)
            for q in range(size):
                count += popcount(crossbar[i, q] & words[q] & cores.of_type[k, kind, q])  # type: ignore[call-arg]
            driven[i] += np.int32(count * weight[i, kind])
    words[:] = 0
    v, thr, negthr = state.v[k], cores.thr[k], cores.negthr[k]
    fired = 0
    for i in range(v.size):
        x = wrap9(np.int32(v[i] + driven[i] + cores.leak[k, i]))
        if x >= thr[i]:
            spikes[fired] = i
            fired += 1
            x = cores.reset[k, i] if cores.mode[k, i] == 0 else wrap9(x - thr[i])
        elif x < negthr[i]:
            x = wrap9(-cores.reset[k, i]) if cores.mode[k, i] == 0 else wrap9(x - negthr[i])
        v[i] = x
    return fired
