"""Programming operations of the Catalyst N1: rows op, a .. f, in the order in which the chip's ports take them.

| op | meaning | a | b | c | d | e | f |
|---|---|---|---|---|---|---|---|
| 1 | pool | core | address | source | target | weight | compartment |
| 2 | index | core | neuron | base | count | format | |
| 3, 4 | local, global route | core | neuron | slot | to core | to neuron | weight |
| 5 | delay | core | address | delay | | | |
| 6 | learning program | core | address | high 16 bits | low 16 bits | | |
| 7 | parameter | core | neuron | number | value | | |
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import NetworkError
from .build import Build

POOL, INDEX, LOCAL, GLOBAL, DELAY, PROGRAM, PARAMETER = range(1, 8)
NAMES = {POOL: "pool", INDEX: "index", LOCAL: "local route", GLOBAL: "global route", DELAY: "delay",
         PROGRAM: "learning program", PARAMETER: "parameter"}  # fmt: skip
#: Parameter numbers: what a neuron (or, from 11, 12, 26 to 28, a core) can be told.
PARAMETERS = {
    "thr": 0, "leak": 1, "rest": 2, "refractory": 3, "noise": 5, "tau_x1": 6, "tau_y1": 7, "h1": 8, "h2": 9, "h3": 10,
    "epoch": 11, "reward_tau": 12, "rate_target": 13, "rate_eta": 14, "tree": 15, "decay_v": 16, "decay_u": 17,
    "bias": 18, "tau_x2": 19, "tau_y2": 20, "tau_y3": 21, "parent": 22, "join": 23, "root": 24, "axon_type": 25,
    "axon_config": 26, "trace_fifo": 27, "clear": 28, "noise_target": 29, "vmin": 30, "vmax": 31,
}  # fmt: skip


def _spans(build: Build) -> dict[int, tuple[tuple[str, int, int], ...]]:
    cores, places, weight = ("core", 0, build.cores - 1), build.places - 1, ("weight", -32768, 32767)
    neuron, address = ("neuron", 0, places), ("pool address", 0, build.pool - 1)
    route = (cores, neuron)
    to = (("destination core", 0, build.cores - 1), ("destination neuron", 0, places), weight)
    return {
        POOL: (cores, address, ("source", 0, places), ("target", 0, places), weight, ("compartment", 0, 3)),
        INDEX: (
            cores,
            neuron,
            ("base", 0, build.pool - 1),
            ("count", 0, (1 << build.count_bits) - 1),
            ("format", 0, 3),
        ),
        LOCAL: (*route, ("slot", 0, 7), *to),
        GLOBAL: (*route, ("slot", 0, 3), *to),
        DELAY: (cores, address, ("delay", 0, 63)),
        PROGRAM: (cores, ("program address", 0, 255), ("high word", -32768, 65535), ("low word", -32768, 65535)),
        PARAMETER: (cores, neuron, ("parameter", 0, 31), ("value", -32768, 65535)),
    }


def as_operations(given: Any, build: Build) -> np.ndarray:
    """Checked operations (n, 7) int64; NetworkError names operation, field, value and limit."""
    table = np.asarray(given if np.size(given) else np.zeros((0, 7)))
    if table.ndim != 2 or table.shape[1] != 7 or (table.size and table.dtype.kind not in "iu"):
        raise NetworkError(f"catalyst operations have shape {table.shape}; give whole numbers (n, 7): op, a .. f")
    table = table.astype(np.int64)
    unknown = ~np.isin(table[:, 0], list(NAMES))
    if unknown.any():
        raise NetworkError(f"catalyst operation {table[unknown, 0][0]} does not exist; there are 1..7")
    for op, fields in _spans(build).items():
        mine = table[table[:, 0] == op]
        for column, (name, lo, hi) in enumerate(fields, 1):
            bad = (mine[:, column] < lo) | (mine[:, column] > hi)
            if bad.any():
                raise NetworkError(
                    f"catalyst {NAMES[op]}: {name} {mine[bad, column][0]} is outside {lo}..{hi} of this build"
                )
    return table


def parameter(core: int, neuron: int, name: str, value: int) -> tuple[int, ...]:
    """One row: a parameter by its name in `PARAMETERS`."""
    if name not in PARAMETERS:
        raise NetworkError(f"catalyst has no parameter {name!r}; it has {', '.join(PARAMETERS)}")
    return (PARAMETER, core, neuron, PARAMETERS[name], signed16(value), 0, 0)


def signed16(value: int) -> int:
    """The low 16 bits as a signed number: the form in which operations keep parameter values."""
    return ((value + 0x8000) & 0xFFFF) - 0x8000


def bias_value(bias: int) -> int:
    """Register word of a bias: 13-bit mantissa with sign, 3-bit exponent; NetworkError if it cannot be held."""
    for exponent in range(8):
        if bias % (1 << exponent) == 0 and -4096 <= bias >> exponent <= 4095:
            return ((bias >> exponent) & 0x1FFF) << 3 | exponent
    raise NetworkError(
        f"catalyst bias={bias}: the register holds a mantissa -4096..4095 times 2^0 .. 2^7; round it to one of these"
    )
