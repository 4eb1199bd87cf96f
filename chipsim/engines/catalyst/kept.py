"""What a Catalyst N1 keeps between timesteps: every array with the range of its registers, for checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.kernels.chips.n1.mesh import Routers
from chipsim.kernels.chips.n1.rows import DEPTH, INJECT_DEPTH, C, N, P, R, S, X
from chipsim.kernels.chips.n1.state import Machine

from ...kept import FOREVER, Kept, like, same, under

#: Arrays that mean nothing between timesteps.
SCRATCH = ("pulse", "spiked", "scratch")
MESH_SCRATCH = ("before", "granted")
_S16, _S24, _U8, _U16, _U32 = (-32768, 32767), (-(1 << 23), (1 << 23) - 1), (0, 255), (0, 65535), (0, (1 << 32) - 1)


def _spans(count: int, default: tuple[int, int], **rows: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each of `count` rows."""
    low, high = np.full(count, default[0], np.int64), np.full(count, default[1], np.int64)
    for name, (lo, hi) in rows.items():
        low[int(name[1:])], high[int(name[1:])] = lo, hi
    return low, high


def _rows(names: Any, spans: dict[str, tuple[int, int]], default: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The same by the names of `kernels.chips.n1.rows`."""
    count = names.ROWS if hasattr(names, "ROWS") else names.REGISTERS if hasattr(names, "REGISTERS") else names.COUNT
    return _spans(count, default, **{f"_{getattr(names, name)}": span for name, span in spans.items()})


def _columns(*spans: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s[0] for s in spans]), np.array([s[1] for s in spans])


def kept(m: Machine, net: Routers, pool: int) -> dict[str, Kept]:
    """Everything that a checkpoint holds; `pool` addresses are kept in it."""
    cores, places = (0, int(m.size[X.CORES]) - 1), (0, int(m.size[X.PLACES]) - 1)
    wanted = {
        "size": same(m.size),
        "neuron": _by_row(m.neuron, N, {
            "REF": _U8, "T1": _U8, "T2": _U8, "T3": _U8, "T4": _U8, "T5": _U8, "COUNT": _U8, "STAMP": _U8,
            "MARK": (0, 0), "D1": _S16, "D2": _S16, "D3": _S16, "V": _S16,
        }, _S24),
        "param": _by_row(m.param, P, _parameters(places), (0, 0)),
        "pool": _by_row(m.pool, S, {"TARGET": places, "COMPARTMENT": (0, 3), "DELAY": (0, 63)}, _S16, pool),
        "index": _shaped(m.index, *_spans(3, (0, 0), _0=(0, int(m.size[X.POOL_MASK])),
                                          _1=(0, (1 << int(m.size[X.COUNT_BITS])) - 1), _2=(0, 3))),
        "reverse": like(m.reverse, *_columns((-1, places[1]), (-1, pool - 1))),
        "reverse_next": like(m.reverse_next, 0, int(m.size[X.SLOT_MASK])),
        "route": like(m.route, *_columns((0, 1), cores, places, _S16)),
        "program": like(m.program, *_columns((0, 15), (0, 15), (0, 15), (0, 15), (0, 7), _S16)),
        "axon": like(m.axon, 0, 4095),
        "queue": like(m.queue, *_columns(places, _S16, (0, 3))),
        "queued": like(m.queued, 0, DEPTH),
        "fifo": like(m.fifo, *_columns(places, _U8)),
        "reg": like(m.reg, *_rows(R, _registers(pool, places), (0, FOREVER))),
        "tally": like(m.tally, 0, FOREVER),
        "debug": like(m.debug, *_columns(_U16, places)),
        "chip": like(m.chip, *_rows(C, {"SPIKES": _U32, "ENERGY": _U32, "WAITING": (0, INJECT_DEPTH), "REWARD": _S16},
                                    (0, FOREVER))),
        "inject": like(m.inject, *_columns(cores, places, _S16)),
    }  # fmt: skip
    packet = _columns(cores, places, _S16)
    mesh = {
        "fifo": like(net.fifo, *packet), "head": like(net.head, 0, 15), "count": like(net.count, 0, 16),
        "out": like(net.out, *packet), "valid": like(net.valid, 0, 1),
        "entry": like(net.entry, *_columns((0, 1), cores, places, _S16)),
    }  # fmt: skip
    return wanted | under("mesh.", mesh)


def _shaped(array: np.ndarray, low: np.ndarray, high: np.ndarray) -> Kept:
    """Bounds of the rows of (c, rows, m)."""
    return like(array, low[:, None], high[:, None])


def _by_row(
    array: np.ndarray, names: Any, spans: dict[str, tuple[int, int]], default: tuple[int, int], last: int | None = None
) -> Kept:
    found = _shaped(array, *_rows(names, spans, default))
    return found if last is None else found._replace(shape=(*array.shape[:2], last))


def _parameters(places: tuple[int, int]) -> dict[str, tuple[int, int]]:
    tau = {name: (0, 15) for name in ("TAU", "TAU_2", "TAU_3", "TAU_4", "TAU_5")}
    signed = {name: _S16 for name in ("LEAK", "REST", "H", "H_2", "H_3", "VMIN", "VMAX")}
    return tau | signed | {
        "PERIOD": _U8, "RELATIVE": (0, 1), "NOISE": _U16, "NOISE_TO": (0, 3), "TARGET_RATE": _U8, "ETA": _U8,
        "TREE": (0, 63), "DECAY_V": (0, 4095), "DECAY_U": (0, 4095), "BIAS": _S24, "BIAS_WORD": _U16, "CUBA": (0, 1),
        "PARENT": places, "JOIN": (0, 3), "STACK": (0, 3), "ROOT": (0, 1), "AXON_TYPE": (0, 31),
    }  # fmt: skip


def _registers(pool: int, places: tuple[int, int]) -> dict[str, tuple[int, int]]:
    return {
        "LFSR": _U16, "EPOCH": _U8, "TSIE": _U8, "REWARD": _S16, "INTERVAL": _U8, "PASSES": (1, 15),
        "REWARD_TAU": (0, 15), "SLOT": (0, 63), "POOL_USED": (0, pool), "SIDE": (0, 1), "WAITING": (0, DEPTH),
        "MARKED": (0, 0), "PULSES": (0, 15 * (places[1] + 1)), "SPIKES": _U32, "CYCLES": _U32, "SYNOPS": _U32,
        "PRODUCED": (0, 1), "RESTART": (0, 1), "DEBUG_ON": (0, 1), "DEBUG_HEAD": (0, DEPTH - 1),
        "DEBUG_COUNT": (0, DEPTH),
    }  # fmt: skip


__all__ = ["MESH_SCRATCH", "SCRATCH", "kept"]
